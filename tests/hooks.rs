//! Hooks against real guests: the scanners that we ship, and the scanner behind them.

mod down;
mod due;
mod gate;
mod kinds;
mod native;
mod outbox;
mod scanners;
mod setup;
mod stuck;
mod ways;
mod zoo;
