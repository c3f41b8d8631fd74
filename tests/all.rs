//! All integration tests, linked once.

mod cli;
mod clients;
mod config;
mod control;
mod daemon;
mod database;
mod fetch;
mod hooks;
mod local;
mod metrics;
mod plans;
mod provider_contract;
mod sandbox;
mod sim;
mod streams;
mod support;
mod tidy;
mod tokens;
mod undo;
mod upload;
mod web;
