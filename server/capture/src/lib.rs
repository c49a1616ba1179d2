//! heldby-capture: gets a heap dump out of a process.
//!
//! The pure-Python agent is one file, standard library only, embedded here so that the binary can hand it out:
//!
//! ```
//! assert!(heldby_capture::agent_source().contains("def dump(path"));
//! ```
//!
//! [`Launch`] prepares the environment in which a program dumps itself as it goes; [`DebugSessionCapture`] takes a dump through a
//! debugger.

#[cfg(target_os = "linux")]
mod attach;
mod confirm;
mod debug_session;
mod folder;
mod forks;
mod launch;
mod native;
mod process;

#[cfg(target_os = "linux")]
pub use attach::{AttachError, AttachSettings, Place, attach, count_lines};
pub use confirm::{CountedLines, LineCounts};
pub use debug_session::{
    Answer, Captured, DebugSessionCapture, DebugSessionError, Purpose, Step, Transfer,
    address_expression, address_of,
};
pub use folder::make_dump_folder;
pub use forks::ForkWatch;
pub use launch::{Launch, LaunchError, Settings, Trace};
pub use native::{agent_source_with, native_library};

/// A text as Python writes it, in ASCII.
fn python_text(text: &str) -> String {
    use std::fmt::Write as _;

    let mut literal = String::with_capacity(text.len() + text.len() / 16 + 2);
    literal.push('\'');
    for c in text.chars() {
        match c {
            '\\' => literal.push_str("\\\\"),
            '\'' => literal.push_str("\\'"),
            '\n' => literal.push_str("\\n"),
            // debugpy reads a line break in `@LINE@`.
            '@' => literal.push_str("\\x40"),
            ' '..='~' => literal.push(c),
            _ => {
                // Writing to a string does not fail.
                let _ = write!(literal, "\\U{:08x}", u32::from(c));
            }
        }
    }
    literal.push('\'');
    literal
}

/// The source of the single-file agent.
pub fn agent_source() -> &'static str {
    include_str!("../python/heldby_agent.py")
}
