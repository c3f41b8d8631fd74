//! `agent verify`: reads every file again and compares disk, database and cloud.

use std::time::{Duration, Instant};

use clap::Args;

use super::agent;
use super::cloud;
use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, count, harmless, size, some_of};
use crate::command::{Command, REPAIRED_AT_ONCE, Repair};
use crate::config::{Config, Places};
use crate::daemon::verify::{Keeping, Verifier, VerifyError};
use crate::report::{Listing, Mending, Verification};
use crate::store::Reader;
use crate::store::verifying::VerifyPlaces;

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How far it steps back behind other programs.
const NICE: i32 = 10;
/// Differences that are shown to people; `--json` has them all.
const SHOWN_MOST: usize = 50;
/// Local files that are named as examples.
const LOCAL_SHOWN: usize = 3;

/// Read every file again, and compare disk, database and cloud
///
/// Ends with 3 if they differ. Changes that are on their way while the agent runs are looked at twice before they count. Files that are
/// only on disk are counted and are no difference: in a mirror they are yours. It lists the whole remote folder, one call for each
/// directory, and reads all that is on disk. Interrupted, it goes on where it was when it is run again within a week.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent verify
  agent verify inbox --repair && agent wait")]
pub struct VerifyArgs {
    /// The folder [default: all]
    name: Option<String>,
    /// Have the agent mend what differs: nothing that somebody wrote is lost
    #[arg(long)]
    repair: bool,
    /// Begin anew what was interrupted
    #[arg(long)]
    anew: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `agent verify`.
pub async fn verify(args: &VerifyArgs, places: &Places, screen: &mut Screen) -> Outcome {
    // Whatever else this machine does comes first; without the right to step back it goes on as it is.
    let _ = rustix::process::nice(NICE);
    let config = Config::load(places)?;
    if config.folders.is_empty() && args.name.is_none() {
        if args.json {
            screen.json(&Listing::new(Vec::<Verification>::new()))?;
        } else {
            screen.line("No folder is configured, so there is nothing to verify. Add one: agent add-folder /REMOTE/FOLDER LOCAL")?;
        }
        return Ok(Exit::Fine);
    }
    if !places.database().exists() {
        return Err(Failure::error("nothing was mirrored yet").hint("start the agent with `agent run`"));
    }
    let reader = Reader::open(&places.database())
        .map_err(|error| Failure::error("the database cannot be read").because(error))?;
    let rows = reader.rows().folders().map_err(|error| Failure::error("the database cannot be read").because(error))?;
    let mut verifications = VerifyPlaces::open(&places.verifications()).map_err(|error| {
        Failure::error("the place of the verification cannot be kept")
            .because(error)
            .hint("another `agent verify` may be at work; if none is, the file can be removed")
    })?;
    let mut reports = Vec::new();
    for settings in config.folders.iter().filter(|folder| args.name.as_ref().is_none_or(|name| *name == folder.name)) {
        let row = rows.iter().find(|row| row.name.as_ref() == Some(&settings.name));
        let row = row.ok_or_else(|| failure(VerifyError::NotReady(settings.name.clone()), &settings.name))?;
        let provider = cloud::connect(cloud::account(&config, Some(&settings.account))?, places.credentials_dir())?;
        let verifier =
            Verifier::new(&reader, provider.clone(), settings, row).map_err(|error| failure(error, &settings.name))?;
        let mut shown = Instant::now();
        let (terminal, begun) = (screen.is_terminal() && !args.json, Instant::now());
        let keeping = Keeping { places: &mut verifications, anew: args.anew };
        let verified = verifier
            .verify(keeping, |files, bytes| {
                if terminal && shown.elapsed() >= PROGRESS_EVERY {
                    shown = Instant::now();
                    screen.remark(Tone::Quiet, &settings.name, &format!("{}, {}", count(files, "file"), size(bytes)));
                }
            })
            .await;
        provider.settle().await;
        let mut report = verified.map_err(|error| failure(error, &settings.name))?;
        report.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        reports.push(report);
    }
    if let (Some(name), true) = (&args.name, reports.is_empty()) {
        let known: Vec<&str> = config.folders.iter().map(|folder| folder.name.as_str()).collect();
        return Err(
            Failure::error(format!("there is no folder named `{name}`")).hint(format!("there is {}", known.join(", ")))
        );
    }
    let differ = reports.iter().any(|report| report.differing > 0);
    if !args.json {
        for report in &reports {
            show(report, screen)?;
        }
    }
    if args.repair {
        for report in reports.iter().filter(|report| report.differing > 0) {
            for repair in repairs(report) {
                let message = agent::command(places, Command::Repair(repair)).await?;
                if !args.json {
                    screen.line(message)?;
                }
            }
        }
    }
    if args.json {
        screen.json(&Listing::new(reports))?;
    } else if differ && !args.repair {
        screen.line("`agent verify --repair` has the agent mend it.")?;
    }
    Ok(if differ { Exit::Pending } else { Exit::Fine })
}

fn failure(error: VerifyError, folder: &str) -> Failure {
    match error {
        VerifyError::Provider(error) => error.into(),
        VerifyError::Disk(why) => Failure::error(format!("folder `{folder}` cannot be read, so nothing is said of it"))
            .because(why)
            .hint("see to the disk, and verify again; what was looked at is kept"),
        VerifyError::NotReady(_) => Failure::error(error.to_string()).hint("let the agent run first: agent run"),
        VerifyError::Store(_) => Failure::error(error.to_string()).hint("see what is wrong with it: agent db check"),
        VerifyError::Place(_) => Failure::error(error.to_string()).hint("begin anew: agent verify --anew"),
    }
}

fn show(report: &Verification, screen: &mut Screen) -> std::io::Result<()> {
    let read = format!(
        "{} in {}, {} read",
        count(report.files, "file"),
        count(report.folders, "directory").replace("directorys", "directories"),
        size(report.bytes)
    );
    let verdict = if report.differing == 0 {
        screen.tint(Tone::Good, "disk, database and cloud agree")
    } else {
        screen.tint(Tone::Bad, count(report.differing, "difference"))
    };
    let resumed = if report.resumed { " · went on where it was interrupted" } else { "" };
    screen.line(format_args!("{}: {verdict} · {read}{resumed}", report.folder))?;
    let rows = report.differences.iter().take(SHOWN_MOST).map(|difference| {
        let pending = if difference.pending { " (being worked on)" } else { "" };
        let kind = format!("{}{pending}", difference.kind);
        [difference.path.clone(), kind, difference.disk.clone(), difference.database.clone(), difference.cloud.clone()]
    });
    screen.table(["PATH", "WHAT", "DISK", "DATABASE", "CLOUD"], rows)?;
    let more = report.differing.saturating_sub(SHOWN_MOST as u64);
    if more > 0 {
        screen.line(format_args!("and {more} more"))?;
    }
    if report.only_local > 0 {
        let examples: Vec<String> = report.only_local_examples.iter().map(|path| harmless(path)).collect();
        let examples = some_of(&examples, LOCAL_SHOWN);
        screen.line(format_args!(
            "{} only on disk, such as {examples}",
            count(report.only_local, "entry").replace("entrys", "entries")
        ))?;
    }
    Ok(())
}

/// What the agent is asked to mend, in requests of a size that it takes.
fn repairs(report: &Verification) -> Vec<Repair> {
    let mut repairs = Vec::new();
    for part in report.differences.chunks(REPAIRED_AT_ONCE) {
        let of = |mending: Mending| {
            let meant = part.iter().filter(move |difference| difference.mending == mending);
            meant.filter_map(|difference| difference.item.clone()).collect()
        };
        repairs.push(Repair {
            folder: report.folder.clone(),
            missing: of(Mending::Missing),
            differing: of(Mending::Differs),
            compare: false,
        });
    }
    // One comparison serves all; it goes last, so that what the disk lost is marked before.
    let compare = report.differences.iter().any(|difference| difference.mending == Mending::Compare);
    if let Some(last) = repairs.last_mut() {
        last.compare = compare;
    }
    repairs
}
