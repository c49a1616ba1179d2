//! Where the native agent's library stands: beside the program that runs.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use flate2::Compression;
use flate2::write::ZlibEncoder;

/// The file's name on this platform.
fn library_name() -> String {
    format!(
        "{}heldby_native{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    )
}

/// The source of the single-file agent with the library inside: one file to copy anywhere.
///
/// # Errors
/// When the library cannot be read.
pub fn agent_source_with(library: &Path) -> io::Result<String> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&fs::read(library)?)?;
    let packed = base64::engine::general_purpose::STANDARD.encode(packer.finish()?);
    let source = crate::agent_source();
    Ok(format!(
        "{source}\n\nembedded_native_library = \"{packed}\"\n"
    ))
}

/// The library beside the program that runs; none when there is none.
pub fn native_library() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    library_beside(&program)
}

fn library_beside(program: &Path) -> Option<PathBuf> {
    // A link to the program, as in a folder of the PATH, is not where the library is.
    let program = fs::canonicalize(program).ok()?;
    let library = program.with_file_name(library_name());
    library.is_file().then_some(library)
}
