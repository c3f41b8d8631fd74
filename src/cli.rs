//! The command line: what people type, who does it, and how it ends.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Choice, Places, Surroundings};

mod accounts;
mod activity;
mod add_folder;
mod agent;
mod cloud;
mod config;
mod conflicts;
mod db;
mod demo;
mod doctor;
mod events;
mod explain;
mod failure;
mod folders;
mod history;
mod holds;
mod hooks;
mod login;
mod metrics;
mod quarantine;
mod render;
mod restore;
mod run;
mod sandbox;
mod service;
mod setup;
mod shell;
mod status;
mod subscriptions;
mod support;
mod sync;
mod terminal;
mod verify;
mod versions;
mod wait;
mod web;

pub use failure::{Exit, Failure, Outcome};
use render::Screen;

/// The heading of the options that every command has.
const WHICH: &str = "Which installation";
/// Stands for `--home` in the environment.
const HOME_VARIABLE: &str = "AGENT_HOME";

/// The version, with the commit that it was made of and that commit's date.
pub fn version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("AGENT_BUILT_FROM"), ")")
}

/// Mirrors folders of a cloud (Box, Egnyte) to local disk by following the cloud's event stream.
#[derive(Debug, Parser)]
#[command(name = "agent", version = version(), disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    installation: InstallationArgs,
    #[command(subcommand)]
    command: Command,
}

/// Which installation is meant.
#[derive(Debug, Args)]
struct InstallationArgs {
    /// Keep configuration, state and socket under this one directory; also AGENT_HOME
    #[arg(long, global = true, help_heading = WHICH, value_name = "DIR", conflicts_with_all = ["system", "user"])]
    home: Option<PathBuf>,
    /// Mean the system service
    #[arg(long, global = true, help_heading = WHICH, conflicts_with = "user")]
    system: bool,
    /// Mean your own installation
    #[arg(long, global = true, help_heading = WHICH)]
    user: bool,
}

impl InstallationArgs {
    /// What the command line says counts before what the environment says.
    fn choice(&self, around: &Surroundings) -> Choice {
        let home_of_environment = around.variables.get(HOME_VARIABLE).filter(|home| !home.as_os_str().is_empty());
        match (self.system, self.user, self.home.as_ref().or(home_of_environment)) {
            (true, _, _) => Choice::System,
            (_, true, _) => Choice::User,
            (_, _, Some(home)) => Choice::Home(home.clone()),
            _ => Choice::Unsaid,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(setup::SetupArgs),
    Login(login::LoginArgs),
    Logout(login::LogoutArgs),
    RemoveAccount(login::RemoveAccountArgs),
    Accounts(accounts::AccountsArgs),
    #[command(visible_alias = "add")]
    AddFolder(add_folder::AddFolderArgs),
    #[command(visible_alias = "ls")]
    Folders(folders::FoldersArgs),
    SetFolder(folders::SetFolderArgs),
    #[command(visible_alias = "rm")]
    RemoveFolder(folders::RemoveFolderArgs),
    Run(run::RunArgs),
    Status(status::StatusArgs),
    Events(Box<events::EventsArgs>),
    Cursor(events::CursorArgs),
    Activity(activity::ActivityArgs),
    Plan(explain::PlanArgs),
    Sync(sync::SyncArgs),
    Wait(wait::WaitArgs),
    Pause(sync::PauseArgs),
    Resume(sync::ResumeArgs),
    Held(holds::HeldArgs),
    Approve(holds::ApproveArgs),
    Reject(holds::RejectArgs),
    Conflicts(conflicts::ConflictsArgs),
    Why(explain::WhyArgs),
    Versions(versions::VersionsArgs),
    Restore(restore::RestoreArgs),
    Verify(verify::VerifyArgs),
    Problems(explain::ProblemsArgs),
    AddHook(Box<hooks::AddHookArgs>),
    Hooks(hooks::HooksArgs),
    SetHook(hooks::SetHookArgs),
    RemoveHook(hooks::RemoveHookArgs),
    TestHook(history::TestHookArgs),
    HookRuns(history::HookRunsArgs),
    Replay(history::ReplayArgs),
    Subscribe(Box<subscriptions::SubscribeArgs>),
    Subscriptions(subscriptions::SubscriptionsArgs),
    Unsubscribe(subscriptions::UnsubscribeArgs),
    Rescan(quarantine::RescanArgs),
    Quarantine(quarantine::QuarantineArgs),
    Config(config::ConfigArgs),
    Doctor(doctor::DoctorArgs),
    Db(db::DbArgs),
    Support(support::SupportArgs),
    Metrics(metrics::MetricsArgs),
    Web(web::WebArgs),
    Service(service::ServiceArgs),
    Demo(demo::DemoArgs),
    Sandbox(sandbox::SandboxArgs),
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
}

/// Columns of the help at most.
const HELP_WIDTH: usize = 100;

/// The commands as `agent --help` groups them. A test holds every command to exactly one group.
const GROUPS: [(&str, &[&str]); 8] = [
    (
        "Set up",
        &[
            "setup",
            "login",
            "logout",
            "remove-account",
            "accounts",
            "add-folder",
            "folders",
            "set-folder",
            "remove-folder",
            "config",
        ],
    ),
    ("Run", &["run", "service", "sync", "wait", "pause", "resume"]),
    (
        "Look",
        &["status", "activity", "events", "cursor", "plan", "why", "problems", "doctor", "support", "metrics", "web"],
    ),
    ("Undo", &["versions", "restore", "verify", "db"]),
    ("Hooks", &["add-hook", "hooks", "set-hook", "remove-hook", "test-hook", "hook-runs", "replay"]),
    ("Pass events on", &["subscribe", "subscriptions", "unsubscribe"]),
    ("Decide", &["held", "approve", "reject", "conflicts", "quarantine", "rescan"]),
    ("More", &["demo", "sandbox", "completions", "man"]),
];

const HELP_TEMPLATE: &str = "{about}\n\n{usage-heading} {usage}{after-help}\n\nOptions:\n{options}\n";

/// The program: reads the arguments, does the work, says what went wrong.
pub fn main() -> ExitCode {
    let mut screen = Screen::standard();
    match try_main(&mut screen) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            screen.failure(&failure);
            failure.exit.into()
        }
    }
}

fn try_main(screen: &mut Screen) -> Outcome {
    let cli = match command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    // Every client of ours needs a cryptographic provider. Only a second call in one process could fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let around = Surroundings::of_this_process();
    let choice = cli.installation.choice(&around);
    let runtime = runtime(&cli.command).map_err(|error| Failure::error("cannot start").because(error))?;
    let ended = runtime.block_on(dispatch(cli.command, &choice, &around, screen));
    // A reader of standard input may still wait for a line that nobody will write.
    runtime.shutdown_background();
    match ended.and_then(|exit| screen.flush().map(|()| exit).map_err(Failure::from)) {
        // Whoever read our output has seen enough, as `head` does.
        Err(failure) if failure.is_broken_pipe() => Ok(Exit::Fine),
        ended => ended,
    }
}

fn usage(error: &clap::Error) -> Outcome {
    let shown = error.print();
    match (error.kind(), shown) {
        (_, Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _) => Ok(Exit::Fine),
        _ => Ok(Exit::Usage),
    }
}

/// The agent itself gets threads to work with; every other command gets by with one.
fn runtime(command: &Command) -> io::Result<tokio::runtime::Runtime> {
    if let Command::Run(_) = command {
        crate::sys::share_heaps();
    }
    let mut builder = match command {
        Command::Run(_) | Command::Demo(_) | Command::Sandbox(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

/// The whole command line with its grouped help.
fn command() -> clap::Command {
    let command = Cli::command();
    let groups = grouped(&command);
    command.help_template(HELP_TEMPLATE).after_help(groups).max_term_width(HELP_WIDTH)
}

fn grouped(command: &clap::Command) -> String {
    let mut text = String::new();
    for (group, names) in GROUPS {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{group}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let _ = writeln!(text, "  {name:<14} {}", about.map(ToString::to_string).unwrap_or_default());
        }
    }
    text.push_str("\n`agent COMMAND --help` explains a command and shows examples.");
    text
}

async fn dispatch(command: Command, choice: &Choice, around: &Surroundings, screen: &mut Screen) -> Outcome {
    match &command {
        Command::Completions(args) => return shell::completions(args, screen),
        Command::Man(args) => return shell::man(args, screen),
        Command::Demo(args) => return demo::demo(args, screen).await,
        Command::Sandbox(args) => return sandbox::sandbox(args, screen).await,
        Command::Service(args) => return service::service(args, choice, around, screen),
        _ => {}
    }
    let places = Places::find(choice, around)?;
    match command {
        Command::Setup(args) => setup::setup(&args, choice, &places, around, screen),
        Command::Login(args) => login::login(args, &places, screen).await,
        Command::Logout(args) => login::logout(args, &places, screen).await,
        Command::RemoveAccount(args) => login::remove_account(args, &places, screen).await,
        Command::Accounts(args) => accounts::accounts(&args, &places, screen).await,
        Command::AddFolder(args) => add_folder::add_folder(args, &places, around, screen).await,
        Command::Folders(args) => folders::folders(&args, &places, screen).await,
        Command::SetFolder(args) => folders::set_folder(args, &places, screen).await,
        Command::RemoveFolder(args) => folders::remove_folder(args, &places, screen).await,
        Command::Run(args) => run::run(&args, &places, screen).await,
        Command::Status(args) => status::status(&args, &places, screen).await,
        Command::Events(args) => events::events(*args, &places, screen).await,
        Command::Cursor(args) => events::cursor(&args, &places, screen).await,
        Command::Activity(args) => activity::activity(&args, &places, screen).await,
        Command::Plan(args) => explain::plan(&args, &places, screen).await,
        Command::Sync(args) => sync::sync(args, &places, screen).await,
        Command::Wait(args) => wait::wait(&args, &places, screen).await,
        Command::Pause(args) => sync::pause(args, &places, screen).await,
        Command::Resume(args) => sync::resume(args, &places, screen).await,
        Command::Held(args) => holds::held(&args, &places, screen).await,
        Command::Approve(args) => holds::approve(&args, &places, screen).await,
        Command::Reject(args) => holds::reject(&args, &places, screen).await,
        Command::Conflicts(args) => conflicts::conflicts(&args, &places, around, screen).await,
        Command::Why(args) => explain::why(&args, &places, around, screen).await,
        Command::Versions(args) => versions::versions(&args, &places, around, screen).await,
        Command::Verify(args) => verify::verify(&args, &places, screen).await,
        Command::Restore(args) => restore::restore(&args, &places, around, screen).await,
        Command::Problems(args) => explain::problems(&args, &places, screen).await,
        Command::AddHook(args) => hooks::add_hook(*args, &places, screen).await,
        Command::Hooks(args) => hooks::hooks(&args, &places, screen),
        Command::SetHook(args) => hooks::set_hook(args, &places, screen).await,
        Command::RemoveHook(args) => hooks::remove_hook(&args, &places, screen).await,
        Command::TestHook(args) => history::test_hook(args, &places, around, screen).await,
        Command::HookRuns(args) => history::hook_runs(args, &places, screen),
        Command::Replay(args) => history::replay(args, &places, screen).await,
        Command::Subscribe(args) => subscriptions::subscribe(*args, &places, screen).await,
        Command::Subscriptions(args) => subscriptions::subscriptions(args, &places, screen).await,
        Command::Unsubscribe(args) => subscriptions::unsubscribe(&args, &places, screen).await,
        Command::Rescan(args) => quarantine::rescan(&args, &places, around, screen).await,
        Command::Quarantine(args) => quarantine::quarantine(args, &places, screen).await,
        Command::Config(args) => config::config(&args, &places, screen),
        Command::Db(args) => db::db(&args, &places, around, screen).await,
        Command::Support(args) => support::support(&args, &places, around, screen).await,
        Command::Doctor(args) => doctor::doctor(&args, &places, screen).await,
        Command::Metrics(args) => metrics::metrics(&args, &places, screen).await,
        Command::Web(args) => web::web(&args, &places, screen).await,
        Command::Service(_) | Command::Demo(_) | Command::Sandbox(_) | Command::Completions(_) | Command::Man(_) => {
            Ok(Exit::Fine)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_command_is_in_exactly_one_group_and_says_what_it_does() {
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let command = Cli::command();
        let known: BTreeSet<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), known);
        assert_eq!(grouped.len(), known.len(), "a command is listed twice");
        for subcommand in command.get_subcommands() {
            assert!(subcommand.get_about().is_some(), "{} has no description", subcommand.get_name());
        }
    }

    #[test]
    fn examples_are_not_broken_by_the_width_of_the_help() {
        let mut left = vec![Cli::command()];
        while let Some(command) = left.pop() {
            let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            for line in after.lines() {
                assert!(line.chars().count() <= HELP_WIDTH, "{}: {line}", command.get_name());
            }
            left.extend(command.get_subcommands().cloned());
        }
    }
}
