//! Signing in as people do it: in the browser, by pasting, as the app itself, with a password; and all that can be wrong with it.

use std::fs;
use std::process::Stdio;

use folder_sync_agent::sandbox::{ACCESS_TOKEN, App, Consent, Options, PASSWORD, User};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{Bed, PROGRAM, Ran};

mod browser;
mod refusals;

/// The app as `--app-file` takes it, with the line break that every editor leaves.
const APP: &str = "app\napp-secret\n";
const PRIVATE_KEY: &str = include_str!("../keys/box.pem");
const PUBLIC_KEY: &str = include_str!("../keys/box.pub.pem");
const PASSPHRASE: &str = "open-sesame";

/// A sign-in that waits for somebody to do something.
pub struct Session {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Session {
    /// Starts it with these variables besides the home directory.
    pub fn start(bed: &Bed, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .current_dir(bed.path(""))
            .env_clear()
            .env("AGENT_HOME", bed.path("home"))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, out, said: Vec::new() }
    }

    /// The address that a person is asked to open.
    pub async fn address(&mut self) -> String {
        loop {
            let line = self.out.next_line().await.unwrap().expect("an address is shown before the end");
            self.said.push(line.clone());
            if line.starts_with("http") {
                return line;
            }
        }
    }

    /// Types a line.
    pub async fn paste(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits for the end.
    pub async fn end(mut self) -> Ran {
        drop(self.child.stdin.take());
        while let Some(line) = self.out.next_line().await.unwrap() {
            self.said.push(line);
        }
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
        let status = self.child.wait().await.unwrap();
        Ran { code: status.code().unwrap_or(-1), out: self.said.join("\n"), err }
    }
}

/// Where a page sends the browser.
pub async fn redirect_of(address: &str) -> String {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = client.get(address).send().await.unwrap();
    assert_eq!(answer.status(), 302, "{}", answer.text().await.unwrap());
    answer.headers()["location"].to_str().unwrap().to_owned()
}

/// What a page shows.
pub async fn page_of(address: &str) -> String {
    reqwest::get(address).await.unwrap().text().await.unwrap()
}

/// A bed with a registered app.
pub async fn bed_with(app: App) -> Bed {
    let bed = Bed::with_cloud().await;
    bed.cloud().register_app(app);
    fs::write(bed.path("app.txt"), APP).unwrap();
    bed
}

/// What the account was left with.
pub fn credentials(bed: &Bed, account: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(bed.path(&format!("home/credentials/{account}.json"))).unwrap()).unwrap()
}

/// An app with a key pair, as the console's file describes it.
pub fn jwt_app() -> App {
    App { public_keys: [("kid1".to_owned(), PUBLIC_KEY.to_owned())].into(), ..App::default() }
}

/// The file that the console downloads.
pub fn jwt_file(passphrase: &str) -> String {
    serde_json::json!({
        "boxAppSettings": {
            "clientID": "app",
            "clientSecret": "app-secret",
            "appAuth": { "publicKeyID": "kid1", "privateKey": PRIVATE_KEY, "passphrase": passphrase },
        },
        "enterpriseID": "801346",
    })
    .to_string()
}

#[tokio::test]
async fn the_browser_comes_back_with_a_code_and_is_told_that_it_worked() {
    let bed = bed_with(App::default()).await;
    let url = bed.url();
    let login = ["login", "box", "--account", "work", "--api-url", &url, "--app-file", "app.txt", "--wait", "30s"];
    let mut session = Session::start(&bed, &login, &[]);
    let address = session.address().await;
    for part in ["response_type=code", "client_id=app", "state=", "code_challenge=", "code_challenge_method=S256"] {
        assert!(address.contains(part), "{address}");
    }
    let back = redirect_of(&address).await;
    let page = page_of(&back).await;
    assert!(page.contains("Signed in to Box as Aki Agent"), "{page}");
    assert!(page.contains("agent add-folder /REMOTE/FOLDER LOCAL --account work"), "{page}");
    let ran = session.end().await;
    assert_eq!(ran.err, "", "nothing to warn of: this sign-in renews itself");
    assert!(ran.fine().contains("Signed in to box as Aki Agent"));
    let kept = credentials(&bed, "work");
    assert_eq!((&kept["client_id"], &kept["client_secret"]), (&"app".into(), &"app-secret".into()));
    assert_eq!(kept["identity"]["login"], "agent@example.test");
    assert!(kept["refresh_token"].is_string());

    // The app is kept once: the next sign-in needs no file.
    let mut session = Session::start(&bed, &["login", "box", "--account", "work"], &[]);
    let back = redirect_of(&session.address().await).await;
    page_of(&back).await;
    session.end().await.fine();
}

#[tokio::test]
async fn on_a_server_the_address_or_the_code_is_pasted() {
    let bed = bed_with(App::default()).await;
    let url = bed.url();
    let variables = [("AGENT_CLIENT_ID", "app"), ("AGENT_CLIENT_SECRET", "app-secret\n")];
    let login = ["login", "box", "--account", "work", "--api-url", &url, "--no-browser"];
    for whole in [true, false] {
        let mut session = Session::start(&bed, &login, &variables);
        let back = redirect_of(&session.address().await).await;
        let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap();
        session.paste(if whole { &back } else { code }).await;
        let ran = session.end().await;
        assert!(ran.out.contains("paste its whole address here"), "{}", ran.out);
        ran.fine();
    }
    // A port that ssh forwards is listened on.
    let port = free_port();
    let mut session = Session::start(&bed, &[&login[..], &["--port", &port]].concat(), &variables);
    let back = redirect_of(&session.address().await).await;
    assert!(back.starts_with(&format!("http://127.0.0.1:{port}/callback")), "{back}");
    page_of(&back).await;
    session.end().await.fine();
}

/// A port that nobody listens on.
pub fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[tokio::test]
async fn a_redirect_uri_of_another_machine_is_pasted() {
    let app = App { redirect_uris: vec!["https://localhost/callback".into()], ..App::default() };
    let bed = bed_with(app).await;
    let url = bed.url();
    let login = ["login", "egnyte", "--api-url", &url, "--app-file", "app.txt", "--no-browser", "--redirect-uri"];
    let mut session = Session::start(&bed, &[&login[..], &["https://localhost/callback"]].concat(), &[]);
    let back = redirect_of(&session.address().await).await;
    assert!(back.starts_with("https://localhost/callback?"), "{back}");
    session.paste(&back).await;
    assert!(session.end().await.fine().contains("Signed in to egnyte as Aki Agent"));
}

#[tokio::test]
async fn without_an_app_five_lines_say_where_to_get_one() {
    let bed = Bed::with_cloud().await;
    for (cloud, place) in [("box", "app.box.com/developers/console"), ("egnyte", "developers.egnyte.com")] {
        let err = bed.run(&["login", cloud, "--api-url", &bed.url()]).await.failed(2);
        assert_eq!(err.lines().filter(|line| line.starts_with("step ")).count(), 5, "{err}");
        assert!(err.contains(place) && err.contains("127.0.0.1:8765/callback"), "{err}");
        assert!(err.contains("needs an app of your own to sign in with"), "{err}");
    }
    assert!(!bed.path("home/credentials/box.json").exists());
}

#[tokio::test]
async fn an_app_signs_in_by_itself() {
    let bed = bed_with(jwt_app()).await;
    let url = bed.url();
    fs::write(bed.path("box.json"), jwt_file(PASSPHRASE)).unwrap();
    let to = |name: &'static str| vec!["login", "box", "--account", name, "--api-url", url.as_str()];
    let ccg = ["--ccg", "--app-stdin", "--subject", "enterprise:801346"];
    let ran = bed.run_with(&[&to("ccg")[..], &ccg].concat(), APP).await;
    assert_eq!(ran.err, "", "nothing to warn of: this sign-in renews itself");
    assert!(ran.fine().contains("Aki Agent"));
    let other = format!("user:{}", User::Other.id());
    let ccg = ["--ccg", "--app-file", "app.txt", "--subject", &other];
    assert!(bed.run(&[&to("ccg-user")[..], &ccg].concat()).await.fine().contains("Olu Other"));
    // The console's file names the enterprise too.
    assert!(
        bed.run(&[&to("ccg-file")[..], &["--ccg", "--app-file", "box.json"]].concat())
            .await
            .fine()
            .contains("Aki Agent")
    );
    for algorithm in ["RS256", "rs384", "RS512"] {
        let jwt = ["--jwt", "box.json", "--jwt-algorithm", algorithm];
        assert!(bed.run(&[&to("jwt")[..], &jwt].concat()).await.fine().contains("Aki Agent"), "{algorithm}");
    }
    // What was done once is done again without being told how.
    assert!(bed.run(&["login", "box", "--account", "jwt"]).await.fine().contains("Aki Agent"));
    // A dead access token is no matter: the next one is asked for.
    for account in ["ccg", "jwt"] {
        let dead = credentials(&bed, account)["access_token"].as_str().unwrap().to_owned();
        bed.cloud().expire_token(&dead);
        let doctor = bed.run(&["doctor"]).await;
        assert!(doctor.out.contains(&format!("account {account}")), "{doctor:?}");
        assert_ne!(credentials(&bed, account)["access_token"], dead, "{account}");
    }
}

#[tokio::test]
async fn a_clock_ten_minutes_off_is_no_matter_for_a_signed_statement() {
    let bed = bed_with(jwt_app()).await;
    fs::write(bed.path("box.json"), jwt_file(PASSPHRASE)).unwrap();
    for skew_ms in [-600_000, 600_000] {
        bed.cloud().set_clock_skew(skew_ms);
        bed.run(&["login", "box", "--api-url", &bed.url(), "--jwt", "box.json"]).await.fine();
    }
}

#[tokio::test]
async fn an_app_acts_for_a_user() {
    let bed = bed_with(App { as_user: true, ..jwt_app() }).await;
    let url = bed.url();
    fs::write(bed.path("box.json"), jwt_file(PASSPHRASE)).unwrap();
    let other = User::Other.id().to_string();
    let login = ["login", "box", "--account", "work", "--api-url", &url, "--jwt", "box.json", "--as-user", &other];
    assert!(bed.run(&login).await.fine().contains("Olu Other"));
    assert_eq!(credentials(&bed, "work")["as_user"], other);
    let report = bed.run(&["doctor"]).await;
    assert!(report.out.contains("signed in as Olu Other"), "{report:?}");
}

#[tokio::test]
async fn egnyte_takes_a_code_or_a_password() {
    let app = App { internal: true, ..App::default() };
    let bed = bed_with(app).await;
    let url = bed.url();
    let login = ["login", "egnyte", "--account", "work", "--api-url", &url, "--app-file", "app.txt"];
    let mut session = Session::start(&bed, &login, &[]);
    let back = redirect_of(&session.address().await).await;
    assert!(page_of(&back).await.contains("Signed in to Egnyte as Aki Agent"));
    session.end().await.fine();

    let by_password = [&login[..], &["--username", "agent"]].concat();
    let ran = bed.run_with(&by_password, &format!("{PASSWORD}\n")).await;
    assert!(ran.fine().contains("Signed in to egnyte as Aki Agent"));
    let kept = fs::read_to_string(bed.path("home/credentials/work.json")).unwrap();
    assert!(!kept.contains(PASSWORD), "the password is not kept");

    let ran = bed.run_with(&["login", "egnyte", "--account", "work", "--token-stdin"], ACCESS_TOKEN).await;
    assert!(ran.err.contains("needs a new sign-in"), "{}", ran.err);
    ran.fine();
}

#[tokio::test]
async fn an_egnyte_token_without_an_end_is_said_to_have_none() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = Options { egnyte_tokens_last: true, ..Options::default() };
    let sandbox = folder_sync_agent::sandbox::start(options).await.unwrap();
    let bed = Bed { sandbox: Some(sandbox), ..Bed::new() };
    bed.cloud().register_app(App { internal: true, ..App::default() });
    fs::write(bed.path("app.txt"), APP).unwrap();
    let url = bed.url();
    let login = ["login", "egnyte", "--api-url", &url, "--app-file", "app.txt", "--username", "agent"];
    let ran = bed.run_with(&login, PASSWORD).await;
    assert!(ran.err.contains("no known end; it dies when it is revoked or the password changes"), "{}", ran.err);
    ran.fine();
    assert!(credentials(&bed, "egnyte")["refresh_token"].is_null());
}

#[tokio::test]
async fn the_person_may_have_to_press_a_button() {
    let bed = bed_with(App { consent: Consent::Asked, ..App::default() }).await;
    let url = bed.url();
    let login = ["login", "box", "--api-url", &url, "--app-file", "app.txt"];
    let mut session = Session::start(&bed, &login, &[]);
    let address = session.address().await;
    assert!(page_of(&address).await.contains("Grant access"));
    let back = redirect_of(&format!("{address}&decision=allow")).await;
    page_of(&back).await;
    session.end().await.fine();
}
