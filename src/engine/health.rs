//! How the engine is: what only it knows, and what no row says.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{AccountId, FolderId};
use crate::report::{Budget, Degraded, ScannerStatus};
use crate::tree::Wall;

/// How one account is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHealth {
    /// What is wrong with it.
    pub degraded: Option<Degraded>,
    /// The stream was read to its end since the engine started.
    pub caught_up: bool,
    /// A long poll is waiting.
    pub long_poll: bool,
    /// When the stream is read next.
    pub next_poll: Option<Wall>,
    /// The provider asked for no calls before this moment.
    pub closed_until: Option<Wall>,
    /// Its budget.
    pub budget: Budget,
}

/// How the engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// The accounts.
    pub accounts: BTreeMap<AccountId, AccountHealth>,
    /// What is wrong with folders; those that are well are named with nothing.
    pub folders: BTreeMap<FolderId, Option<Degraded>>,
    /// Scanners.
    pub scanners: Vec<ScannerStatus>,
    /// Folders whose disk is not looked at (yet): nothing is known of what happens there.
    pub unopened: BTreeSet<FolderId>,
}
