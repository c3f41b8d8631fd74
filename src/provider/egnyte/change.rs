//! Changing folders and places. Egnyte has no conditional writes: each change looks just before it acts, is sent once, and looks again where its
//! outcome is not known.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::api::Api;
use super::wire::{Fields, Object};
use super::{names, translate};
use crate::id::ItemId;
use crate::provider::auth::Call;
use crate::provider::http::{CallKind, read_text};
use crate::provider::write::WRITE_TIMEOUT;
use crate::provider::{Expected, ProviderError, ProviderErrorKind, Result};
use crate::tree::RemoteItem;

/// How long the path of a folder is believed without asking.
const PATH_KEPT: Duration = Duration::from_mins(1);
/// Paths of folders remembered.
const PATHS_KEPT: usize = 1_000;

/// The paths of folders that were written to lately, as Egnyte is written to by path.
#[derive(Debug, Default)]
pub struct Changes {
    paths: Mutex<HashMap<ItemId, (String, Instant)>>,
}

impl Changes {
    fn paths(&self) -> MutexGuard<'_, HashMap<ItemId, (String, Instant)>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path of a folder, asked for if it is not known.
    pub async fn path_of(&self, api: &Api, folder: &ItemId) -> Result<String> {
        let known = self.paths().get(folder).filter(|(_, at)| at.elapsed() < PATH_KEPT).map(|(path, _)| path.clone());
        if let Some(path) = known {
            return Ok(path);
        }
        let path = named_path(&api.look(folder).await?)?;
        let mut paths = self.paths();
        if paths.len() >= PATHS_KEPT {
            paths.clear();
        }
        paths.insert(folder.clone(), (path.clone(), Instant::now()));
        Ok(path)
    }

    /// Paths may have changed.
    pub fn forget(&self) {
        self.paths().clear();
    }

    /// Forgets paths if a write to one of them found nothing there.
    pub fn doubt(&self, error: ProviderError) -> ProviderError {
        if error.kind == ProviderErrorKind::NotFound {
            self.forget();
        }
        error
    }

    pub async fn make_folder(&self, api: &Api, parent: &ItemId, name: &str) -> Result<RemoteItem> {
        let path = names::child_path(&self.path_of(api, parent).await?, name)?;
        let call = post("make_folder", api.at_path("fs", &path)?, &path);
        let made = match act(api, &call, &json!({ "action": "add_folder" })).await {
            Ok(made) => made,
            Err(error) if is_uncertain(&error) => {
                let found = api.look_at(&path).await.map_err(|look| unknown(&error, look))?;
                return api.item(&found).await;
            }
            Err(error) => return Err(self.doubt(error)),
        };
        match made.text("folder_id") {
            Some(id) => Ok(RemoteItem {
                id: ItemId::folder(id),
                parent: Some(parent.clone()),
                name: name.to_owned(),
                content: None,
                etag: None,
                sequence: None,
                ancestors: None,
                path: Some(path),
            }),
            None => api.item(&api.look_at(&path).await?).await,
        }
    }

    pub async fn relocate(
        &self,
        api: &Api,
        id: &ItemId,
        parent: &ItemId,
        name: &str,
        expected: &Expected,
    ) -> Result<RemoteItem> {
        let (item, from) = before(api, id, expected).await?;
        let path = names::child_path(&self.path_of(api, parent).await?, name)?;
        let moved =
            RemoteItem { parent: Some(parent.clone()), name: name.to_owned(), path: Some(path.clone()), ..item };
        if from == path {
            return Ok(moved);
        }
        // What Egnyte does to an item that is in the way is not known, so nothing may be; a change of case alone meets the item itself.
        if let Some(other) = look_for(api, &path).await?
            && api.item(&other).await?.id != *id
        {
            return Err(taken(&path));
        }
        let call = post("relocate", api.at_path("fs", &from)?, id);
        let done = act(api, &call, &json!({ "action": "move", "destination": &path })).await;
        if id.is_folder() {
            self.forget();
        }
        match done {
            Ok(_) => Ok(moved),
            Err(error) if is_uncertain(&error) => {
                let now = named_path(&api.look(id).await.map_err(|look| unknown(&error, look))?)?;
                if now == path { Ok(moved) } else { Err(error) }
            }
            Err(error) => Err(self.doubt(error)),
        }
    }

    pub async fn trash(&self, api: &Api, id: &ItemId, expected: &Expected) -> Result<()> {
        if expected.version.is_some() {
            match before(api, id, expected).await {
                Err(error) if error.kind == ProviderErrorKind::NotFound => return Ok(()),
                other => other?,
            };
        }
        let mut call = post("trash", api.at_id("fs", id), id);
        call.method = Method::DELETE;
        let session = api.session();
        let sent = unless_throttled(api, &call, || {
            session.change(&call, |request| session.http().send(request, WRITE_TIMEOUT))
        });
        let gone = sent.await;
        if id.is_folder() {
            self.forget();
        }
        match gone {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(()),
            Err(error) if is_uncertain(&error) => match api.look(id).await {
                Err(look) if look.kind == ProviderErrorKind::NotFound => Ok(()),
                Err(look) => Err(unknown(&error, look)),
                Ok(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}

/// The item that is to be changed and its path, if it is the expected one and nobody has locked it.
pub async fn before(api: &Api, id: &ItemId, expected: &Expected) -> Result<(RemoteItem, String)> {
    let found = api.look(id).await?;
    if let Some(owner) = translate::lock(&found) {
        return Err(
            ProviderError::new(ProviderErrorKind::Refused, format!("the file is locked by {owner}")).with("item", id)
        );
    }
    let item = api.item(&found).await?;
    let there = item.content.as_ref().map(|content| &content.version);
    if expected.version.is_some() && expected.version.as_ref() != there {
        return Err(ProviderError::new(ProviderErrorKind::Conflict, "another version than the expected one is there")
            .with("item", id));
    }
    Ok((item, named_path(&found)?))
}

/// What is at a path, if something is.
pub async fn look_for(api: &Api, path: &str) -> Result<Option<Object>> {
    match api.look_at(path).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The error for a name that something else has.
pub fn taken(path: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Conflict, "the name is taken").with("path", path)
}

fn named_path(found: &Object) -> Result<String> {
    translate::path_of(found)
        .ok_or_else(|| ProviderError::new(ProviderErrorKind::Malformed, "the description of the item names no path"))
}

/// A write.
pub fn post(operation: &'static str, url: Url, about: impl std::fmt::Display) -> Call {
    let mut call = Call::get(operation, CallKind::Metadata, url).about(about);
    call.method = Method::POST;
    call
}

/// Asks for a change, and reads what is said of it; an answer without words is fine.
async fn act(api: &Api, call: &Call, what: &Value) -> Result<Object> {
    let session = api.session();
    let send = || session.change(call, |request| session.http().send(request.json(what), WRITE_TIMEOUT));
    let response = unless_throttled(api, call, send).await?;
    let text = read_text(response).await?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// Repeats a write that was turned away at the gate, where nothing happened; whatever else went wrong is not repeated.
pub async fn unless_throttled<F, Fut>(api: &Api, call: &Call, send: F) -> Result<Response>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Response>>,
{
    let attempt = || async {
        match send().await {
            Err(error) if error.kind == ProviderErrorKind::RateLimited => Err(error),
            other => Ok(other),
        }
    };
    api.session().retrying(call.operation, attempt).await?
}

/// Whether a write with this error may have happened.
pub fn is_uncertain(error: &ProviderError) -> bool {
    matches!(error.kind, ProviderErrorKind::Network | ProviderErrorKind::Unavailable | ProviderErrorKind::Malformed)
}

/// The error for a write whose outcome could not be found out. A look that finds nothing says that it did not happen.
pub fn unknown(error: &ProviderError, look: ProviderError) -> ProviderError {
    if look.kind == ProviderErrorKind::NotFound {
        return error.clone();
    }
    ProviderError::new(ProviderErrorKind::OutcomeUnknown, "nobody could tell whether the change happened")
        .with_detail(format!("{error}; then: {look}"))
        .with_retry_after(look.retry_after)
}
