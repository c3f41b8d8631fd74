//! The state of a folder, as a value.

use serde::{Deserialize, Serialize};

/// The state of a folder in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderState {
    /// Added, and its remote folder not yet looked up.
    Starting,
    /// The remote folder is being listed for the first time.
    Listing,
    /// Something is being done.
    Syncing,
    /// Everything that the cloud told us is on disk.
    InSync,
    /// A full comparison is due or under way because our place in the stream was lost.
    Unverified,
    /// An event could not be understood, or part of the tree could not be seen: a comparison is due or under way that finds what it meant.
    Verifying,
    /// A person paused it.
    Paused,
    /// A hold waits for a person; the rest goes on.
    Held,
    /// It goes on, and not all of it can be watched: local changes are found by scans. See `degraded`.
    Unwatched,
    /// It cannot go on: see `degraded`.
    Halted,
    /// Some items have problems; the rest is in sync.
    Problems,
}

impl FolderState {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Starting,
        Self::Listing,
        Self::Syncing,
        Self::InSync,
        Self::Unverified,
        Self::Verifying,
        Self::Paused,
        Self::Held,
        Self::Unwatched,
        Self::Halted,
        Self::Problems,
    ];

    /// The word of the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Listing => "listing",
            Self::Syncing => "syncing",
            Self::InSync => "in_sync",
            Self::Unverified => "unverified",
            Self::Verifying => "verifying",
            Self::Paused => "paused",
            Self::Held => "held",
            Self::Unwatched => "unwatched",
            Self::Halted => "halted",
            Self::Problems => "problems",
        }
    }

    /// The words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Listing => "listing",
            Self::Syncing => "syncing",
            Self::InSync => "in sync",
            Self::Unverified => "unverified",
            Self::Verifying => "verifying",
            Self::Paused => "paused",
            Self::Held => "held",
            Self::Unwatched => "not watched",
            Self::Halted => "halted",
            Self::Problems => "in sync, with problems",
        }
    }
}
