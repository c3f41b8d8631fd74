//! `agent setup`: asks its way from nothing to a synced folder, by the commands that anybody could give, and names them in the end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use secrecy::ExposeSecret;

use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, harmless};
use super::terminal;
use crate::config::{Choice, Config, Installation, Places, Surroundings};
use crate::hook::Call;
use crate::service;
use crate::settings::ProviderName;

/// How often an answer that makes no sense is asked for again.
const TRIES: u32 = 5;
/// Where the packages of scanners put what we ask for.
const SCANNERS: [(&str, &str); 2] = [("clamd", "/usr/bin/clamdscan"), ("clamscan", "/usr/bin/clamscan")];
/// How long the first sync is waited for.
const WAITED: &str = "30m";

/// Ask the way from nothing to a synced folder
///
/// For those who do not read manuals: account, sign-in, folder, scanner, service. Each step runs a command that you could have given
/// yourself; they are listed at the end. Whatever was done stays when you stop in the middle, and the next time begins there.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent setup
  sudo agent setup              # for the system service
  agent --home ./try setup      # everything under one directory")]
pub struct SetupArgs {
    /// One origin for all calls, for test servers
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
}

/// The commands of ours that were run.
struct Runner {
    program: PathBuf,
    /// Options that make them mean the same installation.
    options: Vec<String>,
    done: Vec<String>,
}

impl Runner {
    /// Runs a command of ours on this terminal; whether it went well.
    fn run(&mut self, arguments: &[String], screen: &mut Screen) -> Outcome<bool> {
        let words: Vec<String> = self.options.iter().chain(arguments).map(|word| quoted(word)).collect();
        let shown = format!("agent {}", words.join(" "));
        screen.line(screen.tint(Tone::Quiet, format_args!("$ {shown}")))?;
        screen.flush()?;
        let mut command = Command::new(&self.program);
        command.args(self.options.iter().map(OsString::from)).args(arguments);
        let status = command.status().map_err(|error| Failure::error(format!("cannot run {shown}")).because(error))?;
        if status.success() {
            self.done.push(shown);
        }
        Ok(status.success())
    }
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@,%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// Runs `agent setup`.
pub fn setup(
    args: &SetupArgs,
    choice: &Choice,
    places: &Places,
    around: &Surroundings,
    screen: &mut Screen,
) -> Outcome {
    if !terminal::can_ask() {
        return Err(Failure::new(Exit::Usage, "setup asks questions, and there is no terminal to ask at")
            .hint("give the commands yourself: agent login, agent add-folder, agent service install; `agent --help` lists them"));
    }
    let program =
        std::env::current_exe().map_err(|error| Failure::error("cannot tell where this program is").because(error))?;
    let options = match choice {
        Choice::Unsaid => Vec::new(),
        _ => places.options(),
    };
    let mut runner = Runner { program, options, done: Vec::new() };
    screen.line(format_args!("This sets up {}. Ctrl-C stops; what is done stays.", places.installation.words()))?;
    let account = sign_in(args, places, &mut runner, screen)?;
    let folder = folder(&account, places, around, &mut runner, screen)?;
    let synced = begin(&folder, places, around, &mut runner, screen)?;
    screen.line("")?;
    if runner.done.is_empty() {
        screen.line("Nothing had to be done.")?;
    } else {
        screen.line("These commands were run:")?;
        for command in &runner.done {
            screen.line(format_args!("  {command}"))?;
        }
    }
    screen.line("Next: agent status")?;
    Ok(if synced { Exit::Fine } else { Exit::Pending })
}

/// The account to use: one that is there, or a new one.
fn sign_in(args: &SetupArgs, places: &Places, runner: &mut Runner, screen: &mut Screen) -> Outcome<String> {
    let config = Config::load(places)?;
    for account in &config.accounts {
        let question = format!("Use the account `{}` ({})?", account.name, account.provider.title());
        if yes(&question, true)? {
            return Ok(account.name.clone());
        }
    }
    screen.line("")?;
    let cloud = choose("Which cloud", &[("box", "Box"), ("egnyte", "Egnyte")], screen)?;
    let name = ask("What shall the account be called", Some(cloud))?;
    let mut login = words(&["login", cloud, "--account", &name]);
    if let Some(url) = &args.api_url {
        login.extend(words(&["--api-url", url]));
    } else if cloud == ProviderName::Egnyte.word() {
        login.extend(words(&["--domain", &ask("Your Egnyte domain, such as acme.egnyte.com", None)?]));
    }
    for _ in 0..TRIES {
        let way = choose(
            "How do you sign in",
            &[
                ("browser", "in the browser, with an app of your own; you are told where to get one"),
                ("address", "the same, on a server: open an address anywhere and paste where it leads"),
                ("token", "with a token that you have"),
            ],
            screen,
        )?;
        let mut this = login.clone();
        match way {
            "address" => this.push("--no-browser".to_owned()),
            "token" => this.push("--token-stdin".to_owned()),
            _ => {}
        }
        if runner.run(&this, screen)? {
            return Ok(name);
        }
        screen.line("That did not work; see above. Once more:")?;
    }
    Err(gave_up("signing in"))
}

/// The folder: one that is there, or a new one.
fn folder(
    account: &str,
    places: &Places,
    around: &Surroundings,
    runner: &mut Runner,
    screen: &mut Screen,
) -> Outcome<String> {
    for _ in 0..TRIES {
        let before = Config::load(places)?;
        screen.line("")?;
        let remote = ask("Which folder of the cloud, such as /Projects/Inbox", None)?;
        let last = remote.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("cloud");
        let suggested = suggested_place(last, places, around);
        let local = ask("Where on this machine", Some(&suggested))?;
        let mode = choose(
            "Who decides",
            &[
                ("mirror", "the cloud: this machine has a copy"),
                ("two-way", "both: changes here go to the cloud as well"),
                ("upload", "this machine: it only sends"),
            ],
            screen,
        )?;
        let mut add = words(&["add-folder", &remote, &local, "--account", account, "--mode", mode]);
        if let Some(scanner) = scanner(screen)? {
            add.extend(words(&["--scan", scanner]));
        }
        if !runner.run(&add, screen)? {
            screen.line("That did not work; see above. Once more:")?;
            continue;
        }
        let after = Config::load(places)?;
        if let Some(new) = after.folders.iter().find(|folder| before.folder(&folder.name).is_none()) {
            let scanned = after.hooks.iter().any(|hook| {
                matches!(&hook.call, Call::Exec { .. } | Call::Scan(_)) && hook.folder.as_ref() == Some(&new.name)
            });
            if scanned {
                screen.line("Files are scanned before anybody can see them.")?;
            }
            return Ok(new.name.clone());
        }
        // It asked, and the answer was no.
        runner.done.pop();
    }
    Err(gave_up("adding a folder"))
}

fn suggested_place(name: &str, places: &Places, around: &Surroundings) -> String {
    let base = match places.installation {
        Installation::System => PathBuf::from("/srv"),
        Installation::User => around.variables.get("HOME").cloned().unwrap_or_else(|| around.current_dir.clone()),
        Installation::Home => around.current_dir.clone(),
    };
    harmless(&base.join(name).display().to_string())
}

/// A scanner that is installed, if one is wanted.
fn scanner(screen: &mut Screen) -> Outcome<Option<&'static str>> {
    let Some((name, _)) = SCANNERS.iter().find(|(_, program)| Path::new(program).exists()) else {
        screen.line("No virus scanner is installed (clamav-daemon would be one), so files are not scanned.")?;
        return Ok(None);
    };
    Ok(yes(&format!("Scan every file with {name} before anybody can see it?"), false)?.then_some(name))
}

/// Starts it, and waits until the folder is in sync; false if that was not wanted or not reached.
fn begin(
    folder: &str,
    places: &Places,
    around: &Surroundings,
    runner: &mut Runner,
    screen: &mut Screen,
) -> Outcome<bool> {
    screen.line("")?;
    let wait = words(&["wait", folder, "--timeout", WAITED]);
    if places.socket.exists() && runner.run(&wait, screen)? {
        return Ok(true);
    }
    if service::has_systemd() && yes("Install it as a service, so that it goes on by itself?", true)? {
        let mut install = words(&["service", "install"]);
        if runner.options.is_empty() && around.uid != 0 {
            install.push("--user".to_owned());
        }
        if runner.run(&install, screen)? {
            return runner.run(&wait, screen);
        }
    }
    if yes("Sync the folder once, now?", true)? {
        let synced = runner.run(&words(&["run", "--once"]), screen)?;
        screen.line("To go on from here, have `agent run` started by whatever starts programs on this machine.")?;
        return Ok(synced);
    }
    screen.line("Start it when you like: agent run")?;
    Ok(false)
}

fn gave_up(what: &str) -> Failure {
    Failure::error(format!("{what} did not work"))
        .hint("what was done stays; run `agent setup` again, or see `agent --help`")
}

/// Asks for a line; an empty one is the suggestion.
fn ask(question: &str, suggestion: Option<&str>) -> Outcome<String> {
    for _ in 0..TRIES {
        let suffix = suggestion.map_or_else(String::new, |text| format!(" [{text}]"));
        eprint!("{question}{suffix}: ");
        let answer = terminal::line()?;
        match (answer.expose_secret().trim(), suggestion) {
            ("", Some(suggestion)) => return Ok(suggestion.to_owned()),
            ("", None) => {}
            (answer, _) => return Ok(answer.to_owned()),
        }
    }
    Err(gave_up("asking"))
}

fn yes(question: &str, suggestion: bool) -> Outcome<bool> {
    for _ in 0..TRIES {
        eprint!("{question} {} ", if suggestion { "[Y/n]" } else { "[y/N]" });
        match terminal::line()?.expose_secret().trim().to_lowercase().as_str() {
            "" => return Ok(suggestion),
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
    Err(gave_up("asking"))
}

/// One of some words, by its number or itself; the first one is the suggestion.
fn choose(question: &str, choices: &[(&'static str, &str)], screen: &mut Screen) -> Outcome<&'static str> {
    screen.line(format_args!("{question}?"))?;
    for (number, (word, meaning)) in choices.iter().enumerate() {
        screen.line(format_args!("  {} {word:<8} {meaning}", number + 1))?;
    }
    screen.flush()?;
    for _ in 0..TRIES {
        let answer = ask("Number or word", choices.first().map(|(word, _)| *word))?;
        let number = answer.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
        if let Some((word, _)) = number.or_else(|| choices.iter().find(|(word, _)| *word == answer.to_lowercase())) {
            return Ok(word);
        }
    }
    Err(gave_up("asking"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_pasted() {
        assert_eq!(quoted("/Projects/Inbox"), "/Projects/Inbox");
        assert_eq!(quoted("it's here"), "'it'\\''s here'");
        assert_eq!(quoted(""), "''");
    }
}
