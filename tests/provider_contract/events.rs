//! Following the stream.

use std::time::Duration;

use folder_sync_agent::events::{EventKind, Subject};
use folder_sync_agent::id::ItemId;
use folder_sync_agent::provider::{ProviderErrorKind, Wake};

use super::bed::{Bed, Face};

/// The item that an event is about, if it says so by id.
fn about(subject: &Subject) -> Option<&ItemId> {
    match subject {
        Subject::Item(item) => Some(&item.id),
        Subject::Gone(id) | Subject::Id { id, .. } => Some(id),
        Subject::Path { .. } | Subject::Nothing | Subject::Unreadable => None,
    }
}

pub async fn every_change_is_found_after_the_cursor<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/before.txt", "before").unwrap();
    let cursor = bed.provider.newest_cursor().await.unwrap();
    bed.cloud.write("/in/a.txt", "one").unwrap();
    bed.cloud.write("/in/a.txt", "two").unwrap();
    bed.cloud.rename("/in/a.txt", "b.txt").unwrap();
    bed.cloud.mkdir_p("/elsewhere").unwrap();
    bed.cloud.move_to("/in/b.txt", "/elsewhere").unwrap();
    bed.cloud.trash("/elsewhere/b.txt").unwrap();
    let (events, after) = bed.drain(&cursor).await;
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    for kind in [EventKind::Renamed, EventKind::Moved, EventKind::Trashed] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert!(events.iter().all(|event| event.raw.as_str().contains(event.id.as_str())));
    assert!(events.iter().all(|event| event.actor.is_some() && event.at.is_some()));
    if bed.provider.capabilities().events_carry_items {
        let states: Vec<(&str, Option<u64>)> = events
            .iter()
            .filter_map(|event| match &event.subject {
                Subject::Item(item) => Some((item.name.as_str(), item.content.as_ref()?.size)),
                _ => None,
            })
            .collect();
        assert_eq!(states, [("a.txt", Some(3)), ("a.txt", Some(3)), ("b.txt", Some(3)), ("b.txt", Some(3))]);
        let moved = events.iter().find(|event| event.kind == EventKind::Moved).unwrap();
        let Subject::Item(item) = &moved.subject else { panic!("{moved:?}") };
        assert_eq!(item.parent, Some(bed.folder("/elsewhere")));
        assert_eq!(item.ancestors.as_ref().unwrap().last().unwrap().name, "elsewhere");
    }
    let last = events.last().unwrap();
    assert!(matches!(last.subject, Subject::Gone(_) | Subject::Id { .. }), "{last:?}");
    assert_eq!(last.kind, EventKind::Trashed);
    if !bed.provider.capabilities().events_carry_items {
        // What says where an item is, and which version of it, needs no call to be told from what concerns nobody.
        let moved = events.iter().find(|event| event.kind == EventKind::Moved).unwrap();
        let Subject::Id { version, path, from, .. } = &moved.subject else { panic!("{moved:?}") };
        assert!(version.is_some());
        assert_eq!(path.as_deref(), Some(bed.cloud.at("/elsewhere/b.txt").as_str()));
        assert_eq!(from.as_deref(), Some(bed.cloud.at("/in/b.txt").as_str()));
    }
    assert!(bed.drain(&after).await.0.is_empty());
    // The same place again gives the same events, under the same ids.
    assert_eq!(bed.drain(&cursor).await.0, events);
}

pub async fn a_quiet_stream_is_drained_and_keeps_its_place<F: Face>(bed: Bed<F>) {
    let cursor = bed.provider.newest_cursor().await.unwrap();
    let page = bed.provider.events(&cursor).await.unwrap();
    assert!(page.events.is_empty());
    assert!(page.caught_up);
    bed.cloud.write("/in/a.txt", "one").unwrap();
    let id = bed.file("/in/a.txt");
    let (events, _) = bed.drain(&page.next).await;
    assert!(events.iter().any(|event| about(&event.subject) == Some(&id)));
    assert_eq!(bed.counter.counts().calls(), 0, "listening is not counted as calls");
    assert!(bed.counter.counts().events <= 4);
}

pub async fn a_long_backlog_comes_page_by_page<F: Face>(bed: Bed<F>) {
    let cursor = bed.provider.newest_cursor().await.unwrap();
    bed.cloud.foreign_noise(1_300);
    bed.cloud.write("/in/a.txt", "one").unwrap();
    let (events, _) = bed.drain(&cursor).await;
    // The noise is of many kinds, and not every provider tells of all of them.
    assert!(events.len() > 900, "{}", events.len());
    let id = bed.file("/in/a.txt");
    assert!(events.iter().any(|event| about(&event.subject) == Some(&id)));
    let mut ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), events.len());
}

pub async fn a_foreign_cursor_is_lost<F: Face>(bed: Bed<F>) {
    let error = bed.provider.events(&F::lost_cursor()).await.unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::CursorLost, "{error}");
}

pub async fn news_wakes_the_waiting<F: Face>(bed: Bed<F>) {
    if !bed.provider.capabilities().long_poll {
        return;
    }
    let cursor = bed.provider.newest_cursor().await.unwrap();
    let provider = bed.provider.clone();
    let at = cursor.clone();
    let waiting = tokio::spawn(async move { provider.wait_for_news(&at, Duration::from_secs(30)).await });
    // The wait is under way when the cloud has been asked both where and whether.
    let asked = async {
        while bed.counter.counts().long_poll < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap();
    bed.cloud.write("/in/a.txt", "one").unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), Wake::News);
    assert!(!bed.drain(&cursor).await.0.is_empty());
}

pub async fn waiting_ends_without_news<F: Face>(bed: Bed<F>) {
    let cursor = bed.provider.newest_cursor().await.unwrap();
    let wake = bed.provider.wait_for_news(&cursor, Duration::from_millis(200)).await.unwrap();
    assert_eq!(wake, Wake::Quiet);
    assert_eq!(bed.counter.counts().calls(), 0);
}
