//! Who may look at the page: links that work once, and the sessions that they open. All of it in memory, and only as digests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// How long a link works.
const LINK_LIVES: Duration = Duration::from_mins(5);
/// Links that wait to be used; the oldest is forgotten for one more.
const LINKS_MOST: usize = 32;
/// A session ends when nobody asked for anything for this long.
const IDLE: Duration = Duration::from_hours(2);
/// A session ends after this time whatever happens.
const SESSION_LIVES: Duration = Duration::from_hours(12);
/// Sessions at one time; the one that was idle longest is ended for one more.
const SESSIONS_MOST: usize = 64;
const TOKEN_BYTES: usize = 32;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Look.
    Looks,
    /// Look and change.
    Changes,
}

/// An open session, as a request sees it.
#[derive(Debug, Clone)]
pub struct Session {
    /// What it is known by here.
    pub key: Key,
    /// What it may do.
    pub role: Role,
    /// What every form of it must bring along.
    pub csrf: String,
}

/// The digest of a token.
pub type Key = [u8; 32];

struct Link {
    role: Role,
    made: Instant,
}

struct Open {
    role: Role,
    csrf: String,
    began: Instant,
    used: Instant,
    said: Option<Said>,
}

/// What became of a form, told on the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// It went well.
    pub good: bool,
    /// In a sentence.
    pub text: String,
}

/// The links and sessions there are.
#[derive(Default)]
pub struct Sessions {
    links: Mutex<HashMap<Key, Link>>,
    open: Mutex<HashMap<Key, Open>>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions(…)")
    }
}

/// A token that nobody can guess; nothing if the system has no randomness.
pub fn token() -> Option<String> {
    let mut bytes = [0; TOKEN_BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(BASE64.encode(bytes))
}

/// What a token is known by.
pub fn key(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// A link's token.
    pub fn link(&self, role: Role) -> Option<String> {
        let token = token()?;
        let mut links = locked(&self.links);
        links.retain(|_, link| link.made.elapsed() < LINK_LIVES);
        if links.len() >= LINKS_MOST
            && let Some(oldest) = links.iter().min_by_key(|(_, link)| link.made).map(|(key, _)| *key)
        {
            links.remove(&oldest);
        }
        links.insert(key(&token), Link { role, made: Instant::now() });
        Some(token)
    }

    /// Uses a link up: the token of the session that it opens.
    pub fn enter(&self, token: &str) -> Option<String> {
        let link = locked(&self.links).remove(&key(token))?;
        if link.made.elapsed() >= LINK_LIVES {
            return None;
        }
        self.open(link.role)
    }

    /// Opens a session.
    pub fn open(&self, role: Role) -> Option<String> {
        let (token, csrf) = (token()?, self::token()?);
        let mut open = locked(&self.open);
        open.retain(|_, session| session.is_alive());
        if open.len() >= SESSIONS_MOST
            && let Some(idle) = open.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
        {
            open.remove(&idle);
        }
        let now = Instant::now();
        open.insert(key(&token), Open { role, csrf, began: now, used: now, said: None });
        Some(token)
    }

    /// The session of a token.
    pub fn find(&self, token: &str) -> Option<Session> {
        let key = key(token);
        let mut open = locked(&self.open);
        let session = open.get_mut(&key).filter(|session| session.is_alive())?;
        session.used = Instant::now();
        Some(Session { key, role: session.role, csrf: session.csrf.clone() })
    }

    /// Ends a session.
    pub fn close(&self, key: &Key) {
        locked(&self.open).remove(key);
    }

    /// Whether somebody may still come back, or a link waits.
    pub fn are_awaited(&self) -> bool {
        locked(&self.links).values().any(|link| link.made.elapsed() < LINK_LIVES)
            || locked(&self.open).values().any(Open::is_alive)
    }

    /// Whether a session is open, for what runs longer than a request.
    pub fn is_open(&self, key: &Key) -> bool {
        locked(&self.open).get(key).is_some_and(Open::is_alive)
    }

    /// Has something told on the session's next page.
    pub fn say(&self, key: &Key, said: Said) {
        if let Some(session) = locked(&self.open).get_mut(key) {
            session.said = Some(said);
        }
    }

    /// What is to be told, once.
    pub fn said(&self, key: &Key) -> Option<Said> {
        locked(&self.open).get_mut(key)?.said.take()
    }
}

impl Open {
    fn is_alive(&self) -> bool {
        self.began.elapsed() < SESSION_LIVES && self.used.elapsed() < IDLE
    }
}

/// Whether two texts are the same, in a time that does not say where they differ.
pub fn same(one: &str, other: &str) -> bool {
    let differing = key(one).iter().zip(key(other)).fold(0, |all, (one, other)| all | (one ^ other));
    differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_works_once_and_sessions_are_bounded() {
        let sessions = Sessions::default();
        let link = sessions.link(Role::Looks).unwrap();
        let first = sessions.enter(&link).unwrap();
        assert_eq!(sessions.enter(&link), None, "once");
        assert_eq!(sessions.find(&first).unwrap().role, Role::Looks);
        for _ in 0..LINKS_MOST * 3 {
            sessions.link(Role::Changes).unwrap();
        }
        assert_eq!(locked(&sessions.links).len(), LINKS_MOST);
        for _ in 0..SESSIONS_MOST * 2 {
            sessions.open(Role::Changes).unwrap();
        }
        assert_eq!(locked(&sessions.open).len(), SESSIONS_MOST);
        assert!(sessions.find(&first).is_none() && sessions.find("").is_none());
        assert!(same("a", "a") && !same("a", "b") && !same("", "a"));
    }
}
