//! The bytes of a version.

use folder_sync_agent::id::{ItemId, VersionId};
use folder_sync_agent::provider::ProviderErrorKind;
use folder_sync_agent::sandbox::Content;

use super::bed::{Bed, Face, read};

pub async fn the_bytes_are_those_of_the_version<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.bin", Content::pattern(7, 700_000)).unwrap();
    let id = bed.file("/in/a.bin");
    let old_version = bed.item(&id).await.content.unwrap().version;
    let old = bed.cloud.read("/in/a.bin").unwrap();
    bed.cloud.write("/in/a.bin", "new").unwrap();
    bed.cloud.write("/in/empty", "").unwrap();
    let before = bed.counter.counts().content;
    let content = bed.provider.content(&id, &old_version, 0).await.unwrap();
    assert_eq!((content.offset, content.total), (0, Some(700_000)));
    assert!(read(content).await == old);
    assert_eq!(bed.counter.counts().content - before, 1, "a redirect is not a call");
    let new_version = bed.item(&id).await.content.unwrap().version;
    assert_eq!(read(bed.provider.content(&id, &new_version, 0).await.unwrap()).await, b"new");
    let empty = bed.file("/in/empty");
    let version = bed.item(&empty).await.content.unwrap().version;
    let content = bed.provider.content(&empty, &version, 0).await.unwrap();
    assert_eq!((content.offset, content.total), (0, Some(0)));
    assert!(read(content).await.is_empty());
    assert_eq!(bed.cloud.count("bearer_leaked"), 0);
}

pub async fn a_part_is_a_part<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.bin", Content::pattern(7, 10_000)).unwrap();
    let id = bed.file("/in/a.bin");
    let version = bed.item(&id).await.content.unwrap().version;
    let whole = bed.cloud.read("/in/a.bin").unwrap();
    let content = bed.provider.content(&id, &version, 4_000).await.unwrap();
    assert_eq!((content.offset, content.total), (4_000, Some(10_000)));
    assert!(read(content).await == whole[4_000..]);
    // All of it is there already.
    let content = bed.provider.content(&id, &version, 10_000).await.unwrap();
    assert!(content.offset == 0 || read(content).await.is_empty());
    // Beyond the end there is nothing to resume: it begins again.
    let content = bed.provider.content(&id, &version, 10_001).await.unwrap();
    assert_eq!(content.offset, 0);
    assert!(read(content).await == whole);
}

pub async fn older_versions_are_listed_and_can_be_fetched<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.txt", "one").unwrap();
    let id = bed.file("/in/a.txt");
    let mut written = vec![bed.item(&id).await.content.unwrap()];
    assert_eq!(bed.provider.versions(&id).await.unwrap(), [], "the present one is no older one");
    for text in ["number two", "three"] {
        bed.cloud.write("/in/a.txt", text).unwrap();
        written.push(bed.item(&id).await.content.unwrap());
    }
    written.pop();
    let older = bed.provider.versions(&id).await.unwrap();
    assert_eq!(older.len(), 2);
    for known in written {
        let found = older.iter().find(|found| found.version == known.version).unwrap();
        assert_eq!((&found.hash, found.size), (&known.hash, known.size));
        let content = bed.provider.content(&id, &found.version, 0).await.unwrap();
        assert_eq!(read(content).await.len() as u64, known.size.unwrap());
    }
    let Err(error) = bed.provider.versions(&ItemId::file("424242424242")).await else { panic!() };
    assert_eq!(error.kind, ProviderErrorKind::NotFound, "{error}");
}

pub async fn what_is_gone_is_not_found<F: Face>(bed: Bed<F>) {
    bed.cloud.write("/in/a.txt", "one").unwrap();
    let id = bed.file("/in/a.txt");
    let version = bed.item(&id).await.content.unwrap().version;
    bed.cloud.trash("/in/a.txt").unwrap();
    for (id, version) in [(id, version), (ItemId::file("424242424242"), VersionId::new("424242424242"))] {
        let Err(error) = bed.provider.content(&id, &version, 0).await else { panic!("{id}") };
        assert_eq!(error.kind, ProviderErrorKind::NotFound, "{error}");
    }
}
