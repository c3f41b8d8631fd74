//! How each hook is: what it is asked at once, who waits for it, whether it works, and when it is tried again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::hook::{HookSettings, When};
use crate::id::{FolderId, NodeId};
use crate::tree::Wall;

/// Failures in a row after which a hook that cannot be probed is taken for one that does not work.
const FAILURES_MOST: u32 = 3;
/// Questions that are handed out before they can be asked, so that verdicts come in groups. The runner keeps to `concurrency`.
const ASKED_AHEAD: u32 = 64;
/// The window of `per_minute`.
const MINUTE_MS: u64 = 60_000;
/// The shortest and the longest time between two tries of a hook that does not work.
const TRIED_FIRST: Duration = Duration::from_millis(500);
const TRIED_LAST: Duration = Duration::from_secs(30);
/// How often a scanner that works is asked for its version.
const VERSION_EVERY: Duration = Duration::from_mins(2);
/// Staged files that wait for hooks, in one folder; what is more is fetched when there are fewer.
const KEPT_MOST: usize = 2_000;
/// The same while a hook does not work.
const KEPT_MOST_WHILE_DOWN: usize = 50_000;

/// A hook that does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Down {
    /// Since when.
    pub since: Wall,
    /// Why.
    pub cause: String,
    tries: u32,
}

#[derive(Debug, Default)]
struct Line {
    /// Runs under way.
    running: u32,
    /// When the runs of the last minute began, where there is a limit.
    begun: VecDeque<u64>,
    /// Items that wait for room.
    waiting: VecDeque<NodeId>,
    /// Failures in a row.
    failures: u32,
    down: Option<Down>,
    /// One file may be asked about, to see whether it works again.
    may_try: bool,
    /// When it is tried, or asked for its version, next.
    next: u64,
    is_probed: bool,
    /// What the scanner says of itself and its signatures.
    version: Option<String>,
}

/// What is to be done to see whether a hook works.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Trial {
    /// The scanner is asked how it is.
    Probe(Box<HookSettings>),
    /// One of the files that wait for the hook is asked about.
    OneFile(String),
}

/// How all hooks are.
#[derive(Debug, Default)]
pub(in crate::engine) struct Lines {
    all: BTreeMap<String, Line>,
    /// Items whose staged content waits for hooks.
    kept: BTreeMap<FolderId, BTreeSet<NodeId>>,
    /// When something may begin that may not begin now.
    wake_at: Option<u64>,
}

impl Lines {
    /// The hooks may be others now: those that failed may have been mended.
    pub fn mended(&mut self, names: &[&str]) {
        self.all.retain(|name, _| names.contains(&name.as_str()));
        for line in self.all.values_mut() {
            (line.failures, line.down, line.next) = (0, None, 0);
        }
    }

    /// Nobody waits for room any more.
    pub fn forget_waiting(&mut self) {
        self.all.values_mut().for_each(|line| line.waiting.clear());
    }

    /// A run begins.
    pub fn begin(&mut self, hook: &HookSettings, now: u64) {
        let line = self.line(&hook.name);
        line.running += 1;
        line.may_try = false;
        if hook.per_minute.is_some() {
            line.begun.push_back(now);
        }
    }

    /// A run ended, or was given up.
    pub fn release(&mut self, hook: &str) {
        if let Some(line) = self.all.get_mut(hook) {
            line.running = line.running.saturating_sub(1);
        }
    }

    /// Runs under way.
    pub fn running(&self, hook: &str) -> u32 {
        self.all.get(hook).map_or(0, |line| line.running)
    }

    /// Whether one more run of a hook may begin; if only its rate forbids it, it is known when.
    pub fn has_room(&mut self, hook: &HookSettings, now: u64) -> bool {
        let most = match hook.when {
            When::Before => hook.concurrency.max(ASKED_AHEAD),
            When::After => hook.concurrency,
        };
        let line = self.line(&hook.name);
        if line.running >= most {
            return false;
        }
        let Some(per_minute) = hook.per_minute else { return true };
        while line.begun.front().is_some_and(|at| at + MINUTE_MS <= now) {
            line.begun.pop_front();
        }
        let Some(first) = line.begun.front().filter(|_| line.begun.len() >= per_minute as usize) else { return true };
        let at = first + MINUTE_MS;
        self.wake(at);
        false
    }

    /// An item waits for room.
    pub fn wait(&mut self, hook: &str, node: NodeId) {
        self.line(hook).waiting.push_back(node);
    }

    /// The hooks for which somebody waits, and how many.
    pub fn waited_for(&self) -> Vec<(String, usize)> {
        let waited = self.all.iter().filter(|(_, line)| !line.waiting.is_empty());
        waited.map(|(name, line)| (name.clone(), line.waiting.len())).collect()
    }

    /// The item that has waited longest for room.
    pub fn next_waiting(&mut self, hook: &str) -> Option<NodeId> {
        self.all.get_mut(hook)?.waiting.pop_front()
    }

    /// A run failed. `at_once`: nobody could be asked, which one failure shows. True if the hook does not work from now on.
    pub fn failed(&mut self, hook: &str, cause: &str, at_once: bool, now: (u64, Wall)) -> bool {
        let line = self.line(hook);
        line.failures += 1;
        match &mut line.down {
            Some(down) => {
                cause.clone_into(&mut down.cause);
                false
            }
            None if at_once || line.failures >= FAILURES_MOST => {
                line.down = Some(Down { since: now.1, cause: cause.to_owned(), tries: 0 });
                line.next = now.0 + TRIED_FIRST.as_millis() as u64;
                true
            }
            None => false,
        }
    }

    /// A run had a verdict. True if the hook did not work until now.
    pub fn worked(&mut self, hook: &str) -> bool {
        let line = self.line(hook);
        line.failures = 0;
        line.down.take().is_some()
    }

    /// What keeps a hook from working, if anything does.
    pub fn down(&self, hook: &str) -> Option<&Down> {
        self.all.get(hook)?.down.as_ref()
    }

    /// Whether a question must wait until the hook works again.
    pub fn is_closed(&self, hook: &str) -> bool {
        self.all.get(hook).is_some_and(|line| line.down.is_some() && !line.may_try)
    }

    /// What is due to see whether hooks work, and which signatures they have.
    pub fn trials<'a>(&mut self, hooks: impl Iterator<Item = &'a HookSettings>, now: u64) -> Vec<Trial> {
        let mut trials = Vec::new();
        for hook in hooks.filter(|hook| hook.when == When::Before) {
            let line = self.line(&hook.name);
            let is_of_interest = line.down.is_some() || hook.can_be_probed();
            if !is_of_interest || line.is_probed || line.down.is_some() && line.running > 0 && !hook.can_be_probed() {
                continue;
            }
            if now < line.next {
                let at = line.next;
                self.wake(at);
                continue;
            }
            let pause = match &mut line.down {
                Some(down) => {
                    down.tries += 1;
                    (TRIED_FIRST * 2u32.saturating_pow(down.tries.min(10))).min(TRIED_LAST)
                }
                None => VERSION_EVERY,
            };
            line.next = now + pause.as_millis() as u64;
            let at = line.next;
            if hook.can_be_probed() {
                line.is_probed = true;
                trials.push(Trial::Probe(Box::new(hook.clone())));
            } else {
                line.may_try = true;
                trials.push(Trial::OneFile(hook.name.clone()));
            }
            self.wake(at);
        }
        trials
    }

    /// A probe ended, or was given up.
    pub fn probed(&mut self, hook: &str) {
        self.line(hook).is_probed = false;
    }

    /// What a scanner says of itself, when that is known.
    pub fn version(&self, hook: &str) -> Option<&str> {
        self.all.get(hook)?.version.as_deref()
    }

    /// A scanner told its version. True if it had another one before.
    pub fn told_version(&mut self, hook: &str, version: &str) -> bool {
        let line = self.line(hook);
        if line.version.as_deref() == Some(version) {
            return false;
        }
        line.version.replace(version.to_owned()).is_some()
    }

    /// A staged content waits for hooks.
    pub fn keep(&mut self, folder: FolderId, node: NodeId) {
        self.kept.entry(folder).or_default().insert(node);
    }

    /// It does not wait any more.
    pub fn unkeep(&mut self, folder: FolderId, node: NodeId) {
        if let Some(kept) = self.kept.get_mut(&folder) {
            kept.remove(&node);
        }
    }

    /// Staged contents of a folder that wait for hooks.
    pub fn kept(&self, folder: FolderId) -> usize {
        self.kept.get(&folder).map_or(0, BTreeSet::len)
    }

    /// Whether so much waits for hooks in a folder that nothing more is fetched.
    pub fn keeps_enough(&self, folder: FolderId) -> bool {
        let is_down = self.all.values().any(|line| line.down.is_some());
        self.kept(folder) >= if is_down { KEPT_MOST_WHILE_DOWN } else { KEPT_MOST }
    }

    /// A folder was closed: nothing of it is staged any more.
    pub fn forget_kept(&mut self, folder: FolderId) {
        self.kept.remove(&folder);
    }

    /// Something may begin at a moment, and not before.
    pub fn wake(&mut self, at: u64) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    /// When something may begin.
    pub fn wake_at(&self) -> Option<u64> {
        self.wake_at
    }

    /// Everything that may begin was begun.
    pub fn forget_wake(&mut self) {
        self.wake_at = None;
    }

    fn line(&mut self, hook: &str) -> &mut Line {
        self.all.entry(hook.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::{Call, Listen, Scanner};

    fn hook(name: &str, call: Call) -> HookSettings {
        HookSettings::new(name, When::Before, vec![Listen::Everything], call)
    }

    fn scanner() -> HookSettings {
        hook("clamd", Call::Scan(Scanner::parse("clamd").unwrap()))
    }

    fn program() -> HookSettings {
        hook("script", Call::Exec { run: vec!["/bin/true".into()], worker: false })
    }

    #[test]
    fn a_scanner_that_cannot_be_reached_is_down_at_once_and_probed_ever_less_often() {
        let (mut lines, hook) = (Lines::default(), scanner());
        assert!(lines.failed("clamd", "no socket", true, (1_000, Wall(7))));
        assert!(!lines.failed("clamd", "no socket", true, (1_001, Wall(8))), "it is known");
        assert_eq!(lines.down("clamd").unwrap().since, Wall(7));
        assert!(lines.is_closed("clamd"));
        let mut at = Vec::new();
        for now in 0..200_000 {
            lines.forget_wake();
            if !lines.trials([&hook].into_iter(), now).is_empty() {
                at.push(now);
                lines.probed("clamd");
            }
            assert!(lines.wake_at().is_some_and(|at| at > now), "the next probe is known");
        }
        let pauses: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(&pauses[..7], [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(at[0], 1_500);
        assert!(lines.worked("clamd") && !lines.worked("clamd") && !lines.is_closed("clamd"));
    }

    #[test]
    fn a_program_is_down_after_three_failures_and_tried_with_one_file() {
        let (mut lines, hook) = (Lines::default(), program());
        let now = (0, Wall(0));
        assert!(!lines.failed("script", "x", false, now) && !lines.failed("script", "x", false, now));
        assert!(!lines.is_closed("script"));
        assert!(lines.failed("script", "x", false, now) && lines.is_closed("script"));
        assert_eq!(lines.trials([&hook].into_iter(), 499), []);
        assert_eq!(lines.trials([&hook].into_iter(), 500), [Trial::OneFile("script".into())]);
        assert!(!lines.is_closed("script"));
        lines.begin(&hook, 501);
        assert!(lines.is_closed("script"), "one file, and no more");
    }

    #[test]
    fn what_waits_for_a_scanner_that_works_is_bounded_sooner() {
        let mut lines = Lines::default();
        for node in 0..KEPT_MOST as i64 {
            assert!(!lines.keeps_enough(FolderId(1)));
            lines.keep(FolderId(1), NodeId(node));
        }
        assert!(lines.keeps_enough(FolderId(1)) && !lines.keeps_enough(FolderId(2)));
        lines.failed("clamd", "gone", true, (0, Wall(0)));
        assert!(!lines.keeps_enough(FolderId(1)));
        lines.unkeep(FolderId(1), NodeId(0));
        assert_eq!(lines.kept(FolderId(1)), KEPT_MOST - 1);
    }

    #[test]
    fn a_version_is_another_one_only_after_one_was_known() {
        let mut lines = Lines::default();
        assert!(!lines.told_version("clamd", "1") && !lines.told_version("clamd", "1"));
        assert!(lines.told_version("clamd", "2"));
        assert_eq!(lines.version("clamd"), Some("2"));
    }
}
