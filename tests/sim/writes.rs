//! What the agent does to the cloud, with answers that get lost, and what it asks of the disk.

use folder_sync_agent::engine::effect::LocalTask;
use folder_sync_agent::engine::{Outcome, Task};
use folder_sync_agent::id::{ItemId, JobId, VersionId};
use folder_sync_agent::local_news::{LocalMiss, News, Rescan, ScanFailure, UploadFailure, UploadFile, Uploaded};
use folder_sync_agent::provider::{Expected, ProviderError, ProviderErrorKind, UploadTarget};
use folder_sync_agent::tree::RemoteItem;

use super::cloud::{Cloud, Content, HALF};
use super::disk::{disk_error, sha256_of};
use super::mutants::Mutant;
use super::world::{Happening, World};

type Written = Result<RemoteItem, ProviderError>;

fn refuse(kind: ProviderErrorKind) -> ProviderError {
    ProviderError::new(kind, "made up")
}

impl Cloud {
    fn now(&self, id: &ItemId) -> RemoteItem {
        self.describe(id, true).unwrap()
    }

    fn upload_new(&mut self, parent: &ItemId, name: &str, content: Content) -> Written {
        if !self.is_shown(parent) {
            return Err(refuse(ProviderErrorKind::NotFound));
        }
        if self.is_taken(parent, name, None) {
            return Err(refuse(ProviderErrorKind::Conflict));
        }
        let id = self.add_file(parent, name, content);
        self.own_versions.insert(self.thing(&id).version);
        Ok(self.now(&id))
    }

    fn check(&self, id: &ItemId, expected: &Expected) -> Result<(), ProviderError> {
        if !self.is_shown(id) {
            return Err(refuse(ProviderErrorKind::NotFound));
        }
        let version = VersionId::new(format!("v{}", self.thing(id).version));
        if expected.version.as_ref().is_some_and(|expected| *expected != version) {
            return Err(refuse(ProviderErrorKind::Conflict));
        }
        Ok(())
    }

    fn update(&mut self, id: &ItemId, expected: &Expected, content: Content) -> Written {
        self.check(id, expected)?;
        let thing = self.thing(id);
        let again = thing.content == content && self.own_versions.contains(&thing.version);
        assert!(!again, "law 12, V7: {id} has this content from us, and gets it again");
        self.edit(id, content);
        self.own_versions.insert(self.thing(id).version);
        Ok(self.now(id))
    }

    fn make_folder(&mut self, parent: &ItemId, name: &str) -> Written {
        if !self.is_shown(parent) {
            return Err(refuse(ProviderErrorKind::NotFound));
        }
        if self.is_taken(parent, name, None) {
            return Err(refuse(ProviderErrorKind::Conflict));
        }
        let id = self.add_folder(parent, name);
        Ok(self.now(&id))
    }

    fn relocate(&mut self, id: &ItemId, parent: &ItemId, name: &str) -> Written {
        if !self.is_shown(id) || !self.is_shown(parent) {
            return Err(refuse(ProviderErrorKind::NotFound));
        }
        let thing = self.thing(id);
        if thing.parent.as_ref() == Some(parent) && thing.name == name {
            return Ok(self.now(id));
        }
        if self.is_taken(parent, name, Some(id)) || self.is_below(parent, id) {
            return Err(refuse(ProviderErrorKind::Conflict));
        }
        self.shift(id, parent, name);
        Ok(self.now(id))
    }

    fn discard(&mut self, id: &ItemId, expected: &Expected) -> Result<(), ProviderError> {
        if self.has(id) && !self.is_live(id) {
            return Ok(());
        }
        self.check(id, expected)?;
        self.trash(id);
        Ok(())
    }
}

impl World {
    /// The watcher tells what it noticed, a little later, or that it missed something.
    pub fn watch(&mut self) {
        if self.disk.hints.is_empty() {
            return;
        }
        let mut dirs = std::mem::take(&mut self.disk.hints);
        if !self.watching {
            return;
        }
        dirs.sort();
        dirs.dedup();
        let lost = self.misfortune && self.chance.one_in(self.swarm.hints_lost);
        if lost {
            self.tally.hit("watcher overflow");
        }
        let news = if lost { News::Rescan(Rescan::Overflow) } else { News::Dirs(dirs) };
        let late = self.chance.below(100);
        self.schedule(late, Happening::Hints(news));
    }

    /// The disk answers.
    pub fn look_at_disk(&mut self, job: JobId, task: &LocalTask) {
        let fails = self.misfortune && self.chance.one_in(self.swarm.scan_errors);
        if fails {
            self.tally.hit(if matches!(task, LocalTask::Scan(_)) { "scan failed" } else { "read failed" });
        }
        let error = || disk_error(folder_sync_agent::deed::DiskErrorKind::Item, "made up");
        let outcome = match task {
            LocalTask::Scan(orders) if fails => {
                Outcome::Scanned(orders.iter().map(|_| Err(ScanFailure::Unreadable(error()))).collect())
            }
            LocalTask::Scan(orders) => {
                Outcome::Scanned(self.disk.scan_in_turn(orders, self.swarm.scan_page.max(1) as usize))
            }
            LocalTask::Hash(_) if fails => Outcome::Hashed(Err(LocalMiss::Failed(error()))),
            LocalTask::Hash(order) => {
                self.tally.hashes += 1;
                Outcome::Hashed(self.disk.hash(order))
            }
        };
        let outcome = match outcome {
            Outcome::Scanned(scans) => Outcome::Scanned(scans.into_iter().map(|scan| self.twist_scan(scan)).collect()),
            outcome => outcome,
        };
        let late = self.chance.below(self.swarm.deeds_ms);
        self.schedule(late, Happening::Deliver { job, outcome });
    }

    /// The cloud answers a write. If an answer is lost, the write may have happened, may happen later, or not at all.
    pub fn serve_write(&mut self, task: Task, error: Option<ProviderError>) -> Outcome {
        self.tally.writes += 1;
        if let Some(error) = error {
            return failed(&task, error);
        }
        if let Some(kind) = self.never_done {
            return failed(&task, refuse(kind));
        }
        if self.unheard > 0 {
            self.unheard -= 1;
            self.write_late(&task);
            return failed(&task, refuse(ProviderErrorKind::OutcomeUnknown));
        }
        if self.misfortune && self.chance.one_in(self.swarm.answers_lost) {
            match self.chance.below(3) {
                0 => {
                    self.tally.hit("answer lost: it was done");
                    self.write_late(&task);
                }
                1 => {
                    self.tally.hit("answer lost: it is done later");
                    let late = self.chance.below(30_000);
                    self.schedule(late, Happening::LateWrite(task.clone()));
                }
                _ => self.tally.hit("answer lost: it is never done"),
            }
            if self.mutant == Some(Mutant::RepeatsBlindly) {
                return self.write(&blind(task));
            }
            return failed(&task, refuse(ProviderErrorKind::OutcomeUnknown));
        }
        self.write(&task)
    }

    /// A write of which nobody hears; whether it happened.
    pub fn write_late(&mut self, task: &Task) -> bool {
        let writes =
            matches!(task, Task::Upload(..) | Task::MakeFolder { .. } | Task::Relocate { .. } | Task::Trash { .. });
        if writes {
            let outcome = self.write(task);
            self.say(|| format!("    unheard: {outcome:?}"));
        }
        writes
    }

    fn write(&mut self, task: &Task) -> Outcome {
        let told = self.cloud.told();
        self.cloud.by_agent = true;
        self.written_at = self.now;
        let outcome = match task {
            Task::Upload(_, file) => Outcome::Uploaded(self.upload(file)),
            Task::MakeFolder { parent, name } => {
                Outcome::FolderMade(self.cloud.make_folder(parent, name).map(Box::new))
            }
            Task::Relocate { item, parent, name, .. } => {
                Outcome::Relocated(self.cloud.relocate(item, parent, name).map(Box::new))
            }
            Task::Trash { item, expected } => {
                // What somebody put into a folder just before, unheard of when we asked, goes with it and can be counted by nobody.
                let known = self.trashing.remove(item).unwrap_or_default();
                let files = self.cloud.subtree(item).iter().filter(|id| known.contains(*id)).count() as u64;
                self.tally.trashes += 1;
                let was_live = self.cloud.is_live(item);
                let result = self.cloud.discard(item, expected);
                if result.is_ok() && was_live {
                    // Of one that somebody brought back after a deletion that nobody heard of, the agent knows of one deletion.
                    let unheard = self.trashed_unheard.entry(item.clone()).or_default();
                    self.trashed += files.saturating_sub(*unheard);
                    *unheard = files.max(*unheard);
                }
                Outcome::Trashed(result)
            }
            other => panic!("not a write: {other:?}"),
        };
        self.cloud.by_agent = false;
        self.cloud.disturb(told, self.now, &mut self.chance);
        if let Some(at) = self.cloud.next_late() {
            self.schedule(at.saturating_sub(self.now), Happening::Late);
        }
        outcome
    }

    fn upload(&mut self, file: &UploadFile) -> Result<Box<Uploaded>, UploadFailure> {
        let content = self.disk.read(&file.path, &file.stamp).map_err(UploadFailure::Local)?;
        self.tally.uploads += 1;
        let sha256 = sha256_of(content);
        let content = if self.mutant == Some(Mutant::UploadsHalf) && self.extra.one_in(5) { HALF } else { content };
        let item = match &file.target {
            UploadTarget::New { parent, name } => self.cloud.upload_new(parent, name, content),
            UploadTarget::Version { file, expected } => self.cloud.update(file, expected, content),
        };
        let item = item.map_err(UploadFailure::Provider)?;
        Ok(Box::new(Uploaded { item, sha256, stamp: file.stamp }))
    }
}

/// A write that takes whatever is there.
fn blind(task: Task) -> Task {
    match task {
        Task::Upload(folder, mut file) => {
            if let UploadTarget::Version { expected, .. } = &mut file.target {
                *expected = Expected::default();
            }
            Task::Upload(folder, file)
        }
        task => task,
    }
}

fn failed(task: &Task, error: ProviderError) -> Outcome {
    match task {
        Task::Upload(..) => Outcome::Uploaded(Err(UploadFailure::Provider(error))),
        Task::MakeFolder { .. } => Outcome::FolderMade(Err(error)),
        Task::Relocate { .. } => Outcome::Relocated(Err(error)),
        _ => Outcome::Trashed(Err(error)),
    }
}
