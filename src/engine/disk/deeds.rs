//! What an item wants of the disk as a deed: which paths, what is expected there, and where the item is afterwards.

use super::batch::Want;
use crate::deed::{Base, Deed, Expect, Holding, OnEdit, Place, Staged};
use crate::engine::ctx::Ctx;
use crate::engine::sides::id_hash;
use crate::id::JobId;
use crate::path::{RelPath, mapped_name};
use crate::store::Result;
use crate::store::intents::NewSeat;
use crate::store::items::{ItemRow, LocalRow};
use crate::tree::{Stamp, SyncedContent};

/// The stamp of nothing that is ours.
pub(in crate::engine) const NOT_OURS: Stamp = Stamp::NONE;

/// What decides how a deed looks, beside the item and its want.
#[derive(Debug)]
pub(in crate::engine) struct Facts {
    /// Local changes travel to the cloud.
    pub sends: bool,
    /// Edits in a mirror are kept.
    pub keeps_edits: bool,
    /// What was fetched for it.
    pub staged: Option<(Staged, SyncedContent)>,
    /// Something that nobody told us of is to be taken from its target first.
    pub clears_way: bool,
    /// It is to become visible again under another name.
    pub is_put_back: bool,
    /// Where its directory is kept that can come back, and with which files.
    pub comes_back: Option<(JobId, Holding)>,
}

/// The deed that gives an item what it wants, and where the item is when it is done; nothing if a place that it needs is not known.
pub(in crate::engine) fn deed(
    ctx: &mut Ctx,
    facts: Facts,
    item: &ItemRow,
    job: JobId,
    want: &Want,
) -> Result<Option<(Deed, NewSeat)>> {
    let sends = facts.sends;
    let on_edit = if sends || facts.keeps_edits { OnEdit::Keep } else { OnEdit::Displace };
    let is_removal = matches!(want, Want::Publish { .. } | Want::RemoveFile);
    let stamp = match item.disk_stamp() {
        // A mirror takes for ours only what it put there itself: an edit is to go to the version store as one.
        _ if is_removal && !sends => item.synced.as_ref().map(|synced| synced.stamp),
        stamp => stamp,
    };
    let stamp = stamp.unwrap_or(NOT_OURS);
    let target = match want {
        Want::Uncover { .. } => return uncovering(ctx, item, want),
        Want::MakeFolder { parent, name }
        | Want::Publish { parent, name }
        | Want::Adopt { parent, name }
        | Want::Move { parent, name }
        | Want::Part { parent, name }
        | Want::Aside { parent, name } => {
            let Some(at) = ctx.place(*parent)? else { return Ok(None) };
            Some((at.join(name), *parent, name.clone()))
        }
        Want::Park | Want::Hide { .. } | Want::RemoveFile | Want::RemoveFolder => None,
    };
    let here = match want {
        Want::MakeFolder { .. } | Want::Publish { .. } | Want::Adopt { .. } | Want::Uncover { .. } => None,
        Want::Move { .. }
        | Want::Park
        | Want::Hide { .. }
        | Want::RemoveFile
        | Want::RemoveFolder
        | Want::Part { .. }
        | Want::Aside { .. } => match ctx.place(item.node)? {
            Some(place) => Some(place),
            None => return Ok(None),
        },
    };
    if let Some((at, ..)) = target.as_ref().filter(|_| facts.clears_way) {
        let deed = Deed::RemoveFile { at: at.clone(), expect: NOT_OURS, on_edit: OnEdit::Displace };
        return Ok(Some((deed, NewSeat::Unchanged)));
    }
    Ok(match (want, target, here) {
        (Want::MakeFolder { .. }, Some((at, parent, name)), _) => {
            let deed = match facts.comes_back {
                Some((from, holds)) => Deed::RestoreFolder { from, at, holds },
                None => Deed::MakeFolder { at },
            };
            Some((deed, NewSeat::At { parent, name, content: None }))
        }
        (Want::Publish { .. }, Some((at, parent, name)), _) => {
            let Some((staged, content)) = facts.staged else { return Ok(None) };
            let expect = if item.synced.is_some() { Expect::Ours(stamp) } else { Expect::Absent };
            let seat = NewSeat::At { parent, name, content: Some(content) };
            Some((Deed::Publish { staged, at, expect, on_edit }, seat))
        }
        (Want::Adopt { .. }, Some((at, parent, name)), _) => {
            let Some(content) = &item.remote.content else { return Ok(None) };
            let Some(hash) = content.hash.clone() else { return Ok(None) };
            let seat = NewSeat::At {
                parent,
                name,
                content: Some(SyncedContent {
                    version: content.version.clone(),
                    hash: Some(hash.clone()),
                    sha256: None,
                    size: content.size.unwrap_or(0),
                }),
            };
            Some((Deed::Adopt { at, size: content.size, hash, modified: content.modified }, seat))
        }
        (Want::Move { .. }, Some((to, parent, name)), Some(from)) => {
            let deed = Deed::Relocate { from, to, expect: stamp, is_folder: item.id.is_folder(), holds: None };
            Some((deed, NewSeat::At { parent, name, content: None }))
        }
        (Want::Part { .. } | Want::Aside { .. }, Some((to, parent, name)), Some(from)) => {
            let deed = Deed::Relocate { from, to, expect: stamp, is_folder: item.id.is_folder(), holds: None };
            let parts = matches!(want, Want::Part { .. });
            let seat = if parts { NewSeat::Parted { parent, name } } else { NewSeat::Aside { parent, name } };
            Some((deed, seat))
        }
        (Want::Park | Want::Hide { .. }, _, Some(from)) => {
            let to = Place { base: Base::Parked(job), path: RelPath::root() };
            let holds = match want {
                Want::Hide { holds } => Some(*holds),
                _ => None,
            };
            let deed = Deed::Relocate { from, to, expect: stamp, is_folder: item.id.is_folder(), holds };
            Some((deed, NewSeat::Parked))
        }
        (Want::RemoveFile, _, Some(at)) => Some((Deed::RemoveFile { at, expect: stamp, on_edit }, NewSeat::Nowhere)),
        (Want::RemoveFolder, _, Some(from)) if facts.is_put_back => {
            let to = Place::tree(RelPath::root()).join(&mapped_name(&item.remote.name, &id_hash(&item.id)));
            Some((Deed::Relocate { from, to, expect: stamp, is_folder: true, holds: None }, NewSeat::Nowhere))
        }
        (Want::RemoveFolder, _, Some(at)) => Some((Deed::RemoveFolder { at }, NewSeat::Nowhere)),
        _ => None,
    })
}

/// The deed that takes what stands in an item's place out of it.
fn uncovering(ctx: &mut Ctx, item: &ItemRow, want: &Want) -> Result<Option<(Deed, NewSeat)>> {
    let (Some(LocalRow::Covered { stamp, .. }), Want::Uncover { aside }) = (&item.local, want) else {
        return Ok(None);
    };
    let Some(at) = ctx.place(item.node)? else { return Ok(None) };
    let deed = match aside {
        Some((parent, name)) => {
            let Some(above) = ctx.place(*parent)? else { return Ok(None) };
            Deed::Relocate { from: at, to: above.join(name), expect: *stamp, is_folder: true, holds: None }
        }
        None => Deed::RemoveFile { at, expect: NOT_OURS, on_edit: OnEdit::Displace },
    };
    Ok(Some((deed, NewSeat::Unchanged)))
}
