//! Downloads that broke off: what came of them is kept for the next try, so that nothing is fetched twice because a sign-in ended or a
//! network was away.
//!
//! Only in this process, only so many, and not for ever: a fetch that starts anew is always right.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::fetch::{FetchOrder, Piece};
use crate::id::FolderId;

/// How many are kept; the oldest goes first. Each of them keeps a thread that waits for more.
const PIECES_MAX: usize = 8;
/// How long one is kept: a sign-in may wait for somebody to come back from a weekend.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// See the module.
#[derive(Debug, Default)]
pub struct Parked(Mutex<VecDeque<(FolderId, Instant, Piece)>>);

impl Parked {
    fn locked(&self) -> MutexGuard<'_, VecDeque<(FolderId, Instant, Piece)>> {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.retain(|(_, since, _)| since.elapsed() < KEPT_FOR);
        pieces
    }

    /// Keeps what came.
    pub fn put(&self, folder: FolderId, piece: Piece) {
        let mut pieces = self.locked();
        while pieces.len() >= PIECES_MAX {
            pieces.pop_front();
        }
        pieces.push_back((folder, Instant::now(), piece));
    }

    /// What came of exactly this content before.
    pub fn take(&self, folder: FolderId, order: &FetchOrder) -> Option<Piece> {
        let mut pieces = self.locked();
        let at = pieces.iter().position(|(of, _, piece)| *of == folder && piece.is_of(order))?;
        pieces.remove(at).map(|(_, _, piece)| piece)
    }

    /// Lets go of everything in a folder: its staging directory is about to be swept.
    pub fn forget(&self, folder: FolderId) {
        self.locked().retain(|(of, _, _)| *of != folder);
    }

    /// Lets go of everything.
    pub fn clear(&self) {
        self.locked().clear();
    }
}
