//! What the agent may see of the made-up cloud. What it may not see is neither listed nor found, and no event tells of it.

use super::*;

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
}
