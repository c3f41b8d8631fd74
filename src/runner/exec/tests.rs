use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::hook::document::{Document, ItemPart, SCHEMA};
use crate::hook::{HookKind, When};
use crate::tree::Wall;

const AMPLE: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(200);

struct Zoo {
    dir: tempfile::TempDir,
}

impl Zoo {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, text: &str) -> Vec<String> {
        self.program(&format!("#!/bin/sh\n{text}\n"))
    }

    fn program(&self, text: &str) -> Vec<String> {
        let path = self.path("guest");
        // Another thread may fork while this file is open for writing; the copy that is run was never open in this process.
        let draft = self.path("draft");
        fs::write(&draft, text).unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(std::process::Command::new("/bin/cp").args([&draft, &path]).status().unwrap().success());
        vec![path.to_str().unwrap().to_owned()]
    }

    fn order(&self) -> Order {
        order("a/b.pdf", Some(self.path("staged")))
    }
}

fn order(path: &str, file: Option<PathBuf>) -> Order {
    let document = Document {
        schema: SCHEMA,
        hook: "guest".into(),
        when: When::Before,
        event: HookKind::FileDownload,
        delivery: "delivery-1".into(),
        attempt: 1,
        at: Wall(0),
        account: None,
        folder: None,
        item: Some(ItemPart { kind: "file".into(), path: path.into(), ..ItemPart::default() }),
        file: file.as_ref().map(|file| file.display().to_string()),
        actor: None,
        message: None,
        depth: 0,
        causes: Vec::new(),
    };
    Order { document, path: Some(path.into()), file }
}

fn trust() -> Trust {
    Trust { user: Some(rustix::process::geteuid().as_raw()) }
}

async fn go(argv: &[String], limit: Duration, order: &Order) -> Outcome {
    run_with_grace(argv, (limit, SHORT), order, trust(), &Launcher::new().unwrap()).await
}

fn is_alive(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Ok(stat) => !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'),
        Err(_) => false,
    }
}

/// Waits until every process whose number is in the file is gone.
async fn all_gone(pids: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let alive: Vec<String> = fs::read_to_string(pids)
            .unwrap_or_default()
            .lines()
            .filter(|pid| is_alive(pid))
            .map(str::to_owned)
            .collect();
        if alive.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still alive: {alive:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn exit_codes_are_verdicts() {
    let zoo = Zoo::new();
    for (code, verdict) in [
        (0, Verdict::Allow),
        (1, Verdict::Reject),
        (2, Verdict::Error),
        (3, Verdict::Unscannable),
        (4, Verdict::Error),
        (127, Verdict::Error),
    ] {
        let outcome = go(&zoo.script(&format!("echo said; echo wrong >&2; exit {code}")), AMPLE, &zoo.order()).await;
        assert_eq!((outcome.verdict, outcome.exit_code), (verdict, Some(code)), "{outcome:?}");
        assert_eq!(outcome.output, "said\nwrong\n");
    }
}

#[tokio::test]
async fn arguments_and_names_never_meet_a_shell() {
    let zoo = Zoo::new();
    let witness = zoo.path("witness");
    let attack = format!("-rf\n$(touch {0})\"`touch {0}`;touch {0}\u{202e}", witness.display());
    let mut argv = zoo.script("printf '%s|' \"$@\" \"$AGENT_PATH\"");
    argv.extend([attack.clone(), "a b".into()]);
    let order = order(&attack, None);
    let outcome = go(&argv, AMPLE, &order).await;
    assert_eq!(outcome.output, format!("{attack}|a b|{attack}|"));
    assert!(!witness.exists());
    assert_eq!(order.document.item.as_ref().unwrap().path, attack);
}

#[tokio::test]
async fn the_document_arrives_and_the_environment_is_clean() {
    let zoo = Zoo::new();
    let order = zoo.order();
    let outcome = go(&zoo.script("cat"), AMPLE, &order).await;
    assert_eq!(outcome.output.as_bytes(), order.document.to_json());
    let outcome = go(&["/usr/bin/env".to_owned()], AMPLE, &order).await;
    for line in outcome.output.lines() {
        let name = line.split('=').next().unwrap();
        assert!(name.starts_with("AGENT_") || ["PATH", "LANG"].contains(&name), "{line}");
    }
    assert!(outcome.output.contains(&format!("AGENT_FILE={}", zoo.path("staged").display())), "{}", outcome.output);
}

#[tokio::test]
async fn a_guest_that_hangs_is_ended() {
    let zoo = Zoo::new();
    let pids = zoo.path("pids");
    let text = format!("echo begun; echo $$ > {0}; sleep 1000 & echo $! >> {0}; wait", pids.display());
    let outcome = go(&zoo.script(&text), Duration::from_millis(700), &zoo.order()).await;
    assert_eq!(outcome.verdict, Verdict::TimedOut);
    assert!(outcome.reason.unwrap().contains("0.7 s"));
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_guest_that_ignores_the_polite_request_is_killed() {
    let zoo = Zoo::new();
    let pids = zoo.path("pids");
    let text = format!(
        "trap '' TERM HUP INT; echo $$ > {0}; (while :; do sleep 1; done) & echo $! >> {0}; while :; do sleep 1; done",
        pids.display()
    );
    let outcome = go(&zoo.script(&text), Duration::from_millis(700), &zoo.order()).await;
    assert_eq!((outcome.verdict, outcome.signal), (Verdict::TimedOut, Some(9)), "{outcome:?}");
    all_gone(&pids).await;
}

const DETACH: &str = r#"#!/usr/bin/env python3
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if CLOSE:
            for fd in range(3): os.close(fd)
        with open(PIDS, "a") as pids: print(os.getpid(), file=pids)
        open(PIDS + ".ready", "w").close()
        time.sleep(1000)
    os._exit(0)
os.wait()
while not os.path.exists(PIDS + ".ready"): time.sleep(0.01)
if HANG: time.sleep(1000)
"#;

#[tokio::test]
async fn a_guest_that_leaves_its_group_is_found() {
    reach::adopt_orphans();
    for (close, hang, verdict) in
        [("0", "0", Verdict::Allow), ("1", "0", Verdict::Allow), ("0", "1", Verdict::TimedOut)]
    {
        let zoo = Zoo::new();
        let pids = zoo.path("pids");
        let text = DETACH
            .replace("CLOSE", close)
            .replace("HANG", hang)
            .replace("PIDS", &format!("{:?}", pids.display().to_string()));
        let limit = if hang == "1" { Duration::from_secs(5) } else { AMPLE };
        let outcome = go(&zoo.program(&text), limit, &zoo.order()).await;
        assert_eq!(outcome.verdict, verdict, "{outcome:?}");
        assert!(!fs::read_to_string(&pids).unwrap().is_empty());
        all_gone(&pids).await;
    }
}

#[tokio::test]
async fn a_gigabyte_of_output_is_read_and_forgotten() {
    let zoo = Zoo::new();
    let outcome = go(&zoo.script("head -c 1073741824 /dev/zero; echo the end"), AMPLE, &zoo.order()).await;
    assert_eq!(outcome.verdict, Verdict::Allow, "{outcome:?}");
    assert!(outcome.output_cut && outcome.output.len() == OUTPUT_KEPT_BYTES);
    assert!(outcome.output.ends_with("\0the end\n"));
}

#[tokio::test]
async fn a_guest_need_not_listen() {
    let zoo = Zoo::new();
    // More than a pipe holds.
    let long = "x".repeat(1 << 20);
    let mut order = zoo.order();
    order.document.message = Some(long);
    for text in ["exec <&-; exit 0", "exit 0", "exec 0<&- 1>&- 2>&-; exit 0"] {
        let outcome = go(&zoo.script(text), AMPLE, &order).await;
        assert_eq!(outcome.verdict, Verdict::Allow, "{text}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_guest_that_dies_by_signal_has_not_allowed() {
    let zoo = Zoo::new();
    let outcome = go(&zoo.script("kill -SEGV $$"), AMPLE, &zoo.order()).await;
    assert_eq!((outcome.verdict, outcome.exit_code, outcome.signal), (Verdict::Error, None, Some(11)));
}

#[tokio::test]
async fn a_guest_gets_three_descriptors_and_a_limit() {
    let zoo = Zoo::new();
    sys::keep_inherited_descriptors();
    let _ours = fs::File::open("/").unwrap();
    let text = "#!/usr/bin/env python3\nimport os\nprint([fd for fd in os.listdir('/proc/self/fd') if int(fd) > 2 and \
                os.path.exists('/proc/self/fd/' + fd)])\ntaken = []\ntry:\n    while True: taken.append(open('/'.join(['', 'dev', \
                'null'])))\nexcept OSError as error: print(error.errno, 3 + len(taken) <= 1024)\n";
    let outcome = go(&zoo.program(text), AMPLE, &zoo.order()).await;
    assert_eq!((outcome.verdict, outcome.output.as_str()), (Verdict::Allow, "[]\n24 True\n"));
}

#[tokio::test]
async fn what_cannot_be_run_is_an_error_and_no_verdict() {
    let zoo = Zoo::new();
    let missing = vec![zoo.path("missing").to_str().unwrap().to_owned()];
    let outcome = go(&missing, AMPLE, &zoo.order()).await;
    assert!(outcome.verdict == Verdict::Error && outcome.reason.unwrap().contains("cannot be run"));
    for text in ["\u{1}\u{2}no program", "#!/nonexistent/interpreter\n"] {
        let outcome = go(&zoo.program(text), AMPLE, &zoo.order()).await;
        assert_eq!(outcome.verdict, Verdict::Error, "{text:?}: {outcome:?}");
    }
    assert_eq!(go(&[], AMPLE, &zoo.order()).await.verdict, Verdict::Error);
    let guest = zoo.script("exit 0");
    fs::set_permissions(&guest[0], fs::Permissions::from_mode(0o777)).unwrap();
    let outcome = go(&guest, AMPLE, &zoo.order()).await;
    assert!(outcome.verdict == Verdict::Error && outcome.reason.unwrap().contains("written by others"));
}

#[tokio::test]
async fn a_run_that_is_given_up_takes_its_guest_with_it() {
    let zoo = Zoo::new();
    let pids = zoo.path("pids");
    let guest = zoo
        .script(&format!("sleep 1000 & echo $! > {0}.new; echo $$ >> {0}.new; mv {0}.new {0}; wait", pids.display()));
    let order = zoo.order();
    tokio::select! {
        outcome = go(&guest, AMPLE, &order) => panic!("{outcome:?}"),
        () = async { while !pids.exists() { tokio::time::sleep(Duration::from_millis(5)).await; } } => {}
    }
    all_gone(&pids).await;
}

#[tokio::test]
async fn what_a_guest_does_to_the_staged_file_is_not_the_runners_to_judge() {
    let zoo = Zoo::new();
    for text in ["rm \"$AGENT_FILE\"", "echo more >> \"$AGENT_FILE\"", "mv \"$AGENT_FILE\" \"$AGENT_FILE.x\""] {
        fs::write(zoo.path("staged"), "content").unwrap();
        let outcome = go(&zoo.script(text), AMPLE, &zoo.order()).await;
        assert_eq!(outcome.verdict, Verdict::Allow, "publication looks at the digest again: {outcome:?}");
    }
}
