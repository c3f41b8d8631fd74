//! From method, path and body to the kind of call and the place in the tree that it is about.

use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{Query, ids};
use crate::sandbox::counters::Call;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub call: Call,
    pub target: Target,
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Nothing,
    /// The names from the root down.
    Path(Vec<String>),
    Folder(u64),
    File(u64),
    User(u64),
    /// The path is not text, or holds what no path can.
    Malformed,
}

/// Whether the body of such a request is content that must be read as it comes.
pub(super) fn is_upload(path: &str) -> bool {
    path.starts_with("/pubapi/v1/fs-content")
}

/// Finds out what is meant; what is not known is [`Call::EgnyteUnknown`].
pub(super) fn find(method: &Method, uri: &Uri, body: Option<&[u8]>) -> Route {
    let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let route = |call| Route { call, target: Target::Nothing };
    match (method.as_str(), &parts[..]) {
        ("GET", ["puboauth", "token" | "authorize"]) => route(Call::EgnyteAuthorize),
        ("POST", ["puboauth", "token"]) => route(Call::EgnyteToken),
        ("POST", ["pubapi", "v1", "tokens", "revoke"]) => route(Call::EgnyteRevoke),
        ("GET", ["pubapi", "v1", "userinfo"]) => route(Call::EgnyteUserinfo),
        ("GET", ["pubapi", "v2", "users", id]) => {
            Route { call: Call::EgnyteUser, target: Target::User(id.parse().unwrap_or(0)) }
        }
        ("GET", ["pubapi", "v1" | "v2", "events", "cursor"]) => route(Call::EgnyteCursor),
        ("GET", ["pubapi", "v1" | "v2", "events"]) => route(Call::EgnyteEvents),
        ("GET", ["pubapi", "v1" | "v2", "fs", "trash"]) => route(Call::EgnyteTrashList),
        ("POST", ["pubapi", "v1", "fs", "trash"]) => route(Call::EgnyteTrashChange),
        ("GET", ["pubapi", "v1", "fs", "ids", "folder", id, "stats"]) => {
            Route { call: Call::EgnyteFolderStats, target: by_id("folder", id) }
        }
        (_, ["pubapi", "v1", "fs", rest @ ..]) => Route { call: on_tree(method, uri, body), target: target(rest) },
        ("GET", ["pubapi", "v1", "fs-content", rest @ ..]) => {
            Route { call: Call::EgnyteDownload, target: target(rest) }
        }
        ("POST" | "PUT", ["pubapi", "v1", "fs-content", rest @ ..]) => {
            Route { call: Call::EgnyteUpload, target: target(rest) }
        }
        ("POST" | "PUT", ["pubapi", "v1", "fs-content-chunked", rest @ ..]) => {
            Route { call: Call::EgnyteChunk, target: target(rest) }
        }
        _ => route(Call::EgnyteUnknown),
    }
}

fn on_tree(method: &Method, uri: &Uri, body: Option<&[u8]>) -> Call {
    match *method {
        Method::GET if Query::parse(uri.query()).flag("list_content", true) => Call::EgnyteList,
        Method::GET => Call::EgnyteStat,
        Method::DELETE => Call::EgnyteDelete,
        Method::POST => {
            let body: Value = serde_json::from_slice(body.unwrap_or(b"")).unwrap_or(Value::Null);
            match body.get("action").and_then(Value::as_str).unwrap_or("") {
                "add_folder" => Call::EgnyteFolderCreate,
                "move" => Call::EgnyteMove,
                "copy" => Call::EgnyteCopy,
                "lock" => Call::EgnyteLock,
                "unlock" => Call::EgnyteUnlock,
                _ => Call::EgnyteUnknown,
            }
        }
        _ => Call::EgnyteUnknown,
    }
}

fn by_id(kind: &str, id: &str) -> Target {
    match kind {
        "folder" => Target::Folder(ids::read_folder(id).unwrap_or(u64::MAX)),
        _ => Target::File(ids::read_group(id).unwrap_or(u64::MAX)),
    }
}

fn target(parts: &[&str]) -> Target {
    if let ["ids", kind @ ("file" | "folder"), id] = parts {
        return by_id(kind, id);
    }
    let mut names = Vec::new();
    for part in parts {
        match percent_decode_str(part).decode_utf8() {
            Ok(name) if name != "." && name != ".." && !name.contains(['/', '\0']) => names.push(name.into_owned()),
            _ => return Target::Malformed,
        }
    }
    Target::Path(names)
}

/// The names in a path that came as text, such as the destination of a move.
pub(super) fn split(path: &str) -> Option<Vec<String>> {
    let rest = path.strip_prefix('/')?;
    Some(rest.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &Method, uri: &str, body: &str) -> Route {
        find(method, &uri.parse().unwrap(), Some(body.as_bytes()))
    }

    #[test]
    fn a_post_to_the_tree_is_known_by_its_body() {
        let moved = found(&Method::POST, "/pubapi/v1/fs/Shared/a", r#"{"action":"move"}"#);
        assert_eq!(moved.call, Call::EgnyteMove);
        assert_eq!(found(&Method::POST, "/pubapi/v1/fs/Shared/a", "{").call, Call::EgnyteUnknown);
    }

    #[test]
    fn every_segment_is_decoded_on_its_own() {
        let route = found(&Method::GET, "/pubapi/v1/fs/Shared/50%25%20%23%3F?list_content=False", "");
        assert_eq!(route.call, Call::EgnyteStat);
        assert_eq!(route.target, Target::Path(vec!["Shared".to_owned(), "50% #?".to_owned()]));
        for bad in ["/pubapi/v1/fs/a%2Fb", "/pubapi/v1/fs/%FF", "/pubapi/v1/fs/%2e%2e/x"] {
            assert_eq!(found(&Method::GET, bad, "").target, Target::Malformed, "{bad}");
        }
    }
}
