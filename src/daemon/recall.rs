//! The report of `agent versions`: what was, what is, and where each can be brought back from.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::id::ItemId;
use crate::report::{SCHEMA_VERSION, VersionRow, Versions};
use crate::store::StoreError;
use crate::store::folders::FolderRow;
use crate::store::items::{ItemRow, Presence};
use crate::store::query::Rows;
use crate::store::undo::Away;

/// Everything that is known of the contents at a path; nothing if nothing is.
pub fn versions(
    rows: Rows<'_>,
    account: &str,
    path: &str,
    folder: &FolderRow,
    below: &Path,
) -> Result<Option<Versions>, StoreError> {
    let names: Vec<Vec<u8>> = below.iter().map(|name| name.as_bytes().to_vec()).collect();
    let in_cloud: Vec<String> = below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let node = match folder.root {
        Some(root) => match rows.item_on_disk(root, &names)? {
            Some(node) => Some(node),
            None => rows.item_in_cloud(root, &in_cloud)?,
        },
        None => None,
    };
    let present = match node {
        Some(node) => rows.item(node)?.filter(|item| !item.id.is_folder()),
        None => None,
    };
    let mut report = Versions {
        schema: SCHEMA_VERSION,
        path: path.to_owned(),
        folder: folder.name.clone().unwrap_or_default(),
        account: account.to_owned(),
        local: folder.local.display().to_string(),
        item: None,
        on_disk: false,
        in_cloud: false,
        stamp: None,
        away: None,
        rows: Vec::new(),
    };
    let mut items: Vec<ItemId> = present.iter().map(|item| item.id.clone()).collect();
    let shown = in_cloud.join("/");
    for once in rows.items_once_at(folder.folder, &shown)? {
        if !items.contains(&once) {
            items.push(once);
        }
    }
    if let Some(item) = &present {
        report.on_disk = item.synced.is_some();
        report.stamp = item
            .synced
            .as_ref()
            .filter(|synced| {
                let version = synced.content.as_ref().map(|content| &content.version);
                version == item.remote.content.as_ref().map(|content| &content.version)
            })
            .map(|synced| synced.stamp);
        report.in_cloud = item.remote.presence == Presence::Present;
        report.away = rows.tombstone(item.node)?.filter(|_| item.synced.is_none()).map(|tombstone| {
            match tombstone.reason {
                Away::Expired => "`keep_for` is over",
                Away::Deleted => "it was deleted on disk, and `on_local_delete = \"accept\"`",
            }
            .to_owned()
        });
        add_present(item, &mut report.rows);
    }
    report.item = items.first().cloned();
    for id in &items {
        add_former(rows, folder, (id, &shown), &mut report.rows)?;
    }
    Ok((!items.is_empty()).then_some(report))
}

fn add_present(item: &ItemRow, rows: &mut Vec<VersionRow>) {
    let synced = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
    if let Some(content) = item.remote.content.as_ref().filter(|_| item.remote.presence == Presence::Present) {
        rows.push(VersionRow {
            id: content.version.as_str().to_owned(),
            item: item.id.clone(),
            version: Some(content.version.clone()),
            state: "present".into(),
            size: content.size,
            hash: content.hash.clone(),
            modified: content.modified,
            since: None,
            on_disk: synced.is_some_and(|synced| synced.version == content.version),
            kept: None,
            kept_in: None,
            in_cloud: true,
        });
    }
    if let Some(synced) = synced.filter(|synced| rows.iter().all(|row| row.version.as_ref() != Some(&synced.version))) {
        rows.push(VersionRow {
            id: synced.version.as_str().to_owned(),
            item: item.id.clone(),
            version: Some(synced.version.clone()),
            state: "on disk".into(),
            size: Some(synced.size),
            hash: synced.hash.clone(),
            modified: None,
            since: None,
            on_disk: true,
            kept: None,
            kept_in: None,
            in_cloud: false,
        });
    }
}

fn add_former(
    rows: Rows<'_>,
    folder: &FolderRow,
    (id, shown): (&ItemId, &str),
    versions: &mut Vec<VersionRow>,
) -> Result<(), StoreError> {
    let mut former = Vec::new();
    let kept = rows.kept_of(folder.folder, id)?.into_iter().chain(rows.kept_whole(folder.folder, shown, id)?);
    for kept in kept {
        former.push(VersionRow {
            id: format!("kept-{}", kept.at.job),
            item: id.clone(),
            version: kept.version,
            state: kept.reason,
            size: Some(kept.size),
            hash: kept.hash,
            modified: kept.modified,
            since: Some(kept.since),
            on_disk: false,
            kept: Some(kept.at.job),
            kept_in: kept.at.inside,
            in_cloud: false,
        });
    }
    for seen in rows.seen_of(folder.folder, id)? {
        let same = |row: &&mut VersionRow| row.item == *id && row.version.as_ref() == Some(&seen.version);
        if let Some(known) = former.iter_mut().chain(versions.iter_mut()).find(same) {
            known.hash = known.hash.take().or(seen.hash);
            known.modified = known.modified.or(seen.modified);
            continue;
        }
        former.push(VersionRow {
            id: seen.version.as_str().to_owned(),
            item: id.clone(),
            version: Some(seen.version),
            state: "former".into(),
            size: seen.size,
            hash: seen.hash,
            modified: seen.modified,
            since: Some(seen.at),
            on_disk: false,
            kept: None,
            kept_in: None,
            in_cloud: false,
        });
    }
    former.sort_by_key(|row| std::cmp::Reverse(row.since));
    versions.append(&mut former);
    Ok(())
}
