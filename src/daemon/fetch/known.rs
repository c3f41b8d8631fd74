//! What must be known of a version before its content may be published: the digest and the length that the provider gives for exactly
//! this version. What neither the order nor the download tells is asked for, once.

use super::{FetchError, FetchOrder};
use crate::id::ContentHash;
use crate::provider::{Content, Provider, ProviderError, ProviderErrorKind};
use crate::tree::{ItemState, Wall};

/// How much of an answer is looked at to name what came, in bytes.
pub const HEAD_BYTES: usize = 512;

/// An answer that cannot be the ordered version: it announces another length than the provider's own description.
#[derive(Debug, thiserror::Error)]
#[error("the answer announces {found} bytes where the version has {expected}")]
pub struct OtherLength {
    /// The described length.
    pub expected: u64,
    /// The announced one.
    pub found: u64,
}

/// What the head of an answer tells of the version.
#[derive(Debug)]
pub struct Told {
    total: Option<u64>,
    hash: Option<ContentHash>,
    modified: Option<Wall>,
}

impl Told {
    /// What this answer tells.
    pub fn by(content: &Content) -> Self {
        Self { total: content.total, hash: content.hash.clone(), modified: content.modified }
    }
}

/// Makes the order complete enough to verify this answer by. Asks the provider for the version's description if the digest is not known,
/// or if the answer contradicts the length that is; `asked` remembers that, so that one fetch asks once.
pub async fn complete(
    provider: &dyn Provider,
    order: &mut FetchOrder,
    told: Told,
    asked: &mut bool,
) -> Result<Result<(), OtherLength>, FetchError> {
    take_told(order, &told);
    if !*asked && (!is_verifiable(order) || contradiction(order, &told).is_some()) {
        *asked = true;
        ask(provider, order).await?;
    }
    Ok(contradiction(order, &told).map_or(Ok(()), Err))
}

/// Takes what the answer tells of exactly this version and the order does not say. A digest in a form that we cannot compute proves
/// nothing, so one that we can compute goes first.
fn take_told(order: &mut FetchOrder, told: &Told) {
    let hash = told.hash.clone().filter(is_computable);
    if let Some(hash) = hash.filter(|_| !order.hash.as_ref().is_some_and(is_computable)) {
        order.hash = Some(hash);
        order.size = order.size.or(told.total);
    }
    order.modified = order.modified.or(told.modified);
}

fn is_computable(hash: &ContentHash) -> bool {
    !matches!(hash, ContentHash::Unknown(_))
}

/// A digest that we can compute verifies the length too; one that we cannot leaves the length as the only proof.
fn is_verifiable(order: &FetchOrder) -> bool {
    order.hash.as_ref().is_some_and(|hash| is_computable(hash) || order.size.is_some())
}

fn contradiction(order: &FetchOrder, told: &Told) -> Option<OtherLength> {
    let (expected, found) = order.size.zip(told.total)?;
    (expected != found).then_some(OtherLength { expected, found })
}

async fn ask(provider: &dyn Provider, order: &mut FetchOrder) -> Result<(), FetchError> {
    let error = |kind, text: &str| {
        let error = ProviderError::new(kind, text).with("operation", "content");
        FetchError::Provider(error.with("item", &order.item).with("version", &order.version))
    };
    let item = match provider.item(&order.item).await? {
        ItemState::Active(item) => item,
        ItemState::Trashed | ItemState::NotFound => {
            return Err(error(ProviderErrorKind::NotFound, "the file is gone by now"));
        }
    };
    let Some(told) = item.content else {
        return Err(error(ProviderErrorKind::Malformed, "the provider describes the file without its content"));
    };
    if told.version != order.version {
        return Err(FetchError::Changed { ordered: order.version.clone(), now: told.version });
    }
    let described = FetchOrder {
        size: told.size.or(order.size),
        hash: told.hash.or_else(|| order.hash.clone()),
        modified: order.modified.or(told.modified),
        ..order.clone()
    };
    if !is_verifiable(&described) {
        let text =
            "the provider names neither digest nor length of this version, so that its content cannot be verified";
        return Err(error(ProviderErrorKind::Corrupt, text));
    }
    *order = described;
    Ok(())
}

/// What the beginning of a wrong answer looks like, for the reason that people read.
pub fn what_came(head: &[u8], length: u64) -> Option<&'static str> {
    if length == 0 {
        return Some("what came is empty");
    }
    let text = head.trim_ascii_start();
    let begins = |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if begins(b"<!doctype html") || begins(b"<html") {
        return Some("what came begins like an HTML page");
    }
    (begins(b"{") || begins(b"[")).then_some("what came begins like a JSON answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_named() {
        for (head, length, named) in [
            ("", 0, Some("what came is empty")),
            ("\n <!DOCTYPE html><p>", 99, Some("what came begins like an HTML page")),
            ("<HTML>", 6, Some("what came begins like an HTML page")),
            (r#"{"errorMessage":"no"}"#, 21, Some("what came begins like a JSON answer")),
            ("%PDF-1.7", 900, None),
            ("<", 1, None),
        ] {
            assert_eq!(what_came(head.as_bytes(), length), named, "{head}");
        }
    }
}
