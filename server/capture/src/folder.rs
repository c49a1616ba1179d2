//! The folder that dumps are written into.

use std::fs;
use std::io;
use std::path::Path;

/// Makes the folder if it is not there, and then has git ignore all in it: dumps are large, and nobody wants them in a repository.
///
/// # Errors
/// When it cannot be made.
pub fn make_dump_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join(".gitignore"), "*\n")
}
