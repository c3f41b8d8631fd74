//! Rows of how the stream is listened to.

use super::rows;

rows! {
    /// Row 16.
    a_place_beyond_the_end_of_the_stream_is_noticed: ["law 1"], &[Stream::Paths], [Mode::Mirror, Mode::TwoWay];
    /// Row 17.
    a_long_poll_that_is_refused_is_replaced_by_polls: ["law 1"], &[Stream::Items, Stream::Ids], [Mode::Mirror, Mode::TwoWay];
    /// Row 17.
    a_long_poll_that_hangs_is_replaced_by_polls: ["law 1"], &[Stream::Items, Stream::Ids], [Mode::Mirror, Mode::TwoWay];
}

mod play {
    use super::super::*;
    use crate::sim::calls::BrokenPoll;

    /// Changes are on disk within this time where polls replace a long poll, as long as something happened lately.
    const POLLED_WITHIN_MS: u64 = 95_000;
    /// And within this time after a long quiet.
    const QUIET_WITHIN_MS: u64 = 7 * MINUTE_MS;
    /// Where nothing tells that the long poll hangs, it is found out when its time is over.
    const HANGS_WITHIN_MS: u64 = 12 * MINUTE_MS;

    pub fn a_place_beyond_the_end_of_the_stream_is_noticed(case: Case) {
        let mut world = case.world("a=1");
        let a = world.cloud.at("a");
        for content in 10..30 {
            world.cloud.edit(&a, content);
        }
        heals(&mut world, COMPARED_WITHIN_MS, "a=29");
        world.cloud.rewind();
        put(&mut world, "b=2");
        world.cloud.note_untold(world.now);
        heals_in_time(&mut world, SEEN_WHOLE_WITHIN_MS, "a=29 b=2");
        // And from then on it listens at the right place.
        put(&mut world, "c=3");
        heals_in_time(&mut world, COMPARED_WITHIN_MS, "a=29 b=2 c=3");
    }

    pub fn a_long_poll_that_is_refused_is_replaced_by_polls(case: Case) {
        for broken in [BrokenPoll::Blocked, BrokenPoll::Forbidden, BrokenPoll::Html] {
            listens_without(case, broken, POLLED_WITHIN_MS, QUIET_WITHIN_MS);
        }
    }

    pub fn a_long_poll_that_hangs_is_replaced_by_polls(case: Case) {
        listens_without(case, BrokenPoll::Hangs, HANGS_WITHIN_MS, HANGS_WITHIN_MS);
    }

    fn listens_without(case: Case, broken: BrokenPoll, within_ms: u64, quiet_ms: u64) {
        let mut world = World::new(1, case.swarm());
        world.misfortune = false;
        world.long_poll = Some(broken);
        put(&mut world, "a=1");
        world.start();
        heals_in_time(&mut world, within_ms, "a=1");
        let a = world.cloud.at("a");
        for content in 10..15 {
            lives_on(&mut world, 20_000);
            world.cloud.edit(&a, content);
            heals_in_time(&mut world, within_ms, &format!("a={content}"));
        }
        lives_on(&mut world, HOUR_MS);
        world.cloud.edit(&a, 20);
        heals_in_time(&mut world, quiet_ms, "a=20");
    }
}
