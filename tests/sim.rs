//! The simulated world: the real engine over the real store (in memory), and around it a made-up cloud, disk, clock, crowd and
//! misfortune. Everything that chance decides comes from one number, the seed.
//!
//! A failing seed prints itself. `SIM_SEED=1234` runs that one alone with its whole story on the standard error output;
//! `SIM_SEEDS=100000` and `SIM_SECONDS=120` make the run longer (whichever ends first), and `SIM_FROM=1000000` starts elsewhere.

mod by_path;
mod calls;
mod chance;
mod checker;
mod cloud;
mod day;
mod death;
mod deeds;
mod disk;
mod figures;
mod from_disk;
mod laws;
mod life;
mod many;
mod mutants;
mod one_way;
mod rest;
mod seeds;
mod stories;
mod swarm;
mod tally;
mod two_way;
mod undo;
mod world;
mod writes;
