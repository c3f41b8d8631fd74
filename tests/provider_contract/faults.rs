//! What an adapter makes of a cloud that misbehaves.

use std::time::Duration;

use folder_sync_agent::events::RemoteEvent;
use folder_sync_agent::id::Cursor;
use folder_sync_agent::provider::auth::save_login;
use folder_sync_agent::provider::{ProviderErrorKind, Wake};
use folder_sync_agent::sandbox::{Answer, Content, Fault, Rule, User};
use futures_util::StreamExt;

use super::bed::{Bed, Face, credentials, read};

pub async fn what_passes_is_tried_again<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.txt", Content::pattern(1, 5_000)).unwrap();
    let (folder, file) = (bed.folder("/in"), bed.file("/in/a.txt"));
    let version = bed.item(&file).await.content.unwrap().version;
    let cursor = bed.provider.newest_cursor().await.unwrap();
    bed.cloud.write("/in/b.txt", "b").unwrap();
    let whole = bed.cloud.read("/in/a.txt").unwrap();
    for fault in [
        Fault::Answer(Answer::html(503)),
        Fault::Answer(Answer::empty(500)),
        Fault::Answer(Answer::too_many(Some("0"))),
        Fault::Answer(Answer::too_many(None)),
        Fault::CutBefore,
        Fault::CutAfter,
    ]
    .into_iter()
    .chain(F::throttles("0").into_iter().map(Fault::Answer))
    {
        for call in [F::WHOAMI, F::LISTING, F::FILE, F::EVENTS, F::CONTENT, F::CONTENT_TARGET] {
            bed.cloud.faults().once(call, fault.clone());
            match call {
                call if call == F::WHOAMI => drop(bed.provider.whoami().await.unwrap()),
                call if call == F::LISTING => assert_eq!(bed.list(&folder).await.len(), 2),
                call if call == F::FILE => assert_eq!(bed.item(&file).await.name, "a.txt"),
                call if call == F::EVENTS => assert_eq!(bed.drain(&cursor).await.0.len(), 1),
                _ => assert!(read(bed.provider.content(&file, &version, 0).await.unwrap()).await == whole),
            }
            assert!(bed.cloud.faults().pending().is_empty(), "{call} {fault:?}");
        }
    }
    assert_eq!(bed.cloud.count("bearer_leaked"), 0);
}

pub async fn trying_again_has_an_end<F: Face>(bed: Bed<F>) {
    bed.cloud.faults().add(Rule::on(F::LISTING, Fault::Answer(Answer::html(502))).always());
    bed.cloud.write("/in/a.txt", "a").unwrap();
    let folder = bed.folder("/in");
    let error = bed.provider.list(&folder, None).await.unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::Unavailable);
    let calls = bed.cloud.count(F::LISTING);
    assert!((2..=6).contains(&calls), "{calls}");
    assert_eq!(bed.counter.counts().listing, calls, "each attempt is a call");
}

pub async fn a_long_wait_is_the_callers<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.txt", "a").unwrap();
    let folder = bed.folder("/in");
    let mut asked = 0;
    for (told, wait) in [("60", 60), ("7200", 900)] {
        for throttle in F::throttles(told) {
            asked += 1;
            bed.cloud.faults().once(F::LISTING, Fault::Answer(throttle));
            let error = bed.provider.list(&folder, None).await.unwrap_err();
            assert_eq!(error.kind, ProviderErrorKind::RateLimited);
            assert_eq!(error.retry_after, Some(Duration::from_secs(wait)));
        }
    }
    assert_eq!(bed.cloud.count(F::LISTING), asked);
}

pub async fn nonsense_is_never_an_empty_answer<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.txt", "a").unwrap();
    let folder = bed.folder("/in");
    let cursor = bed.provider.newest_cursor().await.unwrap();
    for body in ["", "<html>please sign in to the hotel</html>", "{}", "[]", "null", "{\"entries\":null}", "{\"a\":["] {
        let answer = Answer { body: body.to_owned(), ..Answer::empty(200) };
        bed.cloud.faults().once(F::LISTING, Fault::Answer(answer.clone()));
        let error = bed.provider.list(&folder, None).await.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Malformed, "{body}: {error}");
        bed.cloud.faults().once(F::EVENTS, Fault::Answer(answer));
        let error = bed.provider.events(&cursor).await.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Malformed, "{body}: {error}");
        bed.cloud.faults().clear();
    }
    // An answer cut short is not a short answer.
    bed.cloud.faults().add(Rule::on(F::LISTING, Fault::CutBody { after: 20 }));
    assert_eq!(bed.list(&folder).await.len(), 1);
    assert_eq!(bed.cloud.count("fault_injected"), 15);
}

pub async fn a_download_that_broke_is_taken_up_again<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.bin", Content::pattern(2, 900_000)).unwrap();
    let file = bed.file("/in/a.bin");
    let version = bed.item(&file).await.content.unwrap().version;
    let whole = bed.cloud.read("/in/a.bin").unwrap();
    bed.cloud.faults().once(F::CONTENT_TARGET, Fault::CutBody { after: 300_000 });
    let mut content = bed.provider.content(&file, &version, 0).await.unwrap();
    assert_eq!(content.total, Some(900_000));
    let mut got = Vec::new();
    let error = loop {
        match content.stream.next().await {
            Some(Ok(chunk)) => got.extend_from_slice(&chunk),
            Some(Err(error)) => break error,
            None => panic!("a body that is cut must not end well"),
        }
    };
    assert!(matches!(error.kind, ProviderErrorKind::Unavailable | ProviderErrorKind::Network), "{error}");
    assert!(content.stream.next().await.is_none(), "nothing comes after an error");
    assert!(got == whole[..got.len()] && got.len() < whole.len());
    // Somebody puts a newer version in place: the part still belongs to the old one.
    bed.cloud.write("/in/a.bin", "newer").unwrap();
    let rest = bed.provider.content(&file, &version, got.len() as u64).await.unwrap();
    assert_eq!(rest.offset, got.len() as u64);
    got.extend(read(rest).await);
    assert!(got == whole);
    // A server that ignores the range says so by the offset.
    bed.cloud.faults().once(F::CONTENT_TARGET, Fault::IgnoreRange);
    let again = bed.provider.content(&file, &version, 400_000).await.unwrap();
    assert_eq!((again.offset, again.total), (0, Some(900_000)));
    assert!(read(again).await == whole);
}

pub async fn content_that_is_not_ready_says_when<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.txt", "a").unwrap();
    let file = bed.file("/in/a.txt");
    let version = bed.item(&file).await.content.unwrap().version;
    bed.cloud.faults().once(F::CONTENT, Fault::Answer(Answer::empty(202).with("retry-after", "5")));
    let Err(error) = bed.provider.content(&file, &version, 0).await else { panic!() };
    assert_eq!((error.kind, error.retry_after), (ProviderErrorKind::NotReady, Some(Duration::from_secs(5))));
}

pub async fn a_redirect_into_the_clear_or_in_circles_is_not_followed<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.txt", "a").unwrap();
    let file = bed.file("/in/a.txt");
    let version = bed.item(&file).await.content.unwrap().version;
    let around = format!("{}{}", bed.sandbox.url(), F::WHOAMI_PATH);
    for location in ["http://192.0.2.1/x", "http://example.com/x", "ftp://127.0.0.1/x"] {
        let redirect = Answer::empty(302).with("location", location);
        bed.cloud.faults().once(F::CONTENT, Fault::Answer(redirect));
        let Err(error) = bed.provider.content(&file, &version, 0).await else { panic!("{location}") };
        assert!(
            matches!(error.kind, ProviderErrorKind::Malformed | ProviderErrorKind::Unavailable),
            "{location}: {error}"
        );
        bed.cloud.faults().clear();
    }
    // What a redirect leads to is asked for without the bearer, wherever it is.
    bed.cloud.reset_counters();
    bed.cloud.faults().add(Rule::on(F::CONTENT, Fault::Answer(Answer::empty(302).with("location", &around))).always());
    assert!(bed.provider.content(&file, &version, 0).await.is_err());
    assert!(bed.cloud.count("unauthorized") > 0);
    let back = Answer::empty(302).with("location", &format!("{}/x", bed.sandbox.url()));
    bed.cloud.faults().add(Rule::on("unknown", Fault::Answer(back)).always());
    assert!(bed.provider.content(&file, &version, 0).await.is_err());
    assert_eq!(bed.cloud.count("bearer_leaked"), 0);
}

pub async fn a_token_that_dies_midway_costs_one_renewal<F: Face>(bed: Bed<F>) {
    for n in 0..20 {
        bed.cloud.write(&format!("/in/{n}"), Content::pattern(n, 100)).unwrap();
    }
    let pair = bed.cloud.issue_pair(User::Agent, 3_600);
    bed.sign_in(credentials(&pair.access_token, Some(&pair.refresh_token), Some(3_600))).await;
    let provider = bed.anew();
    let items = bed.list(&bed.folder("/in")).await;
    provider.whoami().await.unwrap();
    bed.cloud.expire_token(&pair.access_token);
    bed.cloud.reset_counters();
    let downloads: Vec<_> = items
        .into_iter()
        .map(|item| {
            let provider = provider.clone();
            tokio::spawn(async move {
                let version = item.content.unwrap().version;
                read(provider.content(&item.id, &version, 0).await.unwrap()).await.len()
            })
        })
        .collect();
    for download in downloads {
        assert_eq!(download.await.unwrap(), 100);
    }
    assert_eq!(bed.cloud.count(F::TOKEN), 1);
    // And the account goes on with what it got, also after a restart.
    provider.settle().await;
    bed.anew().whoami().await.unwrap();
    assert_eq!(bed.cloud.count(F::TOKEN), 1);
}

pub async fn a_token_near_its_end_is_renewed_before_it_is_used<F: Face>(bed: Bed<F>) {
    let pair = bed.cloud.issue_pair(User::Agent, 60);
    bed.sign_in(credentials(&pair.access_token, Some(&pair.refresh_token), Some(60))).await;
    let provider = bed.anew();
    provider.whoami().await.unwrap();
    assert_eq!((bed.cloud.count(F::TOKEN), bed.cloud.count("unauthorized")), (1, 0));
}

pub async fn a_dead_sign_in_is_said_and_healed<F: Face>(bed: Bed<F>) {
    let pair = bed.cloud.issue_pair(User::Agent, 3_600);
    bed.sign_in(credentials(&pair.access_token, Some(&pair.refresh_token), Some(3_600))).await;
    let provider = bed.anew();
    bed.cloud.revoke_token(&pair.access_token);
    bed.cloud.revoke_token(&pair.refresh_token);
    for _ in 0..5 {
        assert_eq!(provider.whoami().await.unwrap_err().kind, ProviderErrorKind::SignInNeeded);
    }
    assert_eq!((bed.cloud.count(F::TOKEN), bed.cloud.count("unauthorized")), (1, 1), "no storm");
    let pair = bed.cloud.issue_pair(User::Agent, 3_600);
    save_login(bed.credentials_dir(), "work", credentials(&pair.access_token, None, None)).await.unwrap();
    provider.whoami().await.unwrap();
}

/// The faults of one story.
const FAULTS: u32 = 3;

/// Reads on over several wakes: until more pages in a row brought nothing than there are faults.
async fn read_all<F: Face>(bed: &Bed<F>, from: &Cursor) -> Vec<RemoteEvent> {
    let (mut events, mut cursor, mut quiet) = (Vec::new(), from.clone(), 0);
    for _ in 0..200 {
        let page = bed.provider.events(&cursor).await.unwrap();
        quiet = if page.events.is_empty() && page.caught_up { quiet + 1 } else { 0 };
        events.extend(page.events);
        cursor = page.next;
        if quiet > FAULTS {
            return events;
        }
    }
    panic!("the stream does not come to rest");
}

pub async fn odd_positions_cost_time_and_no_event<F: Face>(bed: Bed<F>) {
    let cursor = bed.provider.newest_cursor().await.unwrap();
    for n in 0..30 {
        bed.cloud.write(&format!("/in/{n}"), "x").unwrap();
    }
    let mut expected: Vec<String> =
        read_all(&bed, &cursor).await.into_iter().map(|event| event.id.to_string()).collect();
    expected.sort_unstable();
    assert!(expected.len() >= 30);
    for fault in [
        Fault::PositionText,
        Fault::PositionZero,
        Fault::PositionStuck,
        Fault::DuplicateEvents,
        Fault::ReorderEvents,
        Fault::RewindEvents { by: 3 },
        Fault::ShortPage { entries: 7 },
        Fault::LateEvents,
    ] {
        bed.cloud.faults().add(Rule::on(F::EVENTS, fault.clone()).times(FAULTS));
        let mut ids: Vec<String> =
            read_all(&bed, &cursor).await.into_iter().map(|event| event.id.to_string()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids, expected, "{fault:?}");
        bed.cloud.faults().clear();
    }
    assert_eq!(bed.cloud.count("position_rounded"), 0);
}

pub async fn a_listing_that_goes_in_circles_ends_in_an_error<F: Face>(bed: Bed<F>) {
    for n in 0..1_001 {
        bed.cloud.write(&format!("/in/{n}"), "x").unwrap();
    }
    let folder = bed.folder("/in");
    let circle = F::circle(&bed, &folder).await;
    bed.cloud.faults().add(Rule::on(F::LISTING, circle).always());
    let mut page = None;
    for _ in 0..10 {
        match bed.provider.list(&folder, page.as_ref()).await {
            Ok(listed) => page = Some(listed.next.expect("a listing in circles has no end")),
            Err(error) => {
                let is_told = matches!(error.kind, ProviderErrorKind::Malformed | ProviderErrorKind::Unavailable);
                assert!(is_told, "{error}");
                return;
            }
        }
    }
    panic!("not noticed");
}

pub async fn a_long_poll_that_cannot_be_had_is_an_error_that_names_what_came<F: Face>(bed: Bed<F>) {
    if !bed.provider.capabilities().long_poll {
        return;
    }
    let cursor = bed.provider.newest_cursor().await.unwrap();
    let garbage = |body: &str| Answer { body: body.to_owned(), ..Answer::empty(200) };
    let waits = |call: &'static str, answer: Answer| {
        bed.cloud.faults().add(Rule::on(call, Fault::Answer(answer)).always());
        let (provider, cursor) = (bed.anew(), cursor.clone());
        async move { provider.wait_for_news(&cursor, Duration::from_mins(1)).await.unwrap_err() }
    };
    for body in ["", "{}", "[]", "<html>", r#"{"entries":[]}"#, r#"{"entries":[{"url":"http://192.0.2.1/x"}]}"#] {
        let error = waits("events_options", garbage(body)).await;
        assert_eq!(error.kind, ProviderErrorKind::Malformed, "{body}: {error}");
        bed.cloud.faults().clear();
    }
    for (answer, named) in [(Answer::empty(403), "403"), (garbage(""), "no message"), (Answer::html(200), "no message")]
    {
        let error = waits(F::LONG_POLL, answer).await;
        assert!(error.to_string().contains(named), "{named}: {error}");
        bed.cloud.faults().clear();
    }
}

pub async fn a_bad_realtime_server_is_borne<F: Face>(bed: Bed<F>) {
    if !bed.provider.capabilities().long_poll {
        return;
    }
    let cursor = bed.provider.newest_cursor().await.unwrap();
    bed.cloud.faults().once(F::LONG_POLL, Fault::Hang);
    let wake = bed.provider.wait_for_news(&cursor, Duration::from_millis(300)).await.unwrap();
    assert_eq!(wake, Wake::Quiet);
    // Whatever it says without end, it is not asked in a hurry.
    for text in ["reconnect", "max_retries", "nonsense", ""] {
        bed.cloud.reset_counters();
        bed.cloud.faults().add(Rule::on(F::LONG_POLL, Fault::Message { text: text.to_owned() }).always());
        let _ = bed.provider.wait_for_news(&cursor, Duration::from_millis(1_500)).await;
        assert!(bed.cloud.count(F::LONG_POLL) <= 3, "{text}: {}", bed.cloud.count(F::LONG_POLL));
        bed.cloud.faults().clear();
    }
    // After one odd word it finds its way back to the news.
    bed.cloud.write("/in/a.txt", "a").unwrap();
    bed.cloud.faults().once(F::LONG_POLL, Fault::Message { text: "nonsense".to_owned() });
    let wake = bed.provider.wait_for_news(&cursor, Duration::from_secs(30)).await.unwrap();
    assert_eq!(wake, Wake::News);
    // News that brings nothing new is not believed at full speed.
    bed.cloud.reset_counters();
    bed.cloud.faults().add(Rule::on(F::LONG_POLL, Fault::Message { text: "new_change".to_owned() }).always());
    let hurry = async {
        loop {
            bed.provider.wait_for_news(&cursor, Duration::from_secs(30)).await.unwrap();
        }
    };
    let _: Result<(), _> = tokio::time::timeout(Duration::from_millis(1_500), hurry).await;
    assert!(bed.cloud.count(F::LONG_POLL) <= 3, "{}", bed.cloud.count(F::LONG_POLL));
}
