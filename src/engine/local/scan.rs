//! One scan of a directory under way: how far it is, and what its pages have shown; and which directories are scanned next.

use crate::deed::{Base, Place};
use crate::engine::ctx::Ctx;
use crate::id::{FolderId, NodeId};
use crate::local_news::{SCAN_DIRS_MOST, ScanOrder};
use crate::path::Name;
use crate::store::Result;
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

/// The scans of a folder that come next, and what the world is to read for each: those that go on, and those whose turn it is. None of them is
/// below another one: what the scan of a directory shows may be that the one below is elsewhere.
pub(in crate::engine) fn next_scans(
    ctx: &mut Ctx,
    id: FolderId,
    going_on: Vec<Scan>,
) -> Result<(Vec<ScanOrder>, Vec<Scan>)> {
    let (mut orders, mut scans): (Vec<ScanOrder>, Vec<Scan>) = (Vec::new(), Vec::new());
    for scan in going_on {
        match ctx.place(scan.node())? {
            Some(Place { base: Base::Tree, path }) => {
                orders.push(ScanOrder { dir: path, after: scan.after.clone() });
                scans.push(scan);
            }
            _ => ctx.store.scan_ended(scan.node())?,
        }
    }
    while orders.len() < SCAN_DIRS_MOST
        && let Some(row) = ctx.store.next_scan(id, ctx.now.wall)?
    {
        let place = ctx.place(row.node)?;
        if let Some(Place { base: Base::Tree, path }) = &place
            && orders.iter().any(|order| path.starts_with(&order.dir))
        {
            break;
        }
        let attempts = ctx.store.scan_attempts(row.node)?;
        ctx.store.scan_begun(row.node)?;
        match place {
            Some(Place { base: Base::Tree, path }) => {
                orders.push(ScanOrder { dir: path, after: None });
                scans.push(Scan { row, after: None, attempts, unsteady: false, holds: false });
            }
            _ => ctx.store.scan_ended(row.node)?,
        }
    }
    Ok((orders, scans))
}
