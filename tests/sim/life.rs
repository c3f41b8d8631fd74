//! What people do: other users in the cloud, somebody at the local disk, an operator.

use folder_sync_agent::command::Command;
use folder_sync_agent::events::EventKind;
use folder_sync_agent::id::ItemId;

use super::cloud::{Cloud, Content, above, elsewhere, top, watched};
use super::world::{Happening, World};

/// Contents from here on are a local user's own.
pub const LOCAL_CONTENT: Content = 1 << 40;
/// Names that people use: few, so that they meet.
const NAMES: [&str; 12] =
    ["a", "b", "c", "A", "d", "x1", "x2", "e.txt", "E.TXT", "\u{65e5}\u{672c}", ".folder-sync-agent", "f"];
/// Few contents, so that equal ones meet.
const CONTENTS: u64 = 60;

impl World {
    /// What there is before the agent first starts.
    pub fn furnish(&mut self) {
        if self.swarm.nested {
            self.cloud.nest();
        }
        for _ in 0..self.swarm.items {
            self.cloud_adds();
        }
        if self.swarm.adopt {
            self.furnish_disk();
        }
    }

    /// A local directory that holds some of what the cloud holds, some of it changed, and something of its own.
    fn furnish_disk(&mut self) {
        for (path, id) in self.cloud.tree() {
            if self.chance.one_in(4) {
                continue;
            }
            if id.is_folder() {
                self.disk.mkdir(path.trim_end_matches('/'));
            } else if self.chance.one_in(3) {
                let content = self.local_content();
                self.disk.write(&path, content);
            } else {
                let content = self.cloud.thing(&id).content;
                self.disk.write(&path, content);
                // It is the cloud's own content: nobody's edit.
                self.disk.written.remove(&content);
            }
        }
        let content = self.local_content();
        self.disk.write("own", content);
    }

    fn local_content(&mut self) -> Content {
        LOCAL_CONTENT + self.chance.below(1 << 30)
    }

    /// Something happens, and the next thing is arranged.
    pub fn act(&mut self) {
        if self.acts_left == 0 {
            return;
        }
        self.acts_left -= 1;
        if self.acts_left > 0 {
            let pause = self.chance.below(self.swarm.pause_ms + 1);
            self.schedule(pause, Happening::Act);
        }
        if self.chance.below(100) < self.swarm.local_share {
            self.local_act();
        } else {
            let told = self.cloud.told();
            self.cloud.remember(self.now);
            if self.extra.one_in(self.swarm.hides) {
                self.permissions_change();
            } else {
                self.cloud_act();
            }
            self.cloud.disturb(told, self.now, &mut self.chance);
            if let Some(at) = self.cloud.next_late() {
                self.schedule(at.saturating_sub(self.now), Happening::Late);
            }
        }
        self.misfortunes();
    }

    fn misfortunes(&mut self) {
        if self.chance.one_in(self.swarm.cursor_lost) {
            self.say(|| "all cursors are lost".into());
            self.tally.hit("cursors lost");
            self.cloud.lose_cursors();
        }
        if self.chance.one_in(self.swarm.root_away) && !self.disk.away {
            self.say(|| "the root is away".into());
            self.tally.hit("root away");
            self.disk.away = true;
            let back = self.chance.below(120_000);
            self.schedule(back, Happening::RootBack);
        }
        if self.chance.one_in(self.swarm.wall_jumps) {
            self.jump_wall();
        }
        if self.swarm.refilter && self.chance.one_in(10) {
            self.tally.hit("patterns change");
            self.excluding = !self.excluding;
            self.say(|| format!("the pattern is {}", self.excluding));
            self.configure();
        }
        if self.chance.one_in(3) {
            self.decide_holds(true);
        }
        if self.swarm.commands && self.chance.one_in(6) {
            let commands = [
                Command::Pause { folder: None },
                Command::Resume { folder: None },
                Command::Sync { folder: None, full: true },
                Command::Sync { folder: None, full: false },
                Command::RetryProblems { folder: None },
                Command::CredentialsChanged { account: "a".into() },
            ];
            let command = self.chance.pick(&commands).unwrap().clone();
            self.say(|| format!("{command:?}"));
            self.command(command);
        }
    }

    /// What we may see changes, or where the watched folder lies.
    fn permissions_change(&mut self) {
        if self.swarm.nested && self.extra.one_in(3) {
            return self.the_folder_above_changes();
        }
        let ids = self.cloud.ids();
        let hidden: Vec<ItemId> = ids.iter().filter(|id| self.cloud.thing(id).hidden).cloned().collect();
        if let Some(id) = self.extra.pick(&hidden).cloned().filter(|_| self.extra.one_in(2)) {
            self.tally.hit("permission given back");
            self.cloud.show(&id);
            return;
        }
        let folders: Vec<ItemId> = ids.into_iter().filter(|id| id.is_folder() && self.cloud.is_live(id)).collect();
        if let Some(id) = self.extra.pick(&folders).cloned() {
            self.tally.hit("permission taken away");
            self.cloud.hide(&id);
        }
    }

    /// The folder above the watched one goes to the trash, comes back, or moves.
    fn the_folder_above_changes(&mut self) {
        self.tally.hit("folder above changed");
        if self.cloud.thing(&above()).trashed {
            self.cloud.restore(&above(), &top(), "Above");
        } else if self.extra.one_in(2) {
            self.cloud.trash(&above());
        } else {
            let at = parent_of(&self.cloud, &above());
            let to = if at == top() { elsewhere() } else { top() };
            self.cloud.shift(&above(), &to, "Above");
        }
    }

    /// A folder where something can be put: mostly a watched one. While the watched folder is in the trash, nothing can be put there.
    fn somewhere(&mut self) -> ItemId {
        let tree = self.cloud.tree();
        let mut folders: Vec<ItemId> = tree.into_values().filter(ItemId::is_folder).collect();
        folders.push(watched());
        folders.push(watched());
        folders.push(elsewhere());
        folders.extend(self.cloud.live_children(&elsewhere()).into_iter().filter(ItemId::is_folder));
        let folder = self.chance.pick(&folders).unwrap().clone();
        if self.cloud.is_live(&folder) { folder } else { elsewhere() }
    }

    fn live_item(&mut self) -> Option<ItemId> {
        let live: Vec<ItemId> = self.cloud.ids().into_iter().filter(|id| self.cloud.is_live(id)).collect();
        self.chance.pick(&live).cloned()
    }

    /// A name that is free in a folder, if chance finds one.
    fn free_name(&mut self, parent: &ItemId, but: Option<&ItemId>) -> Option<String> {
        let name = if self.chance.one_in(60) {
            "\u{9577}".repeat(90) + ".txt"
        } else {
            (*self.chance.pick(&NAMES).unwrap()).to_owned()
        };
        (!self.cloud.is_taken(parent, &name, but)).then_some(name)
    }

    fn content(&mut self) -> Content {
        self.chance.within(1, CONTENTS)
    }

    fn cloud_adds(&mut self) {
        let parent = self.somewhere();
        let Some(name) = self.free_name(&parent, None) else { return };
        if self.chance.one_in(3) {
            self.cloud.add_folder(&parent, &name);
        } else {
            let content = self.content();
            self.cloud.add_file(&parent, &name, content);
        }
    }

    /// A folder with something in it, if there is one.
    fn full_folder(&mut self) -> Option<ItemId> {
        let tree = self.cloud.tree();
        let full = tree.into_values().filter(|id| id.is_folder() && !self.cloud.live_children(id).is_empty());
        let full: Vec<ItemId> = full.collect();
        self.chance.pick(&full).cloned()
    }

    /// Something happens to a folder with all that is in it, sometimes right after something in it changed.
    fn cloud_takes_tree(&mut self) {
        let act = self.chance.below(12);
        let Some(folder) = self.full_folder() else { return self.cloud_adds() };
        self.say(|| format!("somebody does {act} to the whole of {folder:?} {:?}", self.cloud.thing(&folder)));
        self.tally.hit("tree acts");
        match act {
            0..4 => self.cloud.trash(&folder),
            4..7 => self.cloud_restores(),
            7..9 => self.cloud_moves(&folder),
            9 => {
                // Something leaves it just before.
                let below = self.cloud.live_children(&folder);
                if let Some(child) = self.chance.pick(&below).cloned() {
                    self.cloud_moves(&child);
                }
                self.cloud.trash(&folder);
            }
            10 => {
                let content = self.content();
                if let Some(name) = self.free_name(&folder, None) {
                    self.cloud.add_file(&folder, &name, content);
                }
                self.cloud.trash(&folder);
            }
            _ => {
                self.cloud.trash(&folder);
                let old = parent_of(&self.cloud, &folder);
                let name = self.cloud.thing(&folder).name.clone();
                if self.cloud.is_live(&old) && !self.cloud.is_taken(&old, &name, None) {
                    self.cloud.restore(&folder, &old, &name);
                }
            }
        }
    }

    fn cloud_act(&mut self) {
        if self.swarm.trees && self.chance.one_in(2) {
            return self.cloud_takes_tree();
        }
        let item = self.live_item();
        let act = self.chance.below(100);
        self.say(|| format!("somebody does {act} to {item:?} {:?}", item.as_ref().map(|id| self.cloud.thing(id))));
        let Some(item) = item.filter(|_| act >= 20) else { return self.cloud_adds() };
        match act {
            20..40 if !item.is_folder() => {
                let content = self.content();
                self.cloud.edit(&item, content);
            }
            20..50 => self.cloud_renames(&item),
            50..55 => self.cloud_swaps(&item),
            55..70 => self.cloud_moves(&item),
            70..73 => self.cloud_inverts(&item),
            73..76 => {
                let parent = self.somewhere();
                if let Some(name) = self.free_name(&parent, None)
                    && !self.cloud.is_below(&parent, &item)
                {
                    self.cloud.copy(&item, &parent, &name);
                }
            }
            76..86 => self.cloud.trash(&item),
            86..89 => self.cloud_replaces(&item),
            89..95 => self.cloud_restores(),
            95..97 => {
                let trashed = self.trashed();
                if let Some(id) = self.chance.pick(&trashed).cloned() {
                    self.cloud.purge(&id);
                }
            }
            _ => {
                let kinds = [EventKind::Read, EventKind::Comment, EventKind::Other, EventKind::Lock];
                let kind = *self.chance.pick(&kinds).unwrap();
                self.cloud.chatter(&item, kind);
            }
        }
    }

    fn cloud_renames(&mut self, item: &ItemId) {
        let parent = parent_of(&self.cloud, item);
        if let Some(name) = self.free_name(&parent, Some(item)) {
            self.cloud.rename(item, &name);
        }
    }

    /// Two items change names, by way of a third name; sometimes three of them in a circle.
    fn cloud_swaps(&mut self, one: &ItemId) {
        let Some(other) = self.live_item().filter(|other| other != one) else { return };
        let apart = !self.cloud.is_below(one, &other) && !self.cloud.is_below(&other, one);
        if !apart {
            return;
        }
        let place = |cloud: &Cloud, id: &ItemId| (parent_of(cloud, id), cloud.thing(id).name.clone());
        let (first, second) = (place(&self.cloud, one), place(&self.cloud, &other));
        let aside = "aside".to_owned();
        if self.cloud.is_taken(&first.0, &aside, None) || self.cloud.is_below(&second.0, one) {
            return;
        }
        self.cloud.rename(one, &aside);
        self.cloud.shift(&other, &first.0, &first.1);
        if self.cloud.is_below(&second.0, one) || !self.cloud.is_live(&second.0) {
            return;
        }
        self.cloud.shift(one, &second.0, &second.1);
    }

    fn cloud_moves(&mut self, item: &ItemId) {
        let parent = self.somewhere();
        if self.cloud.is_below(&parent, item) {
            return;
        }
        let keeps = !self.chance.one_in(3);
        let name = if keeps { Some(self.cloud.thing(item).name.clone()) } else { self.free_name(&parent, Some(item)) };
        if let Some(name) = name.filter(|name| !self.cloud.is_taken(&parent, name, Some(item))) {
            self.cloud.shift(item, &parent, &name);
        }
    }

    /// `a/b` becomes `b/a`.
    fn cloud_inverts(&mut self, upper: &ItemId) {
        let below = self.cloud.live_children(upper);
        let Some(lower) = below.into_iter().find(ItemId::is_folder) else { return };
        let above = parent_of(&self.cloud, upper);
        let (upper_name, lower_name) = (self.cloud.thing(upper).name.clone(), self.cloud.thing(&lower).name.clone());
        if self.cloud.is_taken(&above, &lower_name, Some(upper)) || self.cloud.is_taken(&lower, &upper_name, None) {
            return;
        }
        // The upper one may have the lower one's name: then it first steps aside.
        if lower_name.to_lowercase() == upper_name.to_lowercase() {
            return;
        }
        self.cloud.shift(&lower, &above, &lower_name);
        self.cloud.shift(upper, &lower, &upper_name);
    }

    /// A file (or folder) goes to the trash, and another item takes its name.
    fn cloud_replaces(&mut self, item: &ItemId) {
        let (parent, name) = (parent_of(&self.cloud, item), self.cloud.thing(item).name.clone());
        self.cloud.trash(item);
        if self.chance.one_in(2) {
            let content = self.content();
            self.cloud.add_file(&parent, &name, content);
        } else {
            let folder = self.cloud.add_folder(&parent, &name);
            if self.chance.one_in(2) {
                let content = self.content();
                self.cloud.add_file(&folder, "in", content);
            }
        }
    }

    fn trashed(&self) -> Vec<ItemId> {
        self.cloud.ids().into_iter().filter(|id| self.cloud.thing(id).trashed).collect()
    }

    fn cloud_restores(&mut self) {
        let trashed = self.trashed();
        let Some(item) = self.chance.pick(&trashed).cloned() else { return };
        let old = parent_of(&self.cloud, &item);
        let parent = if self.cloud.is_live(&old) { old } else { self.somewhere() };
        let name = self.cloud.thing(&item).name.clone();
        let name = if self.cloud.is_taken(&parent, &name, None) { self.free_name(&parent, None) } else { Some(name) };
        if let Some(name) = name {
            self.cloud.restore(&item, &parent, &name);
        }
    }

    fn local_act(&mut self) {
        if self.disk.away {
            return;
        }
        let paths: Vec<String> = self.disk.tree().into_keys().collect();
        let path = self.chance.pick(&paths).cloned().unwrap_or_default();
        let above = if self.chance.one_in(2) {
            paths.iter().filter(|path| path.ends_with('/')).cloned().collect::<Vec<_>>()
        } else {
            Vec::new()
        };
        let above = self.chance.pick(&above).cloned().unwrap_or_default();
        let name = (*self.chance.pick(&NAMES[..6]).unwrap()).to_owned();
        let new = format!("{above}{name}");
        let content = self.local_content();
        let act = self.chance.below(6);
        self.say(|| format!("the local user does {act} at {path} or {new}"));
        match act {
            0 => self.disk.write(&new, content),
            1 => self.disk.mkdir(&new),
            2 if !path.is_empty() => self.disk.remove(&path),
            3 if !path.is_empty() => self.disk.rename(&path, &new),
            _ if !path.is_empty() && !path.ends_with('/') => self.disk.write(&path, content),
            _ => false,
        };
    }
}

fn parent_of(cloud: &Cloud, id: &ItemId) -> ItemId {
    cloud.thing(id).parent.clone().unwrap()
}
