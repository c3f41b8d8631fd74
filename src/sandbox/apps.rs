//! Applications that are registered with the sandbox, and what each of them may do.
//!
//! As long as none is registered every id and every secret will do, as most tests do not care. From the first one on only registered
//! applications are known.

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{self, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whom a signed statement must be for, whatever the sandbox's own address is.
const AUDIENCE: &str = "https://api.box.com/oauth2/token";
/// How far ahead the end of a statement may lie.
const STATEMENT_LIFETIME_S: i64 = 60;
/// How far a statement's end may lie behind, for clocks that are nearly right.
const STATEMENT_GRACE_S: i64 = 0;
/// The bytes before the key proper in the public key of a 2048-bit RSA key.
const SPKI_PREFIX_BYTES: usize = 24;

/// What a person in front of the consent page does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Agrees at once.
    #[default]
    Granted,
    /// Says no at once.
    Denied,
    /// Is shown a page with two buttons.
    Asked,
}

/// A registered application.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where it may be sent back to. A loopback address matches with any port.
    pub redirect_uris: Vec<String>,
    /// Who belongs to it.
    pub enterprise: String,
    /// The enterprise's administrator has authorised it.
    pub authorised: bool,
    /// The public halves of its keys in PEM, by id.
    pub public_keys: BTreeMap<String, String>,
    /// It may read events.
    pub events: bool,
    /// It may write.
    pub write: bool,
    /// It may act for other users.
    pub as_user: bool,
    /// It may take passwords.
    pub internal: bool,
    /// What the person says.
    pub consent: Consent,
}

impl Default for App {
    fn default() -> Self {
        Self {
            client_id: "app".to_owned(),
            client_secret: "app-secret".to_owned(),
            redirect_uris: vec!["http://127.0.0.1:8765/callback".to_owned()],
            enterprise: "801346".to_owned(),
            authorised: true,
            public_keys: BTreeMap::new(),
            events: true,
            write: true,
            as_user: false,
            internal: false,
            consent: Consent::default(),
        }
    }
}

/// Why an application, or what it shows, is not accepted: the code and the sentence of the answer.
pub(crate) type Refused = (&'static str, &'static str);

/// In whose name an application wants a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub kind: String,
    pub id: String,
}

/// All that are registered.
#[derive(Debug, Default)]
pub(crate) struct Apps {
    known: HashMap<String, App>,
    /// Statements that were accepted: each is good for one use.
    used: HashSet<String>,
}

impl Apps {
    pub fn register(&mut self, app: App) {
        self.known.insert(app.client_id.clone(), app);
    }

    /// Whether ids and secrets are looked at.
    pub fn are_checked(&self) -> bool {
        !self.known.is_empty()
    }

    pub fn get(&self, id: &str) -> Option<&App> {
        self.known.get(id)
    }

    /// The application that shows this id and secret; none where nobody looks.
    pub fn check(&self, id: Option<&str>, secret: Option<&str>) -> Result<Option<&App>, Refused> {
        if !self.are_checked() {
            return Ok(None);
        }
        let app = id.and_then(|id| self.known.get(id)).filter(|app| Some(app.client_secret.as_str()) == secret);
        app.map(Some).ok_or(("invalid_client", "The client credentials are invalid"))
    }

    /// Reads a signed statement.
    pub fn read_statement(&mut self, app: &App, statement: &str, now_s: i64) -> Result<Claimed, Refused> {
        let malformed = ("invalid_grant", "The assertion is malformed");
        let mut parts = statement.split('.');
        let (Some(head), Some(body), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed);
        let json =
            |part: &str| -> Result<Value, Refused> { serde_json::from_slice(&decoded(part)?).map_err(|_| malformed) };
        let (header, claims) = (json(head)?, json(body)?);
        let key = header["kid"].as_str().and_then(|kid| app.public_keys.get(kid));
        let key = key.and_then(|pem| public_key(pem)).ok_or(("invalid_grant", "OAuth JWT kid is unknown"))?;
        let algorithm: &dyn signature::VerificationAlgorithm = match header["alg"].as_str() {
            Some("RS256") => &signature::RSA_PKCS1_2048_8192_SHA256,
            Some("RS384") => &signature::RSA_PKCS1_2048_8192_SHA384,
            Some("RS512") => &signature::RSA_PKCS1_2048_8192_SHA512,
            _ => return Err(("invalid_grant", "The algorithm is not supported")),
        };
        let signed = &statement[..head.len() + 1 + body.len()];
        UnparsedPublicKey::new(algorithm, key)
            .verify(signed.as_bytes(), &decoded(signature)?)
            .map_err(|_| ("invalid_grant", "OAuth JWT signature is invalid"))?;
        if claims["iss"].as_str() != Some(&app.client_id) {
            return Err(("invalid_grant", "Please check the 'iss' claim"));
        }
        if claims["aud"].as_str() != Some(AUDIENCE) {
            return Err(("invalid_grant", "Please check the 'aud' claim"));
        }
        let left = claims["exp"].as_i64().unwrap_or(i64::MIN).saturating_sub(now_s);
        if !(-STATEMENT_GRACE_S..=STATEMENT_LIFETIME_S).contains(&left) {
            return Err(("invalid_grant", "Please check the 'exp' claim"));
        }
        let id = claims["jti"].as_str().filter(|id| (16..=128).contains(&id.len()));
        let id = id.ok_or(("invalid_grant", "Please check the 'jti' claim"))?;
        if !self.used.insert(id.to_owned()) {
            return Err(("invalid_grant", "A unique 'jti' value is required"));
        }
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        Ok(Claimed { kind: text("box_sub_type"), id: text("sub") })
    }
}

impl App {
    /// Whether the provider sends a browser there.
    pub fn redirects_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| known == uri || same_but_for_the_port(known, uri))
    }
}

fn same_but_for_the_port(known: &str, uri: &str) -> bool {
    let without_port = |text: &str| {
        let mut url = url::Url::parse(text).ok().filter(|url| url.host_str() == Some("127.0.0.1"))?;
        url.set_port(None).ok()?;
        Some(url)
    };
    without_port(known).is_some_and(|known| Some(known) == without_port(uri))
}

/// The key proper in the PEM of an RSA public key.
fn public_key(pem: &str) -> Option<Vec<u8>> {
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    STANDARD.decode(text).ok()?.get(SPKI_PREFIX_BYTES..).map(<[u8]>::to_vec)
}
