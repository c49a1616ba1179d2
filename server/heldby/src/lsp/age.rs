//! How old a dump is, in words that change seldom: what carries them is not sent again every second.

use std::time::{Duration, SystemTime};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The ages at which the words change, in seconds.
const STEPS: [u64; 11] = [
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    6 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
];

/// The time since a moment, in nanoseconds since the epoch; nothing for a moment to come.
pub(crate) fn since(nanoseconds: u64) -> Duration {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    moment.elapsed().unwrap_or_default()
}

/// `under a minute old`, `over 5 minutes old`.
pub(crate) fn words(age: Duration) -> String {
    let seconds = age.as_secs();
    let Some(step) = STEPS.iter().rev().find(|step| seconds >= **step) else {
        return "under a minute old".to_owned();
    };
    let (count, unit) = match *step {
        step if step >= DAY => (step / DAY, "day"),
        step if step >= HOUR => (step / HOUR, "hour"),
        step => (step / MINUTE, "minute"),
    };
    let unit_words = match (count, unit) {
        (1, "hour") => "an hour".to_owned(),
        (1, unit) => format!("a {unit}"),
        (count, unit) => format!("{count} {unit}s"),
    };
    format!("over {unit_words} old")
}

/// When the words change next.
pub(crate) fn until_next(age: Duration) -> Option<Duration> {
    let next = STEPS.iter().find(|step| age.as_secs() < **step)?;
    Some(Duration::from_secs(*next).saturating_sub(age) + Duration::from_millis(50))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_roughly() {
        let told = |seconds| words(Duration::from_secs(seconds));
        assert_eq!(told(3), "under a minute old");
        assert_eq!(told(61), "over a minute old");
        assert_eq!(told(7 * 60), "over 5 minutes old");
        assert_eq!(told(3 * 3600), "over 2 hours old");
        assert_eq!(told(3600), "over an hour old");
        assert_eq!(told(30 * 86400), "over 7 days old");
    }

    #[test]
    fn the_words_change_when_they_are_due() {
        for seconds in [0, 59, 61, 4000, 90_000] {
            let age = Duration::from_secs(seconds);
            let next = age + until_next(age).unwrap_or_default();
            assert_ne!(words(age), words(next));
        }
        assert_eq!(until_next(Duration::from_secs(30 * 86400)), None);
    }
}
