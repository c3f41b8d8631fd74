//! Metadata of one item, with a page of its contents when it is a folder.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::tree::{Reach, find, reach_of, username};
use super::{Ask, ids, reply};
use crate::sandbox::content::Stored;
use crate::sandbox::counters::Call;
use crate::sandbox::faults::Fault;
use crate::sandbox::model::{Item, Kind, Model, Refusal, Snap, Version};
use crate::sandbox::shared::now_ms;

const COUNT_DEFAULT: u64 = 100;
const COUNT_MAX: u64 = 1000;

/// A time as HTTP writes it, in whole seconds.
pub(super) fn http_date(at_ms: i64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(at_ms.max(0) as u64))
}

/// What is taken of a file under the cloud's lock; its checksum may cost a reading of the whole content.
struct FileView {
    path: String,
    parent: Option<u64>,
    name: Arc<str>,
    id: u64,
    modified_at: i64,
    locked: Option<Value>,
    /// The version to tell of, then the older ones.
    versions: Vec<Version>,
}

fn file_view(model: &Model, item: &Item, entry: Option<u64>) -> Result<FileView, Refusal> {
    let mut versions: Vec<Version> =
        item.versions.iter().rev().filter(|version| version.trashed_at.is_none()).cloned().collect();
    if let Some(entry) = entry {
        versions.retain(|version| version.id == entry);
    }
    if versions.is_empty() {
        return Err(Refusal::NotFound);
    }
    let now = now_ms();
    let lock = item.lock.as_ref().filter(|lock| lock.expires_at.is_none_or(|end| end > now));
    let locked = lock.map(|lock| {
        json!({ "owner_id": lock.by.id(), "first_name": lock.by.name().split(' ').next(), "email": lock.by.login() })
    });
    Ok(FileView {
        path: model.path_of(item.id)?,
        parent: item.parent,
        name: item.name.clone(),
        id: item.id,
        modified_at: item.content_modified_at,
        locked,
        versions,
    })
}

fn checksum(stored: &Stored) -> Result<&str, Refusal> {
    Ok(stored.checksum()?)
}

fn file_json(ask: &Ask, view: &FileView, with_versions: bool) -> Result<Value, Refusal> {
    let (version, older) = view.versions.split_first().ok_or(Refusal::NotFound)?;
    let mut file = json!({
        "name": &*view.name,
        "path": view.path,
        "is_folder": false,
        "locked": view.locked.is_some(),
        "checksum": checksum(&version.stored)?,
        "size": version.stored.len(),
        "last_modified": http_date(view.modified_at),
        "uploaded": version.created_at,
        "uploaded_by": username(version.by),
        "num_versions": view.versions.len(),
        "entry_id": ids::entry_id(version.id),
        "group_id": ids::group_id(view.id),
    });
    if let Some(parent) = view.parent {
        file["parent_id"] = Value::from(ids::folder_id(parent));
    }
    if let Some(lock) = view.locked.clone().filter(|_| ask.query.flag("include_locks", false)) {
        file["lock_info"] = lock;
    }
    if with_versions && !older.is_empty() {
        let told = older.iter().map(|version| {
            Ok(json!({
                "is_folder": false,
                "entry_id": ids::entry_id(version.id),
                "checksum": checksum(&version.stored)?,
                "last_modified": http_date(version.created_at),
                "uploaded": version.created_at,
                "uploaded_by": username(version.by),
                "size": version.stored.len(),
            }))
        });
        file["versions"] = Value::Array(told.collect::<Result<_, Refusal>>()?);
    }
    Ok(file)
}

fn folder_json(snap: &Snap) -> Map<String, Value> {
    let path = snap.path();
    let name = if path == "/" { "" } else { &*snap.name };
    let mut folder = Map::new();
    let mut put = |key: &str, value: Value| folder.insert(key.to_owned(), value);
    put("name", name.into());
    put("lastModified", snap.modified_at.into());
    put("uploaded", snap.created_at.into());
    put("path", path.clone().into());
    put("folder_id", ids::folder_id(snap.id).into());
    if let Some(parent) = snap.parent() {
        put("parent_id", ids::folder_id(parent.id).into());
    }
    put("is_folder", true.into());
    put("restrict_move_delete", Value::from(path.matches('/').count() < 2));
    put("public_links", "files_folders".into());
    put("allow_links", true.into());
    folder
}

/// The item that a request is about, as far as it can be told under the lock.
enum Seen {
    File(FileView),
    Folder { snap: Arc<Snap>, folders: Vec<Snap>, files: Vec<FileView>, total: usize },
}

pub(super) fn get(ask: &Ask) -> Response {
    let offset = ask.query.number("offset").unwrap_or(0);
    let count = ask.query.number("count").unwrap_or(COUNT_DEFAULT).clamp(1, COUNT_MAX);
    let seen = ask.shared.look(|model| {
        let id = find(ask, model)?;
        see(ask, model, id, offset, count).map_err(|refusal| reply::refusal(&refusal))
    });
    let told = match seen {
        Err(refused) => return refused,
        Ok(Seen::File(view)) => file_json(ask, &view, true),
        Ok(Seen::Folder { snap, folders, files, total }) => {
            let mut folder = folder_json(&snap);
            if ask.route.call == Call::EgnyteList {
                contents(ask, &mut folder, &folders, &files).map(|()| {
                    folder.insert("total_count".to_owned(), total.into());
                    folder.insert("offset".to_owned(), offset.into());
                    folder.insert("count".to_owned(), (folders.len() + files.len()).into());
                    Value::Object(folder)
                })
            } else {
                Ok(Value::Object(folder))
            }
        }
    };
    match told {
        Ok(told) => reply::json(200, &told),
        Err(refusal) => reply::refusal(&refusal),
    }
}

fn see(ask: &Ask, model: &mut Model, id: u64, offset: u64, count: u64) -> Result<Seen, Refusal> {
    let item = model.any(id)?;
    if item.kind == Kind::File {
        let entry = ask.query.get("entry_id").or_else(|| ask.query.get("key"));
        let entry = entry.map(|entry| ids::read_entry(entry).unwrap_or(u64::MAX));
        return Ok(Seen::File(file_view(model, item, entry)?));
    }
    if item.kind != Kind::Folder {
        return Err(Refusal::NotFound);
    }
    let mut children = Vec::new();
    if ask.route.call == Call::EgnyteList && !ask.faults.contains(&Fault::EmptyListing) {
        for child in item.children.values() {
            let kind = model.any(*child)?.kind;
            let hidden = kind == Kind::WebLink
                || matches!(reach_of(ask.user, &model.path_of(*child)?), Reach::Nowhere | Reach::Forbidden);
            if !hidden {
                children.push((*child, kind));
            }
        }
    }
    if ask.query.get("sort_direction") == Some("descending") {
        children.reverse();
    }
    let total = children.len();
    let page: Vec<_> = children.into_iter().skip(offset as usize).take(count as usize).collect();
    let of = |kind: Kind| page.iter().filter(move |(_, known)| *known == kind).map(|(id, _)| *id).collect::<Vec<_>>();
    let folders = model.snap_children(id, &of(Kind::Folder))?;
    let files = of(Kind::File).into_iter().map(|id| file_view(model, model.any(id)?, None));
    let files = files.collect::<Result<_, Refusal>>()?;
    Ok(Seen::Folder { snap: model.snap(id)?, folders, files, total })
}

/// The two lists of a folder, each of them absent when it is empty.
fn contents(ask: &Ask, folder: &mut Map<String, Value>, folders: &[Snap], files: &[FileView]) -> Result<(), Refusal> {
    let repeat = if ask.faults.contains(&Fault::DuplicateEntries) { 2 } else { 1 };
    let folders = folders.iter().map(|snap| Value::Object(folder_json(snap)));
    let folders: Vec<Value> = folders.flat_map(|one| std::iter::repeat_n(one, repeat)).collect();
    let files = files.iter().map(|view| file_json(ask, view, false)).collect::<Result<Vec<_>, _>>()?;
    let files: Vec<Value> = files.into_iter().flat_map(|one| std::iter::repeat_n(one, repeat)).collect();
    for (key, list) in [("folders", folders), ("files", files)] {
        if !list.is_empty() {
            folder.insert(key.to_owned(), list.into());
        }
    }
    Ok(())
}

/// Everything below a folder in three numbers.
pub(super) fn stats(ask: &Ask) -> Response {
    let counted = ask.shared.look(|model| {
        let id = find(ask, model)?;
        count_below(model, id).map_err(|refusal| reply::refusal(&refusal))
    });
    match counted {
        Ok((folders, files, bytes)) => {
            reply::json(200, &json!({ "filesCount": files, "foldersCount": folders, "allFilesSize": bytes }))
        }
        Err(refused) => refused,
    }
}

fn count_below(model: &Model, id: u64) -> Result<(u64, u64, u64), Refusal> {
    let (mut folders, mut files) = (0, 0);
    let mut todo = vec![id];
    while let Some(id) = todo.pop() {
        for child in model.any(id)?.children.values() {
            match model.any(*child)?.kind {
                Kind::Folder => {
                    folders += 1;
                    todo.push(*child);
                }
                Kind::File => files += 1,
                Kind::WebLink => {}
            }
        }
    }
    Ok((folders, files, model.any(id)?.bytes_below))
}
