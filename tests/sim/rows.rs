//! What an independent cloud showed that the simulation could not see: each row a story, played with every kind of stream and mode
//! that it concerns. A row that an engine does not pass yet stands in [`known_red`], with the cases that fail: it must fail there by its
//! law, and passing is a failure, so that the line is taken out when the engine is mended.

use folder_sync_agent::id::ItemId;
use folder_sync_agent::settings::Mode;

use super::cloud::Habits;
use super::many::survives;
use super::stories::{put, tree, world_like};
use super::swarm::Swarm;
use super::world::{Happening, World};

mod body;
mod disk;
mod listening;
mod stream;
mod visible;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// A comparison that news make necessary is done within this time: at most one in five minutes, and the time that it takes.
const COMPARED_WITHIN_MS: u64 = 15 * MINUTE_MS;
/// A small tree is seen whole within an hour, whatever the stream tells; and what is found takes its time.
pub const SEEN_WHOLE_WITHIN_MS: u64 = HOUR_MS + 15 * MINUTE_MS;

/// Rows that fail today: the story, and its cases. A row without a case fails in all of them.
fn known_red() -> Vec<(&'static str, &'static [&'static str])> {
    Vec::new()
}

/// How a stream tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    /// Whole items with their counts of changes (Box).
    Items,
    /// Paths, and ids and versions of files; no order (Egnyte).
    Paths,
    /// Ids alone (Box, enterprise streams).
    Ids,
}

/// What a row is played with.
#[derive(Debug, Clone, Copy)]
struct Case {
    stream: Stream,
    mode: Mode,
}

const EVERY_STREAM: &[Stream] = &[Stream::Items, Stream::Paths, Stream::Ids];

impl Case {
    fn name(self) -> String {
        let stream = match self.stream {
            Stream::Items => "box",
            Stream::Paths => "egnyte",
            Stream::Ids => "enterprise",
        };
        format!("{stream} {}", self.mode.word())
    }

    fn swarm(self) -> Swarm {
        let habits = Habits {
            paths: self.stream == Stream::Paths,
            ids: self.stream == Stream::Ids,
            list_page: 100,
            event_page: 100,
            ..Habits::default()
        };
        Swarm { habits, mode: self.mode, long_poll: self.stream != Stream::Paths, ..Swarm::calm() }
    }

    /// A world at rest with these files and folders.
    fn world(self, paths: &str) -> World {
        world_like(self.swarm(), paths)
    }
}

/// Plays a row in all its cases, and judges each by whether it is known to fail.
fn judge(name: &str, laws: &[&str], streams: &[Stream], modes: &[Mode], play: impl Fn(Case)) {
    let red = known_red();
    let red = red.iter().find(|(row, _)| *row == name).map(|(_, cases)| *cases);
    let mut wrong = Vec::new();
    for (stream, mode) in streams.iter().flat_map(|stream| modes.iter().map(|mode| (*stream, *mode))) {
        let case = Case { stream, mode };
        let is_red = red.is_some_and(|cases| cases.is_empty() || cases.contains(&case.name().as_str()));
        let outcome = survives(|| play(case));
        let by = |text: &str| laws.iter().any(|law| text.starts_with(law));
        match outcome {
            Ok(()) if is_red => wrong.push(format!("[{}] passes: take it out of `known_red`", case.name())),
            Err(text) if !is_red => wrong.push(format!("[{}] {text}", case.name())),
            Err(text) if !by(&text) => wrong.push(format!("[{}] fails, and not by {laws:?}: {text}", case.name())),
            outcome => {
                let first = outcome.err().map(|text| text.lines().next().unwrap_or_default().to_owned());
                println!("{name} [{}]: {}", case.name(), first.unwrap_or_else(|| "holds".into()));
            }
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

/// Declares rows: the story, the laws by which it may fail, the streams and modes that it is played with.
macro_rules! rows {
    ($($(#[$meta:meta])* $name:ident: $laws:expr, $streams:expr, $modes:expr;)*) => {
        $($(#[$meta])*
        #[test]
        fn $name() {
            use $crate::sim::rows::*;
            judge(stringify!($name), &$laws, $streams, &$modes, play::$name);
        })*
    };
}
use rows;

/// Lives on until the tree is as expected and everything is said to be in sync; on the way "in sync" is the truth.
fn heals(world: &mut World, within_ms: u64, expected: &str) {
    heals_untold(world, within_ms, expected, true);
}

/// As [`heals`], where the engine was not told of what it is to find: until it has, it cannot know.
fn heals_in_time(world: &mut World, within_ms: u64, expected: &str) {
    heals_untold(world, within_ms, expected, false);
}

fn heals_untold(world: &mut World, within_ms: u64, expected: &str, is_told: bool) {
    let end = world.now + within_ms;
    notice(world, within_ms);
    world.judging = is_told;
    loop {
        assert!(world.step(), "V2: nothing will ever happen again");
        if tree(world) == expected && world.says_in_sync() {
            break;
        }
        let (minutes, now) = (within_ms / MINUTE_MS, tree(world));
        let says = if world.says_in_sync() { "said to be in sync" } else { "not said to be in sync" };
        assert!(world.now < end, "law 1, V2: after {minutes} min not `{expected}` but `{now}`, and {says}");
    }
    world.judging = true;
    world.rest();
    world.check();
    assert_eq!(tree(world), expected);
}

/// Lives on for a while; "in sync" is the truth all the time.
fn stays_honest(world: &mut World, ms: u64) {
    live_for(world, ms, true);
}

/// Lives on for a while, in which "in sync" need not be the truth.
fn lives_on(world: &mut World, ms: u64) {
    live_for(world, ms, false);
}

fn live_for(world: &mut World, ms: u64, judging: bool) {
    let end = world.now + ms;
    notice(world, ms);
    world.judging = judging;
    while world.now < end {
        assert!(world.step(), "V2: nothing will ever happen again");
    }
    world.judging = true;
}

/// What was just done to the cloud wakes those who wait for it, and the clock stops when a while is over.
fn notice(world: &mut World, ms: u64) {
    world.schedule(0, Happening::Late);
    world.schedule(ms, Happening::Late);
}
