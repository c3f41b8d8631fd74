//! Uploads in chunks: numbered, in any order, and put together when the last one says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::StreamExt;
use sha2::{Digest, Sha512};

use super::route::Target;
use super::{Ask, ids, reply, upload};
use crate::sandbox::content::{Stored, hex};
use crate::sandbox::model::{Refusal, User};
use crate::sandbox::shared::now_ms;
use crate::sandbox::spool::Spool;

/// A day, as the real service.
const LIFETIME_MS: i64 = 24 * 3600 * 1000;
/// More than any chunk may hold.
const CHUNK_BYTES_MAX: u64 = 1 << 30;
const CHUNKS_MAX: u32 = 10_000;

/// A file that arrives in chunks.
#[derive(Debug)]
pub(super) struct Session {
    user: User,
    target: Target,
    begun_at: i64,
    chunks: BTreeMap<u32, Arc<Stored>>,
}

pub(super) async fn put(ask: &Ask, body: Body) -> Response {
    let is_last = ask.header("x-egnyte-last-chunk").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let number = match ask.header("x-egnyte-chunk-num") {
        // The provider's JavaScript client does not number the chunk that begins an upload.
        None if ask.header("x-egnyte-upload-id").is_none() => Some(1),
        number => number.and_then(|number| number.parse::<u32>().ok()),
    };
    let Some(number) = number.filter(|number| (1..=CHUNKS_MAX).contains(number)) else {
        return reply::error_message(400, "X-Egnyte-Chunk-Num is missing or no number");
    };
    if let Err(refused) = upload::check_goal(ask) {
        return refused;
    }
    let chunk = match receive(ask, body, is_last).await {
        Ok(chunk) => chunk,
        Err(refused) => return refused,
    };
    let checksum = match chunk.checksum() {
        Ok(checksum) => checksum.to_owned(),
        Err(error) => return reply::refusal(&error.into()),
    };
    let claimed = ask.header("x-egnyte-chunk-sha512-checksum");
    if claimed.is_some_and(|claimed| !claimed.eq_ignore_ascii_case(&checksum)) {
        return reply::error_message(400, "The checksum is not that of the chunk");
    }
    let session = match keep(ask, number, chunk) {
        Ok(session) => session,
        Err(refused) => return refused,
    };
    let mut response = if is_last { assemble(ask, &session) } else { reply::empty(200) };
    if response.status().is_success() {
        let headers = response.headers_mut();
        headers.insert("x-egnyte-chunk-num", HeaderValue::from(number));
        for (name, value) in [("x-egnyte-upload-id", &session), ("x-egnyte-chunk-sha512-checksum", &checksum)] {
            if let Ok(value) = HeaderValue::try_from(value.as_str()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
    response
}

async fn receive(ask: &Ask, body: Body, is_last: bool) -> Result<Arc<Stored>, Response> {
    let mut spool = Spool::new(ask.shared.spill_path());
    let mut body = body.into_data_stream();
    let mut len = 0;
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|_| reply::error_message(400, "The body is broken"))?;
        len += bytes.len() as u64;
        if len > CHUNK_BYTES_MAX {
            return Err(reply::error_message(413, "The chunk is too large"));
        }
        spool.write(&bytes).map_err(|error| reply::refusal(&error.into()))?;
    }
    if !is_last && len < ask.shared.options.egnyte_chunk_min_bytes {
        return Err(reply::error_message(400, "The chunk is smaller than a chunk may be that is not the last"));
    }
    Ok(spool.finish())
}

/// Puts the chunk into its session, which the first one begins; the answer is the session's id.
fn keep(ask: &Ask, number: u32, chunk: Arc<Stored>) -> Result<String, Response> {
    let now = now_ms();
    ask.shared.egnyte.sessions(|sessions| {
        sessions.retain(|_, session| session.begun_at + LIFETIME_MS > now);
        let Some(id) = ask.header("x-egnyte-upload-id") else {
            if number != 1 {
                return Err(reply::error_message(400, "X-Egnyte-Upload-Id is missing"));
            }
            let id = ask.shared.look(|model| ids::entry_id(model.new_version_id()));
            let (user, target) = (ask.user, ask.route.target.clone());
            let session = Session { user, target, begun_at: now, chunks: BTreeMap::from([(number, chunk)]) };
            sessions.insert(id.clone(), session);
            return Ok(id);
        };
        match sessions.get_mut(id) {
            Some(session) if session.user == ask.user && session.target == ask.route.target => {
                session.chunks.insert(number, chunk);
                Ok(id.to_owned())
            }
            _ => Err(reply::form_error(404, "UPLOAD_NOT_FOUND", "There is no such upload, or not any more")),
        }
    })
}

/// Makes the file of its chunks, if they are all there and as they should be.
fn assemble(ask: &Ask, id: &str) -> Response {
    let chunks = ask.shared.egnyte.sessions(|sessions| sessions.get(id).map(|session| session.chunks.clone()));
    let chunks = chunks.unwrap_or_default();
    let complete = chunks.keys().copied().eq(1..=chunks.len() as u32);
    let chunk_len = chunks.get(&1).map_or(0, |first| first.len());
    let all_but_last = chunks.values().take(chunks.len().saturating_sub(1));
    if !complete || all_but_last.clone().any(|chunk| chunk.len() != chunk_len) {
        return reply::error_message(400, "A chunk is missing, or is not as long as the first");
    }
    let composite = match composite(chunks.values(), chunk_len) {
        Ok(composite) => composite,
        Err(refusal) => return reply::refusal(&refusal),
    };
    if ask.header("x-sha512-checksum").is_some_and(|claimed| !claimed.eq_ignore_ascii_case(&composite)) {
        return reply::error_message(400, "The checksum is not that of the chunks");
    }
    let whole = match join(ask, chunks.values()) {
        Ok(whole) => whole,
        Err(refusal) => return reply::refusal(&refusal),
    };
    let response = upload::finish(ask, whole.with_checksum(composite));
    if response.status().is_success() {
        ask.shared.egnyte.sessions(|sessions| sessions.remove(id));
    }
    response
}

/// `2-CHUNKS-CHUNKSIZE-DIGEST`, where the digest is that of the chunks' digests written one after the other.
fn composite<'a>(chunks: impl ExactSizeIterator<Item = &'a Arc<Stored>>, chunk_len: u64) -> Result<String, Refusal> {
    let total = chunks.len();
    let mut hasher = Sha512::new();
    for chunk in chunks {
        hasher.update(chunk.checksum()?.as_bytes());
    }
    Ok(format!("2-{total}-{chunk_len}-{}", hex(&hasher.finalize())))
}

fn join<'a>(ask: &Ask, chunks: impl Iterator<Item = &'a Arc<Stored>>) -> Result<Arc<Stored>, Refusal> {
    let mut spool = Spool::new(ask.shared.spill_path());
    for chunk in chunks {
        let mut at = 0;
        while at < chunk.len() {
            let bytes = chunk.chunk(at, chunk.len())?;
            at += bytes.len() as u64;
            spool.write(&bytes)?;
        }
    }
    Ok(spool.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::content::Content;

    #[test]
    fn the_composite_is_the_digest_of_the_written_digests() {
        let chunks = [Stored::new(Content::from("ab")).unwrap(), Stored::new(Content::from("c")).unwrap()];
        let written = format!("{}{}", hex(&Sha512::digest("ab")), hex(&Sha512::digest("c")));
        let expected = format!("2-2-2-{}", hex(&Sha512::digest(written)));
        assert_eq!(composite(chunks.iter(), 2).unwrap(), expected);
    }
}
