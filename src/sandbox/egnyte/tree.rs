//! The part of the cloud that this service shows: a shared tree, and a private one for each user.

use std::sync::atomic::Ordering;

use axum::response::Response;

use super::route::Target;
use super::{Ask, ids, names, reply};
use crate::sandbox::model::{Deed, Kind, Model, ROOT, Refusal, User};
use crate::sandbox::shared::Shared;

/// The sign-in name, which is also the name of the private folder.
pub(super) fn username(user: User) -> &'static str {
    match user {
        User::Agent => "agent",
        User::Other => "other",
    }
}

/// Makes the folders that every domain has, which is no event.
pub(super) fn ensure_roots(shared: &Shared) {
    if shared.egnyte.rooted.swap(true, Ordering::AcqRel) {
        return;
    }
    shared.change(User::Other, |model, deed| {
        // A cloud in which something else has such a name does without.
        let _ = model.ensure_folder(deed, ROOT, "Shared");
        if let Ok(private) = model.ensure_folder(deed, ROOT, "Private") {
            for user in [User::Agent, User::Other] {
                let _ = model.ensure_folder(Deed { by: user, ..deed }, private, username(user));
            }
        }
    });
}

/// What may be done with a place in the tree by a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The root, or the folder of the private trees: nothing can be put there.
    Above,
    /// One of the trees themselves: it stays, but takes items.
    Top,
    /// Anything below.
    Inside,
    /// Somebody else's.
    Forbidden,
    /// Outside both trees, which this service has no way to show.
    Nowhere,
}

/// How far a user reaches along the names from the root down.
pub(super) fn reach<S: AsRef<str>>(user: User, path: &[S]) -> Reach {
    let is = |at: usize, name: &str| path.get(at).is_some_and(|known| known.as_ref().eq_ignore_ascii_case(name));
    match path.len() {
        0 => Reach::Above,
        1 if is(0, "private") => Reach::Above,
        1 if is(0, "shared") => Reach::Top,
        _ if is(0, "shared") => Reach::Inside,
        2 if is(0, "private") && is(1, username(user)) => Reach::Top,
        _ if is(0, "private") && is(1, username(user)) => Reach::Inside,
        _ if is(0, "private") => Reach::Forbidden,
        _ => Reach::Nowhere,
    }
}

/// As [`reach`], for a path as text.
pub(super) fn reach_of(user: User, path: &str) -> Reach {
    reach(user, &path.split('/').filter(|name| !name.is_empty()).collect::<Vec<_>>())
}

fn forbidden() -> Response {
    reply::error_message(403, "You do not have permission to access this resource")
}

/// The item that a request is about, as far as the user may see it.
pub(super) fn find(ask: &Ask, model: &Model) -> Result<u64, Response> {
    let missing = || reply::refusal(&Refusal::NotFound);
    match &ask.route.target {
        Target::Path(path) => match reach(ask.user, path) {
            Reach::Forbidden => Err(forbidden()),
            Reach::Nowhere => Err(missing()),
            _ => model.child_at(path).map_err(|_| missing()),
        },
        Target::Folder(id) => by_id(ask, model, Kind::Folder, *id),
        Target::File(id) => by_id(ask, model, Kind::File, *id),
        Target::Nothing | Target::User(_) | Target::Malformed => Err(missing()),
    }
}

fn by_id(ask: &Ask, model: &Model, kind: Kind, id: u64) -> Result<u64, Response> {
    let gone = || reply::form_error(404, "NOT_FOUND", "Item with the given id does not exist");
    let item = model.live_of(kind, id).map_err(|_| gone())?;
    let path = model.path_of(item.id).map_err(|_| gone())?;
    match reach_of(ask.user, &path) {
        Reach::Forbidden => Err(forbidden()),
        Reach::Nowhere => Err(gone()),
        _ => Ok(item.id),
    }
}

/// The item, if it is one that can be changed, moved or deleted.
pub(super) fn find_changeable(ask: &Ask, model: &Model) -> Result<u64, Response> {
    let id = find(ask, model)?;
    let path = model.path_of(id).map_err(|refusal| reply::refusal(&refusal))?;
    match reach_of(ask.user, &path) {
        Reach::Inside => Ok(id),
        _ => Err(reply::refusal(&Refusal::Root)),
    }
}

/// A place where something may be put: the folder, and the name in it.
pub(super) fn place<'a>(user: User, model: &Model, path: &'a [String], kind: Kind) -> Result<(u64, &'a str), Response> {
    let Some((name, folder)) = path.split_last() else {
        return Err(reply::error_message(409, "Nothing can be created here"));
    };
    match reach(user, folder) {
        Reach::Above => return Err(reply::error_message(409, "Nothing can be created directly under this folder")),
        // The shared tree itself holds folders only.
        Reach::Top if kind == Kind::File && folder.len() == 1 => return Err(forbidden()),
        Reach::Forbidden => return Err(forbidden()),
        Reach::Nowhere => return Err(reply::refusal(&Refusal::NotFound)),
        Reach::Top | Reach::Inside => {}
    }
    if names::is_too_long(path) {
        return Err(reply::input_error(400, "path", "TOO_LONG", "Path is longer than 5000 bytes"));
    }
    if let Some(complaint) = names::complaint(name) {
        return Err(match kind {
            Kind::Folder => reply::input_error(400, "path", "INVALID_NAME", complaint),
            _ => reply::error_message(400, complaint),
        });
    }
    let parent = model.child_at(folder).and_then(|id| model.live_of(Kind::Folder, id).map(|item| item.id));
    parent.map(|parent| (parent, name.as_str())).map_err(|_| reply::error_message(404, "Parent folder does not exist"))
}

/// What a fault script may call the item of a request: its id in two forms, or its path.
pub(super) fn names_of(shared: &Shared, target: &Target) -> Vec<String> {
    let of = |id: u64, kind: Kind| match kind {
        Kind::Folder => [id.to_string(), ids::folder_id(id)],
        _ => [id.to_string(), ids::group_id(id)],
    };
    shared.look(|model| match target {
        Target::Folder(id) | Target::File(id) => {
            let kind = if matches!(target, Target::Folder(_)) { Kind::Folder } else { Kind::File };
            let path = model.live(*id).and_then(|item| model.path_of(item.id));
            of(*id, kind).into_iter().chain(path.ok()).collect()
        }
        Target::Path(path) => {
            let known = model.child_at(path).and_then(|id| model.any(id)).ok().map(|item| of(item.id, item.kind));
            let asked = format!("/{}", path.join("/"));
            known.into_iter().flatten().chain([asked]).collect()
        }
        Target::Nothing | Target::User(_) | Target::Malformed => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_reaches_the_shared_tree_and_the_own_one() {
        let reach = |path| reach_of(User::Agent, path);
        assert_eq!(reach("/"), Reach::Above);
        assert_eq!(reach("/private"), Reach::Above);
        assert_eq!(reach("/SHARED"), Reach::Top);
        assert_eq!(reach("/Shared/a"), Reach::Inside);
        assert_eq!(reach("/Private/agent"), Reach::Top);
        assert_eq!(reach("/Private/other/x"), Reach::Forbidden);
        assert_eq!(reach("/Projects"), Reach::Nowhere);
    }
}
