//! The control thread's whole life as a state machine: [`Engine::step`] takes what happened and returns what is wanted.
//!
//! It has no clock, no chance of its own, no await and no I/O except its [`Store`]. A batch of inputs is one transaction;
//! effects are returned only after the commit that decided them, so that an intent is durable before the deed.
//!
//! Where to look, by what happens:
//! - news of the cloud: [`mod@listen`] is an account and its stream, [`mod@remote`] what must be asked again and how observations become
//!   rows;
//! - news of the disk: [`mod@local`] scans it, [`mod@folders`] is a watched folder with its root and its comparison;
//! - work: [`mod@schedule`] has what is worked on, `plan` decides what is to become of an item, [`mod@turns`] what that waits for,
//!   [`mod@within`] what has to leave a directory first, [`mod@disk`] hands deeds out and records what came of them, [`mod@calls`] says what
//!   an item needs of the cloud, [`mod@send`] changes the cloud, [`mod@conflict`] keeps both, [`mod@jobs`] has what is under way,
//!   [`mod@budget`] counts calls;
//! - what stays: [`mod@holds`] has the brakes, [`mod@retention`] gives up what was kept long enough, [`mod@undo`] keeps files away and brings
//!   them back, [`mod@room`] knows whether the disk has room, [`mod@resolve`] carries out what people decide about conflicts;
//! - [`mod@hooks`] asks who must allow and tells who wants to know, and [`mod@route`] passes on what each of them says.
//!
//! A component owns its state: private fields, a [`mod@ctx`] as argument (the database, the time, chance, paths, and what the step wants),
//! values as answers, no `Engine`. A function that answers a question changes nothing; one that acts is named for what it does.
//!
//! Imports inside, each row only of rows below it; `tests/tidy.rs` holds that there is no circle, and lists what each may name:
//!
//! ```text
//! router      engine.rs, route/*: hold all components, ask each in turn and pass on what it says
//!
//! components  listen          folders         hooks/*
//!             jobs            retention   resolve   undo   room   remote/root   remote/rolling   disk/*   send/*
//!             remote/whereabouts   remote/learn   remote/looks   remote/above   remote/ground   remote/heard
//!             remote/questions
//!             budget   holds   local/*   conflict   turns   within   calls
//! context     ctx
//!             effect   paths
//! values      codes   aside   input   remote/hints   remote/readings   remote/strays   queues   slots   schedule   sweep   health   sides
//!             filter
//! ```

use std::collections::BTreeMap;

use crate::id::{AccountId, FolderId, JobId, NodeId};
use crate::store::work::Priority;
use crate::store::{Result, Store};

mod aside;
mod budget;
mod calls;
mod codes;
mod conflict;
mod ctx;
pub mod disk;
pub mod effect;
pub(crate) mod filter;
pub mod folders;
pub mod health;
pub mod holds;
pub mod hooks;
pub mod input;
mod jobs;
pub mod listen;
mod local;
mod paths;
mod queues;
mod recent;
mod remote;
mod resolve;
mod retention;
mod room;
mod route;
mod schedule;
mod send;
pub(crate) mod sides;
mod slots;
mod subscribers;
mod sweep;
mod trees;
mod turns;
mod undo;
mod within;

use ctx::{Chance, Ctx, ROWS_PER_STEP, millis};
pub use effect::{Effect, Notice, Task};
use folders::Folder;
use health::Health;
pub use input::{Input, Now, Outcome};
pub use jobs::JOBS_MOST;
use jobs::{Job, Jobs};
use listen::Account;
use remote::Questions;
use schedule::{ITEMS_PER_STEP, Note, Phase, Schedule};
use subscribers::Subscribers;

/// How often the journal is pruned, in milliseconds.
const PRUNE_EVERY_MS: u64 = 600_000;
/// How soon it is pruned again when there was more than one step may drop.
const PRUNE_AGAIN_MS: u64 = 200;

/// From how much on the wall clock counts as set back, in milliseconds: less is the drift that time servers correct.
const CLOCK_WENT_BACK_MS: i64 = 60_000;

/// The state machine.
#[derive(Debug)]
pub struct Engine {
    ctx: Ctx,
    accounts: BTreeMap<AccountId, Account>,
    folders: BTreeMap<FolderId, Folder>,
    /// Folders whose rows are being dropped, and how far that is.
    retired: BTreeMap<FolderId, NodeId>,
    /// What is under way, and what it takes up.
    jobs: Jobs,
    /// What is worked on, and what waits for what.
    schedule: Schedule,
    conflicts: conflict::Conflicts,
    /// Questions about the cloud's tree.
    questions: Questions,
    /// How far what is in folders that went or came back was told so.
    sweep: sweep::Sweep,
    /// What the disk shows of items.
    local: local::Local,
    holds: holds::Holds,
    hooks: hooks::Hooks,
    prune_at: u64,
    retention: retention::Retention,
    subscribers: Subscribers,
    recent: recent::RecentForeign,
    /// Directories that are gone from the cloud, as far as they were looked through.
    trees: trees::Trees,
}

impl Engine {
    /// An engine over what the database remembers.
    pub fn new(store: Store) -> Self {
        Self {
            ctx: Ctx::new(store),
            accounts: BTreeMap::new(),
            folders: BTreeMap::new(),
            retired: BTreeMap::new(),
            jobs: Jobs::default(),
            schedule: Schedule::default(),
            conflicts: conflict::Conflicts::default(),
            questions: Questions::default(),
            sweep: sweep::Sweep::default(),
            local: local::Local::default(),
            holds: holds::Holds::default(),
            hooks: hooks::Hooks::default(),
            prune_at: 0,
            retention: retention::Retention::default(),
            subscribers: Subscribers::default(),
            recent: recent::RecentForeign::default(),
            trees: trees::Trees::default(),
        }
    }

    /// Takes a batch of inputs, decides, commits, and returns what is wanted. After an error the engine must be thrown away
    /// and built anew from the database, exactly as after a crash: none of the effects were released.
    pub fn step(&mut self, inputs: impl IntoIterator<Item = Input>) -> Result<Vec<Effect>> {
        self.ctx.gone_through = 0;
        self.holds.begin_step();
        self.ctx.store.begin()?;
        let decided = inputs.into_iter().try_for_each(|input| self.take(input)).and_then(|()| self.pump());
        self.ctx.out.extend(self.subscribers.take_growth());
        let decided = decided.and_then(|()| self.name_users());
        match decided {
            Ok(()) => self.ctx.store.commit()?,
            Err(error) => {
                self.ctx.store.rollback()?;
                return Err(error);
            }
        }
        Ok(std::mem::take(&mut self.ctx.out))
    }

    /// Has what is asked of folders of other users asked in their names.
    fn name_users(&mut self) -> Result<()> {
        if self.folders.values().all(|folder| folder.settings.as_user.is_none()) {
            return Ok(());
        }
        for effect in std::mem::take(&mut self.ctx.out) {
            if let Effect::Cloud { job, .. } = &effect
                && let Some(user) = self.user_of(*job)?
            {
                self.ctx.out.push(Effect::ActFor { job: *job, user });
            }
            self.ctx.out.push(effect);
        }
        Ok(())
    }

    /// For whom a job is done, if not for the account itself.
    fn user_of(&self, job: JobId) -> Result<Option<String>> {
        let folder = match self.jobs.about(job) {
            Some(
                Job::Resolve(_, folder)
                | Job::Size(_, folder)
                | Job::Root(_, folder)
                | Job::Fetch { folder, .. }
                | Job::Write { folder, .. }
                | Job::Dispose { folder, .. },
            ) => Some(*folder),
            Some(Job::List { listing, .. }) => Some(listing.folder),
            Some(Job::Look { node, .. }) => self.ctx.store.item(*node)?.map(|item| item.folder),
            // An item that no folder knows: whose it may be is known only where all folders are one user's.
            Some(Job::Stray { account, .. }) => {
                let mut users =
                    self.folders.values().filter(|folder| folder.account == *account).map(|of| &of.settings.as_user);
                let first = users.next();
                return Ok(first.filter(|first| users.all(|user| user == *first)).cloned().flatten());
            }
            _ => None,
        };
        Ok(folder.and_then(|folder| self.folders.get(&folder)?.settings.as_user.clone()))
    }

    /// When the engine wants the next tick even if nothing happens, on the clock that never jumps; nothing if never.
    pub fn deadline(&self) -> Option<u64> {
        if self.ctx.more {
            return Some(self.ctx.now.mono);
        }
        let accounts = self.accounts.values().filter_map(|account| account.deadline(self.ctx.now.mono));
        let folders = self.folders.values().filter_map(|folder| folder.deadline(self.ask_at(folder.account)));
        let scans = self.folders.keys().filter_map(|id| self.scan_deadline(*id));
        let due = self.next_due_mono();
        accounts.chain(folders).chain(scans).chain(due).chain(self.hooks.wake_at()).min()
    }

    fn next_due_mono(&self) -> Option<u64> {
        // A database that cannot answer will fail the next step, which says so.
        let work = self.ctx.store.next_due().ok().flatten();
        let listing = self.ctx.store.next_listing_due().ok().flatten();
        let wall = work.into_iter().chain(listing).chain(self.next_expiry()).min()?;
        Some(self.ctx.now.mono.saturating_add(wall.since(self.ctx.now.wall).max(0) as u64))
    }

    /// The store, for tests and for reports made by the owner of the engine.
    pub fn store(&self) -> &Store {
        &self.ctx.store
    }

    /// What is committed, for the engine that is built after this one failed (or was made to crash by a test).
    pub fn into_store(self) -> Result<Store> {
        self.ctx.store.reopened()
    }

    /// How accounts and folders are.
    pub fn health(&self) -> Health {
        let accounts = self.accounts.iter().map(|(id, account)| (*id, account.health(self.ctx.now)));
        let folders = self.folders.iter().map(|(id, folder)| {
            let account = self.accounts.get(&folder.account).map(|account| account.settings.name.as_str());
            let scanner = || self.hooks.trouble(&folder.settings.name, account?);
            let degraded = folder.degraded.clone().or_else(scanner);
            (*id, degraded.or_else(|| folder.watch.trouble().cloned()))
        });
        let unopened = self.folders.iter().filter(|(_, folder)| !folder.watch.is_on() || !folder.is_open());
        Health {
            accounts: accounts.collect(),
            folders: folders.collect(),
            scanners: self.hooks.scanners(),
            unopened: unopened.map(|(id, _)| *id).collect(),
        }
    }

    /// Whether everything that can be done now is done: nothing is under way but waiting, every account was read to its end or cannot
    /// be, and no folder has work that is ready.
    pub fn at_rest(&self) -> Result<bool> {
        if self.ctx.more || !self.jobs.only_wait() {
            return Ok(false);
        }
        if self
            .accounts
            .values()
            .any(|account| (account.polls_ended == 0 || !account.strays.is_empty()) && account.degraded.is_none())
        {
            return Ok(false);
        }
        if self.ctx.store.deliveries_left(self.ctx.now.wall)? {
            return Ok(false);
        }
        for (id, folder) in &self.folders {
            let stuck = folder.degraded.is_some()
                || folder.row.paused
                || self.accounts.get(&folder.account).is_none_or(|account| account.degraded.is_some());
            if stuck {
                continue;
            }
            if !folder.preview && self.ctx.store.local_left(*id)? {
                return Ok(false);
            }
            if folder.row.root.is_none()
                || folder.row.comparison_stage.is_some()
                || folder.row.doubt.is_some()
                || self.ctx.store.busy(*id)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Jobs under way.
    pub fn jobs_under_way(&self) -> usize {
        self.jobs.len()
    }

    fn take(&mut self, input: Input) -> Result<()> {
        match input {
            Input::Start { seed, host } => {
                self.ctx.chance = Chance(seed);
                self.conflicts = conflict::Conflicts::on(&host);
                self.questions.recall_former_names(&self.ctx)
            }
            Input::Tick(now) => {
                if -self.ctx.tick(now) < CLOCK_WENT_BACK_MS {
                    return Ok(());
                }
                self.hooks.clock_went_back();
                self.ctx.store.clock_went_back(now.wall)
            }
            Input::Config(wishes) => self.take_wishes(*wishes),
            Input::Usage { account, calls, quota } => self.take_usage(account, calls, quota),
            Input::Done { job, outcome } => self.take_outcome(job, outcome),
            Input::Local { folder, news } => self.local_news(folder, news),
            Input::Session { job, session } => send::session_begun(&mut self.ctx, job, &session),
            Input::Subscription { name, news } => Subscribers::news(&mut self.ctx.store, &name, &news, self.ctx.now),
            Input::Command { ticket, command } => {
                let answer = self.command(command)?;
                self.ctx.out.push(Effect::Answer { ticket, answer });
                Ok(())
            }
        }
    }

    fn take_outcome(&mut self, job: JobId, outcome: Outcome) -> Result<()> {
        // A job of an engine that is no more, or of a folder or account that went away: its result is not wanted.
        let Some(about) = self.jobs.take(job) else { return Ok(()) };
        match (about, outcome) {
            (Job::Identify(account), Outcome::Identified(result)) => self.identified(account, result),
            (Job::TakeCursor(account), Outcome::CursorTaken(result)) => self.cursor_taken(account, result),
            (Job::Poll(account), Outcome::Polled(result)) => self.polled(account, result),
            (Job::PollAgain(account), Outcome::Polled(result)) => self.polled_again(account, result),
            (Job::Root(account, folder), Outcome::Looked(result)) => self.root_looked(account, folder, result),
            (Job::Stray { account, asked }, Outcome::Looked(result)) => self.stray_looked(account, asked, result),
            (Job::CheckCursor(account), Outcome::CursorChecked(result)) => self.cursor_checked(account, result),
            (Job::Wait(account), Outcome::Woken(result)) => {
                self.woken(account, result);
                Ok(())
            }
            (Job::Open(folder), Outcome::Opened(result)) => self.opened(folder, job, result),
            (Job::Resolve(account, folder), Outcome::Resolved(result)) => self.resolved(account, folder, result),
            (Job::Size(account, folder), Outcome::Sized(result)) => {
                self.sized(account, folder, result);
                Ok(())
            }
            (Job::List { account, listing }, Outcome::Listed(result)) => self.listed(account, &listing, result),
            (Job::Look { account, node }, Outcome::Looked(result)) => self.looked(account, node, result),
            (Job::Fetch { account, folder, node, content }, Outcome::Fetched(result)) => {
                self.fetched(account, folder, node, content, result)
            }
            (Job::Deeds { folder, intents, again }, Outcome::Deeds(results)) => {
                self.deeds_done(folder, intents, results, again)
            }
            (Job::Ask { folder, node, hook, matter, sha256 }, Outcome::Hooked(outcome)) => {
                self.hook_answered(folder, node, &hook, (matter, sha256), &outcome)
            }
            (Job::Inspect { folder, node, hook, sha256 }, Outcome::Hooked(outcome)) => {
                self.hook_examined(folder, node, (&hook, sha256), &outcome)
            }
            (Job::Probe { hook }, Outcome::Hooked(outcome)) => self.hook_probed(&hook, &outcome),
            (Job::Tell { delivery, hook }, Outcome::Hooked(outcome)) => self.hook_told(delivery, &hook, &outcome),
            (Job::Quarantine { folder, node, number, remote, seized }, Outcome::Quarantined(result)) => {
                self.quarantine_done(folder, node, number, (&remote, seized), result)
            }
            (Job::Dispose { folder, node, number }, Outcome::Disposed(result)) => {
                self.disposed(folder, node, number, result)
            }
            (Job::Scan { folder, scans }, Outcome::Scanned(results)) => self.scanned(folder, scans, results),
            (Job::Read { node, .. }, Outcome::Hashed(result)) => self.was_read(node, result),
            (Job::Write { account, node, .. }, Outcome::Uploaded(result)) => self.uploaded(account, node, result),
            (Job::Write { account, node, .. }, Outcome::FolderMade(result) | Outcome::Relocated(result)) => {
                self.changed_remotely(account, node, result)
            }
            (Job::Write { account, node, .. }, Outcome::Trashed(result)) => self.trashed(account, node, result),
            // The world answered a job with the outcome of another kind; the job is redone from its row.
            (about, _) => {
                debug_assert!(false, "an outcome that does not fit its job: {about:?}");
                Ok(())
            }
        }
    }

    /// Does everything that can be decided now, within the limits of one step.
    fn pump(&mut self) -> Result<()> {
        self.ctx.more = false;
        if self.ctx.store.wake_due(self.ctx.now.wall, ROWS_PER_STEP)? == ROWS_PER_STEP as usize {
            self.ctx.more = true;
        }
        self.ctx.store.wake_listings(self.ctx.now.wall)?;
        self.drive_accounts()?;
        self.drive_folders()?;
        self.drop_retired()?;
        self.sweep()?;
        self.find_absences()?;
        self.take_listings()?;
        self.read_paths_again()?;
        self.release_listings()?;
        self.release_awaiting_listing()?;
        self.drive_scans()?;
        self.expire()?;
        self.reconcile()?;
        self.release_reads()?;
        self.drive_hooks()?;
        self.flush_batches()?;
        let folders = &self.folders;
        self.hooks.write_notes(&mut self.ctx, |id, node| folders.get(&id)?.staged.get(&node))?;
        if self.ctx.now.mono >= self.prune_at {
            self.prune_at = self.ctx.now.mono + PRUNE_EVERY_MS;
            if self.ctx.store.prune_journal(self.ctx.now.wall, ROWS_PER_STEP)? {
                self.prune_at = self.ctx.now.mono + PRUNE_AGAIN_MS;
            }
            self.ctx.store.prune_hooks(self.ctx.now.wall, ROWS_PER_STEP)?;
            hooks::expire(&mut self.ctx)?;
            self.tend_all_versions()?;
            self.expire_echoes()?;
        }
        self.save_folders()
    }

    /// Nothing is left to do for an item, or it is no more.
    fn leave(&mut self, node: NodeId) {
        self.schedule.leave(node);
        self.hooks.forget(node);
        self.trees.forget(node);
    }

    /// An item waits for its time or for a person; its work is remembered in the database.
    fn rest(&mut self, node: NodeId) {
        self.schedule.rest(node);
        self.hooks.forget(node);
        self.trees.forget(node);
    }

    /// All rows that are ready are looked at again: a folder can work that could not before.
    fn reload(&mut self) {
        self.hooks.look();
        self.schedule.reload(Priority::News);
        self.schedule.reload(Priority::Bulk);
        self.questions.reload();
        self.ctx.more = true;
    }
}
