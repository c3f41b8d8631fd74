//! Versions, restoring, verifying, and what is kept for how long: the real program, judged by files and bytes.

mod keeping;
mod restoring;
mod verifying;
