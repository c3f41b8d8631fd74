//! The credentials file of one account: private, replaced whole, shared under a lock.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Gid, OFlags, Uid};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use zeroize::Zeroizing;

use sha2::{Digest, Sha256};

use super::credentials::{Algorithm, Credentials, JwtKey, ServerGrant, Subject};
use super::login::parse_login;
use crate::provider::{Identity, ProviderError, ProviderErrorKind, Result};
use crate::tree::Wall;

/// The largest credentials file that is read.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// The longest account name.
const MAX_NAME_BYTES: usize = 128;
/// How long another process may hold the lock: longer than its request to the token endpoint can take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(45);
/// Where the service manager puts the credentials of a unit.
const MANAGER_DIR: &str = "CREDENTIALS_DIRECTORY";
/// The names of the sign-ins among them begin with this; the account's name follows.
const MANAGER_PREFIX: &str = "account.";
/// How often the lock is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// The tokens that a renewal replaced.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The access token.
    pub access_token: SecretString,
    /// The refresh token.
    pub refresh_token: Option<SecretString>,
}

/// All that the file says.
#[derive(Debug, Clone)]
pub struct Stored {
    /// What to use.
    pub current: Credentials,
    /// What was used before, until `current` has worked once.
    pub previous: Option<Pair>,
    /// A request that spends the refresh token may have been sent at this time, with its answer never recorded.
    pub refreshing_since: Option<Wall>,
    /// The digest of the service manager's credential that the sign-in came from. Its secrets are not repeated here.
    pub source: Option<String>,
}

impl Stored {
    /// A new sign-in.
    pub fn of(current: Credentials) -> Self {
        Self { current, previous: None, refreshing_since: None, source: None }
    }
}

/// What a file looks like from outside; another one means that somebody changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    inode: u64,
    size: u64,
    changed_ns: (i64, i64),
}

/// Where one account's credentials are.
#[derive(Debug, Clone)]
pub struct CredentialFile {
    dir: PathBuf,
    account: String,
    /// What the service manager hands in for the account, where it does.
    handed_in: Option<PathBuf>,
}

/// The file as it is read.
#[derive(Deserialize)]
struct OwnedWire {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    expires_at: Option<jiff::Timestamp>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    refreshing_since: Option<jiff::Timestamp>,
    previous: Option<OwnedPair>,
    issued_at: Option<jiff::Timestamp>,
    grant: Option<OwnedGrant>,
    as_user: Option<String>,
    identity: Option<Identity>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct OwnedGrant {
    subject: String,
    key: Option<OwnedKey>,
}

#[derive(Deserialize)]
struct OwnedKey {
    key_id: String,
    private_key: SecretString,
    passphrase: Option<SecretString>,
    algorithm: String,
}

#[derive(Deserialize)]
struct OwnedPair {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
}

/// The file as it is written: the only place where a secret is turned into text, and straight into the file.
#[derive(Serialize)]
struct Wire<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refreshing_since: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<WirePair<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<WireGrant<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a Identity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

#[derive(Serialize)]
struct WireGrant<'a> {
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<WireKey<'a>>,
}

#[derive(Serialize)]
struct WireKey<'a> {
    key_id: &'a str,
    private_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    passphrase: Option<&'a str>,
    algorithm: &'static str,
}

#[derive(Serialize)]
struct WirePair<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

impl CredentialFile {
    /// The file of `account` in `dir`.
    pub fn new(dir: PathBuf, account: &str) -> Result<Self> {
        let plain = !account.is_empty()
            && account.len() <= MAX_NAME_BYTES
            && !account.starts_with('.')
            && !account.contains(['/', '\0']);
        if !plain {
            return Err(ProviderError::new(ProviderErrorKind::Local, "the account's name cannot be a file name"));
        }
        let handed_in =
            std::env::var_os(MANAGER_DIR).map(|dir| PathBuf::from(dir).join(format!("{MANAGER_PREFIX}{account}")));
        Ok(Self { dir, account: account.to_owned(), handed_in })
    }

    /// Whose credentials they are.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.account))
    }

    /// What it looks like now; nothing if it is not there.
    pub fn stamp(&self) -> Option<FileStamp> {
        let metadata = std::fs::symlink_metadata(self.path()).ok()?;
        Some(FileStamp {
            inode: metadata.ino(),
            size: metadata.len(),
            changed_ns: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Reads it. No file means that nobody signed in; a file that others may read is refused. What the service manager hands in counts
    /// before what the file says, except for the tokens that were bought with it.
    pub fn load(&self) -> Result<Stored> {
        let kept = self.load_kept()?;
        let Some((credentials, digest)) = self.load_handed_in()? else {
            return kept.ok_or_else(|| {
                ProviderError::new(ProviderErrorKind::SignInNeeded, "nobody has signed in to this account")
            });
        };
        Ok(match kept.filter(|kept| kept.source.as_ref() == Some(&digest)) {
            Some(kept) => Stored {
                current: Credentials {
                    client_id: credentials.client_id,
                    client_secret: credentials.client_secret,
                    grant: credentials.grant,
                    as_user: credentials.as_user,
                    ..kept.current
                },
                ..kept
            },
            None => Stored { source: Some(digest), ..Stored::of(credentials) },
        })
    }

    /// The sign-in among the unit's credentials.
    fn load_handed_in(&self) -> Result<Option<(Credentials, String)>> {
        let Some(path) = &self.handed_in else { return Ok(None) };
        let complain = |why: String| {
            ProviderError::new(ProviderErrorKind::Local, "the sign-in among the service's credentials cannot be used")
                .with_detail(why)
                .with("credential", path.display())
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(complain(error.to_string())),
        };
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|error| complain(error.to_string()))?;
        let login = parse_login(&text).map_err(|error| complain(error.to_string()))?;
        Ok(Some((login.credentials, crate::provider::auth::hex(&Sha256::digest(text.as_bytes())))))
    }

    fn load_kept(&self) -> Result<Option<Stored>> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(self.path());
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.trouble("read", &error)),
        };
        let metadata = file.metadata().map_err(|error| self.trouble("read", &error))?;
        if !metadata.is_file() || metadata.mode() & 0o077 != 0 {
            return Err(self.complain("must be a plain file that only its owner may read (chmod 600)"));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| self.trouble("read", &error))?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(self.complain("is too long to be right"));
        }
        parse(&text).map(Some).ok_or_else(|| self.complain("is damaged; sign in again"))
    }

    /// Replaces it whole: after a crash either the old or the new content is there, and after success the new one. The
    /// caller holds the lock.
    pub fn save(&self, stored: &Stored) -> Result<()> {
        self.write(&render(stored)).map_err(|error| self.trouble("write", &error))
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        let owner = self.ensure_dir()?;
        let staging = self.dir.join(format!(".{}.new", self.account));
        // Only who holds the lock writes, so what is there was left by a crash.
        match std::fs::remove_file(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut staged = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staging)?;
        staged.write_all(text)?;
        give_to(&staged, owner)?;
        staged.sync_all()?;
        std::fs::rename(&staging, self.path())?;
        File::open(&self.dir)?.sync_all()
    }

    /// Removes it; false if there was none.
    pub fn remove(&self) -> Result<bool> {
        let removed = match std::fs::remove_file(self.path()) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(self.trouble("remove", &error)),
        };
        if removed {
            File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(|error| self.trouble("remove", &error))?;
        }
        Ok(removed)
    }

    /// Takes the lock that every process takes before it renews or replaces the tokens. Dropping it gives it back.
    pub async fn lock(&self) -> Result<File> {
        let file = self.open_lock().map_err(|error| self.trouble("lock", &error))?;
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                    tokio::time::sleep(LOCK_INTERVAL).await;
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(self.complain("is locked by another process for too long"));
                }
                Err(std::fs::TryLockError::Error(error)) => return Err(self.trouble("lock", &error)),
            }
        }
    }

    fn open_lock(&self) -> io::Result<File> {
        let owner = self.ensure_dir()?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(self.dir.join(format!("{}.lock", self.account)))?;
        give_to(&lock, owner)?;
        Ok(lock)
    }

    /// Makes the directory if need be, and tells whose it is.
    fn ensure_dir(&self) -> io::Result<(u32, u32)> {
        if !self.dir.exists() {
            DirBuilder::new().mode(0o700).recursive(true).create(&self.dir)?;
            let above = std::fs::metadata(self.dir.parent().unwrap_or(Path::new("/")))?;
            give_to(&File::open(&self.dir)?, (above.uid(), above.gid()))?;
        }
        let metadata = std::fs::metadata(&self.dir)?;
        if !metadata.is_dir() || metadata.mode() & 0o077 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the credentials directory must be open to its owner only (chmod 700)",
            ));
        }
        Ok((metadata.uid(), metadata.gid()))
    }

    fn trouble(&self, verb: &str, error: &io::Error) -> ProviderError {
        ProviderError::new(ProviderErrorKind::Local, format!("cannot {verb} the credentials file"))
            .with_detail(error.to_string())
            .with("file", self.path().display())
    }

    fn complain(&self, what: &str) -> ProviderError {
        ProviderError::new(ProviderErrorKind::Local, format!("the credentials file {what}"))
            .with("file", self.path().display())
    }
}

/// What root writes belongs to the owner of the directory, so that the service can read it.
fn give_to(file: &File, (uid, gid): (u32, u32)) -> io::Result<()> {
    if rustix::process::geteuid().is_root() && uid != 0 {
        rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(())
}

fn parse(text: &str) -> Option<Stored> {
    let wire: OwnedWire = serde_json::from_str(text).ok()?;
    let grant = match wire.grant {
        Some(grant) => Some(parse_grant(grant)?),
        None => None,
    };
    Some(Stored {
        current: Credentials {
            access_token: wire.access_token,
            refresh_token: wire.refresh_token,
            issued_at: wire.issued_at.map(wall),
            expires_at: wire.expires_at.map(wall),
            client_id: wire.client_id,
            client_secret: wire.client_secret,
            grant,
            as_user: wire.as_user,
            identity: wire.identity,
        },
        previous: wire.previous.map(|pair| Pair { access_token: pair.access_token, refresh_token: pair.refresh_token }),
        refreshing_since: wire.refreshing_since.map(wall),
        source: wire.source,
    })
}

fn parse_grant(grant: OwnedGrant) -> Option<ServerGrant> {
    let subject = Subject::parse(&grant.subject)?;
    let Some(key) = grant.key else { return Some(ServerGrant::ClientCredentials(subject)) };
    let algorithm = Algorithm::parse(&key.algorithm)?;
    let OwnedKey { key_id, private_key, passphrase, .. } = key;
    Some(ServerGrant::Jwt(subject, JwtKey { key_id, private_key, passphrase, algorithm }))
}

fn render(stored: &Stored) -> Zeroizing<Vec<u8>> {
    let current = &stored.current;
    // What the service manager hands in each time is not written down a second time.
    let is_ours = stored.source.is_none();
    let wire = Wire {
        access_token: current.access_token.expose_secret(),
        refresh_token: current.refresh_token.as_ref().map(ExposeSecret::expose_secret),
        expires_at: current.expires_at.and_then(timestamp),
        client_id: current.client_id.as_deref(),
        client_secret: current.client_secret.as_ref().filter(|_| is_ours).map(ExposeSecret::expose_secret),
        refreshing_since: stored.refreshing_since.and_then(timestamp),
        previous: stored.previous.as_ref().map(|pair| WirePair {
            access_token: pair.access_token.expose_secret(),
            refresh_token: pair.refresh_token.as_ref().map(ExposeSecret::expose_secret),
        }),
        issued_at: current.issued_at.and_then(timestamp),
        grant: current.grant.as_ref().filter(|_| is_ours).map(render_grant),
        as_user: current.as_user.as_deref(),
        identity: current.identity.as_ref(),
        source: stored.source.as_deref(),
    };
    let mut text = Zeroizing::new(serde_json::to_vec_pretty(&wire).unwrap_or_default());
    text.push(b'\n');
    text
}

fn render_grant(grant: &ServerGrant) -> WireGrant<'_> {
    let (subject, key) = match grant {
        ServerGrant::ClientCredentials(subject) => (subject, None),
        ServerGrant::Jwt(subject, key) => (subject, Some(key)),
    };
    WireGrant {
        subject: format!("{}:{}", subject.kind(), subject.id()),
        key: key.map(|key| WireKey {
            key_id: &key.key_id,
            private_key: key.private_key.expose_secret(),
            passphrase: key.passphrase.as_ref().map(ExposeSecret::expose_secret),
            algorithm: key.algorithm.word(),
        }),
    }
}

fn wall(timestamp: jiff::Timestamp) -> Wall {
    Wall(timestamp.as_millisecond())
}

fn timestamp(wall: Wall) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(wall.0).ok()
}
