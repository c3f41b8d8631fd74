//! The configuration file as people write it: what is accepted, and every complaint at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use folder_sync_agent::config::{Config, ConfigError, Places, Surroundings};
use folder_sync_agent::hook::{Call, HeaderText, Policies, Policy, QuarantineRemote, Verdict, When};
use folder_sync_agent::settings::{MaxDelete, Mode, OnDrift, ProviderName, RemotePlace};

fn places() -> Places {
    Places::home(Path::new("/nowhere/agent-home"), &Surroundings { umask: 0o022, ..Surroundings::default() })
}

fn complaints(text: &str) -> String {
    match Config::check(text, &places()) {
        Ok(config) => format!("accepted: {config:#?}"),
        Err(complaints) => complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn an_empty_configuration_is_valid() {
    assert_eq!(Config::check("", &places()).unwrap(), Config::default());
    assert_eq!(Config::load(&places()).unwrap(), Config::default());
}

#[test]
fn every_key_of_a_folder_and_an_account() {
    let config = Config::check(
        r#"
        log = "info"
        [[account]]
        name = "work"
        provider = "box"
        api_url = "http://127.0.0.1:8080"
        stream = "all"
        poll_min = "5s"
        poll_max = "10m"
        transfers = 4
        bandwidth_down = "10 MiB"
        ca_file = "/etc/ssl/ours.pem"
        proxy = "http://proxy.example.com:3128"
        calls_per_day = 50_000

        [[account]]
        name = "acme"
        provider = "egnyte"
        domain = "acme"
        suppress = "app"

        [[folder]]
        name = "inbox"
        account = "work"
        remote = "/Projects/Inbox"
        local = "/srv/inbox"
        mode = "mirror"
        include = "*.pdf"
        exclude = ["*.tmp", "~$*"]
        keep_for = "30d"
        keep_versions = 3
        versions_max = "1 GiB"
        on_drift = "keep"
        on_local_delete = "accept"
        file_mode = "0640"
        dir_mode = "0750"
        min_free = "1 GiB"
        max_delete = "off"

        [[folder]]
        name = "plain"
        account = "acme"
        remote = "id:123456"
        local = "/srv/plain"
        "#,
        &places(),
    )
    .unwrap();
    let work = config.account("work").unwrap();
    let rate = Some(folder_sync_agent::settings::Rates::always(Some(10 << 20)));
    assert_eq!((work.transfers, &work.bandwidth_down, work.calls_per_minute), (4, &rate, None));
    let acme = config.account("acme").unwrap();
    assert_eq!((acme.provider, acme.calls_per_day), (ProviderName::Egnyte, None));
    assert_eq!(acme.domain.as_deref(), Some("acme.egnyte.com"));
    let inbox = config.folder("inbox").unwrap();
    assert_eq!(inbox.keep_for, Some(Duration::from_hours(720)));
    assert_eq!((inbox.include.len(), inbox.exclude.len(), inbox.keep_versions), (1, 2, 3));
    assert_eq!((inbox.on_drift, inbox.max_delete, inbox.file_mode), (OnDrift::Keep, MaxDelete::Off, 0o640));
    let plain = config.folder("plain").unwrap();
    assert_eq!((plain.mode, &plain.remote), (Mode::Mirror, &RemotePlace::Id("123456".into())));
    assert_eq!((plain.file_mode, plain.dir_mode), (0o644, 0o755));
    assert_eq!(config.folder_of(Path::new("/srv/inbox/a/b")).unwrap().name, "inbox");
}

#[test]
fn every_complaint_at_once_with_its_place_and_a_hint() {
    insta::assert_snapshot!(complaints(r#"
lgo = "info"

[[account]]
name = "work"
provider = "bix"
api_url = "http://example.com"
access_token = "T0P-SECRET"

[[account]]
name = "work"
provider = "egnyte"
stream = "changes"

[[folder]]
name = "in box"
account = "wrok"
remote = "Projects"
local = "inbox"

[[folder]]
name = "a"
account = "wrok"
remote = "/A"
local = "/srv/a"
mode = "tow-way"
keep_for = "1 month"
keep_versions = "many"
file_mode = 640
exclude = ["ok", 7, "a["]
max_delete = "200%"
on_drift = "restor"

[[folder]]
name = "b"
account = "work"
local = "/srv/a/b"
remote = "/B"

[[hook]]
name = "scan"

[account.x]
"#), @r#"
    2:1: lgo: there is no such key; did you mean `log`?
    6:12: account.work.provider: expected one of `box` and `egnyte` (it says "bix"); did you mean "box"?
    7:11: account.work.api_url: plain http is accepted for loopback addresses only (it says "http://example.com"); write https://…
    8:1: account.work.access_token: secrets are never kept in this file; remove the line, and sign in with `agent login`, which reads the token from standard input
    10:1: account.work: an egnyte account needs its `domain`; add domain = "acme.egnyte.com"
    11:8: account.work.name: another account above has this name (it says "work")
    13:10: account.work.stream: this key is for box accounts only (it says "changes")
    16:8: folder[1].name: this cannot be a name (it says "in box"); letters, digits, `.`, `_` and `-`, at most 64 bytes, beginning with a letter or digit
    17:11: folder[1].account: there is no such account (it says "wrok"); did you mean "work"?
    18:10: folder[1].remote: a remote path begins with `/` (it says "Projects"); write "/Projects", or "id:…"
    19:9: folder[1].local: a local directory is an absolute path (it says "inbox"); write the whole path, beginning with `/`; `agent add-folder` also takes relative ones
    23:11: folder.a.account: there is no such account (it says "wrok"); did you mean "work"?
    26:8: folder.a.mode: expected one of `mirror`, `two-way` and `upload` (it says "tow-way"); did you mean "two-way"?
    27:12: folder.a.keep_for: months and years have no fixed length (it says "1 month"); write days, such as "365d"
    28:17: folder.a.keep_versions: expected a whole number from 0 to 100000 (it says "many")
    29:13: folder.a.file_mode: expected a text in quotes, found an integer (it says 640)
    30:18: folder.a.exclude: expected texts in quotes, found an integer (it says 7)
    30:21: folder.a.exclude: error parsing glob 'a[': unclosed character class; missing ']' (it says "a["); patterns are written as in a .gitignore file
    31:14: folder.a.max_delete: this is no limit for deletions (it says "200%"); write "25%", a number of files, or "off"
    32:12: folder.a.on_drift: expected one of `restore` and `keep` (it says "restor"); did you mean "restore"?
    37:9: folder.b.local: the directory lies in that of folder "a", /srv/a (it says "/srv/a/b")
    40:1: hook.scan: `when` is missing
    40:1: hook.scan: `on` is missing; write on = ["file.download"], or "*" for everything
    40:1: hook.scan: neither `run` nor `url` nor `scan`; add run = ["/path/to/program"], url = "https://…", or scan = "clamd"
    43:10: account.work.x: there is no such key; the keys here are `name`, `provider`, `api_url`, `stream`, `domain`, `suppress`, `poll_min`, `poll_max`, `calls_per_day`, `calls_per_minute`, `transfers`, `bandwidth_down`, `bandwidth_up`, `quiet`, `ca_file` and `proxy`
    "#);
}

#[test]
fn secrets_are_refused_and_not_repeated() {
    let said = complaints(
        "client_secret = 'T0P'\n[[account]]\nname='a'\nprovider='box'\nrefresh_token='T0P'\nPassword='T0P'\n\
         api_url='https://ann:T0P@example.com'\n",
    );
    assert_eq!(said.matches("secrets are never kept in this file").count(), 3, "{said}");
    assert!(said.contains("must not hold a user name or password"), "{said}");
    assert!(!said.contains("T0P"), "{said}");
}

#[test]
fn folders_keep_to_directories_of_their_own() {
    let folder =
        |name: &str, local: &str| format!("[[folder]]\nname='{name}'\naccount='w'\nremote='/x'\nlocal='{local}'\n");
    let with = |folders: &[(&str, &str)]| {
        let folders: String = folders.iter().map(|(name, local)| folder(name, local)).collect();
        complaints(&format!("[[account]]\nname='w'\nprovider='box'\n{folders}"))
    };
    assert!(with(&[("a", "/srv/x"), ("b", "/srv/x/")]).contains("the directory is that of folder \"a\""));
    assert!(with(&[("a", "/srv/x"), ("b", "/srv/x/y")]).contains("the directory lies in that of folder \"a\""));
    assert!(with(&[("a", "/srv/x/y"), ("b", "/srv/x")]).contains("the directory holds that of folder \"a\""));
    assert!(with(&[("a", "/srv/x"), ("b", "/srv/xy")]).starts_with("accepted"));
    assert!(with(&[("a", "/nowhere/agent-home/files")]).contains("lies in that of the agent's state"));
    assert!(with(&[("a", "/nowhere")]).contains("holds that of the agent's state"));

    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
    let (real, link) = (dir.path().join("real/x"), dir.path().join("link/x"));
    assert!(with(&[("a", real.to_str().unwrap()), ("b", link.to_str().unwrap())]).contains("the directory is that of"));
}

#[test]
fn syntax_errors_have_a_place_too() {
    insta::assert_snapshot!(complaints("[[account]\nname = \"a\"\nprovider = box\n"), @r#"
    1:11: unclosed array table, expected `]`
    "#);
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let places = Places::home(dir.path(), &Surroundings::default());
    let with_mode = |mode: u32| {
        fs::write(&places.config_file, "").unwrap();
        fs::set_permissions(&places.config_file, fs::Permissions::from_mode(mode)).unwrap();
        Config::load(&places)
    };
    assert!(with_mode(0o644).is_ok(), "being read by others is fine");
    let Err(ConfigError::Unsafe { why, hint, .. }) = with_mode(0o646) else { panic!("expected a refusal") };
    assert_eq!(why, "can be written by others");
    assert!(hint.contains("chmod go-w"), "{hint}");
}

#[test]
fn a_directory_or_a_huge_file_is_no_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let places = Places::home(dir.path(), &Surroundings::default());
    fs::create_dir(&places.config_file).unwrap();
    assert!(matches!(Config::load(&places), Err(ConfigError::Unreadable { .. })));
    fs::remove_dir(&places.config_file).unwrap();
    fs::write(&places.config_file, "#".repeat(2 << 20)).unwrap();
    assert!(matches!(Config::load(&places), Err(ConfigError::Unreadable { .. })));
}

/// The README's example is what people copy: it must be right as it stands, and with every comment taken away.
#[test]
fn the_readmes_example_is_right() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let everything: Vec<&str> = example.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    for text in [example, &everything.join("\n")] {
        let config = Config::check(text, &places()).unwrap_or_else(|complaints| panic!("{text}\n{complaints:#?}"));
        assert_eq!((config.accounts.len(), config.folders.len()), (1, 1));
    }
    assert!(everything.iter().filter(|line| line.contains(" = ")).count() > 10, "the comments were taken away");
}

const WITH_FOLDER: &str =
    "[[account]]\nname='w'\nprovider='box'\n[[folder]]\nname='inbox'\naccount='w'\nremote='/x'\nlocal='/srv/x'\n";

#[test]
fn every_key_of_a_hook() {
    let text = format!(
        "{WITH_FOLDER}{}",
        r#"
        [[hook]]
        name = "clamav"
        when = "before"
        on = ["file.download"]
        folder = "inbox"
        account = "w"
        match = ["*.pdf", "!draft*"]
        run = ["/usr/libexec/folder-sync-agent/hooks/clamd-scan", "--socket", "/run/clamav/clamd.ctl"]
        timeout = "120s"
        on_reject = "quarantine"
        on_error = "block"
        on_timeout = "allow"
        on_unscannable = "quarantine"
        remember = "24h"
        quarantine_remote = "move:/Quarantine"
        quarantine_keep = "90d"
        concurrency = 2
        per_minute = 600

        [[hook]]
        name = "crm"
        when = "after"
        on = "*"
        url = "https://crm.example.com/in"
        expect_status = 204
        headers = { Authorization = "credential:crm", X-Team = "papers" }
        sign = "credential:crm-key"
        attempts = 5

        [[hook]]
        name = "plain"
        when = "after"
        on = ["file.*", "conflict"]
        run = ["/bin/true"]
        "#
    );
    let config = Config::check(&text, &places()).unwrap();
    let names: Vec<&str> = config.hooks.iter().map(|hook| hook.name.as_str()).collect();
    assert_eq!(names, ["clamav", "crm", "plain"], "the order of the file");
    let clamav = config.hook("clamav").unwrap();
    assert_eq!((clamav.when, clamav.timeout), (When::Before, Duration::from_mins(2)));
    assert_eq!(clamav.policies.of(Verdict::TimedOut), Some(Policy::Allow));
    assert_eq!(clamav.policies.of(Verdict::Unscannable), Some(Policy::Quarantine));
    assert_eq!(clamav.policies.of(Verdict::Allow), None);
    assert_eq!(clamav.remember, Some(Duration::from_hours(24)));
    assert_eq!(clamav.quarantine_remote, QuarantineRemote::Move("/Quarantine".into()));
    let Call::Http { expect_status, headers, sign, .. } = &config.hook("crm").unwrap().call else { panic!() };
    assert_eq!((*expect_status, sign.as_deref()), (Some(204), Some("crm-key")));
    assert!(headers.contains(&("Authorization".into(), HeaderText::Credential("crm".into()))));
    let plain = config.hook("plain").unwrap();
    assert_eq!((plain.policies, plain.remember, plain.attempts), (Policies::default(), None, 20));
}

#[test]
fn every_complaint_about_hooks_at_once() {
    let hooks = r#"
[[hook]]
name = "a"
when = "befor"
on = ["file.downlod", "files.*"]
folder = "inbx"
account = "v"
run = ["clamscan", 7]
timeout = "2 days"

[[hook]]
name = "a"
when = "before"
on = ["file.created"]
url = "http://example.com/x"
run = ["/bin/true"]
attempts = 3

[[hook]]
name = "c"
when = "after"
on = ["file.upload", "comment.created", "collaboration.*"]
url = "https://example.com"
headers = { Authorization = "Bearer T0P", Cookie = "T0P", "X Y" = "a" }
sign = "T0P"
on_error = "allow"
quarantine_remote = "trash"

[[hook]]
name = "d"
when = "after"
on = "hold"
run = ["/bin/true"]
expect_status = 204
quarantine_keep = "soon"
matches = "*"
"#;
    let said = complaints(&format!("{WITH_FOLDER}{hooks}"));
    assert!(!said.contains("T0P"), "{said}");
    insta::assert_snapshot!(said, @r#"
    12:8: hook.a.when: expected one of `before` and `after` (it says "befor"); did you mean "before"?
    13:7: hook.a.on: there is no such kind of event (it says "file.downlod"); did you mean "file.download"?
    13:23: hook.a.on: there is no such kind of event (it says "files.*"); write one such as "file.created", a group such as "file.*", or "*"
    14:10: hook.a.folder: there is no such folder (it says "inbx"); did you mean "inbox"?
    15:11: hook.a.account: there is no such account (it says "v"); did you mean "w"?
    16:8: hook.a.run: a program is named by its absolute path (it says "clamscan"); there is no shell and no search; a command line is ["/bin/sh", "-c", "…"]
    16:20: hook.a.run: expected texts in quotes, found an integer (it says 7)
    17:11: hook.a.timeout: no hook may take longer than a day (it says "2 days")
    19:1: hook.a: more than one of `run`, `url` and `scan`: a hook is one of them
    20:8: hook.a.name: another hook above has this name (it says "a")
    22:7: hook.a.on: nothing waits for a hook here (it says "file.created"); a `before` hook listens to "file.download" or "file.upload"; make it an `after` hook
    23:7: hook.a.url: plain http is accepted for loopback addresses only (it says "http://example.com/x"); write https://…
    25:12: hook.a.attempts: this key is for `after` hooks only (it says 3)
    30:6: hook.c.on: the event stream does not carry `comment` events (it says ["file.upload", "comment.created", "collaboration.*"]); set stream = "all" in the account
    30:7: hook.c.on: an `after` hook cannot decide (it says "file.upload"); listen to "file.created" and "file.updated", or make it a `before` hook
    32:29: hook.c.headers.Authorization: secrets are never kept in this file; write "credential:NAME", and put the value into credentials/hooks/NAME of the state directory
    32:52: hook.c.headers.Cookie: secrets are never kept in this file; write "credential:NAME", and put the value into credentials/hooks/NAME of the state directory
    32:67: hook.c.headers.X Y: this is no name of a header (it says "a")
    33:8: hook.c.sign: secrets are never kept in this file; write "credential:NAME", and put the value into credentials/hooks/NAME of the state directory
    34:12: hook.c.on_error: this key is for `before` hooks only (it says "allow")
    35:21: hook.c.quarantine_remote: this key is for `before` hooks only (it says "trash")
    42:17: hook.d.expect_status: this key goes with `url` only (it says 204)
    43:19: hook.d.quarantine_keep: this key is for `before` hooks only (it says "soon")
    44:1: hook.d.matches: there is no such key; did you mean `match`?
    "#);
}

#[test]
fn hooks_on_egnyte_hear_of_files_and_folders_only() {
    let said = complaints(
        r#"
[[account]]
name = "acme"
provider = "egnyte"
domain = "acme"

[[hook]]
name = "notes"
when = "after"
on = ["file.created", "folder.*", "problem", "comment.created"]
run = ["/bin/true"]

[[hook]]
name = "locks"
when = "after"
on = "lock.*"
run = ["/bin/true"]

[[hook]]
name = "all"
when = "after"
on = "*"
run = ["/bin/true"]
"#,
    );
    insta::assert_snapshot!(said, @r#"
    10:6: hook.notes.on: the event stream does not carry `comment` events (it says ["file.created", "folder.*", "problem", "comment.created"]); Egnyte's events tell of files and folders only
    16:6: hook.locks.on: the event stream does not carry `lock` events (it says "lock.*"); Egnyte's events tell of files and folders only
    "#);
}
