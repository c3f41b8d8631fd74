//! What a hook is asked, as values: about which content, why, and in which words.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Scope, TAKEN_UP, staged_path};
use crate::engine::effect::HookOrder;
use crate::hook::document::{AccountPart, Actor, Document, FolderPart, ItemPart, SCHEMA};
use crate::hook::{self, HookSettings, Matter, Verdict, When};
use crate::id::{FolderId, ItemId, NodeId, Sha256, VersionId};
use crate::path::RelPath;
use crate::store::hooks::said;
use crate::store::quarantine::NewQuarantine;
use crate::tree::{Stamp, Wall};

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
    /// What was fetched for an item, on its way to a place in its folder; nothing if that is not there.
    pub fn staged(scope: &Scope<'_>, node: NodeId, place: &RelPath) -> Option<Self> {
        let (staged, content) = scope.staged.get(&node)?;
        Some(Self {
            matter: Matter::Staged,
            sha256: staged.sha256,
            version: Some(content.version.clone()),
            size: content.size,
            file: staged_path(&scope.settings.local, &staged.name),
            place: place.clone(),
            stamp: Some(staged.stamp).filter(|stamp| stamp.ctime_ns == TAKEN_UP),
        })
    }

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

/// A verdict in a sentence.
pub(super) fn told(hook: &HookSettings, outcome: &hook::Outcome) -> String {
    let why = said(outcome).or_else(|| outcome.reason.clone()).unwrap_or_else(|| outcome.verdict.to_string());
    match outcome.verdict {
        Verdict::Reject | Verdict::Allow => format!("hook `{}` rejects it: {why}", hook.name),
        Verdict::Unscannable => format!("hook `{}` cannot look into it: {why}", hook.name),
        Verdict::TimedOut => format!("hook `{}` timed out: {why}", hook.name),
        Verdict::Error => format!("hook `{}` failed: {}", hook.name, outcome.reason.as_deref().unwrap_or(&why)),
    }
}

/// What lies beside a content in quarantine, for whoever finds it without the database: JSON. `told`: the hooks that had heard of it.
pub(super) fn sidecar(new: &NewQuarantine<'_>, number: i64, told: &[String]) -> String {
    let mut sidecar = serde_json::json!({
        "schema": 1, "number": number, "folder": new.folder_name, "path": new.path, "item": new.item.to_string(),
        "version": new.version, "sha256": new.sha256.to_string(), "size": new.size, "hook": new.hook,
        "verdict": new.verdict, "reason": new.reason, "at_ms": new.at.0,
    });
    if let Some(since) = new.since {
        sidecar["in_folder_since_ms"] = since.0.into();
        sidecar["brought_by"] = new.actor.into();
        sidecar["hooks_told"] = told.into();
    }
    sidecar.to_string()
}
