//! Hooks that decide and hooks that react: what is staged is published only when every `before` hook has allowed it, what is rejected goes
//! to quarantine, and what happened is told until it was heard.
//!
//! The gate stands between a fetched version and its publication, between a file on disk and a name that a hook covers, and between
//! the disk and the cloud; [`crate::hook::ways`] lists every way. A verdict holds for exactly the content that was examined:
//! publication looks at the digest once more. [`mod@gate`] asks and rules about one item, [`mod@names`] about what is below a directory that
//! gets another name, [`mod@background`] examines what is in the folders already, with [`mod@rounds`] to remember how far that is;
//! [`mod@line`] knows how each hook is, [`mod@quarantine`] keeps what is rejected, [`mod@outbox`] has the hooks that react.
//!
//! What follows for an item is a [`Ruling`]: whoever works on the item does that.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256 as Hasher};

use super::ctx::Ctx;
use super::effect::Effect;
use crate::deed::Staged;
use crate::hook::document::{AccountPart, FolderPart};
use crate::hook::select::Happening;
use crate::hook::{Call, HookKind, HookSettings, Scanner, Selector, When, scanner};
use crate::id::{FolderId, NodeId, Sha256};
use crate::path::{Name, RESERVED_NAME};
use crate::report::{Degraded, ScannerStatus};
use crate::settings::{AccountSettings, FolderSettings};
use crate::store::Result;
use crate::store::items::ItemRow;
use crate::store::work::{Priority, WorkRow};
use crate::tree::{SyncedContent, Wall};

mod background;
mod disposal;
mod gate;
mod line;
mod names;
mod notes;
mod outbox;
mod quarantine;
mod question;
mod rounds;

use disposal::Disposals;
use line::Lines;
use notes::Notes;
use rounds::Rounds;

pub(super) use background::Grounds;
pub(super) use outbox::{Story, story_of_deed};
pub(super) use quarantine::{disposed, expire, is_away, rejected};

/// The directory of staged files inside our own.
const STAGING: &str = "staging";
/// How long an item waits for room.
const ROOM_AWAITED: Duration = Duration::from_secs(5);
/// The status change time of a staged file that was taken up after a restart: no file has it, so that its content is read again.
const TAKEN_UP: i64 = i64::MIN;
/// The code of an item whose version was rejected.
const QUARANTINED: &str = "quarantined";
/// The code of an item that waits for a hook that does not work.
const SCANNER_DOWN: &str = "scanner_down";
/// How long it waits if nothing tells that the hook works again.
const SCANNER_AWAITED: Duration = Duration::from_mins(10);
/// The code of what waits and has not failed.
const WAITS: &str = "waits";
/// How long until a file is looked at again that something is being done with.
const INSPECTED_AGAIN_MS: u64 = 200;

/// What a content has passed so far.
#[derive(Debug)]
struct Passed {
    sha256: Sha256,
    hooks: BTreeSet<String>,
}

/// What hooks are told of a watched folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The folder.
    pub id: FolderId,
    /// Its settings.
    pub settings: &'a FolderSettings,
    /// Those of its account.
    pub account: Option<&'a AccountSettings>,
    /// The item that it watches.
    pub root: Option<NodeId>,
    /// What was fetched in it and is not published yet.
    pub staged: &'a BTreeMap<NodeId, (Staged, SyncedContent)>,
}

impl Scope<'_> {
    fn account_part(&self) -> Option<AccountPart> {
        self.account
            .map(|account| AccountPart { name: account.name.clone(), provider: account.provider.word().to_owned() })
    }

    fn folder_part(&self) -> FolderPart {
        FolderPart {
            name: self.settings.name.clone(),
            local: self.settings.local.display().to_string(),
            remote: self.settings.remote.to_string(),
        }
    }
}

/// An item that is being worked on, and that hooks are asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    /// Its folder.
    pub scope: Scope<'a>,
    /// The item.
    pub item: &'a ItemRow,
    /// Its work.
    pub work: &'a WorkRow,
}

/// What follows for an item from what hooks say, or are yet to say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(super) enum Ruling {
    /// No hook keeps it from what it wants.
    Pass,
    /// A job is under way for it.
    Busy,
    /// It waits until a hook has room for one more question.
    InLine,
    /// What it holds on disk decides, and is to be read first.
    Read,
    /// Its plan is made again.
    Again(Priority),
    /// It is tried again later, and has not failed: how much later, with which code and text.
    PutOff(Duration, &'static str, String),
    /// It has a problem, with this code and text.
    Failed(&'static str, String),
    /// What was fetched for it is no longer what it was, and is fetched again.
    FetchAgain,
    /// There is no work for it any more.
    Gone,
    /// Nothing follows for it now; what is under way for it goes on.
    Nothing,
}

/// What the engine remembers of hooks.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    selector: Selector,
    lines: Lines,
    notes: Notes,
    rounds: Rounds,
    passed: BTreeMap<NodeId, Passed>,
    walks: BTreeMap<NodeId, names::Walk>,
    /// Deliveries under way.
    telling: BTreeMap<i64, outbox::Telling>,
    /// Deliveries that ended a short while ago, and when: they may be the cause of what is heard now.
    recent: VecDeque<(Wall, outbox::Telling)>,
    /// What happened where nothing could be written down.
    later: Vec<Story>,
    disposals: Disposals,
    started: bool,
}

impl Hooks {
    /// Takes the hooks of a configuration.
    pub fn wish(&mut self, ctx: &mut Ctx, hooks: Vec<HookSettings>) -> Result<()> {
        let names: Vec<&str> = hooks.iter().map(|hook| hook.name.as_str()).collect();
        ctx.store.bury_orphans(&names)?;
        ctx.store.forget_examiners(&names)?;
        // Another program may rule otherwise, and a hook that failed may have been mended.
        self.lines.mended(&names);
        self.selector = Selector::new(hooks);
        self.passed.clear();
        self.rounds.begin();
        ctx.store.wake_code(SCANNER_DOWN)?;
        if !std::mem::replace(&mut self.started, true) {
            ctx.store.forget_half_quarantined()?;
            ctx.store.disposals_are_due()?;
            ctx.out.push(Effect::SweepQuarantine(ctx.store.quarantine_contents()?));
        }
        Ok(())
    }

    /// The hooks that decide about a path of a folder.
    fn judges_of(&self, scope: &Scope<'_>, kind: HookKind, path: &str) -> Vec<HookSettings> {
        let account = scope.account.map_or("", |account| account.name.as_str());
        let what = Happening { kind, account, folder: Some(&scope.settings.name), path: Some(path), is_dir: false };
        self.selector.choose(When::Before, what).cloned().collect()
    }

    /// All hooks that decide.
    fn all_judges(&self) -> Vec<HookSettings> {
        self.selector.all().filter(|hook| hook.when == When::Before).cloned().collect()
    }

    /// Whether a hook decides about files that come to a folder, or is told of each.
    pub fn are_asked_of_arrivals(&self, folder: Option<&str>) -> bool {
        self.selector.may_choose(When::Before, HookKind::FileDownload, folder)
            || self.selector.may_choose(When::After, HookKind::FileCreated, folder)
    }

    /// Whether a hook may want to know of files that are removed from a folder.
    pub fn are_told_of_removals(&self, folder: Option<&str>) -> bool {
        self.selector.may_choose(When::After, HookKind::FileDeleted, folder)
    }

    /// A question to a hook was given up.
    pub fn given_up(&mut self, hook: &str) {
        self.lines.release(hook);
    }

    /// A folder was closed: nothing of it is staged any more.
    pub fn closed(&mut self, folder: FolderId) {
        self.lines.forget_kept(folder);
    }

    /// Staged contents of a folder that wait for hooks.
    pub fn kept(&self, folder: FolderId) -> usize {
        self.lines.kept(folder)
    }

    /// Whether so much waits for hooks in a folder that nothing more is fetched.
    pub fn keep_enough(&self, folder: FolderId) -> bool {
        self.lines.keeps_enough(folder)
    }

    /// A staged file is no more: published, dropped, or lost.
    pub fn staged_gone(&mut self, folder: FolderId, node: NodeId) {
        self.lines.unkeep(folder, node);
        self.notes.gone(node);
    }

    /// Writes down which staged files wait, if that is due. `staged` tells what an item of a folder has staged.
    pub fn write_notes<'a>(
        &mut self,
        ctx: &mut Ctx,
        staged: impl Fn(FolderId, NodeId) -> Option<&'a (Staged, SyncedContent)>,
    ) -> Result<()> {
        self.notes.write(&mut ctx.store, staged, ctx.now.mono)
    }

    /// The clock went back: what is due with the cloud's copies is looked for anew.
    pub fn clock_went_back(&mut self) {
        self.disposals.are_wanted();
    }

    /// There may be something to examine.
    pub fn look(&mut self) {
        self.rounds.look();
    }

    /// The step begins what it can: when to come back is found out anew.
    pub fn begin(&mut self) {
        self.lines.forget_wake();
    }

    /// Something happened that is written down at the end of the step.
    pub fn happens_later(&mut self, story: Story) {
        self.later.push(story);
    }

    /// What happened where nothing could be written down.
    pub fn take_later(&mut self) -> Vec<Story> {
        std::mem::take(&mut self.later)
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
        self.lines.wake_at().into_iter().chain(decides.then(|| self.rounds.look_at())).chain(self.notes.due()).min()
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

/// What waits for hooks while its folder is closed.
impl Hooks {
    /// Takes up what waited for hooks when the folder was closed. Whether its content is what it was is found out before a hook is asked and
    /// before it is published: nothing of it is known to have been flushed.
    pub fn take_up(
        &mut self,
        ctx: &mut Ctx,
        id: FolderId,
        known: &mut BTreeMap<NodeId, (Staged, SyncedContent)>,
    ) -> Result<()> {
        for (node, mut staged, content) in ctx.store.staged_in(id)? {
            let item = ctx.store.item(node)?;
            let is_wanted = item.and_then(|item| item.remote.content).is_some_and(|of| of.version == content.version)
                && ctx.store.work(node)?.is_some();
            if !is_wanted {
                ctx.store.forget_staged(node)?;
                ctx.out.push(Effect::DropStaged(id, staged));
                continue;
            }
            self.notes.is_known(node);
            (staged.stamp.ctime_ns, staged.flushed) = (TAKEN_UP, false);
            if let Entry::Vacant(place) = known.entry(node) {
                place.insert((staged, content));
                self.lines.keep(id, node);
            }
        }
        Ok(())
    }
}

fn staged_path(local: &std::path::Path, name: &Name) -> PathBuf {
    local.join(RESERVED_NAME).join(STAGING).join(name.as_os_str())
}

/// What identifies the content that an item has on disk: its digest, or what stands for it where the digest is not known.
fn content_id(item: &ItemRow) -> Sha256 {
    let content = item.synced.as_ref().and_then(|synced| synced.content.as_ref());
    content.and_then(|content| content.sha256).unwrap_or_else(|| {
        let version = content.map_or("", |content| content.version.as_str());
        Sha256(Hasher::digest(format!("version {} {version}", item.id)).into())
    })
}

/// A digest of all that a hook's verdicts depend on, its scanner's signatures excepted.
fn basis_digest(hook: &HookSettings) -> Vec<u8> {
    Hasher::digest(hook.verdict_basis()).to_vec()
}
