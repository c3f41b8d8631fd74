//! `agent restore`: brings a former content of a file back, to its place or to another one.

use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::agent::{self, Agent};
use super::cloud;
use super::explain::plain;
use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, harmless, now, size};
use super::versions::ask_cloud;
use crate::command::Command;
use crate::config::{Config, Places, Surroundings};
use crate::daemon::bandwidth::Pace;
use crate::daemon::fetch::{self, FetchError, FetchOrder};
use crate::deed::KeptAt;
use crate::hook::document::{Document, FolderPart, ItemPart, SCHEMA};
use crate::hook::select::Happening;
use crate::hook::{HookKind, Policy, Selector, Verdict, When};
use crate::id::{JobId, VersionId};
use crate::local::hash;
use crate::local::recall::{self, Dress, PutError, Target};
use crate::local::{LocalFolder, LocalOptions};
use crate::path::{Name, RESERVED_NAME, RelPath};
use crate::report::{SCHEMA_VERSION, VersionRow, Versions};
use crate::runner::{Order, Runner, Trust};
use crate::settings::{FolderSettings, Mode};
use crate::store::hooks::said;

/// Bring a former version of a file back
///
/// Without --version it is the newest one in the version store, also of a file that was deleted. In a mirror the cloud decides what is
/// at a path, so there --to says where the old content goes; a file that the cloud no longer has can go back to its place. A file that
/// expired, or whose deletion was accepted, is simply fetched again.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent restore /srv/inbox/report.pdf --to /tmp
  agent restore /srv/inbox/report.pdf --version kept-42 --to old-report.pdf
  agent restore /srv/inbox/deleted.pdf --dry-run")]
pub struct RestoreArgs {
    /// The local path
    path: PathBuf,
    /// Which version, as `agent versions` names it; one that only the cloud has is fetched from there
    #[arg(long, value_name = "ID")]
    version: Option<String>,
    /// Write it there instead: a file, or a directory that exists
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
    /// Replace a file that is at --to
    #[arg(short, long, requires = "to")]
    yes: bool,
    /// Only say what would happen
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was brought back, or would be.
#[derive(Serialize)]
struct Restored<'a> {
    schema: u32,
    done: bool,
    version: Option<&'a str>,
    /// `version_store`, or `cloud`.
    from: &'static str,
    to: String,
    bytes: Option<u64>,
    message: String,
}

/// Where the content goes.
struct Way {
    root: PathBuf,
    below: RelPath,
    target: Target,
    dress: Dress,
    remark: &'static str,
}

/// Runs `agent restore`.
pub async fn restore(args: &RestoreArgs, places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome {
    let path = plain(&around.current_dir.join(&args.path));
    let shown = path.to_string_lossy().into_owned();
    let mut report = Agent::find(places).await?.versions(&shown).await?;
    if report.away.is_some() && args.version.is_none() && args.to.is_none() {
        let message = if args.dry_run {
            format!("Would fetch {} from the cloud again.", harmless(&shown))
        } else {
            agent::command(places, Command::Restore { path: shown.clone() }).await?
        };
        let done = !args.dry_run;
        let said =
            Restored { schema: SCHEMA_VERSION, done, version: None, from: "cloud", to: shown, bytes: None, message };
        return said.tell(args.json, screen);
    }
    let config = Config::load(places)?;
    let way = match &args.to {
        Some(to) => elsewhere(&plain(&around.current_dir.join(to)), &path, args.yes)?,
        None => in_place(&report, &config, &path)?,
    };
    let row = choose(args.version.as_deref(), &mut report, &config, places).await?;
    let target = way.root.join(way.below.to_path());
    let (from, from_words) =
        if row.kept.is_some() { ("version_store", "the version store") } else { ("cloud", "the cloud") };
    let mut said = Restored {
        schema: SCHEMA_VERSION,
        done: false,
        version: Some(&row.id),
        from,
        to: target.to_string_lossy().into_owned(),
        bytes: row.size,
        message: String::new(),
    };
    let shown = harmless(&said.to);
    if args.dry_run {
        let what = format!("{} ({})", row.id, row.size.map_or_else(|| "size unknown".to_owned(), size));
        said.message = format!("Would write version {what} from {from_words} to {shown}.");
        return said.tell(args.json, screen);
    }
    let (content, _scratch) = if let Some(at) = row.kept_at() {
        (kept(&report, &at)?, None)
    } else {
        let (file, scratch) = fetched(&row, &report, &config, places).await?;
        (file, Some(scratch))
    };
    gate(&content, &row, &path, &target, &config, places).await?;
    let length = recall::put(&content, &way.root, &way.below, way.target, way.dress)
        .map_err(|error| not_written(&error, &target, args.to.is_some()))?;
    said.message = format!("Restored version {} from {from_words} to {shown}, {}.{}", row.id, size(length), way.remark);
    (said.done, said.bytes) = (true, Some(length));
    said.tell(args.json, screen)
}

impl Restored<'_> {
    fn tell(&self, json: bool, screen: &mut Screen) -> Outcome {
        if json {
            screen.json(self)?;
        } else {
            screen.line(&self.message)?;
        }
        Ok(Exit::Fine)
    }
}

/// The way to `--to`.
fn elsewhere(to: &Path, path: &Path, may_replace: bool) -> Outcome<Way> {
    let name = path.file_name().unwrap_or_default();
    let target = if to.is_dir() { to.join(name) } else { to.to_owned() };
    if target.iter().any(|step| step == RESERVED_NAME) {
        return Err(Failure::error(format!("{} is in a directory of the agent's own", target.display()))
            .hint("choose a place outside it"));
    }
    let (Some(root), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(Failure::error(format!("{} is no place for a file", target.display()))
            .hint("give the path of a file that is to be written"));
    };
    let below = relative(Path::new(name))?;
    if !root.is_dir() {
        return Err(Failure::error(format!("there is no directory {}", root.display()))
            .hint("make it first, or choose another place"));
    }
    if target.symlink_metadata().is_ok() && !may_replace {
        return Err(Failure::error(format!("{} is there already", target.display())).hint("--yes replaces it"));
    }
    let target = if may_replace { Target::AnyFile } else { Target::Free };
    Ok(Way { root: root.to_owned(), below, target, dress: Dress::Ours, remark: "" })
}

/// The way back to the file's own place.
fn in_place(report: &Versions, config: &Config, path: &Path) -> Outcome<Way> {
    let folder = config.folder(&report.folder).ok_or_else(|| {
        Failure::error(format!("the configuration has no folder `{}` any more", report.folder))
            .hint("add it again, or write the file elsewhere with --to PATH")
    })?;
    let root = PathBuf::from(&report.local);
    let below = relative(path.strip_prefix(&root).unwrap_or(path))?;
    let dress = Dress::Folder(folder.file_mode);
    match folder.mode {
        Mode::Mirror if report.in_cloud => {
            let name = &report.folder;
            Err(Failure::error(format!("`{name}` is a mirror: the cloud decides what is at {}", path.display()))
                .because("an older content there would be replaced by the cloud's version")
                .hint("write it elsewhere with --to PATH, or bring the older version back in the cloud"))
        }
        Mode::Mirror => {
            let remark = " The cloud does not have it: it is yours now, and the agent leaves it alone.";
            Ok(Way { root, below, target: Target::Free, dress, remark })
        }
        Mode::TwoWay | Mode::Upload => {
            let target = report.stamp.map_or(Target::Free, Target::This);
            Ok(Way { root, below, target, dress, remark: " It travels to the cloud like any local change." })
        }
    }
}

fn relative(path: &Path) -> Outcome<RelPath> {
    use std::os::unix::ffi::OsStrExt;
    let names: Result<Vec<Name>, _> = path.iter().map(|name| Name::new(name.as_bytes())).collect();
    names.map(RelPath::from_names).map_err(|error| {
        Failure::error(format!("{} is no place for a file", path.display()))
            .because(error)
            .hint("choose another place with --to PATH")
    })
}

/// The version that is meant: the named one, else the newest in the version store.
async fn choose(wanted: Option<&str>, report: &mut Versions, config: &Config, places: &Places) -> Outcome<VersionRow> {
    let Some(wanted) = wanted else {
        return report.rows.iter().find(|row| row.kept.is_some()).cloned().ok_or_else(|| {
            Failure::error(format!("the version store has nothing of {}", report.path))
                .hint("`agent versions PATH --remote` lists what the cloud still has; choose one with --version")
        });
    };
    if let Some(row) = find(wanted, report) {
        return Ok(row);
    }
    ask_cloud(report, config, places).await?;
    find(wanted, report).ok_or_else(|| {
        Failure::error(format!("there is no version {wanted} of {}", report.path))
            .hint("`agent versions PATH --remote` lists them")
    })
}

/// A version by either of its names; one that is here counts before one that must be fetched.
fn find(wanted: &str, report: &Versions) -> Option<VersionRow> {
    let named = |row: &&VersionRow| row.id == wanted || row.version.as_ref().map(VersionId::as_str) == Some(wanted);
    let here = report.rows.iter().filter(named).find(|row| row.kept.is_some());
    here.or_else(|| report.rows.iter().find(named)).cloned()
}

fn kept(report: &Versions, at: &KeptAt) -> Outcome<File> {
    recall::open_kept(Path::new(&report.local), at).map_err(|error| {
        let failure = Failure::error(format!("version kept-{} cannot be read", at.job)).because(&error);
        match error.kind() {
            std::io::ErrorKind::NotFound => failure.hint("it was given up meanwhile; see `agent versions`"),
            std::io::ErrorKind::PermissionDenied => failure.hint("run the command with sudo"),
            _ => failure,
        }
    })
}

/// Fetches a version from the cloud into a directory that goes away with the command.
async fn fetched(row: &VersionRow, report: &Versions, config: &Config, places: &Places) -> Outcome<(File, TempDir)> {
    let Some(version) = row.version.clone() else {
        return Err(Failure::error(format!("version {} is nowhere to be had", row.id))
            .hint("`agent versions PATH --remote` lists what is; choose one with --version"));
    };
    let account = cloud::account(config, Some(&report.account))?;
    let provider = cloud::connect(account, places.credentials_dir())?;
    let scratch = TempDir::with_prefix_in("restore-", &places.state_dir)?;
    let options = LocalOptions { file_mode: 0o600, dir_mode: 0o700, min_free: 0, create: true };
    let folder = LocalFolder::open(&scratch.path().join("content"), "restore", options).map_err(|error| {
        Failure::error("there is no room to fetch it")
            .because(error)
            .hint("make room on the disk of the state directory")
    })?;
    let folder = Arc::new(folder);
    let order = FetchOrder {
        job: JobId(0),
        item: row.item.clone(),
        version,
        size: row.size,
        hash: row.hash.clone(),
        modified: row.modified,
    };
    let pace = Pace::new(account.bandwidth_down.clone());
    let fetched = fetch::fetch(&*provider, Arc::clone(&folder), order, &pace, |_| {}, CancellationToken::new()).await;
    provider.settle().await;
    let staged = fetched.map_err(|error| match error {
        FetchError::Provider(error) => Failure::from(error),
        other => Failure::error("the version could not be fetched")
            .because(other)
            .hint("give the command again; another version may do: agent versions PATH --remote"),
    })?;
    let file =
        folder.open_staged(&staged).map_err(|error| Failure::error("what was fetched is lost").because(error))?;
    Ok((file, scratch))
}

/// What was rejected is not brought back, and what hooks decide about passes them first: as the file that it was, and as the one that it
/// becomes.
async fn gate(
    content: &File,
    row: &VersionRow,
    path: &Path,
    target: &Path,
    config: &Config,
    places: &Places,
) -> Outcome<()> {
    let unreadable = |error: io::Error| Failure::error("what is to be restored cannot be read").because(error);
    let digest = hash::digest(content, None).map_err(unreadable)?;
    let version = row.version.as_ref().map_or("", VersionId::as_str);
    if let Some(reader) = agent::database(places)? {
        for folder in config.folders.iter().filter(|folder| is_in(path, folder) || is_in(target, folder)) {
            let known =
                reader.rows().folders()?.into_iter().find(|known| known.name.as_deref() == Some(folder.name.as_str()));
            let Some(id) = known.map(|known| known.folder) else { continue };
            if let Some((hook, reason)) = reader.rows().rejection(id, &row.item, version, digest.sha256)? {
                return Err(Failure::new(
                    Exit::PersonNeeded,
                    format!("version {} was rejected by hook `{hook}`: {reason}", row.id),
                )
                .hint(
                    "`agent quarantine list --all` shows it, and `agent quarantine release` lets it go with a reason",
                ));
            }
        }
    }
    let selector = Selector::new(config.hooks.clone());
    let runner = Runner::new(Trust::of(places.is_system()), &places.credentials_dir())
        .map_err(|error| Failure::error("hooks cannot be run").because(error))?;
    let places_of_it = if path == target { vec![path] } else { vec![path, target] };
    for place in places_of_it {
        let Some(folder) = config.folders.iter().find(|folder| is_in(place, folder)) else { continue };
        let below = place.strip_prefix(&folder.local).unwrap_or(place);
        let shown = below.to_string_lossy();
        let what = Happening {
            kind: HookKind::FileDownload,
            account: &folder.account,
            folder: Some(&folder.name),
            path: Some(&shown),
            is_dir: false,
        };
        for hook in selector.choose(When::Before, what) {
            let copy = TempDir::with_prefix_in("restore-", &places.state_dir).map_err(unreadable)?;
            let file = copy.path().join("content");
            let mut from = content;
            from.rewind().map_err(unreadable)?;
            io::copy(&mut from, &mut File::create(&file).map_err(unreadable)?).map_err(unreadable)?;
            let document = Document {
                schema: SCHEMA,
                hook: hook.name.clone(),
                when: When::Before,
                event: HookKind::FileDownload,
                delivery: format!("restore-{}", uuid::Uuid::new_v4()),
                attempt: 1,
                at: now(),
                account: None,
                folder: Some(FolderPart {
                    name: folder.name.clone(),
                    local: folder.local.display().to_string(),
                    remote: folder.remote.to_string(),
                }),
                item: Some(ItemPart {
                    kind: "file".into(),
                    id: Some(row.item.raw().to_owned()),
                    version: row.version.as_ref().map(ToString::to_string),
                    path: shown.clone().into_owned(),
                    path_before: None,
                    size: Some(digest.size),
                    sha256: Some(digest.sha256.to_string()),
                }),
                file: Some(file.display().to_string()),
                actor: None,
                message: Some("a former version is to be restored".into()),
                depth: 0,
                causes: Vec::new(),
            };
            let order = Order { document, path: Some(below.into()), file: Some(file) };
            let outcome = runner.run(hook, &order).await;
            if !matches!(hook.policies.of(outcome.verdict), None | Some(Policy::Allow)) {
                let why = said(&outcome).unwrap_or_else(|| outcome.verdict.to_string());
                let text = format!("hook `{}` does not allow version {}: {why}", hook.name, row.id);
                let exit = match outcome.verdict {
                    Verdict::Error | Verdict::TimedOut => Exit::Temporary,
                    _ => Exit::PersonNeeded,
                };
                return Err(Failure::new(exit, text).because(format!("its verdict: {}", outcome.verdict)));
            }
        }
    }
    Ok(())
}

fn is_in(path: &Path, folder: &FolderSettings) -> bool {
    path.starts_with(&folder.local)
}

fn not_written(error: &PutError, target: &Path, elsewhere: bool) -> Failure {
    let failure = Failure::error(format!("nothing was written to {}", target.display())).because(error);
    match error {
        PutError::Taken if elsewhere => failure.hint("--yes replaces it"),
        PutError::Changed => failure.hint("wait until it is in the cloud, or write it elsewhere with --to PATH"),
        PutError::Taken | PutError::NotAFile | PutError::UnsafePath => {
            failure.hint("write it elsewhere with --to PATH")
        }
        PutError::Io(_) => failure,
    }
}
