//! Changes of the cloud: what each waits for is asked of those who know, and what is decided is handed out.

use crate::engine::Engine;
use crate::engine::schedule::FolderTrash;
use crate::engine::send::whole::{self, Contents, Heard, Inside, NEWS_AWAITED, Stream, Whole};
use crate::store::Result;
use crate::store::items::ItemRow;
use crate::store::work::WorkRow;

/// Folders that go into the trash as a whole.
impl Engine {
    /// Leaves something that is to go into the trash to a folder above it that goes as well, and waits for that one. Whether it does.
    pub(in crate::engine) fn leave_to_its_folder(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let in_parts = |node| self.schedule.trash(node) == Some(FolderTrash::InParts);
        let top = whole::taken_along_by(&self.ctx, self.policy(item.folder), item, in_parts)?;
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
                self.wait_quietly(work, whole::awaited(&self.ctx, item)?)?;
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
        Ok(match whole::inside(&self.ctx, item)? {
            Inside::Nothing => true,
            Inside::Unlisted => false,
            Inside::Something(_) => self.wholeness(item, work)? == Whole::Yes,
        })
    }

    /// Lets a folder in which we know of nothing wait until it was listed, as it may hold something. True if it was.
    pub(in crate::engine) fn make_sure_it_is_empty(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let is_empty = whole::inside(&self.ctx, item)? == Inside::Nothing;
        if !is_empty {
            self.wait_quietly(work, NEWS_AWAITED)?;
        }
        Ok(is_empty)
    }

    fn wholeness(&mut self, item: &ItemRow, work: &WorkRow) -> Result<Whole> {
        let policy = self.policy(item.folder);
        match whole::contents(&mut self.ctx, policy, item, work)? {
            Contents::Stay => Ok(Whole::No),
            Contents::NotYet => Ok(Whole::NotYet),
            Contents::GoUnlessAsked if self.asks_before_trash(item.folder)? => Ok(Whole::No),
            Contents::GoUnlessAsked | Contents::Go => Ok(self.hear_all(item)),
        }
    }

    /// Has the stream read to its end.
    fn hear_all(&mut self, item: &ItemRow) -> Whole {
        let id = self.folders.get(&item.folder).map(|folder| folder.account);
        let Some(account) = id.and_then(|id| self.accounts.get_mut(&id)) else { return Whole::NotYet };
        let stream = Stream { begun: account.polls_begun, drained: account.drained };
        match whole::heard(self.schedule.trash(item.node), stream) {
            Heard::All => Whole::Yes,
            Heard::InParts => Whole::No,
            Heard::Soon => Whole::NotYet,
            Heard::Poll => {
                self.schedule.set_trash(item.node, Some(FolderTrash::Whole(stream.begun)));
                account.poll_now();
                self.ctx.more = true;
                Whole::NotYet
            }
        }
    }
}
