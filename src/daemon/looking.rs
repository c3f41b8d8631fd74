//! Looks at the disks before the agent says how it is: what was written there a moment ago counts, and a root that is gone is not in sync.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc::{SyncSender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::world::{Message, OpenFolders};
use crate::deed::{DiskError, DiskErrorKind};
use crate::engine::Input;
use crate::id::FolderId;
use crate::local::Watching;
use crate::local_news::{News, Rescan};

/// How long the watches and the control thread may take to say that they are up to date. Whoever asks is told "syncing" then, and asks
/// again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a root may take to be looked at. A disk behind a network that does not answer keeps its callers for ever.
const ROOT_PATIENCE: Duration = Duration::from_secs(2);

/// The watches, by folder.
#[derive(Debug, Clone, Default)]
pub struct Watches(Arc<Mutex<HashMap<FolderId, Watching>>>);

impl Watches {
    pub fn locked(&self) -> MutexGuard<'_, HashMap<FolderId, Watching>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a look at the disks found.
#[derive(Debug, Default)]
pub struct Looked {
    /// Folders of which it is not known whether everything that was written there was noticed.
    pub unsure: BTreeSet<FolderId>,
    /// Folders whose root cannot be worked in.
    pub lost: BTreeMap<FolderId, DiskError>,
}

/// Whoever looks.
#[derive(Debug)]
pub struct Looking {
    pub folders: OpenFolders,
    pub watches: Watches,
    pub inputs: SyncSender<Message>,
    roots: Arc<Roots>,
}

/// The folders whose roots are being looked at: one thread for each at a time, as a disk that does not answer keeps its thread for ever.
#[derive(Debug, Default)]
struct Roots {
    under_way: Mutex<BTreeSet<FolderId>>,
    ended: Condvar,
}

impl Roots {
    fn locked(&self) -> MutexGuard<'_, BTreeSet<FolderId>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a look at a root once nobody else looks at it. False if somebody still does at the deadline.
    fn begin(&self, id: FolderId, deadline: Instant) -> bool {
        let patience = deadline.saturating_duration_since(Instant::now());
        let waited = self.ended.wait_timeout_while(self.locked(), patience, |under_way| under_way.contains(&id));
        let (mut under_way, _) = waited.unwrap_or_else(PoisonError::into_inner);
        under_way.insert(id)
    }

    fn end(&self, id: FolderId) {
        self.locked().remove(&id);
        self.ended.notify_all();
    }
}

impl Looking {
    pub fn new(folders: OpenFolders, watches: Watches, inputs: SyncSender<Message>) -> Self {
        Self { folders, watches, inputs, roots: Arc::default() }
    }

    /// Sees to it that everything that was written into the folders until now counts in what the database says from now on.
    pub fn look(&self) -> Looked {
        let deadline = Instant::now() + PATIENCE;
        let mut looked = Looked::default();
        let asked: Vec<_> = self.watches.locked().iter().map(|(id, watching)| (*id, watching.barrier())).collect();
        for (id, barrier) in asked {
            let Some(barrier) = barrier else { continue };
            if barrier.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_err() {
                looked.unsure.insert(id);
            }
        }
        if !self.is_heard(deadline) {
            looked.unsure.extend(self.folders.all().into_iter().map(|(id, _)| id));
        }
        looked.lost = self.lost_roots();
        for id in looked.lost.keys() {
            self.hint(*id, News::Root);
        }
        looked
    }

    /// Has everything scanned that is not watched.
    pub fn scan_unwatched(&self) {
        for (id, _) in self.folders.all() {
            self.hint(id, News::Rescan(Rescan::Asked));
        }
        let _ = self.is_heard(Instant::now() + PATIENCE);
    }

    fn hint(&self, folder: FolderId, news: News) {
        // Without room for a hint the engine is busy, and looks by itself in its time.
        if self.inputs.try_send(Message::Input(Input::Local { folder, news })).is_err() {
            tracing::debug!(%folder, "no room for a hint");
        }
    }

    /// Whether the control thread has taken everything that was in its queue.
    fn is_heard(&self, deadline: Instant) -> bool {
        let (told, heard) = channel();
        self.inputs.try_send(Message::Heard(told)).is_ok()
            && heard.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
    }

    fn lost_roots(&self) -> BTreeMap<FolderId, DiskError> {
        let silent = |local: &crate::local::LocalFolder| DiskError {
            kind: DiskErrorKind::RootLost,
            text: format!("cannot find the folder `{}`: its disk does not answer", local.root().display()),
        };
        let mut lost = BTreeMap::new();
        let (found, results) = channel();
        let mut awaited = BTreeMap::new();
        let deadline = Instant::now() + ROOT_PATIENCE;
        for (id, local) in self.folders.all() {
            let (found, roots, looks) = (found.clone(), Arc::clone(&self.roots), Arc::clone(&local));
            let look = move || {
                // Several may ask at the same time how the agent is: a look of somebody else is no sign of a disk that does not answer.
                if roots.begin(id, deadline) {
                    let result = looks.check_root();
                    roots.end(id);
                    // Nobody may wait for it any more.
                    let _ = found.send((id, result));
                }
            };
            match std::thread::Builder::new().name("root".into()).spawn(look) {
                Ok(_) => drop(awaited.insert(id, local)),
                Err(why) => tracing::debug!(%why, "a root is not looked at"),
            }
        }
        drop(found);
        while let Ok((id, result)) = results.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            awaited.remove(&id);
            if let Err(why) = result {
                lost.insert(id, why);
            }
        }
        lost.extend(awaited.into_iter().map(|(id, local)| (id, silent(&local))));
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_elses_look_at_a_root_is_waited_for_and_one_that_hangs_is_told() {
        let (roots, id) = (Arc::new(Roots::default()), FolderId(1));
        let soon = || Instant::now() + Duration::from_millis(20);
        assert!(roots.begin(id, soon()));
        assert!(!roots.begin(id, soon()), "the disk does not answer");
        assert!(roots.begin(FolderId(2), soon()), "another folder's does");
        let (other, (ready, begun)) = (Arc::clone(&roots), channel());
        let looker = std::thread::spawn(move || {
            ready.send(()).unwrap();
            other.begin(id, Instant::now() + Duration::from_mins(1))
        });
        begun.recv().unwrap();
        roots.end(id);
        assert!(looker.join().unwrap(), "it was under way, and ended");
    }
}
