//! Commands that talk to a running agent, with a made-up one behind the socket.

use std::sync::{Arc, Mutex};

use folder_sync_agent::command::{Answer, Command};
use folder_sync_agent::daemon::control::{self, ControlSocket, Order};
use folder_sync_agent::id::{HoldId, JournalId};
use folder_sync_agent::report::{
    AccountStatus, Budget, ConflictRow, Degraded, Digested, EventCounts, EventQuery, EventRow, FolderState,
    FolderStatus, HeldFolder, HoldRow, LeftOut, MetricsFormat, PlanRow, ProblemRow, Progress, ReportError, Reports,
    SCHEMA_VERSION, Status, Transfer, Versions, Why,
};
use folder_sync_agent::tree::Wall;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Bed;

/// An agent whose state the test sets.
struct MadeUp(Mutex<Status>);

impl Reports for MadeUp {
    fn status(&self) -> Result<Status, ReportError> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>, ReportError> {
        let row = |id: i64, outcome: &str| EventRow {
            id: JournalId(id),
            account: "work".into(),
            folder: Some("inbox".into()),
            kind: "uploaded".into(),
            event_type: "item.uploaded".into(),
            provider_kind: "ITEM_UPLOAD".into(),
            event_id: format!("e{id}"),
            path: Some("evil\u{1b}[2J.txt".into()),
            actor: Some("Ann".into()),
            outcome: outcome.into(),
            took_ms: Some(12),
            ..EventRow::default()
        };
        assert_eq!(query.folder.as_deref(), Some("inbox"));
        Ok(vec![row(1, "downloaded"), row(2, "failed")])
    }

    fn plan(&self, _folder: Option<&str>) -> Result<Vec<PlanRow>, ReportError> {
        let row = |action: &str, path: &str, from: Option<&str>, bytes, waits_for: Option<&str>| PlanRow {
            folder: "inbox".into(),
            path: path.into(),
            from: from.map(str::to_owned),
            action: action.into(),
            bytes,
            waits_for: waits_for.map(str::to_owned),
        };
        Ok(vec![
            row("download", "a.txt", None, Some(2048), None),
            row("move", "b/c.txt", Some("c.txt"), None, Some("a.txt")),
        ])
    }

    fn held(&self) -> Result<Vec<HoldRow>, ReportError> {
        Ok(vec![HoldRow {
            id: HoldId(3),
            folder: "inbox".into(),
            reason: "mass_delete".into(),
            text: "40 of 50 files would be deleted".into(),
            since: Wall(0),
            lines: 2,
            items: 40,
            examples: vec!["Reports/2024/".into(), "b".into()],
            folders: vec![HeldFolder { path: "Reports/2024/".into(), files: 39 }],
        }])
    }

    fn conflicts(&self, _: Option<&str>) -> Result<Vec<ConflictRow>, ReportError> {
        Ok(Vec::new())
    }

    fn problems(&self, _folder: Option<&str>) -> Result<Vec<ProblemRow>, ReportError> {
        Ok(vec![])
    }

    fn metrics(&self, format: MetricsFormat) -> Result<String, ReportError> {
        Ok(format!("{format:?}\n"))
    }

    fn versions(&self, path: &str) -> Result<Versions, ReportError> {
        Err(ReportError::NotFound(format!("{path} has no versions")))
    }

    fn why(&self, path: &str) -> Result<Why, ReportError> {
        Err(ReportError::NotFound(format!("{path} lies in no watched folder")))
    }
}

/// The agent runs as long as this lives.
struct Running {
    made_up: Arc<MadeUp>,
    asked: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    /// Begins to answer on the bed's socket.
    async fn start(bed: &Bed, status: Status) -> Self {
        let socket = ControlSocket::bind(&bed.path("home/control.sock")).await.unwrap();
        let made_up = Arc::new(MadeUp(Mutex::new(status)));
        let (sender, mut orders) = mpsc::channel::<control::Ordered>(4);
        let stop = CancellationToken::new();
        tokio::spawn(control::serve(socket, made_up.clone(), sender, stop.clone()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            while let Some(ordered) = orders.recv().await {
                log.lock().unwrap().push(format!("{:?}", ordered.order));
                let answer = match ordered.order {
                    Order::Do(Command::Approve { hold: HoldId(3) }) => Answer::Ok { message: "approved".into() },
                    Order::Do(Command::Approve { .. }) => {
                        Answer::NotFound { message: "there is no such hold; there is 3".into() }
                    }
                    Order::Do(Command::Pause { .. }) => Answer::Busy,
                    _ => Answer::Ok { message: "begun".into() },
                };
                let _ = ordered.answer.send(answer);
            }
        });
        Self { made_up, asked, stop }
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.made_up.0.lock().unwrap());
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn folder(name: &str, state: FolderState) -> FolderStatus {
    FolderStatus {
        name: name.into(),
        account: "work".into(),
        remote: "/Inbox".into(),
        local: "/srv/inbox".into(),
        mode: "mirror".into(),
        state,
        degraded: None,
        files: 1200,
        bytes: 5 << 20,
        folders: 3,
        pending: 2,
        pending_bytes: 1 << 20,
        problems: 0,
        quarantined: 0,
        held: 0,
        verified: None,
        oldest_seen: None,
        digested: Digested::default(),
        left_out: LeftOut::default(),
        progress: Progress::default(),
        transfers: vec![Transfer { path: "big\u{202e}.bin".into(), done: 1 << 19, total: Some(1 << 20), up: false }],
    }
}

fn status(state: FolderState) -> Status {
    Status {
        subscriptions: Vec::new(),
        schema: SCHEMA_VERSION,
        running: true,
        pid: Some(42),
        version: "9.9.9".into(),
        in_sync: state == FolderState::InSync,
        degraded: vec![],
        accounts: vec![AccountStatus {
            name: "work".into(),
            provider: "box".into(),
            login: Some("ann@example.com".into()),
            user_id: None,
            sign_in_ends: None,
            degraded: None,
            long_poll: true,
            last_poll: None,
            next_poll: None,
            events: EventCounts::default(),
            budget: Budget { spent_today: 7, per_day: Some(50_000), ..Budget::default() },
        }],
        folders: vec![folder("inbox", state)],
        held: 0,
        problems: 1,
        scanners: Vec::new(),
    }
}

const CONFIG: &str = "[[account]]\nname='work'\nprovider='box'\n\
                      [[folder]]\nname='inbox'\naccount='work'\nremote='/Inbox'\nlocal='/srv/inbox'\n";

async fn bed(state: FolderState) -> (Bed, Running) {
    // Only the first caller in a process installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bed = Bed::new();
    bed.write_config(CONFIG);
    let running = Running::start(&bed, status(state)).await;
    (bed, running)
}

#[tokio::test]
async fn status_says_it_at_a_glance() {
    let (bed, running) = bed(FolderState::Syncing).await;
    insta::assert_snapshot!(bed.run(&["status"]).await.fine(), @r#"
    … not in sync · agent 9.9.9 running (pid 42)
    account work (box) as ann@example.com · listening · 7 of 50,000 calls today

    FOLDER  STATE    CONTENT               PENDING           LOCAL
    inbox   syncing  1,200 files, 5.0 MiB  2 items, 1.0 MiB  /srv/inbox
      ↓ big\u{202e}.bin 512.0 KiB of 1.0 MiB
    1 problem: agent problems
    "#);
    assert_eq!(
        bed.run(&["status", "--json"]).await.json(),
        serde_json::to_value(running.made_up.status().unwrap()).unwrap()
    );
    running.change(|status| {
        status.in_sync = false;
        status.accounts[0].degraded = Some(Degraded {
            name: "sign_in_needed".into(),
            cause: "the token is dead".into(),
            next_step: "agent login box --account work".into(),
        });
        status.folders.clear();
    });
    insta::assert_snapshot!(bed.run(&["status"]).await.fine(), @r#"
    ✗ sign-in needed · agent 9.9.9 running (pid 42)
    account work (box) as ann@example.com · listening · 7 of 50,000 calls today
    ✗ work: sign in needed: the token is dead
      → agent login box --account work
      → or, as no folder uses it: agent remove-account work
    1 problem: agent problems
    "#);
}

#[tokio::test]
async fn status_ends_as_scripts_need_it() {
    let (bed, running) = bed(FolderState::Syncing).await;
    assert_eq!(bed.run(&["status", "--exit-code"]).await.code, 3);
    running.change(|status| status.in_sync = true);
    assert_eq!(bed.run(&["status", "--exit-code"]).await.code, 0);
    running.change(|status| status.held = 1);
    assert_eq!(bed.run(&["status", "--exit-code"]).await.code, 4);
}

#[tokio::test]
async fn waiting_ends_when_it_is_true() {
    let (bed, running) = bed(FolderState::Syncing).await;
    let err = bed.run(&["wait", "--timeout", "200ms"]).await.failed(3);
    insta::assert_snapshot!(err, @r#"
    error: not in sync after 200 ms
    cause: folder `inbox` is syncing
    hint: see `agent status` and `agent problems`
    "#);
    let waiting = async { bed.run(&["wait", "inbox"]).await };
    let changing = async {
        tokio::task::yield_now().await;
        running.change(|status| status.folders[0].state = FolderState::InSync);
    };
    assert_eq!(tokio::join!(waiting, changing).0.fine(), "In sync.\n");
    running.change(|status| status.folders[0].held = 1);
    insta::assert_snapshot!(bed.run(&["wait"]).await.failed(4), @r#"
    error: folder `inbox` waits for a person
    hint: see `agent held`
    "#);
    insta::assert_snapshot!(bed.run(&["wait", "inbx"]).await.failed(1), @r#"
    error: there is no folder named `inbx`
    hint: there is inbox
    "#);
}

#[tokio::test]
async fn waiting_begins_before_the_agent_does() {
    let bed = Bed::new();
    bed.write_config(CONFIG);
    let waiting = async { bed.run(&["wait", "--timeout", "60s"]).await };
    let starting = async { Running::start(&bed, status(FolderState::InSync)).await };
    let (waited, _running) = tokio::join!(waiting, starting);
    assert_eq!(waited.fine(), "In sync.\n");
}

#[tokio::test]
async fn orders_reach_the_agent_and_answers_come_back() {
    let (bed, running) = bed(FolderState::InSync).await;
    assert_eq!(bed.run(&["sync", "inbox", "--full"]).await.fine(), "begun\n");
    assert_eq!(bed.run(&["approve", "3"]).await.fine(), "approved\n");
    insta::assert_snapshot!(bed.run(&["approve", "4"]).await.failed(1), @r#"
    error: there is no such hold; there is 3
    hint: `agent folders`, `accounts`, `subscriptions`, `held` and `quarantine list` show what there is
    "#);
    insta::assert_snapshot!(bed.run(&["pause"]).await.failed(5), @r#"
    error: the agent is busy
    hint: try again
    "#);
    bed.run(&["set-folder", "inbox", "keep_for=30d"]).await.fine();
    assert_eq!(
        running.asked(),
        [
            "Do(Sync { folder: Some(\"inbox\"), full: true })",
            "Do(Approve { hold: HoldId(3) })",
            "Do(Approve { hold: HoldId(4) })",
            "Do(Pause { folder: None })",
            "Reload",
        ]
    );
}

#[tokio::test]
async fn listings_are_for_people_and_for_programs() {
    let (bed, _running) = bed(FolderState::Held).await;
    insta::assert_snapshot!(bed.run(&["plan"]).await.fine(), @r#"
    FOLDER  ACTION    PATH             SIZE     WAITS FOR
    inbox   download  a.txt            2.0 KiB
    inbox   move      c.txt → b/c.txt           a.txt
    2 actions, 2.0 KiB to transfer.
    "#);
    let held = bed.run(&["held"]).await.fine();
    assert!(held.contains("hold 3 in folder `inbox`: 40 of 50 files would be deleted"), "{held}");
    assert!(held.contains("let it happen: agent approve 3"), "{held}");
    assert!(held.contains("40 files, listed as 2 items, since"), "{held}");
    assert!(held.contains("such as Reports/2024/ (39 files), b"), "{held}");
    assert_eq!(bed.run(&["problems"]).await.fine(), "No problems.\n");
    let events = bed.run(&["events", "--folder", "inbox"]).await.fine();
    assert!(events.contains("inbox: evil\\u{1b}[2J.txt by Ann → downloaded in 12 ms"), "{events}");
    for (command, rows) in [("plan", 2), ("held", 1), ("problems", 0), ("accounts", 1), ("folders", 1)] {
        let document = bed.run(&[command, "--json"]).await.json();
        assert_eq!(
            (document["schema"].as_u64(), document["rows"].as_array().unwrap().len()),
            (Some(1), rows),
            "{command}"
        );
    }
    insta::assert_snapshot!(bed.run(&["why", "x"]).await.failed(1), @r"
    error: $DIR/x lies in no watched folder
    hint: `agent folders` lists what is watched, and where
    ");
    insta::assert_snapshot!(bed.run(&["accounts"]).await.fine(), @r#"
    ACCOUNT  PROVIDER  SIGNED IN        LAST POLL  CALLS TODAY
    work     box       ann@example.com  never      7 of 50,000 calls
    "#);
}

#[tokio::test]
async fn without_an_agent_sync_says_so() {
    let bed = Bed::new();
    insta::assert_snapshot!(bed.run(&["sync"]).await.failed(6), @r#"
    error: no agent is running
    cause: nobody answers on $DIR/home/control.sock
    hint: start it with `agent run`, or install the service with `agent service install`
    "#);
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let (bed, _running) = bed(FolderState::InSync).await;
    let command =
        format!("{} --home {} man | true; echo ${{PIPESTATUS[0]}}", super::PROGRAM, bed.path("home").display());
    let output = tokio::process::Command::new("bash").arg("-c").arg(command).output().await.unwrap();
    assert_eq!((String::from_utf8_lossy(&output.stdout).trim(), output.stderr.len()), ("0", 0));
}
