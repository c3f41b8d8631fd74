//! The laws of the cloud itself, under a long random life.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use folder_sync_agent::sandbox::{Bustle, Cloud, Content};
use serde_json::Value;

use super::client::Bed;

/// Everything that the `changes` stream tells, in order.
async fn every_event(bed: &Bed) -> Vec<Value> {
    let (mut events, mut position) = (Vec::new(), "0".to_owned());
    loop {
        let path = format!("/2.0/events?stream_type=changes&limit=500&stream_position={position}");
        let page = bed.json(&path).await;
        position = page["next_stream_position"].to_string();
        let entries = page["entries"].as_array().unwrap();
        if entries.is_empty() {
            return events;
        }
        events.extend(entries.iter().cloned());
    }
}

/// What a follower knows of an item from the last event about it.
struct Known {
    name: String,
    parent: String,
    sha1: Option<String>,
    active: bool,
}

/// The tree that follows from the events alone. Copies of folders bring no events for what is in them,
/// so the life in this test copies files only.
fn replayed(events: &[Value], root: &str) -> BTreeMap<String, String> {
    let mut known: HashMap<String, Known> = HashMap::new();
    for event in events {
        let source = &event["source"];
        let id = source["id"].as_str().unwrap().to_owned();
        let active = source["item_status"] == "active";
        let old_parent = known.get(&id).map(|old| old.parent.clone());
        let parent = source["parent"]["id"]
            .as_str()
            .map(str::to_owned)
            .or(old_parent)
            .unwrap_or_default();
        let sha1 = source["sha1"].as_str().map(str::to_owned);
        known.insert(
            id,
            Known {
                name: source["name"].as_str().unwrap().to_owned(),
                parent,
                sha1,
                active,
            },
        );
    }
    let path_of = |id: &str| {
        let (mut at, mut path) = (id.to_owned(), Vec::new());
        while at != root {
            let item = known.get(&at).filter(|item| item.active)?;
            path.push(item.name.clone());
            at.clone_from(&item.parent);
        }
        path.reverse();
        Some(path.join("/"))
    };
    let folder_or_file = |item: &Known| item.sha1.clone().unwrap_or_default();
    let placed = known
        .iter()
        .filter_map(|(id, item)| Some((path_of(id)?, folder_or_file(item))));
    placed.filter(|(path, _)| !path.is_empty()).collect()
}

fn lived(cloud: &Cloud, seed: u64, steps: u32) {
    cloud.mkdir_p("/in").unwrap();
    let mut life = Bustle::new(cloud, "/in", seed).unwrap();
    for _ in 0..steps {
        life.step().unwrap();
    }
}

#[tokio::test]
async fn the_events_lead_to_the_tree() {
    for seed in 0..4 {
        let bed = Bed::new().await;
        lived(&bed.cloud, seed, 1000);
        let events = every_event(&bed).await;
        let root = bed.cloud.id_of("/in").unwrap();
        let told = replayed(&events, &root);
        let there: BTreeMap<String, String> = bed
            .cloud
            .tree("/in")
            .unwrap()
            .into_iter()
            .map(|(path, entry)| (path, entry.sha1))
            .collect();
        assert!(there.len() > 100);
        assert_eq!(told, there, "seed {seed}");
    }
}

#[tokio::test]
async fn sequence_ids_rise_and_event_ids_are_used_once() {
    let bed = Bed::new().await;
    lived(&bed.cloud, 9, 1000);
    let mut last: HashMap<String, u64> = HashMap::new();
    let mut seen = BTreeSet::new();
    for event in every_event(&bed).await {
        assert!(seen.insert(event["event_id"].as_str().unwrap().to_owned()));
        let source = &event["source"];
        let sequence: u64 = source["sequence_id"].as_str().unwrap().parse().unwrap();
        if let Some(before) = last.insert(source["id"].as_str().unwrap().to_owned(), sequence) {
            assert!(sequence > before, "{source}");
        }
    }
    assert!(last.len() > 100);
}

#[tokio::test]
async fn names_are_unique_without_case_and_sizes_add_up() {
    let bed = Bed::new().await;
    lived(&bed.cloud, 10, 1000);
    let tree = bed.cloud.tree("/in").unwrap();
    let folded: BTreeSet<String> = tree.keys().map(|path| path.to_lowercase()).collect();
    assert_eq!(folded.len(), tree.len());
    let bytes: u64 = tree.values().map(|entry| entry.size).sum();
    let id = bed.cloud.id_of("/in").unwrap();
    assert_eq!(bed.json(&format!("/2.0/folders/{id}")).await["size"], bytes);
    assert!(
        bed.cloud.rename("/in", "IN").is_ok(),
        "another case of one's own name is no conflict"
    );
    bed.cloud.mkdir_p("/other").unwrap();
    assert!(bed.cloud.rename("/other", "in").is_err());
}

#[tokio::test]
async fn a_hundred_thousand_files_are_carried() {
    let bed = Bed::new().await;
    let start = Instant::now();
    for folder in 0..1000 {
        for file in 0..100 {
            let content = Content::pattern(folder * 100 + file, 32);
            bed.cloud
                .write(&format!("/big/{folder:03}/{file:02}.txt"), content)
                .unwrap();
        }
    }
    let made = start.elapsed();
    let start = Instant::now();
    let id = bed.cloud.id_of("/big").unwrap();
    let folders = bed
        .json(&format!(
            "/2.0/folders/{id}/items?usemarker=true&limit=1000"
        ))
        .await;
    let mut files = 0;
    for folder in folders["entries"].as_array().unwrap() {
        let id = folder["id"].as_str().unwrap();
        let path = format!(
            "/2.0/folders/{id}/items?usemarker=true&limit=1000&fields=name,size,sha1,file_version"
        );
        files += bed.json(&path).await["entries"].as_array().unwrap().len();
    }
    println!(
        "100,000 files made in {made:?}, listed in {:?}",
        start.elapsed()
    );
    assert_eq!(files, 100_000);
    bed.cloud.foreign_noise(300_000);
    assert_eq!(bed.cloud.events_total(), 100_000 + 1001 + 300_000);
}
