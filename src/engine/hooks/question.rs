//! What a hook is asked, as values: about which content, why, and in which words.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::engine::effect::HookOrder;
use crate::hook::document::{AccountPart, Actor, Document, FolderPart, ItemPart, SCHEMA};
use crate::hook::{HookKind, HookSettings, When};
use crate::id::{FolderId, ItemId, Sha256, VersionId};
use crate::path::RelPath;
use crate::tree::{Stamp, Wall};

/// What a hook is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Matter {
    /// A staged version that wants to be published.
    Staged,
    /// A file of the folder that wants a name that the hook covers.
    Renamed,
    /// A local file, or a name of one, that wants to go to the cloud.
    Leaving,
}

impl Matter {
    /// What this is in the words of hooks.
    pub fn kind(self) -> HookKind {
        match self {
            Self::Staged | Self::Renamed => HookKind::FileDownload,
            Self::Leaving => HookKind::FileUpload,
        }
    }
}

/// A content that hooks are to decide about.
#[derive(Debug)]
pub(in crate::engine) struct Candidate {
    /// Why it is asked.
    pub matter: Matter,
    /// Its digest.
    pub sha256: Sha256,
    /// The cloud's version, where it has one.
    pub version: Option<VersionId>,
    /// Bytes.
    pub size: u64,
    /// Where it can be read.
    pub file: PathBuf,
    /// Where it is, or is to be, in the folder.
    pub place: RelPath,
    /// What the file is, where others can change it meanwhile.
    pub stamp: Option<Stamp>,
}

/// Who and what a question is about, besides the content.
#[derive(Debug)]
pub(in crate::engine) struct About<'a> {
    /// The folder.
    pub folder: FolderId,
    /// The item.
    pub item: &'a ItemId,
    /// Which attempt.
    pub attempt: u32,
    /// Who did what leads to it.
    pub actor: Option<Actor>,
    /// Now.
    pub at: Wall,
    /// The folder's account, as documents show it.
    pub account_part: Option<AccountPart>,
    /// The folder, as documents show it.
    pub folder_part: Option<FolderPart>,
}

impl Candidate {
    /// The question.
    pub fn order(&self, hook: &HookSettings, about: About<'_>) -> HookOrder {
        let part = ItemPart {
            kind: about.item.kind().word().into(),
            id: Some(about.item.raw().to_owned()),
            version: self.version.as_ref().map(ToString::to_string),
            path: self.place.to_string(),
            path_before: None,
            size: Some(self.size),
            sha256: Some(self.sha256.to_string()),
        };
        let document = Document {
            schema: SCHEMA,
            hook: hook.name.clone(),
            when: When::Before,
            event: self.matter.kind(),
            delivery: format!("{}-{}-{}", about.folder, about.item, self.sha256),
            attempt: about.attempt,
            at: about.at,
            account: about.account_part,
            folder: about.folder_part,
            item: Some(part),
            file: Some(self.file.display().to_string()),
            actor: about.actor,
            message: None,
            depth: 0,
            causes: Vec::new(),
        };
        HookOrder {
            settings: hook.clone(),
            document,
            path: Some(OsString::from(self.place.to_path())),
            file: Some(self.file.clone()),
            stamp: self.stamp,
        }
    }
}
