//! What an answer to a request for a part really holds.

use std::ops::Range;

use futures_util::stream::{self, StreamExt};
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, TRANSFER_ENCODING};

use super::patient_stream;
use crate::provider::{Content, ProviderError, ProviderErrorKind, Result};

/// The bytes of an answer to a request that asked for everything from `asked` on: status 200, 206 or 416. Nothing if the
/// server says that there is no such part, so that one must begin again.
///
/// An encoded body is refused: its bytes are not those of the file. A part that was not asked for is taken for what its range says, so
/// that the rest is asked for next.
pub fn content_of(response: Response, asked: u64) -> Result<Option<Content>> {
    refuse_encoded(response.headers())?;
    let status = response.status().as_u16();
    let length = response.content_length();
    let (range, whole) = content_range(response.headers());
    match (status, range) {
        (200, _) => Ok(Some(bytes_of(response, 0, length))),
        (206, Some(first)) if first == asked => {
            let total = whole.or_else(|| length.map(|length| asked + length));
            Ok(Some(bytes_of(response, asked, total)))
        }
        // All of it is there already.
        (416, _) if whole == Some(asked) => Ok(Some(Content {
            offset: asked,
            total: whole,
            hash: None,
            modified: None,
            tag: None,
            stream: stream::empty().boxed(),
        })),
        (416, _) if asked > 0 => Ok(None),
        _ => Err(ProviderError::new(ProviderErrorKind::Malformed, "the server sent another part than was asked for")
            .with_detail(format!("status {status}, asked from {asked}, got from {range:?}"))),
    }
}

/// The bytes of an answer to a request for one part; nothing if the answer is anything else than that part.
pub fn part_of(response: Response, asked: &Range<u64>) -> Result<Option<Content>> {
    refuse_encoded(response.headers())?;
    let (first, whole) = content_range(response.headers());
    if response.status().as_u16() != 206 || first != Some(asked.start) {
        return Ok(None);
    }
    Ok(Some(bytes_of(response, asked.start, whole)))
}

fn bytes_of(response: Response, offset: u64, total: Option<u64>) -> Content {
    let tag = response.headers().get(ETAG).map(|tag| String::from_utf8_lossy(tag.as_bytes()).into_owned());
    Content { offset, total, hash: None, modified: None, tag, stream: patient_stream(response) }
}

/// The value of a Range header.
pub fn range_header(span: &Range<u64>) -> String {
    format!("bytes={}-{}", span.start, span.end.saturating_sub(1))
}

fn refuse_encoded(headers: &HeaderMap) -> Result<()> {
    let encoding = |name: HeaderName| {
        let texts = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
        let words = texts.flat_map(|text| text.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>());
        words.into_iter().find(|word| !matches!(word.as_str(), "" | "identity" | "chunked"))
    };
    match encoding(CONTENT_ENCODING).or_else(|| encoding(TRANSFER_ENCODING)) {
        None => Ok(()),
        Some(encoding) => Err(ProviderError::new(
            ProviderErrorKind::Malformed,
            "the server sent the content encoded although it was asked for as it is",
        )
        .with("encoding", encoding.escape_debug())),
    }
}

/// First byte and whole length that a Content-Range header names.
fn content_range(headers: &HeaderMap) -> (Option<u64>, Option<u64>) {
    let parts = || {
        let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
        text.trim().strip_prefix("bytes")?.trim().split_once('/')
    };
    let Some((span, whole)) = parts() else {
        return (None, None);
    };
    let first = span.split_once('-').and_then(|(first, _)| first.trim().parse().ok());
    (first, whole.trim().parse().ok())
}
