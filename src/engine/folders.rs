//! One watched folder: its local root, the folder in the cloud that it watches, and how far a comparison of the two is.
//!
//! It decides and remembers; the router asks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::ctx::millis;
use super::disk::Building;
use super::filter::Filter;
use super::input::{OpenOrder, RootFacts};
use super::local::Watch;
use super::remote::{RootState, Verification};
use super::room::Room;
use crate::deed::{DiskError, DiskErrorKind, Staged};
use crate::events::budget::Share;
use crate::events::interval::backoff;
use crate::id::{AccountId, Generation, ItemId, JobId, NodeId};
use crate::path::Name;
use crate::plan::Policy;
use crate::provider::{ProviderError, ProviderErrorKind, Resolved};
use crate::report::Degraded;
use crate::settings::FolderSettings;
use crate::store::folders::{ComparisonStage, FolderCounts, FolderRow};
use crate::store::work::Priority;
use crate::tree::{RemoteItem, SyncedContent, Wall};

/// How often an idle root is looked at: an unmounted disk must not pass for an empty folder.
const ROOT_CHECKED_EVERY: Duration = Duration::from_mins(1);
/// How soon a root that could not be opened is tried again.
const ROOT_RETRIED_EVERY: Duration = Duration::from_secs(10);
/// Whether the local root can be worked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Closed,
    Open,
}

/// One folder of the configuration.
#[derive(Debug)]
pub(in crate::engine) struct Folder {
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
    /// Directories that wait for the end of the stream before they go out of sight.
    pub after_stream: Vec<NodeId>,
    /// Files that are fetched and not yet published.
    pub staged: BTreeMap<NodeId, (Staged, SyncedContent)>,
    /// Files that wait to be read.
    pub readers: VecDeque<NodeId>,
    /// How its disk is listened to.
    pub watch: Watch,
    /// The disk's turn was last that of files out of sight.
    pub kept_last: bool,
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
    /// The poll that must have ended before absences are believed.
    settle_after: Option<u64>,
    /// A remote folder was found to be gone of which the stream had not told: the poll that must have ended before what it held is
    /// believed to be gone as well.
    found_gone_after: Option<u64>,
    /// The newest generation at which a folder in it was observed to be gone.
    below_gone_at: Option<Generation>,
    /// The generation at which the last comparison that ended was begun; nothing before the first one of this process.
    compared_at: Option<Generation>,
    touched: bool,
    /// The watched folder's own place in the cloud.
    pub remote: RootState,
    /// It is the top of its account.
    pub watches_top: bool,
    /// The generation at which the comparison that is under way was begun; nothing after a restart, when it cannot answer a mark.
    pub compared_since: Option<Generation>,
    /// When a part of it is verified.
    pub verification: Verification,
    /// The account's settings or holds keep it from working.
    pub stuck: bool,
    /// What is known of the room on its disk.
    pub room: Room,
}

impl Folder {
    /// A folder that nobody looked at yet.
    pub fn new(account: AccountId, settings: FolderSettings, row: FolderRow) -> Self {
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
            after_stream: Vec::new(),
            staged: BTreeMap::new(),
            readers: VecDeque::new(),
            watch: Watch::default(),
            kept_last: false,
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
            found_gone_after: None,
            below_gone_at: None,
            compared_at: None,
            touched: false,
            remote: RootState::default(),
            watches_top: false,
            compared_since: None,
            verification: Verification::default(),
            stuck: false,
            room: Room::default(),
        }
    }

    /// How an item that is met now is marked for the comparison: even if the stream told of it, odd if it was seen itself.
    pub fn seen_mark(&self, seen: bool) -> i64 {
        2 * self.row.comparison + i64::from(seen)
    }

    /// Whose calls the listing of one of its folders is.
    pub fn share(&self, priority: Priority) -> Share {
        match priority {
            Priority::News => Share::News,
            Priority::Bulk if self.row.comparison_stage.is_some() && self.row.unverified.is_none() => Share::Comparison,
            Priority::Bulk => Share::Bulk,
        }
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
            .filter(|_| asks && self.row.comparison_stage.is_none() && !self.remote.is_gone)
            .map(|at| at.max(self.verification.due()));
        resolve.into_iter().chain(root).chain(remote).chain(verify).min()
    }

    /// The configuration was read again.
    pub fn wish(&mut self, settings: FolderSettings, filter: Filter) {
        let relook = self.settings != settings;
        self.settings = settings;
        self.filter = filter;
        self.stuck = false;
        if relook {
            // The world holds the permissions and limits of the root.
            self.root = Root::Closed;
            self.opening = None;
            self.root_due = 0;
        }
    }

    /// What is under way in it is given up; what was fetched and does not wait for hooks is fetched again.
    pub fn close(&mut self) {
        self.staged.clear();
        self.batch = None;
        self.watch.end();
    }

    /// Nothing of it is in the working set any more.
    pub fn empty_queues(&mut self) {
        self.queue.clear();
        self.readers.clear();
        self.after_sweep.clear();
        self.after_stream.clear();
    }

    /// Takes the row to be written, if it changed.
    pub fn take_changed_row(&mut self) -> Option<&FolderRow> {
        std::mem::take(&mut self.touched).then_some(&self.row)
    }

    /// Who decides in it.
    pub fn policy(&self) -> Policy {
        Policy::of(&self.settings)
    }
}

/// Its local root.
impl Folder {
    /// Whether the root is to be opened or looked at now; if so, whether it was closed.
    pub fn opens_at(&self, now: u64) -> Option<bool> {
        let waits = self.stuck || self.opening.is_some() || now < self.root_due || self.batch.is_some();
        (!waits).then_some(self.root == Root::Closed)
    }

    /// The root is opened, or looked at. What is staged besides what it knows of is to stay as well, if it was closed.
    pub fn open(&mut self, job: JobId, staged_before: Option<Vec<Name>>) -> OpenOrder {
        self.opening = Some(job);
        self.root_due = u64::MAX;
        let staged = self.staged.values().map(|(staged, _)| staged.name.clone());
        OpenOrder {
            path: self.settings.local.clone(),
            mark: self.row.mark.clone(),
            create: !self.row.opened,
            keep_staged: staged_before.map(|before| staged.chain(before).collect()),
            settings: self.settings.clone(),
        }
    }

    /// The root was opened, or looked at again: whether it was closed before. Nothing if the settings changed meanwhile: it is opened with
    /// the new ones.
    pub fn opened(&mut self, job: JobId, facts: RootFacts, now: u64) -> Option<bool> {
        self.opening.take_if(|opening| *opening == job)?;
        let was_closed = std::mem::replace(&mut self.root, Root::Open) == Root::Closed;
        self.root_due = now + millis(ROOT_CHECKED_EVERY);
        self.degraded = None;
        if !self.row.opened {
            self.change(|row| {
                row.opened = true;
                row.adopt = !facts.empty;
            });
        }
        Some(was_closed)
    }

    /// Whether a job is the one that opens the root.
    pub fn is_opened_by(&self, job: JobId) -> bool {
        self.opening == Some(job)
    }

    /// The local root cannot be worked in.
    pub fn root_failed(&mut self, error: &DiskError, now: u64) {
        self.root = Root::Closed;
        self.opening = None;
        // What happens to the disk meanwhile is not seen: it is scanned when it is back.
        self.watch.end();
        self.root_due = now + millis(ROOT_RETRIED_EVERY);
        self.degraded = Some(root_trouble(error));
    }
}

/// The folder in the cloud that it watches.
impl Folder {
    /// Whether that is to be looked for now.
    pub fn resolves_at(&self, now: u64) -> bool {
        self.is_open() && self.root_item.is_none() && !self.resolving && now >= self.resolve_due
    }

    /// It is looked for.
    pub fn resolve(&mut self) {
        self.resolving = true;
    }

    /// An answer came: the item that it watches, or a call's failure, for the account to know.
    pub fn resolved(
        &mut self,
        result: Result<Resolved, ProviderError>,
        now: u64,
        chance: u64,
    ) -> Result<Option<Box<RemoteItem>>, ProviderError> {
        self.resolving = false;
        let cause = match result {
            Ok(Resolved::Folder(item)) => return Ok(Some(Box::new(item))),
            Ok(Resolved::NotAFolder { path }) => format!("`{path}` is not a folder"),
            Ok(Resolved::Missing { exists, instead }) => {
                format!("`{}` is not there; `{exists}` has: {}", self.settings.remote, instead.join(", "))
            }
            Err(error) if error.kind == ProviderErrorKind::NotFound => error.to_string(),
            Err(error) => {
                self.resolve_due = now + millis(backoff(3, error.retry_after, chance));
                return Err(error);
            }
        };
        self.resolve_failures += 1;
        self.resolve_due = now + millis(backoff(5 + self.resolve_failures, None, chance));
        self.degraded = Some(Degraded {
            name: "remote_missing".into(),
            cause,
            next_step: "create the folder in the cloud or correct `remote`; the agent looks again by itself".into(),
        });
        Ok(None)
    }

    /// The item that it watches is known: whether for the first time.
    pub fn watches(&mut self, item: &RemoteItem, top: Option<&str>) -> bool {
        self.resolve_failures = 0;
        self.degraded = None;
        self.watches_item(item.id.clone(), top);
        let is_new = self.row.root.is_none();
        if is_new {
            self.change(|row| row.root_path.clone_from(&item.path));
        }
        is_new
    }

    /// The item that it watches is this one; `top` is the top of its account.
    pub fn watches_item(&mut self, item: ItemId, top: Option<&str>) {
        self.watches_top = top.is_some_and(|top| item.raw() == top);
        self.root_item = Some(item);
    }

    /// Whether the cloud is to be asked how much there is to fetch, where calls are few.
    pub fn wants_size(&self) -> Option<ItemId> {
        let wanted = !self.sized && self.row.verified_at.is_none() && self.row.whole.is_none();
        self.root_item.clone().filter(|_| wanted)
    }

    /// Whether questions about it can be asked, as far as it depends on the folder.
    pub fn can_ask(&self) -> bool {
        self.is_open() && !self.row.paused && !self.remote.is_gone
    }
}

/// Comparing the whole of it.
impl Folder {
    /// A comparison begins, or begins anew.
    pub fn begin_comparison(&mut self, at: Generation, why: &str) {
        self.compared_since = Some(at);
        self.settle_after = None;
        self.change(|row| {
            row.comparison += 1;
            row.comparison_stage = Some(ComparisonStage::Listing);
            row.comparison_at = NodeId(0);
            row.unverified = Some(why.to_owned());
        });
    }

    /// Everything was listed; so many polls were begun. Whether the stream is to be read.
    pub fn was_listed(&mut self, polls_begun: u64) {
        self.settle_after = Some(polls_begun);
        self.change(|row| row.comparison_stage = Some(ComparisonStage::Settling));
    }

    /// Waits for the poll after which absences are believed. `again`: there is more to be listed. Whether the stream is to be read.
    pub fn settle(&mut self, polls_begun: u64, polls_ended: u64, again: bool) -> bool {
        // After a restart the poll that was waited for is forgotten: wait for one from now on.
        let is_known = self.settle_after.is_some();
        let after = *self.settle_after.get_or_insert(polls_begun);
        if is_known && again {
            self.change(|row| row.comparison_stage = Some(ComparisonStage::Listing));
        } else if is_known && polls_ended > after {
            self.change(|row| {
                row.comparison_stage = Some(ComparisonStage::Absences);
                row.comparison_at = NodeId(0);
            });
        } else {
            // A poll that was under way when we asked has put off the one that we wait for.
            return true;
        }
        false
    }

    /// A remote folder was found to be gone, ahead of the stream; so many polls were begun.
    pub fn found_gone(&mut self, polls_begun: u64) {
        self.found_gone_after = self.found_gone_after.max(Some(polls_begun));
    }

    /// The poll after which the stream must have been read to its end, if a remote folder was found to be gone ahead of it; nothing
    /// if it was read so far (`polls_ended`).
    ///
    /// Example: `mv d/a e; rm -r d`. A look at `d` finds it in the trash before the first event is read: `a` did not go with it.
    pub fn ahead_of_stream(&self, polls_ended: u64) -> Option<u64> {
        self.found_gone_after.filter(|after| polls_ended <= *after)
    }

    /// Whether an event that came since the comparison began could not be understood: it may have told where something
    /// went that the comparison did not meet.
    pub fn is_doubted(&self) -> bool {
        self.row.doubt.is_some_and(|doubt| self.compared_since.is_none_or(|begun| doubt > begun))
    }

    /// A folder in it is observed to be gone.
    pub fn folder_went(&mut self, at: Generation) {
        self.below_gone_at = Some(at);
    }

    /// Whether what a folder held may have left it before it went, by an event that could not be understood: no comparison that was begun
    /// since has ended. Later events that cannot be understood do not matter, nothing leaves a folder that is gone.
    ///
    /// Example: `d/e` moves to `f`, which cannot be read, and `d` goes to the trash. Until the comparison meets `f`, what was in `d/e` is
    /// not known to be gone.
    pub fn doubts_what_went(&self) -> bool {
        let is_compared = |begun| self.below_gone_at.is_none_or(|gone| gone <= begun);
        self.row.doubt.is_some() && !self.compared_at.is_some_and(is_compared)
    }

    /// Whether absences are looked for.
    pub fn finds_absences(&self) -> bool {
        self.row.comparison_stage == Some(ComparisonStage::Absences)
    }

    /// Whether files are still looked for on disk before they are fetched, though the cloud was compared.
    pub fn adopts_after_comparison(&self) -> bool {
        let is_compared = self.row.verified_at.is_some() && self.row.unverified.is_none();
        self.row.adopt && is_compared && self.row.comparison_stage.is_none()
    }

    /// All is done that the first comparison found: what is new from now on is not on disk before.
    pub fn has_adopted(&mut self) {
        self.change(|row| row.adopt = false);
    }

    /// Absences were looked for, up to this item, or to the end.
    pub fn looked_for_absences(&mut self, last: Option<NodeId>, now: Wall) {
        let begun = self.compared_since;
        if last.is_none() {
            self.compared_at = begun;
        }
        self.change(|row| {
            if let Some(last) = last {
                row.comparison_at = last;
            } else {
                row.comparison_stage = None;
                row.unverified = None;
                row.doubt.take_if(|doubt| begun.is_some_and(|begun| *doubt <= begun));
                row.verified_at = Some(now);
            }
        });
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
