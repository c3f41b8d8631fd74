//! Another user of the cloud, and what each of his deeds took away.

use folder_sync_agent::sandbox::Cloud;

use super::ledger::{Chance, Ledger, Side, Sight, new_path};

/// The hand in the cloud.
pub struct CloudHand<'a> {
    cloud: Cloud,
    root: &'static str,
    ledger: &'a Ledger,
    chance: Chance,
    deeds: u64,
    trashed: Vec<String>,
}

impl<'a> CloudHand<'a> {
    /// A hand that works below the folder `root`.
    pub fn new(cloud: Cloud, root: &'static str, ledger: &'a Ledger, chance: Chance) -> Self {
        Self { cloud, root, ledger, chance, deeds: 0, trashed: Vec::new() }
    }

    fn at(&self, path: &str) -> String {
        if path.is_empty() { self.root.to_owned() } else { format!("{}/{path}", self.root) }
    }

    /// One change. What the agent took from under the hand meanwhile is not done.
    pub fn step(&mut self) {
        self.deeds += 1;
        let mark = format!("cloud {}", self.deeds);
        let tree = self.cloud.tree(self.root).unwrap();
        let tree = tree.into_iter().map(|(path, entry)| (path, entry.is_folder));
        let mut sight = Sight::new(tree, &mut self.chance, self.ledger.last_of(Side::Disk));
        let (file, folder) = (sight.file.clone(), sight.folder.clone());
        match (self.chance.below(100), file, folder) {
            (0..24, ..) => {
                let path = sight.new_path(&mut self.chance, false, &mark);
                self.write(&path, &mark);
            }
            (24..48, Some(path), _) => self.write(&path, &mark),
            (48..56, Some(path), _) => self.rename(&path, &mark, false),
            (56..61, _, Some(path)) => self.rename(&path, &mark, true),
            (61..69, Some(path), _) | (69..73, _, Some(path)) => self.relocate(&path, &sight.places),
            (73..80, ..) => {
                let path = sight.new_path(&mut self.chance, true, &mark);
                if self.cloud.mkdir_p(&self.at(&path)).is_ok() {
                    self.ledger.did("cloud: new folder", &path);
                }
            }
            (80..88, Some(path), _) | (88..92, _, Some(path)) => self.trash(&path),
            (92..95, ..) => self.restore(),
            (95..97, Some(path), _) => {
                let to = self.chance.pick(&sight.places).cloned().unwrap_or_default();
                let name = format!("copy {}", self.deeds);
                if self.cloud.copy(&self.at(&path), &self.at(&to), Some(&name)).is_ok() {
                    self.ledger.did("cloud: copy", &format!("{path} -> {to}/{name}"));
                }
            }
            (_, Some(path), _) => self.promote(&path),
            _ => {
                let path = new_path(&mut self.chance, &[String::new()], false, &mark);
                self.write(&path, &mark);
            }
        }
    }

    fn take(&self, hashes: impl IntoIterator<Item = String>) {
        // The cloud keeps what it had.
        hashes.into_iter().for_each(|hash| self.ledger.takes(hash, |_| true));
    }

    fn write(&mut self, path: &str, mark: &str) {
        self.ledger.touches(Side::Cloud, path);
        let content = self.chance.content(mark);
        let ours = crate::support::sha1_of(&content);
        if let Ok(id) = self.cloud.write(&self.at(path), content.clone()) {
            self.ledger.writes(Side::Cloud, path, &content);
            let hashes = self.cloud.version_hashes(&id).unwrap();
            self.take(hashes.into_iter().take_while(|hash| *hash != ours));
            self.ledger.did("cloud: write", path);
        }
    }

    fn rename(&mut self, path: &str, mark: &str, is_folder: bool) {
        self.ledger.touches(Side::Cloud, path);
        let name = new_path(&mut self.chance, &[String::new()], is_folder, mark);
        if self.cloud.rename(&self.at(path), &name).is_ok() {
            self.ledger.did("cloud: rename", &format!("{path} -> {name}"));
        }
    }

    fn relocate(&mut self, path: &str, places: &[String]) {
        self.ledger.touches(Side::Cloud, path);
        let to = self.chance.pick(places).cloned().unwrap_or_default();
        if self.cloud.move_to(&self.at(path), &self.at(&to)).is_ok() {
            self.ledger.did("cloud: move", &format!("{path} -> {to}/"));
        }
    }

    fn trash(&mut self, path: &str) {
        self.ledger.touches(Side::Cloud, path);
        if let Ok(id) = self.cloud.trash(&self.at(path)) {
            self.take(self.cloud.hashes_below(&id).unwrap());
            self.ledger.did("cloud: trash", path);
            self.trashed.push(id);
        }
    }

    fn restore(&mut self) {
        let Some(id) = self.chance.pick(&self.trashed).cloned() else { return };
        if self.cloud.restore(&id).is_ok() {
            self.ledger.did("cloud: restore", &self.cloud.path_of(&id).unwrap_or_default());
        }
    }

    fn promote(&mut self, path: &str) {
        let at = self.at(path);
        let Ok(versions) = self.cloud.versions(&at) else { return };
        let Some(version) = self.chance.pick(&versions).cloned() else { return };
        let Ok(id) = self.cloud.id_of(&at) else { return };
        if versions.last() != Some(&version) && self.cloud.promote_version(&at, &version).is_ok() {
            self.take(self.cloud.version_hashes(&id).unwrap());
            self.ledger.did("cloud: promote version", path);
        }
    }
}
