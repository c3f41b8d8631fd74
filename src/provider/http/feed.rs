//! A request's body out of an [`UploadBody`]: read by position while the request is sent, and from the start again if it is sent again.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::provider::write::{UploadBody, WRITE_TIMEOUT};
use crate::provider::{ProviderError, ProviderErrorKind, Result};

/// How much is read at a time, in bytes.
pub const PIECE_BYTES: u64 = 256 * 1024;
/// How many pieces may wait for the network.
const PIECES_WAITING_MAX: usize = 2;

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// A range of a content.
#[derive(Clone, Copy)]
pub struct Span {
    /// Its first byte.
    pub from: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// Makes bodies for the same request, as often as it is sent.
#[derive(Clone)]
pub struct Bodies(mpsc::UnboundedSender<Pieces>);

impl Bodies {
    /// A body that brings the whole span. Its length must be told to the server by a header.
    pub fn make(&self) -> Body {
        let (pieces, receiver) = mpsc::channel(PIECES_WAITING_MAX);
        // If nobody feeds any more, the request is over too, and the body is empty.
        let _ = self.0.send(pieces);
        Body::wrap_stream(stream::unfold(receiver, async |mut receiver| {
            let piece = receiver.recv().await?;
            Some((piece, receiver))
        }))
    }
}

/// Why a request is no longer fed.
enum Stop {
    /// The content cannot be read, or is another one now.
    Unreadable(io::Error),
    /// The server takes nothing, or says nothing.
    Stalled,
}

/// Runs the request that `request` makes, and reads the bytes for it meanwhile. `sent` hears how many bytes of the span went out.
///
/// A body that cannot be read breaks the connection before its announced length is reached, so that nothing is kept of it.
pub async fn feeding<T, F: Future<Output = Result<T>>>(
    body: &dyn UploadBody,
    span: Span,
    sent: &(dyn Fn(u64) + Send + Sync),
    request: impl FnOnce(Bodies) -> F,
) -> Result<T> {
    let (wanted, wishes) = mpsc::unbounded_channel();
    tokio::select! {
        result = request(Bodies(wanted)) => result,
        stop = pump(body, span, sent, wishes) => Err(match stop {
            Stop::Unreadable(why) => unreadable(&why),
            Stop::Stalled => ProviderError::new(ProviderErrorKind::Network, "the upload stalled")
                .with_detail(format!("no progress within {} s", WRITE_TIMEOUT.as_secs())),
        }),
    }
}

async fn pump(
    body: &dyn UploadBody,
    span: Span,
    sent: &(dyn Fn(u64) + Send + Sync),
    mut wishes: mpsc::UnboundedReceiver<Pieces>,
) -> Stop {
    // When all is sent, this is also how long the answer may take.
    while let Ok(Some(pieces)) = timeout(WRITE_TIMEOUT, wishes.recv()).await {
        let mut done = 0;
        while done < span.len {
            let len = PIECE_BYTES.min(span.len - done);
            let piece = match body.read(span.from + done, len as usize).await {
                Ok(piece) if piece.len() as u64 == len => piece,
                Ok(piece) => {
                    let why = format!("{} bytes instead of {len}", piece.len());
                    return Stop::Unreadable(io::Error::new(io::ErrorKind::UnexpectedEof, why));
                }
                Err(why) => return Stop::Unreadable(why),
            };
            body.pace(piece.len()).await;
            match timeout(WRITE_TIMEOUT, pieces.send(Ok(piece))).await {
                Ok(Ok(())) => {}
                // This sending is over: it was answered early, or is about to be made again.
                Ok(Err(_)) => break,
                Err(_) => return Stop::Stalled,
            }
            done += len;
            sent(done);
        }
    }
    Stop::Stalled
}

/// The error of a content that could not be read as ordered.
pub fn unreadable(why: &io::Error) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Corrupt, "the file changed or could not be read while it was uploaded")
        .with_detail(why.to_string())
}
