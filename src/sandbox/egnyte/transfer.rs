//! Downloads, whole or in part, of the current version or of one that is named.

use std::sync::Arc;

use axum::http::HeaderValue;
use axum::http::header::{ETAG, LAST_MODIFIED};
use axum::response::Response;

use super::listing::http_date;
use super::tree::find;
use super::{Ask, ids, reply};
use crate::sandbox::content::Stored;
use crate::sandbox::faults::Fault;
use crate::sandbox::model::{Kind, Refusal};
use crate::sandbox::serve::{counted, serve};

pub(super) fn download(ask: &Ask) -> Response {
    let wanted = ask.query.get("entry_id").map(|entry| ids::read_entry(entry).unwrap_or(u64::MAX));
    let found = ask.shared.look(|model| {
        let item = find(ask, model).and_then(|id| model.live_of(Kind::File, id).map_err(|no| reply::refusal(&no)))?;
        let version = match wanted {
            Some(id) => item.versions.iter().find(|version| version.id == id && version.trashed_at.is_none()),
            None => item.current(),
        };
        let right = version.ok_or_else(|| reply::refusal(&Refusal::NotFound))?;
        let other = item.versions.iter().rev().find(|version| version.id != right.id);
        let version = other.filter(|_| ask.faults.contains(&Fault::WrongVersion)).unwrap_or(right);
        Ok((version.id, version.stored.clone(), item.content_modified_at))
    });
    let (version, stored, modified_at) = match found {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let (response, _) = serve(&ask.headers, &ask.faults, &stored);
    let mut response = counted(response, &ask.shared);
    if response.status().is_success() {
        label(&mut response, version, &stored, modified_at);
    }
    response
}

/// The headers that tell which content this is.
pub(super) fn label(response: &mut Response, version: u64, stored: &Arc<Stored>, modified_at: i64) {
    let headers = response.headers_mut();
    let mut put = |name: axum::http::HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    // Bare, without the quotes that the standard wants: the provider's own clients take it for the entry id as it is.
    put(ETAG, &ids::entry_id(version));
    put(LAST_MODIFIED, &http_date(modified_at));
    if let Ok(checksum) = stored.checksum() {
        put(axum::http::HeaderName::from_static("x-sha512-checksum"), checksum);
    }
}
