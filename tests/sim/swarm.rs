//! Which misfortunes one history has. A history with all of them at once finds less than one with a few, so each seed draws its own.

use folder_sync_agent::settings::Mode;

use super::chance::Chance;
use super::cloud::Habits;

/// The misfortunes of one history. A number is "one in so many"; 0 is never.
#[derive(Debug, Clone, Default)]
pub struct Swarm {
    pub habits: Habits,
    /// Calls to the cloud that fail.
    pub call_errors: u64,
    /// Downloads that bring something else, with no word of its digest.
    pub wrong_bodies: u64,
    /// The watched folder lies in another one, which people move and trash.
    pub nested: bool,
    /// Acts after which a permission is taken away, or given back.
    pub hides: u64,
    /// The longest that a call takes, in milliseconds.
    pub call_ms: u64,
    /// The longest that a batch of deeds takes.
    pub deeds_ms: u64,
    /// The most inputs of one step.
    pub batch: u64,
    /// Steps after which the process dies.
    pub crash: u64,
    /// A crash also restarts the clock that never jumps.
    pub reboot: bool,
    /// Acts after which all cursors are lost.
    pub cursor_lost: u64,
    /// Deeds that fail.
    pub deed_errors: u64,
    /// Acts after which the root is away for a while.
    pub root_away: u64,
    /// Staged files that vanish.
    pub staged_lost: u64,
    /// Wake-ups of the long poll that get lost.
    pub wake_lost: u64,
    /// Jumps of the wall clock.
    pub wall_jumps: u64,
    /// Things that a local user does, of a hundred acts.
    pub local_share: u64,
    /// Local edits are kept.
    pub keep_drift: bool,
    /// Versions kept of each file.
    pub keep_versions: u32,
    /// A pattern keeps names out from the start.
    pub exclude: bool,
    /// The patterns change on the way.
    pub refilter: bool,
    /// Deletions that are believed; nothing means the brake is off.
    pub max_delete: Option<u64>,
    /// Holds are refused, one in so many.
    pub reject: u64,
    /// The local directory is not empty at the start.
    pub adopt: bool,
    /// Somebody pauses and resumes, asks for full comparisons, and retries.
    pub commands: bool,
    /// The day's calls of the account; nothing means no limit.
    pub calls_per_day: Option<u32>,
    /// The cloud has a long poll.
    pub long_poll: bool,
    /// Who decides.
    pub mode: Mode,
    /// Writes whose answer is lost; some of them happen later, some never.
    pub answers_lost: u64,
    /// Hints of the watcher that get lost, so that it says that everything must be scanned.
    pub hints_lost: u64,
    /// Scans that fail.
    pub scan_errors: u64,
    /// Entries on one page of a scan.
    pub scan_page: u64,
    /// Items at the start.
    pub items: u64,
    /// Things that happen.
    pub acts: u64,
    /// The longest time between two of them, in milliseconds.
    pub pause_ms: u64,
    /// How long local copies stay, in milliseconds.
    pub keep_for_ms: Option<u64>,
    /// The most bytes in the version store.
    pub versions_max: Option<u64>,
    /// Local deletions are accepted.
    pub accept_deletions: bool,
    /// The process dies with the power.
    pub power: bool,
    /// Folders with all that is in them go, come back and move while other things happen.
    pub trees: bool,
}

impl Swarm {
    /// A world in which nothing goes wrong.
    pub fn calm() -> Self {
        Self {
            habits: Habits { list_page: 100, event_page: 100, ..Habits::default() },
            call_ms: 50,
            deeds_ms: 20,
            batch: 8,
            keep_versions: 1_000,
            long_poll: true,
            scan_page: 100,
            ..Self::default()
        }
    }

    /// What a seed draws for a folder that both sides may change.
    pub fn draw_two_way(chance: &mut Chance) -> Self {
        let mut swarm = Self::draw(chance);
        swarm.mode = Mode::TwoWay;
        swarm.local_share = chance.within(10, 90);
        swarm.refilter = false;
        swarm.keep_drift = false;
        swarm.reject = 0;
        let some = |chance: &mut Chance, often: u64| {
            let on = chance.one_in(3);
            let strength = chance.within(2, often);
            if on { strength } else { 0 }
        };
        swarm.answers_lost = some(chance, 12);
        swarm.hints_lost = some(chance, 20);
        swarm.scan_errors = some(chance, 20);
        swarm.scan_page = chance.within(1, 8);
        swarm
    }

    /// What a seed draws for a folder whose disk decides.
    pub fn draw_upload(chance: &mut Chance) -> Self {
        let mut swarm = Self::draw_two_way(chance);
        swarm.mode = Mode::Upload;
        swarm.local_share = chance.within(30, 90);
        swarm
    }

    /// What a seed draws for a mirror in which copies do not stay for ever.
    pub fn draw_passing(chance: &mut Chance) -> Self {
        let mut swarm = Self::draw(chance);
        swarm.refilter = false;
        swarm.power = chance.one_in(2);
        swarm.accept_deletions = chance.one_in(2);
        if swarm.accept_deletions {
            swarm.local_share = chance.within(5, 50);
        }
        swarm.keep_for_ms = chance.one_in(2).then(|| chance.within(10_000, 1_800_000));
        swarm
    }

    /// A mirror or a folder that both sides may change, with a stream of any kind and nothing wrong with it yet.
    fn draw_any(chance: &mut Chance) -> Self {
        let mut swarm = if chance.one_in(2) { Self::draw(chance) } else { Self::draw_two_way(chance) };
        swarm.refilter = false;
        let habits = &mut swarm.habits;
        (habits.paths, habits.ids) = (false, false);
        match chance.below(3) {
            0 => habits.paths = true,
            1 => habits.ids = true,
            _ => {}
        }
        swarm
    }

    /// What a seed draws for a stream of paths that comes in any order, twice, and late.
    pub fn draw_disorder(chance: &mut Chance) -> Self {
        let mut swarm = Self::draw_any(chance);
        let habits = &mut swarm.habits;
        (habits.paths, habits.ids) = (true, false);
        let mut often = || if chance.one_in(2) { chance.within(2, 10) } else { 0 };
        (habits.swap, habits.late, habits.repeat, habits.pages) = (often(), often(), often(), often());
        if habits.swap + habits.late + habits.repeat == 0 {
            habits.late = 3;
        }
        swarm
    }

    /// What a seed draws for events of which only ids are told, or which name items that we know nothing of.
    pub fn draw_enterprise(chance: &mut Chance) -> Self {
        let mut swarm = Self::draw_any(chance);
        (swarm.habits.paths, swarm.habits.ids) = (false, true);
        swarm
    }

    /// What a seed draws for events that cannot be understood, and pages that overlap, are short, or are empty.
    pub fn draw_garbled(chance: &mut Chance) -> Self {
        let mut swarm = Self::draw_any(chance);
        let habits = &mut swarm.habits;
        let mut often = || if chance.one_in(2) { chance.within(2, 20) } else { 0 };
        (habits.blank, habits.unknown, habits.pages) = (often(), often(), often());
        if habits.blank + habits.unknown + habits.pages == 0 {
            habits.blank = 5;
        }
        swarm.wrong_bodies = if chance.one_in(4) { chance.within(2, 20) } else { 0 };
        swarm
    }

    /// What a seed draws for a cloud that does not tell everything, tells it behind a place that was given, or shows former states.
    pub fn draw_untold(chance: &mut Chance) -> Self {
        let mut swarm = Self::draw_any(chance);
        let habits = &mut swarm.habits;
        let mut often = || if chance.one_in(2) { chance.within(2, 20) } else { 0 };
        (habits.lose, habits.behind, habits.stale) = (often(), often(), often());
        if habits.lose + habits.behind + habits.stale == 0 {
            habits.lose = 5;
        }
        swarm
    }

    /// What a seed draws for whole folders that go, come back and move, with the process dying in between.
    pub fn draw_trees(chance: &mut Chance) -> Self {
        let mut swarm = Self::draw_any(chance);
        swarm.trees = true;
        swarm.items = chance.within(5, 40);
        swarm.crash = if chance.one_in(2) { chance.within(5, 60) } else { 0 };
        swarm
    }

    /// What a seed draws for a cloud in which permissions come and go, and the folders above the watched one do not stay.
    pub fn draw_hidden(chance: &mut Chance) -> Self {
        let mut swarm = Self::draw_any(chance);
        swarm.nested = chance.one_in(2);
        swarm.hides = chance.within(3, 12);
        swarm
    }

    /// What a seed draws.
    pub fn draw(chance: &mut Chance) -> Self {
        let some = |chance: &mut Chance, often: u64| {
            let on = chance.one_in(3);
            let strength = chance.within(2, often);
            if on { strength } else { 0 }
        };
        let mut habits = Habits {
            paths: false,
            snapshot_at_read: chance.one_in(3),
            no_ancestors: chance.one_in(4),
            repeat: some(chance, 20),
            swap: some(chance, 10),
            late: some(chance, 20),
            late_ms: chance.within(10, 120_000),
            lose: if chance.one_in(3) { some(chance, 20) } else { 0 },
            list_page: chance.within(1, 12) as usize,
            event_page: chance.within(1, 30) as usize,
            ..Habits::default()
        };
        // What is never told has histories of its own (`draw_untold`), as has a stream of paths in disorder (`draw_disorder`).
        habits.lose = 0;
        // Drawn from a number of its own, so that histories keep their numbers.
        if chance.clone().one_in(4) {
            habits = Habits { paths: true, swap: 0, late: 0, repeat: 0, ..habits };
        }
        let call_slowness = [1, 50, 2_000, 60_000];
        let disk_slowness = [1, 50, 5_000];
        let pauses = [1, 100, 3_000, 60_000];
        Self {
            habits,
            call_errors: some(chance, 40),
            wrong_bodies: 0,
            nested: false,
            hides: 0,
            call_ms: *chance.pick(&call_slowness).unwrap(),
            deeds_ms: *chance.pick(&disk_slowness).unwrap(),
            batch: chance.within(1, 16),
            // A process that dies at every other step gets nowhere, and its history has no end.
            crash: match some(chance, 120) {
                0 => 0,
                often => often.max(5),
            },
            reboot: chance.one_in(2),
            cursor_lost: some(chance, 60),
            deed_errors: some(chance, 40),
            root_away: some(chance, 60),
            staged_lost: some(chance, 20),
            wake_lost: some(chance, 4),
            wall_jumps: some(chance, 60),
            local_share: if chance.one_in(3) { chance.within(5, 50) } else { 0 },
            keep_drift: chance.one_in(4),
            keep_versions: if chance.one_in(4) { chance.within(0, 2) as u32 } else { 1_000 },
            exclude: chance.one_in(5),
            refilter: chance.one_in(8),
            max_delete: chance.one_in(4).then(|| chance.within(0, 4)),
            reject: some(chance, 4),
            adopt: chance.one_in(5),
            commands: chance.one_in(4),
            calls_per_day: None,
            long_poll: !chance.one_in(4),
            mode: Mode::Mirror,
            answers_lost: 0,
            hints_lost: 0,
            scan_errors: 0,
            scan_page: 100,
            items: chance.within(0, 25),
            acts: chance.within(1, 50),
            pause_ms: *chance.pick(&pauses).unwrap(),
            // Histories that are compared with the cloud's tree keep what the cloud has.
            keep_for_ms: None,
            versions_max: None,
            accept_deletions: false,
            power: false,
            trees: false,
        }
    }

    /// Nothing goes wrong that would justify a second download.
    pub fn make_kind(&mut self) {
        self.habits = Habits { late: 0, lose: 0, ..self.habits };
        (self.call_errors, self.crash, self.cursor_lost, self.deed_errors, self.root_away) = (0, 0, 0, 0, 0);
        (self.staged_lost, self.local_share, self.wall_jumps, self.reject) = (0, 0, 0, 0);
        (self.refilter, self.exclude, self.commands, self.adopt) = (false, false, false, false);
    }

    /// Nothing goes wrong at all; both sides may change.
    pub fn is_calm(&self) -> bool {
        let faults = [
            self.call_errors,
            self.crash,
            self.cursor_lost,
            self.deed_errors,
            self.root_away,
            self.staged_lost,
            self.answers_lost,
            self.hints_lost,
            self.scan_errors,
            self.habits.late,
            self.habits.lose,
            self.habits.swap,
            self.habits.repeat,
        ];
        faults.iter().all(|fault| *fault == 0)
    }

    /// Nothing goes wrong that would justify a second download of one version.
    pub fn is_kind(&self) -> bool {
        let habits = &self.habits;
        let faults = [
            self.call_errors,
            self.crash,
            self.cursor_lost,
            self.deed_errors,
            self.root_away,
            self.staged_lost,
            self.local_share,
            self.wall_jumps,
            habits.late,
            habits.lose,
            self.reject,
        ];
        faults.iter().all(|fault| *fault == 0) && !self.refilter && !self.exclude && !self.commands
    }
}
