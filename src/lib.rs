//! The folder sync agent: reacts to a cloud's event stream and mirrors watched folders to local disk.
//!
//! # The map, in reading order
//!
//! **Words.** [`id`]: ids, cursors and digests that cannot be mixed up. [`path`]: checked names, the one door from a foreign name
//! to the disk.
//!
//! **Values.** [`tree`]: what the cloud has, the disk has, and both agreed on. [`events`]: what a stream tells us, and when to ask
//! again. [`plan`]: THE PLANNER, from three trees to a divergence, by one table to an action; who goes first; and the brakes. [`deed`]: what is to be done on disk and
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
//! **Face.** [`cli`]: one file per command. [`daemon::web`]: the page in the browser. [`shown`]: how both show values to people.
//!
//! # The life of an event
//!
//! ```text
//! provider -> page of events, next cursor
//!               |
//!            engine::listen -- an item with an order of its own? -- yes --> row of the remote tree
//!               |                                                          (an observation)
//!               no: a hint
//!               |
//!            engine::remote::hints -> marks: this item, this folder's children, the watched folder
//!               |
//!   ============|== one commit: rows, marks, journal, cursor ==================================
//!               |
//!            question (look, page of a listing), noted with the generation at which it is asked
//!               |
//!            answer -> row of the remote tree; clears only marks that are not newer
//! ```
//!
//! # The life of an item
//!
//! ```text
//!   remote tree (observed)   local tree (scanned, read)   synced tree (what both agreed on)
//!              \                       |                       /
//!               +---------------- work row: ready <---------- + <-------------------+
//!                                      |                                            |
//!            engine::schedule: one record -> plan: divergence -> action             |
//!                                      |                                            |
//!         waits for: a call, the disk, a hook, a read, a listing, an item, a sweep  |
//!                                      |                                            |
//!   ===================== commit: intent, or the write that is sent ==============  |
//!                                      |                                            |
//!                    effect: fetch, deed on disk, upload, change                    |
//!                                      |                                            |
//!                    outcome --+-- done: moves the synced tree, leaves the schedule |
//!                              +-- failed or put off: waits, with its reason -------+
//! ```
//!
//! Durable, in the database: the three trees, marks and the generation, the cursor, work rows with their reasons, intents and sent writes
//! (before their effects), staged files that wait for hooks, holds, hook deliveries, the journal. In memory only, and asked again after a
//! restart: the schedule, slots, questions under way.
//!
//! # Words, each with one meaning
//!
//! | word | meaning |
//! |---|---|
//! | observation | what the cloud itself showed of an item: a page of a listing, a look, the answer to a write of ours, an event with the whole item and its sequence |
//! | hint | an event that is no observation: it only marks |
//! | mark | a durable note that an item, the children of a folder or a whole folder must be asked about again, with its generation |
//! | generation | a counter that orders marks, questions and observations |
//! | look, listing | a question about one item, about the children of one folder |
//! | expectation | what an answer must show before the hint that told of it counts as answered |
//! | comparison | every folder listed once, and what was not met searched for; nothing else is called so |
//! | scan | the reading of a directory on disk; nothing of the cloud is scanned, but by a virus scanner that is a hook |
//! | divergence, action | how the three trees differ in an item, and what is to be done about it, by one table |
//! | seat | where an item is on disk by its rows: in which directory, under which name, or parked |
//! | parked | out of sight, in the agent's own directory, on the way to another seat |
//! | covered | something of another kind stands in an item's place on disk |
//! | deed, intent | a change of the disk (publish, relocate, remove), and its row, which is written before |
//! | write, sent, echo | a change of the cloud, its row, which is written before, and its event, when that comes back |
//! | sweep | telling what is in a folder that went, or is back, in bounded steps |
//! | hold | something waits for a person; `max_delete` is the guard that holds |
//! | problem | why an item cannot be settled, as a code and a text; it waits and is tried again |
//! | priority | news before bulk work, such as a first sync |
//! | caught up | the stream of an account was read to its end |
//! | version store, tombstone, quarantine, outbox | as in the field: superseded content, a remembered deletion, rejected content, deliveries that are not made yet |
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
pub mod shown;
pub mod store;
pub mod sys;
pub mod telemetry;
pub mod tree;
pub mod versions;
