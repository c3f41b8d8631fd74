//! Downloads: a redirect with the bearer, then the bytes from a signed link without it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE,
};
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;
use futures_util::stream;

use super::Ask;
use super::reply::{self, Conflict};
use crate::sandbox::content::{CHUNK_BYTES, Stored};
use crate::sandbox::faults::Fault;
use crate::sandbox::model::{Item, Kind, Refusal, User, Version};
use crate::sandbox::shared::{Shared, now_ms};

/// Points to where the content of a version can be had for a while.
pub(super) fn redirect(ask: &Ask) -> Response {
    let wanted = ask
        .query
        .get("version")
        .and_then(|version| version.parse::<u64>().ok());
    let version = ask.shared.look(|model| {
        let item = model.live_of(Kind::File, ask.id())?;
        if item
            .lock
            .as_ref()
            .is_some_and(|lock| lock.prevents_download && lock.by != ask.user)
        {
            return Err(Refusal::Locked);
        }
        let version = match wanted {
            Some(id) => item
                .versions
                .iter()
                .find(|version| version.id == id && version.trashed_at.is_none()),
            None => item.current(),
        };
        let version = version.map(|version| other_if_scripted(ask, item, version));
        version.map(|version| version.id).ok_or(Refusal::NotFound)
    });
    match version {
        Ok(version) => to_link(&ask.shared, ask.user, ask.id(), version),
        Err(refusal) => reply::refusal(ask, &refusal, Conflict::Untold),
    }
}

/// Another version than the right one, when the script wants that and there is one.
fn other_if_scripted<'a>(ask: &Ask, item: &'a Item, right: &'a Version) -> &'a Version {
    if !ask.faults.contains(&Fault::WrongVersion) {
        return right;
    }
    item.versions
        .iter()
        .rev()
        .find(|version| version.id != right.id)
        .unwrap_or(right)
}

fn to_link(shared: &Shared, user: User, file: u64, version: u64) -> Response {
    let until = now_ms() + shared.options.link_lifetime.as_millis() as i64;
    let user = user.id();
    let signature = signature(shared, user, file, version, until);
    let link = format!(
        "{}/dl/{user}/{file}/{version}/{until}/{signature:016x}",
        shared.url()
    );
    let mut response = HttpResponse::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(link) = HeaderValue::try_from(link) {
        response.headers_mut().insert(LOCATION, link);
    }
    response
}

fn signature(shared: &Shared, user: u64, file: u64, version: u64, until: i64) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (shared.secret, user, file, version, until).hash(&mut hasher);
    hasher.finish()
}

/// The user, file and version of a link that we signed and that is still good.
fn read_link(shared: &Shared, link: &str) -> Option<(User, u64, u64)> {
    let mut parts = link.split('/');
    let mut next = || parts.next()?.parse::<u64>().ok();
    let (user, file, version, until) = (next()?, next()?, next()?, next()? as i64);
    let given = u64::from_str_radix(parts.next()?, 16).ok()?;
    let user_known = if user == User::Agent.id() {
        User::Agent
    } else {
        User::Other
    };
    let good = given == signature(shared, user, file, version, until) && now_ms() < until;
    good.then_some((user_known, file, version))
}

/// The bytes behind a link.
pub(super) fn download(ask: &Ask) -> Response {
    let Some((user, file, version)) = read_link(&ask.shared, &ask.route.id) else {
        return reply::error(
            ask,
            403,
            "forbidden",
            "The link is not valid or has expired",
        );
    };
    let stored = ask.shared.look(|model| {
        let version = model
            .any(file)?
            .versions
            .iter()
            .find(|known| known.id == version);
        version
            .map(|version| version.stored.clone())
            .ok_or(Refusal::NotFound)
    });
    let stored = match stored {
        Ok(stored) => stored,
        Err(refusal) => return reply::refusal(ask, &refusal, Conflict::Untold),
    };
    let (response, starts) = serve(ask, &stored);
    if starts && ask.shared.options.download_events {
        // The item may have gone in the meantime; then there is nothing to tell.
        let _ = ask
            .shared
            .change(user, |model, deed| model.downloaded(deed, file));
    }
    response
}

/// The content or the wanted part of it, and whether that begins at the beginning.
fn serve(ask: &Ask, stored: &Arc<Stored>) -> (Response, bool) {
    let len = stored.len();
    let range = ask
        .headers
        .get(RANGE)
        .filter(|_| !ask.faults.contains(&Fault::IgnoreRange))
        .and_then(|value| value.to_str().ok());
    let (status, from, until) = match range.map_or(Wanted::Whole, |range| read_range(range, len)) {
        Wanted::Whole => (StatusCode::OK, 0, len),
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
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
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
        if from < until && until <= len {
            Wanted::Part { from, until }
        } else {
            Wanted::Impossible
        }
    };
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::Whole;
    };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(from), Ok(last)) => part(from, last.saturating_add(1).min(len)),
        (Ok(from), Err(_)) if last.is_empty() => part(from, len),
        (Err(_), Ok(tail)) if first.is_empty() => part(len.saturating_sub(tail), len),
        _ => Wanted::Whole,
    }
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

fn chunks(
    stored: Arc<Stored>,
    from: u64,
    until: u64,
) -> impl stream::Stream<Item = std::io::Result<Bytes>> + Send {
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
