//! What goes from the disk because it is gone from the cloud: what is asked, awaited and looked for before it does.

use std::time::Duration;

use crate::engine::disk::Want;
use crate::engine::remote::above;
use crate::engine::{Engine, Note};
use crate::id::{FolderId, ItemKind};
use crate::store::Result;
use crate::store::expected::Told;
use crate::store::folders::ComparisonStage;
use crate::store::items::{ItemRow, LocalRow, Presence, SeatRow};
use crate::store::work::WorkRow;

/// Time until what a comparison may yet find elsewhere is looked at again.
const COMPARISON_AWAITED: Duration = Duration::from_mins(1);

impl Engine {
    /// Something is to go from the disk.
    pub(in crate::engine) fn remove(&mut self, item: &ItemRow, work: &WorkRow, kind: ItemKind) -> Result<()> {
        if kind == ItemKind::Folder && self.hide_tree(item, work)? {
            return Ok(());
        }
        if self.ctx.store.sweep_left(item.folder)? {
            // Until everything below is told we do not know how much goes.
            self.await_sweep(item);
            return Ok(());
        }
        let is_asked_about = !self.goes_unasked(item, work)?;
        match kind {
            ItemKind::File if self.hides_an_edit(item) => self.bring_back(item, work),
            ItemKind::File if is_asked_about && self.may_be_elsewhere(item)? => {
                self.wait_quietly(work, COMPARISON_AWAITED)
            }
            ItemKind::File
                if is_asked_about && above::went_with_folder(&self.ctx, item)? && self.reads_on(item.folder) =>
            {
                self.await_sweep(item);
                Ok(())
            }
            ItemKind::File if self.await_answer_above(item, work)? => Ok(()),
            ItemKind::File => {
                if !is_asked_about || self.is_hidden(item)? {
                    return self.want(item, work, Want::RemoveFile);
                }
                if self.is_held_out_of_sight(item)? {
                    return self.show_again(item, work);
                }
                if self.hold_removal(item)? { Ok(()) } else { self.want(item, work, Want::RemoveFile) }
            }
            ItemKind::Folder if self.schedule.is_noted(item.node, Note::Crowded) => self.bring_back(item, work),
            ItemKind::Folder => {
                if self.vacate(item, work)? {
                    self.want(item, work, Want::RemoveFolder)?;
                }
                Ok(())
            }
        }
    }

    /// Whether nobody is asked about the removal of an item, as a person approved it, or as another item is to have its place.
    pub(in crate::engine) fn goes_unasked(&self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        if work.approved || !item.id.is_folder() && self.approved_above(item)? {
            return Ok(true);
        }
        if !work.replaced {
            return Ok(false);
        }
        // The other one may be gone by now.
        let Some(SeatRow::At { parent, name }) = item.disk_seat() else { return Ok(false) };
        let other = self.ctx.store.remote_named(parent, &name.to_text(), false)?;
        let other = other.map(|other| self.ctx.store.item(other)).transpose()?.flatten();
        Ok(other.is_some_and(|other| other.node != item.node && other.remote.presence == Presence::Present))
    }

    /// Whether a file went with its folder, and may have left that before: the stream that would have told is lost or could not be
    /// understood, and the comparison in its place has not met everything yet.
    fn may_be_elsewhere(&self, item: &ItemRow) -> Result<bool> {
        let is_open = self.folders.get(&item.folder).is_some_and(|folder| {
            let looks =
                matches!(folder.row.comparison_stage, Some(ComparisonStage::Listing | ComparisonStage::Settling));
            looks && folder.row.unverified.is_some() || folder.doubts_what_went()
        });
        Ok(is_open && above::went_with_folder(&self.ctx, item)?)
    }

    /// Has the stream read to its end, if something went ahead of it. Whether it is to be read still.
    pub(in crate::engine) fn reads_on(&mut self, id: FolderId) -> bool {
        let Some(folder) = self.folders.get(&id) else { return false };
        let Some(account) = self.accounts.get_mut(&folder.account) else { return false };
        let Some(after) = folder.ahead_of_stream(account.polls_ended) else { return false };
        if account.polls_begun == after {
            // One was under way when the folder was found to be gone, and its end set the interval anew.
            account.poll_now();
        }
        true
    }

    /// A remote folder is found to be gone. The stream is read on before what it held is believed to be gone: if an event had told that, to the end
    /// of what is being read, as what left the folder before may be told after it; if none had, by another poll.
    ///
    /// Example: `mv d/a e; rm -r d`, told in the other order on two pages.
    pub(in crate::engine) fn found_folder_gone(&mut self, item: &ItemRow) {
        if !item.id.is_folder() || item.remote.presence != Presence::Present {
            return;
        }
        let was_told = self.questions.expected(item.node).is_some_and(|expected| expected.told == Told::Gone);
        let Some(folder) = self.folders.get_mut(&item.folder) else { return };
        let account = self.accounts.get(&folder.account);
        let (begun, ended) = account.map_or((0, 0), |account| (account.polls_begun, account.polls_ended));
        if !was_told {
            folder.found_gone(begun);
            self.poll_for(item.folder);
        } else if ended < begun {
            folder.found_gone(begun - 1);
        }
    }

    /// Whether a file was edited before it was put out of sight. The planner does not see that edit there.
    pub(in crate::engine) fn hides_an_edit(&self, item: &ItemRow) -> bool {
        self.policy(item.folder).sends()
            && !item.id.is_folder()
            && matches!(item.disk_seat(), Some(SeatRow::Parked(_)))
            && item.local.as_ref().and_then(LocalRow::edit).is_some()
    }
}
