//! Folders: opening the local root, finding the remote one, and full comparisons.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::disk::Building;
use super::effect::{Effect, Task};
use super::filter::Filter;
use super::input::{OpenOrder, RootFacts, Wishes};
use super::jobs::{job_folder, job_nodes};
use super::learn::Source;
use super::remote::{Complete, Listing, RootState};
use super::room::Room;
use super::{Engine, Job, ROWS_PER_STEP, millis};
use crate::deed::{Deed, DiskError, DiskErrorKind, Staged};
use crate::events::budget::Share;
use crate::events::interval::backoff;
use crate::id::{AccountId, FolderId, Generation, ItemId, JobId, NodeId};
use crate::path::Name;
use crate::plan::Policy;
use crate::provider::{ListPage, ProviderError, ProviderErrorKind, Resolved};
use crate::report::Degraded;
use crate::settings::FolderSettings;
use crate::store::Result;
use crate::store::folders::{FolderCounts, FolderRow, NewFolder, ScanStage};
use crate::store::items::{ItemRow, Presence, RemoteRow, SeatRow, SyncedRow};
use crate::store::work::Lane;
use crate::tree::{RemoteItem, SyncedContent};

mod compare;
mod size;

/// How often an idle root is looked at: an unmounted disk must not pass for an empty folder.
const ROOT_CHECKED_EVERY: Duration = Duration::from_mins(1);
/// How soon a root that could not be opened is tried again.
const ROOT_RETRIED_EVERY: Duration = Duration::from_secs(10);
/// Listings read from the database at once.
const LISTINGS_PER_LOAD: u32 = 64;

/// Whether the local root can be worked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Closed,
    Open,
}

/// One folder of the configuration.
#[derive(Debug)]
pub(super) struct Folder {
    pub account: AccountId,
    pub settings: FolderSettings,
    pub row: FolderRow,
    pub filter: Filter,
    pub root_item: Option<ItemId>,
    pub degraded: Option<Degraded>,
    /// The batch of deeds under way.
    pub batch: Option<JobId>,
    /// The batch that this step puts together.
    pub building: Building,
    /// Items that wait for the next batch.
    pub queue: VecDeque<NodeId>,
    /// Items that wait for the sweep.
    pub after_sweep: Vec<NodeId>,
    /// Files that are fetched and not yet published.
    pub staged: BTreeMap<NodeId, (Staged, SyncedContent)>,
    /// Files that wait to be read.
    pub readers: VecDeque<NodeId>,
    /// The disk is watched and scanned.
    pub watched: bool,
    /// The disk's turn was last a scan's.
    pub scanned_last: bool,
    /// When everything is scanned again, as not all of it can be watched.
    pub scan_again: u64,
    pub unwatched: Option<Degraded>,
    /// A person may have decided about conflicts, and the database knows which.
    pub decided: bool,
    /// The mode was changed and nobody has approved that: what would be done is found out, and not done.
    pub preview: bool,
    root: Root,
    /// The job that opens the root, or looks at it again.
    opening: Option<JobId>,
    root_due: u64,
    resolving: bool,
    resolve_due: u64,
    resolve_failures: u32,
    /// The cloud was asked how much it holds.
    pub sized: bool,
    /// The poll that must have been drained before absences are believed.
    settle_after: Option<u64>,
    touched: bool,
    /// The watched folder's own place in the cloud.
    pub remote: RootState,
    /// It is the top of its account.
    pub watches_top: bool,
    /// The generation at which the comparison that is under way was begun; nothing after a restart, when it cannot answer a mark.
    pub compared_since: Option<Generation>,
    /// No look before this moment whether a part of it is to be verified.
    pub verify_due: u64,
    /// The account's settings or holds keep it from working.
    pub stuck: bool,
    /// What is known of the room on its disk.
    pub room: Room,
}

impl Folder {
    fn new(account: AccountId, settings: FolderSettings, row: FolderRow) -> Self {
        Self {
            account,
            filter: Filter::new(&settings),
            settings,
            row,
            root_item: None,
            degraded: None,
            batch: None,
            building: Building::default(),
            queue: VecDeque::new(),
            after_sweep: Vec::new(),
            staged: BTreeMap::new(),
            readers: VecDeque::new(),
            watched: false,
            scanned_last: false,
            scan_again: u64::MAX,
            unwatched: None,
            decided: true,
            preview: false,
            root: Root::Closed,
            opening: None,
            root_due: 0,
            resolving: false,
            resolve_due: 0,
            resolve_failures: 0,
            sized: false,
            settle_after: None,
            touched: false,
            remote: RootState::default(),
            watches_top: false,
            compared_since: None,
            verify_due: 0,
            stuck: false,
            room: Room::default(),
        }
    }

    /// How an item that is met now is marked for the comparison: even if the stream told of it, odd if it was seen itself.
    pub fn seen_mark(&self, seen: bool) -> i64 {
        2 * self.row.scan + i64::from(seen)
    }

    /// Adds to the counts.
    pub fn count(&mut self, change: FolderCounts) {
        self.row.counts.add(change);
        self.touched = true;
    }

    /// Changes the row.
    pub fn change(&mut self, change: impl FnOnce(&mut FolderRow)) {
        change(&mut self.row);
        self.touched = true;
    }

    /// The root is looked at no later than `due`, on the clock that never jumps, or as soon as nothing is done in it.
    pub fn look_at_root_by(&mut self, due: u64) {
        if self.opening.is_none() {
            self.root_due = self.root_due.min(due);
        }
    }

    /// Whether deeds can be done in the local root.
    pub fn is_open(&self) -> bool {
        self.root == Root::Open && !self.stuck
    }

    /// When there is something to begin. `ask_at` is when its account can be asked; nothing if it cannot.
    pub fn deadline(&self, ask_at: Option<u64>) -> Option<u64> {
        if self.stuck || self.opening.is_some() {
            return None;
        }
        let resolves = self.root == Root::Open && self.root_item.is_none() && !self.resolving;
        let resolve = ask_at.filter(|_| resolves).map(|at| at.max(self.resolve_due));
        // A root in which deeds are being done is looked at afterwards.
        let root = self.batch.is_none().then_some(self.root_due);
        let asks = self.root == Root::Open && self.root_item.is_some() && !self.row.paused;
        let remote = self.remote.deadline().zip(ask_at).filter(|_| asks).map(|(at, ask_at)| at.max(ask_at));
        let verify = ask_at
            .filter(|_| asks && self.row.scan_stage.is_none() && !self.remote.is_gone)
            .map(|at| at.max(self.verify_due));
        resolve.into_iter().chain(root).chain(remote).chain(verify).min()
    }
}

impl Engine {
    /// Takes a configuration, for the first time or again.
    pub(super) fn take_wishes(&mut self, wishes: Wishes) -> Result<()> {
        self.wish_accounts(wishes.accounts)?;
        self.wish_hooks(wishes.hooks)?;
        let served = self.subscribers.wish(&mut self.ctx.store, wishes.subscriptions)?;
        self.ctx.out.push(served);
        let known = self.ctx.store.folders()?;
        for row in &known {
            let wanted = row.name.as_ref().is_some_and(|name| wishes.folders.iter().any(|folder| folder.name == *name));
            if row.name.is_none() {
                self.retired.push(row.folder);
            } else if !wanted {
                self.retire(row.folder)?;
            }
        }
        self.retired.sort_unstable();
        self.retired.dedup();
        for settings in wishes.folders {
            self.wish_folder(settings)?;
        }
        // There may be room for more now, or for less.
        self.prune_at = 0;
        self.reload();
        Ok(())
    }

    /// Takes a folder out of the books. Nothing on disk is touched.
    pub(super) fn retire(&mut self, id: FolderId) -> Result<()> {
        self.ctx.store.retire_folder(id)?;
        self.retired.push(id);
        self.close(id);
        self.folders.remove(&id);
        Ok(())
    }

    /// Stops everything of a folder that is under way; what was fetched is fetched again later.
    fn close(&mut self, id: FolderId) {
        if self.folders.contains_key(&id) {
            self.ctx.out.push(Effect::Close(id));
        }
        let theirs: Vec<JobId> =
            self.jobs.iter().filter(|(_, job)| job_folder(job) == Some(id)).map(|(job, _)| *job).collect();
        for job in theirs {
            if let Some(Job::Ask { hook, .. } | Job::Tell { hook, .. }) = self.take_job(job) {
                self.hooks.release(&hook.name);
            }
            self.ctx.out.push(Effect::Cancel(job));
        }
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.staged.clear();
            folder.batch = None;
            folder.watched = false;
        }
        self.empty_working_set();
    }

    /// Empties the working set; the rows stay.
    fn empty_working_set(&mut self) {
        // The working set does not know its folders: all of it is read again, which costs one pass over what is ready. What a job is
        // under way for stays: its outcome will come.
        let busy: BTreeSet<NodeId> = self.jobs.values().flat_map(job_nodes).collect();
        self.schedule.clear(&busy);
        self.hooks.forget_waiting();
        for account in self.accounts.values_mut() {
            account.queues.clear();
        }
        for folder in self.folders.values_mut() {
            folder.queue.clear();
            folder.readers.clear();
            folder.after_sweep.clear();
        }
        // What is fetched and waits to be published belongs to items that are read again.
        self.questions.clear();
        self.places.clear();
        self.remote_paths.clear();
        self.reload();
    }

    fn wish_folder(&mut self, settings: FolderSettings) -> Result<()> {
        let Some((account, _)) = self.accounts.iter().find(|(_, account)| account.settings.name == settings.account)
        else {
            return Ok(());
        };
        let account = *account;
        let remote = settings.remote.to_string();
        let filters = Filter::new(&settings);
        if let Some(row) = self.ctx.store.folder_named(&settings.name)? {
            if row.remote != remote || row.local != settings.local || row.account != account {
                return self.folder_was_moved(account, &settings, row);
            }
            let refiltered = row.filters != filters.text();
            let (id, before) = (row.folder, row.policy.unwrap_or_default());
            let policy = Policy::of(&settings);
            if let Some(folder) = self.folders.get_mut(&row.folder) {
                let relook = folder.settings != settings;
                folder.settings = settings;
                folder.filter = filters;
                folder.stuck = false;
                if relook {
                    // The world holds the permissions and limits of the root.
                    folder.root = Root::Closed;
                    folder.opening = None;
                    folder.root_due = 0;
                }
            } else {
                let mut folder = Folder::new(account, settings, row.clone());
                if let Some(root) = row.root {
                    folder.root_item = self.ctx.store.item(root)?.map(|root| root.id);
                    folder.remote.is_marked = self.ctx.store.listing_wanted(root)?;
                }
                let top = self.accounts.get(&account).and_then(|account| account.capabilities.top_id);
                folder.watches_top = top.is_some() && folder.root_item.as_ref().map(ItemId::raw) == top;
                self.folders.insert(row.folder, folder);
            }
            if refiltered {
                self.refilter(row.folder)?;
            }
            return self.policy_wished(id, before, policy);
        }
        let mark = self.new_mark();
        let new = NewFolder {
            name: &settings.name,
            account,
            mark: &mark,
            remote: &remote,
            local: &settings.local,
            filters: filters.text(),
        };
        let mut row = self.ctx.store.add_folder(&new)?;
        row.policy = Some(Policy::of(&settings));
        self.ctx.store.save_folder(&row)?;
        self.folders.insert(row.folder, Folder::new(account, settings, row));
        Ok(())
    }

    /// Keeps a folder known without letting it work.
    pub(super) fn park_folder(&mut self, id: FolderId, account: AccountId, settings: &FolderSettings, row: FolderRow) {
        self.close(id);
        self.folders.insert(id, Folder::new(account, settings.clone(), row));
    }

    /// A folder whose rows were retired starts anew under the same settings.
    pub(super) fn wish_again(&mut self, settings: FolderSettings) -> Result<()> {
        self.wish_folder(settings)
    }

    /// The patterns changed: what is now kept out is found by a full comparison, and so is what is now let in.
    fn refilter(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let text = folder.filter.text().to_owned();
        folder.change(|row| row.filters = text);
        if folder.row.root.is_some() {
            if self.policy(id).sends() {
                self.scan_all(id)?;
            }
            self.compare(id, "the include and exclude patterns changed")?;
        }
        Ok(())
    }

    /// A mark that no other folder has.
    fn new_mark(&mut self) -> String {
        format!("{:016x}{:016x}", self.ctx.chance.next(), self.ctx.chance.next())
    }

    pub(super) fn drive_folders(&mut self) -> Result<()> {
        let ids: Vec<FolderId> = self.folders.keys().copied().collect();
        for id in ids {
            self.drive_root(id)?;
            self.drive_resolve(id)?;
            self.drive_remote_root(id)?;
            self.drive_doubt(id)?;
            self.drive_verification(id)?;
            self.drive_size(id)?;
            self.drive_scan(id)?;
        }
        Ok(())
    }

    fn drive_root(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        if folder.stuck || folder.opening.is_some() || self.ctx.now.mono < folder.root_due || folder.batch.is_some() {
            return Ok(());
        }
        let staged = folder.staged.values().map(|(staged, _)| staged.name.clone());
        let mut keep_staged: Vec<Name> = staged.collect();
        let first = folder.root == Root::Closed;
        if first {
            for intent in self.ctx.store.intents(id)? {
                if let Deed::Publish { staged, .. } = intent.order.deed {
                    keep_staged.push(staged.name);
                }
            }
        }
        let Some(job) = self.start(Job::Open(id))? else { return Ok(()) };
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.opening = Some(job);
        folder.root_due = u64::MAX;
        let keep_staged = first.then_some(keep_staged);
        let order = OpenOrder {
            path: folder.settings.local.clone(),
            mark: folder.row.mark.clone(),
            create: !folder.row.opened,
            keep_staged,
            settings: folder.settings.clone(),
        };
        self.ctx.out.push(Effect::Open { job, folder: id, order: Box::new(order) });
        Ok(())
    }

    pub(super) fn opened(
        &mut self,
        id: FolderId,
        job: JobId,
        result: std::result::Result<RootFacts, DiskError>,
    ) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&id).filter(|folder| folder.opening == Some(job)) else {
            // The settings changed meanwhile: the root is opened with the new ones.
            return Ok(());
        };
        folder.opening = None;
        let was_open = folder.root == Root::Open;
        match result {
            Ok(facts) => {
                folder.root = Root::Open;
                folder.root_due = now + millis(ROOT_CHECKED_EVERY);
                folder.degraded = None;
                if !folder.row.opened {
                    folder.change(|row| {
                        row.opened = true;
                        row.adopt = !facts.empty;
                    });
                }
                self.opened_for_retention(id, facts.disk_bytes, !was_open)?;
                self.room_seen(id, facts.free_bytes, !was_open)?;
                if !was_open {
                    self.recover_sent(id)?;
                    self.recover(id)?;
                    self.reload();
                }
            }
            Err(error) => self.root_failed(id, &error),
        }
        Ok(())
    }

    /// The local root cannot be worked in.
    pub(super) fn root_failed(&mut self, id: FolderId, error: &DiskError) {
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&id) else { return };
        folder.root = Root::Closed;
        folder.opening = None;
        // What happens to the disk meanwhile is not seen: it is scanned when it is back.
        folder.watched = false;
        folder.root_due = now + millis(ROOT_RETRIED_EVERY);
        folder.degraded = Some(root_trouble(error));
        self.empty_working_set();
    }

    fn drive_resolve(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let usable = self.can_ask(folder.account);
        let due = folder.is_open()
            && folder.root_item.is_none()
            && !folder.resolving
            && self.ctx.now.mono >= folder.resolve_due;
        if !usable || !due {
            return Ok(());
        }
        if !self.may_call(folder.account, Share::News) {
            return Ok(());
        }
        let Some(folder) = self.folders.get(&id) else { return Ok(()) };
        let (account, place) = (folder.account, folder.settings.remote.clone());
        let Some(job) = self.start(Job::Resolve(account, id))? else { return Ok(()) };
        self.spend_call(account, Share::News)?;
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.resolving = true;
        }
        self.ctx.out.push(Effect::Cloud { job, account, task: Task::Resolve(place) });
        Ok(())
    }

    pub(super) fn resolved(
        &mut self,
        account: AccountId,
        id: FolderId,
        result: std::result::Result<Resolved, ProviderError>,
    ) -> Result<()> {
        let chance = self.ctx.chance.next();
        let now = self.ctx.now.mono;
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.resolving = false;
        let cause = match result {
            Ok(Resolved::Folder(item)) => return self.root_found(account, id, &item),
            Ok(Resolved::NotAFolder { path }) => format!("`{path}` is not a folder"),
            Ok(Resolved::Missing { exists, instead }) => {
                format!("`{}` is not there; `{exists}` has: {}", folder.settings.remote, instead.join(", "))
            }
            Err(error) if error.kind == ProviderErrorKind::NotFound => error.to_string(),
            Err(error) => {
                folder.resolve_due = now + millis(backoff(3, error.retry_after, chance));
                self.account_failed(account, &error);
                return Ok(());
            }
        };
        folder.resolve_failures += 1;
        folder.resolve_due = now + millis(backoff(5 + folder.resolve_failures, None, chance));
        folder.degraded = Some(Degraded {
            name: "remote_missing".into(),
            cause,
            next_step: "create the folder in the cloud or correct `remote`; the agent looks again by itself".into(),
        });
        Ok(())
    }

    fn root_found(&mut self, account: AccountId, id: FolderId, item: &RemoteItem) -> Result<()> {
        self.account_worked(account);
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.resolve_failures = 0;
        folder.degraded = None;
        folder.root_item = Some(item.id.clone());
        folder.watches_top = self
            .accounts
            .get(&account)
            .and_then(|account| account.capabilities.top_id)
            .is_some_and(|top| item.id.raw() == top);
        let is_new = folder.row.root.is_none();
        if is_new {
            folder.change(|row| row.root_path.clone_from(&item.path));
        }
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
            let stamp = crate::tree::Stamp { dev: 0, ino: 0, size: 0, mtime_ns: 0, ctime_ns: 0 };
            self.ctx.store.set_synced(node, Some(&SyncedRow { seat: SeatRow::Root, content: None, stamp }))?;
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.change(|row| row.root = Some(node));
            }
            self.compare(id, "it is new")?;
        }
        Ok(())
    }

    /// Drops the rows of folders that left the configuration, a few thousand at a time.
    pub(super) fn drop_retired(&mut self) -> Result<()> {
        let Some(&id) = self.retired.first() else { return Ok(()) };
        if self.ctx.store.drop_retired(id, ROWS_PER_STEP)? {
            self.retired.remove(0);
        }
        self.ctx.more = true;
        Ok(())
    }

    pub(super) fn save_folders(&mut self) -> Result<()> {
        for folder in self.folders.values_mut() {
            if std::mem::take(&mut folder.touched) {
                self.ctx.store.save_folder(&folder.row)?;
            }
        }
        Ok(())
    }
}

/// What is wrong with a folder whose local root cannot be worked in.
pub(crate) fn root_trouble(error: &DiskError) -> Degraded {
    let (name, next_step) = match error.kind {
        DiskErrorKind::RootLost => (
            "root_lost",
            "bring the directory back (mount the disk); nothing is deleted or fetched meanwhile, and the agent looks \
             again every ten seconds",
        ),
        DiskErrorKind::NotWritable => {
            ("not_writable", "let the agent's user write there; it tries again every ten seconds")
        }
        DiskErrorKind::Full => ("disk_full", "make room; the agent tries again every ten seconds"),
        DiskErrorKind::UnsafePath | DiskErrorKind::ParentMissing | DiskErrorKind::Item => {
            ("root_refused", "see the cause; the agent tries again every ten seconds")
        }
    };
    Degraded { name: name.into(), cause: error.to_string(), next_step: next_step.into() }
}
