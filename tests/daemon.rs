//! The program by its real process: it starts, syncs, is killed, resumes, refuses, holds, and ends.

mod crash;
mod egnyte;
mod local_changes;
mod long_downloads;
mod looks;
mod many_small;
mod modes;
mod other_kinds;
mod out_of_reach;
mod pace;
mod provider_trouble;
mod refusals;
mod restart;
mod room;
mod stories;
mod two_way;
mod untold;
mod uploads;
