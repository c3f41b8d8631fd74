//! The world of production around the engine.

pub mod fetch;
