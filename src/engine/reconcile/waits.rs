//! Items that wait: for one another, in circles, and for another try.

use super::{ABOVE, ATTEMPTS_COUNTED, NAME_TAKEN, NETWORK, UNCLEAR_MOST, WAIT_AGAIN, WAITS};
use crate::engine::disk::Want;
use crate::engine::effect::Notice;
use crate::engine::send::is_aside_name;
use crate::engine::{Engine, Phase, millis};
use crate::events::interval::{UNREACHED_COUNTED, backoff};
use crate::id::NodeId;
use crate::path::Name;
use crate::plan::Action;
use crate::plan::order::Way;
use crate::plan::order::{self, Does, End, Facts, HOPS_MOST, Hop};
use crate::store::Result;
use crate::store::items::{ItemRow, Presence, SeatRow};
use crate::store::work::{Ask, WorkRow, WorkState};
use std::collections::BTreeSet;
use std::time::Duration;

impl Engine {
    /// The way of an item to a place whose directory is on disk, and what is first in it.
    pub(super) fn way(&self, item: &ItemRow, parent: NodeId, name: &Name) -> Result<(Way, Option<ItemRow>)> {
        let (mut path, mut first, mut end) = (Vec::new(), None, End::Open);
        let mut passed = BTreeSet::from([item.node]);
        let mut next = self.in_the_way(item.node, parent, name)?;
        while let Some(other) = next.take() {
            if other.node == item.node {
                end = End::Circle;
                break;
            }
            // A circle further on is opened by those that are in it.
            if path.len() >= HOPS_MOST || !passed.insert(other.node) {
                break;
            }
            let plan = self.plan_of(&other);
            let is_there = other.disk_seat().is_some();
            let facts = Facts {
                is_disks_own: other.is_local_only() || other.remote.presence == Presence::Absent,
                is_folder: other.id.is_folder(),
                sends: self.policy(other.folder).sends(),
            };
            let work = self.ctx.store.work(other.node)?;
            path.push(Hop {
                does: if is_there { Does::with(&plan, facts) } else { Does::Comes },
                is_busy: self.schedule.is_busy(other.node),
                is_ready: work.as_ref().is_none_or(|work| work.state == WorkState::Ready),
                may_park: work.is_some_and(|work| work.mark.is_none()),
            });
            if let Action::Move { parent, name } | Action::MakeFolder { parent, name } = &plan {
                next = self.in_the_way(other.node, *parent, name)?;
            }
            first.get_or_insert(other);
        }
        Ok((order::way(&path, end), first))
    }

    /// What stands in the way of an item to a place: the directory that is to hold it, if that is not on disk, or the item that is there.
    fn in_the_way(&self, node: NodeId, parent: NodeId, name: &Name) -> Result<Option<ItemRow>> {
        let Some(above) = self.ctx.store.item(parent)? else { return Ok(None) };
        if above.disk_seat().is_none() {
            return Ok(Some(above));
        }
        let there = self.ctx.store.seated_at(parent, name)?.filter(|there| *there != node);
        Ok(there.map(|there| self.ctx.store.item(there)).transpose()?.flatten())
    }

    /// The directory between an item and its new place below it that is to move as well.
    pub(in crate::engine) fn opens_circle(
        &self,
        between: &[NodeId],
        moves: impl Fn(&Action) -> bool,
    ) -> Result<Option<ItemRow>> {
        let mut known = Vec::new();
        for node in between {
            let item = self.ctx.store.item(*node)?;
            known.push((*node, item.is_some_and(|item| moves(&self.plan_of(&item)))));
        }
        Ok(order::opens_circle(&known).map(|node| self.ctx.store.item(node)).transpose()?.flatten())
    }

    pub(in crate::engine) fn await_sweep(&mut self, item: &ItemRow) {
        self.schedule.set_phase(item.node, Phase::AwaitSweep);
        if let Some(folder) = self.folders.get_mut(&item.folder) {
            folder.after_sweep.push(item.node);
        }
    }

    /// Lets an item wait that is to come into a directory which is gone from the cloud, until what is in that was told so: it may be gone as
    /// well, and what comes into a directory out of sight is removed there without being counted. Whether it waits.
    ///
    /// Example: `a/f` is fetched, `a` goes to the trash and out of sight, and `f` is not told yet.
    pub(super) fn await_gone_directory(&mut self, item: &ItemRow, dir: &ItemRow) -> Result<bool> {
        let waits = dir.remote.presence == Presence::Absent && self.ctx.store.sweep_left(item.folder)?;
        if waits {
            self.await_sweep(item);
        }
        Ok(waits)
    }

    /// An item waits until another one has moved on.
    pub(in crate::engine) fn await_node(&mut self, work: &WorkRow, other: &ItemRow) -> Result<()> {
        match self.ctx.store.work(other.node)?.map(|theirs| theirs.state) {
            None => {
                // Nothing was to be done there, as far as we knew; its plan is made again.
                self.ctx.store.mark(other.node, other.folder, work.lane, Ask::Nothing, None, self.ctx.now.wall)?;
            }
            Some(WorkState::Ready) => {}
            Some(WorkState::Waiting) => {
                match self.refused_above(other)? {
                    Some(why) => {
                        let path = self.ctx.shown_path(other)?;
                        let text = format!("it waits for the folder `{path}`, which has a problem: {why}");
                        self.put_off(work, WAIT_AGAIN, ABOVE, &text)?;
                    }
                    None => self.put_off(work, WAIT_AGAIN, WAITS, "waits for another item")?,
                }
                if self.waits_for_refused(other.node)? {
                    // What was fetched would lie there for as long as that problem.
                    self.drop_staged(work.folder, work.node);
                }
                self.schedule.note_waits_for(work.node, other.node);
                return self.break_circle(work);
            }
            Some(WorkState::Held) => {
                self.drop_staged(work.folder, work.node);
                // It is held with what it waits for; the decision frees both.
                self.ctx.store.hold_work(work.node)?;
                self.rest(work.node);
                return Ok(());
            }
        }
        self.schedule.await_node(work.node, other.node);
        self.break_circle(work)
    }

    /// Why a folder is not where its items could go, if that is a problem of its own and not a matter of turns.
    fn refused_above(&self, other: &ItemRow) -> Result<Option<String>> {
        if !other.id.is_folder() {
            return Ok(None);
        }
        let problem = self.ctx.store.work(other.node)?.and_then(|theirs| theirs.problem);
        Ok(problem.filter(|(code, _)| code != WAITS).map(|(_, text)| text))
    }

    /// Whether an item has a problem of its own, or waits for one that has: how long that lasts is no matter of turns. One that is looked at,
    /// as the cloud seems to have another one in its place, has none yet.
    fn waits_for_refused(&self, node: NodeId) -> Result<bool> {
        let mut at = Some(node);
        for _ in 0..HOPS_MOST {
            let Some(node) = at else { break };
            let Some(theirs) = self.ctx.store.work(node)? else { break };
            let next = self.schedule.stands_for(node);
            let is_refused = match theirs.problem.as_ref().map(|(code, _)| &**code) {
                None | Some(WAITS) => false,
                Some(ABOVE) => next.is_none(),
                Some(NAME_TAKEN) => theirs.attempts > UNCLEAR_MOST,
                Some(_) => true,
            };
            if is_refused {
                return Ok(true);
            }
            at = next;
        }
        Ok(false)
    }

    /// Items that wait for one another in a circle would wait for ever: one of them that is on disk and is to move steps aside.
    pub(in crate::engine) fn break_circle(&mut self, work: &WorkRow) -> Result<()> {
        let circle = self.schedule.circle(work.node);
        if circle.is_empty() {
            return Ok(());
        }
        for node in circle {
            let (Some(theirs), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else { continue };
            let waits = match theirs.state {
                WorkState::Ready => true,
                WorkState::Waiting => theirs.problem.as_ref().is_some_and(|(code, _)| code == WAITS || code == ABOVE),
                WorkState::Held => false,
            };
            // Once is enough: what still waits when it stands aside waits for something else than its place.
            let stands_aside = is_aside_name(&item.remote.name);
            if waits && !stands_aside && matches!(self.plan_of(&item), Action::MoveRemote { .. }) {
                self.ctx.store.unwait(node)?;
                self.schedule.step_aside_remotely(node);
                return Ok(());
            }
            let is_seated = matches!(item.disk_seat(), Some(SeatRow::At { .. }));
            if is_seated && waits && matches!(self.plan_of(&item), Action::Move { .. }) {
                return self.want(&item, &theirs, Want::Park);
            }
        }
        self.put_off(work, WAIT_AGAIN, WAITS, "waits for items that wait for it")
    }

    /// An item is tried again later, by itself and not for a failure of its own.
    pub(in crate::engine) fn put_off(&mut self, work: &WorkRow, wait: Duration, code: &str, text: &str) -> Result<()> {
        let due = self.ctx.now.wall.plus_ms(millis(wait) as i64);
        self.ctx.store.put_off(work.node, due, work.attempts, Some((code, text)))?;
        self.rest(work.node);
        Ok(())
    }

    /// An item failed: it has a problem now, and is tried again after a growing wait.
    pub(in crate::engine) fn item_failed(
        &mut self,
        node: NodeId,
        code: &str,
        text: &str,
        asked: Option<Duration>,
    ) -> Result<()> {
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        let attempts = work.attempts + 1;
        let most = if code == NETWORK { UNREACHED_COUNTED } else { ATTEMPTS_COUNTED };
        let wait = backoff(attempts.min(most), asked, self.ctx.chance.next());
        let due = self.ctx.now.wall.plus_ms(millis(wait) as i64);
        self.ctx.store.put_off(node, due, attempts, Some((code, text)))?;
        let path = self.ctx.shown_path(&item)?;
        self.problem_happened(&item, &work, &path, code, text)?;
        let (folder, code, text) = (item.folder, code.to_owned(), text.to_owned());
        self.ctx.notice(Notice::Problem { folder, path, code, text });
        self.rest(node);
        Ok(())
    }
}
