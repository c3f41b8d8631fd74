//! `agent add-folder`: look before anything is changed, then change the configuration last.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use clap::{Args, ValueEnum};

use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, count, harmless, size, some_of, span};
use super::{agent, cloud, hooks, terminal};
use crate::config::edit::{Editor, Kind, Setting};
use crate::config::{Config, Installation, Places, Surroundings, parse_remote};
use crate::daemon::client::ControlClient;
use crate::path::RESERVED_NAME;
use crate::provider::{Resolved, TreeSize};
use crate::service::DropIn;
use crate::settings::{AccountSettings, FolderSettings, Mode, RemotePlace};
use crate::tree::RemoteItem;

/// What may lie in a directory that still counts as empty.
const NOT_CONTENT: [&str; 2] = [RESERVED_NAME, "lost+found"];
/// Names that are shown of what exists where the wanted folder does not.
const INSTEAD_SHOWN: usize = 8;

/// The modes as the command line names them.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum ModeArg {
    /// The cloud decides
    #[default]
    Mirror,
    /// Both decide
    TwoWay,
    /// The disk decides
    Upload,
}

impl ModeArg {
    fn mode(self) -> Mode {
        match self {
            Self::Mirror => Mode::Mirror,
            Self::TwoWay => Mode::TwoWay,
            Self::Upload => Mode::Upload,
        }
    }
}

/// Mirror a remote folder to a local directory, or keep both in step
///
/// The remote folder is looked up, the directory is made, and the pair is written to the configuration file. A running
/// agent starts at once. Files that are there already are compared by their hash and not downloaded again if they are
/// equal.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent add-folder /Projects/Inbox ./inbox
  agent add-folder id:123456 /srv/inbox --name inbox --exclude '*.tmp' --exclude '~$*'
  agent add-folder /Scans /srv/scans --account work --dry-run")]
pub struct AddFolderArgs {
    /// The remote folder: a path from the top of the account, or id:123456
    remote: String,
    /// The local directory; made if it is not there
    local: PathBuf,
    /// The account, if there is more than one
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// What to call the folder [default: the remote folder's own name]
    #[arg(long)]
    name: Option<String>,
    /// Who decides
    #[arg(long, value_enum, default_value_t)]
    mode: ModeArg,
    /// Only what matches this gitignore pattern; may be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Nothing that matches this gitignore pattern; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Have every file scanned before anybody can see it: clamd, clamscan, or the path of a program
    #[arg(long, value_name = "SCANNER")]
    scan: Option<String>,
    /// Delete local copies this long after they arrived (or were changed: --keep-from), such as 30d; the cloud keeps its own, and a new
    /// version comes again
    #[arg(long, value_name = "TIME")]
    keep_for: Option<String>,
    /// From when that is counted: from arrival on this disk, or from the last change in the cloud [default: arrival]
    #[arg(long, value_name = "arrival|change", requires = "keep_for")]
    keep_from: Option<String>,
    /// The provider's id of the user whose folder it is, for an account that may act for others
    #[arg(long, value_name = "USER")]
    as_user: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask, and accept a directory that is not empty
    #[arg(short = 'y', long)]
    yes: bool,
}

/// Runs `agent add-folder`.
pub async fn add_folder(args: AddFolderArgs, places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome {
    let config = Config::load(places)?;
    let account = cloud::account(&config, args.account.as_deref())?;
    let place = parse_remote(&args.remote).map_err(|wrong| {
        let failure = Failure::new(Exit::Usage, format!("`{}`: {}", args.remote, wrong.problem));
        let hint = wrong.hint.unwrap_or_else(|| "give a path such as /Projects/Inbox, or id:123456".to_owned());
        failure.hint(hint)
    })?;
    let local = absolute(&args.local, &around.current_dir);
    let text = local.to_str().ok_or_else(|| {
        Failure::error("the local path is not valid UTF-8").because(local.display()).hint("rename the directory")
    })?;

    let (item, holds) = resolve(account, args.as_user.as_deref(), &place, places).await?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => free_name(&config, &item, account),
    };
    let mut settings = vec![
        ("name", Setting::Text(name.clone())),
        ("account", Setting::Text(account.name.clone())),
        ("remote", Setting::Text(place.to_string())),
        ("local", Setting::Text(text.to_owned())),
        ("mode", Setting::Text(args.mode.mode().word().to_owned())),
    ];
    let lists = [("include", args.include), ("exclude", args.exclude)];
    settings
        .extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(key, list)| (key, Setting::List(list))));
    let texts = [("keep_for", args.keep_for), ("keep_from", args.keep_from), ("as_user", args.as_user.clone())];
    settings.extend(texts.into_iter().filter_map(|(key, value)| Some((key, Setting::Text(value?)))));
    // Tried now and repeated at the end, so that nobody else waits for the file while a person thinks.
    let scan = args.scan.as_deref().map(|scanner| hooks::scan_hook(scanner, &name, &config)).transpose()?;
    let after = with_folder(places, &settings, scan.as_deref())?.check()?;
    for hook in after.hooks.iter().filter(|hook| config.hook(&hook.name).is_none()) {
        hooks::check_program(hook, places)?;
    }
    let folder = after.folder(&name).ok_or_else(|| Failure::error("the new folder cannot be found again"))?;

    if let Some(other) = shared_remote(&config, folder) {
        let remote = folder.remote.to_string();
        let what = format!("folder `{}` syncs {} already, to {}", other.name, other.remote, other.local.display());
        let why = format!("what one of them does in {remote} the other one takes for somebody else's change");
        if !args.yes {
            return Err(Failure::error(what)
                .because(why)
                .hint("choose another remote folder, or make the second one a mirror; --yes adds it all the same"));
        }
        screen.remark(Tone::Warning, "warning", &format!("{what}; {why}"));
    }
    let found = Found::look(&local, places)?;
    if let Found::Directory { entries } = &found
        && !entries.is_empty()
        && !args.yes
    {
        return Err(Failure::error(format!("the directory {text} is not empty"))
            .because(format!("it holds {}", some_of(entries, INSTEAD_SHOWN)))
            .hint("with --yes, equal files are kept and not downloaded again, and others are never touched"));
    }
    let drop_in = DropIn::needed_for(places, &local);
    describe(&found, folder, account, holds, drop_in.as_ref(), args.dry_run, screen)?;
    if args.dry_run {
        return Ok(Exit::Fine);
    }
    if !args.yes && terminal::can_ask() && !terminal::confirm("Add this folder?")? {
        screen.line("Nothing was changed.")?;
        return Ok(Exit::Fine);
    }
    make_directory(&local, folder.dir_mode, places)?;
    with_folder(places, &settings, scan.as_deref())?.save()?;
    screen.line(format_args!("Added folder `{name}`."))?;
    if let Some(scanner) = &args.scan {
        screen.line(format_args!(
            "Every file is scanned by {scanner} before anybody can see it; `agent hooks` shows how."
        ))?;
        let config = Config::load(places)?;
        if let Some(hook) = config.hooks.iter().rfind(|hook| hook.folder.as_deref() == Some(name.as_str())) {
            hooks::tell_reach(&config, &hook.name, places, screen).await?;
        }
    }
    if let Some(drop_in) = drop_in {
        open_to_service(&drop_in, screen)?;
    }
    tell_agent(places, screen).await?;
    Ok(Exit::Fine)
}

/// A folder that the new one would share a part of the cloud with, if both send.
fn shared_remote<'a>(config: &'a Config, new: &FolderSettings) -> Option<&'a FolderSettings> {
    let within = |inner: &RemotePlace, outer: &RemotePlace| match (inner, outer) {
        (RemotePlace::Path(inner), RemotePlace::Path(outer)) => Path::new(inner).starts_with(outer),
        (inner, outer) => inner == outer,
    };
    let sends = |folder: &FolderSettings| folder.mode != Mode::Mirror;
    let shares = |other: &&FolderSettings| {
        other.account == new.account && (within(&new.remote, &other.remote) || within(&other.remote, &new.remote))
    };
    config.folders.iter().filter(|other| other.name != new.name && sends(new) && sends(other)).find(shares)
}

/// The configuration file with the new folder in it, not yet saved.
fn with_folder(
    places: &Places,
    settings: &[(&str, Setting)],
    scan: Option<&[(&'static str, Setting)]>,
) -> Outcome<Editor> {
    let mut editor = Editor::open(places)?;
    editor.add(Kind::Folder, settings);
    if let Some(scan) = scan {
        editor.add(Kind::Hook, scan);
    }
    Ok(editor)
}

/// The path from the root, without `.` and `..`, with the links of its existing part left as the user wrote them.
fn absolute(path: &Path, current_dir: &Path) -> PathBuf {
    let mut absolute = PathBuf::new();
    for component in current_dir.join(path).components() {
        match component {
            Component::ParentDir => {
                // Where a link leads is only known to the system: `link/..` is not where the link lies.
                absolute = fs::canonicalize(&absolute).unwrap_or(absolute);
                absolute.pop();
            }
            Component::CurDir => {}
            other => absolute.push(other),
        }
    }
    absolute
}

/// The remote folder, and what it holds where the provider tells that in one call.
async fn resolve(
    account: &AccountSettings,
    as_user: Option<&str>,
    place: &RemotePlace,
    places: &Places,
) -> Outcome<(RemoteItem, Option<TreeSize>)> {
    let mut provider = cloud::connect(account, places.credentials_dir())?;
    if let Some(user) = as_user {
        provider = provider.acting_for(user).ok_or_else(|| {
            Failure::error(format!("account `{}` cannot act for other users", account.name))
                .hint("leave out --as-user; at Box an app that may act for users can")
        })?;
    }
    match provider.resolve(place).await? {
        Resolved::Folder(item) => {
            // Nobody needs it to add the folder: what cannot be told is not told.
            let holds = provider.size_of(&item.id).await.unwrap_or_default();
            Ok((item, holds))
        }
        Resolved::NotAFolder { path } => Err(Failure::error(format!("{} is a file, not a folder", harmless(&path)))
            .hint("name the folder that holds it")),
        Resolved::Missing { exists, instead } => Err(missing(place, &exists, &instead)),
    }
}

/// Says how far the path led, and what is there instead.
fn missing(place: &RemotePlace, exists: &str, instead: &[String]) -> Failure {
    let failure = Failure::error(format!("there is no remote folder {place}"));
    match (place, instead) {
        (RemotePlace::Id(_), _) => failure
            .because("the account sees no folder with this id")
            .hint("look at its address in the browser, and whether it is shared with this account"),
        (RemotePlace::Path(_), []) => failure
            .because(format!("only {exists} exists, and it has no folders"))
            .hint("make the folder in the cloud, or have it shared with this account"),
        (RemotePlace::Path(_), instead) => failure
            .because(format!("only {exists} exists"))
            .hint(format!("the folders there are {}", some_of(instead, INSTEAD_SHOWN))),
    }
}

/// A name that can be one and is not taken: the remote folder's own, made sane, with a number if needed.
fn free_name(config: &Config, item: &RemoteItem, account: &AccountSettings) -> String {
    let sane: String =
        item.name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
    let mut base = sane.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    // Room for a number behind it.
    while base.len() > 56 {
        base.pop();
    }
    // The top of an account has no name of its own.
    if base.is_empty() || item.parent.is_none() {
        base.clone_from(&account.name);
    }
    let mut name = base.clone();
    let mut number = 2;
    while config.folder(&name).is_some() {
        name = format!("{base}-{number}");
        number += 1;
    }
    name
}

/// What is at the place of the local directory.
#[derive(Debug)]
enum Found {
    Nothing,
    Directory { entries: Vec<String> },
}

impl Found {
    /// Looks, and refuses what the agent could not write to.
    fn look(local: &Path, places: &Places) -> Outcome<Self> {
        let shown = local.display();
        match fs::metadata(local) {
            Ok(metadata) if !metadata.is_dir() => Err(Failure::error(format!("{shown} is not a directory"))
                .hint("name a directory, or a path where there is nothing yet")),
            Ok(metadata) => {
                let unreadable = |error| Failure::error(format!("cannot read {shown}")).because(error);
                let mut entries = Vec::new();
                for entry in fs::read_dir(local).map_err(unreadable)? {
                    let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
                    if !NOT_CONTENT.contains(&name.as_str()) {
                        entries.push(name);
                    }
                }
                entries.sort();
                writable(local, &metadata, places)?;
                Ok(Self::Directory { entries })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = local.ancestors().skip(1).find(|ancestor| ancestor.exists());
                if let Some(parent) = parent {
                    let failed = |error| Failure::error(format!("cannot look at {}", parent.display())).because(error);
                    if !fs::metadata(parent).map_err(failed)?.is_dir() {
                        return Err(Failure::error(format!("{} is not a directory", parent.display()))
                            .hint("name a place that lies in a directory"));
                    }
                    rustix::fs::access(parent, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).map_err(
                        |error| {
                            Failure::error(format!("cannot make {shown}"))
                                .because(format!("{}: {error}", parent.display()))
                        },
                    )?;
                }
                Ok(Self::Nothing)
            }
            Err(error) => Err(Failure::error(format!("cannot look at {shown}")).because(error)),
        }
    }
}

/// Refuses a directory that the agent's own user cannot write to.
fn writable(local: &Path, metadata: &fs::Metadata, places: &Places) -> Outcome<()> {
    let shown = local.display();
    let is_root = rustix::process::geteuid().is_root();
    if is_root && places.installation == Installation::System {
        let Ok(state) = fs::metadata(&places.state_dir) else { return Ok(()) };
        let (uid, gid, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
        let may_write = state.uid() == 0
            || (uid == state.uid() && mode & 0o300 == 0o300)
            || (gid == state.gid() && mode & 0o030 == 0o030)
            || mode & 0o003 == 0o003;
        if !may_write {
            return Err(Failure::error(format!("the agent's user cannot write to {shown}"))
                .hint(format!("give it the directory: chown {0}:{0} {shown}", crate::config::places::NAME)));
        }
        return Ok(());
    }
    let wanted = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(local, wanted)
        .map_err(|error| Failure::error(format!("the directory {shown} cannot be written to")).because(error))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

fn describe(
    found: &Found,
    folder: &FolderSettings,
    account: &AccountSettings,
    holds: Option<TreeSize>,
    drop_in: Option<&DropIn>,
    dry_run: bool,
    screen: &mut Screen,
) -> io::Result<()> {
    let remote = harmless(&folder.remote.to_string());
    let local = harmless(&folder.local.display().to_string());
    let (verb, way, others) = match folder.mode {
        Mode::Mirror => ("mirror", "to", "others stay as they are"),
        Mode::TwoWay => ("keep in step", "with", "others are sent to the cloud, or kept twice where both sides differ"),
        Mode::Upload => ("upload to", "from", "others are sent to the cloud"),
    };
    let verb = if dry_run { format!("Would {verb}") } else { capital(verb) };
    screen.line(format_args!("{verb} {remote} ({}, account `{}`)", account.provider.word(), account.name))?;
    let state = match found {
        Found::Nothing => "will be made".to_owned(),
        Found::Directory { entries } if entries.is_empty() => "is empty".to_owned(),
        Found::Directory { entries } => {
            format!("has {} already; equal files are adopted, {others}", entries.len())
        }
    };
    screen.line(format_args!("    {way} {local} ({state})"))?;
    if let Some(keep) = folder.keep_for {
        let keep = span(keep);
        let after = folder.keep_from.after();
        screen.line(format_args!("    local copies are deleted {keep} {after}; the cloud keeps its own"))?;
    }
    if let Some(holds) = holds {
        screen.line(format_args!(
            "    it holds {} in {}, {}",
            count(holds.files, "file"),
            count(holds.folders, "folder"),
            size(holds.bytes)
        ))?;
        if let Some(forecast) = forecast(holds, account) {
            screen.remark(Tone::Warning, "warning", &forecast);
        }
    }
    if let Some(drop_in) = drop_in {
        screen
            .line(format_args!("    the service may not write there yet: {} will allow it", drop_in.path.display()))?;
    }
    Ok(())
}

/// How long the first sync takes, where the day's calls do not suffice: one for each file, one for each folder.
fn forecast(holds: TreeSize, account: &AccountSettings) -> Option<String> {
    let per_day = u64::from(account.calls_per_day?);
    let days = (holds.files + holds.folders + 1).div_ceil(per_day);
    (days > 1).then(|| {
        format!(
            "at {per_day} calls a day the first sync takes at least {days} days: ask {} for a higher limit, or name a smaller folder",
            account.provider.word()
        )
    })
}

/// Makes the directory and those above it; what root makes for a service belongs to the service's user.
fn make_directory(local: &Path, mode: u32, places: &Places) -> Outcome<()> {
    let missing: Vec<&Path> = local.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    for dir in missing.into_iter().rev() {
        let failed = |error| Failure::error(format!("cannot make the directory {}", dir.display())).because(error);
        fs::DirBuilder::new().mode(mode).create(dir).map_err(failed)?;
        if places.state_dir.exists() {
            places.adopt(dir).map_err(failed)?;
        }
    }
    Ok(())
}

/// Lets the system service write to a directory outside the shipped ones, or says how (design §12.4).
fn open_to_service(drop_in: &DropIn, screen: &mut Screen) -> Outcome<()> {
    match drop_in.install() {
        Ok(()) => {
            screen.line(format_args!(
                "Wrote {} and restarted the service, so that it may write there.",
                drop_in.path.display()
            ))?;
        }
        Err(error) => {
            screen.remark(Tone::Warning, "warning", &format!("the service may not write there yet: {error}"));
            screen.line(format_args!("Run these commands as root:\n{}", drop_in.commands()))?;
        }
    }
    Ok(())
}

async fn tell_agent(places: &Places, screen: &mut Screen) -> Outcome<()> {
    match ControlClient::find(&places.socket).await {
        Ok(Some(client)) => match client.reload().await.map_err(Failure::from).and_then(agent::accepted) {
            Ok(_) => screen.line("The running agent has begun with it; watch it with: agent status --watch")?,
            Err(failure) => {
                screen.remark(Tone::Warning, "warning", &format!("the running agent did not take it: {failure}"));
            }
        },
        Ok(None) => screen.line("No agent is running; start one with: agent run")?,
        Err(error) => screen.remark(Tone::Warning, "warning", &format!("the running agent could not be told: {error}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_directories_start_here() {
        let here = Path::new("/nowhere/here");
        assert_eq!(absolute(Path::new("./inbox/"), here), Path::new("/nowhere/here/inbox"));
        assert_eq!(absolute(Path::new("../x"), here), Path::new("/nowhere/x"));
        assert_eq!(absolute(Path::new("/srv/./a"), here), Path::new("/srv/a"));
        assert_eq!(absolute(Path::new("../../../.."), here), Path::new("/"));
    }

    #[test]
    fn two_dots_after_a_link_go_where_the_link_leads() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(root.join("deep/er")).unwrap();
        std::os::unix::fs::symlink("deep/er", root.join("link")).unwrap();
        assert_eq!(absolute(Path::new("link/../x"), &root), root.join("deep/x"));
        assert_eq!(absolute(Path::new("link/x"), &root), root.join("link/x"), "links are not resolved needlessly");
    }
}
