//! All integration tests, linked once.

mod config;
mod control;
mod sandbox;
