//! Opens the database for whoever may write: a copy before each upgrade of its schema, a damaged one set aside, and one that is older
//! than what it was left as recognised, so that nothing is deleted or sent because of what it remembers.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::RunError;
use crate::config::Places;
use crate::report::Degraded;
use crate::store::upkeep::{self, Depth, Generations};
use crate::store::{SCHEMA, Store, StoreError};

/// The file beside the database that says how far it was.
const GENERATION_NAME: &str = "state.generation";
/// How often the generation is raised while something changes: what a copy of the database may be older by without being recognised after
/// a crash. An orderly end raises it as well.
const RAISED_EVERY: Duration = Duration::from_mins(1);
/// Job numbers a second that are left out after a new beginning.
const JOBS_PER_SECOND: u64 = 1_000;

/// The name of the degraded state of an agent whose database was set aside.
pub const REBUILT: &str = "database_rebuilt";

/// The name of the degraded state of an agent whose database was put back from a copy.
pub const OLDER: &str = "database_older";

/// A database that can be written to.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub store: Store,
    /// What had to be done, for people.
    pub told: Option<Degraded>,
}

/// Opens it, whatever has become of it.
pub fn open(places: &Places) -> Result<Opened, RunError> {
    let path = places.database();
    let mut told = None;
    make_private(&path)
        .map_err(|why| RunError::State(format!("cannot make the database {}: {why}", path.display())))?;
    let mut store = match before_upgrade(&path).and_then(|()| Store::open(&path)) {
        Ok(store) => store,
        Err(error) if error.is_damage() => {
            told = Some(set_aside(&path, &error)?);
            make_private(&path)
                .map_err(|why| RunError::State(format!("cannot make the database {}: {why}", path.display())))?;
            Store::open(&path).map_err(|error| refused(&path, &error))?
        }
        Err(error) => return Err(refused(&path, &error)),
    };
    let left = read_generation(&places.state_dir);
    let has = store.generation_of_file().map_err(|error| refused(&path, &error))?;
    if let Some(left) = left.filter(|left| *left > has) {
        let why = "the database is older than what was last done here: it was put back from a copy";
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let anew = store
            .begin_anew(why, begun.saturating_mul(JOBS_PER_SECOND))
            .and_then(|folders| store.set_generation(left + 1).map(|()| folders));
        let folders = anew.map_err(|error| refused(&path, &error))?;
        if folders > 0 {
            tracing::warn!(
                folders,
                generation = has,
                left,
                "{why}; every folder is compared before anything is deleted or sent"
            );
            told = Some(Degraded {
                name: OLDER.into(),
                cause: why.into(),
                next_step: "every folder is compared with disk and cloud first; nothing is deleted or sent because of what it remembers"
                    .into(),
            });
        }
    }
    Ok(Opened { store, told })
}

/// What to do about a database that cannot be used, and is left as it is.
fn refused(path: &Path, error: &StoreError) -> RunError {
    let next = match error {
        StoreError::Newer { .. } => "or begin with the copy that was made before the upgrade: agent db restore",
        StoreError::NotOurs => "move it elsewhere; the agent makes one of its own, and finds out again what is in sync",
        StoreError::OldSqlite(_) => "install a newer SQLite",
        _ => "see to the disk and the rights of the state directory; `agent doctor` looks at both",
    };
    RunError::State(format!("the database {} cannot be used: {error}; {next}", path.display()))
}

/// A new database is nobody else's to read, whatever the umask.
fn make_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Copies a database of an older schema beside itself.
fn before_upgrade(path: &Path) -> Result<(), StoreError> {
    let Some(schema) = upkeep::schema_of(path)?.filter(|schema| *schema < SCHEMA) else { return Ok(()) };
    let copy = beside(path, &format!("schema-{schema}"));
    tracing::info!(schema, to = SCHEMA, copy = %copy.display(), "the database is upgraded; a copy is made first");
    write_copy(path, &copy).map_err(|error| match error {
        CopyError::Store(error) => error,
        CopyError::Io(error) => StoreError::Copy { path: copy.display().to_string(), source: error },
    })
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes a copy of a database, whole and private, in place of what is there.
pub fn write_copy(path: &Path, copy: &Path) -> Result<(), CopyError> {
    let dir = copy.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = tempfile::Builder::new().prefix(".state-copy-").tempdir_in(dir)?;
    let new = scratch.path().join("state.db");
    // SQLite takes an empty file, and so the copy is private from its first byte.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    upkeep::copy(path, &new)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, copy)?;
    File::open(dir)?.sync_all()?;
    Ok(())
}

/// Moves a database out of the way, with its log.
pub fn move_aside(path: &Path, why: &str) -> io::Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut number = seconds;
    while beside(path, &format!("{why}-{number}")).exists() {
        number += 1;
    }
    let aside = beside(path, &format!("{why}-{number}"));
    for ending in ["-wal", "-shm", ""] {
        match fs::rename(with_ending(path, ending), with_ending(&aside, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

fn set_aside(path: &Path, error: &StoreError) -> Result<Degraded, RunError> {
    let aside = move_aside(path, "damaged").map_err(|why| {
        RunError::State(format!(
            "the database {} is damaged ({error}) and cannot be moved aside: {why}",
            path.display()
        ))
    })?;
    let cause =
        format!("the database was damaged ({error}); it is kept as {}, and a new one is being made", aside.display());
    tracing::error!("{cause}");
    Ok(Degraded {
        name: REBUILT.into(),
        cause,
        next_step: "nothing is deleted, and nothing fetched that is there; what waited for a decision is asked again. `agent db restore \
                    FILE` takes a copy instead"
            .into(),
    })
}

fn beside(path: &Path, what: &str) -> PathBuf {
    with_ending(path, &format!(".{what}"))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn read_generation(state: &Path) -> Option<u64> {
    fs::read_to_string(state.join(GENERATION_NAME)).ok()?.trim().parse().ok()
}

fn write_generation(state: &Path, generation: u64) -> io::Result<()> {
    let mut new = tempfile::Builder::new().prefix(".generation-").tempfile_in(state)?;
    writeln!(new, "{generation}")?;
    new.as_file().sync_all()?;
    new.persist(state.join(GENERATION_NAME)).map_err(|error| error.error)?;
    File::open(state)?.sync_all()
}

/// Raises the generation now, every minute in which something changed, and at the end.
pub fn keep_generation(places: &Places, stop: CancellationToken) -> JoinHandle<()> {
    let (database, state) = (places.database(), places.state_dir.clone());
    tokio::task::spawn(async move {
        let mut generations = None;
        loop {
            let (database, state) = (database.clone(), state.clone());
            let raised = tokio::task::spawn_blocking(move || {
                let mut generations = match generations {
                    Some(generations) => generations,
                    None => Generations::open(&database).map_err(|error| error.to_string())?,
                };
                if let Some(generation) = generations.raise().map_err(|error| error.to_string())? {
                    write_generation(&state, generation).map_err(|error| error.to_string())?;
                }
                Ok::<_, String>(generations)
            });
            generations = match raised.await {
                Ok(Ok(generations)) => Some(generations),
                Ok(Err(error)) => {
                    tracing::warn!(
                        error,
                        "the generation of the database cannot be raised; an older copy may not be recognised"
                    );
                    None
                }
                Err(error) => {
                    tracing::debug!(%error, "the generation was not raised");
                    None
                }
            };
            if stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(RAISED_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    })
}

/// Whether a file is a database that this agent can go on with.
pub fn usable(path: &Path) -> Result<upkeep::Facts, StoreError> {
    let facts = upkeep::look(path, Depth::Whole)?;
    match facts.complaints.first() {
        Some(complaint) => Err(StoreError::Damaged(complaint.clone())),
        None => Ok(facts),
    }
}

/// Takes from a copy what it knows of its own age, so that it counts as older than anything.
pub fn forget_generation(path: &Path) -> Result<(), StoreError> {
    upkeep::forget_generation(path)
}

/// Whatever database is here next, it is older than what was left.
pub fn expect_newer(places: &Places) -> io::Result<()> {
    write_generation(&places.state_dir, read_generation(&places.state_dir).unwrap_or(0).max(1))
}
