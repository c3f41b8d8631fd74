//! What the command line does with tokens: take them in, put them away, give them back.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::file::{CredentialFile, Stored};
use super::{Credentials, blocking, endpoint, now, revoke_url};
use crate::provider::http::{Http, HttpOptions};
use crate::provider::{ProviderError, ProviderErrorKind, Result};
use crate::settings::AccountSettings;
use crate::tree::Wall;

/// The longest token that is taken.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Seconds beyond this are taken for milliseconds: the year 5138.
const MAX_EPOCH_SECONDS: f64 = 1e11;

/// Tokens as somebody handed them in, and what to tell them.
#[derive(Debug)]
pub struct Login {
    /// The tokens.
    pub credentials: Credentials,
    /// What they should know, in one sentence.
    pub warning: Option<String>,
}

#[derive(Deserialize)]
struct LoginJson {
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    refresh_token: Option<SecretString>,
    #[serde(default)]
    expires_at: Option<Moment>,
    #[serde(default)]
    expires_in: Option<f64>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    client_secret: Option<SecretString>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Number(f64),
    Text(String),
}

impl Moment {
    fn wall(&self) -> Result<Wall> {
        let millis = match self {
            Self::Number(number) if number.is_finite() && *number > MAX_EPOCH_SECONDS => Some(*number as i64),
            Self::Number(number) if number.is_finite() => Some((number * 1000.0) as i64),
            Self::Number(_) => None,
            Self::Text(text) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
        };
        millis.map(Wall).ok_or_else(|| bad("expires_at must be seconds since 1970 or a time like 2026-01-31T12:00:00Z"))
    }
}

/// Reads what was given on standard input: a bare access token, or JSON with `access_token`, `refresh_token`,
/// `expires_at` (or `expires_in`), `client_id` and `client_secret`.
pub fn parse_login(text: &str) -> Result<Login> {
    let text = text.trim();
    if !text.starts_with('{') {
        let credentials = Credentials {
            access_token: checked(SecretString::from(text))?,
            refresh_token: None,
            expires_at: None,
            client_id: None,
            client_secret: None,
        };
        let warning = "a bare access token cannot be renewed: when it ends (Box: after about an hour) the account needs \
                       a new sign-in";
        return Ok(Login { credentials, warning: Some(warning.to_owned()) });
    }
    let json: LoginJson = serde_json::from_str(text)
        // The parser's own words may quote the input.
        .map_err(|error| bad("the input is not the JSON that is expected").with("line", error.line()))?;
    let refresh_token = json.refresh_token.map(checked).transpose()?;
    let access_token = match json.access_token {
        Some(token) => checked(token)?,
        None if refresh_token.is_some() => SecretString::from(""),
        None => return Err(bad("access_token is missing")),
    };
    let expires_at = match (&json.expires_at, json.expires_in) {
        (Some(moment), _) => Some(moment.wall()?),
        (None, Some(seconds)) => Some(now().plus_ms((seconds * 1000.0) as i64)),
        (None, None) => None,
    };
    let warning = match (&refresh_token, &json.client_id, &json.client_secret) {
        (None, ..) => Some("without a refresh_token the account needs a new sign-in when the access token ends"),
        (Some(_), Some(_), Some(_)) => None,
        (Some(_), ..) => Some("most providers renew tokens only with client_id and client_secret, which are not given"),
    };
    let credentials = Credentials {
        access_token,
        refresh_token,
        expires_at,
        client_id: json.client_id,
        client_secret: json.client_secret,
    };
    Ok(Login { credentials, warning: warning.map(str::to_owned) })
}

fn checked(token: SecretString) -> Result<SecretString> {
    let text = token.expose_secret();
    if text.is_empty() {
        return Err(bad("the token is empty"));
    }
    if text.len() > MAX_TOKEN_BYTES {
        return Err(bad("the token is too long"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("the token holds spaces, line breaks or other odd characters"));
    }
    Ok(token)
}

fn bad(message: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Refused, message)
}

/// Puts a sign-in away. A running agent finds it by itself.
pub async fn save_login(dir: PathBuf, account: &str, credentials: Credentials) -> Result<()> {
    let file = CredentialFile::new(dir, account)?;
    let _lock = file.lock().await?;
    let stored = Stored { current: credentials, previous: None, refreshing_since: None };
    blocking(move || file.save(&stored)).await
}

/// Removes an account's credentials from this machine; false if there were none.
pub async fn remove(dir: PathBuf, account: &str) -> Result<bool> {
    let file = CredentialFile::new(dir, account)?;
    let _lock = file.lock().await?;
    blocking(move || file.remove()).await
}

/// Tells the provider that an account's tokens are not to be honoured any more.
pub async fn revoke(settings: &AccountSettings, dir: PathBuf) -> Result<()> {
    let file = CredentialFile::new(dir, &settings.name)?;
    let url = revoke_url(settings)?;
    let _lock = file.lock().await?;
    let stored = blocking(move || file.load()).await?;
    let http = Arc::new(Http::new(HttpOptions::of(settings)));
    endpoint::revoke(&http, &url, &stored.current).await
}
