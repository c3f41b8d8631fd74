//! Where the path of an event may lead. It was given by the cloud's tree of one moment, and is read by the tree as last observed: a folder
//! that went and one that took its name have one path until both were observed, and a folder that was renamed since has another one.
//!
//! Example: `a` goes to the trash, and `b` becomes `a`. As long as only the second is known, `a/n` may be in either.

use super::hints::Location;
use crate::id::NodeId;

/// How many ways one path is read at most.
const READINGS_MOST: usize = 8;

/// The folders of a name in a folder.
#[derive(Debug, Default)]
pub(in crate::engine) struct Named {
    /// Those that have it, as last observed.
    pub now: Vec<NodeId>,
    /// Those that had it.
    pub before: Vec<NodeId>,
}

/// The places to which the names below `root` may lead, the likeliest first. `folders` has the folders of a name in a folder.
pub(in crate::engine) fn readings<E>(
    root: NodeId,
    names: &[&str],
    mut folders: impl FnMut(NodeId, &str) -> Result<Named, E>,
) -> Result<Vec<Location>, E> {
    let mut found = Vec::new();
    // Those to read on from, the likeliest last: the folder, the one that it was found in, and whether another one has its name.
    let mut open = vec![(0, root, None, false)];
    while let Some((index, at, parent, ambiguous)) = open.pop() {
        let Some(name) = names.get(index) else {
            let name = names.last().map(|name| (*name).to_owned()).unwrap_or_default();
            found.push(Location::Folder { node: at, parent, name, ambiguous });
            continue;
        };
        let Named { now, before } = folders(at, &name.to_lowercase())?;
        let is_last = index + 1 == names.len();
        if now.is_empty() {
            let name = (*name).to_owned();
            found.push(if is_last {
                Location::Name { parent: at, name }
            } else {
                Location::Beyond { nearest: at, name }
            });
        }
        // What was renamed itself since it was told of is known by its new name.
        let before = before.into_iter().filter(|node| !is_last && !now.contains(node));
        let next: Vec<NodeId> = now.iter().copied().chain(before).take(READINGS_MOST).collect();
        let ambiguous = now.len() > 1;
        open.extend(next.into_iter().rev().map(|node| (index + 1, node, Some(at), ambiguous)));
        if found.len() >= READINGS_MOST {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the root (1) two folders are called `a` (2 and 3), and another one, `e` (4), was called `a` and `d`. `n` is in the second `a` (5)
    /// and in `e` (6).
    fn folders(at: NodeId, name: &str) -> Result<Named, ()> {
        let (now, before): (&[i64], &[i64]) = match (at.0, name) {
            (1, "a") => (&[2, 3], &[4]),
            (1, "d") => (&[], &[4]),
            (1, "e") => (&[4], &[]),
            (3, "n") => (&[5], &[]),
            (4, "n") => (&[6], &[]),
            _ => (&[], &[]),
        };
        let nodes = |nodes: &[i64]| nodes.iter().copied().map(NodeId).collect();
        Ok(Named { now: nodes(now), before: nodes(before) })
    }

    /// As text: `5` a known folder, `2/n` a name in one, `2/n/…` something below that.
    fn of(path: &str) -> String {
        let names: Vec<&str> = path.split('/').collect();
        let found = readings(NodeId(1), &names, folders).unwrap();
        let text = found.into_iter().map(|location| match location {
            Location::Folder { node, ambiguous, .. } => format!("{node}{}", if ambiguous { "?" } else { "" }),
            Location::Name { parent, name } => format!("{parent}/{name}"),
            Location::Beyond { nearest, name } => format!("{nearest}/{name}/…"),
            Location::Outside | Location::FilteredOut => unreachable!(),
        });
        text.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_path_is_read_in_every_way_the_present_names_first() {
        for (path, expected) in [
            ("e/n", "6"),
            ("e/new", "4/new"),
            ("x", "1/x"),
            ("x/y", "1/x/…"),
            ("a/n", "2/n 5 6"),
            ("a/n/new", "2/n/… 5/new 6/new"),
            ("d/n", "1/d/… 6"),
            ("d/new", "1/d/… 4/new"),
            ("d", "1/d"),
            ("a", "2? 3?"),
        ] {
            assert_eq!(of(path), expected, "{path}");
        }
    }

    #[test]
    fn there_are_not_too_many_of_them() {
        let many = |at: NodeId, _: &str| {
            Ok::<_, ()>(Named { now: (1..10).map(|n| NodeId(at.0 * 10 + n)).collect(), ..Named::default() })
        };
        assert_eq!(readings(NodeId(1), &["a"; 6], many).unwrap().len(), READINGS_MOST);
    }
}
