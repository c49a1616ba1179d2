//! How often lines run: what is asked of the agent, and what it answers.

use serde::Deserialize;

use crate::python_text;

/// Lines that are counted together: an expression or a statement of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedLines {
    /// The file, as the program names it.
    pub file: String,
    /// Its first line when the program began (1-based).
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// Qualified name of the function around; empty at the top level of a module.
    pub function: String,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq)]
pub struct LineCounts {
    /// How often each ran; `None` where the program has no such code.
    pub runs: Vec<Option<u64>>,
    /// Over how many seconds.
    pub seconds: f64,
    /// `sys.monitoring` or `sys.settrace`.
    pub by: String,
}

/// The lines as Python writes a list of tuples.
pub(crate) fn python_list(lines: &[CountedLines]) -> String {
    let row = |lines: &CountedLines| {
        let CountedLines {
            file,
            first,
            last,
            function,
        } = lines;
        // What code itself is called: the last part of the qualified name.
        let name = match function.rsplit('.').next() {
            None | Some("") => "<module>",
            Some(name) => name,
        };
        format!(
            "({}, {first}, {last}, {}), ",
            python_text(file),
            python_text(name)
        )
    };
    format!("[{}]", lines.iter().map(row).collect::<String>())
}

/// Reads the agent's answer. The error is a reason in words.
pub(crate) fn counts_of(
    text: &[u8],
    lines: &[CountedLines],
) -> std::result::Result<LineCounts, String> {
    #[derive(Deserialize)]
    struct Answer {
        runs: Vec<Option<u64>>,
        failed: Option<String>,
        seconds: f64,
        by: String,
    }

    let answer: Answer =
        serde_json::from_slice(text).map_err(|error| format!("its answer is damaged: {error}"))?;
    match answer.failed {
        Some(reason) => Err(reason),
        None if answer.runs.len() != lines.len() => Err("its answer is too short".to_owned()),
        None => Ok(LineCounts {
            runs: answer.runs,
            seconds: answer.seconds,
            by: answer.by,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_asked_for_by_the_name_that_code_has() {
        let lines = |function: &str| CountedLines {
            file: "/srv/a'b.py".to_owned(),
            first: 3,
            last: 4,
            function: function.to_owned(),
        };
        assert_eq!(
            python_list(&[lines("Store.put"), lines("")]),
            r"[('/srv/a\'b.py', 3, 4, 'put'), ('/srv/a\'b.py', 3, 4, '<module>'), ]"
        );
    }

    #[test]
    fn a_reason_is_handed_on() {
        let answer = br#"{"runs": [], "failed": "no room", "seconds": 1, "by": "sys.settrace"}"#;
        assert_eq!(counts_of(answer, &[]), Err("no room".to_owned()));
        assert!(counts_of(b"{", &[]).is_err());
    }
}
