//! What hooks did and what they rejected, as values.

use serde::{Deserialize, Serialize};

use crate::tree::Wall;

/// One line of `agent hook-runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRunRow {
    /// Its number, for `agent replay`.
    pub run: i64,
    /// The hook.
    pub hook: String,
    /// `before` or `after`.
    pub when: String,
    /// The kind of event.
    pub event: String,
    /// The folder.
    pub folder: Option<String>,
    /// The path.
    pub path: Option<String>,
    /// The content.
    pub sha256: Option<String>,
    /// Which attempt.
    pub attempt: u32,
    /// When it ended.
    pub at: Wall,
    /// How long it took.
    pub took_ms: u64,
    /// `allow`, `reject`, `unscannable`, `error` or `timed_out`.
    pub verdict: String,
    /// How a program ended by itself.
    pub exit_code: Option<i32>,
    /// Which signal ended it.
    pub signal: Option<i32>,
    /// What a server answered.
    pub status: Option<u16>,
    /// Why.
    pub reason: Option<String>,
    /// The end of what was printed or answered.
    pub output: String,
    /// More was printed than is kept.
    pub output_cut: bool,
    /// What followed: `allowed`, `blocked`, `quarantined`, `delivered`, `again`, `dead`.
    pub effect: String,
    /// The idempotency key, of an `after` hook.
    pub delivery: Option<String>,
    /// How many hooks led here.
    pub depth: u32,
    /// The headers of a server's answer, one a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<String>,
}

/// A scanner that is asked in its own protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannerStatus {
    /// The hook.
    pub hook: String,
    /// The scanner, as configured.
    pub scanner: String,
    /// What it says of itself and of its signatures, once it was asked.
    pub version: Option<String>,
    /// Of when its signatures are, where it tells.
    pub signatures_at: Option<Wall>,
    /// Since when it does not work.
    pub down_since: Option<Wall>,
}

/// Which runs are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookRunQuery {
    /// Only this hook's.
    pub hook: Option<String>,
    /// Only this folder's.
    pub folder: Option<String>,
    /// Only this one.
    pub run: Option<i64>,
    /// Only those that did not allow.
    pub failed: bool,
    /// At most this many, the newest.
    pub limit: Option<u32>,
}

/// One rejected version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineReport {
    /// Its number.
    pub id: i64,
    /// The folder.
    pub folder: String,
    /// Where it would have appeared.
    pub path: String,
    /// The item.
    pub item: String,
    /// The version.
    pub version: String,
    /// Its content.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
    /// The hook that rejected it.
    pub hook: String,
    /// The verdict.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Wall,
    /// `held`, `released`, `deleted`, `expired`, or `moving`.
    pub state: String,
    /// When somebody decided.
    pub decided: Option<Wall>,
    /// The reason that was given.
    pub why: Option<String>,
    /// When it goes by itself.
    pub expires: Option<Wall>,
    /// Since when it was in the folder, if it was found there after it had been allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Wall>,
    /// Who had brought it, as far as the cloud says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The hooks that had been told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<String>,
    /// What is still to be done with the cloud's copy: `trash`, or `move:` and where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_copy: Option<String>,
}
