//! A folder that the disk lost with everything in it goes into the cloud's trash as a whole: by one call, however much is in it.

use crate::engine::Engine;
use crate::engine::schedule::FolderTrash;
use crate::plan::Action;
use crate::store::items::{ItemRow, Presence};
use crate::store::work::WorkRow;
use crate::store::work::WorkState;
use crate::store::{DEEPEST_PATH, Result};
use std::time::Duration;

/// Items of one folder that are looked through; a larger one goes in parts.
const WHOLE_MOST: usize = 10_000;
/// Items of one folder that are read because the database alone cannot tell that they go with it; one with more goes in parts.
const DOUBTFUL_MOST: usize = 2_000;
/// How long a folder waits for what is still to be heard of it.
const NEWS_AWAITED: Duration = Duration::from_secs(1);

/// Whether a folder can go as a whole.
#[derive(Debug, PartialEq, Eq)]
enum Whole {
    Yes,
    /// Something is still to be heard.
    NotYet,
    No,
}

impl Engine {
    /// Leaves something that is to go into the trash to a folder above it that goes as well, and waits for that one. Whether it does.
    pub(in crate::engine) fn leave_to_its_folder(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let mut top = None;
        let mut at = item.remote.parent;
        for _ in 0..DEEPEST_PATH {
            let Some(above) = at.map(|node| self.ctx.store.item(node)).transpose()?.flatten() else { break };
            if above.remote.presence != Presence::Present || !matches!(self.plan_of(&above), Action::Trash(_)) {
                break;
            }
            at = above.remote.parent;
            if self.schedule.trash(above.node) != Some(FolderTrash::InParts) {
                top = Some(above);
            }
        }
        if let Some(top) = &top {
            self.await_node(work, top)?;
        }
        Ok(top.is_some())
    }

    /// Decides whether a folder that is not empty goes as a whole. Nothing if that is not known yet: it waits.
    pub(in crate::engine) fn decide_whole(&mut self, item: &ItemRow, work: &WorkRow) -> Result<Option<bool>> {
        if self.schedule.trash(item.node) == Some(FolderTrash::InParts) {
            return Ok(Some(false));
        }
        match self.wholeness(item, work)? {
            Whole::Yes => Ok(Some(true)),
            Whole::NotYet => {
                let wait = if self.ctx.store.any_parked(item.folder)? { self.hope_awaited(item) } else { NEWS_AWAITED };
                self.wait_quietly(work, wait.max(NEWS_AWAITED))?;
                Ok(None)
            }
            Whole::No => {
                self.schedule.set_trash(item.node, Some(FolderTrash::InParts));
                self.schedule.wake_waiters(item.node);
                Ok(Some(false))
            }
        }
    }

    /// Whether a folder whose turn has come may still be sent into the trash with what is in it.
    pub(in crate::engine) fn is_still_whole(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if self.ctx.store.remote_child(item.node)?.is_none() {
            return Ok(!self.ctx.store.listing_wanted(item.node)?);
        }
        Ok(self.wholeness(item, work)? == Whole::Yes)
    }

    /// Lets a folder in which we know of nothing wait until it was listed, as it may hold something. True if it was.
    pub(in crate::engine) fn make_sure_it_is_empty(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let is_listed = !self.ctx.store.listing_wanted(item.node)?;
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
        if self.ctx.store.listing_wanted(item.node)? {
            return Ok(Whole::NotYet);
        }
        let hopes = self.hopes(item.folder)?;
        let below = self.ctx.store.below(item.node, WHOLE_MOST, hopes)?;
        self.ctx.gone_through += below.items;
        if below.items > WHOLE_MOST {
            return Ok(Whole::No);
        }
        if below.doubtful > 0 {
            for child in self.ctx.store.doubtful_below(item.node, WHOLE_MOST, hopes, DOUBTFUL_MOST)? {
                match self.goes_too(&child)? {
                    Whole::Yes => {}
                    other => return Ok(other),
                }
            }
            if below.doubtful > DOUBTFUL_MOST {
                return Ok(Whole::No);
            }
        }
        if below.unapproved && self.asks_before_trash(item.folder)? {
            return Ok(Whole::No);
        }
        self.hear_all(item)
    }

    /// Whether something goes with the folder that holds it, where the database alone cannot tell.
    fn goes_too(&mut self, child: &ItemRow) -> Result<Whole> {
        if self.ctx.store.sent_of(child.node)?.is_some() {
            // What it is to become is known when that write is answered. Example: we make `d/e`, its event comes before the answer, and `d` is
            // removed meanwhile: `e` is not somebody else's.
            return Ok(Whole::NotYet);
        }
        if !matches!(self.plan_of(child), Action::Trash(_)) {
            return Ok(Whole::No);
        }
        let work = self.ctx.store.work(child.node)?;
        if work.as_ref().is_some_and(|work| work.state == WorkState::Held || work.attempts > 0) {
            return Ok(Whole::No);
        }
        let is_awaited = work.is_some_and(|work| work.mark.is_some())
            || self.may_turn_up(child)?
            || self.ctx.store.listing_wanted(child.node)?;
        Ok(if is_awaited { Whole::NotYet } else { Whole::Yes })
    }

    /// Has the stream read to its end: a folder has no tag that tells of changes in it.
    fn hear_all(&mut self, item: &ItemRow) -> Result<Whole> {
        let id = self.folders.get(&item.folder).map(|folder| folder.account);
        let Some(account) = id.and_then(|id| self.accounts.get_mut(&id)) else { return Ok(Whole::NotYet) };
        match self.schedule.trash(item.node) {
            Some(FolderTrash::Whole(polls)) if account.drained > polls => Ok(Whole::Yes),
            Some(FolderTrash::Whole(polls)) => {
                if account.polls_begun == polls {
                    // One was under way when the wish was made, and its end set the interval anew.
                    account.poll_now();
                    self.ctx.more = true;
                }
                Ok(Whole::NotYet)
            }
            Some(FolderTrash::InParts) => Ok(Whole::No),
            None => {
                self.schedule.set_trash(item.node, Some(FolderTrash::Whole(account.polls_begun)));
                account.poll_now();
                self.ctx.more = true;
                Ok(Whole::NotYet)
            }
        }
    }
}
