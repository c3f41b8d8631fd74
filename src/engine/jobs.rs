//! What is under way: what each kind of job holds, whom it concerns, and the slot that it takes from its start to its end.

use std::collections::{BTreeMap, BTreeSet};

use super::local::Scan;
use super::remote::Listing;
use super::slots::{Slot, Slots};
use crate::hook::{HookSettings, Matter, QuarantineRemote};
use crate::id::{AccountId, FolderId, Generation, JobId, NodeId, Sha256};
use crate::store::intents::IntentRow;
use crate::store::{Result, Store};
use crate::tree::SyncedContent;

/// Jobs under way at once, over all accounts and folders. The world keeps a place in its input queue for each.
pub const JOBS_MOST: usize = 512;

/// What a job under way is about.
#[derive(Debug)]
pub(in crate::engine) enum Job {
    Identify(AccountId),
    TakeCursor(AccountId),
    Poll(AccountId),
    PollAgain(AccountId),
    CheckCursor(AccountId),
    Wait(AccountId),
    Open(FolderId),
    Resolve(AccountId, FolderId),
    Size(AccountId, FolderId),
    Root(AccountId, FolderId),
    Stray { account: AccountId, asked: Generation },
    List { account: AccountId, listing: Listing },
    Look { account: AccountId, node: NodeId },
    Fetch { account: AccountId, folder: FolderId, node: NodeId, content: SyncedContent },
    Deeds { folder: FolderId, intents: Vec<IntentRow>, again: bool },
    Ask { folder: FolderId, node: NodeId, hook: Box<HookSettings>, matter: Matter, sha256: Sha256 },
    Inspect { folder: FolderId, node: NodeId, hook: Box<HookSettings>, sha256: Sha256 },
    Probe { hook: Box<HookSettings> },
    Quarantine { folder: FolderId, node: NodeId, number: i64, remote: QuarantineRemote, seized: bool },
    Dispose { folder: FolderId, node: NodeId, number: i64 },
    Tell { delivery: i64, hook: Box<HookSettings> },
    Scan { folder: FolderId, scans: Vec<Scan> },
    Read { folder: FolderId, node: NodeId, bytes: u64 },
    Write { account: AccountId, folder: FolderId, node: NodeId, uploads: Option<u64> },
}

/// The jobs under way, and what they take up.
#[derive(Debug, Default)]
pub(in crate::engine) struct Jobs {
    jobs: BTreeMap<JobId, Job>,
    slots: Slots,
}

impl Jobs {
    /// Registers a job, with the slot that it takes; nothing if there is no room for one more.
    pub fn start(&mut self, store: &mut Store, about: Job) -> Result<Option<JobId>> {
        if self.jobs.len() >= JOBS_MOST {
            return Ok(None);
        }
        let job = store.next_job()?;
        if let Some(slot) = job_slot(&about) {
            self.slots.take(job, slot);
        }
        self.jobs.insert(job, about);
        Ok(Some(job))
    }

    /// Registers what a folder has one of at a time: the limit on jobs leaves a place for it.
    pub fn start_on_disk(&mut self, store: &mut Store, about: Job) -> Result<JobId> {
        let job = store.next_job()?;
        self.jobs.insert(job, about);
        Ok(job)
    }

    /// What a job under way is about.
    pub fn about(&self, job: JobId) -> Option<&Job> {
        self.jobs.get(&job)
    }

    /// A job ended, or is given up: what it was about, if it was under way.
    pub fn take(&mut self, job: JobId) -> Option<Job> {
        self.slots.release(job);
        self.jobs.remove(&job)
    }

    /// An account is no more.
    pub fn forget_account(&mut self, account: AccountId) {
        self.slots.forget(account);
    }

    /// What is free.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether nothing is under way but waiting for news.
    pub fn only_wait(&self) -> bool {
        self.jobs.values().all(|job| matches!(job, Job::Wait(_)))
    }

    /// The jobs of a folder.
    pub fn of_folder(&self, id: FolderId) -> Vec<JobId> {
        self.jobs.iter().filter(|(_, job)| job_folder(job) == Some(id)).map(|(job, _)| *job).collect()
    }

    /// Items that a job is under way for.
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        self.jobs.values().flat_map(job_nodes).collect()
    }

    /// Whether an item is being looked at.
    pub fn is_looked_at(&self, node: NodeId) -> bool {
        self.jobs.values().any(|job| matches!(job, Job::Look { node: at, .. } if *at == node))
    }

    /// Whether a write of an item is under way.
    pub fn is_being_sent(&self, node: NodeId) -> bool {
        self.jobs.values().any(|job| matches!(job, Job::Write { node: at, .. } if *at == node))
    }

    /// Whether a directory of a folder is being scanned.
    pub fn scans(&self, id: FolderId) -> bool {
        self.jobs.values().any(|job| matches!(job, Job::Scan { folder, .. } if *folder == id))
    }

    /// Whether a job scans a directory.
    pub fn is_scan_of(&self, job: JobId, dir: NodeId) -> bool {
        matches!(self.jobs.get(&job), Some(Job::Scan { scans, .. }) if scans.iter().any(|scan| scan.node() == dir))
    }

    /// The deeds of a batch under way.
    pub fn deeds(&self, job: JobId) -> &[IntentRow] {
        match self.jobs.get(&job) {
            Some(Job::Deeds { intents, .. }) => intents,
            _ => &[],
        }
    }
}

/// What a job takes up while it is under way.
fn job_slot(job: &Job) -> Option<Slot> {
    match job {
        Job::List { account, .. } | Job::Look { account, .. } | Job::Root(account, _) | Job::Stray { account, .. } => {
            Some(Slot::Question(*account))
        }
        Job::Write { account, uploads: None, .. } => Some(Slot::Question(*account)),
        Job::Write { account, uploads: Some(bytes), .. } => Some(Slot::Upload(*account, *bytes)),
        Job::Fetch { account, folder, content, .. } => Some(Slot::Fetch(*account, *folder, content.size)),
        Job::Read { folder, bytes, .. } => Some(Slot::Read(*folder, *bytes)),
        // An account's question about itself and a folder's one batch are one at a time; hooks have their own slots.
        Job::Identify(_)
        | Job::TakeCursor(_)
        | Job::Poll(_)
        | Job::PollAgain(_)
        | Job::CheckCursor(_)
        | Job::Wait(_)
        | Job::Open(_)
        | Job::Resolve(..)
        | Job::Size(..)
        | Job::Scan { .. }
        | Job::Quarantine { .. }
        | Job::Dispose { .. }
        | Job::Deeds { .. }
        | Job::Ask { .. }
        | Job::Inspect { .. }
        | Job::Probe { .. }
        | Job::Tell { .. } => None,
    }
}

/// The folder that a job is for.
fn job_folder(job: &Job) -> Option<FolderId> {
    match job {
        Job::Open(folder)
        | Job::Resolve(_, folder)
        | Job::Size(_, folder)
        | Job::Root(_, folder)
        | Job::List { listing: Listing { folder, .. }, .. }
        | Job::Fetch { folder, .. }
        | Job::Scan { folder, .. }
        | Job::Read { folder, .. }
        | Job::Write { folder, .. }
        | Job::Deeds { folder, .. }
        | Job::Ask { folder, .. }
        | Job::Inspect { folder, .. }
        | Job::Quarantine { folder, .. }
        | Job::Dispose { folder, .. } => Some(*folder),
        Job::Identify(_)
        | Job::TakeCursor(_)
        | Job::Poll(_)
        | Job::PollAgain(_)
        | Job::Stray { .. }
        | Job::CheckCursor(_)
        | Job::Wait(_)
        | Job::Look { .. }
        | Job::Probe { .. }
        | Job::Tell { .. } => None,
    }
}

/// The items that a job is for.
fn job_nodes(job: &Job) -> Vec<NodeId> {
    match job {
        Job::List { listing: Listing { node, .. }, .. }
        | Job::Look { node, .. }
        | Job::Fetch { node, .. }
        | Job::Read { node, .. }
        | Job::Ask { node, .. }
        | Job::Quarantine { node, .. }
        | Job::Write { node, .. } => vec![*node],
        Job::Scan { scans, .. } => scans.iter().map(Scan::node).collect(),
        Job::Deeds { intents, .. } => intents.iter().map(|intent| intent.node).collect(),
        Job::Identify(_)
        | Job::TakeCursor(_)
        | Job::Poll(_)
        | Job::PollAgain(_)
        | Job::Stray { .. }
        | Job::CheckCursor(_)
        | Job::Wait(_)
        | Job::Open(_)
        | Job::Resolve(..)
        | Job::Size(..)
        | Job::Root(..)
        | Job::Dispose { .. }
        // What is examined in the background is not worked on for that.
        | Job::Inspect { .. }
        | Job::Probe { .. }
        | Job::Tell { .. } => Vec::new(),
    }
}
