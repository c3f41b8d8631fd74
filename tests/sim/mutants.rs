//! Laws broken on purpose, to see that the checks notice. The engine is left as it is: each mutant does to the database, at a crash,
//! what an engine without the law would have left there.

use folder_sync_agent::id::{AccountId, Cursor};
use folder_sync_agent::store::Store;
use folder_sync_agent::tree::Wall;

use super::world::FOLDER;

/// A broken law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Law 2: the cursor is committed before what the page says.
    CursorAhead,
    /// Law 8: deeds under way are forgotten and not carried out again.
    IntentsForgotten,
}

impl Mutant {
    pub fn spoil(self, store: &mut Store, ahead: Option<&Cursor>) {
        match self {
            Self::CursorAhead => {
                if let Some(cursor) = ahead {
                    store.set_cursor(AccountId(1), "changes", cursor, Wall(1_700_000_000_000)).unwrap();
                }
            }
            Self::IntentsForgotten => {
                for intent in store.intents(FOLDER).unwrap() {
                    store.drop_intent(intent.order.job).unwrap();
                }
            }
        }
    }
}
