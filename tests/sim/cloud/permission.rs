//! What the agent may see of the made-up cloud. What it may not see is neither listed nor found, and no event tells of it.

use super::*;

/// All items, and what is in which folder.
pub type Tree = (BTreeMap<ItemId, Thing>, BTreeMap<ItemId, BTreeSet<ItemId>>);
/// Former states that are kept.
const FORMER_MOST: usize = 16;

/// The folder above the watched one, in a cloud in which there is one.
pub fn above() -> ItemId {
    ItemId::folder("3")
}

impl Cloud {
    /// Puts the watched folder into another one, which nobody watches.
    pub fn nest(&mut self) {
        self.insert(above(), Some(top()), "Above", 0);
        self.place(&watched(), &above(), "Watched");
        self.all_ids.pop();
        self.foreign.clear();
    }

    /// Whether an item, or anything above it, may not be seen.
    pub fn is_hidden(&self, id: &ItemId) -> bool {
        let mut at = Some(id);
        while let Some(thing) = at.and_then(|id| self.things.get(id)) {
            if thing.hidden {
                return true;
            }
            at = thing.parent.as_ref();
        }
        false
    }

    /// Whether the agent can see an item.
    pub fn is_shown(&self, id: &ItemId) -> bool {
        self.is_live(id) && !self.is_hidden(id)
    }

    pub fn shown_children(&self, id: &ItemId) -> Vec<ItemId> {
        let mut children = self.live_children(id);
        children.retain(|child| !self.things[child].hidden);
        children
    }

    /// The agent may no longer see an item: the event names it, and that is all.
    pub fn hide(&mut self, id: &ItemId) {
        if self.is_below(id, &watched()) || self.is_below(&watched(), id) {
            self.note_gone(id);
        }
        self.tell_as(EventKind::Sharing, "SHARING", id, Subject::id(id.clone()));
        self.things.get_mut(id).unwrap().hidden = true;
    }

    /// The agent may see an item again. Its own count of changes is what it was.
    pub fn show(&mut self, id: &ItemId) {
        self.show_untold(id);
        let subject = if self.habits.paths { Subject::id(id.clone()) } else { self.subject(id) };
        self.tell_as(EventKind::Sharing, "SHARING", id, subject);
    }

    /// The agent may see an item again, and nobody tells.
    pub fn show_untold(&mut self, id: &ItemId) {
        self.things.get_mut(id).unwrap().hidden = false;
        self.note_return(id);
    }

    /// Every permission is given back, and the watched folder is where it can be seen.
    pub fn show_all(&mut self) {
        let hidden: Vec<ItemId> =
            self.things.iter().filter(|(_, thing)| thing.hidden).map(|(id, _)| id.clone()).collect();
        for id in hidden {
            self.show(&id);
        }
        if self.things.get(&above()).is_some_and(|thing| thing.trashed) {
            self.restore(&above(), &top(), "Above");
        }
    }

    /// Remembers the present state, which is about to change.
    pub fn remember(&mut self, now: u64) {
        if self.habits.stale == 0 {
            return;
        }
        self.former.push_back((now, (self.things.clone(), self.children.clone())));
        if self.former.len() > FORMER_MOST {
            self.former.pop_front();
        }
    }

    /// A page of a folder, perhaps as it was a while ago.
    pub fn list_of_late(
        &mut self,
        folder: &ItemId,
        page: Option<&PageToken>,
        now: u64,
        chance: &mut Chance,
    ) -> Result<ListPage, ProviderError> {
        if !chance.one_in(self.habits.stale) {
            return self.list(folder, page);
        }
        let moment = now.saturating_sub(chance.below(self.habits.late_ms));
        let was_so = self.former.iter().position(|(until, _)| *until >= moment);
        let Some(at) = was_so else { return self.list(folder, page) };
        self.suffer("listing of a former state");
        self.note_untold(now);
        let (things, children) = &mut self.former[at].1;
        std::mem::swap(things, &mut self.things);
        std::mem::swap(children, &mut self.children);
        let listed = self.list(folder, page);
        let (things, children) = &mut self.former[at].1;
        std::mem::swap(things, &mut self.things);
        std::mem::swap(children, &mut self.children);
        listed
    }
}
