//! Rows of what a download brings.

use super::rows;

rows! {
    /// Row 3.
    a_download_that_brings_something_else_is_not_published: ["law 4"], &[Stream::Items, Stream::Paths], [Mode::Mirror, Mode::TwoWay];
}

mod play {
    use super::super::*;

    pub fn a_download_that_brings_something_else_is_not_published(case: Case) {
        let mut world = case.world("a=1 b=2");
        let a = world.cloud.at("a");
        world.cloud.edit(&a, 3);
        world.wrong_bodies = 1;
        heals(&mut world, COMPARED_WITHIN_MS, "a=3 b=2");
        world.wrong_bodies = 2;
        put(&mut world, "d/ d/c=4");
        heals(&mut world, COMPARED_WITHIN_MS, "a=3 b=2 d/ d/c=4");
        assert_eq!(world.wrong_bodies, 0);
    }
}
