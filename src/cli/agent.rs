//! Whoever answers a command: the running agent over its socket, else a reader of its database.

use crate::command::{Answer, Command};
use crate::config::{Config, Places};
use crate::daemon;
use crate::daemon::client::ControlClient;
use crate::report::{
    ConflictRow, EventQuery, EventRow, HoldRow, MetricsFormat, PlanRow, ProblemRow, Reports, Status, Versions, Why,
};

use crate::store::{Reader, SCHEMA};

use super::failure::{Exit, Failure, Outcome};
use crate::shown::is_number;

/// Whoever answers.
pub enum Agent {
    /// An agent is running.
    Running(ControlClient),
    /// None is; its database is read, or, before its first run, the configuration.
    Offline(Box<dyn Reports>),
}

impl Agent {
    /// Finds whoever answers for an installation.
    pub async fn find(places: &Places) -> Outcome<Self> {
        if let Some(client) = ControlClient::find(&places.socket).await? {
            return Ok(Self::Running(client));
        }
        let config = Config::load(places)?;
        Ok(Self::Offline(daemon::offline_reports(places, &config)?))
    }

    /// The running agent, or a failure with exit code 6.
    pub async fn running(places: &Places) -> Outcome<ControlClient> {
        ControlClient::find(&places.socket).await?.ok_or_else(|| {
            Failure::new(Exit::NoAgent, "no agent is running")
                .because(format!("nobody answers on {}", places.socket.display()))
                .hint("start it with `agent run`, or install the service with `agent service install`")
        })
    }

    /// `agent status`.
    pub async fn status(&self) -> Outcome<Status> {
        match self {
            Self::Running(client) => Ok(client.status().await?),
            Self::Offline(reports) => Ok(reports.status()?),
        }
    }

    /// `agent events`.
    pub async fn events(&self, query: &EventQuery) -> Outcome<Vec<EventRow>> {
        match self {
            Self::Running(client) => {
                let rows = client.events(query).await?;
                if !rows.iter().any(|row| row.actor.as_deref().is_some_and(is_number)) {
                    return Ok(rows);
                }
                client.name_people().await?;
                Ok(client.events(query).await?)
            }
            Self::Offline(reports) => Ok(reports.events(query)?),
        }
    }

    /// `agent plan`.
    pub async fn plan(&self, folder: Option<&str>) -> Outcome<Vec<PlanRow>> {
        match self {
            Self::Running(client) => Ok(client.plan(folder).await?),
            Self::Offline(reports) => Ok(reports.plan(folder)?),
        }
    }

    /// `agent held`.
    pub async fn held(&self) -> Outcome<Vec<HoldRow>> {
        match self {
            Self::Running(client) => Ok(client.held().await?),
            Self::Offline(reports) => Ok(reports.held()?),
        }
    }

    /// `agent conflicts`.
    pub async fn conflicts(&self, folder: Option<&str>) -> Outcome<Vec<ConflictRow>> {
        match self {
            Self::Running(client) => Ok(client.conflicts(folder).await?),
            Self::Offline(reports) => Ok(reports.conflicts(folder)?),
        }
    }

    /// `agent problems`.
    pub async fn problems(&self, folder: Option<&str>) -> Outcome<Vec<ProblemRow>> {
        match self {
            Self::Running(client) => Ok(client.problems(folder).await?),
            Self::Offline(reports) => Ok(reports.problems(folder)?),
        }
    }

    /// `agent metrics`.
    pub async fn metrics(&self, format: MetricsFormat) -> Outcome<String> {
        match self {
            Self::Running(client) => Ok(client.metrics(format).await?),
            Self::Offline(reports) => Ok(reports.metrics(format)?),
        }
    }

    /// `agent versions`.
    pub async fn versions(&self, path: &str) -> Outcome<Versions> {
        match self {
            Self::Running(client) => Ok(client.versions(path).await?),
            Self::Offline(reports) => Ok(reports.versions(path)?),
        }
    }

    /// `agent why`.
    pub async fn why(&self, path: &str) -> Outcome<Why> {
        match self {
            Self::Running(client) => Ok(client.why(path).await?),
            Self::Offline(reports) => Ok(reports.why(path)?),
        }
    }
}

/// What is in the state directory cannot be told, which is not the same as nothing.
pub fn closed(error: &std::io::Error) -> Failure {
    Failure::error("the state directory cannot be read")
        .because(error)
        .hint("run the command with sudo, or as the agent's user")
}

/// Has a running agent name people who are only numbers so far; whether there is one.
pub async fn name_people(places: &Places) -> bool {
    match ControlClient::find(&places.socket).await {
        Ok(Some(client)) => client.name_people().await.is_ok(),
        _ => false,
    }
}

/// The database for reading; nothing before the agent's first run, or before its first run after an upgrade.
pub fn database(places: &Places) -> Outcome<Option<Reader>> {
    if !places.database().try_exists().map_err(|error| closed(&error))? {
        return Ok(None);
    }
    let reader = Reader::open(&places.database())?;
    Ok((reader.rows().schema()? == SCHEMA).then_some(reader))
}

/// Has a command carried out by the running agent, or by the engine run for this one command (design §12.29).
pub async fn command(places: &Places, command: Command) -> Outcome<String> {
    let answer = match ControlClient::find(&places.socket).await? {
        Some(client) => client.command(&command).await?,
        None => daemon::command_alone(places, &Config::load(places)?, command).await?,
    };
    accepted(answer)
}

/// The sentence of a good answer; the failure of any other.
pub fn accepted(answer: Answer) -> Outcome<String> {
    match answer {
        Answer::Ok { message } => Ok(message),
        Answer::NotFound { message } => Err(Failure::error(message)
            .hint("`agent folders`, `accounts`, `subscriptions`, `held` and `quarantine list` show what there is")),
        Answer::Refused { message } => Err(Failure::error(message).hint("see how things are: agent status")),
        Answer::Busy => Err(Failure::new(Exit::Temporary, "the agent is busy").hint("try again")),
    }
}
