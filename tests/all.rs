//! All integration tests, linked once.

mod clients;
mod config;
mod control;
mod fetch;
mod provider_contract;
mod sandbox;
mod sim;
