//! The deeds in every situation, twice; a crash and a refusal at every step of each.

mod crash;
mod model;
mod race;
mod rig;
mod table;
mod trees;
