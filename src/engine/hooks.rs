//! Hooks that decide: what is staged is published only when every `before` hook has allowed it, and what is rejected goes to
//! quarantine.
//!
//! The gate stands between a fetched version and its publication. A verdict holds for exactly the content that was
//! examined: publication looks at the digest once more. [`mod@quarantine`] keeps what is rejected, [`mod@outbox`] has the hooks that react.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::disk::Want;
use super::effect::{Effect, HookOrder, Notice, Task};
use super::{Engine, Job, Phase, millis};
use crate::command::Answer;
use crate::deed::DiskError;
use crate::events::interval::backoff;
use crate::hook::document::{AccountPart, Document, FolderPart, ItemPart, SCHEMA};
use crate::hook::select::Happening;
use crate::hook::{self, HookKind, HookSettings, Policy, QuarantineRemote, Selector, Verdict, When};
use crate::id::{FolderId, NodeId, Sha256, VersionId};
use crate::path::{Name, RESERVED_NAME, RelPath};
use crate::provider::ProviderError;
use crate::store::Result;
use crate::store::hooks::{NewRun, said};
use crate::store::items::{ItemRow, LocalRow};
use crate::store::quarantine::{NewQuarantine, State};
use crate::store::work::{Lane, WorkRow};
use crate::tree::Wall;

mod outbox;
mod quarantine;

pub(super) use outbox::Story;

/// The directory of staged files inside our own.
const STAGING: &str = "staging";
/// Staged files that a folder keeps for hooks that do not work; what is more is fetched again later.
const BLOCKED_KEPT: usize = 64;
/// Failures of a hook in a row after which nothing more is fetched for it.
const FAILURES_MOST: u32 = 3;
/// How long an item waits that nothing but a decision or a new version can help.
const QUARANTINE_RECONSIDERED_EVERY: Duration = Duration::from_hours(24);
/// How long an item waits for room.
const ROOM_AWAITED: Duration = Duration::from_secs(5);
/// The window of `per_minute`.
const MINUTE_MS: u64 = 60_000;
/// The code of an item whose version was rejected.
pub(super) const QUARANTINED: &str = "quarantined";

/// A content that hooks are to decide about.
#[derive(Debug)]
struct Candidate {
    kind: HookKind,
    sha256: Sha256,
    version: Option<VersionId>,
    size: u64,
    file: PathBuf,
    place: RelPath,
}

/// What a content has passed so far.
#[derive(Debug)]
struct Passed {
    sha256: Sha256,
    hooks: BTreeSet<String>,
}

/// What the engine remembers of hooks.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    selector: Selector,
    /// Runs under way, by hook.
    running: BTreeMap<String, u32>,
    /// When the runs of the last minute began, for hooks with a limit.
    begun: BTreeMap<String, VecDeque<u64>>,
    /// Items that wait for room, by hook.
    waiting: BTreeMap<String, VecDeque<NodeId>>,
    passed: BTreeMap<NodeId, Passed>,
    /// Failures in a row, by hook.
    failing: BTreeMap<String, u32>,
    /// Deliveries under way.
    telling: BTreeMap<i64, outbox::Telling>,
    /// Deliveries that ended a short while ago, and when: they may be the cause of what is heard now.
    recent: VecDeque<(Wall, outbox::Telling)>,
    /// When there is something to begin.
    pub wake_at: Option<u64>,
    /// What happened where nothing could be written down.
    later: Vec<Story>,
    started: bool,
}

impl Hooks {
    /// Something happened that is written down at the end of the step.
    pub fn happens_later(&mut self, story: Story) {
        self.later.push(story);
    }

    /// What an item has passed no longer counts.
    pub fn forget(&mut self, node: NodeId) {
        self.passed.remove(&node);
    }

    /// Nobody waits any more.
    pub fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// A run ended, or was given up.
    pub fn release(&mut self, hook: &str) {
        if let Some(running) = self.running.get_mut(hook) {
            *running = running.saturating_sub(1);
        }
    }

    /// Whether one more run of a hook may begin; if only its rate forbids it, when.
    fn has_room(&mut self, hook: &HookSettings, now: u64) -> bool {
        if self.running.get(&hook.name).is_some_and(|running| *running >= hook.concurrency) {
            return false;
        }
        let Some(per_minute) = hook.per_minute else { return true };
        let begun = self.begun.entry(hook.name.clone()).or_default();
        while begun.front().is_some_and(|at| at + MINUTE_MS <= now) {
            begun.pop_front();
        }
        let Some(first) = begun.front().filter(|_| begun.len() >= per_minute as usize) else { return true };
        let at = first + MINUTE_MS;
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
        false
    }

    fn begin(&mut self, hook: &HookSettings, now: u64) {
        *self.running.entry(hook.name.clone()).or_default() += 1;
        if hook.per_minute.is_some() {
            self.begun.entry(hook.name.clone()).or_default().push_back(now);
        }
    }
}

impl Engine {
    /// Takes the hooks of a configuration.
    pub(super) fn wish_hooks(&mut self, hooks: Vec<HookSettings>) -> Result<()> {
        let names: Vec<&str> = hooks.iter().map(|hook| hook.name.as_str()).collect();
        self.ctx.store.bury_orphans(&names)?;
        self.hooks.selector = Selector::new(hooks);
        // Another program may rule otherwise, and a hook that failed may have been mended.
        self.hooks.passed.clear();
        self.hooks.failing.clear();
        if !std::mem::replace(&mut self.hooks.started, true) {
            self.ctx.store.forget_half_quarantined()?;
            self.ctx.out.push(Effect::SweepQuarantine(self.ctx.store.quarantine_contents()?));
        }
        Ok(())
    }

    /// The hooks that must allow a version of an item to come down, or the content of a file to go up from a place.
    fn judges(&mut self, item: &ItemRow, up: Option<&RelPath>) -> Result<Vec<HookSettings>> {
        if self.hooks.selector.is_empty() {
            return Ok(Vec::new());
        }
        let path = match up {
            Some(place) => place.to_string(),
            None => self.shown_path(item)?,
        };
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(Vec::new()) };
        let what = Happening {
            kind: if up.is_some() { HookKind::FileUpload } else { HookKind::FileDownload },
            account: &folder.settings.account,
            folder: Some(&folder.settings.name),
            path: Some(&path),
            is_dir: false,
        };
        Ok(self.hooks.selector.choose(When::Before, what).cloned().collect())
    }

    /// Whether an item's version may be fetched at all. If not, the item was put off.
    pub(super) fn may_fetch(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let Some(content) = &item.remote.content else { return Ok(true) };
        if let Some(row) = self.ctx.store.quarantined_version(item.folder, &item.id, &content.version)?
            && row.state != State::Released
        {
            let text = match row.state {
                State::Deleted | State::Expired => format!("rejected by hook `{}`: {}", row.hook, row.reason),
                _ => format!("in quarantine (number {}): hook `{}` says {}", row.id, row.hook, row.reason),
            };
            self.put_off(work, QUARANTINE_RECONSIDERED_EVERY, QUARANTINED, &text)?;
            return Ok(false);
        }
        let is_staged = self.folders.get(&item.folder).is_some_and(|folder| folder.staged.contains_key(&item.node));
        if is_staged {
            return Ok(true);
        }
        for hook in self.judges(item, None)? {
            let failures = self.hooks.failing.get(&hook.name).copied().unwrap_or(0);
            // What is staged already, and every try of an item that waited its time, shows when it works again.
            let mine = work.attempts > 0;
            if failures >= FAILURES_MOST && !mine {
                let text = format!("hook `{}` does not work: its answer is awaited before more is fetched", hook.name);
                self.item_failed(item.node, "hook_error", &text, None)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether files found on disk may be taken for the cloud's without a look at their content.
    pub(super) fn may_adopt(&mut self, item: &ItemRow) -> Result<bool> {
        Ok(self.judges(item, None)?.is_empty())
    }

    /// Publishes a staged version, or asks who must allow it.
    pub(super) fn publish_if_allowed(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        parent: NodeId,
        name: Name,
    ) -> Result<()> {
        // Without a place for it there is no publication either: that is found out on the way.
        let is_allowed = match self.place(parent)? {
            Some(above) => self.is_allowed(item, work, &above.path.join(&name))?,
            None => true,
        };
        if is_allowed { self.want(item, work, Want::Publish { parent, name }) } else { Ok(()) }
    }

    /// Whether a staged version may be published. If not, a hook is being asked, or the item was put off.
    fn is_allowed(&mut self, item: &ItemRow, work: &WorkRow, place: &RelPath) -> Result<bool> {
        let judges = self.judges(item, None)?;
        if judges.is_empty() {
            return Ok(true);
        }
        let Some(candidate) = self.folders.get(&item.folder).and_then(|folder| {
            let (staged, content) = folder.staged.get(&item.node)?;
            Some(Candidate {
                kind: HookKind::FileDownload,
                sha256: staged.sha256,
                version: Some(content.version.clone()),
                size: content.size,
                file: staged_path(&folder.settings.local, &staged.name),
                place: place.clone(),
            })
        }) else {
            return Ok(false);
        };
        if let Some(version) = &candidate.version
            && let Some(row) = self.ctx.store.quarantined_version(item.folder, &item.id, version)?
            && row.state == State::Released
            && row.sha256 == Some(candidate.sha256)
        {
            return Ok(true);
        }
        self.passes(item, work, judges, &candidate)
    }

    /// Whether a local content may leave for the cloud. If not, a hook is being asked, or the item was put off. The upload
    /// compares the digest with what was examined.
    pub(super) fn may_upload(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        place: &RelPath,
        sha256: Sha256,
        size: u64,
    ) -> Result<bool> {
        let judges = self.judges(item, Some(place))?;
        let Some(folder) = self.folders.get(&item.folder).filter(|_| !judges.is_empty()) else { return Ok(true) };
        let file = folder.settings.local.join(place.to_path());
        let kind = HookKind::FileUpload;
        let candidate = Candidate { kind, sha256, version: None, size, file, place: place.clone() };
        self.passes(item, work, judges, &candidate)
    }

    /// Whether every hook allows a content; if not, the first that has not is asked, or its answer acted upon.
    fn passes(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        judges: Vec<HookSettings>,
        candidate: &Candidate,
    ) -> Result<bool> {
        let sha256 = candidate.sha256;
        for hook in judges {
            let basis = hook.verdict_basis();
            let passed =
                self.hooks.passed.entry(item.node).or_insert_with(|| Passed { sha256, hooks: BTreeSet::new() });
            if passed.sha256 != sha256 {
                *passed = Passed { sha256, hooks: BTreeSet::new() };
            }
            if passed.hooks.contains(&basis) {
                continue;
            }
            let remembered = match hook.remember {
                Some(span) => self
                    .ctx
                    .store
                    .verdict(sha256, &basis)?
                    .filter(|(_, _, at)| self.ctx.now.wall.since(*at) < millis(span) as i64),
                None => None,
            };
            match remembered {
                Some((Verdict::Allow, ..)) => {
                    self.pass(item.node, sha256, basis);
                }
                Some((verdict, reason, _)) => {
                    let mut outcome = hook::Outcome::failed("remembered", Duration::ZERO);
                    outcome.verdict = verdict;
                    outcome.output = reason.unwrap_or_default();
                    self.ruled(item, work, &hook, &outcome, candidate.kind, sha256)?;
                    return Ok(false);
                }
                None => {
                    self.ask(item, work, hook, candidate)?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn pass(&mut self, node: NodeId, sha256: Sha256, basis: String) {
        let passed = self.hooks.passed.entry(node).or_insert_with(|| Passed { sha256, hooks: BTreeSet::new() });
        if passed.sha256 == sha256 {
            passed.hooks.insert(basis);
        }
    }

    /// Asks a hook about a content, or waits until there is room to.
    fn ask(&mut self, item: &ItemRow, work: &WorkRow, hook: HookSettings, candidate: &Candidate) -> Result<()> {
        if !self.hooks.has_room(&hook, self.ctx.now.mono) {
            self.hooks.waiting.entry(hook.name).or_default().push_back(item.node);
            self.schedule.set_phase(item.node, Phase::AwaitHook);
            return Ok(());
        }
        let Candidate { kind, sha256, .. } = *candidate;
        let about = Job::Ask { folder: item.folder, node: item.node, hook: Box::new(hook.clone()), kind, sha256 };
        let Some(job) = self.start(about)? else {
            return self.put_off(work, ROOM_AWAITED, "waits", "waits for room to ask a hook");
        };
        let file = candidate.file.clone();
        let part = ItemPart {
            kind: item.id.kind().word().into(),
            id: Some(item.id.raw().to_owned()),
            version: candidate.version.as_ref().map(ToString::to_string),
            path: candidate.place.to_string(),
            path_before: None,
            size: Some(candidate.size),
            sha256: Some(sha256.to_string()),
        };
        let actor = self.actor_of(work)?;
        let document = Document {
            schema: SCHEMA,
            hook: hook.name.clone(),
            when: When::Before,
            event: kind,
            delivery: format!("{}-{}-{}", item.folder, content_key(item), sha256),
            attempt: work.attempts + 1,
            at: self.ctx.now.wall,
            account: self.account_part(item.folder),
            folder: self.folder_part(item.folder),
            item: Some(part),
            file: Some(file.display().to_string()),
            actor,
            message: None,
            depth: 0,
            causes: Vec::new(),
        };
        self.hooks.begin(&hook, self.ctx.now.mono);
        self.schedule.set_phase(item.node, Phase::Busy);
        let order = HookOrder {
            settings: hook,
            document,
            path: Some(OsString::from(candidate.place.to_path())),
            file: Some(file),
        };
        self.ctx.out.push(Effect::Hook { job, order: Box::new(order) });
        Ok(())
    }

    /// A `before` hook has answered.
    pub(super) fn asked(
        &mut self,
        id: FolderId,
        node: NodeId,
        hook: &HookSettings,
        kind: HookKind,
        sha256: Sha256,
        outcome: &hook::Outcome,
    ) -> Result<()> {
        self.hooks.release(&hook.name);
        if matches!(outcome.verdict, Verdict::Error | Verdict::TimedOut) {
            *self.hooks.failing.entry(hook.name.clone()).or_default() += 1;
        } else if self.hooks.failing.remove(&hook.name).is_some_and(|failures| failures >= FAILURES_MOST) {
            // It works again: nobody waits any longer for its sake.
            self.ctx.store.wake_code("hook_error")?;
        }
        if hook.remember.is_some() && matches!(outcome.verdict, Verdict::Allow | Verdict::Reject) {
            self.ctx.store.remember(sha256, &hook.verdict_basis(), outcome, self.ctx.now.wall)?;
        }
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.drop_staged(id, node);
            self.leave(node);
            return Ok(());
        };
        self.schedule.unqueue(node);
        let current = if kind == HookKind::FileUpload {
            let edit = item.local.as_ref().and_then(LocalRow::edit);
            edit.and_then(|edit| edit.digests.as_ref()).map(|(sha256, _)| *sha256)
        } else {
            self.folders.get(&id).and_then(|folder| folder.staged.get(&node)).map(|(staged, _)| staged.sha256)
        };
        let is_current = current == Some(sha256);
        if !is_current {
            // Another version was staged meanwhile; it is asked about by itself.
            self.record(&item, &work, hook, outcome, (kind, sha256), "overtaken")?;
            self.schedule.make_ready(node, Lane::News);
            return Ok(());
        }
        self.ruled(&item, &work, hook, outcome, kind, sha256)
    }

    /// Does what follows from a verdict.
    fn ruled(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        hook: &HookSettings,
        outcome: &hook::Outcome,
        kind: HookKind,
        sha256: Sha256,
    ) -> Result<()> {
        let policy = match hook.policies.of(outcome.verdict) {
            // What lies on this disk is the user's own: it stays where it is, and does not leave.
            Some(Policy::Quarantine) if kind == HookKind::FileUpload => Some(Policy::Block),
            policy => policy,
        };
        let effect = match policy {
            None => "allowed",
            Some(Policy::Allow) => "allowed by policy",
            Some(Policy::Block) => "blocked",
            Some(Policy::Quarantine) => "quarantined",
        };
        self.record(item, work, hook, outcome, (kind, sha256), effect)?;
        let text = told(hook, outcome);
        match policy {
            None | Some(Policy::Allow) => {
                self.pass(item.node, sha256, hook.verdict_basis());
                self.schedule.make_ready(item.node, Lane::News);
                Ok(())
            }
            Some(Policy::Block) => {
                let kept = self.folders.get(&item.folder).map_or(0, |folder| folder.staged.len());
                if kept > BLOCKED_KEPT {
                    self.drop_staged(item.folder, item.node);
                }
                let code = match outcome.verdict {
                    Verdict::Reject | Verdict::Allow => "hook_rejected",
                    Verdict::Error => "hook_error",
                    Verdict::TimedOut => "hook_timeout",
                    Verdict::Unscannable => "hook_unscannable",
                };
                self.item_failed(item.node, code, &text, None)
            }
            Some(Policy::Quarantine) => self.quarantine(item, work, hook, outcome),
        }
    }

    /// Writes a run down.
    fn record(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        hook: &HookSettings,
        outcome: &hook::Outcome,
        (kind, sha256): (HookKind, Sha256),
        effect: &str,
    ) -> Result<()> {
        let path = self.shown_path(item)?;
        let folder = self.folders.get(&item.folder).map(|folder| folder.settings.name.clone());
        let id = item.id.to_string();
        self.ctx.store.add_run(&NewRun {
            delivery: None,
            hook: &hook.name,
            when: When::Before,
            event: kind.word(),
            folder: folder.as_deref(),
            path: Some(&path),
            item: Some(&id),
            sha256: Some(sha256),
            attempt: work.attempts + 1,
            depth: 0,
            at: self.ctx.now.wall,
            outcome,
            effect,
        })
    }

    pub(super) fn account_part(&self, id: FolderId) -> Option<AccountPart> {
        let account = self.accounts.get(&self.folders.get(&id)?.account)?;
        Some(AccountPart { name: account.settings.name.clone(), provider: account.settings.provider.word().to_owned() })
    }

    pub(super) fn folder_part(&self, id: FolderId) -> Option<FolderPart> {
        let settings = &self.folders.get(&id)?.settings;
        Some(FolderPart {
            name: settings.name.clone(),
            local: settings.local.display().to_string(),
            remote: settings.remote.to_string(),
        })
    }

    /// Items that waited for room look again.
    pub(super) fn release_waiting(&mut self) -> Result<()> {
        let names: Vec<String> = self.hooks.waiting.keys().cloned().collect();
        for name in names {
            let hook = self.hooks.selector.get(&name).cloned();
            let waiting = self.hooks.waiting.get(&name).map_or(0, VecDeque::len);
            for _ in 0..waiting {
                let room = hook.as_ref().is_none_or(|hook| self.hooks.has_room(hook, self.ctx.now.mono));
                if !room {
                    break;
                }
                let Some(node) = self.hooks.waiting.get_mut(&name).and_then(VecDeque::pop_front) else { break };
                if self.schedule.take_turn(node, Phase::AwaitHook) {
                    self.consider(node)?;
                }
            }
            if self.hooks.waiting.get(&name).is_some_and(VecDeque::is_empty) {
                self.hooks.waiting.remove(&name);
            }
        }
        Ok(())
    }

    /// The wait before a delivery is tried again: it doubles from five seconds to an hour, varied by chance.
    fn delivery_pause(&mut self, attempts: u32) -> Duration {
        const FIRST_SECONDS: u64 = 5;
        const LONGEST: Duration = Duration::from_hours(1);
        let whole = Duration::from_secs(FIRST_SECONDS << attempts.min(10)).min(LONGEST);
        // Half of it is chance, so that what failed together does not come back together.
        let half = whole / 2;
        half + Duration::from_millis(self.ctx.chance.next() % (half.as_millis() as u64 + 1))
    }

    /// How soon what a loop may have caused is told.
    fn slowed(&mut self, depth: u32) -> Duration {
        backoff(depth, None, self.ctx.chance.next())
    }
}

fn staged_path(local: &std::path::Path, name: &Name) -> PathBuf {
    local.join(RESERVED_NAME).join(STAGING).join(name.as_os_str())
}

fn content_key(item: &ItemRow) -> String {
    item.id.to_string()
}

/// A verdict in a sentence.
fn told(hook: &HookSettings, outcome: &hook::Outcome) -> String {
    let why = said(outcome).or_else(|| outcome.reason.clone()).unwrap_or_else(|| outcome.verdict.to_string());
    match outcome.verdict {
        Verdict::Reject | Verdict::Allow => format!("hook `{}` rejects it: {why}", hook.name),
        Verdict::Unscannable => format!("hook `{}` cannot look into it: {why}", hook.name),
        Verdict::TimedOut => format!("hook `{}` timed out: {why}", hook.name),
        Verdict::Error => format!("hook `{}` failed: {}", hook.name, outcome.reason.as_deref().unwrap_or(&why)),
    }
}
