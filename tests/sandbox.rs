//! The sandbox cloud, seen over HTTP and through its own hands.

mod client;
mod laws;
mod misbehaving;
mod reading;
mod speed;
mod writing;
