//! The program by its real process: it starts, syncs, is killed, resumes, refuses, holds, and ends.

mod crash;
mod egnyte;
mod local_changes;
mod modes;
mod provider_trouble;
mod refusals;
mod stories;
mod two_way;
mod uploads;
