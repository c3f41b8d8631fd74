//! The names of problems that more than one part of the engine gives to items.

/// A problem: a local folder has the name of an item.
pub(in crate::engine) const LOCAL_IN_THE_WAY: &str = "local_in_the_way";
/// A problem: somebody edited a file, and edits are kept.
pub(in crate::engine) const DRIFT: &str = "drift";
