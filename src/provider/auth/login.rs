//! What the command line does with tokens: take them in, put them away, give them back.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::credentials::{Algorithm, App, Credentials, JwtKey, ServerGrant, Subject};
use super::file::{CredentialFile, Stored};
use super::{blocking, endpoint, jwt, now, revoke_url};
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
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    as_user: Option<String>,
}

/// The file that Box's console downloads, as it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BoxFile {
    box_app_settings: BoxAppSettings,
    #[serde(rename = "enterpriseID")]
    enterprise_id: Option<String>,
    /// Ours: another subject than the enterprise.
    subject: Option<String>,
    #[serde(rename = "as_user")]
    as_user: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BoxAppSettings {
    #[serde(rename = "clientID")]
    client_id: String,
    client_secret: Option<SecretString>,
    app_auth: Option<BoxAppAuth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BoxAppAuth {
    #[serde(rename = "publicKeyID")]
    public_key_id: String,
    private_key: SecretString,
    passphrase: Option<SecretString>,
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

/// Reads what was given on standard input: a bare access token, or JSON with `access_token`, `refresh_token`, `expires_at` (or
/// `expires_in`), `client_id` and `client_secret`; with `subject` in place of tokens the application signs in by itself. Box's own
/// file with a private key is taken too.
pub fn parse_login(text: &str) -> Result<Login> {
    let text = text.trim();
    if !text.starts_with('{') {
        let credentials = Credentials::bearer(checked(SecretString::from(text))?);
        let warning = "a bare access token cannot be renewed: when it ends (Box: after about an hour) the account needs \
                       a new sign-in";
        return Ok(Login { credentials, warning: Some(warning.to_owned()) });
    }
    if text.contains("\"boxAppSettings\"") {
        let credentials = parse_jwt(text, None, Algorithm::default(), None)?;
        return Ok(Login { credentials, warning: None });
    }
    let json: LoginJson = serde_json::from_str(text)
        // The parser's own words may quote the input.
        .map_err(|error| bad("the input is not the JSON that is expected").with("line", error.line()))?;
    let client_secret = json.client_secret.map(trimmed).transpose()?;
    let refresh_token = json.refresh_token.map(checked).transpose()?;
    let grant = json.subject.map(|subject| subject_of(&subject).map(ServerGrant::ClientCredentials)).transpose()?;
    if grant.is_some() && (json.client_id.is_none() || client_secret.is_none()) {
        return Err(bad("an application that signs in by itself needs client_id and client_secret"));
    }
    let access_token = match json.access_token {
        Some(token) => checked(token)?,
        None if refresh_token.is_some() || grant.is_some() => SecretString::from(""),
        None => return Err(bad("access_token is missing")),
    };
    let expires_at = match (&json.expires_at, json.expires_in) {
        (Some(moment), _) => Some(moment.wall()?),
        (None, Some(seconds)) => Some(now().plus_ms((seconds * 1000.0) as i64)),
        (None, None) => None,
    };
    let warning = match (&refresh_token, &json.client_id, &client_secret) {
        _ if grant.is_some() => None,
        (None, ..) => Some("without a refresh_token the account needs a new sign-in when the access token ends"),
        (Some(_), Some(_), Some(_)) => None,
        (Some(_), ..) => Some("most providers renew tokens only with client_id and client_secret, which are not given"),
    };
    let credentials = Credentials {
        refresh_token,
        expires_at,
        client_id: json.client_id.map(|id| id.trim().to_owned()),
        client_secret,
        grant,
        as_user: json.as_user.map(|user| user_id(&user)).transpose()?,
        ..Credentials::bearer(access_token)
    };
    Ok(Login { credentials, warning: warning.map(str::to_owned) })
}

/// Reads the file with a private key that Box's console downloads. `subject` and `passphrase` count before what it says.
pub fn parse_jwt(
    text: &str,
    subject: Option<Subject>,
    algorithm: Algorithm,
    passphrase: Option<SecretString>,
) -> Result<Credentials> {
    let file: BoxFile = serde_json::from_str(text.trim()).map_err(|error| {
        let message = if error.is_eof() {
            "the file ends in the middle: it was not downloaded whole"
        } else {
            "the file is not the JSON that Box's console downloads"
        };
        bad(message).with("line", error.line())
    })?;
    let auth = file.box_app_settings.app_auth.ok_or_else(|| {
        bad("the file holds no private key: the app signs in with client credentials, or the key is yet to be generated")
    })?;
    let written = file.subject.as_deref().map(subject_of).transpose()?;
    let enterprise = file.enterprise_id.filter(|id| !id.is_empty() && id != "0").map(Subject::Enterprise);
    let subject = subject.or(written).or(enterprise).ok_or_else(|| {
        bad("the file names no enterprise; say in whose name the app acts: --subject enterprise:ID or user:ID")
    })?;
    let key = JwtKey {
        key_id: auth.public_key_id,
        private_key: auth.private_key,
        passphrase: passphrase.or(auth.passphrase),
        algorithm,
    };
    // Opened once, so that a wrong passphrase is told here.
    jwt::open(&key)?;
    let app = App {
        client_id: file.box_app_settings.client_id,
        client_secret: file.box_app_settings.client_secret.map(trimmed).transpose()?,
    };
    let mut credentials = Credentials::of_app(app);
    credentials.grant = Some(ServerGrant::Jwt(subject, key));
    credentials.as_user = file.as_user.map(|user| user_id(&user)).transpose()?;
    Ok(credentials)
}

/// Reads an application's id and secret: JSON with `client_id` and `client_secret`, Box's own file, or two lines. With it comes the
/// enterprise, where the file names one.
pub fn parse_app(text: &str) -> Result<(App, Option<Subject>)> {
    let text = text.trim();
    if !text.starts_with('{') {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let (id, secret) = match lines[..] {
            [id] => (id, None),
            [id, secret] => (id, Some(trimmed(SecretString::from(secret))?)),
            _ => {
                return Err(bad(
                    "an app is two lines, its client id and its client secret, or JSON with client_id and client_secret",
                ));
            }
        };
        return Ok((App { client_id: client_id(id)?, client_secret: secret }, None));
    }
    let unreadable = |error: serde_json::Error| {
        let message = if error.is_eof() {
            "the app's JSON ends in the middle"
        } else {
            "the app is not the JSON that is expected"
        };
        bad(message).with("line", error.line())
    };
    if text.contains("\"boxAppSettings\"") {
        let file: BoxFile = serde_json::from_str(text).map_err(unreadable)?;
        let settings = file.box_app_settings;
        let secret = settings.client_secret.map(trimmed).transpose()?;
        let enterprise = file.enterprise_id.filter(|id| !id.is_empty() && id != "0").map(Subject::Enterprise);
        return Ok((App { client_id: client_id(&settings.client_id)?, client_secret: secret }, enterprise));
    }
    let json: LoginJson = serde_json::from_str(text).map_err(unreadable)?;
    let id = json.client_id.ok_or_else(|| bad("client_id is missing"))?;
    let subject = json.subject.as_deref().map(subject_of).transpose()?;
    Ok((App { client_id: client_id(&id)?, client_secret: json.client_secret.map(trimmed).transpose()? }, subject))
}

/// An application's id without the line break that editors and `echo` add.
fn client_id(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("the client id is empty or holds odd characters"));
    }
    Ok(text.to_owned())
}

/// A secret without the line break that editors and `echo` add.
fn trimmed(secret: SecretString) -> Result<SecretString> {
    let text = secret.expose_secret().trim();
    if text.is_empty() {
        return Err(bad("the client secret is empty"));
    }
    if text.len() > MAX_TOKEN_BYTES || text.contains(|letter: char| letter.is_control()) {
        return Err(bad("the client secret holds line breaks or other odd characters"));
    }
    Ok(text.into())
}

fn subject_of(text: &str) -> Result<Subject> {
    Subject::parse(text).ok_or_else(|| bad("the subject must be enterprise:ID or user:ID"))
}

/// A user's id as a header may carry it.
pub fn user_id(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(bad("the id of the user to act for must be letters and digits"));
    }
    Ok(text.to_owned())
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
    let stored = Stored::of(credentials);
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
