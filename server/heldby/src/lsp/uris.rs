//! URIs and paths. Only `file:` is a path; the client's own spelling of a URI is the one it gets back.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use tower_lsp::ls_types::Uri;
use url::Url;

/// The path of a `file:` URI on this machine, `None` for anything else.
pub(crate) fn path_of(uri: &Uri) -> Option<PathBuf> {
    path_of_text(uri.as_str())
}

/// The same, of a URI as text; a plain absolute path stands for itself.
pub(crate) fn path_of_text(text: &str) -> Option<PathBuf> {
    if Path::new(text).is_absolute() {
        return Some(PathBuf::from(text));
    }
    let url = Url::parse(text).ok()?;
    (url.scheme() == "file")
        .then(|| url.to_file_path().ok())
        .flatten()
}

/// The URI of a path, if it is absolute.
pub(crate) fn uri_of(path: &Path) -> Option<Uri> {
    Uri::from_str(Url::from_file_path(path).ok()?.as_str()).ok()
}

/// What two paths to the same file have in common: without symbolic links where the file exists.
pub(crate) fn file_key(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn only_files_are_paths() {
        let path = |uri: &str| path_of_text(uri);
        assert_eq!(path("file:///a%20b/%C3%A4.py"), Some("/a b/ä.py".into()));
        assert_eq!(path("file://localhost/a.py"), Some("/a.py".into()));
        assert_eq!(path("/a.py"), Some("/a.py".into()));
        assert_eq!(path("untitled:Untitled-1"), None);
        assert_eq!(path("vscode-remote://host/a.py"), None);
        assert_eq!(path("file://other-host/share/a.py"), None);
        assert_eq!(path("git:/a.py?ref"), None);
        assert_eq!(path(""), None);
    }

    #[test]
    #[cfg(windows)]
    fn drive_letters_are_escaped_or_not() {
        for uri in ["file:///c%3A/a.py", "file:///C:/a.py", "file:///c:/a.py"] {
            let path = path_of_text(uri).unwrap_or_default();
            assert!(path.to_string_lossy().eq_ignore_ascii_case("c:\\a.py"));
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_path_comes_back_from_its_uri() {
        for path in ["/a b/ä%41.py", "/tmp/#1?.py"] {
            let uri = uri_of(Path::new(path)).map(|uri| path_of(&uri));
            assert_eq!(uri, Some(Some(PathBuf::from(path))));
        }
        assert_eq!(uri_of(Path::new("a.py")), None);
    }
}
