//! What Egnyte takes for a name, and how a path becomes part of an address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::provider::{ProviderError, ProviderErrorKind, Result};

/// The longest component of a path, in bytes.
const NAME_MAX_BYTES: usize = 245;
/// The longest path, in bytes.
const PATH_MAX_BYTES: usize = 5_000;
/// What a path segment may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Names that Egnyte ignores or refuses, in lower case.
const REFUSED_NAMES: [&str; 5] = [".ds_store", "desktop.ini", ".thumbs.db", "thumbs.db", ".data"];
const REFUSED_ENDS: [&str; 4] = [".tmp", "~", "._attribs_", "._rights_"];
const REFUSED_STARTS: [&str; 4] = ["._", ".~", ".smbdelete", "~$"];

/// A path as part of an address: each segment encoded for itself, the slashes left. Empty for the top.
pub fn encoded(path: &str) -> Result<String> {
    let mut text = String::with_capacity(path.len() + 16);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        if segment == "." || segment == ".." {
            return Err(refused("a path must not hold `.` or `..`").with("path", path));
        }
        text.push('/');
        text.extend(utf8_percent_encode(segment, SEGMENT));
    }
    Ok(text)
}

/// One segment of an address.
pub fn encoded_segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The path of a child, unless Egnyte would not take it.
pub fn child_path(parent: &str, name: &str) -> Result<String> {
    check(name)?;
    if parent.trim_matches('/').is_empty() {
        return Err(
            refused("nothing can be put beside Shared and Private, at the top of the account").with("name", name)
        );
    }
    let path = format!("{}/{name}", parent.trim_end_matches('/'));
    if path.len() > PATH_MAX_BYTES {
        return Err(refused("the path is longer than the 5,000 bytes that Egnyte takes").with("name", name));
    }
    Ok(path)
}

/// Refuses a name that Egnyte would refuse, ignore or silently change.
pub fn check(name: &str) -> Result<()> {
    let lower = name.to_lowercase();
    let wrong = if name.is_empty() {
        "the name is empty"
    } else if name.len() > NAME_MAX_BYTES {
        "the name is longer than the 245 bytes that Egnyte takes"
    } else if name.chars().any(|c| c.is_control() || matches!(c, '\\' | '/' | '"' | ':' | '<' | '>' | '|' | '*' | '?'))
    {
        "the name holds a character that Egnyte does not take: \\ / \" : < > | * ? or a control character"
    } else if name.chars().any(|c| c.len_utf8() > 3) {
        "the name holds a character of four bytes (an emoji, for one), which Egnyte does not take"
    } else if name.starts_with(' ') || name.ends_with(' ') || name.ends_with('.') {
        "Egnyte takes no name that begins or ends with a space, or ends with a period"
    } else if REFUSED_NAMES.contains(&lower.as_str())
        || REFUSED_ENDS.iter().any(|end| lower.ends_with(end))
        || REFUSED_STARTS.iter().any(|start| lower.starts_with(start))
    {
        "Egnyte ignores names like this one, which programs and systems use for themselves"
    } else {
        return Ok(());
    };
    Err(refused(wrong).with("name", name))
}

/// The last component of a path.
pub fn last(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// The path above; empty for what lies at the top.
pub fn above(path: &str) -> &str {
    path.trim_end_matches('/').rsplit_once('/').map_or("", |(above, _)| above)
}

fn refused(why: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Refused, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_segment_is_encoded_for_itself() {
        let path = "/Shared/50% off?/#1 a&b;$c+d/żółć";
        let wire = "/Shared/50%25%20off%3F/%231%20a%26b%3B%24c%2Bd/%C5%BC%C3%B3%C5%82%C4%87";
        assert_eq!(encoded(path).unwrap(), wire);
        assert_eq!(encoded("/").unwrap(), "");
        assert_eq!(encoded("Shared//a/").unwrap(), "/Shared/a");
        assert!(encoded("/Shared/../Private").is_err());
        assert_eq!(encoded_segment("a/b?c"), "a%2Fb%3Fc");
    }

    #[test]
    fn names_that_egnyte_would_not_keep_are_refused_before_a_call() {
        for name in [
            "",
            "a\\b",
            "a/b",
            "a:b",
            "a*",
            "what?",
            "tab\tbed",
            "party 🎉",
            "ends.",
            " begins",
            "ends ",
            "Thumbs.db",
            "x.TMP",
            "backup~",
            "._x",
            "~$doc.docx",
            ".DS_Store",
        ] {
            assert_eq!(check(name).unwrap_err().kind, ProviderErrorKind::Refused, "{name:?}");
        }
        assert!(check(&"x".repeat(246)).is_err());
        for name in ["a.txt", "100% # & ; {}`+.txt", "フォルダ", "Ł.pdf", ".hidden", "a.b.c"] {
            check(name).unwrap();
        }
        check(&"x".repeat(245)).unwrap();
    }

    #[test]
    fn paths_of_children() {
        assert_eq!(child_path("/Shared/a", "b").unwrap(), "/Shared/a/b");
        assert!(child_path("/", "b").is_err());
        assert!(child_path(&"/x".repeat(2_500), "b").is_err());
        assert_eq!((above("/Shared/a/b"), last("/Shared/a/b")), ("/Shared/a", "b"));
        assert_eq!((above("/Shared"), last("/")), ("", ""));
    }
}
