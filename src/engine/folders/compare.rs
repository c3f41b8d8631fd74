//! Full comparisons: listing a folder's tree, and believing what was not met only when the stream was read after it.

#[allow(clippy::wildcard_imports, reason = "a second file of its parent, with the same words")]
use super::*;
use crate::engine::listen::LOOK;

impl Engine {
    /// Starts a full comparison of a folder, or starts it anew.
    pub(in crate::engine) fn compare(&mut self, id: FolderId, why: &str) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let Some(root) = folder.row.root else { return Ok(()) };
        let why = why.to_owned();
        folder.settle_after = None;
        folder.change(|row| {
            row.scan += 1;
            row.scan_stage = Some(ScanStage::Listing);
            row.scan_at = NodeId(0);
            row.unverified = Some(why);
        });
        // What is being listed now may show an older state than the one that is to be compared.
        self.listing.retain(|_, listed| listed.folder != id);
        self.listings.retain(|listing| listing.folder != id);
        self.listings_loaded = 0;
        self.store.want_listing(root, id)
    }

    /// The place in an account's stream is lost: its folders are unverified until they were compared in full.
    pub(in crate::engine) fn lose_place(&mut self, account: AccountId, why: &str) -> Result<()> {
        let theirs: Vec<FolderId> =
            self.folders.iter().filter(|(_, folder)| folder.account == account).map(|(id, _)| *id).collect();
        for id in theirs {
            self.compare(id, why)?;
        }
        Ok(())
    }

    pub(in crate::engine) fn drive_scan(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let Some(account) = self.accounts.get(&folder.account) else { return Ok(()) };
        let scan = folder.seen_mark(false);
        match folder.row.scan_stage {
            None => self.drive_rolling(id),
            Some(ScanStage::Listing) => {
                let begun = account.polls_begun;
                if folder.row.root.is_some() && !self.store.listing_left(id, scan)? {
                    if let Some(folder) = self.folders.get_mut(&id) {
                        folder.settle_after = Some(begun);
                        folder.change(|row| row.scan_stage = Some(ScanStage::Settling));
                    }
                    self.poll_for(id);
                }
                Ok(())
            }
            Some(ScanStage::Settling) => {
                // After a restart the poll that was waited for is forgotten: wait for one from now on.
                let after = folder.settle_after.unwrap_or(account.polls_begun);
                let drained = account.drained > after;
                let again = self.store.listing_left(id, scan)?;
                let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
                if folder.settle_after.is_none() {
                    folder.settle_after = Some(after);
                    self.poll_for(id);
                } else if again {
                    folder.change(|row| row.scan_stage = Some(ScanStage::Listing));
                } else if drained {
                    folder.change(|row| {
                        row.scan_stage = Some(ScanStage::Absences);
                        row.scan_at = NodeId(0);
                    });
                    self.more = true;
                } else {
                    // A poll that was under way when we asked has put off the one that we wait for.
                    self.poll_for(id);
                }
                Ok(())
            }
            Some(ScanStage::Absences) => Ok(()),
        }
    }

    pub(in crate::engine) fn poll_for(&mut self, id: FolderId) {
        let account = self.folders.get(&id).map(|folder| folder.account);
        if let Some(account) = account.and_then(|account| self.accounts.get_mut(&account)) {
            account.poll_now();
        }
    }

    /// The net under the net: a comparison each day, at a moment that differs from folder to folder.
    pub(in crate::engine) fn drive_rolling(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let Some(verified) = folder.row.verified_at else { return Ok(()) };
        let fifth = COMPARED_EVERY_MS / 5;
        let varied = (folder.row.scan.wrapping_mul(7_919).wrapping_add(id.0 * 104_729)).rem_euclid(2 * fifth) - fifth;
        if self.now.wall.since(verified) > COMPARED_EVERY_MS + varied && folder.is_open() && !folder.row.paused {
            self.compare(id, "the daily comparison is due")?;
            // It is not in doubt, only checked: the folder stays verified while it runs.
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.change(|row| row.unverified = None);
            }
        }
        Ok(())
    }

    /// Looks for items that the comparison did not meet, a few thousand rows at a time.
    pub(in crate::engine) fn find_absences(&mut self) -> Result<()> {
        let scanning = |folder: &&Folder| folder.row.scan_stage == Some(ScanStage::Absences);
        let Some(folder) = self.folders.values().find(scanning) else { return Ok(()) };
        let (id, scan, at) = (folder.row.folder, folder.seen_mark(false), folder.row.scan_at);
        if self.store.sweep_left(id)? {
            // What is kept out by a pattern was not met either, and is told first that this is the reason.
            return Ok(());
        }
        let (unseen, last) = self.store.unseen(id, scan, at, ROWS_PER_STEP)?;
        for node in unseen {
            let Some(item) = self.store.item(node)? else { continue };
            let presence = Presence::Absent;
            if item.remote.presence == Presence::Present {
                self.gone(&item, presence, Source::Listing(Lane::Bulk))?;
            }
        }
        let now = self.now.wall;
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.change(|row| {
            if let Some(last) = last {
                row.scan_at = last;
            } else {
                row.scan_stage = None;
                row.unverified = None;
                row.adopt = false;
                row.verified_at = Some(now);
            }
        });
        self.more = true;
        Ok(())
    }

    /// Hands out listings.
    pub(in crate::engine) fn release_listings(&mut self) -> Result<()> {
        if self.listings.is_empty() {
            for (pos, node, folder, lane) in self.store.listings(self.listings_loaded, LISTINGS_PER_LOAD)? {
                self.listings_loaded = pos;
                if self.folder_can_ask(folder) && !self.listing.contains_key(&node) {
                    self.listings_begun += 1;
                    let number = self.listings_begun;
                    let shown = self.is_tight_lipped(folder).then(BTreeSet::new);
                    self.listing.insert(node, Listed { folder, number, shown, overtaken: BTreeSet::new() });
                    let listing = Listing { node, folder, number, lane, page: None };
                    match lane {
                        Lane::News => self.listings.push_front(listing),
                        Lane::Bulk => self.listings.push_back(listing),
                    }
                }
            }
        }
        let mut kept = VecDeque::new();
        while let Some(listing) = self.listings.pop_front() {
            if !self.is_wanted(&listing) {
                continue;
            }
            let Some(account) = self.folders.get(&listing.folder).map(|folder| folder.account) else {
                self.listing.remove(&listing.node);
                continue;
            };
            let room = self.accounts.get(&account).is_some_and(|account| {
                account.asking < QUESTIONS_MOST && self.now.mono >= account.closed_until && account.usable()
            });
            let share = self.folders.get(&listing.folder).map_or(Share::Bulk, |folder| folder.share(listing.lane));
            if !room || !self.may_call(account, share) {
                kept.push_back(listing);
                continue;
            }
            let present = |item: &ItemRow| item.remote.presence == Presence::Present;
            let Some(item) = self.store.item(listing.node)?.filter(present) else {
                self.store.listed(listing.node)?;
                self.listing.remove(&listing.node);
                continue;
            };
            let task = Task::List { item: item.id, page: listing.page.clone() };
            let Some(job) = self.start(Job::List { account, listing: listing.clone() })? else {
                kept.push_back(listing);
                break;
            };
            self.spend_call(account, share)?;
            if let Some(account) = self.accounts.get_mut(&account) {
                account.asking += 1;
            }
            self.outbox.push(Effect::Cloud { job, account, task });
        }
        kept.append(&mut self.listings);
        self.listings = kept;
        Ok(())
    }

    /// Whether a listing is still the one that its folder waits for.
    pub(in crate::engine) fn is_wanted(&self, listing: &Listing) -> bool {
        self.listing.get(&listing.node).is_some_and(|listed| listed.number == listing.number)
    }

    pub(in crate::engine) fn folder_can_ask(&self, id: FolderId) -> bool {
        self.folders.get(&id).is_some_and(|folder| {
            folder.is_open()
                && !folder.row.paused
                && self.accounts.get(&folder.account).is_some_and(crate::engine::listen::Account::usable)
        })
    }

    pub(in crate::engine) fn listed(
        &mut self,
        account: AccountId,
        listing: &Listing,
        result: std::result::Result<ListPage, ProviderError>,
    ) -> Result<()> {
        if let Some(account) = self.accounts.get_mut(&account) {
            account.asking = account.asking.saturating_sub(1);
        }
        let (id, node) = (listing.folder, listing.node);
        let found = match result {
            Ok(found) => found,
            Err(error) if self.is_wanted(listing) => return self.listing_failed(account, id, node, &error),
            Err(error) => {
                self.account_failed(account, &error);
                return Ok(());
            }
        };
        self.account_worked(account);
        if !self.is_wanted(listing) {
            return Ok(());
        }
        if let Some(folder) = self.folders.get_mut(&id)
            && folder.row.root == Some(node)
            && folder.degraded.as_ref().is_some_and(|degraded| degraded.name == REMOTE_GONE)
        {
            folder.degraded = None;
        }
        for item in &found.items {
            let is_overtaken = self.listing.get(&node).is_some_and(|listed| listed.overtaken.contains(&item.id));
            let known = if is_overtaken { self.store.item_by_id(id, &item.id)? } else { None };
            if let Some(known) = known {
                self.mark_look(known.node, id, LOOK, Source::Listing(Lane::News))?;
            } else {
                self.learn(id, item, Source::Listing(listing.lane))?;
            }
        }
        if !self.is_wanted(listing) {
            // One of its own children said that the folder went away.
            return Ok(());
        }
        self.note_shown(node, &found.items);
        if let Some(next) = found.next {
            self.listings.push_front(Listing { page: Some(next), ..listing.clone() });
        } else {
            self.store.listed(node)?;
            let listed = self.listing.remove(&node);
            if let Some(shown) = listed.and_then(|listed| listed.shown) {
                self.note_unshown(id, node, &shown)?;
            }
            if self.accounts.get(&account).is_some_and(|account| account.limits().per_day.is_some()) {
                // Newer files than those that are loaded may have been found.
                self.loaded[Lane::Bulk as usize] = i64::MIN;
                self.more = true;
            }
        }
        // Listings that its children asked for are read from the database in this same step.
        Ok(())
    }

    /// An event told something of an item, where events carry no count of changes: listings of its folders that are under way may show it
    /// as it was before.
    pub(in crate::engine) fn overtake_listings(&mut self, item: &ItemId, folders: [Option<NodeId>; 2]) {
        for folder in folders.into_iter().flatten() {
            let Some(listed) = self.listing.get_mut(&folder) else { continue };
            listed.overtaken.insert(item.clone());
            if listed.overtaken.len() > ROWS_PER_STEP as usize {
                // It is wanted still, and begins anew.
                self.listing.remove(&folder);
                self.listings_loaded = 0;
                self.more = true;
            }
        }
    }

    fn note_shown(&mut self, node: NodeId, items: &[RemoteItem]) {
        let Some(listed) = self.listing.get_mut(&node) else { return };
        if let Some(shown) = &mut listed.shown {
            shown.extend(items.iter().map(|item| item.id.clone()));
        }
        // What larger folders do not show waits for the next full comparison: asking is bounded like every other step.
        listed.shown.take_if(|shown| shown.len() > ROWS_PER_STEP as usize);
    }

    pub(in crate::engine) fn listing_failed(
        &mut self,
        account: AccountId,
        id: FolderId,
        node: NodeId,
        error: &ProviderError,
    ) -> Result<()> {
        self.listing.remove(&node);
        let root = self.folders.get(&id).and_then(|folder| folder.row.root);
        let attempts = self.store.listing_attempts(node)? + 1;
        let wait = backoff(attempts, error.retry_after, self.chance.next());
        let due = self.now.wall.plus_ms(millis(wait) as i64);
        self.store.put_off_listing(node, due, &error.to_string())?;
        self.listings_loaded = 0;
        if error.kind == ProviderErrorKind::NotFound && root != Some(node) {
            // The folder may be gone, or hidden from us: its own state decides, not this answer. If it is there, it is still to be
            // listed, or its children would pass for gone.
            return self.store.mark(node, id, Lane::News, LOOK, None, self.now.wall);
        }
        if matches!(error.kind, ProviderErrorKind::NotFound | ProviderErrorKind::Forbidden) {
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.degraded = Some(Degraded {
                    name: REMOTE_GONE.into(),
                    cause: error.to_string(),
                    next_step:
                        "bring the folder back in the cloud, or run `agent remove-folder`; local files stay as they are"
                            .into(),
                });
            }
        } else {
            self.account_failed(account, error);
        }
        Ok(())
    }

    /// The stream said something about the watched folder itself: see whether it is still there.
    pub(in crate::engine) fn check_remote_root(&mut self, id: FolderId) -> Result<()> {
        // A listing of the root answers "not found" if it is gone, which degrades the folder and deletes nothing.
        match self.folders.get(&id).and_then(|folder| folder.row.root) {
            Some(root) => self.store.want_listing(root, id),
            None => Ok(()),
        }
    }
}
