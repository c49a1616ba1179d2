//! What silences a finding: the project's settings, or a comment on one of its lines: `# heldby: ignore`, or
//! `# heldby: ignore[closure, local]` for some kinds of holders.

use std::io::Write as _;
use std::path::Path;

use heldby_finding::{Finding, Place, ProcessReport};

use crate::disk::read_source;
use crate::settings::ProjectSettings;

/// Leaves out of reports what is silenced, and says on stderr how much that is.
pub(crate) fn leave_out(reports: &mut [ProcessReport], settings: &ProjectSettings) {
    let last_line = |place: &Place| {
        let text = heldby_source::decode_source(&read_source(Path::new(&place.file))?)?;
        let line = place.range?.end_line.checked_sub(1)?;
        text.lines().nth(line as usize).map(str::to_owned)
    };
    let mut silenced = 0;
    for report in reports {
        report.findings.retain(|finding| {
            let is_silenced =
                settings.ignores(&finding.holder.path, &finding.access_path, &finding.id)
                    || by_comment(finding, &last_line);
            silenced += usize::from(is_silenced);
            !is_silenced
        });
    }
    if silenced > 0 {
        let findings = if silenced == 1 {
            "finding is"
        } else {
            "findings are"
        };
        // Nobody is left to be told when stderr is closed.
        let _ = writeln!(
            anstream::stderr(),
            "{silenced} {findings} silenced by the project's settings or by a comment; `heldby report --ignored` tells of them"
        );
    }
}

/// Whether a line of the finding has such a comment: the one that stores, the user's own that calls it, or the definition's.
pub(crate) fn by_comment(finding: &Finding, last_line: &dyn Fn(&Place) -> Option<String>) -> bool {
    let stores = finding.stores.first().into_iter();
    let places = stores
        .chain(finding.users_own_store())
        .map(|store| &store.place)
        .chain(&finding.holder.definition);
    let mut lines = places.filter_map(last_line);
    lines.any(|line| silences(&line, finding.holder.kind))
}

fn silences(line: &str, kind: &str) -> bool {
    let Some((_, comment)) = line.rsplit_once('#') else {
        return false;
    };
    let Some(rest) = comment.trim().strip_prefix("heldby:") else {
        return false;
    };
    let Some(rest) = rest.trim_start().strip_prefix("ignore") else {
        return false;
    };
    match rest
        .strip_prefix('[')
        .and_then(|kinds| kinds.split_once(']'))
    {
        Some((kinds, _)) => kinds.split(',').any(|named| named.trim() == kind),
        None => rest.is_empty() || rest.starts_with(char::is_whitespace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_on_the_line_silences() {
        assert!(silences("X.append(y)  # heldby: ignore", "closure"));
        assert!(silences(
            "X.append(y)  # heldby: ignore[module-global, closure]",
            "closure"
        ));
        assert!(silences(
            "X.append(y)  #heldby:ignore bounded by the queue",
            "closure"
        ));
        assert!(!silences(
            "X.append(y)  # heldby: ignore[module-global]",
            "closure"
        ));
        assert!(!silences("X.append(y)  # heldby: ignored", "closure"));
        assert!(!silences("X.append('heldby: ignore')", "closure"));
    }
}
