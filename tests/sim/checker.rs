//! What must be true, each law of the design by its name. A failed check names the law, or the invariant of the simulation (V1, V2, …).
//!
//! Checked here when the world is at rest, and in `laws` at every step:
//!
//! | law | where |
//! |---|---|
//! | 1 events are hints | at rest: both trees and all rows agree, whatever came late, twice, in disorder or not at all |
//! | 2 page and cursor are one | every step: the cursor is one that the engine was told of; at rest: as law 1, after crashes |
//! | 3 a lost place is noticed | the step that is told of it marks the folder `unverified`; at rest: as law 1 |
//! | 4 nobody sees half a file | every deed: what is published is whole; at rest: every visible content is somebody's. Scans by hooks are |
//! | | not simulated: `tests/hooks` shows them with real scanners |
//! | 5 no byte is destroyed | at rest: every content of a local user is findable; what is removed was gone from the cloud; what goes to the |
//! | | trash was gone from the disk |
//! | 6 own deeds are recognised | every fetch: not what the disk has of our own; at rest: one fetch for a version |
//! | 7 only outcomes move the synced tree | every deed is written down first; at every crash the disk has what the rows say |
//! | 8 replay is harmless | at rest: as law 1, after crashes anywhere; a second comparison finds nothing to do |
//! | 9 accidents stop and ask | every step: without a yes no more is deleted, on either side, than may be |
//! | 10 "in sync" is the truth | at rest: the engine says so, and what is not in sync is listed with its reason; counts are those of the rows |
//! | 11 one engine at a time | not here, where there is one by construction: `tests/daemon` starts a second process |
//! | 12 a write is repeated only after a look | every write: what the cloud has of ours is not sent again |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use folder_sync_agent::command::Command;
use folder_sync_agent::daemon::folder_state;
use folder_sync_agent::id::ItemId;
use folder_sync_agent::report::{Degraded, FolderState};
use folder_sync_agent::settings::Mode;
use folder_sync_agent::store::items::{Presence, SeatRow};

use folder_sync_agent::store::undo::Away;

use super::cloud::{Content, SPECIAL, size_of, watched};
use super::rest::{is_by_design, is_for_another};
use super::rows::SEEN_WHOLE_WITHIN_MS;
use super::swarm::Swarm;
use super::world::{FOLDER, Happening, World};

/// Rows that refer to nothing, of which a failed check shows this many.
const DANGLING_SHOWN: usize = 5;

/// What differs between the trees, and both of them.
struct Difference {
    what: String,
    wanted: BTreeMap<String, (ItemId, Option<Content>)>,
    disk: BTreeMap<String, Option<Content>>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, wanted, disk } = self;
        write!(f, "{what}\ncloud {wanted:#?}\ndisk {disk:#?}")
    }
}

impl World {
    /// Brings the world to rest and checks everything.
    pub fn conclude(&mut self) {
        self.end_misfortune();
        self.rest();
        if self.cloud.lossy {
            self.let_it_be_found();
        }
        if self.swarm.mode == Mode::Upload {
            self.check();
            self.speak_last();
        } else if self.disk.meddled && self.is_mirror() {
            self.confront();
        }
        self.check();
        self.check_second_plan();
    }

    /// What was never told is found by the agent itself, within the promised time; nobody helps.
    fn let_it_be_found(&mut self) {
        let end = self.now + SEEN_WHOLE_WITHIN_MS;
        self.schedule(SEEN_WHOLE_WITHIN_MS, Happening::Late);
        while self.now < end {
            assert!(self.step(), "V2: nothing will ever happen again");
        }
        self.rest();
    }

    /// Checks what must be true at rest.
    pub fn check(&self) {
        let dangling = self.store().refer_to_nothing(DANGLING_SHOWN).unwrap();
        assert!(dangling.is_empty(), "rows outlived their item: {dangling:?}");
        let told = self.store().folders().unwrap().into_iter().any(|folder| folder.told);
        assert!(!told, "V21: a restart would compare the folder for what is settled");
        if self.swarm.mode == Mode::Upload {
            return self.check_upload(false);
        }
        let blocked = self.blocked();
        assert!(
            self.may_have_more() || blocked.is_empty(),
            "law 10, V18: nobody touched the disk, and these wait for a person: {blocked:?}"
        );
        self.check_trees(&blocked);
        self.check_rows(&blocked);
        self.check_counts();
        self.check_own_directory(&blocked);
        self.check_bytes();
        self.check_calls();
        self.check_status(&blocked);
    }

    fn is_mirror(&self) -> bool {
        self.swarm.mode == Mode::Mirror
    }

    /// Whether local files that the cloud does not have are as they should be.
    fn may_have_more(&self) -> bool {
        if !self.is_mirror() {
            return self.swarm.exclude || self.swarm.refilter;
        }
        self.disk.meddled || self.refused || self.swarm.exclude || self.swarm.refilter
    }

    /// Items that wait for a person by design, with everything below them.
    fn blocked(&self) -> BTreeSet<ItemId> {
        let mut blocked = BTreeSet::new();
        if self.store().reader().planned(FOLDER).unwrap().is_empty() {
            return blocked;
        }
        for id in &self.cloud.all_ids {
            let Some(item) = self.store().item_by_id(FOLDER, id).unwrap() else { continue };
            let problem = self.store().work(item.node).unwrap().and_then(|work| work.problem);
            if problem.is_some_and(|(code, _)| is_by_design(&code) || is_for_another(&code)) {
                blocked.insert(id.clone());
            }
        }
        blocked
    }

    fn is_blocked(&self, blocked: &BTreeSet<ItemId>, id: &ItemId) -> bool {
        blocked.iter().any(|top| self.cloud.is_below(id, top))
    }

    /// Kept off the disk: its time was over, or a local user removed it and that is accepted.
    fn stays_away(&self, id: &ItemId) -> bool {
        let Some(item) = self.store().item_by_id(FOLDER, id).unwrap() else { return false };
        let Some(tombstone) = self.store().tombstone(item.node).unwrap() else { return false };
        let reason = match tombstone.reason {
            Away::Expired => self.swarm.keep_for_ms.is_some(),
            Away::Deleted => self.swarm.accept_deletions && self.disk.meddled,
        };
        assert!(reason && self.is_mirror(), "law 1: {id} stays away for no reason: {tombstone:?}");
        true
    }

    /// Law 10, V18: what is not in sync is listed with its reason, and nothing else is called so.
    fn check_status(&self, blocked: &BTreeSet<ItemId>) {
        // In the middle of a day a poll may be under way.
        let says = !self.at_rest() || self.engine().at_rest().unwrap();
        assert!(says, "law 10, V18: the engine does not say that all is done");
        let problems = self.store().reader().problems(Some(FOLDER)).unwrap();
        for id in blocked {
            let Some(item) = self.store().item_by_id(FOLDER, id).unwrap() else { continue };
            let code = self.store().work(item.node).unwrap().and_then(|work| work.problem).map(|(code, _)| code);
            let listed = problems.iter().any(|problem| problem.path == self.store().reader().path(item.node).unwrap());
            assert!(listed || code.as_deref() == Some("waits"), "law 10, V18: {id} waits, and is not listed");
        }
    }

    /// Law 1, V2: the disk has what the cloud has.
    fn check_trees(&self, blocked: &BTreeSet<ItemId>) {
        if let Some(difference) = self.difference(blocked, true) {
            panic!("law 1, V2: {difference}");
        }
    }

    /// The first difference between the trees that is not as it should be. What `may_stay_away` is no difference where it does.
    fn difference(&self, blocked: &BTreeSet<ItemId>, may_stay_away: bool) -> Option<Difference> {
        let wanted: BTreeMap<String, (ItemId, Option<Content>)> = self
            .wanted()
            .into_iter()
            .filter(|(_, id)| !(self.is_blocked(blocked, id) || may_stay_away && self.stays_away(id)))
            .map(|(path, id)| {
                let content = (!id.is_folder()).then(|| self.cloud.thing(&id).content);
                (path, (id, content))
            })
            .collect();
        let disk = self.disk.tree();
        for (path, (id, content)) in &wanted {
            if self.disk.meddled && id.is_folder() && self.is_mirror() {
                continue;
            }
            let there = disk.get(path);
            if there != Some(content) {
                let what = format!("`{path}` ({id}) is {there:?} on disk and not {content:?}");
                return Some(Difference { what, wanted, disk });
            }
        }
        let is_more =
            |path: &&String| !self.may_have_more() && !wanted.contains_key(*path) && disk[*path] != Some(SPECIAL);
        let more = disk.keys().find(is_more);
        let what = more.map(|path| format!("`{path}` is on disk and not in the cloud"))?;
        Some(Difference { what, wanted, disk })
    }

    /// What `agent status` says of the folder.
    pub fn says_in_sync(&self) -> bool {
        let folders = self.store().folders().unwrap();
        let Some(folder) = folders.iter().find(|folder| folder.folder == FOLDER) else { return false };
        let health = self.engine().health();
        let rows = self.store().reader();
        let pending = rows.pending_with(FOLDER, rows.work_counts(FOLDER).unwrap()).unwrap();
        folder_state(folder, &pending, Some(&health)).0 == FolderState::InSync
            && !health.accounts.values().any(|account| account.degraded.as_ref().is_some_and(Degraded::halts))
    }

    /// Law 10: where everything was told and the engine says "in sync", the trees are equal.
    pub fn check_honest(&self) {
        // Where nothing is ever given up, nothing may stay away. The trees are compared first: they are equal most of the time.
        let may_stay_away = self.swarm.keep_for_ms.is_some() || self.swarm.accept_deletions;
        if self.is_all_heard()
            && let Some(difference) = self.difference(&BTreeSet::new(), may_stay_away)
            && self.says_in_sync()
        {
            panic!("law 10, V18: \"in sync\" is said, and {difference}");
        }
    }

    /// Whether the engine was told of all that is so: the stream to its end, and the disk. From then on "in sync" is not to be said before what
    /// that asked for is done, whatever calls, listings, scans and deeds are still to be answered. What the cloud never told has to be found
    /// in its time.
    fn is_all_heard(&self) -> bool {
        let is_on_its_way = |happening: &Happening| matches!(happening, Happening::Hints(_) | Happening::LateWrite(_));
        let is_untold = self.cloud.untold.is_some_and(|at| self.now < at + SEEN_WHOLE_WITHIN_MS);
        // Nobody listens to what a local user does in a mirror.
        let is_meddled = self.disk.meddled && self.is_mirror();
        if is_untold || is_meddled || self.swarm.mode == Mode::Upload || self.disk.away || !self.inbox.is_empty() {
            return false;
        }
        self.disk.hints.is_empty()
            && self.cloud.is_all_told()
            && self.read_to.as_ref().is_some_and(|cursor| !self.cloud.has_news(cursor))
            && !self.heap.values().any(is_on_its_way)
    }

    /// The cloud's tree as the folder is to have it.
    pub fn wanted(&self) -> BTreeMap<String, ItemId> {
        let mut tree = self.cloud.tree();
        if self.excluding {
            tree.retain(|path, _| path.split('/').all(|name| !name.starts_with('x')));
        }
        tree
    }

    /// V2: the rows say what both sides have, and there are no others.
    fn check_rows(&self, blocked: &BTreeSet<ItemId>) {
        let wanted: BTreeSet<ItemId> = self.wanted().into_values().collect();
        for id in &self.cloud.all_ids {
            let row = self.store().item_by_id(FOLDER, id).unwrap();
            if !wanted.contains(id) {
                let kept = row.as_ref().is_some_and(|row| self.store().work(row.node).unwrap().is_some());
                assert!(row.is_none() || kept, "law 1, V2: {id} is gone and has a row: {row:#?}");
                continue;
            }
            if self.is_blocked(blocked, id) || self.stays_away(id) {
                continue;
            }
            let row = row.unwrap_or_else(|| panic!("law 1, V2: {id} has no row"));
            let thing = self.cloud.thing(id);
            assert_eq!(row.remote.presence, Presence::Present, "law 1, V2: {id}");
            assert_eq!(row.remote.name, thing.name, "law 1, V2: the name of {id}");
            let synced = row.synced.unwrap_or_else(|| panic!("law 10, V18: {id} is not synced"));
            let SeatRow::At { parent, .. } = synced.seat else { panic!("law 8, V16: {id} sits at {:?}", synced.seat) };
            let parent = self.store().item(parent).unwrap().unwrap().id;
            assert_eq!(Some(parent), thing.parent, "law 1, V2: the directory of {id}");
            let version = synced.content.map(|content| content.version.to_string());
            assert_eq!(
                version,
                (!id.is_folder()).then(|| format!("v{}", thing.version)),
                "law 1, V2: the version of {id}"
            );
        }
    }

    /// The counts that status shows are the truth.
    pub fn check_counts(&self) {
        let (files, bytes) = self.check_kept_counts();
        if !self.may_have_more() {
            let disk = self.disk.tree();
            let lengths = disk.values().flatten().map(|content| size_of(*content) as i64);
            assert_eq!(bytes, lengths.sum::<i64>(), "law 10: bytes on disk");
            assert_eq!(files, disk.values().flatten().count() as i64, "law 10: files on disk");
        }
    }

    /// The counts that are kept are those of the rows, at any time; says files and bytes.
    pub fn check_kept_counts(&self) -> (i64, i64) {
        let (mut files, mut folders, mut bytes, mut removals) = (0, 0, 0, 0);
        for id in &self.cloud.all_ids {
            let Some(row) = self.store().item_by_id(FOLDER, id).unwrap() else { continue };
            let Some(synced) = row.synced else { continue };
            match synced.content {
                Some(content) => {
                    files += 1;
                    bytes += content.size as i64;
                    removals += i64::from(row.remote.presence == Presence::Absent);
                }
                None => folders += 1,
            }
        }
        let Some(row) = self.store().folders().unwrap().into_iter().find(|row| row.folder == FOLDER) else {
            return (0, 0);
        };
        let counts = (row.counts.files, row.counts.folders, row.counts.bytes, row.counts.removals);
        assert_eq!(counts, (files, folders, bytes, removals), "law 10: files, folders, bytes, removals");
        (files, bytes)
    }

    /// Nothing is left behind in our own directory, but for what cannot go to its place yet.
    pub fn check_own_directory(&self, blocked: &BTreeSet<ItemId>) {
        assert!(self.disk.staging.is_empty(), "law 8, V16: left in staging: {:?}", self.disk.staging);
        for job in self.disk.parked.keys() {
            let waits = blocked.iter().any(|id| {
                let row = self.store().item_by_id(FOLDER, id).unwrap();
                row.and_then(|row| row.synced).is_some_and(|synced| synced.seat == SeatRow::Parked(*job))
            });
            assert!(waits, "law 8, V16: left parked: {job}");
        }
    }

    /// Law 5, V1: no byte that a local user wrote is lost; and law 4.
    pub fn check_bytes(&self) {
        self.check_visible();
        let mut findable = self.disk.findable();
        if !self.is_mirror() {
            // The cloud keeps former versions, and what is in its trash.
            findable.extend(self.cloud.findable());
        }
        for content in &self.disk.written {
            // Where versions are not kept here, the cloud had the only copy of a former one, and somebody may have removed that for good.
            let is_purged = self.swarm.keep_versions < Swarm::calm().keep_versions
                && !self.is_mirror()
                && self.cloud.was_purged(*content);
            assert!(is_purged || findable.contains(content), "law 5, V1: a local user's content {content} is lost");
        }
    }

    /// Law 4, V3: nothing is visible that nobody wrote.
    pub fn check_visible(&self) {
        let ever: BTreeSet<Content> = self.cloud.versions.values().map(|(_, content)| *content).collect();
        for (path, content) in self.disk.tree() {
            let known = content.is_none_or(|content| {
                content == SPECIAL || ever.contains(&content) || self.disk.written.contains(&content)
            });
            assert!(known, "law 4, V3: `{path}` holds what nobody wrote: {content:?}");
        }
    }

    /// One call for each version of each file that there was a reason to fetch.
    fn check_calls(&self) {
        if !self.swarm.is_kind() || self.disk.meddled || self.tally.crashes > 0 {
            return;
        }
        for ((item, version), times) in &self.fetched {
            let id: ItemId = item.parse().unwrap();
            let returns = if self.cloud.has(&id) { self.cloud.thing(&id).returns } else { u64::MAX - 1 };
            assert!(
                *times <= 1 + returns,
                "law 6, V7: {version} of {item} was fetched {times} times for {returns} returns"
            );
        }
    }

    /// V11: comparing everything again finds nothing to do.
    fn check_second_plan(&mut self) {
        if self.disk.meddled && self.is_mirror() || !self.blocked().is_empty() || self.swarm.keep_for_ms.is_some() {
            return;
        }
        // Something that waits for a person to rename it is tried again.
        if !self.is_mirror() && !self.store().reader().planned(FOLDER).unwrap().is_empty() {
            return;
        }
        let (deeds, fetches, writes) = (self.tally.deeds, self.tally.fetches, self.tally.writes);
        let command = Command::Sync { folder: None, full: true };
        self.command(command);
        self.rest();
        let after = (self.tally.deeds, self.tally.fetches, self.tally.writes);
        assert_eq!((deeds, fetches, writes), after, "law 8, V11: a second comparison found work");
        self.check();
    }

    /// The last misfortune is over. What is late still comes in its time, and nobody asks the agent to compare anything.
    fn end_misfortune(&mut self) {
        self.misfortune = false;
        self.approving = true;
        self.disk.away = false;
        self.cloud.show_all();
        self.cloud.habits.stale = 0;
        self.command(Command::Resume { folder: None });
        self.command(Command::CredentialsChanged { account: "a".into() });
        let moments: Vec<u64> = self.cloud.late_moments().collect();
        for at in moments {
            self.schedule(at.saturating_sub(self.now), Happening::Late);
        }
    }

    /// A local user had a hand in the tree, which nobody watches: every file gets a new version, so that all of it is looked at.
    fn confront(&mut self) {
        let files: Vec<ItemId> = self.wanted().into_values().filter(|id| !id.is_folder()).collect();
        for (number, id) in files.iter().enumerate() {
            self.cloud.edit(id, 5_000 + number as u64);
        }
        assert!(self.cloud.is_live(&watched()));
        self.rest();
    }
}
