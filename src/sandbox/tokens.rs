//! Who may come in: access tokens, refresh tokens that work once, authorization codes.
//!
//! A refresh token that was spent still buys another pair as long as nobody has used the one that it bought: the answer may have been
//! lost. What it bought before is worth nothing then.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::apps::{App, Apps};
use super::content::next_random;
use super::model::User;

/// The agent's user, for ever.
pub const ACCESS_TOKEN: &str = "sandbox-access-token";
/// The other user, for ever.
pub const OTHER_ACCESS_TOKEN: &str = "sandbox-other-token";
/// The password of both.
pub const PASSWORD: &str = "correct horse battery";
/// How long an authorization code is good.
const CODE_LIFETIME_MS: i64 = 30_000;

/// An access token with the refresh token that renews it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// Sent as the bearer.
    pub access_token: String,
    /// Good for one use.
    pub refresh_token: String,
    /// Seconds until the access token dies.
    pub expires_in: u64,
}

/// What is known of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good(User),
    Expired,
    Unknown,
}

/// What a request to the authorization page asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub client_id: String,
    pub redirect_uri: String,
    /// The digest of the verifier that will come with the code.
    pub challenge: Option<String>,
}

#[derive(Debug)]
struct Code {
    user: User,
    asked: Asked,
    issued: i64,
}

#[derive(Debug)]
struct Access {
    user: User,
    end: Option<i64>,
    app: Option<String>,
}

#[derive(Debug)]
struct Refresh {
    user: User,
    app: Option<String>,
    /// The access token that dies when this one is used.
    access: String,
}

/// A pair whose answer may have been lost: what bought it is still good.
#[derive(Debug)]
struct Grace {
    spent: String,
    user: User,
    app: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Tokens {
    pub apps: Apps,
    /// By how much the service's clock is ahead of this machine's, in milliseconds.
    pub skew_ms: i64,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    /// By the refresh token that was bought.
    grace: HashMap<String, Grace>,
    /// All refresh tokens that were ever spent.
    spent: HashSet<String>,
    codes: HashMap<String, Code>,
    random: u64,
}

impl Tokens {
    pub fn new(seed: u64) -> Self {
        let forever = |user| Access { user, end: None, app: None };
        Self {
            apps: Apps::default(),
            skew_ms: 0,
            access: HashMap::from([
                (ACCESS_TOKEN.to_owned(), forever(User::Agent)),
                (OTHER_ACCESS_TOKEN.to_owned(), forever(User::Other)),
            ]),
            refresh: HashMap::new(),
            grace: HashMap::new(),
            spent: HashSet::new(),
            codes: HashMap::new(),
            random: seed ^ 0x70_6b65_6e73,
        }
    }

    fn word(&mut self, kind: &str) -> String {
        format!("{kind}{:016x}{:016x}", next_random(&mut self.random), next_random(&mut self.random))
    }

    /// What a token is worth. A pair that is used was not lost on its way.
    pub fn standing(&mut self, access: &str, now: i64) -> Standing {
        let standing = match self.access.get(access) {
            Some(known) if known.end.is_none_or(|end| now < end) => Standing::Good(known.user),
            Some(_) => Standing::Expired,
            None => Standing::Unknown,
        };
        if matches!(standing, Standing::Good(_)) && !self.grace.is_empty() {
            let refresh = &self.refresh;
            self.grace.retain(|bought, _| refresh.get(bought).is_some_and(|pair| pair.access != access));
        }
        standing
    }

    /// The application that a token was issued to, where that is known.
    pub fn app_of(&self, access: &str) -> Option<&App> {
        self.apps.get(self.access.get(access)?.app.as_deref()?)
    }

    /// A token without a refresh token; `lifetime_s` of none lasts for ever.
    pub fn issue_access(&mut self, user: User, now: i64, lifetime_s: Option<u64>) -> String {
        self.issue_access_to(user, None, now, lifetime_s)
    }

    /// The same for an application.
    pub fn issue_access_to(&mut self, user: User, app: Option<String>, now: i64, lifetime_s: Option<u64>) -> String {
        let access = self.word("at");
        let end = lifetime_s.map(|s| now + s as i64 * 1000);
        self.access.insert(access.clone(), Access { user, end, app });
        access
    }

    pub fn issue_pair(&mut self, user: User, now: i64, lifetime_s: u64) -> TokenPair {
        self.issue_pair_to(user, None, now, lifetime_s)
    }

    /// The same for an application.
    pub fn issue_pair_to(&mut self, user: User, app: Option<String>, now: i64, lifetime_s: u64) -> TokenPair {
        let access_token = self.issue_access_to(user, app.clone(), now, Some(lifetime_s));
        let refresh_token = self.word("rt");
        self.refresh.insert(refresh_token.clone(), Refresh { user, app, access: access_token.clone() });
        TokenPair { access_token, refresh_token, expires_in: lifetime_s }
    }

    /// The next pair; the old refresh token and the old access token are dead from now on.
    pub fn rotate(&mut self, refresh: &str, now: i64, lifetime_s: u64) -> Option<TokenPair> {
        let (user, app) = if let Some(known) = self.refresh.remove(refresh) {
            self.access.remove(&known.access);
            // Whoever spends it has received it.
            self.grace.remove(refresh);
            (known.user, known.app)
        } else {
            let bought = self.grace.iter().find(|(_, grace)| grace.spent == refresh)?.0.clone();
            let grace = self.grace.remove(&bought)?;
            if let Some(lost) = self.refresh.remove(&bought) {
                self.access.remove(&lost.access);
            }
            (grace.user, grace.app)
        };
        let pair = self.issue_pair_to(user, app.clone(), now, lifetime_s);
        self.spent.insert(refresh.to_owned());
        self.grace.insert(pair.refresh_token.clone(), Grace { spent: refresh.to_owned(), user, app });
        Some(pair)
    }

    /// Whether this refresh token was spent before.
    pub fn was_spent(&self, refresh: &str) -> bool {
        self.spent.contains(refresh)
    }

    pub fn issue_code(&mut self, user: User, asked: Asked, now: i64) -> String {
        let code = self.word("code");
        self.codes.insert(code.clone(), Code { user, asked, issued: now });
        code
    }

    /// The pair that a code buys, once, within its time, for who asked for it. Where no application is registered nobody looks at whose it is.
    pub fn redeem_code(
        &mut self,
        code: &str,
        (client_id, redirect_uri, verifier): (Option<&str>, Option<&str>, Option<&str>),
        now: i64,
        lifetime_s: u64,
    ) -> Result<TokenPair, &'static str> {
        let stale = "The authorization code has expired";
        let known = self.codes.remove(code).ok_or(stale)?;
        if now - known.issued > CODE_LIFETIME_MS {
            return Err(stale);
        }
        let challenge = verifier.map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())));
        if known.asked.challenge.is_some() && known.asked.challenge != challenge {
            return Err("The code verifier does not match the code challenge");
        }
        if !self.apps.are_checked() {
            return Ok(self.issue_pair(known.user, now, lifetime_s));
        }
        if client_id != Some(&known.asked.client_id) {
            return Err("The authorization code was issued to another client");
        }
        if redirect_uri != Some(&known.asked.redirect_uri) {
            return Err("The redirect_uri does not match");
        }
        Ok(self.issue_pair_to(known.user, Some(known.asked.client_id), now, lifetime_s))
    }

    /// Makes an access token look expired, as time would.
    pub fn expire(&mut self, access: &str) {
        if let Some(known) = self.access.get_mut(access) {
            known.end = Some(0);
        }
    }

    /// Makes every code look expired, as time would.
    pub fn expire_codes(&mut self) {
        for code in self.codes.values_mut() {
            code.issued = i64::MIN / 2;
        }
    }

    /// Kills a token of either kind, and with a refresh token its access token. False if there was none.
    pub fn revoke(&mut self, token: &str) -> bool {
        let mut known = false;
        if let Some(pair) = self.refresh.remove(token) {
            self.access.remove(&pair.access);
            known = true;
        }
        known |= self.access.remove(token).is_some();
        self.refresh.retain(|_, pair| pair.access != token);
        let refresh = &self.refresh;
        self.grace.retain(|bought, grace| refresh.contains_key(bought) && grace.spent != token);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_works_once_and_kills_the_old_access_token() {
        let mut tokens = Tokens::new(1);
        let first = tokens.issue_pair(User::Agent, 0, 10);
        assert_eq!(tokens.standing(&first.access_token, 9_999), Standing::Good(User::Agent));
        assert_eq!(tokens.standing(&first.access_token, 10_000), Standing::Expired);
        let second = tokens.rotate(&first.refresh_token, 0, 10).unwrap();
        assert_eq!(tokens.standing(&first.access_token, 0), Standing::Unknown);
        assert_eq!(tokens.standing(&second.access_token, 0), Standing::Good(User::Agent));
        assert_eq!(tokens.rotate(&first.refresh_token, 0, 10), None, "its pair has been used");
    }

    #[test]
    fn a_spent_refresh_token_makes_good_for_a_lost_answer() {
        let mut tokens = Tokens::new(1);
        let first = tokens.issue_pair(User::Agent, 0, 10);
        let lost = tokens.rotate(&first.refresh_token, 0, 10).unwrap();
        let again = tokens.rotate(&first.refresh_token, 0, 10).unwrap();
        assert_eq!(tokens.standing(&lost.access_token, 0), Standing::Unknown, "one of the two pairs is good");
        assert_eq!(tokens.rotate(&lost.refresh_token, 0, 10), None);
        let third = tokens.rotate(&again.refresh_token, 0, 10).unwrap();
        assert_eq!(tokens.rotate(&first.refresh_token, 0, 10), None, "its pair has been used");
        assert!(tokens.rotate(&third.refresh_token, 0, 10).is_some());
    }

    #[test]
    fn a_code_is_good_once_for_who_asked_in_time() {
        let mut tokens = Tokens::new(1);
        tokens.apps.register(App::default());
        let asked =
            Asked { client_id: "app".into(), redirect_uri: "http://127.0.0.1:1/callback".into(), challenge: None };
        let right = (Some("app"), Some("http://127.0.0.1:1/callback"), None);
        let issue = |tokens: &mut Tokens| tokens.issue_code(User::Agent, asked.clone(), 0);
        let code = issue(&mut tokens);
        assert!(tokens.redeem_code(&code, right, 30_000, 10).is_ok());
        assert!(tokens.redeem_code(&code, right, 0, 10).is_err(), "once");
        let code = issue(&mut tokens);
        assert!(tokens.redeem_code(&code, right, 30_001, 10).is_err(), "late");
        let code = issue(&mut tokens);
        assert!(tokens.redeem_code(&code, (Some("other"), right.1, None), 0, 10).is_err());
        let code = issue(&mut tokens);
        assert!(tokens.redeem_code(&code, (right.0, Some("http://127.0.0.1:2/callback"), None), 0, 10).is_err());
    }

    #[test]
    fn revoking_either_half_kills_the_pair() {
        let mut tokens = Tokens::new(1);
        let by_refresh = tokens.issue_pair(User::Agent, 0, 10);
        tokens.revoke(&by_refresh.refresh_token);
        assert_eq!(tokens.standing(&by_refresh.access_token, 0), Standing::Unknown);
        let by_access = tokens.issue_pair(User::Agent, 0, 10);
        tokens.revoke(&by_access.access_token);
        assert_eq!(tokens.rotate(&by_access.refresh_token, 0, 10), None);
    }
}
