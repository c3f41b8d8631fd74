//! What was deleted: a list of it, and the way back or out.

use axum::response::Response;
use serde_json::{Value, json};

use super::tree::{Reach, reach_of};
use super::{Ask, ids, reply};
use crate::sandbox::model::{Deed, Item, Kind, Model, Refusal, User};

const COUNT_DEFAULT: u64 = 100;
/// The most items that one request restores or purges.
const IDS_MAX: usize = 10;

fn id_of(item: &Item) -> String {
    if item.kind == Kind::Folder { ids::folder_id(item.id) } else { ids::group_id(item.id) }
}

/// Whether a deleted item was where the user could see it.
fn is_seen(user: User, model: &Model, item: &Item) -> bool {
    let path = model.path_of(item.id).unwrap_or_default();
    item.trashed_at.is_some() && reach_of(user, &path) == Reach::Inside
}

pub(super) fn list(ask: &Ask) -> Response {
    let count = ask.query.number("count").unwrap_or(COUNT_DEFAULT);
    let offset = ask.query.number("offset").unwrap_or(0);
    let (total, items) = ask.shared.look(|model| {
        let tops = model.trashed_tops();
        let seen: Vec<&Item> =
            tops.iter().filter_map(|id| model.any(*id).ok()).filter(|item| is_seen(ask.user, model, item)).collect();
        let page = seen.iter().skip(offset as usize).take(count as usize).map(|item| {
            json!({
                "id": id_of(item),
                "name": &*item.name,
                "path": model.path_of(item.id).unwrap_or_default(),
                "is_folder": item.kind == Kind::Folder,
                "size": item.size(),
                "deletion_date": item.trashed_at,
            })
        });
        (seen.len(), page.collect::<Vec<_>>())
    });
    reply::json(200, &json!({ "total_count": total, "offset": offset, "count": items.len(), "items": items }))
}

/// Restores or purges.
pub(super) fn change(ask: &Ask, model: &mut Model, deed: Deed, body: &Value) -> Result<Response, Response> {
    let bad = |field: &str| reply::input_error(400, field, "INVALID", "The value is missing or not allowed");
    let restores = match body.get("action").and_then(Value::as_str) {
        Some("RESTORE") => true,
        Some("PURGE") => false,
        _ => return Err(bad("action")),
    };
    let wanted = body.get("ids").and_then(Value::as_array).ok_or_else(|| bad("ids"))?;
    if wanted.is_empty() || wanted.len() > IDS_MAX {
        return Err(bad("ids"));
    }
    for wanted in wanted {
        let text = wanted.as_str().unwrap_or("");
        let id = ids::read_folder(text).or_else(|| ids::read_group(text));
        let item = id.and_then(|id| model.any(id).ok()).filter(|item| is_seen(ask.user, model, item));
        let id = item.map(|item| item.id).ok_or_else(|| reply::refusal(&Refusal::NotFound))?;
        let done = if restores { model.restore(deed, id, None, None) } else { model.delete_forever(deed, id) };
        done.map_err(|refusal| reply::refusal(&refusal))?;
    }
    Ok(reply::empty(200))
}
