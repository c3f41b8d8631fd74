//! What a test can do to the Egnyte face besides what anybody does to the cloud.

use super::events::EVENT_BASE;
use super::{Quota, ids};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::model::{Kind, Refusal};
use crate::sandbox::shared::now_ms;

impl Cloud {
    /// The id of the live item at `path` as Egnyte writes it: the folder id, or the group id of a file.
    pub fn egnyte_id_of(&self, path: &str) -> Result<String, Refusal> {
        self.parts().0.look(|model| {
            let item = model.find(path)?;
            Ok(if item.kind == Kind::Folder { ids::folder_id(item.id) } else { ids::group_id(item.id) })
        })
    }

    /// The ids of a file's versions as Egnyte writes them, oldest first, the current one last.
    pub fn egnyte_entries(&self, path: &str) -> Result<Vec<String>, Refusal> {
        self.parts().0.look(|model| {
            let versions = &model.find(path)?.versions;
            Ok(versions.iter().map(|version| ids::entry_id(version.id)).collect())
        })
    }

    /// The id that Egnyte gives the event with this number of [`Cloud::history`]; 0 is before the first.
    pub fn egnyte_event_id(number: u64) -> u64 {
        EVENT_BASE + number
    }

    /// What each Egnyte token may spend from now on; the calls that were made stay counted.
    pub fn set_egnyte_quota(&self, quota: Quota) {
        self.parts().0.egnyte.meters(|meters| meters.quota = quota);
    }

    /// Moves the clock of the daily quota to the next midnight, UTC, so that every token has a new day before it.
    pub fn egnyte_next_day(&self) {
        self.parts().0.egnyte.meters(|meters| meters.next_day(now_ms()));
    }

    /// The calls that count against the token's day, whether or not there is a quota.
    pub fn egnyte_spent_today(&self, token: &str) -> u32 {
        self.parts().0.egnyte.meters(|meters| meters.today(token, now_ms()))
    }

    /// Forgets the chunks of every upload to Egnyte that is not finished, as the service does after a day.
    pub fn forget_egnyte_chunks(&self) {
        self.parts().0.egnyte.forget_chunks();
    }
}
