//! `agent db`: care for the database of the agent: check it, make it smaller, copy it, put a copy back.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::explain::plain;
use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, count, harmless, size};
use super::terminal;
use crate::config::{Places, Surroundings};
use crate::daemon::client::ControlClient;
use crate::daemon::{database, lock};
use crate::report::SCHEMA_VERSION;
use crate::store::StoreError;
use crate::store::upkeep::{self, Depth, Facts};

/// Check, compact, copy or put back the agent's database
///
/// The database knows what is in sync, and why not. It is rebuilt from disk and cloud when it is lost or damaged: nothing is deleted, and
/// nothing fetched that is there; only what was to be decided, the history and the list of former versions are lost with it. Before an
/// upgrade changes its schema, the agent makes a copy beside it, `state.db.schema-N`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent db check
  agent db backup /backup/agent.db
  agent db restore /backup/agent.db        # with the agent stopped
  agent db compact                         # likewise")]
pub struct DbArgs {
    #[command(subcommand)]
    action: Action,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Look whether the database is whole; an agent may be running
    Check,
    /// Make the file smaller; no agent may be running
    Compact,
    /// Write a whole copy to a file; an agent may be running
    Backup {
        /// Where to
        file: PathBuf,
        /// Replace what is there
        #[arg(short, long)]
        yes: bool,
    },
    /// Put a copy in the place of the database; no agent may be running
    ///
    /// What the copy remembers is old: every folder is compared with disk and cloud before anything is deleted or sent. The database that
    /// was there is kept beside it.
    Restore {
        /// The copy
        file: PathBuf,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Serialize)]
struct Told<'a> {
    schema: u32,
    database: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<&'a Facts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
    message: String,
}

/// Runs `agent db`.
pub async fn db(args: &DbArgs, places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome {
    let database = places.database();
    let told = |facts, file, message: String, screen: &mut Screen| -> Outcome<()> {
        if args.json {
            screen.json(&Told { schema: SCHEMA_VERSION, database: &database, facts, file, message })?;
        } else {
            screen.line(message)?;
        }
        Ok(())
    };
    match &args.action {
        Action::Check => return check(&database, args.json, screen),
        Action::Compact => {
            there_is(&database)?;
            let _lock = stopped(places).await?;
            let before = bytes_of(&database);
            upkeep::compact(&database).map_err(|error| refused(&database, error))?;
            let after = bytes_of(&database);
            told(
                None,
                None,
                format!("{} has {} now; it had {}.", database.display(), size(after), size(before)),
                screen,
            )?;
        }
        Action::Backup { file, yes } => {
            there_is(&database)?;
            let file = plain(&around.current_dir.join(file));
            let is = |own: &Path| own.exists() && fs::canonicalize(&file).ok() == fs::canonicalize(own).ok();
            if [database.clone(), database.with_extension("db-wal"), database.with_extension("db-shm")]
                .iter()
                .any(|own| is(own))
            {
                return Err(Failure::error(format!("{} is the database itself", file.display()))
                    .hint("choose another file for the copy"));
            }
            if file.exists() && !yes {
                return Err(Failure::error(format!("{} is there already", file.display())).hint("--yes replaces it"));
            }
            database::write_copy(&database, &file).map_err(|error| {
                Failure::error(format!("no copy was written to {}", file.display()))
                    .because(error)
                    .hint("choose a file on a disk with room, in a directory that you may write to")
            })?;
            let copy = bytes_of(&file);
            told(None, Some(&file), format!("Wrote {} to {}.", size(copy), file.display()), screen)?;
        }
        Action::Restore { file, yes } => {
            let file = plain(&around.current_dir.join(file));
            let facts = database::usable(&file).map_err(|error| {
                Failure::error(format!("{} cannot take the place of the database", file.display()))
                    .because(error)
                    .hint("choose another copy; `agent db backup` writes them")
            })?;
            places.make_state_dirs()?;
            let _lock = stopped(places).await?;
            if !yes && !terminal::can_ask() {
                return Err(Failure::new(Exit::Usage, "replacing the database must be confirmed")
                    .hint("say so with --yes; the database that is there is kept beside it"));
            }
            if !yes && !terminal::confirm(&format!("Put {} in place of the database?", file.display()))? {
                screen.line("Nothing was changed.")?;
                return Ok(Exit::Fine);
            }
            let message = restore(&file, &database, places)?;
            told(Some(&facts), Some(&file), message, screen)?;
        }
    }
    Ok(Exit::Fine)
}

fn check(database: &Path, json: bool, screen: &mut Screen) -> Outcome {
    there_is(database)?;
    let facts = upkeep::look(database, Depth::Whole).map_err(|error| refused(database, error))?;
    let is_whole = facts.complaints.is_empty();
    let message = if is_whole { "the database is whole" } else { "the database is damaged" };
    if json {
        let message = message.to_owned();
        screen.json(&Told { schema: SCHEMA_VERSION, database, facts: Some(&facts), file: None, message })?;
    } else {
        let (tone, mark) = if is_whole { (Tone::Good, "✓") } else { (Tone::Bad, "✗") };
        let mark = screen.tint(tone, mark);
        let free =
            if facts.free_bytes > 0 { format!(", {} of it free", size(facts.free_bytes)) } else { String::new() };
        screen.line(format_args!(
            "{mark} {}: {message} · schema {} · {}{free}",
            database.display(),
            facts.schema,
            size(facts.bytes)
        ))?;
        for complaint in &facts.complaints {
            screen.line(format_args!("    {}", harmless(complaint)))?;
        }
        let rows: Vec<String> =
            facts.rows.iter().filter(|(_, rows)| *rows > 0).map(|(table, rows)| count(*rows, table)).collect();
        if !rows.is_empty() {
            screen.line(format_args!("  {}", rows.join(", ")))?;
        }
        if !is_whole {
            screen.line("  → stop the agent, then: agent db restore FILE; or move the file away: it is rebuilt from disk and cloud")?;
        }
    }
    Ok(if is_whole { Exit::Fine } else { Exit::Error })
}

fn restore(file: &Path, database: &Path, places: &Places) -> Outcome<String> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::error("the copy was not put in place")
            .because(error)
            .hint("the database is as it was; see to the disk, and give the command again")
    };
    let new = places.state_dir.join("state.db.restored");
    database::write_copy(file, &new).map_err(|error| failed(&error))?;
    // All that may fail for want of room or rights comes before the database that is there is moved.
    database::forget_generation(&new).map_err(|error| failed(&error))?;
    places.adopt(&new).map_err(|error| failed(&error))?;
    database::expect_newer(places).map_err(|error| failed(&error))?;
    let mut message = String::new();
    if database.exists() {
        let aside = database::move_aside(database, "before-restore").map_err(|error| failed(&error))?;
        message = format!(" What was there is kept as {}.", aside.display());
    }
    fs::rename(&new, database).map_err(|error| failed(&error))?;
    Ok(format!(
        "Put {} in place of the database.{message} At the next start every folder is compared before anything is deleted or sent.",
        file.display()
    ))
}

fn there_is(database: &Path) -> Outcome<()> {
    let there = database.try_exists().map_err(|error| super::agent::closed(&error))?;
    if there {
        return Ok(());
    }
    Err(Failure::error(format!("there is no database {} yet", database.display()))
        .hint("the agent makes it at its first run: agent run"))
}

/// The lock of the state directory: no agent runs, and none begins.
async fn stopped(places: &Places) -> Outcome<lock::Lock> {
    if ControlClient::find(&places.socket).await?.is_some() {
        return Err(Failure::new(Exit::Temporary, "an agent is running")
            .hint("stop it first: agent service stop, or Ctrl-C where it runs"));
    }
    let lock = lock::take(&places.state_dir)?;
    // Made by root, it is the agent's all the same.
    let adopted = places.adopt(&places.state_dir.join("agent.lock"));
    adopted.map_err(|error| Failure::error("the lock cannot be given to the agent's user").because(error))?;
    Ok(lock)
}

fn bytes_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn refused(database: &Path, error: StoreError) -> Failure {
    let failure = Failure::error(format!("the database {} cannot be used", database.display())).because(&error);
    match error {
        error if error.is_damage() => failure.hint(
            "the agent sets a damaged database aside and makes a new one from disk and cloud: agent run; or put a copy back: agent db restore",
        ),
        StoreError::Newer { .. } => failure.hint("install the newer agent again"),
        _ => failure.hint("run the command as the agent's user, or with sudo"),
    }
}
