//! All integration tests, linked once.

mod clients;
mod provider_contract;
mod sandbox;
