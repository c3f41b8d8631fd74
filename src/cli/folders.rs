//! `agent folders`, `agent set-folder` and `agent remove-folder`.

use std::fs;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::agent::{self, Agent};
use super::explain::moved_path;
use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, count, size, span};
use super::{status, terminal};
use crate::command::Command;
use crate::config::edit::{Editor, Kind, Setting};
use crate::config::reference::{self, Kind as ValueKind};
use crate::config::{Config, Places};
use crate::daemon::client::ControlClient;
use crate::daemon::preview::preview;
use crate::report::{Listing, PlanRow};
use crate::settings::FolderSettings;

/// How long a running agent may take to let go of a folder.
const LET_GO_LIMIT: Duration = Duration::from_secs(30);
/// How often it is asked whether it has.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// Lines of a plan that are shown of another mode.
const PLAN_SHOWN_MOST: usize = 30;

/// List the folders
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent folders
  agent folders --json | jq -r '.rows[].local'")]
pub struct FoldersArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Change settings of a folder
///
/// The configuration file is edited in place, and a running agent takes the change at once. A key without a value goes
/// back to its default. A key that holds a list may be given several times. Another mode changes who decides, so what follows from it
/// is shown first, and nothing is changed before somebody says yes.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent set-folder inbox keep_for=30d max_delete=50%
  agent set-folder inbox exclude='*.tmp' exclude='~$*'
  agent set-folder inbox mode=two-way --dry-run
  agent set-folder inbox keep_for=")]
pub struct SetFolderArgs {
    /// The folder
    name: String,
    /// Keys of the configuration file with their new values
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = key_and_value)]
    settings: Vec<(String, String)>,
    /// Only say what would follow
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask, also when the mode changes
    #[arg(short = 'y', long)]
    yes: bool,
}

/// Stop mirroring a folder
///
/// The folder leaves the configuration, and nothing is deleted, neither here nor in the cloud, unless `--delete-local` is
/// given.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent remove-folder inbox
  agent remove-folder inbox --delete-local --dry-run")]
pub struct RemoveFolderArgs {
    /// The folder
    name: String,
    /// Delete the local directory with everything in it
    #[arg(long)]
    delete_local: bool,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,
}

pub(super) fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Runs `agent folders`.
pub async fn folders(args: &FoldersArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let status = Agent::find(places).await?.status().await?;
    if args.json {
        screen.json(&Listing::new(status.folders))?;
        return Ok(Exit::Fine);
    }
    if status.folders.is_empty() {
        screen.line("No folder yet. Add one with: agent add-folder /REMOTE/FOLDER LOCAL")?;
    }
    let rows = status.folders.into_iter().map(|folder| {
        let content = format!("{}, {}", count(folder.files, "file"), size(folder.bytes));
        let state = status::state(&folder).to_owned();
        [folder.name, state, folder.account, folder.remote, folder.local, folder.mode, content]
    });
    screen.table(["FOLDER", "STATE", "ACCOUNT", "REMOTE", "LOCAL", "MODE", "CONTENT"], rows)?;
    Ok(Exit::Fine)
}

/// Runs `agent set-folder`.
pub async fn set_folder(args: SetFolderArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let mut editor = Editor::open(places)?;
    let before = editor.check()?;
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in &args.settings {
        if keys.contains(&key.as_str()) {
            if !is_kind("folder", key, ValueKind::List) {
                return Err(Failure::new(Exit::Usage, format!("`{key}` is given twice")).hint("give it once"));
            }
            continue;
        }
        keys.push(key);
    }
    for key in &keys {
        if *key == "name" {
            return Err(Failure::error("the name of a folder cannot be changed")
                .hint("remove the folder and add it again; its files are adopted, not downloaded again"));
        }
        let values = args.settings.iter().filter(|(other, _)| other == key).map(|(_, value)| value.clone()).collect();
        editor.set(Kind::Folder, &args.name, key, &setting("folder", key, values)?)?;
    }
    let mut after = editor.check()?;
    after.read_ignore_files();
    let mode = |config: &Config| config.folder(&args.name).map(|folder| folder.mode);
    let new_mode = mode(&after) != mode(&before);
    if new_mode {
        show_what_follows(&args.name, &before, &after, places, screen)?;
    }
    let keep_for = |config: &Config| config.folder(&args.name).and_then(|of| Some((of.keep_for?, of.keep_from)));
    if let Some((keep, from)) = keep_for(&after).filter(|keep| keep_for(&before) != Some(*keep)) {
        let (keep, after) = (span(keep), from.after());
        screen.line(format_args!("Local copies are deleted {keep} {after}; the cloud keeps its own."))?;
    }
    if args.dry_run {
        screen.line(format_args!("Would change {} of folder `{}`.", keys.join(", "), args.name))?;
        return Ok(Exit::Fine);
    }
    if new_mode && !args.yes {
        if !terminal::can_ask() {
            screen.line("Nothing was changed. The same command with --yes approves it.")?;
            return Ok(Exit::PersonNeeded);
        }
        if !terminal::confirm("Change the mode?")? {
            screen.line("Nothing was changed.")?;
            return Ok(Exit::Fine);
        }
    }
    editor.save()?;
    screen.line(format_args!("Changed {} of folder `{}`.", keys.join(", "), args.name))?;
    if keys.iter().any(|key| matches!(*key, "remote" | "local" | "account")) {
        screen.line("A changed place counts as another folder: what was mirrored before stays where it is.")?;
    }
    tell_agent(places, screen).await;
    if new_mode && places.database().exists() {
        agent::command(places, Command::AcceptMode { folder: args.name }).await?;
    }
    Ok(Exit::Fine)
}

/// What another mode brings about, as far as the agent knows the cloud.
fn show_what_follows(name: &str, before: &Config, after: &Config, places: &Places, screen: &mut Screen) -> Outcome<()> {
    let (Some(former), Some(settings)) = (before.folder(name), after.folder(name)) else { return Ok(()) };
    let (former, new) = (former.mode.word(), settings.mode.word());
    let unread = |error: &dyn std::fmt::Display| Failure::error("the database cannot be read").because(error);
    let reader = agent::database(places)?;
    let rows = match &reader {
        Some(reader) => reader.rows().folders().map_err(|error| unread(&error))?,
        None => Vec::new(),
    };
    let row = rows.iter().find(|row| row.name.as_deref() == Some(name) && row.root.is_some());
    let (Some(reader), Some(row)) = (&reader, row) else {
        screen.line(format_args!("Folder `{name}` was `{former}` and has not begun: it begins as `{new}`."))?;
        return Ok(());
    };
    let preview = preview(reader, settings, row).map_err(|error| {
        Failure::error(format!("what `{new}` would bring about cannot be found out, so nothing was changed"))
            .because(error)
    })?;
    if preview.total() == 0 {
        screen.line(format_args!("Folder `{name}` is `{former}`. As `{new}` it has nothing to do."))?;
        return Ok(());
    }
    screen.line(format_args!("Folder `{name}` is `{former}`. As `{new}` it would:"))?;
    let examples = preview.rows.iter().take(PLAN_SHOWN_MOST);
    let cells = |row: &PlanRow| [row.action.clone(), moved_path(row), row.bytes.map(size).unwrap_or_default()];
    screen.table(["ACTION", "PATH", "SIZE"], examples.map(cells))?;
    for (action, number) in &preview.counts {
        screen.line(format_args!("  {action}: {}", count(*number, "item")))?;
    }
    Ok(())
}

pub(super) fn is_kind(table: &str, key: &str, kind: ValueKind) -> bool {
    reference::of_kind(table, kind).contains(&key)
}

/// The values of a key in the form that the file wants them in.
pub(super) fn setting(table: &str, key: &str, values: Vec<String>) -> Outcome<Setting> {
    let values: Vec<String> = values.into_iter().filter(|value| !value.is_empty()).collect();
    match values.as_slice() {
        [] => Ok(Setting::Default),
        _ if is_kind(table, key, ValueKind::List) => Ok(Setting::List(values)),
        [value] if is_kind(table, key, ValueKind::Flag) => value.parse().map(Setting::Flag).map_err(|_| {
            Failure::new(Exit::Usage, format!("`{key}` is true or false, not `{value}`"))
                .hint(format!("{key}=true, or {key}=false"))
        }),
        [value] if is_kind(table, key, ValueKind::Number) => value.parse().map(Setting::Number).map_err(|_| {
            Failure::new(Exit::Usage, format!("`{key}` takes a number, not `{value}`"))
                .hint(format!("what it means: agent config reference {table}.{key}"))
        }),
        values => Ok(Setting::Text(values.join(""))),
    }
}

/// Runs `agent remove-folder`.
pub async fn remove_folder(args: RemoveFolderArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let mut editor = Editor::open(places)?;
    let config = editor.check()?;
    editor.remove(Kind::Folder, &args.name)?;
    let Some(folder) = config.folder(&args.name) else { return Ok(Exit::Fine) };
    let local = folder.local.display();
    let fate = if args.delete_local { "is deleted with everything in it" } else { "stays as it is" };
    if args.dry_run {
        screen.line(format_args!("Would remove folder `{}`; {local} {fate}.", args.name))?;
        return Ok(Exit::Fine);
    }
    if args.delete_local && !args.yes {
        if !terminal::can_ask() {
            return Err(
                Failure::new(Exit::Usage, "deleting the local directory must be confirmed").hint("say so with --yes")
            );
        }
        if !terminal::confirm(&format!("Delete {local} with everything in it, also what exists only there?"))? {
            screen.line("Nothing was changed.")?;
            return Ok(Exit::Fine);
        }
    }
    editor.save()?;
    tell_agent(places, screen).await;
    if args.delete_local {
        let_go(places, &args.name).await?;
        delete(folder)?;
    }
    screen.line(format_args!(
        "Removed folder `{}`; {local} {}.",
        args.name,
        if args.delete_local { "is gone" } else { fate }
    ))?;
    Ok(Exit::Fine)
}

/// Waits until a running agent works on the folder no more, so that nothing is put back behind the deletion.
async fn let_go(places: &Places, name: &str) -> Outcome<()> {
    let deadline = Instant::now() + LET_GO_LIMIT;
    loop {
        let Some(client) = ControlClient::find(&places.socket).await? else { return Ok(()) };
        if client.status().await?.folders.iter().all(|folder| folder.name != name) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(
                Exit::Temporary,
                "the running agent still works on the folder; nothing was deleted",
            )
            .hint("look at `agent status`, and delete the directory by hand"));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn delete(folder: &FolderSettings) -> Outcome<()> {
    match fs::remove_dir_all(&folder.local) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::error(format!("cannot delete {}", folder.local.display())).because(error))
        }
        _ => Ok(()),
    }
}

/// A running agent notices by itself; telling it only makes that sooner.
pub(super) async fn tell_agent(places: &Places, screen: &Screen) {
    let told = async {
        let Some(client) = ControlClient::find(&places.socket).await? else { return Ok(()) };
        agent::accepted(client.reload().await?).map(|_| ())
    };
    if let Err(failure) = told.await {
        let failure: Failure = failure;
        screen.remark(Tone::Warning, "warning", &format!("the running agent did not take the change: {failure}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_form_of_their_key() {
        assert_eq!(
            setting("folder", "exclude", vec!["a".into(), "b".into()]),
            Ok(Setting::List(vec!["a".into(), "b".into()]))
        );
        assert_eq!(setting("folder", "keep_versions", vec!["3".into()]), Ok(Setting::Number(3)));
        assert_eq!(setting("folder", "max_delete", vec!["25%".into()]), Ok(Setting::Text("25%".into())));
        assert_eq!(setting("folder", "keep_for", vec![String::new()]), Ok(Setting::Default));
        assert!(setting("folder", "keep_versions", vec!["many".into()]).is_err());
        assert!(key_and_value("=x").is_err() && key_and_value("x").is_err());
        assert_eq!(key_and_value("a=b=c"), Ok(("a".into(), "b=c".into())));
    }
}
