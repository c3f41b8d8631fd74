//! Items, users and times as JSON text, written straight into one buffer.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::{self, Offset};

use crate::sandbox::model::{Crumb, Kind, Snap, User};

/// The service writes its times with the offset of its own home, not in UTC.
const HOME: Offset = tz::offset(-7);

/// A JSON string.
pub(super) fn quote(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push_str(text);
    } else {
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if u32::from(c) < 0x20 => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
    }
    out.push('"');
}

fn number(out: &mut String, value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or("0"));
}

fn quoted_number(out: &mut String, value: u64) {
    out.push('"');
    number(out, value);
    out.push('"');
}

fn pair(out: &mut String, value: i8) {
    out.push(char::from(b'0' + (value / 10) as u8));
    out.push(char::from(b'0' + (value % 10) as u8));
}

/// RFC 3339, whole seconds.
pub(super) fn time(out: &mut String, ms: i64) {
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let at = HOME.to_datetime(at);
    out.push('"');
    number(out, at.year() as u64);
    out.push('-');
    pair(out, at.month());
    out.push('-');
    pair(out, at.day());
    out.push('T');
    pair(out, at.hour());
    out.push(':');
    pair(out, at.minute());
    out.push(':');
    pair(out, at.second());
    out.push_str("-07:00\"");
}

fn maybe_time(out: &mut String, ms: Option<i64>) {
    match ms {
        Some(ms) => time(out, ms),
        None => out.push_str("null"),
    }
}

/// The mini form of a user.
pub(super) fn user(out: &mut String, user: User) {
    let _ =
        write!(out, r#"{{"type":"user","id":"{}","name":"{}","login":"{}"}}"#, user.id(), user.name(), user.login());
}

fn crumb(out: &mut String, crumb: &Crumb) {
    out.push_str(r#"{"type":"folder","id":"#);
    quoted_number(out, crumb.id);
    if crumb.id == 0 {
        out.push_str(r#","sequence_id":null,"etag":null,"name":"#);
    } else {
        out.push_str(r#","sequence_id":"#);
        quoted_number(out, crumb.sequence);
        out.push_str(r#","etag":"#);
        quoted_number(out, crumb.etag);
        out.push_str(r#","name":"#);
    }
    quote(out, &crumb.name);
    out.push('}');
}

/// Where an object appears, which changes what some fields say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Plain,
    /// In an event: what is in the trash is "deleted", and has no parent.
    Event,
    /// Asked for in the trash.
    Trash,
}

macro_rules! fields {
    ($($name:ident = $word:literal $kinds:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        enum Field { $($name),* }

        /// Each field with the text that begins it.
        const FIELDS: &[(Field, &str)] = &[$((Field::$name, concat!("\"", $word, "\":"))),*];

        /// The fields that a kind with this letter has.
        const fn fields_of(letter: u8) -> u64 {
            let mut bits = 0;
            $(if has_letter($kinds, letter) { bits |= 1 << Field::$name as u8; })*
            bits
        }
    };
}

const fn has_letter(kinds: &str, letter: u8) -> bool {
    let kinds = kinds.as_bytes();
    let mut at = 0;
    while at < kinds.len() {
        if kinds[at] == letter {
            return true;
        }
        at += 1;
    }
    false
}

const FILE_FIELDS: u64 = fields_of(b'f');
const FOLDER_FIELDS: u64 = fields_of(b'd');
const WEB_LINK_FIELDS: u64 = fields_of(b'w');

// The letters say which kinds have the field: f a file, d a folder, w a web link.
fields! {
    Type = "type" "fdw", Id = "id" "fdw", FileVersion = "file_version" "f", Sequence = "sequence_id" "fdw",
    Etag = "etag" "fdw", Sha1 = "sha1" "f", Name = "name" "fdw", Description = "description" "fdw",
    Size = "size" "fd", Way = "path_collection" "fdw", CreatedAt = "created_at" "fdw",
    ModifiedAt = "modified_at" "fdw", TrashedAt = "trashed_at" "fdw", PurgedAt = "purged_at" "fdw",
    ContentCreatedAt = "content_created_at" "fd", ContentModifiedAt = "content_modified_at" "fd",
    CreatedBy = "created_by" "fdw", ModifiedBy = "modified_by" "fdw", OwnedBy = "owned_by" "fdw",
    SharedLink = "shared_link" "fdw", UploadEmail = "folder_upload_email" "d", Parent = "parent" "fdw",
    Status = "item_status" "fdw", Collection = "item_collection" "d", VersionNumber = "version_number" "f",
    Lock = "lock" "f", Permissions = "permissions" "fd", Extension = "extension" "f",
    IsPackage = "is_package" "f", Tags = "tags" "fd", HasCollaborations = "has_collaborations" "fd",
    IsExternallyOwned = "is_externally_owned" "fd", SyncState = "sync_state" "d",
    CommentCount = "comment_count" "f", Url = "url" "w", Synced = "synced" "fd",
}

/// A set of fields to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields(u64);

const fn set(fields: &[Field]) -> Fields {
    let mut bits = 0;
    let mut at = 0;
    while at < fields.len() {
        bits |= 1 << fields[at] as u8;
        at += 1;
    }
    Fields(bits)
}

impl Fields {
    const BASE: Self = set(&[Field::Type, Field::Id, Field::Etag]);
    pub const MINI_FOLDER: Self = set(&[Field::Type, Field::Id, Field::Etag, Field::Sequence, Field::Name]);
    pub const MINI_FILE: Self = Self(Self::MINI_FOLDER.0 | set(&[Field::Sha1, Field::FileVersion]).0);
    pub const STANDARD: Self = Self((1 << Field::VersionNumber as u8) - 1);
    /// What an event's source holds.
    pub const EVENT: Self =
        Self((Self::STANDARD.0 | set(&[Field::Synced]).0) & !set(&[Field::Collection, Field::UploadEmail]).0);

    /// The standard set without the children.
    pub const STANDARD_ALONE: Self = Self(Self::STANDARD.0 & !set(&[Field::Collection]).0);

    /// What the `fields` parameter asks for; unknown names are passed over.
    pub fn parse(list: &str) -> Self {
        let mut bits = Self::BASE.0;
        for word in list.split(',') {
            let word = word.trim();
            if let Some((field, _)) = FIELDS.iter().find(|(_, known)| known[1..known.len() - 2] == *word) {
                bits |= 1 << *field as u8;
            }
        }
        Self(bits)
    }

    /// Whether the children are wanted.
    pub fn wants_children(self) -> bool {
        self.0 & set(&[Field::Collection]).0 != 0
    }
}

/// One item with the wanted fields. Its children, where wanted, are left to the caller: see [`item_with_children`].
pub(super) fn item(out: &mut String, snap: &Snap, fields: Fields, view: View) {
    item_with_children(out, snap, fields, view, None);
}

/// One item; `children` is the finished JSON of its `item_collection`.
pub(super) fn item_with_children(out: &mut String, snap: &Snap, fields: Fields, view: View, children: Option<&str>) {
    let kind_has = match snap.kind {
        Kind::File => FILE_FIELDS,
        Kind::Folder => FOLDER_FIELDS,
        Kind::WebLink => WEB_LINK_FIELDS,
    };
    let wanted = fields.0 & kind_has;
    let mut first = '{';
    for (field, beginning) in FIELDS {
        if wanted & (1 << *field as u8) == 0 || (*field == Field::Collection && children.is_none()) {
            continue;
        }
        out.push(first);
        first = ',';
        out.push_str(beginning);
        match field {
            Field::Collection => out.push_str(children.unwrap_or("null")),
            _ => value(out, snap, *field, view),
        }
    }
    out.push('}');
}

fn value(out: &mut String, snap: &Snap, field: Field, view: View) {
    let root = snap.id == 0;
    match field {
        Field::Type => {
            out.push('"');
            out.push_str(snap.kind.word());
            out.push('"');
        }
        Field::Id => quoted_number(out, snap.id),
        Field::Sequence | Field::Etag if root => out.push_str("null"),
        Field::Sequence => quoted_number(out, snap.sequence),
        Field::Etag => quoted_number(out, snap.etag),
        Field::Name => quote(out, &snap.name),
        Field::Sha1 => {
            out.push('"');
            out.push_str(snap.sha1());
            out.push('"');
        }
        Field::FileVersion => match &snap.version {
            Some((id, sha1)) => {
                out.push_str(r#"{"type":"file_version","id":"#);
                quoted_number(out, *id);
                out.push_str(r#","sha1":""#);
                out.push_str(sha1);
                out.push_str("\"}");
            }
            None => out.push_str("null"),
        },
        Field::Description => quote(out, &snap.description),
        Field::Size => number(out, snap.size),
        Field::Way => way(out, &snap.way),
        Field::CreatedAt | Field::ModifiedAt | Field::ContentCreatedAt | Field::ContentModifiedAt if root => {
            out.push_str("null");
        }
        Field::CreatedAt => time(out, snap.created_at),
        Field::ModifiedAt => time(out, snap.modified_at),
        Field::ContentCreatedAt => time(out, snap.content_created_at),
        Field::ContentModifiedAt => time(out, snap.content_modified_at),
        Field::TrashedAt => maybe_time(out, snap.trashed_at),
        Field::PurgedAt => maybe_time(out, snap.purged_at()),
        Field::CreatedBy => user(out, snap.created_by),
        Field::ModifiedBy => user(out, snap.modified_by),
        Field::OwnedBy => user(out, User::Agent),
        Field::Parent => match (snap.parent(), view) {
            (Some(parent), _) => crumb(out, parent),
            (None, View::Trash) => {
                out.push_str(r#"{"type":"folder","id":"1","sequence_id":null,"etag":null,"name":"Trash"}"#);
            }
            (None, _) => out.push_str("null"),
        },
        Field::Status => out.push_str(match (snap.trashed_at, view) {
            (None, _) => r#""active""#,
            (Some(_), View::Event) => r#""deleted""#,
            (Some(_), _) => r#""trashed""#,
        }),
        Field::VersionNumber => quoted_number(out, snap.versions_total as u64),
        Field::Lock => lock(out, snap),
        Field::Permissions => permissions(out, snap.kind),
        Field::Extension => {
            let extension = snap.name.rsplit_once('.').map_or("", |(_, extension)| extension);
            quote(out, extension);
        }
        Field::Tags => out.push_str(r#"["sandbox"]"#),
        Field::CommentCount => out.push('0'),
        Field::SyncState => out.push_str(r#""not_synced""#),
        Field::Url => quote(out, "https://example.test/"),
        Field::IsPackage | Field::HasCollaborations | Field::IsExternallyOwned | Field::Synced => {
            out.push_str("false");
        }
        Field::SharedLink | Field::UploadEmail | Field::Collection => out.push_str("null"),
    }
}

fn way(out: &mut String, crumbs: &[Crumb]) {
    out.push_str(r#"{"total_count":"#);
    number(out, crumbs.len() as u64);
    out.push_str(r#","entries":["#);
    for (place, one) in crumbs.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        crumb(out, one);
    }
    out.push_str("]}");
}

fn lock(out: &mut String, snap: &Snap) {
    let Some(lock) = &snap.lock else {
        out.push_str("null");
        return;
    };
    let _ = write!(out, r#"{{"type":"lock","id":"{}","created_by":"#, lock.id);
    user(out, lock.by);
    out.push_str(r#","created_at":"#);
    time(out, lock.created_at);
    out.push_str(r#","expired_at":"#);
    maybe_time(out, lock.expires_at);
    let _ = write!(out, r#","is_download_prevented":{},"app_type":null}}"#, lock.prevents_download);
}

fn permissions(out: &mut String, kind: Kind) {
    out.push_str(if kind == Kind::Folder {
        r#"{"can_delete":true,"can_download":true,"can_invite_collaborator":true,"can_rename":true,"can_set_share_access":true,"can_share":true,"can_upload":true}"#
    } else {
        r#"{"can_annotate":true,"can_comment":true,"can_delete":true,"can_download":true,"can_invite_collaborator":true,"can_preview":true,"can_rename":true,"can_set_share_access":true,"can_share":true,"can_upload":true,"can_view_annotations_all":true,"can_view_annotations_self":true}"#
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_names_are_well_formed_json() {
        let mut out = String::new();
        time(&mut out, 1_700_000_000_123);
        assert_eq!(out, r#""2023-11-14T15:13:20-07:00""#);
        let mut out = String::new();
        quote(&mut out, "a\"\\\n\u{1}\u{7f}日本");
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), "a\"\\\n\u{1}\u{7f}日本");
    }

    #[test]
    fn asking_for_fields_replaces_the_standard_set_but_keeps_the_base() {
        let snap = Snap::of_noise(1, 0);
        let mut out = String::new();
        item(&mut out, &snap, Fields::parse("size, name,nonsense,sha1"), View::Plain);
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        let keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["etag", "id", "name", "size", "type"], "{out}");
    }
}
