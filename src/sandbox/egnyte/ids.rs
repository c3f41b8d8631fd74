//! Ids as this API writes them: of one form for all kinds, and told apart by how they begin.

const FOLDER: &str = "f01de400-5a6d-4b0c-8f1e-";
const GROUP: &str = "960d9000-5a6d-4b0c-8f1e-";
const ENTRY: &str = "e2729000-5a6d-4b0c-8f1e-";

/// The id of a folder.
pub(super) fn folder_id(id: u64) -> String {
    format!("{FOLDER}{id:012x}")
}

/// The id of a file, which stays the same over versions, moves and renames.
pub(super) fn group_id(id: u64) -> String {
    format!("{GROUP}{id:012x}")
}

/// The id of one version of a file.
pub(super) fn entry_id(version: u64) -> String {
    format!("{ENTRY}{version:012x}")
}

fn read(start: &str, text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    u64::from_str_radix(text.strip_prefix(start)?, 16).ok()
}

pub(super) fn read_folder(text: &str) -> Option<u64> {
    read(FOLDER, text)
}

pub(super) fn read_group(text: &str) -> Option<u64> {
    read(GROUP, text)
}

pub(super) fn read_entry(text: &str) -> Option<u64> {
    read(ENTRY, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_only_as_what_it_is() {
        assert_eq!(read_group(&group_id(1_234_567_890_123)), Some(1_234_567_890_123));
        assert_eq!(read_group(&folder_id(7)), None);
        assert_eq!(read_entry(&entry_id(7)), Some(7));
        assert_eq!(read_folder("7"), None);
        assert_eq!(folder_id(7).len(), 36);
    }
}
