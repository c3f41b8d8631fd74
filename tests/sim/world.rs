//! The world around the engine: time, calls under way, deeds under way, crashes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use folder_sync_agent::command::{Answer, Command};
use folder_sync_agent::deed::{Deed, DeedOrder, DeedResult, DiskErrorKind};
use folder_sync_agent::engine::effect::LocalTask;
use folder_sync_agent::engine::input::{FetchFailure, OpenOrder, Wishes};
use folder_sync_agent::engine::{Effect, Engine, Input, JOBS_MOST, Notice, Now, Outcome, Task};
use folder_sync_agent::id::{Cursor, FolderId, HoldId, JobId};
use folder_sync_agent::local_news::{News, Rescan};
use folder_sync_agent::path::Name;
use folder_sync_agent::provider::{Capabilities, Identity, ProviderError, ProviderErrorKind, Wake};
use folder_sync_agent::settings::{
    AccountSettings, BoxStream, FolderSettings, MaxDelete, Mode, OnDrift, OnLocalDelete, ProviderName, RemotePlace,
    Suppress,
};
use folder_sync_agent::store::Store;
use folder_sync_agent::store::intents::NewSeat;
use folder_sync_agent::tree::Wall;

use super::chance::Chance;
use super::cloud::{Cloud, watched};
use super::disk::{Cut, Disk, disk_error};
use super::mutants::Mutant;
use super::swarm::Swarm;

/// The one folder of the made-up world; the first row of a new database.
pub const FOLDER: FolderId = FolderId(1);
/// Steps at one moment of time before we say that the engine runs in circles.
const STEPS_AT_ONE_MOMENT_MOST: u32 = 3_000;
/// Steps of a whole history.
const STEPS_MOST: u64 = 60_000;
/// How long the world may take to come to rest after the last misfortune.
const REST_WITHIN_MS: u64 = 12 * 3_600 * 1_000;
/// The pattern that keeps names out.
pub const EXCLUDED: &str = "x*";

/// Something that will happen.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there are only a few at a time")]
pub enum Happening {
    /// The cloud answers a call.
    Serve { job: JobId, task: Task },
    /// An outcome reaches the engine.
    Deliver { job: JobId, outcome: Outcome },
    /// Deeds are carried out.
    Deeds { job: JobId, orders: Vec<DeedOrder> },
    /// A root is opened.
    Open { job: JobId, order: Box<OpenOrder> },
    /// Somebody does something.
    Act,
    /// Late events join the stream.
    Late,
    /// Somebody gives a command.
    Command(Command),
    /// The root is back.
    RootBack,
    /// The local disk answers a question.
    Local { job: JobId, task: LocalTask },
    /// The watcher tells what it noticed.
    Hints(News),
    /// A write whose answer was lost happens after all.
    LateWrite(Task),
}

impl Happening {
    fn dies_with_the_process(&self) -> bool {
        matches!(
            self,
            Self::Serve { .. }
                | Self::Deliver { .. }
                | Self::Deeds { .. }
                | Self::Open { .. }
                | Self::Local { .. }
                | Self::Hints(_)
        )
    }
}

/// What happened in a history, for its figures and for the checks at its end.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub steps: u64,
    pub crashes: u64,
    pub call_errors: u64,
    pub deed_errors: u64,
    pub deeds: u64,
    pub fetches: u64,
    pub lists: u64,
    pub looks: u64,
    pub polls: u64,
    pub holds: u64,
    pub writes: u64,
    pub uploads: u64,
    pub hashes: u64,
    pub trashes: u64,
    pub most_jobs: usize,
}

impl Tally {
    pub fn add(&mut self, more: &Self) {
        self.steps += more.steps;
        self.crashes += more.crashes;
        self.call_errors += more.call_errors;
        self.deed_errors += more.deed_errors;
        self.deeds += more.deeds;
        self.fetches += more.fetches;
        self.lists += more.lists;
        self.looks += more.looks;
        self.polls += more.polls;
        self.holds += more.holds;
        self.writes += more.writes;
        self.uploads += more.uploads;
        self.hashes += more.hashes;
        self.trashes += more.trashes;
        self.most_jobs = self.most_jobs.max(more.most_jobs);
    }
}

/// The made-up world with the engine in its middle.
pub struct World {
    engine: Option<Engine>,
    pub cloud: Cloud,
    pub disk: Disk,
    pub swarm: Swarm,
    pub chance: Chance,
    pub now: u64,
    boot: u64,
    wall_jump: i64,
    heap: BTreeMap<(u64, u64), Happening>,
    serial: u64,
    inbox: VecDeque<Input>,
    waits: BTreeMap<JobId, (Cursor, u64)>,
    jobs_seen: BTreeSet<JobId>,
    refused_deeds: BTreeSet<JobId>,
    last_cursor: Option<Cursor>,
    pub misfortune: bool,
    pub excluding: bool,
    pub refused: bool,
    pub fetched: BTreeMap<(String, String), u64>,
    pub notices: Vec<Notice>,
    pub answers: Vec<Answer>,
    pub tally: Tally,
    /// Calls by UTC day, but for long polls.
    pub calls: BTreeMap<i64, u64>,
    pub mutant: Option<Mutant>,
    pub aloud: bool,
    steps_now: u32,
    died_at: u64,
    pub acts_left: u64,
    /// Holds are approved as soon as they are seen.
    pub approving: bool,
    /// The agent listens to the disk.
    pub watching: bool,
}

impl World {
    pub fn new(seed: u64, swarm: Swarm) -> Self {
        let mut cloud = Cloud::new();
        cloud.habits = swarm.habits;
        let excluding = swarm.exclude;
        let acts_left = swarm.acts;
        Self {
            engine: Some(Engine::new(spare_store())),
            cloud,
            disk: Disk::new(),
            swarm,
            chance: Chance::new(seed),
            now: 0,
            boot: 0,
            wall_jump: 0,
            heap: BTreeMap::new(),
            serial: 0,
            inbox: VecDeque::new(),
            waits: BTreeMap::new(),
            jobs_seen: BTreeSet::new(),
            refused_deeds: BTreeSet::new(),
            last_cursor: None,
            misfortune: true,
            excluding,
            refused: false,
            fetched: BTreeMap::new(),
            notices: Vec::new(),
            answers: Vec::new(),
            tally: Tally::default(),
            calls: BTreeMap::new(),
            mutant: None,
            aloud: std::env::var_os("SIM_ALOUD").is_some(),
            steps_now: 0,
            died_at: 0,
            acts_left,
            approving: false,
            watching: false,
        }
    }

    /// A calm world for stories.
    pub fn calm() -> Self {
        let mut world = Self::new(1, Swarm::calm());
        world.misfortune = false;
        world
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub fn store(&self) -> &Store {
        self.engine().store()
    }

    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.aloud {
            eprintln!("{:>9} {}", self.now, what());
        }
    }

    /// The process starts.
    pub fn start(&mut self) {
        let seed = self.chance.number();
        self.inbox.push_back(Input::Start { seed, host: "sim".into() });
        self.configure();
    }

    /// The configuration is read (again).
    pub fn configure(&mut self) {
        let wishes = Wishes {
            accounts: vec![(account(&self.swarm), self.capabilities())],
            folders: vec![self.settings()],
            ..Wishes::default()
        };
        self.inbox.push_back(Input::Config(Box::new(wishes)));
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            long_poll: self.swarm.long_poll,
            events_carry_items: !self.swarm.habits.paths,
            folds_case: true,
            poll_floor: Duration::from_secs(5),
            hash: folder_sync_agent::provider::HashKind::Sha1,
        }
    }

    fn settings(&self) -> FolderSettings {
        FolderSettings {
            name: "f".into(),
            account: "a".into(),
            remote: RemotePlace::Id(watched().raw().to_owned()),
            local: "/f".into(),
            mode: self.swarm.mode,
            include: Vec::new(),
            exclude: if self.excluding { vec![EXCLUDED.to_owned()] } else { Vec::new() },
            keep_for: self.swarm.keep_for_ms.map(Duration::from_millis),
            keep_versions: self.swarm.keep_versions,
            versions_max: self.swarm.versions_max,
            on_drift: if self.swarm.keep_drift { OnDrift::Keep } else { OnDrift::Restore },
            on_local_delete: if self.swarm.accept_deletions { OnLocalDelete::Accept } else { OnLocalDelete::Restore },
            file_mode: 0o644,
            dir_mode: 0o755,
            min_free: 0,
            max_delete: self.swarm.max_delete.map_or(MaxDelete::Off, MaxDelete::Files),
        }
    }

    pub fn schedule(&mut self, after_ms: u64, happening: Happening) {
        self.serial += 1;
        self.heap.insert((self.now + after_ms, self.serial), happening);
    }

    pub fn command(&mut self, command: Command) {
        self.inbox.push_back(Input::Command { ticket: 1, command });
    }

    fn clock(&self) -> Now {
        let mono = self.now - self.boot;
        Now { mono, wall: Wall(1_700_000_000_000 + self.now as i64 + self.wall_jump) }
    }

    /// One step of the engine, at the next moment at which anything happens. False if nothing ever will.
    pub fn step(&mut self) -> bool {
        let before = self.now;
        let world = self.heap.first_key_value().map(|((at, _), _)| *at);
        let engine = self.engine().deadline().map(|mono| mono.saturating_add(self.boot));
        let at = if self.inbox.is_empty() { world.into_iter().chain(engine).min() } else { Some(self.now) };
        let Some(at) = at.filter(|at| *at < u64::MAX / 2) else { return false };
        self.now = self.now.max(at);
        self.disk.now = self.now;
        self.steps_now = if self.now == before { self.steps_now + 1 } else { 0 };
        if self.steps_now >= STEPS_AT_ONE_MOMENT_MOST {
            self.say(|| format!("{:?}", self.engine()));
        }
        assert!(self.steps_now < STEPS_AT_ONE_MOMENT_MOST, "the engine runs in circles");
        self.tally.steps += 1;
        assert!(self.tally.steps < STEPS_MOST, "the history does not end");

        let most = self.chance.within(1, self.swarm.batch.max(1)) as usize;
        while self.inbox.len() < most {
            let Some(entry) = self.heap.first_entry().filter(|entry| entry.key().0 <= self.now) else { break };
            let happening = entry.remove();
            self.happen(happening);
        }
        self.wake_waits();
        self.watch();
        let mut inputs = vec![Input::Tick(self.clock())];
        let taken = self.inbox.len().min(most);
        inputs.extend(self.inbox.drain(..taken));
        if self.aloud {
            for input in &inputs[1..] {
                let text = format!("{input:?}");
                self.say(|| format!("  > {}", text.chars().take(400).collect::<String>()));
            }
        }
        let effects = self.engine.as_mut().unwrap().step(inputs).unwrap_or_else(|error| panic!("the store: {error}"));
        self.tally.most_jobs = self.tally.most_jobs.max(self.engine().jobs_under_way());
        assert!(self.engine().jobs_under_way() <= JOBS_MOST + 1, "more jobs than there may be");
        for effect in effects {
            self.carry_out(effect);
        }
        if self.aloud {
            self.check_kept_counts();
        }
        if self.approving {
            self.decide_holds(false);
        }
        // A process that starts takes a while, so that none dies twice at one moment.
        if self.misfortune && self.died_at < self.now && self.chance.one_in(self.swarm.crash) {
            self.crash();
        }
        true
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Serve { job, task } => self.serve(job, task),
            Happening::Deliver { job, outcome } => self.inbox.push_back(Input::Done { job, outcome }),
            Happening::Deeds { job, orders } => {
                let mut results = Vec::new();
                for order in &orders {
                    results.push(self.do_deed(order));
                }
                let late = self.chance.below(self.swarm.deeds_ms);
                self.schedule(late, Happening::Deliver { job, outcome: Outcome::Deeds(results) });
            }
            Happening::Open { job, order } => {
                let result = self.disk.open(&order);
                self.inbox.push_back(Input::Done { job, outcome: Outcome::Opened(result) });
            }
            Happening::Act => self.act(),
            Happening::Late => self.release_late(),
            Happening::Command(command) => self.command(command),
            Happening::Local { job, task } => self.look_at_disk(job, &task),
            Happening::Hints(news) => self.inbox.push_back(Input::Local { folder: FOLDER, news }),
            Happening::LateWrite(task) => self.write_late(&task),
            Happening::RootBack => {
                self.say(|| "the root is back".into());
                self.disk.away = false;
            }
        }
    }

    pub fn release_late(&mut self) {
        self.cloud.release_late(self.now, !self.misfortune);
    }

    fn do_deed(&mut self, order: &DeedOrder) -> DeedResult {
        self.tally.deeds += 1;
        // A disk that refuses the same deed twice leaves things behind that only a person can sort out.
        if self.misfortune && self.chance.one_in(self.swarm.deed_errors) && self.refused_deeds.insert(order.job) {
            self.tally.deed_errors += 1;
            let kinds = [
                DiskErrorKind::Item,
                DiskErrorKind::Item,
                DiskErrorKind::Full,
                DiskErrorKind::NotWritable,
                DiskErrorKind::UnsafePath,
            ];
            let kind = *self.chance.pick(&kinds).unwrap();
            // The refusal may come when all is done but the flush.
            if self.chance.one_in(3) {
                self.disk.carry_out(order, Cut::Never);
            }
            return DeedResult::Failed(disk_error(kind, "made up"));
        }
        if self.misfortune
            && let Deed::Publish { staged, .. } = &order.deed
            && self.chance.one_in(self.swarm.staged_lost)
            && self.disk.staging.get(&staged.name) == Some(&staged.stamp.ino)
        {
            self.disk.staging.remove(&staged.name);
        }
        let result = self.disk.carry_out(order, Cut::Never);
        self.say(|| format!("    {:?} -> {result:?}", order.deed));
        result
    }

    fn serve(&mut self, job: JobId, task: Task) {
        if !matches!(task, Task::Wait { .. }) {
            *self.calls.entry(self.clock().wall.0.div_euclid(24 * 3_600_000)).or_default() += 1;
        }
        let failed = self.misfortune && self.chance.one_in(self.swarm.call_errors);
        let error = failed.then(|| self.call_error());
        let outcome = match task {
            Task::Dispose { .. } => panic!("the simulation has no hooks"),
            Task::Identify => Outcome::Identified(match error {
                Some(error) => Err(error),
                None => Ok(Identity { user_id: "u".into(), login: "u@x".into(), name: "U".into() }),
            }),
            Task::TakeCursor | Task::RestartCursor => Outcome::CursorTaken(match error {
                Some(error) => Err(error),
                None => Ok(self.cloud.newest_cursor()),
            }),
            Task::Poll(cursor) => {
                self.tally.polls += 1;
                Outcome::Polled(match error {
                    Some(error) => Err(error),
                    None => self.cloud.events(&cursor),
                })
            }
            Task::Wait { cursor, limit } => {
                if let Some(error) = error {
                    Outcome::Woken(Err(error))
                } else {
                    self.waits.insert(job, (cursor, self.now + limit.as_millis() as u64));
                    self.schedule(limit.as_millis() as u64, Happening::Late);
                    return;
                }
            }
            Task::Resolve(place) => Outcome::Resolved(match error {
                Some(error) => Err(error),
                None => Ok(self.cloud.resolve(&place)),
            }),
            Task::Size(_) => Outcome::Sized(Ok(None)),
            Task::List { item, page } => {
                self.tally.lists += 1;
                Outcome::Listed(match error {
                    Some(error) => Err(error),
                    None => self.cloud.list(&item, page.as_ref()),
                })
            }
            Task::Look(item) => {
                self.tally.looks += 1;
                Outcome::Looked(match error {
                    Some(error) => Err(error),
                    None => Ok(self.cloud.look(&item)),
                })
            }
            Task::Fetch(_, order) => {
                let missing = || ProviderError::new(ProviderErrorKind::NotFound, "no such version");
                let result = match error {
                    Some(error) => Err(FetchFailure::Provider(error)),
                    None if self.disk.away => {
                        Err(FetchFailure::Disk(disk_error(DiskErrorKind::RootLost, "the root is away")))
                    }
                    None => match self.cloud.fetch(&order.item, &order.version) {
                        Some(content) => Ok(self.disk.stage(&order, content)),
                        None => Err(FetchFailure::Provider(missing())),
                    },
                };
                Outcome::Fetched(result)
            }
            task @ (Task::Upload(..) | Task::MakeFolder { .. } | Task::Relocate { .. } | Task::Trash { .. }) => {
                self.serve_write(task, error)
            }
        };
        let late = self.chance.below(self.swarm.call_ms);
        self.schedule(late, Happening::Deliver { job, outcome });
    }

    fn call_error(&mut self) -> ProviderError {
        self.tally.call_errors += 1;
        let kinds = [
            ProviderErrorKind::SignInNeeded,
            ProviderErrorKind::Forbidden,
            ProviderErrorKind::NotFound,
            ProviderErrorKind::CursorLost,
            ProviderErrorKind::Conflict,
            ProviderErrorKind::RateLimited,
            ProviderErrorKind::QuotaExhausted,
            ProviderErrorKind::NotReady,
            ProviderErrorKind::Corrupt,
            ProviderErrorKind::Refused,
            ProviderErrorKind::Malformed,
            ProviderErrorKind::Unavailable,
            ProviderErrorKind::Network,
            ProviderErrorKind::Local,
        ];
        let kind = *self.chance.pick(&kinds).unwrap();
        if kind == ProviderErrorKind::SignInNeeded {
            let command = Command::CredentialsChanged { account: "a".into() };
            self.schedule(30_000 + self.swarm.call_ms, Happening::Command(command));
        }
        let asked = self.chance.one_in(3).then(|| Duration::from_secs(self.chance.below(20)));
        ProviderError::new(kind, "made up").with_retry_after(asked)
    }

    fn wake_waits(&mut self) {
        let cloud = &self.cloud;
        let ready: Vec<JobId> = self
            .waits
            .iter()
            .filter(|(_, (cursor, until))| self.now >= *until || cloud.has_news(cursor))
            .map(|(job, _)| *job)
            .collect();
        for job in ready {
            let (cursor, until) = self.waits.remove(&job).unwrap();
            let news = self.cloud.has_news(&cursor);
            if news && self.now < until && self.misfortune && self.chance.one_in(self.swarm.wake_lost) {
                // It sleeps on until its time is over.
                let rest = until - self.now;
                self.schedule(rest, Happening::Deliver { job, outcome: Outcome::Woken(Ok(Wake::Quiet)) });
                continue;
            }
            let wake = if news { Wake::News } else { Wake::Quiet };
            let late = self.chance.below(self.swarm.call_ms);
            self.schedule(late, Happening::Deliver { job, outcome: Outcome::Woken(Ok(wake)) });
        }
    }

    fn begin(&mut self, job: JobId) {
        assert!(self.jobs_seen.insert(job), "job {job} was handed out twice");
    }

    fn carry_out(&mut self, effect: Effect) {
        if self.aloud {
            let text = format!("{effect:?}");
            self.say(|| format!("  < {}", text.chars().take(400).collect::<String>()));
        }
        match effect {
            Effect::UseAccount(..)
            | Effect::DropAccount(_)
            | Effect::Close(_)
            | Effect::Cancel(_)
            | Effect::SweepQuarantine(_)
            | Effect::DropQuarantined(_)
            | Effect::SessionKept(_) => {}
            Effect::Open { job, order, .. } => {
                self.begin(job);
                let late = self.chance.below(self.swarm.deeds_ms);
                self.schedule(late, Happening::Open { job, order });
            }
            Effect::Cloud { job, task, .. } => {
                self.begin(job);
                if let Task::Fetch(_, order) = &task {
                    self.tally.fetches += 1;
                    let key = (order.item.to_string(), order.version.to_string());
                    *self.fetched.entry(key).or_default() += 1;
                }
                if let Task::Poll(cursor) | Task::Wait { cursor, .. } = &task {
                    self.last_cursor = Some(cursor.clone());
                }
                let late = self.chance.below(self.swarm.call_ms);
                self.schedule(late, Happening::Serve { job, task });
            }
            Effect::Deeds { job, orders, .. } => {
                self.begin(job);
                self.check_orders(&orders);
                let late = self.chance.below(self.swarm.deeds_ms);
                self.schedule(late, Happening::Deeds { job, orders });
            }
            Effect::Local { job, task, .. } => {
                self.begin(job);
                let late = self.chance.below(self.swarm.deeds_ms);
                self.schedule(late, Happening::Local { job, task });
            }
            Effect::Watch(_, on) => {
                self.watching = on;
                self.schedule(0, Happening::Hints(News::Rescan(Rescan::Began)));
            }
            Effect::DropVersions(_, jobs) => {
                for job in jobs {
                    self.disk.versions.remove(&job);
                }
            }
            Effect::DropStaged(_, staged) => {
                assert!(!self.is_ordered(&staged.name), "a staged file is dropped that a deed is to publish");
                self.disk.staging.remove(&staged.name);
            }
            Effect::Hook { .. } | Effect::Quarantine { .. } => panic!("the simulation has no hooks"),
            Effect::Answer { answer, .. } => self.answers.push(answer),
            Effect::Notice(notice) => self.notices.push(notice),
        }
    }

    fn is_ordered(&self, name: &Name) -> bool {
        self.heap.values().any(|happening| {
            matches!(happening, Happening::Deeds { orders, .. } if orders.iter().any(
                |order| matches!(&order.deed, Deed::Publish { staged, .. } if staged.name == *name)))
        })
    }

    /// Every deed is written down before it is handed out, and only what is gone from the cloud is removed.
    fn check_orders(&self, orders: &[DeedOrder]) {
        let intents = self.store().intents(FOLDER).unwrap();
        for order in orders {
            let intent = intents.iter().find(|intent| intent.order == *order);
            let intent = intent.unwrap_or_else(|| panic!("a deed that is not written down: {order:?}"));
            let expires = self.store().tombstone(intent.node).unwrap().is_some();
            // What a person decides about a conflict removes one of the two.
            let decided = intent.seat == NewSeat::Unchanged;
            let removes = !decided && matches!(&order.deed, Deed::RemoveFile { expect, .. } if expect.ino != 0);
            if removes && !expires && !self.cloud.lossy && self.swarm.habits.late == 0 {
                let item = self.store().item(intent.node).unwrap().expect("an item for each deed");
                let is_wanted =
                    self.wanted().values().any(|id| *id == item.id) && !self.cloud.ever_gone.contains(&item.id);
                assert!(!is_wanted, "{} was never gone from the cloud", item.id);
            }
        }
    }

    /// Answers open holds of mass deletion.
    pub fn decide_holds(&mut self, may_reject: bool) {
        let Some(hold) = self.open_hold() else { return };
        self.tally.holds += 1;
        if may_reject && self.chance.one_in(self.swarm.reject) {
            self.refused = true;
            self.command(Command::Reject { hold });
        } else {
            self.command(Command::Approve { hold });
        }
    }

    pub fn open_hold(&self) -> Option<HoldId> {
        let down = self.store().open_hold(FOLDER, "mass_delete").unwrap();
        down.or_else(|| self.store().open_hold(FOLDER, "mass_delete_in_cloud").unwrap())
    }

    /// The process dies: what is under way may or may not have reached the disk, and nobody hears of it.
    pub fn crash(&mut self) {
        self.say(|| "the process dies".into());
        self.tally.crashes += 1;
        self.died_at = self.now;
        let ahead = self.heap.values().find_map(|happening| match happening {
            Happening::Deliver { outcome: Outcome::Polled(Ok(page)), .. } => Some(page.next.clone()),
            _ => None,
        });
        let (dead, alive): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.heap).into_iter().partition(|(_, happening)| happening.dies_with_the_process());
        self.heap = alive;
        for happening in dead.into_values() {
            match happening {
                Happening::Deeds { orders, .. } => {
                    let done = self.chance.below(orders.len() as u64 + 1) as usize;
                    for (index, order) in orders[..done].iter().enumerate() {
                        let last = index + 1 == done;
                        let cut = if last && self.chance.one_in(2) { Cut::AfterSwap } else { Cut::Never };
                        self.disk.carry_out(order, cut);
                    }
                }
                Happening::Serve { task: Task::Fetch(..), .. } if self.chance.one_in(2) => self.disk.stage_half(),
                Happening::Serve { task, .. } if self.chance.one_in(2) => self.write_late(&task),
                _ => {}
            }
        }
        self.waits.clear();
        self.inbox.clear();
        self.watching = false;
        self.disk.hints.clear();
        let mut store = self.engine.take().unwrap().into_store().unwrap();
        if let Some(mutant) = self.mutant {
            mutant.spoil(&mut store, ahead.as_ref());
        }
        self.engine = Some(Engine::new(store));
        if self.swarm.reboot {
            self.boot = self.now;
        }
        self.start();
    }

    /// Moves the wall clock.
    pub fn jump_wall(&mut self) {
        let hour = 3_600_000;
        self.wall_jump += self.chance.below(4 * hour) as i64 - 2 * hour as i64;
    }

    /// Runs until nothing is left to do.
    pub fn rest(&mut self) {
        let begun = self.now;
        loop {
            assert!(self.step(), "nothing will ever happen again");
            if self.now >= begun + REST_WITHIN_MS {
                self.say(|| format!("{:?}", self.engine()));
            }
            assert!(self.now < begun + REST_WITHIN_MS, "no rest: {}", self.unrest().unwrap_or_default());
            if self.at_rest() {
                return;
            }
        }
    }

    fn at_rest(&self) -> bool {
        if !self.inbox.is_empty() || self.heap.values().any(|happening| !matches!(happening, Happening::Late)) {
            return false;
        }
        self.unrest().is_none()
    }

    /// What is still to be done.
    pub fn unrest(&self) -> Option<String> {
        let mono = self.now - self.boot;
        if self.engine().deadline().is_none_or(|deadline| deadline <= mono) {
            return Some(format!("the deadline is {:?} at {mono}", self.engine().deadline()));
        }
        let folder = self.store().folders().unwrap().into_iter().find(|folder| folder.folder == FOLDER);
        let Some(folder) = folder else { return Some("the folder has no row".into()) };
        if folder.unverified.is_some() || folder.scan_stage.is_some() || folder.verified_at.is_none() {
            return Some(format!("comparison: {:?} {:?}", folder.unverified, folder.scan_stage));
        }
        let health = self.engine().health();
        let is_well = health.accounts.values().all(|account| account.degraded.is_none())
            && health.folders.values().all(Option::is_none);
        if !is_well {
            return Some(format!("degraded: {health:?}"));
        }
        if self.store().busy(FOLDER).unwrap() || !self.store().intents(FOLDER).unwrap().is_empty() {
            return Some(format!("busy: {:?}", self.work()));
        }
        let unread = self.store().failed_scans(FOLDER, 1).unwrap();
        if !unread.is_empty() || self.store().scan_left(FOLDER).unwrap() || self.store().sent_left(FOLDER).unwrap() {
            return Some("scans or writes are left".into());
        }
        if self.swarm.mode != Mode::Mirror {
            let mut planned = self.store().reader().planned(FOLDER).unwrap();
            let code = |node| self.store().work(node).unwrap().and_then(|work| work.problem).map(|(code, _)| code);
            let by_design = planned.len();
            planned.retain(|planned| !code(planned.item.node).is_some_and(|code| is_by_design(&code)));
            let by_design = by_design - planned.len();
            // What waits for one that waits for a person waits for that person too.
            planned.retain(|planned| by_design == 0 || code(planned.item.node).as_deref() != Some("waits"));
            if !planned.is_empty() {
                return Some(format!("planned: {planned:#?}"));
            }
        }
        let work = self.work();
        if !work.is_empty() {
            return Some(format!("work: {work:?}"));
        }
        if self.waits.len() != usize::from(self.swarm.long_poll) {
            return Some("no long poll".into());
        }
        let at_end = self.last_cursor.as_ref().is_some_and(|cursor| !self.cloud.has_news(cursor));
        (!at_end).then(|| "the stream is not read to its end".into())
    }

    /// Work that is left, but for what waits for a person by design.
    fn work(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mut by_design = 0;
        let mut waiting = Vec::new();
        for id in &self.cloud.all_ids {
            let Some(item) = self.store().item_by_id(FOLDER, id).unwrap() else { continue };
            let Some(work) = self.store().work(item.node).unwrap() else { continue };
            match work.problem.as_ref().map(|(code, _)| code.as_str()) {
                Some(code) if is_by_design(code) => by_design += 1,
                Some("waits") => waiting.push(format!("{id} {work:?} {item:?}")),
                _ => left.push(format!("{id} {work:?} {item:?}")),
            }
        }
        // What waits for one that waits for a person waits for that person too.
        if by_design == 0 {
            left.append(&mut waiting);
        }
        left
    }
}

/// Problems that last until a person does something.
pub fn is_by_design(code: &str) -> bool {
    ["local_in_the_way", "drift"].contains(&code)
}

thread_local! {
    /// The database of this thread's last history.
    static SPARE_STORE: RefCell<Option<Store>> = const { RefCell::new(None) };
}

/// An empty database. To make one and to prepare its statements takes longer than a short history.
fn spare_store() -> Store {
    let spare = SPARE_STORE.with(|spare| spare.borrow_mut().take());
    spare.and_then(|store| store.emptied().unwrap()).unwrap_or_else(|| Store::in_memory().unwrap())
}

impl Drop for World {
    fn drop(&mut self) {
        // What a failed history leaves may be in the middle of something.
        if let Some(engine) = self.engine.take().filter(|_| !std::thread::panicking()) {
            let _ = SPARE_STORE.try_with(|spare| *spare.borrow_mut() = engine.into_store().ok());
        }
    }
}

fn account(swarm: &Swarm) -> AccountSettings {
    AccountSettings {
        name: "a".into(),
        provider: ProviderName::Box,
        api_url: None,
        domain: None,
        stream: BoxStream::Changes,
        suppress: Suppress::None,
        // As for Egnyte, where calls are counted.
        poll_min: swarm.calls_per_day.map(|_| Duration::from_secs(30)),
        poll_max: swarm.calls_per_day.map(|_| Duration::from_mins(5)),
        calls_per_day: swarm.calls_per_day,
        calls_per_minute: None,
        transfers: 4,
        bandwidth_down: None,
        bandwidth_up: None,
        ca_file: None,
        proxy: None,
    }
}
