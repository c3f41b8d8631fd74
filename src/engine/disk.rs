//! What is done to the disk: what items want of it as deeds ([`mod@deeds`]) in batches ([`mod@batch`]), and what their results mean
//! ([`mod@outcome`], [`mod@seat`]). Values and questions about values: the router orders deeds, and writes down what came of them.

use crate::store::folders::FolderCounts;
use crate::store::items::{ItemRow, Presence, SyncedRow};

mod batch;
pub(in crate::engine) mod deeds;
pub(in crate::engine) mod outcome;
pub(in crate::engine) mod seat;

pub(in crate::engine) use batch::{Building, DEEDS_PER_BATCH, Want};
pub(in crate::engine) use deeds::Facts;

/// What an item adds to its folder's counts.
pub(in crate::engine) fn held(item: &ItemRow, synced: Option<&SyncedRow>) -> FolderCounts {
    let Some(synced) = synced else { return FolderCounts::default() };
    if item.id.is_folder() {
        return FolderCounts { folders: 1, ..FolderCounts::default() };
    }
    FolderCounts {
        files: 1,
        folders: 0,
        bytes: synced.content.as_ref().map_or(0, |content| content.size as i64),
        removals: i64::from(item.remote.presence == Presence::Absent),
    }
}
