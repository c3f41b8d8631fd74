//! What follows from verdicts, and what was rejected: out of the folder, never fetched again, and what people decide about it.

use std::time::Duration;

use super::disposal;
use super::outbox::Story;
use super::question::{Candidate, Matter, sidecar, told};
use super::rounds::{DUE_PER_LOOK, Due, Place, Reached};
use super::{INSPECTED_AGAIN_MS, QUARANTINED, ROOM_AWAITED, basis_digest, content_id, verdict_key};
use crate::deed::{Base, DiskError};
use crate::engine::disk::Want;
use crate::engine::effect::{Effect, Notice};
use crate::engine::{Engine, Job, Phase, millis};
use crate::hook::{self, HookKind, HookSettings, Policy, QuarantineRemote, Verdict, When};
use crate::id::{FolderId, NodeId, Sha256};
use crate::provider::ProviderError;
use crate::store::Result;
use crate::store::examined::Examiner;
use crate::store::hooks::{NewRun, said};
use crate::store::items::{ItemRow, LocalRow};
use crate::store::quarantine::{NewQuarantine, State};
use crate::store::work::{Ask, Lane, WorkRow};
use crate::tree::Wall;

/// How long a hook is not asked again about a file of the folder that it does not allow and that stays there.
const LEFT_RESTS: Duration = Duration::from_mins(10);
/// The same where it failed, or where the file is on its way out.
const FAILED_RESTS: Duration = Duration::from_secs(30);
/// The same where the disk's content is not settled.
const UNSETTLED_RESTS: Duration = Duration::from_secs(10);

impl Engine {
    /// A `before` hook has answered.
    pub(in crate::engine) fn asked(
        &mut self,
        id: FolderId,
        node: NodeId,
        hook: &HookSettings,
        matter: Matter,
        sha256: Sha256,
        outcome: &hook::Outcome,
    ) -> Result<()> {
        self.hooks.lines.release(&hook.name);
        self.heard_of(hook, outcome)?;
        self.remember_verdict(hook, sha256, outcome)?;
        let (Some(work), Some(item)) = (self.ctx.store.work(node)?, self.ctx.store.item(node)?) else {
            self.drop_staged(id, node);
            self.leave(node);
            return Ok(());
        };
        self.schedule.unqueue(node);
        let edit = item.local.as_ref().and_then(LocalRow::edit);
        let current = match (matter, edit) {
            (Matter::Staged, _) => {
                self.folders.get(&id).and_then(|folder| folder.staged.get(&node)).map(|(staged, _)| staged.sha256)
            }
            (Matter::Leaving, Some(edit)) => edit.digests.as_ref().map(|(sha256, _)| *sha256),
            (Matter::Leaving | Matter::Renamed, _) => Some(content_id(&item)),
        };
        if outcome.is_moot && matter == Matter::Staged {
            // It is gone, or no longer what was fetched.
            self.drop_staged(id, node);
            self.schedule.make_ready(node, Lane::News);
            return Ok(());
        }
        let is_current = current == Some(sha256);
        if !is_current {
            // Another version was staged meanwhile; it is asked about by itself.
            self.record(&item, work.attempts + 1, hook, outcome, (matter.kind(), sha256), "overtaken")?;
            self.schedule.make_ready(node, Lane::News);
            return Ok(());
        }
        self.ruled(&item, &work, hook, outcome, matter, sha256)
    }

    /// Keeps a verdict for the same content.
    fn remember_verdict(&mut self, hook: &HookSettings, sha256: Sha256, outcome: &hook::Outcome) -> Result<()> {
        if hook.remember.is_some()
            && matches!(outcome.verdict, Verdict::Allow | Verdict::Reject)
            && let Some(key) = verdict_key(hook, self.hooks.lines.version(&hook.name))
        {
            self.ctx.store.remember(sha256, &key, outcome, self.ctx.now.wall)?;
        }
        Ok(())
    }

    /// Does what follows from a verdict.
    pub(super) fn ruled(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        hook: &HookSettings,
        outcome: &hook::Outcome,
        matter: Matter,
        sha256: Sha256,
    ) -> Result<()> {
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
        self.record(item, work.attempts + 1, hook, outcome, (matter.kind(), sha256), effect)?;
        let text = told(hook, outcome);
        match policy {
            None | Some(Policy::Allow) => {
                self.pass(item, sha256, hook)?;
                self.schedule.make_ready(item.node, Lane::News);
                Ok(())
            }
            Some(Policy::Block) if self.hooks.lines.is_closed(&hook.name) && outcome.verdict == Verdict::Error => {
                self.await_scanner(work, hook)
            }
            Some(Policy::Block) => {
                let code = match outcome.verdict {
                    Verdict::Reject | Verdict::Allow => "hook_rejected",
                    Verdict::Error => "hook_error",
                    Verdict::TimedOut => "hook_timeout",
                    Verdict::Unscannable => "hook_unscannable",
                };
                self.item_failed(item.node, code, &text, None)
            }
            Some(Policy::Quarantine) if matter == Matter::Renamed => self.seize(item, hook, outcome),
            Some(Policy::Quarantine) => self.quarantine(item, work, hook, outcome),
        }
    }

    /// Writes a run down.
    fn record(
        &mut self,
        item: &ItemRow,
        attempt: u32,
        hook: &HookSettings,
        outcome: &hook::Outcome,
        (kind, sha256): (HookKind, Sha256),
        effect: &str,
    ) -> Result<()> {
        let path = self.ctx.shown_path(item)?;
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
            attempt,
            depth: 0,
            at: self.ctx.now.wall,
            outcome,
            effect,
        })
    }

    /// What a hook allowed too long ago, or by other signatures, is examined again, in each folder by itself, and not while its account is to
    /// be quiet.
    pub(super) fn rescan(&mut self, hook: &HookSettings) -> Result<()> {
        let now = self.ctx.now;
        let before = hook.rescan.every.map(|every| now.wall.plus_ms(-i64::try_from(millis(every)).unwrap_or(i64::MAX)));
        let is_stale = hook.rescan.on_signatures && self.hooks.rounds.is_stale(&hook.name);
        let version = self.hooks.lines.version(&hook.name).filter(|_| is_stale).map(str::to_owned);
        let mut is_fresh = version.is_some();
        for id in self.folders.keys().copied().collect::<Vec<_>>() {
            if !self.can_work(id) {
                is_fresh = false;
                continue;
            }
            if let Some(left) = self.quiet_for(id) {
                is_fresh = false;
                self.hooks.rounds.look_by(now.mono.saturating_add(left));
                continue;
            }
            if let Some((before, every)) = before.zip(hook.rescan.every) {
                let from = self.hooks.rounds.place(&hook.name, id, Due::Old);
                let after = (from.at, from.node);
                let due = self.ctx.store.examined_before(id, &hook.name, before, after, DUE_PER_LOOK)?;
                if due.is_empty()
                    && let Some(first) = self.ctx.store.first_examined(id, &hook.name)?
                {
                    let wait = first.plus_ms(i64::try_from(millis(every)).unwrap_or(i64::MAX)).since(now.wall);
                    self.hooks.rounds.look_by(now.mono.saturating_add(wait.max(INSPECTED_AGAIN_MS as i64) as u64));
                }
                let due = due.into_iter().map(|(at, node)| Place { at, node, ..Place::START }).collect();
                self.examine_due(id, hook, Due::Old, &from, due)?;
            }
            if let Some(version) = &version {
                let from = self.hooks.rounds.place(&hook.name, id, Due::Otherwise);
                let after = (from.signatures.as_str(), from.node);
                let due = self.ctx.store.examined_otherwise(id, &hook.name, version, after, DUE_PER_LOOK)?;
                is_fresh &= due.is_empty() && from == Place::START;
                let due =
                    due.into_iter().map(|(signatures, node)| Place { signatures, node, ..Place::START }).collect();
                self.examine_due(id, hook, Due::Otherwise, &from, due)?;
            }
        }
        if is_fresh {
            self.hooks.rounds.is_fresh(&hook.name);
        }
        Ok(())
    }

    /// Examines what is due for a hook in a folder, as far as there is room; what it cannot be asked about now is passed over.
    pub(super) fn examine_due(
        &mut self,
        id: FolderId,
        hook: &HookSettings,
        why: Due,
        from: &Place,
        due: Vec<Place>,
    ) -> Result<()> {
        let is_all = due.len() < DUE_PER_LOOK;
        let since = (why != Due::Wanted).then_some(self.ctx.now.wall);
        for place in due {
            let node = place.node;
            if !self.hooks.rounds.is_asked(&hook.name, node) {
                if !self.hooks.rounds.has_room(&hook.name) {
                    return Ok(());
                }
                match self.inspect(id, node, hook, since)? {
                    true => {}
                    false if why == Due::Wanted => self.ctx.store.not_to_examine(node, &hook.name)?,
                    // The disk has something else there, or seems to: what comes of that is seen soon.
                    false if self.ctx.store.item(node)?.is_some_and(|item| item.local.is_some()) => {
                        self.hooks.rounds.rest(&hook.name, node, self.ctx.now.mono + millis(UNSETTLED_RESTS));
                        self.hooks.rounds.look_by(self.ctx.now.mono + millis(UNSETTLED_RESTS));
                    }
                    false => self.ctx.store.drop_examined(node, &hook.name)?,
                }
            }
            self.hooks.rounds.passed(&hook.name, id, why, place);
        }
        self.hooks.rounds.came_through(&hook.name, id, why, (is_all, from), self.ctx.now.mono);
        self.ctx.more |= !is_all;
        Ok(())
    }

    /// Asks a hook about a file that is in the folder, unless it allowed that since a moment. False if there is nothing to ask.
    pub(super) fn inspect(
        &mut self,
        id: FolderId,
        node: NodeId,
        hook: &HookSettings,
        since: Option<Wall>,
    ) -> Result<bool> {
        let Some(item) = self.ctx.store.item(node)?.filter(|item| item.folder == id && item.local.is_none()) else {
            return Ok(false);
        };
        let Some(synced) = item.synced.clone() else { return Ok(false) };
        let (Some(content), Some(place)) = (synced.content, self.ctx.place(node)?) else { return Ok(false) };
        let path = self.ctx.shown_path(&item)?;
        let judges = self.judges_of(id, HookKind::FileDownload, &path);
        let also = self.judges_of(id, HookKind::FileUpload, &path);
        let sha256 = content_id(&item);
        let is_allowed = match since {
            Some(since) => self
                .ctx
                .store
                .examined(node, &hook.name)?
                .is_some_and(|row| row.covers(&basis_digest(hook), sha256) && row.at >= since),
            None => false,
        };
        if place.base != Base::Tree || is_allowed || !judges.iter().chain(&also).any(|judge| judge.name == hook.name) {
            return Ok(false);
        }
        if let Some(row) = self.ctx.store.quarantined_version(id, &item.id, &content.version)? {
            if row.state == State::Released {
                self.note_allowed(&item, sha256, hook)?;
            }
            return Ok(false);
        }
        if self.schedule.is_busy(node) || !self.hooks.lines.has_room(hook, self.ctx.now.mono) {
            // Something is being done with it, or others are first: it is looked at again.
            self.hooks.lines.wake(self.ctx.now.mono + INSPECTED_AGAIN_MS);
            self.hooks.rounds.look_by(self.ctx.now.mono + INSPECTED_AGAIN_MS);
            return Ok(true);
        }
        let Some(folder) = self.folders.get(&id) else { return Ok(false) };
        let candidate = Candidate {
            matter: Matter::Renamed,
            sha256,
            version: Some(content.version),
            size: synced.stamp.size,
            file: folder.settings.local.join(place.path.to_path()),
            place: place.path,
            stamp: Some(synced.stamp),
        };
        let about = Job::Inspect { folder: id, node, hook: Box::new(hook.clone()), sha256 };
        let Some(job) = self.jobs.start(&mut self.ctx.store, about)? else {
            self.hooks.rounds.look_by(self.ctx.now.mono + INSPECTED_AGAIN_MS);
            return Ok(true);
        };
        self.hooks.rounds.ask(&hook.name, node);
        self.hooks.lines.begin(hook, self.ctx.now.mono);
        let order = candidate.order(hook, self.about(&item, 1, None));
        self.ctx.out.push(Effect::Hook { job, order: Box::new(order) });
        Ok(true)
    }

    /// A file of the folder was examined, or need not be; or the hook failed over it.
    pub(in crate::engine) fn inspected(
        &mut self,
        id: FolderId,
        node: NodeId,
        hook: &HookSettings,
        failed: bool,
    ) -> Result<()> {
        if let Some(Reached(last)) = self.hooks.rounds.examined(&hook.name, id, node, failed) {
            let basis = basis_digest(hook);
            self.ctx.store.round_reached(id, Examiner { hook: &hook.name, basis: &basis }, last)?;
        }
        self.hooks.rounds.look();
        self.ctx.more = true;
        Ok(())
    }

    /// A hook has examined a file that is in the folder.
    pub(in crate::engine) fn has_inspected(
        &mut self,
        id: FolderId,
        node: NodeId,
        hook: &HookSettings,
        sha256: Sha256,
        outcome: &hook::Outcome,
    ) -> Result<()> {
        self.hooks.lines.release(&hook.name);
        self.heard_of(hook, outcome)?;
        self.remember_verdict(hook, sha256, outcome)?;
        let failed = matches!(outcome.verdict, Verdict::Error | Verdict::TimedOut);
        self.inspected(id, node, hook, failed)?;
        let Some(item) = self.ctx.store.item(node)?.filter(|item| item.synced.is_some() && content_id(item) == sha256)
        else {
            return Ok(());
        };
        let kind = HookKind::FileDownload;
        let effect = match hook.policies.of(outcome.verdict) {
            None => "allowed",
            Some(Policy::Allow) => "allowed by policy",
            Some(Policy::Quarantine) => "quarantined",
            Some(Policy::Block) if failed => "asked again later",
            Some(Policy::Block) => "left in the folder",
        };
        self.record(&item, 1, hook, outcome, (kind, sha256), effect)?;
        let policy = hook.policies.of(outcome.verdict);
        if !matches!(policy, None | Some(Policy::Allow)) {
            let rest = if policy == Some(Policy::Block) && !failed { LEFT_RESTS } else { FAILED_RESTS };
            self.hooks.rounds.rest(&hook.name, node, self.ctx.now.mono + millis(rest));
        }
        match policy {
            None | Some(Policy::Allow) => self.note_allowed(&item, sha256, hook),
            Some(Policy::Quarantine) => self.seize(&item, hook, outcome),
            Some(Policy::Block) if failed => Ok(()),
            Some(Policy::Block) => {
                // What waits for its verdict goes on waiting; the rest is asked about again with the next round.
                self.ctx.store.note_left(node, &hook.name, self.ctx.now.wall)?;
                let path = self.ctx.shown_path(&item)?;
                let (code, text) = ("hook_found".to_owned(), told(hook, outcome));
                self.ctx.notice(Notice::Problem { folder: id, path, code, text });
                Ok(())
            }
        }
    }

    /// Begins to move what is in the folder into quarantine: it is copied, and leaves the folder when the copy is durable.
    pub(super) fn seize(&mut self, item: &ItemRow, hook: &HookSettings, outcome: &hook::Outcome) -> Result<()> {
        let Some(synced) = &item.synced else { return Ok(()) };
        let (Some(content), Some(place)) = (&synced.content, self.ctx.place(item.node)?) else { return Ok(()) };
        let known = self.ctx.store.quarantined_version(item.folder, &item.id, &content.version)?;
        match known.map(|row| row.state) {
            None | Some(State::Released) => {}
            // The job that moves it goes on with the item. A second one would find no file, and take back what the first one did.
            Some(State::Moving) => return Ok(()),
            Some(State::Held | State::Deleted | State::Expired) => {
                let now = self.ctx.now.wall;
                self.ctx.store.mark(item.node, item.folder, Lane::News, Ask::Nothing, None, now)?;
                self.schedule.make_ready(item.node, Lane::News);
                return Ok(());
            }
        }
        let path = self.ctx.shown_path(item)?;
        let Some(name) = self.folders.get(&item.folder).map(|folder| folder.settings.name.clone()) else {
            return Ok(());
        };
        let here = place.path.to_string();
        let history = self.ctx.store.history_of(item.folder, &name, &here, &item.id)?;
        let told = history.told.join(", ");
        let reason = said(outcome).unwrap_or_else(|| outcome.verdict.to_string());
        let sha256 = content_id(item);
        let new = NewQuarantine {
            folder: item.folder,
            folder_name: &name,
            item: &item.id,
            version: &content.version,
            path: &path,
            sha256,
            size: content.size,
            hook: &hook.name,
            verdict: outcome.verdict.word(),
            reason: &reason,
            at: self.ctx.now.wall,
            expires: hook.quarantine_keep.map(|keep| self.ctx.now.wall.plus_ms(millis(keep) as i64)),
            since: history.since,
            actor: history.actor.as_deref(),
            reached: Some(told.as_str()).filter(|told| !told.is_empty()),
        };
        let number = self.ctx.store.add_quarantine(&new)?;
        let remote = hook.quarantine_remote.clone();
        let about = Job::Quarantine { folder: item.folder, node: item.node, number, remote, seized: true };
        let Some(job) = self.jobs.start(&mut self.ctx.store, about)? else {
            self.ctx.store.forget_quarantined(number)?;
            return match self.ctx.store.work(item.node)? {
                Some(work) => self.put_off(&work, ROOM_AWAITED, "waits", "waits for room to go to quarantine"),
                None => Ok(()),
            };
        };
        let sidecar = sidecar(&new, number, &history.told);
        self.ctx.out.push(Effect::Seize {
            job,
            folder: item.folder,
            number,
            at: place.path,
            sha256: content.sha256,
            sidecar,
        });
        if self.ctx.store.work(item.node)?.is_some() {
            self.schedule.set_phase(item.node, Phase::Busy);
        }
        Ok(())
    }

    /// Whether the version of an item that the disk has, or had until now, is in quarantine.
    pub(in crate::engine) fn is_in_quarantine(&self, item: &ItemRow) -> Result<bool> {
        let content = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
        let Some(content) = content else { return Ok(false) };
        let row = self.ctx.store.quarantined_version(item.folder, &item.id, &content.version)?;
        Ok(row.is_some_and(|row| row.is_away()))
    }

    /// Whether what an item has on disk is in quarantine, so that it leaves the folder.
    pub(in crate::engine) fn leaves_for_quarantine(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if item.local.is_some() || !self.is_in_quarantine(item)? {
            return Ok(false);
        }
        self.want(item, work, Want::RemoveFile)?;
        Ok(true)
    }

    /// Begins to move a staged version into quarantine. The row is there first: from now on the version is not published.
    pub(super) fn quarantine(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        hook: &HookSettings,
        outcome: &hook::Outcome,
    ) -> Result<()> {
        let path = self.ctx.shown_path(item)?;
        let Some(folder) = self.folders.get(&item.folder) else { return Ok(()) };
        let Some((staged, content)) = folder.staged.get(&item.node).cloned() else {
            self.schedule.make_ready(item.node, work.lane);
            return Ok(());
        };
        let reason = said(outcome).unwrap_or_else(|| outcome.verdict.to_string());
        let folder_name = folder.settings.name.clone();
        let new = NewQuarantine {
            folder: item.folder,
            folder_name: &folder_name,
            item: &item.id,
            version: &content.version,
            path: &path,
            sha256: staged.sha256,
            size: content.size,
            hook: &hook.name,
            verdict: outcome.verdict.word(),
            reason: &reason,
            at: self.ctx.now.wall,
            expires: hook.quarantine_keep.map(|keep| self.ctx.now.wall.plus_ms(millis(keep) as i64)),
            since: None,
            actor: None,
            reached: None,
        };
        let number = self.ctx.store.add_quarantine(&new)?;
        let remote = hook.quarantine_remote.clone();
        let about = Job::Quarantine { folder: item.folder, node: item.node, number, remote, seized: false };
        let Some(job) = self.jobs.start(&mut self.ctx.store, about)? else {
            self.ctx.store.forget_quarantined(number)?;
            return self.put_off(work, ROOM_AWAITED, "waits", "waits for room to go to quarantine");
        };
        self.schedule.set_phase(item.node, Phase::Busy);
        let sidecar = sidecar(&new, number, &[]);
        self.ctx.out.push(Effect::Quarantine { job, folder: item.folder, number, staged, sidecar });
        Ok(())
    }

    /// A version is in quarantine, or could not be moved there.
    pub(in crate::engine) fn quarantine_done(
        &mut self,
        id: FolderId,
        node: NodeId,
        number: i64,
        (remote, seized): (&QuarantineRemote, bool),
        result: std::result::Result<(), DiskError>,
    ) -> Result<()> {
        if !seized {
            if let Some(folder) = self.folders.get_mut(&id) {
                folder.staged.remove(&node);
            }
            self.hooks.staged_gone(id, node);
        }
        self.hooks.passed.remove(&node);
        if let Err(error) = result {
            // It is neither published nor lost: it is fetched, or looked at, and examined again.
            self.ctx.store.forget_quarantined(number)?;
            if seized && self.ctx.store.work(node)?.is_none() {
                let path =
                    self.ctx.store.item(node)?.map(|item| self.ctx.shown_path(&item)).transpose()?.unwrap_or_default();
                let text = format!("cannot be put into quarantine, and is examined again later: {error}");
                self.ctx.notice(Notice::Problem { folder: id, path, code: "quarantine".into(), text });
                return Ok(());
            }
            return self.item_failed(node, "quarantine", &format!("cannot be put into quarantine: {error}"), None);
        }
        self.ctx.store.decide_quarantined(number, State::Held, None, self.ctx.now.wall)?;
        let Some(row) = self.ctx.store.quarantined(number)? else { return Ok(()) };
        let Some(item) = self.ctx.store.item(node)? else {
            self.leave(node);
            return Ok(());
        };
        let work = self.ctx.store.work(node)?;
        let journal = work.as_ref().and_then(|work| work.journal);
        self.ctx.store.add_action(id, node, &row.path, QUARANTINED, journal, self.ctx.now.wall)?;
        if let Some(journal) = journal {
            self.ctx.store.set_outcome(journal, QUARANTINED, self.ctx.now.wall)?;
        }
        let took_ms = work.as_ref().map_or(0, |work| self.ctx.now.wall.since(work.since).max(0));
        let (path, what) = (row.path.clone(), QUARANTINED.to_owned());
        self.ctx.notice(Notice::Outcome { folder: id, journal, what, path, from: None, took_ms });
        let message = format!("hook `{}` says {}", row.hook, row.reason);
        let kinds = [Some(HookKind::FileQuarantined), seized.then_some(HookKind::FileInfected)];
        for kind in kinds.into_iter().flatten() {
            let story = Story::of_item(kind, &item, row.path.clone()).with_message(message.clone());
            self.happened(story, work.as_ref())?;
        }
        if *remote != QuarantineRemote::Leave {
            self.ctx.store.want_disposed(number, &remote.to_string())?;
            self.hooks.disposals.are_wanted();
        }
        if work.is_none() {
            self.ctx.store.mark(node, id, Lane::News, Ask::Nothing, None, self.ctx.now.wall)?;
        }
        self.schedule.unqueue(node);
        self.schedule.make_ready(node, Lane::News);
        Ok(())
    }

    /// Does with the cloud's copies what hooks' settings say, as far as it is due.
    pub(super) fn dispose(&mut self) -> Result<()> {
        if self.hooks.disposals.is_due(self.ctx.now.wall) {
            let open = self.folders.iter().filter(|(id, _)| self.can_work(**id));
            let accounts = open.map(|(id, folder)| (*id, folder.account)).collect();
            self.hooks.disposals.carry_on(&mut self.ctx, &mut self.jobs, &accounts)?;
        }
        if let Some(at) = self.hooks.disposals.wake_at(self.ctx.now) {
            self.hooks.lines.wake(at);
        }
        Ok(())
    }

    /// The cloud's copy was disposed of, or not.
    pub(in crate::engine) fn disposed(
        &mut self,
        id: FolderId,
        node: NodeId,
        number: i64,
        result: std::result::Result<(), ProviderError>,
    ) -> Result<()> {
        if disposal::ended(&mut self.ctx, (id, node), number, result)? {
            self.reload();
        }
        Ok(())
    }

    /// What is in quarantine too long goes.
    pub(in crate::engine) fn expire_quarantine(&mut self) -> Result<()> {
        let expired = self.ctx.store.expired_quarantine(self.ctx.now.wall)?;
        if !expired.is_empty() {
            self.ctx.store.expire_quarantined(&expired, self.ctx.now.wall)?;
            self.ctx.out.push(Effect::DropQuarantined(expired));
        }
        Ok(())
    }
}
