//! Watched folders: taken from the configuration, opened on disk, found in the cloud, looked at and verified, and dropped.

use std::result::Result as StdResult;

use crate::deed::{Deed, DiskError};
use crate::engine::effect::{Effect, Task};
use crate::engine::filter::Filter;
use crate::engine::folders::Folder;
use crate::engine::input::{RootFacts, Wishes};
use crate::engine::jobs::Job;
use crate::engine::listen::{Account, CEILING};
use crate::engine::remote::{
    self, REMOTE_GONE, RootAnswer, below, looked_at_every, may_compare_again, verification_calls,
};
use crate::engine::{Engine, ROWS_PER_STEP};
use crate::events::EventKind;
use crate::events::budget::Share;
use crate::id::{AccountId, FolderId, ItemId, JobId, NodeId};
use crate::path::Name;
use crate::plan::Policy;
use crate::provider::{Cure, ProviderError, Resolved, TreeSize};
use crate::settings::FolderSettings;
use crate::store::Result;
use crate::store::folders::{FolderRow, NewFolder};
use crate::store::items::{Presence, RemoteRow, SeatRow, SyncedRow};
use crate::tree::{ItemState, RemoteItem, Stamp, Wall};

/// The configuration.
impl Engine {
    /// Takes a configuration, for the first time or again.
    pub(in crate::engine) fn take_wishes(&mut self, wishes: Wishes) -> Result<()> {
        self.wish_accounts(wishes.accounts)?;
        self.hooks.wish(&mut self.ctx, wishes.hooks)?;
        let served = self.subscribers.wish(&mut self.ctx.store, wishes.subscriptions)?;
        self.ctx.out.push(served);
        let known = self.ctx.store.folders()?;
        for row in &known {
            let wanted = row.name.as_ref().is_some_and(|name| wishes.folders.iter().any(|folder| folder.name == *name));
            if row.name.is_none() {
                self.retired.entry(row.folder).or_insert(NodeId(0));
            } else if !wanted {
                self.retire(row.folder)?;
            }
        }
        for settings in wishes.folders {
            self.wish_folder(settings)?;
        }
        // There may be room for more now, or for less.
        self.prune_at = 0;
        self.reload();
        Ok(())
    }

    /// Drops the rows of a folder. Nothing on disk is touched.
    pub(in crate::engine) fn retire(&mut self, id: FolderId) -> Result<()> {
        self.ctx.store.retire_folder(id)?;
        self.retired.entry(id).or_insert(NodeId(0));
        self.close(id);
        self.folders.remove(&id);
        Ok(())
    }

    /// Stops everything of a folder that is under way; what was fetched is fetched again later.
    fn close(&mut self, id: FolderId) {
        if self.folders.contains_key(&id) {
            self.ctx.out.push(Effect::Close(id));
        }
        for job in self.jobs.of_folder(id) {
            if let Some(Job::Ask { hook, .. } | Job::Inspect { hook, .. } | Job::Tell { hook, .. }) =
                self.jobs.take(job)
            {
                self.hooks.given_up(&hook.name);
            }
            self.ctx.out.push(Effect::Cancel(job));
        }
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.close();
        }
        self.hooks.closed(id);
        self.empty_working_set();
    }

    /// Empties the working set; the rows stay.
    fn empty_working_set(&mut self) {
        // The working set does not know its folders: all of it is read again, which costs one pass over what is ready. What a job is
        // under way for stays: its outcome will come.
        self.schedule.clear(&self.jobs.nodes());
        self.hooks.forget_work();
        for account in self.accounts.values_mut() {
            account.queues.clear();
        }
        for folder in self.folders.values_mut() {
            folder.empty_queues();
        }
        // What is fetched and waits to be published belongs to items that are read again.
        self.questions.clear();
        self.ctx.paths.clear();
        self.reload();
    }

    fn wish_folder(&mut self, settings: FolderSettings) -> Result<()> {
        let Some((account, _)) = self.accounts.iter().find(|(_, account)| account.settings.name == settings.account)
        else {
            return Ok(());
        };
        let account = *account;
        let remote = settings.remote.to_string();
        let filter = Filter::new(&settings);
        if let Some(row) = self.ctx.store.folder_named(&settings.name)? {
            // Of a folder that is known the database may not have the newest yet: the configuration may be read twice in one step.
            let row = self.folders.get(&row.folder).map_or(row, |folder| folder.row.clone());
            if row.remote != remote || row.local != settings.local || row.account != account {
                return self.folder_was_moved(account, &settings, row);
            }
            let refiltered = row.filters != filter.text();
            let (id, before) = (row.folder, row.policy.unwrap_or_default());
            let policy = Policy::of(&settings);
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.wish(settings, filter);
            } else {
                let mut folder = Folder::new(account, settings, row.clone());
                if let Some(root) = row.root {
                    let top = self.accounts.get(&account).and_then(|account| account.capabilities.top_id);
                    if let Some(item) = self.ctx.store.item(root)? {
                        folder.watches_item(item.id, top);
                    }
                    folder.remote.is_marked = self.ctx.store.listing_wanted(root)?;
                }
                self.folders.insert(id, folder);
                self.questions.recall_expectations(&self.ctx, id)?;
                if row.told {
                    // By which paths died with the process: it may be anywhere by now.
                    self.doubt(id)?;
                }
                if let Some(folder) = self.folders.get_mut(&id).filter(|folder| folder.row.doubt.is_some()) {
                    // A process that begins need not wait for its turn: the comparison of before may have died with that one.
                    folder.change(|row| row.doubt_at = Wall(0));
                }
            }
            if refiltered {
                self.refilter(id)?;
            }
            return self.policy_wished(id, before, policy);
        }
        // A mark that no other folder has.
        let mark = format!("{:016x}{:016x}", self.ctx.chance.next(), self.ctx.chance.next());
        let new = NewFolder {
            name: &settings.name,
            account,
            mark: &mark,
            remote: &remote,
            local: &settings.local,
            filters: filter.text(),
        };
        let mut row = self.ctx.store.add_folder(&new)?;
        row.policy = Some(Policy::of(&settings));
        self.ctx.store.save_folder(&row)?;
        self.folders.insert(row.folder, Folder::new(account, settings, row));
        Ok(())
    }

    /// Keeps a folder known without letting it work.
    pub(in crate::engine) fn park_folder(
        &mut self,
        id: FolderId,
        account: AccountId,
        settings: &FolderSettings,
        row: FolderRow,
    ) {
        self.close(id);
        self.folders.insert(id, Folder::new(account, settings.clone(), row));
    }

    /// A folder whose rows were retired starts anew under the same settings.
    pub(in crate::engine) fn wish_again(&mut self, settings: FolderSettings) -> Result<()> {
        self.wish_folder(settings)
    }

    /// The patterns changed: what is now kept out is found by a full comparison, and so is what is now let in.
    fn refilter(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let text = folder.filter.text().to_owned();
        folder.change(|row| row.filters = text);
        if folder.row.root.is_some() {
            if folder.policy().sends() {
                self.scan_all(id)?;
            }
            self.compare(id, "the include and exclude patterns changed")?;
        }
        Ok(())
    }

    /// Drops the rows of folders that left the configuration, a few thousand at a time.
    pub(in crate::engine) fn drop_retired(&mut self) -> Result<()> {
        let Some(mut first) = self.retired.first_entry() else { return Ok(()) };
        match self.ctx.store.drop_retired(*first.key(), *first.get(), ROWS_PER_STEP)? {
            Some(reached) => *first.get_mut() = reached,
            None => drop(first.remove()),
        }
        self.ctx.more = true;
        Ok(())
    }

    pub(in crate::engine) fn save_folders(&mut self) -> Result<()> {
        let told = self.questions.told_by_path.watched();
        for (id, folder) in &mut self.folders {
            let is_told = told.contains(id);
            if folder.row.told != is_told {
                folder.change(|row| row.told = is_told);
            }
            if let Some(row) = folder.take_changed_row() {
                self.ctx.store.save_folder(row)?;
            }
        }
        Ok(())
    }
}

/// The local root, and the folder in the cloud.
impl Engine {
    pub(in crate::engine) fn drive_folders(&mut self) -> Result<()> {
        let ids: Vec<FolderId> = self.folders.keys().copied().collect();
        for id in ids {
            self.drive_root(id)?;
            self.drive_resolve(id)?;
            self.drive_remote_root(id)?;
            self.drive_doubt(id)?;
            self.drive_verification(id)?;
            self.drive_size(id)?;
            self.drive_comparison(id)?;
        }
        Ok(())
    }

    fn drive_root(&mut self, id: FolderId) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(is_first) = self.folders.get(&id).and_then(|folder| folder.opens_at(now)) else { return Ok(()) };
        let staged_before = if is_first { Some(self.staged_before(id)?) } else { None };
        let Some(job) = self.jobs.start(&mut self.ctx.store, Job::Open(id))? else { return Ok(()) };
        if let Some(folder) = self.folders.get_mut(&id) {
            let order = Box::new(folder.open(job, staged_before));
            self.ctx.out.push(Effect::Open { job, folder: id, order });
        }
        Ok(())
    }

    /// What deeds are to publish of which nobody knows whether they were done, and what waits for hooks.
    fn staged_before(&self, id: FolderId) -> Result<Vec<Name>> {
        let staged = self.ctx.store.intents(id)?.into_iter().filter_map(|intent| match intent.order.deed {
            Deed::Publish { staged, .. } => Some(staged.name),
            _ => None,
        });
        let waiting = self.ctx.store.staged_in(id)?.into_iter().map(|(_, staged, _)| staged.name);
        Ok(staged.chain(waiting).collect())
    }

    pub(in crate::engine) fn opened(
        &mut self,
        id: FolderId,
        job: JobId,
        result: StdResult<RootFacts, DiskError>,
    ) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&id).filter(|folder| folder.is_opened_by(job)) else { return Ok(()) };
        match result {
            Ok(facts) => {
                let Some(was_closed) = folder.opened(job, facts, now) else { return Ok(()) };
                self.retention.opened(&mut self.ctx, id, facts.disk_bytes, was_closed)?;
                self.room_seen(id, facts.free_bytes, was_closed)?;
                if was_closed {
                    self.recover_sent(id)?;
                    self.recover(id)?;
                    if let Some(folder) = self.folders.get_mut(&id) {
                        self.hooks.take_up(&mut self.ctx, id, &mut folder.staged)?;
                    }
                    self.reload();
                }
            }
            Err(error) => self.root_failed(id, &error),
        }
        Ok(())
    }

    /// The local root cannot be worked in.
    pub(in crate::engine) fn root_failed(&mut self, id: FolderId, error: &DiskError) {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&id) else { return };
        folder.root_failed(error, now);
        self.empty_working_set();
    }

    fn drive_resolve(&mut self, id: FolderId) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let account = folder.account;
        if !folder.resolves_at(now) || !self.can_ask(account) {
            return Ok(());
        }
        let task = Task::Resolve(folder.settings.remote.clone());
        let job = self.call(account, Share::News, Job::Resolve(account, id), task)?;
        if let Some(folder) = self.folders.get_mut(&id).filter(|_| job.is_some()) {
            folder.resolve();
        }
        Ok(())
    }

    pub(in crate::engine) fn resolved(
        &mut self,
        account: AccountId,
        id: FolderId,
        result: StdResult<Resolved, ProviderError>,
    ) -> Result<()> {
        let (chance, now) = (self.ctx.chance.next(), self.ctx.now.mono);
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        match folder.resolved(result, now, chance) {
            Ok(Some(item)) => self.root_found(account, id, &item),
            Ok(None) => Ok(()),
            Err(error) => {
                self.account_failed(account, &error);
                Ok(())
            }
        }
    }

    fn root_found(&mut self, account: AccountId, id: FolderId, item: &RemoteItem) -> Result<()> {
        self.account_worked(account);
        let top = self.accounts.get(&account).and_then(|account| account.capabilities.top_id);
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let is_new = folder.watches(item, top);
        self.note_root_place(id, item)?;
        if is_new {
            let remote = RemoteRow {
                presence: Presence::Present,
                parent: None,
                name: item.name.clone(),
                content: None,
                etag: item.etag.clone(),
                sequence: item.sequence,
                seen: i64::MAX,
            };
            let node = self.ctx.store.add_item(id, &item.id, &remote)?;
            let stamp = Stamp { dev: 0, ino: 0, size: 0, mtime_ns: 0, ctime_ns: 0 };
            self.ctx.store.set_synced(node, Some(&SyncedRow { seat: SeatRow::Root, content: None, stamp }))?;
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.change(|row| row.root = Some(node));
            }
            self.compare(id, "it is new")?;
        }
        Ok(())
    }

    /// Where calls are few, asks once how much there is to fetch, for the forecast of a long first sync.
    fn drive_size(&mut self, id: FolderId) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let (Some(item), true) = (folder.wants_size(), self.folder_can_ask(id)) else { return Ok(()) };
        let account = folder.account;
        let is_few = |account: &Account| account.limits().per_day.is_some() && account.is_open(now);
        if !self.accounts.get(&account).is_some_and(is_few) {
            return Ok(());
        }
        let job = self.call(account, Share::Bulk, Job::Size(account, id), Task::Size(item))?;
        if let Some(folder) = self.folders.get_mut(&id).filter(|_| job.is_some()) {
            folder.sized = true;
        }
        Ok(())
    }

    pub(in crate::engine) fn sized(
        &mut self,
        account: AccountId,
        id: FolderId,
        result: StdResult<Option<TreeSize>, ProviderError>,
    ) {
        match result {
            Ok(whole) => {
                self.account_worked(account);
                if let Some(folder) = self.folders.get_mut(&id) {
                    folder.change(|row| row.whole = whole);
                }
            }
            // Only a forecast is lost.
            Err(error) if error.cure() == Cure::Time => self.account_failed(account, &error),
            Err(_) => {}
        }
    }

    /// Whether questions about a folder can be asked, budget and slots aside.
    pub(in crate::engine) fn folder_can_ask(&self, id: FolderId) -> bool {
        self.folders
            .get(&id)
            .is_some_and(|folder| folder.can_ask() && self.accounts.get(&folder.account).is_some_and(Account::usable))
    }
}

/// Whether the watched folder itself is still there.
impl Engine {
    /// Whether something happened to the watched folder itself or above it, and what follows from that.
    pub(in crate::engine) fn concerns_root(
        &mut self,
        id: FolderId,
        kind: EventKind,
        item: Option<&ItemId>,
        paths: [Option<&str>; 2],
    ) -> Result<bool> {
        let Some(folder) = self.folders.get(&id) else { return Ok(true) };
        let account = folder.account;
        let root = folder.row.root_path.as_deref();
        let by_path = root.is_some_and(|root| paths.into_iter().flatten().any(|path| below(path, root).is_some()));
        let is_root = item.is_some() && folder.root_item.as_ref() == item;
        let is_above = match item {
            Some(item) if !is_root => self.ctx.store.folders_below(account, item)?.contains(&id),
            _ => false,
        };
        if !(by_path || is_root || is_above) {
            return Ok(false);
        }
        if matches!(kind, EventKind::Comment | EventKind::Lock | EventKind::Read) {
            return Ok(true);
        }
        let came_back = root.zip(paths[0]).is_some_and(|(root, to)| below(to, root).is_some());
        self.check_remote_root(id)?;
        if matches!(kind, EventKind::Sharing | EventKind::Restored) {
            // What could not be seen for a while was not told either; and what was looked at meanwhile was said to be in the trash.
            self.doubt(id)?;
        }
        if came_back && (matches!(kind, EventKind::Moved | EventKind::Renamed) || paths[1].is_some()) {
            // It has the path that is known, and had another one before: what was told under that could not be placed. A look shows no
            // difference. Example: `/Above` moves to `/Elsewhere`, and back before its new path was observed.
            self.doubt(id)?;
        }
        Ok(true)
    }

    /// The watched folder itself is to be looked at, and then its children.
    pub(in crate::engine) fn check_remote_root(&mut self, id: FolderId) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let Some(root) = folder.row.root else { return Ok(()) };
        folder.remote.mark(now);
        self.ctx.store.want_listing_now(root, id)
    }

    fn drive_remote_root(&mut self, id: FolderId) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let Some(account) = self.accounts.get(&folder.account) else { return Ok(()) };
        let is_brisk = account.settings.poll_max.is_some_and(|most| most < CEILING);
        let is_due = folder.remote.is_due(looked_at_every(account.rest(), is_brisk), now);
        let account = folder.account;
        let Some(item) = folder.root_item.clone().filter(|_| is_due && folder.is_open() && !folder.row.paused) else {
            return Ok(());
        };
        if !self.can_ask(account) {
            return Ok(());
        }
        let job = self.call(account, Share::News, Job::Root(account, id), Task::Look(item))?;
        if let Some(folder) = self.folders.get_mut(&id).filter(|_| job.is_some()) {
            folder.remote.asks();
        }
        Ok(())
    }

    /// The watched folder was looked at.
    pub(in crate::engine) fn root_looked(
        &mut self,
        account: AccountId,
        id: FolderId,
        result: StdResult<ItemState, ProviderError>,
    ) -> Result<()> {
        let (now, chance) = (self.ctx.now.mono, self.ctx.chance.next());
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        match folder.remote.answered(result, now, chance) {
            RootAnswer::There(found) => {
                let root = folder.row.root;
                self.account_worked(account);
                let known = root.map(|root| self.ctx.store.item(root)).transpose()?.flatten();
                if let Some(known) = known {
                    remote::learn::root(&mut self.ctx, &known, &found)?;
                }
                self.note_root_place(id, &found)?;
                self.root_is_there(id)
            }
            RootAnswer::Away(cause) => {
                folder.degraded = Some(folder.remote.is_away(cause, now, chance));
                self.account_worked(account);
                Ok(())
            }
            RootAnswer::Failed(error) => {
                self.account_failed(account, &error);
                Ok(())
            }
        }
    }

    /// The watched folder is there. If it was not, everything in it is asked for again.
    fn root_is_there(&mut self, id: FolderId) -> Result<()> {
        let now = self.ctx.store.generation();
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.degraded.take_if(|degraded| degraded.name == REMOTE_GONE);
        if folder.remote.is_there(now) {
            self.questions.forget_not_found();
            self.compare(id, "the watched folder was away, and what happened in it meanwhile was not told")?;
            self.reload();
        }
        Ok(())
    }
}

/// Verification that goes round, and doubts.
impl Engine {
    fn drive_verification(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        if folder.row.comparison_stage.is_some() || folder.row.root.is_none() || !self.folder_can_ask(id) {
            return Ok(());
        }
        let account = folder.account;
        let per_day = self.accounts.get(&account).and_then(|account| account.limits().per_day);
        let siblings = self.folders.values().filter(|other| other.account == account).count() as u64;
        let quiet = self.quiet_for(id);
        match self.folders.get_mut(&id) {
            Some(folder) => folder.verification.drive(&mut self.ctx, id, verification_calls(per_day, siblings), quiet),
            None => Ok(()),
        }
    }

    /// How long what can wait waits in a folder, because its account is to be quiet at this time of the day.
    pub(in crate::engine) fn quiet_for(&self, id: FolderId) -> Option<u64> {
        self.accounts.get(&self.folders.get(&id)?.account)?.quiet_for(self.ctx.now.wall)
    }

    /// Everything that was seen before a moment is to be seen again.
    pub(in crate::engine) fn refresh(&mut self, id: FolderId, before: Wall) -> Result<usize> {
        self.ctx.more = true;
        self.ctx.store.want_listings_older(id, before)
    }

    /// An event could not be understood: what it meant is found by comparing the folder, which is being verified until that ended.
    pub(in crate::engine) fn doubt(&mut self, id: FolderId) -> Result<()> {
        let mark = self.ctx.store.generation();
        if let Some(folder) = self.folders.get_mut(&id).filter(|folder| folder.row.root.is_some()) {
            folder.change(|row| row.doubt = Some(mark));
            self.ctx.more = true;
        }
        Ok(())
    }

    /// Compares a folder of which an event could not be understood.
    fn drive_doubt(&mut self, id: FolderId) -> Result<()> {
        let now = self.ctx.now.wall;
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let is_due = folder.row.doubt.is_some()
            && folder.row.comparison_stage.is_none()
            && may_compare_again(folder.row.doubt_at, now)
            && self.folder_can_ask(id);
        if is_due {
            self.compare(id, "an event could not be understood, and what it meant is looked for")?;
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.change(|row| row.doubt_at = now);
            }
        }
        Ok(())
    }
}
