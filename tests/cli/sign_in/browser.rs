//! The browser's way with a real browser: Chromium presses the button, and shows what the agent tells it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::*;
use crate::support::browser::{Browser, PATIENCE};

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
