//! Reports before the first run: nothing has happened yet, and the configuration is all there is to tell.

use std::collections::BTreeMap;
use std::path::Path;

use super::figures::Figures;
use crate::config::Config;
use crate::report::{
    AccountStatus, Budget, ConflictRow, Digested, EventCounts, EventQuery, EventRow, FolderState, FolderStatus,
    HoldRow, LeftOut, MetricsFormat, PlanRow, ProblemRow, Progress, ReportError, Reports, SCHEMA_VERSION, Status,
    Versions, Why, WhyFacts,
};

/// See the module.
#[derive(Debug)]
pub struct Unstarted {
    config: Config,
}

impl Unstarted {
    /// Knows the configuration only.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    fn check_folder(&self, folder: Option<&str>) -> Result<(), ReportError> {
        let Some(name) = folder.filter(|name| self.config.folder(name).is_none()) else { return Ok(()) };
        let known: Vec<&str> = self.config.folders.iter().map(|folder| folder.name.as_str()).collect();
        let instead =
            if known.is_empty() { "none is configured".to_owned() } else { format!("there is {}", known.join(", ")) };
        Err(ReportError::NotFound(format!("there is no folder named `{name}`; {instead}")))
    }
}

impl Reports for Unstarted {
    fn status(&self) -> Result<Status, ReportError> {
        let accounts = self.config.accounts.iter().map(|account| AccountStatus {
            name: account.name.clone(),
            provider: account.provider.word().to_owned(),
            login: None,
            user_id: None,
            sign_in_ends: None,
            degraded: None,
            long_poll: false,
            last_poll: None,
            next_poll: None,
            events: EventCounts::default(),
            budget: Budget { per_day: account.calls_per_day.map(u64::from), ..Budget::default() },
        });
        let folders: Vec<FolderStatus> = self
            .config
            .folders
            .iter()
            .map(|folder| FolderStatus {
                name: folder.name.clone(),
                account: folder.account.clone(),
                remote: folder.remote.to_string(),
                local: folder.local.display().to_string(),
                mode: folder.mode.word().to_owned(),
                state: FolderState::Starting,
                degraded: None,
                files: 0,
                bytes: 0,
                folders: 0,
                pending: 0,
                pending_bytes: 0,
                problems: 0,
                quarantined: 0,
                held: 0,
                verified: None,
                oldest_seen: None,
                digested: Digested::default(),
                left_out: LeftOut::default(),
                progress: Progress::default(),
                transfers: Vec::new(),
            })
            .collect();
        Ok(Status {
            subscriptions: Vec::new(),
            schema: SCHEMA_VERSION,
            running: false,
            pid: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            in_sync: folders.is_empty(),
            degraded: Vec::new(),
            accounts: accounts.collect(),
            folders,
            held: 0,
            problems: 0,
            scanners: Vec::new(),
        })
    }

    fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>, ReportError> {
        self.check_folder(query.folder.as_deref()).map(|()| Vec::new())
    }

    fn plan(&self, folder: Option<&str>) -> Result<Vec<PlanRow>, ReportError> {
        self.check_folder(folder).map(|()| Vec::new())
    }

    fn held(&self) -> Result<Vec<HoldRow>, ReportError> {
        Ok(Vec::new())
    }

    fn conflicts(&self, folder: Option<&str>) -> Result<Vec<ConflictRow>, ReportError> {
        self.check_folder(folder).map(|()| Vec::new())
    }

    fn problems(&self, folder: Option<&str>) -> Result<Vec<ProblemRow>, ReportError> {
        self.check_folder(folder).map(|()| Vec::new())
    }

    fn metrics(&self, format: MetricsFormat) -> Result<String, ReportError> {
        let figures = Figures {
            now: super::wall_now(),
            status: self.status()?,
            folders: BTreeMap::new(),
            deliveries: Vec::new(),
            starts: 0,
            store_bytes: None,
            wal_bytes: 0,
            live: None,
        };
        figures.document(format).map_err(|_| ReportError::Failed("the figures cannot be written".into()))
    }

    fn versions(&self, path: &str) -> Result<Versions, ReportError> {
        Err(ReportError::NotFound(format!(
            "nothing is known of {path}: the agent has not run since its folder was added"
        )))
    }

    fn why(&self, path: &str) -> Result<Why, ReportError> {
        let folder = self
            .config
            .folder_of(Path::new(path))
            .ok_or_else(|| ReportError::NotFound(format!("{path} lies in no watched folder")))?;
        Ok(Why {
            schema: SCHEMA_VERSION,
            path: path.to_owned(),
            folder: folder.name.clone(),
            item: None,
            remote: None,
            synced: None,
            plan: "nothing yet: the agent has not run since the folder was added".to_owned(),
            problem: None,
            mapped: None,
            excluded_by: None,
            events: Vec::new(),
            versions: Vec::new(),
            hooks: Vec::new(),
            facts: WhyFacts { action: "nothing".into(), state: "unknown".into(), ..WhyFacts::default() },
        })
    }
}
