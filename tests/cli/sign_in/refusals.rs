//! What can be wrong with a sign-in: each has a sentence and a next step of its own, and leaves the account as it was.

use super::*;

/// A bed whose account `work` is signed in, and what it must still be afterwards.
struct Before {
    bed: Bed,
    config: String,
    credentials: Vec<u8>,
}

impl Before {
    async fn new(app: App) -> Self {
        let bed = bed_with(app).await;
        let url = bed.url();
        let login = ["login", "box", "--account", "work", "--api-url", &url, "--token-stdin"];
        bed.run_with(&login, ACCESS_TOKEN).await.fine();
        let (config, credentials) = (bed.config(), std::fs::read(bed.path("home/credentials/work.json")).unwrap());
        Self { bed, config, credentials }
    }

    /// Starts a sign-in to the account.
    fn start(&self, more: &[&str]) -> Session {
        Session::start(&self.bed, &[&["login", "box", "--account", "work"], more].concat(), &[])
    }

    async fn run(&self, more: &[&str], input: &str) -> Ran {
        self.bed.run_with(&[&["login", "box", "--account", "work"], more].concat(), input).await
    }

    /// It failed with this sentence and this next step, and nothing changed.
    #[track_caller]
    fn stays(&self, ran: Ran, code: i32, what: &str, next: &str) {
        assert_eq!(ran.code, code, "{ran:#?}");
        let lines: Vec<&str> = ran.err.lines().collect();
        let starting = |label: &str| lines.iter().find(|line| line.starts_with(label)).copied().unwrap_or_default();
        assert!(starting("error:").contains(what), "{ran:#?}");
        assert!(starting("hint:").contains(next), "{ran:#?}");
        assert_eq!(self.bed.config(), self.config);
        assert_eq!(std::fs::read(self.bed.path("home/credentials/work.json")).unwrap(), self.credentials);
        let trials = std::fs::read_dir(self.bed.path("home/credentials")).unwrap();
        assert!(trials.flatten().all(|entry| !entry.file_name().to_string_lossy().starts_with(".login")));
    }
}

const BY_APP: [&str; 2] = ["--app-file", "app.txt"];

#[tokio::test]
async fn consent_that_is_denied() {
    let before = Before::new(App { consent: Consent::Denied, ..App::default() }).await;
    let mut session = before.start(&BY_APP);
    let back = redirect_of(&session.address().await).await;
    let page = page_of(&back).await;
    assert!(page.contains("Not signed in: access was denied at Box"), "{page}");
    before.stays(session.end().await, 77, "access was denied at Box", "press the button that grants access");
}

#[tokio::test]
async fn a_state_that_is_not_ours() {
    let before = Before::new(App::default()).await;
    let mut session = before.start(&BY_APP);
    let back = redirect_of(&session.address().await).await;
    let forged = format!("{}&state=forged", back.split("&state=").next().unwrap());
    assert!(page_of(&forged).await.contains("belongs to another sign-in"));
    before.stays(session.end().await, 77, "belongs to another sign-in", "close old sign-in pages");
}

#[tokio::test]
async fn a_redirect_that_is_not_ours() {
    let before = Before::new(App::default()).await;
    let mut session = before.start(&["--app-file", "app.txt", "--no-browser"]);
    let address = session.address().await;
    session.paste(&address).await;
    before.stays(session.end().await, 77, "not the address the browser ends at", "paste the whole address");
    // Nothing at all, and something that is no address.
    let mut session = before.start(&["--app-file", "app.txt", "--no-browser"]);
    session.address().await;
    before.stays(session.end().await, 77, "nothing was pasted", "paste the address that the browser ends at");
}

#[tokio::test]
async fn a_redirect_uri_that_is_not_registered() {
    let app = App { redirect_uris: vec!["http://127.0.0.1:1/elsewhere".into()], ..App::default() };
    let before = Before::new(app).await;
    let mut session = before.start(&["--app-file", "app.txt", "--wait", "2s"]);
    let page = page_of(&session.address().await).await;
    assert!(page.contains("redirect_uri_mismatch"), "the provider says it in the browser: {page}");
    before.stays(session.end().await, 77, "nothing came back from the browser", "register http://127.0.0.1:");
}

#[tokio::test]
async fn a_browser_that_was_closed() {
    let before = Before::new(App::default()).await;
    let mut session = before.start(&["--app-file", "app.txt", "--wait", "1s"]);
    session.address().await;
    before.stays(session.end().await, 77, "nothing came back from the browser within 1 s", "leave the browser open");
}

#[tokio::test]
async fn a_port_that_is_in_use() {
    let before = Before::new(App::default()).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = before.run(&["--app-file", "app.txt", "--port", &port], "").await;
    before.stays(ran, 1, &format!("port {port} is in use by another program"), "choose another with --port");
}

#[tokio::test]
async fn a_code_that_came_too_late() {
    let before = Before::new(App::default()).await;
    let mut session = before.start(&BY_APP);
    let back = redirect_of(&session.address().await).await;
    before.bed.cloud().expire_codes();
    assert!(page_of(&back).await.contains("Not signed in"));
    before.stays(session.end().await, 77, "used up or older than 30 seconds", "run the command again");
}

#[tokio::test]
async fn an_app_that_is_not_known_or_whose_secret_is_wrong() {
    let before = Before::new(jwt_app()).await;
    for wrong in ["app\nwrong-secret", "nobody\napp-secret"] {
        let ran = before.run(&["--ccg", "--app-stdin", "--subject", "enterprise:801346"], wrong).await;
        before.stays(ran, 77, "does not know this app", "copy both again");
    }
    let ran = before.run(&["--ccg", "--app-file", "app.txt", "--subject", "enterprise:1"], "").await;
    before.stays(ran, 77, "does not grant the app a token", "check the enterprise id");
    let ran = before.run(&["--ccg", "--app-file", "app.txt"], "").await;
    before.stays(ran, 2, "in whose name shall the app act?", "--subject enterprise:ID");
    // A secret with the line breaks of two editors is the same secret.
    before
        .bed
        .run_with(
            &[
                "login",
                "box",
                "--account",
                "ccg",
                "--api-url",
                &before.bed.url(),
                "--ccg",
                "--app-stdin",
                "--subject",
                "enterprise:801346",
            ],
            " app \r\n app-secret \r\n\r\n",
        )
        .await
        .fine();
}

#[tokio::test]
async fn a_key_file_that_is_not_right() {
    let before = Before::new(jwt_app()).await;
    let whole = jwt_file(PASSPHRASE);
    let no_key = whole.replace("BEGIN ENCRYPTED", "BEGIN BROKEN");
    for (text, cause) in [
        (jwt_file("wrong"), "the passphrase does not open the private key"),
        (jwt_file(""), "its passphrase is missing"),
        (whole[..whole.len() / 2].to_owned(), "it was not downloaded whole"),
        (no_key, "not complete PEM"),
        ("{\"boxAppSettings\":{\"clientID\":\"a\"}}".to_owned(), "holds no private key"),
        ("{}".to_owned(), "not the JSON that Box's console downloads"),
    ] {
        std::fs::write(before.bed.path("key.json"), &text).unwrap();
        let ran = before.run(&["--jwt", "key.json"], "").await;
        assert!(ran.err.contains(cause), "{}", ran.err);
        assert!(!ran.err.contains(PASSPHRASE) && !ran.err.contains("MIIF"), "{}", ran.err);
        before.stays(ran, 1, "key.json cannot be used", "download it again");
    }
    let ran = before.run(&["--jwt", "absent.json"], "").await;
    assert!(ran.err.contains("cannot read absent.json"), "{}", ran.err);
    before.bed.cloud().register_app(App::default());
    std::fs::write(before.bed.path("key.json"), whole).unwrap();
    let ran = before.run(&["--jwt", "key.json"], "").await;
    before.stays(ran, 77, "does not know the public key", "generate a new key pair");
}

#[tokio::test]
async fn an_app_that_the_enterprise_has_not_authorised() {
    let before = Before::new(App { authorised: false, ..jwt_app() }).await;
    std::fs::write(before.bed.path("key.json"), jwt_file(PASSPHRASE)).unwrap();
    let ccg: &[&str] = &["--ccg", "--app-file", "app.txt", "--subject", "enterprise:801346"];
    for way in [ccg, &["--jwt", "key.json"]] {
        let ran = before.run(way, "").await;
        before.stays(ran, 77, "the enterprise has not authorised this app", "Platform Apps Manager");
    }
}

#[tokio::test]
async fn an_app_that_lacks_a_scope() {
    let ccg = ["--ccg", "--app-file", "app.txt", "--subject", "enterprise:801346"];
    let before = Before::new(App { events: false, ..App::default() }).await;
    let ran = before.run(&ccg, "").await;
    before.stays(ran, 1, "the app may not read the events of Box", "Read all files and folders");

    // One that only reads is good for a mirror, and not for a folder that is written to.
    let before = Before::new(App { write: false, ..App::default() }).await;
    before.bed.cloud().mkdir_p("/A").unwrap();
    before.bed.run(&["add-folder", "/A", "a", "--mode", "two-way", "--yes"]).await.fine();
    let before = Before { config: before.bed.config(), ..before };
    let ran = before.run(&ccg, "").await;
    before.stays(ran, 1, "the app may not write, which these folders need: A", "Write all files and folders");
    before.bed.run(&["set-folder", "A", "mode=mirror", "--yes"]).await.fine();
    let ran = before.run(&ccg, "").await;
    assert!(ran.err.contains("the app may not write"), "{}", ran.err);
    ran.fine();

    let before = Before::new(App::default()).await;
    let ran = before.run(&[&ccg[..], &["--as-user", "1"]].concat(), "").await;
    before.stays(ran, 1, "does not let it ask who it is", "the right to act for users");
}

#[tokio::test]
async fn a_password_that_is_wrong_and_a_key_that_takes_none() {
    let bed = bed_with(App { internal: true, ..App::default() }).await;
    let url = bed.url();
    let login = ["login", "egnyte", "--api-url", &url, "--app-file", "app.txt", "--username", "agent"];
    let err = bed.run_with(&login, "wrong").await.failed(77);
    assert!(err.contains("the user name or the password is wrong") && err.contains("single sign-on"), "{err}");
    bed.cloud().register_app(App::default());
    let err = bed.run_with(&login, PASSWORD).await.failed(77);
    assert!(err.contains("may not sign in this way"), "{err}");
    assert!(!bed.path("home/credentials/egnyte.json").exists() && bed.config().is_empty());
}

#[tokio::test]
async fn options_of_the_other_cloud_and_two_ways_at_once() {
    let bed = Bed::with_cloud().await;
    for wrong in [
        &["egnyte", "--ccg"][..],
        &["egnyte", "--jwt", "f"],
        &["egnyte", "--as-user", "1"],
        &["box", "--username", "me"],
        &["box", "--ccg", "--token-stdin"],
        &["box", "--app-file", "f", "--app-stdin"],
        &["box", "--port", "1", "--redirect-uri", "http://127.0.0.1:1/"],
        &["box", "--ccg", "--app-stdin", "--subject", "everybody"],
    ] {
        bed.run_with(&[&["login"], wrong].concat(), APP).await.failed(2);
    }
    assert!(!bed.path("home/config.toml").exists() && !bed.path("home/credentials/box.json").exists());
}
