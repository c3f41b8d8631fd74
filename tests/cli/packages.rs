//! What packages install: made by the scripts that make them, with the program under test.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::PROGRAM;

fn script(name: &str, arguments: &[&str]) -> Output {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(dir.join("packaging").join(name)).args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn a_package_holds_the_program_its_pages_its_completions_and_its_unit() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    script("root", &[PROGRAM, root.to_str().unwrap()]);
    for file in [
        "usr/bin/agent",
        "usr/lib/systemd/system/folder-sync-agent.service",
        "usr/libexec/folder-sync-agent/hooks/clamd-scan",
        "usr/share/man/man1/agent.1.gz",
        "usr/share/man/man1/agent-add-folder.1.gz",
        "usr/share/man/man5/agent.toml.5.gz",
        "usr/share/bash-completion/completions/agent",
        "usr/share/zsh/vendor-completions/_agent",
        "usr/share/fish/vendor_completions.d/agent.fish",
        "usr/share/doc/folder-sync-agent/README.md",
    ] {
        assert!(root.join(file).metadata().is_ok_and(|metadata| metadata.len() > 0), "{file}");
    }
    assert!(root.join("etc/folder-sync-agent/hooks.d").is_dir());
}

#[test]
fn the_page_of_the_configuration_explains_every_key() {
    let page = Command::new(PROGRAM).args(["man", "agent.toml"]).output().unwrap();
    let page = String::from_utf8(page.stdout).unwrap().replace("\\-", "-");
    let listed = Command::new(PROGRAM).args(["config", "reference", "--json"]).output().unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let keys = listed["keys"].as_array().unwrap();
    assert!(keys.len() > 50, "{}", keys.len());
    for key in keys {
        let name = key["key"].as_str().unwrap();
        assert!(page.contains(&format!("\\fB{name}\\fR")), "{name} is on the page");
        let explained = Command::new(PROGRAM).args(["config", "reference", name]).output().unwrap();
        assert!(String::from_utf8(explained.stdout).unwrap().contains(key["example"].as_str().unwrap()), "{name}");
    }
    assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
}

#[test]
fn an_rpm_is_built_and_installed() {
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !there("rpmbuild") || !there("rpm") || !rustix::process::geteuid().is_root() {
        eprintln!("skipped: rpmbuild is not installed, or this is not root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let built = script("build-rpm", &["--binary", PROGRAM, "--out", out.to_str().unwrap()]);
    let package = String::from_utf8(built.stdout).unwrap().trim().to_owned();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let rpm = |arguments: &[&str]| {
        let output = Command::new("rpm").arg("--root").arg(&root).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    rpm(&["--initdb"]);
    // The scripts want a system around them; the container of packaging/test-deb is one.
    rpm(&["-i", "--nodeps", "--noscripts", &package]);
    let version = Command::new(root.join("usr/bin/agent")).arg("--version").output().unwrap();
    assert!(String::from_utf8(version.stdout).unwrap().starts_with("agent "));
    assert!(rpm(&["-q", "--requires", "folder-sync-agent"]).contains("ca-certificates"));
    rpm(&["-e", "--nodeps", "--noscripts", "folder-sync-agent"]);
    assert!(!root.join("usr/bin/agent").exists());
}
