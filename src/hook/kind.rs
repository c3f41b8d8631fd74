//! What hooks can listen to: a closed list of kinds, in the words of the configuration file.

use std::fmt;

use crate::events::EventKind;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// One thing that can happen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum HookKind {
            $($(#[$doc])* $name,)+
        }

        impl HookKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word of the configuration file and of the document.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

kinds! {
    /// A new content is staged and verified, and wants to be published.
    FileDownload = "file.download",
    /// A local content wants to go to the cloud.
    FileUpload = "file.upload",
    /// A file appeared on disk.
    FileCreated = "file.created",
    /// A file has another content.
    FileUpdated = "file.updated",
    /// A file went away.
    FileDeleted = "file.deleted",
    /// A file has another name in the same directory.
    FileRenamed = "file.renamed",
    /// A file is in another directory.
    FileMoved = "file.moved",
    /// A file came back from the trash.
    FileRestored = "file.restored",
    /// A file was rejected and put into quarantine.
    FileQuarantined = "file.quarantined",
    /// A file that was in the folder already was found infected, and left it for quarantine.
    FileInfected = "file.infected",
    /// A folder appeared on disk.
    FolderCreated = "folder.created",
    /// A folder went away.
    FolderDeleted = "folder.deleted",
    /// A folder has another name in the same directory.
    FolderRenamed = "folder.renamed",
    /// A folder is in another directory.
    FolderMoved = "folder.moved",
    /// A folder came back from the trash.
    FolderRestored = "folder.restored",
    /// Somebody commented.
    CommentCreated = "comment.created",
    /// A comment was changed.
    CommentUpdated = "comment.updated",
    /// A comment was taken away.
    CommentDeleted = "comment.deleted",
    /// An item was locked.
    LockCreated = "lock.created",
    /// A lock was taken away.
    LockRemoved = "lock.removed",
    /// An item got a shared link.
    ShareCreated = "share.created",
    /// A shared link was changed.
    ShareUpdated = "share.updated",
    /// A shared link was taken away.
    ShareRemoved = "share.removed",
    /// Somebody was invited or joined.
    CollaborationAdded = "collaboration.added",
    /// Somebody's role changed.
    CollaborationUpdated = "collaboration.updated",
    /// Somebody left or was removed.
    CollaborationRemoved = "collaboration.removed",
    /// Both sides changed the same item.
    Conflict = "conflict",
    /// Something is wrong with one item.
    Problem = "problem",
    /// An account needs a person to sign in.
    SignInNeeded = "account.sign_in_needed",
    /// Work waits for a person.
    Hold = "hold",
}

impl HookKind {
    /// What an event of the stream is to hooks that cannot be learnt from what is done on disk: comments, locks, shares and
    /// collaborations, by the provider's own word.
    pub fn of_event(kind: EventKind, provider_kind: &str) -> Option<Self> {
        let word = provider_kind.to_ascii_uppercase();
        let has = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
        let ended = has(&["DELETE", "REMOVE", "DESTROY", "UNLOCK", "UNSHARE", "LEAVE", "EXPIRE"]);
        Some(match kind {
            EventKind::Comment if ended => Self::CommentDeleted,
            EventKind::Comment if has(&["EDIT", "UPDATE"]) => Self::CommentUpdated,
            EventKind::Comment => Self::CommentCreated,
            EventKind::Lock if ended => Self::LockRemoved,
            EventKind::Lock => Self::LockCreated,
            EventKind::Sharing if has(&["COLLAB", "PERMISSION"]) => {
                if ended {
                    Self::CollaborationRemoved
                } else if has(&["ADD", "INVITE", "ACCEPT", "CREATE"]) {
                    Self::CollaborationAdded
                } else {
                    Self::CollaborationUpdated
                }
            }
            EventKind::Sharing if ended => Self::ShareRemoved,
            EventKind::Sharing if has(&["UPDATE", "EXPIRATION", "SEND"]) => Self::ShareUpdated,
            EventKind::Sharing => Self::ShareCreated,
            _ => return None,
        })
    }

    /// The kind of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }

    /// Whether something waits for the hook's answer.
    pub fn is_decided(self) -> bool {
        matches!(self, Self::FileDownload | Self::FileUpload)
    }

    /// What stands before the dot.
    pub fn group(self) -> &'static str {
        let word = self.word();
        word.split_once('.').map_or(word, |(group, _)| group)
    }
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The way in which something happened, whatever it happened to: what stands behind the dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// It appeared.
    Created,
    /// It is another one.
    Updated,
    /// It went away.
    Deleted,
    /// It has another name.
    Renamed,
    /// It is elsewhere.
    Moved,
    /// It came back.
    Restored,
}

impl Act {
    /// Every way, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Created, Self::Updated, Self::Deleted, Self::Renamed, Self::Moved, Self::Restored];

    /// The word of the configuration file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Renamed => "renamed",
            Self::Moved => "moved",
            Self::Restored => "restored",
        }
    }

    /// Whether a kind happened in this way.
    pub fn covers(self, kind: HookKind) -> bool {
        kind.word().rsplit('.').next() == Some(self.word())
    }
}

/// One entry of a hook's `on`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listen {
    /// `*`
    Everything,
    /// `comment.*`
    Group(&'static str),
    /// `file.created`
    Kind(HookKind),
}

impl Listen {
    /// Reads `*`, `file.*` or `file.created`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everything);
        }
        if let Some(group) = text.strip_suffix(".*") {
            return HookKind::ALL
                .iter()
                .find(|kind| kind.group() == group && kind.word() != group)
                .map(|kind| Self::Group(kind.group()));
        }
        HookKind::parse(text).map(Self::Kind)
    }

    /// Whether a kind is meant.
    pub fn covers(&self, kind: HookKind) -> bool {
        match self {
            Self::Everything => true,
            Self::Group(group) => kind.group() == *group,
            Self::Kind(one) => *one == kind,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Group(group) => write!(f, "{group}.*"),
            Self::Kind(kind) => f.write_str(kind.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for kind in HookKind::ALL {
            assert_eq!(HookKind::parse(kind.word()), Some(*kind));
            assert_eq!(Listen::parse(kind.word()), Some(Listen::Kind(*kind)));
        }
        for text in ["*", "file.*", "comment.*", "hold", "account.*"] {
            assert_eq!(Listen::parse(text).unwrap().to_string(), text);
        }
        for wrong in ["", "file", "file.*.*", "hold.*", "files.created", "file.created "] {
            assert_eq!(Listen::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn events_that_only_the_stream_tells() {
        for (event, word, kind) in [
            (EventKind::Comment, "COMMENT_CREATE", Some("comment.created")),
            (EventKind::Comment, "COMMENT_DELETE", Some("comment.deleted")),
            (EventKind::Lock, "LOCK_CREATE", Some("lock.created")),
            (EventKind::Lock, "LOCK_DESTROY", Some("lock.removed")),
            (EventKind::Sharing, "ITEM_SHARED_CREATE", Some("share.created")),
            (EventKind::Sharing, "ITEM_SHARED_UPDATE", Some("share.updated")),
            (EventKind::Sharing, "ITEM_SHARED_UNSHARE", Some("share.removed")),
            (EventKind::Sharing, "COLLAB_ADD_COLLABORATOR", Some("collaboration.added")),
            (EventKind::Sharing, "COLLAB_ROLE_CHANGE", Some("collaboration.updated")),
            (EventKind::Sharing, "COLLAB_REMOVE_COLLABORATOR", Some("collaboration.removed")),
            (EventKind::Uploaded, "ITEM_UPLOAD", None),
        ] {
            assert_eq!(HookKind::of_event(event, word).map(HookKind::word), kind, "{word}");
        }
    }

    #[test]
    fn groups_cover_their_own() {
        let files = Listen::parse("file.*").unwrap();
        assert!(files.covers(HookKind::FileMoved) && !files.covers(HookKind::FolderMoved));
        assert!(Listen::Everything.covers(HookKind::Hold));
        assert!(!Listen::Kind(HookKind::Hold).covers(HookKind::Problem));
    }
}
