//! How ids stand in the rows of items: in bytes where they are plain numbers or UUIDs, as most are, and as they are otherwise. An id in
//! text takes more than twice the room, and stands in an index as well.
//!
//! What is packed comes back as it was, and one id has one form only: rows are looked for by it.

use rusqlite::types::{Value, ValueRef};
use uuid::Uuid;

use crate::id::{ItemId, ItemKind, VersionId};
use crate::store::{Result, StoreError};

/// How the raw id stands behind the first byte of an item's id, in the low bits of that byte.
const NUMBER: u8 = 1;
const UUID: u8 = 2;
const TEXT: u8 = 3;
/// Set in the first byte of a folder's id, so that all ids of folders are behind those of files: `id >= x'10'` in SQL.
const FOLDER: u8 = 0x10;

/// The value of the column `id`.
pub(in crate::store) fn id(id: &ItemId) -> Vec<u8> {
    let kind = if id.is_folder() { FOLDER } else { 0 };
    let raw = id.raw();
    let packed = |form: u8, bytes: &[u8]| {
        let mut packed = Vec::with_capacity(1 + bytes.len());
        packed.push(kind | form);
        packed.extend_from_slice(bytes);
        packed
    };
    if let Some(number) = number_of(raw) {
        let bytes = number.to_be_bytes();
        let zeros = (number.leading_zeros() / 8) as usize;
        packed(NUMBER, &bytes[zeros.min(bytes.len() - 1)..])
    } else if let Some(bytes) = uuid_of(raw) {
        packed(UUID, &bytes)
    } else {
        packed(TEXT, raw.as_bytes())
    }
}

/// The item whose id a column holds.
pub(in crate::store) fn read_id(value: ValueRef<'_>) -> Result<ItemId> {
    let wrong = || StoreError::damaged("an id that is none");
    let ValueRef::Blob([first, bytes @ ..]) = value else { return Err(wrong()) };
    let kind = if first & FOLDER != 0 { ItemKind::Folder } else { ItemKind::File };
    let raw = match first & !FOLDER {
        NUMBER => bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)).to_string(),
        UUID => uuid_text(bytes).ok_or_else(wrong)?,
        TEXT => std::str::from_utf8(bytes).map_err(StoreError::damaged)?.to_owned(),
        _ => return Err(wrong()),
    };
    Ok(ItemId::new(kind, raw))
}

/// Whether a column holds the id of a folder.
pub(in crate::store) fn is_folder(value: ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Blob([first, ..]) if first & FOLDER != 0)
}

/// The value of a column that holds a version.
pub(in crate::store) fn version(version: &VersionId) -> Value {
    let text = version.as_str();
    match (number_of(text), uuid_of(text)) {
        (Some(number), _) => Value::Integer(number as i64),
        (None, Some(bytes)) => Value::Blob(bytes.to_vec()),
        (None, None) => Value::Text(text.to_owned()),
    }
}

/// The version that a column holds.
pub(in crate::store) fn read_version(value: ValueRef<'_>) -> Result<Option<VersionId>> {
    let wrong = || StoreError::damaged("a version that is none");
    let text = match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Blob(bytes) => uuid_text(bytes).ok_or_else(wrong)?,
        ValueRef::Text(text) => std::str::from_utf8(text).map_err(StoreError::damaged)?.to_owned(),
        ValueRef::Real(_) => return Err(wrong()),
    };
    Ok(Some(VersionId::new(text)))
}

/// Digits of the longest number that is packed: no number of so many is beyond what a column holds.
const DIGITS_MOST: usize = 18;

/// The number that a text is the only way to write of.
fn number_of(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.len() <= DIGITS_MOST && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || (text.starts_with('0') && text.len() > 1) {
        return None;
    }
    text.parse().ok()
}

/// The bytes of a UUID that is written in the usual way, in small letters.
fn uuid_of(text: &str) -> Option<[u8; 16]> {
    let uuid = Uuid::try_parse(text).ok()?;
    let is_usual = uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
    is_usual.then(|| uuid.into_bytes())
}

fn uuid_text(bytes: &[u8]) -> Option<String> {
    Some(Uuid::from_slice(bytes).ok()?.hyphenated().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What providers write, what they never do, and how many bytes it takes.
    const RAWS: [(&str, usize); 16] = [
        ("0", 1),
        ("255", 1),
        ("256", 2),
        ("1000000000000", 5),
        ("999999999999999999", 8),
        ("1000000000000000000", 19),
        ("00", 2),
        ("012", 3),
        ("~12", 3),
        ("-1", 2),
        ("+1", 2),
        ("1 ", 2),
        ("0123abcd-4567-89ab-cdef-0123456789ab", 16),
        ("0123ABCD-4567-89ab-cdef-0123456789ab", 36),
        ("0123abcd-4567-89ab-cdef+0123456789ab", 36),
        ("契約", 6),
    ];

    #[test]
    fn an_id_comes_back_as_it_was_whatever_it_was() {
        for (raw, bytes) in RAWS {
            for kind in [ItemKind::File, ItemKind::Folder] {
                let item = ItemId::new(kind, raw);
                let packed = id(&item);
                assert_eq!(packed.len(), 1 + bytes, "{item}");
                let value = ValueRef::Blob(&packed);
                assert_eq!(read_id(value).unwrap(), item);
                assert_eq!(is_folder(value), item.is_folder());
                assert_eq!(packed.as_slice() >= &[FOLDER][..], item.is_folder(), "as SQL asks for it");
            }
        }
        for wrong in [&[][..], &[0], &[9, 1], &[UUID, 1], &[TEXT, 0xff]] {
            assert!(read_id(ValueRef::Blob(wrong)).is_err(), "{wrong:?}");
        }
        assert!(read_id(ValueRef::Text(b"file:1")).is_err());
    }

    #[test]
    fn a_version_comes_back_as_it_was_whatever_it_was() {
        for (raw, _) in RAWS.into_iter().chain([("", 0)]) {
            let known = VersionId::new(raw);
            let value = version(&known);
            assert_ne!(value, Value::Blob(Vec::new()), "which means that it is the synced one");
            assert_eq!(read_version(ValueRef::from(&value)).unwrap(), Some(known));
        }
        assert_eq!(read_version(ValueRef::Null).unwrap(), None);
        assert!(read_version(ValueRef::Blob(&[1])).is_err());
        assert!(read_version(ValueRef::Real(1.0)).is_err());
    }
}
