//! The names that this service does not take.

const NAME_BYTES_MAX: usize = 245;
const PATH_BYTES_MAX: usize = 5000;
const FORBIDDEN: &[char] = &['\\', '/', '"', ':', '<', '>', '|', '*', '?'];
const REFUSED: &[&str] = &[".ds_store", "desktop.ini", ".thumbs.db", "thumbs.db", ".data", ".tmp"];
const REFUSED_STARTS: &[&str] = &["._", ".~", ".smbdelete", "~$"];
const REFUSED_ENDS: &[&str] = &[".tmp", "~", "._attribs_", "._rights_"];

/// Why a name cannot be given to anything.
pub(super) fn complaint(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Some("Name is empty or longer than 245 bytes");
    }
    if name.contains(FORBIDDEN) || name.chars().any(|c| c.is_control() || c.len_utf8() > 3) {
        return Some("Name contains an unsupported character");
    }
    if name.ends_with('.') || name.trim() != name {
        return Some("Name ends with a period, or begins or ends with a space");
    }
    let refused = REFUSED.contains(&lower.as_str())
        || REFUSED_STARTS.iter().any(|start| lower.starts_with(start))
        || REFUSED_ENDS.iter().any(|end| lower.ends_with(end));
    refused.then_some("Name is of a kind that is not stored")
}

/// Whether a path is longer than any may be.
pub(super) fn is_too_long(parts: &[String]) -> bool {
    parts.iter().map(|part| part.len() + 1).sum::<usize>() > PATH_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_the_service_says() {
        let long = "x".repeat(246);
        for bad in
            ["a:b", "end.", " a", "a ", "Thumbs.db", "spam.tmp", "~$x.doc", "._x", "\u{1F600}", "a\tb", &long, ""]
        {
            assert!(complaint(bad).is_some(), "{bad:?}");
        }
        for good in ["#%&;{}`+.txt", "Zażółć", "Привет", ".hidden", "写真.jpg", &long[1..]] {
            assert_eq!(complaint(good), None, "{good:?}");
        }
    }
}
