//! Downloads: a redirect with the bearer, then the bytes from a signed link without it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;
use futures_util::stream;

use super::Ask;
use super::reply::{self, Conflict};
use crate::sandbox::content::{CHUNK_BYTES, Stored};
use crate::sandbox::model::{Kind, Refusal, User};
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
            Some(id) => item.versions.iter().find(|version| version.id == id),
            None => item.current(),
        };
        version.map(|version| version.id).ok_or(Refusal::NotFound)
    });
    match version {
        Ok(version) => to_link(&ask.shared, ask.user, ask.id(), version),
        Err(refusal) => reply::refusal(ask, &refusal, Conflict::Untold),
    }
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
    let (response, starts) = serve(&ask.headers, &stored);
    if starts && ask.shared.options.download_events {
        // The item may have gone in the meantime; then there is nothing to tell.
        let _ = ask
            .shared
            .change(user, |model, deed| model.downloaded(deed, file));
    }
    response
}

/// The content or the wanted part of it, and whether that begins at the beginning.
fn serve(headers: &HeaderMap, stored: &Arc<Stored>) -> (Response, bool) {
    let len = stored.len();
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let (status, from, until) = match range.and_then(|range| read_range(range, len)) {
        None => (StatusCode::OK, 0, len),
        Some(Some((from, until))) => (StatusCode::PARTIAL_CONTENT, from, until),
        Some(None) => {
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

/// None: no range that we understand. Some(None): one that cannot be served.
fn read_range(range: &str, len: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let tail: u64 = last.parse().ok()?;
        return Some((tail > 0 && len > 0).then(|| (len.saturating_sub(tail), len)));
    }
    let from: u64 = first.parse().ok()?;
    let until = if last.is_empty() {
        len
    } else {
        last.parse::<u64>().ok()?.saturating_add(1).min(len)
    };
    Some((from < len && from < until).then_some((from, until)))
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
        assert_eq!(read_range("bytes=0-3", 10), Some(Some((0, 4))));
        assert_eq!(read_range("bytes=4-", 10), Some(Some((4, 10))));
        assert_eq!(read_range("bytes=4-99", 10), Some(Some((4, 10))));
        assert_eq!(read_range("bytes=-3", 10), Some(Some((7, 10))));
        assert_eq!(read_range("bytes=10-", 10), Some(None));
        assert_eq!(read_range("bytes=0-", 0), Some(None));
        assert_eq!(read_range("lines=1-2", 10), None);
        assert_eq!(read_range("bytes=1-2,4-5", 10), None);
    }
}
