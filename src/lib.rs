//! The folder sync agent: reacts to a cloud's event stream and mirrors watched folders to local disk.

pub mod cli;
pub mod command;
pub mod config;
pub mod daemon;
pub mod deed;
pub mod engine;
pub mod events;
pub mod id;
pub mod local;
pub mod path;
pub mod plan;
pub mod provider;
pub mod report;
pub mod sandbox;
pub mod service;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod tree;
pub mod versions;
