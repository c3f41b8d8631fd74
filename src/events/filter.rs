//! Which events somebody wants to see: by account, folder, type, path, person, time and what became of them.

use std::fmt;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::{Deserialize, Serialize};

use super::taxonomy::TypePattern;
use crate::report::EventRow;
use crate::tree::Wall;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// It is being worked on, or waits for a person.
    Pending,
    /// A folder followed it.
    Applied,
    /// It is our own deed.
    Own,
    /// It was told before.
    Duplicate,
    /// Something newer was known already.
    Stale,
    /// It concerns no watched folder.
    Outside,
    /// It changes nothing that a mirror holds, or a pattern keeps its item out.
    Ignored,
    /// It could not be understood: folders are compared.
    Unplaced,
    /// What it asked for failed.
    Failed,
    /// It was read from the provider for a person, and the agent has not received it.
    Unseen,
}

impl Disposition {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Applied,
        Self::Own,
        Self::Duplicate,
        Self::Stale,
        Self::Outside,
        Self::Ignored,
        Self::Unplaced,
        Self::Failed,
        Self::Unseen,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Own => "own",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Outside => "outside",
            Self::Ignored => "ignored",
            Self::Unplaced => "unplaced",
            Self::Failed => "failed",
            Self::Unseen => "unseen",
        }
    }

    /// Reads a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.word() == word)
    }

    /// From what the journal says of an event.
    pub fn of(outcome: &str, own: bool) -> Self {
        if own {
            return Self::Own;
        }
        match outcome {
            "pending" | "held" => Self::Pending,
            "repeated" => Self::Duplicate,
            "stale" | "overtaken" => Self::Stale,
            "outside" | "unknown item" => Self::Outside,
            "ignored" | "no change" | "filtered out" => Self::Ignored,
            "unplaced" => Self::Unplaced,
            "failed" => Self::Failed,
            _ => Self::Applied,
        }
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The wish. What is not said is not asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this account.
    pub account: Option<String>,
    /// Of this folder.
    pub folder: Option<String>,
    /// Of one of these types.
    pub types: Vec<TypePattern>,
    /// At a path that one of these gitignore patterns matches.
    pub paths: Vec<String>,
    /// By this person: a name, a part of one, or the provider's id.
    pub actor: Option<String>,
    /// With one of these dispositions.
    pub dispositions: Vec<Disposition>,
    /// Received at or after this moment.
    pub since: Option<Wall>,
    /// Received before this moment.
    pub until: Option<Wall>,
}

/// A wish, ready to be asked.
#[derive(Debug)]
pub struct Matcher {
    filter: EventFilter,
    paths: Option<Gitignore>,
    actor: Option<String>,
}

impl Matcher {
    /// Prepares a wish.
    pub fn new(filter: EventFilter) -> Self {
        let paths = (!filter.paths.is_empty()).then(|| {
            let mut builder = GitignoreBuilder::new("");
            for pattern in &filter.paths {
                // One that does not compile was refused when it was read.
                let _ = builder.add_line(None, pattern);
            }
            builder.build().unwrap_or_else(|_| Gitignore::empty())
        });
        let actor = filter.actor.as_deref().map(str::to_lowercase);
        Self { filter, paths, actor }
    }

    /// Whether an event is wanted.
    pub fn wants(&self, row: &EventRow) -> bool {
        let filter = &self.filter;
        filter.account.as_deref().is_none_or(|account| account == row.account)
            && filter.folder.as_deref().is_none_or(|folder| Some(folder) == row.folder.as_deref())
            && filter.since.is_none_or(|since| row.received >= since)
            && filter.until.is_none_or(|until| row.received < until)
            && (filter.dispositions.is_empty()
                || filter.dispositions.contains(&row.disposition)
                || (row.repeats > 0 && filter.dispositions.contains(&Disposition::Duplicate)))
            && (filter.types.is_empty()
                || filter.types.iter().any(|of| of.covers(&row.event_type, &row.kind, &row.provider_kind)))
            && self.actor.as_deref().is_none_or(|wanted| is_by(row, wanted))
            && self.paths.as_ref().is_none_or(|paths| {
                let path = row.path.as_deref().map(|path| path.trim_start_matches('/')).filter(|path| !path.is_empty());
                path.is_some_and(|path| paths.matched_path_or_any_parents(path, false).is_ignore())
            })
    }
}

fn is_by(row: &EventRow, wanted: &str) -> bool {
    row.actor_id.as_deref() == Some(wanted)
        || row.actor.as_deref().is_some_and(|actor| actor.to_lowercase().contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::JournalId;

    fn row() -> EventRow {
        EventRow {
            id: JournalId(1),
            received: Wall(1_000),
            account: "work".into(),
            folder: Some("inbox".into()),
            kind: "uploaded".into(),
            event_type: "item.uploaded".into(),
            provider_kind: "ITEM_UPLOAD".into(),
            path: Some("reports/2026/q1.pdf".into()),
            actor: Some("Ann Lee".into()),
            actor_id: Some("77".into()),
            disposition: Disposition::Applied,
            ..EventRow::default()
        }
    }

    fn wants(change: impl FnOnce(&mut EventFilter)) -> bool {
        let mut filter = EventFilter::default();
        change(&mut filter);
        Matcher::new(filter).wants(&row())
    }

    #[test]
    fn each_part_of_a_wish_counts() {
        assert!(wants(|_| {}));
        assert!(wants(|f| f.account = Some("work".into())) && !wants(|f| f.account = Some("home".into())));
        assert!(wants(|f| f.folder = Some("inbox".into())) && !wants(|f| f.folder = Some("other".into())));
        assert!(wants(|f| f.since = Some(Wall(1_000))) && !wants(|f| f.since = Some(Wall(1_001))));
        assert!(wants(|f| f.until = Some(Wall(1_001))) && !wants(|f| f.until = Some(Wall(1_000))));
        assert!(wants(|f| f.dispositions = vec![Disposition::Own, Disposition::Applied]));
        assert!(!wants(|f| f.dispositions = vec![Disposition::Duplicate]));
        let of = |text| TypePattern::parse(text).unwrap();
        assert!(wants(|f| f.types = vec![of("share.*"), of("item.*")]) && !wants(|f| f.types = vec![of("share.*")]));
        for (pattern, matches) in [("*.pdf", true), ("reports/", true), ("/reports/**/q1.pdf", true), ("*.doc", false)]
        {
            assert_eq!(wants(|f| f.paths = vec![pattern.into()]), matches, "{pattern}");
        }
        for (actor, matches) in [("ann", true), ("77", true), ("Lee", true), ("7", false), ("bob", false)] {
            assert_eq!(wants(|f| f.actor = Some(actor.into())), matches, "{actor}");
        }
    }

    #[test]
    fn what_was_told_again_is_found_as_a_duplicate() {
        let again = EventRow { repeats: 2, ..row() };
        let filter = EventFilter { dispositions: vec![Disposition::Duplicate], ..EventFilter::default() };
        assert!(Matcher::new(filter).wants(&again));
    }

    #[test]
    fn outcomes_lead_to_dispositions() {
        for (outcome, own, disposition) in [
            ("downloaded", false, Disposition::Applied),
            ("no change", true, Disposition::Own),
            ("no change", false, Disposition::Ignored),
            ("outside", false, Disposition::Outside),
            ("held", false, Disposition::Pending),
        ] {
            assert_eq!(Disposition::of(outcome, own), disposition, "{outcome}");
        }
        for known in Disposition::ALL {
            assert_eq!(Disposition::parse(known.word()), Some(known));
        }
    }
}
