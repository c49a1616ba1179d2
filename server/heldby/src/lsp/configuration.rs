//! What the client says about heldby, by workspace folder, and what the folders' own files say.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tower_lsp::ls_types::ClientCapabilities;

use crate::disk::SourceFolders;
use crate::settings::{ProjectSettings, mappings, texts};

/// The section of the client's settings.
pub(crate) const SECTION: &str = "heldby";

/// What the client can do, as far as it matters here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Abilities {
    pub(crate) show_document: bool,
    pub(crate) progress: bool,
    pub(crate) configuration: bool,
    pub(crate) watched_files: bool,
    /// It tells of changed settings when asked to.
    pub(crate) settings_registration: bool,
    pub(crate) markdown: bool,
    pub(crate) related_information: bool,
    pub(crate) code_description: bool,
    pub(crate) diagnostic_data: bool,
    pub(crate) code_action_literals: bool,
    /// Changes of a document may name the version that they are for.
    pub(crate) document_changes: bool,
    pub(crate) inlay_refresh: bool,
    pub(crate) lens_refresh: bool,
    /// It shows `heldby:` documents by itself.
    pub(crate) virtual_documents: bool,
    /// It wants to be told when other findings are shown.
    pub(crate) shown_notifications: bool,
    /// It has debug sessions, in which it can have lines counted.
    pub(crate) counts_lines: bool,
}

/// A command of clients that have debug sessions: it asks for `heldby/confirm`.
pub(crate) const CONFIRM: &str = "heldby.confirm";

impl Abilities {
    pub(crate) fn of(capabilities: &ClientCapabilities, options: Option<&Value>) -> Self {
        let option = |name: &str| {
            options
                .and_then(|options| options.get(name)?.as_bool())
                .unwrap_or(false)
        };
        let text = capabilities.text_document.as_ref();
        let workspace = capabilities.workspace.as_ref();
        let window = capabilities.window.as_ref();
        let diagnostics = text.and_then(|text| text.publish_diagnostics.as_ref());
        let hover_formats = text
            .and_then(|text| text.hover.as_ref())
            .and_then(|hover| hover.content_format.as_ref());
        Self {
            show_document: window
                .and_then(|window| window.show_document.as_ref())
                .is_some_and(|show| show.support),
            progress: window
                .and_then(|window| window.work_done_progress)
                .unwrap_or(false),
            configuration: workspace
                .and_then(|workspace| workspace.configuration)
                .unwrap_or(false),
            watched_files: workspace
                .and_then(|workspace| workspace.did_change_watched_files.as_ref())
                .and_then(|watched| watched.dynamic_registration)
                .unwrap_or(false),
            settings_registration: workspace
                .and_then(|workspace| workspace.did_change_configuration.as_ref())
                .and_then(|changes| changes.dynamic_registration)
                .unwrap_or(false),
            markdown: hover_formats.is_some_and(|formats| {
                formats.contains(&tower_lsp::ls_types::MarkupKind::Markdown)
            }),
            related_information: diagnostics
                .and_then(|diagnostics| diagnostics.related_information)
                .unwrap_or(false),
            code_description: diagnostics
                .and_then(|diagnostics| diagnostics.code_description_support)
                .unwrap_or(false),
            diagnostic_data: diagnostics
                .and_then(|diagnostics| diagnostics.data_support)
                .unwrap_or(false),
            code_action_literals: text
                .and_then(|text| text.code_action.as_ref())
                .is_some_and(|action| action.code_action_literal_support.is_some()),
            document_changes: workspace
                .and_then(|workspace| workspace.workspace_edit.as_ref())
                .and_then(|edit| edit.document_changes)
                .unwrap_or(false),
            inlay_refresh: workspace
                .and_then(|workspace| workspace.inlay_hint.as_ref())
                .and_then(|hint| hint.refresh_support)
                .unwrap_or(false),
            lens_refresh: workspace
                .and_then(|workspace| workspace.code_lens.as_ref())
                .and_then(|lens| lens.refresh_support)
                .unwrap_or(false),
            virtual_documents: option("virtualDocuments"),
            shown_notifications: option("shownNotifications"),
            counts_lines: options
                .and_then(|options| options.get("clientCommands")?.as_array())
                .is_some_and(|own| own.iter().any(|command| command == CONFIRM)),
        }
    }
}

/// What the client's settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    /// Path prefixes of the dump's machine, and ours.
    pub(crate) path_mappings: Vec<(String, String)>,
    pub(crate) ignore: Vec<String>,
    pub(crate) inlay_hints: bool,
    pub(crate) code_lenses: bool,
    /// Findings without proven growth are drawn too.
    pub(crate) information: bool,
    /// Dumps of the `.heldby` folder are loaded.
    pub(crate) watch: bool,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            path_mappings: Vec::new(),
            ignore: Vec::new(),
            inlay_hints: false,
            code_lenses: false,
            information: true,
            watch: true,
        }
    }
}

const NAMES: [&str; 6] = [
    "pathMappings",
    "ignore",
    "inlayHints",
    "codeLenses",
    "information",
    "watchDumps",
];

impl ClientSettings {
    /// Reads the section of the client's settings; what is wrong in it is told, and left as it is by default.
    pub(crate) fn parse(value: &Value, problems: &mut Vec<String>) -> Self {
        let mut settings = Self::default();
        let members = match value {
            Value::Null => return settings,
            Value::Object(members) => members,
            _ => {
                problems.push(format!("the settings `{SECTION}` are an object"));
                return settings;
            }
        };
        for (name, value) in members {
            let mut switch = |target: &mut bool| match value {
                Value::Bool(value) => *target = *value,
                Value::Null => {}
                _ => problems.push(format!("the setting `{SECTION}.{name}` is true or false")),
            };
            match name.as_str() {
                "inlayHints" => switch(&mut settings.inlay_hints),
                "codeLenses" => switch(&mut settings.code_lenses),
                "information" => switch(&mut settings.information),
                "watchDumps" => switch(&mut settings.watch),
                _ if value.is_null() => {}
                "ignore" => match texts(value) {
                    Some(texts) => settings.ignore = texts,
                    None => problems.push(format!(
                        "the setting `{SECTION}.ignore` is a list of access paths"
                    )),
                },
                "pathMappings" => match mappings(value) {
                    Some(mappings) => settings.path_mappings = mappings,
                    None => problems.push(format!(
                        "the setting `{SECTION}.pathMappings` is an object of paths there and here, as in {{\"/srv/app\": \"${{workspaceFolder}}\"}}"
                    )),
                },
                // A client may have settings of its own in the section: `heldby.trace.server`, `heldby.path`.
                "trace" | "path" | "server" | "snapshots" | "observe" | "view"
                | "callHierarchy" => {}
                other => problems.push(format!(
                    "`{SECTION}.{other}` is no setting; there are {}",
                    NAMES.join(", ")
                )),
            }
        }
        settings
    }
}

/// A workspace folder and what holds in it.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) uri: String,
    pub(crate) client: ClientSettings,
    pub(crate) project: ProjectSettings,
}

/// All that was said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configuration {
    pub(crate) folders: Vec<Folder>,
    /// Where no folder is.
    pub(crate) outside: ClientSettings,
    /// Path mappings of debug sessions that dumps were taken of.
    pub(crate) debugged: Vec<(String, String)>,
}

impl Configuration {
    /// The innermost folder that a file lies in.
    pub(crate) fn folder_of(&self, file: &Path) -> Option<&Folder> {
        self.folders
            .iter()
            .filter(|folder| file.starts_with(&folder.path))
            .max_by_key(|folder| folder.path.as_os_str().len())
    }

    /// The client's settings for a file.
    pub(crate) fn of_file(&self, file: Option<&Path>) -> &ClientSettings {
        let folder = file.and_then(|file| self.folder_of(file));
        folder.map_or(&self.outside, |folder| &folder.client)
    }

    /// Whether any folder says that a holder is not to be told of.
    pub(crate) fn ignores(&self, holder: &str, access_path: &str, id: &str) -> bool {
        let by_client = |settings: &ClientSettings| {
            let settings = ProjectSettings {
                ignore: settings.ignore.clone(),
                ..ProjectSettings::default()
            };
            settings.ignores(holder, access_path, id)
        };
        by_client(&self.outside)
            || self.folders.iter().any(|folder| {
                folder.project.ignores(holder, access_path, id) || by_client(&folder.client)
            })
    }

    /// Where the sources of a dump lie.
    pub(crate) fn source_folders(&self) -> SourceFolders {
        let mut maps = Vec::new();
        for folder in &self.folders {
            let local = |(from, to): &(String, String)| {
                let to = to.replace("${workspaceFolder}", &folder.path.display().to_string());
                (from.clone(), folder.path.join(to).display().to_string())
            };
            maps.extend(folder.client.path_mappings.iter().map(local));
            maps.extend(folder.project.path_mappings.iter().cloned());
        }
        maps.extend(self.outside.path_mappings.iter().cloned());
        maps.extend(self.debugged.iter().cloned());
        SourceFolders {
            roots: self
                .folders
                .iter()
                .map(|folder| folder.path.clone())
                .collect(),
            maps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// VS Code hands on all of them, with their defaults.
    #[test]
    fn the_extensions_settings_are_known() {
        let package = include_str!("../../../../vscode-extension/package.json");
        let package: Value = serde_json::from_str(package).expect("JSON");
        let declared = &package["contributes"]["configuration"]["properties"];
        let mut settings = json!({});
        for (name, property) in declared.as_object().expect("settings") {
            let mut place = &mut settings;
            for part in name.split('.').skip(1) {
                place = &mut place[part];
            }
            *place = property["default"].clone();
        }
        let mut problems = Vec::new();
        ClientSettings::parse(&settings, &mut problems);
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn what_is_wrong_in_the_settings_is_told() {
        let mut problems = Vec::new();
        let settings = ClientSettings::parse(
            &json!({"inlayHints": true, "codeLenses": "yes", "colour": 1, "ignore": ["a"], "pathMappings": null}),
            &mut problems,
        );
        assert!(settings.inlay_hints && !settings.code_lenses);
        assert_eq!(settings.ignore, ["a"]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems
                .iter()
                .any(|problem| problem == "the setting `heldby.codeLenses` is true or false")
        );
        assert!(
            problems
                .iter()
                .any(|problem| problem.starts_with("`heldby.colour` is no setting; there are"))
        );
    }
}
