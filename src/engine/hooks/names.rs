//! Names that files get on disk or in the cloud, by themselves or with a directory above them: hooks that cover them there are asked first.

use std::time::Duration;

use super::question::Candidate;
use super::{Case, Hooks, Ruling, Scope, WAITS, basis_digest, content_id};
use crate::engine::ctx::Ctx;
use crate::engine::jobs::Jobs;
use crate::hook::{HookSettings, Matter, When};
use crate::id::{NodeId, Sha256};
use crate::path::RelPath;
use crate::settings::Mode;
use crate::store::Result;
use crate::store::items::{ItemRow, LocalRow, SeatRow};

/// How long a directory waits for what gets a covered name with it.
const EXAMINATION_AWAITED: Duration = Duration::from_millis(500);
/// Items below a directory that one step looks through.
const WALKED_PER_STEP: usize = 1_000;

/// A walk through what is below a directory that gets another name: directories with their paths now and then.
#[derive(Debug, Default)]
pub(super) struct Walk {
    left: Vec<(NodeId, String, String)>,
    found: bool,
}

impl Hooks {
    /// Whether something may have a name: every hook that covers a file there has allowed it.
    pub fn may_be_called(
        &mut self,
        ctx: &mut Ctx,
        jobs: &mut Jobs,
        case: Case<'_>,
        matter: Matter,
        to: &RelPath,
    ) -> Result<Ruling> {
        let Case { scope, item, .. } = case;
        if self.selector.is_empty() {
            return Ok(Ruling::Pass);
        }
        let Some(from) = ctx.place(item.node)? else { return Ok(Ruling::Pass) };
        if item.id.is_folder() {
            return self.may_take_along(ctx, case, matter, to);
        }
        let edit = item.local.as_ref().and_then(LocalRow::edit);
        let content = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
        let known = match (edit, content) {
            // An edit is examined before it leaves; here it only gets another name.
            (Some(_), _) if matter == Matter::Renamed => None,
            (Some(edit), _) => {
                // What it holds decides whether it was allowed.
                let Some((sha256, _)) = &edit.digests else { return Ok(Ruling::Read) };
                Some((*sha256, edit.stamp))
            }
            (None, Some(_)) => item.synced.as_ref().map(|synced| (content_id(item), synced.stamp)),
            (None, None) => None,
        };
        let Some((sha256, stamp)) = known else { return Ok(Ruling::Pass) };
        let judges = self.judges_of(&scope, matter.kind(), &to.to_string());
        let judges = not_satisfied(ctx, item.node, judges, sha256)?;
        if judges.is_empty() {
            return Ok(Ruling::Pass);
        }
        let candidate = Candidate {
            matter,
            sha256,
            version: content.filter(|_| edit.is_none()).map(|content| content.version.clone()),
            size: stamp.size,
            file: scope.settings.local.join(from.path.to_path()),
            place: to.clone(),
            stamp: Some(stamp),
        };
        self.passes(ctx, jobs, case, judges, &candidate)
    }

    /// Whether nothing below a directory gets a name with it that a hook covers and covered not before, and that this hook has not
    /// allowed. What does is examined where it is, and the directory waits.
    fn may_take_along(&mut self, ctx: &mut Ctx, case: Case<'_>, matter: Matter, to: &RelPath) -> Result<Ruling> {
        let Case { scope, item, work } = case;
        let by_path = |hook: &HookSettings| hook.when == When::Before && !hook.patterns.is_empty();
        if !self.selector.all().any(by_path) {
            return Ok(Ruling::Pass);
        }
        let here = match matter {
            // The cloud knows it by the name that it had.
            Matter::Leaving => ctx.shown_path(item)?,
            Matter::Staged | Matter::Renamed => {
                ctx.place(item.node)?.map_or_else(String::new, |place| place.path.to_string())
            }
        };
        let begun = self.walks.remove(&item.node);
        let mut walk = begun.unwrap_or_else(|| Walk { left: vec![(item.node, here, to.to_string())], found: false });
        let mut looked = 0;
        while let Some((dir, from, to)) = walk.left.pop() {
            for node in ctx.store.all_seated_in(dir)? {
                looked += 1;
                let Some(child) = ctx.store.item(node)? else { continue };
                let Some(SeatRow::At { name, .. }) = child.disk_seat() else { continue };
                let name = name.to_text();
                let (from, to) = (format!("{from}/{name}"), format!("{to}/{name}"));
                if child.id.is_folder() {
                    walk.left.push((node, from, to));
                    continue;
                }
                let mut covered = self.judges_of(&scope, matter.kind(), &to);
                let before = self.judges_of(&scope, matter.kind(), &from);
                covered.retain(|hook| !before.contains(hook));
                for hook in not_satisfied(ctx, node, covered, content_id(&child))? {
                    ctx.store.want_examined(node, item.folder, &hook.name)?;
                    walk.found = true;
                }
            }
            if looked >= WALKED_PER_STEP && !walk.left.is_empty() {
                ctx.gone_through += looked;
                self.walks.insert(item.node, walk);
                return Ok(Ruling::Again(work.priority));
            }
        }
        ctx.gone_through += looked;
        // What else in the folder waits to be examined is no concern of this directory.
        if !walk.found {
            return Ok(Ruling::Pass);
        }
        self.rounds.look_from_the_start();
        ctx.more = true;
        let text = "waits until what gets its name with it was examined";
        Ok(Ruling::PutOff(EXAMINATION_AWAITED, WAITS, text.into()))
    }

    /// The disk had what the cloud has: hooks that decide about it examine it where it is.
    pub fn examine_later(&mut self, ctx: &mut Ctx, scope: &Scope<'_>, item: &ItemRow) -> Result<()> {
        if item.id.is_folder() || scope.settings.mode == Mode::Upload {
            return Ok(());
        }
        let judges = self.judges(ctx, scope, item)?;
        for hook in not_satisfied(ctx, item.node, judges, content_id(item))? {
            ctx.store.want_examined(item.node, item.folder, &hook.name)?;
            self.rounds.look_from_the_start();
            ctx.more = true;
        }
        Ok(())
    }
}

/// Those of some hooks that have not allowed a content of an item.
fn not_satisfied(ctx: &Ctx, node: NodeId, judges: Vec<HookSettings>, sha256: Sha256) -> Result<Vec<HookSettings>> {
    let mut left = Vec::new();
    for hook in judges {
        if !ctx.store.examined(node, &hook.name)?.is_some_and(|row| row.covers(&basis_digest(&hook), sha256)) {
            left.push(hook);
        }
    }
    Ok(left)
}
