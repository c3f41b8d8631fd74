//! `agent wait`: come back when everything is in sync, or when waiting is of no use.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, count, harmless, now, span};
use super::status::{SIGN_IN_NEEDED, speed, state};
use super::terminal::Ticker;
use crate::command::Command;
use crate::config::{Config, Places, parse_duration};
use crate::daemon::client::{ClientError, ControlClient};
use crate::report::{FolderState, FolderStatus, SCHEMA_VERSION, Status};
use crate::tree::Wall;

/// How often the agent is asked.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Wait until everything is in sync
///
/// Waits for an agent to appear if none is running. Ends with 0 when the folder (or every folder) is in sync, with 3 when
/// the time is over, with 4 at once when a hold waits for a person, and with 77 at once when somebody must sign in.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  agent wait inbox --timeout 60s && ls /srv/inbox
  agent wait inbox --fresh 10m      # and nothing was last seen more than ten minutes ago")]
pub struct WaitArgs {
    /// The folder [default: all]
    name: Option<String>,
    /// How long to wait at most, such as 60s [default: as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// Everything must have been seen in the cloud within this time, such as 10m; what was seen longer ago is listed again
    #[arg(long, value_name = "TIME", value_parser = time)]
    fresh: Option<Duration>,
    /// Print JSON, also when the waiting was in vain
    #[arg(long)]
    json: bool,
}

/// How waiting ended, for programs.
#[derive(Serialize)]
struct Ended<'a> {
    schema: u32,
    in_sync: bool,
    folder: Option<&'a str>,
    waited_ms: u64,
    /// What was amiss, and what to do about it.
    why: Option<String>,
    next_step: Option<&'a str>,
}

/// Reads a duration as the configuration file does.
pub fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|wrong| match wrong.hint {
        Some(hint) => format!("{}; {hint}", wrong.problem),
        None => wrong.problem,
    })
}

/// Runs `agent wait`.
pub async fn wait(args: &WaitArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let wish = Wish { folder: args.name.clone(), polled_since: None, verified_since: None, fresh: args.fresh };
    wish.tell(places, args.timeout, args.json, screen).await
}

/// What is waited for.
#[derive(Debug, Default)]
pub struct Wish {
    /// This folder in sync; nothing means all of them.
    pub folder: Option<String>,
    /// By news that were asked for after this moment.
    pub polled_since: Option<Wall>,
    /// By a full comparison that ended after this moment.
    pub verified_since: Option<Wall>,
    /// With everything seen within this time.
    pub fresh: Option<Duration>,
}

/// What one look at the agent says about a wish.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    InSync,
    NotYet(String),
    Never(Failure),
}

impl Wish {
    /// Waits, and says how it ended: in words, or as JSON.
    pub async fn tell(&self, places: &Places, limit: Option<Duration>, json: bool, screen: &mut Screen) -> Outcome {
        let begun = Instant::now();
        let ended = self.come_true(places, limit).await;
        if json {
            let failure = ended.as_ref().err();
            screen.json(&Ended {
                schema: SCHEMA_VERSION,
                in_sync: failure.is_none(),
                folder: self.folder.as_deref(),
                waited_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                why: failure.map(ToString::to_string),
                next_step: failure.and_then(|failure| failure.hint.as_deref()),
            })?;
            ended?;
        } else {
            ended?;
            screen.line("In sync.")?;
        }
        Ok(Exit::Fine)
    }

    /// Waits.
    pub async fn come_true(&self, places: &Places, limit: Option<Duration>) -> Outcome<()> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut running = None;
        let mut ticker = Ticker::new();
        loop {
            let not_yet = match self.look(places, &mut running, &mut ticker).await? {
                Look::InSync => return Ok(()),
                Look::Never(failure) => return Err(failure),
                Look::NotYet(why) => why,
            };
            if let (Some(deadline), Some(limit)) = (deadline, limit)
                && Instant::now() >= deadline
            {
                return Err(Failure::new(Exit::Pending, format!("not in sync after {}", span(limit)))
                    .because(not_yet)
                    .hint("see `agent status` and `agent problems`"));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// What is under way, for a person who waits at a terminal.
    fn under_way(&self, status: &Status) -> String {
        let meant = |name: &str| self.folder.as_deref().is_none_or(|wanted| wanted == name);
        let busy = status.folders.iter().filter(|folder| meant(&folder.name) && folder.state != FolderState::InSync);
        let words: Vec<String> = busy
            .map(|folder| {
                let left = (folder.pending > 0).then(|| count(folder.pending, "item"));
                let facts = [Some(state(folder).to_owned()), left, speed(folder)];
                format!("{}: {}", harmless(&folder.name), facts.into_iter().flatten().collect::<Vec<_>>().join(", "))
            })
            .collect();
        words.join(" · ")
    }

    async fn look(&self, places: &Places, running: &mut Option<ControlClient>, ticker: &mut Ticker) -> Outcome<Look> {
        // A configuration that cannot be read now is the agent's to report; what it names in good times counts.
        let configured: Option<Vec<String>> =
            Config::load(places).ok().map(|config| config.folders.into_iter().map(|folder| folder.name).collect());
        if let (Some(configured), Some(name)) = (&configured, &self.folder)
            && !configured.contains(name)
        {
            return Err(Failure::error(format!("there is no folder named `{name}`"))
                .hint(format!("there is {}", configured.join(", "))));
        }
        // Once for each agent: what is not watched is scanned, so that what was written there before counts as well.
        let is_first = running.is_none();
        if is_first {
            *running = ControlClient::find(&places.socket).await?;
            if let (Some(client), Some(fresh)) = (&running, self.fresh) {
                let within_ms = u64::try_from(fresh.as_millis()).unwrap_or(u64::MAX);
                let ask = Command::Refresh { folder: self.folder.clone(), within_ms };
                if let Err(error) = client.command(&ask).await {
                    *running = None;
                    return Ok(Look::NotYet(error.to_string()));
                }
            }
        }
        let Some(client) = running else { return Ok(Look::NotYet("no agent is running".to_owned())) };
        let status = if is_first { client.look().await } else { client.status().await };
        match status {
            Ok(status) => {
                ticker.show(&self.under_way(&status));
                Ok(self.judge(&status, &configured.unwrap_or_default()))
            }
            Err(ClientError::Gone(_)) => {
                *running = None;
                Ok(Look::NotYet("the agent went away".to_owned()))
            }
            Err(error) => Ok(Look::NotYet(error.to_string())),
        }
    }

    /// What a status says, given the folders that the configuration names.
    fn judge(&self, status: &Status, configured: &[String]) -> Look {
        let meant = |name: &str| self.folder.as_deref().is_none_or(|wanted| wanted == name);
        let folders: Vec<&FolderStatus> = status.folders.iter().filter(|folder| meant(&folder.name)).collect();
        if let Some(held) = folders.iter().find(|folder| folder.held > 0 || folder.state == FolderState::Held) {
            let what = format!("folder `{}` waits for a person", held.name);
            return Look::Never(Failure::new(Exit::PersonNeeded, what).hint("see `agent held`"));
        }
        let accounts =
            status.accounts.iter().filter(|account| folders.iter().any(|folder| folder.account == account.name));
        for account in accounts {
            if let Some(degraded) = account.degraded.as_ref().filter(|degraded| degraded.name == SIGN_IN_NEEDED) {
                let what = format!("somebody must sign in to account `{}`", account.name);
                return Look::Never(
                    Failure::new(Exit::SignInNeeded, what).because(&degraded.cause).hint(degraded.next_step.clone()),
                );
            }
            if let Some(since) = self.polled_since
                && account.last_poll.is_none_or(|polled| polled < since)
            {
                return Look::NotYet(format!("account `{}` has not been asked for news yet", account.name));
            }
        }
        if let Some(name) =
            configured.iter().find(|name| meant(name) && folders.iter().all(|folder| folder.name != **name))
        {
            return Look::NotYet(format!("the agent has not taken folder `{name}` yet"));
        }
        for folder in &folders {
            if folder.state == FolderState::Problems && folder.quarantined > 0 && folder.problems == folder.quarantined
            {
                let what = format!("folder `{}` has files in quarantine", folder.name);
                return Look::Never(Failure::new(Exit::PersonNeeded, what).hint("see `agent quarantine list`"));
            }
            // What is not watched was scanned when the waiting began.
            if !matches!(folder.state, FolderState::InSync | FolderState::Unwatched) {
                let why = folder.degraded.as_ref().map(|degraded| degraded.cause.clone()).or_else(|| speed(folder));
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                return Look::NotYet(format!("folder `{}` is {}{why}", folder.name, folder.state.words()));
            }
            if let Some(since) = self.verified_since
                && folder.verified.is_none_or(|verified| verified < since)
            {
                return Look::NotYet(format!("folder `{}` is being compared", folder.name));
            }
            if let Some(fresh) = self.fresh {
                let oldest = now().plus_ms(-(fresh.as_millis() as i64));
                if folder.oldest_seen.is_none_or(|seen| seen < oldest) {
                    return Look::NotYet(format!("folder `{}` was not seen whole within {}", folder.name, span(fresh)));
                }
            }
        }
        match status.degraded.first() {
            Some(degraded) if self.folder.is_none() => Look::NotYet(degraded.cause.clone()),
            _ => Look::InSync,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{AccountStatus, Budget, Degraded, Digested, EventCounts, LeftOut, Progress};

    fn folder(name: &str, state: FolderState) -> FolderStatus {
        FolderStatus {
            name: name.into(),
            account: "work".into(),
            remote: "/x".into(),
            local: "/x".into(),
            mode: "mirror".into(),
            state,
            degraded: None,
            files: 0,
            bytes: 0,
            folders: 0,
            pending: 0,
            pending_bytes: 0,
            problems: 0,
            quarantined: 0,
            held: 0,
            verified: Some(Wall(50)),
            oldest_seen: Some(Wall(40)),
            digested: Digested::default(),
            left_out: LeftOut::default(),
            progress: Progress::default(),
            transfers: vec![],
        }
    }

    fn status(folders: Vec<FolderStatus>) -> Status {
        let account = AccountStatus {
            name: "work".into(),
            provider: "box".into(),
            login: None,
            user_id: None,
            sign_in_ends: None,
            degraded: None,
            long_poll: true,
            last_poll: Some(Wall(100)),
            next_poll: None,
            events: EventCounts::default(),
            budget: Budget::default(),
        };
        Status {
            subscriptions: Vec::new(),
            schema: SCHEMA_VERSION,
            running: true,
            pid: None,
            version: String::new(),
            in_sync: false,
            degraded: vec![],
            accounts: vec![account],
            folders,
            held: 0,
            problems: 0,
            scanners: Vec::new(),
        }
    }

    fn all() -> Wish {
        Wish::default()
    }

    fn one(name: &str) -> Wish {
        Wish { folder: Some(name.into()), ..Wish::default() }
    }

    #[test]
    fn in_sync_means_every_folder_that_was_asked_for() {
        let mixed = status(vec![folder("a", FolderState::InSync), folder("b", FolderState::Syncing)]);
        assert_eq!(one("a").judge(&mixed, &[]), Look::InSync);
        assert!(matches!(all().judge(&mixed, &[]), Look::NotYet(_)));
        assert_eq!(all().judge(&status(vec![]), &[]), Look::InSync);
    }

    #[test]
    fn a_folder_that_the_agent_has_not_noticed_is_not_in_sync() {
        let known = status(vec![folder("a", FolderState::InSync)]);
        assert!(matches!(all().judge(&known, &["a".into(), "new".into()]), Look::NotYet(_)));
        assert_eq!(one("a").judge(&known, &["a".into(), "new".into()]), Look::InSync);
    }

    #[test]
    fn problems_and_comparisons_are_not_in_sync() {
        for state in [FolderState::Problems, FolderState::Unverified, FolderState::Paused, FolderState::Halted] {
            assert!(matches!(all().judge(&status(vec![folder("a", state)]), &[]), Look::NotYet(_)), "{state:?}");
        }
    }

    #[test]
    fn what_keeps_a_folder_from_its_work_is_told_and_not_how_fast_it_was() {
        let mut halted = folder("a", FolderState::Halted);
        halted.progress.down = Some(28);
        let (name, cause, next_step) = ("root_lost".into(), "cannot find the folder".into(), String::new());
        halted.degraded = Some(Degraded { name, cause, next_step });
        let why = "folder `a` is halted: cannot find the folder";
        assert_eq!(all().judge(&status(vec![halted]), &[]), Look::NotYet(why.into()));
        let mut at_work = folder("a", FolderState::Syncing);
        (at_work.progress.down, at_work.pending) = (Some(28), 1);
        let why = "folder `a` is syncing: ↓ 28 B/s";
        assert_eq!(all().judge(&status(vec![at_work.clone()]), &[]), Look::NotYet(why.into()));
        at_work.pending = 0;
        assert_eq!(speed(&at_work), None, "nothing moves any more");
    }

    #[test]
    fn holds_and_sign_ins_end_the_wait_at_once() {
        let Look::Never(failure) = all().judge(&status(vec![folder("a", FolderState::Held)]), &[]) else { panic!() };
        assert_eq!(failure.exit, Exit::PersonNeeded);
        let mut signed_out = status(vec![folder("a", FolderState::Syncing)]);
        signed_out.accounts[0].degraded = Some(Degraded {
            name: SIGN_IN_NEEDED.into(),
            cause: "the token is dead".into(),
            next_step: "agent login box".into(),
        });
        let Look::Never(failure) = all().judge(&signed_out, &[]) else { panic!() };
        assert_eq!(failure.exit, Exit::SignInNeeded);
    }

    #[test]
    fn what_was_known_before_the_question_is_no_answer() {
        let known = status(vec![folder("a", FolderState::InSync)]);
        let asked = |polled: i64, verified: i64| Wish {
            fresh: None,
            folder: None,
            polled_since: Some(Wall(polled)),
            verified_since: Some(Wall(verified)),
        };
        assert_eq!(asked(100, 50).judge(&known, &[]), Look::InSync);
        assert!(matches!(asked(101, 50).judge(&known, &[]), Look::NotYet(_)));
        assert!(matches!(asked(100, 51).judge(&known, &[]), Look::NotYet(_)));
    }
}
