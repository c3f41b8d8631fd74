//! What a sign-in leaves behind: a token, and the way to the next one.

use secrecy::SecretString;

use crate::provider::Identity;
use crate::tree::Wall;

/// A Box refresh token lives for 60 days from when it was granted.
pub(super) const BOX_REFRESH_TOKEN_DAYS: i64 = 60;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What a sign-in left behind.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The bearer token. Empty if it is still to be bought.
    pub access_token: SecretString,
    /// What buys the next one; without it and without `grant` the account needs a person when the access token ends.
    pub refresh_token: Option<SecretString>,
    /// When the access token was granted, if it was granted to us.
    pub issued_at: Option<Wall>,
    /// When the access token ends, if known.
    pub expires_at: Option<Wall>,
    /// The application's id.
    pub client_id: Option<String>,
    /// The application's secret.
    pub client_secret: Option<SecretString>,
    /// The application signs in by itself, with nobody's refresh token.
    pub grant: Option<ServerGrant>,
    /// The user in whose name every call is made, if not the token's own.
    pub as_user: Option<String>,
    /// Whose the sign-in was found to be.
    pub identity: Option<Identity>,
}

impl Credentials {
    /// A token and nothing else.
    pub fn bearer(access_token: SecretString) -> Self {
        Self {
            access_token,
            refresh_token: None,
            issued_at: None,
            expires_at: None,
            client_id: None,
            client_secret: None,
            grant: None,
            as_user: None,
            identity: None,
        }
    }

    /// What is needed of an application to sign in, with no token yet.
    pub fn of_app(app: App) -> Self {
        let mut credentials = Self::bearer(SecretString::from(""));
        credentials.client_id = Some(app.client_id);
        credentials.client_secret = app.client_secret;
        credentials
    }

    /// Whether the agent can get the next access token by itself.
    pub fn is_renewable(&self) -> bool {
        self.refresh_token.is_some() || self.grant.is_some()
    }

    /// The application, if it is known.
    pub fn app(&self) -> Option<App> {
        Some(App { client_id: self.client_id.clone()?, client_secret: self.client_secret.clone() })
    }

    /// When the sign-in ends, if nobody renews it and that is known.
    pub fn known_end(&self, refresh_token_days: Option<i64>) -> Option<Wall> {
        if self.grant.is_some() {
            return None;
        }
        match (&self.refresh_token, refresh_token_days) {
            (None, _) => self.expires_at,
            (Some(_), Some(days)) => self.issued_at.map(|issued| issued.plus_ms(days * DAY_MS)),
            (Some(_), None) => None,
        }
    }
}

/// An application registered at the provider.
#[derive(Debug, Clone)]
pub struct App {
    /// Its id; Egnyte says API key.
    pub client_id: String,
    /// Its secret. Egnyte's internal applications may have none.
    pub client_secret: Option<SecretString>,
}

/// A sign-in that the application renews in its own name.
#[derive(Debug, Clone)]
pub enum ServerGrant {
    /// With its id and secret.
    ClientCredentials(Subject),
    /// With a statement signed by its private key.
    Jwt(Subject, JwtKey),
}

/// In whose name an application asks for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The service account of the enterprise with this id.
    Enterprise(String),
    /// The user with this id.
    User(String),
}

impl Subject {
    /// The provider's word for the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Enterprise(_) => "enterprise",
            Self::User(_) => "user",
        }
    }

    /// The id.
    pub fn id(&self) -> &str {
        match self {
            Self::Enterprise(id) | Self::User(id) => id,
        }
    }

    /// Reads `enterprise:ID` or `user:ID`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once(':')?;
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        match kind {
            "enterprise" => Some(Self::Enterprise(id.to_owned())),
            "user" => Some(Self::User(id.to_owned())),
            _ => None,
        }
    }
}

/// The private key of an application.
#[derive(Debug, Clone)]
pub struct JwtKey {
    /// The provider's name of its public half.
    pub key_id: String,
    /// PKCS#8 in PEM, encrypted as it was downloaded or not.
    pub private_key: SecretString,
    /// What opens it.
    pub passphrase: Option<SecretString>,
    /// How it signs.
    pub algorithm: Algorithm,
}

/// How a statement is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// RSA with SHA-256.
    #[default]
    Rs256,
    /// RSA with SHA-384.
    Rs384,
    /// RSA with SHA-512.
    Rs512,
}

impl Algorithm {
    /// Its name in a statement's header.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }

    /// Reads the name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Rs256, Self::Rs384, Self::Rs512].into_iter().find(|known| known.word().eq_ignore_ascii_case(word))
    }
}
