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
    /// Let a rejected version out of quarantine: it is published.
    ReleaseQuarantined {
        /// Its number.
        number: i64,
        /// Why.
        reason: String,
    },
    /// Delete a rejected version from quarantine.
    DeleteQuarantined {
        /// Its number.
        number: i64,
    },
    /// Fetch and examine a rejected version again.
    RescanQuarantined {
        /// Its number.
        number: i64,
    },
    /// Tell `after` hooks again.
    ReplayHooks {
        /// The delivery of this run; nothing means everything that was given up.
        run: Option<i64>,
        /// Only this hook's.
        hook: Option<String>,
    },
    /// Try everything that failed again now.
    RetryProblems {
        /// The folder; nothing means all.
        folder: Option<String>,
    },
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
