//! The gate: which hooks must allow a content, what they are remembered to have said of it, who is asked, and what follows from a verdict.

use std::collections::BTreeSet;
use std::time::Duration;

use super::quarantine::{quarantine, seize};
use super::question::{About, Candidate, told};
use super::{
    Case, Hooks, Passed, ROOM_AWAITED, Ruling, SCANNER_AWAITED, SCANNER_DOWN, Scope, Story, WAITS, basis_digest,
    content_id,
};
use crate::engine::ctx::{Ctx, millis};
use crate::engine::effect::Effect;
use crate::engine::jobs::{Job, Jobs};
use crate::hook::document::Actor;
use crate::hook::{self, HookKind, HookSettings, Matter, Policy, Verdict, When};
use crate::id::{NodeId, Sha256};
use crate::path::RelPath;
use crate::store::Result;
use crate::store::examined::Examiner;
use crate::store::hooks::{NewRun, said};
use crate::store::items::{ItemRow, LocalRow};
use crate::store::quarantine::State;
use crate::store::work::{Priority, WorkRow};

/// What verdicts of a hook depend on: its settings, and the scanner's signatures where they are known. Nothing where they are not known
/// and matter.
fn verdict_key(hook: &HookSettings, version: Option<&str>) -> Option<String> {
    match version {
        Some(version) => Some(format!("{} {version}", hook.verdict_basis())),
        None => (!hook.can_be_probed()).then(|| hook.verdict_basis()),
    }
}

/// Who did what an item's work is about.
fn actor_of(ctx: &Ctx, work: &WorkRow) -> Result<Option<Actor>> {
    let Some(journal) = work.journal else { return Ok(None) };
    let actor = ctx.store.event_actor(journal)?.map(|(_, name, _)| Actor { id: None, name });
    Ok(actor.filter(|actor| actor.name.is_some()))
}

/// Who a question is about, besides the content.
pub(super) fn about<'a>(
    ctx: &Ctx,
    scope: &Scope<'_>,
    item: &'a ItemRow,
    attempt: u32,
    actor: Option<Actor>,
) -> About<'a> {
    About {
        folder: item.folder,
        item: &item.id,
        attempt,
        actor,
        at: ctx.now.wall,
        account_part: scope.account_part(),
        folder_part: Some(scope.folder_part()),
    }
}

/// What may pass.
impl Hooks {
    /// The hooks that must allow a version of an item to come down.
    pub(super) fn judges(&self, ctx: &mut Ctx, scope: &Scope<'_>, item: &ItemRow) -> Result<Vec<HookSettings>> {
        if self.selector.is_empty() {
            return Ok(Vec::new());
        }
        let path = ctx.shown_path(item)?;
        Ok(self.judges_of(scope, HookKind::FileDownload, &path))
    }

    /// Whether no hook decides about what comes down for an item.
    pub fn let_come(&self, ctx: &mut Ctx, scope: &Scope<'_>, item: &ItemRow) -> Result<bool> {
        Ok(self.judges(ctx, scope, item)?.is_empty())
    }

    /// Whether what was fetched for an item may be published at a place.
    pub fn may_publish(&mut self, ctx: &mut Ctx, jobs: &mut Jobs, case: Case<'_>, place: &RelPath) -> Result<Ruling> {
        let Case { scope, item, .. } = case;
        let judges = self.judges(ctx, &scope, item)?;
        if judges.is_empty() {
            return Ok(Ruling::Pass);
        }
        let Some(candidate) = Candidate::staged(&scope, item.node, place) else { return Ok(Ruling::Nothing) };
        let ruling = self.passes(ctx, jobs, case, judges, &candidate)?;
        if ruling == Ruling::Pass {
            self.lines.unkeep(item.folder, item.node);
        } else {
            self.lines.keep(item.folder, item.node);
            self.notes.waits(item.node, item.folder);
        }
        Ok(ruling)
    }

    /// Whether a local content may leave for the cloud. The upload compares the digest with what was examined.
    pub fn may_upload(
        &mut self,
        ctx: &mut Ctx,
        jobs: &mut Jobs,
        case: Case<'_>,
        place: &RelPath,
        (sha256, size): (Sha256, u64),
    ) -> Result<Ruling> {
        if self.selector.is_empty() {
            return Ok(Ruling::Pass);
        }
        let judges = self.judges_of(&case.scope, HookKind::FileUpload, &place.to_string());
        if judges.is_empty() {
            return Ok(Ruling::Pass);
        }
        let file = case.scope.settings.local.join(place.to_path());
        let (matter, place) = (Matter::Leaving, place.clone());
        let candidate = Candidate { matter, sha256, version: None, size, file, place, stamp: None };
        self.passes(ctx, jobs, case, judges, &candidate)
    }

    /// Whether every hook allows a content; if not, the first that has not is asked, or its answer acted upon.
    pub(super) fn passes(
        &mut self,
        ctx: &mut Ctx,
        jobs: &mut Jobs,
        case: Case<'_>,
        judges: Vec<HookSettings>,
        candidate: &Candidate,
    ) -> Result<Ruling> {
        let (item, sha256) = (case.item, candidate.sha256);
        if let Some(version) = &candidate.version
            && let Some(row) = ctx.store.quarantined_version(item.folder, &item.id, version)?
            && row.state == State::Released
            && row.sha256 == Some(sha256)
        {
            return Ok(Ruling::Pass);
        }
        for hook in judges {
            let passed = self.passed.entry(item.node).or_insert_with(|| Passed { sha256, hooks: BTreeSet::new() });
            if passed.sha256 != sha256 {
                *passed = Passed { sha256, hooks: BTreeSet::new() };
            }
            if passed.hooks.contains(&hook.verdict_basis()) {
                continue;
            }
            match self.remembered(ctx, &hook, sha256)? {
                Some((Verdict::Allow, _)) => self.pass(ctx, item, sha256, &hook)?,
                Some((verdict, reason)) => {
                    let mut outcome = hook::Outcome::failed("remembered", Duration::ZERO);
                    outcome.verdict = verdict;
                    outcome.output = reason.unwrap_or_default();
                    return self.ruled(ctx, jobs, case, &hook, &outcome, (candidate.matter, sha256));
                }
                None => return self.ask(ctx, jobs, case, hook, candidate),
            }
        }
        Ok(Ruling::Pass)
    }

    /// What a hook is remembered to have said of a content.
    fn remembered(&self, ctx: &Ctx, hook: &HookSettings, sha256: Sha256) -> Result<Option<(Verdict, Option<String>)>> {
        let Some(span) = hook.remember else { return Ok(None) };
        let Some(key) = verdict_key(hook, self.lines.version(&hook.name)) else { return Ok(None) };
        let known = ctx.store.verdict(sha256, &key)?;
        Ok(known
            .filter(|(_, _, at)| ctx.now.wall.since(*at) < millis(span) as i64)
            .map(|(verdict, reason, _)| (verdict, reason)))
    }

    /// A hook allows a content of an item.
    fn pass(&mut self, ctx: &mut Ctx, item: &ItemRow, sha256: Sha256, hook: &HookSettings) -> Result<()> {
        let passed = self.passed.entry(item.node).or_insert_with(|| Passed { sha256, hooks: BTreeSet::new() });
        if passed.sha256 == sha256 {
            passed.hooks.insert(hook.verdict_basis());
        }
        self.note_allowed(ctx, item, sha256, hook)
    }

    /// Writes down that a hook allowed a content of an item.
    pub(super) fn note_allowed(
        &self,
        ctx: &mut Ctx,
        item: &ItemRow,
        sha256: Sha256,
        hook: &HookSettings,
    ) -> Result<()> {
        let basis = basis_digest(hook);
        let by = Examiner { hook: &hook.name, basis: &basis };
        ctx.store.note_examined(item.node, item.folder, by, sha256, self.lines.version(&hook.name), ctx.now.wall)
    }

    /// Asks a hook about a content, or waits until there is room to.
    fn ask(
        &mut self,
        ctx: &mut Ctx,
        jobs: &mut Jobs,
        case: Case<'_>,
        hook: HookSettings,
        candidate: &Candidate,
    ) -> Result<Ruling> {
        let Case { scope, item, work } = case;
        if self.lines.is_closed(&hook.name) {
            return Ok(self.awaited(&hook));
        }
        if !self.lines.has_room(&hook, ctx.now.mono) {
            self.lines.wait(&hook.name, item.node);
            return Ok(Ruling::InLine);
        }
        let Candidate { matter, sha256, .. } = *candidate;
        let asked = Job::Ask { folder: item.folder, node: item.node, hook: Box::new(hook.clone()), matter, sha256 };
        let Some(job) = jobs.start(&mut ctx.store, asked)? else {
            return Ok(Ruling::PutOff(ROOM_AWAITED, WAITS, "waits for room to ask a hook".into()));
        };
        let order = candidate.order(&hook, about(ctx, &scope, item, work.attempts + 1, actor_of(ctx, work)?));
        self.lines.begin(&hook, ctx.now.mono);
        ctx.out.push(Effect::Hook { job, order: Box::new(order) });
        Ok(Ruling::Busy)
    }

    /// An item waits until a hook works again: what is fetched stays, and nothing else waits with it.
    fn awaited(&self, hook: &HookSettings) -> Ruling {
        let cause = self.lines.down(&hook.name).map(|down| down.cause.clone()).unwrap_or_default();
        let text = format!("waits until hook `{}` works again: {cause}", hook.name);
        Ruling::PutOff(SCANNER_AWAITED, SCANNER_DOWN, text)
    }
}

/// What was said.
impl Hooks {
    /// A `before` hook has answered about an item.
    pub fn answered(
        &mut self,
        ctx: &mut Ctx,
        jobs: &mut Jobs,
        (scope, node): (Scope<'_>, NodeId),
        hook: &HookSettings,
        (matter, sha256): (Matter, Sha256),
        outcome: &hook::Outcome,
    ) -> Result<Ruling> {
        self.lines.release(&hook.name);
        self.heard_of(ctx, hook, outcome)?;
        self.remember_verdict(ctx, hook, sha256, outcome)?;
        let (Some(work), Some(item)) = (ctx.store.work(node)?, ctx.store.item(node)?) else { return Ok(Ruling::Gone) };
        let edit = item.local.as_ref().and_then(LocalRow::edit);
        let current = match (matter, edit) {
            (Matter::Staged, _) => scope.staged.get(&node).map(|(staged, _)| staged.sha256),
            (Matter::Leaving, Some(edit)) => edit.digests.as_ref().map(|(sha256, _)| *sha256),
            (Matter::Leaving | Matter::Renamed, _) => Some(content_id(&item)),
        };
        if outcome.is_moot && matter == Matter::Staged {
            // It is gone, or no longer what was fetched.
            return Ok(Ruling::FetchAgain);
        }
        if current != Some(sha256) {
            // Another version was staged meanwhile; it is asked about by itself.
            record(ctx, &scope, &item, hook, outcome, (matter.kind(), sha256), (work.attempts + 1, "overtaken"))?;
            return Ok(Ruling::Again(Priority::News));
        }
        self.ruled(ctx, jobs, Case { scope, item: &item, work: &work }, hook, outcome, (matter, sha256))
    }

    /// Keeps a verdict for the same content.
    pub(super) fn remember_verdict(
        &self,
        ctx: &mut Ctx,
        hook: &HookSettings,
        sha256: Sha256,
        outcome: &hook::Outcome,
    ) -> Result<()> {
        if hook.remember.is_some()
            && matches!(outcome.verdict, Verdict::Allow | Verdict::Reject)
            && let Some(key) = verdict_key(hook, self.lines.version(&hook.name))
        {
            ctx.store.remember(sha256, &key, outcome, ctx.now.wall)?;
        }
        Ok(())
    }

    /// What follows from a verdict.
    fn ruled(
        &mut self,
        ctx: &mut Ctx,
        jobs: &mut Jobs,
        case: Case<'_>,
        hook: &HookSettings,
        outcome: &hook::Outcome,
        (matter, sha256): (Matter, Sha256),
    ) -> Result<Ruling> {
        let Case { scope, item, work } = case;
        let policy = match hook.policies.of(outcome.verdict) {
            // What lies on this disk is the user's own: it stays where it is, and does not leave.
            Some(Policy::Quarantine) if matter == Matter::Leaving => Some(Policy::Block),
            policy => policy,
        };
        let effect = match policy {
            None => "allowed",
            Some(Policy::Allow) => "allowed by policy",
            Some(Policy::Block) => "blocked",
            Some(Policy::Quarantine) => "quarantined",
        };
        record(ctx, &scope, item, hook, outcome, (matter.kind(), sha256), (work.attempts + 1, effect))?;
        match policy {
            None | Some(Policy::Allow) => {
                self.pass(ctx, item, sha256, hook)?;
                Ok(Ruling::Again(Priority::News))
            }
            Some(Policy::Block) if self.lines.is_closed(&hook.name) && outcome.verdict == Verdict::Error => {
                Ok(self.awaited(hook))
            }
            Some(Policy::Block) => {
                let code = match outcome.verdict {
                    Verdict::Reject | Verdict::Allow => "hook_rejected",
                    Verdict::Error => "hook_error",
                    Verdict::TimedOut => "hook_timeout",
                    Verdict::Unscannable => "hook_unscannable",
                };
                Ok(Ruling::Failed(code, told(hook, outcome)))
            }
            Some(Policy::Quarantine) if matter == Matter::Renamed => seize(ctx, jobs, &scope, item, hook, outcome),
            Some(Policy::Quarantine) => quarantine(ctx, jobs, case, hook, outcome),
        }
    }

    /// What a run tells of the hook itself: whether it works, and which signatures it has.
    pub(super) fn heard_of(&mut self, ctx: &mut Ctx, hook: &HookSettings, outcome: &hook::Outcome) -> Result<()> {
        if let Some(version) = &outcome.version
            && self.lines.told_version(&hook.name, version)
        {
            self.rounds.signatures_changed(&hook.name);
        }
        if outcome.is_moot {
            return Ok(());
        }
        if matches!(outcome.verdict, Verdict::Error | Verdict::TimedOut) {
            let cause = outcome.reason.clone().or_else(|| said(outcome)).unwrap_or_else(|| outcome.verdict.to_string());
            let now = (ctx.now.mono, ctx.now.wall);
            if self.lines.failed(&hook.name, &cause, outcome.is_down, now) {
                let message = format!("hook `{}` does not work, and what it decides about waits: {cause}", hook.name);
                self.happens_later(Story::at_large(HookKind::Problem, None, None, message));
            }
        } else if self.lines.worked(&hook.name) {
            // It works again: nobody waits any longer for its sake.
            ctx.store.wake_hook(SCANNER_DOWN, &hook.name, true)?;
            ctx.store.wake_hook("hook_error", &hook.name, true)?;
            self.rounds.look();
            ctx.more = true;
        }
        Ok(())
    }
}

/// Those that wait for room.
impl Hooks {
    /// The hooks for which somebody waits, and how many.
    pub fn waited_for(&self) -> Vec<(String, usize)> {
        self.lines.waited_for()
    }

    /// The item that has waited longest for a hook, if that has room now.
    pub fn next_in_line(&mut self, ctx: &Ctx, name: &str) -> Option<NodeId> {
        let hook = self.selector.get(name);
        let has_room = hook.is_none_or(|hook| self.lines.has_room(hook, ctx.now.mono));
        if has_room { self.lines.next_waiting(name) } else { None }
    }
}

/// Writes a run down, which was a certain attempt and had a certain effect.
pub(super) fn record(
    ctx: &mut Ctx,
    scope: &Scope<'_>,
    item: &ItemRow,
    hook: &HookSettings,
    outcome: &hook::Outcome,
    (kind, sha256): (HookKind, Sha256),
    (attempt, effect): (u32, &str),
) -> Result<()> {
    let path = ctx.shown_path(item)?;
    let id = item.id.to_string();
    ctx.store.add_run(&NewRun {
        delivery: None,
        hook: &hook.name,
        when: When::Before,
        event: kind.word(),
        folder: Some(&scope.settings.name),
        path: Some(&path),
        item: Some(&id),
        sha256: Some(sha256),
        attempt,
        depth: 0,
        at: ctx.now.wall,
        outcome,
        effect,
    })
}
