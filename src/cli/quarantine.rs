//! `agent quarantine`: what was rejected, and what a person decides about it.

use clap::{Args, Subcommand};

use super::agent;
use super::explain::plain;
use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, age, harmless, moment, now, size};
use crate::command::Command;
use crate::config::{Places, Surroundings};
use crate::quarantine::Quarantine;
use crate::report::{Listing, QuarantineReport};
use crate::shown::person;

/// Look at rejected files, and decide about them
///
/// A version that a `before` hook rejected is kept where nothing else can read it, and is not fetched again.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent quarantine list
  agent quarantine show 7
  agent quarantine release 7 --reason 'false alarm, checked by hand'")]
pub struct QuarantineArgs {
    #[command(subcommand)]
    what: What,
}

/// Have what is on disk examined again by the hooks that decide
///
/// It happens in the background, beside the rest of the work. What is found leaves its folder for quarantine.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent rescan
  agent rescan /srv/inbox
  agent rescan /srv/inbox/report.pdf")]
pub struct RescanArgs {
    /// A file, or the directory of a watched folder [default: everything]
    path: Option<std::path::PathBuf>,
}

/// Runs `agent rescan`.
pub async fn rescan(args: &RescanArgs, places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome {
    let path = args.path.as_ref().map(|path| plain(&around.current_dir.join(path)).to_string_lossy().into_owned());
    screen.line(agent::command(places, Command::Rescan { path }).await?)?;
    Ok(Exit::Fine)
}

#[derive(Debug, Subcommand)]
enum What {
    /// List what is in quarantine
    List {
        /// Also what somebody decided about
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one rejected version
    Show {
        /// Its number, as `list` shows it
        number: i64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Publish it all the same
    Release {
        /// Its number
        number: i64,
        /// Why; it is written down
        #[arg(long)]
        reason: String,
    },
    /// Delete it; this version is not fetched again
    Delete {
        /// Its number
        number: i64,
    },
    /// Fetch it again and have it examined anew
    Rescan {
        /// Its number
        number: i64,
    },
}

/// Runs `agent quarantine`.
pub async fn quarantine(args: QuarantineArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let command = match args.what {
        What::List { all, json } => return list(all, json, places, screen),
        What::Show { number, json } => return show(number, json, places, screen),
        What::Release { number, reason } => Command::ReleaseQuarantined { number, reason },
        What::Delete { number } => Command::DeleteQuarantined { number },
        What::Rescan { number } => Command::RescanQuarantined { number },
    };
    screen.line(agent::command(places, command).await?)?;
    Ok(Exit::Fine)
}

fn rows(number: Option<i64>, all: bool, places: &Places) -> Outcome<Vec<QuarantineReport>> {
    match agent::database(places)? {
        Some(reader) => Ok(reader.rows().quarantine(number, all)?),
        None => Ok(Vec::new()),
    }
}

fn list(all: bool, json: bool, places: &Places, screen: &mut Screen) -> Outcome {
    let rows = rows(None, all, places)?;
    if json {
        screen.json(&Listing::new(rows))?;
        return Ok(Exit::Fine);
    }
    if rows.is_empty() {
        screen.line("Nothing is in quarantine.")?;
        return Ok(Exit::Fine);
    }
    let now = now();
    let rows = rows.into_iter().map(|row| {
        [
            row.id.to_string(),
            row.state,
            row.folder,
            harmless(&row.path),
            size(row.size),
            row.hook,
            harmless(&row.reason),
            age(row.at, now),
        ]
    });
    screen.table(["NUMBER", "STATE", "FOLDER", "PATH", "SIZE", "HOOK", "WHY", "SINCE"], rows)?;
    Ok(Exit::Fine)
}

fn show(number: i64, json: bool, places: &Places, screen: &mut Screen) -> Outcome {
    let Some(row) = rows(Some(number), true, places)?.pop() else {
        return Err(Failure::error(format!("there is no number {number} in quarantine"))
            .hint("see `agent quarantine list --all`"));
    };
    if json {
        screen.json(&row)?;
        return Ok(Exit::Fine);
    }
    screen.line(format_args!("number {}: {} in folder `{}`", row.id, harmless(&row.path), row.folder))?;
    screen.line(format_args!("  {}, {} bytes, SHA-256 {}", row.item, row.size, row.sha256))?;
    screen.line(format_args!("  version {}", harmless(&row.version)))?;
    screen.line(format_args!("  hook `{}` ({}): {}", row.hook, row.verdict, harmless(&row.reason)))?;
    screen.line(format_args!("  {}, {}", moment(row.at), row.state))?;
    if let Some(since) = row.since {
        screen.line(format_args!("  in the folder since {}, and found there later", moment(since)))?;
    }
    if let Some(actor) = &row.actor {
        screen.line(format_args!("  brought by {}", person(actor)))?;
    }
    if let Some(reached) = &row.reached {
        screen.line(format_args!("  hooks that had been told of it: {}", harmless(reached)))?;
    }
    if let Some(how) = &row.cloud_copy {
        let text = harmless(how);
        screen
            .line(format_args!("  still to be done with the cloud's copy: {text} (tried again until it succeeds)"))?;
    }
    if let Some(why) = &row.why {
        screen.line(format_args!("  reason given: {}", harmless(why)))?;
    }
    if let Some(expires) = row.expires {
        screen.line(format_args!("  goes by itself: {}", moment(expires)))?;
    }
    let content = Quarantine::new(places.quarantine_dir()).content(row.id);
    if content.exists() {
        screen.line(format_args!("  content: {}", content.display()))?;
    }
    screen.line(format_args!(
        "  publish it: agent quarantine release {0} --reason WHY    delete it: agent quarantine delete {0}",
        row.id
    ))?;
    Ok(Exit::Fine)
}
