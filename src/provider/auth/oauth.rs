//! The authorization code flow (RFC 6749 §4.1, RFC 7636, RFC 8252): where the browser is sent, and what it brings back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

use super::endpoint::origin;
use crate::provider::http;
use crate::provider::{ProviderError, ProviderErrorKind, Result};
use crate::settings::{AccountSettings, ProviderName};

const BOX_AUTHORIZE: &str = "https://account.box.com/api/oauth2/authorize";
/// Files, search and events.
const EGNYTE_SCOPE: &str = "Egnyte.filesystem";
/// Bytes of chance in a state, a verifier or the id of a statement.
const WORD_BYTES: usize = 32;

/// One try at a sign-in by browser.
#[derive(Debug)]
pub struct Attempt {
    provider: ProviderName,
    /// As it is registered: providers compare the text.
    redirect_text: String,
    redirect_uri: Url,
    authorize_url: Url,
    state: SecretString,
    verifier: SecretString,
}

/// What came back is not a code for this try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirected {
    /// The person, or the provider for them, said no; with the provider's own word.
    Denied(String),
    /// The provider refuses the request itself; with its own word.
    Refused(String),
    /// It belongs to another sign-in.
    WrongState,
    /// It is an address, but not the one that the provider was told to redirect to.
    WrongPlace,
    /// There is no code in it.
    NoCode,
}

/// A word that nobody can guess.
pub(super) fn random_word() -> Result<String> {
    let mut bytes = [0; WORD_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| ProviderError::new(ProviderErrorKind::Local, "the system gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl Attempt {
    /// Asks the provider of `settings` to send the browser back to `redirect_uri`.
    pub fn new(settings: &AccountSettings, client_id: &str, redirect: &str) -> Result<Self> {
        let redirect_uri = Url::parse(redirect)
            .ok()
            .filter(Url::has_host)
            .ok_or_else(|| ProviderError::new(ProviderErrorKind::Refused, "the redirect URI is no URL"))?;
        let (state, verifier) = (random_word()?, random_word()?);
        let mut authorize_url = authorize_url(settings)?;
        // Where a provider knows nothing of challenges it does not look at them.
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        authorize_url
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("state", &state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if settings.provider == ProviderName::Egnyte {
            authorize_url.query_pairs_mut().append_pair("scope", EGNYTE_SCOPE);
        }
        Ok(Self {
            provider: settings.provider,
            redirect_text: redirect.to_owned(),
            redirect_uri,
            authorize_url,
            state: state.into(),
            verifier: verifier.into(),
        })
    }

    /// Where the browser goes first.
    pub fn authorize_url(&self) -> &Url {
        &self.authorize_url
    }

    /// Where the provider sends it back.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_text
    }

    pub(super) fn verifier(&self) -> &SecretString {
        &self.verifier
    }

    /// The code in the address that the browser was sent back to.
    pub fn code(&self, address: &Url) -> std::result::Result<SecretString, Redirected> {
        let same = address.scheme() == self.redirect_uri.scheme()
            && address.host_str() == self.redirect_uri.host_str()
            && address.port_or_known_default() == self.redirect_uri.port_or_known_default()
            && address.path() == self.redirect_uri.path();
        if !same {
            return Err(Redirected::WrongPlace);
        }
        let get = |name: &str| address.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        // The error of a denial carries the state too; without it, whoever sent it is not who we asked.
        if get("state").as_deref() != Some(self.state.expose_secret()) {
            return Err(Redirected::WrongState);
        }
        match (get("error"), get("code").filter(|code| !code.is_empty())) {
            (Some(error), _) if error == "access_denied" => Err(Redirected::Denied(word(&error))),
            (Some(error), _) => Err(Redirected::Refused(word(&error))),
            (None, Some(code)) => Ok(code.into()),
            (None, None) => Err(Redirected::NoCode),
        }
    }

    /// The code in what a person pasted: the whole address, its query, or the code alone.
    pub fn pasted(&self, text: &str) -> std::result::Result<SecretString, Redirected> {
        let text = text.trim();
        if let Ok(address) = Url::parse(text)
            && address.has_host()
        {
            return self.code(&address);
        }
        if text.contains("code=") || text.contains("error=") {
            let mut address = self.redirect_uri.clone();
            address.set_query(Some(text.trim_start_matches('?')));
            return self.code(&address);
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Redirected::NoCode);
        }
        Ok(text.into())
    }

    /// What to tell a person, and what to do next.
    pub fn explain(&self, redirected: &Redirected) -> (String, String) {
        let cloud = self.provider.title();
        match redirected {
            Redirected::Denied(_) => (
                format!("access was denied at {cloud}"),
                format!(
                    "sign in again and press the button that grants access; if {cloud} shows none, ask its administrator"
                ),
            ),
            Redirected::Refused(word) => (
                format!("{cloud} refused the request: {word}"),
                "look at the app in the provider's console: its redirect URIs and its scopes".to_owned(),
            ),
            Redirected::WrongState => (
                "the answer belongs to another sign-in (its `state` is not ours)".to_owned(),
                "close old sign-in pages, and run the command again".to_owned(),
            ),
            Redirected::WrongPlace => (
                format!("that is not the address the browser ends at: it begins with {}", self.redirect_text),
                "paste the whole address from the browser's address bar after granting access".to_owned(),
            ),
            Redirected::NoCode => (
                "there is no code in the answer".to_owned(),
                "paste the whole address from the browser's address bar after granting access".to_owned(),
            ),
        }
    }
}

/// A word of the provider without anything that a terminal would obey.
fn word(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_alphanumeric() || "_-. ".contains(*letter)).take(64).collect()
}

fn authorize_url(settings: &AccountSettings) -> Result<Url> {
    let origin = origin(settings)?;
    Ok(match settings.provider {
        ProviderName::Box if settings.api_url.is_none() => Url::parse(BOX_AUTHORIZE)
            .map_err(|_| ProviderError::new(ProviderErrorKind::Local, "the address of the service is not a URL"))?,
        ProviderName::Box => http::below(&origin, "/api/oauth2/authorize"),
        ProviderName::Egnyte => http::below(&origin, "/puboauth/token"),
    })
}
