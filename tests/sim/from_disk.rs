//! Two-way folders: what the disk tells is read no more often than it must be, and goes to the cloud by as few calls as it can.

use folder_sync_agent::local_news::{News, Rescan};

use super::stories::ends_as;
use super::two_way::both;
use super::world::{Happening, World};

fn scan_again(world: &mut World) {
    world.schedule(0, Happening::Hints(News::Rescan(Rescan::Overflow)));
    world.rest();
}

#[test]
fn a_file_is_read_when_anything_happened_to_it_and_sent_when_that_was_its_content() {
    let mut world = both("a=1 b=2 d/ d/c=3");
    let (a, b) = (world.cloud.at("a"), world.cloud.at("b"));
    // The same length and modification time: only the status change time tells.
    world.disk.write_unnoticed("a", 2_001);
    world.disk.chmod("b");
    ends_as(&mut world, "a=2001 b=2 d/ d/c=3");
    assert_eq!((world.cloud.thing(&a).content, world.tally.uploads), (2_001, 1));
    assert_eq!(world.tally.hashes, 2, "what was touched is read once");
    scan_again(&mut world);
    assert_eq!(world.tally.hashes, 2, "the stamp of what was read is up to date");
    // Hidden under a rename, too.
    world.disk.write_unnoticed("b", 1_002);
    world.disk.rename("b", "d/b2");
    ends_as(&mut world, "a=2001 d/ d/b2=1002 d/c=3");
    assert_eq!((world.cloud.at("d/b2"), world.cloud.thing(&b).content), (b, 1_002));
}

#[test]
fn what_we_did_to_files_ourselves_is_no_reason_to_read_them_again() {
    let mut world = both("a=1 b=2 d/ d/c=3");
    let (a, b, d) = (world.cloud.at("a"), world.cloud.at("b"), world.cloud.at("d"));
    world.cloud.edit(&a, 11);
    world.cloud.rename(&b, "b2");
    world.cloud.rename(&d, "d2");
    world.cloud.add_file(&d, "new", 12);
    ends_as(&mut world, "a=11 b2=2 d2/ d2/c=3 d2/new=12");
    world.disk.write("own", 13);
    ends_as(&mut world, "a=11 b2=2 d2/ d2/c=3 d2/new=12 own=13");
    for _ in 0..2 {
        scan_again(&mut world);
    }
    assert_eq!(world.tally.hashes, 1, "only what was written by somebody else is read");
}
