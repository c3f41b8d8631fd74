//! Every action of Egnyte's event stream, with the kind that tells equal words apart.

use super::{Meaning, Streams, Type, row};
use crate::events::EventKind;

/// In the order of the documentation.
pub static TYPES: [Type; 13] = [
    row("create", "item.created", EventKind::Created, Meaning::Tree, Streams::Egnyte),
    row("create", "item.uploaded", EventKind::Uploaded, Meaning::Tree, Streams::Egnyte),
    row("delete", "item.trashed", EventKind::Trashed, Meaning::Tree, Streams::Egnyte),
    row("move", "item.moved", EventKind::Moved, Meaning::Tree, Streams::Egnyte),
    row("move", "item.renamed", EventKind::Renamed, Meaning::Tree, Streams::Egnyte),
    row("rename", "item.renamed", EventKind::Renamed, Meaning::Tree, Streams::Egnyte),
    row("copy", "item.copied", EventKind::Copied, Meaning::Tree, Streams::Egnyte),
    row("restore", "item.restored", EventKind::Restored, Meaning::Tree, Streams::Egnyte),
    row("lock", "item.locked", EventKind::Lock, Meaning::Lock, Streams::Egnyte),
    row("unlock", "item.unlocked", EventKind::Lock, Meaning::Lock, Streams::Egnyte),
    row("create", "comment.created", EventKind::Comment, Meaning::Nothing, Streams::Egnyte),
    row("delete", "comment.deleted", EventKind::Comment, Meaning::Nothing, Streams::Egnyte),
    row("permission_change", "folder.permission_changed", EventKind::Sharing, Meaning::Visibility, Streams::EgnyteV2),
];
