//! Accounts and their streams: asks what an account wants to ask, and passes on what the answers mean for folders and items.

use std::result::Result as StdResult;

use super::events::Reading;
use crate::engine::effect::{Effect, Task};
use crate::engine::holds;
use crate::engine::hooks::Story;
use crate::engine::jobs::Job;
use crate::engine::listen::{Account, PageFacts};
use crate::engine::remote::{StrayAnswer, Strays};
use crate::engine::{Engine, remote::Source};
use crate::events::EventPage;
use crate::events::budget::{Quota, Share};
use crate::hook::HookKind;
use crate::id::{AccountId, Cursor, FolderId, Generation, ItemId, JobId};
use crate::provider::{Capabilities, Identity, ProviderError, ProviderErrorKind, Wake};
use crate::report::EventCounts;
use crate::settings::AccountSettings;
use crate::store::Result;
use crate::store::work::Priority;
use crate::tree::ItemState;

/// Calls, and what may be spent on them.
impl Engine {
    /// Begins a call of an account, if its budget and the limit on jobs have room for it.
    pub(in crate::engine) fn call(
        &mut self,
        account: AccountId,
        share: Share,
        about: Job,
        task: Task,
    ) -> Result<Option<JobId>> {
        if !self.may_call(account, share) {
            return Ok(None);
        }
        let Some(job) = self.jobs.start(&mut self.ctx.store, about)? else { return Ok(None) };
        self.spend_call(account, share)?;
        self.ctx.out.push(Effect::Cloud { job, account, task });
        Ok(Some(job))
    }

    /// Whether a call may begin now. If not, the engine's deadline tells when it may.
    pub(in crate::engine) fn may_call(&mut self, id: AccountId, share: Share) -> bool {
        let now = self.ctx.now;
        self.accounts.get_mut(&id).is_some_and(|account| account.try_call(share, now))
    }

    /// Counts a call that begins with this step's effects.
    pub(in crate::engine) fn spend_call(&mut self, id: AccountId, share: Share) -> Result<()> {
        let now = self.ctx.now.mono;
        match self.accounts.get_mut(&id).and_then(|account| account.begin_call(share, now)) {
            Some(spent) => self.ctx.store.set_spent(id, spent),
            None => Ok(()),
        }
    }

    /// The world's own count of requests, and what the provider's answers say of the quota.
    pub(in crate::engine) fn take_usage(&mut self, id: AccountId, calls: u64, quota: Option<Quota>) -> Result<()> {
        let (now, under_way) = (self.ctx.now, self.jobs.slots().calls(id));
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        match account.take_usage(calls, quota, under_way, now) {
            Some(spent) => self.ctx.store.set_spent(id, spent),
            None => Ok(()),
        }
    }

    /// Whose call it is that works on an item of a folder.
    pub(in crate::engine) fn share_of(&self, folder: FolderId, priority: Priority) -> Share {
        match self.folders.get(&folder) {
            Some(folder) if priority == Priority::Bulk => folder.share(priority),
            _ => Share::News,
        }
    }

    /// Whether one more question can be asked of an account now, its budget aside.
    pub(in crate::engine) fn can_ask(&self, id: AccountId) -> bool {
        let now = self.ctx.now.mono;
        self.jobs.slots().may_ask(id) && self.accounts.get(&id).is_some_and(|account| account.is_open(now))
    }

    /// When one more question can be asked of an account; nothing if that depends on something else than time.
    pub(in crate::engine) fn ask_at(&self, id: AccountId) -> Option<u64> {
        self.accounts.get(&id)?.open_at(self.ctx.now.mono).filter(|_| self.jobs.slots().may_ask(id))
    }

    /// An account's call failed.
    pub(in crate::engine) fn account_failed(&mut self, id: AccountId, error: &ProviderError) {
        let (chance, now) = (self.ctx.chance.next(), self.ctx.now.mono);
        let Some(account) = self.accounts.get_mut(&id) else { return };
        if let Some(text) = account.failed(error, now, chance) {
            self.hooks.happens_later(Story::at_large(HookKind::SignInNeeded, Some(id), None, text));
        }
    }

    /// An account's call went well.
    pub(in crate::engine) fn account_worked(&mut self, id: AccountId) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.worked();
        }
    }
}

/// Who an account is.
impl Engine {
    /// Takes the accounts of a configuration.
    pub(in crate::engine) fn wish_accounts(&mut self, wanted: Vec<(AccountSettings, Capabilities)>) -> Result<()> {
        let is_wanted = |account: &Account| wanted.iter().any(|(settings, _)| settings.name == account.settings.name);
        let gone: Vec<AccountId> =
            self.accounts.iter().filter(|(_, account)| !is_wanted(account)).map(|(id, _)| *id).collect();
        for id in gone {
            self.accounts.remove(&id);
            self.jobs.forget_account(id);
            self.ctx.out.push(Effect::DropAccount(id));
        }
        for (settings, capabilities) in wanted {
            let row = self.ctx.store.account(&settings.name, settings.provider.word())?;
            let id = row.account;
            if self.accounts.get(&id).is_some_and(|known| known.settings == settings) {
                continue;
            }
            self.ctx.out.push(Effect::UseAccount(id, Box::new(settings.clone())));
            if let Some(known) = self.accounts.get_mut(&id) {
                if known.settings.differs_in_limits_only(&settings) {
                    known.settings = settings;
                    continue;
                }
                known.wish(settings, capabilities);
                self.take_back(id);
            } else {
                let mut account = Account::new(settings, capabilities, row);
                account.strays = Strays::left(self.ctx.store.strays(id)?);
                self.accounts.insert(id, account);
            }
        }
        Ok(())
    }

    /// The credentials of an account changed. False if there is no such account.
    pub(in crate::engine) fn refresh_account(&mut self, name: &str) -> bool {
        let Some((id, account)) = self.accounts.iter_mut().find(|(_, account)| account.settings.name == name) else {
            return false;
        };
        account.sign_in_changed();
        let (id, settings) = (*id, account.settings.clone());
        self.take_back(id);
        self.ctx.out.push(Effect::UseAccount(id, Box::new(settings)));
        true
    }

    /// Drops the questions about an account and its stream that are under way.
    fn take_back(&mut self, id: AccountId) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        for job in account.take_back() {
            self.jobs.take(job);
            self.ctx.out.push(Effect::Cancel(job));
        }
    }

    pub(in crate::engine) fn identified(
        &mut self,
        id: AccountId,
        result: StdResult<Identity, ProviderError>,
    ) -> Result<()> {
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        account.was_answered();
        let identity = match result {
            Ok(identity) => identity,
            Err(error) => {
                self.account_failed(id, &error);
                return Ok(());
            }
        };
        if let Some(text) = account.is_another(&identity) {
            self.hooks.happens_later(Story::at_large(HookKind::Hold, Some(id), None, text.clone()));
            return holds::hold_account(&mut self.ctx, id, &identity, &text);
        }
        self.accept_identity(id, &identity)
    }

    /// From now on the account is this user's.
    pub(in crate::engine) fn accept_identity(&mut self, id: AccountId, identity: &Identity) -> Result<()> {
        self.ctx.store.set_identity(id, identity)?;
        if let Some(account) = self.accounts.get_mut(&id) {
            account.accept(identity);
            account.worked();
        }
        self.reload();
        Ok(())
    }
}

/// Its stream.
impl Engine {
    pub(in crate::engine) fn drive_accounts(&mut self) -> Result<()> {
        let ids: Vec<AccountId> = self.accounts.keys().copied().collect();
        for id in ids {
            if let Some(account) = self.accounts.get_mut(&id) {
                account.budget.ask_again();
            }
            self.give_up_wait(id);
            self.drive_account(id)?;
            self.drive_wait(id)?;
            self.drive_strays(id)?;
        }
        Ok(())
    }

    fn drive_account(&mut self, id: AccountId) -> Result<()> {
        let now = self.ctx.now;
        let question = self.accounts.get_mut(&id).and_then(|account| account.next_question(id, now));
        let Some((about, task)) = question else { return Ok(()) };
        let is_poll = matches!(about, Job::Poll(_));
        let again = match (&about, &task) {
            (Job::PollAgain(_), Task::Poll(from)) => Some(from.clone()),
            _ => None,
        };
        if let Some(job) = self.call(id, Share::Listening, about, task)?
            && let Some(account) = self.accounts.get_mut(&id)
        {
            account.asks(job, is_poll, again);
        }
        Ok(())
    }

    fn drive_wait(&mut self, id: AccountId) -> Result<()> {
        let now = self.ctx.now.mono;
        if !self.accounts.get(&id).is_some_and(|account| account.waits_now(now)) {
            return Ok(());
        }
        let Some(job) = self.jobs.start(&mut self.ctx.store, Job::Wait(id))? else { return Ok(()) };
        if let Some(task) = self.accounts.get_mut(&id).and_then(|account| account.begin_wait(job, now)) {
            self.ctx.out.push(Effect::Cloud { job, account: id, task });
        }
        Ok(())
    }

    fn give_up_wait(&mut self, id: AccountId) {
        let now = self.ctx.now.mono;
        let Some(account) = self.accounts.get_mut(&id) else { return };
        let Some(job) = account.hopeless_wait(now) else { return };
        account.gave_up_wait(now, self.ctx.chance.next());
        self.jobs.take(job);
        self.ctx.out.push(Effect::Cancel(job));
    }

    pub(in crate::engine) fn woken(&mut self, id: AccountId, result: StdResult<Wake, ProviderError>) {
        let (chance, now) = (self.ctx.chance.next(), self.ctx.now.mono);
        let Some(account) = self.accounts.get_mut(&id) else { return };
        if let Some(error) = account.woken(result, now, chance) {
            self.account_failed(id, &error);
        }
    }

    pub(in crate::engine) fn cursor_taken(
        &mut self,
        id: AccountId,
        result: StdResult<Cursor, ProviderError>,
    ) -> Result<()> {
        let now = self.ctx.now;
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        account.was_answered();
        let cursor = match result {
            Ok(cursor) => cursor,
            Err(error) => {
                self.account_failed(id, &error);
                return Ok(());
            }
        };
        let stream = account.take_cursor(cursor.clone(), now);
        // The new place and the duty to compare everything are one transaction.
        self.ctx.store.set_cursor(id, &stream, &cursor, now.wall, None)?;
        self.ctx.store.set_taken_at(id, now.wall)?;
        self.account_worked(id);
        self.lose_place(id, "the place in the event stream was lost")?;
        self.reload();
        Ok(())
    }

    pub(in crate::engine) fn polled(
        &mut self,
        id: AccountId,
        result: StdResult<EventPage, ProviderError>,
    ) -> Result<()> {
        let now = self.ctx.now;
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        account.was_answered();
        let page = match result {
            Ok(page) => page,
            Err(error) if error.kind == ProviderErrorKind::CursorLost => {
                return self.lose_cursor(id, "the provider no longer knows our place in the event stream");
            }
            Err(error) => {
                self.account_failed(id, &error);
                return Ok(());
            }
        };
        let stream = account.stream();
        let counts = self.take_events(id, &page.events, Reading::First)?;
        // Events, the marks that they left and the cursor behind them commit together.
        let newest = self.accounts.get(&id).and_then(|account| account.row.newest_event);
        self.ctx.store.set_cursor(id, &stream, &page.next, now.wall, newest)?;
        if counts != EventCounts::default() {
            self.ctx.store.count_events(id, counts)?;
        }
        self.account_worked(id);
        let chance = self.ctx.chance.next();
        if let Some(account) = self.accounts.get_mut(&id) {
            let facts = PageFacts { is_empty: page.events.is_empty(), caught_up: page.caught_up };
            account.was_read(page.next, facts, counts, now, chance);
        }
        Ok(())
    }

    /// The stream was read a second time. The cursor does not move.
    pub(in crate::engine) fn polled_again(
        &mut self,
        id: AccountId,
        result: StdResult<EventPage, ProviderError>,
    ) -> Result<()> {
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        account.was_answered();
        let page = match result {
            Ok(page) => page,
            Err(error) if error.kind == ProviderErrorKind::CursorLost => {
                // A position of a few minutes ago is kept as long as the present one: where it is lost, so is that.
                return self.lose_cursor(id, "the provider no longer knows our place in the event stream");
            }
            Err(error) => {
                account.failed_again(error.kind);
                self.account_failed(id, &error);
                return Ok(());
            }
        };
        let counts = self.take_events(id, &page.events, Reading::Again)?;
        let counts = EventCounts { repeated: 0, ..counts };
        if counts != EventCounts::default() {
            self.ctx.store.count_events(id, counts)?;
        }
        self.account_worked(id);
        if let Some(account) = self.accounts.get_mut(&id) {
            account.was_read_again(page, counts);
        }
        Ok(())
    }

    /// The place was compared with both ends of the stream. A check that fails says nothing of the place.
    pub(in crate::engine) fn cursor_checked(
        &mut self,
        id: AccountId,
        result: StdResult<(), ProviderError>,
    ) -> Result<()> {
        let now = self.ctx.now.mono;
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        account.cursor_was_checked(now);
        match result {
            Ok(()) => account.worked(),
            Err(error) => match error.kind {
                ProviderErrorKind::CursorLost => {
                    return self.lose_cursor(id, &format!("our place is not one of the event stream's: {error}"));
                }
                ProviderErrorKind::SignInNeeded
                | ProviderErrorKind::RateLimited
                | ProviderErrorKind::QuotaExhausted
                | ProviderErrorKind::Network
                | ProviderErrorKind::Local => self.account_failed(id, &error),
                // A domain that does not answer the check is listened to without it; the world logs why.
                _ => {}
            },
        }
        Ok(())
    }

    /// The place in the stream is lost: another one is taken, and everything is compared.
    pub(in crate::engine) fn lose_cursor(&mut self, id: AccountId, why: &str) -> Result<()> {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.lose_cursor();
        }
        self.ctx.store.drop_cursor(id)?;
        self.lose_place(id, why)
    }
}

/// Ids that events name without a place.
impl Engine {
    /// An event named an item that no folder knows, without a place: it may be new to us in a folder of ours.
    pub(in crate::engine) fn note_stray(&mut self, account: AccountId, id: &ItemId) -> Result<()> {
        let Some(known) = self.accounts.get_mut(&account) else { return Ok(()) };
        if known.strays.note(id) {
            return self.ctx.store.note_stray(account, id);
        }
        for folder in self.folders_of(account) {
            self.doubt(folder)?;
        }
        Ok(())
    }

    pub(in crate::engine) fn folders_of(&self, account: AccountId) -> Vec<FolderId> {
        self.folders.iter().filter(|(_, folder)| folder.account == account).map(|(id, _)| *id).collect()
    }

    fn drive_strays(&mut self, id: AccountId) -> Result<()> {
        let (usable, now) = (self.can_ask(id), self.ctx.now.mono);
        let Some(item) = self.accounts.get(&id).filter(|_| usable).and_then(|account| account.strays.next(now)) else {
            return Ok(());
        };
        let asked = self.ctx.store.generation();
        let job = self.call(id, Share::News, Job::Stray { account: id, asked }, Task::Look(item))?;
        if let Some(account) = self.accounts.get_mut(&id).filter(|_| job.is_some()) {
            account.strays.asks();
        }
        Ok(())
    }

    pub(in crate::engine) fn stray_looked(
        &mut self,
        id: AccountId,
        asked: Generation,
        result: StdResult<ItemState, ProviderError>,
    ) -> Result<()> {
        let at = (self.ctx.now.mono, self.ctx.chance.next());
        let Some(account) = self.accounts.get_mut(&id) else { return Ok(()) };
        let (item, answer) = account.strays.answered(result, at);
        if let (Some(item), true) = (item, !matches!(answer, StrayAnswer::Failed(_))) {
            self.ctx.store.drop_stray(id, &item, asked)?;
        }
        match answer {
            StrayAnswer::Found(found) => {
                self.account_worked(id);
                for folder in self.folders_of(id) {
                    self.learn(folder, &found, Source::Look { journal: None, asked })?;
                }
                Ok(())
            }
            StrayAnswer::Unseen => {
                self.account_worked(id);
                self.doubt_roots(id)
            }
            StrayAnswer::Failed(error) => {
                self.account_failed(id, &error);
                Ok(())
            }
        }
    }

    /// What cannot be seen may lie above a watched folder of which we do not know what lies above it.
    fn doubt_roots(&mut self, account: AccountId) -> Result<()> {
        for id in self.folders_of(account) {
            let is_known = self.ctx.store.has_above(id)?;
            if !is_known && self.folders.get(&id).is_some_and(|folder| !folder.watches_top) {
                self.check_remote_root(id)?;
            }
        }
        Ok(())
    }
}
