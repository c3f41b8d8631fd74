//! All integration tests, linked once.

mod clients;
mod config;
mod control;
mod daemon;
mod fetch;
mod local;
mod provider_contract;
mod sandbox;
mod sim;
mod support;
