//! Laws broken on purpose, to see that the checks notice. The engine is left as it is: each mutant does to the world around it, or to the
//! database at a crash, what an engine without the law would have done.

use folder_sync_agent::deed::Deed;
use folder_sync_agent::id::{AccountId, Cursor};
use folder_sync_agent::store::Store;
use folder_sync_agent::store::intents::{IntentRow, NewSeat};
use folder_sync_agent::store::items::{SeatRow, SyncedRow};
use folder_sync_agent::store::work::Priority;
use folder_sync_agent::tree::Wall;

use super::swarm::Swarm;
use super::world::FOLDER;

mod twists;

/// A broken law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Law 2: the cursor is committed before what the page says.
    CursorAhead,
    /// Law 3: a lost place is taken for the newest one, and nothing is compared.
    LostPlaceIsNow,
    /// Law 4: what was downloaded is not verified.
    Unverified,
    /// Law 5: what is displaced on disk does not go to the version store.
    DroppedInPlace,
    /// Law 5: the first page of a listing counts as all of it.
    HalfListing,
    /// Law 6: news soon after our own writes are taken for our own.
    OwnByTiming,
    /// Law 7: the synced tree moves when a deed is written down, and not with its outcome.
    SyncedByIntent,
    /// Law 8: deeds under way are forgotten and not carried out again.
    IntentsForgotten,
    /// Law 9: a hold is not waited for.
    HoldIgnored,
    /// Law 10: a comparison that a crash cut off counts as done.
    VerifiedAnyway,
    /// Law 12: a write without an answer is repeated without looking.
    RepeatsBlindly,
    /// Law 1: an event that cannot be understood is no event.
    BlankIsNothing,
    /// Law 1: an event of a kind that nobody knows is no event.
    UnknownIsNothing,
    /// Law 1: an event about an item that we do not know is somebody else's.
    UnknownIdIsForeign,
    /// Law 1: an event that is older than one before it is dropped.
    LateIsDropped,
    /// Law 1: the description that comes last counts, however old it is.
    OldNewsWins,
    /// Law 1: a folder that moves is not looked for where it went.
    FolderMovesIgnored,
    /// Law 1: a listing that is older than the event that asked for it answers it.
    AnswerIsOlder,
    /// Law 1: an item is looked at once, and from then on what was seen is believed.
    LookRemembered,
    /// Law 1: verification shows only what is known already.
    ListingHidesNew,
    /// Law 1: a local file of the right name is taken for the cloud's.
    AdoptedUnread,
    /// Law 2: of a page only the last event is taken, and the cursor goes behind all of them.
    OnlyLastOfPage,
    /// Law 2: what follows a page that is not full is passed over.
    ShortPageIsTheEnd,
    /// Law 2: the marks that a page left are not durable, and the cursor behind them is.
    WorkLostAtCrash,
    /// Law 3: a lost place is taken for a bad connection.
    LostPlaceIsRetried,
    /// Law 4: another version than the one that was asked for is taken.
    OtherVersionFetched,
    /// Law 4: a download is visible before it is whole.
    WrittenInPlace,
    /// Law 5: what is not found once is gone.
    NotFoundIsGone,
    /// Law 5: a directory that cannot be read is empty.
    UnreadableIsEmpty,
    /// Law 5: the first page of a local directory counts as all of it.
    ScanPageIsAll,
    /// Law 5: a disk that is not there is an empty one.
    RootAwayIsEmpty,
    /// Law 5: what is removed does not go to the version store.
    RemovedWithoutCopy,
    /// Law 5: of two contents the local one is dropped.
    ConflictDropsOurs,
    /// Law 5: half a file is uploaded, and counts as whole.
    UploadsHalf,
    /// Law 6: what was fetched is fetched once more.
    FetchedTwice,
    /// Law 7: a deed is handed out before it is written down.
    NotWrittenDown,
    /// Law 7: a deed that the disk refused counts as done.
    FailedIsDone,
    /// Law 8: staged files that are no longer wanted stay.
    LeftInStaging,
    /// Law 9: more may be deleted on disk than was said.
    BrakeTooWide,
    /// Law 9: deletions in the cloud are not counted.
    BrakeOffWayUp,
    /// Law 10: that an event was not understood is forgotten in a crash.
    DoubtForgotten,
    /// Law 10: what the watcher notices is not heard.
    HintsDropped,
    /// Law 10: that the watcher missed something is not heard.
    OverflowIgnored,
    /// Law 10: a change of permissions is no change.
    SharingIgnored,
    /// Law 5: copies go before their time.
    KeptTooShort,
    /// Law 12: a deletion in the cloud without an answer counts as done.
    LostTrashIsDone,
}

impl Mutant {
    /// Each with the law that it breaks and the kind of history that notices it.
    pub const ALL: [(Self, &'static str, &'static str); 46] = [
        (Self::CursorAhead, "2", "mirror"),
        (Self::LostPlaceIsNow, "3", "mirror"),
        (Self::Unverified, "4", "mirror"),
        (Self::DroppedInPlace, "5", "mirror"),
        (Self::HalfListing, "5", "mirror"),
        (Self::OwnByTiming, "6", "two-way"),
        (Self::SyncedByIntent, "7", "mirror"),
        (Self::IntentsForgotten, "8", "mirror"),
        (Self::HoldIgnored, "9", "mirror"),
        (Self::VerifiedAnyway, "10", "mirror"),
        (Self::RepeatsBlindly, "12", "two-way"),
        (Self::BlankIsNothing, "1", "garbled"),
        (Self::UnknownIsNothing, "1", "garbled"),
        (Self::UnknownIdIsForeign, "1", "enterprise"),
        (Self::LateIsDropped, "1", "disorder"),
        (Self::OldNewsWins, "1", "mirror"),
        (Self::FolderMovesIgnored, "1", "disorder"),
        (Self::AnswerIsOlder, "1", "untold"),
        (Self::LookRemembered, "1", "disorder"),
        (Self::ListingHidesNew, "1", "untold"),
        (Self::AdoptedUnread, "1", "mirror"),
        (Self::OnlyLastOfPage, "2", "mirror"),
        (Self::ShortPageIsTheEnd, "2", "mirror"),
        (Self::WorkLostAtCrash, "2", "mirror"),
        (Self::LostPlaceIsRetried, "3", "mirror"),
        (Self::OtherVersionFetched, "4", "mirror"),
        (Self::WrittenInPlace, "4", "mirror"),
        (Self::NotFoundIsGone, "5", "hidden"),
        (Self::UnreadableIsEmpty, "5", "two-way"),
        (Self::ScanPageIsAll, "5", "two-way"),
        (Self::RootAwayIsEmpty, "5", "two-way"),
        (Self::RemovedWithoutCopy, "5", "mirror"),
        (Self::ConflictDropsOurs, "5", "two-way"),
        (Self::UploadsHalf, "5", "two-way"),
        (Self::FetchedTwice, "6", "mirror"),
        (Self::NotWrittenDown, "7", "mirror"),
        (Self::FailedIsDone, "7", "mirror"),
        (Self::LeftInStaging, "8", "mirror"),
        (Self::BrakeTooWide, "9", "mirror"),
        (Self::BrakeOffWayUp, "9", "two-way"),
        (Self::DoubtForgotten, "10", "garbled"),
        (Self::HintsDropped, "10", "two-way"),
        (Self::OverflowIgnored, "10", "two-way"),
        (Self::SharingIgnored, "10", "hidden"),
        (Self::KeptTooShort, "5", "passing"),
        (Self::LostTrashIsDone, "12", "two-way"),
    ];

    /// The misfortune against which the law is a defence must happen.
    pub fn arrange(self, swarm: &mut Swarm) {
        match self {
            Self::CursorAhead | Self::SyncedByIntent | Self::IntentsForgotten => swarm.crash = 20,
            Self::VerifiedAnyway => (swarm.crash, swarm.habits.list_page) = (20, 1),
            Self::WorkLostAtCrash | Self::WrittenInPlace => swarm.crash = 10,
            Self::DoubtForgotten => (swarm.crash, swarm.habits.blank) = (10, 2),
            Self::LostPlaceIsNow | Self::LostPlaceIsRetried => swarm.cursor_lost = 10,
            Self::DroppedInPlace => swarm.local_share = 40,
            Self::RemovedWithoutCopy | Self::KeptTooShort => swarm.local_share = 20,
            Self::HalfListing => swarm.habits.list_page = 2,
            Self::HoldIgnored | Self::BrakeTooWide | Self::BrakeOffWayUp => swarm.max_delete = Some(1),
            Self::RepeatsBlindly | Self::LostTrashIsDone => swarm.answers_lost = 5,
            Self::BlankIsNothing => swarm.habits.blank = 4,
            Self::UnknownIsNothing => swarm.habits.unknown = 3,
            Self::LateIsDropped => swarm.habits.late = 3,
            Self::OldNewsWins => (swarm.habits.late, swarm.habits.paths) = (3, false),
            Self::AnswerIsOlder => {
                (swarm.habits.stale, swarm.habits.lose, swarm.habits.behind) = (3, 0, 0);
            }
            Self::ListingHidesNew => swarm.habits.lose = 3,
            Self::AdoptedUnread => swarm.adopt = true,
            Self::ShortPageIsTheEnd => swarm.habits.event_page = 1,
            Self::UnreadableIsEmpty => swarm.scan_errors = 4,
            Self::ScanPageIsAll => swarm.scan_page = 1,
            Self::RootAwayIsEmpty => swarm.root_away = 8,
            Self::FailedIsDone => swarm.deed_errors = 5,
            Self::OverflowIgnored => swarm.hints_lost = 3,
            Self::SharingIgnored => swarm.hides = 3,
            Self::FetchedTwice => swarm.make_kind(),
            _ => {}
        }
    }

    /// What it leaves in the database at a crash.
    pub fn spoil(self, store: &mut Store, ahead: Option<&Cursor>) {
        match self {
            Self::CursorAhead => {
                if let Some(cursor) = ahead {
                    store.set_cursor(AccountId(1), "changes", cursor, Wall(1_700_000_000_000), None).unwrap();
                }
            }
            Self::IntentsForgotten => {
                for intent in store.intents(FOLDER).unwrap() {
                    store.drop_intent(intent.order.job).unwrap();
                }
            }
            Self::SyncedByIntent => {
                for intent in store.intents(FOLDER).unwrap() {
                    believe(store, &intent);
                    store.drop_intent(intent.order.job).unwrap();
                }
            }
            Self::VerifiedAnyway => {
                forget_listings(store);
                for mut folder in store.folders().unwrap() {
                    if folder.root.is_some() {
                        (folder.unverified, folder.comparison_stage) = (None, None);
                        folder.verified_at = Some(Wall(1_700_000_000_000));
                        store.save_folder(&folder).unwrap();
                    }
                }
            }
            Self::WorkLostAtCrash => {
                let planned = store.reader().planned(FOLDER).unwrap();
                for work in planned {
                    store.finish(work.item.node).unwrap();
                }
                forget_listings(store);
            }
            Self::DoubtForgotten => {
                for mut folder in store.folders().unwrap() {
                    if folder.verified_at.is_some() {
                        (folder.doubt, folder.unverified, folder.comparison_stage) = (None, None, None);
                        store.save_folder(&folder).unwrap();
                    }
                }
            }
            _ => {}
        }
    }
}

/// Nobody remembers what was to be listed.
fn forget_listings(store: &mut Store) {
    for priority in [Priority::News, Priority::Bulk] {
        for (_, node, _) in store.listings(priority, 0, 1_000).unwrap() {
            store.unwant_listing(node).unwrap();
        }
    }
}

/// The synced tree becomes what a deed would make of it.
fn believe(store: &mut Store, intent: &IntentRow) {
    let Some(item) = store.item(intent.node).unwrap() else { return };
    let stamp = match &intent.order.deed {
        Deed::Publish { staged, .. } => Some(staged.stamp),
        _ => item.synced.as_ref().map(|synced| synced.stamp),
    };
    let synced = match &intent.seat {
        NewSeat::At { parent, name, content } => {
            let old = item.synced.and_then(|synced| synced.content);
            let seat = SeatRow::At { parent: *parent, name: name.clone() };
            stamp.map(|stamp| SyncedRow { seat, content: content.clone().or(old), stamp })
        }
        NewSeat::Nowhere => None,
        _ => return,
    };
    // A place may be taken by another row that waits for its turn.
    let _ = store.set_synced(intent.node, synced.as_ref());
}
