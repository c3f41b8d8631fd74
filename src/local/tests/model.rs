//! Random deeds, and people's own acts between them, against a model of a tree: results and trees must be as foretold.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::rig::{Abilities, Rig, at, brief, publish, relocate, remove};
use crate::deed::{Deed, DeedResult, Expect, OnEdit};
use crate::tree::Stamp;

/// One step of a history. Paths and contents are small numbers, so that they meet often.
#[derive(Debug, Clone)]
enum Step {
    MakeFolder(usize),
    Publish(usize, u8, bool),
    Remove(usize, bool),
    RemoveFolder(usize),
    Relocate(usize, usize),
    /// Somebody writes into a file or makes one.
    Write(usize, u8),
    /// Somebody replaces a file.
    Save(usize, u8),
    /// Somebody deletes a file.
    Delete(usize),
}

const PATHS: [&str; 9] = ["a", "b", "c", "a/a", "a/b", "b/a", "a/a/a", "b/a/b", "c/c"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = 0..PATHS.len();
    let step = prop_oneof![
        3 => path.clone().prop_map(Step::MakeFolder),
        5 => (path.clone(), 0..4_u8, any::<bool>()).prop_map(|(p, c, k)| Step::Publish(p, c, k)),
        2 => (path.clone(), any::<bool>()).prop_map(|(p, k)| Step::Remove(p, k)),
        1 => path.clone().prop_map(Step::RemoveFolder),
        4 => (path.clone(), path.clone()).prop_map(|(p, q)| Step::Relocate(p, q)),
        1 => (path.clone(), 0..4_u8).prop_map(|(p, c)| Step::Write(p, c)),
        1 => (path.clone(), 0..4_u8).prop_map(|(p, c)| Step::Save(p, c)),
        1 => path.prop_map(Step::Delete),
    ];
    proptest::collection::vec(step, 1..40)
}

fn content(number: u8) -> String {
    format!("content {number}")
}

#[derive(Debug, Clone, PartialEq)]
enum Entry {
    /// A file; clean if it is as we published it.
    File {
        content: String,
        clean: bool,
    },
    Folder,
}

/// How the directory of a path is.
#[derive(PartialEq)]
enum Parent {
    There,
    Missing,
    Unsafe,
}

#[derive(Default)]
struct Model {
    tree: BTreeMap<String, Entry>,
    /// What we believe to have put where.
    ours: BTreeMap<String, Stamp>,
    versions: BTreeMap<i64, String>,
}

impl Model {
    fn parent(&self, path: &str) -> Parent {
        for (end, _) in path.match_indices('/') {
            match self.tree.get(&path[..end]) {
                Some(Entry::Folder) => {}
                Some(Entry::File { .. }) => return Parent::Unsafe,
                None => return Parent::Missing,
            }
        }
        Parent::There
    }

    fn has_children(&self, path: &str) -> usize {
        let below = format!("{path}/");
        self.tree.keys().filter(|key| key.strip_prefix(&below).is_some_and(|rest| !rest.contains('/'))).count()
    }

    fn appear(&self, path: &str) -> Option<&'static str> {
        match self.parent(path) {
            Parent::There => None,
            Parent::Missing => Some("failed: ParentMissing"),
            Parent::Unsafe => Some("failed: UnsafePath"),
        }
    }

    fn vanish(&self, path: &str) -> Option<&'static str> {
        match self.parent(path) {
            Parent::There => None,
            Parent::Missing => Some("missing"),
            Parent::Unsafe => Some("failed: UnsafePath"),
        }
    }

    fn make_folder(&mut self, path: &str) -> String {
        if let Some(refused) = self.appear(path) {
            return refused.to_owned();
        }
        if matches!(self.tree.get(path), Some(Entry::File { .. })) {
            return "occupied".to_owned();
        }
        self.tree.insert(path.to_owned(), Entry::Folder);
        "done".to_owned()
    }

    fn publish(&mut self, job: i64, path: &str, new: &str, on_edit: OnEdit) -> String {
        if let Some(refused) = self.appear(path) {
            return refused.to_owned();
        }
        let result = match self.tree.get(path) {
            None => "done",
            Some(Entry::Folder) => return "occupied by a folder".to_owned(),
            Some(Entry::File { content, clean: true }) => {
                self.versions.insert(job, content.clone());
                "done, displaced"
            }
            Some(Entry::File { content, clean: false }) if content == new => "done",
            Some(Entry::File { .. }) if on_edit == OnEdit::Keep => return "edited".to_owned(),
            Some(Entry::File { content, .. }) => {
                self.versions.insert(job, content.clone());
                "done, an edit displaced"
            }
        };
        self.tree.insert(path.to_owned(), Entry::File { content: new.to_owned(), clean: true });
        result.to_owned()
    }

    fn remove(&mut self, job: i64, path: &str, on_edit: OnEdit) -> String {
        if let Some(refused) = self.vanish(path) {
            return refused.to_owned();
        }
        let Some(Entry::File { content, clean }) = self.tree.get(path).cloned() else { return "missing".to_owned() };
        if !clean && on_edit == OnEdit::Keep {
            return "edited".to_owned();
        }
        self.tree.remove(path);
        self.versions.insert(job, content);
        if clean { "done, displaced" } else { "done, an edit displaced" }.to_owned()
    }

    fn remove_folder(&mut self, path: &str) -> String {
        if let Some(refused) = self.vanish(path) {
            return refused.to_owned();
        }
        match (self.tree.get(path), self.has_children(path)) {
            (Some(Entry::Folder), 0) => {
                self.tree.remove(path);
                "done".to_owned()
            }
            (Some(Entry::Folder), entries) => format!("{entries} inside"),
            _ => "missing".to_owned(),
        }
    }

    /// `source_is_ours`: the inode at the source is the one that we put there.
    fn relocate(&mut self, from: &str, to: &str, source_is_ours: bool) -> String {
        if self.parent(from) == Parent::Unsafe {
            return "failed: UnsafePath".to_owned();
        }
        if !source_is_ours {
            return if self.parent(to) == Parent::Unsafe { "failed: UnsafePath" } else { "missing" }.to_owned();
        }
        if let Some(refused) = self.appear(to) {
            return refused.to_owned();
        }
        if from == to {
            return "done".to_owned();
        }
        match self.tree.get(to) {
            Some(Entry::Folder) => return "occupied by a folder".to_owned(),
            Some(Entry::File { .. }) => return "occupied".to_owned(),
            None if to.starts_with(&format!("{from}/")) => return "failed: Item".to_owned(),
            None => {}
        }
        moved(&mut self.tree, from, to);
        moved(&mut self.ours, from, to);
        "done".to_owned()
    }
}

/// Renames a path and everything below it.
fn moved<T>(map: &mut BTreeMap<String, T>, from: &str, to: &str) {
    let below = format!("{from}/");
    let keys: Vec<String> = map.keys().filter(|key| *key == from || key.starts_with(&below)).cloned().collect();
    for key in keys {
        if let Some(value) = map.remove(&key) {
            map.insert(format!("{to}{}", &key[from.len()..]), value);
        }
    }
}

const NOBODY: Stamp = Stamp { dev: 0, ino: 0, size: 0, mtime_ns: 0, ctime_ns: 0 };

fn run(rig: &Rig, model: &mut Model, job: i64, step: &Step, again: bool) {
    let ours = |model: &Model, path: &str| model.ours.get(path).copied();
    let on_edit = |keep: bool| if keep { OnEdit::Keep } else { OnEdit::Displace };
    let (deed, foretold, place) = match *step {
        Step::MakeFolder(p) => (Deed::MakeFolder { at: at(PATHS[p]) }, model.make_folder(PATHS[p]), PATHS[p]),
        Step::Publish(p, number, keep) => {
            let expect = ours(model, PATHS[p]).map_or(Expect::Absent, Expect::Ours);
            let deed = publish(rig.stage(job, &content(number)), PATHS[p], expect, on_edit(keep));
            (deed, model.publish(job, PATHS[p], &content(number), on_edit(keep)), PATHS[p])
        }
        Step::Remove(p, keep) => {
            let deed = remove(PATHS[p], ours(model, PATHS[p]).unwrap_or(NOBODY), on_edit(keep));
            (deed, model.remove(job, PATHS[p], on_edit(keep)), PATHS[p])
        }
        Step::RemoveFolder(p) => (Deed::RemoveFolder { at: at(PATHS[p]) }, model.remove_folder(PATHS[p]), PATHS[p]),
        Step::Relocate(p, q) => {
            let (from, to) = (PATHS[p], PATHS[q]);
            let expect = ours(model, from).unwrap_or(NOBODY);
            let entry = model.tree.get(from);
            let is_ours = entry.is_some() && rig.stamp(from).ino == expect.ino;
            let is_folder = entry == Some(&Entry::Folder);
            (relocate(at(from), at(to), expect, is_folder), model.relocate(from, to, is_ours), to)
        }
        Step::Write(p, number) | Step::Save(p, number) => {
            if model.parent(PATHS[p]) == Parent::There && model.tree.get(PATHS[p]) != Some(&Entry::Folder) {
                let text = content(number);
                if matches!(step, Step::Save(..)) {
                    rig.save(PATHS[p], &text);
                } else {
                    rig.write(PATHS[p], &text);
                }
                // Somebody's equal content is an edit too: its time and maybe its inode are others.
                model.tree.insert(PATHS[p].to_owned(), Entry::File { content: text, clean: false });
            }
            return;
        }
        Step::Delete(p) => {
            if matches!(model.tree.get(PATHS[p]), Some(Entry::File { .. })) {
                std::fs::remove_file(rig.path(PATHS[p])).unwrap();
                model.tree.remove(PATHS[p]);
            }
            return;
        }
    };
    let result = rig.run(job, deed.clone());
    assert_eq!(brief(&result), foretold, "{step:?}");
    if let DeedResult::Done { stamp: Some(stamp), .. } = result {
        model.ours.insert(place.to_owned(), stamp);
    }
    if again && !matches!(step, Step::RemoveFolder(_)) {
        assert_eq!(brief(&rig.run(job, deed)), foretold, "{step:?} again");
    }
}

fn compare(rig: &Rig, model: &Model) {
    let visible: BTreeMap<String, String> = model
        .tree
        .iter()
        .map(|(path, entry)| match entry {
            Entry::File { content, .. } => (path.clone(), format!("={content}")),
            Entry::Folder => (format!("{path}/"), String::new()),
        })
        .collect();
    assert_eq!(rig.visible(), visible);
    let versions: BTreeMap<i64, String> = rig
        .picture()
        .into_iter()
        .filter_map(|(path, content)| {
            let job = path.strip_prefix(".folder-sync-agent/versions/")?.parse().ok()?;
            Some((job, content[1..].to_owned()))
        })
        .collect();
    assert_eq!(versions, model.versions);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn histories_go_as_foretold(steps in steps(), again in any::<u64>(), all in any::<bool>()) {
        let rig = Rig::in_memory(if all { Abilities::All } else { Abilities::None });
        let mut model = Model::default();
        for (number, step) in (0..).zip(&steps) {
            run(&rig, &mut model, 1_000 + number, step, again >> (number % 64) & 1 == 1);
            compare(&rig, &model);
        }
    }
}
