//! What is in a folder that goes: what the stream says of it, who has to leave it first, and who is not there with it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::remote::Source;
use crate::engine::{Engine, ITEMS_PER_STEP, Phase, ROWS_PER_STEP};
use crate::id::{FolderId, ItemKind, NodeId};
use crate::plan::Action;
use crate::store::expected::Told;
use crate::store::items::{ItemRow, Presence, SeatRow};
use crate::store::work::{Ask, Lane, WorkRow, WorkState};
use crate::store::{DEEPEST_PATH, Result};

/// Folders above an item that are looked through.
const ABOVE_MOST: usize = 64;
/// How long a file waits for the answer to a question about a folder above it that is asked again later.
const ANSWER_AWAITED: Duration = Duration::from_secs(1);

/// Who has to leave a directory before it can be let go.
enum AtHome {
    /// Nobody.
    Nobody,
    /// Somebody who has to be told so first.
    Somebody(Box<ItemRow>),
    /// As far as one step can see only those whom the next one forgets.
    NotYetKnown,
}

impl Engine {
    /// Lets a directory wait until nothing of ours is in it. True if nothing is.
    pub(in crate::engine) fn vacate(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if let Some(comes) = self.comes_into(item).map(|comes| self.ctx.store.item(comes)).transpose()?.flatten() {
            // Whatever is to become of it there, it must find its directory in the books.
            self.await_node(work, &comes)?;
            return Ok(false);
        }
        let child = if self.policy(item.folder).sends() && item.remote.presence == Presence::FilteredOut {
            match self.first_at_home(item)? {
                AtHome::Nobody => None,
                AtHome::Somebody(child) => Some(*child),
                AtHome::NotYetKnown => {
                    self.make_ready_again(work);
                    return Ok(false);
                }
            }
        } else {
            self.ctx.store.seated_in(item.node)?.map(|child| self.ctx.store.item(child)).transpose()?.flatten()
        };
        let Some(child) = child else { return Ok(true) };
        let stays = child.is_local_only() || matches!(self.plan_of(&child), Action::Revive | Action::MoveRemote { .. });
        if stays && self.policy(item.folder).sends() && item.remote.presence == Presence::Absent {
            // Somebody put something into it: it comes back into the cloud with that, and into sight before.
            if matches!(item.disk_seat(), Some(SeatRow::Parked(_))) {
                self.bring_back(item, work)?;
            } else {
                self.revive(item, work)?;
            }
            return Ok(false);
        }
        if matches!(item.disk_seat(), Some(SeatRow::Parked(_))) && self.is_unread_below(&child)? {
            self.bring_back(item, work)?;
            return Ok(false);
        }
        if self.ctx.store.work(child.node)?.is_none() {
            // One that believes to be where it should be, in a folder that is gone, is asked about.
            let ask = if self.plan_of(&child) == Action::Settle { Ask::State } else { Ask::Nothing };
            self.ctx.store.mark(child.node, child.folder, Lane::Bulk, ask, None, self.ctx.now.wall)?;
        }
        self.await_node(work, &child)?;
        Ok(false)
    }

    /// Whether something in a directory that goes cannot go before it was read, or is itself such a file. Only what is in sight is read: out
    /// of sight both would wait for ever.
    ///
    /// Example: `a/f` was just edited when `a` made room for another folder, out of sight; then the cloud trashed `a`.
    fn is_unread_below(&self, child: &ItemRow) -> Result<bool> {
        let mut at = child.clone();
        for _ in 0..DEEPEST_PATH {
            match self.plan_of(&at) {
                Action::Read => return Ok(true),
                Action::Remove(ItemKind::Folder) => {}
                _ => return Ok(false),
            }
            let first = self.ctx.store.seated_in(at.node)?.map(|node| self.ctx.store.item(node)).transpose()?.flatten();
            let Some(first) = first else { return Ok(false) };
            at = first;
        }
        Ok(false)
    }

    /// Who sits in a directory that is to be let go and has to be told so first. If only those are left whom a local hand put there, the
    /// books forget that they are there: what the directory holds is met again under whatever it is from now on.
    fn first_at_home(&mut self, dir: &ItemRow) -> Result<AtHome> {
        let is_stray = |engine: &Self, child: &ItemRow| {
            child.is_local_only() || matches!(engine.plan_of(child), Action::MoveRemote { .. })
        };
        if let Some(agreed) = self.ctx.store.agreed_in(dir.node)?
            && !is_stray(self, &agreed)
        {
            return Ok(AtHome::Somebody(Box::new(agreed)));
        }
        let children = self.ctx.store.seated_children(dir.node, None, ROWS_PER_STEP)?;
        let at_home = children.iter().find(|child| !is_stray(self, child));
        if let Some(at_home) = at_home {
            return Ok(AtHome::Somebody(Box::new(at_home.clone())));
        }
        for child in &children {
            self.drop_found(child)?;
        }
        Ok(if children.len() == ROWS_PER_STEP as usize { AtHome::NotYetKnown } else { AtHome::Nobody })
    }

    /// Whether an item that an event said is gone needs no look of its own, as a folder above it is observed to be gone. While that folder's
    /// state is being asked for, the item waits: a folder's event may be followed by one for each descendant.
    ///
    /// Example: `rm -r a` tells of `a`, `a/1` and `a/2`; one look at `a` answers for all three. One that was told to have moved is looked at.
    pub(in crate::engine) fn goes_with_gone_folder(&mut self, item: &ItemRow) -> Result<bool> {
        if !self.questions.expected(item.node).is_some_and(|expected| expected.told == Told::Gone) {
            return Ok(false);
        }
        let mut at = item.remote.parent;
        for _ in 0..ABOVE_MOST {
            let Some(above) = at.map(|node| self.ctx.store.item(node)).transpose()?.flatten() else { return Ok(false) };
            if above.remote.presence == Presence::Absent && self.ctx.store.is_tree_held(above.node)? {
                // It is told when somebody has decided about that one.
                return Ok(true);
            }
            if above.remote.presence == Presence::Absent && !self.ctx.store.sweep_left(item.folder)? {
                return Ok(item.remote.presence == Presence::Absent);
            }
            at = above.remote.parent;
        }
        Ok(false)
    }

    /// Whether folders lie in one another, the given one among them, as descriptions of different moments can say: none of them is where we
    /// take it to be.
    ///
    /// Example: `a` moves into `b`, `b` goes to the trash, and the last that was observed of `b` is that it was in `a`.
    pub(in crate::engine) fn lies_in_itself(&self, item: &ItemRow) -> Result<bool> {
        let mut at = item.remote.parent;
        for _ in 0..ABOVE_MOST {
            let Some(above) = at.map(|node| self.ctx.store.item(node)).transpose()?.flatten() else { return Ok(false) };
            if above.node == item.node {
                return Ok(true);
            }
            at = above.remote.parent;
        }
        Ok(false)
    }

    /// Waits for a folder above an item that an event said is gone, if that one is asked about or its descendants are being told.
    pub(in crate::engine) fn await_gone_folder(&mut self, work: &WorkRow, item: &ItemRow) -> Result<bool> {
        if !self.questions.expected(item.node).is_some_and(|expected| expected.told == Told::Gone) {
            return Ok(false);
        }
        let mut at = item.remote.parent;
        for _ in 0..ABOVE_MOST {
            let Some(above) = at.map(|node| self.ctx.store.item(node)).transpose()?.flatten() else { return Ok(false) };
            let is_asked = self.questions.expected(above.node).is_some_and(|expected| expected.told == Told::Gone)
                && self
                    .ctx
                    .store
                    .work(above.node)?
                    .is_some_and(|work| work.mark.is_some() && work.state == WorkState::Ready);
            if is_asked && above.node != item.node {
                self.await_node(work, &above)?;
                return Ok(true);
            }
            if above.remote.presence == Presence::Absent && self.ctx.store.sweep_left(item.folder)? {
                self.await_sweep(item);
                return Ok(true);
            }
            at = above.remote.parent;
        }
        Ok(false)
    }

    /// A folder from the given one on upwards that is observed to be gone with the one above it, and about which a question is open: it may
    /// have left that one before.
    ///
    /// Example: `a/b` moves to `c/b`, then `a` goes to the trash. Until `b` is looked at, the files in it are not known to be gone.
    pub(in crate::engine) fn asked_above(&self, from: Option<NodeId>) -> Result<Option<(ItemRow, WorkRow)>> {
        let mut at = from;
        for _ in 0..ABOVE_MOST {
            let Some(above) = at.map(|node| self.ctx.store.item(node)).transpose()?.flatten() else { return Ok(None) };
            if above.remote.presence != Presence::Absent {
                return Ok(None);
            }
            let is_told_gone = self.questions.expected(above.node).is_some_and(|expected| expected.told == Told::Gone);
            if let Some(work) = self.ctx.store.work(above.node)?
                && work.mark.is_some()
                && !is_told_gone
            {
                return Ok(Some((above, work)));
            }
            at = above.remote.parent;
        }
        Ok(None)
    }

    /// Lets a file that went with its folder wait for the answer to an open question about a folder above it. Whether it waits.
    pub(in crate::engine) fn await_answer_above(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let Some((above, theirs)) = self.asked_above(item.remote.parent)? else { return Ok(false) };
        if theirs.state == WorkState::Ready {
            self.await_node(work, &above)?;
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
            if self.policy(item.folder).sends() {
                self.missing(&child)?;
            } else {
                self.lose(&child)?;
            }
        }
        self.schedule.unqueue(item.node);
        self.schedule.make_ready(item.node, Lane::Bulk);
        Ok(false)
    }
}

/// What becomes of what was in a folder that went, or is back.
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
        if let Some((node, presence)) = next {
            let after = self.sweep_at.filter(|(at, _)| *at == node).map_or(NodeId(0), |(_, after)| after);
            let children = self.ctx.store.remote_children(node, after, ROWS_PER_STEP)?;
            let full = children.len() == ROWS_PER_STEP as usize;
            self.sweep_at = children.last().map(|last| (node, last.node));
            let asked = self.ctx.store.generation();
            let above = if presence == Presence::Present { self.remote_above(node)? } else { BTreeSet::new() };
            for child in children {
                match (child.remote.presence, presence) {
                    // It was away, and nobody told what became of what it holds.
                    (Presence::Present, Presence::Present) if child.id.is_folder() => {
                        // Descriptions of different moments can put folders into one another: each is told once.
                        if above.contains(&child.node) && self.ctx.store.listing_wanted(child.node)? {
                            continue;
                        }
                        self.ctx.store.want_listing(child.node, child.folder)?;
                        self.ctx.store.deepen_listing(child.node)?;
                        self.ctx.store.want_sweep(child.node, child.folder, presence)?;
                    }
                    (Presence::Present, Presence::Absent | Presence::FilteredOut) => {
                        self.gone(&child, presence, Source::Listing(Lane::Bulk, asked))?;
                    }
                    // It went with its folder, and that is back: whether it is gone is not known any more.
                    (Presence::Absent, Presence::Present) => {
                        self.ctx.store.mark(
                            child.node,
                            child.folder,
                            Lane::Bulk,
                            Ask::State,
                            None,
                            self.ctx.now.wall,
                        )?;
                    }
                    _ => {}
                }
            }
            if !full {
                self.sweep_at = None;
                self.ctx.store.swept(node)?;
                // The next sweep of the same folder begins at its first child again.
                self.sweep_at = None;
            }
            self.ctx.more = true;
        }
        // A folder that came back takes its sweep with it, so those that wait are not only looked for after one ended.
        let waiting: Vec<FolderId> =
            self.folders.iter().filter(|(_, folder)| !folder.after_sweep.is_empty()).map(|(id, _)| *id).collect();
        for id in waiting {
            if self.ctx.store.sweep_left(id)? || self.reads_on(id) {
                continue;
            }
            let Some(folder) = self.folders.get_mut(&id) else { continue };
            for node in std::mem::take(&mut folder.after_sweep) {
                if self.schedule.phase(node) == Some(Phase::AwaitSweep) {
                    self.schedule.make_ready(node, Lane::News);
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
            self.ctx.store.want_listing_now(node, item.folder)?;
            self.ctx.store.want_sweep(node, item.folder, Presence::Present)?;
            self.ctx.more = true;
        }
        Ok(())
    }

    /// An item and the folders above it in the cloud's tree.
    fn remote_above(&self, node: NodeId) -> Result<BTreeSet<NodeId>> {
        let (mut above, mut at) = (BTreeSet::new(), Some(node));
        while let Some(step) = at.filter(|step| above.len() < DEEPEST_PATH && !above.contains(step)) {
            above.insert(step);
            at = self.ctx.store.item(step)?.and_then(|row| row.remote.parent);
        }
        Ok(above)
    }
}
