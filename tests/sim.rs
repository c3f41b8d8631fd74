//! The simulated world: the real engine over the real store (in memory), and around it a made-up cloud, disk, clock, crowd and
//! misfortune. Everything that chance decides comes from one number, the seed.
//!
//! A failing seed prints itself. `SIM_SEED=1234` runs that one alone with its whole story on the standard error output;
//! `SIM_SEEDS=100000` and `SIM_SECONDS=120` make the run of each kind longer (whichever ends first), `SIM_FROM=1000000` starts
//! elsewhere, and `SIM_GO_ON=1` lists all failing seeds instead of stopping at the first. A usual run takes two minutes in all. `SIM_WATCH=file:23`
//! shows in the story of one seed what the rows say of an item, whenever that changes. Very many of all kinds: `mass`.
//!
//! There are ten kinds of histories (`seeds`): of mirrors, of mirrors whose copies pass away, of two-way folders, and of upload folders;
//! and, for mirrors and two-way folders, of streams of paths in `disorder`, of streams of ids (`enterprise`), of events that cannot be
//! understood and odd pages (`garbled`), of what is never told, told behind a place that was given, or listed as it was (`untold`), and of
//! permissions and folders above that come and go (`hidden`); and, in all modes, of whole folders that go, come back and move (`trees`).
//! `rows` are small stories of what an independent cloud showed. What must be true is in `checker` (at rest) and `laws` (all the time),
//! each law by its name; how often each misfortune
//! really happened is in the figures that a run prints; and `mutants` breaks the laws, to see that it is noticed.

mod by_path;
mod calls;
mod chance;
mod checker;
mod cloud;
mod day;
mod death;
mod deeds;
mod disk;
mod failing;
mod figures;
mod from_disk;
mod held;
mod laws;
mod life;
mod many;
mod mass;
mod mutants;
mod one_way;
mod rest;
mod returns;
mod rows;
mod seeds;
mod sight;
mod staged;
mod stories;
mod swarm;
mod tally;
mod trees;
mod two_way;
mod undo;
mod world;
mod writes;
