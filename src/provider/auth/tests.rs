use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use tempfile::TempDir;

use super::*;
use crate::provider::http::script::{Asked, Script, reply};
use crate::provider::http::{HttpOptions, Refusal};

/// A directory with the credentials of the account `work`.
struct Bed {
    home: TempDir,
}

impl Bed {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("credentials")
    }

    fn file(&self) -> CredentialFile {
        CredentialFile::new(self.dir(), "work").unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file().path()).unwrap_or_default()
    }

    fn save(&self, stored: &Stored) {
        self.file().save(stored).unwrap();
    }

    fn tokens(&self, script: &Script) -> TokenSource {
        self.counted(script, &Arc::default())
    }

    fn counted(&self, script: &Script, counter: &Arc<CallCounter>) -> TokenSource {
        let url = script.url.join("/oauth2/token").unwrap();
        TokenSource::new(self.dir(), "work", loopback(), Arc::clone(counter), (ProviderName::Box, url)).unwrap()
    }

    fn session(&self, script: &Script) -> Session {
        let counter = Arc::default();
        Session::new(loopback(), self.counted(script, &counter), counter, |refusal: &Refusal<'_>| {
            let kind = if refusal.status == 401 { ProviderErrorKind::SignInNeeded } else { ProviderErrorKind::Refused };
            ProviderError::new(kind, "refused")
        })
    }
}

fn loopback() -> Arc<Http> {
    Arc::new(Http::new(HttpOptions { ca_file: None, proxy: None, transfers: 4, plain_loopback: true }))
}

fn pair(access: &str, refresh: Option<&str>, expires_at: Option<Wall>) -> Stored {
    Stored::of(Credentials {
        refresh_token: refresh.map(SecretString::from),
        expires_at,
        client_id: Some("app".to_owned()),
        client_secret: Some("app-secret".into()),
        ..Credentials::bearer(access.into())
    })
}

fn in_seconds(seconds: i64) -> Wall {
    now().plus_ms(seconds * 1000)
}

fn grant(access: &str, refresh: &str) -> String {
    reply(
        200,
        "",
        &format!("{{\"access_token\":\"{access}\",\"refresh_token\":\"{refresh}\",\"expires_in\":3600,\"x\":[1]}}"),
    )
}

fn no_grant() -> String {
    reply(400, "", "{\"error\":\"invalid_grant\",\"error_description\":\"Refresh token has expired\"}")
}

fn header(bearer: &Bearer) -> String {
    bearer.header().to_str().unwrap().to_owned()
}

/// Polls until it is so; a test that waits in vain says what for.
async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn many_callers_and_one_renewal_that_is_durable_at_every_step() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), Some(in_seconds(60))));
    let file = bed.file().path();
    let script = Script::start(move |asked| {
        let text = fs::read_to_string(&file).unwrap();
        // The mark is on disk before the provider hears of it.
        assert!(text.contains("refreshing_since") && text.contains("\"r1\""), "{text}");
        assert!(asked.body.contains("grant_type=refresh_token"), "{}", asked.body);
        assert!(asked.body.contains("client_secret=app-secret"), "{}", asked.body);
        grant("new", "r2")
    })
    .await;
    let tokens = bed.tokens(&script);
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let tokens = tokens.clone();
            let file = bed.file();
            tokio::spawn(async move {
                let bearer = tokens.bearer().await.unwrap();
                // The new pair is on disk before anybody can use it, beside the one it replaces.
                let stored = file.load().unwrap();
                assert_eq!(stored.current.access_token.expose_secret(), "new");
                assert!(stored.refreshing_since.is_none());
                header(&bearer)
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "Bearer new");
    }
    assert_eq!(script.asked().len(), 1);
    let stored = bed.file().load().unwrap();
    assert_eq!(stored.previous.unwrap().refresh_token.unwrap().expose_secret(), "r1");
    assert!(stored.current.expires_at.unwrap() > in_seconds(3_500));
    assert_eq!(stored.current.client_id.as_deref(), Some("app"));
    tokens.worked(&tokens.bearer().await.unwrap());
    until("the old pair is forgotten", || !bed.text().contains("previous")).await;
    assert!(bed.text().contains("\"r2\""));
}

#[tokio::test]
async fn a_token_that_lasts_is_left_alone() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), Some(in_seconds(3_600))));
    let script = Script::start(|_| no_grant()).await;
    let tokens = bed.tokens(&script);
    assert_eq!(header(&tokens.bearer().await.unwrap()), "Bearer old");
    bed.save(&pair("unknown end", Some("r1"), None));
    tokens.reload();
    assert!(tokens.bearer().await.unwrap().due.is_none());
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn a_token_that_lives_for_seconds_is_not_renewed_with_every_call() {
    let bed = Bed::new();
    bed.save(&pair("", Some("r1"), None));
    let granted = "{\"access_token\":\"short\",\"refresh_token\":\"r2\",\"expires_in\":40}";
    let script = Script::start(move |_| reply(200, "", granted)).await;
    let tokens = bed.tokens(&script);
    for _ in 0..5 {
        assert_eq!(header(&tokens.bearer().await.unwrap()), "Bearer short");
    }
    assert_eq!(script.asked().len(), 1);
}

#[test]
fn a_token_is_renewed_before_its_end_and_not_by_everybody_at_once() {
    let mut credentials = pair("a", Some("r"), Some(in_seconds(3_600))).current;
    let left = |credentials: &Credentials, jitter: u64| {
        let due = due(credentials, Duration::from_secs(jitter)).unwrap().saturating_duration_since(Instant::now());
        (due.as_secs() + 5) / 10 * 10
    };
    assert_eq!((left(&credentials, 0), left(&credentials, 60)), (3_420, 3_360));
    credentials.issued_at = Some(now());
    assert_eq!(left(&credentials, 60), 3_360);
    credentials.expires_at = Some(in_seconds(200));
    assert_eq!(left(&credentials, 60), 150, "a quarter of a short life");
    let jitters: std::collections::BTreeSet<Duration> = (0..40)
        .map(|_| {
            let url = Url::parse("http://127.0.0.1:1/").unwrap();
            TokenSource::new(PathBuf::new(), "work", loopback(), Arc::default(), (ProviderName::Box, url))
                .unwrap()
                .0
                .jitter
        })
        .collect();
    assert!(jitters.len() > 5 && jitters.iter().all(|jitter| *jitter <= RENEW_JITTER), "{jitters:?}");
}

#[tokio::test]
async fn two_processes_share_one_renewal() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), Some(in_seconds(3_600))));
    let script = Script::start(|asked| if asked.body.contains("r1") { grant("new", "r2") } else { no_grant() }).await;
    let sources: Vec<TokenSource> = (0..4).map(|_| bed.tokens(&script)).collect();
    let mut callers = Vec::new();
    for tokens in sources {
        let rejected = tokens.bearer().await.unwrap();
        callers.push(tokio::spawn(async move { header(&tokens.renew(&rejected).await.unwrap()) }));
    }
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "Bearer new");
    }
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test]
async fn calls_that_were_refused_are_replayed_once_with_one_renewal() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), Some(in_seconds(3_600))));
    let script = Script::start(|asked| match (asked.path(), asked.header("authorization")) {
        ("/oauth2/token", None) => grant("new", "r2"),
        ("/data", Some("Bearer new")) => reply(200, "", "{}"),
        _ => reply(401, "www-authenticate: Bearer error=\"expired_token\"\r\n", ""),
    })
    .await;
    let session = Arc::new(bed.session(&script));
    let url = script.url.join("/data").unwrap();
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (session, url) = (Arc::clone(&session), url.clone());
            tokio::spawn(async move { session.text(&Call::get("data", CallKind::Metadata, url)).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "{}");
    }
    let asked = script.asked();
    assert_eq!(asked.iter().filter(|asked| asked.path() == "/oauth2/token").count(), 1);
    assert!(asked.iter().filter(|asked| asked.path() == "/data").count() <= 20);
    let counts = session.counter().counts();
    assert_eq!(counts.token, 1);
    assert_eq!(counts.metadata as usize, asked.len() - 1);
    until("the old pair is forgotten", || !bed.text().contains("previous")).await;
}

#[tokio::test]
async fn a_sign_in_that_ended_is_said_once_and_healed_by_a_new_one() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), Some(in_seconds(60))));
    let script = Script::start(|_| no_grant()).await;
    let tokens = bed.tokens(&script);
    for _ in 0..5 {
        let error = tokens.bearer().await.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::SignInNeeded, "{error}");
        assert!(error.to_string().contains("invalid_grant"), "{error}");
    }
    assert_eq!(script.asked().len(), 1, "no storm of retries");
    assert!(!bed.text().contains("refreshing_since"));
    save_login(bed.dir(), "work", pair("fresh", Some("r9"), None).current).await.unwrap();
    assert_eq!(header(&tokens.bearer().await.unwrap()), "Bearer fresh");
}

#[tokio::test]
async fn without_a_file_nobody_has_signed_in_yet() {
    let bed = Bed::new();
    let script = Script::start(|_| no_grant()).await;
    let tokens = bed.tokens(&script);
    assert_eq!(tokens.bearer().await.unwrap_err().kind, ProviderErrorKind::SignInNeeded);
    save_login(bed.dir(), "work", pair("fresh", None, None).current).await.unwrap();
    assert_eq!(header(&tokens.bearer().await.unwrap()), "Bearer fresh");
    assert!(remove(bed.dir(), "work").await.unwrap());
    assert!(!remove(bed.dir(), "work").await.unwrap());
}

#[tokio::test]
async fn tokens_that_somebody_put_there_meanwhile_count() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), Some(in_seconds(60))));
    let file = bed.file();
    let script = Script::start(move |_| {
        // A program that does not take the lock.
        file.save(&pair("theirs", Some("r7"), None)).unwrap();
        no_grant()
    })
    .await;
    let tokens = bed.tokens(&script);
    assert_eq!(header(&tokens.bearer().await.unwrap()), "Bearer theirs");
    assert!(bed.text().contains("r7"));
}

#[tokio::test]
async fn a_bare_token_serves_until_it_is_refused() {
    let bed = Bed::new();
    bed.save(&pair("bare", None, Some(in_seconds(-10))));
    let script = Script::start(|_| grant("never", "never")).await;
    let tokens = bed.tokens(&script);
    let bearer = tokens.bearer().await.unwrap();
    assert_eq!(header(&bearer), "Bearer bare");
    for _ in 0..3 {
        assert_eq!(tokens.renew(&bearer).await.unwrap_err().kind, ProviderErrorKind::SignInNeeded);
        assert_eq!(tokens.bearer().await.unwrap_err().kind, ProviderErrorKind::SignInNeeded);
    }
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn a_token_endpoint_that_fails_for_now_costs_nothing_but_time() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), Some(in_seconds(100))));
    let answers = AtomicUsize::new(0);
    let script = Script::start(move |_| match answers.fetch_add(1, Ordering::Relaxed) {
        0 => reply(503, "", "<html>busy</html>"),
        1 => reply(429, "retry-after: 3\r\n", ""),
        2 => reply(200, "", "<html>sign in to the hotel</html>"),
        _ => grant("new", "r2"),
    })
    .await;
    let tokens = bed.tokens(&script);
    // The token still lives, so it is used, and the endpoint is left in peace for a while.
    for _ in 0..5 {
        assert_eq!(header(&tokens.bearer().await.unwrap()), "Bearer old");
    }
    assert_eq!(script.asked().len(), 1);
    let old = tokens.bearer().await.unwrap();
    let error = tokens.renew(&old).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (ProviderErrorKind::RateLimited, Some(Duration::from_secs(3))));
    assert_eq!(tokens.renew(&old).await.unwrap_err().kind, ProviderErrorKind::Malformed);
    assert!(bed.text().contains("refreshing_since"), "what became of the request is not known");
    assert_eq!(header(&tokens.renew(&old).await.unwrap()), "Bearer new");
}

#[tokio::test]
async fn a_pair_that_cannot_be_written_is_kept_until_it_can() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), None));
    let (dir, aside) = (bed.dir(), bed.home.path().join("aside"));
    let script = Script::start({
        let (dir, aside) = (dir.clone(), aside.clone());
        move |_| {
            fs::rename(&dir, &aside).unwrap();
            fs::write(&dir, "in the way").unwrap();
            grant("new", "r2")
        }
    })
    .await;
    let tokens = bed.tokens(&script);
    let old = tokens.bearer().await.unwrap();
    assert_eq!(tokens.renew(&old).await.unwrap_err().kind, ProviderErrorKind::Local);
    assert_eq!(tokens.renew(&old).await.unwrap_err().kind, ProviderErrorKind::Local);
    fs::remove_file(&dir).unwrap();
    fs::rename(&aside, &dir).unwrap();
    assert!(bed.text().contains("\"old\""), "not used before it is durable");
    assert_eq!(header(&tokens.renew(&old).await.unwrap()), "Bearer new");
    assert!(bed.text().contains("\"r2\""));
    assert_eq!(script.asked().len(), 1, "the refresh token is spent once only");
}

#[tokio::test]
async fn a_pair_that_could_not_be_written_gives_way_to_a_new_sign_in() {
    for signs_in in [true, false] {
        let bed = Bed::new();
        bed.save(&pair("old", Some("r1"), None));
        let (dir, aside) = (bed.dir(), bed.home.path().join("aside"));
        let script = Script::start({
            let (dir, aside) = (dir.clone(), aside.clone());
            move |_| {
                fs::rename(&dir, &aside).unwrap();
                fs::write(&dir, "in the way").unwrap();
                grant("new", "r2")
            }
        })
        .await;
        let tokens = bed.tokens(&script);
        let old = tokens.bearer().await.unwrap();
        assert_eq!(tokens.renew(&old).await.unwrap_err().kind, ProviderErrorKind::Local);
        fs::remove_file(&dir).unwrap();
        fs::rename(&aside, &dir).unwrap();
        if signs_in {
            save_login(bed.dir(), "work", pair("fresh", None, None).current).await.unwrap();
            assert_eq!(header(&tokens.renew(&old).await.unwrap()), "Bearer fresh");
        } else {
            remove(bed.dir(), "work").await.unwrap();
            assert_eq!(tokens.renew(&old).await.unwrap_err().kind, ProviderErrorKind::SignInNeeded);
            assert!(!bed.file().path().exists(), "who signed out stays signed out");
        }
    }
}

#[tokio::test]
async fn a_sign_in_waits_for_the_renewal_of_another_process() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), None));
    let lock = bed.file().lock().await.unwrap();
    let dir = bed.dir();
    let signing_in =
        tokio::spawn(async move { save_login(dir, "work", pair("fresh", None, None).current).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(bed.text().contains("\"old\""));
    drop(lock);
    signing_in.await.unwrap();
    assert!(bed.text().contains("\"fresh\""));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_lose_the_new_pair() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), None));
    let (reached, at_provider) = std::sync::mpsc::channel();
    let (go_on, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let script = Script::start(move |_| {
        reached.send(()).unwrap();
        gate.lock().unwrap().recv().unwrap();
        grant("new", "r2")
    })
    .await;
    let tokens = bed.tokens(&script);
    let old = tokens.bearer().await.unwrap();
    let caller = tokio::spawn({
        let (tokens, old) = (tokens.clone(), Arc::clone(&old));
        async move { tokens.renew(&old).await }
    });
    tokio::task::spawn_blocking(move || at_provider.recv().unwrap()).await.unwrap();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    tokens.settle().await;
    assert_eq!(bed.file().load().unwrap().current.access_token.expose_secret(), "new");
    assert_eq!(header(&tokens.bearer().await.unwrap()), "Bearer new");
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_a_way_on() {
    // Before the request was sent, or sent without effect: the same refresh token serves.
    let bed = Bed::new();
    bed.save(&Stored { refreshing_since: Some(in_seconds(-60)), ..pair("old", Some("r1"), Some(in_seconds(-1))) });
    let script = Script::start(|_| grant("new", "r2")).await;
    assert_eq!(header(&bed.tokens(&script).bearer().await.unwrap()), "Bearer new");

    // The answer was lost: a person must help, and hears why.
    let bed = Bed::new();
    bed.save(&Stored { refreshing_since: Some(in_seconds(-60)), ..pair("old", Some("r1"), Some(in_seconds(-1))) });
    let script = Script::start(|_| no_grant()).await;
    let error = bed.tokens(&script).bearer().await.unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::SignInNeeded);
    assert!(error.message.contains("interrupted"), "{error}");

    // The new pair was written and turns out to be worth nothing: the one before it is still there.
    let bed = Bed::new();
    let previous = Pair { access_token: "old".into(), refresh_token: Some("r1".into()) };
    bed.save(&Stored { previous: Some(previous), ..pair("new", Some("r2"), Some(in_seconds(-1))) });
    let script =
        Script::start(|asked| if asked.body.contains("=r1") { grant("newer", "r3") } else { no_grant() }).await;
    let tokens = bed.tokens(&script);
    assert_eq!(header(&tokens.bearer().await.unwrap()), "Bearer newer");
    let tried: Vec<bool> = script.asked().iter().map(|asked| asked.body.contains("=r2")).collect();
    assert_eq!(tried, [true, false], "the current one first");

    // A restart after the write and before the first use: the first success forgets the old pair.
    let bed = Bed::new();
    let previous = Pair { access_token: "old".into(), refresh_token: Some("r1".into()) };
    bed.save(&Stored { previous: Some(previous), ..pair("new", Some("r2"), Some(in_seconds(3_600))) });
    let tokens = bed.tokens(&script);
    tokens.worked(&tokens.bearer().await.unwrap());
    until("the old pair is forgotten", || !bed.text().contains("previous")).await;
}

#[tokio::test]
async fn a_provider_that_refuses_what_it_grants_is_not_asked_for_ever() {
    let bed = Bed::new();
    bed.save(&pair("old", Some("r1"), None));
    let granted = AtomicUsize::new(1);
    let script = Script::start(move |asked| {
        if asked.path() == "/oauth2/token" {
            let n = granted.fetch_add(1, Ordering::Relaxed);
            grant(&format!("a{n}"), &format!("r{n}"))
        } else {
            reply(401, "", "")
        }
    })
    .await;
    let session = bed.session(&script);
    let call = Call::get("data", CallKind::Metadata, script.url.join("/data").unwrap());
    for _ in 0..10 {
        assert_eq!(session.text(&call).await.unwrap_err().kind, ProviderErrorKind::SignInNeeded);
    }
    assert_eq!(session.counter().counts().token, u64::from(MAX_RENEWALS_IN_VAIN));
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let bed = Bed::new();
    bed.save(&pair("secret-token", Some("secret-refresh"), None));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&bed.dir()), mode(&bed.file().path())), (0o700, 0o600));
    for loose in [0o640, 0o604, 0o601, 0o660] {
        fs::set_permissions(bed.file().path(), Permissions::from_mode(loose)).unwrap();
        let error = bed.file().load().unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Local);
        assert!(error.to_string().contains("chmod 600") && !error.to_string().contains("secret-"), "{error}");
    }
    fs::set_permissions(bed.file().path(), Permissions::from_mode(0o600)).unwrap();
    bed.file().load().unwrap();
    fs::set_permissions(bed.dir(), Permissions::from_mode(0o750)).unwrap();
    assert!(bed.file().save(&pair("x", None, None)).unwrap_err().to_string().contains("chmod 700"));
    fs::set_permissions(bed.dir(), Permissions::from_mode(0o700)).unwrap();
    // A link instead of the file leads nowhere.
    let elsewhere = bed.home.path().join("elsewhere.json");
    fs::rename(bed.file().path(), &elsewhere).unwrap();
    symlink(&elsewhere, bed.file().path()).unwrap();
    assert_eq!(bed.file().load().unwrap_err().kind, ProviderErrorKind::Local);
    // Saving replaces the link and leaves its target alone.
    bed.save(&pair("mine", None, None));
    assert!(fs::read_to_string(&elsewhere).unwrap().contains("secret-token"));
    assert!(!fs::symlink_metadata(bed.file().path()).unwrap().is_symlink());
}

#[test]
fn a_damaged_file_is_said_to_be_damaged_and_an_odd_name_refused() {
    let bed = Bed::new();
    for text in ["", "{", "[]", "{\"access_token\":7}", "{\"refresh_token\":\"secret-refresh\"}", "\u{0}"] {
        bed.save(&pair("x", None, None));
        fs::write(bed.file().path(), text).unwrap();
        let error = bed.file().load().unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Local, "{text}");
        assert!(!error.to_string().contains("secret-"), "{error}");
    }
    fs::write(bed.file().path(), vec![b' '; 300_000]).unwrap();
    assert!(bed.file().load().unwrap_err().message.contains("too long"));
    for name in ["", ".", "..", ".hidden", "a/b", "../x", "a\0b"] {
        assert!(CredentialFile::new(bed.dir(), name).is_err(), "{name:?}");
    }
    assert!(CredentialFile::new(bed.dir(), "the work account").is_ok());
}

#[test]
fn what_is_handed_in_is_understood_or_refused() {
    let login = |text: &str| parse_login(text).map(|login| (login.credentials, login.warning));
    let (bare, warning) = login("  abc.DEF-123_~\n").unwrap();
    assert_eq!(bare.access_token.expose_secret(), "abc.DEF-123_~");
    assert!(bare.refresh_token.is_none() && warning.unwrap().contains("cannot be renewed"));

    let json = r#"{"access_token":"a","refresh_token":"r","expires_at":"2026-01-31T12:00:00Z",
        "client_id":"i","client_secret":"s","token_type":"bearer"}"#;
    let (whole, warning) = login(json).unwrap();
    assert_eq!(warning, None);
    assert_eq!(whole.expires_at, Some(Wall(1_769_860_800_000)));
    assert_eq!(whole.refresh_token.unwrap().expose_secret(), "r");
    for moment in ["1769860800", "1769860800.0", "1769860800000", "\"2026-01-31T14:00:00+02:00\""] {
        let (credentials, _) = login(&format!("{{\"access_token\":\"a\",\"expires_at\":{moment}}}")).unwrap();
        assert_eq!(credentials.expires_at, Some(Wall(1_769_860_800_000)), "{moment}");
    }
    let (soon, _) = login(r#"{"access_token":"a","expires_in":100}"#).unwrap();
    assert!(soon.expires_at.unwrap().since(now()) > 90_000);
    let (only_refresh, _) = login(r#"{"refresh_token":"r","client_id":"i","client_secret":"s"}"#).unwrap();
    assert_eq!(only_refresh.access_token.expose_secret(), "");
    assert!(login(r#"{"access_token":"a","refresh_token":"r"}"#).unwrap().1.is_some());

    for text in [
        "",
        "two words",
        "tök",
        "a\u{7}",
        "{}",
        "{\"access_token\":\"\"}",
        "{\"access_token\":\"a b\"}",
        "{\"access_token\":\"secret-token\",\"expires_at\":\"soon\"}",
        "{\"access_token\":\"secret-token\"",
        "{\"access_token\":[\"secret-token\"]}",
        "{\"expires_at\":1}",
    ] {
        let error = login(text).unwrap_err();
        assert!(!error.to_string().contains("secret-"), "{text}: {error}");
    }
    assert!(login(&"x".repeat(20_000)).is_err());
}

#[tokio::test]
async fn a_refresh_token_alone_buys_the_first_access_token() {
    let bed = Bed::new();
    let login = parse_login(r#"{"refresh_token":"r1","client_id":"i","client_secret":"s"}"#).unwrap();
    save_login(bed.dir(), "work", login.credentials).await.unwrap();
    let script = Script::start(|_| reply(200, "", "{\"access_token\":\"first\"}")).await;
    let tokens = bed.tokens(&script);
    assert_eq!(header(&tokens.bearer().await.unwrap()), "Bearer first");
    // A provider that does not rotate sends none back: the old one stays.
    let stored = bed.file().load().unwrap();
    assert_eq!(stored.current.refresh_token.unwrap().expose_secret(), "r1");
}

#[tokio::test]
async fn a_token_is_given_back_by_name() {
    let bed = Bed::new();
    bed.save(&pair("a1", Some("r1"), None));
    let script = Script::start(|_| reply(200, "", "")).await;
    let mut settings = settings();
    settings.api_url = Some(script.url.clone());
    revoke(&settings, bed.dir()).await.unwrap();
    let Asked { method, target, body, .. } = script.asked().remove(0);
    assert_eq!((method.as_str(), target.as_str()), ("POST", "/oauth2/revoke"));
    assert!(body.contains("token=r1") && body.contains("client_id=app"), "{body}");
}

#[test]
fn the_endpoints_follow_the_account() {
    let mut settings = settings();
    assert_eq!(token_url(&settings).unwrap().as_str(), "https://api.box.com/oauth2/token");
    assert_eq!(revoke_url(&settings).unwrap().as_str(), "https://api.box.com/oauth2/revoke");
    settings.provider = crate::settings::ProviderName::Egnyte;
    assert!(token_url(&settings).is_err(), "no domain");
    settings.domain = Some("acme.egnyte.com".to_owned());
    assert_eq!(token_url(&settings).unwrap().as_str(), "https://acme.egnyte.com/puboauth/token");
    settings.api_url = Some("http://127.0.0.1:9".parse().unwrap());
    assert_eq!(token_url(&settings).unwrap().as_str(), "http://127.0.0.1:9/puboauth/token");
    settings.api_url = Some("http://example.com".parse().unwrap());
    assert!(token_url(&settings).is_err(), "tokens do not travel in the clear");
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let bed = Bed::new();
    let mut stored = pair("secret-a", Some("secret-r"), None);
    stored.current.client_secret = Some("secret-c".into());
    stored.previous = Some(Pair { access_token: "secret-pa".into(), refresh_token: Some("secret-pr".into()) });
    bed.save(&stored);
    let script = Script::start(|_| no_grant()).await;
    let session = bed.session(&script);
    let bearer = session.tokens().bearer().await.unwrap();
    let login = parse_login("secret-bare").unwrap();
    for shown in [
        format!("{stored:?}"),
        format!("{session:?}"),
        format!("{bearer:?}"),
        format!("{:?}", bearer.header()),
        format!("{login:?}"),
        format!("{:?}", session.tokens().renew(&bearer).await.unwrap_err()),
    ] {
        assert!(!shown.contains("secret-"), "{shown}");
    }
}

fn settings() -> crate::settings::AccountSettings {
    crate::settings::AccountSettings {
        name: "work".to_owned(),
        provider: crate::settings::ProviderName::Box,
        api_url: None,
        domain: None,
        stream: crate::settings::BoxStream::Changes,
        suppress: crate::settings::Suppress::None,
        poll_min: None,
        poll_max: None,
        calls_per_day: None,
        calls_per_minute: None,
        transfers: 4,
        bandwidth_down: None,
        bandwidth_up: None,
        quiet: None,
        ca_file: None,
        proxy: None,
    }
}
