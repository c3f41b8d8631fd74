//! What mutants do to what goes in and out of the engine.

use folder_sync_agent::deed::{Deed, DeedOrder, DeedResult};
use folder_sync_agent::engine::Outcome;
use folder_sync_agent::engine::input::FetchFailure;
use folder_sync_agent::events::{EventKind, EventPage, RemoteEvent, Subject};
use folder_sync_agent::id::ItemId;
use folder_sync_agent::local_news::{DirScan, News, Rescan, ScanFailure};
use folder_sync_agent::provider::{ProviderError, ProviderErrorKind};
use folder_sync_agent::tree::{ItemState, Stamp};

use super::Mutant;
use crate::sim::disk::Disk;
use crate::sim::world::{FOLDER, World};

/// How long after a write of its own an agent without law 6 takes all news for its own.
const OWN_NEWS_MS: u64 = 2_000;

impl World {
    /// News, as an engine without one of the laws takes them.
    pub fn twist_page(&mut self, page: Result<EventPage, ProviderError>) -> Result<EventPage, ProviderError> {
        let Some(mutant) = self.mutant else { return page };
        let mut page = match (mutant, page) {
            (Mutant::LostPlaceIsNow, Err(_)) => {
                return Ok(EventPage { events: Vec::new(), next: self.cloud.newest_cursor(), caught_up: true });
            }
            (Mutant::LostPlaceIsRetried, Err(_)) => {
                return Err(ProviderError::new(ProviderErrorKind::Network, "made up"));
            }
            (_, Err(error)) => return Err(error),
            (_, Ok(page)) => page,
        };
        match mutant {
            Mutant::OwnByTiming if self.now < self.written_at + OWN_NEWS_MS => page.events.clear(),
            Mutant::BlankIsNothing => page.events.retain(|event| event.subject != Subject::Unreadable),
            Mutant::UnknownIsNothing => page.events.retain(|event| event.kind != EventKind::Other),
            Mutant::UnknownIdIsForeign => page.events.retain(|event| self.knows(event)),
            Mutant::FolderMovesIgnored => page.events.retain(|event| {
                !matches!(
                    (&event.subject, event.kind),
                    (Subject::Path { .. }, EventKind::Moved | EventKind::Renamed | EventKind::Restored)
                )
            }),
            Mutant::SharingIgnored => page.events.retain(|event| event.kind != EventKind::Sharing),
            Mutant::OnlyLastOfPage => page.events = page.events.pop().into_iter().collect(),
            Mutant::ShortPageIsTheEnd if !page.caught_up => {
                (page.next, page.caught_up) = (self.cloud.newest_cursor(), true);
            }
            Mutant::LateIsDropped => {
                let newest = &mut self.newest_told;
                page.events.retain(|event| {
                    let is_newer = event.at >= *newest;
                    *newest = event.at.max(*newest);
                    is_newer
                });
            }
            Mutant::OldNewsWins => {
                for event in &mut page.events {
                    if let Subject::Item(item) = &mut event.subject {
                        self.counted += 1;
                        item.sequence = Some(1_000_000 + self.counted);
                    }
                }
            }
            _ => {}
        }
        Ok(page)
    }

    fn knows(&self, event: &RemoteEvent) -> bool {
        match &event.subject {
            Subject::Id { id, .. } => self.store().item_by_id(FOLDER, id).unwrap().is_some(),
            _ => true,
        }
    }

    /// The answer to a call, as an engine without one of the laws takes it.
    pub fn twist_answer(&mut self, item: Option<&ItemId>, outcome: Outcome) -> Outcome {
        let (Some(mutant), Some(item)) = (self.mutant, item) else { return outcome };
        match (mutant, outcome) {
            (Mutant::HalfListing, Outcome::Listed(Ok(mut page))) => {
                page.next = None;
                Outcome::Listed(Ok(page))
            }
            (Mutant::ListingHidesNew, Outcome::Listed(Ok(mut page))) => {
                let is_verified = self.store().folders().unwrap().iter().any(|folder| folder.verified_at.is_some());
                page.items.retain(|item| !is_verified || self.store().item_by_id(FOLDER, &item.id).unwrap().is_some());
                Outcome::Listed(Ok(page))
            }
            (Mutant::LookRemembered, Outcome::Looked(Ok(state))) => {
                Outcome::Looked(Ok(self.looked.entry(item.clone()).or_insert(state).clone()))
            }
            // Anything may fail to be found once.
            (Mutant::NotFoundIsGone, Outcome::Looked(Ok(_))) if self.extra.one_in(8) => {
                Outcome::Looked(Ok(ItemState::Trashed))
            }
            (Mutant::FetchedTwice, Outcome::Fetched(Ok(staged))) if self.extra.one_in(3) => {
                self.disk.staging.remove(&staged.name);
                Outcome::Fetched(Err(FetchFailure::Provider(ProviderError::new(ProviderErrorKind::Network, "made up"))))
            }
            (Mutant::LostTrashIsDone, Outcome::Trashed(Err(error)))
                if error.kind == ProviderErrorKind::OutcomeUnknown =>
            {
                Outcome::Trashed(Ok(()))
            }
            (_, outcome) => outcome,
        }
    }

    /// A version that was not asked for.
    pub fn other_version(&self, item: &ItemId) -> Option<u64> {
        let others = self.cloud.versions.values().filter(|(id, _)| id == item);
        others.map(|(_, content)| *content).next().filter(|_| self.mutant == Some(Mutant::OtherVersionFetched))
    }

    /// What a scan finds, as an engine without one of the laws takes it.
    pub fn twist_scan(&self, scan: Result<DirScan, ScanFailure>) -> Result<DirScan, ScanFailure> {
        let empty = || {
            let stamp = Stamp { dev: 7, ino: 0, size: 0, mtime_ns: 0, ctime_ns: 0 };
            DirScan { stamp, steady: true, entries: Vec::new(), unreadable: Vec::new(), next: None }
        };
        match (self.mutant, scan) {
            (Some(Mutant::UnreadableIsEmpty), Err(ScanFailure::Unreadable(_))) if !self.disk.away => Ok(empty()),
            (Some(Mutant::RootAwayIsEmpty), Err(ScanFailure::Unreadable(_))) if self.disk.away => Ok(empty()),
            (Some(Mutant::ScanPageIsAll), Ok(mut page)) => {
                page.next = None;
                Ok(page)
            }
            (_, scan) => scan,
        }
    }

    /// What the watcher tells, as far as an engine without one of the laws hears it.
    pub fn hears(&self, news: &News) -> bool {
        match self.mutant {
            Some(Mutant::HintsDropped) => !matches!(news, News::Dirs(_)),
            Some(Mutant::OverflowIgnored) => !matches!(news, News::Rescan(Rescan::Overflow)),
            _ => true,
        }
    }

    /// What comes of a deed, as an engine without one of the laws takes it.
    pub fn twist_deed(&mut self, order: &DeedOrder, result: DeedResult) -> DeedResult {
        match self.mutant {
            Some(Mutant::DroppedInPlace) => {
                self.disk.versions.remove(&order.job);
            }
            Some(Mutant::RemovedWithoutCopy) if matches!(order.deed, Deed::RemoveFile { .. }) => {
                self.disk.versions.remove(&order.job);
            }
            Some(Mutant::ConflictDropsOurs) => self.disk.drop_conflict_copy(order),
            Some(Mutant::AdoptedUnread) => return self.disk.adopt_unread(order, result),
            Some(Mutant::FailedIsDone) => {
                if let (DeedResult::Failed(_), Deed::RemoveFile { .. } | Deed::Relocate { .. }) = (&result, &order.deed)
                {
                    let stamp = match &order.deed {
                        Deed::Relocate { expect, .. } => Some(*expect),
                        _ => None,
                    };
                    return DeedResult::Done { stamp, displaced: None };
                }
            }
            _ => {}
        }
        result
    }

    /// A download that is cut off by the end of the process was visible.
    pub fn leave_half_visible(&mut self, path: &str) {
        if self.mutant == Some(Mutant::WrittenInPlace) {
            self.disk.write_half(path);
        }
    }
}

impl Disk {
    /// Nothing is left of a local content that was set aside.
    fn drop_conflict_copy(&mut self, order: &DeedOrder) {
        let Deed::Relocate { to, is_folder: false, .. } = &order.deed else { return };
        if to.path.to_string().contains("conflicted copy")
            && let Some(content) = self.content_at(to)
        {
            let kept = self.written.contains(&content);
            self.remove(&to.path.to_string());
            if kept {
                self.written.insert(content);
            }
        }
    }

    /// What stands at a place is taken for what was expected.
    fn adopt_unread(&self, order: &DeedOrder, result: DeedResult) -> DeedResult {
        match (&order.deed, result) {
            (Deed::Adopt { at, .. }, DeedResult::Different) => self.adopted(at),
            (_, result) => result,
        }
    }
}
