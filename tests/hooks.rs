//! Hooks against real guests: the scanners that we ship, and the scanner behind them.

mod gate;
mod outbox;
mod scanners;
mod setup;
