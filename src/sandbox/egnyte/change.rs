//! Writes to the tree: folders, moves, copies, deletions and locks.

use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};

use super::route::{Target, split};
use super::tree::{find, find_changeable, place};
use super::{Ask, SMALL_BODY_BYTES_MAX, ids, reply, trash};
use crate::sandbox::counters::Call;
use crate::sandbox::model::{Deed, Kind, Model, Refusal};

/// An hour, as the real service.
const LOCK_TIMEOUT_S: i64 = 3600;

/// The answer, or the one in its place.
type Done = Result<Response, Response>;

fn refused(refusal: Refusal) -> Response {
    reply::refusal(&refusal)
}

/// The calls whose meaning is in a JSON body.
pub(super) async fn with_body(ask: &Ask, body: Body) -> Response {
    let bytes = axum::body::to_bytes(body, SMALL_BODY_BYTES_MAX).await.unwrap_or_default();
    let Ok(Value::Object(fields)) = serde_json::from_slice(&bytes) else {
        return reply::error_message(400, "The body is not a JSON object");
    };
    let known: &[&str] = match ask.route.call {
        Call::EgnyteFolderCreate => &["action"],
        Call::EgnyteMove => &["action", "destination", "permissions"],
        Call::EgnyteCopy => &["action", "destination", "permissions", "entry_id"],
        Call::EgnyteLock => &["action", "lock_token", "lock_timeout"],
        Call::EgnyteUnlock => &["action", "lock_token"],
        _ => &["action", "ids"],
    };
    if let Some(unknown) = fields.keys().find(|key| !known.contains(&key.as_str())) {
        return reply::input_error(400, unknown, "UNKNOWN_PROPERTY", "Unrecognized property");
    }
    let body = Value::Object(fields);
    let done = ask.shared.change(ask.user, |model, deed| match ask.route.call {
        Call::EgnyteFolderCreate => add_folder(ask, model, deed),
        Call::EgnyteMove => relocate(ask, model, deed, &body),
        Call::EgnyteCopy => copy(ask, model, deed, &body),
        Call::EgnyteLock => lock(ask, model, deed, &body),
        Call::EgnyteUnlock => unlock(ask, model, deed, &body),
        _ => trash::change(ask, model, deed, &body),
    });
    done.unwrap_or_else(|refused| refused)
}

fn add_folder(ask: &Ask, model: &mut Model, deed: Deed) -> Done {
    let Target::Path(path) = &ask.route.target else {
        return Err(reply::form_error(400, "PATH_EXPECTED", "A folder is made by its path"));
    };
    let (parent, name) = place(ask.user, model, path, Kind::Folder)?;
    match model.create_folder(deed, parent, name) {
        Ok(id) => {
            let path = model.path_of(id).map_err(refused)?;
            Ok(reply::json(201, &json!({ "path": path, "folder_id": ids::folder_id(id) })))
        }
        Err(Refusal::NameInUse(_)) => Err(reply::error_message(403, "Folder already exists at this location")),
        Err(refusal) => Err(refused(refusal)),
    }
}

/// Where a move or a copy is to go.
fn destination(body: &Value) -> Result<Vec<String>, Response> {
    let path = body.get("destination").and_then(Value::as_str).and_then(split);
    path.ok_or_else(|| reply::input_error(400, "destination", "INVALID", "A path that begins with a slash is needed"))
}

fn told(model: &Model, id: u64) -> Done {
    let item = model.any(id).map_err(refused)?;
    let path = model.path_of(id).map_err(refused)?;
    Ok(match item.kind {
        Kind::Folder => reply::json(200, &json!({ "path": path, "folder_id": ids::folder_id(id) })),
        _ => reply::json(200, &json!({ "path": path, "group_id": ids::group_id(id) })),
    })
}

fn relocate(ask: &Ask, model: &mut Model, deed: Deed, body: &Value) -> Done {
    let id = find_changeable(ask, model)?;
    let path = destination(body)?;
    let kind = model.any(id).map_err(refused)?.kind;
    let (parent, name) = place(ask.user, model, &path, kind)?;
    model.relocate(deed, id, Some(name), Some(parent)).map_err(refused)?;
    told(model, id)
}

fn copy(ask: &Ask, model: &mut Model, deed: Deed, body: &Value) -> Done {
    let id = find_changeable(ask, model)?;
    let path = destination(body)?;
    let kind = model.any(id).map_err(refused)?.kind;
    let (parent, name) = place(ask.user, model, &path, kind)?;
    if let Some(other) = model.any(parent).map_err(refused)?.child(name) {
        return Err(refused(Refusal::NameInUse(other)));
    }
    let copy = model.copy(deed, id, parent, Some(name)).map_err(refused)?;
    told(model, copy)
}

/// The item with everything below it, or one version of a file.
pub(super) fn delete(ask: &Ask) -> Response {
    let done = ask.shared.change(ask.user, |model, deed| {
        let id = find_changeable(ask, model)?;
        match ask.query.get("entry_id") {
            None => model.trash(deed, id).map_err(refused),
            Some(entry) => {
                let version = ids::read_entry(entry).unwrap_or(u64::MAX);
                model.delete_version(deed, id, version).map_err(refused)
            }
        }
    });
    match done {
        Ok(()) => reply::empty(200),
        Err(refused) => refused,
    }
}

fn lock_token(id: u64) -> String {
    format!("lock-{id:x}")
}

/// A lock, or a longer one for who has the token of the present one.
fn lock(ask: &Ask, model: &mut Model, deed: Deed, body: &Value) -> Done {
    let id = find(ask, model)?;
    let item = model.live_of(Kind::File, id).map_err(refused)?;
    let held = item.lock.as_ref().filter(|lock| lock.expires_at.is_none_or(|end| end > deed.now));
    let given = body.get("lock_token").and_then(Value::as_str);
    if let Some(held) = held
        && given != Some(lock_token(held.id).as_str())
    {
        return Err(reply::error_message(409, "The file is already locked"));
    }
    let timeout = body.get("lock_timeout").and_then(Value::as_i64).filter(|s| *s > 0).unwrap_or(LOCK_TIMEOUT_S);
    let until = deed.now.saturating_add(timeout.saturating_mul(1000));
    model.lock(deed, id, Some(until), false).map_err(refused)?;
    let token = model.any(id).ok().and_then(|item| item.lock.as_ref()).map(|lock| lock_token(lock.id));
    Ok(reply::json(200, &json!({ "lock_token": token, "timeout": timeout })))
}

fn unlock(ask: &Ask, model: &mut Model, deed: Deed, body: &Value) -> Done {
    let id = find(ask, model)?;
    let item = model.live_of(Kind::File, id).map_err(refused)?;
    let held = item.lock.as_ref().map(|lock| lock_token(lock.id));
    if held.is_none() || held.as_deref() != body.get("lock_token").and_then(Value::as_str) {
        return Err(reply::error_message(404, "There is no lock with that token"));
    }
    model.unlock(deed, id).map_err(refused)?;
    Ok(reply::empty(200))
}
