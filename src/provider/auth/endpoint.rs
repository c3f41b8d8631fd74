//! The requests of a token endpoint: buy a token, renew it, give it back.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::DATE;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::credentials::{Credentials, ServerGrant};
use super::{jwt, now};
use crate::provider::http::{self, Http, body, check_origin, read_capped, retry_after};
use crate::provider::{ProviderError, ProviderErrorKind, Result};
use crate::settings::{AccountSettings, ProviderName};
use crate::tree::Wall;

/// How long a token request may take in all.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer of a token endpoint.
const MAX_TOKEN_ANSWER_BYTES: usize = 256 * 1024;
const BOX_API_ORIGIN: &str = "https://api.box.com";
/// Whom a statement is for, wherever it is sent.
const BOX_AUDIENCE: &str = "https://api.box.com/oauth2/token";
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Our clock is not blamed for a refusal if it differs from the server's by less.
const CLOCK_TOLERANCE_MS: i64 = 5_000;

/// What a token endpoint granted.
pub(super) struct Grant {
    pub access_token: SecretString,
    pub refresh_token: Option<SecretString>,
    pub lifetime: Option<Duration>,
}

/// Why it granted nothing.
pub(super) enum GrantError {
    /// What was shown is not accepted, and will not be.
    Refused(Refused),
    /// Anything else: it may work later.
    Other(ProviderError),
}

/// A refusal in the provider's words.
#[derive(Debug, Clone, Default)]
pub(super) struct Refused {
    /// The status.
    pub status: u16,
    /// The error's code, such as `invalid_grant`.
    pub code: String,
    /// The sentence that came with it.
    pub description: String,
    /// The provider's clock.
    pub date: Option<Wall>,
}

impl Refused {
    /// All of it, on one line.
    pub fn detail(&self) -> String {
        format!("{} {} {}", self.status, self.code, self.description).trim_end().to_owned()
    }
}

/// The status that an answer of a token endpoint had, if there was one that says something.
pub(super) fn status_of(granted: &std::result::Result<Grant, GrantError>) -> Option<u16> {
    match granted {
        Ok(_) => Some(200),
        Err(GrantError::Refused(refused)) => Some(refused.status),
        Err(GrantError::Other(_)) => None,
    }
}

impl From<ProviderError> for GrantError {
    fn from(error: ProviderError) -> Self {
        Self::Other(error)
    }
}

#[derive(Deserialize)]
struct GrantBody {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    expires_in: Option<f64>,
}

#[derive(Deserialize, Default)]
struct ErrorBody {
    error: Option<String>,
    error_description: Option<String>,
}

/// Where an account's tokens are renewed.
pub fn token_url(settings: &AccountSettings) -> Result<Url> {
    let path = match settings.provider {
        ProviderName::Box => "/oauth2/token",
        ProviderName::Egnyte => "/puboauth/token",
    };
    Ok(http::below(&origin(settings)?, path))
}

/// Where an account's tokens are given back.
pub fn revoke_url(settings: &AccountSettings) -> Result<Url> {
    let path = match settings.provider {
        ProviderName::Box => "/oauth2/revoke",
        ProviderName::Egnyte => "/pubapi/v1/tokens/revoke",
    };
    Ok(http::below(&origin(settings)?, path))
}

/// The one origin of an account's calls.
pub(in crate::provider) fn origin(settings: &AccountSettings) -> Result<Url> {
    let wrong = |why: &str| ProviderError::new(ProviderErrorKind::Local, why);
    let url = match (&settings.api_url, settings.provider) {
        (Some(url), _) => url.clone(),
        (None, ProviderName::Box) => {
            Url::parse(BOX_API_ORIGIN).map_err(|_| wrong("the address of the service is not a URL"))?
        }
        (None, ProviderName::Egnyte) => {
            let domain = settings.domain.as_deref().ok_or_else(|| wrong("an Egnyte account needs a domain"))?;
            Url::parse(&format!("https://{domain}")).map_err(|_| wrong("the domain is not a host name"))?
        }
    };
    check_origin(&url)?;
    Ok(url)
}

/// Spends a refresh token.
pub(super) async fn refresh(
    http: &Http,
    url: &Url,
    credentials: &Credentials,
    refresh_token: &SecretString,
) -> std::result::Result<Grant, GrantError> {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
    buy(http, url, credentials, &form).await
}

/// Buys a token with a code that a browser brought, or with a password.
pub(super) async fn buy(
    http: &Http,
    url: &Url,
    credentials: &Credentials,
    with: &[(&str, &str)],
) -> std::result::Result<Grant, GrantError> {
    let mut form = with.to_vec();
    form.extend(application(credentials));
    let request = http.client()?.post(url.clone()).form(&form);
    let answer = tokio::time::timeout(TOKEN_TIMEOUT, async {
        let response = http.send(request, TOKEN_TIMEOUT).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        Ok(read_capped(response, MAX_TOKEN_ANSWER_BYTES).await?)
    });
    let body = answer
        .await
        .map_err(|_| ProviderError::new(ProviderErrorKind::Network, "the token endpoint did not answer in time"))??;
    let grant: GrantBody = serde_json::from_slice(&body).map_err(|_| {
        ProviderError::new(ProviderErrorKind::Malformed, "the token endpoint answered something that is no token")
    })?;
    if grant.access_token.expose_secret().is_empty() {
        return Err(
            ProviderError::new(ProviderErrorKind::Malformed, "the token endpoint granted an empty token").into()
        );
    }
    Ok(Grant {
        access_token: grant.access_token,
        refresh_token: grant.refresh_token.filter(|token| !token.expose_secret().is_empty()),
        lifetime: grant.expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    })
}

/// Asks for a token in the application's own name.
pub(super) async fn server_grant(
    http: &Http,
    url: &Url,
    credentials: &Credentials,
    grant: &ServerGrant,
) -> std::result::Result<Grant, GrantError> {
    let (subject, key) = match grant {
        ServerGrant::ClientCredentials(subject) => {
            let form = [
                ("grant_type", "client_credentials"),
                ("box_subject_type", subject.kind()),
                ("box_subject_id", subject.id()),
            ];
            return buy(http, url, credentials, &form).await;
        }
        ServerGrant::Jwt(subject, key) => (subject, key),
    };
    let client_id = credentials.client_id.as_deref().unwrap_or_default();
    let state = async |audience: &str, at: Wall| {
        let assertion = jwt::assertion(client_id, subject, key, audience, at)?;
        buy(http, url, credentials, &[("grant_type", JWT_GRANT), ("assertion", assertion.expose_secret())]).await
    };
    let mut refused = match state(BOX_AUDIENCE, now()).await {
        Err(GrantError::Refused(refused)) if refused.code == "invalid_grant" => refused,
        other => return other,
    };
    // A statement is good for less than a minute by the server's clock, and ours may be off.
    let skew = refused.date.map_or(0, |date| date.since(now()));
    let skewed = skew.abs() > CLOCK_TOLERANCE_MS;
    if skewed {
        tracing::info!(seconds = skew / 1000, "this clock differs from the provider's; asking again by the provider's");
        match state(BOX_AUDIENCE, now().plus_ms(skew)).await {
            Err(GrantError::Refused(again)) if again.code == "invalid_grant" => refused = again,
            other => return other,
        }
    }
    // What stands in for the provider may go by its own address.
    if url.as_str() != BOX_AUDIENCE {
        let at = if skewed { now().plus_ms(skew) } else { now() };
        match state(url.as_str(), at).await {
            Err(GrantError::Refused(_)) => {}
            other => return other,
        }
    }
    Err(GrantError::Refused(refused))
}

/// Gives a token back, so that it is worth nothing any more.
pub(super) async fn revoke(http: &Http, url: &Url, credentials: &Credentials) -> Result<()> {
    let token = credentials.refresh_token.as_ref().unwrap_or(&credentials.access_token);
    let mut form = vec![("token", token.expose_secret())];
    form.extend(application(credentials));
    let request = http.client()?.post(url.clone()).bearer_auth(credentials.access_token.expose_secret()).form(&form);
    let response = http.send(request, TOKEN_TIMEOUT).await?;
    if response.status().is_success() {
        return Ok(());
    }
    Err(match refusal(response).await {
        GrantError::Refused(why) => {
            ProviderError::new(ProviderErrorKind::Refused, "the provider did not take the token back")
                .with_detail(why.detail())
        }
        GrantError::Other(error) => error,
    })
}

fn application(credentials: &Credentials) -> impl Iterator<Item = (&str, &str)> {
    let id = credentials.client_id.as_deref().map(|id| ("client_id", id));
    let secret = credentials.client_secret.as_ref().map(|secret| ("client_secret", secret.expose_secret()));
    id.into_iter().chain(secret)
}

async fn refusal(response: Response) -> GrantError {
    let status = response.status().as_u16();
    let wait = retry_after(response.headers());
    let date = response.headers().get(DATE).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
    let date = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
    let body = body::read_beginning(response).await;
    let error: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
    let refused = Refused {
        status,
        code: error.error.unwrap_or_default(),
        description: error.error_description.unwrap_or_default(),
        date: date.map(|since| Wall(since.as_millis() as i64)),
    };
    let other = |kind, message: &str| {
        GrantError::Other(ProviderError::new(kind, message).with_detail(refused.detail()).with_retry_after(wait))
    };
    match (status, refused.code.as_str()) {
        // Egnyte throttles its token endpoint with 409.
        (409 | 429, _) => other(ProviderErrorKind::RateLimited, "the token endpoint asks us to wait"),
        (_, "invalid_grant" | "invalid_client" | "unauthorized_client" | "invalid_token") | (401 | 403, _) => {
            GrantError::Refused(refused)
        }
        (400..500, code) if !code.is_empty() => GrantError::Refused(refused),
        _ => other(ProviderErrorKind::Unavailable, "the token endpoint does not work at the moment"),
    }
}
