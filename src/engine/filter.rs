//! Which items a folder wants: gitignore patterns over paths in the cloud.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::settings::{DEFAULT_IGNORE, FolderSettings, Mode};

/// The patterns of one folder.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    exclude: Option<Arc<Gitignore>>,
    include: Option<Arc<Gitignore>>,
    text: String,
}

impl Filter {
    /// Compiles the patterns. A pattern that does not compile was refused when the configuration was read; should one get here
    /// all the same, it matches nothing.
    pub fn new(settings: &FolderSettings) -> Self {
        let besides = besides(settings);
        let mut text = format!("{:?} {:?}", settings.include, settings.exclude);
        if !besides.is_empty() {
            let _ = write!(text, " {besides:?}");
        }
        let exclude: Vec<String> = besides.into_iter().chain(settings.exclude.iter().cloned()).collect();
        Self { exclude: compile(&exclude), include: compile(&settings.include), text }
    }

    /// The pattern that keeps a path out, itself or one of the directories above it.
    pub fn excluded_by(&self, path: &str, is_folder: bool) -> Option<String> {
        let found = self.exclude.as_ref()?.matched_path_or_any_parents(path, is_folder);
        match found {
            Match::Ignore(glob) => Some(glob.original().to_owned()),
            Match::None | Match::Whitelist(_) => None,
        }
    }

    /// The patterns as text, to notice a change.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether there is any pattern.
    pub fn is_empty(&self) -> bool {
        self.exclude.is_none() && self.include.is_none()
    }

    /// Whether an item is wanted whose parent is.
    pub fn wants(&self, path: &str, is_folder: bool) -> bool {
        if self.exclude.as_ref().is_some_and(|exclude| exclude.matched(path, is_folder).is_ignore()) {
            return false;
        }
        // Folders are walked in search of files that are included.
        is_folder
            || self.include.as_ref().is_none_or(|include| include.matched_path_or_any_parents(path, false).is_ignore())
    }
}

/// The patterns that count before those of `exclude`: in a mirror none of the defaults, as the cloud decides what is in it.
fn besides(settings: &FolderSettings) -> Vec<String> {
    let sends = settings.mode != Mode::Mirror;
    let defaults = DEFAULT_IGNORE.iter().filter(|_| settings.ignore.defaults && sends).map(ToString::to_string);
    defaults.chain(settings.ignore.from_tree.iter().cloned()).collect()
}

/// Lists of patterns that are kept compiled.
const COMPILED_MOST: usize = 64;

/// The patterns of a list, compiled once for all folders that have the same, as most have: it takes longer than a step of the engine.
fn compile(patterns: &[String]) -> Option<Arc<Gitignore>> {
    static COMPILED: Mutex<BTreeMap<Vec<String>, Arc<Gitignore>>> = Mutex::new(BTreeMap::new());
    if patterns.is_empty() {
        return None;
    }
    let mut known = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(compiled) = known.get(patterns) {
        return Some(Arc::clone(compiled));
    }
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        let _ = builder.add_line(None, pattern);
    }
    let compiled = Arc::new(builder.build().ok()?);
    if known.len() >= COMPILED_MOST {
        known.clear();
    }
    known.insert(patterns.to_vec(), Arc::clone(&compiled));
    Some(compiled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let owned = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        Filter { exclude: compile(&owned(exclude)), include: compile(&owned(include)), text: String::new() }
    }

    #[test]
    fn gitignore_patterns_mean_what_people_know() {
        let filter = filter(&[], &["*.tmp", "/build/", "~$*", "!keep.tmp"]);
        assert!(!filter.wants("a/b/x.tmp", false));
        assert!(filter.wants("a/keep.tmp", false));
        assert!(!filter.wants("build", true));
        assert!(filter.wants("a/build", true));
        assert!(!filter.wants("a/~$report.docx", false));
    }

    #[test]
    fn what_desktops_and_editors_leave_is_ignored_by_default() {
        let defaults: Vec<String> = DEFAULT_IGNORE.iter().map(ToString::to_string).collect();
        let filter = Filter { exclude: compile(&defaults), include: None, text: String::new() };
        for left in [
            ".DS_Store",
            "a/Thumbs.db",
            "a/desktop.ini",
            "~$Plan.docx",
            "a/.~lock.Plan.odt#",
            ".plan.txt.swp",
            "#plan.txt#",
            ".#plan.txt",
        ] {
            assert!(!filter.wants(left, false), "{left}");
            assert!(filter.excluded_by(left, false).is_some(), "{left}");
        }
        for wanted in ["plan.swp", "Thumbs.dbx", "a~", "x.tmp", "#1.txt", "lock", ".gitignore", ".agentignore"] {
            assert!(filter.wants(wanted, false), "{wanted}");
        }
    }

    #[test]
    fn with_includes_only_they_come_and_folders_are_walked() {
        let filter = filter(&["*.pdf", "/invoices/"], &[]);
        assert!(filter.wants("deep/down", true));
        assert!(filter.wants("deep/down/a.pdf", false));
        assert!(filter.wants("invoices/2026/scan.png", false));
        assert!(!filter.wants("deep/a.txt", false));
    }
}
