//! All integration tests, linked once.

mod clients;
mod sandbox;
