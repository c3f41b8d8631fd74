//! Transfers under way: their workers count, and whoever asks reads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::id::{FolderId, JobId};
use crate::report::Transfer;

/// A transfer under way, as its worker counts it.
#[derive(Debug)]
pub(super) struct Live {
    pub folder: FolderId,
    pub path: String,
    pub done: Arc<AtomicU64>,
    pub total: Option<u64>,
}

/// The transfers under way, for whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Transfers {
    live: Arc<Mutex<BTreeMap<JobId, Live>>>,
    /// Bytes of transfers that are over, whatever became of them.
    over: Arc<AtomicU64>,
}

impl Transfers {
    /// The transfers of a folder.
    pub fn of(&self, folder: FolderId) -> Vec<Transfer> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.values()
            .filter(|transfer| transfer.folder == folder)
            .map(|transfer| Transfer {
                path: transfer.path.clone(),
                done: transfer.done.load(Ordering::Relaxed),
                total: transfer.total,
            })
            .collect()
    }

    /// Bytes that were transferred since the start.
    pub fn bytes(&self) -> u64 {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way: u64 = live.values().map(|transfer| transfer.done.load(Ordering::Relaxed)).sum();
        self.over.load(Ordering::Relaxed) + under_way
    }

    pub(super) fn begin(&self, job: JobId, live: Live) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).insert(job, live);
    }

    pub(super) fn end(&self, job: JobId) {
        let ended = self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
        if let Some(ended) = ended {
            self.over.fetch_add(ended.done.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
