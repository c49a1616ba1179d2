//! What makes the transport safe. The server calls its service on the reader, in wire order: here edits are applied, each
//! request is given the documents as they were at that point, and runs in a task of its own, where a panic is one failed request
//! and work does not keep the reader waiting.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tower_lsp::jsonrpc::{Error, ErrorCode, Request, Response};
use tower_service::Service;

use super::documents::{OpenDocuments, with_snapshot};

/// How the client ends the session.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    shutdown: AtomicBool,
    exit: AtomicBool,
}

impl Ending {
    /// The client asked to shut down.
    pub(crate) fn was_announced(&self) -> bool {
        self.shutdown.load(Ordering::Relaxed)
    }

    /// The client said to exit.
    pub(crate) fn was_asked_for(&self) -> bool {
        self.exit.load(Ordering::Relaxed)
    }
}

/// Stands between the reader and the server.
pub(crate) struct Guard<S> {
    inner: S,
    documents: Arc<OpenDocuments>,
    ending: Arc<Ending>,
    is_initialized: bool,
}

impl<S> Guard<S> {
    pub(crate) fn new(inner: S, documents: Arc<OpenDocuments>, ending: Arc<Ending>) -> Self {
        Self {
            inner,
            documents,
            ending,
            is_initialized: false,
        }
    }
}

impl<S> Service<Request> for Guard<S>
where
    S: Service<Request, Response = Option<Response>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Option<Response>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match request.method() {
            "textDocument/didOpen" | "textDocument/didChange" | "textDocument/didClose" => {
                if self.is_initialized
                    && !self.ending.was_announced()
                    && let Err(error) = self.documents.apply(&request)
                {
                    tracing::warn!("{} was not applied: {error}", request.method());
                }
                return Box::pin(async { Ok(None) });
            }
            "initialize" => self.is_initialized = true,
            "shutdown" if self.is_initialized => {
                self.ending.shutdown.store(true, Ordering::Relaxed);
            }
            "exit" => self.ending.exit.store(true, Ordering::Relaxed),
            _ => {}
        }
        let id = request.id().cloned();
        let method = request.method().to_owned();
        let handled = with_snapshot(self.documents.current(), self.inner.call(request));
        let task = tokio::spawn(handled);
        Box::pin(async move {
            match task.await {
                Ok(result) => result,
                Err(failure) => {
                    tracing::error!("{method} failed: {failure}");
                    Ok(id.map(|id| Response::from_error(id, internal_error(&method))))
                }
            }
        })
    }
}

fn internal_error(method: &str) -> Error {
    Error {
        code: ErrorCode::InternalError,
        message: format!("{method} failed in heldby; its log says where").into(),
        data: None,
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::io::{DuplexStream, ReadHalf, WriteHalf};
    use tower_lsp::ls_types::{ConfigurationItem, InitializeParams, InitializeResult};
    use tower_lsp::{Client, LanguageServer, LspService, Server};

    use super::*;

    static DROPPED: AtomicUsize = AtomicUsize::new(0);

    struct CountDrop;

    impl Drop for CountDrop {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A server whose requests are as bad as requests can be.
    struct Bad(Client);

    impl LanguageServer for Bad {
        async fn initialize(
            &self,
            _: InitializeParams,
        ) -> tower_lsp::jsonrpc::Result<InitializeResult> {
            Ok(InitializeResult::default())
        }

        async fn shutdown(&self) -> tower_lsp::jsonrpc::Result<()> {
            Ok(())
        }
    }

    impl Bad {
        async fn panics(&self) -> tower_lsp::jsonrpc::Result<Value> {
            panic!("as asked for")
        }

        async fn works(&self) -> tower_lsp::jsonrpc::Result<Value> {
            // Never awaits.
            let begin = std::time::Instant::now();
            while begin.elapsed() < Duration::from_secs(2) {
                std::hint::spin_loop();
            }
            Ok(json!("worked"))
        }

        async fn sleeps(&self) -> tower_lsp::jsonrpc::Result<Value> {
            let _count = CountDrop;
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Ok(json!("slept"))
        }

        async fn asks(&self) -> tower_lsp::jsonrpc::Result<Value> {
            let items = vec![ConfigurationItem {
                scope_uri: None,
                section: None,
            }];
            Ok(json!(self.0.configuration(items).await?))
        }

        async fn echoes(&self, text: Vec<String>) -> tower_lsp::jsonrpc::Result<Value> {
            Ok(json!(text))
        }
    }

    struct Wire {
        input: WriteHalf<DuplexStream>,
        output: BufReader<ReadHalf<DuplexStream>>,
    }

    impl Wire {
        async fn new() -> Self {
            let (client, server) = tokio::io::duplex(1 << 16);
            let (edits, _) = tokio::sync::mpsc::unbounded_channel();
            let (service, socket) = LspService::build(Bad)
                .custom_method("x/panics", Bad::panics)
                .custom_method("x/works", Bad::works)
                .custom_method("x/sleeps", Bad::sleeps)
                .custom_method("x/asks", Bad::asks)
                .custom_method("x/echoes", Bad::echoes)
                .finish();
            let documents = Arc::new(OpenDocuments::new(edits));
            let guard = Guard::new(service, documents, Arc::default());
            let (input, output) = tokio::io::split(server);
            let server =
                Server::new(input, output, socket).concurrency_level(crate::lsp::MOST_REQUESTS);
            tokio::spawn(server.serve(guard));
            let (output, input) = tokio::io::split(client);
            let mut wire = Self {
                input,
                output: BufReader::new(output),
            };
            wire.ask(0, "initialize", json!({"capabilities": {}})).await;
            assert_eq!(wire.next().await["id"], 0);
            wire.send(json!({"jsonrpc": "2.0", "method": "initialized", "params": {}}))
                .await;
            wire
        }

        async fn send(&mut self, message: Value) {
            let body = message.to_string();
            let message = format!("Content-Length: {}\r\n\r\n{body}", body.len());
            self.input.write_all(message.as_bytes()).await.unwrap();
        }

        async fn ask(&mut self, id: u64, method: &str, params: Value) {
            let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
            self.send(message).await;
        }

        async fn next(&mut self) -> Value {
            let next = async {
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    self.output.read_line(&mut line).await.unwrap();
                    if line == "\r\n" {
                        break;
                    }
                    if let Some(number) = line.strip_prefix("Content-Length: ") {
                        length = number.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                self.output.read_exact(&mut body).await.unwrap();
                serde_json::from_slice(&body).unwrap()
            };
            tokio::time::timeout(Duration::from_secs(60), next)
                .await
                .unwrap()
        }
    }

    const INTERNAL_ERROR: i64 = -32603;
    const CANCELLED: i64 = -32800;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_is_one_failed_request() {
        let mut wire = Wire::new().await;
        wire.ask(1, "x/panics", Value::Null).await;
        let answer = wire.next().await;
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!(1), &json!(INTERNAL_ERROR))
        );
        assert_eq!(
            answer["error"]["message"],
            "x/panics failed in heldby; its log says where"
        );
        wire.ask(2, "x/echoes", json!(["still here"])).await;
        assert_eq!(wire.next().await["result"][0], "still here");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_does_not_keep_the_reader() {
        let mut wire = Wire::new().await;
        wire.ask(1, "x/works", Value::Null).await;
        wire.ask(2, "x/echoes", json!(["quick"])).await;
        // The later request is answered first.
        assert_eq!(wire.next().await["id"], 2);
        assert_eq!(wire.next().await["id"], 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn cancelling_drops_the_work() {
        let mut wire = Wire::new().await;
        wire.ask(1, "x/sleeps", Value::Null).await;
        wire.ask(2, "x/echoes", json!(["between"])).await;
        assert_eq!(wire.next().await["id"], 2);
        let before = DROPPED.load(Ordering::SeqCst);
        wire.send(json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}}))
            .await;
        let answer = wire.next().await;
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!(1), &json!(CANCELLED))
        );
        assert_eq!(DROPPED.load(Ordering::SeqCst), before + 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_same_id_twice_is_refused_once() {
        let mut wire = Wire::new().await;
        wire.ask(1, "x/sleeps", Value::Null).await;
        wire.ask(1, "x/echoes", json!(["again"])).await;
        let answer = wire.next().await;
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!(1), &json!(-32600))
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn requests_that_ask_the_client_do_not_lock_each_other_out() {
        let mut wire = Wire::new().await;
        for id in 1..=20 {
            wire.ask(id, "x/asks", Value::Null).await;
        }
        let mut asked = Vec::new();
        for _ in 0..20 {
            let question = wire.next().await;
            assert_eq!(question["method"], "workspace/configuration");
            asked.push(question["id"].clone());
        }
        for id in 100..400 {
            wire.ask(id, "x/echoes", json!(["meanwhile"])).await;
            assert_eq!(wire.next().await["id"], id);
        }
        for id in asked {
            wire.send(json!({"jsonrpc": "2.0", "id": id, "result": ["answer"]}))
                .await;
            assert_eq!(wire.next().await["result"][0], "answer");
        }
    }
}
