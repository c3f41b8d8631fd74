//! Calls for single items: looks and fetches, handed out as there is room, and what came of them.

#[allow(clippy::wildcard_imports, reason = "a second file of its parent, with the same words")]
use super::*;

impl Engine {
    pub(in crate::engine) fn await_call(&mut self, work: &WorkRow, item: &ItemRow, kind: CallKind) {
        let Some(account) = self.folders.get(&work.folder).map(|folder| folder.account) else { return };
        self.nodes.insert(work.node, Phase::AwaitCall);
        if let Some(account) = self.accounts.get_mut(&account) {
            let queue = account.queues.of(kind);
            // News overtakes the first sync here as well.
            match work.lane {
                Lane::News => queue.push_news(work.node, work.folder),
                Lane::Bulk => {
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
            }
            if refused > REFUSED_MOST || put_back.len() > STAGED_MOST {
                break;
            }
            if self.rows_left() == 0 {
                self.more = true;
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

    fn is_staging_full(&self, folder: FolderId) -> bool {
        self.folders.get(&folder).is_some_and(|folder| folder.staged.len() + folder.fetching >= STAGED_MOST)
    }

    fn next_call(&mut self, id: AccountId, kind: CallKind) -> Option<Waiting> {
        let now = self.now.mono;
        let account = self.accounts.get_mut(&id)?;
        let room = match kind {
            CallKind::Fetch | CallKind::Upload => account.fetching < account.settings.transfers as usize,
            CallKind::Question => account.asking < QUESTIONS_MOST,
        };
        if !room || now < account.closed_until || !account.usable() || account.queues.of(kind).len() == 0 {
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
        if self.nodes.get(&node) != Some(&Phase::AwaitCall) {
            return Ok(true);
        }
        let (Some(work), Some(item)) = (self.store.work(node)?, self.store.item(node)?) else {
            self.leave(node);
            return Ok(true);
        };
        if !self.can_work(work.folder) || work.state != WorkState::Ready {
            self.leave(node);
            return Ok(true);
        }
        let Some(account) = self.accounts.get(&id) else { return Ok(true) };
        if work.look > 0 {
            if account.asking >= QUESTIONS_MOST {
                return Ok(false);
            }
            let share = self.share_of(work.folder, work.lane);
            if !self.may_call(id, share) {
                return Ok(false);
            }
            let Some(job) = self.start(Job::Look { account: id, node })? else {
                return Ok(false);
            };
            self.spend_call(id, share)?;
            if let Some(account) = self.accounts.get_mut(&id) {
                account.asking += 1;
            }
            self.nodes.insert(node, Phase::Busy);
            self.overtaken.remove(&node);
            self.asked_again.remove(&node);
            self.outbox.push(Effect::Cloud { job, account: id, task: Task::Look(item.id) });
            return Ok(true);
        }
        let action = self.plan_of(&item);
        if action.writes() {
            return self.release_write(id, &item, &work);
        }
        let fetch = matches!(action, Action::Fetch { .. });
        let Some(content) = item.remote.content.clone().filter(|_| fetch) else {
            // What is to be done changed while it waited.
            self.make_ready(node, work.lane);
            return Ok(true);
        };
        if account.fetching >= account.settings.transfers as usize || self.is_staging_full(work.folder) {
            return Ok(false);
        }
        let share = self.share_of(work.folder, work.lane);
        if !self.may_call(id, share) {
            return Ok(false);
        }
        let synced = SyncedContent {
            version: content.version.clone(),
            hash: content.hash.clone(),
            sha256: None,
            size: content.size.unwrap_or(0),
        };
        let about = Job::Fetch { account: id, folder: work.folder, node, content: synced };
        let Some(job) = self.start(about)? else { return Ok(false) };
        self.spend_call(id, share)?;
        if let Some(account) = self.accounts.get_mut(&id) {
            account.fetching += 1;
        }
        if let Some(folder) = self.folders.get_mut(&work.folder) {
            folder.fetching += 1;
        }
        self.nodes.insert(node, Phase::Busy);
        let order = FetchOrder {
            path: self.shown_path(&item)?,
            item: item.id,
            version: content.version,
            size: content.size,
            hash: content.hash,
            modified: content.modified,
        };
        self.outbox.push(Effect::Cloud { job, account: id, task: Task::Fetch(work.folder, Box::new(order)) });
        Ok(true)
    }

    pub(in crate::engine) fn looked(
        &mut self,
        account: AccountId,
        node: NodeId,
        result: std::result::Result<ItemState, ProviderError>,
    ) -> Result<()> {
        if let Some(account) = self.accounts.get_mut(&account) {
            account.asking = account.asking.saturating_sub(1);
        }
        let state = match result {
            Ok(state) => state,
            Err(error) => return self.call_failed(account, node, &error),
        };
        self.account_worked(account);
        let (Some(work), Some(item)) = (self.store.work(node)?, self.store.item(node)?) else {
            self.leave(node);
            return Ok(());
        };
        self.nodes.remove(&node);
        // A description that counts its changes tells by itself whether it is older than what overtook it.
        let counts = matches!(&state, ItemState::Active(found) if found.sequence.is_some());
        let is_old = self.overtaken.remove(&node) && !counts;
        if self.asked_again.remove(&node) || is_old {
            // Other news overtook the answer, so it is asked about once more.
            self.make_ready(node, work.lane);
            return Ok(());
        }
        self.store.looked(node)?;
        let source = Source::Look { journal: work.journal };
        match state {
            ItemState::Active(found) => {
                self.learn(item.folder, &found, source)?;
                if work.look == LOOK_AWAY {
                    self.search_returned(&item)?;
                }
            }
            ItemState::Trashed => {
                self.found_trashed(&item)?;
                self.gone(&item, Presence::Absent, source)?;
            }
            // There is a second proof, or nothing on disk that could be removed for a wrong reason.
            ItemState::NotFound
                if work.look >= LOOK_AFTER_TRASH
                    || item.remote.presence == Presence::Absent
                    || item.synced.is_none()
                    || matches!(item.local, Some(LocalRow::Absent { .. })) =>
            {
                self.found_trashed(&item)?;
                self.gone(&item, Presence::Absent, source)?;
            }
            ItemState::NotFound => {
                if let Some(folder) = self.folders.get(&item.folder)
                    && item.remote.seen == folder.seen_mark(false)
                {
                    // Only the stream told the comparison of it, and now there is nothing to be seen: it was not met.
                    self.store.set_seen(node, item.remote.seen - 1)?;
                }
                let text = "the cloud no longer shows the item, and did not say that it was deleted";
                self.store.want_look(node)?;
                return self.item_failed(node, "hidden", text, Some(HIDDEN_RETRIED_EVERY));
            }
        }
        if work.look == LOOK {
            self.question_folder_of(&item)?;
        }
        self.make_ready(node, work.lane);
        self.wake_waiters(node);
        Ok(())
    }

    /// A folder that had left the watched one is back, or never was away in our books: everything in it is listed.
    fn search_returned(&mut self, was: &ItemRow) -> Result<()> {
        let is_there = self.store.item(was.node)?.is_some_and(|item| item.remote.presence == Presence::Present);
        if was.id.is_folder() && was.remote.presence == Presence::Present && is_there {
            self.store.want_listing(was.node, was.folder)?;
            self.store.want_sweep(was.node, was.folder, Presence::Present)?;
            self.more = true;
        }
        Ok(())
    }

    /// An item turned out to be gone of which the stream did not say so: a folder above it may have gone, and may be back before we
    /// hear of either. Its own folder is listed, or found to be gone.
    fn question_folder_of(&mut self, was: &ItemRow) -> Result<()> {
        let is_gone = self.store.item(was.node)?.is_some_and(|item| item.remote.presence == Presence::Absent);
        if was.remote.presence == Presence::Absent || !is_gone {
            return Ok(());
        }
        let Some(above) = was.remote.parent.map(|parent| self.store.item(parent)).transpose()?.flatten() else {
            return Ok(());
        };
        if above.remote.presence == Presence::Present { self.list_anew(above.node, was.folder) } else { Ok(()) }
    }

    pub(in crate::engine) fn fetched(
        &mut self,
        account: AccountId,
        id: FolderId,
        node: NodeId,
        mut content: SyncedContent,
        result: std::result::Result<Staged, FetchFailure>,
    ) -> Result<()> {
        if let Some(account) = self.accounts.get_mut(&account) {
            account.fetching = account.fetching.saturating_sub(1);
        }
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.fetching = folder.fetching.saturating_sub(1);
        }
        let failure = match result {
            Ok(staged) => {
                self.account_worked(account);
                content.sha256 = Some(staged.sha256);
                content.size = staged.stamp.size;
                self.drop_staged(id, node);
                if let Some(folder) = self.folders.get_mut(&id) {
                    folder.staged.insert(node, (staged, content));
                }
                if self.store.work(node)?.is_none() {
                    // It came too late: nobody waits for it.
                    self.drop_staged(id, node);
                }
                self.make_ready(node, Lane::News);
                return Ok(());
            }
            Err(failure) => failure,
        };
        match failure {
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
        let code = match error.kind {
            // The account's matter, not the item's: it waits in line.
            ProviderErrorKind::SignInNeeded
            | ProviderErrorKind::RateLimited
            | ProviderErrorKind::QuotaExhausted
            | ProviderErrorKind::Network
            | ProviderErrorKind::Local => {
                self.account_failed(account, error);
                self.nodes.remove(&node);
                self.make_ready(node, Lane::News);
                return Ok(());
            }
            ProviderErrorKind::NotFound => {
                // The item or the version is gone, or it is hidden: ask for its state.
                self.nodes.remove(&node);
                self.store.want_look(node)?;
                let text = "the cloud does not find the version that it announced; the item is looked at";
                return self.item_failed(node, "version_gone", text, None);
            }
            ProviderErrorKind::Forbidden => "forbidden",
            ProviderErrorKind::Conflict | ProviderErrorKind::CursorLost => "conflict",
            ProviderErrorKind::NotReady => "not_ready",
            ProviderErrorKind::Corrupt => "corrupt",
            ProviderErrorKind::Refused => "refused",
            ProviderErrorKind::OutcomeUnknown => "outcome_unknown",
            ProviderErrorKind::Malformed => "malformed",
            ProviderErrorKind::Unavailable => "unavailable",
        };
        self.item_failed(node, code, &error.to_string(), error.retry_after)
    }

    pub(in crate::engine) fn drop_staged(&mut self, id: FolderId, node: NodeId) {
        let dropped = self.folders.get_mut(&id).and_then(|folder| folder.staged.remove(&node));
        if let Some((staged, _)) = dropped {
            self.outbox.push(Effect::DropStaged(id, staged));
        }
    }
}
