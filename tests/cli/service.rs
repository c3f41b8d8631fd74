//! The service: what would be written, and what systemd thinks of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{Bed, PROGRAM};

/// The exposure that the system unit may have, in tenths, as `systemd-analyze security` counts it.
const EXPOSURE_MAX: &str = "16";

/// Runs systemd-analyze; nothing where it is not installed.
fn analyze(bed: &Bed, arguments: &[&str]) -> Option<Output> {
    let run = Command::new("systemd-analyze").args(arguments).env("XDG_RUNTIME_DIR", bed.path("")).output();
    match run {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: systemd-analyze is not installed");
            None
        }
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}

/// The unit file that a dry run shows, written where systemd-analyze can look at it. The program is where it is.
async fn unit(bed: &Bed, scope: &str) -> PathBuf {
    let home = bed.path("");
    let shown = bed.run_in(&[("HOME", &home)], &["service", "install", scope, "--dry-run"], "").await.fine();
    let (_, unit) = shown.split_once("folder-sync-agent.service:\n").unwrap();
    let lines: Vec<&str> = unit.lines().map_while(|line| line.strip_prefix("    ")).collect();
    let text = (lines.join("\n") + "\n").replace("/usr/local/bin/agent", PROGRAM);
    let path = bed.path("folder-sync-agent.service");
    fs::write(&path, text).unwrap();
    path
}

/// systemd-analyze verify ends well also where it complains of an unknown key: every word of it counts.
fn verify(bed: &Bed, unit: &Path, scope: &str) {
    let Some(output) = analyze(bed, &["verify", scope, "--man=no", unit.to_str().unwrap()]) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.success(), said.trim()), (true, ""), "{}", fs::read_to_string(unit).unwrap());
}

#[tokio::test]
async fn the_system_unit_is_right_and_tight() {
    let bed = Bed::new();
    let unit = unit(&bed, "--system").await;
    verify(&bed, &unit, "--system");
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    if let Some(output) = analyze(&bed, &["security", "--offline=true", &threshold, unit.to_str().unwrap()]) {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[tokio::test]
async fn the_user_unit_is_right() {
    let bed = Bed::new();
    let unit = unit(&bed, "--user").await;
    let text = fs::read_to_string(&unit).unwrap();
    assert!(text.contains(&format!("ExecStart={PROGRAM} --user run")), "{text}");
    verify(&bed, &unit, "--user");
}

#[tokio::test]
async fn a_dry_run_shows_every_step_and_takes_none() {
    let bed = Bed::new();
    let home = bed.path("ann");
    let shown = bed.run_in(&[("HOME", &home)], &["service", "install", "--user", "-n"], "").await.fine();
    assert!(shown.contains("write $DIR/ann/.config/systemd/user/folder-sync-agent.service:"), "{shown}");
    for step in ["run systemctl --user daemon-reload", "run systemctl --user enable", "run systemctl --user restart"] {
        assert!(shown.contains(step), "{shown}");
    }
    let shown = bed.run_in(&[("HOME", &home)], &["service", "uninstall", "--system", "-n"], "").await.fine();
    assert!(shown.contains("remove /etc/systemd/system/folder-sync-agent.service\n"), "{shown}");
    assert!(!home.exists());
}

#[tokio::test]
async fn a_machine_without_systemd_is_told_what_to_do() {
    if folder_sync_agent::service::has_systemd() {
        eprintln!("skipped: this machine is run by systemd");
        return;
    }
    let bed = Bed::new();
    insta::assert_snapshot!(bed.run(&["service", "start"]).await.failed(1), @r#"
    error: this machine is not run by systemd
    hint: run `agent run` from whatever starts programs here; it stays in the foreground
    "#);
}
