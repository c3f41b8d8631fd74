//! What is in folders that go or come back: what it waits for, who has to leave first, and who is told.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::remote::above::{self, Awaits};
use crate::engine::remote::{self, Source};
use crate::engine::sweep::{self, Fate};
use crate::engine::within::{self, Within};
use crate::engine::{Engine, ITEMS_PER_STEP, Phase, ROWS_PER_STEP};
use crate::id::{FolderId, NodeId};
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow, Presence};
use crate::store::work::{Ask, Priority, WorkRow, WorkState};

/// How long a file waits for the answer to a question about a folder above it that is asked again later.
const ANSWER_AWAITED: Duration = Duration::from_secs(1);

/// What goes with a folder.
impl Engine {
    /// Lets a directory wait until nothing of ours is in it. True if nothing is.
    pub(in crate::engine) fn vacate(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if let Some(comes) = self.comes_into(item).map(|comes| self.ctx.store.item(comes)).transpose()?.flatten() {
            // Whatever is to become of it there, its directory must have a row by then.
            self.await_node(work, &comes)?;
            return Ok(false);
        }
        match within::within(&self.ctx, self.policy(item.folder), item)? {
            Within::Nothing => return Ok(true),
            Within::Found { items, are_all } => {
                for found in &items {
                    self.drop_found(found)?;
                }
                if !are_all {
                    self.make_ready_again(work);
                }
                return Ok(are_all);
            }
            Within::ComesIntoSight => self.bring_back(item, work)?,
            Within::ComesIntoCloud => self.revive(item, work)?,
            Within::Covered(child) => {
                self.lose(&child)?;
                self.make_ready_again(work);
            }
            Within::Awaits(child, ask) => {
                if let Some(ask) = ask {
                    self.ctx.store.mark(child.node, child.folder, Priority::Bulk, ask, None, self.ctx.now.wall)?;
                }
                self.await_node(work, &child)?;
            }
        }
        Ok(false)
    }

    /// Waits for a folder above an item that an event said is gone, if that one is asked about or its descendants are being told.
    pub(in crate::engine) fn await_gone_folder(&mut self, work: &WorkRow, item: &ItemRow) -> Result<bool> {
        match above::awaits(&self.ctx, &self.questions, item)? {
            None => return Ok(false),
            Some(Awaits::Folder(folder)) => self.await_node(work, &folder)?,
            Some(Awaits::Sweep) => self.await_sweep(item),
        }
        Ok(true)
    }

    /// Lets a file that went with its folder wait for the answer to an open question about a folder above it. Whether it waits.
    pub(in crate::engine) fn await_answer_above(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let asked = above::asked_from(&self.ctx, &self.questions, item.remote.parent)?;
        let Some((folder, theirs)) = asked else { return Ok(false) };
        if theirs.state == WorkState::Ready {
            self.await_node(work, &folder)?;
        } else {
            self.wait_quietly(work, ANSWER_AWAITED)?;
        }
        Ok(true)
    }

    /// A directory is not on disk, so neither is what was in it: that is found out item by item. False if there is more to do.
    pub(in crate::engine) fn unseat_children(&mut self, item: &ItemRow) -> Result<bool> {
        if !item.id.is_folder() {
            return Ok(true);
        }
        for _ in 0..ITEMS_PER_STEP {
            let Some(child) = self.ctx.store.seated_in(item.node)? else { return Ok(true) };
            let Some(child) = self.ctx.store.item(child)? else { return Ok(true) };
            self.ctx.gone_through += 1;
            // What something else stands in the place of was not deleted.
            let is_covered = matches!(child.local, Some(LocalRow::Covered { .. }));
            if self.policy(item.folder).sends() && !is_covered {
                self.missing(&child)?;
            } else {
                self.lose(&child)?;
            }
        }
        self.schedule.unqueue(item.node);
        self.schedule.make_ready(item.node, Priority::Bulk);
        Ok(false)
    }

    /// An item is not where we had put it.
    pub(in crate::engine) fn lose(&mut self, item: &ItemRow) -> Result<()> {
        self.missing_on_disk(item)?;
        self.ctx.store.mark(item.node, item.folder, Priority::Bulk, Ask::Nothing, None, self.ctx.now.wall)
    }
}

/// What is told to what was in a folder that went, or is back.
impl Engine {
    /// Tells the descendants of folders what became of them, a few thousand rows at a time.
    pub(in crate::engine) fn sweep(&mut self) -> Result<()> {
        // Only in folders whose counts we keep: one that is not configured now goes on when it is.
        let mut next = None;
        for id in self.folders.keys().copied().collect::<Vec<_>>() {
            if self.let_stay(id)? {
                break;
            }
            next = self.next_sweep(id)?;
            if next.is_some() {
                break;
            }
        }
        if let Some((dir, presence)) = next {
            self.tell_children(dir, presence)?;
        }
        self.release_awaiting_stream();
        self.release_awaiting_sweep()
    }

    /// Tells the next children of a folder what became of it.
    fn tell_children(&mut self, dir: NodeId, presence: Presence) -> Result<()> {
        let children = self.ctx.store.remote_children(dir, self.sweep.after(dir), ROWS_PER_STEP)?;
        let full = children.len() == ROWS_PER_STEP as usize;
        self.sweep.reached(dir, children.last().map(|last| last.node));
        let asked = self.ctx.store.generation();
        let is_back = presence == Presence::Present;
        let way = if is_back { above::way_up(&self.ctx, dir)? } else { BTreeSet::new() };
        for child in children {
            match sweep::fate(presence, child.remote.presence, child.id.is_folder()) {
                Fate::Unchanged => {}
                Fate::Gone => self.gone(&child, presence, Source::Listing(Priority::Bulk, asked))?,
                Fate::Listed => {
                    // Descriptions of different moments can put folders into one another: each is told once.
                    if way.contains(&child.node) && self.ctx.store.listing_wanted(child.node)? {
                        continue;
                    }
                    self.ctx.store.want_listing(child.node, child.folder)?;
                    self.ctx.store.deepen_listing(child.node)?;
                    self.ctx.store.want_sweep(child.node, child.folder, presence)?;
                }
                Fate::Asked => {
                    let now = self.ctx.now.wall;
                    self.ctx.store.mark(child.node, child.folder, Priority::Bulk, Ask::State, None, now)?;
                }
            }
        }
        if !full {
            self.ctx.store.swept(dir)?;
            // The next sweep of the same folder begins at its first child again.
            self.sweep.end();
        }
        self.ctx.more = true;
        Ok(())
    }

    /// Directories go on that waited for the end of the stream.
    fn release_awaiting_stream(&mut self) {
        let waiting = self.folders.iter().filter(|(_, folder)| !folder.after_stream.is_empty());
        for id in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
            if self.reads_on(id) {
                continue;
            }
            let Some(folder) = self.folders.get_mut(&id) else { continue };
            for node in std::mem::take(&mut folder.after_stream) {
                if self.schedule.phase(node) == Some(Phase::AwaitStream) {
                    self.schedule.make_ready(node, Priority::News);
                }
            }
        }
    }

    /// Those go on that waited until everything was told. A folder that came back takes its sweep with it, so they are not only looked for
    /// after one ended.
    fn release_awaiting_sweep(&mut self) -> Result<()> {
        let waiting: Vec<FolderId> =
            self.folders.iter().filter(|(_, folder)| !folder.after_sweep.is_empty()).map(|(id, _)| *id).collect();
        for id in waiting {
            if self.ctx.store.sweep_left(id)? || self.reads_on(id) {
                continue;
            }
            let Some(folder) = self.folders.get_mut(&id) else { continue };
            for node in std::mem::take(&mut folder.after_sweep) {
                if self.schedule.phase(node) == Some(Phase::AwaitSweep) {
                    self.schedule.make_ready(node, Priority::News);
                }
            }
        }
        Ok(())
    }

    /// The stream tells that a folder came back from the trash. Of what happened to its items while it was there, no event tells.
    ///
    /// Example: `d` goes to the trash, we delete a file in it, which is accepted, and `d` comes back before anything of that was observed:
    /// the file is there again.
    pub(in crate::engine) fn told_restored(&mut self, node: NodeId) -> Result<()> {
        let Some(item) = self.ctx.store.item(node)? else { return Ok(()) };
        if item.id.is_folder() && item.remote.presence == Presence::Present {
            remote::ask_below(&mut self.ctx, &item)?;
        }
        Ok(())
    }
}
