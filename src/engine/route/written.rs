//! Our own writes after they were sent: what came of each is recorded, looked up, or recognised in an event, each by those who can.

use crate::engine::send::echoes::{self, LISTING_AWAITED, LastWrite, Told};
use crate::engine::{Engine, Phase};
use crate::events::EventKind;
use crate::id::{FolderId, ItemId, NodeId, VersionId};
use crate::store::Result;
use crate::store::items::ItemRow;
use crate::store::sent::SentRow;
use crate::store::work::{Lane, WorkRow};
use crate::tree::RemoteItem;

/// Writes that nothing was heard of.
impl Engine {
    /// No answer came: whether the write happened is looked up before anything else is decided.
    pub(in crate::engine) fn unsure(&mut self, sent: &SentRow) -> Result<()> {
        let doubt = echoes::unanswered(&mut self.ctx, sent)?;
        if let Some(parent) = doubt.listed {
            self.list_anew(parent, sent.folder)?;
        }
        self.ctx.store.mark(sent.node, sent.folder, Lane::News, doubt.ask, None, self.ctx.now.wall)?;
        self.schedule.unqueue(sent.node);
        self.schedule.make_ready(sent.node, Lane::News);
        Ok(())
    }

    /// Lets an item wait until it is known how its last write ended. True if it is.
    pub(in crate::engine) fn make_sure_of_write(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let sent = match echoes::last_write(&self.ctx, item)? {
            LastWrite::Known => return Ok(true),
            LastWrite::UnderWay => {
                self.schedule.set_phase(item.node, Phase::Busy);
                return Ok(false);
            }
            LastWrite::AwaitsListing => {
                self.wait_quietly(work, LISTING_AWAITED)?;
                return Ok(false);
            }
            LastWrite::InDoubt(sent) => sent,
        };
        if let Some(shown) = echoes::shown(item) {
            self.found_unsure(item.node, &shown)?;
            if self.ctx.store.sent_of(item.node)?.is_none() {
                self.make_ready_again(work);
                return Ok(false);
            }
        }
        echoes::not_shown(&mut self.ctx, item, &sent)?;
        Ok(true)
    }

    /// The cloud shows what a write made of which no answer came: both agree on it, whatever became of it on disk since.
    pub(in crate::engine) fn found_unsure(&mut self, node: NodeId, made: &RemoteItem) -> Result<()> {
        if self.jobs.is_being_sent(node) {
            return Ok(());
        }
        match echoes::take_found(&mut self.ctx, node, made)? {
            Some(found) => self.done_as_sent(&found.item, &found.sent, made, found.content),
            None => Ok(()),
        }
    }

    /// Writes of a former life: nobody knows what came of them.
    pub(in crate::engine) fn recover_sent(&mut self, id: FolderId) -> Result<()> {
        for sent in echoes::of_former_life(&self.ctx, id, |node| self.jobs.is_being_sent(node))? {
            self.unsure(&sent)?;
        }
        Ok(())
    }
}

/// Writes that come back as events.
impl Engine {
    /// Whether something new of a name is being made in a folder by a write that is under way.
    pub(in crate::engine) fn is_being_made(&self, folder: FolderId, parent: NodeId, name: &str) -> Result<bool> {
        Ok(self.being_made(folder, parent, name)?.is_some())
    }

    fn being_made(&self, folder: FolderId, parent: NodeId, name: &str) -> Result<Option<NodeId>> {
        echoes::being_made(&self.ctx, folder, (parent, name), |node| self.jobs.is_being_sent(node))
    }

    /// What had a name in a folder left it, as an event tells that knows it by its path alone. If we are making something of that name, this may
    /// be it, and the answer says where it was.
    ///
    /// Example: we make `e`, and somebody moves it out of the watched folder before the answer comes.
    pub(in crate::engine) fn name_was_left(&mut self, folder: FolderId, parent: NodeId, name: &str) -> Result<()> {
        if let Some(node) = self.being_made(folder, parent, name)? {
            self.questions.may_have_left(node);
        }
        Ok(())
    }

    /// Recognises an event that tells of what we did ourselves.
    pub(in crate::engine) fn recognise_echo(&mut self, folder: FolderId, item: &RemoteItem) -> Result<bool> {
        Ok(self.policy(folder).sends()
            && echoes::recognise(&mut self.ctx, folder, item, |node| self.jobs.is_being_sent(node))?)
    }

    /// Whether an event that names a version and a path tells of what we did ourselves.
    pub(in crate::engine) fn is_echo_of_version(
        &mut self,
        folder: FolderId,
        kind: EventKind,
        id: &ItemId,
        version: &VersionId,
        path: Option<&str>,
    ) -> Result<bool> {
        let Some(known) = self.ctx.store.item_by_id(folder, id)? else { return Ok(false) };
        let is_there = match echoes::told_at(kind, path) {
            Told::Made => true,
            Told::At(path) => echoes::is_at(&known, self.locate(folder, path)?.place()),
            Told::Nowhere => false,
        };
        Ok(is_there && echoes::recognise_version(&mut self.ctx, &known, version)?)
    }

    /// Events of our own that never came: the items are looked at instead.
    pub(in crate::engine) fn expire_echoes(&mut self) -> Result<()> {
        for node in echoes::expired(&mut self.ctx)? {
            self.look_at(node)?;
        }
        Ok(())
    }

    /// The row of something that only the disk has and that is what the cloud now tells of.
    pub(in crate::engine) fn met_on_disk(
        &mut self,
        folder: FolderId,
        parent: NodeId,
        item: &RemoteItem,
    ) -> Result<Option<NodeId>> {
        if !self.policy(folder).sends() {
            return Ok(None);
        }
        echoes::met_on_disk(&self.ctx, folder, parent, item, |node| self.jobs.is_being_sent(node))
    }
}
