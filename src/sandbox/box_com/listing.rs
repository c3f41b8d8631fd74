//! What a folder holds, in pages by marker or by offset.

use std::fmt::Write as _;
use std::ops::Bound;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Ask;
use super::render::{self, Fields, View};
use super::reply::{self, Conflict};
use crate::sandbox::faults::Fault;
use crate::sandbox::model::{ChildKey, Item, Kind, Model, Refusal, Snap};

const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 1000;
/// How many children a folder object itself shows.
const EMBEDDED_MAX: usize = 100;
/// Beyond this an offset is refused.
const OFFSET_MAX: u64 = 300_000;

/// The order in which listings by offset come.
pub(super) const ORDER: &str = r#"[{"by":"type","direction":"ASC"},{"by":"name","direction":"ASC"}]"#;

/// The entries of one page and how to go on.
struct Page {
    snaps: Vec<Snap>,
    total: usize,
    next: Option<String>,
}

pub(super) fn items(ask: &Ask) -> Response {
    let limit = ask.query.number("limit").unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX) as usize;
    let by_marker = ask.query.flag("usemarker");
    let offset = ask.query.number("offset").unwrap_or(0);
    if offset > OFFSET_MAX {
        return reply::bad_request(ask, "the offset is too high");
    }
    let start = match ask.query.get("marker").filter(|marker| by_marker && !marker.is_empty()) {
        Some(marker) => match read_marker(marker) {
            Some(key) => Some(key),
            None => return reply::bad_request(ask, "the marker is not one of ours"),
        },
        None => None,
    };
    let page = ask.shared.look(|model| {
        let folder = model.live_of(Kind::Folder, ask.id())?;
        if by_marker {
            marker_page(model, ask.id(), start, limit)
        } else {
            offset_page(ask, model, folder.id, offset as usize, limit)
        }
    });
    match page {
        Ok(mut page) => {
            disturb(ask, &mut page, by_marker);
            reply::json(200, written(ask, &page, by_marker, offset, limit))
        }
        Err(refusal) => reply::refusal(ask, &refusal, Conflict::Untold),
    }
}

/// What the script does to a page.
fn disturb(ask: &Ask, page: &mut Page, by_marker: bool) {
    for fault in &ask.faults {
        match fault {
            Fault::LoopMarker if by_marker => {
                let first =
                    || page.snaps.first().map(|snap| write_marker(&(snap.kind, snap.name.to_lowercase().into())));
                page.next =
                    ask.query.get("marker").filter(|marker| !marker.is_empty()).map(str::to_owned).or_else(first);
            }
            Fault::DuplicateEntries => {
                page.snaps = page.snaps.iter().flat_map(|snap| [snap.clone(), snap.clone()]).collect();
            }
            Fault::EmptyListing => *page = Page { snaps: Vec::new(), total: 0, next: None },
            _ => {}
        }
    }
}

fn marker_page(model: &mut Model, id: u64, start: Option<ChildKey>, limit: usize) -> Result<Page, Refusal> {
    let folder = model.any(id)?;
    let from = start.map_or(Bound::Unbounded, Bound::Excluded);
    let mut ids = Vec::new();
    let mut last = None;
    let mut more = false;
    for (key, child) in folder.children.range((from, Bound::Unbounded)) {
        if ids.len() == limit {
            more = true;
            break;
        }
        ids.push(*child);
        last = Some(key);
    }
    let next = last.filter(|_| more).map(write_marker);
    let total = folder.children.len();
    Ok(Page { snaps: model.snap_children(id, &ids)?, total, next })
}

fn offset_page(ask: &Ask, model: &mut Model, id: u64, offset: usize, limit: usize) -> Result<Page, Refusal> {
    let folder = model.any(id)?;
    let total = folder.children.len();
    let backwards = ask.query.get("direction").is_some_and(|direction| direction.eq_ignore_ascii_case("desc"));
    let sort = ask.query.get("sort").unwrap_or("name");
    let ids: Vec<u64> = if sort == "name" && !backwards {
        folder.children.values().skip(offset).take(limit).copied().collect()
    } else {
        let mut items: Vec<&Item> = folder.children.values().filter_map(|id| model.any(*id).ok()).collect();
        items.sort_by(|a, b| {
            let order = match sort {
                "id" => a.id.cmp(&b.id),
                "date" => a.modified_at.cmp(&b.modified_at),
                "size" => a.size().cmp(&b.size()),
                _ => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
            };
            a.kind.cmp(&b.kind).then(if backwards { order.reverse() } else { order })
        });
        items.iter().skip(offset).take(limit).map(|item| item.id).collect()
    };
    Ok(Page { snaps: model.snap_children(id, &ids)?, total, next: None })
}

fn write_marker((kind, name): &ChildKey) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{name}", *kind as u8))
}

fn read_marker(marker: &str) -> Option<ChildKey> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()?;
    let (kind, name) = text.split_once(':')?;
    let kind = match kind {
        "0" => Kind::Folder,
        "1" => Kind::File,
        "2" => Kind::WebLink,
        _ => return None,
    };
    Some((kind, name.into()))
}

fn written(ask: &Ask, page: &Page, by_marker: bool, offset: u64, limit: usize) -> String {
    let fields = ask.query.get("fields").map(Fields::parse);
    let mut out = String::with_capacity(256 + page.snaps.len() * 320);
    out.push('{');
    if !by_marker {
        let _ = write!(out, r#""total_count":{},"#, page.total);
    }
    out.push_str(r#""entries":["#);
    entries(&mut out, &page.snaps, fields, View::Plain);
    let _ = write!(out, r#"],"limit":{limit}"#);
    if by_marker {
        out.push_str(r#","next_marker":"#);
        match &page.next {
            Some(next) => render::quote(&mut out, next),
            // A client that goes on until there is no marker would never end with an empty one.
            None => out.push_str("null"),
        }
    } else {
        let _ = write!(out, r#","offset":{offset},"order":{ORDER}"#);
    }
    out.push('}');
    out
}

/// Several items with commas between; without wanted fields each in its mini form.
pub(super) fn entries(out: &mut String, snaps: &[Snap], fields: Option<Fields>, view: View) {
    for (place, snap) in snaps.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        render::item(out, snap, fields.unwrap_or(Fields::MINI_FILE), view);
    }
}

/// The first children of a folder, as its own object shows them.
pub(super) fn embedded(model: &mut Model, id: u64) -> Result<String, Refusal> {
    let page = marker_page(model, id, None, EMBEDDED_MAX)?;
    let mut out = format!(r#"{{"total_count":{},"entries":["#, page.total);
    entries(&mut out, &page.snaps, None, View::Plain);
    let _ = write!(out, r#"],"offset":0,"limit":{EMBEDDED_MAX},"order":["#);
    out.push_str(r#"{"by":"type","direction":"ASC"},{"by":"name","direction":"ASC"}]}"#);
    Ok(out)
}
