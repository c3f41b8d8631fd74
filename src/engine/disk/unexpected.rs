//! Deeds whose outcome nobody recorded, and those that found something else than they expected.

use super::NOT_EMPTY_TRIED;
use crate::deed::{Base, Deed, DeedResult, DiskErrorKind, Place};
use crate::engine::conflict::SCANS_AWAITED;
use crate::engine::millis;
use crate::engine::reconcile::{DRIFT, LOCAL_IN_THE_WAY};
use crate::engine::{Engine, Note, Phase};
use crate::id::{FolderId, JobId, NodeId};
use crate::settings::OnDrift;
use crate::store::Result;
use crate::store::intents::{IntentRow, NewSeat};
use crate::store::items::{ItemRow, LocalEdit, LocalRow, SeatRow};
use crate::store::work::Lane;
use crate::tree::Stamp;
use std::collections::BTreeSet;

/// How often a deed that found something else than expected is tried again right after a scan.
const SURPRISED_MOST: u32 = 3;

impl Engine {
    /// Deeds whose outcome nobody recorded are carried out again: each of them ends in the same place.
    pub(in crate::engine) fn recover(&mut self, id: FolderId) -> Result<()> {
        let intents = self.ctx.store.intents(id)?;
        if intents.is_empty() {
            return Ok(());
        }
        for intent in &intents {
            self.schedule.set_phase(intent.node, Phase::Busy);
            // What was fetched before the crash is not fetched again, and is dropped if it turns out to be of no use.
            if let (Deed::Publish { staged, .. }, NewSeat::At { content: Some(content), .. }) =
                (&intent.order.deed, &intent.seat)
                && let Some(folder) = self.folders.get_mut(&id)
            {
                folder.staged.insert(intent.node, (staged.clone(), content.clone()));
            }
        }
        self.hand_out(id, intents, false)
    }

    /// A deed that failed is carried out again, in a directory that the same batch moved after it: there it has another path. One that
    /// did not find its directory was done before a crash, if the directory was moved before that as well: only there this can be seen.
    pub(super) fn follow_directory(
        &mut self,
        intents: &mut [IntentRow],
        results: &[DeedResult],
    ) -> Result<BTreeSet<JobId>> {
        let moved = intents.iter().zip(results).find_map(|(intent, result)| match (&intent.order.deed, result) {
            (Deed::Relocate { from, to, is_folder: true, .. }, DeedResult::Done { .. }) => {
                Some((from.clone(), to.clone()))
            }
            _ => None,
        });
        let mut followed = BTreeSet::new();
        let Some((from, to)) = moved else { return Ok(followed) };
        for (intent, result) in intents.iter_mut().zip(results) {
            let is_unseen = match result {
                DeedResult::Failed(error) => error.kind == DiskErrorKind::ParentMissing,
                DeedResult::Missing => true,
                _ => continue,
            };
            let before = intent.order.deed.clone();
            intent.order.deed.follow(&from, &to);
            if is_unseen && intent.order.deed != before {
                followed.insert(intent.order.job);
            }
            self.ctx.store.drop_intent(intent.order.job)?;
            self.ctx.store.add_intent(intent)?;
        }
        Ok(followed)
    }

    /// Takes a result that was not expected, where the disk's own changes count: nothing is cleared away, and a scan says what it is. False
    /// if the result is one that was expected.
    pub(in crate::engine) fn take_unexpected(
        &mut self,
        intent: &IntentRow,
        item: &ItemRow,
        result: &DeedResult,
    ) -> Result<bool> {
        let target = match &intent.seat {
            NewSeat::At { parent, .. } | NewSeat::Parted { parent, .. } | NewSeat::Aside { parent, .. } => {
                Some(*parent)
            }
            NewSeat::Parked | NewSeat::Nowhere | NewSeat::Unchanged | NewSeat::AllNowhere { .. } => None,
        };
        let is_adoption = matches!(intent.order.deed, Deed::Adopt { .. });
        let dirs: Vec<NodeId> = match result {
            DeedResult::Missing | DeedResult::Different if is_adoption => return Ok(false),
            DeedResult::Missing if intent.seat == NewSeat::Nowhere => return Ok(false),
            // It was on its way back when the process died, and somebody moved it on: a scan meets it by its inode.
            DeedResult::Missing if matches!(item.disk_seat(), Some(SeatRow::Parked(_))) => {
                self.missing(item)?;
                target.into_iter().collect()
            }
            // No scan sees what is out of sight, and the deed saw it: the edit is known by that.
            DeedResult::Edited { stamp } if self.is_out_of_sight(item)? => {
                let edit = Some(LocalEdit { stamp: *stamp, digests: None });
                let local = LocalRow::Present { seat: None, edit, at: self.ctx.now.wall };
                self.ctx.store.set_local(item.node, Some(&local))?;
                self.schedule.make_ready(item.node, Lane::News);
                return Ok(true);
            }
            DeedResult::Missing | DeedResult::Edited { .. } => target.into_iter().chain(Self::dir_of(item)).collect(),
            DeedResult::Occupied { .. } => target.into_iter().collect(),
            // What is in it may be new. What no scan brings into our books stays where it is, outside of them.
            DeedResult::NotEmpty { .. } => {
                if matches!(item.disk_seat(), Some(SeatRow::Parked(_))) {
                    // Out of sight nobody would find it.
                    self.schedule.note(item.node, Note::Crowded);
                    self.schedule.make_ready(item.node, Lane::News);
                    return Ok(true);
                }
                let attempts = self.ctx.store.work(item.node)?.map_or(0, |work| work.attempts);
                if attempts >= NOT_EMPTY_TRIED {
                    return Ok(false);
                }
                self.ctx.store.want_scan(item.node, item.folder, true, self.ctx.now.wall)?;
                let text = "the folder is gone from the cloud, and local files are in it";
                self.item_failed(item.node, "not_empty", text, None)?;
                self.schedule.wake_waiters(item.node);
                return Ok(true);
            }
            DeedResult::Failed(error) if error.kind == DiskErrorKind::ParentMissing => {
                let above = match target {
                    Some(target) => self.ctx.store.item(target)?,
                    None => None,
                };
                above.iter().filter_map(Self::dir_of).collect()
            }
            _ => return Ok(false),
        };
        self.drop_staged(item.folder, item.node);
        self.look_around(item.node, &dirs, matches!(result, DeedResult::Occupied { .. }))?;
        self.schedule.wake_waiters(item.node);
        Ok(true)
    }

    /// Whether an item lies in a directory that is out of sight, or is out of sight itself.
    fn is_out_of_sight(&mut self, item: &ItemRow) -> Result<bool> {
        Ok(matches!(self.ctx.place(item.node)?, Some(Place { base: Base::Parked(_), .. })))
    }

    /// Something else than expected stands where a deed wants to act: a scan finds out what it is. What no scan finds a name for is a
    /// person's matter: a link, a mount, or what patterns keep out.
    pub(super) fn look_around(&mut self, node: NodeId, dirs: &[NodeId], is_occupied: bool) -> Result<()> {
        let Some(work) = self.ctx.store.work(node)? else {
            self.leave(node);
            return Ok(());
        };
        for dir in dirs {
            self.ctx.store.want_scan(*dir, work.folder, false, self.ctx.now.wall)?;
        }
        if work.attempts < SURPRISED_MOST {
            let due = self.ctx.now.wall.plus_ms(millis(SCANS_AWAITED) as i64);
            self.ctx.store.put_off(node, due, work.attempts + 1, None)?;
            self.rest(node);
            return Ok(());
        }
        if is_occupied {
            let text = "something that is not synced is in the way; move it elsewhere, or rename the item in the cloud";
            return self.item_failed(node, LOCAL_IN_THE_WAY, text, None);
        }
        self.item_failed(node, "unexpected", "the disk is not as its scan found it", None)
    }

    /// The directories that a deed is about are scanned.
    pub(super) fn scan_places_of(&mut self, intent: &IntentRow, item: &ItemRow) -> Result<()> {
        let target = match &intent.seat {
            NewSeat::At { parent, .. } | NewSeat::Parted { parent, .. } | NewSeat::Aside { parent, .. } => {
                Some(*parent)
            }
            NewSeat::Parked | NewSeat::Nowhere | NewSeat::Unchanged | NewSeat::AllNowhere { .. } => None,
        };
        for dir in target.into_iter().chain(Self::dir_of(item)) {
            self.ctx.store.want_scan(dir, item.folder, false, self.ctx.now.wall)?;
        }
        Ok(())
    }

    /// Whether a file was found edited before, and edits are kept.
    pub(in crate::engine) fn is_drift(&self, item: &ItemRow) -> Result<bool> {
        let keeps = self.folders.get(&item.folder).is_some_and(|folder| folder.settings.on_drift == OnDrift::Keep);
        let problem = self.ctx.store.work(item.node)?.and_then(|work| work.problem);
        Ok(keeps && problem.is_some_and(|(code, _)| code == DRIFT))
    }

    pub(in crate::engine) fn drifted(&mut self, id: FolderId, node: NodeId) -> Result<()> {
        self.drop_staged(id, node);
        let text = "the local file was edited, and `on_drift = \"keep\"` keeps the edit";
        self.item_failed(node, DRIFT, text, None)
    }

    /// The directory that was to hold an item is not on disk, so somebody removed it: it is made again first.
    pub(in crate::engine) fn parent_lost(&mut self, intent: &IntentRow) -> Result<()> {
        let NewSeat::At { parent, .. } = &intent.seat else { return Ok(()) };
        let Some(above) = self.ctx.store.item(*parent)? else { return Ok(()) };
        if matches!(above.synced.as_ref().map(|synced| &synced.seat), Some(SeatRow::Root) | None) {
            return Ok(());
        }
        self.lose(&above)
    }

    /// A deed moved what the disk has, with whatever edit it carries, which has the stamp that the deed reports from now on.
    pub(in crate::engine) fn reseat(
        &mut self,
        item: &ItemRow,
        seat: Option<&SeatRow>,
        reported: Option<Stamp>,
    ) -> Result<()> {
        if item.local.is_none() {
            return Ok(());
        }
        let mut edit = item.local.as_ref().and_then(LocalRow::edit).cloned();
        if let (Some(edit), Some(reported)) = (&mut edit, reported) {
            edit.stamp = reported;
        }
        self.rebase(item.node, seat, edit)
    }
}

/// Whether a deed failed in a way that leaves open whether it was done: it may be the last flush that the disk refused.
pub(super) fn is_unsure(result: &DeedResult) -> bool {
    let kinds = [DiskErrorKind::Item, DiskErrorKind::UnsafePath, DiskErrorKind::Full];
    matches!(result, DeedResult::Failed(error) if kinds.contains(&error.kind))
}
