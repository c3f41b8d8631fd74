//! Items that wait: for one another, for what is told of their folders, and for another try.

use std::time::Duration;

use crate::engine::codes::NETWORK;
use crate::engine::disk::Want;
use crate::engine::effect::Notice;
use crate::engine::turns::{self, ATTEMPTS_COUNTED, Opening, WAIT_AGAIN, WAITS, Waits};
use crate::engine::{Engine, Phase, millis};
use crate::events::interval::{UNREACHED_COUNTED, backoff};
use crate::id::NodeId;
use crate::store::Result;
use crate::store::items::{ItemRow, Presence};
use crate::store::work::WorkRow;

impl Engine {
    /// An item waits until what is below the folders that went is told so.
    pub(in crate::engine) fn await_sweep(&mut self, item: &ItemRow) {
        self.schedule.set_phase(item.node, Phase::AwaitSweep);
        if let Some(folder) = self.folders.get_mut(&item.folder) {
            folder.after_sweep.push(item.node);
        }
    }

    /// A directory waits until the stream was read to its end. What is in it is not told before.
    pub(in crate::engine) fn await_stream(&mut self, item: &ItemRow) {
        self.schedule.set_phase(item.node, Phase::AwaitStream);
        if let Some(folder) = self.folders.get_mut(&item.folder) {
            folder.after_stream.push(item.node);
        }
    }

    /// Lets an item wait that is to come into a directory which is gone from the cloud, until what is in that was told so: it may be gone as
    /// well, and what comes into a directory out of sight is removed there without being counted. Whether it waits.
    ///
    /// Example: `a/f` is fetched, `a` goes to the trash and out of sight, and `f` is not told yet.
    pub(in crate::engine) fn await_gone_directory(&mut self, item: &ItemRow, dir: &ItemRow) -> Result<bool> {
        let waits = dir.remote.presence == Presence::Absent && self.ctx.store.sweep_left(item.folder)?;
        if waits {
            self.await_sweep(item);
        }
        Ok(waits)
    }

    /// An item waits until another one has moved on.
    pub(in crate::engine) fn await_node(&mut self, work: &WorkRow, other: &ItemRow) -> Result<()> {
        match turns::waits_for(&mut self.ctx, work, other)? {
            Waits::ForItsTurn => self.schedule.await_node(work.node, other.node),
            Waits::Later(code, text) => {
                self.put_off(work, WAIT_AGAIN, code, &text)?;
                if turns::waits_for_refused(&self.ctx, &self.schedule, other.node)? {
                    // What was fetched would lie there for as long as that problem.
                    self.drop_staged(work.folder, work.node);
                }
                self.schedule.note_waits_for(work.node, other.node);
            }
            Waits::Held => {
                self.drop_staged(work.folder, work.node);
                self.ctx.store.hold_work(work.node)?;
                self.rest(work.node);
                return Ok(());
            }
        }
        self.break_circle(work)
    }

    /// Items that wait for one another in a circle would wait for ever: one of them that is on disk and is to move steps aside.
    pub(in crate::engine) fn break_circle(&mut self, work: &WorkRow) -> Result<()> {
        match turns::opening(&self.ctx, &self.schedule, self.policy(work.folder), work.node)? {
            Opening::Needless => Ok(()),
            Opening::StepsAside(node) => {
                self.ctx.store.unwait(node)?;
                self.schedule.step_aside_remotely(node);
                Ok(())
            }
            Opening::Parks(parks) => self.want(&parks.0, &parks.1, Want::Park),
            Opening::Later => self.put_off(work, WAIT_AGAIN, WAITS, "waits for items that wait for it"),
        }
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

    /// An item of the working set is considered anew, if nothing is under way for it.
    pub(in crate::engine) fn wake_item(&mut self, node: NodeId) -> Result<()> {
        if !self.schedule.is_busy(node)
            && let Some(work) = self.ctx.store.work(node)?
        {
            self.ctx.store.unwait(node)?;
            self.schedule.unqueue(node);
            self.schedule.make_ready(node, work.priority);
        }
        Ok(())
    }
}
