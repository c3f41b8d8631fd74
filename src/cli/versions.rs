//! `agent versions`: what a file held before, and where each content can be brought back from.

use std::path::PathBuf;

use clap::Args;

use super::agent::Agent;
use super::cloud;
use super::explain::plain;
use super::failure::{Exit, Outcome};
use super::render::{Screen, Tone, count, harmless, moment, size};
use crate::config::{Config, Places, Surroundings};
use crate::id::ItemKind;
use crate::report::{VersionRow, Versions};

/// List the versions of a file, and where each can be restored from
///
/// Those that the agent saw in the cloud, and those that it kept when they were replaced or deleted on disk. A path that is gone is
/// fine: what was there is remembered.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent versions /srv/inbox/report.pdf
  agent versions /srv/inbox/report.pdf --remote --json")]
pub struct VersionsArgs {
    /// The local path
    path: PathBuf,
    /// Ask the cloud which older versions it still has (one call)
    #[arg(long)]
    remote: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `agent versions`.
pub async fn versions(args: &VersionsArgs, places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome {
    let path = plain(&around.current_dir.join(&args.path));
    let mut report = Agent::find(places).await?.versions(&path.to_string_lossy()).await?;
    if args.remote {
        ask_cloud(&mut report, &Config::load(places)?, places).await?;
    }
    if args.json {
        screen.json(&report)?;
    } else {
        show(&report, args.remote, screen)?;
    }
    Ok(Exit::Fine)
}

/// Adds what the cloud says of the item's older versions.
pub async fn ask_cloud(report: &mut Versions, config: &Config, places: &Places) -> Outcome<()> {
    let Some(item) = report.item.clone().filter(|item| item.kind() == ItemKind::File) else { return Ok(()) };
    let account = cloud::account(config, Some(&report.account))?;
    let provider = cloud::connect(account, places.credentials_dir())?;
    let older = provider.versions(&item).await;
    provider.settle().await;
    for found in older? {
        let same = |row: &&mut VersionRow| row.item == item && row.version.as_ref() == Some(&found.version);
        if let Some(row) = report.rows.iter_mut().find(same) {
            row.in_cloud = true;
            row.size = row.size.or(found.size);
            row.hash = row.hash.take().or(found.hash);
            row.modified = row.modified.or(found.modified);
            continue;
        }
        report.rows.push(VersionRow {
            id: found.version.as_str().to_owned(),
            item: item.clone(),
            version: Some(found.version),
            state: "older".into(),
            size: found.size,
            hash: found.hash,
            modified: found.modified,
            since: None,
            on_disk: false,
            kept: None,
            kept_in: None,
            in_cloud: true,
        });
    }
    Ok(())
}

fn show(report: &Versions, asked: bool, screen: &mut Screen) -> std::io::Result<()> {
    let path = screen.tint(Tone::Strong, harmless(&report.path));
    let place = match (report.on_disk, report.in_cloud) {
        (true, true) => "on disk and in the cloud",
        (true, false) => "on disk; the cloud no longer has it",
        (false, true) => "in the cloud; not on disk",
        (false, false) => "neither on disk nor in the cloud any more",
    };
    screen.line(format_args!("{path} in folder `{}`: {place}", report.folder))?;
    if let Some(why) = &report.away {
        screen.line(format_args!("  it is kept off the disk: {why}; `agent restore` brings it back"))?;
    }
    screen.table(
        ["VERSION", "STATE", "SIZE", "WRITTEN", "UNTIL", "FROM"],
        report.rows.iter().map(|row| cells(row, asked)),
    )?;
    let kept = report.rows.iter().filter(|row| row.kept.is_some()).count();
    let remote = if asked { "" } else { "; --remote asks the cloud for its own" };
    screen.line(format_args!(
        "{}, {kept} of them in the version store{remote}.",
        count(report.rows.len() as u64, "version")
    ))
}

fn cells(row: &VersionRow, asked: bool) -> [String; 6] {
    let mut from = Vec::new();
    if row.on_disk {
        from.push("disk");
    }
    if row.kept.is_some() {
        from.push("version store");
    }
    if row.in_cloud {
        from.push("cloud");
    } else if row.kept.is_none() && !row.on_disk && !asked {
        from.push("perhaps the cloud");
    }
    [
        row.id.clone(),
        row.state.clone(),
        row.size.map(size).unwrap_or_default(),
        row.modified.map(moment).unwrap_or_default(),
        row.since.map(moment).unwrap_or_default(),
        from.join(", "),
    ]
}
