//! All integration tests, linked once.

mod config;
mod control;
mod provider_contract;
mod sandbox;
