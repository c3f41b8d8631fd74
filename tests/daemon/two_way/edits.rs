//! What was changed locally is found by stamps: of a large tree only what was written is read.

use crate::support::edits::{Edits, Tree, check, digested, wait_for};
use crate::support::{Bed, PATIENCE};

#[test]
fn local_changes_are_picked_up_without_reading_the_tree() {
    const EDITS: Edits = Edits { edited: 40, new: 20, renamed: 20, deleted: 10 };
    let bed = Bed::new();
    let mut tree = Tree::new(&bed, 2_000);
    bed.add_folder(&["--mode", "two-way"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(digested(&bed), (0, 0), "what was fetched needs no reading");
    assert_eq!(agent.stop(), Some(0));

    // While nobody looks.
    bed.cloud().reset_counters();
    tree.edit(&bed, EDITS);
    let agent = bed.start();
    wait_for(&bed, EDITS, PATIENCE);
    let before = digested(&bed);
    check(&bed, EDITS, before);

    // Before the agent's eyes.
    bed.cloud().reset_counters();
    tree.edit(&bed, EDITS);
    wait_for(&bed, EDITS, PATIENCE);
    let after = digested(&bed);
    check(&bed, EDITS, (after.0 - before.0, after.1 - before.1));
    assert_eq!(bed.difference(), Vec::<String>::new());

    // A restart with nothing to do reads nothing.
    assert_eq!(agent.stop(), Some(0));
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    assert_eq!(digested(&bed), (0, 0));
    assert_eq!(agent.stop(), Some(0));
}
