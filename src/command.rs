//! What people ask of a running agent, as values: the control socket carries them, the engine answers them.

use serde::{Deserialize, Serialize};

use crate::id::{HoldId, ItemId};

/// A request. Reading ones are answered from the database by [`crate::report`]'s makers; these change something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// List again whatever was last seen before a while ago.
    Refresh {
        /// The folder, or all.
        folder: Option<String>,
        /// How old an observation may be, in milliseconds.
        within_ms: u64,
    },
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
    /// An account is another person's from now on, as somebody confirmed.
    ReplaceIdentity {
        /// The account.
        account: String,
        /// The provider's id of that person.
        user_id: String,
        /// The login.
        login: String,
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
    /// Deliver to a subscription again what it was delivered before.
    ReplaySubscription {
        /// The subscription.
        name: String,
        /// Behind this entry of the journal; nothing goes by the time.
        after: Option<i64>,
        /// What was received since, in milliseconds since 1970.
        since_ms: Option<i64>,
    },
    /// Have `before` hooks examine again what is on disk.
    Rescan {
        /// The absolute local path of a file, or of a watched folder; nothing means everything.
        path: Option<String>,
    },
    /// Tell `after` hooks again.
    ReplayHooks {
        /// The delivery of this run; nothing means everything that was given up.
        run: Option<i64>,
        /// Only this hook's.
        hook: Option<String>,
    },
    /// Bring back a file that is kept off the disk, because it expired or because its local deletion was accepted.
    Restore {
        /// The absolute local path.
        path: String,
    },
    /// Note who is behind a number in an account's events.
    NamePerson {
        /// The account.
        account: String,
        /// The provider's id; an empty one stands for everybody, whom the account may not ask about.
        user_id: String,
        /// The name; nothing if the provider does not tell.
        name: Option<String>,
    },
    /// Let the mode that the configuration gives a folder take effect, where that waits for a person.
    AcceptMode {
        /// The folder.
        folder: String,
    },
    /// Mend what `agent verify` found to differ.
    Repair(Repair),
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

/// What differs in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// The folder.
    pub folder: String,
    /// Items that should be on disk and are not.
    pub missing: Vec<ItemId>,
    /// Files whose content on disk is not the recorded one.
    pub differing: Vec<ItemId>,
    /// The cloud is not as recorded: compare all of it.
    pub compare: bool,
}

/// The most items that one [`Repair`] names; the control socket takes no longer requests.
pub const REPAIRED_AT_ONCE: usize = 500;

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

impl Keep {
    /// The word of the command line and of the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Local => "local",
            Self::Both => "both",
        }
    }

    /// Reads it.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Remote, Self::Local, Self::Both].into_iter().find(|keep| keep.word() == word)
    }
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
