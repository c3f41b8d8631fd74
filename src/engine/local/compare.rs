//! One page of a scan beside what is known of the directory: what stands as it stood is passed over without making a row of it.
//!
//! The names of a directory and the contents of its files are two things. Every file was looked at; one counts as it was only if all of
//! its stamp does: device, inode, length, and the times of its content and of its status.

use std::ops::ControlFlow;

use crate::id::NodeId;
use crate::local_news::{DirScan, EntryKind, LocalEntry};
use crate::path::Name;
use crate::store::items::seated::Seated;
use crate::store::{Result, Store};

/// What differs between a page and what is known, and must be looked at one by one.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Known items that are not there, or not as they were.
    pub items: Vec<NodeId>,
    /// Entries that are not known, or not as they were: places in the page.
    pub entries: Vec<usize>,
    /// Folders that stand as they stood.
    pub folders: Vec<NodeId>,
    /// The directory has more items than one page is compared with.
    pub is_cut: bool,
}

/// Compares a page, which begins after `after`, with at most `most` items of each kind.
pub(super) fn compare(store: &Store, dir: NodeId, after: Option<&Name>, page: &DirScan, most: u32) -> Result<Compared> {
    let mut found = Compared::default();
    let until = page.next.as_ref();
    let mut at = 0;
    let mut rows = 0;
    store.each_seated(dir, after, |item| {
        if rows == most {
            found.is_cut = true;
        }
        if found.is_cut || until.is_some_and(|until| item.name > until.as_bytes()) {
            return ControlFlow::Break(());
        }
        rows += 1;
        while page.entries.get(at).is_some_and(|entry| entry.name.as_bytes() < item.name) {
            found.entries.push(at);
            at += 1;
        }
        match page.entries.get(at).filter(|entry| entry.name.as_bytes() == item.name) {
            Some(entry) => {
                if !is_as_it_was(&item, entry) {
                    found.items.push(item.node);
                    found.entries.push(at);
                } else if item.is_folder {
                    found.folders.push(item.node);
                }
                at += 1;
            }
            None => found.items.push(item.node),
        }
        ControlFlow::Continue(())
    })?;
    found.entries.extend(at..page.entries.len());
    let elsewhere = store.found_in(dir, after, until, most)?;
    found.is_cut |= elsewhere.len() == most as usize;
    found.items.extend(elsewhere);
    Ok(found)
}

fn is_as_it_was(item: &Seated<'_>, entry: &LocalEntry) -> bool {
    item.is_as_synced
        && match entry.kind {
            EntryKind::File => !item.is_folder && item.stamp == entry.stamp,
            EntryKind::Folder => item.is_folder && (item.stamp.ino == 0 || item.stamp.same_inode(&entry.stamp)),
            EntryKind::Link | EntryKind::Special | EntryKind::Mount => false,
        }
}
