//! What each kind of job holds, and whom it concerns.

use super::remote::Listing;
use super::slots::Slot;
use super::{Engine, JOBS_MOST, Job};
use crate::id::{AccountId, FolderId, JobId, NodeId};
use crate::store::Result;
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::ItemRow;

impl Engine {
    /// Registers a job, with the slot that it takes; nothing if there is no room for one more.
    pub(super) fn start(&mut self, about: Job) -> Result<Option<JobId>> {
        if self.jobs.len() >= JOBS_MOST {
            return Ok(None);
        }
        let job = self.ctx.store.next_job()?;
        if let Some(slot) = job_slot(&about) {
            self.slots.take(job, slot);
        }
        self.jobs.insert(job, about);
        Ok(Some(job))
    }

    /// A job ended, or is given up: what it was about, if it was under way.
    pub(super) fn take_job(&mut self, job: JobId) -> Option<Job> {
        self.slots.release(job);
        self.jobs.remove(&job)
    }

    /// Whether one more question can be asked of an account now, its budget aside.
    pub(super) fn can_ask(&self, id: AccountId) -> bool {
        self.slots.may_ask(id)
            && self
                .accounts
                .get(&id)
                .is_some_and(|account| account.usable() && self.ctx.now.mono >= account.closed_until)
    }

    /// An item that a deed under way puts into a directory, if there is one.
    pub(super) fn comes_into(&self, dir: &ItemRow) -> Option<NodeId> {
        let folder = self.folders.get(&dir.folder)?;
        let under_way = match folder.batch.and_then(|job| self.jobs.get(&job)) {
            Some(Job::Deeds { intents, .. }) => intents.as_slice(),
            _ => &[],
        };
        let comes = |intent: &&IntentRow| match &intent.seat {
            NewSeat::At { parent, .. } | NewSeat::Parted { parent, .. } | NewSeat::Aside { parent, .. } => {
                *parent == dir.node
            }
            NewSeat::Parked | NewSeat::Nowhere | NewSeat::Unchanged => false,
        };
        under_way.iter().chain(folder.building.intents()).find(comes).map(|intent| intent.node)
    }
}

/// What a job takes up while it is under way.
fn job_slot(job: &Job) -> Option<Slot> {
    match job {
        Job::List { account, .. } | Job::Look { account, .. } | Job::Root(account, _) | Job::Stray { account, .. } => {
            Some(Slot::Question(*account))
        }
        Job::Write { account, is_upload: false, .. } => Some(Slot::Question(*account)),
        Job::Write { account, is_upload: true, .. } => Some(Slot::Upload(*account)),
        Job::Fetch { account, folder, .. } => Some(Slot::Fetch(*account, *folder)),
        Job::Read { folder, .. } => Some(Slot::Read(*folder)),
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
        | Job::Tell { .. } => None,
    }
}

/// The folder that a job is for.
pub(super) fn job_folder(job: &Job) -> Option<FolderId> {
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
        | Job::Tell { .. } => None,
    }
}

/// The items that a job is for.
pub(super) fn job_nodes(job: &Job) -> Vec<NodeId> {
    match job {
        Job::List { listing: Listing { node, .. }, .. }
        | Job::Look { node, .. }
        | Job::Fetch { node, .. }
        | Job::Read { node, .. }
        | Job::Ask { node, .. }
        | Job::Quarantine { node, .. }
        | Job::Write { node, .. } => vec![*node],
        Job::Scan { scan, .. } => vec![scan.node()],
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
        | Job::Tell { .. } => Vec::new(),
    }
}
