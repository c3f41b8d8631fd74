//! Hooks against real guests: the scanners that we ship, and the scanner behind them.

mod down;
mod gate;
mod kinds;
mod outbox;
mod scanners;
mod native;
mod setup;
mod ways;
