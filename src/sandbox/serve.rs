//! The bytes of a version as an answer: all of them, or the part that a range asks for.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;
use futures_util::{TryStreamExt, stream};

use super::content::{CHUNK_BYTES, Stored};
use super::faults::Fault;
use super::shared::Shared;

/// The content or the wanted part of it, and whether that begins at the beginning.
pub(crate) fn serve(asked: &HeaderMap, faults: &[Fault], stored: &Arc<Stored>) -> (Response, bool) {
    let len = stored.len();
    let range =
        asked.get(RANGE).filter(|_| !faults.contains(&Fault::IgnoreRange)).and_then(|value| value.to_str().ok());
    let unasked = faults.iter().find_map(|fault| match fault {
        Fault::UnaskedPart { len: wanted } => Some((*wanted).min(len)),
        _ => None,
    });
    let (status, from, until) = match range.map_or(Wanted::Whole, |range| read_range(range, len)) {
        Wanted::Whole => match unasked.filter(|until| *until > 0) {
            Some(until) => (StatusCode::PARTIAL_CONTENT, 0, until),
            None => (StatusCode::OK, 0, len),
        },
        Wanted::Part { from, until } => (StatusCode::PARTIAL_CONTENT, from, until),
        Wanted::Impossible => {
            let mut response = HttpResponse::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{len}")) {
                response.headers_mut().insert(CONTENT_RANGE, value);
            }
            return (response, false);
        }
    };
    let mut response = HttpResponse::new(body_of(stored, from, until));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(until - from));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = HeaderValue::try_from(format!("bytes {from}-{}/{len}", until - 1))
    {
        headers.insert(CONTENT_RANGE, value);
    }
    (response, from == 0)
}

/// The bytes that a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part { from: u64, until: u64 },
    Impossible,
}

/// Reads one range; of several, and of other units, the standard says to send everything.
fn read_range(range: &str, len: u64) -> Wanted {
    let part = |from: u64, until: u64| {
        if from < until && until <= len { Wanted::Part { from, until } } else { Wanted::Impossible }
    };
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::Whole;
    };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(from), Ok(last)) => part(from, last.saturating_add(1).min(len)),
        (Ok(from), Err(_)) if last.is_empty() => part(from, len),
        (Err(_), Ok(tail)) if first.is_empty() => part(len.saturating_sub(tail), len),
        _ => Wanted::Whole,
    }
}

/// Counts what of a content is really taken: all of a short one, and of a long one each piece as it goes.
pub(crate) fn counted(response: Response, shared: &Arc<Shared>) -> Response {
    let promised = length(&response);
    if promised <= CHUNK_BYTES as u64 {
        shared.counters.serve(promised);
        return response;
    }
    let shared = shared.clone();
    response.map(|body| {
        let count = move |piece: &Bytes| shared.counters.serve(piece.len() as u64);
        Body::from_stream(body.into_data_stream().inspect_ok(count))
    })
}

/// How much content an answer promises.
pub(crate) fn length(response: &Response) -> u64 {
    let header = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    header.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn body_of(stored: &Arc<Stored>, from: u64, until: u64) -> Body {
    if until - from <= CHUNK_BYTES as u64
        && let Ok(chunk) = stored.chunk(from, until)
        && chunk.len() as u64 == until - from
    {
        return Body::from(chunk);
    }
    Body::from_stream(chunks(stored.clone(), from, until))
}

fn chunks(stored: Arc<Stored>, from: u64, until: u64) -> impl stream::Stream<Item = std::io::Result<Bytes>> + Send {
    stream::unfold((stored, from), move |(stored, at)| async move {
        if at >= until {
            return None;
        }
        match stored.chunk(at, until) {
            Ok(chunk) => {
                let next = at + chunk.len() as u64;
                Some((Ok(chunk), (stored, next)))
            }
            Err(error) => Some((Err(error), (stored, until))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let part = |from, until| Wanted::Part { from, until };
        assert_eq!(read_range("bytes=0-3", 10), part(0, 4));
        assert_eq!(read_range("bytes=4-", 10), part(4, 10));
        assert_eq!(read_range("bytes=4-99", 10), part(4, 10));
        assert_eq!(read_range("bytes=-3", 10), part(7, 10));
        assert_eq!(read_range("bytes=-99", 10), part(0, 10));
        assert_eq!(read_range("bytes=10-", 10), Wanted::Impossible);
        assert_eq!(read_range("bytes=0-", 0), Wanted::Impossible);
        assert_eq!(read_range("lines=1-2", 10), Wanted::Whole);
        assert_eq!(read_range("bytes=1-2,4-5", 10), Wanted::Whole);
    }
}
