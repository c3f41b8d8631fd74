//! From method and path to the kind of call and the ids in it.

use axum::http::Method;

use crate::sandbox::counters::Call;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub call: Call,
    /// The id of the item, upload session, ...; for a download link its whole path.
    pub id: String,
    /// The second id, for versions.
    pub sub: String,
}

impl Route {
    /// What a fault script knows it by: the id of the item, also for a download link.
    pub fn item(&self) -> &str {
        match self.call {
            Call::ContentRedirect => self.id.split('/').nth(1).unwrap_or(""),
            _ => &self.id,
        }
    }
}

/// Finds out what is meant; what is not known is [`Call::Unknown`].
pub(super) fn find(method: &Method, path: &str) -> Route {
    if let Some(link) = path.strip_prefix("/dl/") {
        return Route {
            call: Call::ContentRedirect,
            id: link.to_owned(),
            sub: String::new(),
        };
    }
    let mut parts = [""; 6];
    let mut total = 0;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if total == parts.len() {
            return Route {
                call: Call::Unknown,
                id: String::new(),
                sub: String::new(),
            };
        }
        parts[total] = part;
        total += 1;
    }
    let parts = match &parts[..total] {
        ["2.0", rest @ ..] | ["api", "2.0", rest @ ..] => rest,
        whole => return outside(method, whole),
    };
    inside(method, parts)
}

fn route(call: Call, id: &str, sub: &str) -> Route {
    Route {
        call,
        id: id.to_owned(),
        sub: sub.to_owned(),
    }
}

fn outside(method: &Method, parts: &[&str]) -> Route {
    let call = match (method.as_str(), parts) {
        ("GET", ["api", "oauth2", "authorize"]) => Call::Authorize,
        ("POST", ["oauth2", "token"] | ["api", "oauth2", "token"]) => Call::Token,
        ("POST", ["oauth2", "revoke"] | ["api", "oauth2", "revoke"]) => Call::Revoke,
        ("GET", ["realtime"]) => Call::Realtime,
        _ => Call::Unknown,
    };
    route(call, "", "")
}

fn inside(method: &Method, parts: &[&str]) -> Route {
    match (method.as_str(), parts) {
        ("GET", ["users", "me"]) => route(Call::UserMe, "", ""),
        ("GET", ["events"]) => route(Call::Events, "", ""),
        ("OPTIONS", ["events"]) => route(Call::EventsOptions, "", ""),
        ("GET", ["folders", "trash", "items"]) => route(Call::TrashItems, "", ""),
        ("POST", ["folders"]) => route(Call::FolderCreate, "", ""),
        ("GET", ["folders", id]) => route(Call::FolderGet, id, ""),
        ("PUT", ["folders", id]) => route(Call::FolderUpdate, id, ""),
        ("DELETE", ["folders", id]) => route(Call::FolderDelete, id, ""),
        ("POST", ["folders", id]) => route(Call::FolderRestore, id, ""),
        ("POST", ["folders", id, "copy"]) => route(Call::FolderCopy, id, ""),
        ("GET", ["folders", id, "items"]) => route(Call::FolderItems, id, ""),
        ("GET", ["folders", id, "trash"]) => route(Call::FolderTrashGet, id, ""),
        ("DELETE", ["folders", id, "trash"]) => route(Call::FolderTrashDelete, id, ""),
        ("OPTIONS", ["files", "content"]) => route(Call::Preflight, "", ""),
        ("POST", ["files", "content"]) => route(Call::UploadNew, "", ""),
        (_, ["files", "upload_sessions", ..]) => session(method, &parts[2..]),
        ("GET", ["files", id]) => route(Call::FileGet, id, ""),
        ("PUT", ["files", id]) => route(Call::FileUpdate, id, ""),
        ("DELETE", ["files", id]) => route(Call::FileDelete, id, ""),
        ("POST", ["files", id]) => route(Call::FileRestore, id, ""),
        ("POST", ["files", id, "copy"]) => route(Call::FileCopy, id, ""),
        ("GET", ["files", id, "trash"]) => route(Call::FileTrashGet, id, ""),
        ("DELETE", ["files", id, "trash"]) => route(Call::FileTrashDelete, id, ""),
        ("GET" | "HEAD", ["files", id, "content"]) => route(Call::Content, id, ""),
        ("OPTIONS", ["files", id, "content"]) => route(Call::Preflight, id, ""),
        ("POST", ["files", id, "content"]) => route(Call::UploadVersion, id, ""),
        ("POST", ["files", id, "upload_sessions"]) => route(Call::SessionCreate, id, ""),
        ("GET", ["files", id, "versions"]) => route(Call::Versions, id, ""),
        ("POST", ["files", id, "versions", "current"]) => route(Call::VersionPromote, id, ""),
        ("GET", ["files", id, "versions", version]) => route(Call::VersionGet, id, version),
        ("DELETE", ["files", id, "versions", version]) => route(Call::VersionDelete, id, version),
        _ => route(Call::Unknown, "", ""),
    }
}

fn session(method: &Method, parts: &[&str]) -> Route {
    match (method.as_str(), parts) {
        ("POST", []) => route(Call::SessionCreate, "", ""),
        ("GET", [id]) => route(Call::SessionGet, id, ""),
        ("PUT", [id]) => route(Call::SessionPart, id, ""),
        ("DELETE", [id]) => route(Call::SessionAbort, id, ""),
        ("GET", [id, "parts"]) => route(Call::SessionParts, id, ""),
        ("POST", [id, "plan"]) => route(Call::SessionPlan, id, ""),
        ("POST", [id, "commit"]) => route(Call::SessionCommit, id, ""),
        _ => route(Call::Unknown, "", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_prefixes_and_a_trailing_slash_are_understood() {
        for path in [
            "/2.0/files/content",
            "/api/2.0/files/content/",
            "//2.0/files//content",
        ] {
            assert_eq!(find(&Method::OPTIONS, path).call, Call::Preflight, "{path}");
        }
        assert_eq!(
            find(&Method::GET, "/2.0/folders/7/items"),
            route(Call::FolderItems, "7", "")
        );
        assert_eq!(
            find(&Method::GET, "/2.0/folders/trash/items").call,
            Call::TrashItems
        );
        assert_eq!(
            find(&Method::PUT, "/api/2.0/files/upload_sessions/S"),
            route(Call::SessionPart, "S", "")
        );
        assert_eq!(
            find(&Method::DELETE, "/2.0/files/7/versions/9"),
            route(Call::VersionDelete, "7", "9")
        );
        assert_eq!(
            find(&Method::GET, "/2.0/files/1/2/3/4/5").call,
            Call::Unknown
        );
    }
}
