//! Random life in one folder, as other people bring it: every change follows from a seed.

use std::sync::Arc;

use super::cloud::Cloud;
use super::content::{Content, Stored, next_random};
use super::model::{ContentTimes, Deed, Kind, Model, Refusal, Through, User};
use super::shared::Shared;

/// The largest file that it makes.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// How often a deed that is impossible (a name in use, an item that is gone) is drawn anew.
const DRAWS_MAX: u32 = 100;

/// Somebody who changes one thing after another.
#[derive(Debug)]
pub struct Bustle {
    shared: Arc<Shared>,
    by: User,
    random: u64,
    made: u64,
    folders: Vec<u64>,
    files: Vec<u64>,
    trashed: Vec<u64>,
}

impl Bustle {
    /// Somebody who works below the folder at `path`.
    pub fn new(cloud: &Cloud, path: &str, seed: u64) -> Result<Self, Refusal> {
        let (shared, by) = cloud.parts();
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        shared.look(|model| {
            let mut todo = vec![model.find(path)?.id];
            while let Some(id) = todo.pop() {
                folders.push(id);
                for child in model.any(id)?.children.values() {
                    match model.any(*child)?.kind {
                        Kind::Folder => todo.push(*child),
                        Kind::File => files.push(*child),
                        Kind::WebLink => {}
                    }
                }
            }
            Ok::<(), Refusal>(())
        })?;
        Ok(Self { shared, by, random: seed, made: 0, folders, files, trashed: Vec::new() })
    }

    fn draw(&mut self, below: u64) -> u64 {
        next_random(&mut self.random) % below.max(1)
    }

    fn pick(&mut self, from: impl Fn(&Self) -> &Vec<u64>) -> Option<u64> {
        let at = self.draw(from(self).len() as u64) as usize;
        from(self).get(at).copied()
    }

    fn new_name(&mut self) -> String {
        self.made += 1;
        let word = ["report", "写真", "notes", "Übersicht", "data set"][self.draw(5) as usize];
        let tail = self.draw(1 << 16);
        format!("{word} {} {tail:04x}", self.made)
    }

    fn content(&mut self) -> Result<Arc<Stored>, Refusal> {
        // One in eight is empty, which is a case of its own.
        let len = if self.draw(8) == 0 { 0 } else { self.draw(FILE_BYTES_MAX) };
        let seed = next_random(&mut self.random);
        Ok(Stored::new(Content::pattern(seed, len))?)
    }

    /// One change; the answer says what it was.
    pub fn step(&mut self) -> Result<&'static str, Refusal> {
        let mut last = Refusal::NotFound;
        for _ in 0..DRAWS_MAX {
            match self.try_step() {
                Ok(word) => return Ok(word),
                Err(refusal) => last = refusal,
            }
        }
        Err(last)
    }

    fn try_step(&mut self) -> Result<&'static str, Refusal> {
        match self.draw(100) {
            0..30 => self.upload(),
            30..55 => self.edit(),
            55..62 => self.make_folder(),
            62..72 => self.rename(),
            72..82 => self.relocate(),
            82..92 => self.trash(),
            92..97 => self.restore(),
            _ => self.copy(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Model, Deed) -> Result<T, Refusal>) -> Result<T, Refusal> {
        self.shared.change_through(Through::Web, self.by, change)
    }

    fn upload(&mut self) -> Result<&'static str, Refusal> {
        let folder = self.pick(|this| &this.folders).ok_or(Refusal::NotFound)?;
        let (name, stored) = (self.new_name() + ".bin", self.content()?);
        let times = ContentTimes::default();
        let id = self.change(|model, deed| model.create_file(deed, folder, &name, stored, times))?;
        self.files.push(id);
        Ok("upload")
    }

    fn edit(&mut self) -> Result<&'static str, Refusal> {
        let file = self.pick(|this| &this.files).ok_or(Refusal::NotFound)?;
        let stored = self.content()?;
        self.change(|model, deed| model.add_version(deed, file, stored, None, ContentTimes::default()))?;
        Ok("edit")
    }

    fn make_folder(&mut self) -> Result<&'static str, Refusal> {
        let folder = self.pick(|this| &this.folders).ok_or(Refusal::NotFound)?;
        let name = self.new_name();
        let id = self.change(|model, deed| model.create_folder(deed, folder, &name))?;
        self.folders.push(id);
        Ok("make folder")
    }

    /// A file, or now and then a folder other than the root of the bustle.
    fn pick_item(&mut self) -> Option<u64> {
        if self.draw(4) == 0 && self.folders.len() > 1 {
            let root = self.folders[0];
            return self.pick(|this| &this.folders).filter(|id| *id != root);
        }
        self.pick(|this| &this.files)
    }

    fn rename(&mut self) -> Result<&'static str, Refusal> {
        let item = self.pick_item().ok_or(Refusal::NotFound)?;
        let name = self.new_name();
        self.change(|model, deed| model.relocate(deed, item, Some(&name), None))?;
        Ok("rename")
    }

    fn relocate(&mut self) -> Result<&'static str, Refusal> {
        let item = self.pick_item().ok_or(Refusal::NotFound)?;
        let folder = self.pick(|this| &this.folders).ok_or(Refusal::NotFound)?;
        self.change(|model, deed| {
            if model.live(item)?.parent == Some(folder) {
                return Err(Refusal::NameInUse(item));
            }
            model.relocate(deed, item, None, Some(folder))
        })?;
        Ok("move")
    }

    fn trash(&mut self) -> Result<&'static str, Refusal> {
        // Folders go rarely: each takes a part of the tree with it.
        let item = if self.draw(5) == 0 { self.pick_item() } else { self.pick(|this| &this.files) };
        let item = item.ok_or(Refusal::NotFound)?;
        self.change(|model, deed| model.trash(deed, item))?;
        self.trashed.push(item);
        Ok("trash")
    }

    fn restore(&mut self) -> Result<&'static str, Refusal> {
        let item = self.pick(|this| &this.trashed).ok_or(Refusal::NotFound)?;
        self.change(|model, deed| model.restore(deed, item, None, None))?;
        self.trashed.retain(|id| *id != item);
        Ok("restore")
    }

    fn copy(&mut self) -> Result<&'static str, Refusal> {
        let item = self.pick(|this| &this.files).ok_or(Refusal::NotFound)?;
        let folder = self.pick(|this| &this.folders).ok_or(Refusal::NotFound)?;
        let name = self.new_name() + ".copy";
        let id = self.change(|model, deed| model.copy(deed, item, folder, Some(&name)))?;
        self.files.push(id);
        Ok("copy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Options;

    /// The tree without what depends on the moment.
    fn shape(seed: u64) -> Vec<(String, String)> {
        let shared = Arc::new(Shared::new(Options::default()).unwrap());
        let cloud = Cloud::new(shared);
        cloud.mkdir_p("/in").unwrap();
        let mut bustle = Bustle::new(&cloud, "/in", seed).unwrap();
        for _ in 0..400 {
            bustle.step().unwrap();
        }
        cloud.tree("/in").unwrap().into_iter().map(|(path, entry)| (path, entry.sha1)).collect()
    }

    #[test]
    fn the_same_seed_brings_the_same_life() {
        let one = shape(5);
        assert!(one.len() > 50, "{}", one.len());
        assert_eq!(one, shape(5));
        assert_ne!(one, shape(6));
    }
}
