//! All integration tests, linked once.

mod sandbox;
