//! Small stories of what the cloud does not show for a while, though it is not gone.

use folder_sync_agent::command::Command;

use super::stories::{ends_as, world_with};

/// A file moves while the folder is compared, into a directory that is listed by then and out of one that is not, and
/// the event cannot be read: it is looked at before it counts as gone. Tried at every moment of the comparison; that
/// the file is not removed is checked at each deed.
#[test]
fn a_move_that_is_told_in_no_readable_way_is_no_absence() {
    for moment in 0..40 {
        for (from, to) in [("d", "e"), ("e", "d")] {
            let mut world = world_with("d/ d/a=1 e/ e/b=2");
            world.command(Command::Sync { folder: None, full: true });
            for _ in 0..moment {
                assert!(world.step());
            }
            let name = if from == "d" { "a" } else { "b" };
            let (file, to) = (world.cloud.at(&format!("{from}/{name}")), world.cloud.at(to));
            world.cloud.shift(&file, &to, name);
            world.cloud.blank_last(true);
            ends_as(&mut world, if from == "d" { "d/ e/ e/a=1 e/b=2" } else { "d/ d/a=1 d/b=2 e/" });
        }
    }
}
