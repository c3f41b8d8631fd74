//! A real browser: Chromium, told what to do by its own driver.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// How long a page may take.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Chromium, told what to do by its own driver.
pub struct Browser {
    driver: Child,
    url: String,
    http: reqwest::Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Nothing where Chromium or its driver is not installed.
    pub async fn start() -> Option<Self> {
        // Only the first caller in a process installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
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

    pub async fn open(&self, address: &str) {
        self.post("url", json!({ "url": address })).await;
    }

    /// Presses what matches a selector.
    pub async fn press(&self, selector: &str) {
        let found = self.post("element", json!({ "using": "css selector", "value": selector })).await;
        let element = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        let element = element.unwrap_or_else(|| panic!("there is no {selector}: {found}")).to_owned();
        self.post(&format!("element/{element}/click"), json!({})).await;
    }

    /// The page as soon as it shows a text.
    pub async fn shows(&self, text: &str) -> String {
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

    /// Types into what matches a selector.
    pub async fn fill(&self, selector: &str, text: &str) {
        let script =
            "const field = document.querySelector(arguments[0]); field.value = arguments[1]; return field !== null";
        assert_eq!(self.script(script, json!([selector, text])).await, true, "there is no {selector}");
    }

    /// Runs a script in the page.
    pub async fn script(&self, script: &str, arguments: Value) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// Runs a script that calls its last argument when it is done.
    pub async fn script_until(&self, script: &str) -> Value {
        self.post("execute/async", json!({ "script": script, "args": [] })).await
    }

    /// The size of the window's inside, and the colours that the person prefers.
    pub async fn look_like(&self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.developer("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.developer("Emulation.setEmulatedMedia", features).await;
    }

    async fn developer(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// A picture of the whole page, as a PNG in base64.
    pub async fn picture(&self) -> String {
        let wanted = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.developer("Page.captureScreenshot", wanted).await;
        answer["data"].as_str().unwrap_or_default().to_owned()
    }

    pub async fn quit(mut self) {
        let _ = self.http.delete(&self.url).send().await;
        let _ = self.driver.kill().await;
    }
}

/// A port that nobody listens on at the moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
