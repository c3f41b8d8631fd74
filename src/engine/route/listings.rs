//! Full comparisons: listing a folder's tree, and believing what was not met only when the stream was read after it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::engine::effect::{Effect, Task};
use crate::engine::jobs::Job;
use crate::engine::remote::{Complete, Listing, Taken, learn};
use crate::engine::remote::{Learned, Source};
use crate::engine::{Engine, ROWS_PER_STEP, millis};
use crate::events::interval::{UNREACHED_COUNTED, backoff};
use crate::id::{AccountId, FolderId, ItemId, NodeId};
use crate::provider::{ListPage, ProviderError, ProviderErrorKind};
use crate::store::Result;
use crate::store::expected::Told;
use crate::store::folders::ComparisonStage;
use crate::store::items::{ItemRow, Presence};
use crate::store::work::{Ask, Priority};

/// Listings read from the database at once.
const LISTINGS_PER_LOAD: u32 = 64;

/// Children that a listing does not show and that are asked about one by one; more are found by comparing the whole folder.
const UNLISTED_MOST: usize = 200;

impl Engine {
    /// Starts a full comparison of a folder, or starts it anew.
    pub(in crate::engine) fn compare(&mut self, id: FolderId, why: &str) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let Some(root) = folder.row.root else { return Ok(()) };
        folder.begin_comparison(self.ctx.store.generation(), why);
        // What is being listed now may show an older state than the one that is to be compared.
        self.questions.drop_listings_of(id);
        self.ctx.store.want_listing(root, id)
    }

    /// The place in an account's stream is lost: its folders are unverified until they were compared in full.
    pub(in crate::engine) fn lose_place(&mut self, account: AccountId, why: &str) -> Result<()> {
        for id in self.folders_of(account) {
            self.compare(id, why)?;
            // What is lost may have told that the folder itself moved, with one above it: listings do not show that, and what is told by a
            // path below its new place would be taken for foreign.
            self.check_remote_root(id)?;
        }
        Ok(())
    }

    pub(in crate::engine) fn drive_comparison(&mut self, id: FolderId) -> Result<()> {
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        let Some(account) = self.accounts.get(&folder.account) else { return Ok(()) };
        let (begun, polls_ended, comparison) = (account.polls_begun, account.polls_ended, folder.seen_mark(false));
        let polls = match folder.row.comparison_stage {
            Some(ComparisonStage::Listing) => {
                let is_listed = folder.row.root.is_some() && !self.ctx.store.listing_left(id, comparison)?;
                if is_listed {
                    folder.was_listed(begun);
                }
                is_listed
            }
            Some(ComparisonStage::Settling) => {
                let polls = folder.settle(begun, polls_ended, self.ctx.store.listing_left(id, comparison)?);
                self.ctx.more |= folder.finds_absences();
                polls
            }
            // The cloud may have told everything long before the disk is through with it.
            None if folder.adopts_after_comparison() => {
                if !self.ctx.store.busy(id)? && !self.ctx.store.local_left(id)? {
                    folder.has_adopted();
                }
                false
            }
            None | Some(ComparisonStage::Absences) => false,
        };
        if polls {
            self.poll_for(id);
        }
        Ok(())
    }

    pub(in crate::engine) fn poll_for(&mut self, id: FolderId) {
        let account = self.folders.get(&id).map(|folder| folder.account);
        if let Some(account) = account.and_then(|account| self.accounts.get_mut(&account)) {
            account.poll_now();
        }
    }

    /// Looks for items that the comparison did not meet, a few thousand rows at a time.
    pub(in crate::engine) fn find_absences(&mut self) -> Result<()> {
        let Some(folder) = self.folders.values().find(|folder| folder.finds_absences()) else { return Ok(()) };
        let (id, comparison, at) = (folder.row.folder, folder.seen_mark(false), folder.row.comparison_at);
        let is_doubted = folder.is_doubted();
        if self.ctx.store.sweep_left(id)? {
            // What is kept out by a pattern was not met either, and is told first that this is the reason.
            return Ok(());
        }
        let (unseen, last) = self.ctx.store.unseen(id, comparison, at, ROWS_PER_STEP)?;
        let asked = self.ctx.store.generation();
        let mut held = BTreeMap::new();
        for node in unseen {
            let Some(item) = self.ctx.store.item(node)? else { continue };
            if item.remote.presence != Presence::Present || self.went_with_held(&item, &mut held)? {
                continue;
            }
            if !is_doubted {
                self.found_trashed(&item)?;
                self.gone(&item, Presence::Absent, Source::Listing(Priority::Bulk, asked))?;
            } else if self.was_folder_met(&item, comparison)? {
                // Example: `a/f` moves to `b/f` after `b` was listed and before `a` is, and the event of that cannot be
                // read. What is in a folder that was not met either is told with that one.
                self.ctx.store.mark(node, id, Priority::Bulk, Ask::State, None, self.ctx.now.wall)?;
            }
        }
        let now = self.ctx.now.wall;
        let Some(folder) = self.folders.get_mut(&id) else { return Ok(()) };
        folder.looked_for_absences(last, now);
        self.ctx.more = true;
        Ok(())
    }

    /// Whether a comparison met the folder that held an item.
    fn was_folder_met(&self, item: &ItemRow, comparison: i64) -> Result<bool> {
        let above = item.remote.parent.map(|above| self.ctx.store.item(above)).transpose()?.flatten();
        Ok(above.is_none_or(|above| above.remote.seen >= comparison))
    }

    /// Hands out listings.
    pub(in crate::engine) fn release_listings(&mut self) -> Result<()> {
        // Each priority by itself: bulk that waits for its share of the budget does not keep news out.
        for priority in [Priority::Bulk, Priority::News] {
            let Some(after) = self.questions.to_load(priority) else { continue };
            for (pos, node, folder) in self.ctx.store.listings(priority, after, LISTINGS_PER_LOAD)? {
                self.questions.note_loaded(priority, pos);
                if self.folder_can_ask(folder) {
                    self.questions.enqueue(node, folder, priority);
                }
            }
        }
        let mut kept = VecDeque::new();
        while let Some(listing) = self.questions.next() {
            let Some(folder) = self.folders.get(&listing.folder) else {
                self.questions.drop_listing(listing.node);
                continue;
            };
            if folder.remote.holds_back() {
                // Until the watched folder itself was seen, what it seems to lack proves nothing.
                kept.push_back(listing);
                continue;
            }
            let (account, share) = (folder.account, folder.share(listing.priority));
            if !self.can_ask(account) || !self.may_call(account, share) {
                kept.push_back(listing);
                continue;
            }
            let present = |item: &ItemRow| item.remote.presence == Presence::Present;
            let Some(item) = self.ctx.store.item(listing.node)?.filter(present) else {
                self.ctx.store.unwant_listing(listing.node)?;
                self.questions.drop_listing(listing.node);
                continue;
            };
            let task = Task::List { item: item.id, page: listing.page.clone() };
            let Some(job) = self.jobs.start(&mut self.ctx.store, Job::List { account, listing: listing.clone() })?
            else {
                kept.push_back(listing);
                break;
            };
            self.spend_call(account, share)?;
            let asked = self.ctx.store.generation();
            self.questions.page_begins(&listing, asked, self.ctx.now.wall);
            self.ctx.out.push(Effect::Cloud { job, account, task });
        }
        self.questions.put_back(kept);
        Ok(())
    }

    pub(in crate::engine) fn listed(
        &mut self,
        account: AccountId,
        listing: &Listing,
        result: std::result::Result<ListPage, ProviderError>,
    ) -> Result<()> {
        let (id, node) = (listing.folder, listing.node);
        let found = match result {
            Ok(found) => found,
            Err(error) if self.questions.is_wanted(listing) => return self.listing_failed(account, id, node, &error),
            Err(error) => {
                self.account_failed(account, &error);
                return Ok(());
            }
        };
        self.account_worked(account);
        let Some(asked) = self.questions.asked(listing) else { return Ok(()) };
        for item in &found.items {
            self.questions.told_by_path.saw_item(node, &item.id);
            let learned = self.learn(id, item, Source::Listing(listing.priority, asked))?;
            if learned == Learned::FilteredOut && self.questions.saw_name(node, &item.name) {
                // There is no row that could show it.
                self.ctx.store.forget_name(node, &item.name)?;
            }
        }
        if !self.questions.is_wanted(listing) {
            // One of its own children said that the folder went away.
            return Ok(());
        }
        if let Some(unread) = found.unread {
            self.questions.note_unread(node, unread);
        }
        self.questions.page_showed(node, found.items.iter().map(|item| &item.id));
        if let Some(next) = found.next {
            self.questions.read_on(listing, next);
            return Ok(());
        }
        if let Some(unread) = self.questions.take_unread(node) {
            // What its pages show is so; what they do not show may be the entry that cannot be read.
            return self.listing_failed(account, id, node, &unread);
        }
        self.questions.end(listing);
        self.take_listings()?;
        if self.accounts.get(&account).is_some_and(|account| account.limits().per_day.is_some()) {
            // Newer files than those that are loaded may have been found.
            self.schedule.reload(Priority::Bulk);
        }
        // Listings that its children asked for, and what its marks held up, are read from the database in this same step.
        self.ctx.more = true;
        Ok(())
    }

    /// Compares listings that came to their end with what was known, as many rows as one step may go through. A listing is durable as a
    /// mark until all of it is taken.
    pub(in crate::engine) fn take_listings(&mut self) -> Result<()> {
        while self.ctx.rows_left() > 0 {
            let Some(complete) = self.questions.take_ended() else { return Ok(()) };
            self.take_listing(complete)?;
        }
        self.ctx.more |= self.questions.has_ended();
        Ok(())
    }

    /// A folder's children were all seen: marks that are not newer are answered, and what is not among them is asked about.
    fn take_listing(&mut self, complete: Complete) -> Result<()> {
        let next = match complete.taken {
            Taken::Marks(after) => {
                let last = self.take_marked(&complete, after)?;
                Some(last.map_or(Taken::Children(NodeId(0)), Taken::Marks))
            }
            Taken::Children(after) => self.take_unlisted(&complete, after)?.map(Taken::Children),
        };
        if let Some(next) = next {
            self.questions.take_on(complete, next);
            return Ok(());
        }
        let Complete { node, folder, asked, at, .. } = complete;
        self.questions.close(node);
        if let Some(folder) = self.folders.get_mut(&folder).filter(|folder| folder.row.root == Some(node)) {
            folder.remote.was_listed();
        }
        if !self.ctx.store.listed(node, folder, asked, at)? {
            // There is a newer mark: it is listed once more.
            self.questions.reload();
        }
        self.take_expected_names(node)
    }

    /// Marks on children that a listing showed are answered by it. Says up to which item, if there are more.
    fn take_marked(&mut self, complete: &Complete, after: NodeId) -> Result<Option<NodeId>> {
        let (asked, most) = (complete.asked, self.ctx.rows_left());
        let marked = self.ctx.store.marked_in(complete.node, asked, after, most as u32)?;
        self.ctx.gone_through += marked.len();
        let last = marked.last().copied().filter(|_| marked.len() == most);
        for node in marked {
            let Some(item) = self.ctx.store.item(node)? else { continue };
            let was_shown = complete.shown.ids.as_ref().is_some_and(|ids| ids.contains(&item.id));
            if !was_shown || self.questions.is_overtaken(node, asked) {
                continue;
            }
            let is_met = self.questions.expected(node).is_none_or(|expected| expected.is_met_by(Some(&item.remote)));
            let agrees = self.plan_of(&item) == crate::plan::Action::InSync;
            if !is_met && agrees && self.schedule.is_busy(node) {
                // A question about it is under way, or will be asked when its job is over.
                continue;
            }
            if is_met || !agrees || !self.ask_again(node)? {
                let was_away = self.questions.expected(node).is_some_and(|expected| expected.told == Told::Gone);
                if was_away && item.id.is_folder() && item.remote.presence == Presence::Present {
                    learn::was_away(&mut self.ctx, &mut self.questions, &item)?;
                }
                self.forget_expected(node)?;
                self.ctx.store.looked(node, asked)?;
            }
        }
        Ok(last)
    }

    /// Children that a complete listing of their folder did not show: each one's own state tells what became of it. Says up to which child,
    /// if there are more.
    fn take_unlisted(&mut self, complete: &Complete, after: NodeId) -> Result<Option<NodeId>> {
        let Complete { node: dir, folder: id, priority, asked, .. } = *complete;
        let Some(ids) = &complete.shown.ids else {
            // Too many to be remembered: their number tells whether there is one that was not shown.
            let shown = complete.shown.count;
            let most = u32::try_from(shown).unwrap_or(u32::MAX).saturating_add(1);
            // A comparison that is not over yet finds which one that is, but for what it met before that went since.
            let finds_it = self.folders.get(&id).is_some_and(|folder| {
                matches!(folder.row.comparison_stage, Some(ComparisonStage::Listing | ComparisonStage::Settling))
            });
            if !finds_it && self.ctx.store.count_children(dir, most)? as usize > shown {
                self.doubt(id)?;
            }
            return Ok(None);
        };
        let compares = self.folders.get(&id).filter(|folder| folder.row.comparison_stage.is_some());
        // A comparison looks for what it did not meet. What it met, and is not shown now, it takes to be there.
        // Example: `d/a` is uploaded while the folder is compared, goes to the trash unseen, and `d` is listed before the comparison ends.
        let comparison = compares.map(|folder| folder.seen_mark(false));
        let is_found_later = |seen: i64| comparison.is_some_and(|comparison| seen < comparison);
        let most = self.ctx.rows_left();
        let children = self.ctx.store.remote_ids(dir, after, most as u32)?;
        self.ctx.gone_through += children.len();
        let last = children.last().map(|(node, ..)| *node).filter(|_| children.len() == most);
        let is_unlisted = |(node, child, _): &(NodeId, ItemId, i64)| {
            !ids.contains(child) && !self.questions.is_overtaken(*node, asked)
        };
        let unlisted = children.into_iter().filter(is_unlisted).map(|(node, _, seen)| (node, is_found_later(seen)));
        // Those that nothing else finds come first.
        let (found_later, mut unlisted): (Vec<_>, Vec<_>) = unlisted.partition(|(_, is_found_later)| *is_found_later);
        if unlisted.len() > UNLISTED_MOST {
            self.doubt(id)?;
        }
        unlisted.extend(found_later);
        for (node, is_found_later) in unlisted.into_iter().take(UNLISTED_MOST) {
            let Some(item) = self.ctx.store.item(node)? else { continue };
            let work = self.ctx.store.work(node)?;
            let is_missing = self.questions.is_missing(node);
            let mark = work.as_ref().and_then(|work| work.mark);
            if self.questions.note_unlisted(node, asked, mark) {
                self.found_trashed(&item)?;
                self.found_folder_gone(&item);
                self.gone(&item, Presence::Absent, Source::Listing(priority, asked))?;
                self.ctx.store.looked(node, asked)?;
                self.wake_item(node)?;
            } else if mark.is_none() && (!is_found_later || is_missing || priority == Priority::News) {
                self.ctx.store.mark(node, id, priority, Ask::State, None, self.ctx.now.wall)?;
            }
        }
        Ok(last)
    }

    /// Names that events make us expect in a folder: one that a listing does not show may be shown a little later.
    fn take_expected_names(&mut self, dir: NodeId) -> Result<()> {
        let Some(names) = self.questions.expected_names(dir) else { return Ok(()) };
        let names = std::mem::take(names);
        let folded: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let known = self.ctx.store.children_named(dir, &folded)?;
        let of_folders = self.questions.told_by_path.names_of_folders(dir);
        let folders: BTreeSet<String> = if of_folders.is_empty() {
            BTreeSet::new()
        } else {
            self.ctx.store.folders_in(dir)?.into_iter().map(|(_, name)| name.to_lowercase()).collect()
        };
        let is_met = |name: &String| {
            let has_it = if of_folders.contains(name) { &folders } else { &known };
            has_it.contains(&name.to_lowercase())
        };
        let (met, unmet): (BTreeSet<_>, BTreeSet<_>) = names.into_iter().partition(is_met);
        for name in met {
            self.ctx.store.forget_name(dir, &name)?;
        }
        let elsewhere = self.questions.told_by_path.take_items(dir, &unmet);
        if let Some(names) = self.questions.expected_names(dir) {
            names.clone_from(&unmet);
        }
        self.look_for(dir, &elsewhere)?;
        let item = self.ctx.store.item(dir)?;
        if let Some(item) = &item {
            self.follow_paths(dir, item.folder, &unmet)?;
        }
        let Some(wait) = self.questions.list_again_after(dir) else {
            let unseen = self.questions.told_by_path.take_all_items(dir);
            self.look_for(dir, &unseen)?;
            self.questions.told_by_path.forget(dir);
            return self.ctx.store.forget_names(dir);
        };
        let Some(item) = item else { return Ok(()) };
        if !self.ctx.store.listing_wanted(dir)? {
            self.ctx.store.want_listing_now(dir, item.folder)?;
            let due = self.ctx.now.wall.plus_ms(millis(wait) as i64);
            self.ctx.store.put_off_listing(dir, due, "")?;
        }
        Ok(())
    }

    /// Items that events told of where nothing is: what is still unknown is looked at by its id.
    ///
    /// Example: `a/f` is new, `a` becomes `b`, and the event of `a/f` comes last: no listing will ever show an `a`.
    pub(in crate::engine) fn look_for(&mut self, dir: NodeId, items: &[ItemId]) -> Result<()> {
        let Some(folder) = self.ctx.store.item(dir)?.map(|dir| dir.folder) else { return Ok(()) };
        let Some(account) = self.folders.get(&folder).map(|folder| folder.account) else { return Ok(()) };
        for id in items {
            if self.ctx.store.item_by_id(folder, id)?.is_none() {
                self.note_stray(account, id)?;
            }
        }
        Ok(())
    }

    pub(in crate::engine) fn listing_failed(
        &mut self,
        account: AccountId,
        id: FolderId,
        node: NodeId,
        error: &ProviderError,
    ) -> Result<()> {
        self.questions.drop_listing(node);
        let root = self.folders.get(&id).and_then(|folder| folder.row.root);
        let attempts = self.ctx.store.listing_attempts(node)? + 1;
        // Where nothing can be reached the account waits, and the listing's own pause is not to outlast that by much.
        let attempts =
            if error.kind == ProviderErrorKind::Network { attempts.min(UNREACHED_COUNTED) } else { attempts };
        let wait = backoff(attempts, error.retry_after, self.ctx.chance.next());
        let due = self.ctx.now.wall.plus_ms(millis(wait) as i64);
        self.ctx.store.put_off_listing(node, due, &error.to_string())?;
        if error.kind == ProviderErrorKind::NotFound && root != Some(node) {
            // The folder may be gone, or hidden from us: its own state decides, not this answer. If it is there, it is still to be
            // listed, or its children would pass for gone.
            return self.ctx.store.mark(node, id, Priority::News, Ask::State, None, self.ctx.now.wall);
        }
        match error.kind {
            ProviderErrorKind::NotFound => self.check_remote_root(id),
            ProviderErrorKind::Forbidden if root == Some(node) => self.check_remote_root(id),
            // That folder is hidden from us, or has an entry that cannot be read: a problem of its own, and no sign that anything in it
            // is gone.
            ProviderErrorKind::Forbidden | ProviderErrorKind::Corrupt => Ok(()),
            _ => {
                self.account_failed(account, error);
                Ok(())
            }
        }
    }
}
