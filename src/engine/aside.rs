//! The names that items have in the cloud for the moment in which they change names among themselves.

use crate::id::JobId;

/// How a name begins that an item has in the cloud while it changes names with others.
const ASIDE_NAME: &str = ".renaming-";

/// A name in the cloud for the moment in which items change names among themselves, which every cloud takes.
pub(in crate::engine) fn aside_name(job: JobId) -> String {
    format!("{ASIDE_NAME}{}", job.0)
}

/// Whether a name in the cloud is one that we gave an item for such a moment.
pub(in crate::engine) fn is_aside_name(name: &str) -> bool {
    name.strip_prefix(ASIDE_NAME).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_moment_are_recognised() {
        assert!(is_aside_name(&aside_name(JobId(17))));
        for other in [".renaming-", ".renaming-x", "renaming-1", ".renaming-1 "] {
            assert!(!is_aside_name(other), "{other}");
        }
    }
}
