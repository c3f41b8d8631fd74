//! Checked names and relative paths: the one door between a foreign name and the local disk.
//!
//! A [`Name`] is a single component that every Linux filesystem accepts; a [`RelPath`] is a list of them. There is no
//! other way to build either, so that nothing a cloud calls an item can climb out of a folder.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The longest name that Linux filesystems take, in bytes.
pub const NAME_MAX_BYTES: usize = 255;

/// The directory of our own inside every watched folder; never synced, watched or compared.
pub const RESERVED_NAME: &str = ".folder-sync-agent";

/// One component of a local path: not empty, not `.` or `..`, without `/` and NUL, at most 255 bytes, and not ours.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// Why bytes are no [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// The name is empty.
    #[error("the name is empty")]
    Empty,
    /// The name is `.` or `..`.
    #[error("`.` and `..` mean the directory itself and its parent")]
    Dots,
    /// The name holds `/` or NUL.
    #[error("the name holds a slash or a NUL byte")]
    Separator,
    /// The name is over 255 bytes.
    #[error("the name is longer than {NAME_MAX_BYTES} bytes")]
    TooLong,
    /// The name is the one that we keep for ourselves.
    #[error("the name `{RESERVED_NAME}` is reserved")]
    Reserved,
}

impl Name {
    /// Checks bytes that are to be one component of a local path.
    pub fn new(bytes: &[u8]) -> Result<Self, BadName> {
        if bytes.is_empty() {
            Err(BadName::Empty)
        } else if bytes == b"." || bytes == b".." {
            Err(BadName::Dots)
        } else if bytes.iter().any(|&byte| byte == b'/' || byte == 0) {
            Err(BadName::Separator)
        } else if bytes.len() > NAME_MAX_BYTES {
            Err(BadName::TooLong)
        } else if bytes == RESERVED_NAME.as_bytes() {
            Err(BadName::Reserved)
        } else {
            Ok(Self(bytes.into()))
        }
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name for calls of the operating system.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// The name for people; bytes that are not UTF-8 become replacement characters.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_text())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.as_bytes().escape_ascii())
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = unescape(&text).ok_or_else(|| serde::de::Error::custom("not an escaped name"))?;
        Self::new(&bytes).map_err(serde::de::Error::custom)
    }
}

/// The inverse of `escape_ascii`, which is how names that are not UTF-8 survive JSON.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b't' => b'\t',
            b'r' => b'\r',
            b'n' => b'\n',
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

/// A path below a watched folder's root: a list of [`Name`]s, empty for the root itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RelPath(Vec<Name>);

impl RelPath {
    /// The root itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// A path of the given components, outermost first.
    pub fn from_names(names: Vec<Name>) -> Self {
        Self(names)
    }

    /// Reads a path with slashes, as people and tests write it. Empty components are refused.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        text.split('/').map(|part| Name::new(part.as_bytes())).collect::<Result<_, _>>().map(Self)
    }

    /// This path with one more component.
    #[must_use]
    pub fn join(&self, name: &Name) -> Self {
        let mut names = self.0.clone();
        names.push(name.clone());
        Self(names)
    }

    /// The path without its last component, and that component; nothing for the root.
    pub fn split_last(&self) -> Option<(Self, &Name)> {
        let (last, parents) = self.0.split_last()?;
        Some((Self(parents.to_vec()), last))
    }

    /// The components, outermost first.
    pub fn names(&self) -> &[Name] {
        &self.0
    }

    /// True for the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// True if `self` is `other` or lies below it.
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The path for calls of the operating system, relative to a directory handle.
    pub fn to_path(&self) -> PathBuf {
        let mut joined = OsString::new();
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                joined.push("/");
            }
            joined.push(OsString::from_vec(name.0.to_vec()));
        }
        PathBuf::from(joined)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            fmt::Display::fmt(name, f)?;
        }
        Ok(())
    }
}

/// A remote name as the local disk will show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalName {
    /// The disk can hold the name as it is.
    Same(Name),
    /// The disk cannot; this name stands for it, and the reason is shown to people.
    Mapped(Name, BadName),
}

impl LocalName {
    /// The name on disk.
    pub fn name(&self) -> &Name {
        match self {
            Self::Same(name) | Self::Mapped(name, _) => name,
        }
    }
}

/// The longest stem of a mapped name, in bytes (design §12.6).
const MAPPED_STEM_MAX_BYTES: usize = 180;
/// The longest extension of a mapped name, in bytes (design §12.6).
const MAPPED_EXTENSION_MAX_BYTES: usize = 20;

/// The one door: what a remote name is called on disk.
///
/// A name that the disk cannot hold becomes `STEM~HASH.EXT`, where `id_hash` is ten hex digits taken from the SHA-256 of
/// the item's id (computed by the caller, so that this stays free of dependencies).
pub fn local_name(remote: &str, id_hash: &str) -> LocalName {
    match Name::new(remote.as_bytes()) {
        Ok(name) => LocalName::Same(name),
        Err(reason) => LocalName::Mapped(mapped_name(remote, id_hash), reason),
    }
}

/// The name `STEM~HASH.EXT` that stands for `remote`, also used when another item already holds the name on a disk
/// that folds case.
pub fn mapped_name(remote: &str, id_hash: &str) -> Name {
    let (stem, extension) = match remote.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty()
                && !extension.is_empty()
                && extension.len() <= MAPPED_EXTENSION_MAX_BYTES
                && !extension.contains(['/', '\0']) =>
        {
            (stem, Some(extension))
        }
        _ => (remote, None),
    };
    let clean = stem.replace(['/', '\0'], "_");
    let mut mapped = cut(&clean, MAPPED_STEM_MAX_BYTES).to_owned();
    if mapped.chars().all(|c| c == '.') {
        mapped = mapped.replace('.', "_");
    }
    let hash: String = id_hash.chars().filter(char::is_ascii_alphanumeric).take(10).collect();
    mapped.push('~');
    mapped.push_str(&hash);
    if let Some(extension) = extension {
        mapped.push('.');
        mapped.push_str(extension);
    }
    // The text has a `~`, no separator, and at most 180 + 1 + 10 + 1 + 20 bytes: it cannot be a bad name.
    Name(mapped.into_bytes().into())
}

/// At most `max` bytes of `text`, cut at a character.
fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dangerous_names_are_no_names() {
        for (bytes, why) in [
            (&b""[..], BadName::Empty),
            (b".", BadName::Dots),
            (b"..", BadName::Dots),
            (b"a/b", BadName::Separator),
            (b"a\0", BadName::Separator),
            (&[b'x'; 256], BadName::TooLong),
            (b".folder-sync-agent", BadName::Reserved),
        ] {
            assert_eq!(Name::new(bytes), Err(why));
        }
        assert!(Name::new(&[b'x'; 255]).is_ok());
        assert!(Name::new(b"...").is_ok());
    }

    #[test]
    fn mapped_names_say_what_they_stand_for() {
        let mapped = |remote: &str| local_name(remote, "0123456789abcdef").name().to_text();
        assert_eq!(mapped("plain.txt"), "plain.txt");
        assert_eq!(mapped("a/b.txt"), "a_b~0123456789.txt");
        assert_eq!(mapped(".."), "__~0123456789");
        assert_eq!(mapped(""), "~0123456789");
        assert_eq!(mapped(".folder-sync-agent"), ".folder-sync-agent~0123456789");
        let long = "名".repeat(100) + ".docx";
        let name = mapped(&long);
        assert!(name.starts_with(&"名".repeat(60)) && name.ends_with("~0123456789.docx"), "{name}");
    }

    #[test]
    fn paths_know_their_relations() {
        let path = RelPath::parse("a/b/c").unwrap();
        assert!(path.starts_with(&RelPath::parse("a/b").unwrap()));
        assert!(!RelPath::parse("a/bc").unwrap().starts_with(&RelPath::parse("a/b").unwrap()));
        assert_eq!(path.split_last().unwrap().0.to_string(), "a/b");
        assert_eq!(RelPath::parse("a//b"), Err(BadName::Empty));
        assert!(RelPath::root().split_last().is_none());
    }

    proptest! {
        #[test]
        fn any_remote_name_becomes_a_safe_local_one(remote in "\\PC*|[./\0]{0,300}", hash in "[0-9a-f]{64}") {
            let name = local_name(&remote, &hash);
            prop_assert_eq!(&Name::new(name.name().as_bytes()).unwrap(), name.name());
        }

        #[test]
        fn names_survive_json(bytes in proptest::collection::vec(any::<u8>(), 1..60)) {
            if let Ok(name) = Name::new(&bytes) {
                let json = serde_json::to_string(&name).unwrap();
                prop_assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
            }
        }
    }
}
