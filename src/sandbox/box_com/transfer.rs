//! Downloads: a redirect with the bearer, then the bytes from a signed link without it.

use std::hash::{Hash, Hasher};

use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;

use super::Ask;
use super::reply::{self, Conflict};
use crate::sandbox::faults::Fault;
use crate::sandbox::model::{Item, Kind, Refusal, User, Version};
use crate::sandbox::serve::{counted, serve};
use crate::sandbox::shared::{Shared, now_ms};

/// Points to where the content of a version can be had for a while.
pub(super) fn redirect(ask: &Ask) -> Response {
    let wanted = ask.query.get("version").and_then(|version| version.parse::<u64>().ok());
    let version = ask.shared.look(|model| {
        let item = model.live_of(Kind::File, ask.id())?;
        if item.lock.as_ref().is_some_and(|lock| lock.prevents_download && lock.by != ask.user) {
            return Err(Refusal::Locked);
        }
        let version = match wanted {
            Some(id) => item.versions.iter().find(|version| version.id == id && version.trashed_at.is_none()),
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
    item.versions.iter().rev().find(|version| version.id != right.id).unwrap_or(right)
}

fn to_link(shared: &Shared, user: User, file: u64, version: u64) -> Response {
    let until = now_ms() + shared.options.link_lifetime.as_millis() as i64;
    let user = user.id();
    let signature = signature(shared, user, file, version, until);
    let link = format!("{}/dl/{user}/{file}/{version}/{until}/{signature:016x}", shared.url());
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
    let user_known = if user == User::Agent.id() { User::Agent } else { User::Other };
    let good = given == signature(shared, user, file, version, until) && now_ms() < until;
    good.then_some((user_known, file, version))
}

/// The bytes behind a link.
pub(super) fn download(ask: &Ask) -> Response {
    let Some((user, file, version)) = read_link(&ask.shared, &ask.route.id) else {
        return reply::error(ask, 403, "forbidden", "The link is not valid or has expired");
    };
    let stored = ask.shared.look(|model| {
        let version = model.any(file)?.versions.iter().find(|known| known.id == version);
        version.map(|version| version.stored.clone()).ok_or(Refusal::NotFound)
    });
    let stored = match stored {
        Ok(stored) => stored,
        Err(refusal) => return reply::refusal(ask, &refusal, Conflict::Untold),
    };
    let (response, starts) = serve(&ask.headers, &ask.faults, &stored);
    let response = counted(response, &ask.shared);
    if starts && ask.shared.options.download_events {
        // The item may have gone in the meantime; then there is nothing to tell.
        let _ = ask.shared.change(user, |model, deed| model.downloaded(deed, file));
    }
    response
}
