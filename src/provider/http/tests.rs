use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::TryStreamExt;
use reqwest::header::{DATE, HeaderValue, RETRY_AFTER};
use tokio::time::Instant;

use super::script::{Script, reply};
use super::*;

fn loopback() -> Http {
    Http::new(HttpOptions { ca_file: None, proxy: None, transfers: 4, plain_loopback: true })
}

fn headers(pairs: &[(reqwest::header::HeaderName, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
}

#[test]
fn a_wait_is_seconds_or_a_date_and_never_long() {
    let wait = |text| retry_after(&headers(&[(RETRY_AFTER, text)])).map(|wait| wait.as_secs());
    for (text, expected) in [
        ("7", Some(7)),
        ("0", Some(0)),
        (" 12 ", Some(12)),
        ("86400", Some(900)),
        ("99999999999999999999999", Some(900)),
        ("-3", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
    ] {
        assert_eq!(wait(text), expected, "{text}");
    }
    // A date counts from the server's own clock, however wrong ours is.
    let date = headers(&[(DATE, "Sun, 06 Nov 1994 08:49:37 GMT"), (RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT")]);
    assert_eq!(retry_after(&date), Some(Duration::from_secs(30)));
}

/// Runs an attempt that fails with `error` until it has been tried `fails` times.
async fn attempts(error: ProviderError, fails: usize) -> (Result<usize>, usize, Duration) {
    let tried = AtomicUsize::new(0);
    let began = Instant::now();
    let result = retrying(&RetryPolicy::default(), "test", || async {
        let before = tried.fetch_add(1, Ordering::Relaxed);
        if before < fails { Err(error.clone()) } else { Ok(before) }
    })
    .await;
    (result, tried.load(Ordering::Relaxed), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn only_what_passes_quickly_is_tried_again() {
    use ProviderErrorKind as Kind;
    for (kind, wait, expected) in [
        (Kind::Unavailable, None, 5),
        (Kind::Network, None, 5),
        (Kind::RateLimited, Some(2), 5),
        (Kind::RateLimited, Some(0), 5),
        (Kind::RateLimited, Some(11), 1),
        (Kind::QuotaExhausted, Some(1), 1),
        (Kind::NotReady, Some(1), 1),
        (Kind::Malformed, None, 1),
        (Kind::NotFound, None, 1),
        (Kind::SignInNeeded, None, 1),
        (Kind::Forbidden, None, 1),
        (Kind::Conflict, None, 1),
    ] {
        let error = ProviderError::new(kind, "no").with_retry_after(wait.map(Duration::from_secs));
        let (result, tried, took) = attempts(error, usize::MAX).await;
        assert_eq!(tried, expected, "{kind:?} {wait:?}");
        let error = result.unwrap_err();
        assert_eq!(error.retry_after.map(|wait| wait.as_secs()), wait);
        assert_eq!(error.context.iter().any(|(key, value)| *key == "attempts" && value == "5"), expected == 5);
        if let (Some(wait), 5) = (wait, expected) {
            assert!(took >= Duration::from_secs(4 * wait), "{took:?}");
        }
        assert!(took < Duration::from_secs(31), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn long_waits_end_the_trying_before_the_attempts_do() {
    let error =
        ProviderError::new(ProviderErrorKind::RateLimited, "no").with_retry_after(Some(Duration::from_secs(10)));
    let (_, tried, took) = attempts(error, usize::MAX).await;
    assert_eq!(tried, 3);
    assert!(took < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_may_succeed() {
    let (result, tried, _) = attempts(ProviderError::new(ProviderErrorKind::Unavailable, "no"), 1).await;
    assert_eq!((result.unwrap(), tried), (1, 2));
}

#[test]
fn an_origin_in_the_clear_is_for_this_machine_only() {
    for (url, fine) in [
        ("https://api.box.com", true),
        ("https://10.0.0.1:8443/prefix", true),
        ("http://127.0.0.1:8080", true),
        ("http://127.8.9.1", true),
        ("http://[::1]:8080", true),
        ("http://localhost:8080", true),
        ("http://localhost.example.com", false),
        ("http://api.box.com", false),
        ("http://10.0.0.1", false),
        ("http://[::ffff:127.0.0.1]", false),
        ("https://user:secret@api.box.com", false),
        ("ftp://127.0.0.1", false),
        ("file:///etc/passwd", false),
    ] {
        let checked = check_origin(&Url::parse(url).unwrap());
        assert_eq!(checked.is_ok(), fine, "{url}");
        assert!(checked.err().is_none_or(|error| !error.to_string().contains("secret")));
    }
}

#[test]
fn a_path_goes_below_the_origins_own() {
    let below = |base: &str| below(&Url::parse(base).unwrap(), "/2.0").to_string();
    assert_eq!(below("http://127.0.0.1:1"), "http://127.0.0.1:1/2.0");
    assert_eq!(below("https://proxy.example/box/?x=1#y"), "https://proxy.example/box/2.0");
}

#[test]
fn a_redirect_never_leads_to_the_clear() {
    let target = |plain_loopback, location: &str| {
        let http = Http::new(HttpOptions { ca_file: None, proxy: None, transfers: 1, plain_loopback });
        let from = Url::parse(if plain_loopback { "http://127.0.0.1:80/a/b" } else { "https://api.box.com/a/b" });
        http.redirect_target(&from.unwrap(), &headers(&[(LOCATION, location)])).map(|url| url.to_string())
    };
    assert_eq!(target(false, "https://dl.boxcloud.com/x?y=z").unwrap(), "https://dl.boxcloud.com/x?y=z");
    assert_eq!(target(false, "/c").unwrap(), "https://api.box.com/c");
    assert_eq!(target(true, "http://127.0.0.1:99/x").unwrap(), "http://127.0.0.1:99/x");
    assert!(target(true, "https://dl.boxcloud.com/x").is_ok());
    for location in
        ["http://dl.boxcloud.com/x", "http://127.0.0.1/x", "http://10.0.0.1/", "file:///etc/passwd", "http://[", ""]
    {
        // An empty location is the page itself, which is https here.
        assert_eq!(target(false, location).is_ok(), location.is_empty(), "{location}");
    }
    assert!(target(true, "http://10.0.0.1/x").is_err());
}

#[tokio::test]
async fn redirects_are_followed_bare_and_not_for_ever() {
    let script = Script::start(|asked| match asked.path() {
        "/1" => reply(302, "location: /2\r\n", "some text that nobody needs"),
        "/2" => reply(307, "location: /3\r\n", ""),
        "/round" => reply(302, "location: /round\r\n", ""),
        _ => reply(200, "", "bytes"),
    })
    .await;
    let http = loopback();
    let start = |path: &str| {
        let url = script.url.join(path).unwrap();
        let request = http.client().unwrap().get(url.clone()).bearer_auth("secret");
        (url, http.send(request, ANSWER_TIMEOUT))
    };
    let (url, first) = start("/1");
    let end = http.follow(&url, first.await.unwrap(), Some("bytes=3-")).await.unwrap();
    assert_eq!(read_text(end).await.unwrap(), "bytes");
    let (url, first) = start("/round");
    let error = http.follow(&url, first.await.unwrap(), None).await.unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::Malformed);
    let asked = script.asked();
    assert_eq!(asked.len(), 3 + 1 + MAX_HOPS as usize);
    assert!(asked[1..3].iter().all(|asked| asked.header("authorization").is_none()));
    assert!(asked[1..3].iter().all(|asked| asked.header("range") == Some("bytes=3-")));
    assert!(asked[1..3].iter().all(|asked| asked.header("accept-encoding") == Some("identity")));
}

/// Seconds until the kernel probes the connection to this port of ours; nothing if it never will.
fn probed_in(port: u16) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_whitespace().skip(2);
        let (peer, state, timer) = (columns.next()?, columns.next()?, columns.nth(1)?);
        let is_ours = state == "01" && peer.ends_with(&format!(":{port:04X}"));
        // Timer 2 is that of the probes; the kernel counts in hundredths of a second there.
        let hundredths = timer.strip_prefix("02:").filter(|_| is_ours)?;
        u64::from_str_radix(hundredths, 16).ok().map(|hundredths| hundredths / 100)
    })
}

#[tokio::test]
async fn a_connection_that_is_only_held_is_probed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let http = loopback();
    let request = http.client().unwrap().get(format!("http://127.0.0.1:{port}/"));
    let held = tokio::spawn(async move { http.send(request, ANSWER_TIMEOUT).await.map(drop) });
    let (mut server, _) = listener.accept().await.unwrap();
    let mut bytes = [0; 512];
    assert!(tokio::io::AsyncReadExt::read(&mut server, &mut bytes).await.unwrap() > 0);
    // The request was read, so that nothing but the probes waits, as soon as the kernel has seen the acknowledgement.
    let probed = async {
        loop {
            match probed_in(port) {
                Some(seconds) => break seconds,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let seconds = tokio::time::timeout(Duration::from_secs(20), probed).await.unwrap();
    assert!(seconds <= TCP_KEEPALIVE.as_secs(), "{seconds} s");
    held.abort();
}

#[tokio::test]
async fn a_cut_body_is_an_error_and_no_short_answer() {
    let script = Script::start(|asked| match asked.path() {
        "/length" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"entries\":[]}".to_owned(),
        "/chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\ne\r\n{\"entries\":[]}\r\n".to_owned(),
        _ => "HTTP/1.1 200".to_owned(),
    })
    .await;
    let http = loopback();
    for path in ["/length", "/chunked"] {
        let request = http.client().unwrap().get(script.url.join(path).unwrap());
        let response = http.send(request, ANSWER_TIMEOUT).await.unwrap();
        let error = read_text(response).await.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Unavailable, "{path}: {error}");
        let request = http.client().unwrap().get(script.url.join(path).unwrap());
        let stream = patient_stream(http.send(request, ANSWER_TIMEOUT).await.unwrap());
        assert!(stream.try_collect::<Vec<_>>().await.is_err(), "{path}");
    }
    let request = http.client().unwrap().get(script.url.join("/head").unwrap());
    assert_eq!(http.send(request, ANSWER_TIMEOUT).await.unwrap_err().kind, ProviderErrorKind::Network);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused() {
    let script = Script::start(|asked| {
        let body = "x".repeat(5_000);
        match asked.path() {
            "/declared" => reply(200, "", &body),
            _ => format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}"),
        }
    })
    .await;
    let http = loopback();
    for path in ["/declared", "/open"] {
        for (cap, fine) in [(4_999, false), (5_000, true)] {
            let request = http.client().unwrap().get(script.url.join(path).unwrap());
            let response = http.send(request, ANSWER_TIMEOUT).await.unwrap();
            let read = read_capped(response, cap).await;
            assert_eq!(read.as_ref().map(bytes::Bytes::len).ok(), fine.then_some(5_000), "{path} {cap}");
            assert!(read.err().is_none_or(|error| error.kind == ProviderErrorKind::Malformed));
        }
    }
}

#[tokio::test]
async fn nobody_there_is_a_network_error_without_the_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret/path?token=x", listener.local_addr().unwrap());
    drop(listener);
    let http = loopback();
    let error = http.send(http.client().unwrap().get(url), ANSWER_TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::Network);
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_bad_certificate_file_is_an_error_of_the_call() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for content in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(file.path(), content).unwrap();
        let options =
            HttpOptions { ca_file: Some(file.path().to_owned()), proxy: None, transfers: 1, plain_loopback: false };
        let error = Http::new(options).client().unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Local, "{content}");
    }
}

#[test]
fn what_a_part_really_is() {
    let answer = |status: u16, range: Option<&str>, length: usize, asked: u64| {
        let mut response = axum::http::Response::builder().status(status);
        if let Some(range) = range {
            response = response.header("content-range", range);
        }
        let response = Response::from(response.body(vec![0_u8; length]).unwrap());
        content_of(response, asked).map(|content| content.map(|content| (content.offset, content.total)))
    };
    assert_eq!(answer(200, None, 10, 0).unwrap(), Some((0, Some(10))));
    assert_eq!(answer(200, None, 10, 4).unwrap(), Some((0, Some(10))), "the server ignored the range");
    assert_eq!(answer(206, Some("bytes 4-9/10"), 6, 4).unwrap(), Some((4, Some(10))));
    assert_eq!(answer(206, Some("bytes 4-9/*"), 6, 4).unwrap(), Some((4, Some(10))));
    assert_eq!(answer(416, Some("bytes */10"), 0, 10).unwrap(), Some((10, Some(10))));
    assert_eq!(answer(416, Some("bytes */10"), 0, 11).unwrap(), None, "begin again");
    assert_eq!(answer(416, None, 0, 11).unwrap(), None);
    for (range, asked) in [(Some("bytes 0-9/10"), 4), (Some("bytes 5-9/10"), 4), (None, 4), (Some("lines 4-9/10"), 4)] {
        assert_eq!(answer(206, range, 6, asked).unwrap_err().kind, ProviderErrorKind::Malformed, "{range:?}");
    }
    assert!(answer(416, None, 0, 0).is_err(), "there is no beginning to go back to");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_or_trickles_ends() {
    use futures_util::{StreamExt, stream};
    let every = |seconds: u64, size: usize| {
        stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Some((Ok(bytes::Bytes::from(vec![0; size])), ()))
        })
        .boxed()
    };
    let took = async |stream: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>, limit: usize| {
        let began = Instant::now();
        let end = body::patient(stream).take(limit).try_for_each(|_| async { Ok(()) }).await;
        (end.map_err(|error| error.kind), began.elapsed())
    };
    let (end, after) = took(every(61, 1 << 20), 10).await;
    assert_eq!((end, after), (Err(ProviderErrorKind::Network), Duration::from_mins(1)), "silence");
    let (end, after) = took(every(1, 1), 100_000).await;
    assert_eq!((end, after), (Err(ProviderErrorKind::Network), Duration::from_mins(1)), "a byte a second");
    assert_eq!(took(every(50, 16 << 10), 1_000).await.0, Ok(()), "slow, but it moves");
    // A consumer that takes its time is no stall.
    let mut ready = body::patient(stream::repeat_with(|| Ok(bytes::Bytes::from_static(b"x"))).boxed());
    for _ in 0..5 {
        assert!(ready.next().await.unwrap().is_ok());
        tokio::time::sleep(Duration::from_hours(1)).await;
    }
}
