//! Identities that cannot be mixed up: every id, cursor, tag and digest has a type of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares a newtype over provider text that we never interpret.
macro_rules! opaque_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as the provider wrote it.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text as the provider wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Declares a newtype over a row number of our own database.
macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

row_id!(
    /// One account, as a row of our database.
    AccountId
);
row_id!(
    /// One watched folder, as a row of our database.
    FolderId
);
row_id!(
    /// One item of one watched folder, as a row of our database.
    NodeId
);
row_id!(
    /// One entry of the event journal.
    JournalId
);
row_id!(
    /// One piece of work handed to a worker; never used twice, also after a restart.
    JobId
);
row_id!(
    /// A place in the order of marks, questions and answers: what has a greater one came later.
    Generation
);
row_id!(
    /// One hold that waits for a person.
    HoldId
);

opaque_text!(
    /// One content of a file (Box `file_version.id`, Egnyte `entry_id`).
    VersionId
);
opaque_text!(
    /// One entry of a provider's event stream; equal ids mean the same event.
    EventId
);
opaque_text!(
    /// A position in an account's event stream. Positions are not ordered and may be written as a
    /// number above 2^53, so the text is kept and never computed with.
    Cursor
);
opaque_text!(
    /// A provider's tag for one state of an item; compared for equality only.
    Etag
);
opaque_text!(
    /// Where the next page of a listing starts; lives as long as one listing.
    PageToken
);

/// Whether an item is a file or a folder. The kind belongs to the identity: providers number the two
/// separately, so that file 7 and folder 7 may both exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// A file with content.
    File,
    /// A folder.
    Folder,
}

impl ItemKind {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
        }
    }
}

/// A remote file or folder, known by its provider's id and never by its path.
///
/// The text form is `file:ID` or `folder:ID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    kind: ItemKind,
    raw: Box<str>,
}

impl ItemId {
    /// The id of a file.
    pub fn file(raw: impl Into<Box<str>>) -> Self {
        Self { kind: ItemKind::File, raw: raw.into() }
    }

    /// The id of a folder.
    pub fn folder(raw: impl Into<Box<str>>) -> Self {
        Self { kind: ItemKind::Folder, raw: raw.into() }
    }

    /// The id of an item of the given kind.
    pub fn new(kind: ItemKind, raw: impl Into<Box<str>>) -> Self {
        Self { kind, raw: raw.into() }
    }

    /// File or folder.
    pub fn kind(&self) -> ItemKind {
        self.kind
    }

    /// True for folders.
    pub fn is_folder(&self) -> bool {
        self.kind == ItemKind::Folder
    }

    /// The text form.
    pub fn text(&self) -> String {
        let kind = self.kind.word();
        let mut text = String::with_capacity(kind.len() + 1 + self.raw.len());
        text.push_str(kind);
        text.push(':');
        text.push_str(&self.raw);
        text
    }

    /// The id as the provider writes it.
    pub fn raw(&self) -> &str {
        &self.raw
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.word())?;
        f.write_str(":")?;
        f.write_str(&self.raw)
    }
}

/// Text that is not an [`ItemId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an item id; expected `file:ID` or `folder:ID`")]
pub struct BadItemId(String);

impl FromStr for ItemId {
    type Err = BadItemId;

    fn from_str(text: &str) -> Result<Self, BadItemId> {
        match text.split_once(':') {
            Some(("file", raw)) if !raw.is_empty() => Ok(Self::file(raw)),
            Some(("folder", raw)) if !raw.is_empty() => Ok(Self::folder(raw)),
            _ => Err(BadItemId(text.to_owned())),
        }
    }
}

impl Serialize for ItemId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ItemId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A digest as a provider reports it, with what it is a digest of.
///
/// The text form is `KIND:VALUE`. A kind that we do not know is kept: it means "cannot verify", never
/// "different".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ContentHash {
    /// SHA-1 of the content, lower-case hex (Box).
    Sha1(String),
    /// SHA-512 of the content, lower-case hex (Egnyte, files uploaded in one piece).
    Sha512(String),
    /// SHA-512 over the concatenated hex SHA-512 values of the chunks (Egnyte, chunked uploads).
    Sha512Chunks {
        /// How many chunks there are.
        chunks: u64,
        /// Bytes in every chunk but the last.
        chunk_size: u64,
        /// The digest, lower-case hex.
        digest: String,
    },
    /// A form that we cannot compute; kept as it came.
    Unknown(String),
}

/// Which digest a provider describes content with, and so wants with an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashKind {
    /// SHA-1 (Box).
    Sha1,
    /// SHA-512 (Egnyte).
    Sha512,
}

impl ContentHash {
    /// Whether two digests say that the contents are equal, differ, or cannot be compared.
    pub fn same_content(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Sha1(a), Self::Sha1(b)) | (Self::Sha512(a), Self::Sha512(b)) => Some(a == b),
            (Self::Sha512Chunks { .. }, Self::Sha512Chunks { .. }) if self == other => Some(true),
            _ => None,
        }
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha1(hex) => write!(f, "sha1:{hex}"),
            Self::Sha512(hex) => write!(f, "sha512:{hex}"),
            Self::Sha512Chunks { chunks, chunk_size, digest } => {
                write!(f, "sha512-chunks:{chunks}-{chunk_size}-{digest}")
            }
            Self::Unknown(text) => write!(f, "unknown:{text}"),
        }
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

impl From<String> for ContentHash {
    fn from(text: String) -> Self {
        let known = match text.split_once(':') {
            Some(("sha1", hex)) => Some(Self::Sha1(hex.to_owned())),
            Some(("sha512", hex)) => Some(Self::Sha512(hex.to_owned())),
            Some(("sha512-chunks", rest)) => parse_chunks(rest),
            Some(("unknown", rest)) => Some(Self::Unknown(rest.to_owned())),
            _ => None,
        };
        known.unwrap_or(Self::Unknown(text))
    }
}

fn parse_chunks(text: &str) -> Option<ContentHash> {
    let mut parts = text.splitn(3, '-');
    let chunks = parts.next()?.parse().ok()?;
    let chunk_size = parts.next()?.parse().ok()?;
    let digest = parts.next()?.to_owned();
    Some(ContentHash::Sha512Chunks { chunks, chunk_size, digest })
}

/// SHA-256 of a content: our own name for it, whatever the provider calls it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl FromStr for Sha256 {
    type Err = BadSha256;

    fn from_str(text: &str) -> Result<Self, BadSha256> {
        let bad = || BadSha256(text.to_owned());
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

/// Text that is not 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256 in hex")]
pub struct BadSha256(String);

impl Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_a_folder_with_one_number_are_two_items() {
        assert_ne!(ItemId::file("7"), ItemId::folder("7"));
        assert_eq!("folder:7".parse(), Ok(ItemId::folder("7")));
        assert!("7".parse::<ItemId>().is_err());
        assert!("file:".parse::<ItemId>().is_err());
    }

    #[test]
    fn hashes_survive_their_text_form() {
        for hash in [
            ContentHash::Sha1("ab".into()),
            ContentHash::Sha512("cd".into()),
            ContentHash::Sha512Chunks { chunks: 3, chunk_size: 100, digest: "ef".into() },
            ContentHash::Unknown("9-what".into()),
        ] {
            assert_eq!(ContentHash::from(hash.to_string()), hash);
        }
    }

    #[test]
    fn an_unknown_digest_is_never_a_difference() {
        let unknown = ContentHash::Unknown("x".into());
        assert_eq!(unknown.same_content(&ContentHash::Sha1("a".into())), None);
        assert_eq!(ContentHash::Sha1("a".into()).same_content(&ContentHash::Sha1("b".into())), Some(false));
    }

    #[test]
    fn sha256_reads_only_whole_hex() {
        let hash = Sha256([0xa5; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("a5".parse::<Sha256>().is_err());
        assert!("zz".repeat(32).parse::<Sha256>().is_err());
    }
}
