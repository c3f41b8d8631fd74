//! New folders, other places and the trash: each change sent conditionally, and looked for before it is sent again.

use async_trait::async_trait;

use super::api::BoxApi;
use super::translate;
use crate::id::{ItemId, ItemKind};
use crate::provider::http::careful::{Careful, Look, carefully};
use crate::provider::{Expected, ProviderError, ProviderErrorKind, Result};
use crate::tree::{ItemState, RemoteItem};

/// Makes a folder.
pub async fn make_folder(api: &BoxApi, parent: &ItemId, name: &str) -> Result<RemoteItem> {
    carefully(&MakeFolder { api, parent, name }).await
}

/// Renames or moves an item.
pub async fn relocate(
    api: &BoxApi,
    item: &ItemId,
    parent: &ItemId,
    name: &str,
    expected: &Expected,
) -> Result<RemoteItem> {
    carefully(&Relocate { api, item, parent, name, expected }).await
}

/// Puts an item into the trash.
pub async fn trash(api: &BoxApi, item: &ItemId, expected: &Expected) -> Result<()> {
    carefully(&Trash { api, item, expected }).await
}

/// The present state of an item: what Box says of trashed ones is no error.
pub async fn state_of(api: &BoxApi, id: &ItemId) -> Result<ItemState> {
    match api.item(id).await {
        Err(error) if translate::says_trashed(&error) => Ok(ItemState::Trashed),
        Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(ItemState::NotFound),
        other => other,
    }
}

/// The item, if it is there.
pub async fn live(api: &BoxApi, id: &ItemId) -> Result<RemoteItem> {
    match state_of(api, id).await? {
        ItemState::Active(item) => Ok(*item),
        ItemState::Trashed => {
            Err(ProviderError::new(ProviderErrorKind::NotFound, "the item is in the trash").with("item", id))
        }
        ItemState::NotFound => {
            Err(ProviderError::new(ProviderErrorKind::NotFound, "the item is not there, or may not be seen")
                .with("item", id))
        }
    }
}

/// Whether an item still is what it was when the change was decided.
pub fn is_expected(item: &RemoteItem, expected: &Expected) -> bool {
    let version = match (&expected.version, &item.content) {
        (Some(expected), Some(content)) => *expected == content.version,
        (Some(_), None) => false,
        (None, _) => true,
    };
    version && expected.etag.as_ref().is_none_or(|etag| item.etag.as_ref() == Some(etag))
}

/// The refusal of a change to an item that is not what was expected.
pub fn overtaken(item: &RemoteItem) -> ProviderError {
    let version = item.content.as_ref().map_or("-", |content| content.version.as_str());
    ProviderError::new(ProviderErrorKind::Conflict, "the item was changed by somebody else")
        .with_detail(format!(
            "it is now version {version}, etag {}",
            item.etag.as_ref().map_or("-", |tag| tag.as_str())
        ))
        .with("item", &item.id)
}

struct MakeFolder<'a> {
    api: &'a BoxApi,
    parent: &'a ItemId,
    name: &'a str,
}

#[async_trait]
impl Careful for MakeFolder<'_> {
    type Done = RemoteItem;

    async fn attempt(&self) -> Result<RemoteItem> {
        self.api.create_folder(self.parent, self.name).await
    }

    async fn look(&self) -> Result<Look<RemoteItem>> {
        Ok(match self.api.name_taken(self.parent, self.name).await? {
            None => Look::NotYet,
            // Whoever made it: the folder that was asked for is there.
            Some(id) if id.kind() == ItemKind::Folder => Look::Happened(live(self.api, &id).await?),
            Some(id) => Look::Overtaken(
                ProviderError::new(ProviderErrorKind::Conflict, "a file of this name is there")
                    .with(translate::TAKEN_BY, id),
            ),
        })
    }
}

struct Relocate<'a> {
    api: &'a BoxApi,
    item: &'a ItemId,
    parent: &'a ItemId,
    name: &'a str,
    expected: &'a Expected,
}

impl Relocate<'_> {
    fn is_there(&self, item: &RemoteItem) -> bool {
        item.parent.as_ref() == Some(self.parent) && item.name == self.name
    }
}

#[async_trait]
impl Careful for Relocate<'_> {
    type Done = RemoteItem;

    /// Box moves the newest state whatever `If-Match` says, so that a look just before is all there is for moves.
    async fn attempt(&self) -> Result<RemoteItem> {
        let now = live(self.api, self.item).await?;
        if self.is_there(&now) {
            return Ok(now);
        }
        if !is_expected(&now, self.expected) {
            return Err(overtaken(&now));
        }
        let parent = (now.parent.as_ref() != Some(self.parent)).then_some(self.parent);
        let name = (now.name != self.name).then_some(self.name);
        self.api.update(self.item, parent, name, now.etag.as_ref()).await
    }

    async fn look(&self) -> Result<Look<RemoteItem>> {
        let now = live(self.api, self.item).await?;
        Ok(if self.is_there(&now) {
            Look::Happened(now)
        } else if is_expected(&now, self.expected) {
            Look::NotYet
        } else {
            Look::Overtaken(overtaken(&now))
        })
    }
}

struct Trash<'a> {
    api: &'a BoxApi,
    item: &'a ItemId,
    expected: &'a Expected,
}

#[async_trait]
impl Careful for Trash<'_> {
    type Done = ();

    async fn attempt(&self) -> Result<()> {
        let mut etag = self.expected.etag.clone();
        if etag.is_none() && self.expected.version.is_some() {
            let now = match state_of(self.api, self.item).await? {
                ItemState::Active(now) => now,
                ItemState::Trashed => return Ok(()),
                ItemState::NotFound => return live(self.api, self.item).await.map(drop),
            };
            if !is_expected(&now, self.expected) {
                return Err(overtaken(&now));
            }
            etag = now.etag;
        }
        match self.api.delete(self.item, etag.as_ref()).await {
            Err(error) if translate::says_trashed(&error) => Ok(()),
            done => done,
        }
    }

    async fn look(&self) -> Result<Look<()>> {
        Ok(match state_of(self.api, self.item).await? {
            // Where the trash is switched off, a deleted item is simply not there.
            ItemState::Trashed | ItemState::NotFound => Look::Happened(()),
            ItemState::Active(now) if is_expected(&now, self.expected) => Look::NotYet,
            ItemState::Active(now) => Look::Overtaken(overtaken(&now)),
        })
    }
}
