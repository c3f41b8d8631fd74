//! Reports of a running agent and of its database alone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::explain::why;
use super::looking::{Looked, Looking};
use super::people::People;
use super::recall;
use super::thread::Shared;
use super::transfers::Transfers;
use super::unstarted::Unstarted;
use super::wall_now;
use super::world::{Counters, OpenFolders};
use crate::command::Command;
use crate::config::{Config, Places};
use crate::engine::filter::Filter;
use crate::engine::folders::root_trouble;
use crate::engine::health::Health;
use crate::engine::sides::plan_under;
use crate::events::budget::{forecast, forecast_days};
use crate::id::{ItemKind, NodeId};
use crate::plan::{Action, Policy};
use crate::provider::auth::known_end;
use crate::report::{
    AccountStatus, ConflictRow, Degraded, EventQuery, EventRow, FolderState, FolderStatus, HoldRow, LeftOut,
    MetricsFormat, Nameless, PlanRow, ProblemRow, ReportError, Reports, SCHEMA_VERSION, Status, UNWATCHED, Versions,
    Why,
};
use crate::settings::{Mode, ProviderName};
use crate::store::folders::{ComparisonStage, FolderRow};
use crate::store::items::ItemRow;
use crate::store::pending::Pending;
use crate::store::query::Rows;
use crate::store::{Reader, SCHEMA, StoreError};
use crate::tree::Wall;

mod counted;
mod figures;

/// People are asked about only where a day's budget leaves as many calls as this free.
const CALLS_TO_SPARE: u64 = 50;

type Result<T> = std::result::Result<T, ReportError>;

/// What only a running agent knows.
#[derive(Debug)]
struct Alive {
    shared: Arc<Shared>,
    transfers: Transfers,
    counters: Counters,
    folders: OpenFolders,
    looking: Looking,
    people: People,
}

/// Reads reports from a database.
#[derive(Debug)]
pub struct Running {
    database: PathBuf,
    /// One reading connection, opened when it is first needed and again after an error.
    reader: Mutex<Option<Reader>>,
    counted: counted::Counted,
    places: Places,
    alive: Option<Alive>,
}

/// Reports without a running agent: from the database, or, before the first run, from the configuration.
pub fn offline_reports(places: &Places, config: &Config) -> Result<Box<dyn Reports>> {
    // One that an agent is just making, or that an older one wrote, tells nothing yet.
    let schema = || Reader::open(&places.database()).and_then(|reader| reader.rows().schema());
    if !places.database().exists() || schema().is_ok_and(|schema| schema < SCHEMA) {
        return Ok(Box::new(Unstarted::new(config.clone())));
    }
    Ok(Box::new(Running {
        database: places.database(),
        reader: Mutex::new(None),
        counted: counted::Counted::default(),
        places: places.clone(),
        alive: None,
    }))
}

fn failed(error: &StoreError) -> ReportError {
    ReportError::Failed(error.to_string())
}

impl Running {
    /// Reports of this process's own agent.
    pub fn new(
        places: &Places,
        shared: &Arc<Shared>,
        transfers: &Transfers,
        counters: &Counters,
        folders: OpenFolders,
        looking: Looking,
        people: People,
    ) -> Self {
        Self {
            database: places.database(),
            reader: Mutex::new(None),
            counted: counted::Counted::default(),
            places: places.clone(),
            alive: Some(Alive {
                shared: Arc::clone(shared),
                transfers: transfers.clone(),
                counters: counters.clone(),
                folders,
                looking,
                people,
            }),
        }
    }

    fn read<T>(&self, make: impl FnOnce(Rows<'_>) -> std::result::Result<T, StoreError>) -> Result<T> {
        let mut slot = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match slot.take() {
            Some(reader) => reader,
            None => Reader::open(&self.database).map_err(|error| failed(&error))?,
        };
        let made = make(reader.rows()).map_err(|error| failed(&error))?;
        *slot = Some(reader);
        Ok(made)
    }

    fn sign_in_ends(&self, account: &str, provider: &str) -> Option<Wall> {
        let provider = [ProviderName::Box, ProviderName::Egnyte].into_iter().find(|known| known.word() == provider)?;
        known_end(self.places.credentials_dir(), account, provider)
    }

    fn folder(&self, name: &str) -> Result<FolderRow> {
        let folders = self.read(|rows| rows.folders())?;
        let names: Vec<String> = folders.iter().filter_map(|folder| folder.name.clone()).collect();
        folders.into_iter().find(|folder| folder.name.as_deref() == Some(name)).ok_or_else(|| {
            let there = if names.is_empty() {
                "there are none: `agent add-folder` adds one".into()
            } else {
                format!("there are: {}", names.join(", "))
            };
            ReportError::NotFound(format!("there is no folder named `{name}`; {there}"))
        })
    }

    fn chosen(&self, folder: Option<&str>) -> Result<Vec<FolderRow>> {
        match folder {
            Some(name) => Ok(vec![self.folder(name)?]),
            None => self.read(|rows| rows.folders()),
        }
    }

    fn folder_status(
        &self,
        row: &FolderRow,
        account: &str,
        health: Option<&Health>,
        looked: &Looked,
    ) -> Result<FolderStatus> {
        let pending = self.read(|rows| self.counted.pending(rows, row.folder))?;
        let (mut state, mut degraded) = folder_state(row, &pending, health);
        if let Some(lost) = looked.lost.get(&row.folder) {
            // The engine may not have heard of it yet.
            (state, degraded) = (FolderState::Halted, Some(root_trouble(lost)));
        }
        if matches!(state, FolderState::InSync | FolderState::Unwatched) && looked.unsure.contains(&row.folder) {
            state = FolderState::Syncing;
        }
        let transfers = self.alive.as_ref().map(|alive| alive.transfers.of(row.folder)).unwrap_or_default();
        let progress = self.alive.as_ref().map(|alive| alive.transfers.progress(row.folder, pending.bytes));
        let digested = self.alive.as_ref().map(|alive| alive.folders.digested(row.folder)).unwrap_or_default();
        let count = |number: i64| number.max(0) as u64;
        Ok(FolderStatus {
            name: row.name.clone().unwrap_or_default(),
            account: account.to_owned(),
            remote: row.remote.clone(),
            local: row.local.display().to_string(),
            mode: row.policy.unwrap_or_default().mode.word().into(),
            state,
            degraded,
            files: count(row.counts.files),
            bytes: count(row.counts.bytes),
            folders: count(row.counts.folders),
            pending: pending.now + pending.waiting + pending.held,
            pending_bytes: pending.bytes,
            problems: pending.problems,
            quarantined: pending.quarantined,
            held: pending.holds,
            verified: row.verified_at,
            oldest_seen: self.read(|rows| rows.oldest_seen(row.folder))?,
            digested,
            left_out: if row.policy.unwrap_or_default().sends() {
                self.read(|rows| rows.left_out(row.folder))?
            } else {
                LeftOut::default()
            },
            progress: progress.unwrap_or_default(),
            transfers,
        })
    }
}

/// The calls that a folder's first sync still takes, as far as can be told.
fn calls_left(row: &FolderRow, folder: &FolderStatus) -> u64 {
    let Some(whole) = row.whole.filter(|_| row.verified_at.is_none()) else { return folder.pending };
    let files = whole.files.saturating_sub(folder.files);
    let folders = whole.folders.saturating_sub(folder.folders);
    (files + folders).max(folder.pending)
}

/// A folder's state as `agent status` shows it, and what is wrong with it.
pub fn folder_state(row: &FolderRow, pending: &Pending, health: Option<&Health>) -> (FolderState, Option<Degraded>) {
    let own = health.and_then(|health| health.folders.get(&row.folder).cloned().flatten());
    let of_account = health.and_then(|health| health.accounts.get(&row.account));
    let of_accounts = of_account.and_then(|account| account.degraded.clone()).filter(Degraded::halts);
    let is_unwatched = own.as_ref().is_some_and(|own| own.name == UNWATCHED);
    let halts = if is_unwatched { of_accounts } else { own.clone().or(of_accounts) };
    let caught_up = of_account.is_none_or(|account| account.caught_up);
    let is_unopened = health.is_some_and(|health| health.unopened.contains(&row.folder));
    let state = match state(row, pending, halts.is_some(), caught_up) {
        FolderState::InSync if is_unopened => FolderState::Syncing,
        FolderState::InSync if is_unwatched => FolderState::Unwatched,
        state => state,
    };
    (state, halts.or(own))
}

/// A folder's state in one word: the worst thing that is true of it.
fn state(row: &FolderRow, pending: &Pending, degraded: bool, caught_up: bool) -> FolderState {
    if degraded {
        FolderState::Halted
    } else if row.paused {
        FolderState::Paused
    } else if row.root.is_none() && row.verified_at.is_some() {
        // It was known before, and what was known is not believed any more.
        FolderState::Unverified
    } else if row.root.is_none() {
        FolderState::Starting
    } else if row.doubt.is_some() && row.verified_at.is_some() {
        FolderState::Verifying
    } else if row.unverified.is_some() {
        let first = row.verified_at.is_none();
        if first && row.comparison_stage == Some(ComparisonStage::Listing) {
            FolderState::Listing
        } else if first {
            FolderState::Syncing
        } else {
            FolderState::Unverified
        }
    } else if pending.now > 0 || pending.waiting > pending.problems || !caught_up {
        FolderState::Syncing
    } else if pending.holds > 0 {
        FolderState::Held
    } else if pending.problems > 0 {
        FolderState::Problems
    } else {
        FolderState::InSync
    }
}

impl Running {
    fn status_after(&self, looked: &Looked) -> Result<Status> {
        let health = self.alive.as_ref().map(|alive| alive.shared.health());
        let accounts = self.read(|rows| rows.accounts())?;
        let mut rows = self.read(|rows| rows.folders())?;
        // Without an agent what the configuration names counts: the database is as the last agent left it.
        let configured = if self.alive.is_none() { Config::load(&self.places).ok() } else { None };
        if let Some(config) = &configured {
            rows.retain(|row| row.name.as_deref().is_some_and(|name| config.folder(name).is_some()));
        }
        let mut folders = Vec::new();
        for row in &rows {
            let account = accounts.iter().find(|account| account.account == row.account);
            let name = account.map_or("", |account| account.name.as_str());
            folders.push(self.folder_status(row, name, health.as_ref(), looked)?);
        }
        let holds = self.read(|rows| rows.holds())?;
        let known = |account: &crate::store::accounts::AccountRow| {
            health.as_ref().is_none_or(|health| health.accounts.contains_key(&account.account))
                && configured.as_ref().is_none_or(|config| config.account(&account.name).is_some())
        };
        let mut accounts: Vec<AccountStatus> = accounts
            .into_iter()
            .filter(known)
            .map(|account| {
                let own = health.as_ref().and_then(|health| health.accounts.get(&account.account)).cloned();
                let mut budget = own.as_ref().map(|own| own.budget.clone()).unwrap_or_default();
                if budget.per_day.is_none() {
                    // Without a limit the calls of this run are shown; they are not kept.
                    let counters = self.alive.as_ref().map(|alive| alive.counters.of(&account.name));
                    budget.spent_today = counters.map_or(0, |counter| counter.counts().calls());
                }
                let calls = rows.iter().zip(&folders).filter(|(row, _)| row.account == account.account);
                let calls = calls.map(|(row, folder)| calls_left(row, folder)).sum();
                budget.forecast = budget.per_day.and_then(|per_day| forecast(&account.provider, per_day, calls));
                budget.forecast_days = budget.per_day.map(|per_day| forecast_days(per_day, calls));
                budget.closed_until = own.as_ref().and_then(|own| own.closed_until);
                AccountStatus {
                    provider: account.provider.clone(),
                    login: account.login.clone(),
                    user_id: account.user_id.clone(),
                    sign_in_ends: self.sign_in_ends(&account.name, &account.provider),
                    degraded: own.as_ref().and_then(|own| own.degraded.clone()),
                    long_poll: own.as_ref().is_some_and(|own| own.long_poll),
                    last_poll: account.polled_at,
                    next_poll: own.as_ref().and_then(|own| own.next_poll),
                    events: account.counts,
                    budget,
                    name: account.name,
                }
            })
            .collect();
        if let Some(config) = configured {
            // What was added since is shown as well.
            let new = Unstarted::new(config).status()?;
            accounts.extend(
                new.accounts
                    .into_iter()
                    .filter(|new| !accounts.iter().any(|old| old.name == new.name))
                    .collect::<Vec<_>>(),
            );
            folders.extend(
                new.folders
                    .into_iter()
                    .filter(|new| !folders.iter().any(|old| old.name == new.name))
                    .collect::<Vec<_>>(),
            );
        }
        let degraded = self.alive.as_ref().map(|alive| alive.shared.degraded()).unwrap_or_default();
        let has_stepped = match &self.alive {
            Some(alive) => alive.shared.last_step().is_some(),
            // Of folders nobody knows it without an agent; of nothing everybody does.
            None => folders.is_empty(),
        };
        // Before the first step the database may not even know the folders of the configuration.
        let in_use = |account: &AccountStatus| folders.iter().any(|folder| folder.account == account.name);
        let in_sync = has_stepped
            && !degraded.iter().any(Degraded::halts)
            && accounts
                .iter()
                .all(|account| !in_use(account) || !account.degraded.as_ref().is_some_and(Degraded::halts))
            && folders.iter().all(|folder| folder.state == FolderState::InSync);
        let problems = self.read(|rows| rows.problems(None))?;
        let newest = self.read(|rows| rows.newest_event())?;
        let subscriptions = self.read(|rows| rows.subscriptions())?;
        let remarks = self.alive.as_ref().map(|alive| alive.shared.remarks()).unwrap_or_default();
        Ok(Status {
            subscriptions: subscriptions.into_iter().map(|row| row.status(newest)).collect(),
            schema: SCHEMA_VERSION,
            running: self.alive.is_some(),
            pid: self.alive.as_ref().map(|_| std::process::id()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            in_sync,
            degraded: degraded.into_iter().chain(remarks).collect(),
            held: holds.len() as u64,
            problems: problems.len() as u64,
            accounts,
            folders,
            scanners: health.map(|health| health.scanners.clone()).unwrap_or_default(),
        })
    }
}

impl Reports for Running {
    fn status(&self) -> Result<Status> {
        self.status_after(&Looked::default())
    }

    fn fresh_status(&self) -> Result<Status> {
        let looked = self.alive.as_ref().map(|alive| alive.looking.look()).unwrap_or_default();
        self.status_after(&looked)
    }

    fn scan_unwatched(&self) {
        if let Some(alive) = &self.alive {
            alive.looking.scan_unwatched();
        }
    }

    fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>> {
        if let Some(name) = &query.folder {
            self.folder(name)?;
        }
        self.read(|rows| rows.events(query))
    }

    fn nameless(&self) -> Result<Vec<Nameless>> {
        let Some(alive) = self.alive.as_ref().filter(|alive| alive.people.may_ask()) else { return Ok(Vec::new()) };
        let mut nameless = self.read(|rows| rows.nameless(wall_now()))?;
        if nameless.is_empty() {
            return Ok(nameless);
        }
        let health = alive.shared.health();
        let accounts = self.read(|rows| rows.accounts())?;
        nameless.retain(|of| {
            let account = accounts.iter().find(|account| account.name == of.account);
            let health = account.and_then(|account| health.accounts.get(&account.account));
            health.is_some_and(|health| {
                health.closed_until.is_none_or(|until| until <= wall_now())
                    && health.degraded.is_none()
                    && health.budget.shares.is_none_or(|shares| shares.free >= CALLS_TO_SPARE)
            })
        });
        Ok(nameless)
    }

    fn ask_name(&self, of: &Nameless) -> Option<Command> {
        self.alive.as_ref()?.people.ask(of)
    }

    fn plan(&self, folder: Option<&str>) -> Result<Vec<PlanRow>> {
        let mut plan = Vec::new();
        for folder in self.chosen(folder)? {
            let name = folder.name.clone().unwrap_or_default();
            let policy = folder.policy.unwrap_or_default();
            self.read(|rows| {
                for (node, failed) in rows.unlisted(folder.folder)? {
                    plan.push(PlanRow {
                        folder: name.clone(),
                        path: rows.path(node)?,
                        from: None,
                        action: "list".into(),
                        bytes: None,
                        waits_for: failed,
                    });
                }
                for planned in rows.planned(folder.folder)? {
                    plan.push(plan_row(rows, &name, policy, &planned.item, planned.look, planned.waits_for)?);
                }
                Ok(())
            })?;
        }
        Ok(plan)
    }

    fn held(&self) -> Result<Vec<HoldRow>> {
        self.read(|rows| rows.holds())
    }

    fn conflicts(&self, folder: Option<&str>) -> Result<Vec<ConflictRow>> {
        let mut conflicts = Vec::new();
        for folder in self.chosen(folder)? {
            let name = folder.name.clone().unwrap_or_default();
            for row in self.read(|rows| rows.conflicts(Some(folder.folder)))? {
                let folder = name.clone();
                conflicts.push(ConflictRow {
                    folder,
                    path: row.path,
                    copy: row.kept,
                    reason: row.reason,
                    since: row.at,
                    decision: row.decision.map(|decision| decision.keep.word().to_owned()),
                });
            }
        }
        Ok(conflicts)
    }

    fn problems(&self, folder: Option<&str>) -> Result<Vec<ProblemRow>> {
        let folder = folder.map(|name| self.folder(name)).transpose()?;
        self.read(|rows| rows.problems(folder.map(|folder| folder.folder)))
    }

    fn metrics(&self, format: MetricsFormat) -> Result<String> {
        let document = self.figures()?.document(format);
        document.map_err(|_| ReportError::Failed("the figures cannot be written".into()))
    }

    fn versions(&self, path: &str) -> Result<Versions> {
        let (folder, below) = self.folder_of(path)?;
        let accounts = self.read(|rows| rows.accounts())?;
        let account = accounts.into_iter().find(|account| account.account == folder.account);
        let account = account.map(|account| account.name).unwrap_or_default();
        self.read(|rows| recall::versions(rows, &account, path, &folder, &below))?
            .ok_or_else(|| ReportError::NotFound(format!("nothing is known of a file at {path}")))
    }

    fn why(&self, path: &str) -> Result<Why> {
        let (folder, below) = self.folder_of(path)?;
        let filter = self.filtered_by(&folder, &below);
        let keep_for = self.keep_for(&folder);
        self.read(|rows| why(rows, path, &folder, &below, filter, keep_for))
    }
}

impl Running {
    /// The folder that a path lies in, and the path below it.
    fn folder_of(&self, path: &str) -> Result<(FolderRow, PathBuf)> {
        let asked = Path::new(path);
        let folders = self.read(|rows| rows.folders())?;
        let folder = folders
            .into_iter()
            .find(|folder| asked.starts_with(&folder.local))
            .ok_or_else(|| ReportError::NotFound(format!("{path} lies in no watched folder")))?;
        let below = asked.strip_prefix(&folder.local).unwrap_or(asked).to_owned();
        Ok((folder, below))
    }

    /// How long local copies stay, in milliseconds, if not for ever.
    fn keep_for(&self, folder: &FolderRow) -> Option<i64> {
        let config = Config::load(&self.places).ok()?;
        let settings = config.folder(folder.name.as_deref()?)?;
        let keep = settings.keep_for.filter(|_| settings.mode == Mode::Mirror)?;
        i64::try_from(keep.as_millis()).ok()
    }

    /// The pattern that keeps a path out, if one does.
    fn filtered_by(&self, folder: &FolderRow, below: &Path) -> Option<String> {
        let config = Config::load(&self.places).ok()?;
        let settings = config.folder(folder.name.as_deref()?)?;
        let is_folder = folder.local.join(below).is_dir();
        Filter::new(settings).excluded_by(below.to_str()?, is_folder)
    }
}

pub(super) fn plan_row(
    rows: Rows<'_>,
    folder: &str,
    policy: Policy,
    item: &ItemRow,
    look: bool,
    waits_for: Option<String>,
) -> std::result::Result<PlanRow, StoreError> {
    let action = plan_under(policy, item);
    let word = match &action {
        _ if look => "look",
        Action::Forget | Action::InSync => "nothing",
        Action::Untrack => "stop syncing",
        Action::Acknowledge => "note the version",
        Action::MakeFolder { .. } => "make folder",
        Action::Fetch { .. } if item.synced.is_some() => "replace",
        Action::Fetch { .. } => "download",
        Action::Move { .. } => "move",
        Action::Remove(ItemKind::File | ItemKind::Folder) => "remove",
        Action::Read => "read",
        Action::Agree => "note that both agree",
        Action::Upload { .. } => "upload",
        Action::Update => "upload a version",
        Action::MakeRemote { .. } => "make folder in the cloud",
        Action::MoveRemote { .. } => "move in the cloud",
        Action::Trash(ItemKind::File | ItemKind::Folder) => "trash in the cloud",
        Action::ConflictCopy => "keep both",
        Action::Reupload => "keep the local one",
        Action::Redownload => "bring back",
        Action::Leave => "leave as it is",
    };
    let from = if matches!(action, Action::Move { .. }) { rows.path_on_disk(item.node)? } else { None };
    let bytes = match action {
        Action::Fetch { .. } => item.remote.content.as_ref().and_then(|content| content.size),
        _ => None,
    };
    let node: NodeId = item.node;
    Ok(PlanRow { folder: folder.to_owned(), path: rows.path(node)?, from, action: word.into(), bytes, waits_for })
}
