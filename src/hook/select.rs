//! Which hooks something concerns: by kind, folder, account and path, in the order of the configuration file.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{HookKind, HookSettings, When};

/// What happened, as far as the choice of hooks depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Happening<'a> {
    /// What.
    pub kind: HookKind,
    /// To which account.
    pub account: &'a str,
    /// In which folder, if in any.
    pub folder: Option<&'a str>,
    /// At which path inside the folder, if at any.
    pub path: Option<&'a str>,
    /// The path is that of a directory.
    pub is_dir: bool,
}

/// The hooks of the configuration, ready to be chosen from.
#[derive(Debug, Default)]
pub struct Selector {
    hooks: Vec<(HookSettings, Option<Gitignore>)>,
}

impl Selector {
    /// Takes the hooks in the order of the file.
    pub fn new(hooks: Vec<HookSettings>) -> Self {
        let compiled = hooks.into_iter().map(|hook| {
            let patterns = compile(&hook.patterns);
            (hook, patterns)
        });
        Self { hooks: compiled.collect() }
    }

    /// Whether there is no hook at all.
    pub fn is_empty(&self) -> bool {
        self.hooks.is_empty()
    }

    /// The hook of a name.
    pub fn get(&self, name: &str) -> Option<&HookSettings> {
        self.all().find(|hook| hook.name == name)
    }

    /// All hooks.
    pub fn all(&self) -> impl Iterator<Item = &HookSettings> {
        self.hooks.iter().map(|(hook, _)| hook)
    }

    /// The hooks that something concerns, in order.
    pub fn choose<'a>(&'a self, when: When, what: Happening<'a>) -> impl Iterator<Item = &'a HookSettings> {
        self.hooks
            .iter()
            .filter(move |(hook, patterns)| concerns(hook, patterns.as_ref(), when, what))
            .map(|(hook, _)| hook)
    }

    /// Whether something of a kind in a folder may concern a hook, whatever its account and path.
    pub fn may_choose(&self, when: When, kind: HookKind, folder: Option<&str>) -> bool {
        self.all()
            .any(|hook| is_for(hook, when, kind) && hook.folder.as_deref().is_none_or(|name| Some(name) == folder))
    }
}

fn concerns(hook: &HookSettings, patterns: Option<&Gitignore>, when: When, what: Happening<'_>) -> bool {
    is_for(hook, when, what.kind)
        && hook.account.as_deref().is_none_or(|account| account == what.account)
        && hook.folder.as_deref().is_none_or(|folder| Some(folder) == what.folder)
        // What has no path, such as a sign-in that is needed, cannot be picked by one.
        && patterns.is_none_or(|patterns| {
            what.path.is_some_and(|path| patterns.matched_path_or_any_parents(path, what.is_dir).is_ignore())
        })
}

fn is_for(hook: &HookSettings, when: When, kind: HookKind) -> bool {
    hook.when == when
        && (when == When::Before) == kind.is_decided()
        && hook.on.iter().any(|listen| listen.covers(kind))
        && (hook.actions.is_empty() || hook.actions.iter().any(|act| act.covers(kind)))
}

/// Nothing means that every path matches, also none.
fn compile(patterns: &[String]) -> Option<Gitignore> {
    if patterns.is_empty() || patterns.iter().any(|pattern| pattern == "*") && patterns.len() == 1 {
        return None;
    }
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        // A pattern that does not compile was refused when the configuration was read.
        let _ = builder.add_line(None, pattern);
    }
    // Should the set as a whole be too much for the matcher, a hook that decides must rather see too many files than none.
    builder.build().ok()
}

#[cfg(test)]
mod tests {
    use super::super::{Act, Call, Listen};
    use super::*;

    fn hook(name: &str, when: When, on: &[&str]) -> HookSettings {
        let on = on.iter().map(|text| Listen::parse(text).unwrap()).collect();
        HookSettings::new(name, when, on, Call::Exec { run: vec!["/bin/true".into()], worker: false })
    }

    fn chosen(
        selector: &Selector,
        when: When,
        kind: HookKind,
        folder: Option<&str>,
        path: Option<&str>,
    ) -> Vec<String> {
        let what = Happening { kind, account: "work", folder, path, is_dir: false };
        selector.choose(when, what).map(|hook| hook.name.clone()).collect()
    }

    #[test]
    fn the_order_of_the_file_is_the_order_of_the_calls() {
        let selector = Selector::new(vec![
            hook("late", When::After, &["*"]),
            hook("one", When::Before, &["file.download"]),
            hook("two", When::Before, &["*"]),
        ]);
        let path = Some("a/b.pdf");
        assert_eq!(chosen(&selector, When::Before, HookKind::FileDownload, Some("in"), path), ["one", "two"]);
        assert_eq!(chosen(&selector, When::After, HookKind::FileCreated, Some("in"), path), ["late"]);
        assert_eq!(chosen(&selector, When::After, HookKind::FileDownload, Some("in"), path), Vec::<String>::new());
    }

    #[test]
    fn folder_account_and_pattern_narrow_the_choice() {
        let mut pdf = hook("pdf", When::After, &["file.*"]);
        pdf.patterns = vec!["*.pdf".into(), "!draft*".into(), "invoices/".into()];
        let mut inbox = hook("inbox", When::After, &["*"]);
        inbox.folder = Some("inbox".into());
        let mut other = hook("other", When::After, &["*"]);
        other.account = Some("other".into());
        let selector = Selector::new(vec![pdf, inbox, other]);
        let of = |folder, path| chosen(&selector, When::After, HookKind::FileCreated, folder, path);
        assert_eq!(of(Some("inbox"), Some("x/a.pdf")), ["pdf", "inbox"]);
        assert_eq!(of(Some("inbox"), Some("draft.pdf")), ["inbox"]);
        assert_eq!(of(Some("elsewhere"), Some("invoices/2024/a.txt")), ["pdf"]);
        assert_eq!(of(None, None), Vec::<String>::new());
    }

    #[test]
    fn actions_narrow_the_choice() {
        let mut gone = hook("gone", When::After, &["*"]);
        gone.actions = vec![Act::Deleted, Act::Renamed];
        let selector = Selector::new(vec![gone]);
        let of = |kind| chosen(&selector, When::After, kind, Some("inbox"), Some("a"));
        for kind in [HookKind::FileDeleted, HookKind::FolderDeleted, HookKind::CommentDeleted, HookKind::FileRenamed] {
            assert_eq!(of(kind), ["gone"], "{kind}");
        }
        for kind in [HookKind::FileCreated, HookKind::FileMoved, HookKind::Hold] {
            assert_eq!(of(kind), Vec::<String>::new(), "{kind}");
        }
    }
}
