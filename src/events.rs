//! What a provider's stream tells us: hints about where to look, never orders.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::{Cursor, EventId, ItemId, VersionId};
use crate::tree::{RemoteItem, Wall};

pub mod budget;
pub mod filter;
pub mod interval;
pub mod long_poll;
pub mod subscription;
pub mod taxonomy;
mod text;

pub use text::{EventText, PageText};

/// What an event says happened, in the words of hooks and of `agent events`.
///
/// The provider's own word is kept beside it in [`RemoteEvent::provider_kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A new item.
    Created,
    /// A new version of a file, or a new file where the provider does not tell which.
    Uploaded,
    /// A copy appeared.
    Copied,
    /// A new name in the same folder.
    Renamed,
    /// A new parent.
    Moved,
    /// Into the trash, or gone for good.
    Trashed,
    /// Back from the trash.
    Restored,
    /// An older version became the current one.
    Promoted,
    /// Locked or unlocked.
    Lock,
    /// Who may see or change it changed.
    Sharing,
    /// A comment or note.
    Comment,
    /// Somebody read it; also our own downloads.
    Read,
    /// Anything else, known or not.
    Other,
}

impl EventKind {
    /// The word of hooks and of `agent events`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Uploaded => "uploaded",
            Self::Copied => "copied",
            Self::Renamed => "renamed",
            Self::Moved => "moved",
            Self::Trashed => "trashed",
            Self::Restored => "restored",
            Self::Promoted => "promoted",
            Self::Lock => "lock",
            Self::Sharing => "sharing",
            Self::Comment => "comment",
            Self::Read => "read",
            Self::Other => "other",
        }
    }
}

/// What an event says of its item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// The whole item as it was when the event happened (Box user streams): no call is needed to learn it.
    Item(RemoteItem),
    /// The item went to the trash; where it was is not said.
    Gone(ItemId),
    /// The item is named and not described: ask about it, if it lies in a watched folder.
    Id {
        /// The item.
        id: ItemId,
        /// The version that the event is about, if it says: one that we have already is no news.
        version: Option<VersionId>,
        /// The folder that held it, if the event names that by its id (Box enterprise streams).
        #[serde(default)]
        parent: Option<ItemId>,
        /// The whole path that the event names, from the top of the account, if it names one. An item that we do not know is asked about only
        /// if this path lies in a watched folder.
        path: Option<String>,
        /// The whole path where it was before, for moves.
        from: Option<String>,
    },
    /// Only a path is named (Egnyte folders): resolve it through the tree, else by one call. Covers everything below it.
    Path {
        /// The whole path that the event names, from the top of the account.
        path: String,
        /// The whole path where it was before, for moves.
        from: Option<String>,
        /// File or folder, if the event says.
        is_folder: Option<bool>,
    },
    /// Nothing that concerns an item.
    Nothing,
    /// Something may have changed in the tree, and the event does not say what, or not so that it can be read.
    Unreadable,
}

impl Subject {
    /// An item of which the event says nothing else.
    pub fn id(id: ItemId) -> Self {
        Self::Id { id, version: None, parent: None, path: None, from: None }
    }

    /// The item, if one is named by its id.
    pub fn item(&self) -> Option<&ItemId> {
        match self {
            Self::Item(item) => Some(&item.id),
            Self::Gone(id) | Self::Id { id, .. } => Some(id),
            Self::Path { .. } | Self::Nothing | Self::Unreadable => None,
        }
    }

    /// The whole path that the event tells, from the top of the account; without folders above where it tells the name alone.
    pub fn path(&self) -> Option<String> {
        match self {
            Self::Item(item) => {
                // The first one is the top, which no path names.
                let above = || item.ancestors.iter().flatten().skip(1);
                let length = above().map(|folder| folder.name.len() + 1).sum::<usize>() + item.name.len() + 1;
                let mut path = String::with_capacity(length);
                for folder in above() {
                    path.push('/');
                    path.push_str(&folder.name);
                }
                if item.ancestors.is_some() {
                    path.push('/');
                }
                path.push_str(&item.name);
                Some(path)
            }
            Self::Id { path, .. } => path.clone(),
            Self::Path { path, .. } => Some(path.clone()),
            Self::Gone(_) | Self::Nothing | Self::Unreadable => None,
        }
    }
}

/// One event, normalised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteEvent {
    /// The event's identity: the same id again is the same event again.
    pub id: EventId,
    /// Our word for what happened.
    pub kind: EventKind,
    /// The provider's word for it.
    pub provider_kind: Cow<'static, str>,
    /// What it happened to.
    pub subject: Subject,
    /// The provider's id of the acting user, if known.
    pub actor: Option<String>,
    /// The acting user's name or login, for people.
    pub actor_name: Option<String>,
    /// When it happened, by the provider's clock.
    pub at: Option<Wall>,
    /// The event as it came, for the journal.
    pub raw: EventText,
}

/// One page of an account's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events, in the order in which they came.
    pub events: Vec<RemoteEvent>,
    /// Where to read on. The adapter has already put the old cursor here where the provider's answer was unusable
    /// (position 0 on an empty page).
    pub next: Cursor,
    /// The stream has no more for us now. A short page is not the end; the adapter knows its provider's sign.
    pub caught_up: bool,
}
