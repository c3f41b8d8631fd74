//! Secrets appear nowhere: every way to sign in, a run with a hook, ten failures, and then everything that was written is searched.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use folder_sync_agent::sandbox::{Answer, App, Fault, PASSWORD, Rule, User};
use rustix::process::{Pid, Signal, kill_process};

use super::json_of;
use crate::support::{Bed, PATIENCE, REMOTE, until};

const SECRET: &str = "canary-app-secret-0123456789";
const PASSPHRASE: &str = "open-sesame";
const WRONG_TOKEN: &str = "canary-wrong-token-0123456789";
const PRIVATE_KEY: &str = include_str!("../keys/box.pem");
const PUBLIC_KEY: &str = include_str!("../keys/box.pub.pem");

/// Everything that is searched, and what for.
struct Search {
    written: Vec<u8>,
    secrets: BTreeSet<String>,
}

impl Search {
    /// Tokens change with every renewal: each of them counts.
    fn note_tokens(&mut self, bed: &Bed) {
        for entry in fs::read_dir(bed.home().join("credentials")).unwrap().flatten() {
            let Ok(file) = serde_json::from_slice::<serde_json::Value>(&fs::read(entry.path()).unwrap()) else {
                continue;
            };
            for place in [&file, &file["previous"]] {
                for name in ["access_token", "refresh_token"] {
                    self.secrets.extend(place[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned));
                }
            }
        }
    }

    /// Runs a command to its end; what it prints is searched.
    fn run(&mut self, bed: &Bed, arguments: &[&str], input: &str) -> i32 {
        let mut child = traced(bed)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses its options reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        self.written.extend([output.stdout, output.stderr].concat());
        self.note_tokens(bed);
        output.status.code().unwrap_or(-1)
    }

    fn in_file(&mut self, path: &Path) {
        self.written.extend(fs::read(path).unwrap_or_default());
    }

    fn found(&self) -> Vec<&String> {
        let text = &self.written;
        let holds = |secret: &&String| text.windows(secret.len()).any(|window| window == secret.as_bytes());
        self.secrets.iter().filter(holds).collect()
    }
}

fn traced(bed: &Bed) -> Command {
    let mut command = bed.agent();
    command.env("AGENT_LOG", "trace").env("RUST_BACKTRACE", "1");
    command
}

/// Where a page redirects to.
fn redirect_of(address: &str) -> String {
    let address: url::Url = address.parse().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", address.port().unwrap())).unwrap();
    let target = &address[url::Position::BeforePath..];
    write!(stream, "GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    location.unwrap_or_else(|| panic!("no redirect: {answer}")).trim().to_owned()
}

/// Signs in with a code; the process is looked at while it waits.
fn by_code(search: &mut Search, bed: &Bed, url: &str, account: &str) {
    let mut command = traced(bed);
    command.args(["login", "box", "--account", account, "--api-url", url, "--no-browser"]);
    command.env("AGENT_CLIENT_ID", "app").env("AGENT_CLIENT_SECRET", SECRET);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut address = String::new();
    while !address.starts_with("http") {
        address.clear();
        assert!(out.read_line(&mut address).unwrap() > 0, "an address is shown");
        search.written.extend(address.as_bytes());
    }
    search.written.extend(fs::read(format!("/proc/{}/cmdline", child.id())).unwrap());
    let back = redirect_of(address.trim());
    search.secrets.insert(back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned());
    writeln!(child.stdin.as_mut().unwrap(), "{back}").unwrap();
    let output = child.wait_with_output().unwrap();
    search.written.extend(output.stderr);
    out.read_to_end(&mut search.written).unwrap();
    assert!(output.status.success());
    search.note_tokens(bed);
}

#[test]
fn no_secret_is_written_anywhere_but_where_it_is_kept() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    let url = bed.sandbox.url();
    cloud.write(&format!("{REMOTE}/one"), "1".as_bytes().to_vec()).unwrap();
    let keys = [("kid1".to_owned(), PUBLIC_KEY.to_owned())].into();
    cloud.register_app(App { client_secret: SECRET.into(), public_keys: keys, internal: true, ..App::default() });
    // What a person holds lies elsewhere than what the agent writes.
    let held = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = held.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let app = file("app.txt", &format!("app\n{SECRET}\n"));
    let jwt_text = |passphrase: &str| {
        serde_json::json!({
            "boxAppSettings": {
                "clientID": "app",
                "clientSecret": SECRET,
                "appAuth": { "publicKeyID": "kid1", "privateKey": PRIVATE_KEY, "passphrase": passphrase },
            },
            "enterpriseID": "801346",
        })
        .to_string()
    };
    let key = file("key.json", &jwt_text(PASSPHRASE));
    let key_line = PRIVATE_KEY.lines().nth(3).unwrap();
    let secrets = [SECRET, PASSPHRASE, PASSWORD, WRONG_TOKEN, key_line, "canary-passphrase"];
    let mut search = Search { written: Vec::new(), secrets: secrets.map(str::to_owned).into() };
    let search = &mut search;

    // Every way to sign in.
    let pair = cloud.issue_pair(User::Agent, 3_600);
    let tokens = json_of(&pair).replace("app-secret", SECRET);
    let to = |cloud: &'static str, account: &'static str| {
        vec!["login", cloud, "--account", account, "--api-url", url.as_str()]
    };
    let work = [&to("box", "work")[..], &["--token-stdin"]].concat();
    assert_eq!(search.run(&bed, &work, &tokens), 0);
    let ccg = ["--ccg", "--app-file", &app, "--subject", "enterprise:801346"];
    assert_eq!(search.run(&bed, &[&to("box", "ccg")[..], &ccg].concat(), ""), 0);
    assert_eq!(search.run(&bed, &[&to("box", "jwt")[..], &["--jwt", &key]].concat(), ""), 0);
    let password = ["--username", "agent", "--app-file", &app];
    assert_eq!(search.run(&bed, &[&to("egnyte", "office")[..], &password].concat(), PASSWORD), 0);
    by_code(search, &bed, &url, "code");

    // A run, with a hook that writes down all that it can see.
    bed.add_folder(&[]);
    let hook = bed.dir.path().join("hook");
    let seen = bed.dir.path().join("seen");
    let script = format!(
        "#!/bin/sh\n{{ env; cat /proc/$$/environ /proc/$PPID/cmdline; cat; }} >> '{}' 2>/dev/null\n",
        seen.display()
    );
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bed.ok(&["add-hook", "sees", "--when", "after", "--on", "*", "--run", hook.to_str().unwrap()]);
    let log = fs::File::create(bed.dir.path().join("trace.log")).unwrap();
    let mut run = traced(&bed);
    run.arg("run").env("AGENT_CLIENT_SECRET", SECRET).stdin(Stdio::null());
    run.stdout(log.try_clone().unwrap()).stderr(log);
    let mut agent = run.spawn().unwrap();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    search.note_tokens(&bed);

    // Ten failures.
    let token_of = |account: &str| super::kept(&bed, account)["access_token"].as_str().unwrap().to_owned();
    let html = Answer::html(502);
    cloud.faults().add(Rule::on("token", Fault::Answer(html)));
    cloud.faults().add(Rule::on("token", Fault::CutAfter));
    cloud.expire_token(&token_of("work"));
    cloud.write(&format!("{REMOTE}/two"), "2".as_bytes().to_vec()).unwrap();
    bed.wait_equal(PATIENCE);
    search.note_tokens(&bed);
    assert_eq!(search.run(&bed, &work, WRONG_TOKEN), 77);
    let truncated = format!("{{\"access_token\":\"{WRONG_TOKEN}\",\"client_secret\":\"{SECRET}\"");
    assert_ne!(search.run(&bed, &work, &truncated), 0);
    assert_ne!(search.run(&bed, &work, &truncated.replace("\":\"", "\":[\"").replace("\",", "\"],")), 0);
    assert_eq!(search.run(&bed, &[&to("egnyte", "office")[..], &password].concat(), WRONG_TOKEN), 77);
    let wrong = file("wrong.json", &jwt_text("canary-passphrase"));
    assert_eq!(search.run(&bed, &[&to("box", "jwt")[..], &["--jwt", &wrong]].concat(), ""), 1);
    let half = file("half.json", &jwt_text(PASSPHRASE)[..900]);
    assert_eq!(search.run(&bed, &[&to("box", "jwt")[..], &["--jwt", &half]].concat(), ""), 1);
    let other = ["--ccg", "--app-stdin", "--subject", "enterprise:801346"];
    assert_eq!(search.run(&bed, &[&to("box", "ccg")[..], &other].concat(), &format!("nobody\n{SECRET}\n")), 77);
    cloud.revoke_token(&token_of("work"));
    cloud.write(&format!("{REMOTE}/three"), "3".as_bytes().to_vec()).unwrap();
    until("the ended sign-in", || bed.is_degraded("sign_in_needed"));
    let looks = [
        &["status", "--json"][..],
        &["accounts", "--json"],
        &["doctor", "--json"],
        &["config", "show", "--json"],
        &["events", "--json"],
        &["hook-runs", "--json"],
        &["problems", "--json"],
    ];
    for look in looks {
        search.run(&bed, look, "");
    }
    fs::set_permissions(bed.home().join("credentials/ccg.json"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    search.run(&bed, &["doctor"], "");
    cloud.faults().add(Rule::on("revoke", Fault::Answer(Answer::html(500))));
    assert_eq!(search.run(&bed, &["logout", "jwt"], ""), 0);
    kill_process(Pid::from_child(&agent), Signal::ABORT).unwrap();
    agent.wait().unwrap();

    for name in ["trace.log", "seen", "agent.log", "home/config.toml", "home/state.db", "home/state.db-wal"] {
        search.in_file(&bed.dir.path().join(name));
    }
    assert!(fs::read_to_string(&seen).unwrap().contains("AGENT_"), "the hook has seen its environment");
    assert!(fs::read_to_string(bed.dir.path().join("trace.log")).unwrap().contains("TRACE"), "the log says everything");
    assert!(search.secrets.len() > 12, "{:?}", search.secrets.len());
    assert_eq!(search.found(), Vec::<&String>::new());
    search.written.extend(format!("x{SECRET}x").bytes());
    assert_eq!(search.found(), [SECRET], "one would be found");
    // And nothing else that lies about holds one.
    for secret in &search.secrets {
        let elsewhere = files_with(bed.dir.path(), secret);
        assert!(elsewhere.iter().all(|path| path.contains("/credentials/")), "{elsewhere:?}");
    }
}

fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).unwrap_or_default().windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}
