//! Hooks that decide: what is staged is published only when every `before` hook has allowed it, and what is rejected goes to
//! quarantine.
//!
//! The gate stands between a fetched version and its publication, between a file on disk and a name that a hook covers, and between
//! the disk and the cloud; [`crate::hook::ways`] lists every way. A verdict holds for exactly the content that was examined:
//! publication looks at the digest once more. [`mod@line`] knows how each hook is, [`mod@rounds`] what is examined in the background,
//! [`mod@quarantine`] keeps what is rejected, [`mod@outbox`] has the hooks that react.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256 as Hasher};

use super::disk::Want;
use super::effect::Effect;
use super::queues::CallKind;
use super::{Engine, Job, Phase, millis};
use crate::events::interval::backoff;
use crate::hook::document::{AccountPart, Actor, FolderPart};
use crate::hook::select::Happening;
use crate::hook::{self, Call, HookKind, HookSettings, Scanner, Selector, Verdict, When, scanner};
use crate::id::{FolderId, NodeId, Sha256};
use crate::path::{Name, RESERVED_NAME, RelPath};
use crate::report::{Degraded, ScannerStatus};
use crate::settings::Mode;
use crate::store::Result;
use crate::store::examined::Examiner;
use crate::store::items::ItemRow;
use crate::store::quarantine::State;
use crate::store::work::WorkRow;
use crate::tree::Wall;

mod disposal;
mod line;
mod notes;
mod outbox;
mod quarantine;
mod question;
mod rounds;

use disposal::Disposals;
use line::Lines;
use notes::Notes;
use question::About;
pub(super) use question::{Candidate, Matter};
use rounds::{DUE_PER_LOOK, Due, LOOKED_THROUGH, Place, Rounds};

pub(super) use outbox::Story;

/// The directory of staged files inside our own.
const STAGING: &str = "staging";
/// How long an item waits that nothing but a decision or a new version can help.
const QUARANTINE_RECONSIDERED_EVERY: Duration = Duration::from_hours(24);
/// How long an item waits for room.
const ROOM_AWAITED: Duration = Duration::from_secs(5);
/// The status change time of a staged file that was taken up after a restart: no file has it, so that its content is read again.
const TAKEN_UP: i64 = i64::MIN;
/// The code of an item whose version was rejected.
pub(super) const QUARANTINED: &str = "quarantined";
/// The code of an item that waits for a hook that does not work.
pub(super) const SCANNER_DOWN: &str = "scanner_down";
/// How long it waits if nothing tells that the hook works again.
const SCANNER_AWAITED: Duration = Duration::from_mins(10);
/// How long until a file is looked at again that something is being done with.
const INSPECTED_AGAIN_MS: u64 = 200;

/// What a content has passed so far.
#[derive(Debug)]
struct Passed {
    sha256: Sha256,
    hooks: BTreeSet<String>,
}

/// A walk through what is below a directory that gets another name: directories with their paths now and then.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub left: Vec<(NodeId, String, String)>,
    pub found: bool,
}

/// What the engine remembers of hooks.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    pub selector: Selector,
    pub lines: Lines,
    pub notes: Notes,
    pub rounds: Rounds,
    passed: BTreeMap<NodeId, Passed>,
    pub walks: BTreeMap<NodeId, Walk>,
    /// Deliveries under way.
    telling: BTreeMap<i64, outbox::Telling>,
    /// Deliveries that ended a short while ago, and when: they may be the cause of what is heard now.
    recent: VecDeque<(Wall, outbox::Telling)>,
    /// What happened where nothing could be written down.
    later: Vec<Story>,
    pub disposals: Disposals,
    started: bool,
}

impl Hooks {
    /// Something happened that is written down at the end of the step.
    pub fn happens_later(&mut self, story: Story) {
        self.later.push(story);
    }

    /// What an item has passed no longer counts.
    pub fn forget(&mut self, node: NodeId) {
        self.passed.remove(&node);
    }

    /// All work is given up, and begun anew from the database.
    pub fn forget_work(&mut self) {
        self.lines.forget_waiting();
        self.rounds.begin();
        self.walks.clear();
    }

    /// When there is something to begin.
    pub fn wake_at(&self) -> Option<u64> {
        let decides = self.selector.all().any(|hook| hook.when == When::Before);
        self.lines.wake_at().into_iter().chain(decides.then(|| self.rounds.look_at())).min()
    }

    /// How the scanners are that are asked in their own protocol.
    pub fn scanners(&self) -> Vec<ScannerStatus> {
        let scanners = self.selector.all().filter_map(|hook| match &hook.call {
            Call::Scan(scanner) => Some((hook, scanner)),
            _ => None,
        });
        let status = |(hook, scanner): (&HookSettings, &Scanner)| {
            let version = self.lines.version(&hook.name).map(str::to_owned);
            ScannerStatus {
                hook: hook.name.clone(),
                scanner: scanner.to_string(),
                signatures_at: version.as_deref().and_then(scanner::signatures_at),
                version,
                down_since: self.lines.down(&hook.name).map(|down| down.since),
            }
        };
        scanners.map(status).collect()
    }

    /// What is wrong with a folder of an account whose files must pass a hook that does not work.
    pub fn trouble(&self, folder: &str, account: &str) -> Option<Degraded> {
        let concerns = |hook: &&HookSettings| {
            hook.when == When::Before
                && hook.folder.as_deref().is_none_or(|of| of == folder)
                && hook.account.as_deref().is_none_or(|of| of == account)
        };
        let mut down =
            self.selector.all().filter(concerns).filter_map(|hook| Some((hook, self.lines.down(&hook.name)?)));
        let (hook, down) = down.next()?;
        let next_step = if hook.can_be_probed() {
            "see to the scanner; it is asked every few seconds, and what waits goes on by itself when it answers"
        } else {
            "see to the hook (`agent test-hook` runs it); one file is tried now and then, and what waits goes on by itself"
        };
        Some(Degraded {
            name: SCANNER_DOWN.into(),
            cause: format!("hook `{}` does not work: {}", hook.name, down.cause),
            next_step: next_step.into(),
        })
    }
}

/// What verdicts of a hook depend on: its settings, and the scanner's signatures where they are known. Nothing where they are not known
/// and matter.
fn verdict_key(hook: &HookSettings, version: Option<&str>) -> Option<String> {
    match version {
        Some(version) => Some(format!("{} {version}", hook.verdict_basis())),
        None => (!hook.can_be_probed()).then(|| hook.verdict_basis()),
    }
}

impl Engine {
    /// Takes the hooks of a configuration.
    pub(super) fn wish_hooks(&mut self, hooks: Vec<HookSettings>) -> Result<()> {
        let names: Vec<&str> = hooks.iter().map(|hook| hook.name.as_str()).collect();
        self.ctx.store.bury_orphans(&names)?;
        self.ctx.store.forget_examiners(&names)?;
        // Another program may rule otherwise, and a hook that failed may have been mended.
        self.hooks.lines.mended(&names);
        self.hooks.selector = Selector::new(hooks);
        self.hooks.passed.clear();
        self.hooks.rounds.begin();
        self.ctx.store.wake_code(SCANNER_DOWN)?;
        if !std::mem::replace(&mut self.hooks.started, true) {
            self.ctx.store.forget_half_quarantined()?;
            self.ctx.store.disposals_are_due()?;
            self.ctx.out.push(Effect::SweepQuarantine(self.ctx.store.quarantine_contents()?));
        }
        Ok(())
    }

    /// The hooks that must allow a version of an item to come down, or the content of a file to go up from a place.
    pub(super) fn judges(&mut self, item: &ItemRow, up: Option<&RelPath>) -> Result<Vec<HookSettings>> {
        if self.hooks.selector.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(place) = up {
            return Ok(self.judges_of(item.folder, HookKind::FileUpload, &place.to_string()));
        }
        let path = self.ctx.shown_path(item)?;
        Ok(self.judges_of(item.folder, HookKind::FileDownload, &path))
    }

    /// The hooks that decide about a path of a folder.
    pub(super) fn judges_of(&self, folder: FolderId, kind: HookKind, path: &str) -> Vec<HookSettings> {
        let Some(folder) = self.folders.get(&folder) else { return Vec::new() };
        let account = self.accounts.get(&folder.account).map_or("", |account| account.settings.name.as_str());
        let what = Happening { kind, account, folder: Some(&folder.settings.name), path: Some(path), is_dir: false };
        self.hooks.selector.choose(When::Before, what).cloned().collect()
    }

    /// Whether an item's version may be fetched at all. If not, the item was put off.
    pub(super) fn may_fetch(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let Some(content) = &item.remote.content else { return Ok(true) };
        if let Some(row) = self.ctx.store.quarantined_version(item.folder, &item.id, &content.version)?
            && row.state != State::Released
        {
            let text = match row.state {
                State::Deleted | State::Expired => format!("rejected by hook `{}`: {}", row.hook, row.reason),
                _ => format!("in quarantine (number {}): hook `{}` says {}", row.id, row.hook, row.reason),
            };
            self.put_off(work, QUARANTINE_RECONSIDERED_EVERY, QUARANTINED, &text)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether files found on disk may be taken for the cloud's without a look at their content.
    pub(super) fn may_adopt(&mut self, item: &ItemRow) -> Result<bool> {
        Ok(self.judges(item, None)?.is_empty())
    }

    /// Publishes a staged version, or asks who must allow it.
    pub(super) fn publish_if_allowed(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        parent: NodeId,
        name: Name,
    ) -> Result<()> {
        // Without a place for it there is no publication either: that is found out on the way.
        let is_allowed = match self.ctx.place(parent)? {
            Some(above) => self.is_allowed(item, work, &above.path.join(&name))?,
            None => true,
        };
        if is_allowed { self.want(item, work, Want::Publish { parent, name }) } else { Ok(()) }
    }

    /// Whether a staged version may be published. If not, a hook is being asked, or the item was put off.
    fn is_allowed(&mut self, item: &ItemRow, work: &WorkRow, place: &RelPath) -> Result<bool> {
        let judges = self.judges(item, None)?;
        if judges.is_empty() {
            return Ok(true);
        }
        let Some(candidate) = self.folders.get(&item.folder).and_then(|folder| {
            let (staged, content) = folder.staged.get(&item.node)?;
            Some(Candidate {
                matter: Matter::Staged,
                sha256: staged.sha256,
                version: Some(content.version.clone()),
                size: content.size,
                file: staged_path(&folder.settings.local, &staged.name),
                place: place.clone(),
                stamp: Some(staged.stamp).filter(|stamp| stamp.ctime_ns == TAKEN_UP),
            })
        }) else {
            return Ok(false);
        };
        let is_allowed = self.passes(item, work, judges, &candidate)?;
        if is_allowed {
            self.hooks.lines.unkeep(item.folder, item.node);
        } else {
            self.hooks.lines.keep(item.folder, item.node);
            self.hooks.notes.waits(item.node, item.folder);
        }
        Ok(is_allowed)
    }

    /// Whether there is something that may be published in the place of a file that both sides changed: until then the disk's content
    /// keeps its name. If not, everything is arranged.
    pub(super) fn may_part(&mut self, item: &ItemRow, work: &WorkRow) -> Result<bool> {
        let Some(content) = &item.remote.content else { return Ok(true) };
        if self.judges(item, None)?.is_empty() {
            return Ok(true);
        }
        if !self.may_fetch(item, work)? {
            return Ok(false);
        }
        let staged = self.folders.get(&item.folder).and_then(|folder| folder.staged.get(&item.node));
        match staged.map(|(_, staged)| staged.version == content.version) {
            Some(true) => {
                let Some(place) = self.ctx.place(item.node)? else { return Ok(true) };
                self.is_allowed(item, work, &place.path)
            }
            Some(false) => {
                self.drop_staged(item.folder, item.node);
                self.make_ready_again(work);
                Ok(false)
            }
            None => {
                if !self.fail_without_room(item)? {
                    self.await_call(work, item, CallKind::Fetch);
                }
                Ok(false)
            }
        }
    }

    /// Whether a local content may leave for the cloud. If not, a hook is being asked, or the item was put off. The upload
    /// compares the digest with what was examined.
    pub(super) fn may_upload(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        place: &RelPath,
        sha256: Sha256,
        size: u64,
    ) -> Result<bool> {
        let judges = self.judges(item, Some(place))?;
        let Some(folder) = self.folders.get(&item.folder).filter(|_| !judges.is_empty()) else { return Ok(true) };
        let file = folder.settings.local.join(place.to_path());
        let (matter, place) = (Matter::Leaving, place.clone());
        let candidate = Candidate { matter, sha256, version: None, size, file, place, stamp: None };
        self.passes(item, work, judges, &candidate)
    }

    /// Whether every hook allows a content; if not, the first that has not is asked, or its answer acted upon.
    pub(super) fn passes(
        &mut self,
        item: &ItemRow,
        work: &WorkRow,
        judges: Vec<HookSettings>,
        candidate: &Candidate,
    ) -> Result<bool> {
        let sha256 = candidate.sha256;
        if let Some(version) = &candidate.version
            && let Some(row) = self.ctx.store.quarantined_version(item.folder, &item.id, version)?
            && row.state == State::Released
            && row.sha256 == Some(sha256)
        {
            return Ok(true);
        }
        for hook in judges {
            let basis = hook.verdict_basis();
            let passed =
                self.hooks.passed.entry(item.node).or_insert_with(|| Passed { sha256, hooks: BTreeSet::new() });
            if passed.sha256 != sha256 {
                *passed = Passed { sha256, hooks: BTreeSet::new() };
            }
            if passed.hooks.contains(&basis) {
                continue;
            }
            match self.remembered(&hook, sha256)? {
                Some((Verdict::Allow, _)) => {
                    self.pass(item, sha256, &hook)?;
                }
                Some((verdict, reason)) => {
                    let mut outcome = hook::Outcome::failed("remembered", Duration::ZERO);
                    outcome.verdict = verdict;
                    outcome.output = reason.unwrap_or_default();
                    self.ruled(item, work, &hook, &outcome, candidate.matter, sha256)?;
                    return Ok(false);
                }
                None => {
                    self.ask(item, work, hook, candidate)?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// What a hook is remembered to have said of a content.
    fn remembered(&self, hook: &HookSettings, sha256: Sha256) -> Result<Option<(Verdict, Option<String>)>> {
        let Some(span) = hook.remember else { return Ok(None) };
        let Some(key) = verdict_key(hook, self.hooks.lines.version(&hook.name)) else { return Ok(None) };
        let known = self.ctx.store.verdict(sha256, &key)?;
        Ok(known
            .filter(|(_, _, at)| self.ctx.now.wall.since(*at) < millis(span) as i64)
            .map(|(verdict, reason, _)| (verdict, reason)))
    }

    /// A hook allows a content of an item.
    fn pass(&mut self, item: &ItemRow, sha256: Sha256, hook: &HookSettings) -> Result<()> {
        let passed = self.hooks.passed.entry(item.node).or_insert_with(|| Passed { sha256, hooks: BTreeSet::new() });
        if passed.sha256 == sha256 {
            passed.hooks.insert(hook.verdict_basis());
        }
        self.note_allowed(item, sha256, hook)
    }

    /// Writes down that a hook allowed a content of an item.
    fn note_allowed(&mut self, item: &ItemRow, sha256: Sha256, hook: &HookSettings) -> Result<()> {
        let basis = basis_digest(hook);
        let by = Examiner { hook: &hook.name, basis: &basis };
        let signatures = self.hooks.lines.version(&hook.name).map(str::to_owned);
        self.ctx.store.note_examined(item.node, item.folder, by, sha256, signatures.as_deref(), self.ctx.now.wall)
    }

    /// Asks a hook about a content, or waits until there is room to.
    fn ask(&mut self, item: &ItemRow, work: &WorkRow, hook: HookSettings, candidate: &Candidate) -> Result<()> {
        if self.hooks.lines.is_closed(&hook.name) {
            return self.await_scanner(work, &hook);
        }
        if !self.hooks.lines.has_room(&hook, self.ctx.now.mono) {
            self.hooks.lines.wait(&hook.name, item.node);
            self.schedule.set_phase(item.node, Phase::AwaitHook);
            return Ok(());
        }
        let Candidate { matter, sha256, .. } = *candidate;
        let about = Job::Ask { folder: item.folder, node: item.node, hook: Box::new(hook.clone()), matter, sha256 };
        let Some(job) = self.jobs.start(&mut self.ctx.store, about)? else {
            return self.put_off(work, ROOM_AWAITED, "waits", "waits for room to ask a hook");
        };
        let actor = self.actor_of(work)?;
        let order = candidate.order(&hook, self.about(item, work.attempts + 1, actor));
        self.hooks.lines.begin(&hook, self.ctx.now.mono);
        self.schedule.set_phase(item.node, Phase::Busy);
        self.ctx.out.push(Effect::Hook { job, order: Box::new(order) });
        Ok(())
    }

    fn about<'a>(&self, item: &'a ItemRow, attempt: u32, actor: Option<Actor>) -> About<'a> {
        About {
            folder: item.folder,
            item: &item.id,
            attempt,
            actor,
            at: self.ctx.now.wall,
            account_part: self.account_part(item.folder),
            folder_part: self.folder_part(item.folder),
        }
    }

    /// An item waits until a hook works again: what is fetched stays, and nothing else waits with it.
    fn await_scanner(&mut self, work: &WorkRow, hook: &HookSettings) -> Result<()> {
        let cause = self.hooks.lines.down(&hook.name).map(|down| down.cause.clone()).unwrap_or_default();
        let text = format!("waits until hook `{}` works again: {cause}", hook.name);
        self.put_off(work, SCANNER_AWAITED, SCANNER_DOWN, &text)
    }

    /// Takes up what waited for hooks when the folder was closed. Whether its content is what it was is found out before a hook is asked and
    /// before it is published: nothing of it is known to have been flushed.
    pub(super) fn take_up_staged(&mut self, id: FolderId) -> Result<()> {
        for (node, mut staged, content) in self.ctx.store.staged_in(id)? {
            let item = self.ctx.store.item(node)?;
            let is_wanted = item.and_then(|item| item.remote.content).is_some_and(|of| of.version == content.version)
                && self.ctx.store.work(node)?.is_some();
            if !is_wanted {
                self.ctx.store.forget_staged(node)?;
                self.ctx.out.push(Effect::DropStaged(id, staged));
                continue;
            }
            self.hooks.notes.is_known(node);
            (staged.stamp.ctime_ns, staged.flushed) = (TAKEN_UP, false);
            if let Some(folder) = self.folders.get_mut(&id)
                && let std::collections::btree_map::Entry::Vacant(place) = folder.staged.entry(node)
            {
                place.insert((staged, content));
                self.hooks.lines.keep(id, node);
            }
        }
        Ok(())
    }

    pub(super) fn account_part(&self, id: FolderId) -> Option<AccountPart> {
        let account = self.accounts.get(&self.folders.get(&id)?.account)?;
        Some(AccountPart { name: account.settings.name.clone(), provider: account.settings.provider.word().to_owned() })
    }

    pub(super) fn folder_part(&self, id: FolderId) -> Option<FolderPart> {
        let settings = &self.folders.get(&id)?.settings;
        Some(FolderPart {
            name: settings.name.clone(),
            local: settings.local.display().to_string(),
            remote: settings.remote.to_string(),
        })
    }

    /// Has hooks examine what is in the folders already, as far as there is room beside what waits to be published.
    fn examine(&mut self) -> Result<()> {
        if !self.hooks.rounds.is_due(self.ctx.now.mono) {
            return Ok(());
        }
        self.hooks.rounds.looked(self.ctx.now.mono);
        if let Some(rested) = self.hooks.rounds.wake(self.ctx.now.mono) {
            self.hooks.rounds.look_by(rested);
        }
        let hooks: Vec<HookSettings> =
            self.hooks.selector.all().filter(|hook| hook.when == When::Before).cloned().collect();
        for hook in hooks {
            if self.hooks.lines.is_closed(&hook.name) {
                continue;
            }
            for id in self.folders.keys().copied().collect::<Vec<_>>() {
                if self.can_work(id) && self.policy(id).mode != Mode::Upload {
                    self.go_round(id, &hook)?;
                }
            }
            self.rescan(&hook)?;
        }
        Ok(())
    }

    /// What a hook is to examine in a folder: what gets a name that it covers, and what it never saw.
    fn go_round(&mut self, id: FolderId, hook: &HookSettings) -> Result<()> {
        let from = self.hooks.rounds.place(&hook.name, id, Due::Wanted);
        let due = self.ctx.store.due_to_examine(id, &hook.name, from.node, DUE_PER_LOOK)?;
        let due = due.into_iter().map(|node| Place { node, ..Place::START }).collect();
        self.examine_due(id, hook, Due::Wanted, &from, due)?;
        let basis = basis_digest(hook);
        let by = Examiner { hook: &hook.name, basis: &basis };
        let part = self.hooks.rounds.part(&hook.name, id);
        let Some((after, since)) = self.ctx.store.round(id, by, hook.scan_existing)? else { return Ok(()) };
        let files = if let Some(left) = part {
            left
        } else {
            let (files, last) = self.ctx.store.files_after(id, after, LOOKED_THROUGH)?;
            self.ctx.gone_through += LOOKED_THROUGH as usize;
            if files.is_empty() {
                self.ctx.store.round_reached(id, by, last)?;
                self.hooks.rounds.look();
                self.ctx.more |= last.is_some();
                return Ok(());
            }
            self.hooks.rounds.begin_part(&hook.name, id, files.clone(), last);
            files
        };
        for node in files {
            if !self.hooks.rounds.is_asked(&hook.name, node) {
                if !self.hooks.rounds.has_room(&hook.name) {
                    break;
                }
                if !self.inspect(id, node, hook, Some(since))? {
                    self.inspected(id, node, hook, false)?;
                }
            }
        }
        Ok(())
    }

    /// Items that waited for room look again.
    pub(super) fn release_waiting(&mut self) -> Result<()> {
        for (name, waiting) in self.hooks.lines.waited_for() {
            let hook = self.hooks.selector.get(&name).cloned();
            for _ in 0..waiting {
                let room = hook.as_ref().is_none_or(|hook| self.hooks.lines.has_room(hook, self.ctx.now.mono));
                if !room {
                    break;
                }
                let Some(node) = self.hooks.lines.next_waiting(&name) else { break };
                if self.schedule.take_turn(node, Phase::AwaitHook) {
                    self.consider(node)?;
                }
            }
        }
        Ok(())
    }

    /// The wait before a delivery is tried again: it doubles from five seconds to an hour, varied by chance.
    fn delivery_pause(&mut self, attempts: u32) -> Duration {
        const FIRST_SECONDS: u64 = 5;
        const LONGEST: Duration = Duration::from_hours(1);
        let whole = Duration::from_secs(FIRST_SECONDS << attempts.min(10)).min(LONGEST);
        // Half of it is chance, so that what failed together does not come back together.
        let half = whole / 2;
        half + Duration::from_millis(self.ctx.chance.next() % (half.as_millis() as u64 + 1))
    }

    /// How soon what a loop may have caused is told.
    fn slowed(&mut self, depth: u32) -> Duration {
        backoff(depth, None, self.ctx.chance.next())
    }
}

fn staged_path(local: &std::path::Path, name: &Name) -> PathBuf {
    local.join(RESERVED_NAME).join(STAGING).join(name.as_os_str())
}

/// What identifies the content that an item has on disk: its digest, or what stands for it where the digest is not known.
pub(super) fn content_id(item: &ItemRow) -> Sha256 {
    let content = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
    content.and_then(|content| content.sha256).unwrap_or_else(|| {
        let version = content.map_or("", |content| content.version.as_str());
        Sha256(Hasher::digest(format!("version {} {version}", item.id)).into())
    })
}

/// A digest of all that a hook's verdicts depend on, its scanner's signatures excepted.
pub(super) fn basis_digest(hook: &HookSettings) -> Vec<u8> {
    Hasher::digest(hook.verdict_basis()).to_vec()
}
