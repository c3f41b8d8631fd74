//! The agent's figures as monitoring systems read them, and the dashboard and alerts that are shipped for them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Bed, PATIENCE, REMOTE, until};

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("packaging/monitoring").join(name)
}

/// The value of the sample that begins with this name and has all these labels.
fn value(document: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let line = document.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// The names of our samples in a text.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("folder_sync_"))
        .map(str::to_owned)
        .collect()
}

fn promtool(args: &[&str], input: &str) -> Option<String> {
    let child =
        Command::new("promtool").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("skipped: promtool is not installed");
        assert!(std::env::var_os("REQUIRE_PROMTOOL").is_none(), "promtool is required");
        return None;
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    Some(said)
}

/// A bed with a folder, a hook that fails and a hook that works, in which something happened.
fn lively() -> Bed {
    let bed = Bed::new();
    bed.add_folder(&["--exclude", "*.tmp"]);
    bed.ok(&[
        "add-hook",
        "gate",
        "--when",
        "before",
        "--on",
        "file.download",
        "--on-error",
        "allow",
        "--run",
        "/bin/false",
    ]);
    bed.ok(&["add-hook", "told", "--when", "after", "--on", "file.*", "--run", "/bin/true"]);
    bed.ok(&["set-hook", "gate", "on_reject=allow"]);
    let path = bed.home().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let limited = config.replacen("provider = \"box\"\n", "provider = \"box\"\ncalls_per_day = 1000\n", 1);
    assert_ne!(limited, config);
    fs::write(&path, limited).unwrap();
    bed
}

#[test]
fn figures_say_what_happened_and_every_shipped_expression_knows_their_names() {
    let bed = lively();
    let before = bed.ok(&["metrics"]);
    assert_eq!(value(&before, "folder_sync_running", &[]), Some(0.0), "{before}");
    let running = bed.start();
    bed.wait_in_sync(PATIENCE);
    bed.cloud().write(&format!("{REMOTE}/a quoted name.txt"), "one").unwrap();
    bed.wait_equal(PATIENCE);
    let seen = || value(&bed.ok(&["metrics"]), "folder_sync_event_to_visible_seconds_count", &["folder=\"inbox\""]);
    until("the event is timed", || seen() == Some(1.0));
    until("the hooks have run", || {
        let document = bed.ok(&["metrics"]);
        let ran = |hook: &str, verdict: &str| {
            value(
                &document,
                "folder_sync_hook_runs_total",
                &[&format!("hook=\"{hook}\""), &format!("verdict=\"{verdict}\"")],
            )
        };
        ran("gate", "reject") == Some(1.0) && ran("told", "allow") == Some(1.0)
    });
    bed.wait_in_sync(PATIENCE);
    let document = bed.ok(&["metrics"]);
    assert!(document.ends_with("# EOF\n"), "{document}");
    let folder = &["folder=\"inbox\""][..];
    for (name, labels, expected) in [
        ("folder_sync_running", &[][..], 1.0),
        ("folder_sync_in_sync", &[], 1.0),
        ("folder_sync_starts_total", &[], 1.0),
        ("folder_sync_folder_state", &["folder=\"inbox\"", "state=\"in_sync\""], 1.0),
        ("folder_sync_folder_state", &["folder=\"inbox\"", "state=\"halted\""], 0.0),
        ("folder_sync_folder_lag_seconds", folder, 0.0),
        ("folder_sync_folder_files", folder, 1.0),
        ("folder_sync_folder_size_bytes", folder, 3.0),
        ("folder_sync_folder_pending", folder, 0.0),
        ("folder_sync_folder_problems", folder, 0.0),
        ("folder_sync_folder_conflicts", folder, 0.0),
        ("folder_sync_folder_held", folder, 0.0),
        ("folder_sync_folder_quarantined", folder, 0.0),
        ("folder_sync_events_total", &["disposition=\"relevant\""], 1.0),
        ("folder_sync_api_budget_calls", &["account=\"work\""], 1_000.0),
        ("folder_sync_api_requests_total", &["kind=\"content\"", "status=\"302\""], 1.0),
        ("folder_sync_hook_duration_seconds_count", &["hook=\"told\""], 1.0),
        ("folder_sync_account_sign_in_ends_soon", &["account=\"work\"", "provider=\"box\""], 0.0),
        ("folder_sync_store_failures_total", &[], 0.0),
    ] {
        assert_eq!(value(&document, name, labels), Some(expected), "{name}{labels:?}\n{document}");
    }
    for name in
        ["folder_sync_store_commits_total", "folder_sync_store_size_bytes", "folder_sync_start_timestamp_seconds"]
    {
        assert!(value(&document, name, &[]).is_some_and(|value| value > 0.0), "{name}\n{document}");
    }
    let unverified = value(&document, "folder_sync_folder_oldest_unverified_seconds", folder).unwrap();
    assert!((0.0..120.0).contains(&unverified), "{unverified}");
    let left = value(&document, "folder_sync_api_budget_left_calls", &["account=\"work\""]).unwrap();
    assert!((900.0..1_000.0).contains(&left), "{left}");

    // The older format of the same.
    let text = bed.ok(&["metrics", "--text"]);
    if let Some(said) = promtool(&["check", "metrics"], &text) {
        assert_eq!(said, "", "the linter has nothing to say");
    }

    // What is shipped names nothing that is not there. What only trouble brings is written nowhere else.
    let mut known = names(&document);
    for trouble in [
        "folder_sync_degraded",
        "folder_sync_account_degraded",
        "folder_sync_folder_degraded",
        "folder_sync_account_sign_in_end_timestamp_seconds",
        "folder_sync_hook_deliveries",
        "folder_sync_scanner_signatures_timestamp_seconds",
    ] {
        known.insert(trouble.to_owned());
    }
    for file in ["alerts.yml", "alerts.test.yml", "dashboard.json"] {
        let asked = names(&fs::read_to_string(shipped(file)).unwrap());
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(asked.len() > 5 && unknown.is_empty(), "{file} asks for {unknown:?}");
    }
    running.stop();
    let second = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(value(&bed.ok(&["metrics"]), "folder_sync_starts_total", &[]), Some(2.0));
    second.kill();
    let offline = bed.ok(&["metrics"]);
    assert_eq!(value(&offline, "folder_sync_running", &[]), Some(0.0));
    assert_eq!(value(&offline, "folder_sync_folder_files", folder), Some(1.0), "{offline}");
    assert_eq!(value(&offline, "folder_sync_store_commits_total", &[]), None, "nobody counts where nobody runs");
}

/// A scanner that speaks clamd's protocol just so far as to say its version.
fn stand_in_for_clamd(socket: &std::path::Path, version: &'static str) {
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let (mut asked, mut byte, mut number) = (Vec::new(), [0], 0);
                while std::io::Read::read(&mut stream, &mut byte).is_ok_and(|read| read == 1) {
                    asked.push(byte[0]);
                    if asked.ends_with(b"zVERSION\0") {
                        number += 1;
                        let answer = format!("{number}: {version}\0");
                        let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
                        asked.clear();
                    }
                }
            });
        }
    });
}

#[test]
fn the_age_of_a_scanners_signatures_is_a_figure_and_so_is_what_is_left_out() {
    let bed = Bed::new();
    bed.add_folder(&["--mode", "two-way"]);
    let socket = bed.dir.path().join("clamd.ctl");
    stand_in_for_clamd(&socket, "ClamAV 1.4.3/27821/Fri Nov 27 09:31:00 2026");
    let scan = format!("clamd:{}", socket.display());
    bed.ok(&["add-hook", "av", "--when", "before", "--on", "file.download", "--scan", &scan]);
    fs::create_dir_all(bed.local()).unwrap();
    std::os::unix::fs::symlink("nowhere", bed.local().join("link")).unwrap();
    let running = bed.start();
    bed.wait_in_sync(PATIENCE);
    let told = || value(&bed.ok(&["metrics"]), "folder_sync_scanner_signatures_timestamp_seconds", &["hook=\"av\""]);
    until("the scanner is asked", || told().is_some());
    assert_eq!(told(), Some(1_795_771_860.0), "27 November 2026, 09:31 UTC");
    let document = bed.ok(&["metrics"]);
    for (kind, expected) in [("link", 1.0), ("special", 0.0), ("mount", 0.0)] {
        let labels = ["folder=\"inbox\"", &format!("kind=\"{kind}\"")];
        assert_eq!(value(&document, "folder_sync_folder_left_out", &labels), Some(expected), "{document}");
    }
    assert!(value(&document, "folder_sync_store_wal_size_bytes", &[]).is_some(), "{document}");
    running.stop();
}

#[test]
fn a_sign_in_that_ends_within_a_week_is_a_figure_and_so_is_trouble() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    let end = std::time::SystemTime::now() + Duration::from_hours(6 * 24);
    let end = end.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let token = serde_json::json!({ "access_token": folder_sync_agent::sandbox::ACCESS_TOKEN, "expires_at": end });
    bed.login_with(&token.to_string());
    let running = bed.start();
    bed.wait_in_sync(PATIENCE);
    let document = bed.ok(&["metrics"]);
    let labels = &["account=\"work\"", "provider=\"box\""][..];
    assert_eq!(value(&document, "folder_sync_account_sign_in_ends_soon", labels), Some(1.0), "{document}");
    let told = value(&document, "folder_sync_account_sign_in_end_timestamp_seconds", labels).unwrap();
    assert!((told - end as f64).abs() < 2.0, "{told} {end}");
    bed.cloud().revoke_token(folder_sync_agent::sandbox::ACCESS_TOKEN);
    bed.cloud().write(&format!("{REMOTE}/b"), "two").unwrap();
    bed.run(&["sync"]);
    let labels = &["account=\"work\"", "reason=\"sign_in_needed\""][..];
    until("the trouble is a figure", || {
        value(&bed.ok(&["metrics"]), "folder_sync_account_degraded", labels) == Some(1.0)
    });
    running.stop();
}

#[test]
fn alerts_and_dashboard_are_what_prometheus_understands() {
    let alerts = fs::read_to_string(shipped("alerts.yml")).unwrap();
    // Each alert names a command of ours.
    let alerts_count = alerts.matches("- alert: ").count();
    let commands: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("command: ")).collect();
    assert_eq!((alerts_count, commands.len()), (22, 22));
    let bed = Bed::new();
    for command in commands {
        for part in command.split(" && ") {
            let words: Vec<&str> =
                part.split(' ').skip(1).take_while(|word| word.starts_with(char::is_lowercase)).collect();
            let help: Vec<&str> = words.iter().copied().take(1).chain(["--help"]).collect();
            assert!(part.starts_with("agent ") && bed.run(&help).status.success(), "{part}");
        }
    }
    if promtool(&["check", "rules", shipped("alerts.yml").to_str().unwrap()], "").is_none() {
        return;
    }
    promtool(&["test", "rules", shipped("alerts.test.yml").to_str().unwrap()], "");
    // The dashboard's expressions, as rules that record.
    let dashboard: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(shipped("dashboard.json")).unwrap()).unwrap();
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for target in
        dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array()).flatten()
    {
        let expr = target["expr"].as_str().unwrap().replace("$instance", ".*").replace("$folder", ".*");
        let number = rules.len();
        writeln!(rules, "  - record: panel:{number}\n    expr: {}", serde_json::Value::from(expr)).unwrap();
    }
    let file = bed.dir.path().join("dashboard.yml");
    fs::write(&file, rules).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], "");
}
