//! The router: what happened goes to the component that it concerns, and what that returns to those that it concerns in turn.
//!
//! Only these files and the engine itself hold all components at once. They decide nothing that a component can decide.

mod accounts;
mod below;
mod calls;
mod conflicts;
mod consider;
mod deeds;
mod events;
mod folders;
mod held;
mod hints;
mod hooks;
mod keeping;
mod learning;
mod listings;
mod local;
mod people;
mod removals;
mod returns;
mod seats;
mod sends;
mod trees;
mod waits;
mod written;
