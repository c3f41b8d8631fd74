//! Our own writes to the cloud: each is written down before it is sent, recognised when it comes back as an event, and looked up when no
//! answer came.

use std::time::Duration;

use super::effect::{Effect, Notice, Task};
use super::learn::Source;
use super::listen::{LOOK, LOOK_AFTER_TRASH, QUESTIONS_MOST};
use super::local::seat_of;
use super::reconcile::name_on_disk;
use super::{Engine, Job, Phase};
use crate::deed::{Base, Place};
use crate::id::{AccountId, FolderId, ItemId, ItemKind, JobId, NodeId, VersionId};
use crate::local_news::{UploadFailure, UploadFile, Uploaded};
use crate::path::Name;
use crate::plan::Action;
use crate::provider::{Expected, ProviderError, ProviderErrorKind, UploadTarget};
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow, Presence, SeatRow, SyncedRow};
use crate::store::sent::{SentRow, Write};
use crate::store::work::{Lane, WorkRow};
use crate::tree::{RemoteItem, SyncedContent};

/// How long something new waits for scans that may show that it was only moved.
const MOVES_AWAITED_MS: i64 = 10_000;
/// How long we wait for the listing that tells whether a write happened.
const LISTING_AWAITED: Duration = Duration::from_secs(2);
/// How long something waits for the one that has its name in the cloud.
const NAME_AWAITED: Duration = Duration::from_secs(5);
/// How long an event of our own is awaited before the item is looked at instead, in milliseconds.
const ECHO_AWAITED_MS: i64 = 3_600_000;
/// Expired expectations looked at in one step.
const ECHOES_PER_STEP: u32 = 100;
/// What an echo says of an item that we put into the trash.
pub(super) const ECHO_GONE: &str = "gone";

impl Engine {
    /// Prepares a change of the cloud: waits until it can be believed, and until those that come before it are done.
    pub(super) fn consider_write(&mut self, item: &ItemRow, work: &WorkRow, action: Action) -> Result<()> {
        if matches!(action, Action::Upload { .. } | Action::MakeRemote { .. }) && !item.is_local_only() {
            // It came and went in the cloud before both agreed on it.
            return self.revive(item, work);
        }
        if self.store.scan_left(item.folder)? && !self.need_not_wait(item, &action) {
            return self.wait_for_scans(work);
        }
        let parent = match &action {
            Action::Upload { parent, .. } | Action::MakeRemote { parent, .. } | Action::MoveRemote { parent, .. } => {
                Some(*parent)
            }
            _ => None,
        };
        if let Some(parent) = parent {
            let Some(above) = self.store.item(parent)? else {
                self.rescan_around(item)?;
                return self.wait_for_scans(work);
            };
            if above.remote.presence != Presence::Present {
                return self.await_node(work, &above);
            }
            if work.attempts > 0 && self.store.listing_wanted(parent)? {
                // It was refused, and the listing tells why.
                return self.wait_quietly(work, LISTING_AWAITED);
            }
            if !self.not_into_itself_remotely(item, work, parent)? {
                return Ok(());
            }
        }
        if let Action::Trash(kind) = action
            && !self.may_trash(item, work, kind)?
        {
            return Ok(());
        }
        if matches!(action, Action::Upload { .. } | Action::MakeRemote { .. } | Action::MoveRemote { .. })
            && self.remote_name(item, &action).is_none()
        {
            let text = "the name is not UTF-8, which the cloud cannot hold; rename the file";
            return self.item_failed(item.node, "name_not_utf8", text, None);
        }
        self.await_call(work, item);
        Ok(())
    }

    /// Whether something may go on though directories are still to be scanned.
    fn need_not_wait(&self, item: &ItemRow, action: &Action) -> bool {
        let since = item.local.as_ref().map_or(i64::MAX, |local| self.now.wall.since(local.at()));
        // A clock that went back must not block for ever; a deletion waits until nothing can show that it was a move.
        !matches!(action, Action::Trash(_)) && (since < 0 || since > MOVES_AWAITED_MS)
    }

    /// What an item is to be called in the cloud; nothing if the cloud cannot call it so.
    fn remote_name(&self, item: &ItemRow, action: &Action) -> Option<String> {
        let (Action::Upload { name, .. } | Action::MakeRemote { name, .. } | Action::MoveRemote { name, .. }) = action
        else {
            return Some(item.remote.name.clone());
        };
        // One whose name the disk cannot hold keeps the cloud's when it only moves.
        if item.remote.presence == Presence::Present && name_on_disk(item).name() == name {
            return Some(item.remote.name.clone());
        }
        std::str::from_utf8(name.as_bytes()).ok().map(str::to_owned)
    }

    /// Whether a folder's new place in the cloud does not (still) lie below it.
    fn not_into_itself_remotely(&mut self, item: &ItemRow, work: &WorkRow, parent: NodeId) -> Result<bool> {
        if !item.id.is_folder() || item.is_local_only() {
            return Ok(true);
        }
        let mut chain = Vec::new();
        let mut at = Some(parent);
        while let Some(node) = at {
            if node == item.node {
                for other in chain {
                    if let Some(other) = self.store.item(other)?
                        && matches!(self.plan_of(&other), Action::MoveRemote { .. })
                    {
                        self.await_node(work, &other)?;
                        return Ok(false);
                    }
                }
                self.wait_quietly(work, NAME_AWAITED)?;
                return Ok(false);
            }
            chain.push(node);
            at = self.store.item(node)?.and_then(|row| row.remote.parent);
        }
        Ok(true)
    }

    /// Whether an item may go to the trash now: a person need not be asked, and nothing that stays is in it.
    fn may_trash(&mut self, item: &ItemRow, work: &WorkRow, kind: ItemKind) -> Result<bool> {
        if self.store.sweep_left(item.folder)? {
            self.await_sweep(item);
            return Ok(false);
        }
        if kind == ItemKind::File {
            return Ok(work.approved || !self.brake_writes(item)?);
        }
        let Some(child) = self.store.remote_child(item.node)? else { return Ok(true) };
        let Some(child) = self.store.item(child)? else { return Ok(true) };
        match self.plan_of(&child) {
            Action::Fetch { .. }
            | Action::MakeFolder { .. }
            | Action::Move { .. }
            | Action::Restore
            | Action::Agree
            | Action::Settle
            | Action::Update
            | Action::Leave => {
                // Somebody changed what is in it: the folder comes back for it.
                self.restore(item, work)?;
            }
            _ => self.await_node(work, &child)?,
        }
        Ok(false)
    }

    /// Starts the write that an item waits for; false if there is no room for its kind of call.
    pub(super) fn release_write(&mut self, id: AccountId, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let action = self.plan_of(item);
        let Some(account) = self.accounts.get(&id) else { return Ok(true) };
        let is_upload = matches!(action, Action::Upload { .. } | Action::Update);
        let room = if is_upload {
            account.fetching < account.settings.transfers as usize
        } else {
            account.asking < QUESTIONS_MOST
        };
        if !room {
            return Ok(false);
        }
        let session = match self.store.sent_of(item.node)? {
            Some(sent) if !sent.unsure => {
                self.nodes.insert(item.node, Phase::Busy);
                return Ok(true);
            }
            Some(sent) => sent.session,
            None => None,
        };
        let Some((write, task)) = self.write_of(item, &action, session.clone())? else {
            self.make_ready_again(work);
            return Ok(true);
        };
        let share = self.share_of(item.folder, work.lane);
        if !self.may_call(id, share) {
            return Ok(false);
        }
        let Some(job) = self.start(Job::Write { account: id, folder: item.folder, node: item.node, is_upload })? else {
            return Ok(false);
        };
        self.spend_call(id, share)?;
        if let Some(account) = self.accounts.get_mut(&id) {
            if is_upload {
                account.fetching += 1;
            } else {
                account.asking += 1;
            }
        }
        self.nodes.insert(item.node, Phase::Busy);
        let sent = SentRow { job, node: item.node, folder: item.folder, write, unsure: false, session };
        self.store.drop_sent(item.node)?;
        self.store.add_sent(&sent, self.now.wall)?;
        self.outbox.push(Effect::Cloud { job, account: id, task });
        Ok(true)
    }

    /// What is sent for an action; nothing if it cannot be sent now.
    fn write_of(&mut self, item: &ItemRow, action: &Action, session: Option<String>) -> Result<Option<(Write, Task)>> {
        let Some(called) = self.remote_name(item, action) else { return Ok(None) };
        let expected = Expected {
            version: item.remote.content.as_ref().map(|content| content.version.clone()),
            etag: item.remote.etag.clone(),
        };
        let above = |engine: &Self, parent: NodeId| -> Result<Option<ItemId>> {
            let above = engine.store.item(parent)?;
            Ok(above.filter(|above| above.remote.presence == Presence::Present).map(|above| above.id))
        };
        Ok(match action {
            Action::Upload { parent, name } => {
                let Some(above) = above(self, *parent)? else { return Ok(None) };
                let target = UploadTarget::New { parent: above, name: called };
                self.upload_of(item, target, session)?.map(|(file, sha256)| {
                    let stamp = file.stamp;
                    let write = Write::Upload { parent: *parent, name: name.clone(), sha256, stamp };
                    (write, Task::Upload(item.folder, Box::new(file)))
                })
            }
            Action::Update => {
                let after = expected.version.clone();
                let target = UploadTarget::Version { file: item.id.clone(), expected };
                self.upload_of(item, target, session)?.map(|(file, sha256)| {
                    let stamp = file.stamp;
                    (Write::Update { after, sha256, stamp }, Task::Upload(item.folder, Box::new(file)))
                })
            }
            Action::MakeRemote { parent, name } => above(self, *parent)?.map(|above| {
                let write = Write::MakeFolder { parent: *parent, name: name.clone() };
                (write, Task::MakeFolder { parent: above, name: called })
            }),
            Action::MoveRemote { parent, name } => {
                let Some(above) = above(self, *parent)? else { return Ok(None) };
                let aside = self.aside_remotely.remove(&item.node);
                let (name, called) = if aside {
                    let text = format!(".~{}", self.store.next_job()?);
                    (Name::new(text.as_bytes()).unwrap_or_else(|_| name.clone()), text)
                } else {
                    (name.clone(), called)
                };
                let write = Write::Relocate { parent: *parent, name, aside };
                Some((write, Task::Relocate { item: item.id.clone(), parent: above, name: called, expected }))
            }
            Action::Trash(_) => Some((Write::Trash, Task::Trash { item: item.id.clone(), expected })),
            _ => None,
        })
    }

    fn upload_of(
        &mut self,
        item: &ItemRow,
        target: UploadTarget,
        session: Option<String>,
    ) -> Result<Option<(UploadFile, crate::id::Sha256)>> {
        let Some(edit) = item.local.as_ref().and_then(LocalRow::edit) else { return Ok(None) };
        let Some((sha256, hash)) = edit.digests.clone() else { return Ok(None) };
        let Some(Place { base: Base::Tree, path }) = self.place(item.node)? else { return Ok(None) };
        let file = UploadFile { path, stamp: edit.stamp, target, digests: Some((sha256, hash)), session };
        Ok(Some((file, sha256)))
    }

    /// A chunked upload exists: it is durable before its first part is sent.
    pub(super) fn session_begun(&mut self, job: JobId, session: &str) -> Result<()> {
        self.store.set_session(job, session)?;
        self.outbox.push(Effect::SessionKept(job));
        Ok(())
    }

    fn write_ended(&mut self, account: AccountId, node: NodeId, is_upload: bool) {
        if let Some(account) = self.accounts.get_mut(&account) {
            if is_upload {
                account.fetching = account.fetching.saturating_sub(1);
            } else {
                account.asking = account.asking.saturating_sub(1);
            }
        }
        self.nodes.remove(&node);
    }

    /// An upload ended.
    pub(super) fn uploaded(
        &mut self,
        account: AccountId,
        node: NodeId,
        result: std::result::Result<Box<Uploaded>, UploadFailure>,
    ) -> Result<()> {
        self.write_ended(account, node, true);
        let Some(sent) = self.store.sent_of(node)? else { return self.reconsider(node) };
        let (done, miss) = match result {
            Ok(done) => (done, None),
            Err(UploadFailure::ChangedAfter(done, miss)) => (done, Some(miss)),
            Err(UploadFailure::Provider(error)) => return self.write_failed(account, &sent, &error),
            Err(UploadFailure::Local(miss)) => {
                self.store.drop_sent(node)?;
                let (Some(work), Some(item)) = (self.store.work(node)?, self.store.item(node)?) else {
                    self.leave(node);
                    return Ok(());
                };
                return self.local_miss(&item, &work, &miss);
            }
        };
        self.wrote(account, &sent, &done.item, Some((done.sha256, done.stamp)))?;
        if miss.is_some()
            && let Some(item) = self.store.item(node)?
        {
            self.rescan_around(&item)?;
        }
        Ok(())
    }

    /// A remote folder was made, or an item moved.
    pub(super) fn changed_remotely(
        &mut self,
        account: AccountId,
        node: NodeId,
        result: std::result::Result<Box<RemoteItem>, ProviderError>,
    ) -> Result<()> {
        self.write_ended(account, node, false);
        let Some(sent) = self.store.sent_of(node)? else { return self.reconsider(node) };
        match result {
            Ok(item) => self.wrote(account, &sent, &item, None),
            Err(error) => self.write_failed(account, &sent, &error),
        }
    }

    /// An item was put into the trash.
    pub(super) fn trashed(
        &mut self,
        account: AccountId,
        node: NodeId,
        result: std::result::Result<(), ProviderError>,
    ) -> Result<()> {
        self.write_ended(account, node, false);
        let Some(sent) = self.store.sent_of(node)? else { return self.reconsider(node) };
        if let Err(error) = result {
            return self.write_failed(account, &sent, &error);
        }
        self.account_worked(account);
        self.store.drop_sent(node)?;
        let Some(item) = self.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        self.store.expect_echo(item.folder, &item.id, ECHO_GONE, self.now.wall)?;
        if !item.id.is_folder() {
            let approved = self.store.work(node)?.is_some_and(|work| work.approved);
            if !approved {
                self.store.count_deletion(item.folder, self.now.wall)?;
            }
        }
        self.sent_done(&item, "trashed in the cloud")?;
        self.gone(&item, Presence::Absent, Source::Look { journal: None })?;
        if let Some(parent) = item.remote.parent {
            self.wake_waiters(parent);
        }
        self.reconsider(node)
    }

    /// A write is done: the cloud has what we sent, and both agree on that.
    fn wrote(
        &mut self,
        account: AccountId,
        sent: &SentRow,
        made: &RemoteItem,
        content: Option<(crate::id::Sha256, crate::tree::Stamp)>,
    ) -> Result<()> {
        self.account_worked(account);
        let node = sent.node;
        self.store.drop_sent(node)?;
        let Some(item) = self.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        let known = self.store.item_by_id(item.folder, &made.id)?;
        let told =
            known.is_some_and(|known| known.remote.sequence == made.sequence && known.remote.content == made.content);
        if item.id != made.id {
            if let Some(other) = self.store.item_by_id(item.folder, &made.id)? {
                return self.known_twice(&item, &other, made);
            }
            self.store.set_id(node, &made.id)?;
        }
        let learned = self.learn(item.folder, made, Source::Look { journal: None })?;
        // An event that overtook the answer was recognised by the write that was under way.
        if learned != super::learn::Learned::Stale && !(told && made.sequence.is_some()) {
            self.store.expect_echo(item.folder, &made.id, &echo_of(made), self.now.wall)?;
        }
        let Some(item) = self.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        let was = item.disk_seat();
        let edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
        let what = self.now_agreed(&item, sent, made, content)?;
        // What went missing on disk meanwhile stays missing.
        if !matches!(item.local, Some(LocalRow::Absent { .. })) {
            self.rebase(node, was.as_ref(), edit)?;
        }
        self.sent_done(&item, what)?;
        self.reconsider(node)
    }

    /// The synced tree becomes what a write made of the cloud.
    fn now_agreed(
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
        let stamp = item.disk_stamp().unwrap_or(super::disk::NOT_OURS);
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
    fn known_twice(&mut self, item: &ItemRow, other: &ItemRow, made: &RemoteItem) -> Result<()> {
        self.learn(item.folder, made, Source::Look { journal: None })?;
        self.store.mark(other.node, other.folder, Lane::News, 0, None, self.now.wall)?;
        self.reconsider(item.node)
    }

    /// For the history, and whoever watches.
    fn sent_done(&mut self, item: &ItemRow, what: &'static str) -> Result<()> {
        self.did.insert(item.node, what);
        let path = self.shown_path(item)?;
        self.store.add_action(item.folder, &path, what, None, self.now.wall)?;
        let took_ms = self.store.work(item.node)?.map_or(0, |work| self.now.wall.since(work.since).max(0));
        let (folder, what) = (item.folder, what.to_owned());
        self.notice(Notice::Outcome { folder, journal: None, what, path, from: None, took_ms });
        Ok(())
    }

    /// The plan of an item is made again, if there is anything to plan.
    fn reconsider(&mut self, node: NodeId) -> Result<()> {
        match self.store.work(node)? {
            Some(work) => self.make_ready_again(&work),
            None => self.leave(node),
        }
        self.wake_waiters(node);
        Ok(())
    }

    fn write_failed(&mut self, account: AccountId, sent: &SentRow, error: &ProviderError) -> Result<()> {
        let node = sent.node;
        let (Some(work), Some(item)) = (self.store.work(node)?, self.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        match error.kind {
            ProviderErrorKind::Conflict => {
                self.store.drop_sent(node)?;
                self.account_worked(account);
                self.name_conflict(account, sent, &item, &work)
            }
            ProviderErrorKind::OutcomeUnknown
            | ProviderErrorKind::Network
            | ProviderErrorKind::Unavailable
            | ProviderErrorKind::Malformed => {
                self.account_failed(account, error);
                self.unsure(sent)
            }
            ProviderErrorKind::NotFound => {
                self.store.drop_sent(node)?;
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
                self.item_failed(node, "version_gone", text, None)?;
                self.look_at(asked)
            }
            ProviderErrorKind::Corrupt => {
                self.store.drop_sent(node)?;
                self.rescan_around(&item)?;
                self.item_failed(node, "corrupt", &error.to_string(), error.retry_after)
            }
            _ => {
                self.store.drop_sent(node)?;
                self.call_failed(account, node, error)
            }
        }
    }

    /// Asks for an item's state; the watched folder's own is not asked for so.
    fn look_at(&mut self, node: NodeId) -> Result<()> {
        let Some(item) = self.store.item(node)?.filter(|item| !item.is_local_only()) else { return Ok(()) };
        if self.folders.get(&item.folder).is_some_and(|folder| folder.row.root == Some(node)) {
            return self.check_remote_root(item.folder);
        }
        match self.store.work(node)? {
            // One that waits for its turn after a failure keeps its waiting time.
            Some(work) if work.attempts > 0 => self.store.want_look(node),
            _ => self.store.mark(node, item.folder, Lane::News, LOOK, None, self.now.wall),
        }
    }

    /// The cloud refused a write because something else is there than we believed.
    fn name_conflict(&mut self, account: AccountId, sent: &SentRow, item: &ItemRow, work: &WorkRow) -> Result<()> {
        let (parent, name) = match &sent.write {
            Write::Upload { parent, name, .. }
            | Write::MakeFolder { parent, name }
            | Write::Relocate { parent, name, .. } => (*parent, name.clone()),
            Write::Update { .. } | Write::Trash => {
                // Another version than ours is there: it is looked at, and compared.
                self.store.want_look(item.node)?;
                return self.wait_quietly(work, LISTING_AWAITED);
            }
        };
        let folds = self.accounts.get(&account).is_some_and(|account| account.capabilities.folds_case);
        let other = self.store.remote_named(parent, &name.to_text(), folds)?.filter(|other| *other != item.node);
        let other = match other {
            Some(other) => self.store.item(other)?,
            None => None,
        };
        let Some(other) = other else {
            // Somebody made it just now, or we did and did not hear of it.
            if !self.store.listing_wanted(parent)? {
                self.list_anew(parent, item.folder)?;
            }
            if !item.is_local_only() {
                self.store.want_look(item.node)?;
            }
            let attempts = work.attempts + 1;
            let wait = crate::events::interval::backoff(attempts.min(6), None, self.chance.next()).max(LISTING_AWAITED);
            let due = self.now.wall.plus_ms(super::millis(wait) as i64);
            self.store.put_off(
                item.node,
                due,
                attempts,
                Some(("name_taken", "the cloud has the name already; it is listed")),
            )?;
            self.leave(item.node);
            return Ok(());
        };
        match self.plan_of(&other) {
            // It is about to leave the name.
            Action::MoveRemote { .. } | Action::Trash(_) | Action::Move { .. } | Action::Remove(_) => {
                self.nodes.remove(&item.node);
                self.await_node(work, &other)
            }
            // The cloud's place wins: what the disk has under the name gets another one.
            _ => self.step_aside(item, work),
        }
    }

    /// Asks for a remote folder's children as they are from now on.
    fn list_anew(&mut self, parent: NodeId, folder: FolderId) -> Result<()> {
        self.listing.remove(&parent);
        self.listings.retain(|listing| listing.node() != parent);
        self.listings_loaded = 0;
        self.store.listed(parent)?;
        self.store.want_listing(parent, folder)
    }

    /// No answer came: whether the write happened is looked up before anything else is decided.
    pub(super) fn unsure(&mut self, sent: &SentRow) -> Result<()> {
        let node = sent.node;
        match &sent.write {
            Write::Upload { parent, .. } | Write::MakeFolder { parent, .. } => {
                self.store.set_unsure(node)?;
                self.list_anew(*parent, sent.folder)?;
                self.store.mark(node, sent.folder, Lane::News, 0, None, self.now.wall)?;
            }
            Write::Update { .. } | Write::Relocate { .. } => {
                self.store.drop_sent(node)?;
                self.store.mark(node, sent.folder, Lane::News, LOOK, None, self.now.wall)?;
            }
            Write::Trash => {
                self.store.drop_sent(node)?;
                self.store.mark(node, sent.folder, Lane::News, LOOK_AFTER_TRASH, None, self.now.wall)?;
            }
        }
        self.nodes.remove(&node);
        self.make_ready(node, Lane::News);
        Ok(())
    }

    /// Whether an item's last write is known to have ended. If not, waits for the look or the listing that tells.
    pub(super) fn is_sure(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let Some(sent) = self.store.sent_of(item.node)? else { return Ok(true) };
        if !sent.unsure {
            // It is under way.
            self.nodes.insert(item.node, Phase::Busy);
            return Ok(false);
        }
        let parent = match &sent.write {
            Write::Upload { parent, .. } | Write::MakeFolder { parent, .. } => Some(*parent),
            Write::Update { .. } | Write::Relocate { .. } | Write::Trash => None,
        };
        if let Some(parent) = parent
            && item.is_local_only()
            && self.store.listing_wanted(parent)?
        {
            self.wait_quietly(work, LISTING_AWAITED)?;
            return Ok(false);
        }
        // It did not happen, or it did and the listing told of it; a chunked upload goes on where it was.
        if sent.session.is_none() || !item.is_local_only() {
            self.store.drop_sent(item.node)?;
        }
        Ok(true)
    }

    /// Writes of a former life: nobody knows what came of them.
    pub(super) fn recover_sent(&mut self, id: FolderId) -> Result<()> {
        for node in self.store.sent_nodes(id)? {
            let under_way = self.jobs.values().any(|job| matches!(job, Job::Write { node: at, .. } if *at == node));
            if let Some(sent) = self.store.sent_of(node)?
                && !under_way
            {
                self.unsure(&sent)?;
            }
        }
        Ok(())
    }

    /// Whether an event tells of what we did ourselves: of a write that ended, or of one whose answer is still to come.
    pub(super) fn is_echo(&mut self, folder: FolderId, item: &RemoteItem) -> Result<bool> {
        Ok(self.policy(folder).sends()
            && (self.store.take_echo(folder, &item.id, &echo_of(item))? || self.is_under_way(folder, item)?))
    }

    fn is_under_way(&mut self, folder: FolderId, item: &RemoteItem) -> Result<bool> {
        if !self.store.sent_left(folder)? {
            return Ok(false);
        }
        let parent = match &item.parent {
            Some(parent) => self.store.item_by_id(folder, parent)?.map(|row| row.node),
            None => None,
        };
        let row = match (self.store.item_by_id(folder, &item.id)?, parent) {
            (None, Some(parent)) => match self.met_on_disk(folder, parent, item)? {
                Some(node) => self.store.item(node)?,
                None => None,
            },
            (row, _) => row,
        };
        let Some(row) = row else { return Ok(false) };
        let Some(sent) = self.store.sent_of(row.node)? else { return Ok(false) };
        Ok(match sent.write {
            Write::Upload { .. } | Write::Update { .. } => {
                let theirs = item.content.as_ref().and_then(|content| content.hash.as_ref());
                let ours = row.local.as_ref().and_then(LocalRow::edit).and_then(|edit| edit.digests.as_ref());
                theirs.zip(ours).is_some_and(|(theirs, (_, ours))| theirs.same_content(ours) == Some(true))
            }
            Write::MakeFolder { .. } => row.is_local_only(),
            Write::Relocate { parent: at, name, .. } => parent == Some(at) && name.as_bytes() == item.name.as_bytes(),
            Write::Trash => false,
        })
    }

    /// Events of our own that never came: the items are looked at instead.
    pub(super) fn expire_echoes(&mut self) -> Result<()> {
        let before = self.now.wall.plus_ms(-ECHO_AWAITED_MS);
        for (folder, id) in self.store.expired_echoes(before, ECHOES_PER_STEP)? {
            let Ok(id) = id.parse::<ItemId>() else { continue };
            if let Some(item) = self.store.item_by_id(folder, &id)? {
                self.look_at(item.node)?;
            }
        }
        Ok(())
    }

    /// The row of something that only the disk has and that is what the cloud now tells of: the same place and kind, or our own upload.
    pub(super) fn met_on_disk(
        &mut self,
        folder: FolderId,
        parent: NodeId,
        item: &RemoteItem,
    ) -> Result<Option<NodeId>> {
        if !self.policy(folder).sends() {
            return Ok(None);
        }
        let Ok(name) = Name::new(item.name.as_bytes()) else { return Ok(None) };
        let under_way: Vec<NodeId> = self
            .jobs
            .values()
            .filter_map(|job| match job {
                Job::Write { folder: at, node, .. } if *at == folder => Some(*node),
                _ => None,
            })
            .collect();
        for node in under_way {
            let (Some(sent), Some(row)) = (self.store.sent_of(node)?, self.store.item(node)?) else { continue };
            let sent_there = match &sent.write {
                Write::Upload { parent: at, name: called, .. } | Write::MakeFolder { parent: at, name: called } => {
                    *at == parent && *called == name
                }
                _ => false,
            };
            if sent_there && row.is_local_only() && row.id.kind() == item.id.kind() {
                return Ok(Some(node));
            }
        }
        let Some(node) = self.store.seated_at(parent, &name)? else { return Ok(None) };
        let Some(row) = self.store.item(node)? else { return Ok(None) };
        let is_it = row.is_local_only() && row.id.kind() == item.id.kind() && seat_of(&row).is_some();
        Ok(is_it.then_some(node))
    }
}

/// The state of an item as an echo tells it: the count of changes where the provider has one, else the version, else the place.
/// The state by which an event is recognised that names no more than a version.
pub(super) fn echo_of_version(version: &VersionId) -> String {
    format!("version:{version}")
}

fn echo_of(item: &RemoteItem) -> String {
    match (item.sequence, &item.content, &item.etag) {
        (Some(sequence), ..) => format!("seq:{sequence}"),
        (None, Some(content), _) => echo_of_version(&content.version),
        (None, None, Some(etag)) => format!("etag:{etag}"),
        (None, None, None) => "folder".to_owned(),
    }
}
