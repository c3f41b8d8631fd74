//! `agent why`: everything that the database and the disk know of one path.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::reports::plan_row;
use crate::engine::sides::name_on_disk;
use crate::path::LocalName;
use crate::report::{EventRow, SCHEMA_VERSION, Why, WhyFacts, WhyKept, WhySide};
use crate::store::StoreError;
use crate::store::folders::FolderRow;
use crate::store::items::{ItemRow, Presence};
use crate::store::query::Rows;
use crate::store::work::WorkState;

/// Events that are told.
const WHY_EVENTS: u32 = 10;

/// What is known of a path below a folder.
pub fn why(
    rows: Rows<'_>,
    path: &str,
    folder: &FolderRow,
    below: &Path,
    excluded_by: Option<String>,
    keep_for: Option<i64>,
) -> std::result::Result<Why, StoreError> {
    let name = folder.name.clone().unwrap_or_default();
    let names: Vec<Vec<u8>> = below.iter().map(|name| name.as_bytes().to_vec()).collect();
    let in_cloud: Vec<String> = below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let node = match folder.root {
        Some(root) => match rows.item_on_disk(root, &names)? {
            Some(node) => Some(node),
            None => rows.item_in_cloud(root, &in_cloud)?,
        },
        None => None,
    };
    let item = match node {
        Some(node) => rows.item(node)?,
        None => None,
    };
    let Some(item) = item else {
        let (state, plan) = match (&excluded_by, folder.root) {
            (Some(pattern), _) => ("left_out", format!("nothing: the pattern `{pattern}` keeps it out")),
            (None, None) => ("unknown", "nothing yet: the remote folder was not found so far".into()),
            (None, Some(_)) => on_disk_only(folder, below),
        };
        return Ok(Why {
            schema: SCHEMA_VERSION,
            path: path.to_owned(),
            folder: name,
            item: None,
            remote: None,
            synced: None,
            plan,
            problem: None,
            mapped: None,
            excluded_by,
            events: Vec::new(),
            versions: Vec::new(),
            hooks: Vec::new(),
            facts: WhyFacts { action: "nothing".into(), state: state.into(), ..WhyFacts::default() },
        });
    };
    let policy = folder.policy.unwrap_or_default();
    let row = plan_row(rows, &name, policy, &item, false, None)?;
    let away = item.synced.is_none() && rows.tombstone(item.node)?.is_some();
    let work = rows.work_of(item.node)?;
    let waits_with_folder = work.is_none() && rows.is_in_held_tree(item.node)?;
    let state = match work.as_ref().map(|work| work.state) {
        None if waits_with_folder => "held",
        None if away => "away",
        None => "done",
        Some(WorkState::Held) => "held",
        Some(WorkState::Ready) => "ready",
        Some(WorkState::Waiting) => "waiting",
    };
    let action = if work.is_some() { row.action.clone() } else { "nothing".to_owned() };
    let plan = match work {
        None if waits_with_folder => {
            "nothing, before a person decides about the folder that it is in: see `agent held`".to_owned()
        }
        None if away => "nothing: it is kept off the disk until a new version arrives, or `agent restore`".to_owned(),
        None => "nothing: both sides agree".to_owned(),
        Some(work) => match work.state {
            WorkState::Held => format!("{}, once a person approves: see `agent held`", row.action),
            WorkState::Ready if work.look => "ask the cloud for its state".to_owned(),
            WorkState::Ready => format!("{} as soon as there is room", row.action),
            WorkState::Waiting => format!("{} later: {}", row.action, work.text.unwrap_or_else(|| "it waits".into())),
        },
    };
    let shown = rows.path(item.node)?;
    let problem = rows.problems(Some(folder.folder))?.into_iter().find(|problem| problem.path == shown);
    let mapped = match name_on_disk(&item) {
        // What only the disk has has no name in the cloud yet.
        _ if item.is_local_only() => None,
        LocalName::Same(_) => None,
        LocalName::Mapped(_, why) => Some(format!("the disk cannot hold `{}`: {why}", item.remote.name)),
    };
    let kept: Vec<WhyKept> = rows
        .versions_of(folder.folder, &item.id)?
        .into_iter()
        .map(|(at, reason, bytes)| WhyKept { at, reason, bytes })
        .collect();
    let version_words = |WhyKept { at, reason, bytes }: &WhyKept| {
        let at = jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string());
        format!("{at}: {reason}, {bytes} bytes")
    };
    let versions = kept.iter().map(version_words).collect();
    let arrived = keep_for.map(|keep| rows.arrived(item.node).map(|at| at.map(|at| at.plus_ms(keep)))).transpose()?;
    let facts = WhyFacts {
        cloud: remote_side(&item, &shown),
        disk: synced_side(rows, &item)?,
        action,
        state: state.to_owned(),
        deleted_here: arrived.flatten(),
        kept,
    };
    Ok(Why {
        schema: SCHEMA_VERSION,
        path: path.to_owned(),
        folder: name.clone(),
        remote: remote_words(&item, &shown),
        synced: synced_words(rows, &item)?,
        plan,
        problem,
        mapped,
        excluded_by,
        events: events(rows, folder, &item, &shown)?,
        versions,
        hooks: rows.hook_words(&name, &shown)?,
        item: Some(item.id),
        facts,
    })
}

/// The newest events on an item. A provider that names places tells of something new before anybody knows which item it is.
fn events(
    rows: Rows<'_>,
    folder: &FolderRow,
    item: &ItemRow,
    path: &str,
) -> std::result::Result<Vec<EventRow>, StoreError> {
    let mut events = rows.events_of(item.node, WHY_EVENTS)?;
    events.extend(rows.events_at(folder.folder, path, WHY_EVENTS)?);
    events.sort_by_key(|event| std::cmp::Reverse(event.id.0));
    events.truncate(WHY_EVENTS as usize);
    Ok(events)
}

/// The state of something that the database does not know, and what is to be said of it: the disk may know.
fn on_disk_only(folder: &FolderRow, below: &Path) -> (&'static str, String) {
    let sends = folder.policy.unwrap_or_default().sends();
    let Ok(seen) = folder.local.join(below).symlink_metadata() else {
        let plan = "nothing: neither the cloud nor the disk has anything there, as far as the agent knows";
        return ("unknown", plan.into());
    };
    let kind = seen.file_type();
    let (state, plan) = if kind.is_symlink() {
        ("left_out", "nothing: it is a symbolic link, and links are neither followed nor sent")
    } else if !kind.is_file() && !kind.is_dir() {
        ("left_out", "nothing: it is a pipe, a socket or a device, and only files and directories are sent")
    } else if sends {
        let plan = "it is new on disk and was not looked at yet; a file is sent once nothing has changed in it for two seconds";
        ("unknown", plan)
    } else {
        ("unknown", "nothing: the cloud has no such item, and in a mirror what is only on disk is yours")
    };
    (state, plan.to_owned())
}

fn remote_words(item: &ItemRow, path: &str) -> Option<String> {
    match (item.remote.presence, &item.remote.content) {
        (Presence::Absent, _) => None,
        (Presence::FilteredOut, _) => Some(format!("`{path}`, kept out by a pattern")),
        (Presence::Present, None) => Some(format!("a folder at `{path}`")),
        (Presence::Present, Some(content)) => {
            let size = content.size.map_or_else(|| "of unknown size".into(), |size| format!("of {size} bytes"));
            Some(format!("a file at `{path}` {size}, version {}", content.version))
        }
    }
}

fn remote_side(item: &ItemRow, path: &str) -> Option<WhySide> {
    let content = item.remote.content.as_ref();
    (item.remote.presence != Presence::Absent).then(|| WhySide {
        kind: if content.is_some() { "file" } else { "folder" }.into(),
        path: Some(path.to_owned()),
        size: content.and_then(|content| content.size),
        version: content.map(|content| content.version.clone()),
    })
}

fn synced_side(rows: Rows<'_>, item: &ItemRow) -> std::result::Result<Option<WhySide>, StoreError> {
    let Some(synced) = &item.synced else { return Ok(None) };
    let content = synced.content.as_ref();
    Ok(Some(WhySide {
        kind: if content.is_some() { "file" } else { "folder" }.into(),
        path: rows.path_on_disk(item.node)?,
        size: content.map(|content| content.size),
        version: content.map(|content| content.version.clone()),
    }))
}

fn synced_words(rows: Rows<'_>, item: &ItemRow) -> std::result::Result<Option<String>, StoreError> {
    let Some(synced) = &item.synced else { return Ok(None) };
    let at =
        rows.path_on_disk(item.node)?.map_or_else(|| "out of sight, on its way".into(), |path| format!("at `{path}`"));
    Ok(Some(match &synced.content {
        None => format!("a folder {at}"),
        Some(content) => format!("a file {at} of {} bytes, version {}", content.size, content.version),
    }))
}
