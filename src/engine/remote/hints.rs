//! What an event obliges us to ask: pure rules from an event and what is known of its item to marks. No event is a fact about the tree.
//!
//! Invariant: if the cloud changed and an event tells of it, then either what is known already agrees with the event and no question that
//! was asked before it is under way, or there is a mark after these rules. So whatever the order in which events come, the last one of an
//! item either agrees with what was observed or leads to an observation.

use crate::events::EventKind;
use crate::id::{ItemId, NodeId, VersionId};
use crate::store::expected::{Expectation, Told};
use crate::store::items::{ItemRow, Presence};

/// Where a path leads, by the tree as last observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum Location {
    /// Out of the watched folder.
    Outside,
    /// Into a folder that a pattern keeps out.
    FilteredOut,
    /// To a folder that we know.
    Folder {
        /// It.
        node: NodeId,
        /// The folder that holds it; nothing for the watched one.
        parent: Option<NodeId>,
        /// Its name, as the path has it.
        name: String,
        /// Another folder that we know has the same name: one of the two is gone or elsewhere.
        ambiguous: bool,
    },
    /// To a name in a folder that we know, and no folder that we know has that name.
    Name { parent: NodeId, name: String },
    /// Into a folder that we do not know: the nearest one above that we do, and the first name below it.
    Beyond { nearest: NodeId, name: String },
}

impl Location {
    /// The known folder and the name in it that the path leads to.
    pub fn place(&self) -> Option<(NodeId, &str)> {
        match self {
            Self::Folder { parent: Some(parent), name, .. } | Self::Name { parent, name } => Some((*parent, name)),
            Self::Folder { parent: None, .. } | Self::Outside | Self::FilteredOut | Self::Beyond { .. } => None,
        }
    }
}

/// Something that must be asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum Mark {
    /// The state of an item that we know.
    Node(NodeId, Expectation),
    /// The state of an item that we do not know; the event puts it into this folder.
    New { id: ItemId, parent: NodeId, name: String, version: Option<VersionId>, told: Told },
    /// The children of a folder, and the name that one of them is expected to have.
    Children(NodeId, Option<String>),
    /// The children of a folder, one of which holds what the event is about, the name that it is expected to have, and the item that the event
    /// is about if we do not know it.
    Below(NodeId, Option<String>, Option<ItemId>),
    /// A name in a folder that is not to be expected any more: what had it left, and where that went. What was told of below the name went
    /// with it.
    Left { dir: NodeId, name: String, to: Option<Location> },
    /// The children of a folder and of all folders below: what happened in it was not told while it was hidden.
    Subtree(NodeId),
    /// An item that we do not know, and that a listing which is under way may yet bring in as it was before.
    Unknown(ItemId),
}

impl Mark {
    /// The name that a listing of a folder is expected to show.
    pub fn expected_name(&self) -> Option<(NodeId, &str)> {
        match self {
            Self::Children(dir, Some(name)) | Self::Below(dir, Some(name), _) => Some((*dir, name)),
            Self::New { parent, name, told: Told::There, .. } if !name.is_empty() => Some((*parent, name)),
            _ => None,
        }
    }
}

/// What is known when an event comes.
#[derive(Debug)]
pub(in crate::engine) struct Facts<'a> {
    /// What the event says happened.
    pub kind: EventKind,
    /// The item that it names.
    pub id: Option<&'a ItemId>,
    /// What is known of that item.
    pub known: Option<&'a ItemRow>,
    /// There is a mark on the item, or a question about it is under way that was asked before the event.
    pub is_open: bool,
    /// The version that the event names.
    pub version: Option<&'a VersionId>,
    /// Something later is known of the item: the event says nothing of how it is now, which one look shows.
    pub is_former: bool,
    /// The known folder that the event names by id as the item's parent.
    pub parent: Option<NodeId>,
    /// Where the event's path leads, if it has one.
    pub to: Option<Location>,
    /// Where its path of before leads, for moves.
    pub from: Option<Location>,
    /// The top folder of the account, if it is watched: whatever is told without a place lies in it.
    pub top: Option<NodeId>,
}

impl Facts<'_> {
    /// Of an event that names no item.
    pub fn of_kind(kind: EventKind) -> Self {
        Self {
            kind,
            id: None,
            known: None,
            is_open: true,
            version: None,
            is_former: false,
            parent: None,
            to: None,
            from: None,
            top: None,
        }
    }

    /// Whether what the event is about is told to be where we see nothing, if it tells that at all.
    pub fn leaves(&self) -> bool {
        matches!(self.to, None | Some(Location::Outside | Location::FilteredOut))
    }
}

/// The marks of one event in one watched folder, and the word for the journal if no item's work will say what became of it.
pub(in crate::engine) fn marks(facts: &Facts<'_>) -> (Vec<Mark>, Option<&'static str>) {
    // Reading, comments and locks change neither names nor content.
    if matches!(facts.kind, EventKind::Read | EventKind::Comment | EventKind::Lock) {
        return (Vec::new(), Some("no change"));
    }
    match (facts.id, facts.known) {
        (Some(_), Some(known)) => of_known(facts, known),
        (Some(id), None) => of_unknown(facts, id),
        (None, _) => of_path(facts),
    }
}

/// The marks of an event for another place to which its path, or its path of before, may lead as well. Nothing is expected there: it is asked
/// once how that is.
pub(in crate::engine) fn marks_otherwise(facts: &Facts<'_>, to: Option<Location>, from: Option<Location>) -> Vec<Mark> {
    if facts.kind == EventKind::Created && matches!(to, Some(Location::Folder { .. })) {
        // It is known, whether it is what was told or not.
        return Vec::new();
    }
    let to = to.or_else(|| facts.to.clone());
    let (marks, _) = marks(&Facts { to, from, ..*facts });
    let asks = |mark| match mark {
        Mark::Node(node, _) => Some(Mark::Node(node, Expectation::of_nothing())),
        Mark::Children(dir, _) => Some(Mark::Children(dir, None)),
        Mark::Below(dir, ..) => Some(Mark::Below(dir, None, None)),
        Mark::Subtree(_) => Some(mark),
        Mark::New { .. } | Mark::Left { .. } | Mark::Unknown(_) => None,
    };
    marks.into_iter().filter_map(asks).collect()
}

/// What an event of a kind says of whether its item is there, if it does not say that it is gone.
fn told(kind: EventKind) -> Told {
    match kind {
        EventKind::Created
        | EventKind::Uploaded
        | EventKind::Copied
        | EventKind::Renamed
        | EventKind::Moved
        | EventKind::Restored
        | EventKind::Promoted => Told::There,
        EventKind::Trashed => Told::Gone,
        EventKind::Lock | EventKind::Sharing | EventKind::Comment | EventKind::Read | EventKind::Other => Told::Nothing,
    }
}

/// A name in a folder, if an event of a kind says that there is something of that name.
fn expected_name(kind: EventKind, name: &str) -> Option<String> {
    (told(kind) == Told::There).then(|| name.to_owned())
}

fn of_known(facts: &Facts<'_>, known: &ItemRow) -> (Vec<Mark>, Option<&'static str>) {
    let node = known.node;
    if facts.kind == EventKind::Sharing {
        // Whoever lost a right and got it back has missed what was told meanwhile.
        let mut marks = vec![Mark::Node(node, Expectation::of_nothing())];
        if known.id.is_folder() {
            marks.push(Mark::Subtree(node));
        }
        return (marks, None);
    }
    if facts.kind == EventKind::Trashed {
        let agrees = !facts.is_open && known.remote.presence == Presence::Absent;
        return if agrees {
            (Vec::new(), Some("no change"))
        } else {
            let expected = if facts.is_former { Expectation::of_nothing() } else { Expectation::of_gone() };
            (vec![Mark::Node(node, expected)], None)
        };
    }
    let expected = match &facts.to {
        _ if facts.is_former => Expectation::of_nothing(),
        Some(Location::Outside) => Expectation::of_gone(),
        Some(Location::FilteredOut) => Expectation::of_nothing(),
        to => Expectation {
            // A move to a place that is not told may lead to where we see nothing.
            told: if facts.kind == EventKind::Moved && to.is_none() { Told::Left } else { told(facts.kind) },
            // A file that was only written to is where it was: its path may be one of before a folder on the way was renamed.
            place: to
                .as_ref()
                .and_then(Location::place)
                .filter(|_| !matches!(facts.kind, EventKind::Uploaded | EventKind::Promoted))
                .map(|(parent, name)| (parent, name.to_owned())),
            version: facts.version.cloned(),
        },
    };
    let says_something = expected.told == Told::Gone || expected.place.is_some() || expected.version.is_some();
    // A place that we cannot name is not the one that we know, whatever the version says.
    let leads_beyond = matches!(facts.to, Some(Location::Beyond { .. }))
        && !matches!(facts.kind, EventKind::Uploaded | EventKind::Promoted);
    // What is known to be gone is not known to have stayed so, unless that is what the event says. Example: a file that went to the trash
    // is told of by a word that we do not know, with its version and its place of before: it may be back.
    let was_gone = known.remote.presence != Presence::Present && expected.told != Told::Gone;
    let says_something = says_something && !leads_beyond && !was_gone;
    let is_kept_out = facts.to == Some(Location::FilteredOut) && known.remote.presence != Presence::Present;
    if !facts.is_open && (is_kept_out || says_something && expected.is_met_by(Some(&known.remote))) {
        return (Vec::new(), Some("no change"));
    }
    let mut marks = vec![Mark::Node(node, expected)];
    if let Some(Location::Beyond { nearest, name }) = &facts.to {
        marks.push(Mark::Below(*nearest, expected_name(facts.kind, name), None));
    }
    (marks, None)
}

fn of_unknown(facts: &Facts<'_>, id: &ItemId) -> (Vec<Mark>, Option<&'static str>) {
    let heard = Mark::Unknown(id.clone());
    if facts.kind == EventKind::Trashed {
        // Its path may lead to a folder that we know under another id, or as it was called before.
        let (mut marks, outcome) = if id.is_folder() { of_path(facts) } else { (Vec::new(), Some("unknown item")) };
        marks.push(heard);
        return (marks, outcome);
    }
    if let Some(parent) = facts.parent {
        let version = facts.version.cloned();
        return (
            vec![Mark::New { id: id.clone(), parent, name: String::new(), version, told: told(facts.kind) }],
            None,
        );
    }
    match &facts.to {
        Some(Location::Outside) => (vec![heard], Some("outside")),
        Some(Location::FilteredOut) => (vec![heard], Some("filtered out")),
        Some(Location::Beyond { nearest, name }) => {
            (vec![heard, Mark::Below(*nearest, expected_name(facts.kind, name), Some(id.clone()))], Some("listed"))
        }
        Some(to) => match to.place() {
            Some((parent, name)) if id.is_folder() => {
                (vec![heard, Mark::Children(parent, expected_name(facts.kind, name))], Some("listed"))
            }
            Some((parent, name)) => {
                let version = facts.version.cloned();
                let told = told(facts.kind);
                (vec![Mark::New { id: id.clone(), parent, name: name.to_owned(), version, told }], None)
            }
            None => (vec![heard], Some("unknown item")),
        },
        None => match facts.top {
            Some(top) => (vec![heard, Mark::Children(top, None)], Some("listed")),
            None => (vec![heard], Some("unknown item")),
        },
    }
}

/// The name that an event says was left, if nothing that we know has it.
///
/// Example: a file is put into a new folder, and the folder is renamed before we hear of either: no listing will show its first name.
fn left(facts: &Facts<'_>) -> Option<Mark> {
    let (place, to) = match facts.kind {
        EventKind::Moved | EventKind::Renamed => (facts.from.as_ref(), facts.to.clone()),
        EventKind::Trashed => (facts.to.as_ref(), None),
        _ => (None, None),
    };
    match place? {
        Location::Name { parent, name } => Some(Mark::Left { dir: *parent, name: name.clone(), to }),
        _ => None,
    }
}

/// An event that names no more than a path, which covers everything below it.
fn of_path(facts: &Facts<'_>) -> (Vec<Mark>, Option<&'static str>) {
    let (marks, outcome) = of_place(facts);
    (left(facts).into_iter().chain(marks).collect(), outcome)
}

fn of_place(facts: &Facts<'_>) -> (Vec<Mark>, Option<&'static str>) {
    let mut marks = Vec::new();
    // What has two places is a move by whatever word.
    let is_move = matches!(facts.kind, EventKind::Moved | EventKind::Renamed | EventKind::Other);
    if is_move
        && facts.leaves()
        && let Some(Location::Beyond { nearest, name }) = &facts.from
    {
        // Example: `c` becomes `e`, and `e/d` leaves the watched folder before the first was observed: `d` is known, and not as `e/d`.
        marks.push(Mark::Below(*nearest, Some(name.clone()), None));
    }
    if is_move && let Some(Location::Folder { node, parent, ambiguous, .. }) = &facts.from {
        let expected = match &facts.to {
            _ if facts.kind == EventKind::Other => Expectation::of_nothing(),
            Some(Location::Outside) => Expectation::of_gone(),
            to => Expectation {
                place: to.as_ref().and_then(Location::place).map(|(parent, name)| (parent, name.to_owned())),
                ..Expectation::default()
            },
        };
        marks.push(Mark::Node(*node, expected));
        if let (true, Some(parent)) = (ambiguous, parent) {
            marks.push(Mark::Children(*parent, None));
        }
    }
    match &facts.to {
        None | Some(Location::Outside) if marks.is_empty() => return (marks, Some("outside")),
        Some(Location::FilteredOut) if marks.is_empty() => return (marks, Some("filtered out")),
        None | Some(Location::Outside | Location::FilteredOut) => {}
        // Whatever happened there, the folder of that name held it.
        Some(Location::Beyond { nearest, name }) => marks.push(Mark::Below(*nearest, Some(name.clone()), None)),
        Some(Location::Name { parent, name }) => {
            marks.push(Mark::Children(*parent, expected_name(facts.kind, name)));
        }
        Some(Location::Folder { node, parent, ambiguous, .. }) => {
            // A folder that went and one that followed it have the same path until both were observed.
            let of_parent = parent.map(|parent| Mark::Children(parent, None));
            match facts.kind {
                EventKind::Trashed => {
                    marks.push(Mark::Node(*node, Expectation::of_gone()));
                    marks.extend(of_parent.filter(|_| *ambiguous));
                }
                EventKind::Sharing => {
                    marks.push(Mark::Node(*node, Expectation::of_nothing()));
                    marks.push(Mark::Subtree(*node));
                }
                EventKind::Created => marks.extend(of_parent),
                _ => {
                    marks.extend(of_parent);
                    marks.push(Mark::Children(*node, None));
                }
            }
        }
    }
    let has_node = marks.iter().any(|mark| matches!(mark, Mark::Node(..)));
    (marks, (!has_node).then_some("listed"))
}

#[cfg(test)]
mod tests {
    use super::EventKind as K;
    use super::*;
    use crate::id::{ContentHash, FolderId};
    use crate::store::items::RemoteRow;
    use crate::tree::RemoteContent;

    const FILE: NodeId = NodeId(10);
    const DIR: NodeId = NodeId(20);
    const ROOT: NodeId = NodeId(1);

    fn row(id: &ItemId, node: NodeId, name: &str, version: Option<&str>) -> ItemRow {
        let content = version.map(|version| RemoteContent {
            version: VersionId::new(version),
            hash: Some(ContentHash::Sha1("00".into())),
            size: Some(1),
            modified: None,
        });
        let remote = RemoteRow {
            presence: Presence::Present,
            parent: Some(ROOT),
            name: name.into(),
            content,
            etag: None,
            sequence: None,
            seen: 0,
        };
        ItemRow { node, folder: FolderId(1), id: id.clone(), remote, synced: None, local: None }
    }

    fn at(name: &str) -> Location {
        Location::Name { parent: ROOT, name: name.into() }
    }

    fn folder(node: NodeId, ambiguous: bool) -> Location {
        Location::Folder { node, parent: Some(ROOT), name: "d".into(), ambiguous }
    }

    fn beyond() -> Location {
        Location::Beyond { nearest: DIR, name: "new".into() }
    }

    /// What an event leads to, as text: `?10` a look, `?10 there` one that is expected to find it, `+1/a` a look at something new, `[20]` a
    /// listing, `[20 a]` one in which a name is expected, `[20>new]` one below which the event is (`[20>new file:f]` of an unknown item), `[20]*`
    /// with all below, `~` remembered.
    fn of(facts: &Facts<'_>) -> String {
        text(marks(facts).0)
    }

    fn text(marks: Vec<Mark>) -> String {
        let text = marks.iter().map(|mark| match mark {
            Mark::Node(node, expected) => format!(
                "?{node}{}",
                match expected.told {
                    Told::There => " there",
                    Told::Gone => " gone",
                    Told::Nothing => "",
                    Told::Left => " left",
                }
            ),
            Mark::New { parent, name, .. } => format!("+{parent}/{name}"),
            Mark::Children(node, None) => format!("[{node}]"),
            Mark::Children(node, Some(name)) => format!("[{node} {name}]"),
            Mark::Below(node, name, id) => {
                let id = id.as_ref().map_or_else(String::new, |id| format!(" {id}"));
                format!("[{node}>{}{id}]", name.as_deref().unwrap_or_default())
            }
            Mark::Subtree(node) => format!("[{node}]*"),
            Mark::Left { dir, name, .. } => format!("-{dir}/{name}"),
            Mark::Unknown(_) => "~".into(),
        });
        text.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_event_of_a_known_item_is_a_mark_unless_it_says_what_was_observed() {
        let id = ItemId::file("f");
        let known = row(&id, FILE, "a", Some("v1"));
        let (v1, v2) = (VersionId::new("v1"), VersionId::new("v2"));
        let facts = |kind, version, to| Facts {
            kind,
            id: Some(&id),
            known: Some(&known),
            is_open: false,
            version,
            is_former: false,
            parent: None,
            to,
            from: None,
            top: None,
        };
        for (kind, version, to, expected) in [
            (K::Uploaded, Some(&v1), Some(at("a")), ""),
            (K::Uploaded, Some(&v2), Some(at("a")), "?10 there"),
            (K::Uploaded, Some(&v1), Some(at("former name")), ""),
            (K::Renamed, Some(&v1), Some(at("a")), ""),
            (K::Renamed, Some(&v1), Some(at("A")), "?10 there"),
            (K::Restored, Some(&v2), Some(at("a")), "?10 there"),
            (K::Moved, None, Some(Location::Outside), "?10 gone"),
            (K::Moved, None, Some(Location::FilteredOut), "?10"),
            (K::Moved, None, Some(beyond()), "?10 there [20>new]"),
            (K::Moved, Some(&v1), Some(beyond()), "?10 there [20>new]"),
            (K::Uploaded, Some(&v1), Some(beyond()), ""),
            (K::Trashed, None, Some(at("a")), "?10 gone"),
            (K::Other, None, None, "?10"),
            (K::Moved, None, None, "?10 left"),
            (K::Sharing, None, None, "?10"),
            (K::Comment, Some(&v2), Some(at("b")), ""),
            (K::Lock, Some(&v2), Some(at("b")), ""),
        ] {
            let facts = facts(kind, version, to);
            assert_eq!(of(&facts), expected, "{facts:?}");
        }
        let open = Facts { is_open: true, ..facts(K::Uploaded, Some(&v1), Some(at("a"))) };
        assert_eq!(of(&open), "?10 there", "a question that is under way may bring an older answer");
    }

    #[test]
    fn an_event_that_may_bring_back_what_is_gone_asks() {
        let id = ItemId::file("f");
        let mut known = row(&id, FILE, "a", Some("v1"));
        known.remote.presence = Presence::Absent;
        let v1 = VersionId::new("v1");
        for (kind, to, expected) in [
            (K::Other, Some(at("a")), "?10"),
            (K::Moved, None, "?10 left"),
            (K::Uploaded, Some(at("a")), "?10 there"),
            (K::Moved, Some(Location::Outside), ""),
            (K::Other, Some(Location::FilteredOut), ""),
            (K::Trashed, Some(at("a")), ""),
            (K::Comment, Some(at("a")), ""),
        ] {
            let facts = Facts {
                kind,
                id: Some(&id),
                known: Some(&known),
                is_open: false,
                version: Some(&v1),
                is_former: false,
                parent: None,
                to,
                from: None,
                top: None,
            };
            assert_eq!(of(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_permission_that_changes_asks_for_all_below() {
        let id = ItemId::folder("d");
        let known = row(&id, DIR, "d", None);
        let facts = Facts { id: Some(&id), known: Some(&known), is_open: false, ..Facts::of_kind(EventKind::Sharing) };
        assert_eq!(of(&facts), "?20 [20]*");
    }

    #[test]
    fn an_event_of_before_is_a_look_that_expects_nothing() {
        let id = ItemId::file("f");
        let known = row(&id, FILE, "a", Some("v2"));
        let (v1, v2) = (VersionId::new("v1"), VersionId::new("v2"));
        for (kind, version, to, expected) in [
            (K::Restored, Some(&v1), Some(at("a")), "?10"),
            (K::Uploaded, Some(&v1), Some(at("a")), "?10"),
            (K::Moved, Some(&v2), Some(at("b")), "?10"),
            (K::Moved, Some(&v2), Some(beyond()), "?10 [20>new]"),
            (K::Trashed, None, Some(at("a")), "?10"),
        ] {
            let facts = Facts {
                kind,
                id: Some(&id),
                known: Some(&known),
                is_open: false,
                version,
                is_former: true,
                parent: None,
                to,
                from: None,
                top: None,
            };
            assert_eq!(of(&facts), expected, "{kind:?}");
        }
    }

    #[test]
    fn an_event_of_an_unknown_item_asks_where_it_leads() {
        for (id, kind, parent, to, top, expected) in [
            (ItemId::file("f"), K::Uploaded, None, Some(at("a")), None, "+1/a"),
            (ItemId::file("f"), K::Uploaded, Some(DIR), None, None, "+20/"),
            (ItemId::folder("d"), K::Created, None, Some(at("d")), None, "~ [1 d]"),
            (ItemId::file("f"), K::Uploaded, None, Some(beyond()), None, "~ [20>new file:f]"),
            (ItemId::file("f"), K::Uploaded, None, Some(Location::Outside), None, "~"),
            (ItemId::file("f"), K::Trashed, None, Some(at("a")), None, "~"),
            (ItemId::folder("d"), K::Trashed, None, Some(folder(DIR, false)), None, "?20 gone ~"),
            (ItemId::folder("d"), K::Sharing, None, None, Some(ROOT), "~ [1]"),
            (ItemId::folder("d"), K::Sharing, None, None, None, "~"),
        ] {
            let facts = Facts {
                kind,
                id: Some(&id),
                known: None,
                is_open: true,
                version: None,
                is_former: false,
                parent,
                to,
                from: None,
                top,
            };
            assert_eq!(of(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn an_event_of_a_path_asks_about_what_is_there_and_around_it() {
        for (kind, from, to, expected) in [
            (K::Created, None, Some(at("d")), "[1 d]"),
            (K::Created, None, Some(folder(DIR, false)), "[1]"),
            (K::Copied, None, Some(folder(DIR, false)), "[1] [20]"),
            (K::Created, None, Some(beyond()), "[20>new]"),
            (K::Trashed, None, Some(folder(DIR, false)), "?20 gone"),
            (K::Trashed, None, Some(folder(DIR, true)), "?20 gone [1]"),
            (K::Trashed, None, Some(at("former name")), "-1/former name [1]"),
            (K::Renamed, Some(at("first name")), Some(at("e")), "-1/first name [1 e]"),
            (K::Moved, Some(folder(DIR, false)), Some(at("e")), "?20 there [1 e]"),
            (K::Moved, Some(folder(DIR, false)), Some(Location::Outside), "?20 gone"),
            (K::Moved, Some(beyond()), Some(Location::Outside), "[20>new]"),
            (K::Moved, Some(beyond()), Some(at("e")), "[1 e]"),
            (K::Moved, Some(Location::Outside), Some(at("e")), "[1 e]"),
            (K::Other, Some(folder(DIR, false)), Some(Location::Outside), "?20"),
            (K::Other, Some(folder(DIR, false)), Some(at("e")), "?20 [1]"),
            (K::Copied, Some(folder(DIR, false)), Some(Location::Outside), ""),
            (K::Sharing, None, Some(folder(DIR, false)), "?20 [20]*"),
            (K::Sharing, None, Some(at("d")), "[1]"),
            (K::Sharing, None, Some(beyond()), "[20>new]"),
            (K::Trashed, None, Some(beyond()), "[20>new]"),
            (K::Created, None, Some(Location::Outside), ""),
            (K::Created, None, Some(Location::FilteredOut), ""),
        ] {
            let facts = Facts { to, from, ..Facts::of_kind(kind) };
            assert_eq!(of(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn where_a_path_may_lead_as_well_is_asked_once_and_nothing_is_expected_there() {
        for (kind, from, to, expected) in [
            (K::Created, None, Some(folder(DIR, false)), ""),
            (K::Created, None, Some(at("d")), "[1]"),
            (K::Created, None, Some(beyond()), "[20>]"),
            (K::Trashed, None, Some(folder(DIR, false)), "?20"),
            (K::Trashed, None, Some(at("d")), "[1]"),
            (K::Moved, Some(folder(DIR, false)), None, "?20"),
            (K::Moved, Some(at("d")), None, ""),
            (K::Comment, None, Some(folder(DIR, false)), ""),
        ] {
            let facts = Facts { to: Some(Location::Outside), ..Facts::of_kind(kind) };
            assert_eq!(text(marks_otherwise(&facts, to.clone(), from.clone())), expected, "{kind:?} {from:?} {to:?}");
        }
    }

    #[test]
    fn a_change_of_case_alone_is_a_change() {
        let known = row(&ItemId::file("f"), FILE, "README.txt", Some("v1"));
        let expected = |name: &str| Expectation { place: Some((ROOT, name.into())), ..Expectation::default() };
        assert!(expected("README.txt").is_met_by(Some(&known.remote)));
        assert!(!expected("ReadMe.txt").is_met_by(Some(&known.remote)));
        assert!(!expected("README.txt").is_met_by(None));
        assert!(Expectation::of_gone().is_met_by(None));
    }
}
