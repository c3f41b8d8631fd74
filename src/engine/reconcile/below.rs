//! What is in a folder that goes: what the stream says of it, who has to leave it first, and who is not there with it.

#[allow(clippy::wildcard_imports, reason = "a part of its parent, with the same words")]
use super::*;

/// Folders above an item that are looked through.
const ABOVE_MOST: usize = 64;

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
    /// Whether nobody sits in a directory any more. If somebody does, waits for him to go.
    pub(in crate::engine) fn is_vacated(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
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
        if self.ctx.store.work(child.node)?.is_none() {
            // One that believes to be where it should be, in a folder that is gone, is asked about.
            let ask = if self.plan_of(&child) == Action::Settle { Ask::State } else { Ask::Nothing };
            self.ctx.store.mark(child.node, child.folder, Lane::Bulk, ask, None, self.ctx.now.wall)?;
        }
        self.await_node(work, &child)?;
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
        if !self.questions.expected(item.node).is_some_and(|expected| expected.gone) {
            return Ok(false);
        }
        let mut at = item.remote.parent;
        for _ in 0..ABOVE_MOST {
            let Some(above) = at.map(|node| self.ctx.store.item(node)).transpose()?.flatten() else { return Ok(false) };
            if above.remote.presence == Presence::Absent && !self.ctx.store.sweep_left(item.folder)? {
                return Ok(item.remote.presence == Presence::Absent);
            }
            at = above.remote.parent;
        }
        Ok(false)
    }

    /// Waits for a folder above an item that an event said is gone, if that one is asked about or its descendants are being told.
    pub(in crate::engine) fn waits_for_gone_folder(&mut self, work: &WorkRow, item: &ItemRow) -> Result<bool> {
        if !self.questions.expected(item.node).is_some_and(|expected| expected.gone) {
            return Ok(false);
        }
        let mut at = item.remote.parent;
        for _ in 0..ABOVE_MOST {
            let Some(above) = at.map(|node| self.ctx.store.item(node)).transpose()?.flatten() else { return Ok(false) };
            let is_asked = self.questions.expected(above.node).is_some_and(|expected| expected.gone)
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
