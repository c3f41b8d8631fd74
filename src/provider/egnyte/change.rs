//! New folders, other places and the trash. Egnyte has no conditional writes: each change looks just before it is sent, and again before it is
//! sent once more.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use super::api::Api;
use super::wire::{Fields, Object};
use super::{names, translate};
use crate::id::ItemId;
use crate::provider::auth::Call;
use crate::provider::http::CallKind;
use crate::provider::http::careful::{Careful, Look, carefully};
use crate::provider::{Expected, ProviderError, ProviderErrorKind, Result};
use crate::tree::RemoteItem;

/// How long the path of a folder is believed without asking.
const PATH_KEPT: Duration = Duration::from_mins(1);
/// Paths of folders remembered.
const PATHS_KEPT: usize = 1_000;

/// More than there are uploads at once, so that different names seldom wait for one another.
const TURNS: usize = 32;

/// The paths of folders that were written to lately, as Egnyte is written to by path.
#[derive(Debug, Default)]
pub struct Changes {
    paths: Mutex<HashMap<ItemId, (String, Instant)>>,
    /// Our own writers of new files take turns where Egnyte may take their names for one.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

impl Changes {
    fn paths(&self) -> MutexGuard<'_, HashMap<ItemId, (String, Instant)>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other new file is written under this name, in whatever case: Egnyte would make one file of the two.
    pub async fn turn(&self, parent: &ItemId, name: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = std::hash::DefaultHasher::new();
        (parent, name.to_lowercase()).hash(&mut hasher);
        self.turns[(hasher.finish() % TURNS as u64) as usize].lock().await
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
        carefully(&MakeFolder { api, parent, name, path }).await.map_err(|error| self.doubt(error))
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
        let done = carefully(&Relocate { api, moved, from, path, expected }).await;
        if id.is_folder() {
            self.forget();
        }
        done.map_err(|error| self.doubt(error))
    }

    pub async fn trash(&self, api: &Api, id: &ItemId, expected: &Expected) -> Result<()> {
        if expected.version.is_some() {
            match before(api, id, expected).await {
                Err(error) if error.kind == ProviderErrorKind::NotFound => return Ok(()),
                other => other?,
            };
        }
        if id.is_folder() {
            self.forget();
        }
        carefully(&Trash { api, id, expected }).await
    }
}

struct MakeFolder<'a> {
    api: &'a Api,
    parent: &'a ItemId,
    name: &'a str,
    path: String,
}

#[async_trait]
impl Careful for MakeFolder<'_> {
    type Done = RemoteItem;

    async fn attempt(&self) -> Result<RemoteItem> {
        let url = self.api.at_path("fs", &self.path)?;
        let call = Call::new("make_folder", CallKind::Metadata, Method::POST, url).about(&self.path);
        let text = self.api.session().write(&call.json(json!({ "action": "add_folder" }))).await?;
        let made = translate::object(&text)?;
        let Some(id) = made.text("folder_id") else {
            return self.api.item(&self.api.look_at(&self.path).await?).await;
        };
        Ok(RemoteItem {
            id: ItemId::folder(id),
            parent: Some(self.parent.clone()),
            name: self.name.to_owned(),
            content: None,
            etag: None,
            sequence: None,
            ancestors: None,
            path: Some(self.path.clone()),
        })
    }

    async fn look(&self) -> Result<Look<RemoteItem>> {
        let Some(found) = look_for(self.api, &self.path).await? else { return Ok(Look::NotYet) };
        let item = self.api.item(&found).await?;
        Ok(if item.id.is_folder() { Look::Happened(item) } else { Look::Overtaken(taken(&self.path)) })
    }
}

struct Relocate<'a> {
    api: &'a Api,
    /// The item as it will be.
    moved: RemoteItem,
    from: String,
    path: String,
    expected: &'a Expected,
}

#[async_trait]
impl Careful for Relocate<'_> {
    type Done = RemoteItem;

    async fn attempt(&self) -> Result<RemoteItem> {
        let url = self.api.at_path("fs", &self.from)?;
        let call = Call::new("relocate", CallKind::Metadata, Method::POST, url).about(&self.moved.id);
        let call = call.json(json!({ "action": "move", "destination": self.path }));
        self.api.session().write(&call).await?;
        Ok(self.moved.clone())
    }

    async fn look(&self) -> Result<Look<RemoteItem>> {
        let now = named_path(&self.api.look(&self.moved.id).await?)?;
        if now == self.path {
            return Ok(Look::Happened(self.moved.clone()));
        }
        if now != self.from {
            return Ok(Look::Overtaken(overtaken(&self.moved.id)));
        }
        before(self.api, &self.moved.id, self.expected).await.map(|_| Look::NotYet)
    }
}

struct Trash<'a> {
    api: &'a Api,
    id: &'a ItemId,
    expected: &'a Expected,
}

#[async_trait]
impl Careful for Trash<'_> {
    type Done = ();

    async fn attempt(&self) -> Result<()> {
        let call = Call::new("trash", CallKind::Metadata, Method::DELETE, self.api.at_id("fs", self.id)).about(self.id);
        match self.api.session().write(&call).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn look(&self) -> Result<Look<()>> {
        match before(self.api, self.id, self.expected).await {
            Ok(_) => Ok(Look::NotYet),
            Err(error) => match error.kind {
                ProviderErrorKind::NotFound => Ok(Look::Happened(())),
                ProviderErrorKind::Conflict | ProviderErrorKind::Refused => Ok(Look::Overtaken(error)),
                _ => Err(error),
            },
        }
    }
}

/// The item that is to be changed and its path, if it is the expected one and nobody has locked it.
pub async fn before(api: &Api, id: &ItemId, expected: &Expected) -> Result<(RemoteItem, String)> {
    let found = api.look(id).await?;
    if let Some(owner) = translate::lock(&found) {
        let locked = format!("the file is locked by {owner}");
        return Err(ProviderError::new(ProviderErrorKind::Refused, locked).with("item", id));
    }
    let item = api.item(&found).await?;
    let there = item.content.as_ref().map(|content| &content.version);
    if expected.version.is_some() && expected.version.as_ref() != there {
        return Err(overtaken(id));
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
    ProviderError::new(ProviderErrorKind::Conflict, "the name is taken")
        .with_detail("seen by a look")
        .with("path", path)
}

/// The error for an item that is not what was expected.
pub fn overtaken(id: &ItemId) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Conflict, "the item was changed by somebody else").with("item", id)
}

fn named_path(found: &Object) -> Result<String> {
    translate::path_of(found)
        .ok_or_else(|| ProviderError::new(ProviderErrorKind::Malformed, "the description of the item names no path"))
}
