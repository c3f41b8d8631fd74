//! All integration tests, linked once.

mod fetch;
mod local;
