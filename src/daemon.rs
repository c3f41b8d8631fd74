//! The world of production around the engine.

pub mod client;
pub mod control;
pub mod fetch;
mod socket;
