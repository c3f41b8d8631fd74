//! Which items are worked on now, and what each of them waits for: one record per item, and the queues of what is ready.
//!
//! Nothing here is durable. What a record holds are the results of questions that may be asked again; after a restart they are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::NodeId;
use crate::plan::Action;
use crate::store::work::Priority;

/// Items held in memory at once; the rest waits in the database.
const WORKING_SET_ITEMS: usize = 10_000;
/// Items that one step decides about.
pub(in crate::engine) const ITEMS_PER_STEP: usize = 400;
/// Rows read at once when the working set is filled up.
const ROWS_PER_LOAD: u32 = 1_000;
/// Nothing is loaded yet. Bulk work that is ordered by age has places below zero.
const LOADED_NOTHING: i64 = i64::MIN;
/// Items that may wait in one circle; more are not looked for.
const CIRCLE_MOST: usize = 1_000;

/// What an item of the working set is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Phase {
    /// In a ready queue.
    Ready,
    /// In its account's queue for a call.
    AwaitCall,
    /// In its folder's queue for the disk.
    AwaitDisk,
    /// In the queue of a hook.
    AwaitHook,
    /// In its folder's queue to be read.
    AwaitRead,
    /// Until a folder was listed, which may answer for it.
    AwaitListing,
    /// Until another item has moved on.
    AwaitNode,
    /// Until its folder's subtrees were told what became of them.
    AwaitSweep,
    /// Until the stream was read to its end: what left the folder before may yet be told.
    AwaitStream,
    /// A job is under way for it.
    Busy,
}

/// What was found out about an item while it is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Note {
    /// It was looked at because nothing said what bytes the cloud has.
    BytesAsked,
    /// At its place is no equal file to adopt.
    NoAdopt,
    /// Its target place holds something that nobody told us of; the next deed takes it to the version store.
    ClearWay,
    /// A parked folder that is to go and holds local files: it becomes visible again under another name.
    PutBack,
    /// It steps aside in the cloud for another one, as both want each other's place.
    AsideRemotely,
    /// A folder out of sight that turned out to hold local files.
    Crowded,
}

impl Note {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// How a folder goes into the cloud's trash that the disk lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum FolderTrash {
    /// As a whole, once the stream was read to its end by a poll that began after this many.
    Whole(u64),
    /// What is in it goes one by one.
    InParts,
}

/// All that is known of an item's work. A record in which nothing is set is not kept.
#[derive(Debug, Default, PartialEq)]
struct Working {
    /// Nothing where the item is not in the working set.
    phase: Option<Phase>,
    /// For whom it waits, as long as it does; an item that waits for its time may do so as well.
    waits_for: Option<NodeId>,
    /// The write that waits for its call, as it was decided on.
    decided: Option<Action>,
    /// What was last done for it, for the journal.
    did: Option<&'static str>,
    /// One bit for each [`Note`].
    notes: u8,
    /// How it goes into the trash. Outlasts a wait: else each try would wait for the stream anew.
    trash: Option<FolderTrash>,
}

/// The working set.
#[derive(Debug)]
pub(in crate::engine) struct Schedule {
    items: BTreeMap<NodeId, Working>,
    /// Items that have a phase.
    held: usize,
    ready: [VecDeque<NodeId>; 2],
    /// The places in line of the last rows that were read from the database.
    loaded: [i64; 2],
    /// What waits for an item.
    awaiting: BTreeMap<NodeId, Vec<NodeId>>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            held: 0,
            ready: [VecDeque::new(), VecDeque::new()],
            loaded: [LOADED_NOTHING; 2],
            awaiting: BTreeMap::new(),
        }
    }
}

/// The working set and its queues.
impl Schedule {
    /// What an item is doing; nothing if it is not in the working set.
    pub fn phase(&self, node: NodeId) -> Option<Phase> {
        self.items.get(&node)?.phase
    }

    /// Whether a job is under way for an item.
    pub fn is_busy(&self, node: NodeId) -> bool {
        self.phase(node) == Some(Phase::Busy)
    }

    /// An item does something else from now on.
    pub fn set_phase(&mut self, node: NodeId, phase: Phase) {
        self.change(node, |working| working.phase = Some(phase));
    }

    /// An item is in no queue any more; what is known of its work stays.
    pub fn unqueue(&mut self, node: NodeId) {
        self.change(node, |working| working.phase = None);
    }

    /// Puts an item into its ready queue, if it is not in one.
    pub fn make_ready(&mut self, node: NodeId, priority: Priority) {
        if self.phase(node) != Some(Phase::Ready) {
            self.set_phase(node, Phase::Ready);
            self.ready[priority as usize].push_back(node);
        }
    }

    /// An item whose turn has come is ready, in no queue. False if it does not wait in this phase any more.
    pub fn take_turn(&mut self, node: NodeId, waits_in: Phase) -> bool {
        let waits = self.phase(node) == Some(waits_in);
        if waits {
            self.set_phase(node, Phase::Ready);
        }
        waits
    }

    /// The next item of the ready queues, news first. It may do something else by now.
    pub fn pop_ready(&mut self) -> Option<NodeId> {
        let [news, bulk] = &mut self.ready;
        news.pop_front().or_else(|| bulk.pop_front())
    }

    /// Whether no item is in a ready queue.
    pub fn is_idle(&self) -> bool {
        self.ready.iter().all(VecDeque::is_empty)
    }

    /// Whether a ready queue has enough for a step.
    pub fn has_enough(&self, priority: Priority) -> bool {
        self.ready[priority as usize].len() >= ITEMS_PER_STEP
    }

    /// Where to read on in the database, and how many rows; nothing if there is no room, or no need.
    pub fn to_load(&self, priority: Priority) -> Option<(i64, u32)> {
        // News may always come in: the bulk leaves a tenth of the working set to it.
        let most = match priority {
            Priority::News => WORKING_SET_ITEMS,
            Priority::Bulk => WORKING_SET_ITEMS - WORKING_SET_ITEMS / 10,
        };
        let room = most.checked_sub(self.held).filter(|room| *room > 0 && !self.has_enough(priority))?;
        Some((self.loaded[priority as usize], ROWS_PER_LOAD.min(u32::try_from(room).unwrap_or(ROWS_PER_LOAD))))
    }

    /// A row was read from the database. It comes into the working set if it may be worked on and is not in it.
    pub fn load(&mut self, node: NodeId, priority: Priority, pos: i64, can_work: bool) {
        self.loaded[priority as usize] = pos;
        if can_work && self.phase(node).is_none() {
            self.make_ready(node, priority);
        }
    }

    /// All rows of a priority are read again.
    pub fn reload(&mut self, priority: Priority) {
        self.loaded[priority as usize] = LOADED_NOTHING;
    }

    /// Empties the working set, but for those that a job is under way for: its outcome will come.
    pub fn clear(&mut self, has_job: &BTreeSet<NodeId>) {
        self.items.retain(|node, working| {
            working.phase.take_if(|phase| *phase != Phase::Busy || !has_job.contains(node));
            working.waits_for = None;
            *working != Working::default()
        });
        self.held = self.items.values().filter(|working| working.phase.is_some()).count();
        self.ready.iter_mut().for_each(VecDeque::clear);
        self.awaiting.clear();
    }

    /// Nothing is left to do for an item, or it is no more: its record is dropped, and those that waited for it look again.
    pub fn leave(&mut self, node: NodeId) {
        self.change(node, |working| *working = Working::default());
        self.wake_waiters(node);
    }

    /// An item waits for its time or for a person. Those that waited for it look again.
    pub fn rest(&mut self, node: NodeId) {
        self.change(node, |working| *working = Working { trash: working.trash, ..Working::default() });
        self.wake_waiters(node);
    }

    fn change<T>(&mut self, node: NodeId, change: impl FnOnce(&mut Working) -> T) -> T {
        let working = self.items.entry(node).or_default();
        let was_held = working.phase.is_some();
        let result = change(working);
        match (was_held, working.phase.is_some()) {
            (false, true) => self.held += 1,
            (true, false) => self.held -= 1,
            _ => {}
        }
        if *working == Working::default() {
            self.items.remove(&node);
        }
        result
    }
}

/// What waits for what.
impl Schedule {
    /// An item waits until another one has moved on.
    pub fn await_node(&mut self, node: NodeId, other: NodeId) {
        self.set_phase(node, Phase::AwaitNode);
        self.awaiting.entry(other).or_default().push(node);
        self.note_waits_for(node, other);
    }

    /// An item that waits for its time does so for the sake of another one.
    pub fn note_waits_for(&mut self, node: NodeId, other: NodeId) {
        self.change(node, |working| working.waits_for = Some(other));
    }

    /// Those that waited for an item look again.
    pub fn wake_waiters(&mut self, node: NodeId) {
        for waiter in self.awaiting.remove(&node).unwrap_or_default() {
            if self.phase(waiter) == Some(Phase::AwaitNode) {
                self.make_ready(waiter, Priority::News);
            }
        }
    }

    /// Items that wait for one another in a circle, from the given one on; none if it waits in no circle.
    pub fn circle(&self, node: NodeId) -> Vec<NodeId> {
        let mut circle = vec![node];
        let mut at = node;
        while let Some(next) = self.stands_for(at) {
            if next == node {
                return circle;
            }
            if circle.len() >= CIRCLE_MOST {
                break;
            }
            circle.push(next);
            at = next;
        }
        Vec::new()
    }

    /// For whom an item waits that does nothing else.
    pub fn stands_for(&self, node: NodeId) -> Option<NodeId> {
        let working = self.items.get(&node)?;
        working.waits_for.filter(|_| working.phase.is_none_or(|phase| phase == Phase::AwaitNode))
    }

    /// An item that waits for another one gets out of its place in the cloud, and is looked at again for that.
    pub fn step_aside_remotely(&mut self, node: NodeId) {
        self.note(node, Note::AsideRemotely);
        self.change(node, |working| (working.phase, working.waits_for) = (None, None));
        self.make_ready(node, Priority::News);
    }
}

/// What is known of an item's work.
impl Schedule {
    /// Notes something about an item. False if it was noted before.
    pub fn note(&mut self, node: NodeId, note: Note) -> bool {
        self.change(node, |working| {
            let is_new = working.notes & note.bit() == 0;
            working.notes |= note.bit();
            is_new
        })
    }

    /// Whether something is noted about an item.
    pub fn is_noted(&self, node: NodeId, note: Note) -> bool {
        self.items.get(&node).is_some_and(|working| working.notes & note.bit() != 0)
    }

    /// Takes a note back. False if there was none.
    pub fn take_note(&mut self, node: NodeId, note: Note) -> bool {
        let was_noted = self.is_noted(node, note);
        self.change(node, |working| working.notes &= !note.bit());
        was_noted
    }

    /// A write is decided on, and waits for its call.
    pub fn decide(&mut self, node: NodeId, action: Action) {
        self.change(node, |working| working.decided = Some(action));
    }

    /// Whether a write is the one that was decided on.
    pub fn is_decided(&self, node: NodeId, action: &Action) -> bool {
        self.items.get(&node).is_some_and(|working| working.decided.as_ref() == Some(action))
    }

    /// What is to be done for an item is decided anew.
    pub fn undecide(&mut self, node: NodeId) {
        self.change(node, |working| working.decided = None);
    }

    /// Something was done for an item.
    pub fn note_done(&mut self, node: NodeId, what: &'static str) {
        self.change(node, |working| working.did = Some(what));
    }

    /// What was last done for an item, for the journal.
    pub fn done(&self, node: NodeId) -> &'static str {
        self.items.get(&node).and_then(|working| working.did).unwrap_or("no change")
    }

    /// How a folder goes into the trash, if that is known.
    pub fn trash(&self, node: NodeId) -> Option<FolderTrash> {
        self.items.get(&node)?.trash
    }

    /// Notes how a folder goes into the trash.
    pub fn set_trash(&mut self, node: NodeId, trash: Option<FolderTrash>) {
        self.change(node, |working| working.trash = trash);
    }

    /// How each folder goes into the trash is found out anew.
    pub fn forget_trash(&mut self) {
        self.items.retain(|_, working| {
            working.trash = None;
            *working != Working::default()
        });
    }
}

#[cfg(test)]
mod tests;
