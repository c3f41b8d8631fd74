//! What was rejected: out of the folder, never fetched again, and what is done with the cloud's copy of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::disposal;
use super::question::sidecar;
use super::{Case, Hooks, QUARANTINED, ROOM_AWAITED, Ruling, Scope, Story, WAITS, content_id};
use crate::command::Answer;
use crate::deed::DiskError;
use crate::engine::ctx::{Ctx, millis};
use crate::engine::effect::{Effect, Notice};
use crate::engine::jobs::{Job, Jobs};
use crate::hook::{self, HookKind, HookSettings, QuarantineRemote};
use crate::id::{AccountId, FolderId, NodeId};
use crate::provider::ProviderError;
use crate::store::Result;
use crate::store::hooks::said;
use crate::store::items::{ItemRow, Presence};
use crate::store::quarantine::{NewQuarantine, State};
use crate::store::work::{Ask, Priority};

/// How long an item waits that nothing but a decision or a new version can help.
const RECONSIDERED_EVERY: Duration = Duration::from_hours(24);
/// What an item says of itself that found no room for its job.
const NO_ROOM: &str = "waits for room to go to quarantine";

/// Whether an item's version may be fetched at all: not if it was rejected.
pub(in crate::engine) fn rejected(ctx: &Ctx, item: &ItemRow) -> Result<Ruling> {
    let Some(content) = &item.remote.content else { return Ok(Ruling::Pass) };
    let row = ctx.store.quarantined_version(item.folder, &item.id, &content.version)?;
    let Some(row) = row.filter(|row| row.state != State::Released) else { return Ok(Ruling::Pass) };
    let text = match row.state {
        State::Deleted | State::Expired => format!("rejected by hook `{}`: {}", row.hook, row.reason),
        _ => format!("in quarantine (number {}): hook `{}` says {}", row.id, row.hook, row.reason),
    };
    Ok(Ruling::PutOff(RECONSIDERED_EVERY, QUARANTINED, text))
}

/// Whether the version of an item that the disk has, or had until now, is in quarantine.
pub(in crate::engine) fn is_away(ctx: &Ctx, item: &ItemRow) -> Result<bool> {
    let content = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
    let Some(content) = content else { return Ok(false) };
    let row = ctx.store.quarantined_version(item.folder, &item.id, &content.version)?;
    Ok(row.is_some_and(|row| row.is_away()))
}

/// Begins to move what is in the folder into quarantine: it is copied, and leaves the folder when the copy is durable.
pub(super) fn seize(
    ctx: &mut Ctx,
    jobs: &mut Jobs,
    scope: &Scope<'_>,
    item: &ItemRow,
    hook: &HookSettings,
    outcome: &hook::Outcome,
) -> Result<Ruling> {
    let Some(synced) = &item.synced else { return Ok(Ruling::Nothing) };
    let (Some(content), Some(place)) = (&synced.content, ctx.place(item.node)?) else {
        return Ok(Ruling::Nothing);
    };
    let known = ctx.store.quarantined_version(item.folder, &item.id, &content.version)?;
    match known.map(|row| row.state) {
        None | Some(State::Released) => {}
        // The job that moves it goes on with the item. A second one would find no file, and take back what the first one did.
        Some(State::Moving) => return Ok(Ruling::Nothing),
        Some(State::Held | State::Deleted | State::Expired) => {
            let now = ctx.now.wall;
            ctx.store.mark(item.node, item.folder, Priority::News, Ask::Nothing, None, now)?;
            return Ok(Ruling::Again(Priority::News));
        }
    }
    let (path, name) = (ctx.shown_path(item)?, &scope.settings.name);
    let here = place.path.to_string();
    let history = ctx.store.history_of(item.folder, name, &here, &item.id)?;
    let told = history.told.join(", ");
    let reason = said(outcome).unwrap_or_else(|| outcome.verdict.to_string());
    let sha256 = content_id(item);
    let new = NewQuarantine {
        folder: item.folder,
        folder_name: name,
        item: &item.id,
        version: &content.version,
        path: &path,
        sha256,
        size: content.size,
        hook: &hook.name,
        verdict: outcome.verdict.word(),
        reason: &reason,
        at: ctx.now.wall,
        expires: hook.quarantine_keep.map(|keep| ctx.now.wall.plus_ms(millis(keep) as i64)),
        since: history.since,
        actor: history.actor.as_deref(),
        reached: Some(told.as_str()).filter(|told| !told.is_empty()),
    };
    let number = ctx.store.add_quarantine(&new)?;
    let remote = hook.quarantine_remote.clone();
    let about = Job::Quarantine { folder: item.folder, node: item.node, number, remote, seized: true };
    let Some(job) = jobs.start(&mut ctx.store, about)? else {
        ctx.store.forget_quarantined(number)?;
        return Ok(Ruling::PutOff(ROOM_AWAITED, WAITS, NO_ROOM.into()));
    };
    let sidecar = sidecar(&new, number, &history.told);
    ctx.out.push(Effect::Seize { job, folder: item.folder, number, at: place.path, sha256: content.sha256, sidecar });
    // What has no work is not worked on for this either.
    Ok(if ctx.store.work(item.node)?.is_some() { Ruling::Busy } else { Ruling::Nothing })
}

/// Begins to move a staged version into quarantine. The row is there first: from now on the version is not published.
pub(super) fn quarantine(
    ctx: &mut Ctx,
    jobs: &mut Jobs,
    Case { scope, item, work }: Case<'_>,
    hook: &HookSettings,
    outcome: &hook::Outcome,
) -> Result<Ruling> {
    let path = ctx.shown_path(item)?;
    let Some((staged, content)) = scope.staged.get(&item.node).cloned() else {
        return Ok(Ruling::Again(work.priority));
    };
    let reason = said(outcome).unwrap_or_else(|| outcome.verdict.to_string());
    let new = NewQuarantine {
        folder: item.folder,
        folder_name: &scope.settings.name,
        item: &item.id,
        version: &content.version,
        path: &path,
        sha256: staged.sha256,
        size: content.size,
        hook: &hook.name,
        verdict: outcome.verdict.word(),
        reason: &reason,
        at: ctx.now.wall,
        expires: hook.quarantine_keep.map(|keep| ctx.now.wall.plus_ms(millis(keep) as i64)),
        since: None,
        actor: None,
        reached: None,
    };
    let number = ctx.store.add_quarantine(&new)?;
    let remote = hook.quarantine_remote.clone();
    let about = Job::Quarantine { folder: item.folder, node: item.node, number, remote, seized: false };
    let Some(job) = jobs.start(&mut ctx.store, about)? else {
        ctx.store.forget_quarantined(number)?;
        return Ok(Ruling::PutOff(ROOM_AWAITED, WAITS, NO_ROOM.into()));
    };
    let sidecar = sidecar(&new, number, &[]);
    ctx.out.push(Effect::Quarantine { job, folder: item.folder, number, staged, sidecar });
    Ok(Ruling::Busy)
}

impl Hooks {
    /// A version is in quarantine, or could not be moved there.
    pub fn quarantine_done(
        &mut self,
        ctx: &mut Ctx,
        (scope, node): (Scope<'_>, NodeId),
        number: i64,
        (remote, seized): (&QuarantineRemote, bool),
        result: std::result::Result<(), DiskError>,
    ) -> Result<Ruling> {
        let id = scope.id;
        if !seized {
            self.staged_gone(id, node);
        }
        self.passed.remove(&node);
        if let Err(error) = result {
            // It is neither published nor lost: it is fetched, or looked at, and examined again.
            ctx.store.forget_quarantined(number)?;
            if seized && ctx.store.work(node)?.is_none() {
                let path = ctx.store.item(node)?.map(|item| ctx.shown_path(&item)).transpose()?.unwrap_or_default();
                let text = format!("cannot be put into quarantine, and is examined again later: {error}");
                ctx.notice(Notice::Problem { folder: id, path, code: "quarantine".into(), text });
                return Ok(Ruling::Nothing);
            }
            return Ok(Ruling::Failed("quarantine", format!("cannot be put into quarantine: {error}")));
        }
        ctx.store.decide_quarantined(number, State::Held, None, ctx.now.wall)?;
        let Some(row) = ctx.store.quarantined(number)? else { return Ok(Ruling::Nothing) };
        let Some(item) = ctx.store.item(node)? else { return Ok(Ruling::Gone) };
        let work = ctx.store.work(node)?;
        let journal = work.as_ref().and_then(|work| work.journal);
        ctx.store.add_action(id, node, &row.path, QUARANTINED, journal, ctx.now.wall)?;
        if let Some(journal) = journal {
            ctx.store.set_outcome(journal, QUARANTINED, ctx.now.wall)?;
        }
        let took_ms = work.as_ref().map_or(0, |work| ctx.now.wall.since(work.since).max(0));
        let (path, what) = (row.path.clone(), QUARANTINED.to_owned());
        ctx.notice(Notice::Outcome { folder: id, journal, what, path, from: None, took_ms });
        let message = format!("hook `{}` says {}", row.hook, row.reason);
        let kinds = [Some(HookKind::FileQuarantined), seized.then_some(HookKind::FileInfected)];
        for kind in kinds.into_iter().flatten() {
            let story = Story::of_item(kind, &item, row.path.clone()).with_message(message.clone());
            self.happened(ctx, (Some(scope), scope.account), story, work.as_ref())?;
        }
        if *remote != QuarantineRemote::Leave {
            ctx.store.want_disposed(number, &remote.to_string())?;
            self.disposals.are_wanted();
        }
        if work.is_none() {
            ctx.store.mark(node, id, Priority::News, Ask::Nothing, None, ctx.now.wall)?;
        }
        Ok(Ruling::Again(Priority::News))
    }

    /// A person decides about a rejected version: the answer, and whether there is something to be worked on.
    pub fn decide(
        &mut self,
        ctx: &mut Ctx,
        number: i64,
        state: Option<State>,
        why: Option<&str>,
    ) -> Result<(Answer, bool)> {
        let Some(row) = ctx.store.quarantined(number)? else {
            let message = format!("there is no number {number} in quarantine; see `agent quarantine list --all`");
            return Ok((Answer::NotFound { message }, false));
        };
        if row.state == State::Moving {
            let message = format!("number {number} is still being moved; try again in a moment");
            return Ok((Answer::Refused { message }, false));
        }
        if matches!(row.state, State::Deleted | State::Expired) && state.is_some() {
            let message = format!(
                "number {number} is {} already; `agent quarantine rescan {number}` fetches it again",
                row.state.word()
            );
            return Ok((Answer::Refused { message }, false));
        }
        let item = match row.item.parse() {
            Ok(id) => ctx.store.item_by_id(row.folder, &id)?,
            Err(_) => None,
        };
        let message = if state == Some(State::Released) {
            let content = item.as_ref().and_then(|item| item.remote.content.as_ref());
            let is_there = content.is_some_and(|content| content.version == row.version)
                && item.as_ref().is_some_and(|item| item.remote.presence == Presence::Present);
            if !is_there {
                let message = format!(
                    "the cloud no longer has this version of `{}` in the folder: bring it back there first; \
                     `agent quarantine show {number}` says where its content is",
                    row.path
                );
                return Ok((Answer::Refused { message }, false));
            }
            ctx.store.release_quarantined(number, why.unwrap_or_default(), ctx.now.wall)?;
            format!("`{}` is released, and published when it has been fetched again", row.path)
        } else if let Some(state) = state {
            ctx.store.decide_quarantined(number, state, why, ctx.now.wall)?;
            format!("`{}` is deleted from quarantine; this version is not fetched again", row.path)
        } else {
            // New signatures may see it otherwise.
            ctx.store.forget_quarantined(number)?;
            if let Some(sha256) = row.sha256 {
                ctx.store.forget_verdicts(sha256)?;
            }
            format!("`{}` is fetched and examined again", row.path)
        };
        if state != Some(State::Released) {
            ctx.out.push(Effect::DropQuarantined(vec![number]));
        }
        let wanted = item.filter(|_| state != Some(State::Deleted));
        if let Some(item) = &wanted {
            self.forget(item.node);
            ctx.store.mark(item.node, row.folder, Priority::News, Ask::Nothing, None, ctx.now.wall)?;
        }
        Ok((Answer::Ok { message }, wanted.is_some()))
    }

    /// Whether something is to be done with the cloud's copies of what was rejected.
    pub fn dispose_now(&self, ctx: &Ctx) -> bool {
        self.disposals.is_due(ctx.now.wall)
    }

    /// Does with the cloud's copies what hooks' settings say, as far as it is due. `accounts`: the folders that can work now.
    pub fn dispose(&mut self, ctx: &mut Ctx, jobs: &mut Jobs, accounts: &BTreeMap<FolderId, AccountId>) -> Result<()> {
        self.disposals.carry_on(ctx, jobs, accounts)
    }

    /// Comes back when more of that is due.
    pub fn wake_for_disposals(&mut self, ctx: &Ctx) {
        if let Some(at) = self.disposals.wake_at(ctx.now) {
            self.lines.wake(at);
        }
    }
}

/// The cloud's copy was disposed of, or not. Whether the item is to be looked at.
pub(in crate::engine) fn disposed(
    ctx: &mut Ctx,
    of: (FolderId, NodeId),
    number: i64,
    result: std::result::Result<(), ProviderError>,
) -> Result<bool> {
    disposal::ended(ctx, of, number, result)
}

/// What is in quarantine too long goes.
pub(in crate::engine) fn expire(ctx: &mut Ctx) -> Result<()> {
    let expired = ctx.store.expired_quarantine(ctx.now.wall)?;
    if !expired.is_empty() {
        ctx.store.expire_quarantined(&expired, ctx.now.wall)?;
        ctx.out.push(Effect::DropQuarantined(expired));
    }
    Ok(())
}
