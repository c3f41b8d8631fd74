//! The enterprise streams: the same happenings in other words. Ids, names and parents, no content; details of the acting program beside them.

use std::fmt::Write as _;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::render;
use crate::sandbox::content::hex;
use crate::sandbox::model::{Event, EventKind, Kind, Snap, What};

/// The word of the enterprise streams.
fn word(event: &Event) -> &str {
    let is_version = matches!(&event.what, What::Item(snap) if snap.versions_total > 1);
    match &event.kind {
        EventKind::Upload if is_version => "EDIT",
        EventKind::Create | EventKind::Upload => "UPLOAD",
        EventKind::Move => "MOVE",
        EventKind::Copy => "COPY",
        // A rename stands for a changed description as well.
        EventKind::Rename | EventKind::Modify => "RENAME",
        EventKind::Trash => "DELETE",
        EventKind::Untrash => "UNDELETE",
        EventKind::MakeCurrentVersion => "FILE_VERSION_RESTORE",
        EventKind::LockCreate => "LOCK",
        EventKind::LockDestroy => "UNLOCK",
        EventKind::Download => "DOWNLOAD",
        EventKind::Named(name) => match &**name {
            "ITEM_PREVIEW" => "PREVIEW",
            "ITEM_SHARED" | "ITEM_SHARED_CREATE" => "SHARE",
            "ITEM_SHARED_UNSHARE" => "UNSHARE",
            "COLLAB_ADD_COLLABORATOR" => "COLLABORATION_ACCEPT",
            "COLLAB_REMOVE_COLLABORATOR" => "COLLABORATION_REMOVE",
            "COLLAB_INVITE_COLLABORATOR" => "COLLABORATION_INVITE",
            "COLLAB_ROLE_CHANGE" => "COLLABORATION_ROLE_CHANGE",
            name => name,
        },
    }
}

/// Writes an event as the enterprise streams tell it.
pub(super) fn write_event(out: &mut String, event: &Arc<Event>, salt: u64) {
    out.push_str(r#"{"source":"#);
    match &event.what {
        What::Item(snap) => source(out, snap),
        What::Noise(number) => source(out, &Snap::of_noise(*number, event.at)),
        What::Nothing => out.push_str("null"),
    }
    out.push_str(r#","created_by":"#);
    render::user(out, event.by);
    out.push_str(r#","action_by":null,"created_at":"#);
    render::time(out, event.at);
    out.push_str(r#","recorded_at":"#);
    render::time(out, event.at);
    out.push_str(r#","event_id":""#);
    out.push_str(&event_id(event.id, salt));
    out.push_str(r#"","event_type":"#);
    render::quote(out, word(event));
    out.push_str(r#","ip_address":"127.0.0.1","type":"event","session_id":null,"additional_details":"#);
    match &event.what {
        What::Item(snap) if snap.version.is_some() => {
            let version = snap.version.as_ref().map_or(0, |(version, _)| *version);
            let _ = write!(
                out,
                r#"{{"size":{},"version_id":"{version}","service_id":"42","service_name":"Sandbox"}}"#,
                snap.size
            );
        }
        _ => out.push_str(r#"{"service_id":"42","service_name":"Sandbox"}"#),
    }
    out.push('}');
}

fn source(out: &mut String, snap: &Snap) {
    let kind = if snap.kind == Kind::Folder { "folder" } else { "file" };
    let _ = write!(out, r#"{{"item_type":"{kind}","item_id":"{}","item_name":"#, snap.id);
    render::quote(out, &snap.name);
    out.push_str(r#","parent":"#);
    match snap.parent() {
        Some(parent) => {
            out.push_str(r#"{"type":"folder","name":"#);
            render::quote(out, &parent.name);
            let _ = write!(out, r#","id":"{}"}}"#, parent.id);
        }
        None => out.push_str("null"),
    }
    out.push_str(r#","owned_by":"#);
    render::user(out, snap.created_by);
    out.push('}');
}

/// In the form of a UUID, and another one than that of the user streams.
fn event_id(id: u64, salt: u64) -> String {
    let mut hasher = Sha1::new();
    hasher.update(b"enterprise");
    hasher.update(salt.to_le_bytes());
    hasher.update(id.to_le_bytes());
    let digits = hex(&hasher.finalize());
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..32])
}
