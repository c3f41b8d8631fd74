//! What people ask for, and the sentences that answer them.

use super::{Effect, Engine};
use crate::command::{Answer, Command};
use crate::id::FolderId;
use crate::provider::Identity;
use crate::store::Result;
use crate::store::quarantine::State;
use crate::tree::Wall;

impl Engine {
    pub(super) fn command(&mut self, command: Command) -> Result<Answer> {
        match command {
            Command::Sync { folder, full } => self.on_folders(folder.as_deref(), |engine, id| engine.sync(id, full)),
            Command::Refresh { folder, within_ms } => {
                let before = self.ctx.now.wall.plus_ms(-i64::try_from(within_ms).unwrap_or(i64::MAX));
                self.on_folders(folder.as_deref(), |engine, id| {
                    engine.refresh(id, before)?;
                    Ok("what was seen longer ago is listed again")
                })
            }
            Command::Pause { folder } => self.on_folders(folder.as_deref(), Self::pause),
            Command::Resume { folder } => self.on_folders(folder.as_deref(), Self::resume),
            Command::Approve { hold } => self.approve(hold),
            Command::Reject { hold } => self.reject(hold),
            Command::CredentialsChanged { account } => Ok(if self.refresh_account(&account) {
                Answer::Ok { message: format!("account `{account}` is tried again") }
            } else {
                let names: Vec<&str> = self.accounts.values().map(|account| account.settings.name.as_str()).collect();
                Answer::NotFound {
                    message: format!("there is no account `{account}`; there are: {}", names.join(", ")),
                }
            }),
            Command::ReplaceIdentity { account, user_id, login } => {
                let found = self.accounts.iter().find(|(_, known)| known.settings.name == account).map(|(id, _)| *id);
                match found {
                    Some(id) => self.replace_identity(id, Identity { user_id, name: login.clone(), login }),
                    None => Ok(Answer::NotFound { message: format!("there is no account `{account}`") }),
                }
            }
            Command::ReleaseQuarantined { number, reason } => {
                self.decide_quarantine(number, Some(State::Released), Some(&reason))
            }
            Command::DeleteQuarantined { number } => self.decide_quarantine(number, Some(State::Deleted), None),
            Command::RescanQuarantined { number } => self.decide_quarantine(number, None, None),
            Command::ReplaySubscription { name, after, since_ms } => self.replay_subscription(&name, after, since_ms),
            Command::ReplayHooks { run, hook } => self.replay(run, hook.as_deref()),
            Command::Restore { path } => self.lift_tombstone(&path),
            Command::AcceptMode { folder } => self.accept_mode(&folder),
            Command::Repair(repair) => self.repair(&repair),
            Command::Resolve { path, folder, keep } => self.resolve(path.as_deref(), folder.as_deref(), keep),
            Command::RetryProblems { folder } => self.on_folders(folder.as_deref(), |engine, id| {
                engine.ctx.store.wake_all(Some(id))?;
                engine.questions.reload();
                engine.ctx.more = true;
                Ok("problems are tried again")
            }),
        }
    }

    fn replay_subscription(&mut self, name: &str, after: Option<i64>, since_ms: Option<i64>) -> Result<Answer> {
        let rows = self.ctx.store.reader();
        let (oldest, newest) = (rows.oldest_event()?, rows.newest_event()?);
        let wanted = match (after, since_ms) {
            (Some(after), _) => after,
            (None, Some(since)) => rows.event_before(Wall(since))?,
            (None, None) => 0,
        };
        let cursor = wanted.clamp(oldest - 1, newest);
        if !self.ctx.store.rewind_subscription(name, cursor)? {
            let names = self.subscribers.names().join(", ");
            return Ok(Answer::NotFound { message: format!("there is no subscription `{name}`; there are: {names}") });
        }
        self.ctx.out.push(Effect::JournalGrew);
        let events = newest - cursor;
        Ok(Answer::Ok { message: format!("subscription `{name}` goes back {events} entries of the journal") })
    }

    /// Does something for one folder, or for all.
    fn on_folders(
        &mut self,
        name: Option<&str>,
        mut act: impl FnMut(&mut Self, FolderId) -> Result<&'static str>,
    ) -> Result<Answer> {
        let all: Vec<(FolderId, String)> =
            self.folders.iter().map(|(id, folder)| (*id, folder.settings.name.clone())).collect();
        let wanted: Vec<&(FolderId, String)> =
            all.iter().filter(|(_, folder)| name.is_none_or(|name| name == folder)).collect();
        if let (Some(name), true) = (name, wanted.is_empty()) {
            let names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
            let there =
                if names.is_empty() { "there are none".to_owned() } else { format!("there are: {}", names.join(", ")) };
            return Ok(Answer::NotFound { message: format!("there is no folder `{name}`; {there}") });
        }
        let mut said = "no folders yet";
        for (id, _) in &wanted {
            said = act(self, *id)?;
        }
        let names: Vec<&str> = wanted.iter().map(|(_, name)| name.as_str()).collect();
        let message = if names.is_empty() { said.to_owned() } else { format!("{}: {said}", names.join(", ")) };
        Ok(Answer::Ok { message })
    }

    fn sync(&mut self, id: FolderId, full: bool) -> Result<&'static str> {
        let Some(account) = self.folders.get(&id).map(|folder| folder.account) else { return Ok("gone") };
        if let Some(account) = self.accounts.get_mut(&account) {
            account.poll_now();
        }
        self.ctx.more = true;
        self.scan_unwatched(id)?;
        if full {
            self.compare(id, "a full comparison was asked for")?;
            self.scan_all(id)?;
            return Ok("a full comparison begins");
        }
        Ok("the cloud is asked for news")
    }

    fn pause(&mut self, id: FolderId) -> Result<&'static str> {
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.change(|row| row.paused = true);
        }
        Ok("paused; events are still collected")
    }

    fn resume(&mut self, id: FolderId) -> Result<&'static str> {
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.change(|row| row.paused = false);
        }
        self.reload();
        Ok("resumed")
    }
}
