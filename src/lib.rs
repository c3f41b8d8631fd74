//! The folder sync agent: reacts to a cloud's event stream and mirrors watched folders to local disk.

pub mod daemon;
pub mod deed;
pub mod events;
pub mod id;
pub mod local;
pub mod path;
pub mod provider;
pub mod settings;
pub mod tree;
pub mod versions;
