//! The browser's way with a real browser: Chromium presses the button, and shows what the agent tells it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::*;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Chromium, told what to do by its own driver.
struct Browser {
    driver: Child,
    url: String,
    http: reqwest::Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Nothing where Chromium or its driver is not installed.
    async fn start() -> Option<Self> {
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let http = reqwest::Client::new();
        let url = format!("http://127.0.0.1:{port}");
        let until = Instant::now() + PATIENCE;
        while http.get(format!("{url}/status")).send().await.is_err() {
            assert!(Instant::now() < until, "chromedriver never answers");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let profile = tempfile::tempdir().unwrap();
        let data = format!("--user-data-dir={}", profile.path().display());
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server", &data];
        let options = json!({ "args": arguments });
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } });
        let answer: Value =
            http.post(format!("{url}/session")).json(&wanted).send().await.unwrap().json().await.unwrap();
        let session =
            answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}")).to_owned();
        Some(Self { driver, url: format!("{url}/session/{session}"), http, _profile: profile })
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}/{path}", self.url)).json(&body).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["value"].clone()
    }

    async fn open(&self, address: &str) {
        self.post("url", json!({ "url": address })).await;
    }

    /// Presses what matches a selector.
    async fn press(&self, selector: &str) {
        let found = self.post("element", json!({ "using": "css selector", "value": selector })).await;
        let element = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        let element = element.unwrap_or_else(|| panic!("there is no {selector}: {found}")).to_owned();
        self.post(&format!("element/{element}/click"), json!({})).await;
    }

    /// The page as soon as it shows a text.
    async fn shows(&self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.http.get(format!("{}/source", self.url)).send().await.unwrap();
            let page = answer.json::<Value>().await.unwrap()["value"].as_str().unwrap_or_default().to_owned();
            if page.contains(text) {
                return page;
            }
            assert!(Instant::now() < until, "{text} is never shown: {page}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn quit(mut self) {
        let _ = self.http.delete(&self.url).send().await;
        let _ = self.driver.kill().await;
    }
}

/// A program in place of the desktop's browser, which notes what it was started with.
fn opener(bed: &Bed) -> String {
    let path = bed.path("opener");
    let (address, environment) = (bed.path("opened"), bed.path("opened.env"));
    let script = format!(
        "#!/bin/sh\nenv > '{}'\necho \"$1\" > '{}.new' && mv '{}.new' '{}'\n",
        environment.display(),
        address.display(),
        address.display(),
        address.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_desktops_browser_is_opened_and_is_not_told_the_apps_secret() {
    let bed = bed_with(App::default()).await;
    let browser = opener(&bed);
    let variables = [("AGENT_CLIENT_ID", "app"), ("AGENT_CLIENT_SECRET", "app-secret"), ("BROWSER", browser.as_str())];
    let variables = [&variables[..], &[("PATH", "/usr/bin:/bin")]].concat();
    let mut session = Session::start(&bed, &["login", "box", "--api-url", &bed.url()], &variables);
    let address = session.address().await;
    let until = Instant::now() + PATIENCE;
    while !bed.path("opened").exists() {
        assert!(Instant::now() < until, "no browser is started");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(fs::read_to_string(bed.path("opened")).unwrap().trim(), address);
    let environment = fs::read_to_string(bed.path("opened.env")).unwrap();
    assert!(!environment.contains("app-secret"), "{environment}");
    page_of(&redirect_of(&address).await).await;
    session.end().await.fine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_grants_and_denies() {
    let Some(browser) = Browser::start().await else {
        assert!(std::env::var_os("REQUIRE_CHROMIUM").is_none(), "chromedriver is not installed");
        println!("skipped: chromium-driver is not installed");
        return;
    };
    let bed = bed_with(App { consent: Consent::Asked, ..App::default() }).await;
    let url = bed.url();
    for (button, shown, code) in [
        ("#deny", "Not signed in: access was denied at Box", 77),
        ("#allow", "Signed in to Box as Aki Agent (agent@example.test)", 0),
    ] {
        let mut session = Session::start(&bed, &["login", "box", "--api-url", &url, "--app-file", "app.txt"], &[]);
        browser.open(&session.address().await).await;
        browser.shows("Grant the app access").await;
        browser.press(button).await;
        let page = browser.shows(shown).await;
        assert!(code != 0 || page.contains("agent add-folder /REMOTE/FOLDER LOCAL --account box"), "{page}");
        assert_eq!(session.end().await.code, code);
    }
    browser.quit().await;
}
