//! The first token of a sign-in: bought with a code, a password, or in the application's own name.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::credentials::{BOX_REFRESH_TOKEN_DAYS, Credentials, ServerGrant};
use super::denial::{SignInError, Way};
use super::endpoint::{self, Grant};
use super::oauth::Attempt;
use super::{App, CredentialFile, now, token_url};
use crate::provider::Result;
use crate::provider::http::{Http, HttpOptions};
use crate::settings::{AccountSettings, ProviderName};
use crate::tree::Wall;

type Obtained = std::result::Result<Credentials, SignInError>;

/// Buys tokens with the code that the browser brought. A code lives for seconds: call it at once.
pub async fn redeem(settings: &AccountSettings, app: App, attempt: &Attempt, code: &SecretString) -> Obtained {
    let credentials = Credentials::of_app(app);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.expose_secret()),
        ("redirect_uri", attempt.redirect_uri()),
        ("code_verifier", attempt.verifier().expose_secret()),
    ];
    buy(settings, credentials, Way::Code, &form).await
}

/// Buys tokens with a user's password, which is not kept.
pub async fn with_password(settings: &AccountSettings, app: App, user: &str, password: &SecretString) -> Obtained {
    let credentials = Credentials::of_app(app);
    let form = [("grant_type", "password"), ("username", user), ("password", password.expose_secret())];
    buy(settings, credentials, Way::Password, &form).await
}

/// Buys a token in the application's own name.
pub async fn obtain(settings: &AccountSettings, credentials: Credentials) -> Obtained {
    let Some(grant) = credentials.grant.clone() else { return Ok(credentials) };
    let way = match grant {
        ServerGrant::ClientCredentials(_) => Way::ClientCredentials,
        ServerGrant::Jwt(..) => Way::Jwt,
    };
    let (http, url) = reach(settings)?;
    match endpoint::server_grant(&http, &url, &credentials, &grant).await {
        Ok(granted) => Ok(with(credentials, granted)),
        Err(error) => Err(SignInError::of(settings.provider, way, error)),
    }
}

async fn buy(settings: &AccountSettings, credentials: Credentials, way: Way, form: &[(&str, &str)]) -> Obtained {
    let (http, url) = reach(settings)?;
    match endpoint::buy(&http, &url, &credentials, form).await {
        Ok(granted) => Ok(with(credentials, granted)),
        Err(error) => Err(SignInError::of(settings.provider, way, error)),
    }
}

fn reach(settings: &AccountSettings) -> Result<(Arc<Http>, Url)> {
    Ok((Arc::new(Http::new(HttpOptions::of(settings))), token_url(settings)?))
}

fn with(credentials: Credentials, granted: Grant) -> Credentials {
    Credentials {
        access_token: granted.access_token,
        refresh_token: granted.refresh_token,
        issued_at: Some(now()),
        expires_at: granted.lifetime.map(|lifetime| now().plus_ms(lifetime.as_millis() as i64)),
        ..credentials
    }
}

/// When an account's sign-in ends although the agent runs, if that is known. Nothing if it cannot be looked at.
pub fn known_end(dir: PathBuf, account: &str, provider: ProviderName) -> Option<Wall> {
    let stored = CredentialFile::new(dir, account).ok()?.load().ok()?;
    let days = (provider == ProviderName::Box).then_some(BOX_REFRESH_TOKEN_DAYS);
    stored.current.known_end(days)
}
