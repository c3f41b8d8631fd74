//! Hooks against real guests: the scanners that we ship, and the scanner behind them.

mod down;
mod gate;
mod kinds;
mod native;
mod outbox;
mod scanners;
mod setup;
mod ways;
