//! The sandbox cloud, seen over HTTP and through its own hands.

mod client;
mod egnyte;
mod egnyte_writes;
mod laws;
mod misbehaving;
mod reading;
mod speed;
mod writing;
