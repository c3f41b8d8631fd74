//! Parts of a long content: what a server gives, what it does not give, and a download over several streams.

use std::ops::Range;

use folder_sync_agent::daemon::bandwidth::Pace;
use folder_sync_agent::daemon::fetch::streams::Streams;
use folder_sync_agent::daemon::fetch::{FetchOrder, Way, fetch_on};
use folder_sync_agent::id::JobId;
use folder_sync_agent::sandbox::{Answer, Content, Fault, Network, Options, Rule};
use tokio_util::sync::CancellationToken;

use super::bed::{Bed, Face, read};
use super::content::Disk;

const MIB: u64 = 1 << 20;

pub async fn a_part_holds_what_was_asked_for<F: Face>(bed: Bed<F>) {
    let size = 700_000;
    bed.cloud.write("/in/a.bin", Content::pattern(7, size)).unwrap();
    let (file, whole) = (bed.file("/in/a.bin"), bed.cloud.read("/in/a.bin").unwrap());
    let version = bed.item(&file).await.content.unwrap().version;
    bed.cloud.write("/in/a.bin", Content::pattern(8, size)).unwrap();
    let part = async |span: Range<u64>| bed.provider.part(&file, &version, span).await;
    for span in [0..1, 0..size, 100_000..300_000, size - 1..size] {
        let content = part(span.clone()).await.unwrap().unwrap();
        assert_eq!((content.offset, content.total), (span.start, Some(size)), "{span:?}");
        assert!(read(content).await == whole[span.start as usize..span.end as usize], "{span:?}: of another version");
    }
    let header = |name: &str, value: &str| Fault::SetHeader { name: name.to_owned(), value: value.to_owned() };
    let page = Answer { body: "<html>sign in</html>".to_owned(), ..Answer::empty(200) };
    for lie in [
        Fault::IgnoreRange,
        Fault::Answer(Answer::empty(416)),
        Fault::Answer(page.with("content-type", "text/html")),
        header("content-range", "bytes 5-9/700000"),
        header("content-range", "nonsense"),
    ] {
        bed.cloud.faults().add(Rule::on(F::CONTENT_TARGET, lie.clone()));
        assert!(part(100..200).await.unwrap().is_none(), "{lie:?} passes for a part");
    }
    assert!(part(100..200).await.unwrap().is_some());
}

/// Fetches a file over a network on which each connection is slow, by at most so many streams. The requests that brought bytes, and new connections.
async fn fetched<F: Face>(bed: &Bed<F>, size: u64, streams: u32) -> (u64, u64) {
    let path = format!("/in/{size}-{streams}.bin");
    bed.cloud.write(&path, Content::pattern(size, size)).unwrap();
    let file = bed.file(&path);
    let content = bed.item(&file).await.content.unwrap();
    let order = FetchOrder {
        job: JobId(5),
        item: file,
        version: content.version,
        size: content.size,
        hash: content.hash,
        modified: content.modified,
    };
    let (disk, pace, streams) = (Disk::new(), Pace::default(), Streams::new(streams));
    let way = Way { pace: &pace, streams: &streams };
    bed.cloud.reset_counters();
    let cancel = CancellationToken::new();
    let staged = fetch_on(&*bed.provider, disk.folder(), order, &way, |_| {}, cancel, None).await.unwrap();
    let there = std::fs::read(disk.folder().staged_path(&staged.name)).unwrap();
    assert!(there == bed.cloud.read(&path).unwrap(), "another content");
    assert_eq!(disk.staged(), 1, "nothing but the file is left");
    (bed.cloud.count(F::CONTENT_TARGET), bed.cloud.connections())
}

pub async fn a_long_content_comes_over_several_streams<F: Face>(_: Bed<F>) {
    // Connections that there are already stay fast.
    let network = Network { latency_ms: 20, bytes_per_second: 16 * MIB };
    let bed = Bed::<F>::with(Options { network, ..Options::default() }).await;
    let size = 80 * MIB;
    let (requests, _) = fetched(&bed, size, 8).await;
    assert!((2..=12).contains(&requests), "{requests} requests");
    let bed = Bed::<F>::new().await;
    let (requests, _) = fetched(&bed, size, 1).await;
    assert_eq!(requests, 1, "there is room for one stream only");
    let (requests, connections) = fetched(&bed, 20 * MIB, 8).await;
    assert_eq!((requests, connections), (1, 0), "it is too short to gain anything, and the connection is kept");
}
