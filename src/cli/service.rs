//! `agent service`: install, remove, start, stop and look at the service.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone};
use crate::config::{Choice, Installation, Places, Surroundings};
use crate::report::SCHEMA_VERSION;
use crate::service::{self, Step, UNIT};

/// Install, remove, start, stop or look at the service
///
/// As root this is the system service, with a user of its own; otherwise it is your own service. `--system`, `--user` and
/// `--home DIR` say which is meant.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sudo agent service install
  agent service install --user --dry-run
  agent service logs -- -f")]
pub struct ServiceArgs {
    #[command(subcommand)]
    action: Action,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

/// What was done or would be, or how the service is.
#[derive(Serialize)]
struct Told {
    schema: u32,
    unit: PathBuf,
    installation: Installation,
    /// The unit file is there.
    installed: bool,
    /// What the service manager says of it; nothing where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<String>>,
    done: bool,
}

impl Told {
    fn of(places: &Places) -> Self {
        let unit = service::unit_file(places);
        let installed = unit.exists();
        let installation = places.installation;
        Self { schema: SCHEMA_VERSION, unit, installation, installed, state: None, steps: None, done: false }
    }

    fn steps(places: &Places, steps: &[Step], done: bool) -> Self {
        let steps = steps.iter().map(|step| step.to_string().trim_end().to_owned()).collect();
        Self { steps: Some(steps), done, ..Self::of(places) }
    }
}

/// What is asked of the service manager for JSON.
const STATE_ASKED: &str = "--property=LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts,StatusText,Result";

#[derive(Debug, Subcommand)]
enum Action {
    /// Install, enable and start the service
    Install {
        /// Say what would be done, and do nothing
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Stop and remove the service; configuration, state and folders stay
    Uninstall {
        /// Say what would be done, and do nothing
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Start the service
    Start,
    /// Stop the service
    Stop,
    /// Show what the service manager says of the service
    Status,
    /// Show the service's log
    Logs {
        /// Arguments for journalctl, such as -f
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
}

/// Runs `agent service`.
pub fn service(args: &ServiceArgs, choice: &Choice, around: &Surroundings, screen: &mut Screen) -> Outcome {
    // A service is somebody's own unless it is asked for as root, whatever socket is there.
    let choice = match choice {
        Choice::Unsaid if around.uid == 0 => &Choice::System,
        Choice::Unsaid => &Choice::User,
        said => said,
    };
    let places = Places::find(choice, around)?;
    match &args.action {
        Action::Install { dry_run } => {
            let program = std::env::current_exe()
                .map_err(|error| Failure::error("cannot tell where this program is").because(error))?;
            let steps = service::install(&places, &program);
            carry_out(&steps, *dry_run, &places, around, screen, args.json)?;
            if args.json {
                screen.json(&Told::steps(&places, &steps, !dry_run))?;
            } else if !dry_run {
                installed(&places, around, screen)?;
            }
            Ok(Exit::Fine)
        }
        Action::Uninstall { dry_run } => {
            let steps = service::uninstall(&places);
            carry_out(&steps, *dry_run, &places, around, screen, args.json)?;
            if args.json {
                screen.json(&Told::steps(&places, &steps, !dry_run))?;
            } else if !dry_run {
                screen.line("The service is removed. Configuration, state and synced folders are where they were:")?;
                screen.line(format_args!("  {}\n  {}", places.config_file.display(), places.state_dir.display()))?;
            }
            Ok(Exit::Fine)
        }
        Action::Start => manage(&places, around, "start", args.json, screen),
        Action::Stop => manage(&places, around, "stop", args.json, screen),
        Action::Status if args.json => {
            let mut told = Told::of(&places);
            if check_manager(&places, around).is_ok() {
                let mut systemctl = Command::new("systemctl");
                systemctl.args(service::manager_options(&places)).args(["show", "--no-pager", STATE_ASKED, UNIT]);
                let output =
                    systemctl.output().map_err(|error| Failure::error("cannot run systemctl").because(error))?;
                let text = String::from_utf8_lossy(&output.stdout);
                let pairs = text.lines().filter_map(|line| line.split_once('='));
                told.state = Some(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
            }
            let is_active =
                told.state.as_ref().and_then(|state| state.get("ActiveState")).is_some_and(|word| word == "active");
            screen.json(&told)?;
            Ok(if is_active { Exit::Fine } else { Exit::NoAgent })
        }
        Action::Status => {
            check_manager(&places, around)?;
            let mut systemctl = Command::new("systemctl");
            systemctl.args(service::manager_options(&places)).args(["status", "--no-pager", UNIT]);
            screen.flush()?;
            let status = systemctl.status().map_err(|error| Failure::error("cannot run systemctl").because(error))?;
            Ok(if status.success() { Exit::Fine } else { Exit::NoAgent })
        }
        Action::Logs { arguments } => {
            let mut journalctl = Command::new("journalctl");
            journalctl.args(service::manager_options(&places)).args(["-u", UNIT]);
            if args.json {
                journalctl.args(["-o", "json", "--no-pager"]);
            }
            journalctl.args(arguments);
            let error = journalctl.exec();
            Err(Failure::error("cannot run journalctl").because(error))
        }
    }
}

fn carry_out(
    steps: &[Step],
    dry_run: bool,
    places: &Places,
    around: &Surroundings,
    screen: &mut Screen,
    json: bool,
) -> Outcome<()> {
    if dry_run && json {
        return Ok(());
    }
    if dry_run {
        screen.line("This would be done:")?;
        for step in steps {
            screen.line(step.to_string().trim_end())?;
        }
        return Ok(());
    }
    check_manager(places, around)?;
    if places.installation == Installation::System && around.uid != 0 {
        return Err(Failure::error("only root can change the system service")
            .hint("use sudo, or install a service of your own with --user"));
    }
    for step in steps {
        step.take().map_err(|error| {
            let failure = Failure::error(error.to_string());
            match std::error::Error::source(&error) {
                Some(source) => failure.because(source),
                None => failure,
            }
        })?;
    }
    Ok(())
}

fn manage(places: &Places, around: &Surroundings, verb: &str, json: bool, screen: &mut Screen) -> Outcome {
    check_manager(places, around)?;
    let mut systemctl = Command::new("systemctl");
    systemctl.args(service::manager_options(places)).args([verb, UNIT]);
    let status = systemctl.status().map_err(|error| Failure::error("cannot run systemctl").because(error))?;
    if status.success() {
        if json {
            screen.json(&Told { done: true, ..Told::of(places) })?;
        }
        return Ok(Exit::Fine);
    }
    Err(Failure::error(format!("systemctl {verb} failed")).hint("see `agent service logs`"))
}

/// Says what is missing where there is no service manager to talk to.
fn check_manager(places: &Places, around: &Surroundings) -> Outcome<()> {
    if !service::has_systemd() {
        return Err(Failure::error("this machine is not run by systemd")
            .hint("run `agent run` from whatever starts programs here; it stays in the foreground"));
    }
    if places.installation == Installation::System {
        return Ok(());
    }
    let runtime = around.variables.get("XDG_RUNTIME_DIR").cloned();
    let runtime = runtime.unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", around.uid)));
    if !runtime.join("systemd").exists() || !around.variables.contains_key("XDG_RUNTIME_DIR") {
        return Err(Failure::error("your user has no service manager in this session")
            .because("XDG_RUNTIME_DIR is not set, as after su or sudo")
            .hint("log in directly, or use: machinectl shell USER@"));
    }
    Ok(())
}

fn installed(places: &Places, around: &Surroundings, screen: &mut Screen) -> Outcome<()> {
    screen.line(format_args!("Installed and started {UNIT}, {}.", places.installation.words()))?;
    if places.installation != Installation::System {
        let user = around.variables.get("USER").map_or_else(String::new, |user| user.display().to_string());
        if !service::lingers(&user) {
            let advice = format!("it ends when you log out; to keep it running: loginctl enable-linger {user}");
            screen.remark(Tone::Warning, "warning", &advice);
        }
    }
    if !places.config_file.exists() {
        let options = if places.installation == Installation::Home {
            format!("{} ", places.options().join(" "))
        } else {
            String::new()
        };
        screen.line(format_args!("Next: agent {options}login box"))?;
    }
    screen.line(format_args!("Its log: agent service logs; its unit: {}", shown(&service::unit_file(places))))?;
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
