//! Reports made of committed rows: what every listing of the command line shows.

use rusqlite::Connection;

/// Reads reports from a connection.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    conn: &'a Connection,
}

impl<'a> Rows<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        Self { conn }
    }
}
