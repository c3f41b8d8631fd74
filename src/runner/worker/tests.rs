//! Workers that misbehave, each with the verdict that it must lead to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::hook::document::{Document, SCHEMA};
use crate::hook::{HookKind, When};
use crate::tree::Wall;

const AMPLE: Duration = Duration::from_mins(1);

struct Bench {
    dir: tempfile::TempDir,
    launcher: Launcher,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), launcher: Launcher::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A worker in Python; `body` is run for each line, with `ask` being what was asked and `say` for answers.
    fn pool(&self, body: &str) -> Pool {
        let text = format!(
            "#!/usr/bin/python3\nimport json, os, sys, time\nopen({starts:?}, 'a').write('x')\n\
             def say(verdict, reason='', id=None):\n    \
                 print(json.dumps({{'id': id or ask['id'], 'verdict': verdict, 'reason': reason}}), flush=True)\n\
             for line in sys.stdin:\n    ask = json.loads(line)\n    {body}\n",
            starts = self.path("starts"),
            body = body.replace('\n', "\n    ")
        );
        let (draft, path) = (self.path("draft"), self.path("worker"));
        fs::write(&draft, text).unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
        // What is open for writing here while another thread starts something cannot be run.
        assert!(std::process::Command::new("/bin/cp").args([&draft, &path]).status().unwrap().success());
        Pool::new(vec![path.to_str().unwrap().to_owned()])
    }

    fn order(&self) -> Order {
        let file = self.path("a file\nwith a name");
        fs::write(&file, "content").unwrap();
        let document = Document {
            schema: SCHEMA,
            hook: "worker".into(),
            when: When::Before,
            event: HookKind::FileDownload,
            delivery: "1".into(),
            attempt: 1,
            at: Wall(0),
            account: None,
            folder: None,
            item: None,
            file: Some(file.display().to_string()),
            actor: None,
            message: None,
            depth: 0,
            causes: Vec::new(),
        };
        Order { document, path: None, file: Some(file) }
    }

    async fn ask(&self, pool: &Pool, limit: Duration) -> Outcome {
        let trust = Trust { user: Some(rustix::process::geteuid().as_raw()) };
        pool.ask(limit, &self.order(), trust, &self.launcher).await
    }

    fn starts(&self) -> usize {
        fs::read(self.path("starts")).unwrap_or_default().len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_answers_for_many_files() {
    let bench = Bench::new();
    let pool = bench.pool("say('reject' if open(ask['file']).read() == 'content' else 'allow', ask['event'])");
    for _ in 0..5 {
        let outcome = bench.ask(&pool, AMPLE).await;
        assert_eq!((outcome.verdict, outcome.output.as_str()), (Verdict::Reject, "file.download"), "{outcome:?}");
    }
    assert_eq!(bench.starts(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_zoo_never_gets_anything_through() {
    let zoo = [
        ("dies", "os._exit(0)", Verdict::Error, 2),
        ("dies with words", "print('{\"id', end='', flush=True); os._exit(0)", Verdict::Error, 2),
        ("babbles", "print('allow', flush=True)", Verdict::Error, 2),
        ("another file", "say('allow', id='other')", Verdict::Error, 2),
        ("no verdict", "say('fine')", Verdict::Error, 2),
        ("a verdict that is ours", "say('timed_out')", Verdict::Error, 2),
        ("binary", "sys.stdout.buffer.write(b'\\xff\\x00\\xfe\\n'); sys.stdout.flush()", Verdict::Error, 2),
        ("no end", "sys.stdout.write('x' * 10_000_000); sys.stdout.flush(); time.sleep(60)", Verdict::Error, 2),
        (
            "twice",
            "sys.stdout.write((json.dumps({'id': ask['id'], 'verdict': 'allow'}) + '\\n') * 2); sys.stdout.flush()",
            Verdict::Error,
            2,
        ),
        ("an error", "say('error', 'no rules')", Verdict::Error, 1),
        ("unscannable", "say('unscannable', 'encrypted')", Verdict::Unscannable, 1),
    ];
    for (name, body, verdict, starts) in zoo {
        let bench = Bench::new();
        let outcome = bench.ask(&bench.pool(body), AMPLE).await;
        assert_eq!(outcome.verdict, verdict, "{name}: {outcome:?}");
        assert_eq!(bench.starts(), starts, "{name}: asked once more, by another worker: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_kills_one_worker_may_pass_the_next() {
    let bench = Bench::new();
    let pool =
        bench.pool("os._exit(1) if os.path.getsize(os.path.dirname(ask['file']) + '/starts') == 1 else say('allow')");
    let outcome = bench.ask(&pool, AMPLE).await;
    assert_eq!((outcome.verdict, bench.starts()), (Verdict::Allow, 2), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_takes_too_long_is_ended_with_what_it_started_and_replaced() {
    let bench = Bench::new();
    let pids = bench.path("pids");
    let pool = bench.pool(&format!(
        "if os.path.getsize(os.path.dirname(ask['file']) + '/starts') > 1: say('allow'); continue\n\
         child = os.fork()\nif child == 0:\n    os.setsid(); time.sleep(600)\n\
         open({pids:?}, 'w').write(f'{{child}} {{os.getpid()}}')\nprint('stuck', file=sys.stderr, flush=True)\ntime.sleep(600)"
    ));
    let outcome = bench.ask(&pool, Duration::from_secs(2)).await;
    assert_eq!(outcome.verdict, Verdict::TimedOut, "{outcome:?}");
    assert_eq!(outcome.output, "stuck\n");
    for pid in fs::read_to_string(&pids).unwrap().split(' ') {
        let deadline = Instant::now() + Duration::from_secs(20);
        let is_alive = || {
            fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
        };
        while is_alive() {
            assert!(Instant::now() < deadline, "{pid} is still alive");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let outcome = bench.ask(&pool, AMPLE).await;
    assert_eq!((outcome.verdict, bench.starts()), (Verdict::Allow, 2), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_cannot_be_started_is_down() {
    let bench = Bench::new();
    let outcome = bench.ask(&Pool::new(vec!["/nonexistent".into()]), AMPLE).await;
    assert_eq!((outcome.verdict, outcome.is_down), (Verdict::Error, true), "{outcome:?}");
}
