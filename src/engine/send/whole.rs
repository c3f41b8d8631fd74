//! A folder that the disk lost with everything in it goes into the cloud's trash as a whole: by one call, however much is in it.

#[allow(clippy::wildcard_imports, reason = "a second file of its parent, with the same words")]
use super::*;
use crate::engine::ROWS_PER_STEP;
use crate::store::work::WorkState;

/// Items of one folder that are looked through; a larger one goes in parts.
const WHOLE_MOST: usize = 10_000;
/// How long a folder waits for what is still to be heard of it.
const NEWS_AWAITED: Duration = Duration::from_secs(1);

/// How a folder goes into the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Going {
    /// As a whole, once the stream was read to its end by a poll that began after this many.
    Whole(u64),
    /// What is in it goes one by one.
    InParts,
}

/// Whether a folder can go as a whole.
#[derive(Debug, PartialEq, Eq)]
enum Whole {
    Yes,
    /// Something is still to be heard.
    NotYet,
    No,
}

impl Engine {
    /// Whether something that is to go into the trash goes with a folder above it. It waits for that one then.
    pub(in crate::engine) fn goes_with_its_folder(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let mut top = None;
        let mut at = item.remote.parent;
        for _ in 0..DEEPEST_PATH {
            let Some(above) = at.map(|node| self.store.item(node)).transpose()?.flatten() else { break };
            if above.remote.presence != Presence::Present || !matches!(self.plan_of(&above), Action::Trash(_)) {
                break;
            }
            at = above.remote.parent;
            if self.going.get(&above.node) != Some(&Going::InParts) {
                top = Some(above);
            }
        }
        if let Some(top) = &top {
            self.await_node(work, top)?;
        }
        Ok(top.is_some())
    }

    /// Whether a folder that is not empty goes as a whole. If that is not known yet, it waits.
    pub(in crate::engine) fn goes_as_a_whole(&mut self, item: &ItemRow, work: &WorkRow) -> Result<Option<bool>> {
        if self.going.get(&item.node) == Some(&Going::InParts) {
            return Ok(Some(false));
        }
        match self.wholeness(item, work)? {
            Whole::Yes => Ok(Some(true)),
            Whole::NotYet => {
                self.wait_quietly(work, NEWS_AWAITED)?;
                Ok(None)
            }
            Whole::No => {
                self.going.insert(item.node, Going::InParts);
                self.wake_waiters(item.node);
                Ok(Some(false))
            }
        }
    }

    /// Whether a folder whose turn has come may still be sent into the trash with what is in it.
    pub(in crate::engine) fn is_still_whole(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if self.store.remote_child(item.node)?.is_none() {
            return Ok(!self.store.listing_wanted(item.node)?);
        }
        Ok(self.wholeness(item, work)? == Whole::Yes)
    }

    /// Whether a folder in which we know of nothing holds nothing: one that is still to be listed may. It waits for that then.
    pub(in crate::engine) fn is_surely_empty(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let is_listed = !self.store.listing_wanted(item.node)?;
        if !is_listed {
            self.wait_quietly(work, NEWS_AWAITED)?;
        }
        Ok(is_listed)
    }

    fn wholeness(&mut self, item: &ItemRow, work: &WorkRow) -> Result<Whole> {
        // One that was refused as a whole may hold a single thing that nobody may delete.
        if work.attempts > 0 {
            return Ok(Whole::No);
        }
        let (mut todo, mut seen, mut asks) = (vec![item.node], 0, false);
        while let Some(folder) = todo.pop() {
            if self.store.listing_wanted(folder)? {
                return Ok(Whole::NotYet);
            }
            let mut after = NodeId(0);
            loop {
                let children = self.store.remote_children(folder, after, ROWS_PER_STEP)?;
                let Some(last) = children.last() else { break };
                after = last.node;
                seen += children.len();
                if seen > WHOLE_MOST {
                    return Ok(Whole::No);
                }
                for child in children.iter().filter(|child| child.remote.presence != Presence::Absent) {
                    if !matches!(self.plan_of(child), Action::Trash(_)) {
                        return Ok(Whole::No);
                    }
                    let theirs = self.store.work(child.node)?;
                    if theirs.as_ref().is_some_and(|theirs| theirs.state == WorkState::Held || theirs.attempts > 0) {
                        return Ok(Whole::No);
                    }
                    if theirs.as_ref().is_some_and(|theirs| theirs.look > 0)
                        || self.store.sent_of(child.node)?.is_some()
                        || self.may_turn_up(child)?
                    {
                        return Ok(Whole::NotYet);
                    }
                    if child.id.is_folder() {
                        todo.push(child.node);
                    } else {
                        asks |= !theirs.is_some_and(|theirs| theirs.approved);
                    }
                }
            }
        }
        if asks && self.asks_before_trash(item.folder)? {
            return Ok(Whole::No);
        }
        self.heard_all(item)
    }

    /// A folder has no tag that tells of changes in it, so the stream is read to its end just before.
    fn heard_all(&mut self, item: &ItemRow) -> Result<Whole> {
        let id = self.folders.get(&item.folder).map(|folder| folder.account);
        let Some(account) = id.and_then(|id| self.accounts.get_mut(&id)) else { return Ok(Whole::NotYet) };
        match self.going.get(&item.node) {
            Some(Going::Whole(polls)) if account.drained > *polls => Ok(Whole::Yes),
            Some(Going::Whole(polls)) => {
                if account.polls_begun == *polls {
                    // One was under way when the wish was made, and its end set the interval anew.
                    account.poll_now();
                    self.more = true;
                }
                Ok(Whole::NotYet)
            }
            Some(Going::InParts) => Ok(Whole::No),
            None => {
                self.going.insert(item.node, Going::Whole(account.polls_begun));
                account.poll_now();
                self.more = true;
                Ok(Whole::NotYet)
            }
        }
    }
}
