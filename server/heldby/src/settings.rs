//! What a project says about heldby: `heldby.toml`, or `[tool.heldby]` of `pyproject.toml`, in its folder.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;
use toml_edit::{Array, DocumentMut, Item};

const OWN_FILE: &str = "heldby.toml";
const PROJECT_FILE: &str = "pyproject.toml";

/// What the files of a folder say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProjectSettings {
    /// Holders that are not to be told of: access paths, where `*` stands for anything, or the id of a finding.
    pub(crate) ignore: Vec<String>,
    /// Path prefixes of the dump's machine, and ours.
    pub(crate) path_mappings: Vec<(String, String)>,
    /// What could not be understood, for the user.
    pub(crate) problems: Vec<String>,
}

impl ProjectSettings {
    /// Reads the files of a folder. What is wrong in them is told, and left out.
    pub(crate) fn of_folder(folder: &Path) -> Self {
        let mut settings = Self::default();
        for (name, section) in [(OWN_FILE, &[][..]), (PROJECT_FILE, &["tool", "heldby"][..])] {
            let path = folder.join(name);
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            if section.is_empty() || text.contains("heldby") {
                settings.add(&path, &text, section);
            }
        }
        settings
    }

    fn add(&mut self, path: &Path, text: &str, section: &[&str]) {
        let mut problem = |what: String| self.problems.push(format!("{}: {what}", path.display()));
        // The same values as of a client's settings.
        let file: Value = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => return problem(error.message().to_owned()),
        };
        let mut table = file.as_object();
        for name in section {
            table = table.and_then(|table| table.get(*name)?.as_object());
        }
        for (name, value) in table.into_iter().flatten() {
            match name.as_str() {
                "ignore" => match texts(value) {
                    Some(texts) => self.ignore.extend(texts),
                    None => problem("`ignore` is a list of access paths, as in [\"gallery.views.UPLOADS\"]".to_owned()),
                },
                "path-mappings" => match mappings(value) {
                    Some(found) => {
                        let folder = path.parent().unwrap_or(Path::new(""));
                        let local = |(from, to): (String, String)| (from, folder.join(to).display().to_string());
                        self.path_mappings.extend(found.into_iter().map(local));
                    }
                    None => problem("`path-mappings` is a table of paths there and here, as in { \"/srv/app\" = \".\" }".to_owned()),
                },
                other => problem(format!("`{other}` is no setting of heldby; there are `ignore` and `path-mappings`")),
            }
        }
    }

    /// Whether a holder or a finding is not to be told of.
    pub(crate) fn ignores(&self, holder: &str, access_path: &str, id: &str) -> bool {
        self.ignore.iter().any(|pattern| {
            pattern == id || is_like(pattern, holder) || is_like(pattern, access_path)
        })
    }
}

/// A list of texts.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    let array = value.as_array()?;
    array
        .iter()
        .map(|value| value.as_str().map(str::to_owned))
        .collect()
}

/// Pairs of paths, there and here.
pub(crate) fn mappings(value: &Value) -> Option<Vec<(String, String)>> {
    let members = value.as_object()?;
    let mapping =
        |(from, to): (&String, &Value)| Some((from.clone(), to.as_str().map(str::to_owned)?));
    members.iter().map(mapping).collect()
}

/// Whether a text is like a pattern in which `*` stands for anything; `[*]` is meant as it is written.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    const ANY_KEY: &str = "[\u{1}]";
    let (pattern, text) = (
        pattern.replace("[*]", ANY_KEY),
        text.replace("[*]", ANY_KEY),
    );
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Writes a holder that is not to be told of into the settings of a folder; the file that has it now.
///
/// # Errors
/// When the file cannot be understood or written.
pub(crate) fn ignore(folder: &Path, holder: &str) -> anyhow::Result<PathBuf> {
    let own = folder.join(OWN_FILE);
    let project = folder.join(PROJECT_FILE);
    let in_project = !own.exists() && project.exists();
    let path = if in_project { project } else { own };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let mut document: DocumentMut = text
        .parse()
        .with_context(|| format!("{} is no TOML", path.display()))?;
    let mut table = document.as_table_mut();
    if in_project {
        for name in ["tool", "heldby"] {
            let item = table.entry(name).or_insert_with(|| {
                let mut table = toml_edit::Table::new();
                // No header of its own where it has nothing but `heldby`.
                table.set_implicit(name == "tool");
                Item::Table(table)
            });
            table = item
                .as_table_mut()
                .with_context(|| format!("{}: `{name}` is no table", path.display()))?;
        }
    }
    let list = table
        .entry("ignore")
        .or_insert_with(|| Item::Value(Array::new().into()));
    let list = list
        .as_array_mut()
        .with_context(|| format!("{}: `ignore` is no list", path.display()))?;
    if !list.iter().any(|known| known.as_str() == Some(holder)) {
        list.push(holder);
    }
    write_beside(&path, &document.to_string())?;
    Ok(path)
}

/// Replaces a file in one step: it is never half written.
fn write_beside(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".heldby-")
            .tempfile_in(folder)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        // A file that was there keeps who may read it; a new one is as any other text of the project.
        match std::fs::metadata(path) {
            Ok(metadata) => file.as_file().set_permissions(metadata.permissions())?,
            #[cfg(unix)]
            Err(_) => {
                use std::os::unix::fs::PermissionsExt as _;
                file.as_file()
                    .set_permissions(std::fs::Permissions::from_mode(0o644))?;
            }
            #[cfg(not(unix))]
            Err(_) => {}
        }
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| path.display().to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_project_says_what_to_ignore_and_where_its_files_lie() {
        let folder = folder(&[(
            "pyproject.toml",
            "[project]\nname = 'gallery'\n[tool.heldby]\nignore = ['gallery.views.*']\npath-mappings = { '/srv/app' = 'src' }\n",
        )]);
        let settings = ProjectSettings::of_folder(folder.path());
        assert_eq!(settings.problems, Vec::<String>::new());
        assert!(settings.ignores("gallery.views.UPLOADS", "gallery.views.UPLOADS[*]", "1"));
        assert!(!settings.ignores("gallery.models.UPLOADS", "gallery.models.UPLOADS[*]", "1"));
        let here = folder.path().join("src").display().to_string();
        assert_eq!(settings.path_mappings, [("/srv/app".to_owned(), here)]);
    }

    #[test]
    fn what_is_wrong_is_told_and_left_out() {
        let folder = folder(&[("heldby.toml", "ignored = []\nignore = 'x'\n")]);
        let settings = ProjectSettings::of_folder(folder.path());
        assert_eq!(settings.ignore, Vec::<String>::new());
        for told in [
            "`ignored` is no setting of heldby",
            "`ignore` is a list of access paths",
        ] {
            assert!(
                settings
                    .problems
                    .iter()
                    .any(|problem| problem.contains(told)),
                "{:?}",
                settings.problems
            );
        }
    }

    #[test]
    fn a_file_that_is_no_toml_is_told() {
        let folder = folder(&[("heldby.toml", "ignore = [")]);
        let settings = ProjectSettings::of_folder(folder.path());
        assert!(
            settings.problems[0].contains("heldby.toml: "),
            "{:?}",
            settings.problems
        );
    }

    #[test]
    fn ignoring_keeps_the_rest_of_the_file() {
        let before = "# ours\n[project]\nname = 'gallery' # the name\n";
        let folder = folder(&[("pyproject.toml", before)]);
        ignore(folder.path(), "gallery.views.UPLOADS").unwrap();
        ignore(folder.path(), "gallery.views.UPLOADS").unwrap();
        ignore(folder.path(), "gallery.views.SEEN").unwrap();
        let text = std::fs::read_to_string(folder.path().join("pyproject.toml")).unwrap();
        let added =
            "\n[tool.heldby]\nignore = [\"gallery.views.UPLOADS\", \"gallery.views.SEEN\"]\n";
        assert_eq!(text, format!("{before}{added}"));
    }

    #[test]
    fn without_a_project_file_ours_is_made() {
        let folder = folder(&[]);
        let path = ignore(folder.path(), "app.SEEN").unwrap();
        assert!(path.ends_with("heldby.toml"));
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "ignore = [\"app.SEEN\"]\n"
        );
    }

    #[test]
    fn stars_stand_for_anything() {
        assert!(is_like("a.b", "a.b"));
        assert!(!is_like("a.b", "a.bc"));
        assert!(is_like("a.*", "a.b.c"));
        assert!(is_like("*.SEEN", "app.SEEN"));
        assert!(is_like("a.*.c*", "a.b.cd"));
        assert!(is_like("a[*]", "a[*]"));
        assert!(!is_like("a[*]", "a[*].b"));
        assert!(is_like("a[*]*", "a[*].b"));
    }
}
