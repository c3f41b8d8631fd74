//! Paths of events that led elsewhere than they seemed to: they are read again when it is known what the folders on the way are called.

use crate::engine::Engine;
use crate::engine::learn::Source;
use crate::engine::remote::{Facts, Named, below, marks};
use crate::events::EventKind;
use crate::id::{FolderId, NodeId};
use crate::store::Result;

impl Engine {
    /// A name in a folder was left that was never observed: what was told of by paths below it went along, and is told of there.
    ///
    /// Example: `d` becomes `b`, `b/a` comes back from the trash, `b` becomes `c`, and a listing showed `c` before we hear of it all. No listing
    /// is to show a `b`, and `c` is known already, so that nobody lists all below it.
    pub(in crate::engine) fn follow_below(
        &mut self,
        folder: FolderId,
        (dir, name): (NodeId, &str),
        from: &str,
        to: &str,
    ) -> Result<()> {
        for (told, kind) in self.questions.told_by_path.take_paths_below(dir, name) {
            let Some(rest) = below(from, &told) else { continue };
            let path = format!("{}/{}", to.trim_end_matches('/'), rest.join("/"));
            self.take_path(folder, &path, kind)?;
        }
        Ok(())
    }

    /// Remembers a path of an event with every folder on the way to it whose own name or place is asked about.
    ///
    /// Example: `c` and `d` swap their names, and `c/s/new` is told, before any of it was observed. Both have an `s`, and the path leads into that of
    /// the former `c`.
    pub(in crate::engine) fn note_unsure(&mut self, folder: FolderId, path: &str, kind: EventKind) -> Result<()> {
        let mut way = Vec::new();
        self.read_path(folder, path, |dir, folded| {
            way.push(dir);
            Ok(Named { now: self.folders_called(dir, folded)?, before: Vec::new() })
        })?;
        for dir in way {
            if self.ctx.store.work(dir)?.is_some_and(|work| work.mark.is_some()) {
                self.questions.told_by_path.note_unsure(dir, path, kind);
            }
        }
        Ok(())
    }

    /// Reads the paths again that led through folders which were elsewhere.
    pub(in crate::engine) fn read_paths_again(&mut self) -> Result<()> {
        for (folder, path, kind) in self.questions.told_by_path.take_again() {
            if self.folders.contains_key(&folder) {
                self.take_path(folder, &path, kind)?;
            }
        }
        Ok(())
    }

    /// Asks what an event obliges us to ask that told no more than a path, by where that leads now.
    fn take_path(&mut self, folder: FolderId, path: &str, kind: EventKind) -> Result<()> {
        let facts = Facts { to: Some(self.locate(folder, path)?), ..Facts::of_kind(kind) };
        self.note_unsure(folder, path, kind)?;
        for mark in marks(&facts).0 {
            self.take_told(folder, mark, Some((path, kind)), Source::Event { journal: None, late: false })?;
        }
        Ok(())
    }
}
