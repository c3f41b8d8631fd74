//! `agent conflicts` and `agent conflicts resolve`: where both sides wrote, and what a person keeps.

use clap::{Args, Subcommand, ValueEnum};

use super::Surroundings;
use super::agent::{self, Agent};
use super::explain::plain;
use super::failure::{Exit, Outcome};
use super::render::{Screen, Tone, age, count, harmless, now};
use crate::command::{Command, Keep};
use crate::config::{Config, Places};
use crate::report::{CHANGED_AFTER_DECISION, ConflictRow, Listing};

/// List the files of which both sides had something to say
///
/// The cloud's version keeps the name; what the disk had lies beside it as a conflict copy, and is in the cloud as well.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent conflicts
  agent conflicts resolve reports/plan.docx --keep remote
  agent conflicts resolve --all --keep both --dry-run")]
pub struct ConflictsArgs {
    #[command(subcommand)]
    resolve: Option<ConflictCommand>,
    /// Only those of this folder
    #[arg(value_name = "FOLDER")]
    folder: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ConflictCommand {
    /// Decide one conflict, or all of them
    Resolve(ResolveArgs),
}

/// Decide one conflict, or all of them
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent conflicts resolve reports/plan.docx --keep remote
  agent conflicts resolve --all --keep both --dry-run")]
struct ResolveArgs {
    /// The path that both wanted, or that of the copy, as `agent conflicts` shows it
    #[arg(required_unless_present = "all")]
    path: Option<String>,
    /// Decide every conflict
    #[arg(long, conflicts_with = "path")]
    all: bool,
    /// Only in this folder
    #[arg(long, value_name = "NAME")]
    folder: Option<String>,
    /// What to keep
    #[arg(long, value_name = "WHICH")]
    keep: KeepWord,
    /// Only say what would be decided
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print the conflicts that are decided as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeepWord {
    /// What has the name; the copy goes to the version store and the cloud's trash
    Remote,
    /// What the copy holds; it becomes a new version under the name
    Local,
    /// Both, as they are
    Both,
}

/// Runs `agent conflicts`.
pub async fn conflicts(args: &ConflictsArgs, places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome {
    if let Some(ConflictCommand::Resolve(args)) = &args.resolve {
        return resolve(args, places, around, screen).await;
    }
    let conflicts = Agent::find(places).await?.conflicts(args.folder.as_deref()).await?;
    if args.json {
        screen.json(&Listing::new(conflicts))?;
        return Ok(Exit::Fine);
    }
    if conflicts.is_empty() {
        screen.line("No conflicts.")?;
        return Ok(Exit::Fine);
    }
    let now = now();
    for conflict in &conflicts {
        let title = screen.tint(Tone::Warning, format_args!("{}: {}", conflict.folder, harmless(&conflict.path)));
        screen.line(format_args!("{title}, since {}", age(conflict.since, now)))?;
        screen.line(format_args!("  copy: {}", harmless(&conflict.copy)))?;
        if let Some(keep) = &conflict.decision {
            screen.line(format_args!("  decided: keep {keep}, when an agent runs and comes to it"))?;
        } else if conflict.reason == CHANGED_AFTER_DECISION {
            screen.line("  what was to go was changed after the decision, and both are kept: decide again")?;
        }
    }
    let all = count(conflicts.len() as u64, "conflict");
    screen.line(format_args!("{all}; decide with: agent conflicts resolve PATH --keep local|remote|both"))?;
    Ok(Exit::Fine)
}

async fn resolve(args: &ResolveArgs, places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome {
    let keep = match args.keep {
        KeepWord::Remote => Keep::Remote,
        KeepWord::Local => Keep::Local,
        KeepWord::Both => Keep::Both,
    };
    let agent = Agent::find(places).await?;
    let mut meant = agent.conflicts(args.folder.as_deref()).await?;
    let (mut path, mut folder) = (args.path.clone(), args.folder.clone());
    if let Some(wanted) = &path {
        let is_at = |row: &ConflictRow, at: &str| row.path == at || row.copy == at;
        if !meant.iter().any(|row| is_at(row, wanted))
            && let Some((inside, below)) = in_a_folder(wanted, places, around)?
        {
            meant.retain(|row| row.folder == inside);
            (path, folder) = (Some(below), Some(inside));
        }
        meant.retain(|row| path.as_deref().is_some_and(|path| is_at(row, path)));
    }
    if args.dry_run {
        if args.json {
            screen.json(&Listing::new(meant))?;
            return Ok(Exit::Fine);
        }
        for row in &meant {
            screen.line(format_args!("Would {}.", what_follows(row, keep)))?;
        }
        if meant.is_empty() {
            screen.line("Would decide nothing: there is no such conflict.")?;
        }
        return Ok(Exit::Fine);
    }
    let said = agent::command(places, Command::Resolve { path, folder, keep }).await?;
    if args.json {
        screen.json(&Listing::new(meant))?;
        return Ok(Exit::Fine);
    }
    screen.line(said)?;
    if matches!(agent, Agent::Offline(_)) && keep != Keep::Both && !meant.is_empty() {
        screen.line("No agent is running: it is carried out when one does.")?;
    }
    Ok(Exit::Fine)
}

/// A path as a person at the disk writes it: the folder that holds it, and the path below its root.
fn in_a_folder(path: &str, places: &Places, around: &Surroundings) -> Outcome<Option<(String, String)>> {
    let path = plain(&around.current_dir.join(path));
    let config = Config::load(places)?;
    let inside = config.folders.iter().find_map(|folder| {
        let below = path.strip_prefix(&folder.local).ok()?;
        Some((folder.name.clone(), below.to_string_lossy().into_owned()))
    });
    Ok(inside)
}

fn what_follows(row: &ConflictRow, keep: Keep) -> String {
    let (path, copy) = (harmless(&row.path), harmless(&row.copy));
    match keep {
        Keep::Both => format!("keep both and list them no longer: {path} and {copy}"),
        Keep::Remote => format!("keep {path} as it is and remove {copy}, which stays in the version store"),
        Keep::Local => format!("put {copy} in the place of {path}, whose content stays in the version store"),
    }
}
