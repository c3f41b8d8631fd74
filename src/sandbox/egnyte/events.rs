//! The event stream: its cursor, its pages, and what it leaves out.

use std::sync::Arc;

use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::tree::{Reach, reach_of};
use super::{Ask, ids, reply};
use crate::sandbox::faults::Fault;
use crate::sandbox::model::{Event, EventKind, Kind, Model, Snap, Through, User, What};

const COUNT_DEFAULT: u64 = 50;
const COUNT_MAX: u64 = 100;
/// The id of an event is its number in the log and this, so that it is never 0, and no domain begins with its first day.
pub(super) const EVENT_BASE: u64 = 4_000_000;

/// The ids between which there are events: everything up to the oldest, itself included, may be forgotten.
fn window(model: &Model) -> (u64, u64) {
    (EVENT_BASE + model.oldest_event() - 1, EVENT_BASE + model.newest_event())
}

fn time(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).unwrap_or_default().to_string()
}

pub(super) fn cursor(ask: &Ask) -> Response {
    let ((oldest, latest), at) = ask.shared.look(|model| {
        let newest = model.event(model.newest_event()).map_or(0, |event| event.at);
        (window(model), newest)
    });
    let cursor = json!({ "timestamp": time(at), "latest_event_id": latest, "oldest_event_id": oldest });
    reply::json(200, &cursor)
}

/// What a request wants of the stream.
struct Wish<'a> {
    user: User,
    v2: bool,
    folder: Option<&'a str>,
    suppress: Option<&'a str>,
    types: Option<Vec<&'a str>>,
}

pub(super) fn page(ask: &Ask) -> Response {
    let Some(id) = ask.query.number("id") else {
        return reply::message(400, "The parameter id is missing or no number");
    };
    let wish = Wish {
        user: ask.user,
        v2: ask.is_v2,
        folder: ask.query.get("folder"),
        suppress: ask.query.get("suppress"),
        types: ask.query.get("type").map(|types| types.split('|').collect()),
    };
    let mut count = ask.query.number("count").unwrap_or(COUNT_DEFAULT).clamp(1, COUNT_MAX) as usize;
    let mut start = id;
    for fault in &ask.faults {
        match fault {
            Fault::RewindEvents { by } => start = start.saturating_sub(*by).max(EVENT_BASE),
            Fault::ShortPage { entries } => count = count.min((*entries).max(1)),
            _ => {}
        }
    }
    let (oldest, events) = ask.shared.look(|model| {
        let (oldest, _) = window(model);
        let known = id >= oldest;
        (oldest, known.then(|| read(model, start, &wish, count)))
    });
    match events {
        None => reply::message(404, "Invalid cursor"),
        Some(events) => written(ask, id, oldest, events),
    }
}

fn read(model: &Model, after: u64, wish: &Wish<'_>, count: usize) -> Vec<(u64, Value)> {
    let events = model.events_after(after.saturating_sub(EVENT_BASE));
    let told = events.iter().filter_map(|event| Some((EVENT_BASE + event.id, tell(model, event, wish)?)));
    told.take(count).collect()
}

fn written(ask: &Ask, asked: u64, oldest: u64, mut events: Vec<(u64, Value)>) -> Response {
    let mut latest = events.last().map_or(Value::from(asked), |(id, _)| Value::from(*id));
    if events.is_empty() {
        return reply::empty(204);
    }
    for fault in &ask.faults {
        match fault {
            Fault::DuplicateEvents => {
                events = events.into_iter().flat_map(|event| [event.clone(), event]).collect();
            }
            Fault::ReorderEvents => events.reverse(),
            Fault::DropEvents => events.clear(),
            Fault::LateEvents => return reply::empty(204),
            Fault::PositionText => latest = Value::from(latest.to_string()),
            Fault::PositionZero => latest = Value::from(0),
            Fault::PositionStuck => latest = Value::from(asked),
            _ => {}
        }
    }
    let events: Vec<Value> = events.into_iter().map(|(_, event)| event).collect();
    let page = json!({ "count": events.len(), "latest_id": latest, "oldest_id": oldest, "events": events });
    reply::json(200, &page)
}

/// The event in this service's words; nothing where it has none, or where the caller does not get to know of it.
fn tell(model: &Model, event: &Arc<Event>, wish: &Wish<'_>) -> Option<Value> {
    let ours = event.through == Through::Api;
    match wish.suppress {
        Some("app") if ours => return None,
        Some("user") if ours && event.by == wish.user => return None,
        _ => {}
    }
    let (kind, action) = words(model, event)?;
    let wanted = wish.types.as_ref().is_none_or(|types| types.contains(&kind));
    if !wanted || (kind == "permission_change" && !wish.v2) {
        return None;
    }
    let noise;
    let snap = match &event.what {
        What::Item(snap) => snap,
        What::Noise(number) => {
            noise = Arc::new(Snap::of_noise(*number, event.at));
            &noise
        }
        What::Nothing => return None,
    };
    let places = Places::of(event, snap);
    let seen = |path: &str| !matches!(reach_of(wish.user, path), Reach::Nowhere | Reach::Forbidden);
    // Who moves something in or out of sight is told, as the trees cannot be told apart from the outside.
    if !seen(&places.target) && !places.source.as_deref().is_some_and(seen) {
        return None;
    }
    if wish.folder.is_some_and(|folder| !is_within(&places.target, folder)) {
        return None;
    }
    let mut told = json!({
        "id": EVENT_BASE + event.id,
        "timestamp": time(event.at),
        "action_source": if ours { "PublicAPI" } else { "WebUI" },
        "actor": event.by.id(),
        "type": kind,
        "action": action,
    });
    let item = if snap.kind == Kind::Folder { "folder" } else { "file" };
    let id = if snap.kind == Kind::Folder { ids::folder_id(snap.id) } else { ids::group_id(snap.id) };
    told["object_detail"] = Value::from(format!("/pubapi/v1/fs/ids/{item}/{id}"));
    told["data"] = Value::Object(data(snap, action, places));
    Some(told)
}

/// Type and action of an event, if this service has such.
fn words<'a>(model: &Model, event: &'a Event) -> Option<(&'a str, &'a str)> {
    if matches!(event.what, What::Noise(_)) {
        return Some(("file_system", "create"));
    }
    let action = match &event.kind {
        EventKind::Create | EventKind::Upload | EventKind::MakeCurrentVersion => "create",
        EventKind::Move => "move",
        // A move to another name is one event here; the log keeps it as two, with one and the same origin.
        EventKind::Rename => {
            let from = event.from.as_ref()?;
            let before = model.event(event.id - 1)?;
            let told =
                before.kind == EventKind::Move && before.from.as_ref().is_some_and(|before| Arc::ptr_eq(before, from));
            return (!told).then_some(("file_system", "move"));
        }
        EventKind::Copy => "copy",
        EventKind::Trash => "delete",
        EventKind::Untrash => "restore",
        EventKind::Modify | EventKind::LockCreate | EventKind::LockDestroy | EventKind::Download => return None,
        EventKind::Named(name) => return name.split_once(':'),
    };
    Some(("file_system", action))
}

/// Where the item is, and where it was.
struct Places {
    target: String,
    source: Option<String>,
}

impl Places {
    fn of(event: &Event, snap: &Snap) -> Self {
        let from = event.from.as_deref().map(str::to_owned);
        match (&event.what, from) {
            (What::Noise(_), _) => Self { target: format!("/Shared{}", snap.path()), source: None },
            // What is in the trash is nowhere, so that its old place is all there is to tell.
            (_, Some(from)) if event.kind == EventKind::Trash => Self { target: from, source: None },
            (_, source) => Self { target: snap.path(), source },
        }
    }
}

fn data(snap: &Snap, action: &str, places: Places) -> Map<String, Value> {
    let is_folder = snap.kind == Kind::Folder;
    let mut data = Map::new();
    data.insert("target_path".to_owned(), places.target.into());
    data.insert("is_folder".to_owned(), is_folder.into());
    if !is_folder && let Some((version, _)) = &snap.version {
        data.insert("target_id".to_owned(), ids::entry_id(*version).into());
        data.insert("target_group_id".to_owned(), ids::group_id(snap.id).into());
    }
    if let Some(source) = places.source {
        data.insert("source_path".to_owned(), source.into());
        if action == "move"
            && !is_folder
            && let Some((version, _)) = &snap.version
        {
            data.insert("source_id".to_owned(), ids::entry_id(*version).into());
            data.insert("source_group_id".to_owned(), ids::group_id(snap.id).into());
        }
    }
    data
}

/// Whether a path is that folder or lies below it, ignoring case.
fn is_within(path: &str, folder: &str) -> bool {
    let (path, folder) = (path.to_lowercase(), folder.trim_end_matches('/').to_lowercase());
    path.strip_prefix(&folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_filter_ends_at_a_slash_and_ignores_case() {
        assert!(is_within("/Shared/Docs/a", "/shared/docs/"));
        assert!(is_within("/Shared/Docs", "/Shared/Docs"));
        assert!(!is_within("/Shared/Docs2", "/Shared/Docs"));
    }
}
