//! How the cloud answers calls, late or not at all.

use std::time::Duration;

use folder_sync_agent::command::Command;
use folder_sync_agent::deed::{DiskErrorKind, Staged};
use folder_sync_agent::engine::input::{FetchFailure, FetchOrder};
use folder_sync_agent::engine::{Outcome, Task};
use folder_sync_agent::events::EventPage;
use folder_sync_agent::id::{Cursor, ItemId, JobId, PageToken};
use folder_sync_agent::provider::{Identity, ListPage, ProviderError, ProviderErrorKind, Wake};

use super::cloud::{HALF, hash_of, size_of};
use super::disk::disk_error;
use super::mutants::Mutant;
use super::world::{FOLDER, Happening, World};

/// What is wrong with a long poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenPoll {
    /// Its host cannot be reached.
    Blocked,
    /// Its host answers 403.
    Forbidden,
    /// A proxy answers with a page.
    Html,
    /// Nothing ever comes.
    Hangs,
}

impl World {
    pub fn serve(&mut self, job: JobId, task: Task) {
        if !matches!(task, Task::Wait { .. }) {
            *self.calls.entry(self.clock().wall.0.div_euclid(24 * 3_600_000)).or_default() += 1;
        }
        let failed = self.misfortune && self.chance.one_in(self.swarm.call_errors);
        let error = failed.then(|| self.call_error());
        // Both say that the account may not see the item, and are not asked again; one that says when to come back is a pause.
        let denies_sight = |error: &ProviderError| {
            matches!(error.kind, ProviderErrorKind::NotFound | ProviderErrorKind::Forbidden)
                && error.retry_after.is_none()
        };
        if let Task::Look(item) = &task
            && error.as_ref().is_some_and(denies_sight)
            && self.store().item_by_id(FOLDER, item).unwrap().is_none()
        {
            // Nothing but this answer tells of an item that no row knows, and it is not true.
            self.cloud.note_untold(self.now);
        }
        let item = match &task {
            Task::Look(item) | Task::List { item, .. } | Task::Trash { item, .. } => Some(item.clone()),
            Task::Fetch(_, order) => Some(order.item.clone()),
            _ => None,
        };
        let outcome = match task {
            Task::Dispose { .. } => panic!("the simulation has no hooks"),
            Task::Identify => Outcome::Identified(match error {
                Some(error) => Err(error),
                None => Ok(Identity { user_id: "u".into(), login: "u@x".into(), name: "U".into() }),
            }),
            Task::TakeCursor | Task::RestartCursor => Outcome::CursorTaken(if let Some(error) = error {
                Err(error)
            } else {
                if self.wall_jump != 0 && !self.cloud.is_all_told() {
                    // What is still to be told may be passed over, and clocks that differ do not tell it from what is new.
                    self.cloud.note_untold(self.now);
                }
                Ok(self.cloud.newest_cursor())
            }),
            Task::Poll(cursor) => {
                self.tally.polls += 1;
                Outcome::Polled(match error {
                    Some(error) => Err(error),
                    None => self.page(&cursor),
                })
            }
            Task::CheckCursor(cursor) => {
                Outcome::CursorChecked(error.map_or_else(|| self.cloud.check_cursor(&cursor), Err))
            }
            Task::Wait { cursor, limit } => {
                if let Some(error) = error.or_else(|| self.long_poll_refusal()) {
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
                Outcome::Listed(match error.or_else(|| self.shows_nothing()) {
                    Some(error) => Err(error),
                    None => self.list(&item, page.as_ref()),
                })
            }
            Task::Look(item) => {
                self.tally.looks += 1;
                Outcome::Looked(match error.or_else(|| self.shows_nothing()) {
                    Some(error) => Err(error),
                    None => Ok(self.cloud.look(&item)),
                })
            }
            Task::Fetch(_, order) if order.held.is_some() => Outcome::Fetched(self.stage_held(&order)),
            Task::Fetch(_, order) => {
                let missing = || ProviderError::new(ProviderErrorKind::NotFound, "no such version");
                let result = match error {
                    Some(error) => Err(FetchFailure::Provider(error)),
                    None if let Some(kind) = self.never_fetched => {
                        self.not_fetched += 1;
                        Err(FetchFailure::Provider(ProviderError::new(kind, "made up")))
                    }
                    None if self.disk.away => {
                        Err(FetchFailure::Disk(disk_error(DiskErrorKind::RootLost, "the root is away")))
                    }
                    None => match self.cloud.fetch(&order.item, &order.version) {
                        Some(_) if self.brings_something_else() => self.take_wrong_body(&order),
                        Some(_) if self.mutant == Some(Mutant::Unverified) && self.extra.one_in(10) => {
                            Ok(self.disk.stage(&order, HALF))
                        }
                        Some(content) if self.disk.room.is_some_and(|room| size_of(content) > room) => {
                            // The disk is asked before the cloud is.
                            *self.fetched.entry((order.item.to_string(), order.version.to_string())).or_insert(1) -= 1;
                            Err(FetchFailure::Disk(disk_error(DiskErrorKind::Full, "no space left on device")))
                        }
                        Some(content) => {
                            let content = self.other_version(&order.item).unwrap_or(content);
                            Ok(self.disk.stage(&order, content))
                        }
                        None => {
                            self.not_there.insert((order.item.to_string(), order.version.to_string()));
                            Err(FetchFailure::Provider(missing()))
                        }
                    },
                };
                Outcome::Fetched(result)
            }
            task @ (Task::Upload(..) | Task::MakeFolder { .. } | Task::Relocate { .. } | Task::Trash { .. }) => {
                self.serve_write(task, error)
            }
        };
        let outcome = self.twist_answer(item.as_ref(), outcome);
        let late = self.chance.below(self.swarm.call_ms);
        self.schedule(late, Happening::Deliver { job, outcome });
    }

    /// The worker copies what the version store holds, if that is what was ordered.
    fn stage_held(&mut self, order: &FetchOrder) -> Result<Staged, FetchFailure> {
        if self.disk.away {
            return Err(FetchFailure::Disk(disk_error(DiskErrorKind::RootLost, "the root is away")));
        }
        let held = order.held.clone().unwrap();
        let kept = self.disk.kept_at(&held);
        let is_it = |content: &u64| Some(hash_of(*content)) == order.hash && Some(size_of(*content)) == order.size;
        let Some(content) = kept.filter(is_it) else {
            self.tally.hit("version store: not held");
            return Err(FetchFailure::NotHeld(held));
        };
        if self.disk.room.is_some_and(|room| size_of(content) > room) {
            return Err(FetchFailure::Disk(disk_error(DiskErrorKind::Full, "no space left on device")));
        }
        self.tally.hit("version store: taken");
        Ok(self.disk.stage(order, content))
    }

    fn list(&mut self, folder: &ItemId, page: Option<&PageToken>) -> Result<ListPage, ProviderError> {
        let untold = (self.cloud.lossy, self.cloud.untold);
        let listed = self.cloud.list_of_late(folder, page, self.now, &mut self.extra);
        if self.mutant == Some(Mutant::AnswerIsOlder) {
            (self.cloud.lossy, self.cloud.untold) = untold;
        }
        for item in listed.iter().flat_map(|page| &page.items) {
            let Some(content) = &item.content else { continue };
            let version = (item.id.to_string(), content.version.to_string());
            // A listing as it was before says that there is what a download did not find: once more, it is no second download.
            if self.not_there.remove(&version) {
                *self.fetched.entry(version).or_insert(1) -= 1;
            }
        }
        listed
    }

    /// Whether a download brings an error page, half a body, or nothing; with no word of its digest.
    fn brings_something_else(&mut self) -> bool {
        let is_wrong = self.wrong_bodies > 0 || self.misfortune && self.extra.one_in(self.swarm.wrong_bodies);
        if is_wrong {
            self.wrong_bodies = self.wrong_bodies.saturating_sub(1);
            self.tally.hit("download: something else");
        }
        is_wrong
    }

    /// The worker sees that it is something else only where it was told what to expect.
    fn take_wrong_body(&mut self, order: &FetchOrder) -> Result<Staged, FetchFailure> {
        // It is fetched once more, and rightly so.
        *self.fetched.entry((order.item.to_string(), order.version.to_string())).or_insert(1) -= 1;
        if order.hash.is_some() || order.size.is_some() {
            return Err(FetchFailure::Provider(ProviderError::new(ProviderErrorKind::Corrupt, "made up")));
        }
        Ok(self.disk.stage(order, HALF))
    }

    /// News, as the cloud tells them.
    fn page(&mut self, cursor: &Cursor) -> Result<EventPage, ProviderError> {
        let page = self.cloud.events(cursor, &mut self.extra);
        self.twist_page(page)
    }

    fn shows_nothing(&self) -> Option<ProviderError> {
        self.never_shown.map(|kind| ProviderError::new(kind, "made up"))
    }

    fn call_error(&mut self) -> ProviderError {
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
        self.tally.hit(format!("call: {kind:?}"));
        if kind == ProviderErrorKind::SignInNeeded {
            let command = Command::CredentialsChanged { account: "a".into() };
            self.schedule(30_000 + self.swarm.call_ms, Happening::Command(command));
        }
        let asked = self.chance.one_in(3).then(|| Duration::from_secs(self.chance.below(20)));
        ProviderError::new(kind, "made up").with_retry_after(asked)
    }

    /// What a long poll gets where its host cannot be reached.
    fn long_poll_refusal(&self) -> Option<ProviderError> {
        let kind = match self.long_poll? {
            BrokenPoll::Blocked => ProviderErrorKind::Network,
            BrokenPoll::Forbidden => ProviderErrorKind::Forbidden,
            BrokenPoll::Html => ProviderErrorKind::Malformed,
            BrokenPoll::Hangs => return None,
        };
        Some(ProviderError::new(kind, "made up"))
    }

    pub fn wake_waits(&mut self) {
        let hangs = self.long_poll == Some(BrokenPoll::Hangs);
        let cloud = &self.cloud;
        let ready: Vec<JobId> = self
            .waits
            .iter()
            .filter(|(_, (cursor, until))| self.now >= *until || !hangs && cloud.has_news(cursor))
            .map(|(job, _)| *job)
            .collect();
        for job in ready {
            let (cursor, until) = self.waits.remove(&job).unwrap();
            let news = !hangs && self.cloud.has_news(&cursor);
            if news && self.now < until && self.misfortune && self.chance.one_in(self.swarm.wake_lost) {
                self.tally.hit("wake-up lost");
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
}
