//! Calls for single items: looks and fetches, handed out as there is room, and what came of them.

use crate::deed::{DiskErrorKind, Staged};
use crate::engine::calls::{self, Needs};
use crate::engine::codes::{NETWORK, VERSION_GONE, problem_of};
use crate::engine::effect::{Effect, Task};
use crate::engine::input::{FetchFailure, FetchOrder};
use crate::engine::queues::{CallKind, Waiting};
use crate::engine::remote::learn;
use crate::engine::remote::looks::{self, Answer, HIDDEN, hidden_for};
use crate::engine::remote::{Learned, Source};
use crate::engine::send::answers;
use crate::engine::turns::ATTEMPTS_COUNTED;
use crate::engine::{Engine, Job, Phase, millis};
use crate::events::budget::Share;
use crate::events::interval::backoff;
use crate::id::{AccountId, FolderId, Generation, NodeId};
use crate::provider::{ProviderError, ProviderErrorKind};
use crate::store::Result;
use crate::store::expected::Told;
use crate::store::items::{ItemRow, Presence};
use crate::store::work::{Priority, WorkRow, WorkState};
use crate::tree::{ItemState, RemoteContent, RemoteItem, SyncedContent};

/// Items that may find no room for their call, one after the other, before the rest is left for later.
const REFUSED_MOST: usize = 16;
/// Files fetched and not yet published, for one folder: what a slow disk may let pile up.
const STAGED_MOST: usize = 256;

impl Engine {
    pub(in crate::engine) fn await_call(&mut self, work: &WorkRow, item: &ItemRow, kind: CallKind) {
        let Some(account) = self.folders.get(&work.folder).map(|folder| folder.account) else { return };
        self.schedule.set_phase(work.node, Phase::AwaitCall);
        if let Some(account) = self.accounts.get_mut(&account) {
            let queue = account.queues.of(kind);
            // News overtakes the first sync here as well.
            match work.priority {
                Priority::News => queue.push_news(work.node, work.folder),
                Priority::Bulk => {
                    let modified = item.remote.content.as_ref().and_then(|content| content.modified);
                    queue.push_bulk(work.node, work.folder, modified.unwrap_or_default());
                }
            }
        }
    }

    /// Hands out transfers, looks and changes as far as there is room.
    pub(in crate::engine) fn release_calls(&mut self) -> Result<()> {
        let ids: Vec<AccountId> = self.accounts.keys().copied().collect();
        for id in ids {
            self.release_kind(id, CallKind::Question)?;
            self.release_kind(id, CallKind::Upload)?;
            self.release_kind(id, CallKind::Fetch)?;
        }
        Ok(())
    }

    fn release_kind(&mut self, id: AccountId, kind: CallKind) -> Result<()> {
        let mut put_back = Vec::new();
        let mut refused = 0;
        while let Some(next) = self.next_call(id, kind) {
            let (node, folder) = next.who();
            if kind == CallKind::Fetch && self.is_staging_full(folder) {
                // Items of other folders may still find room.
                put_back.push(next);
            } else if !self.release_call(id, node)? {
                put_back.push(next);
                refused += 1;
                // Short transfers behind a long one that waits for room would keep the room from it.
                if kind != CallKind::Question && !self.has_room_for_any(id) {
                    break;
                }
            }
            if refused > REFUSED_MOST || put_back.len() > STAGED_MOST {
                break;
            }
            if self.ctx.rows_left() == 0 {
                self.ctx.more = true;
                break;
            }
        }
        if let Some(account) = self.accounts.get_mut(&id) {
            for next in put_back.into_iter().rev() {
                account.queues.of(kind).put_back(next);
            }
        }
        Ok(())
    }

    /// Whether a transfer of any length finds room.
    fn has_room_for_any(&self, id: AccountId) -> bool {
        let most = self.accounts.get(&id).map_or(0, |account| account.settings.transfers);
        self.jobs.slots().may_transfer(id, most, u64::MAX)
    }

    fn is_staging_full(&self, folder: FolderId) -> bool {
        let fetching = self.jobs.slots().fetching(folder);
        // What waits for hooks does not wait for the disk, and has a limit of its own.
        let kept = self.hooks.kept(folder);
        let staged = self.folders.get(&folder).map_or(0, |folder| folder.staged.len());
        staged.saturating_sub(kept) + fetching >= STAGED_MOST || self.hooks.keep_enough(folder)
    }

    fn next_call(&mut self, id: AccountId, kind: CallKind) -> Option<Waiting> {
        let now = self.ctx.now.mono;
        let account = self.accounts.get_mut(&id)?;
        let room = match kind {
            // The next one may be short.
            CallKind::Upload | CallKind::Fetch => self.jobs.slots().may_transfer(id, account.settings.transfers, 0),
            CallKind::Question => self.jobs.slots().may_ask(id),
        };
        if !room || !account.is_open(now) || account.queues.of(kind).len() == 0 {
            return None;
        }
        // Where only bulk work waits and the budget has nothing for it, nothing is taken out in vain.
        if !account.queues.of(kind).has_news() && !self.may_call(id, Share::Bulk) {
            return None;
        }
        self.accounts.get_mut(&id)?.queues.of(kind).pop()
    }

    /// Starts the call that an item waits for; false if there is no room for its kind of call.
    pub(in crate::engine) fn release_call(&mut self, id: AccountId, node: NodeId) -> Result<bool> {
        if self.schedule.phase(node) != Some(Phase::AwaitCall) {
            return Ok(true);
        }
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.leave(node);
            return Ok(true);
        };
        if !self.can_work(work.folder) || work.state != WorkState::Ready {
            self.rest(node);
            return Ok(true);
        }
        match calls::needs(&work, &item, &self.plan_of(&item)) {
            Needs::Look => self.release_look(id, &item, &work),
            Needs::Write => self.release_write(id, &item, &work),
            Needs::Content(content) => self.release_fetch(id, item, &work, *content),
            Needs::Nothing => {
                self.schedule.make_ready(node, work.priority);
                Ok(true)
            }
        }
    }

    fn release_look(&mut self, id: AccountId, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if !self.jobs.slots().may_ask(id) {
            return Ok(false);
        }
        let share = self.share_of(work.folder, work.priority);
        if !self.may_call(id, share) {
            return Ok(false);
        }
        let about = Job::Look { account: id, node: item.node };
        let Some(job) = self.jobs.start(&mut self.ctx.store, about)? else { return Ok(false) };
        self.spend_call(id, share)?;
        self.schedule.set_phase(item.node, Phase::Busy);
        let asked = self.ctx.store.generation();
        self.questions.look_begins(item.node, asked);
        self.ctx.out.push(Effect::Cloud { job, account: id, task: Task::Look(item.id.clone()) });
        Ok(true)
    }

    fn release_fetch(&mut self, id: AccountId, item: ItemRow, work: &WorkRow, content: RemoteContent) -> Result<bool> {
        let Some(account) = self.accounts.get(&id) else { return Ok(true) };
        // A content of unknown length may be a long one.
        let (most, bytes) = (account.settings.transfers, content.size.unwrap_or(u64::MAX));
        if !self.jobs.slots().may_transfer(id, most, bytes) || self.is_staging_full(work.folder) {
            return Ok(false);
        }
        let held = calls::held_content(&self.ctx, &item, &content)?;
        let share = self.share_of(work.folder, work.priority);
        if held.is_none() && !self.may_call(id, share) {
            return Ok(false);
        }
        let synced = SyncedContent {
            version: content.version.clone(),
            hash: content.hash.clone(),
            sha256: None,
            size: content.size.unwrap_or(0),
        };
        let about = Job::Fetch { account: id, folder: work.folder, node: item.node, content: synced };
        let Some(job) = self.jobs.start(&mut self.ctx.store, about)? else { return Ok(false) };
        if held.is_none() {
            self.spend_call(id, share)?;
        }
        self.schedule.set_phase(item.node, Phase::Busy);
        let order = FetchOrder {
            path: self.ctx.shown_path(&item)?,
            held,
            item: item.id,
            version: content.version,
            size: content.size,
            hash: content.hash,
            modified: content.modified,
        };
        self.ctx.out.push(Effect::Cloud { job, account: id, task: Task::Fetch(work.folder, Box::new(order)) });
        Ok(true)
    }

    pub(in crate::engine) fn looked(
        &mut self,
        account: AccountId,
        node: NodeId,
        result: std::result::Result<ItemState, ProviderError>,
    ) -> Result<()> {
        let asked = self.questions.look_ends(node);
        let state = match result {
            Ok(state) => state,
            Err(error) => return self.call_failed(account, node, &error),
        };
        self.account_worked(account);
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        self.schedule.unqueue(node);
        let Some(asked) = asked else {
            // It is not known when it was asked for, so it answers nothing: the mark is still there.
            self.schedule.make_ready(node, work.priority);
            return Ok(());
        };
        let was_away = self.folders.get(&item.folder).is_some_and(|folder| folder.remote.may_have_hidden(asked));
        match looks::answer(&self.ctx, &mut self.questions, (&item, &work), state, asked, was_away)? {
            Answer::There(found) => self.found_active(&item, &work, &found, asked)?,
            Answer::Nothing => self.ctx.store.want_look(node)?,
            Answer::Gone => {
                self.found_trashed(&item)?;
                self.found_gone(&item, &work, asked)?;
            }
            Answer::ListingTells(parent) => self.mark_children(parent, item.folder)?,
            Answer::Hidden { in_itself } => {
                if in_itself {
                    self.check_remote_root(item.folder)?;
                }
                let text = "the cloud no longer shows the item, and does not let us list its folder";
                return self.item_failed(node, HIDDEN, text, Some(hidden_for(work.attempts)));
            }
            Answer::Unplaced => return Ok(()),
        }
        self.schedule.make_ready(node, work.priority);
        self.schedule.wake_waiters(node);
        Ok(())
    }

    /// A look found an item.
    fn found_active(&mut self, was: &ItemRow, work: &WorkRow, found: &RemoteItem, asked: Generation) -> Result<()> {
        let source = Source::Look { journal: work.journal, asked };
        let was_hidden = looks::was_out_of_sight(&self.questions, work);
        let was_away = self.questions.expected(was.node).is_some_and(|expected| expected.told == Told::Gone);
        let learned = self.learn(was.folder, found, source)?;
        if learned == Learned::Overtaken {
            return Ok(());
        }
        self.questions.settle(was.node);
        if learned == Learned::Unlisted {
            return self.await_unlisted(was.node, work);
        }
        let Some(item) = self.ctx.store.item(was.node)? else { return Ok(()) };
        let is_there = item.remote.presence == Presence::Present;
        if item.remote.presence == Presence::Absent {
            // A deletion of ours that nobody heard of may yet be carried out, where the stream would not tell us: it counts.
            answers::trashed_unheard(&mut self.ctx, was)?;
        }
        if was.id.is_folder() && is_there && (was_hidden || was_away && was.remote.presence == Presence::Present) {
            learn::was_away(&mut self.ctx, &mut self.questions, &item)?;
        }
        let is_met = self.questions.expected(was.node).is_none_or(|expected| expected.is_met_by(Some(&item.remote)));
        let is_news = looks::is_news(&was.remote, &item.remote);
        if is_met || is_news || !self.ask_again(was.node)? {
            self.forget_expected(was.node)?;
            self.ctx.store.looked(was.node, asked)?;
        }
        Ok(())
    }

    /// A look found an item in the watched folder, in a folder that a listing has yet to show: it answers nothing, and
    /// is asked again later if no listing answers before.
    ///
    /// Example: `a` is in the trash with `a/f`; somebody restores `a` as `b`, and a look at `f` is answered first. `f`
    /// is not to be removed for having gone with `a`.
    fn await_unlisted(&mut self, node: NodeId, work: &WorkRow) -> Result<()> {
        self.ctx.store.want_look(node)?;
        let wait = backoff(work.attempts.min(ATTEMPTS_COUNTED) + 1, None, self.ctx.chance.next());
        let due = self.ctx.now.wall.plus_ms(millis(wait) as i64);
        self.ctx.store.put_off(node, due, work.attempts + 1, None)
    }

    /// A look, or a look and a listing, showed that an item is gone.
    fn found_gone(&mut self, item: &ItemRow, work: &WorkRow, asked: Generation) -> Result<()> {
        self.found_folder_gone(item);
        self.gone(item, Presence::Absent, Source::Look { journal: work.journal, asked })?;
        let is_met = self.questions.expected(item.node).is_none_or(|expected| expected.is_met_by(None));
        if is_met || !self.ask_again(item.node)? {
            self.forget_expected(item.node)?;
            self.ctx.store.looked(item.node, asked)?;
        }
        Ok(())
    }

    pub(in crate::engine) fn fetched(
        &mut self,
        account: AccountId,
        id: FolderId,
        node: NodeId,
        mut content: SyncedContent,
        result: std::result::Result<Staged, FetchFailure>,
    ) -> Result<()> {
        let failure = match result {
            Ok(staged) => {
                self.account_worked(account);
                content.sha256 = Some(staged.sha256);
                content.size = staged.stamp.size;
                self.drop_staged(id, node);
                if let Some(folder) = self.folders.get_mut(&id) {
                    folder.staged.insert(node, (staged, content));
                }
                if self.ctx.store.work(node)?.is_none() {
                    // It came too late: there is no work that needs it.
                    self.drop_staged(id, node);
                }
                self.schedule.make_ready(node, Priority::News);
                return Ok(());
            }
            Err(failure) => failure,
        };
        match failure {
            FetchFailure::NotHeld(kept) => {
                self.ctx.store.doubt_held(&kept)?;
                let priority = self.ctx.store.work(node)?.map_or(Priority::News, |work| work.priority);
                self.schedule.unqueue(node);
                self.schedule.make_ready(node, priority);
                Ok(())
            }
            FetchFailure::Provider(error) => self.call_failed(account, node, &error),
            FetchFailure::Disk(error) => {
                if matches!(error.kind, DiskErrorKind::RootLost | DiskErrorKind::NotWritable) {
                    self.root_failed(id, &error);
                    return Ok(());
                }
                if error.kind == DiskErrorKind::Full {
                    return self.no_room(node, &error);
                }
                self.item_failed(node, "disk", &error.to_string(), None)
            }
        }
    }

    /// A call for one item failed.
    pub(in crate::engine) fn call_failed(
        &mut self,
        account: AccountId,
        node: NodeId,
        error: &ProviderError,
    ) -> Result<()> {
        if error.kind.is_of_the_account() {
            // It waits in line; one whose connections fail again and again while the account's succeed waits by itself.
            self.account_failed(account, error);
            if error.kind == ProviderErrorKind::Network {
                if self.ctx.store.work(node)?.is_some_and(|work| work.attempts > 0) {
                    self.schedule.unqueue(node);
                    return self.item_failed(node, NETWORK, &error.to_string(), error.retry_after);
                }
                self.ctx.store.count_attempts(node, 1)?;
            }
            self.schedule.unqueue(node);
            self.schedule.make_ready(node, Priority::News);
            return Ok(());
        }
        if error.kind == ProviderErrorKind::NotFound {
            // The item or the version is gone, or it is hidden: ask for its state.
            self.schedule.unqueue(node);
            self.ctx.store.want_look(node)?;
            let text = "the cloud does not find the version that it announced; the item is looked at";
            return self.item_failed(node, VERSION_GONE, text, None);
        }
        let code = problem_of(error.kind);
        self.item_failed(node, code, &error.to_string(), error.retry_after)
    }

    pub(in crate::engine) fn drop_staged(&mut self, id: FolderId, node: NodeId) {
        self.hooks.staged_gone(id, node);
        let dropped = self.folders.get_mut(&id).and_then(|folder| folder.staged.remove(&node));
        if let Some((staged, _)) = dropped {
            self.ctx.out.push(Effect::DropStaged(id, staged));
        }
    }
}
