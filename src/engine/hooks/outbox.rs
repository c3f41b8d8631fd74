//! Hooks that react: what they are to be told is written down with the change itself, and told until it was heard.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use super::{Hooks, Scope};
use crate::command::Answer;
use crate::deed::Deed;
use crate::engine::ctx::{Ctx, millis};
use crate::engine::effect::{Effect, HookOrder, Notice};
use crate::engine::jobs::{Job, Jobs};
use crate::events::interval::backoff;
use crate::hook::document::{AccountPart, Actor, Document, ItemPart, SCHEMA};
use crate::hook::select::Happening;
use crate::hook::{self, HookKind, HookSettings, Verdict, When};
use crate::id::{AccountId, FolderId};
use crate::path::RelPath;
use crate::settings::AccountSettings;
use crate::store::Result;
use crate::store::hooks::{NewDelivery, NewRun, said};
use crate::store::intents::IntentRow;
use crate::store::items::ItemRow;
use crate::store::work::WorkRow;

/// Hooks that may stand between a change and its cause; one more is not called by itself.
const DEPTH_MOST: u32 = 8;
/// How long after a run a change in its folder may be its doing, in milliseconds.
const CAUSED_WITHIN_MS: i64 = 60_000;
/// Name of the state of a delivery that a loop seems to have caused.
const LOOP: &str = "it seems to have caused itself: hooks led to hooks, and `agent replay` tells it all the same";

/// A delivery under way.
#[derive(Debug)]
pub(super) struct Telling {
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

    /// An item has a problem; nothing if it failed before, as further failures of it are no news.
    pub fn of_problem(item: &ItemRow, work: &WorkRow, path: &str, code: &str, text: &str) -> Option<Self> {
        let story = || Self::of_item(HookKind::Problem, item, path.to_owned()).with_message(format!("{code}: {text}"));
        (work.attempts == 0).then(story)
    }

    /// The account that it happened to as a whole.
    pub fn account(&self) -> Option<AccountId> {
        self.account
    }

    /// The folder that it happened in.
    pub fn folder(&self) -> Option<FolderId> {
        self.folder
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

impl Hooks {
    /// Writes down what hooks are to be told, in the transaction of the change itself.
    /// `folder` and `account` are those that it happened in.
    pub fn happened(
        &mut self,
        ctx: &mut Ctx,
        (folder, account): (Option<Scope<'_>>, Option<&AccountSettings>),
        mut story: Story,
        work: Option<&WorkRow>,
    ) -> Result<()> {
        if self.selector.is_empty() {
            return Ok(());
        }
        if let Some(journal) = work.and_then(|work| work.journal)
            && let Some((kind, actor, ours)) = ctx.store.event_actor(journal)?
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
        let Some(account) = account else { return Ok(()) };
        let account_part = AccountPart { name: account.name.clone(), provider: account.provider.word().to_owned() };
        let folder_name = folder.map(|folder| folder.settings.name.clone());
        let path = story.item.as_ref().map(|item| item.path.clone());
        let what = Happening {
            kind: story.kind,
            account: &account.name,
            folder: folder_name.as_deref(),
            path: path.as_deref(),
            is_dir: story.item.as_ref().is_some_and(|item| item.kind == "folder"),
        };
        let hooks: Vec<String> = self.selector.choose(When::After, what).map(|hook| hook.name.clone()).collect();
        if hooks.is_empty() {
            return Ok(());
        }
        let file = story.place.as_ref().zip(folder).map(|(place, folder)| folder.settings.local.join(place.to_path()));
        let gone = matches!(story.kind, HookKind::FileDeleted | HookKind::FolderDeleted);
        let file = file.filter(|_| !gone);
        let (depth, causes, is_sure) = self.cause(ctx, story.ours, folder_name.as_deref(), path.as_deref());
        for hook in hooks {
            let key = format!("{:016x}{:016x}", ctx.chance.next(), ctx.chance.next());
            let document = Document {
                schema: SCHEMA,
                hook: hook.clone(),
                when: When::After,
                event: story.kind,
                delivery: key.clone(),
                attempt: 1,
                at: ctx.now.wall,
                account: Some(account_part.clone()),
                folder: folder.map(|folder| folder.folder_part()),
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
            let wait = if depth > DEPTH_MOST { slowed(ctx, depth) } else { Duration::ZERO };
            ctx.store.add_delivery(&NewDelivery {
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
                at: ctx.now.wall.plus_ms(millis(wait) as i64),
                dead: too_deep.then_some(LOOP),
            })?;
            if too_deep && let Some(folder) = story.folder {
                let (path, text) = (path.clone().unwrap_or_default(), format!("hook `{hook}` is not called: {LOOP}"));
                ctx.notice(Notice::Problem { folder, path, code: "hook_loop".into(), text });
            }
        }
        // This step may begin to tell it.
        ctx.more = true;
        Ok(())
    }

    /// Which hook's run may have led to a change that our own account made: how deep the chain is, who is in it, and whether
    /// the names leave no doubt. What anybody else did is nobody's doing.
    fn cause(
        &mut self,
        ctx: &Ctx,
        is_ours: bool,
        folder: Option<&str>,
        path: Option<&str>,
    ) -> (u32, Vec<String>, bool) {
        if !is_ours {
            return (0, Vec::new(), false);
        }
        let related = |other: Option<&str>| match (path, other) {
            (Some(path), Some(other)) => path == other || stem(path).contains(stem(other)),
            _ => false,
        };
        let now = ctx.now.wall;
        self.recent.retain(|(at, _)| now.since(*at) < CAUSED_WITHIN_MS);
        let running = self.telling.values();
        let all = running.chain(self.recent.iter().map(|(_, told)| told));
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

    /// Tells hooks what is due, as far as there is room.
    pub fn tell(&mut self, ctx: &mut Ctx, jobs: &mut Jobs) -> Result<()> {
        let hooks: Vec<HookSettings> = self.selector.all().filter(|hook| hook.when == When::After).cloned().collect();
        for hook in hooks {
            if !self.lines.has_room(&hook, ctx.now.mono) {
                continue;
            }
            let limit = hook.concurrency + self.lines.running(&hook.name);
            for row in ctx.store.due_deliveries(&hook.name, ctx.now.wall, limit)? {
                if self.telling.contains_key(&row.delivery) {
                    continue;
                }
                if !self.lines.has_room(&hook, ctx.now.mono) {
                    break;
                }
                let Some(mut document) = read_document(&row.document) else {
                    ctx.store.bury_delivery(row.delivery, "its document cannot be read")?;
                    continue;
                };
                let Some(job) =
                    jobs.start(&mut ctx.store, Job::Tell { delivery: row.delivery, hook: Box::new(hook.clone()) })?
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
                self.telling.insert(row.delivery, telling);
                self.lines.begin(&hook, ctx.now.mono);
                let order = HookOrder {
                    settings: hook.clone(),
                    document,
                    path: row.raw_path.map(OsString::from_vec),
                    file: row.file.map(|file| PathBuf::from(OsString::from_vec(file))),
                    stamp: None,
                };
                ctx.out.push(Effect::Hook { job, order: Box::new(order) });
            }
            if let Some(due) = ctx.store.next_delivery_due(&hook.name, ctx.now.wall)? {
                let at = ctx.now.mono.saturating_add(due.since(ctx.now.wall).max(0) as u64);
                self.lines.wake(at);
            }
        }
        Ok(())
    }

    /// An `after` hook was told, or did not listen.
    pub fn told(&mut self, ctx: &mut Ctx, delivery: i64, hook: &HookSettings, outcome: &hook::Outcome) -> Result<()> {
        self.lines.release(&hook.name);
        let telling = self.telling.remove(&delivery);
        let Some(row) = ctx.store.delivery(delivery)? else { return Ok(()) };
        let Some(document) = read_document(&row.document) else { return Ok(()) };
        let attempt = row.attempts + 1;
        let effect = if outcome.verdict == Verdict::Allow {
            ctx.store.delivered(delivery)?;
            "delivered"
        } else {
            let why = outcome.reason.clone().or_else(|| said(outcome)).unwrap_or_else(|| outcome.verdict.to_string());
            if attempt >= hook.attempts {
                ctx.store.bury_delivery(delivery, &why)?;
                "dead"
            } else {
                let pause = delivery_pause(ctx, row.attempts);
                ctx.store.put_off_delivery(delivery, ctx.now.wall.plus_ms(millis(pause) as i64), &why)?;
                "again"
            }
        };
        let item = document.item.as_ref();
        let id = item.and_then(|item| item.id.as_ref().map(|id| format!("{}:{id}", item.kind)));
        ctx.store.add_run(&NewRun {
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
            at: ctx.now.wall,
            outcome,
            effect,
        })?;
        if let Some(telling) = telling {
            if self.recent.len() >= RECENT_MOST {
                self.recent.pop_front();
            }
            self.recent.push_back((ctx.now.wall, telling));
        }
        Ok(())
    }

    /// Tells again what was told before, or what was given up.
    pub(in crate::engine) fn replay(ctx: &mut Ctx, run: Option<i64>, hook: Option<&str>) -> Result<Answer> {
        let count = ctx.store.replay(run, hook, ctx.now.wall)?;
        ctx.more = true;
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

/// What was done on disk by a deed, for the hooks that want to know; nothing if none may.
pub(in crate::engine) fn story_of_deed(
    ctx: &mut Ctx,
    item: &ItemRow,
    intent: &IntentRow,
    what: &str,
    (path, from): (&str, Option<String>),
) -> Result<Option<Story>> {
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
        _ => return Ok(None),
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
        Deed::KeepFiles { .. } => return Ok(None),
    };
    let place = ctx.in_sight(item, place)?;
    // The row as the deed has just left it.
    let item = ctx.store.item(item.node)?.unwrap_or_else(|| item.clone());
    Ok(Some(Story::of_item(kind, &item, path.to_owned()).placed(place, from)))
}

/// The wait before a delivery is tried again: it doubles from five seconds to an hour, varied by chance.
fn delivery_pause(ctx: &mut Ctx, attempts: u32) -> Duration {
    const FIRST_SECONDS: u64 = 5;
    const LONGEST: Duration = Duration::from_hours(1);
    let whole = Duration::from_secs(FIRST_SECONDS << attempts.min(10)).min(LONGEST);
    // Half of it is chance, so that what failed together does not come back together.
    let half = whole / 2;
    half + Duration::from_millis(ctx.chance.next() % (half.as_millis() as u64 + 1))
}

/// How soon what a loop may have caused is told.
fn slowed(ctx: &mut Ctx, depth: u32) -> Duration {
    backoff(depth, None, ctx.chance.next())
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
