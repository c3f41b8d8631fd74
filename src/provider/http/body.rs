//! Bodies of answers: bounded where they are kept, watched where they are passed on.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, Stream, StreamExt};
use reqwest::Response;
use tokio::time::{Instant, Sleep};

use super::transport_error;
use crate::provider::{ProviderError, ProviderErrorKind, Result};

/// The largest JSON answer that is read.
pub const MAX_JSON_BYTES: usize = 32 * 1024 * 1024;
/// How much of an error's body is read.
pub(crate) const MAX_ERROR_BYTES: usize = 64 * 1024;
/// How long a body may stand still.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// A body that brings less than this in [`STALL_TIMEOUT`] of our waiting has stalled, even if bytes trickle.
const MIN_BYTES_PER_STALL_TIMEOUT: u64 = 16 * 1024;

/// Reads a body whole, or refuses one that is longer than `cap`.
pub async fn read_capped(response: Response, cap: usize) -> Result<Bytes> {
    let too_long = || {
        ProviderError::new(ProviderErrorKind::Malformed, "the answer is too long to be right")
            .with_detail(format!("more than {cap} bytes"))
    };
    let declared = response.content_length();
    if declared.is_some_and(|length| length > cap as u64) {
        return Err(too_long());
    }
    let mut body = patient_stream(response);
    let first = body.next().await.transpose()?.unwrap_or_default();
    if first.len() > cap {
        return Err(too_long());
    }
    if declared == Some(first.len() as u64) {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    whole.reserve(declared.map_or(0, |length| (length as usize).saturating_sub(whole.len())));
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if whole.len() + chunk.len() > cap {
            return Err(too_long());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// Reads a JSON answer as text.
pub async fn read_text(response: Response) -> Result<String> {
    let body = read_capped(response, MAX_JSON_BYTES).await?;
    String::from_utf8(body.into())
        .map_err(|_| ProviderError::new(ProviderErrorKind::Malformed, "the answer is not text"))
}

/// The beginning of a refusal's body; what cannot be read is left out.
pub async fn read_beginning(response: Response) -> Vec<u8> {
    let mut body = patient_stream(response);
    let mut beginning = Vec::new();
    while let Some(Ok(chunk)) = body.next().await {
        let room = MAX_ERROR_BYTES - beginning.len();
        beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if beginning.len() == MAX_ERROR_BYTES {
            break;
        }
    }
    beginning
}

/// A body as a stream that ends with an error when it stalls. Time in which nobody asks for bytes does not count.
pub fn patient_stream(response: Response) -> BoxStream<'static, Result<Bytes>> {
    patient(response.bytes_stream())
}

/// The same for any stream of bytes.
pub(super) fn patient<S>(bytes: S) -> BoxStream<'static, Result<Bytes>>
where
    S: Stream<Item = reqwest::Result<Bytes>> + Send + Unpin + 'static,
{
    Box::pin(Patient::new(bytes))
}

struct Patient<S> {
    inner: S,
    /// Made when a body first keeps us waiting: most small ones never do.
    timer: Option<Pin<Box<Sleep>>>,
    waiting_since: Option<Instant>,
    waited: Duration,
    bytes: u64,
    over: bool,
}

impl<S> Patient<S> {
    fn new(inner: S) -> Self {
        Self { inner, timer: None, waiting_since: None, waited: Duration::ZERO, bytes: 0, over: false }
    }

    fn stalled(&mut self) -> ProviderError {
        self.over = true;
        ProviderError::new(ProviderErrorKind::Network, "the transfer stalled")
            .with_detail(format!("less than {MIN_BYTES_PER_STALL_TIMEOUT} bytes in {} s", STALL_TIMEOUT.as_secs()))
    }

    /// Takes stock when bytes have come; false if they come too slowly.
    fn keeps_up(&mut self, length: usize) -> bool {
        self.bytes += length as u64;
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        if self.waited < STALL_TIMEOUT {
            return true;
        }
        let enough = self.bytes >= MIN_BYTES_PER_STALL_TIMEOUT;
        self.waited = Duration::ZERO;
        self.bytes = 0;
        enough
    }

    fn time_is_up(&mut self, cx: &mut Context<'_>) -> bool {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(now + STALL_TIMEOUT),
                None => self.timer = Some(Box::pin(tokio::time::sleep(STALL_TIMEOUT))),
            }
        }
        self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
    }
}

impl<S> Stream for Patient<S>
where
    S: Stream<Item = reqwest::Result<Bytes>> + Unpin,
{
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        match Pin::new(&mut this.inner).poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) if this.keeps_up(chunk.len()) => Poll::Ready(Some(Ok(chunk))),
            Poll::Ready(Some(Ok(_))) => Poll::Ready(Some(Err(this.stalled()))),
            Poll::Ready(Some(Err(error))) => {
                this.over = true;
                Poll::Ready(Some(Err(transport_error(error))))
            }
            Poll::Ready(None) => {
                this.over = true;
                Poll::Ready(None)
            }
            Poll::Pending if this.time_is_up(cx) => Poll::Ready(Some(Err(this.stalled()))),
            Poll::Pending => Poll::Pending,
        }
    }
}
