//! What `agent why` tells of one path: in sentences for people, and as values for programs.

use serde::{Deserialize, Serialize};

use super::{EventRow, ProblemRow};
use crate::id::{ItemId, VersionId};
use crate::tree::Wall;

/// `agent why PATH`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// [`super::SCHEMA_VERSION`].
    pub schema: u32,
    /// The path asked about.
    pub path: String,
    /// The folder that it lies in.
    pub folder: String,
    /// The item, if the path is known.
    pub item: Option<ItemId>,
    /// What the cloud has, in a sentence.
    pub remote: Option<String>,
    /// What the disk had when both agreed, in a sentence.
    pub synced: Option<String>,
    /// What the agent means to do, in a sentence.
    pub plan: String,
    /// The problem, if there is one.
    pub problem: Option<ProblemRow>,
    /// Why the local name differs from the remote one, if it does.
    pub mapped: Option<String>,
    /// The pattern that keeps it out, if one does.
    pub excluded_by: Option<String>,
    /// The last events on it, newest first.
    pub events: Vec<EventRow>,
    /// Local versions kept, newest first, as sentences.
    pub versions: Vec<String>,
    /// What hooks said of it, newest first, as sentences.
    #[serde(default)]
    pub hooks: Vec<String>,
    /// The same for programs.
    #[serde(flatten)]
    pub facts: WhyFacts,
}

/// What `agent why` says in sentences, as values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WhyFacts {
    /// What the cloud has.
    pub cloud: Option<WhySide>,
    /// What the disk had when both agreed.
    pub disk: Option<WhySide>,
    /// What the agent means to do, in the words of `agent plan`.
    pub action: String,
    /// `done`, `ready`, `waiting`, `held`, `away` (kept off the disk), `left_out` (neither followed nor sent), or `unknown`.
    pub state: String,
    /// When the local copy is deleted because of `keep_for`; the cloud keeps its own.
    pub deleted_here: Option<Wall>,
    /// Local versions kept, newest first.
    pub kept: Vec<WhyKept>,
}

/// One side of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhySide {
    /// `file` or `folder`.
    pub kind: String,
    /// The path in the folder; nothing for what is out of sight, on its way.
    pub path: Option<String>,
    /// The size of a file, if known.
    pub size: Option<u64>,
    /// The version of a file.
    pub version: Option<VersionId>,
}

/// A local version that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyKept {
    /// Since when.
    pub at: Wall,
    /// Why it is no longer in its place.
    pub reason: String,
    /// Its size.
    pub bytes: u64,
}
