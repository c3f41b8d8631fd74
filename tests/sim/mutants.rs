//! Laws broken on purpose, to see that the checks notice. The engine is left as it is: each mutant does to the world around it, or to the
//! database at a crash, what an engine without the law would have done.

use folder_sync_agent::deed::Deed;
use folder_sync_agent::id::{AccountId, Cursor};
use folder_sync_agent::store::Store;
use folder_sync_agent::store::intents::{IntentRow, NewSeat};
use folder_sync_agent::store::items::{SeatRow, SyncedRow};
use folder_sync_agent::tree::Wall;

use super::swarm::Swarm;
use super::world::FOLDER;

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
}

impl Mutant {
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::CursorAhead, "2"),
        (Self::LostPlaceIsNow, "3"),
        (Self::Unverified, "4"),
        (Self::DroppedInPlace, "5"),
        (Self::HalfListing, "5"),
        (Self::OwnByTiming, "6"),
        (Self::SyncedByIntent, "7"),
        (Self::IntentsForgotten, "8"),
        (Self::HoldIgnored, "9"),
        (Self::VerifiedAnyway, "10"),
        (Self::RepeatsBlindly, "12"),
    ];

    /// Whether it is a law of writes to the cloud, which a mirror does not make.
    pub fn is_of_writes(self) -> bool {
        matches!(self, Self::OwnByTiming | Self::RepeatsBlindly)
    }

    /// The misfortune against which the law is a defence must happen.
    pub fn arrange(self, swarm: &mut Swarm) {
        match self {
            Self::CursorAhead | Self::SyncedByIntent | Self::IntentsForgotten | Self::VerifiedAnyway => {
                swarm.crash = 20;
            }
            Self::LostPlaceIsNow => swarm.cursor_lost = 10,
            Self::DroppedInPlace => swarm.local_share = 40,
            Self::HalfListing => swarm.habits.list_page = 2,
            Self::HoldIgnored => swarm.max_delete = Some(1),
            Self::RepeatsBlindly => swarm.answers_lost = 5,
            Self::Unverified | Self::OwnByTiming => {}
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
                for mut folder in store.folders().unwrap() {
                    if folder.root.is_some() {
                        (folder.unverified, folder.scan_stage) = (None, None);
                        folder.verified_at = Some(Wall(1_700_000_000_000));
                        store.save_folder(&folder).unwrap();
                    }
                }
            }
            _ => {}
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
