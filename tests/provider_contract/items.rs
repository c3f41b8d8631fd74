//! Who we are, where things are, and what they are.

use std::collections::BTreeSet;

use folder_sync_agent::id::{ContentHash, ItemId, ItemKind};
use folder_sync_agent::provider::{ProviderErrorKind, Resolved};
use folder_sync_agent::sandbox::Content;
use folder_sync_agent::settings::RemotePlace;
use folder_sync_agent::tree::ItemState;

use super::bed::{Bed, Face};

pub async fn we_are_who_the_token_says<F: Face>(bed: Bed<F>) {
    let me = bed.provider.whoami().await.unwrap();
    assert!(!me.user_id.is_empty());
    assert!(me.login.contains("agent"), "{me:?}");
    assert_eq!(bed.counter.counts().metadata, 1);
    assert_eq!(bed.counter.counts().calls(), 1);
}

pub async fn a_path_leads_to_its_folder<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/Projects/Inbox/deep/a.txt", "a").unwrap();
    bed.cloud.mkdir_p("/Projects/Another").unwrap();
    let path = bed.cloud.at("/Projects/Inbox");
    for path in [path.clone(), format!("{}/", &path[1..]), path.to_uppercase(), path.to_lowercase()] {
        let Resolved::Folder(folder) = bed.provider.resolve(&RemotePlace::Path(path.clone())).await.unwrap() else {
            panic!("{path}");
        };
        assert_eq!(folder.id, bed.folder("/Projects/Inbox"));
        assert_eq!(folder.name, "Inbox");
        assert_eq!(folder.parent, Some(bed.folder("/Projects")));
        assert_eq!(folder.content, None);
    }
    let id = bed.folder("/Projects/Inbox").raw().to_owned();
    let by_id = bed.provider.resolve(&RemotePlace::Id(id)).await.unwrap();
    assert!(matches!(by_id, Resolved::Folder(folder) if folder.name == "Inbox"));
    let top = bed.provider.resolve(&RemotePlace::Path("/".to_owned())).await.unwrap();
    assert!(matches!(top, Resolved::Folder(folder) if folder.parent.is_none()));
}

pub async fn what_is_not_there_is_explained<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/Projects/a.txt", "a").unwrap();
    for n in 0..30 {
        bed.cloud.mkdir_p(&format!("/Projects/folder {n:02}")).unwrap();
    }
    let Resolved::Missing { exists, instead } =
        bed.provider.resolve(&RemotePlace::Path(bed.cloud.at("/Projects/Inbox/x"))).await.unwrap()
    else {
        panic!();
    };
    assert_eq!(exists, bed.cloud.at("/Projects"));
    assert_eq!(instead.len(), 20);
    assert_eq!(instead[0], "folder 00");
    let file = bed.provider.resolve(&RemotePlace::Path(bed.cloud.at("/Projects/a.txt"))).await.unwrap();
    assert_eq!(file, Resolved::NotAFolder { path: bed.cloud.at("/Projects/a.txt") });
    let nothing = bed.provider.resolve(&RemotePlace::Id("424242424242".to_owned())).await.unwrap();
    assert!(matches!(nothing, Resolved::Missing { .. }));
}

pub async fn every_child_comes_once<F: Face>(bed: Bed<F>) {
    for n in 0..2_100 {
        bed.cloud.write(&format!("/in/file {n}.txt"), Content::pattern(n, 10)).unwrap();
    }
    bed.cloud.mkdir_p("/in/フォルダ").unwrap();
    let folder = bed.folder("/in");
    bed.cloud.reset_counters();
    let before = bed.counter.counts().listing;
    let items = bed.list(&folder).await;
    assert_eq!(items.len(), 2_101);
    assert_eq!(bed.counter.counts().listing - before, 3);
    let names: BTreeSet<&str> = items.iter().map(|item| item.name.as_str()).collect();
    let expected = bed.cloud.tree("/in").unwrap();
    assert_eq!(names, expected.keys().map(String::as_str).collect());
    for item in &items {
        let entry = &expected[&item.name];
        assert_eq!(item.parent.as_ref(), Some(&folder));
        let kind = if entry.is_folder { ItemKind::Folder } else { ItemKind::File };
        assert_eq!(item.id, F::item(kind, &entry.id));
        let Some(content) = &item.content else {
            assert!(entry.is_folder);
            continue;
        };
        assert_eq!(content.size, Some(entry.size));
        assert_eq!(content.version, F::version(&entry.version));
        if let Some(ContentHash::Sha1(sha1)) = &content.hash {
            assert_eq!(*sha1, entry.sha1);
        } else {
            assert!(content.hash.is_some());
        }
    }
    bed.cloud.trash("/in").unwrap();
    let gone = bed.provider.list(&folder, None).await.unwrap_err();
    assert_eq!(gone.kind, ProviderErrorKind::NotFound);
}

pub async fn the_state_of_an_item_is_told<F: Face>(bed: Bed<F>) {
    bed.cloud.write_at("/in/deep/a.txt", "one", Some(1_600_000_000_000)).unwrap();
    let id = bed.file("/in/deep/a.txt");
    let item = bed.item(&id).await;
    assert_eq!(item.name, "a.txt");
    assert_eq!(item.parent, Some(bed.folder("/in/deep")));
    let content = item.content.unwrap();
    assert_eq!(content.size, Some(3));
    assert_eq!(content.modified.map(|wall| wall.0), Some(1_600_000_000_000));
    if let Some(above) = item.ancestors {
        let names: Vec<&str> = above.iter().map(|ancestor| ancestor.name.as_str()).collect();
        assert!(names.ends_with(&["in", "deep"]), "{names:?}");
    }
    // A file's number says nothing about folders.
    let wrong_kind = bed.provider.item(&ItemId::folder(id.raw())).await.unwrap();
    assert_eq!(wrong_kind, ItemState::NotFound);
    assert_eq!(bed.provider.item(&ItemId::file("424242424242")).await.unwrap(), ItemState::NotFound);
    bed.cloud.trash("/in/deep/a.txt").unwrap();
    let after = bed.provider.item(&id).await.unwrap();
    assert!(matches!(after, ItemState::Trashed | ItemState::NotFound), "{after:?}");
}
