//! Entries that no folder sends, counted so that nobody looks for them in the cloud in vain.

use crate::local_news::{EntryKind, LocalEntry};
use crate::store::items::ItemRow;
use crate::store::left_out::LeftOutHere;
use crate::store::{Result, Store};

/// Notes those that a page of a directory holds. What stands in a known item's place is that item's problem, and not counted.
pub(super) fn note(store: &mut Store, dir: &ItemRow, entries: &[&LocalEntry], is_first_page: bool) -> Result<()> {
    let mut here = LeftOutHere::default();
    for entry in entries {
        let number = match entry.kind {
            EntryKind::Link => &mut here.links,
            EntryKind::Special => &mut here.special,
            EntryKind::Mount => &mut here.mounts,
            EntryKind::File | EntryKind::Folder => continue,
        };
        if store.seated_at(dir.node, &entry.name)?.is_none() {
            *number += 1;
            here.example.get_or_insert_with(|| entry.name.clone());
        }
    }
    store.note_left_out(dir.node, dir.folder, &here, is_first_page)
}
