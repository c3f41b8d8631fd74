//! Why a provider would not let somebody sign in, in our own sentences, each with the next step.

use std::fmt;

use super::endpoint::{GrantError, Refused};
use crate::provider::{ProviderError, ProviderErrorKind};
use crate::settings::ProviderName;

/// By what somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A code that the browser brought.
    Code,
    /// A user's password.
    Password,
    /// The application's id and secret.
    ClientCredentials,
    /// A statement signed with the application's key.
    Jwt,
    /// A refresh token.
    RefreshToken,
}

/// A sign-in that the provider refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// One sentence for people.
    pub what: String,
    /// What the provider said.
    pub detail: String,
    /// What to do next.
    pub next: String,
}

/// Why there was no sign-in.
#[derive(Debug, Clone)]
pub enum SignInError {
    /// The provider said no.
    Denied(Denial),
    /// Anything else.
    Other(ProviderError),
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.detail)
    }
}

impl From<ProviderError> for SignInError {
    fn from(error: ProviderError) -> Self {
        Self::Other(error)
    }
}

impl SignInError {
    pub(super) fn of(provider: ProviderName, way: Way, error: GrantError) -> Self {
        match error {
            GrantError::Refused(refused) => Self::Denied(denial(provider, way, &refused)),
            GrantError::Other(error) => Self::Other(error),
        }
    }
}

impl Denial {
    /// The same for an account that was signed in until now.
    pub(super) fn into_error(self, message: &str) -> ProviderError {
        let message = if self.what.is_empty() { message.to_owned() } else { format!("{message}: {}", self.what) };
        ProviderError::new(ProviderErrorKind::SignInNeeded, message).with_detail(self.detail)
    }
}

/// Reads a refusal of the token endpoint.
pub(super) fn denial(provider: ProviderName, way: Way, refused: &Refused) -> Denial {
    let cloud = provider.title();
    let said = refused.description.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let (what, next) = match (refused.code.as_str(), way) {
        _ if says(&["not authorized", "not authorised", "unauthorized_client", "needs to be approved", "not approved"])
            || refused.code == "unauthorized_client" =>
        {
            (
                "the enterprise has not authorised this app, or the app may not sign in this way".to_owned(),
                match provider {
                    ProviderName::Box => {
                        "ask a Box administrator: Admin Console, Integrations (Apps), Platform Apps Manager, Add app, with the client id; \
                         after a change of the app it must be authorised again"
                    }
                    ProviderName::Egnyte => "ask Egnyte's support or your administrator to enable the API key for this domain",
                }
                .to_owned(),
            )
        }
        ("invalid_client", _) => (
            format!("{cloud} does not know this app: the client id or the client secret is wrong"),
            "copy both again from the app's configuration page in the provider's console; a secret that was reset is \
             worth nothing any more"
                .to_owned(),
        ),
        (_, _) if says(&["redirect_uri", "redirect uri"]) => (
            "the redirect URI is not the one that is registered with the app".to_owned(),
            "register the address that `agent login` shows, or use --port and --redirect-uri to match what is registered"
                .to_owned(),
        ),
        (_, Way::Code) if refused.code == "invalid_grant" => (
            format!("{cloud} does not take the code: it is used up or older than 30 seconds"),
            "run the command again, and paste the address at once".to_owned(),
        ),
        (_, Way::Password) if refused.code == "invalid_grant" || refused.status == 401 => (
            "the user name or the password is wrong, or this user signs in through a single sign-on".to_owned(),
            "try again; where a single sign-on is used, sign in with the browser instead of --username".to_owned(),
        ),
        (_, Way::Jwt) if says(&["kid", "public key", "signature"]) => (
            "Box does not know the public key that belongs to this file, or it was removed".to_owned(),
            "generate a new key pair on the app's configuration page and use the JSON that is downloaded".to_owned(),
        ),
        (_, Way::Jwt) if says(&["exp claim", "'exp'", "expir", "clock", "iat"]) => (
            "the clock of this machine is wrong".to_owned(),
            "set the clock (timedatectl set-ntp true) and try again".to_owned(),
        ),
        (_, Way::Jwt | Way::ClientCredentials) => (
            format!("{cloud} does not grant the app a token"),
            "check the enterprise id or user id (--subject), that the app is authorised in the Admin Console, and that the \
             app has the right to act for that subject"
                .to_owned(),
        ),
        (_, Way::RefreshToken) => (String::new(), "sign in again".to_owned()),
        ("invalid_scope", _) => (
            "the app lacks a scope that was asked for".to_owned(),
            "give the app the right to read files, and for two-way folders also to write them".to_owned(),
        ),
        _ => (format!("{cloud} refused the sign-in"), "look at the app in the provider's console".to_owned()),
    };
    Denial { what, detail: refused.detail(), next }
}
