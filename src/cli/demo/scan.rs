//! The act of `--scan`: another user uploads what a virus scanner knows, and nobody here ever sees it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use super::super::failure::{Failure, Outcome};
use super::super::render::{Screen, Tone, harmless};
use super::stage::REMOTE;
use super::watch::Watch;
use super::{PATIENCE, Show, refused};
use crate::config::edit::Setting;
use crate::sandbox::Cloud;
use crate::store::Reader;

/// What the infected file is called.
const NAME: &str = "invoice.com";
/// The scanner of the demo's own: it knows one thing, the test string that all virus scanners know.
const SCANNER: &str = "#!/bin/sh
if grep -q EICAR-STANDARD-ANTIVIRUS-TEST-FILE \"$AGENT_FILE\"; then
    echo 'Eicar-Test-String FOUND'
    exit 1
fi
";
const SCANNER_MODE: u32 = 0o755;

/// The test string, put together here so that no scanner takes the program for infected.
fn test_string() -> String {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS", "-TEST-FILE!$H+H*"].concat()
}

/// Writes the demo's scanner down, and gives the settings of the hook that runs it.
pub fn hook(dir: &Path) -> Outcome<Vec<(&'static str, Setting)>> {
    let failed = |error| Failure::error("cannot write the demo's scanner").because(error);
    let program = dir.join("scanner");
    fs::write(&program, SCANNER).map_err(failed)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(SCANNER_MODE)).map_err(failed)?;
    let program = program.to_str().ok_or_else(|| Failure::error("the demo's directory is not valid UTF-8"))?;
    Ok(vec![
        ("name", Setting::Text("scan".into())),
        ("when", Setting::Text("before".into())),
        ("on", Setting::List(vec!["file.download".into()])),
        ("run", Setting::List(vec![program.into()])),
    ])
}

impl Show<'_> {
    /// Uploads the infected file, shows how it is caught, and takes it out of the cloud again.
    pub(super) async fn scan(&mut self, cloud: &Cloud, watch: &mut Watch, screen: &mut Screen) -> Outcome<()> {
        screen.line("\n  uploads a virus (the string that all virus scanners are tested with)")?;
        screen.flush()?;
        let begun = Instant::now();
        let remote = format!("{REMOTE}/{NAME}");
        let local = self.stage.local.join(NAME);
        cloud.write(&remote, test_string().into_bytes()).map_err(refused)?;
        let row = loop {
            if local.exists() {
                return Err(Failure::error("the infected file became visible"));
            }
            if begun.elapsed() > PATIENCE {
                return Err(Failure::error("the infected file was not put into quarantine"));
            }
            if self.stop.is_cancelled() {
                return Ok(());
            }
            watch.next(begun, screen).await?;
            let rows = Reader::open(&self.stage.places.database())?.rows().quarantine(None, false)?;
            if let Some(row) = rows.into_iter().find(|row| row.state == "held") {
                break row;
            }
        };
        watch.rest_of(begun, screen)?;
        let caught = screen.tint(Tone::Good, format!("caught: hook `{}` says {}", row.hook, harmless(&row.reason)));
        screen.line(format_args!("    {caught}"))?;
        screen.line(format_args!("    {NAME} was never visible, and is number {} in quarantine", row.id))?;
        screen.line("\n  trashes it")?;
        screen.flush()?;
        let trashed = Instant::now();
        cloud.trash(&remote).map_err(refused)?;
        while !self.settled().await? && trashed.elapsed() < PATIENCE && !self.stop.is_cancelled() {
            watch.next(trashed, screen).await?;
        }
        watch.rest_of(trashed, screen)?;
        Ok(())
    }
}
