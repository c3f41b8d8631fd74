//! What `agent verify` found to differ becomes work like any other: the engine looks, compares, fetches and keeps as it always does.

use super::Engine;
use super::reconcile::DRIFT;
use crate::command::{Answer, Repair};
use crate::store::Result;
use crate::store::work::{Ask, Lane};

impl Engine {
    /// Marks what differs.
    pub(super) fn repair(&mut self, repair: &Repair) -> Result<Answer> {
        let found = self.folders.iter().find(|(_, folder)| folder.settings.name == repair.folder).map(|(id, _)| *id);
        let Some(id) = found else {
            return Ok(Answer::NotFound { message: format!("there is no folder `{}`", repair.folder) });
        };
        let (mut marked, mut busy) = (0_u64, 0_u64);
        for (items, is_missing) in [(&repair.missing, true), (&repair.differing, false)] {
            for item in items {
                let Some(item) = self.ctx.store.item_by_id(id, item)? else { continue };
                if self.schedule.is_busy(item.node) {
                    busy += 1;
                    continue;
                }
                marked += 1;
                if is_missing {
                    self.missing_on_disk(&item)?;
                } else {
                    self.put_synced(&item, None)?;
                }
                self.ctx.store.mark(item.node, id, Lane::Bulk, Ask::Nothing, None, self.ctx.now.wall)?;
                if !is_missing {
                    // What stands in its place is compared with the cloud's version before anything is fetched or set aside.
                    let text = "`agent verify` found another content on disk";
                    self.ctx.store.put_off(item.node, self.ctx.now.wall, 0, Some((DRIFT, text)))?;
                }
            }
        }
        if repair.compare {
            self.compare(id, "`agent verify` found differences between the cloud and what the agent knew of it")?;
        }
        self.reload();
        let also = if repair.compare { "; the whole folder is compared with the cloud" } else { "" };
        let left = if busy > 0 { format!("; {busy} are being worked on already") } else { String::new() };
        Ok(Answer::Ok { message: format!("{}: {marked} items are mended now{also}{left}", repair.folder) })
    }
}
