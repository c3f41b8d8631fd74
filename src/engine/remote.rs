//! What the cloud has, as last observed, and what must be asked again: events become marks here, and marks become questions.

pub(in crate::engine) mod above;
mod ground;
mod heard;
mod hints;
pub(in crate::engine) mod learn;
pub(in crate::engine) mod looks;
mod questions;
mod readings;
mod rolling;
mod root;
mod strays;
pub(in crate::engine) mod whereabouts;

pub(in crate::engine) use ground::{Ground, below};
pub(in crate::engine) use heard::{Hint, ask_below, kind_of, mark_children, mark_look};
pub(in crate::engine) use hints::{Location, Mark};
pub(in crate::engine) use learn::{Learned, Source};
pub(in crate::engine) use questions::{Complete, Listing, Questions, Taken};
pub(in crate::engine) use rolling::{Verification, may_compare_again, verification_calls};
pub(in crate::engine) use root::{REMOTE_GONE, RootAnswer, RootState, looked_at_every};
pub(in crate::engine) use strays::{StrayAnswer, Strays};
