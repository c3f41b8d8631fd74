//! One random history by the real process: both hands at work at once, SIGKILL in between, quiet, and then the account of every byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::thread::{park_timeout, scope};
use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::{Chaos, Cloud};

use super::cloud_hand::CloudHand;
use super::disk_hand::{DiskHand, kept_by_us, read_below};
use super::ledger::{Chance, Ledger, Side};
use crate::support::{Bed, EGNYTE_REMOTE, REMOTE, read_tree, sha1_of};

/// How long a history may take to come to rest. Generous: several run beside one another.
const REST: Duration = Duration::from_secs(90);
/// One history in so many is one at Egnyte, unless `AGENT_PROVIDER` says where all of them are.
const EGNYTE_EVERY: u64 = 5;

/// What a history was made of and what became of it.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub counts: BTreeMap<String, u64>,
}

impl Tally {
    pub fn add(&mut self, what: &str, count: u64) {
        *self.counts.entry(what.to_owned()).or_default() += count;
    }

    pub fn merge(&mut self, other: &Self) {
        other.counts.iter().for_each(|(what, count)| self.add(what, *count));
    }
}

/// The bed of a history, its book, and what is drawn for it.
pub struct History {
    seed: u64,
    bed: Bed,
    remote: &'static str,
    ledger: Ledger,
    chance: Chance,
    tally: Tally,
}

impl History {
    /// A bed with a two-way folder and no brake on deletions, for nobody is there to approve.
    pub fn new(seed: u64) -> Self {
        let is_egnyte = match std::env::var("AGENT_PROVIDER").as_deref() {
            Ok("box") => false,
            Ok("egnyte") => true,
            Ok(other) => panic!("AGENT_PROVIDER is box or egnyte, and not {other}"),
            Err(_) => seed % EGNYTE_EVERY == EGNYTE_EVERY - 1,
        };
        let (bed, remote) = if is_egnyte { (Bed::egnyte(), EGNYTE_REMOTE) } else { (Bed::new(), REMOTE) };
        bed.add_folder(&["--mode", "two-way"]);
        bed.ok(&["set-folder", "inbox", "max_delete=off"]);
        let mut tally = Tally::default();
        tally.add(if is_egnyte { "histories at Egnyte" } else { "histories at Box" }, 1);
        Self { seed, bed, remote, ledger: Ledger::new(), chance: Chance::new(seed, 1), tally }
    }

    /// Lives it to its end. The error says what is wrong, and tells the story.
    pub fn run(mut self) -> Result<Tally, String> {
        let ended = self.live();
        match ended {
            Ok(()) => Ok(self.tally),
            Err(wrong) => Err(self.explain(&wrong)),
        }
    }

    fn live(&mut self) -> Result<(), String> {
        let (ledger, bed) = (&self.ledger, &self.bed);
        let away = bed.dir.path().join("away");
        let mut disk = DiskHand::new(bed.local(), away, bed.cloud(), ledger, Chance::new(self.seed, 2));
        let mut cloud = CloudHand::new(bed.cloud(), self.remote, ledger, Chance::new(self.seed, 3));
        let chance = &mut self.chance;
        (0..8 + chance.below(20)).for_each(|_| cloud.step());
        let mut agent = bed.start();
        if chance.below(3) == 0 {
            // Both had something before they met.
            (0..chance.below(8)).for_each(|_| disk.step());
        } else {
            rest(bed, REST)?;
            ledger.note("both agree");
        }
        let (disk_deeds, cloud_deeds) = (4 + chance.below(14), 4 + chance.below(14));
        // In a hurry everything happens while the first change still settles; at leisure the agent is at work in between.
        let pause = *chance.pick(&[60, 200, 200, 450]).unwrap();
        let (mut disk_pauses, mut cloud_pauses) = (Chance::new(self.seed, 4), Chance::new(self.seed, 5));
        let kills = 1 + chance.below(3);
        if chance.below(3) == 0 {
            bed.cloud().faults().chaos(Chaos {
                seed: self.seed,
                error_percent: 4,
                cut_percent: 4,
                lost_answer_percent: 15,
                content_percent: 5,
                events_percent: 20,
                events_dropped_percent: 0,
                delay_percent: 10,
            });
            self.tally.add("histories with faults of the cloud", 1);
        }
        let mut agents = 1;
        let agent = scope(|scope| {
            scope.spawn(|| {
                for _ in 0..disk_deeds {
                    disk.step();
                    park_timeout(Duration::from_millis(disk_pauses.below(pause)));
                }
            });
            scope.spawn(|| {
                for _ in 0..cloud_deeds {
                    cloud.step();
                    park_timeout(Duration::from_millis(cloud_pauses.below(pause)));
                }
            });
            for _ in 0..kills {
                match chance.below(3) {
                    0 => park_timeout(Duration::from_millis(20 + chance.below(2_800))),
                    1 => park_timeout(Duration::from_millis(chance.below(200))),
                    _ => wait_for_a_write(&bed.cloud(), Duration::from_millis(chance.below(12))),
                }
                agent.kill();
                ledger.note("SIGKILL");
                park_timeout(Duration::from_millis(chance.below(300)));
                agent = bed.start();
                agents += 1;
                ledger.note("started");
            }
            agent
        });
        ledger.note("quiet");
        bed.cloud().faults().clear();
        let quiet = Instant::now();
        rest(bed, REST)?;
        self.tally.add("milliseconds from quiet to rest", quiet.elapsed().as_millis() as u64);
        self.tally.add("SIGKILLs", kills);
        self.tally.add("starts", agents);
        let conflicts: serde_json::Value =
            serde_json::from_str(&bed.ok(&["conflicts", "--json"])).map_err(|error| error.to_string())?;
        self.tally.add("conflicts", conflicts["rows"].as_array().map_or(0, Vec::len) as u64);
        let code = agent.stop();
        if code != Some(0) {
            return Err(format!("the agent ended with {code:?}"));
        }
        self.check()
    }

    fn check(&mut self) -> Result<(), String> {
        let difference = self.bed.difference();
        if !difference.is_empty() {
            return Err(format!("not equal after the end: {difference:#?}"));
        }
        for dir in ["staging", "parked"] {
            let left = self.bed.ours(dir);
            if !left.is_empty() {
                return Err(format!("left in {dir}: {left:?}"));
            }
        }
        let tree = read_tree(&self.bed.local());
        let copies = tree.keys().filter(|path| path.contains("(conflicted copy ")).count();
        if let Some(faults) = self.bed.cloud().counters().get("fault_injected") {
            self.tally.add("faults of the cloud", *faults);
        }
        self.tally.add("conflict copies in the tree", copies as u64);
        self.tally.add("items in the tree", tree.len() as u64);
        let live: BTreeSet<String> = tree.into_values().collect();
        let kept: BTreeSet<String> = kept_by_us(&self.bed.local()).iter().map(|content| sha1_of(content)).collect();
        let mut away = Vec::new();
        read_below(&self.bed.dir.path().join("away"), &mut away);
        let away: BTreeSet<String> = away.iter().map(|content| sha1_of(content)).collect();
        let cloud = self.bed.cloud();
        let (mut lost, mut unasked) = (Vec::new(), Vec::new());
        for (hash, written) in self.ledger.written() {
            let side = match written.by {
                Side::Disk => "disk",
                Side::Cloud => "cloud",
            };
            self.tally.add(&format!("contents written, {side}"), 1);
            self.tally.add(&format!("bytes written, {side}"), written.bytes);
            let place = if live.contains(&hash) {
                "in the tree"
            } else if kept.contains(&hash) {
                "in the version store"
            } else if cloud.keeps(&hash) {
                "in the cloud's versions and trash"
            } else if away.contains(&hash) {
                "where their writer moved them"
            } else if self.ledger.is_own_loss(&hash) {
                "taken back by their writer before anybody saw them"
            } else {
                lost.push(format!("{} ({side}) {hash}", written.at));
                continue;
            };
            self.tally.add(&format!("contents found {place}"), 1);
            self.tally.add(&format!("bytes found {place}"), written.bytes);
            if place == "in the tree" || !self.ledger.must_be_in_the_tree(&hash) {
                continue;
            }
            if place == "in the cloud's versions and trash" && self.ledger.may_go_along(&hash) {
                self.tally.add("contents that went along with a folder deleted at the same moment", 1);
            } else {
                unasked.push(format!("{} ({side}) {hash}: only {place}", written.at));
            }
        }
        for (deed, count) in self.ledger.deeds() {
            self.tally.add(deed, count);
        }
        if !lost.is_empty() {
            return Err(format!("LOST: {lost:#?}"));
        }
        if !unasked.is_empty() {
            return Err(format!("taken out of the tree, and nobody did that: {unasked:#?}"));
        }
        Ok(())
    }

    fn explain(&self, wrong: &str) -> String {
        let mut text = format!("seed {}: {wrong}\n{}\n", self.seed, self.ledger.story());
        let _ = writeln!(text, "in {} (kept with AGENT_KEEP)", self.bed.dir.path().display());
        let _ = writeln!(text, "in the cloud:");
        for (path, entry) in self.bed.cloud().tree(self.remote).unwrap_or_default() {
            let _ = writeln!(text, "  {path}  {} {}", entry.id, entry.sha1);
        }
        let _ = writeln!(text, "on disk:");
        for (path, hash) in read_tree(&self.bed.local()) {
            let _ = writeln!(text, "  {path}  {hash}");
        }
        let log = self.bed.log();
        let lines: Vec<&str> = log.lines().collect();
        let _ = writeln!(text, "log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        text
    }

    /// Keeps everything for whoever looks into it.
    pub fn keep(&mut self) {
        self.bed.dir.disable_cleanup(true);
    }
}

/// Waits until the agent has written to the cloud, or for a bearable time in vain, and a little longer.
fn wait_for_a_write(cloud: &Cloud, longer: Duration) {
    const WRITES: [&str; 12] = [
        "upload_new",
        "upload_version",
        "folder_create",
        "folder_update",
        "folder_delete",
        "file_update",
        "file_delete",
        "egnyte_upload",
        "egnyte_folder_create",
        "egnyte_move",
        "egnyte_delete",
        "egnyte_trash_change",
    ];
    let writes = || WRITES.iter().map(|word| cloud.count(word)).sum::<u64>();
    let (before, until) = (writes(), Instant::now() + Duration::from_secs(3));
    while writes() == before && Instant::now() < until {
        park_timeout(Duration::from_millis(1));
    }
    park_timeout(longer);
}

/// Waits until both are equal and the agent says so, and they still are.
fn rest(bed: &Bed, patience: Duration) -> Result<(), String> {
    let until = Instant::now() + patience;
    loop {
        let difference = bed.difference();
        let mut said = String::new();
        if difference.is_empty() {
            let waited = bed.run(&["wait", "--timeout", "20s"]);
            if waited.status.success() && bed.difference().is_empty() {
                return Ok(());
            }
            said = format!("{}: {}", waited.status, String::from_utf8_lossy(&waited.stderr));
        }
        if Instant::now() > until {
            let problems = String::from_utf8_lossy(&bed.run(&["problems"]).stdout).into_owned();
            let status = bed.status();
            return Err(format!("no rest: {difference:#?}\n{said}\n{problems}\n{status:#?}"));
        }
        park_timeout(Duration::from_millis(50));
    }
}
