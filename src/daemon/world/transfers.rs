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
pub struct Transfers(Arc<Mutex<BTreeMap<JobId, Live>>>);

impl Transfers {
    /// The transfers of a folder.
    pub fn of(&self, folder: FolderId) -> Vec<Transfer> {
        let live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.values()
            .filter(|transfer| transfer.folder == folder)
            .map(|transfer| Transfer {
                path: transfer.path.clone(),
                done: transfer.done.load(Ordering::Relaxed),
                total: transfer.total,
            })
            .collect()
    }

    pub(super) fn begin(&self, job: JobId, live: Live) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job, live);
    }

    pub(super) fn end(&self, job: JobId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }
}
