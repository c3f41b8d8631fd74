//! What each kind of job holds, and whom it concerns.

use super::remote::Listing;
use super::{Engine, Job};
use crate::id::{FolderId, NodeId};
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::ItemRow;

impl Engine {
    /// Gives back what a job held, when the job is dropped before it ended.
    pub(super) fn release_slot(&mut self, job: &Job) {
        match job {
            Job::List { account, .. }
            | Job::Look { account, .. }
            | Job::Root(account, _)
            | Job::Stray { account, .. } => {
                if let Some(account) = self.accounts.get_mut(account) {
                    account.asking = account.asking.saturating_sub(1);
                }
            }
            Job::Fetch { account, folder, .. } => {
                if let Some(account) = self.accounts.get_mut(account) {
                    account.fetching = account.fetching.saturating_sub(1);
                }
                if let Some(folder) = self.folders.get_mut(folder) {
                    folder.fetching = folder.fetching.saturating_sub(1);
                }
            }
            Job::Read { folder, .. } => {
                if let Some(folder) = self.folders.get_mut(folder) {
                    folder.reading = folder.reading.saturating_sub(1);
                }
            }
            Job::Write { account, is_upload, .. } => {
                if let Some(account) = self.accounts.get_mut(account) {
                    if *is_upload {
                        account.fetching = account.fetching.saturating_sub(1);
                    } else {
                        account.asking = account.asking.saturating_sub(1);
                    }
                }
            }
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
            | Job::Deeds { .. } => {}
            Job::Ask { hook, .. } | Job::Tell { hook, .. } => self.hooks.release(&hook.name),
        }
    }
}

impl Engine {
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
