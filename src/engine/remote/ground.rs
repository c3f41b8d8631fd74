//! A watched folder as far as what the cloud says concerns it: which paths lie in it, and where they lead.

use super::hints::Location;
use super::questions::FormerNames;
use super::readings::{Named, readings};
use crate::engine::ctx::Ctx;
use crate::engine::filter::Filter;
use crate::events::{RemoteEvent, Subject};
use crate::id::{FolderId, ItemId, NodeId};
use crate::plan::Policy;
use crate::store::Result;
use crate::store::items::{ItemRow, Presence};
use crate::tree::{RemoteItem, Wall};

/// What is to be known of a watched folder. One that is known no more has no root, and nothing leads into it.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Ground<'a> {
    /// The folder.
    pub id: FolderId,
    /// The item that it watches.
    pub root: Option<NodeId>,
    /// That item's id; nothing before it was found.
    pub root_item: Option<&'a ItemId>,
    /// Where that is in the cloud.
    pub root_path: Option<&'a str>,
    /// What is kept out of it.
    pub filter: Option<&'a Filter>,
    /// It watches all of the account.
    pub watches_top: bool,
    /// The events of its cloud carry whole items.
    pub events_carry_items: bool,
    /// The number of its newest comparison.
    pub comparison: i64,
    /// That comparison is under way.
    pub is_compared: bool,
    /// Who decides in it.
    pub policy: Policy,
}

impl Ground<'_> {
    /// Whether it may concern the folder what happened at a path: it lies in the folder, or the folder below it.
    pub fn is_concerned_by(&self, path: &str) -> bool {
        self.root_path.is_some_and(|root| below(root, path).is_some() || below(path, root).is_some())
    }

    /// A path from the watched folder on, for people; nothing if it lies elsewhere.
    pub fn path_below(&self, path: &str) -> Option<String> {
        below(self.root_path?, path).map(|names| names.join("/"))
    }

    /// Its root, if it watches the top of its account.
    pub fn top(&self) -> Option<NodeId> {
        self.root.filter(|_| self.watches_top)
    }

    /// Whether a comparison that is under way has not met an item yet. What is known of it may be of before, and an event that agrees with that
    /// says that it is there all the same.
    ///
    /// Example: `a` goes to the trash, the place in the stream is lost, the folder above is listed, and then `a` is restored.
    pub fn is_unmet(&self, item: &ItemRow) -> bool {
        self.is_compared && item.remote.seen < self.seen_mark(false)
    }

    /// How an item that is met now is marked for the comparison: even if the stream told of it, odd if it was seen itself.
    pub fn seen_mark(&self, seen: bool) -> i64 {
        2 * self.comparison + i64::from(seen)
    }

    /// Whether something right in the watched folder was seen under another path than that one's, which has moved then.
    pub fn is_elsewhere(&self, child: &RemoteItem) -> bool {
        let Some(path) = &child.path else { return false };
        let is_child = child.parent.is_some() && self.root_item == child.parent.as_ref();
        let above = path.trim_end_matches('/').rsplit_once('/').map_or("", |(above, _)| above);
        is_child && self.root_path.is_some_and(|root| root.trim_end_matches('/') != above)
    }

    /// Where a whole path leads.
    pub fn locate(&self, ctx: &Ctx, path: &str) -> Result<Location> {
        let found =
            self.read(path, |dir, folded| Ok(Named { now: folders_called(ctx, dir, folded)?, before: Vec::new() }))?;
        Ok(found.into_iter().next().unwrap_or(Location::Outside))
    }

    /// Where a whole path may lead that was told of something that happened at a moment, if anybody knows when that was: first where
    /// [`Self::locate`] has it.
    pub fn locate_all(&self, ctx: &Ctx, former: &FormerNames, path: &str, at: Option<Wall>) -> Result<Vec<Location>> {
        self.read(path, |dir, folded| {
            let before = self.former_folders(ctx, former, dir, folded, at)?;
            Ok(Named { now: folders_called(ctx, dir, folded)?, before })
        })
    }

    /// The same of a place that something left, which may have been in a folder that is known to be gone by now.
    ///
    /// Example: `a/b` moves to `c/b`, and `a` goes to the trash. `a` is looked at before the first of the two is told: until `b` is looked at, what
    /// is in it is not known to be gone.
    fn locate_left(&self, ctx: &Ctx, former: &FormerNames, path: &str, at: Option<Wall>) -> Result<Vec<Location>> {
        self.read(path, |dir, folded| {
            let mut now = folders_called(ctx, dir, folded)?;
            let mut before = self.former_folders(ctx, former, dir, folded, at)?;
            let gone = ctx.store.gone_folders_in(dir)?;
            let gone = gone.into_iter().filter(|(_, name)| name.to_lowercase() == folded).map(|(node, _)| node);
            let is_there = ctx.store.item(dir)?.is_some_and(|dir| dir.remote.presence == Presence::Present);
            // What was in one that is gone is where it was, as far as is known.
            if is_there {
                before.extend(gone);
            } else {
                now.extend(gone);
            }
            Ok(Named { now, before })
        })
    }

    /// Where a path of an event may lead, the likeliest place first. What has an id is found by that, and one place is enough.
    pub fn locate_told(
        &self,
        ctx: &Ctx,
        former: &FormerNames,
        event: &RemoteEvent,
        path: Option<&str>,
        was_left: bool,
    ) -> Result<impl Iterator<Item = Location> + use<>> {
        let found = match path {
            None => Vec::new(),
            Some(path) if !matches!(event.subject, Subject::Path { .. }) => vec![self.locate(ctx, path)?],
            Some(path) if was_left => self.locate_left(ctx, former, path, event.at)?,
            Some(path) => self.locate_all(ctx, former, path, event.at)?,
        };
        Ok(found.into_iter())
    }

    /// The folders on the way to a path, as it is read by the tree as last observed.
    pub fn way_to(&self, ctx: &Ctx, path: &str) -> Result<Vec<NodeId>> {
        let mut way = Vec::new();
        self.read(path, |dir, folded| {
            way.push(dir);
            Ok(Named { now: folders_called(ctx, dir, folded)?, before: Vec::new() })
        })?;
        Ok(way)
    }

    /// The folders that had a name in a folder at a moment.
    fn former_folders(
        &self,
        ctx: &Ctx,
        former: &FormerNames,
        dir: NodeId,
        folded: &str,
        at: Option<Wall>,
    ) -> Result<Vec<NodeId>> {
        let mut before = Vec::new();
        for node in former.had(dir, folded, at) {
            let item = ctx.store.item(node)?;
            if item.is_some_and(|item| item.folder == self.id && item.remote.presence == Presence::Present) {
                before.push(node);
            }
        }
        Ok(before)
    }

    /// The places to which a path may lead. `folders` has the folders of a name in a folder.
    pub fn read(&self, path: &str, folders: impl FnMut(NodeId, &str) -> Result<Named>) -> Result<Vec<Location>> {
        let names = self.root_path.and_then(|top| below(top, path));
        let Some((root, names)) = self.root.zip(names) else { return Ok(vec![Location::Outside]) };
        let filter = self.filter.filter(|filter| !filter.is_empty());
        if let Some(filter) = filter
            && (1..names.len()).any(|end| !filter.wants(&names[..end].join("/"), true))
        {
            return Ok(vec![Location::FilteredOut]);
        }
        readings(root, &names, folders)
    }
}

/// The folders of a name in a folder, without regard to case.
pub(in crate::engine) fn folders_called(ctx: &Ctx, dir: NodeId, folded: &str) -> Result<Vec<NodeId>> {
    let known = ctx.store.folders_in(dir)?;
    Ok(known.into_iter().filter(|(_, known)| known.to_lowercase() == folded).map(|(node, _)| node).collect())
}

/// The names that lead from a folder's whole path to a path in it or at it; nothing if it lies elsewhere. Letters' case makes no difference.
pub(in crate::engine) fn below<'a>(top: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let names = |path: &'a str| path.split('/').filter(|name| !name.is_empty());
    let mut rest = names(path);
    for name in top.split('/').filter(|name| !name.is_empty()) {
        if rest.next()?.to_lowercase() != name.to_lowercase() {
            return None;
        }
    }
    Some(rest.collect())
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn paths_are_compared_by_whole_names_and_without_case() {
        assert_eq!(below("/Shared/A", "/shared/a/B/c.txt"), Some(vec!["B", "c.txt"]));
        assert_eq!(below("/Shared/A", "/Shared/A/"), Some(vec![]));
        assert_eq!(below("/Shared/A", "/Shared/AB"), None);
        assert_eq!(below("/Shared/A", "/Shared"), None);
        assert_eq!(below("/", "/x"), Some(vec!["x"]));
    }
}
