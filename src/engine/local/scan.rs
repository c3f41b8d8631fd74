//! One scan of a directory under way: how far it is, and what its pages have shown.

use crate::id::NodeId;
use crate::path::Name;
use crate::store::scans::ScanRow;

/// A scan.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Scan {
    /// What is to be scanned.
    pub row: ScanRow,
    /// Where to read on.
    pub after: Option<Name>,
    /// How often it failed before.
    pub attempts: u32,
    /// The directory changed while one of its pages was read.
    pub unsteady: bool,
    /// It holds something, whether we know that or not.
    pub holds: bool,
}

impl Scan {
    /// The directory.
    pub fn node(&self) -> NodeId {
        self.row.node
    }
}
