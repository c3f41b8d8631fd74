//! What came of our writes: both agree on what was done, and what was refused is compared with what is there.

use super::echoes::{ECHO_GONE, ECHO_MAY_GO, LISTING_AWAITED, echo_of};
use crate::engine::Engine;
use crate::engine::effect::Notice;
use crate::engine::learn::Source;
use crate::engine::reconcile::{NAME_TAKEN, NETWORK, OUTCOME_UNKNOWN, VERSION_GONE};
use crate::id::{AccountId, FolderId, NodeId};
use crate::local_news::{UploadFailure, Uploaded};
use crate::path::Name;
use crate::plan::Action;
use crate::provider::{ProviderError, ProviderErrorKind};
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow, Presence, RemoteRow, SeatRow, SyncedRow};
use crate::store::sent::{SentRow, Write};
use crate::store::work::{Ask, Lane, WorkRow};
use crate::tree::{RemoteItem, SyncedContent};

/// How often a name is tried that the cloud says is taken, and by nothing that it shows.
const NAME_TRIED_MOST: u32 = 4;

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
        self.count_trashed(&item)?;
        self.sent_done(&item, "trashed in the cloud")?;
        self.gone(&item, Presence::Absent, Source::Own)?;
        if let Some(parent) = item.remote.parent {
            self.schedule.wake_waiters(parent);
        }
        self.reconsider(node)
    }

    /// What we deleted in the cloud, and nobody was asked about, counts towards the next question.
    fn count_trashed(&mut self, item: &ItemRow) -> Result<()> {
        let files = if item.id.is_folder() {
            self.ctx.store.unapproved_below(item.node)?
        } else {
            u64::from(!self.ctx.store.work(item.node)?.is_some_and(|work| work.approved))
        };
        self.ctx.store.count_deletions(item.folder, files, self.ctx.now.wall)
    }

    /// Something is found to be gone: if we had sent it into the trash without hearing of it, that was it.
    ///
    /// Example: no answer comes to a deletion, a look finds the file still there, and the cloud carries the deletion out after that. It counts
    /// as ours, whatever became of our later attempts.
    pub(in crate::engine) fn found_trashed(&mut self, item: &ItemRow) -> Result<()> {
        let is_sent = self.ctx.store.sent_of(item.node)?.is_some_and(|sent| sent.write == Write::Trash);
        if is_sent {
            self.ctx.store.drop_sent(item.node)?;
        }
        let may_go = item.remote.presence == Presence::Present
            && self.ctx.store.take_echo(item.folder, &item.id, ECHO_MAY_GO)?;
        if is_sent || may_go { self.count_trashed(item) } else { Ok(()) }
    }

    /// The stream tells that something went into the trash. If we had sent it there without hearing of it, that was it, though somebody may
    /// have it back by the time it is looked at.
    pub(in crate::engine) fn told_trashed(&mut self, node: NodeId) -> Result<()> {
        match (self.ctx.store.sent_of(node)?, self.ctx.store.item(node)?) {
            (sent, Some(item)) if sent.as_ref().is_none_or(|sent| sent.unsure) => self.found_trashed(&item),
            _ => Ok(()),
        }
    }

    /// A write is done: the cloud has what we sent, and both agree on that.
    pub(in crate::engine) fn wrote(
        &mut self,
        account: AccountId,
        sent: &SentRow,
        made: &RemoteItem,
        content: Option<(crate::id::Sha256, crate::tree::Stamp)>,
    ) -> Result<()> {
        self.account_worked(account);
        let node = sent.node;
        self.ctx.store.drop_sent(node)?;
        let Some(item) = self.ctx.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        let known = self.ctx.store.item_by_id(item.folder, &made.id)?;
        let told =
            known.is_some_and(|known| known.remote.sequence == made.sequence && known.remote.content == made.content);
        if item.id != made.id {
            if let Some(other) = self.ctx.store.item_by_id(item.folder, &made.id)? {
                if !self.is_bare(&other)? {
                    return self.known_twice(&item, &other, (sent, made), content);
                }
                self.drop_bare(&other)?;
            }
            self.ctx.store.set_id(node, &made.id)?;
            if !item.is_local_only() {
                // It was met as somebody else's under its name, which has left that name: what is known of that one is not true of ours.
                let unknown = RemoteRow {
                    presence: Presence::Absent,
                    content: None,
                    etag: None,
                    sequence: None,
                    ..item.remote.clone()
                };
                self.ctx.store.set_remote(node, &unknown)?;
                if let Some(parent) = item.remote.parent {
                    self.list_anew(parent, item.folder)?;
                }
            }
        }
        let learned = self.learn(item.folder, made, Source::Own)?;
        let version = made.content.as_ref().map(|content| &content.version);
        let (named, may_have_left) = (self.questions.take_named(&made.id), self.questions.take_left(node));
        if !self.is_anything_sent(account)? {
            self.questions.nothing_is_sent();
        }
        let expected = self.questions.expected(node).and_then(|expected| expected.version.clone());
        let is_named = version.is_some()
            && (named.as_ref().is_some_and(|named| named.version.as_ref() == version) || expected.as_ref() == version);
        if is_named {
            // An event told of this very write before the answer came: it is an echo, and what it marked is answered.
            let now = self.ctx.store.generation();
            self.ctx.store.looked(node, now)?;
            self.forget_expected(node)?;
            let own = crate::report::EventCounts { own: 1, ..Default::default() };
            self.ctx.store.count_events(account, own)?;
            if let Some(account) = self.accounts.get_mut(&account) {
                account.row.counts.own += 1;
            }
        } else if named.is_some() || may_have_left {
            // An event named it before the answer came, and another version: somebody may have changed what we made.
            self.mark_look(node, item.folder, Source::Own)?;
        }
        // An event that overtook the answer was recognised by the write that was under way.
        if !is_named && learned != crate::engine::learn::Learned::Stale && !(told && made.sequence.is_some()) {
            self.ctx.store.expect_echo(item.folder, &made.id, &echo_of(made), self.ctx.now.wall)?;
        }
        let Some(item) = self.ctx.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        self.done_as_sent(&item, sent, made, content)?;
        self.reconsider(node)
    }

    /// Both agree on what a write made, and what the disk has by now is compared with that.
    pub(in crate::engine) fn done_as_sent(
        &mut self,
        item: &ItemRow,
        sent: &SentRow,
        made: &RemoteItem,
        content: Option<(crate::id::Sha256, crate::tree::Stamp)>,
    ) -> Result<()> {
        let was = item.disk_seat();
        let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
        let what = self.now_agreed(item, sent, made, content)?;
        // What went missing on disk meanwhile stays missing.
        if !matches!(item.local, Some(LocalRow::Absent { .. })) {
            self.rebase(item.node, was.as_ref(), edit)?;
        }
        self.sent_done(item, what)
    }

    /// The synced tree becomes what a write made of the cloud.
    pub(in crate::engine) fn now_agreed(
        &mut self,
        item: &ItemRow,
        sent: &SentRow,
        made: &RemoteItem,
        content: Option<(crate::id::Sha256, crate::tree::Stamp)>,
    ) -> Result<&'static str> {
        let held = made.content.as_ref().zip(content).map(|(theirs, (sha256, stamp))| {
            let content = SyncedContent {
                version: theirs.version.clone(),
                hash: theirs.hash.clone(),
                sha256: Some(sha256),
                size: stamp.size,
            };
            (content, stamp)
        });
        let stamp = item.disk_stamp().unwrap_or(crate::engine::disk::NOT_OURS);
        let at = |parent: &NodeId, name: &Name| SeatRow::At { parent: *parent, name: name.clone() };
        let (synced, what) = match (&sent.write, &item.synced) {
            (Write::Upload { parent, name, .. }, _) => {
                let (content, stamp) = held.map_or((None, stamp), |(content, stamp)| (Some(content), stamp));
                (SyncedRow { seat: at(parent, name), content, stamp }, "uploaded")
            }
            (Write::Update { .. }, known) => {
                let seat = known.as_ref().map(|synced| synced.seat.clone()).or(item.disk_seat());
                let Some(seat) = seat else { return Ok("uploaded") };
                let (content, stamp) = held.map_or((None, stamp), |(content, stamp)| (Some(content), stamp));
                (SyncedRow { seat, content, stamp }, "new version uploaded")
            }
            (Write::MakeFolder { parent, name }, _) => {
                (SyncedRow { seat: at(parent, name), content: None, stamp }, "folder created in the cloud")
            }
            (Write::Relocate { parent, name, .. }, Some(synced)) => {
                (SyncedRow { seat: at(parent, name), ..synced.clone() }, "moved in the cloud")
            }
            (Write::Relocate { .. }, None) | (Write::Trash, _) => return Ok("changed in the cloud"),
        };
        self.put_synced(item, Some(&synced))?;
        Ok(what)
    }

    /// The cloud's answer names an item that we know under another row: an event overtook the answer, and the file had moved.
    pub(in crate::engine) fn known_twice(
        &mut self,
        item: &ItemRow,
        other: &ItemRow,
        (sent, made): (&SentRow, &RemoteItem),
        content: Option<(crate::id::Sha256, crate::tree::Stamp)>,
    ) -> Result<()> {
        self.learn(item.folder, made, Source::Own)?;
        self.ctx.store.mark(other.node, other.folder, Lane::News, Ask::Nothing, None, self.ctx.now.wall)?;
        if let Some(other) = self.ctx.store.item(other.node)?
            && self.meet(item, &other)?
        {
            // A look at it overtook the answer, and it is where it was.
            let Some(other) = self.ctx.store.item(other.node)? else { return Ok(()) };
            return self.done_as_sent(&other, sent, made, content);
        }
        self.reconsider(item.node)
    }

    /// For the history, and whoever watches.
    pub(in crate::engine) fn sent_done(&mut self, item: &ItemRow, what: &'static str) -> Result<()> {
        self.schedule.note_done(item.node, what);
        let path = self.ctx.shown_path(item)?;
        self.ctx.store.add_action(item.folder, item.node, &path, what, None, self.ctx.now.wall)?;
        let took_ms = self.ctx.store.work(item.node)?.map_or(0, |work| self.ctx.now.wall.since(work.since).max(0));
        let (folder, what) = (item.folder, what.to_owned());
        self.ctx.notice(Notice::Outcome { folder, journal: None, what, path, from: None, took_ms });
        Ok(())
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

    pub(in crate::engine) fn write_failed(
        &mut self,
        account: AccountId,
        sent: &SentRow,
        error: &ProviderError,
    ) -> Result<()> {
        let node = sent.node;
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        match error.kind {
            ProviderErrorKind::Conflict => {
                self.ctx.store.drop_sent(node)?;
                self.account_worked(account);
                self.name_conflict(account, sent, &item, &work)
            }
            ProviderErrorKind::OutcomeUnknown
            | ProviderErrorKind::Network
            | ProviderErrorKind::Unavailable
            | ProviderErrorKind::Malformed => {
                self.account_failed(account, error);
                self.unsure(sent)?;
                self.count_unsure(node, work.attempts, error)
            }
            // The parts that the cloud has are good for the sign-in that comes.
            ProviderErrorKind::SignInNeeded if self.has_session(node)? => {
                self.account_failed(account, error);
                self.unsure(sent)
            }
            ProviderErrorKind::NotFound => {
                self.ctx.store.drop_sent(node)?;
                // What it was to change, or the folder that was to hold it, is not there (for us): its own state is asked for.
                let asked = match &sent.write {
                    Write::Upload { parent, .. } | Write::MakeFolder { parent, .. } => *parent,
                    Write::Relocate { parent, .. } => {
                        self.look_at(*parent)?;
                        node
                    }
                    Write::Update { .. } | Write::Trash => node,
                };
                let text = "the cloud does not find what is to be changed; it is looked at";
                self.item_failed(node, VERSION_GONE, text, None)?;
                self.look_at(asked)
            }
            ProviderErrorKind::Corrupt => {
                self.ctx.store.drop_sent(node)?;
                self.rescan_around(&item)?;
                self.item_failed(node, "corrupt", &error.to_string(), error.retry_after)
            }
            _ => {
                self.ctx.store.drop_sent(node)?;
                self.call_failed(account, node, error)
            }
        }
    }

    /// A write whose outcome is not known is asked about at once the first time. One that ends so again and again, while what is asked of
    /// the account is answered, is that item's trouble: it waits, longer each time.
    fn count_unsure(&mut self, node: NodeId, attempts: u32, error: &ProviderError) -> Result<()> {
        if attempts == 0 {
            return self.ctx.store.count_attempts(node, 1);
        }
        self.ctx.store.count_attempts(node, attempts)?;
        self.schedule.unqueue(node);
        let text = format!("the cloud's answer does not tell whether it was done, several times: {}", error.message);
        let code = if error.kind == ProviderErrorKind::Network { NETWORK } else { OUTCOME_UNKNOWN };
        self.item_failed(node, code, &text, error.retry_after)
    }

    /// Whether a chunked upload was begun.
    fn has_session(&self, node: NodeId) -> Result<bool> {
        Ok(self.ctx.store.sent_of(node)?.is_some_and(|sent| sent.session.is_some()))
    }

    /// Asks for an item's state; the watched folder's own is not asked for so.
    pub(in crate::engine) fn look_at(&mut self, node: NodeId) -> Result<()> {
        let Some(item) = self.ctx.store.item(node)?.filter(|item| !item.is_local_only()) else { return Ok(()) };
        if self.folders.get(&item.folder).is_some_and(|folder| folder.row.root == Some(node)) {
            return self.check_remote_root(item.folder);
        }
        match self.ctx.store.work(node)? {
            // One that waits for its turn after a failure keeps its waiting time.
            Some(work) if work.attempts > 0 => self.ctx.store.want_look(node),
            _ => self.ctx.store.mark(node, item.folder, Lane::News, Ask::State, None, self.ctx.now.wall),
        }
    }

    /// The cloud refused a write because something else is there than we believed.
    pub(in crate::engine) fn name_conflict(
        &mut self,
        account: AccountId,
        sent: &SentRow,
        item: &ItemRow,
        work: &WorkRow,
    ) -> Result<()> {
        let (parent, name) = match &sent.write {
            Write::Upload { parent, name, .. }
            | Write::MakeFolder { parent, name }
            | Write::Relocate { parent, name, .. } => (*parent, name.clone()),
            Write::Update { .. } | Write::Trash => {
                // Another version than ours is there: it is looked at, and compared.
                self.ctx.store.want_look(item.node)?;
                return self.wait_quietly(work, LISTING_AWAITED);
            }
        };
        let folds = self.accounts.get(&account).is_some_and(|account| account.capabilities.folds_case);
        let other = self.ctx.store.remote_named(parent, &name.to_text(), folds)?.filter(|other| *other != item.node);
        let other = match other {
            Some(other) => self.ctx.store.item(other)?,
            None => None,
        };
        let Some(other) = other else {
            if work.attempts >= NAME_TRIED_MOST || !self.wanted_at(item, parent, &name)? {
                // What has the name is hidden from us: by a pattern, or by the cloud.
                return self.step_aside(item, work);
            }
            // Somebody made it just now, or we did and did not hear of it.
            if !self.ctx.store.listing_wanted(parent)? {
                self.list_anew(parent, item.folder)?;
            }
            if !item.is_local_only() {
                self.ctx.store.want_look(item.node)?;
            }
            let attempts = work.attempts + 1;
            let wait =
                crate::events::interval::backoff(attempts.min(6), None, self.ctx.chance.next()).max(LISTING_AWAITED);
            let due = self.ctx.now.wall.plus_ms(crate::engine::millis(wait) as i64);
            self.ctx.store.put_off(
                item.node,
                due,
                attempts,
                Some((NAME_TAKEN, "the cloud has the name already; it is listed")),
            )?;
            self.rest(item.node);
            return Ok(());
        };
        match self.plan_of(&other) {
            // It is about to leave the name in the cloud. One that the disk is to follow stays there.
            Action::MoveRemote { .. } | Action::Trash(_) | Action::Remove(_) => {
                self.schedule.unqueue(item.node);
                self.await_name(work, &other)
            }
            _ if self.meet(item, &other)? => Ok(()),
            // The cloud's place wins: what the disk has under the name gets another one.
            _ => self.step_aside(item, work),
        }
    }

    /// Asks for a remote folder's children as they are from now on.
    pub(in crate::engine) fn list_anew(&mut self, parent: NodeId, folder: FolderId) -> Result<()> {
        self.questions.drop_listing(parent);
        self.mark_children(parent, folder)
    }
}
