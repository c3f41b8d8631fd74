//! Files that are in the folders already: examined in the background, beside what waits to be published.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::gate::{about, record};
use super::line::Trial;
use super::quarantine::seize;
use super::question::{Candidate, told};
use super::rounds::{DUE_PER_LOOK, Due, LOOKED_THROUGH, Place, Reached};
use super::{Hooks, INSPECTED_AGAIN_MS, Ruling, SCANNER_DOWN, Scope, basis_digest, content_id};
use crate::command::Answer;
use crate::deed::Base;
use crate::engine::ctx::{Ctx, millis};
use crate::engine::effect::{Effect, Notice};
use crate::engine::jobs::{Job, Jobs};
use crate::hook::{self, HookKind, HookSettings, Matter, Policy, Verdict};
use crate::id::{FolderId, NodeId, Sha256};
use crate::settings::Mode;
use crate::store::Result;
use crate::store::examined::Examiner;
use crate::store::items::ItemRow;
use crate::store::quarantine::State;
use crate::tree::Wall;

/// How long a hook is not asked again about a file of the folder that it does not allow and that stays there.
const LEFT_RESTS: Duration = Duration::from_mins(10);
/// The same where it failed, or where the file is on its way out.
const FAILED_RESTS: Duration = Duration::from_secs(30);
/// The same where the disk's content is not settled.
const UNSETTLED_RESTS: Duration = Duration::from_secs(10);

/// A folder in which files may be examined.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Grounds<'a> {
    /// What hooks are told of it.
    pub scope: Scope<'a>,
    /// Its items can be worked on now.
    pub can_work: bool,
    /// How long its account is to be quiet, in milliseconds.
    pub quiet_for: Option<u64>,
    /// Whether something is being done with an item.
    pub is_busy: &'a dyn Fn(NodeId) -> bool,
}

impl Hooks {
    /// Whether it is time to look for files to examine.
    pub fn examine_now(&self, ctx: &Ctx) -> bool {
        self.rounds.is_due(ctx.now.mono)
    }

    /// Has hooks examine what is in the folders already, as far as there is room beside what waits to be published.
    pub fn examine(&mut self, ctx: &mut Ctx, jobs: &mut Jobs, folders: &[Grounds<'_>]) -> Result<()> {
        self.rounds.looked(ctx.now.mono);
        if let Some(rested) = self.rounds.wake(ctx.now.mono) {
            self.rounds.look_by(rested);
        }
        for hook in self.all_judges() {
            if self.lines.is_closed(&hook.name) {
                continue;
            }
            for at in folders.iter().filter(|at| at.can_work && at.scope.settings.mode != Mode::Upload) {
                self.go_round(ctx, jobs, at, &hook)?;
            }
            self.rescan(ctx, jobs, folders, &hook)?;
        }
        Ok(())
    }

    /// What a hook is to examine in a folder: what gets a name that it covers, and what it never saw.
    fn go_round(&mut self, ctx: &mut Ctx, jobs: &mut Jobs, at: &Grounds<'_>, hook: &HookSettings) -> Result<()> {
        let id = at.scope.id;
        let from = self.rounds.place(&hook.name, id, Due::Wanted);
        let due = ctx.store.due_to_examine(id, &hook.name, from.node, DUE_PER_LOOK)?;
        let due = due.into_iter().map(|node| Place { node, ..Place::START }).collect();
        self.examine_due(ctx, jobs, at, hook, (Due::Wanted, &from, due))?;
        let basis = basis_digest(hook);
        let by = Examiner { hook: &hook.name, basis: &basis };
        let part = self.rounds.part(&hook.name, id);
        let Some((after, since)) = ctx.store.round(id, by, hook.scan_existing)? else { return Ok(()) };
        let files = if let Some(left) = part {
            left
        } else {
            let (files, last) = ctx.store.files_after(id, after, LOOKED_THROUGH)?;
            ctx.gone_through += LOOKED_THROUGH as usize;
            if files.is_empty() {
                ctx.store.round_reached(id, by, last)?;
                self.rounds.look();
                ctx.more |= last.is_some();
                return Ok(());
            }
            self.rounds.begin_part(&hook.name, id, files.clone(), last);
            files
        };
        for node in files {
            if !self.rounds.is_asked(&hook.name, node) {
                if !self.rounds.has_room(&hook.name) {
                    break;
                }
                if !self.inspect(ctx, jobs, at, node, (hook, Some(since)))? {
                    self.inspected(ctx, &at.scope, node, hook, false)?;
                }
            }
        }
        Ok(())
    }

    /// What a hook allowed too long ago, or by other signatures, is examined again, in each folder by itself, and not while its account is to
    /// be quiet.
    fn rescan(&mut self, ctx: &mut Ctx, jobs: &mut Jobs, folders: &[Grounds<'_>], hook: &HookSettings) -> Result<()> {
        let now = ctx.now;
        let before = hook.rescan.every.map(|every| now.wall.plus_ms(-i64::try_from(millis(every)).unwrap_or(i64::MAX)));
        let is_stale = hook.rescan.on_signatures && self.rounds.is_stale(&hook.name);
        let version = self.lines.version(&hook.name).filter(|_| is_stale).map(str::to_owned);
        let mut is_fresh = version.is_some();
        for at in folders {
            let id = at.scope.id;
            if !at.can_work {
                is_fresh = false;
                continue;
            }
            if let Some(left) = at.quiet_for {
                is_fresh = false;
                self.rounds.look_by(now.mono.saturating_add(left));
                continue;
            }
            if let Some((before, every)) = before.zip(hook.rescan.every) {
                let from = self.rounds.place(&hook.name, id, Due::Old);
                let after = (from.at, from.node);
                let due = ctx.store.examined_before(id, &hook.name, before, after, DUE_PER_LOOK)?;
                if due.is_empty()
                    && let Some(first) = ctx.store.first_examined(id, &hook.name)?
                {
                    let wait = first.plus_ms(i64::try_from(millis(every)).unwrap_or(i64::MAX)).since(now.wall);
                    self.rounds.look_by(now.mono.saturating_add(wait.max(INSPECTED_AGAIN_MS as i64) as u64));
                }
                let due = due.into_iter().map(|(at, node)| Place { at, node, ..Place::START }).collect();
                self.examine_due(ctx, jobs, at, hook, (Due::Old, &from, due))?;
            }
            if let Some(version) = &version {
                let from = self.rounds.place(&hook.name, id, Due::Otherwise);
                let after = (from.signatures.as_str(), from.node);
                let due = ctx.store.examined_otherwise(id, &hook.name, version, after, DUE_PER_LOOK)?;
                is_fresh &= due.is_empty() && from == Place::START;
                let due =
                    due.into_iter().map(|(signatures, node)| Place { signatures, node, ..Place::START }).collect();
                self.examine_due(ctx, jobs, at, hook, (Due::Otherwise, &from, due))?;
            }
        }
        if is_fresh {
            self.rounds.is_fresh(&hook.name);
        }
        Ok(())
    }

    /// Examines what is due for a hook in a folder, as far as there is room; what it cannot be asked about now is passed over.
    fn examine_due(
        &mut self,
        ctx: &mut Ctx,
        jobs: &mut Jobs,
        at: &Grounds<'_>,
        hook: &HookSettings,
        (why, from, due): (Due, &Place, Vec<Place>),
    ) -> Result<()> {
        let id = at.scope.id;
        let is_all = due.len() < DUE_PER_LOOK;
        let since = (why != Due::Wanted).then_some(ctx.now.wall);
        for place in due {
            let node = place.node;
            if !self.rounds.is_asked(&hook.name, node) {
                if !self.rounds.has_room(&hook.name) {
                    return Ok(());
                }
                match self.inspect(ctx, jobs, at, node, (hook, since))? {
                    true => {}
                    false if why == Due::Wanted => ctx.store.not_to_examine(node, &hook.name)?,
                    // The disk has something else there, or seems to: what comes of that is seen soon.
                    false if ctx.store.item(node)?.is_some_and(|item| item.local.is_some()) => {
                        self.rounds.rest(&hook.name, node, ctx.now.mono + millis(UNSETTLED_RESTS));
                        self.rounds.look_by(ctx.now.mono + millis(UNSETTLED_RESTS));
                    }
                    false => ctx.store.drop_examined(node, &hook.name)?,
                }
            }
            self.rounds.passed(&hook.name, id, why, place);
        }
        self.rounds.came_through(&hook.name, id, why, (is_all, from), ctx.now.mono);
        ctx.more |= !is_all;
        Ok(())
    }

    /// Asks a hook about a file that is in the folder, unless it allowed that since a moment. False if there is nothing to ask.
    fn inspect(
        &mut self,
        ctx: &mut Ctx,
        jobs: &mut Jobs,
        at: &Grounds<'_>,
        node: NodeId,
        (hook, since): (&HookSettings, Option<Wall>),
    ) -> Result<bool> {
        let (scope, id) = (&at.scope, at.scope.id);
        let Some(item) = ctx.store.item(node)?.filter(|item| item.folder == id && item.local.is_none()) else {
            return Ok(false);
        };
        let Some(synced) = item.synced.clone() else { return Ok(false) };
        let (Some(content), Some(place)) = (synced.content, ctx.place(node)?) else { return Ok(false) };
        let path = ctx.shown_path(&item)?;
        let judges = self.judges_of(scope, HookKind::FileDownload, &path);
        let also = self.judges_of(scope, HookKind::FileUpload, &path);
        let sha256 = content_id(&item);
        let is_allowed = match since {
            Some(since) => ctx
                .store
                .examined(node, &hook.name)?
                .is_some_and(|row| row.covers(&basis_digest(hook), sha256) && row.at >= since),
            None => false,
        };
        if place.base != Base::Tree || is_allowed || !judges.iter().chain(&also).any(|judge| judge.name == hook.name) {
            return Ok(false);
        }
        if let Some(row) = ctx.store.quarantined_version(id, &item.id, &content.version)? {
            if row.state == State::Released {
                self.note_allowed(ctx, &item, sha256, hook)?;
            }
            return Ok(false);
        }
        if (at.is_busy)(node) || !self.lines.has_room(hook, ctx.now.mono) {
            // Something is being done with it, or others are first: it is looked at again.
            self.lines.wake(ctx.now.mono + INSPECTED_AGAIN_MS);
            self.rounds.look_by(ctx.now.mono + INSPECTED_AGAIN_MS);
            return Ok(true);
        }
        let candidate = Candidate {
            matter: Matter::Renamed,
            sha256,
            version: Some(content.version),
            size: synced.stamp.size,
            file: scope.settings.local.join(place.path.to_path()),
            place: place.path,
            stamp: Some(synced.stamp),
        };
        let asked = Job::Inspect { folder: id, node, hook: Box::new(hook.clone()), sha256 };
        let Some(job) = jobs.start(&mut ctx.store, asked)? else {
            self.rounds.look_by(ctx.now.mono + INSPECTED_AGAIN_MS);
            return Ok(true);
        };
        self.rounds.ask(&hook.name, node);
        self.lines.begin(hook, ctx.now.mono);
        let order = candidate.order(hook, about(ctx, scope, &item, 1, None));
        ctx.out.push(Effect::Hook { job, order: Box::new(order) });
        Ok(true)
    }

    /// A file of the folder was examined, or need not be; or the hook failed over it.
    fn inspected(
        &mut self,
        ctx: &mut Ctx,
        scope: &Scope<'_>,
        node: NodeId,
        hook: &HookSettings,
        failed: bool,
    ) -> Result<()> {
        let id = scope.id;
        if let Some(Reached(last)) = self.rounds.examined(&hook.name, id, node, failed) {
            let basis = basis_digest(hook);
            ctx.store.round_reached(id, Examiner { hook: &hook.name, basis: &basis }, last)?;
        }
        self.rounds.look();
        ctx.more = true;
        Ok(())
    }

    /// A hook has examined a file that is in the folder.
    pub fn has_inspected(
        &mut self,
        ctx: &mut Ctx,
        jobs: &mut Jobs,
        (scope, node): (&Scope<'_>, NodeId),
        (hook, sha256): (&HookSettings, Sha256),
        outcome: &hook::Outcome,
    ) -> Result<Ruling> {
        self.lines.release(&hook.name);
        self.heard_of(ctx, hook, outcome)?;
        self.remember_verdict(ctx, hook, sha256, outcome)?;
        let failed = matches!(outcome.verdict, Verdict::Error | Verdict::TimedOut);
        self.inspected(ctx, scope, node, hook, failed)?;
        let Some(item) = ctx.store.item(node)?.filter(|item| item.synced.is_some() && content_id(item) == sha256)
        else {
            return Ok(Ruling::Nothing);
        };
        let effect = match hook.policies.of(outcome.verdict) {
            None => "allowed",
            Some(Policy::Allow) => "allowed by policy",
            Some(Policy::Quarantine) => "quarantined",
            Some(Policy::Block) if failed => "asked again later",
            Some(Policy::Block) => "left in the folder",
        };
        record(ctx, scope, &item, hook, outcome, (HookKind::FileDownload, sha256), (1, effect))?;
        let policy = hook.policies.of(outcome.verdict);
        if !matches!(policy, None | Some(Policy::Allow)) {
            let rest = if policy == Some(Policy::Block) && !failed { LEFT_RESTS } else { FAILED_RESTS };
            self.rounds.rest(&hook.name, node, ctx.now.mono + millis(rest));
        }
        match policy {
            None | Some(Policy::Allow) => self.note_allowed(ctx, &item, sha256, hook)?,
            Some(Policy::Quarantine) => return seize(ctx, jobs, scope, &item, hook, outcome),
            Some(Policy::Block) if failed => {}
            Some(Policy::Block) => {
                // What waits for its verdict goes on waiting; the rest is asked about again with the next round.
                ctx.store.note_left(node, &hook.name, ctx.now.wall)?;
                let path = ctx.shown_path(&item)?;
                let (code, text) = ("hook_found".to_owned(), told(hook, outcome));
                ctx.notice(Notice::Problem { folder: scope.id, path, code, text });
            }
        }
        Ok(Ruling::Nothing)
    }
}

/// What people and clocks want.
impl Hooks {
    /// Sees to hooks that do not work, and to scanners whose signatures may be new.
    pub fn try_hooks(&mut self, ctx: &mut Ctx, jobs: &mut Jobs) -> Result<()> {
        let hooks: Vec<HookSettings> = self.selector.all().cloned().collect();
        for trial in self.lines.trials(hooks.iter(), ctx.now.mono) {
            match trial {
                Trial::Probe(hook) => {
                    let name = hook.name.clone();
                    match jobs.start(&mut ctx.store, Job::Probe { hook: hook.clone() })? {
                        Some(job) => ctx.out.push(Effect::ProbeHook { job, hook }),
                        None => self.lines.probed(&name),
                    }
                }
                Trial::OneFile(hook) => {
                    ctx.store.wake_hook(SCANNER_DOWN, &hook, false)?;
                    self.rounds.look();
                    ctx.more = true;
                }
            }
        }
        Ok(())
    }

    /// A scanner was asked how it is.
    pub fn probed(&mut self, ctx: &mut Ctx, hook: &HookSettings, outcome: &hook::Outcome) -> Result<()> {
        self.lines.probed(&hook.name);
        self.heard_of(ctx, hook, outcome)
    }

    /// Has what is on disk examined again: a file, a folder, or everything.
    pub fn examine_again(&mut self, ctx: &mut Ctx, folders: &[Scope<'_>], path: Option<&str>) -> Result<Answer> {
        let before = self.all_judges();
        if before.is_empty() {
            return Ok(Answer::Refused { message: "there is no `before` hook that could examine anything".into() });
        }
        let mut meant: Vec<FolderId> = folders.iter().map(|folder| folder.id).collect();
        if let Some(path) = path {
            let asked = std::path::Path::new(path);
            let found = folders.iter().find(|folder| asked.starts_with(&folder.settings.local));
            let Some((folder, root, below)) = found.and_then(|folder| {
                let below = asked.strip_prefix(&folder.settings.local).ok()?;
                Some((folder, folder.root?, below.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>()))
            }) else {
                return Ok(Answer::NotFound { message: format!("{path} lies in no watched folder") });
            };
            if !below.is_empty() {
                let node = ctx.store.reader().item_on_disk(root, &below)?;
                let item = node.map(|node| ctx.store.item(node)).transpose()?.flatten();
                let Some(item) = item.filter(|item| item.synced.is_some() && !item.id.is_folder()) else {
                    let message = format!("{path} is no file of a watched folder; name a file, or the whole folder");
                    return Ok(Answer::NotFound { message });
                };
                return self.examine_file_again(ctx, folder, &item, path);
            }
            meant = vec![folder.id];
        }
        ctx.store.forget_all_verdicts()?;
        for id in meant {
            for hook in &before {
                let basis = basis_digest(hook);
                ctx.store.begin_round(id, Examiner { hook: &hook.name, basis: &basis }, ctx.now.wall)?;
            }
        }
        self.rounds.begin();
        ctx.more = true;
        Ok(Answer::Ok { message: "what is on disk is examined again, beside the rest of the work".into() })
    }

    fn examine_file_again(&mut self, ctx: &mut Ctx, scope: &Scope<'_>, item: &ItemRow, path: &str) -> Result<Answer> {
        let shown = ctx.shown_path(item)?;
        let judges = self.judges_of(scope, HookKind::FileDownload, &shown);
        if judges.is_empty() {
            return Ok(Answer::Refused { message: format!("no `before` hook covers {path}") });
        }
        ctx.store.forget_verdicts(content_id(item))?;
        for hook in &judges {
            ctx.store.want_examined(item.node, item.folder, &hook.name)?;
        }
        self.rounds.look_from_the_start();
        ctx.more = true;
        let names: Vec<&str> = judges.iter().map(|hook| hook.name.as_str()).collect();
        Ok(Answer::Ok { message: format!("{path} is examined again by {}", names.join(", ")) })
    }
}
