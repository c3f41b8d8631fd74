//! The world of production around the engine.

pub mod client;
pub mod control;
mod socket;
