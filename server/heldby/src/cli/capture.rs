//! `heldby capture`: takes a dump of a running process that nothing was prepared for.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use heldby_capture::{AttachSettings, Place, attach};

/// Dump the heap of a running process
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The program goes on; nothing need be installed in it. Python 3.14 and later run the agent when asked
(sys.remote_exec); in older ones one of its threads is made to load it, by gdb where the machine is not
x86-64. Either way the system must allow to look into the process: it is yours, or you are root.

Examples:
  heldby capture --pid 4711
  heldby capture --pid $(pgrep -f manage.py) -o before.heldby
  heldby report .heldby")]
pub(super) struct Arguments {
    /// The process
    #[arg(long, value_name = "N")]
    pid: u32,
    /// Where to write the dump [default: a file named by time and process in .heldby]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Seconds that the program may take to begin
    #[arg(long, value_name = "S", default_value_t = 20)]
    timeout: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let place = match &arguments.output {
        Some(path) => Place::File(path.clone()),
        None => {
            let folder = PathBuf::from(".heldby");
            heldby_capture::make_dump_folder(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            Place::Folder(folder)
        }
    };
    let settings = AttachSettings {
        pid: arguments.pid,
        native_library: heldby_capture::native_library(),
        patience: Duration::from_secs(arguments.timeout),
        interrupted: super::signals::interrupted()?,
    };
    let dump = attach(&settings, &place)?;
    super::print(&format!("{}\n", dump.display()))?;
    Ok(ExitCode::SUCCESS)
}
