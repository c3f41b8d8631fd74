//! Tells the program which commit it is made of. A tree without git, such as a source archive, names it in AGENT_COMMIT and
//! AGENT_COMMIT_DATE; without those it is unknown.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=packaging/build.rs");
    for variable in ["AGENT_COMMIT", "AGENT_COMMIT_DATE"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let commit = std::env::var("AGENT_COMMIT").ok().or_else(|| git(&["rev-parse", "--short=10", "HEAD"]));
    let date = std::env::var("AGENT_COMMIT_DATE").ok().or_else(|| git(&["log", "-1", "--format=%cs"]));
    println!(
        "cargo::rustc-env=AGENT_BUILT_FROM={} {}",
        commit.unwrap_or("unknown commit".into()),
        date.unwrap_or_default()
    );
    // Only what is shipped is made anew for each commit; while one works, the first build of the day is near enough.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        for file in ["HEAD", "logs/HEAD"] {
            if let Some(path) = git(&["rev-parse", "--git-path", file]) {
                println!("cargo::rerun-if-changed={path}");
            }
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
