//! All integration tests, linked once.

mod cli;
mod config;
mod control;
mod provider_contract;
mod sandbox;
mod tidy;
