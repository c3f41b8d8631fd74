//! What is to be done with the cloud's copy of what is in quarantine: wanted durably, and tried until it is known to be done.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ROOM_AWAITED;
use crate::engine::ctx::{Ctx, millis};
use crate::engine::effect::{Effect, Notice, Task};
use crate::engine::input::Now;
use crate::engine::jobs::{Job, Jobs};
use crate::hook::QuarantineRemote;
use crate::id::{AccountId, FolderId, NodeId};
use crate::provider::{ProviderError, ProviderErrorKind};
use crate::store::Result;
use crate::store::items::ItemRow;
use crate::store::work::{Ask, Priority};
use crate::tree::Wall;

/// Copies in the cloud that one step disposes of.
const AT_ONCE: usize = 32;
/// How long until that is tried again; it doubles up to half an hour.
const AGAIN: Duration = Duration::from_mins(1);
const NEVER: Wall = Wall(i64::MAX);

/// When something is due; at the start the database is asked.
#[derive(Debug, Default)]
pub(in crate::engine) struct Disposals {
    at: Wall,
}

impl Disposals {
    /// Something is to be done now.
    pub fn are_wanted(&mut self) {
        self.at = Wall(0);
    }

    /// Whether something is due.
    pub fn is_due(&self, now: Wall) -> bool {
        now >= self.at
    }

    /// When something is due next, on the clock that never jumps.
    pub fn wake_at(&self, now: Now) -> Option<u64> {
        let wait = || self.at.since(now.wall).max(0) as u64;
        (self.at < NEVER).then(|| now.mono.saturating_add(wait()))
    }

    /// Begins what is due. `accounts`: the folders that can work now.
    pub fn carry_on(&mut self, ctx: &mut Ctx, jobs: &mut Jobs, accounts: &BTreeMap<FolderId, AccountId>) -> Result<()> {
        let now = ctx.now.wall;
        for due in ctx.store.due_disposals(now, AT_ONCE)? {
            let (number, folder) = (due.number, due.folder);
            let item = match due.item.parse() {
                Ok(item) => ctx.store.item_by_id(folder, &item)?,
                Err(_) => None,
            };
            let is_there = |item: &ItemRow| item.remote.content.as_ref().is_some_and(|of| of.version == due.version);
            let (Some(item), Some(how)) = (item.filter(is_there), QuarantineRemote::parse(&due.how)) else {
                // It is gone, or another version: that is a matter of its own.
                ctx.store.disposed_of(number)?;
                continue;
            };
            let mut begun = None;
            if let Some(account) = accounts.get(&folder) {
                let job = jobs.start(&mut ctx.store, Job::Dispose { folder, node: item.node, number })?;
                begun = job.map(|job| (job, *account));
            }
            let pause = if begun.is_some() { AGAIN * 2u32.pow(due.tries.min(5)) } else { ROOM_AWAITED };
            ctx.store.put_off_disposal(number, now.plus_ms(millis(pause) as i64), begun.is_some())?;
            if let Some((job, account)) = begun {
                let (name, etag) = (item.remote.name.clone(), item.remote.etag.clone());
                ctx.out.push(Effect::Cloud { job, account, task: Task::Dispose { item: item.id, name, etag, how } });
            }
        }
        self.at = ctx.store.next_disposal()?.unwrap_or(NEVER);
        Ok(())
    }
}

/// One was tried. True if the item is to be looked at: what became of it is learnt like any other change, also where it was gone or
/// changed before.
pub(super) fn ended(
    ctx: &mut Ctx,
    (folder, node): (FolderId, NodeId),
    number: i64,
    result: std::result::Result<(), ProviderError>,
) -> Result<bool> {
    let Some(item) = ctx.store.item(node)? else {
        ctx.store.disposed_of(number)?;
        return Ok(false);
    };
    match result {
        Err(error) if error.kind != ProviderErrorKind::NotFound => {
            let path = ctx.shown_path(&item)?;
            let text = format!("the cloud's copy of a quarantined file stays, and is tried again: {error}");
            ctx.notice(Notice::Problem { folder, path, code: "quarantine_remote".into(), text });
            if error.kind != ProviderErrorKind::Conflict {
                return Ok(false);
            }
        }
        Ok(()) | Err(_) => ctx.store.disposed_of(number)?,
    }
    ctx.store.mark(node, folder, Priority::News, Ask::State, None, ctx.now.wall)?;
    Ok(true)
}
