//! What people ask of a running agent, as values: the control socket carries them, the engine answers them.

use serde::{Deserialize, Serialize};

use crate::id::HoldId;

/// A request. Reading ones are answered from the database by [`crate::report`]'s makers; these change something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Ask the cloud for news now; with `full`, compare everything.
    Sync {
        /// The folder; nothing means all.
        folder: Option<String>,
        /// List the whole remote folder and compare.
        full: bool,
    },
    /// Stop starting new work.
    Pause {
        /// The folder; nothing means all.
        folder: Option<String>,
    },
    /// Go on.
    Resume {
        /// The folder; nothing means all.
        folder: Option<String>,
    },
    /// Let a hold's frozen list of deletions happen, or accept what else the hold asks.
    Approve {
        /// The hold.
        hold: HoldId,
    },
    /// Refuse it: what would have been deleted stays.
    Reject {
        /// The hold.
        hold: HoldId,
    },
    /// The credentials of an account changed on disk.
    CredentialsChanged {
        /// The account.
        account: String,
    },
    /// Decide conflicts.
    Resolve {
        /// The path of the item or of its conflict copy, below the folder's root; nothing means all conflicts.
        path: Option<String>,
        /// The folder; nothing means all.
        folder: Option<String>,
        /// What to keep.
        keep: Keep,
    },
    /// Try everything that failed again now.
    RetryProblems {
        /// The folder; nothing means all.
        folder: Option<String>,
    },
}

/// What a person keeps of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The content under the name: the conflict copy goes.
    Remote,
    /// The content of the conflict copy: it becomes a new version under the name.
    Local,
    /// Both, as they are.
    Both,
}

/// The answer to a [`Command`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Done, or begun.
    Ok {
        /// One sentence for people.
        message: String,
    },
    /// The thing named does not exist.
    NotFound {
        /// One sentence for people, naming what there is instead.
        message: String,
    },
    /// It cannot be done now.
    Refused {
        /// One sentence for people with the cause and the next step.
        message: String,
    },
    /// The agent has no room for another request; try again.
    Busy,
}
