//! Standard input that tells when it ended: the server does not outlive its client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Notify;

/// A reader, and who is told of its end.
pub(crate) struct EndingInput<R> {
    inner: R,
    ended: Arc<Notify>,
}

impl<R> EndingInput<R> {
    pub(crate) fn new(inner: R, ended: Arc<Notify>) -> Self {
        Self { inner, ended }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for EndingInput<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        match &read {
            Poll::Ready(Ok(())) if buffer.filled().len() == before => self.ended.notify_one(),
            Poll::Ready(Err(_)) => self.ended.notify_one(),
            _ => {}
        }
        read
    }
}
