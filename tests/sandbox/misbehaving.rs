//! Every scripted fault has its effect, and only where it was asked for.

use std::time::{Duration, Instant};

use folder_sync_agent::sandbox::{Answer, Chaos, Content, Fault, Options, Rule};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Bed, each};

async fn events(bed: &Bed) -> Value {
    bed.json("/2.0/events?stream_type=changes").await
}

#[tokio::test]
async fn answers_are_replaced_before_or_after_the_deed() {
    let bed = Bed::new().await;
    let make = async |name: &str| {
        let body = json!({"name": name, "parent": {"id": "0"}});
        bed.ask(Method::POST, "/2.0/folders")
            .json(&body)
            .send()
            .await
    };
    let faults = bed.cloud.faults();
    faults.once("folder_create", Fault::Answer(Answer::too_many(Some("7"))));
    let limited = make("a").await.unwrap();
    assert_eq!(
        (
            limited.status().as_u16(),
            limited.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "7")
    );
    assert!(bed.cloud.id_of("/a").is_err());
    faults.once("folder_create", Fault::AnswerAfter(Answer::html(503)));
    assert_eq!(make("b").await.unwrap().status(), 503);
    assert!(
        bed.cloud.id_of("/b").is_ok(),
        "done although the answer says otherwise"
    );
    faults.once("folder_create", Fault::CutBefore);
    assert!(make("c").await.is_err());
    assert!(bed.cloud.id_of("/c").is_err());
    faults.once("folder_create", Fault::CutAfter);
    assert!(make("d").await.is_err());
    assert!(bed.cloud.id_of("/d").is_ok());
    faults.once("user_me", Fault::Answer(Answer::expired_token()));
    assert_eq!(bed.get("/2.0/users/me").await.status(), 401);
    assert_eq!(bed.get("/2.0/users/me").await.status(), 200);
    faults.once("*", Fault::RevokeToken);
    for _ in 0..2 {
        assert_eq!(bed.get("/2.0/users/me").await.status(), 401);
    }
    assert_eq!(bed.cloud.count("fault_injected"), 6);
}

#[tokio::test]
async fn bodies_are_cut_shortened_lengthened_corrupted_and_slowed() {
    let bed = Bed::new().await;
    let id = bed.cloud.write("/f", Content::pattern(1, 600_000)).unwrap();
    let whole = bed.cloud.read("/f").unwrap();
    let link = bed.link(&id, "").await;
    let fetch = async |fault: Fault| {
        bed.cloud
            .faults()
            .add(Rule::on("content_redirect", fault).id(&id));
        let mut response = bed.http.get(&link).send().await.unwrap();
        let announced = response.content_length().unwrap();
        let mut got = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => got.extend_from_slice(&chunk),
                Ok(None) => return (announced, got, true),
                Err(_) => return (announced, got, false),
            }
        }
    };
    let (announced, got, complete) = fetch(Fault::CutBody { after: 123_456 }).await;
    assert_eq!((announced, complete), (600_000, false));
    assert_eq!(got, whole[..123_456]);
    assert_eq!(
        fetch(Fault::ShortBody { len: 7 }).await,
        (7, whole[..7].to_vec(), true)
    );
    let (announced, got, _) = fetch(Fault::LongBody { by: 3 }).await;
    assert_eq!((announced, got.len()), (600_003, 600_003));
    let (_, got, _) = fetch(Fault::CorruptBody { at: 300_000 }).await;
    let wrong: Vec<usize> = (0..whole.len())
        .filter(|at| got[*at] != whole[*at])
        .collect();
    assert_eq!(wrong, [300_000]);
    let before = Instant::now();
    assert_eq!(
        fetch(Fault::SlowBody {
            bytes_per_second: 3_000_000
        })
        .await
        .1,
        whole
    );
    assert!(
        before.elapsed() >= Duration::from_millis(150),
        "{:?}",
        before.elapsed()
    );
    let plain = bed
        .http
        .get(&link)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(plain, whole, "no fault is left");
}

#[tokio::test]
async fn wrong_versions_and_ignored_ranges_are_served() {
    let bed = Bed::new().await;
    let id = bed.cloud.write("/f", "first").unwrap();
    bed.cloud.write("/f", "second").unwrap();
    let versions = bed.cloud.versions("/f").unwrap();
    bed.cloud.faults().once("content", Fault::WrongVersion);
    let link = bed.link(&id, &format!("?version={}", versions[0])).await;
    assert_eq!(
        bed.http
            .get(link)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "second"
    );
    bed.cloud
        .faults()
        .once("content_redirect", Fault::IgnoreRange);
    let link = bed.link(&id, "").await;
    let answer = bed
        .http
        .get(&link)
        .header("range", "bytes=3-")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.text().await.unwrap().as_str()
        ),
        (200, "second")
    );
}

#[tokio::test]
async fn event_pages_repeat_reorder_lose_and_delay() {
    let bed = Bed::new().await;
    for name in ["a", "b", "c"] {
        bed.cloud.mkdir_p(&format!("/{name}")).unwrap();
    }
    let plain = events(&bed).await;
    let ids = each(&plain, "event_id");
    let next = &plain["next_stream_position"];
    let with = async |fault: Fault| {
        bed.cloud.faults().once("events", fault);
        events(&bed).await
    };
    let twice = with(Fault::DuplicateEvents).await;
    assert_eq!(
        each(&twice, "event_id"),
        ids.iter()
            .flat_map(|id| [id.clone(), id.clone()])
            .collect::<Vec<_>>()
    );
    assert_eq!(twice["chunk_size"], 6);
    let mut reversed = ids.clone();
    reversed.reverse();
    assert_eq!(
        each(&with(Fault::ReorderEvents).await, "event_id"),
        reversed
    );
    let lost = with(Fault::DropEvents).await;
    assert_eq!(
        (lost["chunk_size"].as_u64(), &lost["next_stream_position"]),
        (Some(0), next)
    );
    let late = with(Fault::LateEvents).await;
    assert_eq!(late["chunk_size"], 0);
    assert_ne!(&late["next_stream_position"], next);
    let text = with(Fault::PositionText).await;
    assert_eq!(text["next_stream_position"], next.to_string());
    assert_eq!(with(Fault::PositionZero).await["next_stream_position"], 0);
    let short = with(Fault::ShortPage { entries: 1 }).await;
    assert_eq!(each(&short, "event_id"), ids[..1]);
    bed.cloud
        .faults()
        .once("events", Fault::RewindEvents { by: 2 });
    let again = bed
        .json(&format!(
            "/2.0/events?stream_type=changes&stream_position={next}"
        ))
        .await;
    assert_eq!(each(&again, "event_id"), ids[1..]);
    bed.cloud.forget_events();
    assert_eq!(
        events(&bed).await["chunk_size"],
        0,
        "the oldest ones are no longer kept"
    );
}

#[tokio::test]
async fn listings_fail_at_a_page_loop_and_lie() {
    let bed = Bed::new().await;
    for n in 0..5 {
        bed.cloud.mkdir_p(&format!("/{n}")).unwrap();
    }
    let list = async |marker: &str| {
        bed.get(&format!(
            "/2.0/folders/0/items?usemarker=true&limit=2&marker={marker}"
        ))
        .await
    };
    bed.cloud.faults().add(
        Rule::on("folder_items", Fault::Answer(Answer::empty(502)))
            .skip(1)
            .id("0"),
    );
    let first: Value = list("").await.json().await.unwrap();
    assert_eq!(
        list(first["next_marker"].as_str().unwrap()).await.status(),
        502
    );
    bed.cloud
        .faults()
        .add(Rule::on("folder_items", Fault::LoopMarker).always());
    let marker = first["next_marker"].as_str().unwrap();
    assert_eq!(
        list(marker).await.json::<Value>().await.unwrap()["next_marker"],
        marker
    );
    bed.cloud.faults().clear();
    bed.cloud
        .faults()
        .once("folder_items", Fault::DuplicateEntries);
    assert_eq!(
        each(&bed.json("/2.0/folders/0/items").await, "name").len(),
        10
    );
    bed.cloud.faults().once("folder_items", Fault::EmptyListing);
    assert_eq!(bed.json("/2.0/folders/0/items").await["total_count"], 0);
}

#[tokio::test]
async fn a_long_poll_hangs_and_babbles() {
    let bed = Bed::with(Options {
        realtime_hold: Duration::from_millis(1),
        ..Options::default()
    })
    .await;
    let servers: Value = bed
        .ask(Method::OPTIONS, "/2.0/events")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let url = servers["entries"][0]["url"].as_str().unwrap().to_owned();
    bed.cloud.faults().once(
        "realtime",
        Fault::Message {
            text: "out_of_date".into(),
        },
    );
    assert_eq!(
        bed.http
            .get(&url)
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()["message"],
        "out_of_date"
    );
    bed.cloud.faults().once("realtime", Fault::Hang);
    bed.cloud.mkdir_p("/news").unwrap();
    let hung = bed
        .http
        .get(&url)
        .timeout(Duration::from_millis(100))
        .send()
        .await;
    assert!(hung.unwrap_err().is_timeout());
}

#[tokio::test]
async fn chaos_spoils_some_requests_and_ends_when_cleared() {
    let bed = Bed::new().await;
    bed.cloud.faults().chaos(Chaos {
        seed: 1,
        error_percent: 50,
        ..Chaos::default()
    });
    let mut failed = 0;
    for _ in 0..40 {
        failed += u32::from(bed.get("/2.0/users/me").await.status() != 200);
    }
    assert!((5..36).contains(&failed), "{failed} of 40");
    bed.cloud.faults().clear();
    assert_eq!(bed.get("/2.0/users/me").await.status(), 200);
}

#[tokio::test]
async fn another_process_has_the_same_hands() {
    let bed = Bed::new().await;
    let act = async |body: Value| {
        let answer = bed
            .http
            .post(format!("{}/sandbox/v1/do", bed.url))
            .json(&body)
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    assert_eq!(
        act(json!({"op": "write", "path": "/in/a", "text": "x"}))
            .await
            .0,
        200
    );
    let (status, refused) = act(json!({"op": "rename", "path": "/nowhere", "name": "b"})).await;
    assert_eq!(
        (status, refused["error"].as_str().unwrap()),
        (409, "no such item")
    );
    let rule =
        json!({"call": "user_me", "times": 1, "faults": [{"fault": "answer", "status": 500}]});
    bed.http
        .post(format!("{}/sandbox/v1/faults", bed.url))
        .json(&rule)
        .send()
        .await
        .unwrap();
    assert_eq!(bed.get("/2.0/users/me").await.status(), 500);
    let busy = json!({"path": "/in", "changes": 100, "seed": 4});
    let done: Value = bed
        .http
        .post(format!("{}/sandbox/v1/busy", bed.url))
        .json(&busy)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        done["done"]
            .as_object()
            .unwrap()
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum::<u64>(),
        100
    );
    let plain = async |path: &str| {
        bed.http
            .get(format!("{}/sandbox/v1/{path}", bed.url))
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()
    };
    let tree = plain("tree?path=/in&sha256=true").await;
    assert_eq!(
        tree["entries"].as_object().unwrap().len(),
        bed.cloud.tree("/in").unwrap().len()
    );
    assert_eq!(plain("counters").await["counters"]["user_me"], 1);
    let last = plain("history?after=1").await["entries"][0].clone();
    assert_eq!(
        (&last["event_type"], &last["path"]),
        (&json!("ITEM_UPLOAD"), &json!("/in/a"))
    );
}
