//! Hooks that react: what they are to be told is written down with the change itself, and told until it was heard.

use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::line::Trial;
use super::{SCANNER_DOWN, basis_digest, content_id};
use crate::command::Answer;
use crate::deed::Deed;
use crate::engine::effect::{Effect, HookOrder, Notice};
use crate::engine::{Engine, Job, millis};
use crate::hook::document::{AccountPart, Actor, Document, ItemPart, SCHEMA};
use crate::hook::select::Happening;
use crate::hook::{self, HookKind, HookSettings, Verdict, When};
use crate::id::AccountId;
use crate::id::FolderId;
use crate::path::RelPath;
use crate::store::Result;
use crate::store::examined::Examiner;
use crate::store::hooks::NewDelivery;
use crate::store::hooks::{NewRun, said};
use crate::store::intents::IntentRow;
use crate::store::items::ItemRow;
use crate::store::work::WorkRow;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Hooks that may stand between a change and its cause; one more is not called by itself.
const DEPTH_MOST: u32 = 8;
/// How long after a run a change in its folder may be its doing, in milliseconds.
const CAUSED_WITHIN_MS: i64 = 60_000;
/// Name of the state of a delivery that a loop seems to have caused.
const LOOP: &str = "it seems to have caused itself: hooks led to hooks, and `agent replay` tells it all the same";

/// A delivery under way.
#[derive(Debug)]
pub(in crate::engine) struct Telling {
    hook: String,
    folder: Option<String>,
    path: Option<String>,
    depth: u32,
    causes: Vec<String>,
}

/// Something that happened, for hooks that react.
#[derive(Debug)]
pub(in crate::engine) struct Story {
    kind: HookKind,
    account: Option<AccountId>,
    folder: Option<FolderId>,
    item: Option<ItemPart>,
    /// Kind and id of the item: what keeps its order.
    chain: String,
    /// The local place of the item.
    place: Option<RelPath>,
    message: Option<String>,
    actor: Option<String>,
    /// Our own account did it.
    ours: bool,
}

impl Story {
    /// Something happened to an item at a path.
    pub fn of_item(kind: HookKind, item: &ItemRow, path: String) -> Self {
        let content = item.remote.content.as_ref();
        let synced = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
        let part = ItemPart {
            kind: item.id.kind().word().into(),
            id: Some(item.id.raw().to_owned()),
            version: content.map(|content| content.version.to_string()),
            path,
            path_before: None,
            size: synced.map(|synced| synced.size).or(content.and_then(|content| content.size)),
            sha256: synced.and_then(|synced| synced.sha256).map(|sha256| sha256.to_string()),
        };
        Self {
            kind,
            account: None,
            folder: Some(item.folder),
            item: Some(part),
            chain: item.id.to_string(),
            place: None,
            message: None,
            actor: None,
            ours: false,
        }
    }

    /// Something happened to an account or a folder as a whole.
    pub fn at_large(kind: HookKind, account: Option<AccountId>, folder: Option<FolderId>, message: String) -> Self {
        Self {
            kind,
            account,
            folder,
            item: None,
            chain: String::new(),
            place: None,
            message: Some(message),
            actor: None,
            ours: false,
        }
    }

    /// With a sentence.
    pub fn with_message(mut self, message: String) -> Self {
        self.message = Some(message);
        self
    }

    /// With the person who did it.
    pub fn by(mut self, actor: Option<String>, ours: bool) -> Self {
        self.actor = actor;
        self.ours = ours;
        self
    }

    /// With the local place, and the one before.
    pub fn placed(mut self, place: RelPath, before: Option<String>) -> Self {
        self.place = Some(place);
        if let Some(item) = &mut self.item {
            item.path_before = before;
        }
        self
    }
}

impl Engine {
    /// Who did what an item's work is about.
    pub(in crate::engine) fn actor_of(&self, work: &WorkRow) -> Result<Option<Actor>> {
        let Some(journal) = work.journal else { return Ok(None) };
        Ok(self
            .ctx
            .store
            .event_actor(journal)?
            .map(|(_, name, _)| Actor { id: None, name })
            .filter(|actor| actor.name.is_some()))
    }

    /// Writes down what hooks are to be told, in the transaction of the change itself.
    pub(in crate::engine) fn happened(&mut self, mut story: Story, work: Option<&WorkRow>) -> Result<()> {
        if self.hooks.selector.is_empty() {
            return Ok(());
        }
        if let Some(journal) = work.and_then(|work| work.journal)
            && let Some((kind, actor, ours)) = self.ctx.store.event_actor(journal)?
        {
            story.actor = actor.or(story.actor);
            story.ours = ours;
            if kind == "restored" {
                story.kind = match story.kind {
                    HookKind::FileCreated => HookKind::FileRestored,
                    HookKind::FolderCreated => HookKind::FolderRestored,
                    other => other,
                };
            }
        }
        let folder = story.folder.and_then(|id| self.folders.get(&id));
        let account_id = story.account.or(folder.map(|folder| folder.account));
        let Some(account) = account_id.and_then(|id| self.accounts.get(&id)) else { return Ok(()) };
        let account_name = account.settings.name.clone();
        let provider = account.settings.provider.word().to_owned();
        let folder_name = folder.map(|folder| folder.settings.name.clone());
        let path = story.item.as_ref().map(|item| item.path.clone());
        let what = Happening {
            kind: story.kind,
            account: &account_name,
            folder: folder_name.as_deref(),
            path: path.as_deref(),
            is_dir: story.item.as_ref().is_some_and(|item| item.kind == "folder"),
        };
        let hooks: Vec<String> = self.hooks.selector.choose(When::After, what).map(|hook| hook.name.clone()).collect();
        if hooks.is_empty() {
            return Ok(());
        }
        let file = story.place.as_ref().zip(folder).map(|(place, folder)| folder.settings.local.join(place.to_path()));
        let gone = matches!(story.kind, HookKind::FileDeleted | HookKind::FolderDeleted);
        let file = file.filter(|_| !gone);
        let (depth, causes, is_sure) = self.cause(story.ours, folder_name.as_deref(), path.as_deref());
        for hook in hooks {
            let key = format!("{:016x}{:016x}", self.ctx.chance.next(), self.ctx.chance.next());
            let document = Document {
                schema: SCHEMA,
                hook: hook.clone(),
                when: When::After,
                event: story.kind,
                delivery: key.clone(),
                attempt: 1,
                at: self.ctx.now.wall,
                account: Some(AccountPart { name: account_name.clone(), provider: provider.clone() }),
                folder: story.folder.and_then(|id| self.folder_part(id)),
                item: story.item.clone(),
                file: file.as_ref().map(|file| file.display().to_string()),
                actor: story.actor.clone().map(|name| Actor { id: None, name: Some(name) }),
                message: story.message.clone(),
                depth,
                causes: causes.clone(),
            };
            let text = String::from_utf8_lossy(&document.to_json()).into_owned();
            let raw_path = story.place.as_ref().map(RelPath::to_path);
            let too_deep = depth > DEPTH_MOST && is_sure;
            let wait = if depth > DEPTH_MOST { self.slowed(depth) } else { Duration::ZERO };
            self.ctx.store.add_delivery(&NewDelivery {
                key: &key,
                hook: &hook,
                chain: &story.chain,
                event: story.kind.word(),
                folder: folder_name.as_deref(),
                path: path.as_deref(),
                raw_path: raw_path.as_ref().map(|path| path.as_os_str().as_bytes()),
                file: file.as_ref().map(|file| file.as_os_str().as_bytes()),
                document: &text,
                depth,
                at: self.ctx.now.wall.plus_ms(millis(wait) as i64),
                dead: too_deep.then_some(LOOP),
            })?;
            if too_deep && let Some(folder) = story.folder {
                let (path, text) = (path.clone().unwrap_or_default(), format!("hook `{hook}` is not called: {LOOP}"));
                self.ctx.notice(Notice::Problem { folder, path, code: "hook_loop".into(), text });
            }
        }
        // This step may begin to tell it.
        self.ctx.more = true;
        Ok(())
    }

    /// An item has a problem; further failures of it are no news.
    pub(in crate::engine) fn problem_happened(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        path: &str,
        code: &str,
        text: &str,
    ) -> Result<()> {
        if work.attempts > 0 {
            return Ok(());
        }
        let story = Story::of_item(HookKind::Problem, item, path.to_owned()).with_message(format!("{code}: {text}"));
        self.happened(story, Some(work))
    }

    /// Whether a hook may want to know of files that are removed from a folder.
    pub(in crate::engine) fn tells_of_removals(&self, id: FolderId) -> bool {
        let name = self.folders.get(&id).map(|folder| folder.settings.name.as_str());
        self.hooks.selector.may_choose(When::After, HookKind::FileDeleted, name)
    }

    /// Whether a hook decides about files that come to a folder, or is told of each.
    pub(in crate::engine) fn asks_hooks_of_arrivals(&self, id: FolderId) -> bool {
        let name = self.folders.get(&id).map(|folder| folder.settings.name.as_str());
        self.hooks.selector.may_choose(When::Before, HookKind::FileDownload, name)
            || self.hooks.selector.may_choose(When::After, HookKind::FileCreated, name)
    }

    /// What was done on disk, for the hooks that want to know.
    pub(in crate::engine) fn tell_of(
        &mut self,
        item: &ItemRow,
        intent: &IntentRow,
        what: &str,
        path: &str,
        from: Option<String>,
        work: Option<&WorkRow>,
    ) -> Result<()> {
        let kind = match (what, item.id.is_folder()) {
            ("downloaded", _) => HookKind::FileCreated,
            ("replaced", _) => HookKind::FileUpdated,
            ("folder created" | "folder restored", _) => HookKind::FolderCreated,
            ("renamed", false) => HookKind::FileRenamed,
            ("renamed", true) => HookKind::FolderRenamed,
            ("moved", false) => HookKind::FileMoved,
            ("moved", true) => HookKind::FolderMoved,
            (what, is_folder) if what.starts_with("removed") => {
                if is_folder {
                    HookKind::FolderDeleted
                } else {
                    HookKind::FileDeleted
                }
            }
            _ => return Ok(()),
        };
        let place = match &intent.order.deed {
            Deed::MakeFolder { at }
            | Deed::Publish { at, .. }
            | Deed::RemoveFile { at, .. }
            | Deed::RemoveFolder { at }
            | Deed::Adopt { at, .. }
            | Deed::Relocate { to: at, .. }
            | Deed::KeepFolder { at, .. }
            | Deed::RestoreFolder { at, .. } => at,
            // Each file is told of by itself.
            Deed::KeepFiles { .. } => return Ok(()),
        };
        let place = self.ctx.in_sight(item, place)?;
        // The row as the deed has just left it.
        let item = self.ctx.store.item(item.node)?.unwrap_or_else(|| item.clone());
        let story = Story::of_item(kind, &item, path.to_owned()).placed(place, from);
        self.happened(story, work)
    }

    /// Which hook's run may have led to a change that our own account made: how deep the chain is, who is in it, and whether
    /// the names leave no doubt. What anybody else did is nobody's doing.
    fn cause(&mut self, is_ours: bool, folder: Option<&str>, path: Option<&str>) -> (u32, Vec<String>, bool) {
        if !is_ours {
            return (0, Vec::new(), false);
        }
        let related = |other: Option<&str>| match (path, other) {
            (Some(path), Some(other)) => path == other || stem(path).contains(stem(other)),
            _ => false,
        };
        let now = self.ctx.now.wall;
        self.hooks.recent.retain(|(at, _)| now.since(*at) < CAUSED_WITHIN_MS);
        let running = self.hooks.telling.values();
        let all = running.chain(self.hooks.recent.iter().map(|(_, told)| told));
        let cause = all
            .filter(|told| told.folder.as_deref() == folder)
            .map(|told| (related(told.path.as_deref()), told))
            .max_by_key(|(related, told)| (*related, told.depth));
        match cause {
            Some((related, told)) => {
                let mut causes = told.causes.clone();
                causes.push(told.hook.clone());
                let surplus = causes.len().saturating_sub(DEPTH_MOST as usize);
                causes.drain(..surplus);
                (told.depth + 1, causes, related)
            }
            None => (0, Vec::new(), false),
        }
    }

    /// What a run tells of the hook itself: whether it works, and which signatures it has.
    pub(super) fn heard_of(&mut self, hook: &HookSettings, outcome: &hook::Outcome) -> Result<()> {
        if let Some(version) = &outcome.version
            && self.hooks.lines.told_version(&hook.name, version)
        {
            self.hooks.rounds.signatures_changed(&hook.name);
        }
        if outcome.is_moot {
            return Ok(());
        }
        if matches!(outcome.verdict, Verdict::Error | Verdict::TimedOut) {
            let cause = outcome.reason.clone().or_else(|| said(outcome)).unwrap_or_else(|| outcome.verdict.to_string());
            let now = (self.ctx.now.mono, self.ctx.now.wall);
            if self.hooks.lines.failed(&hook.name, &cause, outcome.is_down, now) {
                let message = format!("hook `{}` does not work, and what it decides about waits: {cause}", hook.name);
                self.hooks.happens_later(Story::at_large(HookKind::Problem, None, None, message));
            }
        } else if self.hooks.lines.worked(&hook.name) {
            // It works again: nobody waits any longer for its sake.
            self.ctx.store.wake_hook(SCANNER_DOWN, &hook.name, true)?;
            self.ctx.store.wake_hook("hook_error", &hook.name, true)?;
            self.hooks.rounds.look();
            self.ctx.more = true;
        }
        Ok(())
    }

    /// Sees to hooks that do not work, and to scanners whose signatures may be new.
    pub(super) fn try_hooks(&mut self) -> Result<()> {
        let hooks: Vec<HookSettings> = self.hooks.selector.all().cloned().collect();
        for trial in self.hooks.lines.trials(hooks.iter(), self.ctx.now.mono) {
            match trial {
                Trial::Probe(hook) => {
                    let name = hook.name.clone();
                    match self.jobs.start(&mut self.ctx.store, Job::Probe { hook: hook.clone() })? {
                        Some(job) => self.ctx.out.push(Effect::ProbeHook { job, hook }),
                        None => self.hooks.lines.probed(&name),
                    }
                }
                Trial::OneFile(hook) => {
                    self.ctx.store.wake_hook(SCANNER_DOWN, &hook, false)?;
                    self.hooks.rounds.look();
                    self.ctx.more = true;
                }
            }
        }
        Ok(())
    }

    /// A scanner was asked how it is.
    pub(in crate::engine) fn probed_hook(&mut self, hook: &HookSettings, outcome: &hook::Outcome) -> Result<()> {
        self.hooks.lines.probed(&hook.name);
        self.heard_of(hook, outcome)
    }

    /// Has what is on disk examined again: a file, a folder, or everything.
    pub(in crate::engine) fn examine_again(&mut self, path: Option<&str>) -> Result<Answer> {
        let before: Vec<HookSettings> =
            self.hooks.selector.all().filter(|hook| hook.when == When::Before).cloned().collect();
        if before.is_empty() {
            return Ok(Answer::Refused { message: "there is no `before` hook that could examine anything".into() });
        }
        let mut folders: Vec<FolderId> = self.folders.keys().copied().collect();
        if let Some(path) = path {
            let asked = std::path::Path::new(path);
            let found = self.folders.iter().find(|(_, folder)| asked.starts_with(&folder.settings.local));
            let Some((id, root, below)) = found.and_then(|(id, folder)| {
                let below = asked.strip_prefix(&folder.settings.local).ok()?;
                Some((*id, folder.row.root?, below.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>()))
            }) else {
                return Ok(Answer::NotFound { message: format!("{path} lies in no watched folder") });
            };
            if !below.is_empty() {
                let node = self.ctx.store.reader().item_on_disk(root, &below)?;
                let item = node.map(|node| self.ctx.store.item(node)).transpose()?.flatten();
                let Some(item) = item.filter(|item| item.synced.is_some() && !item.id.is_folder()) else {
                    let message = format!("{path} is no file of a watched folder; name a file, or the whole folder");
                    return Ok(Answer::NotFound { message });
                };
                return self.examine_file_again(&item, path);
            }
            folders = vec![id];
        }
        self.ctx.store.forget_all_verdicts()?;
        for id in folders {
            for hook in &before {
                let basis = basis_digest(hook);
                self.ctx.store.begin_round(id, Examiner { hook: &hook.name, basis: &basis }, self.ctx.now.wall)?;
            }
        }
        self.hooks.rounds.begin();
        self.ctx.more = true;
        Ok(Answer::Ok { message: "what is on disk is examined again, beside the rest of the work".into() })
    }

    fn examine_file_again(&mut self, item: &ItemRow, path: &str) -> Result<Answer> {
        let shown = self.ctx.shown_path(item)?;
        let judges = self.judges_of(item.folder, HookKind::FileDownload, &shown);
        if judges.is_empty() {
            return Ok(Answer::Refused { message: format!("no `before` hook covers {path}") });
        }
        self.ctx.store.forget_verdicts(content_id(item))?;
        for hook in &judges {
            self.ctx.store.want_examined(item.node, item.folder, &hook.name)?;
        }
        self.hooks.rounds.look_from_the_start();
        self.ctx.more = true;
        let names: Vec<&str> = judges.iter().map(|hook| hook.name.as_str()).collect();
        Ok(Answer::Ok { message: format!("{path} is examined again by {}", names.join(", ")) })
    }

    /// Tells hooks what is due, as far as there is room.
    pub(in crate::engine) fn tell(&mut self) -> Result<()> {
        self.hooks.lines.forget_wake();
        for story in std::mem::take(&mut self.hooks.later) {
            self.happened(story, None)?;
        }
        self.try_hooks()?;
        self.release_waiting()?;
        self.examine()?;
        self.dispose()?;
        let hooks: Vec<HookSettings> =
            self.hooks.selector.all().filter(|hook| hook.when == When::After).cloned().collect();
        for hook in hooks {
            if !self.hooks.lines.has_room(&hook, self.ctx.now.mono) {
                continue;
            }
            let limit = hook.concurrency + self.hooks.lines.running(&hook.name);
            for row in self.ctx.store.due_deliveries(&hook.name, self.ctx.now.wall, limit)? {
                if self.hooks.telling.contains_key(&row.delivery) {
                    continue;
                }
                if !self.hooks.lines.has_room(&hook, self.ctx.now.mono) {
                    break;
                }
                let Some(mut document) = read_document(&row.document) else {
                    self.ctx.store.bury_delivery(row.delivery, "its document cannot be read")?;
                    continue;
                };
                let Some(job) = self
                    .jobs
                    .start(&mut self.ctx.store, Job::Tell { delivery: row.delivery, hook: Box::new(hook.clone()) })?
                else {
                    return Ok(());
                };
                document.attempt = row.attempts + 1;
                let telling = Telling {
                    hook: hook.name.clone(),
                    folder: document.folder.as_ref().map(|folder| folder.name.clone()),
                    path: document.item.as_ref().map(|item| item.path.clone()),
                    depth: document.depth,
                    causes: document.causes.clone(),
                };
                self.hooks.telling.insert(row.delivery, telling);
                self.hooks.lines.begin(&hook, self.ctx.now.mono);
                let order = HookOrder {
                    settings: hook.clone(),
                    document,
                    path: row.raw_path.map(OsString::from_vec),
                    file: row.file.map(|file| PathBuf::from(OsString::from_vec(file))),
                    stamp: None,
                };
                self.ctx.out.push(Effect::Hook { job, order: Box::new(order) });
            }
            if let Some(due) = self.ctx.store.next_delivery_due(&hook.name, self.ctx.now.wall)? {
                let at = self.ctx.now.mono.saturating_add(due.since(self.ctx.now.wall).max(0) as u64);
                self.hooks.lines.wake(at);
            }
        }
        Ok(())
    }

    /// An `after` hook was told, or did not listen.
    pub(in crate::engine) fn told_hook(
        &mut self,
        delivery: i64,
        hook: &HookSettings,
        outcome: &hook::Outcome,
    ) -> Result<()> {
        self.hooks.lines.release(&hook.name);
        let telling = self.hooks.telling.remove(&delivery);
        let Some(row) = self.ctx.store.delivery(delivery)? else { return Ok(()) };
        let Some(document) = read_document(&row.document) else { return Ok(()) };
        let attempt = row.attempts + 1;
        let effect = if outcome.verdict == Verdict::Allow {
            self.ctx.store.delivered(delivery)?;
            "delivered"
        } else {
            let why = outcome.reason.clone().or_else(|| said(outcome)).unwrap_or_else(|| outcome.verdict.to_string());
            if attempt >= hook.attempts {
                self.ctx.store.bury_delivery(delivery, &why)?;
                "dead"
            } else {
                let pause = self.delivery_pause(row.attempts);
                self.ctx.store.put_off_delivery(delivery, self.ctx.now.wall.plus_ms(millis(pause) as i64), &why)?;
                "again"
            }
        };
        let item = document.item.as_ref();
        let id = item.and_then(|item| item.id.as_ref().map(|id| format!("{}:{id}", item.kind)));
        self.ctx.store.add_run(&NewRun {
            delivery: Some(delivery),
            hook: &hook.name,
            when: When::After,
            event: document.event.word(),
            folder: document.folder.as_ref().map(|folder| folder.name.as_str()),
            path: item.map(|item| item.path.as_str()),
            item: id.as_deref(),
            sha256: None,
            attempt,
            depth: document.depth,
            at: self.ctx.now.wall,
            outcome,
            effect,
        })?;
        if let Some(telling) = telling {
            if self.hooks.recent.len() >= RECENT_MOST {
                self.hooks.recent.pop_front();
            }
            self.hooks.recent.push_back((self.ctx.now.wall, telling));
        }
        Ok(())
    }

    /// Tells again what was told before, or what was given up.
    pub(in crate::engine) fn replay(&mut self, run: Option<i64>, hook: Option<&str>) -> Result<Answer> {
        let count = self.ctx.store.replay(run, hook, self.ctx.now.wall)?;
        self.ctx.more = true;
        Ok(match (run, count) {
            (Some(run), 0) => Answer::NotFound {
                message: format!("run {run} is not that of an `after` hook, or too old; see `agent hook-runs`"),
            },
            (Some(run), _) => Answer::Ok { message: format!("run {run} is repeated, with the same delivery id") },
            (None, 0) => Answer::Ok { message: "there is nothing to tell again".into() },
            (None, 1) => Answer::Ok { message: "one delivery is tried again".into() },
            (None, count) => Answer::Ok { message: format!("{count} deliveries are tried again") },
        })
    }
}

/// Runs remembered as possible causes.
const RECENT_MOST: usize = 1_000;

/// What a name and those derived from it have in common.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.find('.') {
        Some(0) | None => name,
        Some(dot) => &name[..dot],
    }
}

fn read_document(text: &str) -> Option<Document> {
    serde_json::from_str(text).ok()
}
