//! What a scripted fault does to a finished answer: cut, slow, short, long or corrupted bodies, and headers that lie or lack.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONTENT_LENGTH, HeaderName};
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;
use futures_util::{StreamExt, stream};

use super::faults::{Answer, Fault};

/// Long enough for what was written before to leave, so that "cut after n bytes" means that n bytes arrive.
const FLUSH_TIME: Duration = Duration::from_millis(20);
/// How many times a second a slow body sends something.
const SLOW_PACES_PER_SECOND: u64 = 10;

/// The scripted answer itself.
pub(crate) fn scripted(answer: &Answer) -> Response {
    let mut response = HttpResponse::new(Body::from(answer.body.clone()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Applies the faults that concern the head and the body of an answer.
pub(crate) fn spoil(response: Response, faults: &[Fault]) -> Response {
    faults.iter().fold(response, |mut response, fault| match fault {
        Fault::LoseHeader { name } => {
            response.headers_mut().remove(name);
            if name == CONTENT_LENGTH.as_str() {
                // A body of known length would get the header anew.
                response = response.map(|body| Body::from_stream(body.into_data_stream()));
            }
            response
        }
        Fault::SetHeader { name, value } => {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
            response
        }
        Fault::CutBody { after } => rebuilt(response, |len| (len, Change::Cut { left: *after })),
        Fault::ShortBody { len: wanted } => {
            rebuilt(response, |len| (len.min(*wanted), Change::Short { left: len.min(*wanted) }))
        }
        Fault::LongBody { by } => rebuilt(response, |len| (len + by, Change::Long { extra: *by })),
        Fault::CorruptBody { at } => {
            rebuilt(response, |len| (len, Change::Corrupt { ahead: at.checked_rem(len).unwrap_or(0) }))
        }
        Fault::SlowBody { bytes_per_second } => {
            let portion = (bytes_per_second / SLOW_PACES_PER_SECOND).max(1) as usize;
            let pause = Duration::from_secs_f64(portion as f64 / (*bytes_per_second).max(1) as f64);
            rebuilt(response, |len| (len, Change::Slow { portion, pause, rest: Bytes::new() }))
        }
        _ => response,
    })
}

#[derive(Debug)]
enum Change {
    Cut { left: u64 },
    Short { left: u64 },
    Long { extra: u64 },
    Corrupt { ahead: u64 },
    Slow { portion: usize, pause: Duration, rest: Bytes },
    Over,
}

fn rebuilt(response: Response, plan: impl FnOnce(u64) -> (u64, Change)) -> Response {
    let (mut parts, body) = response.into_parts();
    let told = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let Some(len) = told.or_else(|| body.size_hint().exact()) else {
        return Response::from_parts(parts, body);
    };
    let (new_len, change) = plan(len);
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(new_len));
    let chunks = body.into_data_stream().map(|chunk| chunk.map_err(io::Error::other)).boxed();
    let changed = stream::unfold((chunks, change), |(mut chunks, change)| async move {
        let (item, change) = step(&mut chunks, change).await?;
        Some((item, (chunks, change)))
    });
    Response::from_parts(parts, Body::from_stream(changed))
}

type Chunks = stream::BoxStream<'static, io::Result<Bytes>>;

async fn step(chunks: &mut Chunks, change: Change) -> Option<(io::Result<Bytes>, Change)> {
    match change {
        Change::Over | Change::Short { left: 0 } => None,
        Change::Cut { left: 0 } => {
            tokio::time::sleep(FLUSH_TIME).await;
            Some((Err(io::ErrorKind::ConnectionAborted.into()), Change::Over))
        }
        Change::Cut { left } => {
            let chunk = first_bytes(chunks.next().await?, left);
            let left = left - chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            Some((chunk, Change::Cut { left }))
        }
        Change::Short { left } => {
            let chunk = first_bytes(chunks.next().await?, left);
            let left = left - chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            Some((chunk, Change::Short { left }))
        }
        Change::Long { extra } => match chunks.next().await {
            Some(chunk) => Some((chunk, Change::Long { extra })),
            None => Some((Ok(vec![b'+'; extra as usize].into()), Change::Over)),
        },
        Change::Corrupt { ahead } => {
            let chunk = chunks.next().await?;
            let len = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            if ahead >= len {
                return Some((chunk, Change::Corrupt { ahead: ahead - len }));
            }
            let flipped = chunk.map(|chunk| {
                let mut bytes = chunk.to_vec();
                bytes[ahead as usize] ^= 0xFF;
                bytes.into()
            });
            Some((flipped, Change::Short { left: u64::MAX }))
        }
        Change::Slow { portion, pause, mut rest } => {
            if rest.is_empty() {
                match chunks.next().await? {
                    Ok(chunk) => rest = chunk,
                    Err(error) => return Some((Err(error), Change::Over)),
                }
            }
            tokio::time::sleep(pause).await;
            let now = rest.split_to(portion.min(rest.len()));
            Some((Ok(now), Change::Slow { portion, pause, rest }))
        }
    }
}

fn first_bytes(chunk: io::Result<Bytes>, at_most: u64) -> io::Result<Bytes> {
    chunk.map(|chunk| chunk.slice(..chunk.len().min(usize::try_from(at_most).unwrap_or(usize::MAX))))
}
