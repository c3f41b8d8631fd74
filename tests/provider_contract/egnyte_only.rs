//! What only Egnyte has: an allowance that every answer tells of, a stream that forgets, composite digests, no conditional writes.

use folder_sync_agent::events::{EventKind, RemoteEvent};
use folder_sync_agent::id::{ContentHash, Cursor, ItemId};
use folder_sync_agent::local::hash::{Digests, Match, hex};
use folder_sync_agent::provider::http::Quota as Allowance;
use folder_sync_agent::provider::{Expected, ProviderErrorKind, TreeSize, UploadTarget};
use folder_sync_agent::sandbox::{Answer, Content, Fault, Options, Quota, Rule, User};
use sha2::{Digest, Sha512};

use super::bed::{Bed, EgnyteFace, read};
use super::writes::{Memory, put};

type EgnyteBed = Bed<EgnyteFace>;

fn new(parent: &ItemId, name: &str) -> UploadTarget {
    UploadTarget::New { parent: parent.clone(), name: name.to_owned() }
}

#[tokio::test]
async fn the_allowance_is_known_after_any_answer() {
    let quota = Quota { per_second: Some(200), per_day: Some(1_000), ..Quota::NONE };
    let bed = EgnyteBed::with(Options { egnyte_quota: quota, ..Options::default() }).await;
    assert_eq!(bed.counter.quota(), None);
    bed.provider.whoami().await.unwrap();
    bed.provider.newest_cursor().await.unwrap();
    let told = Allowance { per_second: Some(200), per_day: Some(1_000), used_today: Some(2) };
    assert_eq!(bed.counter.quota(), Some(told));
}

#[tokio::test]
async fn a_spent_day_is_no_matter_of_seconds() {
    let bed = EgnyteBed::new().await;
    for answer in [Answer::gateway_over_rate("7200"), Answer::gateway_over_rate("1")] {
        bed.cloud.reset_counters();
        bed.cloud.faults().once("egnyte_userinfo", Fault::Answer(answer));
        assert_eq!(bed.provider.whoami().await.unwrap_err().kind, ProviderErrorKind::QuotaExhausted);
        assert_eq!(bed.cloud.count("egnyte_userinfo"), 1, "it is not tried again");
    }
    // Without the gateway's word it is a matter of permissions.
    bed.cloud.faults().once("egnyte_userinfo", Fault::Answer(Answer::error(403, "forbidden")));
    assert_eq!(bed.provider.whoami().await.unwrap_err().kind, ProviderErrorKind::Forbidden);
}

#[tokio::test]
async fn a_place_is_good_between_the_ends_of_the_stream_only() {
    let bed = EgnyteBed::new().await;
    let first = bed.provider.newest_cursor().await.unwrap();
    for name in ["a", "b", "c"] {
        bed.cloud.write(&format!("/in/{name}"), name).unwrap();
    }
    let newest = bed.provider.newest_cursor().await.unwrap();
    let place = newest.as_str().parse::<u64>().unwrap();
    for good in [&first, &newest] {
        bed.provider.check_cursor(good).await.unwrap();
    }
    for beyond in [place + 1, place + 1_000_000] {
        let beyond = Cursor::new(beyond.to_string());
        assert!(bed.provider.events(&beyond).await.unwrap().events.is_empty(), "the list does not say it");
        let error = bed.provider.check_cursor(&beyond).await.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::CursorLost, "{error}");
    }
    // The newest event is told late, and the list knows better.
    let late = format!(r#"{{"latest_event_id":{},"oldest_event_id":1,"timestamp":"2026-01-01T00:00:00Z"}}"#, place - 1);
    bed.cloud.faults().once("egnyte_cursor", Fault::Answer(Answer { body: late, ..Answer::empty(200) }));
    bed.provider.check_cursor(&newest).await.unwrap();
    // What the check itself meets says nothing of the place.
    bed.cloud.faults().once("egnyte_cursor", Fault::Answer(Answer::html(200)));
    assert_eq!(bed.provider.check_cursor(&newest).await.unwrap_err().kind, ProviderErrorKind::Malformed);
    bed.cloud.forget_events();
    bed.cloud.write("/in/d", "d").unwrap();
    assert_eq!(bed.provider.check_cursor(&first).await.unwrap_err().kind, ProviderErrorKind::CursorLost);
}

#[tokio::test]
async fn a_forgotten_place_is_lost_and_the_restart_tells_what_is_left() {
    let bed = EgnyteBed::new().await;
    let cursor = bed.provider.newest_cursor().await.unwrap();
    bed.cloud.write("/in/forgotten.txt", "x").unwrap();
    bed.cloud.forget_events();
    bed.cloud.write("/in/left.txt", "x").unwrap();
    // An adapter with a memory hears it from the list, a new one from the ends of the stream.
    for provider in [bed.provider.clone(), bed.anew()] {
        assert_eq!(provider.events(&cursor).await.unwrap_err().kind, ProviderErrorKind::CursorLost);
    }
    let restart = bed.provider.restart_cursor().await.unwrap();
    let (events, _) = bed.drain(&restart).await;
    let told: Vec<&RemoteEvent> = events.iter().filter(|event| event.kind == EventKind::Uploaded).collect();
    assert_eq!(told.len(), 1, "{events:?}");
    assert!(told[0].raw.as_str().contains("left.txt"));
}

#[tokio::test]
async fn listening_costs_one_call_and_a_new_start_one_more() {
    let bed = EgnyteBed::new().await;
    let cursor = bed.provider.newest_cursor().await.unwrap();
    let provider = bed.anew();
    bed.cloud.reset_counters();
    for _ in 0..5 {
        assert_eq!(provider.events(&cursor).await.unwrap().next, cursor);
    }
    assert_eq!((bed.cloud.count("egnyte_events"), bed.cloud.count("egnyte_cursor")), (5, 1));
    bed.cloud.write("/in/a.txt", "x").unwrap();
    let page = provider.events(&cursor).await.unwrap();
    assert!(page.caught_up, "a short page needs no second question");
}

#[tokio::test]
async fn a_domain_without_the_newer_list_is_read_by_the_older() {
    let bed = EgnyteBed::new().await;
    let cursor = bed.provider.newest_cursor().await.unwrap();
    bed.cloud.mkdir_p("/in").unwrap();
    let path = bed.cloud.at("/in");
    bed.cloud.announce("permission_change:permission_change", Some(&path)).unwrap();
    let kinds = |events: Vec<RemoteEvent>| events.iter().map(|event| event.kind).collect::<Vec<_>>();
    assert_eq!(kinds(bed.drain(&cursor).await.0), [EventKind::Created, EventKind::Sharing]);
    for answer in [Answer::empty(404), Answer::empty(596), Answer::empty(403)] {
        let provider = bed.anew();
        bed.cloud.faults().once("egnyte_events", Fault::Answer(answer));
        assert_eq!(kinds(provider.events(&cursor).await.unwrap().events), [EventKind::Created], "of two, one is older");
        assert_eq!(kinds(provider.events(&cursor).await.unwrap().events), [EventKind::Created]);
    }
}

#[tokio::test]
async fn a_folder_is_sized_in_one_call() {
    let bed = EgnyteBed::new().await;
    bed.cloud.write("/in/a.bin", Content::pattern(1, 1_000)).unwrap();
    bed.cloud.write("/in/deep/er/b.bin", Content::pattern(2, 500)).unwrap();
    let size = bed.provider.size_of(&bed.folder("/in")).await.unwrap();
    assert_eq!(size, Some(TreeSize { files: 2, folders: 2, bytes: 1_500 }));
    assert_eq!(bed.counter.counts().calls(), 1);
}

#[tokio::test]
async fn a_download_brings_what_it_takes_to_verify_it() {
    let bed = EgnyteBed::new().await;
    let folder = bed.cloud.mkdir_p("/in").map(|_| bed.folder("/in")).unwrap();
    for (name, len) in [("small", 5_000), ("large", 21_000_000)] {
        let body = Memory::pattern(len);
        let made = put(&bed, new(&folder, name), &body).await.unwrap();
        let version = made.content.as_ref().unwrap().version.clone();
        let content = bed.provider.content(&made.id, &version, 0).await.unwrap();
        assert_eq!((content.total, content.modified), (Some(len), made.content.as_ref().unwrap().modified));
        let hash = content.hash.clone().unwrap();
        assert_eq!(matches!(hash, ContentHash::Sha512Chunks { .. }), len > 10 << 20, "{hash}");
        assert_eq!(made.content.unwrap().hash.as_ref(), Some(&hash));
        let mut digests = Digests::new(Some(&hash));
        digests.update(&read(content).await);
        assert_eq!(digests.finish().provider, Match::Equal);
    }
}

#[tokio::test]
async fn another_version_than_the_one_asked_for_is_not_taken() {
    let bed = EgnyteBed::new().await;
    bed.cloud.write("/in/a.txt", "one").unwrap();
    let old = bed.item(&bed.file("/in/a.txt")).await;
    bed.cloud.write("/in/a.txt", "two").unwrap();
    bed.cloud.faults().once("egnyte_download", Fault::WrongVersion);
    let version = old.content.unwrap().version;
    let Err(error) = bed.provider.content(&old.id, &version, 0).await else { panic!("spliced") };
    assert_eq!(error.kind, ProviderErrorKind::Corrupt);
    assert_eq!(read(bed.provider.content(&old.id, &version, 0).await.unwrap()).await, b"one");
}

#[tokio::test]
async fn a_lock_is_respected_and_told() {
    let bed = EgnyteBed::new().await;
    bed.cloud.write("/in/a.txt", "theirs").unwrap();
    let item = bed.item(&bed.file("/in/a.txt")).await;
    bed.cloud.as_user(User::Other).lock("/in/a.txt").unwrap();
    let expected = Expected { version: item.content.as_ref().map(|content| content.version.clone()), etag: None };
    let target = UploadTarget::Version { file: item.id.clone(), expected: expected.clone() };
    let upload = put(&bed, target, &Memory::of("ours")).await.unwrap_err();
    let moved = bed.provider.relocate(&item.id, &bed.folder("/in"), "b.txt", &expected).await.unwrap_err();
    let gone = bed.provider.trash(&item.id, &expected).await.unwrap_err();
    for error in [upload, moved, gone] {
        assert_eq!(error.kind, ProviderErrorKind::Refused, "{error}");
        assert!(error.message.contains("locked by"), "{error}");
    }
    assert_eq!(bed.cloud.count("egnyte_upload"), 0);
    assert_eq!(bed.cloud.read("/in/a.txt").unwrap(), b"theirs");
}

#[tokio::test]
async fn a_listing_that_shifts_between_two_pages_is_no_listing() {
    let bed = EgnyteBed::new().await;
    for n in 0..1_500 {
        bed.cloud.write(&format!("/in/{n:04}"), "x").unwrap();
    }
    let folder = bed.folder("/in");
    let first = bed.provider.list(&folder, None).await.unwrap();
    // Entry 1000 slips into the page that was read already.
    bed.cloud.trash("/in/0007").unwrap();
    let error = bed.provider.list(&folder, first.next.as_ref()).await.unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::Unavailable, "{error}");
    assert_eq!(bed.list(&folder).await.len(), 1_499);
}

/// Uploads as the SDKs do that Egnyte offers: the body is a stream, and what is sent again after a throttle is what is left of it.
async fn naive_upload(bed: &EgnyteBed, name: &str, content: &[u8]) {
    let url = format!("{}/pubapi/v1/fs-content/Shared/in/{name}", bed.sandbox.url());
    let mut stream = std::io::Cursor::new(content.to_vec());
    loop {
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut body).unwrap();
        let request =
            reqwest::Client::new().post(&url).bearer_auth(folder_sync_agent::sandbox::ACCESS_TOKEN).body(body);
        match request.send().await.unwrap().status().as_u16() {
            403 | 429 => {}
            status => return assert_eq!(status / 100, 2),
        }
    }
}

/// The trap of the spent body: a throttled upload whose second sending is empty makes an empty version, and nobody complains.
#[tokio::test]
async fn a_throttled_upload_is_sent_again_whole() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bed = EgnyteBed::new().await;
    bed.cloud.mkdir_p("/in").unwrap();
    let folder = bed.folder("/in");
    let body = Memory::pattern(700_000);
    for (number, throttle) in [Answer::gateway_over_qps("0"), Answer::too_many(Some("0"))].into_iter().enumerate() {
        let (ours, theirs) = (format!("ours {number}"), format!("theirs{number}"));
        bed.cloud.faults().add(Rule::on("egnyte_upload", Fault::Answer(throttle.clone())).times(2));
        let made = put(&bed, new(&folder, &ours), &body).await.unwrap();
        assert!(bed.cloud.read(&format!("/in/{ours}")).unwrap() == body.bytes());
        assert_eq!(bed.cloud.versions(&format!("/in/{ours}")).unwrap().len(), 1, "and no empty version before it");
        let hash = ContentHash::Sha512(hex(&Sha512::digest(body.bytes())));
        assert_eq!(made.content.unwrap().hash, Some(hash));
        // The sandbox springs the trap on who steps into it.
        bed.cloud.faults().once("egnyte_upload", Fault::Answer(throttle));
        naive_upload(&bed, &theirs, body.bytes()).await;
        assert_eq!(bed.cloud.read(&format!("/in/{theirs}")).unwrap(), b"", "the naive client lost the content");
    }
}
