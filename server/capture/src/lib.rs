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

mod debug_session;
mod folder;
mod launch;
mod process;

pub use debug_session::{
    Answer, Captured, DebugSessionCapture, DebugSessionError, Purpose, Step, Transfer,
    address_expression, address_of,
};
pub use folder::make_dump_folder;
pub use launch::{Launch, LaunchError, Settings};

/// The source of the single-file agent.
pub fn agent_source() -> &'static str {
    include_str!("../python/heldby_agent.py")
}
