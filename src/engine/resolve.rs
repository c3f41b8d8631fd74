//! What a person decides about conflicts.

use super::ctx::Ctx;
use super::effect::Notice;
use crate::command::{Answer, Keep};
use crate::deed::{Deed, DeedOrder, DeedResult, OnEdit, Place};
use crate::id::FolderId;
use crate::report::CHANGED_AFTER_DECISION;
use crate::store::Result;
use crate::store::conflicts::{ConflictRow, Decision};
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::{ItemRow, SeatRow};

/// What the history says of a decision that cannot be carried out.
const DECIDE_AGAIN: &str = "changed after the conflict was decided; both are kept, decide again";

/// What a person's decision brings about.
#[derive(Debug)]
pub(in crate::engine) struct Decided {
    /// What the person is told.
    pub answer: Answer,
    /// Folders in which there is something to carry out.
    pub folders: Vec<FolderId>,
}

/// What carrying out the next decision of a folder takes.
#[derive(Debug)]
pub(in crate::engine) enum Next {
    /// There is none.
    Nothing,
    /// Nothing on disk; there may be another one.
    Settled,
    /// These deeds, which are written down.
    Deeds(Vec<IntentRow>),
}

/// Takes a decision about one conflict of these folders, or about all.
pub(in crate::engine) fn decide(ctx: &mut Ctx, ids: &[FolderId], path: Option<&str>, keep: Keep) -> Result<Decided> {
    let (mut decided, mut two_items, mut folders) = (0, None, Vec::new());
    for id in ids {
        for conflict in ctx.store.conflicts(*id)? {
            if path.is_some_and(|path| path != conflict.path && path != conflict.kept) {
                continue;
            }
            if keep == Keep::Local && conflict.node == conflict.copy {
                two_items = Some(conflict);
                continue;
            }
            decided += 1;
            if keep == Keep::Both {
                ctx.store.drop_conflict(conflict.conflict)?;
            } else {
                let decision = decision(ctx, &conflict, keep)?;
                ctx.store.decide_conflict(conflict.conflict, decision)?;
                folders.push(*id);
            }
        }
    }
    ctx.more = true;
    let answer = match (decided, two_items, path) {
        (0, Some(conflict), _) => Answer::Refused {
            message: format!(
                "`{}` and `{}` are two items; rename one of them, or keep both",
                conflict.path, conflict.kept
            ),
        },
        (0, None, Some(path)) => {
            Answer::NotFound { message: format!("there is no conflict at `{path}`; `agent conflicts` lists them") }
        }
        (0, None, None) => Answer::Ok { message: "there are no conflicts".into() },
        (1, None, _) => Answer::Ok { message: "the conflict is decided".into() },
        (many, None, _) => Answer::Ok { message: format!("{many} conflicts are decided") },
        (some, Some(conflict), _) => Answer::Ok {
            message: format!(
                "{some} decided; the others are two items each, as `{}` and `{}`: rename one of them, or keep both",
                conflict.path, conflict.kept
            ),
        },
    };
    Ok(Decided { answer, folders })
}

/// Takes up a folder's next decision, when its disk is free. The deeds only change the disk: the scan that follows finds a file that was
/// edited and one that was deleted, and these go their usual way.
pub(in crate::engine) fn take_up(ctx: &mut Ctx, id: FolderId) -> Result<Next> {
    let Some(conflict) = ctx.store.next_decision(id)? else { return Ok(Next::Nothing) };
    let Some(intents) = deeds_of(ctx, id, &conflict)? else { return Ok(Next::Settled) };
    for intent in &intents {
        ctx.store.add_intent(intent)?;
    }
    Ok(Next::Deeds(intents))
}

fn deeds_of(ctx: &mut Ctx, id: FolderId, conflict: &ConflictRow) -> Result<Option<Vec<IntentRow>>> {
    let drop = |ctx: &mut Ctx| ctx.store.drop_conflict(conflict.conflict).map(|()| None);
    let Some(decision) = conflict.decision else { return drop(ctx) };
    let keep = decision.keep;
    let (Some(kept), Some(copy)) = (ctx.store.item(conflict.node)?, ctx.store.item(conflict.copy)?) else {
        // Somebody removed one of them: there is nothing left to decide.
        return drop(ctx);
    };
    let goes = if keep == Keep::Local { &kept } else { &copy };
    if decision.seen.is_some_and(|seen| goes.disk_stamp() != Some(seen)) {
        return decide_again(ctx, conflict).map(|()| None);
    }
    let Some((intent, at)) = removal(ctx, goes)? else { return drop(ctx) };
    let mut intents = vec![intent];
    if keep == Keep::Local {
        let (Some(from), Some(expect)) = (ctx.place(copy.node)?, copy.disk_stamp()) else { return drop(ctx) };
        let deed = Deed::Relocate { from, to: at, expect, is_folder: false, holds: None };
        let order = DeedOrder { job: ctx.store.next_job()?, deed };
        intents.push(IntentRow { node: copy.node, folder: id, order, seat: NewSeat::Unchanged });
    }
    Ok(Some(intents))
}

fn removal(ctx: &mut Ctx, item: &ItemRow) -> Result<Option<(IntentRow, Place)>> {
    if item.id.is_folder() || !matches!(item.disk_seat(), Some(SeatRow::At { .. })) {
        return Ok(None);
    }
    let (Some(at), Some(expect)) = (ctx.place(item.node)?, item.disk_stamp()) else { return Ok(None) };
    let deed = Deed::RemoveFile { at: at.clone(), expect, on_edit: OnEdit::Keep };
    let order = DeedOrder { job: ctx.store.next_job()?, deed };
    let intent = IntentRow { node: item.node, folder: item.folder, order, seat: NewSeat::Unchanged };
    Ok(Some((intent, at)))
}

/// What a person decides is about what goes, as it is now.
fn decision(ctx: &Ctx, conflict: &ConflictRow, keep: Keep) -> Result<Decision> {
    let goes = if keep == Keep::Local { conflict.node } else { conflict.copy };
    let seen = ctx.store.item(goes)?.and_then(|item| item.disk_stamp());
    Ok(Decision { keep, seen })
}

/// A deed that a decision may have asked for is done, or could not be, as somebody edited or moved the file after they decided.
pub(in crate::engine) fn deed_done(ctx: &mut Ctx, intent: &IntentRow, result: &DeedResult) -> Result<()> {
    let is_decided = !matches!(intent.order.deed, Deed::RemoveFile { on_edit: OnEdit::Displace, .. });
    if intent.seat != NewSeat::Unchanged || !is_decided {
        return Ok(());
    }
    let Some(conflict) = ctx.store.decided_about(intent.folder, intent.node)? else { return Ok(()) };
    match result {
        DeedResult::Done { .. } if intent.node == conflict.copy => ctx.store.drop_conflict(conflict.conflict),
        DeedResult::Done { .. } => Ok(()),
        _ => decide_again(ctx, &conflict),
    }
}

/// What was decided about is not what is there: both are kept, and the conflict is listed as before.
fn decide_again(ctx: &mut Ctx, conflict: &ConflictRow) -> Result<()> {
    ctx.store.decide_again(conflict.conflict, CHANGED_AFTER_DECISION)?;
    let (folder, path, what) = (conflict.folder, conflict.path.clone(), DECIDE_AGAIN.to_owned());
    ctx.store.add_action(folder, conflict.node, &path, DECIDE_AGAIN, None, ctx.now.wall)?;
    ctx.notice(Notice::Outcome { folder, journal: None, what, path, from: None, took_ms: 0 });
    Ok(())
}
