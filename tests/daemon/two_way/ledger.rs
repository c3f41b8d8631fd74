//! What was written in a history and by whom, what its own writers took away again, and chance that follows from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::sha1_of;

/// How long the agent may take from the removal of a folder on disk until it is in the cloud's trash: it waits for the disk to settle and
/// reads the stream before that, and what is put into the folder after goes along, as the README says.
const GOES_ALONG: Duration = Duration::from_secs(10);

/// Which hand wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// A person or program at the disk.
    Disk,
    /// Another user of the cloud.
    Cloud,
}

/// One content that somebody wrote.
#[derive(Debug, Clone)]
pub struct Written {
    pub by: Side,
    pub at: String,
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct Book {
    written: BTreeMap<String, Written>,
    /// What a person overwrote or deleted, knowing or not: it need not be in the tree any more, but must be findable.
    taken: BTreeSet<String>,
    /// What its own writer overwrote or deleted before anybody else could see it.
    own_loss: BTreeSet<String>,
    /// What was written into a file that was being put aside at the same moment: it must be findable.
    aside: BTreeSet<String>,
    /// Folders that a person removed from the disk, and when.
    removed: Vec<(String, Instant)>,
    /// What somebody put into such a folder in the cloud before anybody there could hear of its end: it goes into the trash with it.
    along: BTreeSet<String>,
    /// A person overwrote something that he cannot name, for something else took its place at the same moment.
    blind: bool,
    /// What each hand touched last.
    hot: BTreeMap<Side, String>,
    deeds: BTreeMap<&'static str, u64>,
    lines: Vec<String>,
}

/// The book that both hands keep.
#[derive(Debug)]
pub struct Ledger {
    begun: Instant,
    book: Mutex<Book>,
}

impl Ledger {
    pub fn new() -> Self {
        Self { begun: Instant::now(), book: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        act(&mut self.book.lock().unwrap())
    }

    /// A content is about to be written.
    pub fn writes(&self, by: Side, at: &str, content: &[u8]) {
        let written = Written { by, at: at.to_owned(), bytes: content.len() as u64 };
        self.with(|book| {
            let is_in = |removed: &str| at.strip_prefix(removed).is_some_and(|rest| rest.starts_with('/'));
            let goes = book.removed.iter().any(|(path, when)| when.elapsed() < GOES_ALONG && is_in(path));
            if goes && by == Side::Cloud {
                book.along.insert(sha1_of(content));
            }
            book.written.insert(sha1_of(content), written)
        });
    }

    /// A person removed a folder from the disk.
    pub fn removes_folder(&self, path: &str) {
        self.with(|book| book.removed.push((path.to_owned(), Instant::now())));
    }

    /// Whether a content was put into a folder that was being deleted: the cloud's trash has it with that.
    pub fn may_go_along(&self, hash: &str) -> bool {
        self.with(|book| book.along.contains(hash))
    }

    /// A person took a content away. `kept` tells whether somebody else holds it.
    pub fn takes(&self, hash: String, kept: impl FnOnce(&str) -> bool) {
        self.with(|book| {
            if !kept(&hash) && book.written.get(&hash).is_some_and(|written| written.by == Side::Disk) {
                book.own_loss.insert(hash.clone());
            }
            book.taken.insert(hash);
        });
    }

    /// A content went into a file that is no longer where it was.
    pub fn went_aside(&self, content: &[u8]) {
        self.with(|book| book.aside.insert(sha1_of(content)));
    }

    /// Something was overwritten that nobody saw.
    pub fn overwrote_blindly(&self) {
        self.with(|book| book.blind = true);
    }

    /// A hand is at this path.
    pub fn touches(&self, by: Side, path: &str) {
        self.with(|book| book.hot.insert(by, path.to_owned()));
    }

    /// What a hand touched last.
    pub fn last_of(&self, side: Side) -> Option<String> {
        self.with(|book| book.hot.get(&side).cloned())
    }

    /// A deed was done.
    pub fn did(&self, deed: &'static str, what: &str) {
        self.with(|book| *book.deeds.entry(deed).or_default() += 1);
        self.note(&format!("{deed} {what}"));
    }

    /// A line for whoever looks into a history that failed.
    pub fn note(&self, line: &str) {
        let at = self.begun.elapsed().as_millis();
        self.with(|book| book.lines.push(format!("{at:>6} ms  {line}")));
    }

    /// Every content that must be findable.
    pub fn written(&self) -> BTreeMap<String, Written> {
        self.with(|book| book.written.clone())
    }

    /// Whether a content was its own writer's to lose.
    pub fn is_own_loss(&self, hash: &str) -> bool {
        self.with(|book| book.own_loss.contains(hash))
    }

    /// Whether nobody took a content away: it must be in the tree.
    pub fn must_be_in_the_tree(&self, hash: &str) -> bool {
        self.with(|book| !book.blind && !book.taken.contains(hash) && !book.aside.contains(hash))
    }

    /// Deeds by their kind.
    pub fn deeds(&self) -> BTreeMap<&'static str, u64> {
        self.with(|book| book.deeds.clone())
    }

    /// The story so far.
    pub fn story(&self) -> String {
        self.with(|book| book.lines.join("\n"))
    }
}

/// Numbers that follow from a seed.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
        chance.below(1);
        chance
    }

    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most.max(1)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }

    /// A content that nobody else writes, mostly small.
    pub fn content(&mut self, mark: &str) -> Vec<u8> {
        let mut content = format!("{mark} {:x}\n", self.below(u64::MAX)).into_bytes();
        let more = match self.below(8) {
            0 => self.below(200_000),
            1..3 => self.below(9_000),
            _ => self.below(60),
        };
        content.resize(content.len() + more as usize, b'.');
        content
    }
}

/// Names that both hands use, so that they meet.
const NAMES: [&str; 10] = ["a", "b.txt", "c.txt", "notes.md", "x", "été.txt", "report.docx", "y", "data.bin", "z"];
/// Names of folders that both hands use; some are those of files as well.
const FOLDERS: [&str; 6] = ["d", "e", "sub", "x", "Ordner ü", "y"];

/// A path for something new below one of these folders, often one that the other hand would also choose.
pub fn new_path(chance: &mut Chance, folders: &[String], is_folder: bool, mark: &str) -> String {
    let above = chance.pick(folders).cloned().unwrap_or_default();
    let name = match (is_folder, chance.below(3)) {
        (false, 0) => format!("{mark}.txt"),
        (true, 0) => format!("dir {mark}"),
        (false, _) => (*chance.pick(&NAMES).unwrap()).to_owned(),
        (true, _) => (*chance.pick(&FOLDERS).unwrap()).to_owned(),
    };
    // The clouds fold case, and the disk does not.
    let name = if chance.below(16) == 0 { name.to_uppercase() } else { name };
    if above.is_empty() { name } else { format!("{above}/{name}") }
}

/// What a hand has before it: a tree, and with luck the very place where the other hand is at work.
pub struct Sight {
    pub files: Vec<String>,
    /// The folders and the top.
    pub places: Vec<String>,
    pub file: Option<String>,
    pub folder: Option<String>,
    /// For something new, if the other hand has just been there and nothing is to be seen of it.
    hot: Option<String>,
}

impl Sight {
    /// A look at a tree, given as paths and whether they are folders.
    pub fn new(tree: impl Iterator<Item = (String, bool)>, chance: &mut Chance, hot: Option<String>) -> Self {
        let (folders, files): (Vec<_>, Vec<_>) = tree.partition(|(_, is_folder)| *is_folder);
        let paths = |entries: Vec<(String, bool)>| entries.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        let (files, folders) = (paths(files), paths(folders));
        let hot = hot.filter(|_| chance.below(4) == 0);
        let near = |entries: &[String], chance: &mut Chance| {
            let hot = hot.clone().filter(|hot| entries.contains(hot));
            hot.or_else(|| chance.pick(entries).cloned())
        };
        let (file, folder) = (near(&files, chance), near(&folders, chance));
        let places = std::iter::once(String::new()).chain(folders.iter().cloned()).collect();
        let hot = hot.filter(|hot| !files.contains(hot) && !folders.contains(hot));
        Self { files, places, file, folder, hot }
    }

    /// A path for something new.
    pub fn new_path(&mut self, chance: &mut Chance, is_folder: bool, mark: &str) -> String {
        self.hot.take().unwrap_or_else(|| new_path(chance, &self.places, is_folder, mark))
    }
}
