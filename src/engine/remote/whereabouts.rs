//! Where a description has its item: in which folder of ours, outside of the watched one, or kept out by a pattern.

use super::ground::Ground;
use super::hints::Location;
use super::learn::Source;
use crate::engine::ctx::Ctx;
use crate::engine::paths::joined;
use crate::id::NodeId;
use crate::store::Result;
use crate::store::items::Presence;
use crate::tree::RemoteItem;

/// Where a description has its item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Whereabouts {
    /// In one of our folders.
    Wanted(NodeId),
    /// A pattern keeps it, or a folder above it, out.
    FilteredOut,
    /// It is not in the watched folder, or we cannot say.
    Outside,
    /// It is in the watched folder, in a folder that we do not know yet; the nearest one above that we do is now listed.
    Unlisted,
}

/// Where a description has its item. If the folder that holds it is not known yet, the nearest one above that is known is listed: no row is
/// made of what a description says in passing.
pub(in crate::engine) fn whereabouts(
    ctx: &mut Ctx,
    ground: &Ground<'_>,
    item: &RemoteItem,
    source: Source,
) -> Result<Whereabouts> {
    let found = parent_of(ctx, ground, item, source)?;
    match found {
        Whereabouts::Wanted(parent) if !is_wanted(ctx, ground, parent, item)? => Ok(Whereabouts::FilteredOut),
        found => Ok(found),
    }
}

fn parent_of(ctx: &mut Ctx, ground: &Ground<'_>, item: &RemoteItem, source: Source) -> Result<Whereabouts> {
    let Some(parent) = &item.parent else { return Ok(Whereabouts::Outside) };
    if let Some(known) = ctx.store.item_by_id(ground.id, parent)? {
        match known.remote.presence {
            Presence::Present => return Ok(Whereabouts::Wanted(known.node)),
            Presence::FilteredOut => return Ok(Whereabouts::FilteredOut),
            Presence::Absent => {}
        }
    }
    if let (None, Some(path), true) = (&item.ancestors, &item.path, source.is_sight())
        && ground.root_path.is_some()
    {
        return look_for_parent(ctx, ground, path);
    }
    let (Some(ancestors), Some(root)) = (&item.ancestors, ground.root_item) else { return Ok(Whereabouts::Outside) };
    let Some(start) = ancestors.iter().position(|ancestor| ancestor.id == *root) else {
        return Ok(Whereabouts::Outside);
    };
    let Some(mut nearest) = ground.root else { return Ok(Whereabouts::Outside) };
    let mut path = String::new();
    for ancestor in &ancestors[start + 1..] {
        match ctx.store.item_by_id(ground.id, &ancestor.id)? {
            Some(known) if known.remote.presence == Presence::Present => {
                nearest = known.node;
                path = ctx.remote_path(nearest)?;
            }
            Some(known) if known.remote.presence == Presence::FilteredOut => return Ok(Whereabouts::FilteredOut),
            Some(_) | None => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(&ancestor.name);
                if ground.filter.is_some_and(|filter| !filter.wants(&path, true)) {
                    return Ok(Whereabouts::FilteredOut);
                }
            }
        }
    }
    ctx.store.want_listing_now(nearest, ground.id)?;
    Ok(Whereabouts::Unlisted)
}

/// An item lies in a folder that we do not know: the nearest one above that we know is listed, if it is in the watched one.
fn look_for_parent(ctx: &mut Ctx, ground: &Ground<'_>, path: &str) -> Result<Whereabouts> {
    match ground.locate(ctx, path)? {
        Location::Outside => Ok(Whereabouts::Outside),
        Location::FilteredOut => Ok(Whereabouts::FilteredOut),
        // The name is known and the id is not: another folder has taken the place of the known one.
        Location::Folder { parent: Some(node), .. }
        | Location::Folder { node, .. }
        | Location::Name { parent: node, .. }
        | Location::Beyond { nearest: node, .. } => {
            let above = ctx.store.item(node)?.and_then(|row| row.remote.parent);
            if let Some(above) = above {
                ctx.store.want_listing_now(above, ground.id)?;
            }
            ctx.store.want_listing_now(node, ground.id)?;
            Ok(Whereabouts::Unlisted)
        }
    }
}

fn is_wanted(ctx: &mut Ctx, ground: &Ground<'_>, parent: NodeId, item: &RemoteItem) -> Result<bool> {
    let Some(filter) = ground.filter else { return Ok(false) };
    if filter.is_empty() {
        return Ok(true);
    }
    let above = ctx.remote_path(parent)?;
    Ok(filter.wants(&joined(&above, &item.name), item.id.is_folder()))
}
