//! Our own writes after they were sent: what came of each is recorded, looked up, or recognised in an event, each by those who can.

use crate::engine::codes::VERSION_GONE;
use crate::engine::remote::{Learned, Source, above};
use crate::engine::send::answers::{self, Clash, Failure, ToldBefore};
use crate::engine::send::echoes::{self, ECHO_GONE, LISTING_AWAITED, LastWrite, Told, echo_of};
use crate::engine::{Engine, Phase};
use crate::events::EventKind;
use crate::id::{AccountId, FolderId, ItemId, NodeId, Sha256, VersionId};
use crate::local_news::{UploadFailure, Uploaded};
use crate::provider::ProviderError;
use crate::report::EventCounts;
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow, Presence};
use crate::store::sent::SentRow;
use crate::store::work::{Ask, Priority, WorkRow};
use crate::tree::{RemoteItem, Stamp};

/// Writes that were answered.
impl Engine {
    /// An upload ended.
    pub(in crate::engine) fn uploaded(
        &mut self,
        account: AccountId,
        node: NodeId,
        result: std::result::Result<Box<Uploaded>, UploadFailure>,
    ) -> Result<()> {
        self.schedule.unqueue(node);
        let Some(sent) = self.ctx.store.sent_of(node)? else { return self.reconsider(node) };
        let (done, miss) = match result {
            Ok(done) => (done, None),
            Err(UploadFailure::ChangedAfter(done, miss)) => (done, Some(miss)),
            Err(UploadFailure::Provider(error)) => return self.write_failed(account, &sent, &error),
            Err(UploadFailure::Local(miss)) => {
                self.ctx.store.drop_sent(node)?;
                let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
                    self.leave(node);
                    return Ok(());
                };
                return self.local_miss(&item, &work, &miss);
            }
        };
        self.wrote(account, &sent, &done.item, Some((done.sha256, done.stamp)))?;
        if miss.is_some()
            && let Some(item) = self.ctx.store.item(node)?
        {
            self.rescan_around(&item)?;
        }
        Ok(())
    }

    /// A remote folder was made, or an item moved.
    pub(in crate::engine) fn changed_remotely(
        &mut self,
        account: AccountId,
        node: NodeId,
        result: std::result::Result<Box<RemoteItem>, ProviderError>,
    ) -> Result<()> {
        self.schedule.unqueue(node);
        let Some(sent) = self.ctx.store.sent_of(node)? else { return self.reconsider(node) };
        match result {
            Ok(item) => self.wrote(account, &sent, &item, None),
            Err(error) => self.write_failed(account, &sent, &error),
        }
    }

    /// An item was put into the trash.
    pub(in crate::engine) fn trashed(
        &mut self,
        account: AccountId,
        node: NodeId,
        result: std::result::Result<(), ProviderError>,
    ) -> Result<()> {
        self.schedule.unqueue(node);
        let Some(sent) = self.ctx.store.sent_of(node)? else { return self.reconsider(node) };
        if let Err(error) = result {
            return self.write_failed(account, &sent, &error);
        }
        self.account_worked(account);
        self.ctx.store.drop_sent(node)?;
        let Some(item) = self.ctx.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        self.ctx.store.expect_echo(item.folder, &item.id, ECHO_GONE, self.ctx.now.wall)?;
        self.schedule.set_trash(node, None);
        answers::count_trashed(&mut self.ctx, &item)?;
        self.sent_done(&item, "trashed in the cloud")?;
        self.gone(&item, Presence::Absent, Source::Own)?;
        if let Some(parent) = item.remote.parent {
            self.schedule.wake_waiters(parent);
        }
        self.reconsider(node)
    }

    /// Something is found to be gone: if we had sent it into the trash without hearing of it, that was it.
    pub(in crate::engine) fn found_trashed(&mut self, item: &ItemRow) -> Result<()> {
        answers::found_trashed(&mut self.ctx, item)
    }

    /// A write is done: the cloud has what we sent, and both agree on that.
    fn wrote(
        &mut self,
        account: AccountId,
        sent: &SentRow,
        made: &RemoteItem,
        content: Option<(Sha256, Stamp)>,
    ) -> Result<()> {
        self.account_worked(account);
        let node = sent.node;
        let Some(answered) = answers::take_answered(&mut self.ctx, node, made)? else {
            self.leave(node);
            return Ok(());
        };
        let item = answered.item;
        if item.id != made.id {
            if let Some(other) = answered.known {
                if !self.is_bare(&other)? {
                    return self.known_twice(&item, &other, (sent, made), content);
                }
                self.drop_bare(&other)?;
            }
            if let Some(parent) = answers::set_id(&mut self.ctx, &item, &made.id)? {
                self.list_anew(parent, item.folder)?;
            }
        }
        let newer = self.learn(item.folder, made, Source::Own)? == Learned::Stale;
        self.await_own_event(account, &item, made, (answered.is_told, newer))?;
        let Some(item) = self.ctx.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        self.done_as_sent(&item, sent, made, content)?;
        self.reconsider(node)
    }

    /// Awaits the event of a write, if it did not come yet; an event may have told all that the answer says, or we know something newer.
    fn await_own_event(
        &mut self,
        account: AccountId,
        item: &ItemRow,
        made: &RemoteItem,
        (all, newer): (bool, bool),
    ) -> Result<()> {
        let node = item.node;
        let (named, may_have_left) = (self.questions.take_named(&made.id), self.questions.take_left(node));
        if !self.is_anything_sent(account)? {
            self.questions.nothing_is_sent();
        }
        let expected = self.questions.expected(node).and_then(|expected| expected.version.as_ref());
        let versions = [named.as_ref().and_then(|named| named.version.as_ref()), expected];
        let echo = answers::echo(made, ToldBefore { is_named: named.is_some(), may_have_left, versions, all, newer });
        if echo.came {
            let now = self.ctx.store.generation();
            self.ctx.store.looked(node, now)?;
            self.forget_expected(node)?;
            self.ctx.store.count_events(account, EventCounts { own: 1, ..Default::default() })?;
            if let Some(account) = self.accounts.get_mut(&account) {
                account.row.counts.own += 1;
            }
        } else if echo.is_doubted {
            self.mark_look(node, item.folder, Source::Own)?;
        }
        if echo.is_awaited {
            self.ctx.store.expect_echo(item.folder, &made.id, &echo_of(made), self.ctx.now.wall)?;
        }
        Ok(())
    }

    /// Both agree on what a write made, and what the disk has by now is compared with that.
    fn done_as_sent(
        &mut self,
        item: &ItemRow,
        sent: &SentRow,
        made: &RemoteItem,
        content: Option<(Sha256, Stamp)>,
    ) -> Result<()> {
        let was = item.disk_seat();
        let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
        let agreed = answers::agreed(item, &sent.write, made, content);
        if agreed.synced.is_some() {
            self.put_synced(item, agreed.synced.as_ref())?;
        }
        // What went missing on disk meanwhile stays missing.
        if !matches!(item.local, Some(LocalRow::Absent { .. })) {
            self.rebase(item.node, was.as_ref(), edit)?;
        }
        self.sent_done(item, agreed.what)
    }

    /// The cloud's answer names an item that we know under another row: an event overtook the answer, and the file had moved.
    fn known_twice(
        &mut self,
        item: &ItemRow,
        other: &ItemRow,
        (sent, made): (&SentRow, &RemoteItem),
        content: Option<(Sha256, Stamp)>,
    ) -> Result<()> {
        self.learn(item.folder, made, Source::Own)?;
        self.ctx.store.mark(other.node, other.folder, Priority::News, Ask::Nothing, None, self.ctx.now.wall)?;
        if let Some(other) = self.ctx.store.item(other.node)?
            && self.meet(item, &other)?
        {
            // A look at it overtook the answer, and it is where it was.
            let Some(other) = self.ctx.store.item(other.node)? else { return Ok(()) };
            return self.done_as_sent(&other, sent, made, content);
        }
        self.reconsider(item.node)
    }

    fn sent_done(&mut self, item: &ItemRow, what: &'static str) -> Result<()> {
        self.schedule.note_done(item.node, what);
        answers::note_done(&mut self.ctx, item, what)
    }

    /// The plan of an item is made again, if there is anything to plan.
    pub(in crate::engine) fn reconsider(&mut self, node: NodeId) -> Result<()> {
        match self.ctx.store.work(node)? {
            Some(work) => self.make_ready_again(&work),
            None => self.leave(node),
        }
        self.schedule.wake_waiters(node);
        Ok(())
    }
}

/// Writes that failed.
impl Engine {
    fn write_failed(&mut self, account: AccountId, sent: &SentRow, error: &ProviderError) -> Result<()> {
        let node = sent.node;
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        match answers::take_failed(&mut self.ctx, sent, error.kind)? {
            Failure::Clash => {
                self.account_worked(account);
                self.name_conflict(account, sent, &item, &work)
            }
            Failure::Unsure => {
                self.account_failed(account, error);
                self.unsure(sent)?;
                self.ctx.store.count_attempts(node, work.attempts.max(1))?;
                let Some((code, text)) = answers::unsure_again(work.attempts, error) else { return Ok(()) };
                self.schedule.unqueue(node);
                self.item_failed(node, code, &text, error.retry_after)
            }
            Failure::GoesOn => {
                self.account_failed(account, error);
                self.unsure(sent)
            }
            Failure::NotFound { target, asked } => {
                if let Some(target) = target {
                    self.look_at(target)?;
                }
                let text = "the cloud does not find what is to be changed; it is looked at";
                self.item_failed(node, VERSION_GONE, text, None)?;
                self.look_at(asked)
            }
            Failure::Corrupt => {
                self.rescan_around(&item)?;
                self.item_failed(node, "corrupt", &error.to_string(), error.retry_after)
            }
            Failure::Other => self.call_failed(account, node, error),
        }
    }

    /// The cloud refused a write because something else is there than we believed.
    fn name_conflict(&mut self, account: AccountId, sent: &SentRow, item: &ItemRow, work: &WorkRow) -> Result<()> {
        let folds = self.accounts.get(&account).is_some_and(|account| account.capabilities.folds_case);
        match answers::clash(&self.ctx, self.policy(item.folder), folds, (sent, item, work))? {
            Clash::Version => {
                self.ctx.store.want_look(item.node)?;
                self.wait_quietly(work, LISTING_AWAITED)
            }
            Clash::Leaves(other) => {
                self.schedule.unqueue(item.node);
                self.await_node(work, &other)
            }
            Clash::Stays(other) if self.meet(item, &other)? => Ok(()),
            Clash::Unseen(parent, name) if self.wanted_at(item, parent, &name)? => {
                if !self.ctx.store.listing_wanted(parent)? {
                    self.list_anew(parent, item.folder)?;
                }
                if item.id.is_folder() && !item.is_local_only() {
                    self.look_at_way_to(parent)?;
                }
                answers::put_off_name(&mut self.ctx, item, work)?;
                self.rest(item.node);
                Ok(())
            }
            // The cloud's place wins: what the disk has under the name gets another one.
            Clash::Stays(_) | Clash::Unseen(..) | Clash::Hidden => self.step_aside(item, work),
        }
    }

    /// Asks for the states of a folder and of those above it.
    ///
    /// Example: `mv a b/a` on disk and `mv b a/b` in the cloud, which is not told: that the cloud refuses the first is all that tells.
    fn look_at_way_to(&mut self, folder: NodeId) -> Result<()> {
        for above in above::way_up(&self.ctx, folder)? {
            if self.folders.values().all(|folder| folder.row.root != Some(above)) {
                self.look_at(above)?;
            }
        }
        Ok(())
    }

    /// Asks for an item's state; the watched folder's own is not asked for so.
    pub(in crate::engine) fn look_at(&mut self, node: NodeId) -> Result<()> {
        let Some(item) = self.ctx.store.item(node)?.filter(|item| !item.is_local_only()) else { return Ok(()) };
        if self.folders.get(&item.folder).is_some_and(|folder| folder.row.root == Some(node)) {
            return self.check_remote_root(item.folder);
        }
        answers::ask_state(&mut self.ctx, &item)
    }

    /// Asks for a remote folder's children as they are from now on.
    pub(in crate::engine) fn list_anew(&mut self, parent: NodeId, folder: FolderId) -> Result<()> {
        self.questions.drop_listing(parent);
        self.mark_children(parent, folder)
    }
}

/// Writes that nothing was heard of.
impl Engine {
    /// No answer came: whether the write happened is looked up before anything else is decided.
    pub(in crate::engine) fn unsure(&mut self, sent: &SentRow) -> Result<()> {
        let doubt = echoes::unanswered(&mut self.ctx, sent)?;
        if let Some(parent) = doubt.listed {
            self.list_anew(parent, sent.folder)?;
        }
        self.ctx.store.mark(sent.node, sent.folder, Priority::News, doubt.ask, None, self.ctx.now.wall)?;
        self.schedule.unqueue(sent.node);
        self.schedule.make_ready(sent.node, Priority::News);
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
