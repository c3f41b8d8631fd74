use super::*;

fn url(text: &str, plain_loopback: bool) -> Option<String> {
    server_url(text, plain_loopback).map(|url| url.to_string())
}

#[test]
fn the_address_to_wait_at_is_never_in_the_clear() {
    for (text, plain_loopback, expected) in [
        (
            "https://2.realtime.services.box.net/s?channel=a",
            false,
            Some("https://2.realtime.services.box.net/s?channel=a"),
        ),
        // Box's own documentation shows this one.
        (
            "http://2.realtime.services.box.net/s?channel=a",
            false,
            Some("https://2.realtime.services.box.net/s?channel=a"),
        ),
        ("https://elsewhere.example/s", false, Some("https://elsewhere.example/s")),
        ("http://elsewhere.example/s", false, None),
        ("http://127.0.0.1:9/s", false, None),
        ("http://127.0.0.1:9/s", true, Some("http://127.0.0.1:9/s")),
        ("http://10.0.0.1:9/s", true, None),
        ("ftp://2.realtime.services.box.net/s", false, None),
        ("/relative", true, None),
        ("", true, None),
    ] {
        assert_eq!(url(text, plain_loopback).as_deref(), expected, "{text}");
    }
}

#[test]
fn only_boxs_own_hosts_see_the_token() {
    for (text, sees) in [
        ("https://2.realtime.services.box.net/s", true),
        ("https://box.com/", true),
        ("https://x.boxcloud.com/", true),
        ("http://2.realtime.services.box.net/s", false),
        ("https://evilbox.com/", false),
        ("https://box.com.evil.example/", false),
        ("https://box.net@evil.example/", false),
        ("https://127.0.0.1/", false),
    ] {
        assert_eq!(is_box_host(&Url::parse(text).unwrap()), sees, "{text}");
    }
}

#[test]
fn a_pause_grows_to_its_limit() {
    let pauses: Vec<u64> = (1..9).map(|useless| pause(useless).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!(pause(u32::MAX), MAX_PAUSE);
}

#[test]
fn a_server_is_used_as_often_and_as_long_as_it_says() {
    let realtime = Realtime::default();
    let server = |polls_left, lives_s| Server {
        url: Url::parse("https://2.realtime.services.box.net/s").unwrap(),
        shows_token: true,
        retry_timeout: Duration::from_secs(610),
        polls_left,
        good_until: Instant::now() + Duration::from_secs(lives_s),
    };
    assert!(realtime.server().is_none());
    realtime.remember(server(3, 600));
    assert!(realtime.server().is_some());
    assert!(realtime.server().is_some());
    assert!(realtime.server().is_none(), "three polls, the first one included");
    realtime.remember(server(3, 0));
    assert!(realtime.server().is_none(), "its time is over");
}

#[test]
fn waking_in_vain_is_noticed_for_the_same_place_only() {
    let realtime = Realtime::default();
    let (here, there) = (Cursor::new("1"), Cursor::new("2"));
    assert_eq!(realtime.wakes_in_vain(&here), 0);
    realtime.woken(&here);
    realtime.woken(&here);
    assert_eq!((realtime.wakes_in_vain(&here), realtime.wakes_in_vain(&there)), (2, 0));
    realtime.woken(&there);
    assert_eq!((realtime.wakes_in_vain(&here), realtime.wakes_in_vain(&there)), (0, 1));
}
