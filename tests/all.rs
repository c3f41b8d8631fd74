//! All integration tests, linked once.

mod provider_contract;
mod sandbox;
