//! Uploads in parts: a session that survives us, parts that are checked one by one, and a commit that is looked for before it is repeated.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{StreamExt, TryStreamExt, stream};
use sha1::{Digest, Sha1};
use std::sync::atomic::{AtomicU64, Ordering};

use super::api::{Endpoints, commit_call, part_call, time_text};
use super::translate;
use super::upload::{FED_LIMIT, Upload};
use crate::provider::http::careful::{Look, leaves_doubt, unknown};
use crate::provider::http::feed::{PIECE_BYTES, Span, feeding, unreadable};
use crate::provider::write::PARTS_AT_ONCE;
use crate::provider::{ProviderError, ProviderErrorKind, Result};
use crate::tree::RemoteItem;

/// How often a session is begun for one upload.
const SESSIONS_MAX: u32 = 2;
/// How often one part is sent.
const PART_ATTEMPTS_MAX: u32 = 4;
/// How often a commit is asked for: Box may take its time to put the parts together.
const COMMITS_MAX: u32 = 30;
/// The pause after an answer that does not say how long to wait.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that is waited for here.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// More parts than any session has.
const PARTS_MAX: u64 = 100_000;

/// A part that Box has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    pub id: String,
    pub offset: u64,
    pub size: u64,
}

/// A session as Box describes it.
#[derive(Debug, Clone)]
pub struct SessionFacts {
    pub id: String,
    pub part_size: u64,
    pub endpoints: Endpoints,
}

/// What came of a session.
enum End {
    Done(Box<RemoteItem>),
    /// Box does not know the session any more, or its parts are not of this content.
    Lost(ProviderError),
}

/// Uploads a content in parts, going on with an earlier session if there is one.
pub async fn upload(upload: &Upload<'_>) -> Result<RemoteItem> {
    let mut earlier = upload.order.session.clone();
    let mut begun = 0;
    loop {
        let resumed = match earlier.take() {
            Some(id) => match find_session(upload, &id).await? {
                Some(facts) => Some(facts),
                // The session that ended may have ended well.
                None => match upload.find().await? {
                    Look::Happened(file) => return Ok(file),
                    Look::Overtaken(why) => return Err(why),
                    Look::NotYet => None,
                },
            },
            None => None,
        };
        let facts = if let Some(facts) = resumed {
            facts
        } else {
            begun += 1;
            begin(upload).await?
        };
        match run(upload, &facts).await? {
            End::Done(file) => return Ok(*file),
            End::Lost(why) if begun >= SESSIONS_MAX => return Err(why),
            End::Lost(why) => {
                tracing::debug!(session = facts.id, "beginning the upload anew: {why}");
                // What is left of it would lie there for days; that it cannot be removed is no reason to stop.
                if let Err(error) = upload.api.abort_session(&facts.endpoints).await {
                    tracing::debug!(%error, "an upload session stays until it expires");
                }
            }
        }
    }
}

async fn find_session(upload: &Upload<'_>, id: &str) -> Result<Option<SessionFacts>> {
    match upload.api.upload_session(id).await {
        Ok(facts) if is_usable(&facts, upload.order.size) => Ok(Some(facts)),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind, ProviderErrorKind::NotFound | ProviderErrorKind::Forbidden) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_usable(facts: &SessionFacts, size: u64) -> bool {
    facts.part_size > 0 && size.div_ceil(facts.part_size) <= PARTS_MAX
}

/// A new session. One whose answer was lost stays without parts until it expires: beginning another one changes nothing.
async fn begin(upload: &Upload<'_>) -> Result<SessionFacts> {
    // A version that was overtaken already is not worth the bytes.
    upload.condition().await?;
    let facts = upload.api.create_session(&upload.order.target, upload.order.size).await?;
    if !is_usable(&facts, upload.order.size) {
        return Err(ProviderError::new(ProviderErrorKind::Malformed, "the upload session has parts of a strange size"));
    }
    upload.body.session(&facts.id).await.map_err(|why| {
        ProviderError::new(ProviderErrorKind::Local, "the upload session could not be noted")
            .with_detail(why.to_string())
    })?;
    Ok(facts)
}

async fn run(upload: &Upload<'_>, facts: &SessionFacts) -> Result<End> {
    let Some(mut stored) = stored_parts(upload, facts).await? else { return Ok(lost("it is not known any more")) };
    let sent = AtomicU64::new(stored.values().map(|part| part.size).sum());
    upload.body.progress(sent.load(Ordering::Relaxed));
    let missing: Vec<Span> = spans(upload.order.size, facts.part_size)
        .filter(|span| stored.get(&span.from).is_none_or(|part| part.size != span.len))
        .collect();
    let sending = stream::iter(missing.into_iter().map(|span| {
        let sent = &sent;
        async move {
            let part = send_part(upload, facts, span).await?;
            upload.body.progress(sent.fetch_add(span.len, Ordering::Relaxed) + span.len);
            Ok::<_, ProviderError>(part)
        }
    }));
    let parts: Result<Vec<StoredPart>> = sending.buffered(PARTS_AT_ONCE).try_collect().await;
    match parts {
        Ok(parts) => stored.extend(parts.into_iter().map(|part| (part.offset, part))),
        Err(error) if error.kind == ProviderErrorKind::NotFound => return Ok(End::Lost(error)),
        Err(error) => return Err(error),
    }
    commit(upload, facts, &stored).await
}

fn lost(why: &str) -> End {
    End::Lost(ProviderError::new(ProviderErrorKind::Unavailable, format!("the upload session was lost: {why}")))
}

fn spans(size: u64, part_size: u64) -> impl Iterator<Item = Span> {
    (0..size.div_ceil(part_size)).map(move |number| {
        let from = number * part_size;
        Span { from, len: part_size.min(size - from) }
    })
}

/// The parts that Box has, by offset; nothing if it does not know the session.
async fn stored_parts(upload: &Upload<'_>, facts: &SessionFacts) -> Result<Option<BTreeMap<u64, StoredPart>>> {
    let mut all = BTreeMap::new();
    loop {
        let page = match upload.api.session_parts(&facts.endpoints, all.len()).await {
            Ok(page) => page,
            Err(error) if error.kind == ProviderErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let before = all.len();
        all.extend(page.into_iter().map(|part| (part.offset, part)));
        // A page that brings nothing new is the last one, whatever it claims.
        if all.len() == before || all.len() as u64 >= upload.order.size.div_ceil(facts.part_size) {
            return Ok(Some(all));
        }
    }
}

/// Sends one part. Parts cannot be changed, so sending one twice can do no harm: the second one is refused.
async fn send_part(upload: &Upload<'_>, facts: &SessionFacts, span: Span) -> Result<StoredPart> {
    let digest = coded(&digest_of(upload, span).await?);
    let call = part_call(&facts.endpoints, span, upload.order.size, &digest);
    let call = &call;
    let mut attempts = 1;
    loop {
        let sent = feeding(upload.body, span, &|_| (), async move |bodies| {
            let shape = |request: reqwest::RequestBuilder| {
                request.header(reqwest::header::CONTENT_LENGTH, span.len).body(bodies.make())
            };
            upload.api.session().write_shaped(call, FED_LIMIT, &shape).await
        });
        let error = match sent.await.and_then(|answer| translate::stored_part(&answer)) {
            Ok(part) if part.offset == span.from && part.size == span.len => return Ok(part),
            Ok(_) => ProviderError::new(ProviderErrorKind::Malformed, "Box stored another part than was sent"),
            Err(error) => error,
        };
        let is_there = translate::code(&error) == "range_overlaps_existing_part";
        // Box is known to store a part and answer 500 all the same.
        if is_there || leaves_doubt(&error) {
            let there = stored_parts(upload, facts).await?.and_then(|mut parts| parts.remove(&span.from));
            match there {
                Some(part) if part.size == span.len => return Ok(part),
                _ if is_there => return Err(error),
                _ => {}
            }
        } else if error.kind != ProviderErrorKind::RateLimited {
            return Err(error);
        }
        pause_after(error, attempts, PART_ATTEMPTS_MAX).await?;
        attempts += 1;
    }
}

async fn digest_of(upload: &Upload<'_>, span: Span) -> Result<Vec<u8>> {
    let mut hasher = Sha1::new();
    let mut done = 0;
    while done < span.len {
        let len = PIECE_BYTES.min(span.len - done);
        let piece = upload.body.read(span.from + done, len as usize).await.map_err(|why| unreadable(&why))?;
        hasher.update(&piece);
        done += len;
    }
    Ok(hasher.finalize().to_vec())
}

fn coded(digest: &[u8]) -> String {
    format!("sha={}", BASE64.encode(digest))
}

/// The bytes of a digest in hex.
fn unhex(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

async fn commit(upload: &Upload<'_>, facts: &SessionFacts, parts: &BTreeMap<u64, StoredPart>) -> Result<End> {
    let digest = unhex(upload.sha1)
        .ok_or_else(|| ProviderError::new(ProviderErrorKind::Local, "the SHA-1 of the content is not in hex"))?;
    let etag = upload.condition().await?;
    let listed: Vec<serde_json::Value> = parts
        .values()
        .map(|part| serde_json::json!({ "part_id": part.id, "offset": part.offset, "size": part.size }))
        .collect();
    let mut body = serde_json::json!({ "parts": listed });
    if let Some(modified) = upload.order.modified.and_then(time_text) {
        body["attributes"] = serde_json::json!({ "content_modified_at": modified });
    }
    let call = commit_call(&facts.endpoints, body, &coded(&digest), etag.as_ref());
    let mut asked = 1;
    let mut unsure = false;
    loop {
        let error = match upload.api.session().write(&call).await {
            Ok(answer) => match upload.verified(&answer) {
                Ok(file) => return Ok(End::Done(Box::new(file))),
                Err(error) if error.kind == ProviderErrorKind::Corrupt => return Err(error),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let mismatch = translate::code(&error) == "parts_mismatch";
        if error.kind == ProviderErrorKind::Corrupt {
            return Ok(End::Lost(error));
        }
        let passes = mismatch || matches!(error.kind, ProviderErrorKind::NotReady | ProviderErrorKind::RateLimited);
        if !passes {
            unsure |= leaves_doubt(&error);
            if !unsure {
                return if error.kind == ProviderErrorKind::NotFound { Ok(End::Lost(error)) } else { Err(error) };
            }
        }
        // Being asked to wait has two meanings: still at it, and nothing to do since the content is there already.
        if error.kind != ProviderErrorKind::RateLimited {
            unsure |= error.kind == ProviderErrorKind::NotReady;
            match upload.find().await {
                Ok(Look::Happened(file)) => return Ok(End::Done(Box::new(file))),
                Ok(Look::NotYet) if error.kind == ProviderErrorKind::NotFound => return Ok(End::Lost(error)),
                Ok(Look::NotYet) if !passes && !leaves_doubt(&error) => return Err(error),
                Ok(Look::NotYet) => {}
                Err(why) if unsure => return Err(unknown(&error, &why)),
                Ok(Look::Overtaken(why)) | Err(why) => return Err(why),
            }
        }
        pause_after(error, asked, COMMITS_MAX).await?;
        asked += 1;
    }
}

/// Waits before the next attempt, if there is to be one.
async fn pause_after(error: ProviderError, attempts: u32, most: u32) -> Result<()> {
    let wait = error.retry_after.unwrap_or(PAUSE);
    if attempts >= most || wait > PAUSE_MAX {
        return Err(error.with("attempts", attempts));
    }
    tokio::time::sleep(wait).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_content_once() {
        let all: Vec<(u64, u64)> = spans(25, 10).map(|span| (span.from, span.len)).collect();
        assert_eq!(all, [(0, 10), (10, 10), (20, 5)]);
        assert_eq!(spans(20, 10).count(), 2);
        assert_eq!(spans(0, 10).count(), 0);
    }

    #[test]
    fn digests_are_told_in_boxs_way() {
        assert_eq!(unhex("00ff"), Some(vec![0, 255]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("zz"), None);
        assert_eq!(
            coded(&unhex("a9993e364706816aba3e25717850c26c9cd0d89d").unwrap()),
            "sha=qZk+NkcGgWq6PiVxeFDCbJzQ2J0="
        );
    }
}
