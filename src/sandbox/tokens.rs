//! Who may come in: access tokens, refresh tokens that work once, authorization codes.

use std::collections::HashMap;

use super::content::next_random;
use super::model::User;

/// The agent's user, for ever.
pub const ACCESS_TOKEN: &str = "sandbox-access-token";
/// The other user, for ever.
pub const OTHER_ACCESS_TOKEN: &str = "sandbox-other-token";

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

#[derive(Debug)]
pub(crate) struct Tokens {
    access: HashMap<String, (User, Option<i64>)>,
    /// The access token that dies when this refresh token is used, and its user.
    refresh: HashMap<String, (User, String)>,
    codes: HashMap<String, User>,
    random: u64,
}

impl Tokens {
    pub fn new(seed: u64) -> Self {
        let access = HashMap::from([
            (ACCESS_TOKEN.to_owned(), (User::Agent, None)),
            (OTHER_ACCESS_TOKEN.to_owned(), (User::Other, None)),
        ]);
        Self { access, refresh: HashMap::new(), codes: HashMap::new(), random: seed ^ 0x70_6b65_6e73 }
    }

    fn word(&mut self, kind: &str) -> String {
        format!("{kind}{:016x}{:016x}", next_random(&mut self.random), next_random(&mut self.random))
    }

    pub fn standing(&self, access: &str, now: i64) -> Standing {
        match self.access.get(access) {
            Some((user, end)) if end.is_none_or(|end| now < end) => Standing::Good(*user),
            Some(_) => Standing::Expired,
            None => Standing::Unknown,
        }
    }

    /// A token without a refresh token; `lifetime_s` of none lasts for ever.
    pub fn issue_access(&mut self, user: User, now: i64, lifetime_s: Option<u64>) -> String {
        let access = self.word("at");
        self.access.insert(access.clone(), (user, lifetime_s.map(|s| now + s as i64 * 1000)));
        access
    }

    pub fn issue_pair(&mut self, user: User, now: i64, lifetime_s: u64) -> TokenPair {
        let access_token = self.issue_access(user, now, Some(lifetime_s));
        let refresh_token = self.word("rt");
        self.refresh.insert(refresh_token.clone(), (user, access_token.clone()));
        TokenPair { access_token, refresh_token, expires_in: lifetime_s }
    }

    /// The next pair; the old refresh token and the old access token are dead from now on.
    pub fn rotate(&mut self, refresh: &str, now: i64, lifetime_s: u64) -> Option<TokenPair> {
        let (user, access) = self.refresh.remove(refresh)?;
        self.access.remove(&access);
        Some(self.issue_pair(user, now, lifetime_s))
    }

    pub fn issue_code(&mut self, user: User) -> String {
        let code = self.word("code");
        self.codes.insert(code.clone(), user);
        code
    }

    pub fn redeem_code(&mut self, code: &str, now: i64, lifetime_s: u64) -> Option<TokenPair> {
        let user = self.codes.remove(code)?;
        Some(self.issue_pair(user, now, lifetime_s))
    }

    /// Makes an access token look expired, as time would.
    pub fn expire(&mut self, access: &str) {
        if let Some((_, end)) = self.access.get_mut(access) {
            *end = Some(0);
        }
    }

    /// Kills a token of either kind, and with a refresh token its access token.
    pub fn revoke(&mut self, token: &str) {
        if let Some((_, access)) = self.refresh.remove(token) {
            self.access.remove(&access);
        }
        self.access.remove(token);
        self.refresh.retain(|_, (_, access)| access != token);
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
        assert_eq!(tokens.rotate(&first.refresh_token, 0, 10), None);
        assert_eq!(tokens.standing(&first.access_token, 0), Standing::Unknown);
        assert_eq!(tokens.standing(&second.access_token, 0), Standing::Good(User::Agent));
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
