//! Whose turn it is: the way of an item to its place, what it waits for, and circles of items that wait for one another.
//!
//! It says what an item waits for; the router lets it wait.

use std::collections::BTreeSet;
use std::time::Duration;

use super::aside::is_aside_name;
use super::codes::NAME_TAKEN;
use super::ctx::Ctx;
use super::schedule::Schedule;
use super::sides::plan_under;
use crate::id::NodeId;
use crate::path::Name;
use crate::plan::order::{self, Does, End, Facts, HOPS_MOST, Hop, Way};
use crate::plan::{Action, Policy};
use crate::store::items::{ItemRow, Presence, SeatRow};
use crate::store::work::{Ask, WorkRow, WorkState};
use crate::store::{DEEPEST_PATH, Result};

/// A reconsideration of something that waits for an item that is itself put off.
pub(in crate::engine) const WAIT_AGAIN: Duration = Duration::from_secs(5);
/// Looks at two items in one place after which that is no matter of an old description any more.
pub(in crate::engine) const UNCLEAR_MOST: u32 = 3;
/// Failures of one item before the waits stop growing.
pub(in crate::engine) const ATTEMPTS_COUNTED: u32 = 10;
/// The code of what waits for another item, and has not failed.
pub(in crate::engine) const WAITS: &str = "waits";
/// The code of an item that waits for a folder which has a problem.
const ABOVE: &str = "above";

/// The way of an item to a place whose directory is on disk, and what is first in it.
pub(in crate::engine) fn way(
    ctx: &Ctx,
    schedule: &Schedule,
    policy: Policy,
    item: &ItemRow,
    parent: NodeId,
    name: &Name,
) -> Result<(Way, Option<ItemRow>)> {
    let (mut path, mut first, mut end) = (Vec::new(), None, End::Open);
    let mut passed = BTreeSet::from([item.node]);
    let mut next = in_the_way(ctx, item.node, parent, name)?;
    while let Some(other) = next.take() {
        if other.node == item.node {
            end = End::Circle;
            break;
        }
        // A circle further on is opened by those that are in it.
        if path.len() >= HOPS_MOST || !passed.insert(other.node) {
            break;
        }
        let plan = plan_under(policy, &other);
        let is_there = other.disk_seat().is_some();
        let facts = Facts {
            is_disks_own: other.is_local_only() || other.remote.presence == Presence::Absent,
            is_folder: other.id.is_folder(),
            sends: policy.sends(),
        };
        let work = ctx.store.work(other.node)?;
        path.push(Hop {
            does: if is_there { Does::with(&plan, facts) } else { Does::Comes },
            is_busy: schedule.is_busy(other.node),
            is_ready: work.as_ref().is_none_or(|work| work.state == WorkState::Ready),
            may_park: work.is_some_and(|work| work.mark.is_none()),
        });
        if let Action::Move { parent, name } | Action::MakeFolder { parent, name } = &plan {
            next = in_the_way(ctx, other.node, *parent, name)?;
        }
        first.get_or_insert(other);
    }
    Ok((order::way(&path, end), first))
}

/// What stands in the way of an item to a place: the directory that is to hold it, if that is not on disk, or the item that is there.
fn in_the_way(ctx: &Ctx, node: NodeId, parent: NodeId, name: &Name) -> Result<Option<ItemRow>> {
    let Some(above) = ctx.store.item(parent)? else { return Ok(None) };
    if above.disk_seat().is_none() {
        return Ok(Some(above));
    }
    let there = ctx.store.seated_at(parent, name)?.filter(|there| *there != node);
    Ok(there.map(|there| ctx.store.item(there)).transpose()?.flatten())
}

/// The way from a folder's new place upwards.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Upwards {
    /// It leads out of the folder.
    Free,
    /// It leads through these into the folder itself.
    IntoItself(Vec<NodeId>),
    /// It has no end: descriptions of different moments can put folders into one another, until newer ones arrive.
    Endless,
}

/// Where the way from a folder's new place leads upwards; `above` has the folder that holds one.
pub(in crate::engine) fn upwards(
    ctx: &Ctx,
    folder: NodeId,
    place: NodeId,
    above: impl Fn(&ItemRow) -> Option<NodeId>,
) -> Result<Upwards> {
    let mut chain = Vec::new();
    let mut at = Some(place);
    while let Some(node) = at {
        if node == folder {
            return Ok(Upwards::IntoItself(chain));
        }
        if chain.len() >= DEEPEST_PATH {
            return Ok(Upwards::Endless);
        }
        chain.push(node);
        at = ctx.store.item(node)?.as_ref().and_then(&above);
    }
    Ok(Upwards::Free)
}

/// The directory between an item and its new place below it that is to move as well.
pub(in crate::engine) fn opens_circle(
    ctx: &Ctx,
    policy: Policy,
    between: &[NodeId],
    moves: impl Fn(&Action) -> bool,
) -> Result<Option<ItemRow>> {
    let mut known = Vec::new();
    for node in between {
        let item = ctx.store.item(*node)?;
        known.push((*node, item.is_some_and(|item| moves(&plan_under(policy, &item)))));
    }
    Ok(order::opens_circle(&known).map(|node| ctx.store.item(node)).transpose()?.flatten())
}

/// How an item waits for another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum Waits {
    /// Until that one has moved on.
    ForItsTurn,
    /// For some time, as that one does: with this code and text.
    Later(&'static str, String),
    /// For a person: it is held with what it waits for, and the decision frees both.
    Held,
}

/// How an item is to wait for another one. That one is looked at once more if nothing was to be done for it, as far as we knew.
pub(in crate::engine) fn waits_for(ctx: &mut Ctx, work: &WorkRow, other: &ItemRow) -> Result<Waits> {
    Ok(match ctx.store.work(other.node)?.map(|theirs| theirs.state) {
        None => {
            ctx.store.mark(other.node, other.folder, work.priority, Ask::Nothing, None, ctx.now.wall)?;
            Waits::ForItsTurn
        }
        Some(WorkState::Ready) => Waits::ForItsTurn,
        Some(WorkState::Held) => Waits::Held,
        Some(WorkState::Waiting) => match refused(ctx, other)? {
            Some(why) => {
                let path = ctx.shown_path(other)?;
                Waits::Later(ABOVE, format!("it waits for the folder `{path}`, which has a problem: {why}"))
            }
            None => Waits::Later(WAITS, "waits for another item".to_owned()),
        },
    })
}

/// Why a folder is not where its items could go, if that is a problem of its own and not a matter of turns.
fn refused(ctx: &Ctx, other: &ItemRow) -> Result<Option<String>> {
    if !other.id.is_folder() {
        return Ok(None);
    }
    let problem = ctx.store.work(other.node)?.and_then(|theirs| theirs.problem);
    Ok(problem.filter(|(code, _)| code != WAITS).map(|(_, text)| text))
}

/// Whether an item has a problem of its own, or waits for one that has: how long that lasts is no matter of turns. One that is looked at,
/// as the cloud seems to have another one in its place, has none yet.
pub(in crate::engine) fn waits_for_refused(ctx: &Ctx, schedule: &Schedule, node: NodeId) -> Result<bool> {
    let mut at = Some(node);
    for _ in 0..HOPS_MOST {
        let Some(node) = at else { break };
        let Some(theirs) = ctx.store.work(node)? else { break };
        let next = schedule.stands_for(node);
        let is_refused = match theirs.problem.as_ref().map(|(code, _)| &**code) {
            None | Some(WAITS) => false,
            Some(ABOVE) => next.is_none(),
            Some(NAME_TAKEN) => theirs.attempts > UNCLEAR_MOST,
            Some(_) => true,
        };
        if is_refused {
            return Ok(true);
        }
        at = next;
    }
    Ok(false)
}

/// What opens a circle of items that wait for one another, and would for ever.
#[derive(Debug)]
pub(in crate::engine) enum Opening {
    /// There is no circle.
    Needless,
    /// This one takes another name in the cloud for a moment.
    StepsAside(NodeId),
    /// This one leaves its place on disk for a moment.
    Parks(Box<(ItemRow, WorkRow)>),
    /// None of them can: the one that was asked about is tried again later.
    Later,
}

/// What opens the circle that an item is in: one of those in it that is to move.
pub(in crate::engine) fn opening(ctx: &Ctx, schedule: &Schedule, policy: Policy, node: NodeId) -> Result<Opening> {
    let circle = schedule.circle(node);
    if circle.is_empty() {
        return Ok(Opening::Needless);
    }
    for node in circle {
        let (Some(theirs), Some(item)) = (ctx.store.work(node)?, ctx.store.item(node)?) else { continue };
        let waits = match theirs.state {
            WorkState::Ready => true,
            WorkState::Waiting => theirs.problem.as_ref().is_some_and(|(code, _)| code == WAITS || code == ABOVE),
            WorkState::Held => false,
        };
        let plan = plan_under(policy, &item);
        // Once is enough: what still waits when it stands aside waits for something else than its place.
        let stands_aside = is_aside_name(&item.remote.name);
        if waits && !stands_aside && matches!(plan, Action::MoveRemote { .. }) {
            return Ok(Opening::StepsAside(node));
        }
        let is_seated = matches!(item.disk_seat(), Some(SeatRow::At { .. }));
        if is_seated && waits && matches!(plan, Action::Move { .. }) {
            return Ok(Opening::Parks(Box::new((item, theirs))));
        }
    }
    Ok(Opening::Later)
}
