//! The page in the browser: driven by a real Chromium through each screen, and attacked.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::{Bed, PATIENCE, REMOTE, Running, until};

/// A name that wants to be more than a name.
const HOSTILE: &str = "<img src=x onerror=\"document.title='owned'\"> & 'co'.txt";
/// A name that only the disk can have.
const CONTROL: &str = "turns\u{1b}[31m red\nand breaks.txt";

/// A bed in which everything is to be seen: a tree, a hold, a conflict, a rejected file, a problem, hooks with a history.
fn lively() -> (Bed, Running) {
    let bed = Bed::new();
    let path = bed.home().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let limited = config.replacen("provider = \"box\"\n", "provider = \"box\"\ncalls_per_day = 1000\n", 1);
    assert_ne!(limited, config);
    fs::write(&path, limited).unwrap();
    let cloud = bed.cloud();
    cloud.mkdir_p(&format!("{REMOTE}/Contracts/2026/Drafts and final versions")).unwrap();
    for number in 0..40 {
        cloud.write(&format!("{REMOTE}/Contracts/report {number:03}.pdf"), vec![b'x'; 2_000 + number * 997]).unwrap();
    }
    cloud.write(&format!("{REMOTE}/{HOSTILE}"), "harmless").unwrap();
    cloud.write(&format!("{REMOTE}/契約書 最終版.txt"), "one").unwrap();
    cloud.mkdir_p("/Projects/Both").unwrap();
    cloud.write("/Projects/Both/minutes.txt", "first words").unwrap();
    bed.add_folder(&[]);
    let both = bed.dir.path().join("both");
    let both = both.to_str().unwrap();
    bed.ok(&[
        "add-folder",
        "/Projects/Both",
        both,
        "--account",
        "work",
        "--name",
        "both",
        "--mode",
        "two-way",
        "--yes",
    ]);
    let gate =
        ["add-hook", "gate", "--when", "before", "--on", "file.download", "--match", "virus*", "--run", "/bin/false"];
    bed.ok(&gate);
    bed.ok(&["add-hook", "told", "--when", "after", "--on", "file.*", "--match", "virus*", "--run", "/bin/true"]);
    let running = bed.start();
    bed.wait_in_sync(PATIENCE);
    running.stop();
    // Both sides write while nobody looks.
    fs::write(bed.dir.path().join("both/minutes.txt"), "what the disk says").unwrap();
    fs::write(bed.dir.path().join("both").join(CONTROL), "local").unwrap();
    cloud.write("/Projects/Both/minutes.txt", "what the cloud says").unwrap();
    let running = bed.start();
    cloud.write(&format!("{REMOTE}/契約書 最終版.txt"), "two, and longer").unwrap();
    cloud.write(&format!("{REMOTE}/virus.exe"), "X5O!P%@AP").unwrap();
    for number in 0..32 {
        cloud.trash(&format!("{REMOTE}/Contracts/report {number:03}.pdf")).unwrap();
    }
    until("there is something to decide", || {
        let rows = |args: &[&str]| {
            let listing: Value = serde_json::from_str(&bed.ok(args)).unwrap();
            listing["rows"].as_array().map_or(0, Vec::len)
        };
        rows(&["held", "--json"]) > 0
            && rows(&["conflicts", "--json"]) > 0
            && rows(&["quarantine", "list", "--json"]) > 0
            && rows(&["problems", "both", "--json"]) > 0
    });
    (bed, running)
}

pub fn link(bed: &Bed) -> String {
    bed.ok(&["web"]).lines().next().unwrap().to_owned()
}

/// The page as a program sees it that speaks for itself.
pub struct Raw {
    address: String,
    cookie: String,
}

/// An answer's status, head and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Raw {
    /// Comes in by a link.
    pub fn enter(link: &str) -> Self {
        let rest = link.strip_prefix("http://").unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let mut raw = Self { address: address.to_owned(), cookie: String::new() };
        let answer = raw.ask("GET", &format!("/{path}"), &[], "");
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().clone_into(&mut raw.cookie);
        raw
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            write!(request, "host: {}\r\n", self.address).unwrap();
        }
        if !self.cookie.is_empty() {
            write!(request, "cookie: {}\r\n", self.cookie).unwrap();
        }
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        if method == "POST" {
            request += "content-type: application/x-www-form-urlencoded\r\n";
        }
        write!(request, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// Sends a form as a browser does from one of our own pages.
    pub fn form(&self, path: &str, body: &str) -> Answer {
        let origin = format!("http://{}", self.address);
        self.ask("POST", path, &[("origin", &origin)], body)
    }

    pub fn csrf(&self) -> String {
        let page = self.get("/").body;
        page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }
}

const PAGES: [&str; 8] =
    ["/", "/folder?name=inbox", "/events", "/callbacks", "/quarantine", "/decide", "/accounts", "/metrics"];

#[test]
fn attacks_on_the_page_are_answered() {
    let bed = Bed::new();
    bed.cloud().write(&format!("{REMOTE}/secret plans.txt"), "one").unwrap();
    bed.add_folder(&[]);
    let running = bed.start();
    bed.wait_in_sync(PATIENCE);
    let link = link(&bed);
    let stranger = Raw { address: link[7..].split('/').next().unwrap().to_owned(), cookie: String::new() };

    // Without a session nothing is told.
    for path in PAGES.iter().chain(&[
        "/live/overview",
        "/nowhere",
        "/folder?name=inbox&at=1",
        "/item/kept?folder=inbox&node=1&kept=1",
    ]) {
        let answer = stranger.get(path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.body.contains("inbox") && !answer.body.contains("secret"), "{path}: {}", answer.body);
    }
    let guessed = Raw { cookie: "folder-sync-agent-1=x".into(), ..stranger };
    assert_eq!(guessed.get("/").status, 401);
    assert_eq!(guessed.get("/enter/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").status, 410);
    assert_eq!(guessed.form("/login", "password=agent").status, 401, "there is no password");

    let me = Raw::enter(&link);
    assert_eq!(me.get(&link[7 + me.address.len()..]).status, 410, "a link works once");
    for path in PAGES {
        let answer = me.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        for header in [
            "content-security-policy: default-src 'none'",
            "x-frame-options: DENY",
            "nosniff",
            "cache-control: no-store",
        ] {
            assert!(answer.head.contains(header), "{path} lacks {header}: {}", answer.head);
        }
        // No script or style in the page itself, and nothing from elsewhere.
        for inline in ["<style", " style=", " onclick=", "javascript:", "src=\"http", "href=\"http"] {
            assert!(path == "/metrics" || !answer.body.contains(inline), "{path} holds {inline}");
        }
    }

    // A name that leads here is not ours: what a page of that name reads would be read by whoever owns it.
    for host in ["evil.example", "evil.example:8477", "127.0.0.1.evil.example", ""] {
        for path in ["/", "/metrics", "/enter/x", "/assets/style.css"] {
            assert_eq!(me.ask("GET", path, &[("host", host)], "").status, 421, "{host}{path}");
        }
    }
    let csrf = me.csrf();
    let pause = format!("csrf={csrf}&folder=inbox");
    let own = format!("http://{}", me.address);
    let paused = || bed.status().unwrap()["folders"][0]["state"] == "paused";
    for (headers, body, status) in [
        (vec![("origin", "http://evil.example")], pause.as_str(), 403),
        (vec![("origin", "null")], &pause, 403),
        (vec![("origin", "http://127.0.0.1:1")], &pause, 403),
        (vec![("host", "evil.example"), ("origin", "http://evil.example")], &pause, 421),
        (vec![], &pause, 403),
        (vec![("sec-fetch-site", "cross-site")], &pause, 403),
        (vec![("origin", own.as_str())], "folder=inbox", 403),
        (vec![("origin", own.as_str())], "csrf=&folder=inbox", 403),
        (vec![("origin", own.as_str())], "csrf=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&folder=inbox", 403),
    ] {
        let answer = me.ask("POST", "/pause", &headers, body);
        assert_eq!(answer.status, status, "{headers:?} {body}: {answer:?}");
    }
    assert_eq!(me.ask("GET", "/pause", &[], "").status, 405, "nothing changes by looking");
    assert_eq!(me.ask("GET", "/", &[("origin", "http://evil.example")], "").status, 403);
    assert!(!paused());
    let large = format!("csrf={csrf}&folder={}", "x".repeat(100_000));
    assert_eq!(me.form("/pause", &large).status, 413);
    assert_eq!(me.form("/pause", &pause).status, 303);
    until("the folder is paused", paused);

    // Somebody else's session does not accept this one's forms, and one that ended accepts none.
    let other = Raw::enter(&self::link(&bed));
    assert_eq!(other.form("/resume", &pause).status, 403);
    assert_eq!(me.form("/logout", &format!("csrf={csrf}")).status, 303);
    assert_eq!(me.form("/resume", &pause).status, 401);
    assert_eq!(me.get("/").status, 401);
    assert!(paused());

    // Figures for a monitoring system, and nothing else, with a token of its own.
    let token = bed.ok(&["web", "--metrics-token"]);
    let bearer = format!("Bearer {}", token.trim());
    let monitor = Raw { address: other.address.clone(), cookie: String::new() };
    assert!(monitor.ask("GET", "/metrics", &[("authorization", &bearer)], "").body.contains("folder_sync_running 1"));
    assert_eq!(monitor.ask("GET", "/", &[("authorization", &bearer)], "").status, 401);
    assert_eq!(monitor.ask("GET", "/metrics", &[("authorization", "Bearer ")], "").status, 401);
    running.stop();
}

#[test]
fn thousands_of_streams_keep_nobody_from_working() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    let running = bed.start();
    bed.wait_in_sync(PATIENCE);
    let me = Raw::enter(&link(&bed));
    let open = |request: &str| {
        let mut stream = TcpStream::connect(&me.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // A connection for which there is no room is closed at once.
        let _ = stream.write_all(request.as_bytes());
        stream
    };
    let live = format!("GET /live/overview HTTP/1.1\r\nhost: {}\r\ncookie: {}\r\n\r\n", me.address, me.cookie);
    let mut streams: Vec<TcpStream> = (0..60).map(|_| open(&live)).collect();
    let statuses: Vec<String> = streams
        .iter_mut()
        .map(|stream| {
            let mut head = [0; 12];
            stream.read_exact(&mut head).unwrap();
            String::from_utf8_lossy(&head[9..]).into_owned()
        })
        .collect();
    let count = |status: &str| statuses.iter().filter(|given| *given == status).count();
    assert_eq!((count("200"), count("503")), (16, 44), "{statuses:?}");
    // Pages are served beside them, and strangers' streams are none.
    assert_eq!(me.get("/").status, 200);
    let foreign = live.replace(&me.cookie, "folder-sync-agent=x");
    // Ten thousand, or half of what this process may open.
    let room = usize::try_from(rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(4_096));
    let many = (room.unwrap_or(4_096) / 2).min(10_000);
    let flood: Vec<TcpStream> = (0..many).map(|_| open(&foreign)).collect();
    assert!(bed.status().is_some(), "the agent itself goes on");
    bed.cloud().write(&format!("{REMOTE}/meanwhile.txt"), "one").unwrap();
    bed.wait_equal(PATIENCE);
    let descriptors = fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap().count();
    assert!(descriptors < 400, "{descriptors} descriptors are open");
    drop(flood);
    drop(streams);
    until("there is room again", || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| me.get("/").status)).is_ok_and(|status| status == 200)
    });
    running.stop();
}

/// A password over an encrypted connection, where the configuration asks for both.
#[test]
fn other_machines_need_encryption_and_a_password() {
    let bed = Bed::new();
    let path = bed.home().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tell = |line: &str| fs::write(&path, format!("{line}\n{config}")).unwrap();
    tell(&format!("web = \"0.0.0.0:{port}\""));
    let refused = bed.run(&["config", "check"]);
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).contains("other machines could reach this")
    );
    let (cert, key) = (bed.dir.path().join("cert.pem"), bed.dir.path().join("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([Into::<std::ffi::OsString>::into("-keyout"), key.clone().into(), "-out".into(), cert.clone().into()])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        println!("skipped: openssl is not installed");
        return;
    }
    let mut hashing = bed
        .agent()
        .args(["web", "--hash-password"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    hashing.stdin.take().unwrap().write_all(b"correct horse battery\n").unwrap();
    let hash = String::from_utf8(hashing.wait_with_output().unwrap().stdout).unwrap();
    tell(&format!(
        "web = \"0.0.0.0:{port}\"\nweb_tls = {{ cert = \"{}\", key = \"{}\" }}\nweb_password_hash = \"{}\"\nweb_names = [\"sync.example\"]",
        cert.display(),
        key.display(),
        hash.trim()
    ));
    bed.ok(&["config", "check"]);
    let running = bed.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime.block_on(async {
        let pem = reqwest::Certificate::from_pem(&fs::read(&cert).unwrap()).unwrap();
        let http = reqwest::Client::builder()
            .tls_certs_only([pem])
            .tls_danger_accept_invalid_certs(true)
            .resolve("sync.example", ([127, 0, 0, 1], port).into())
            .build()
            .unwrap();
        let base = format!("https://sync.example:{port}");
        let end = std::time::Instant::now() + PATIENCE;
        let page = loop {
            match http.get(&base).send().await {
                Ok(answer) => break answer,
                Err(why) => assert!(std::time::Instant::now() < end, "{why:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(page.status(), 401);
        assert!(page.text().await.unwrap().contains("type=\"password\""));
        let login = |password: &'static str, origin: String| {
            http.post(format!("{base}/login")).header("origin", origin).form(&[("password", password)]).send()
        };
        assert_eq!(login("correct horse battery", "https://evil.example".into()).await.unwrap().status(), 403);
        assert_eq!(login("wrong horse battery", base.clone()).await.unwrap().status(), 401);
        let answer = login("correct horse battery", base.clone()).await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap();
        let inside = http.get(&base).header("cookie", cookie).send().await.unwrap();
        assert!(inside.text().await.unwrap().contains("you may look and change"));
        // Whoever guesses has to wait after some tries, also with the right one.
        for _ in 0..5 {
            assert_eq!(login("a wrong guess", base.clone()).await.unwrap().status(), 401);
        }
        let refused = login("correct horse battery", base.clone()).await.unwrap();
        assert_eq!(refused.status(), 429);
        assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 60);
        assert!(refused.text().await.unwrap().contains("agent web"));
    });
    assert!(bed.ok(&["web"]).starts_with(&format!("https://sync.example:{port}/enter/")));
    // Off again while it runs.
    fs::write(&path, &config).unwrap();
    until("the page is off", || TcpStream::connect(("127.0.0.1", port)).is_err());
    running.stop();
}

fn axe() -> Option<String> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    if !Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: axe-core needs npm, which is not installed");
        return None;
    }
    let setup = Command::new(here.join("tests/clients/setup.sh")).arg("axe").output().unwrap();
    assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
    Some(fs::read_to_string(here.join("target/clients/axe/node_modules/axe-core/axe.min.js")).unwrap())
}

/// What axe-core finds that is serious or worse.
async fn serious(browser: &Browser, axe: &str) -> Vec<String> {
    browser.script(&format!("if (!window.axe) {{ {axe}\n }}"), json!([])).await;
    let run = "const done = arguments[arguments.length - 1]; \
               axe.run().then((found) => found.passes.length < 5 ? done([['critical', 'axe looked at nothing']]) : done(found.violations.map((v) => [v.impact, v.id, v.help, v.nodes.map((n) => n.html).slice(0, 3)])))\
               .catch((why) => done([['critical', String(why)]]));";
    let found = browser.script_until(run).await;
    let found = found.as_array().unwrap_or_else(|| panic!("axe says {found}")).clone();
    let bad = |row: &&Value| row[0] == "serious" || row[0] == "critical";
    found.iter().filter(bad).map(ToString::to_string).collect()
}

#[test]
fn every_screen_in_a_real_browser() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let Some(browser) = runtime.block_on(Browser::start()) else {
        println!("skipped: chromedriver is not installed");
        assert!(std::env::var_os("REQUIRE_CHROMIUM").is_none(), "Chromium is required");
        return;
    };
    let axe = axe();
    let (bed, running) = lively();
    let base = {
        let link = link(&bed);
        runtime.block_on(browser.open(&link));
        runtime.block_on(browser.shows("Folders"));
        link.split("/enter").next().unwrap().to_owned()
    };
    let screens = |browser: &Browser| {
        // What is linked from where people begin.
        let find = |page: &str, start: &str| {
            runtime.block_on(browser.open(&format!("{base}{page}")));
            let script = "return [...document.querySelectorAll('main a')].map((a) => a.getAttribute('href')).filter((h) => h.startsWith(arguments[0]))";
            let found = runtime.block_on(browser.script(script, json!([start])));
            found[0].as_str().unwrap_or_else(|| panic!("{page} has no link to {start}")).to_owned()
        };
        let directory = find("/folder?name=inbox", "/folder?name=inbox&at=");
        let item = find("/folder?name=inbox", "/item?");
        runtime.block_on(browser.open(&format!("{base}/folder?name=inbox")));
        let script = "return [...document.querySelectorAll('main a')].find((a) => a.textContent.includes('最終版')).getAttribute('href')";
        let replaced = runtime.block_on(browser.script(script, json!([]))).as_str().unwrap().to_owned();
        let run = find("/callback?name=told", "/callback/run?");
        let hold = find("/decide", "/decide/hold?");
        let fixed = [
            "/",
            "/folder?name=inbox",
            "/folder/problems?name=both",
            "/folder/search?name=inbox&text=report",
            "/events",
            "/callbacks",
            "/callbacks/new",
            "/callback?name=told",
            "/quarantine",
            "/decide",
            "/accounts",
        ];
        fixed.iter().map(|path| (*path).to_owned()).chain([directory, item, replaced, run, hold]).collect::<Vec<_>>()
    };
    let screens = screens(&browser);
    let pictures = std::env::var_os("AGENT_PICTURES").map(PathBuf::from);
    let mut faults = Vec::new();
    for screen in &screens {
        runtime.block_on(async {
            browser.open(&format!("{base}{screen}")).await;
            browser.shows("<h1>").await;
            for (width, height) in [(1280, 900), (390, 844)] {
                for scheme in ["light", "dark"] {
                    browser.look_like(width, height, scheme).await;
                    if let Some(axe) = &axe {
                        for fault in serious(&browser, axe).await {
                            faults.push(format!("{screen} at {width}, {scheme}: {fault}"));
                        }
                    }
                    let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
                    let too_wide = browser.script(overflow, json!([])).await;
                    if too_wide != 0 {
                        faults.push(format!("{screen} at {width}: {too_wide} pixels too wide"));
                    }
                    if let Some(dir) = &pictures {
                        let name: String = screen.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
                        let picture =
                            base64::engine::general_purpose::STANDARD.decode(browser.picture().await).unwrap();
                        fs::create_dir_all(dir).unwrap();
                        fs::write(dir.join(format!("{name}-{width}-{scheme}.png")), picture).unwrap();
                    }
                }
            }
            let owned = "return [document.title.includes('owned'), document.querySelectorAll('main img').length]";
            assert_eq!(browser.script(owned, json!([])).await, json!([false, 0]), "{screen}");
        });
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    runtime.block_on(async {
        browser.look_like(1280, 900, "light").await;
        let tree = async {
            browser.open(&format!("{base}/folder?name=inbox")).await;
            browser.shows("What is in it").await
        }
        .await;
        assert!(tree.contains("&lt;img src=x onerror="), "a hostile name is text: {tree}");
        browser.open(&format!("{base}/folder/problems?name=both")).await;
        let problems = browser.shows("Problems of").await;
        assert!(
            problems.contains("turns\\u{1b}[31m red\\nand breaks.txt"),
            "control bytes are shown and not sent: {problems}"
        );
    });
    runtime.block_on(acts(&bed, &browser, &base));
    runtime.block_on(browser.quit());
    running.stop();
}

/// What people do there.
async fn acts(bed: &Bed, browser: &Browser, base: &str) {
    let listed = |args: &[&str]| {
        let listing: Value = serde_json::from_str(&bed.ok(args)).unwrap();
        listing["rows"].as_array().map_or(0, Vec::len)
    };
    let opened = async |summary: &str, scope: &str| {
        let script = "const all = [...document.querySelectorAll(arguments[1] + ' details.confirm')]; \
                      const one = all.find((d) => d.querySelector('summary').textContent.startsWith(arguments[0])); \
                      one.open = true; one.id = 'wanted'; return true";
        assert_eq!(browser.script(script, json!([summary, scope])).await, true, "{summary}");
    };
    // The page changes by itself.
    browser.open(&format!("{base}/events")).await;
    browser.shows("live").await;
    bed.cloud().write(&format!("{REMOTE}/news of the day.txt"), "new").unwrap();
    browser.shows("news of the day.txt").await;
    // A name is found wherever it lies, and leads to what is known of it.
    browser.open(&format!("{base}/folder?name=inbox")).await;
    browser.shows("Name holds").await;
    browser.fill("#text", "REPORT 035").await;
    browser.press("form[action='/folder/search'] button").await;
    let found = browser.shows("Search in inbox").await;
    assert!(found.contains("Contracts/report 035.pdf") && !found.contains("report 036"), "{found}");
    browser.press("main table a").await;
    browser.shows("Versions").await;
    // Quarantine: a release needs a reason.
    browser.open(&format!("{base}/quarantine")).await;
    browser.shows("virus.exe").await;
    opened("Release", "").await;
    browser.fill("#wanted input[name=reason]", "it is a test").await;
    browser.press("#wanted button").await;
    browser.shows("nothing is in quarantine").await;
    until("it is published", || bed.local().join("virus.exe").exists());
    // A conflict, and a hold.
    browser.open(&format!("{base}/decide")).await;
    browser.shows("Side by side").await;
    opened("Keep the cloud", "").await;
    browser.press("#wanted button").await;
    browser.shows("role=\"status\"").await;
    until("the conflict is decided", || listed(&["conflicts", "--json"]) == 0);
    browser.open(&format!("{base}/decide")).await;
    browser.shows("Approve").await;
    opened("Approve", "").await;
    browser.press("#wanted button").await;
    browser.shows("nothing is held").await;
    until("what was approved is gone", || !bed.local().join("Contracts/report 001.pdf").exists());
    // An older version: saved from a mirror, and put back where the disk has a say.
    let versions = async |folder: &str, name: &str| {
        browser.open(&format!("{base}/folder?name={folder}")).await;
        browser.shows("What is in it").await;
        let script =
            "[...document.querySelectorAll('main a')].find((a) => a.textContent.includes(arguments[0])).click()";
        browser.script(script, json!([name])).await;
        browser.shows("Versions").await
    };
    let page = versions("inbox", "最終版").await;
    assert!(page.contains("Save a copy"), "{page}");
    let saved = "const done = arguments[arguments.length - 1]; \
                 fetch([...document.querySelectorAll('a')].find((a) => a.textContent === 'Save a copy').href)\
                 .then(async (r) => done([r.headers.get('content-disposition'), r.headers.get('content-type'), await r.text()]));";
    let saved = browser.script_until(saved).await;
    assert!(saved[0].as_str().unwrap().starts_with("attachment; filename*=UTF-8''"), "{saved}");
    assert_eq!((saved[1].as_str(), saved[2].as_str()), (Some("application/octet-stream"), Some("one")));
    opened("Put it back", "").await;
    browser.press("#wanted button").await;
    browser.shows("In a mirror the cloud decides").await;
    let minutes = bed.dir.path().join("both/minutes.txt");
    let before = "what the cloud says later";
    bed.cloud().write("/Projects/Both/minutes.txt", before).unwrap();
    until("it is on disk", || fs::read_to_string(&minutes).is_ok_and(|now| now == before));
    let page = versions("both", "minutes.txt").await;
    assert!(page.contains("Put it back"), "{page}");
    opened("Put it back", "").await;
    browser.press("#wanted button").await;
    browser.shows("Put back,").await;
    assert_eq!(fs::read_to_string(&minutes).unwrap(), "what the cloud says");
    // A callback from its making to its end.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/told", server.local_addr().unwrap());
    let told = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut request = vec![0; 8_192];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    browser.open(&format!("{base}/callbacks/new")).await;
    browser.shows("New callback").await;
    browser.fill("#name", "crm").await;
    browser.fill("#url", &url).await;
    browser.press("form.stack button").await;
    browser.shows("Callback crm is made").await;
    browser.press("form[action='/callback/test'] button").await;
    browser.shows("The test came to").await;
    assert!(told.join().unwrap().starts_with("POST /told "));
    opened("Switch off", "").await;
    browser.press("#wanted button").await;
    browser.shows("Switched off.").await;
    assert!(fs::read_to_string(bed.home().join("config.toml")).unwrap().contains("switch = \"off\""));
    opened("Delete", "").await;
    browser.press("#wanted button").await;
    browser.shows("Deleted.").await;
    assert!(!fs::read_to_string(bed.home().join("config.toml")).unwrap().contains("crm"));
    // Programs are looked at.
    browser.open(&format!("{base}/callback?name=gate")).await;
    let page = browser.shows("Callback").await;
    assert!(page.contains("/bin/false") && !page.contains("/callback/delete"), "{page}");
    // And out.
    browser.press("header form button").await;
    browser.shows("Sign in with a link").await;
}
