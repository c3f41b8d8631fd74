//! What we ask of a cloud when we change it: every write is conditional where the provider can, is never sent twice without looking, and
//! answers with the state that it made.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::id::{ContentHash, Etag, ItemId, Sha256, VersionId};
use crate::tree::Wall;

/// What was last known of an item that is to be changed. A provider without conditional writes looks just before it acts.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Expected {
    /// The version that is to be replaced or deleted; nothing for folders, or where any version will do.
    pub version: Option<VersionId>,
    /// The provider's tag of the state.
    pub etag: Option<Etag>,
}

/// Where an upload goes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum UploadTarget {
    /// A new file. [`super::ProviderErrorKind::Conflict`] if the name is taken.
    New {
        /// The folder that is to hold it.
        parent: ItemId,
        /// Its name, in the cloud's terms.
        name: String,
    },
    /// A new version of a file. [`super::ProviderErrorKind::Conflict`] if another version than the expected one is there.
    Version {
        /// The file.
        file: ItemId,
        /// What we believe is there.
        expected: Expected,
    },
}

/// What to upload.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UploadOrder {
    /// Where to.
    pub target: UploadTarget,
    /// The length of the content in bytes.
    pub size: u64,
    /// Our digest of it, which every adapter compares with what it sent.
    pub sha256: Sha256,
    /// The digest of the whole content that the provider wants ([`super::Capabilities::hash`]).
    pub hash: ContentHash,
    /// When the content was last modified.
    pub modified: Option<Wall>,
    /// A chunked upload of this very content that was under way before, as [`UploadBody::session`] was told; tried first, and begun anew
    /// if the provider knows it no more.
    pub session: Option<String>,
}

/// The bytes of an upload. They are read by position, so that a repeated request sends them again and not an empty body.
#[async_trait]
pub trait UploadBody: Send + Sync {
    /// Exactly `len` bytes from `offset` on. An error if the file was changed or is shorter now: the upload then ends as
    /// [`super::ProviderErrorKind::Corrupt`], and nothing becomes visible that was not the content of one moment.
    async fn read(&self, offset: u64, len: usize) -> io::Result<Bytes>;

    /// Told of a chunked upload as soon as it exists; returns when it is durable, so that a restart can go on with it.
    async fn session(&self, session: &str) -> io::Result<()>;

    /// Waits until the account may send so many bytes more. An adapter asks just before it hands bytes to the network, and not when it
    /// only digests them.
    async fn pace(&self, _bytes: usize) {}

    /// Told how many bytes the provider has.
    fn progress(&self, sent: u64);
}

/// Whether an upload would be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preflight {
    /// It would.
    Welcome,
    /// The provider cannot tell in advance.
    Unknown,
}

/// Parts of a chunked upload that are sent at the same time, at most.
pub const PARTS_AT_ONCE: usize = 2;
/// How long a write may stay without an answer before its outcome is looked up.
pub const WRITE_TIMEOUT: Duration = Duration::from_mins(5);
