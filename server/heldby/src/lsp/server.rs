//! The language server: what it can do, and which file answers what.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tower_lsp::LanguageServer;
use tower_lsp::jsonrpc::Result;
use tower_lsp::ls_types::{
    CallHierarchyIncomingCall, CallHierarchyIncomingCallsParams, CallHierarchyItem,
    CallHierarchyOutgoingCall, CallHierarchyOutgoingCallsParams, CallHierarchyPrepareParams,
    CallHierarchyServerCapability, CodeActionKind, CodeActionOptions, CodeActionParams,
    CodeActionProviderCapability, CodeActionResponse, CodeLens, CodeLensOptions, CodeLensParams,
    DidChangeConfigurationParams, DidChangeWatchedFilesParams, DidChangeWorkspaceFoldersParams,
    ExecuteCommandOptions, ExecuteCommandParams, Hover, HoverParams, HoverProviderCapability,
    InitializeParams, InitializeResult, InitializedParams, InlayHint, InlayHintParams, OneOf,
    ServerCapabilities, ServerInfo, TextDocumentPositionParams, TextDocumentSyncCapability,
    TextDocumentSyncKind, TextDocumentSyncOptions, WorkDoneProgressCancelParams,
    WorkDoneProgressOptions, WorkspaceFolder, WorkspaceFoldersServerCapabilities,
    WorkspaceServerCapabilities,
};

use super::configuration::{Abilities, ClientSettings, Configuration, Folder};
use super::dump_folders;
use super::positions::Encoding;
use super::requests::objects::{DocumentParams, DocumentText};
use super::requests::referrers::{ReferrersParams, ReferrersResult};
use super::requests::{
    call_hierarchy, capture, code_action, code_lens, commands, confirm, expression, findings,
    hover, inlay_hint, objects, referrers,
};
use super::session::Session;
use super::uris;
use crate::settings::ProjectSettings;

/// Answers the client.
pub(crate) struct Backend {
    session: Arc<Session>,
}

impl Backend {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }

    pub(crate) async fn referrers(&self, params: ReferrersParams) -> Result<ReferrersResult> {
        referrers::referrers(&self.session, &params)
    }

    pub(crate) async fn findings(
        &self,
        params: findings::FindingsParams,
    ) -> Result<findings::FindingsResult> {
        Ok(findings::findings(&self.session, &params))
    }

    pub(crate) async fn capture(
        &self,
        params: capture::CaptureParams,
    ) -> Result<capture::CaptureResult> {
        capture::capture(&self.session, params).await
    }

    pub(crate) async fn confirm(
        &self,
        params: confirm::ConfirmParams,
    ) -> Result<confirm::ConfirmResult> {
        confirm::confirm(&self.session, params).await
    }

    pub(crate) async fn trace(&self, params: confirm::TraceParams) -> Result<confirm::TraceResult> {
        confirm::trace(&self.session, params).await
    }

    pub(crate) async fn expression(
        &self,
        params: TextDocumentPositionParams,
    ) -> Result<Option<expression::ExpressionResult>> {
        Ok(expression::expression(&self.session, &params))
    }

    pub(crate) async fn cancel_progress(&self, params: WorkDoneProgressCancelParams) {
        self.session.cancel(&params.token);
    }

    pub(crate) async fn document(&self, params: DocumentParams) -> Result<Option<DocumentText>> {
        Ok(objects::text(&self.session, &params.uri).map(|text| DocumentText { text }))
    }
}

impl LanguageServer for Backend {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let options = params.initialization_options.as_ref();
        let encoding = Encoding::negotiated(
            params
                .capabilities
                .general
                .as_ref()
                .and_then(|general| general.position_encodings.as_deref()),
        );
        self.session.documents.agree_on(encoding);
        self.session
            .meet(Abilities::of(&params.capabilities, options));
        let folders = folders_of(&params);
        let mut problems = Vec::new();
        let section = options.and_then(|options| options.get("settings"));
        let client = section.map_or_else(ClientSettings::default, |section| {
            ClientSettings::parse(section, &mut problems)
        });
        self.session.configure(Configuration {
            folders: folders
                .into_iter()
                .map(|(path, uri)| folder(path, uri, client.clone()))
                .collect(),
            outside: client,
            debugged: Vec::new(),
        });
        let is_asked_for = |name: &str| {
            options
                .and_then(|options| options.get(name)?.as_bool())
                .unwrap_or(false)
        };
        // A client that runs a command itself does not want it from here.
        let own: Vec<&str> = options
            .and_then(|options| options.get("clientCommands")?.as_array())
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let commands = commands::COMMANDS
            .iter()
            .filter(|command| !own.contains(command));
        Ok(InitializeResult {
            capabilities: ServerCapabilities {
                position_encoding: Some(encoding.kind()),
                text_document_sync: Some(TextDocumentSyncCapability::Options(
                    TextDocumentSyncOptions {
                        open_close: Some(true),
                        change: Some(TextDocumentSyncKind::INCREMENTAL),
                        ..TextDocumentSyncOptions::default()
                    },
                )),
                hover_provider: Some(HoverProviderCapability::Simple(true)),
                code_action_provider: Some(CodeActionProviderCapability::Options(
                    CodeActionOptions {
                        code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]),
                        ..CodeActionOptions::default()
                    },
                )),
                code_lens_provider: Some(CodeLensOptions {
                    resolve_provider: Some(false),
                }),
                inlay_hint_provider: Some(OneOf::Left(true)),
                call_hierarchy_provider: is_asked_for("callHierarchy")
                    .then_some(CallHierarchyServerCapability::Simple(true)),
                execute_command_provider: Some(ExecuteCommandOptions {
                    commands: commands.map(|command| (*command).to_owned()).collect(),
                    work_done_progress_options: WorkDoneProgressOptions {
                        work_done_progress: Some(true),
                    },
                }),
                workspace: Some(WorkspaceServerCapabilities {
                    workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                        supported: Some(true),
                        change_notifications: Some(OneOf::Left(true)),
                    }),
                    ..WorkspaceServerCapabilities::default()
                }),
                ..ServerCapabilities::default()
            },
            server_info: Some(ServerInfo {
                name: "heldby".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            ..InitializeResult::default()
        })
    }

    async fn initialized(&self, _: InitializedParams) {
        let session = Arc::clone(&self.session);
        // The client is asked things: nothing waits for its answers.
        tokio::spawn(async move {
            super::hear_of_settings(&session).await;
            super::settings_of(&session).await;
            dump_folders::watch(&session).await;
        });
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }

    async fn did_change_configuration(&self, _: DidChangeConfigurationParams) {
        let session = Arc::clone(&self.session);
        tokio::spawn(async move { super::settings_changed(&session).await });
    }

    async fn did_change_workspace_folders(&self, params: DidChangeWorkspaceFoldersParams) {
        let mut configuration = Configuration::clone(&self.session.configuration());
        let gone: Vec<&str> = params
            .event
            .removed
            .iter()
            .map(|folder| folder.uri.as_str())
            .collect();
        configuration
            .folders
            .retain(|folder| !gone.contains(&folder.uri.as_str()));
        for (path, uri) in paths_of(&params.event.added) {
            let client = configuration.outside.clone();
            configuration.folders.push(folder(path, uri, client));
        }
        self.session.configure(configuration);
        let session = Arc::clone(&self.session);
        tokio::spawn(async move {
            super::settings_changed(&session).await;
            dump_folders::scan(&session).await;
        });
    }

    async fn did_change_watched_files(&self, params: DidChangeWatchedFilesParams) {
        let session = Arc::clone(&self.session);
        tokio::spawn(async move { dump_folders::changed(&session, params.changes).await });
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        Ok(hover::hover(&self.session, params))
    }

    async fn code_action(&self, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        Ok(code_action::code_action(&self.session, &params))
    }

    async fn code_lens(&self, params: CodeLensParams) -> Result<Option<Vec<CodeLens>>> {
        Ok(code_lens::code_lenses(&self.session, &params))
    }

    async fn inlay_hint(&self, params: InlayHintParams) -> Result<Option<Vec<InlayHint>>> {
        Ok(inlay_hint::inlay_hints(&self.session, &params))
    }

    async fn prepare_call_hierarchy(
        &self,
        params: CallHierarchyPrepareParams,
    ) -> Result<Option<Vec<CallHierarchyItem>>> {
        Ok(call_hierarchy::prepare(&self.session, &params))
    }

    async fn incoming_calls(
        &self,
        params: CallHierarchyIncomingCallsParams,
    ) -> Result<Option<Vec<CallHierarchyIncomingCall>>> {
        Ok(call_hierarchy::incoming(&self.session, &params))
    }

    async fn outgoing_calls(
        &self,
        _: CallHierarchyOutgoingCallsParams,
    ) -> Result<Option<Vec<CallHierarchyOutgoingCall>>> {
        Ok(None)
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<Value>> {
        commands::execute(&self.session, params).await
    }
}

/// A workspace folder, with what its files say.
pub(crate) fn folder(path: PathBuf, uri: String, client: ClientSettings) -> Folder {
    let project = ProjectSettings::of_folder(&path);
    Folder {
        path,
        uri,
        client,
        project,
    }
}

fn paths_of(folders: &[WorkspaceFolder]) -> Vec<(PathBuf, String)> {
    let path = |folder: &WorkspaceFolder| {
        Some((uris::path_of(&folder.uri)?, folder.uri.as_str().to_owned()))
    };
    folders.iter().filter_map(path).collect()
}

/// The workspace folders, or what stood for one before there were several.
#[allow(deprecated)]
fn folders_of(params: &InitializeParams) -> Vec<(PathBuf, String)> {
    match (&params.workspace_folders, &params.root_uri) {
        (Some(folders), _) if !folders.is_empty() => paths_of(folders),
        (_, Some(root)) => uris::path_of(root)
            .map(|path| (path, root.as_str().to_owned()))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}
