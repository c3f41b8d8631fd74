//! Commands that ask, with somebody at a terminal: secrets are not shown, a failed sign-in leaves everything as it was, and `agent setup`
//! leads from nothing to a synced folder.

use std::fs;
use std::process::Command;

use folder_sync_agent::sandbox::ACCESS_TOKEN;

use super::PROGRAM;
use crate::support::pty::Terminal;
use crate::support::{Bed, PATIENCE, REMOTE, until};

/// A program at a terminal, with a home of its own.
fn at_terminal(bed: &Bed, home: &str, arguments: &[&str]) -> Terminal {
    let mut command = Command::new(PROGRAM);
    command.arg("--home").arg(bed.dir.path().join(home)).args(arguments).current_dir(bed.dir.path());
    command.env_clear().env("TERM", "dumb").env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Terminal::start(command)
}

fn config(bed: &Bed, home: &str) -> String {
    fs::read_to_string(bed.dir.path().join(home).join("config.toml")).unwrap_or_default()
}

#[test]
fn a_token_is_not_shown_and_the_terminal_shows_again_afterwards() {
    let bed = Bed::new();
    let url = bed.sandbox.url();
    let mut terminal =
        at_terminal(&bed, "fresh", &["login", "box", "--account", "w", "--api-url", &url, "--token-stdin"]);
    terminal.expect("Token (not shown): ");
    until("a terminal that does not show what is typed", || !terminal.echoes());
    terminal.type_line(ACCESS_TOKEN);
    terminal.expect("Signed in to box as");
    assert!(terminal.echoes());
    let (status, shown) = terminal.end();
    assert!(status.success() && !shown.contains(ACCESS_TOKEN), "{shown}");
}

#[test]
fn an_apps_secret_and_a_password_are_not_shown() {
    let bed = Bed::new();
    let url = bed.sandbox.url();
    let login = ["login", "box", "--account", "w", "--api-url", &url, "--ccg", "--subject", "enterprise:1"];
    let mut terminal = at_terminal(&bed, "fresh", &login);
    terminal.expect("Client ID:");
    until("a terminal that does not show what is typed", || !terminal.echoes());
    terminal.type_line("the-client");
    terminal.expect("Client secret (not shown): ");
    until("a terminal that does not show what is typed", || !terminal.echoes());
    terminal.type_line("hidden-secret");
    let (_, shown) = terminal.end();
    assert!(!shown.contains("hidden-secret"), "{shown}");

    let app = bed.dir.path().join("app.txt");
    fs::write(&app, "the-client\nhidden-secret\n").unwrap();
    let login = [
        "login",
        "egnyte",
        "--account",
        "e",
        "--api-url",
        &url,
        "--username",
        "jdoe",
        "--app-file",
        app.to_str().unwrap(),
    ];
    let mut terminal = at_terminal(&bed, "other", &login);
    terminal.expect("Password (not shown, not kept): ");
    until("a terminal that does not show what is typed", || !terminal.echoes());
    terminal.type_line("hidden-password");
    let (status, shown) = terminal.end();
    assert!(!status.success() && !shown.contains("hidden-password"), "{shown}");
    assert_eq!(config(&bed, "other"), "", "a failed sign-in leaves nothing");
}

#[test]
fn a_failed_sign_in_leaves_the_account_as_it_was() {
    let bed = Bed::new();
    let url = bed.sandbox.url();
    let credentials = bed.home().join("credentials/work.json");
    let before = (config(&bed, "home"), fs::read(&credentials).unwrap());
    let mut terminal =
        at_terminal(&bed, "home", &["login", "box", "--account", "work", "--api-url", &url, "--token-stdin"]);
    terminal.answer("Token (not shown): ", "a-wrong-one");
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(77), "{shown}");
    assert!(shown.contains("what was signed in before stays so"), "{shown}");
    assert_eq!((config(&bed, "home"), fs::read(&credentials).unwrap()), before);
    let left: Vec<_> =
        fs::read_dir(bed.home().join("credentials")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".login-")), "{left:?}");
    bed.ok(&["doctor"]);
}

#[test]
fn a_watched_status_shows_what_happens_in_its_folder() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    bed.cloud().mkdir_p("/Projects/Other").unwrap();
    bed.ok(&["add-folder", "/Projects/Other", bed.dir.path().join("other").to_str().unwrap(), "--account", "work"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let mut terminal = at_terminal(&bed, "home", &["status", "inbox", "--watch"]);
    terminal.expect("in sync");
    bed.cloud().write("/Projects/Other/elsewhere.txt", b"one".to_vec()).unwrap();
    until("the other folder's file", || bed.dir.path().join("other/elsewhere.txt").exists());
    bed.cloud().write(&format!("{REMOTE}/report.txt"), b"one".to_vec()).unwrap();
    terminal.expect("Olu Other  item.uploaded  inbox: report.txt → downloaded");
    terminal.interrupt();
    let (status, shown) = terminal.end();
    assert!(status.success() && !shown.contains("elsewhere.txt"), "{shown}");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn setup_leads_from_nothing_to_a_synced_folder() {
    let bed = Bed::new();
    bed.cloud().write(&format!("{REMOTE}/hello.txt"), b"hello".to_vec()).unwrap();
    let url = bed.sandbox.url();
    let mut terminal = at_terminal(&bed, "fresh", &["setup", "--api-url", &url]);
    terminal.answer("Number or word [box]: ", "");
    terminal.answer("What shall the account be called [box]: ", "work");
    terminal.answer("Number or word [browser]: ", "3");
    terminal.answer("Token (not shown): ", "a-wrong-one");
    terminal.expect("That did not work; see above. Once more:");
    terminal.answer("Number or word [browser]: ", "token");
    terminal.answer("Token (not shown): ", ACCESS_TOKEN);
    terminal.answer("Which folder of the cloud, such as /Projects/Inbox: ", "/Projects/Inbx");
    terminal.answer("Where on this machine [", "");
    terminal.answer("Number or word [mirror]: ", "nonsense");
    terminal.answer("Number or word [mirror]: ", "1");
    if scanner() {
        terminal.answer("before anybody can see it? [y/N] ", "n");
    }
    terminal.expect("the folders there are Inbox");
    terminal.answer("Which folder of the cloud, such as /Projects/Inbox: ", REMOTE);
    terminal.answer("Where on this machine [", "./my files");
    terminal.answer("Number or word [mirror]: ", "mirror");
    if scanner() {
        terminal.answer("before anybody can see it? [y/N] ", "n");
    }
    terminal.answer("Add this folder? [y/N] ", "y");
    if std::path::Path::new("/run/systemd/system").is_dir() {
        terminal.answer("so that it goes on by itself? [Y/n] ", "n");
    }
    terminal.answer("Sync the folder once, now? [Y/n] ", "");
    terminal.expect("These commands were run:");
    let (status, shown) = terminal.end();
    assert!(status.success(), "{shown}");
    let listed = shown.rsplit("These commands were run:").next().unwrap();
    for part in ["login box --account work", "--token-stdin", "add-folder /Projects/Inbox './my files'", "run --once"] {
        assert!(listed.contains(part), "{part} in {listed}");
    }
    assert!(!shown.contains(ACCESS_TOKEN), "{shown}");
    assert_eq!(fs::read_to_string(bed.dir.path().join("my files/hello.txt")).unwrap(), "hello");
}

fn scanner() -> bool {
    ["/usr/bin/clamdscan", "/usr/bin/clamscan"].iter().any(|program| std::path::Path::new(program).exists())
}

#[test]
fn a_running_agent_greets_whoever_sits_there() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    let mut terminal = at_terminal(&bed, "home", &["run"]);
    terminal.expect("Ready. Stop with Ctrl-C.");
    terminal.expect("account work (box): signed in as agent@example.test");
    terminal.expect("folder inbox: /Projects/Inbox → ");
    terminal.expect("agent status --watch");
}

#[test]
fn setup_needs_a_terminal() {
    let bed = Bed::new();
    let ran = bed.run(&["setup"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("there is no terminal to ask at"));
}
