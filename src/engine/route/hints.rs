//! What events oblige us to ask: each goes to the questions about its folder's cloud, and what follows to whom it concerns.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::folders::Folder;
use crate::engine::listen::Account;
use crate::engine::remote::{self, Ground, Hint, Location, Mark, Source, kind_of};
use crate::engine::{Engine, Phase};
use crate::events::{EventKind, RemoteEvent};
use crate::id::{AccountId, FolderId, NodeId};
use crate::store::Result;
use crate::store::items::ItemRow;
use crate::store::work::Priority;

/// A folder as what the cloud says concerns it.
pub(super) fn ground_of<'a>(
    folders: &'a BTreeMap<FolderId, Folder>,
    accounts: &BTreeMap<AccountId, Account>,
    id: FolderId,
) -> Ground<'a> {
    let folder = folders.get(&id);
    let account = folder.and_then(|folder| accounts.get(&folder.account));
    Ground {
        id,
        root: folder.and_then(|folder| folder.row.root),
        root_item: folder.and_then(|folder| folder.root_item.as_ref()),
        root_path: folder.and_then(|folder| folder.row.root_path.as_deref()),
        filter: folder.map(|folder| &folder.filter),
        watches_top: folder.is_some_and(|folder| folder.watches_top),
        comparison: folder.map_or(0, |folder| folder.row.comparison),
        is_compared: folder.is_some_and(|folder| folder.row.comparison_stage.is_some()),
        policy: folder.map(Folder::policy).unwrap_or_default(),
        events_carry_items: account.is_none_or(|account| account.capabilities.events_carry_items),
    }
}

impl Engine {
    /// The folders of an account that paths concern: those that a path lies in, and those that lie below it.
    pub(in crate::engine) fn folders_by_path(&self, id: AccountId, paths: [Option<&str>; 2]) -> Vec<FolderId> {
        let of_account = self.folders.iter().filter(|(_, folder)| folder.account == id).map(|(folder, _)| *folder);
        let concerns = |folder: &FolderId| {
            let ground = ground_of(&self.folders, &self.accounts, *folder);
            paths.into_iter().flatten().any(|path| ground.is_concerned_by(path))
        };
        of_account.filter(concerns).collect()
    }

    /// Where a whole path leads, in a watched folder.
    pub(in crate::engine) fn locate(&self, folder: FolderId, path: &str) -> Result<Location> {
        ground_of(&self.folders, &self.accounts, folder).locate(&self.ctx, path)
    }

    /// The path from the watched folder on, for people.
    pub(in crate::engine) fn path_below_root(&self, folder: FolderId, path: &str) -> Option<String> {
        ground_of(&self.folders, &self.accounts, folder).path_below(path)
    }

    /// Asks what an event that is no observation obliges us to ask; the word for the journal, if no item's work will give one.
    pub(in crate::engine) fn take_hint(
        &mut self,
        folder: FolderId,
        event: &RemoteEvent,
        source: Source,
    ) -> Result<Option<&'static str>> {
        let Some(hint) = Hint::of(&event.subject) else { return Ok(None) };
        if self.concerns_root(folder, kind_of(event), hint.id, [hint.path, hint.from])? {
            return Ok(Some("watched folder"));
        }
        let ground = ground_of(&self.folders, &self.accounts, folder);
        let heard = self.questions.hear(&self.ctx, &ground, event, &hint)?;
        let mut outcome = heard.outcome;
        for mark in heard.marks {
            if let (Mark::Left { dir, name, .. }, Some(from), Some(to)) = (&mark, hint.from, hint.path) {
                // What was told of by paths below it went along, and is told of there.
                for (path, kind) in self.questions.follow_below((*dir, name), from, to) {
                    self.take_path(folder, &path, kind)?;
                }
            }
            if self.take_told(folder, mark, heard.told, source)? {
                outcome = outcome.or(Some("listed"));
            }
        }
        Ok(outcome)
    }

    /// Reads the paths again that led through folders which were elsewhere.
    pub(in crate::engine) fn read_paths_again(&mut self) -> Result<()> {
        for (folder, path, kind) in self.questions.told_by_path.take_again() {
            if self.folders.contains_key(&folder) {
                self.take_path(folder, &path, kind)?;
            }
        }
        Ok(())
    }

    /// Asks what an event obliges us to ask that told no more than a path, by where that leads now.
    fn take_path(&mut self, folder: FolderId, path: &str, kind: EventKind) -> Result<()> {
        let ground = ground_of(&self.folders, &self.accounts, folder);
        let source = Source::Event { journal: None, late: false };
        for mark in self.questions.hear_path(&self.ctx, &ground, path, kind)? {
            self.take_told(folder, mark, Some((path, kind)), source)?;
        }
        Ok(())
    }

    /// Takes a mark. Whether a listing answers for an item of which there is no row that could tell what became of it.
    fn take_told(
        &mut self,
        folder: FolderId,
        mark: Mark,
        told: Option<(&str, EventKind)>,
        source: Source,
    ) -> Result<bool> {
        let is_made = match &mark {
            Mark::New { parent, name, .. } => {
                self.ctx.store.sent_left(folder)? && self.is_being_made(folder, *parent, name)?
            }
            Mark::Left { dir, name, .. } => {
                self.name_was_left(folder, *dir, name)?;
                false
            }
            _ => false,
        };
        let ground = ground_of(&self.folders, &self.accounts, folder);
        let (ctx, journal) = (&mut self.ctx, source.journal());
        let taken = self.questions.take_mark(ctx, &ground, mark, told, journal, is_made)?;
        if let Some((dir, items)) = taken.looked_for {
            self.look_for(dir, &items)?;
        }
        Ok(taken.is_listed)
    }

    /// A listing of a folder did not show names to which paths had led.
    pub(in crate::engine) fn follow_paths(
        &mut self,
        dir: NodeId,
        folder: FolderId,
        unmet: &BTreeSet<String>,
    ) -> Result<()> {
        let ground = ground_of(&self.folders, &self.accounts, folder);
        self.questions.follow_paths(&mut self.ctx, &ground, dir, unmet)
    }

    /// Nothing is expected of an item any more.
    pub(in crate::engine) fn forget_expected(&mut self, node: NodeId) -> Result<()> {
        self.questions.await_no_state(&mut self.ctx, node)
    }

    /// Marks an item: its state is asked for before anything is done for it.
    pub(in crate::engine) fn mark_look(&mut self, node: NodeId, folder: FolderId, source: Source) -> Result<()> {
        remote::mark_look(&mut self.ctx, node, folder, source.journal())
    }

    /// Marks the children of a known folder.
    pub(in crate::engine) fn mark_children(&mut self, dir: NodeId, folder: FolderId) -> Result<()> {
        remote::mark_children(&mut self.ctx, dir, folder)
    }

    /// Lets an item that is to be looked at wait while its folder is about to be listed. Whether it waits.
    pub(in crate::engine) fn await_listing(&mut self, item: &ItemRow) -> Result<bool> {
        let dir = self.questions.listing_to_await(&self.ctx, item)?.filter(|_| self.folder_can_ask(item.folder));
        if let Some(dir) = dir {
            self.questions.wait_for_listing(dir, item.node);
        }
        Ok(dir.is_some())
    }

    /// Those go on whose folder is not about to be listed any more.
    pub(in crate::engine) fn release_awaiting_listing(&mut self) -> Result<()> {
        for node in self.questions.no_longer_waiting(&self.ctx)? {
            if self.schedule.phase(node) == Some(Phase::AwaitListing) {
                self.schedule.make_ready(node, Priority::News);
            }
        }
        Ok(())
    }

    /// Asks once more, a little later, for an item whose answer showed nothing of what an event told. False if it is not worth it.
    pub(in crate::engine) fn ask_again(&mut self, node: NodeId) -> Result<bool> {
        let asks = self.questions.ask_again(&mut self.ctx, node)?;
        if asks {
            self.schedule.unqueue(node);
            self.schedule.wake_waiters(node);
        }
        Ok(asks)
    }
}
