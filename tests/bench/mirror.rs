//! The mirror benchmark.

fn main() {}
