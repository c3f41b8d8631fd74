//! Listing, looking, downloading and following events.

use std::collections::BTreeSet;
use std::time::Duration;

use folder_sync_agent::sandbox::{Content, Options, start};
use reqwest::Method;
use serde_json::Value;

use super::client::{Bed, each};

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let options = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    assert!(start(options).await.unwrap_err().to_string().contains("loopback"));
}

#[tokio::test]
async fn a_missing_or_dead_token_is_told_apart() {
    let bed = Bed::new().await;
    let me = format!("{}/2.0/users/me", bed.url);
    let token = bed.cloud.issue_token(folder_sync_agent::sandbox::User::Agent, Some(3600));
    assert_eq!(bed.http.get(&me).bearer_auth(&token).send().await.unwrap().status(), 200);
    bed.cloud.expire_token(&token);
    for (token, told) in [(token.as_str(), "expired_token"), ("nonsense", "invalid_token")] {
        let refused = bed.http.get(&me).bearer_auth(token).send().await.unwrap();
        assert_eq!(refused.status(), 401);
        assert!(refused.headers()["www-authenticate"].to_str().unwrap().contains(told));
    }
    assert_eq!(bed.cloud.count("unauthorized"), 2);
}

#[tokio::test]
async fn every_child_comes_once_by_marker_and_by_offset() {
    let bed = Bed::new().await;
    for n in 0..25 {
        bed.cloud.write(&format!("/in/file {n}.txt"), Content::pattern(n, 10)).unwrap();
        bed.cloud.mkdir_p(&format!("/in/Folder {n}")).unwrap();
    }
    let id = bed.cloud.id_of("/in").unwrap();
    let expected: BTreeSet<String> = bed.cloud.tree("/in").unwrap().into_keys().collect();

    let (mut by_marker, mut marker) = (Vec::new(), String::new());
    loop {
        let page = bed.json(&format!("/2.0/folders/{id}/items?usemarker=true&limit=7&marker={marker}")).await;
        assert!(page.get("total_count").is_none());
        by_marker.extend(each(&page, "name"));
        marker = page["next_marker"].as_str().unwrap_or_default().to_owned();
        if marker.is_empty() {
            break;
        }
    }
    assert_eq!(by_marker.len(), 50);
    assert!(by_marker[..25].iter().all(|name| name.starts_with("Folder")), "folders come first");
    assert_eq!(by_marker.into_iter().collect::<BTreeSet<_>>(), expected);

    let mut by_offset = Vec::new();
    for offset in (0..50).step_by(7) {
        let page = bed.json(&format!("/2.0/folders/{id}/items?limit=7&offset={offset}&fields=name,size")).await;
        assert_eq!(page["total_count"], 50);
        by_offset.extend(each(&page, "name"));
    }
    assert_eq!(by_offset.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn content_comes_by_a_redirect_that_needs_no_token() {
    let bed = Bed::new().await;
    let id = bed.cloud.write("/a/b.bin", Content::pattern(3, 700_000)).unwrap();
    let first = bed.cloud.versions("/a/b.bin").unwrap().remove(0);
    let old = bed.cloud.read("/a/b.bin").unwrap();
    bed.cloud.write("/a/b.bin", "new").unwrap();

    let link = bed.link(&id, "").await;
    assert_eq!(bed.http.get(&link).send().await.unwrap().bytes().await.unwrap(), "new");
    let link = bed.link(&id, &format!("?version={first}")).await;
    assert_eq!(bed.http.get(&link).send().await.unwrap().bytes().await.unwrap(), old);
    let part = bed.http.get(&link).header("range", "bytes=300000-").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], "bytes 300000-699999/700000");
    assert_eq!(part.bytes().await.unwrap(), old[300_000..]);
    assert_eq!(bed.http.get(&link).header("range", "bytes=700000-").send().await.unwrap().status(), 416);

    assert_eq!(bed.cloud.count("bearer_leaked"), 0);
    bed.http.get(&link).bearer_auth("secret").send().await.unwrap();
    assert_eq!(bed.cloud.count("bearer_leaked"), 1);
    assert_eq!(bed.http.get(link + "0").send().await.unwrap().status(), 403);
    assert_eq!(bed.cloud.api_calls(), 2, "only the requests with the bearer count");
}

/// Reads a stream to its end, as events and the position after them.
async fn drain(bed: &Bed, stream: &str, position: &str) -> (Vec<Value>, String) {
    let (mut events, mut position) = (Vec::new(), position.to_owned());
    loop {
        let path = format!("/2.0/events?stream_type={stream}&limit=3&stream_position={position}");
        let mut page = bed.json(&path).await;
        position = page["next_stream_position"].to_string();
        match page["entries"].take() {
            Value::Array(entries) if !entries.is_empty() => events.extend(entries),
            _ => return (events, position),
        }
    }
}

#[tokio::test]
async fn the_streams_tell_what_happened() {
    let bed = Bed::new().await;
    let now = bed.json("/2.0/events?stream_position=now").await["next_stream_position"].to_string();
    assert!(now.parse::<u64>().unwrap() > 1 << 53);
    bed.cloud.write("/in/a.txt", "one").unwrap();
    bed.cloud.rename("/in/a.txt", "b.txt").unwrap();
    let id = bed.cloud.id_of("/in/b.txt").unwrap();
    let link = bed.link(&id, "").await;
    bed.http.get(link).send().await.unwrap();
    bed.cloud.trash("/in/b.txt").unwrap();
    bed.cloud.restore(&id).unwrap();

    let (changes, after) = drain(&bed, "changes", &now).await;
    let kinds: Vec<&str> = changes.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    let expected = ["ITEM_CREATE", "ITEM_UPLOAD", "ITEM_RENAME", "ITEM_TRASH", "ITEM_UNDELETE_VIA_TRASH"];
    assert_eq!(kinds, expected);
    let sequences: Vec<&str> =
        changes[1..].iter().map(|event| event["source"]["sequence_id"].as_str().unwrap()).collect();
    assert_eq!(sequences, ["0", "1", "2", "3"]);
    let trashed = &changes[3]["source"];
    assert_eq!(trashed["parent"], Value::Null);
    assert_eq!(trashed["path_collection"]["total_count"], 0);
    assert_eq!(trashed["item_status"], "deleted");
    assert_eq!(changes[1]["event_id"].as_str().unwrap().len(), 40);
    assert_eq!(changes[1]["created_by"]["login"], "other@example.test");
    assert_eq!(drain(&bed, "changes", &after).await.0.len(), 0);

    let (all, _) = drain(&bed, "all", &now).await;
    assert!(all.iter().any(|event| event["event_type"] == "ITEM_DOWNLOAD"));
    assert_eq!(all.len(), changes.len() + 1);
    assert_eq!(bed.get("/2.0/events?stream_position=1.8e16").await.status(), 400);
}

#[tokio::test]
async fn a_long_poll_is_held_until_something_happens() {
    let options = Options { realtime_hold: Duration::from_millis(50), ..Options::default() };
    let bed = Bed::with(options).await;
    let servers: Value =
        bed.ask(Method::OPTIONS, "/2.0/events?stream_type=changes").send().await.unwrap().json().await.unwrap();
    let url = servers["entries"][0]["url"].as_str().unwrap().to_owned();
    let said = async || -> Value { bed.http.get(&url).send().await.unwrap().json().await.unwrap() };
    assert_eq!(said().await["message"], "reconnect");
    bed.cloud.mkdir_p("/x").unwrap();
    assert_eq!(said().await["message"], "new_change");
    assert_eq!(said().await["message"], "reconnect", "told once only");
    for _ in 0..7 {
        said().await;
    }
    assert_eq!(said().await["message"], "max_retries");
}

#[tokio::test]
async fn too_many_calls_are_told_when_to_come_back() {
    let bed = Bed::with(Options { calls_per_minute: Some(3), ..Options::default() }).await;
    for _ in 0..3 {
        assert_eq!(bed.get("/2.0/users/me").await.status(), 200);
    }
    let refused = bed.get("/2.0/users/me").await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=21).contains(&wait), "{wait}");
}

#[tokio::test]
async fn stopping_lets_the_held_poll_go_and_frees_the_port() {
    let bed = Bed::new().await;
    let servers: Value = bed.ask(Method::OPTIONS, "/2.0/events").send().await.unwrap().json().await.unwrap();
    let url = servers["entries"][0]["url"].as_str().unwrap().to_owned();
    let http = bed.http.clone();
    let held = tokio::spawn(async move { http.get(url).send().await.unwrap().json::<Value>().await.unwrap() });
    while bed.cloud.count("realtime") == 0 {
        tokio::task::yield_now().await;
    }
    let Bed { sandbox, url, http, .. } = bed;
    sandbox.shutdown().await;
    assert_eq!(held.await.unwrap()["message"], "reconnect");
    assert!(http.get(url).send().await.unwrap_err().is_connect());
}
