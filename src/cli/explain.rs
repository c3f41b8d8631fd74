//! `agent plan`, `agent why` and `agent problems`: what is meant to happen, and why something has not.

use std::path::{Path, PathBuf};

use clap::Args;

use super::agent::{self, Agent};
use super::failure::{Exit, Outcome};
use super::render::{Screen, Tone, age, count, harmless, moment, now, size};
use super::setup::quoted;
use crate::config::{Config, Places, Surroundings};
use crate::report::{Listing, MAX_ROWS, PlanRow, ProblemRow, Why};
use crate::settings::Mode;
use crate::shown::person;

/// Files that are shown of those that leave the disk when their time is over.
const LEAVING_SHOWN: u32 = 1_000;

/// Show what the agent would do now
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent plan
  agent plan inbox --json | jq '.rows | length'")]
pub struct PlanArgs {
    /// The folder [default: all]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tell everything that is known about one path
///
/// Where it stands, what is meant to happen, what went wrong, and the last events on it.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  agent why /srv/inbox/report.pdf")]
pub struct WhyArgs {
    /// The local path
    path: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// List the items that something is wrong with
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent problems
  agent problems inbox --json")]
pub struct ProblemsArgs {
    /// The folder [default: all]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `agent plan`.
pub async fn plan(args: &PlanArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let mut rows = Agent::find(places).await?.plan(args.name.as_deref()).await?;
    let leaving = leaving(args.name.as_deref(), places)?;
    if !args.json && rows.is_empty() && !leaving.is_empty() {
        screen.line("Nothing to do now.")?;
    }
    rows.extend(leaving);
    if args.json {
        screen.json(&Listing::new(rows))?;
        return Ok(Exit::Fine);
    }
    if rows.is_empty() {
        screen.line("Nothing to do.")?;
        return Ok(Exit::Fine);
    }
    let bytes = rows.iter().filter(|row| row.action != "expire").filter_map(|row| row.bytes).sum();
    let number = rows.len();
    screen.table(["FOLDER", "ACTION", "PATH", "SIZE", "WAITS FOR"], rows.into_iter().map(plan_row))?;
    let cut = if number >= MAX_ROWS as usize { " at least" } else { "" };
    screen.line(format_args!("{}{cut}, {} to transfer.", count(number as u64, "action"), size(bytes)))?;
    Ok(Exit::Fine)
}

/// Files whose time on this disk ends, the next first, with the moment.
fn leaving(name: Option<&str>, places: &Places) -> Outcome<Vec<PlanRow>> {
    // Whoever may only ask the agent sees the rest of the plan.
    let Some(reader) = agent::database(places).ok().flatten() else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for folder in Config::load(places)?.folders {
        let Some(keep_for) = folder.keep_for.filter(|_| folder.mode == Mode::Mirror) else { continue };
        if name.is_some_and(|name| name != folder.name) {
            continue;
        }
        let keep_ms = i64::try_from(keep_for.as_millis()).unwrap_or(i64::MAX);
        for (path, bytes, began) in reader.rows().expiring(&folder.name, LEAVING_SHOWN)? {
            rows.push(PlanRow {
                folder: folder.name.clone(),
                path,
                from: None,
                action: "expire".into(),
                bytes,
                waits_for: Some(moment(began.plus_ms(keep_ms))),
            });
        }
    }
    Ok(rows)
}

/// A path, and from where it comes if it moves.
pub(super) fn moved_path(row: &PlanRow) -> String {
    match &row.from {
        Some(from) => format!("{from} → {}", row.path),
        None => row.path.clone(),
    }
}

fn plan_row(row: PlanRow) -> [String; 5] {
    let path = moved_path(&row);
    [row.folder, row.action, path, row.bytes.map(size).unwrap_or_default(), row.waits_for.unwrap_or_default()]
}

/// Runs `agent why`.
pub async fn why(args: &WhyArgs, places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome {
    let path = plain(&around.current_dir.join(&args.path));
    let why = Agent::find(places).await?.why(&path.to_string_lossy()).await?;
    if args.json {
        screen.json(&why)?;
    } else {
        explain(&why, screen)?;
    }
    Ok(Exit::Fine)
}

/// The path without `.` and `..`. The file need not exist, so the system cannot be asked.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            std::path::Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

fn explain(why: &Why, screen: &mut Screen) -> std::io::Result<()> {
    let path = screen.tint(Tone::Strong, harmless(&why.path));
    screen.line(format_args!("{path} in folder `{}`", why.folder))?;
    let facts = [
        ("item", why.item.as_ref().map(ToString::to_string)),
        ("cloud", why.remote.clone()),
        ("synced", why.synced.clone()),
        ("plan", Some(why.plan.clone())),
        ("name", why.mapped.clone()),
        ("excluded", why.excluded_by.as_ref().map(|pattern| format!("by the pattern {pattern}"))),
    ];
    for (label, fact) in facts {
        if let Some(fact) = fact {
            screen.line(format_args!("  {label:<9} {}", harmless(&fact)))?;
        }
    }
    if let Some(problem) = &why.problem {
        let label = screen.tint(Tone::Bad, format_args!("{:<9}", "problem"));
        screen.line(format_args!("  {label} {}", harmless(&problem.text)))?;
        screen.line(format_args!("  {:<9} {}", "next", harmless(&next(problem))))?;
    }
    if let Some(end) = why.facts.deleted_here {
        let end = format!("{} ({}): the local copy is deleted; the cloud keeps its own", age(end, now()), moment(end));
        screen.line(format_args!("  {:<9} {end}", "keep_for"))?;
    }
    for event in &why.events {
        let who = event.actor.as_deref().map(|actor| format!(" by {}", person(actor))).unwrap_or_default();
        let what = format!("{} {}{who} → {}", moment(event.received), event.kind, event.outcome);
        screen.line(format_args!("  {:<9} {}", "event", harmless(&what)))?;
    }
    for version in &why.versions {
        screen.line(format_args!("  {:<9} {}", "version", harmless(version)))?;
    }
    for said in &why.hooks {
        screen.line(format_args!("  {:<9} {}", "said", harmless(said)))?;
    }
    Ok(())
}

/// Runs `agent problems`.
pub async fn problems(args: &ProblemsArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let agent = Agent::find(places).await?;
    let rows = agent.problems(args.name.as_deref()).await?;
    if args.json {
        screen.json(&Listing::new(rows))?;
        return Ok(Exit::Fine);
    }
    if rows.is_empty() {
        screen.line("No problems.")?;
    }
    let now = now();
    let rows = rows.into_iter().map(|row| {
        let since = row.since.map_or_else(|| "-".to_owned(), |since| age(since, now));
        let next = next(&row);
        [row.folder, row.path, row.text, since, next]
    });
    screen.table(["FOLDER", "PATH", "PROBLEM", "SINCE", "NEXT STEP"], rows)?;
    let folders = agent.status().await?.folders;
    for folder in folders.iter().filter(|folder| args.name.as_ref().is_none_or(|name| *name == folder.name)) {
        let Some(words) = folder.left_out.words() else { continue };
        let name = harmless(&folder.name);
        screen.line(format_args!("{name}: {}; only files and directories are sent", harmless(&words)))?;
        for example in folder.left_out.examples.iter().take(5) {
            let path = Path::new(&folder.local).join(example);
            screen.line(format_args!("  agent why {}", quoted(&path.to_string_lossy())))?;
        }
    }
    Ok(Exit::Fine)
}

fn next(problem: &ProblemRow) -> String {
    match problem.next_try {
        Some(moment) => format!(
            "{} (tried {}, again {})",
            problem.next_step,
            count(u64::from(problem.attempts), "time"),
            age(moment.max(now()), now())
        ),
        None => problem.next_step.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_plain_without_the_disk() {
        assert_eq!(plain(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(plain(Path::new("/../x")), Path::new("/x"));
    }
}
