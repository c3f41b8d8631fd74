//! The taxonomy: our one name for every event type that the providers list, and what each means for a mirror. The set stays open: a type
//! that is not listed is `unknown`, is kept with its text, and its item is looked at like any other.

use super::EventKind;
use crate::settings::ProviderName;

mod box_com;
mod egnyte;

/// What an event of a type can mean for a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meaning {
    /// Names or content may have changed.
    Tree,
    /// What the account may see may have changed.
    Visibility,
    /// What the account may change may have changed.
    Lock,
    /// Names, content and rights are as they were.
    Nothing,
}

impl Meaning {
    /// The word of `agent events types`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::Visibility => "visibility",
            Self::Lock => "lock",
            Self::Nothing => "nothing",
        }
    }

    /// What the agent does about it, as a sentence without its full stop.
    pub fn says(self) -> &'static str {
        match self {
            Self::Tree => "names or content may have changed: a watched item is brought up to date",
            Self::Visibility => "what the account may see may have changed: a watched folder is asked about again",
            Self::Lock => "what may be changed may differ: an upload that was refused is tried again",
            Self::Nothing => "nothing that a mirror holds changes: it is recorded and passed on",
        }
    }
}

/// Which streams carry a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// Box's `all`, `changes` and `sync`.
    User,
    /// Box's `all`.
    UserAll,
    /// Box's `admin_logs` and `admin_logs_streaming`.
    Enterprise,
    /// All of Box's.
    UserAndEnterprise,
    /// Box's `all`, `admin_logs` and `admin_logs_streaming`.
    UserAllAndEnterprise,
    /// Egnyte's, in both versions.
    Egnyte,
    /// Egnyte's, in its second version.
    EgnyteV2,
}

impl Streams {
    /// Their words.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::User => &["all", "changes", "sync"],
            Self::UserAll => &["all"],
            Self::Enterprise => &["admin_logs", "admin_logs_streaming"],
            Self::UserAndEnterprise => &["all", "changes", "sync", "admin_logs", "admin_logs_streaming"],
            Self::UserAllAndEnterprise => &["all", "admin_logs", "admin_logs_streaming"],
            Self::Egnyte => &["events v1", "events v2"],
            Self::EgnyteV2 => &["events v2"],
        }
    }
}

/// One type of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// The provider's word.
    pub word: &'static str,
    /// Our name, `group.what`. Types of different streams that tell of the same thing share it.
    pub name: &'static str,
    /// What the engine takes it for.
    pub kind: EventKind,
    /// What it means for a mirror.
    pub meaning: Meaning,
    /// Who tells it.
    pub streams: Streams,
}

const fn row(word: &'static str, name: &'static str, kind: EventKind, meaning: Meaning, streams: Streams) -> Type {
    Type { word, name, kind, meaning, streams }
}

/// The name of what no list has.
pub const UNKNOWN: &str = "unknown";

/// What is known of Box's word.
pub fn box_type(word: &str) -> Option<&'static Type> {
    box_com::TYPES.binary_search_by(|row| row.word.cmp(word)).ok().map(|place| &box_com::TYPES[place])
}

/// Our name for a provider's word. Egnyte uses one word for several things, which the kind tells apart.
pub fn name(provider: ProviderName, kind: EventKind, word: &str) -> &'static str {
    let found = match provider {
        ProviderName::Box => box_type(word),
        ProviderName::Egnyte => egnyte::TYPES.iter().find(|row| row.kind == kind && row.word == word),
    };
    found.map_or(UNKNOWN, |row| row.name)
}

/// The same, from the words of the journal.
pub fn name_of(provider: &str, kind: &str, word: &str) -> &'static str {
    let found = match provider {
        "egnyte" => egnyte::TYPES.iter().find(|row| row.kind.word() == kind && row.word == word),
        _ => box_type(word),
    };
    found.map_or(UNKNOWN, |row| row.name)
}

/// Every type of a provider, by our name.
pub fn types(provider: ProviderName) -> Vec<&'static Type> {
    let mut types: Vec<&'static Type> = match provider {
        ProviderName::Box => box_com::TYPES.iter().collect(),
        ProviderName::Egnyte => egnyte::TYPES.iter().collect(),
    };
    types.sort_by_key(|row| (row.name, row.word));
    types
}

/// Which types somebody asks for: `item.uploaded`, `item.*`, a word of ours such as `uploaded`, or the provider's own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypePattern(String);

impl TypePattern {
    /// Reads a pattern; nothing if no event could ever have it.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let rows = || box_com::TYPES.iter().chain(&egnyte::TYPES);
        let fits = match lower.strip_suffix(".*") {
            Some(group) => rows().any(|row| group_of(row.name) == group),
            None => {
                lower == "*"
                    || lower == UNKNOWN
                    || rows().any(|row| row.name == lower || row.kind.word() == lower)
                    || rows().any(|row| row.word.eq_ignore_ascii_case(&lower))
            }
        };
        // A word in capitals may be one that Box invented since.
        let is_foreign_word =
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b"_0123456789".contains(&b));
        (fits || is_foreign_word).then_some(Self(lower))
    }

    /// Every name that can be asked for, for a "did you mean".
    pub fn known() -> impl Iterator<Item = &'static str> {
        box_com::TYPES.iter().chain(&egnyte::TYPES).map(|row| row.name)
    }

    /// As it was read.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an event is meant.
    pub fn covers(&self, name: &str, kind: &str, word: &str) -> bool {
        if self.0 == "*" {
            return true;
        }
        match self.0.strip_suffix(".*") {
            Some(group) => group_of(name) == group,
            None => self.0 == name || self.0 == kind || word.eq_ignore_ascii_case(&self.0),
        }
    }
}

fn group_of(name: &str) -> &str {
    name.split_once('.').map_or(name, |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_sorted() {
        for pair in box_com::TYPES.windows(2) {
            assert!(pair[0].word < pair[1].word, "{} comes before {}", pair[0].word, pair[1].word);
        }
        for row in &box_com::TYPES {
            assert_eq!(box_type(row.word), Some(row));
            assert!(row.name.contains('.'), "{}", row.name);
        }
        assert_eq!(box_type("ITEM_TELEPORT"), None);
    }

    #[test]
    fn what_changes_trees_has_a_kind_that_says_so() {
        use EventKind as K;
        for row in box_com::TYPES.iter().chain(&egnyte::TYPES) {
            let changes = matches!(
                row.kind,
                K::Created | K::Uploaded | K::Copied | K::Renamed | K::Moved | K::Trashed | K::Restored | K::Promoted
            );
            assert!(!changes || row.meaning == Meaning::Tree, "{}", row.word);
            assert!(!matches!(row.kind, K::Read | K::Comment) || row.meaning == Meaning::Nothing, "{}", row.word);
            assert_eq!(row.kind == K::Lock, row.meaning == Meaning::Lock, "{}", row.word);
        }
    }

    #[test]
    fn cousins_of_both_streams_share_a_name() {
        for (user, enterprise) in [("ITEM_UPLOAD", "UPLOAD"), ("ITEM_TRASH", "DELETE"), ("LOCK_CREATE", "LOCK")] {
            assert_eq!(box_type(user).unwrap().name, box_type(enterprise).unwrap().name);
        }
        assert_eq!(name(ProviderName::Box, EventKind::Other, "ITEM_TELEPORT"), UNKNOWN);
        assert_eq!(name(ProviderName::Egnyte, EventKind::Comment, "create"), "comment.created");
        assert_eq!(name(ProviderName::Egnyte, EventKind::Uploaded, "create"), "item.uploaded");
    }

    #[test]
    fn patterns_cover_names_groups_kinds_and_words() {
        for (pattern, covered) in [
            ("item.uploaded", true),
            ("item.*", true),
            ("uploaded", true),
            ("ITEM_UPLOAD", true),
            ("item_upload", true),
            ("*", true),
            ("item.trashed", false),
            ("share.*", false),
            ("UPLOAD", false),
        ] {
            let pattern = TypePattern::parse(pattern).unwrap();
            assert_eq!(pattern.covers("item.uploaded", "uploaded", "ITEM_UPLOAD"), covered, "{pattern:?}");
        }
        assert!(TypePattern::parse("unknown").unwrap().covers(UNKNOWN, "other", "ITEM_TELEPORT"));
        assert!(TypePattern::parse("ITEM_TELEPORT").unwrap().covers(UNKNOWN, "other", "ITEM_TELEPORT"));
        for wrong in ["", "item", "items.*", "item.uploadd"] {
            assert_eq!(TypePattern::parse(wrong), None, "{wrong}");
        }
    }
}
