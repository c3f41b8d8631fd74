//! The signed statement with which an application asks for a token of its own (RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pkcs8::der::zeroize::Zeroize;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use ring::rand::SystemRandom;
use ring::signature::{self, RsaKeyPair};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::credentials::{Algorithm, JwtKey, Subject};
use crate::provider::{ProviderError, ProviderErrorKind, Result};
use crate::tree::Wall;

/// How long a statement is good. Box takes at most 60 s by its own clock.
const LIFETIME_MS: i64 = 45_000;

/// A statement of the application `client_id` at this time, for one use.
pub(super) fn assertion(
    client_id: &str,
    subject: &Subject,
    key: &JwtKey,
    audience: &str,
    now: Wall,
) -> Result<SecretString> {
    let pair = open(key)?;
    let header = json!({ "alg": key.algorithm.word(), "typ": "JWT", "kid": key.key_id });
    let claims = json!({
        "iss": client_id,
        "sub": subject.id(),
        "box_sub_type": subject.kind(),
        // One string: Box does not take a list.
        "aud": audience,
        "jti": super::oauth::random_word()?,
        "exp": now.plus_ms(LIFETIME_MS).0.div_euclid(1000),
    });
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let statement = format!("{}.{}", encode(&header), encode(&claims));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(padding(key.algorithm), &SystemRandom::new(), statement.as_bytes(), &mut signature)
        .map_err(|_| bad("the private key cannot sign"))?;
    Ok(format!("{statement}.{}", URL_SAFE_NO_PAD.encode(&signature)).into())
}

fn padding(algorithm: Algorithm) -> &'static dyn signature::RsaEncoding {
    match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
    }
}

/// Opens the key, so that a wrong passphrase is found before anything is asked of the provider.
pub(super) fn open(key: &JwtKey) -> Result<RsaKeyPair> {
    let pem = key.private_key.expose_secret().trim();
    let (label, document) = SecretDocument::from_pem(pem)
        .map_err(|_| bad("the private key is not complete PEM text; download it again"))?;
    let unreadable = || bad("the private key is no RSA key of at least 2048 bits in PKCS#8");
    match label {
        "ENCRYPTED PRIVATE KEY" => {
            let passphrase = key
                .passphrase
                .as_ref()
                .filter(|passphrase| !passphrase.expose_secret().is_empty())
                .ok_or_else(|| bad("the private key is encrypted and its passphrase is missing"))?;
            let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| unreadable())?;
            let plain = encrypted
                .decrypt(passphrase.expose_secret())
                .map_err(|_| bad("the passphrase does not open the private key"))?;
            RsaKeyPair::from_pkcs8(plain.as_bytes()).map_err(|_| unreadable())
        }
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(document.as_bytes()).map_err(|_| unreadable()),
        "RSA PRIVATE KEY" => {
            let mut der = document.to_bytes().to_vec();
            let pair = RsaKeyPair::from_der(&der).map_err(|_| unreadable());
            der.zeroize();
            pair
        }
        _ => Err(unreadable()),
    }
}

fn bad(message: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Refused, message)
}
