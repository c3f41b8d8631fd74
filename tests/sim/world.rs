//! The world around the engine: time, calls under way, deeds under way, crashes.

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use folder_sync_agent::command::{Answer, Command};
use folder_sync_agent::deed::DeedOrder;
use folder_sync_agent::engine::effect::LocalTask;
use folder_sync_agent::engine::input::{OpenOrder, Wishes};
use folder_sync_agent::engine::{Effect, Engine, Input, JOBS_MOST, Notice, Now, Outcome, Task};
use folder_sync_agent::id::{Cursor, FolderId, ItemId, JobId, NodeId};
use folder_sync_agent::local_news::{News, Rescan};
use folder_sync_agent::provider::{Capabilities, ProviderErrorKind};
use folder_sync_agent::settings::{
    AccountSettings, BoxStream, FolderSettings, Ignore, MaxDelete, OnDrift, OnLocalDelete, ProviderName, RemotePlace,
    Suppress,
};
use folder_sync_agent::store::Store;
use folder_sync_agent::tree::{ItemState, Wall};

use super::calls::BrokenPoll;
use super::chance::Chance;
use super::cloud::{Cloud, watched};
use super::disk::Disk;
use super::laws::Told;
use super::mutants::Mutant;
use super::swarm::Swarm;
use super::tally::Tally;

/// The one folder of the made-up world; the first row of a new database.
pub const FOLDER: FolderId = FolderId(1);
/// What every clock shows at first.
const WALL_AT_START: i64 = 1_700_000_000_000;
/// Letters of what is said and told that a replay shows.
const ALOUD_MOST: usize = 4_000;
/// Steps at one moment of time before we say that the engine runs in circles.
const STEPS_AT_ONE_MOMENT_MOST: u32 = 3_000;
/// Steps of a whole history, beside those of its starts.
const STEPS_MOST: u64 = 8_000;
/// Steps of one start: everything is scanned anew, where a page of a scan may be one entry.
const STEPS_OF_A_START: u64 = 50;
/// Deaths of the process in a whole history.
const CRASHES_MOST: u64 = 200;
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
    pub fn dies_with_the_process(&self) -> bool {
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

/// The made-up world with the engine in its middle.
pub struct World {
    pub engine: Option<Engine>,
    pub cloud: Cloud,
    pub disk: Disk,
    pub swarm: Swarm,
    pub chance: Chance,
    pub now: u64,
    pub boot: u64,
    pub wall_jump: i64,
    pub heap: BTreeMap<(u64, u64), Happening>,
    pub serial: u64,
    pub inbox: VecDeque<Input>,
    pub waits: BTreeMap<JobId, (Cursor, u64)>,
    pub jobs_seen: BTreeSet<JobId>,
    pub refused_deeds: BTreeSet<JobId>,
    pub misfortune: bool,
    pub excluding: bool,
    pub refused: bool,
    pub fetched: BTreeMap<(String, String), u64>,
    /// Versions that a download did not find, and that no listing has shown since.
    pub not_there: BTreeSet<(String, String)>,
    pub notices: Vec<Notice>,
    pub answers: Vec<Answer>,
    pub tally: Tally,
    /// Calls by UTC day, but for long polls.
    pub calls: BTreeMap<i64, u64>,
    pub mutant: Option<Mutant>,
    pub aloud: bool,
    pub steps_now: u32,
    pub died_at: u64,
    pub acts_left: u64,
    /// Holds are approved as soon as they are seen.
    pub approving: bool,
    /// The agent listens to the disk.
    pub watching: bool,
    /// What chance decides that was thought of later: what was decided before stays as it was.
    pub extra: Chance,
    /// Deeds that are to remove local files, those that make room for another item, those that removed, with the files of
    /// each, and files that the agent put into the trash.
    pub removing: BTreeSet<JobId>,
    pub replacing: BTreeSet<JobId>,
    /// Removals of what the cloud did not have in the folder, or a pattern kept out, when they were ordered.
    pub unwanted: BTreeSet<(JobId, NodeId)>,
    pub removed: BTreeMap<JobId, u64>,
    pub trashed: u64,
    /// The files that went to the cloud's trash with an item, as far as the agent did not hear of it, and the jobs that ask for it.
    pub trashed_unheard: BTreeMap<ItemId, u64>,
    /// What our deletions under way take along by the books of the moment in which they were handed out.
    pub trashing: BTreeMap<ItemId, BTreeSet<ItemId>>,
    trash_jobs: BTreeMap<JobId, ItemId>,
    /// What the rows last said of the item that a replay watches.
    watched_row: String,
    /// A person approved something.
    pub approved: bool,
    /// Cursors that the engine was told of.
    pub delivered: BTreeSet<Cursor>,
    /// Jobs whose outcome is no longer wanted.
    pub cancelled: BTreeSet<JobId>,
    /// When the agent last wrote to the cloud.
    pub written_at: u64,
    /// The places that polls ask from. One that asks from an older place reads a second time, and does not lose ours.
    asked_from: BTreeMap<JobId, Cursor>,
    /// The place in the stream up to which the engine was told.
    pub read_to: Option<Cursor>,
    /// Something happened since "in sync" was last compared with the truth.
    unjudged: bool,
    /// "In sync" is compared with the truth whenever all is quiet.
    pub judging: bool,
    /// The long poll does not work.
    pub long_poll: Option<BrokenPoll>,
    /// So many of the next writes happen, and their answers are lost.
    pub unheard: u64,
    /// Writes are answered by this error, and are never done.
    pub never_done: Option<ProviderErrorKind>,
    /// Listings and looks at items are answered by this error.
    pub never_shown: Option<ProviderErrorKind>,
    /// Downloads are answered by this error.
    pub never_fetched: Option<ProviderErrorKind>,
    /// Downloads so answered.
    pub not_fetched: u64,
    /// So many of the next downloads bring something else.
    pub wrong_bodies: u64,
    /// What mutants remember: the newest event, what was looked at, and a count.
    pub newest_told: Option<Wall>,
    pub looked: BTreeMap<ItemId, ItemState>,
    pub counted: u64,
    /// A digest of everything that goes in and out of the engine is kept.
    pub logging: bool,
}

/// What an input tells of the place in the stream.
enum OfStream {
    /// A page, and where the next one begins.
    Page(Cursor),
    /// A place that was taken.
    Cursor(Cursor),
    Lost,
}

impl World {
    pub fn new(seed: u64, swarm: Swarm) -> Self {
        let mut cloud = Cloud::new();
        cloud.habits = swarm.habits;
        cloud.at = WALL_AT_START;
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
            misfortune: true,
            excluding,
            refused: false,
            fetched: BTreeMap::new(),
            not_there: BTreeSet::new(),
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
            extra: Chance::new(seed ^ 0xe8_72a0),
            removing: BTreeSet::new(),
            replacing: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            removed: BTreeMap::new(),
            trashed: 0,
            trashed_unheard: BTreeMap::new(),
            trashing: BTreeMap::new(),
            trash_jobs: BTreeMap::new(),
            watched_row: String::new(),
            approved: false,
            delivered: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            written_at: 0,
            asked_from: BTreeMap::new(),
            read_to: None,
            unjudged: false,
            judging: true,
            long_poll: None,
            unheard: 0,
            never_done: None,
            never_shown: None,
            never_fetched: None,
            not_fetched: 0,
            wrong_bodies: 0,
            newest_told: None,
            looked: BTreeMap::new(),
            counted: 0,
            logging: false,
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
        let paths = self.swarm.habits.paths;
        Capabilities {
            disordered: !paths,
            top_id: (!paths).then_some("0"),
            long_poll: self.swarm.long_poll,
            checks_cursor: paths,
            events_carry_items: !paths && !self.swarm.habits.ids,
            folds_case: true,
            poll_floor: Duration::from_secs(5),
            hash: folder_sync_agent::provider::HashKind::Sha1,
        }
    }

    fn settings(&self) -> FolderSettings {
        FolderSettings {
            as_user: None,
            keep_from: folder_sync_agent::settings::KeepFrom::Arrival,
            name: "f".into(),
            account: "a".into(),
            remote: RemotePlace::Id(watched().raw().to_owned()),
            local: "/f".into(),
            mode: self.swarm.mode,
            include: Vec::new(),
            exclude: if self.excluding { vec![EXCLUDED.to_owned()] } else { Vec::new() },
            ignore: Ignore::default(),
            keep_for: self.swarm.keep_for_ms.map(|ms| {
                let is_short = self.mutant == Some(Mutant::KeptTooShort);
                Duration::from_millis(if is_short { ms / 4 } else { ms })
            }),
            keep_versions: self.swarm.keep_versions,
            versions_max: self.swarm.versions_max,
            on_drift: if self.swarm.keep_drift { OnDrift::Keep } else { OnDrift::Restore },
            on_local_delete: if self.swarm.accept_deletions { OnLocalDelete::Accept } else { OnLocalDelete::Restore },
            file_mode: 0o644,
            dir_mode: 0o755,
            min_free: 0,
            max_delete: match (self.mutant, self.swarm.max_delete) {
                (Some(Mutant::BrakeOffWayUp), _) | (_, None) => MaxDelete::Off,
                (Some(Mutant::BrakeTooWide), Some(most)) => MaxDelete::Files(most + 3),
                (_, Some(most)) => MaxDelete::Files(most),
            },
        }
    }

    pub fn schedule(&mut self, after_ms: u64, happening: Happening) {
        self.serial += 1;
        self.heap.insert((self.now + after_ms, self.serial), happening);
    }

    pub fn command(&mut self, command: Command) {
        self.inbox.push_back(Input::Command { ticket: 1, command });
    }

    pub fn clock(&self) -> Now {
        let mono = self.now - self.boot;
        Now { mono, wall: Wall(WALL_AT_START + self.now as i64 + self.wall_jump) }
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
        self.cloud.at = WALL_AT_START + self.now as i64;
        self.steps_now = if self.now == before { self.steps_now + 1 } else { 0 };
        if self.steps_now >= STEPS_AT_ONE_MOMENT_MOST {
            self.say(|| format!("{:?}", self.engine()));
        }
        assert!(
            self.steps_now < STEPS_AT_ONE_MOMENT_MOST,
            "V15: the engine runs in circles: its deadline is {engine:?} at {}, and the world's next happening is at {world:?}",
            self.now
        );
        self.tally.steps += 1;
        let left = || self.unsettled().unwrap_or_default();
        let enough = STEPS_MOST + self.tally.crashes * STEPS_OF_A_START;
        assert!(self.tally.steps < enough, "V2: the history does not end: {}", left());

        let most = self.chance.within(1, self.swarm.batch.max(1)) as usize;
        while self.inbox.len() < most {
            let Some(entry) = self.heap.first_entry().filter(|entry| entry.key().0 <= self.now) else { break };
            let happening = entry.remove();
            self.unjudged = true;
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
                self.say(|| format!("  > {}", text.chars().take(ALOUD_MOST).collect::<String>()));
            }
        }
        self.unjudged |= inputs.len() > 1;
        let answers = self.note_inputs(&inputs);
        let effects = self.engine.as_mut().unwrap().step(inputs).unwrap_or_else(|error| panic!("the store: {error}"));
        self.tally.most_jobs = self.tally.most_jobs.max(self.engine().jobs_under_way());
        assert!(self.engine().jobs_under_way() <= JOBS_MOST + 1, "V14: more jobs than there may be");
        if self.logging {
            let mut hasher = DefaultHasher::new();
            (self.tally.log, self.now, format!("{effects:?}")).hash(&mut hasher);
            self.tally.log = hasher.finish();
        }
        for effect in effects {
            self.carry_out(effect);
        }
        let told = self.note_told(answers);
        self.check_step(told);
        if self.unjudged && self.judging {
            self.unjudged = false;
            self.check_honest();
        }
        if self.aloud {
            self.check_kept_counts();
            self.say_watched();
        }
        if self.mutant == Some(Mutant::HoldIgnored)
            && let Some(hold) = self.open_hold()
        {
            self.command(Command::Approve { hold });
        }
        if self.approving {
            self.decide_holds(false);
        }
        // A process that starts takes a while, so that none dies twice at one moment. One that dies all the time while hardly anything else
        // happens would fill the whole history with its starts.
        let may_die = self.died_at < self.now && self.tally.crashes < CRASHES_MOST;
        if self.misfortune && may_die && self.chance.one_in(self.swarm.crash) {
            self.crash();
        }
        true
    }

    /// What the rows say of the item that `SIM_WATCH=file:23` names, whenever that changes.
    fn say_watched(&mut self) {
        let Some(id) = std::env::var("SIM_WATCH").ok().and_then(|id| id.parse::<ItemId>().ok()) else { return };
        let row = self.store().item_by_id(FOLDER, &id).unwrap();
        let work = row.as_ref().map(|row| self.store().work(row.node).unwrap());
        let seen = format!("{row:?} {work:?}");
        if seen != self.watched_row {
            self.say(|| format!("  = {seen}"));
            self.watched_row = seen;
        }
    }

    /// Takes note of the inputs of a step; says what they tell of the stream.
    fn note_inputs(&mut self, inputs: &[Input]) -> Vec<(JobId, OfStream)> {
        let mut answers = Vec::new();
        for input in inputs {
            let Input::Done { job, outcome } = input else { continue };
            match outcome {
                Outcome::Polled(Ok(page)) => answers.push((*job, OfStream::Page(page.next.clone()))),
                Outcome::CursorTaken(Ok(cursor)) => answers.push((*job, OfStream::Cursor(cursor.clone()))),
                Outcome::Polled(Err(error)) | Outcome::CursorChecked(Err(error))
                    if error.kind == ProviderErrorKind::CursorLost =>
                {
                    answers.push((*job, OfStream::Lost));
                }
                Outcome::Trashed(Ok(())) => {
                    if let Some(item) = self.trash_jobs.remove(job) {
                        self.trashed_unheard.remove(&item);
                    }
                }
                _ => {}
            }
        }
        if self.logging {
            let mut hasher = DefaultHasher::new();
            (self.tally.log, format!("{inputs:?}")).hash(&mut hasher);
            self.tally.log = hasher.finish();
        }
        answers
    }

    /// What the engine was told by the answers that a step took. The answer to a call that was taken back tells nothing, also where a
    /// command that came before it in the same step took the call back.
    fn note_told(&mut self, answers: Vec<(JobId, OfStream)>) -> Told {
        let mut told = Told::default();
        for (job, answer) in answers {
            if self.cancelled.contains(&job) {
                continue;
            }
            match answer {
                OfStream::Page(next) => {
                    told.news = true;
                    self.delivered.insert(next.clone());
                    // What is read a second time is read from an older place. Where that goes beyond the first reading, what is new there
                    // is the first reading's to take.
                    let is_again = self.asked_from.get(&job).map(number_of) < self.read_to.as_ref().map(number_of);
                    if !is_again {
                        self.read_to = Some(next);
                    }
                }
                OfStream::Cursor(cursor) => {
                    told.news = true;
                    self.delivered.insert(cursor.clone());
                    self.read_to = Some(cursor);
                }
                OfStream::Lost => {
                    told.is_place_lost |=
                        self.asked_from.get(&job).map(number_of) >= self.read_to.as_ref().map(number_of);
                }
            }
        }
        told
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
            Happening::Hints(news) if !self.hears(&news) => {}
            Happening::Hints(news) => self.inbox.push_back(Input::Local { folder: FOLDER, news }),
            Happening::LateWrite(task) => {
                let known = self.cloud.all_ids.len();
                self.write_late(&task);
                self.cloud.belated.extend(self.cloud.all_ids[known..].to_vec());
            }
            Happening::RootBack => {
                self.say(|| "the root is back".into());
                self.disk.away = false;
            }
        }
    }

    pub fn release_late(&mut self) {
        self.cloud.release_late(self.now);
        if let Some(at) = self.cloud.next_late() {
            self.schedule(at.saturating_sub(self.now), Happening::Late);
        }
    }

    fn begin(&mut self, job: JobId) {
        assert!(self.jobs_seen.insert(job), "V10: job {job} was handed out twice");
    }

    fn carry_out(&mut self, effect: Effect) {
        if self.aloud {
            let text = format!("{effect:?}");
            self.say(|| format!("  < {}", text.chars().take(ALOUD_MOST).collect::<String>()));
        }
        match effect {
            Effect::UseAccount(..)
            | Effect::DropAccount(_)
            | Effect::Close(_)
            | Effect::SweepQuarantine(_)
            | Effect::DropQuarantined(_)
            | Effect::SessionKept(_)
            | Effect::Subscribe(_)
            | Effect::ActFor { .. }
            | Effect::JournalGrew => {}
            Effect::Cancel(job) => {
                self.cancelled.insert(job);
            }
            Effect::Open { job, order, .. } => {
                self.begin(job);
                let late = self.chance.below(self.swarm.deeds_ms);
                self.schedule(late, Happening::Open { job, order });
            }
            Effect::Cloud { job, task, .. } => {
                self.begin(job);
                if let Task::Fetch(_, order) = &task
                    && order.held.is_none()
                {
                    self.tally.fetches += 1;
                    let key = (order.item.to_string(), order.version.to_string());
                    *self.fetched.entry(key).or_default() += 1;
                }
                if let Task::Poll(cursor) | Task::CheckCursor(cursor) = &task {
                    self.asked_from.insert(job, cursor.clone());
                }
                if let Task::Trash { item, .. } = &task {
                    self.trash_jobs.insert(job, item.clone());
                    let below = self.cloud.subtree(item).into_iter();
                    let known = below.filter(|id| !id.is_folder() && self.is_known_to_be_in(id, item)).collect();
                    self.trashing.insert(item.clone(), known);
                }
                self.check_task(&task);
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
                assert!(!self.is_ordered(&staged.name), "law 8: a staged file is dropped that a deed is to publish");
                if self.mutant != Some(Mutant::LeftInStaging) {
                    self.disk.staging.remove(&staged.name);
                }
            }
            Effect::Hook { .. } | Effect::ProbeHook { .. } | Effect::Quarantine { .. } | Effect::Seize { .. } => {
                panic!("the simulation has no hooks")
            }
            Effect::Answer { answer, .. } => self.answers.push(answer),
            Effect::Notice(notice) => self.notices.push(notice),
        }
    }
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

fn number_of(cursor: &Cursor) -> u64 {
    cursor.as_str().parse().unwrap_or(0)
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
        quiet: None,
        ca_file: None,
        proxy: None,
    }
}
