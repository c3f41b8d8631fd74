//! What a person decides about conflicts.

use super::Engine;
use super::effect::Notice;
use super::local::seat_of;
use crate::command::{Answer, Keep};
use crate::deed::{Deed, DeedOrder, DeedResult, OnEdit};
use crate::id::FolderId;
use crate::report::CHANGED_AFTER_DECISION;
use crate::store::Result;
use crate::store::conflicts::{ConflictRow, Decision};
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::ItemRow;

/// What the history says of a decision that cannot be carried out.
const DECIDE_AGAIN: &str = "changed after the conflict was decided; both are kept, decide again";

impl Engine {
    /// Takes a decision about one conflict, or about all.
    pub(super) fn resolve(&mut self, path: Option<&str>, folder: Option<&str>, keep: Keep) -> Result<Answer> {
        let ids: Vec<FolderId> = self
            .folders
            .iter()
            .filter(|(_, known)| folder.is_none_or(|folder| known.settings.name == folder))
            .map(|(id, _)| *id)
            .collect();
        let (mut decided, mut two_items) = (0, None);
        for id in ids {
            for conflict in self.ctx.store.conflicts(id)? {
                if path.is_some_and(|path| path != conflict.path && path != conflict.kept) {
                    continue;
                }
                if keep == Keep::Local && conflict.node == conflict.copy {
                    two_items = Some(conflict);
                    continue;
                }
                decided += 1;
                if keep == Keep::Both {
                    self.ctx.store.drop_conflict(conflict.conflict)?;
                } else {
                    let decision = self.decision(&conflict, keep)?;
                    self.ctx.store.decide_conflict(conflict.conflict, decision)?;
                    if let Some(folder) = self.folders.get_mut(&id) {
                        folder.decided = true;
                    }
                }
            }
        }
        self.ctx.more = true;
        Ok(match (decided, two_items, path) {
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
        })
    }

    /// Carries out decisions when the disk is free. The deeds only change the disk: the scan that follows finds a file that was
    /// edited and one that was deleted, and these go their usual way.
    pub(super) fn drive_decisions(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        if !folder.decided || folder.batch.is_some() || !folder.building.is_empty() || !folder.is_open() {
            return Ok(());
        }
        let Some(conflict) = self.ctx.store.next_decision(id)? else {
            folder.decided = false;
            return Ok(());
        };
        self.ctx.more = true;
        let Some(decision) = conflict.decision else {
            return self.ctx.store.drop_conflict(conflict.conflict);
        };
        let keep = decision.keep;
        let (Some(kept), Some(copy)) = (self.ctx.store.item(conflict.node)?, self.ctx.store.item(conflict.copy)?)
        else {
            // Somebody removed one of them: there is nothing left to decide.
            return self.ctx.store.drop_conflict(conflict.conflict);
        };
        let goes = if keep == Keep::Local { &kept } else { &copy };
        if decision.seen.is_some_and(|seen| goes.disk_stamp() != Some(seen)) {
            return self.decide_again(&conflict);
        }
        let Some((intent, at)) = self.removal(goes)? else { return self.ctx.store.drop_conflict(conflict.conflict) };
        let mut intents = vec![intent];
        if keep == Keep::Local {
            let (Some(from), Some(expect)) = (self.place(copy.node)?, copy.disk_stamp()) else {
                return self.ctx.store.drop_conflict(conflict.conflict);
            };
            let deed = Deed::Relocate { from, to: at, expect, is_folder: false };
            let order = DeedOrder { job: self.ctx.store.next_job()?, deed };
            intents.push(IntentRow { node: copy.node, folder: id, order, seat: NewSeat::Unchanged });
        }
        self.decide(id, intents)
    }

    fn removal(&mut self, item: &ItemRow) -> Result<Option<(IntentRow, crate::deed::Place)>> {
        if item.id.is_folder() || seat_of(item).is_none() {
            return Ok(None);
        }
        let (Some(at), Some(expect)) = (self.place(item.node)?, item.disk_stamp()) else { return Ok(None) };
        let deed = Deed::RemoveFile { at: at.clone(), expect, on_edit: OnEdit::Keep };
        let order = DeedOrder { job: self.ctx.store.next_job()?, deed };
        let intent = IntentRow { node: item.node, folder: item.folder, order, seat: NewSeat::Unchanged };
        Ok(Some((intent, at)))
    }

    fn decide(&mut self, id: FolderId, intents: Vec<IntentRow>) -> Result<()> {
        for intent in &intents {
            self.ctx.store.add_intent(intent)?;
        }
        self.hand_out(id, intents, false)
    }

    /// What a person decides is about what goes, as it is now.
    fn decision(&self, conflict: &ConflictRow, keep: Keep) -> Result<Decision> {
        let goes = if keep == Keep::Local { conflict.node } else { conflict.copy };
        let seen = self.ctx.store.item(goes)?.and_then(|item| item.disk_stamp());
        Ok(Decision { keep, seen })
    }

    /// A deed that a decision asked for is done, or could not be, as somebody edited or moved the file after he decided.
    pub(super) fn decision_met(&mut self, intent: &IntentRow, result: &DeedResult) -> Result<()> {
        let is_decided = !matches!(intent.order.deed, Deed::RemoveFile { on_edit: OnEdit::Displace, .. });
        if intent.seat != NewSeat::Unchanged || !is_decided {
            return Ok(());
        }
        let Some(conflict) = self.ctx.store.decided_about(intent.folder, intent.node)? else { return Ok(()) };
        match result {
            DeedResult::Done { .. } if intent.node == conflict.copy => self.ctx.store.drop_conflict(conflict.conflict),
            DeedResult::Done { .. } => Ok(()),
            _ => self.decide_again(&conflict),
        }
    }

    /// What was decided about is not what is there: both are kept, and the conflict is listed as before.
    fn decide_again(&mut self, conflict: &ConflictRow) -> Result<()> {
        self.ctx.store.decide_again(conflict.conflict, CHANGED_AFTER_DECISION)?;
        let (folder, path, what) = (conflict.folder, conflict.path.clone(), DECIDE_AGAIN.to_owned());
        self.ctx.store.add_action(folder, &path, DECIDE_AGAIN, None, self.ctx.now.wall)?;
        self.ctx.notice(Notice::Outcome { folder, journal: None, what, path, from: None, took_ms: 0 });
        Ok(())
    }
}
