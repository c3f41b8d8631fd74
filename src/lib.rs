//! The folder sync agent: reacts to a cloud's event stream and mirrors watched folders to local disk.
//!
//! # The map, in reading order
//!
//! **Words.** [`id`]: ids, cursors and digests that cannot be mixed up. [`path`]: checked names, the one door from a foreign name
//! to the disk.
//!
//! **Values.** [`tree`]: what the cloud has, the disk has, and both agreed on. [`events`]: what a stream tells us, and when to ask
//! again. [`plan`]: THE PLANNER, from three trees to a situation and an action, and the brakes. [`deed`]: what is to be done on disk and
//! what came of it. [`local_news`]: what the disk tells of itself, and the orders for the way up. [`hook`]: who is called for what, and
//! what a verdict leads to. [`settings`], [`command`], [`report`]: wishes, requests and answers.
//!
//! **Engine.** [`engine`]: `step(inputs) -> effects` on one control thread. [`store`]: its memory, one SQLite file, all the SQL.
//!
//! **Seams and effects.** [`provider`]: what we ask of a cloud, and the adapters. [`local`]: the watched directory by handles:
//! staging, publishing, walking. [`versions`]: superseded and deleted content. [`quarantine`]: rejected content. [`runner`]: hooks carried out, whatever they do;
//! [`sys`]: what needs `unsafe`.
//!
//! **Assembly.** [`config`]: the file, checked. [`daemon`]: the world of production around the engine. [`service`]: installed under
//! systemd. [`sandbox`]: a cloud in memory, with scripted faults. [`telemetry`]: logs.
//!
//! **Face.** [`cli`]: one file per command.
//!
//! # Invariants: what is deliberately absent
//!
//! - The values know no clock, no disk, no network, no database and no log; a fact that a rule needs is an argument.
//! - The engine knows no clock, no chance of its own, no await and no I/O except the store. Time and outcomes are inputs.
//! - No effect is released before the transaction that decided it is durable.
//! - SQL stands in [`store`] only; HTTP in [`provider`], [`sandbox`] and the control socket only; `notify` in the watchers only.
//! - Nothing outside [`path`] turns a foreign name into a local one, and nothing outside [`local`] touches a watched directory.
//! - Only outcomes of deeds move the synced tree.
//! - The sandbox shares no code with the adapters, so that they cannot agree by sharing a mistake.
//!
//! `tests/tidy.rs` holds the import directions.

pub mod cli;
pub mod command;
pub mod config;
pub mod daemon;
pub mod deed;
pub mod engine;
pub mod events;
pub mod hook;
pub mod id;
pub mod local;
pub mod local_news;
pub mod path;
pub mod plan;
pub mod provider;
pub mod quarantine;
pub mod report;
pub mod runner;
pub mod sandbox;
pub mod service;
pub mod settings;
pub mod store;
pub mod sys;
pub mod telemetry;
pub mod tree;
pub mod versions;
