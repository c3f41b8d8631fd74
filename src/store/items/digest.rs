//! How provider digests stand in the database: the bytes of those that are plain hex, the text of any other. A table of many files
//! consists of digests for the most part, and hex takes twice the room.

use rusqlite::types::{Value, ValueRef};

use crate::id::ContentHash;
use crate::store::{Result, StoreError};

/// What a digest in bytes begins with.
const SHA1: u8 = 1;
const SHA512: u8 = 2;

/// The value of a column.
pub(in crate::store) fn stored(hash: &ContentHash) -> Value {
    let (mark, hex, bytes) = match hash {
        ContentHash::Sha1(hex) => (SHA1, hex, 20),
        ContentHash::Sha512(hex) => (SHA512, hex, 64),
        ContentHash::Sha512Chunks { .. } | ContentHash::Unknown(_) => return Value::Text(hash.to_string()),
    };
    match from_hex(mark, hex).filter(|blob| blob.len() == bytes + 1) {
        Some(blob) => Value::Blob(blob),
        None => Value::Text(hash.to_string()),
    }
}

/// The digest that a column holds; an older agent wrote text only.
pub(in crate::store) fn read(value: ValueRef<'_>) -> Result<Option<ContentHash>> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Text(_) => {
            let text = value.as_str().map_err(StoreError::damaged)?;
            Ok(Some(ContentHash::from(text.to_owned())))
        }
        ValueRef::Blob([SHA1, bytes @ ..]) if bytes.len() == 20 => Ok(Some(ContentHash::Sha1(to_hex(bytes)))),
        ValueRef::Blob([SHA512, bytes @ ..]) if bytes.len() == 64 => Ok(Some(ContentHash::Sha512(to_hex(bytes)))),
        _ => Err(StoreError::damaged("a digest that is none")),
    }
}

/// The mark and the bytes of lower-case hex; nothing for any other text, which could not be told back as it was.
fn from_hex(mark: u8, hex: &str) -> Option<Vec<u8>> {
    let digit = |c: &u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut blob = Vec::with_capacity(1 + hex.len() / 2);
    blob.push(mark);
    for pair in hex.as_bytes().chunks(2) {
        let [high, low] = pair else { return None };
        blob.push(digit(high)? << 4 | digit(low)?);
    }
    Some(blob)
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    // One allocation: a row of a file has two digests, and rows are what is read most.
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        hex.push(digit(byte >> 4));
        hex.push(digit(byte & 15));
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_comes_back_as_it_was_whatever_it_was() {
        let sha1 = "0123456789abcdef0123456789abcdef01234567";
        for (hash, bytes) in [
            (ContentHash::Sha1(sha1.into()), Some(21)),
            (ContentHash::Sha512("0a".repeat(64)), Some(65)),
            (ContentHash::Sha1(sha1.to_uppercase()), None),
            (ContentHash::Sha1("ab".into()), None),
            (ContentHash::Sha1(sha1[1..].into()), None),
            (ContentHash::Sha512("é".repeat(64)), None),
            (ContentHash::Sha512Chunks { chunks: 3, chunk_size: 100, digest: "ef".into() }, None),
            (ContentHash::Unknown("9-what".into()), None),
        ] {
            let value = stored(&hash);
            match (&value, bytes) {
                (Value::Blob(blob), Some(bytes)) => assert_eq!(blob.len(), bytes),
                (Value::Text(text), None) => assert_eq!(*text, hash.to_string(), "as an older agent wrote it"),
                other => panic!("{hash}: {other:?}"),
            }
            assert_eq!(read(ValueRef::from(&value)).unwrap(), Some(hash));
        }
        assert_eq!(read(ValueRef::Null).unwrap(), None);
        assert!(read(ValueRef::Blob(&[SHA1, 2])).is_err());
        assert!(read(ValueRef::Integer(1)).is_err());
    }
}
