use proptest::prelude::*;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::*;

/// A file as Box describes it in full.
fn full_file() -> Value {
    json!({
        "type": "file", "id": "11446498", "etag": "3", "sequence_id": "4", "name": "Contract.pdf", "size": 629_644,
        "sha1": "85136C79CBF9FE36BB9D05D0639C70C265C18D37",
        "file_version": {"type": "file_version", "id": "26261748416", "sha1": "85136c79cbf9fe36bb9d05d0639c70c265c18d37"},
        "parent": {"type": "folder", "id": "70", "sequence_id": "1", "etag": "1", "name": "2026"},
        "path_collection": {"total_count": 3, "entries": [
            {"type": "folder", "id": "0", "sequence_id": null, "etag": null, "name": "All Files"},
            {"type": "folder", "id": "69", "sequence_id": "1", "etag": "1", "name": "Contracts"},
            {"type": "folder", "id": "70", "sequence_id": "1", "etag": "1", "name": "2026"},
        ]},
        "content_modified_at": "2026-02-08T01:00:04-08:00", "modified_at": "2026-02-09T00:00:00-08:00",
        "item_status": "active", "trashed_at": null, "shared_link": null, "synced": false,
    })
}

fn with(mut value: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { unreachable!() };
    for (key, change) in changes {
        value[key] = change;
    }
    value
}

fn without(mut value: Value, key: &str) -> Value {
    value.as_object_mut().unwrap().remove(key);
    value
}

fn one(event: &Value) -> RemoteEvent {
    let page = json!({"chunk_size": 1, "entries": [event], "next_stream_position": 30_401_068_076_164_269_u64});
    let mut page = event_page(page.to_string(), &Cursor::new("1")).unwrap();
    assert_eq!(page.events.len(), 1);
    page.events.remove(0)
}

fn event_of(kind: &str, source: &Value) -> Value {
    json!({
        "type": "event", "event_id": "f82c3ba03e41f7e8a7608363cc6c0390183c3f83", "event_type": kind,
        "created_at": "2026-08-21T10:15:20-07:00", "recorded_at": "2026-08-21T10:15:21-07:00",
        "created_by": {"type": "user", "id": "17738362", "name": "Aaron L", "login": "a@example.test"},
        "session_id": "70090280850c8d2a1933c1", "source": source,
    })
}

#[test]
fn an_event_brings_the_whole_item() {
    let event = one(&event_of("ITEM_UPLOAD", &full_file()));
    assert_eq!(event.id.as_str(), "f82c3ba03e41f7e8a7608363cc6c0390183c3f83");
    assert_eq!((event.kind, event.provider_kind.as_ref()), (EventKind::Uploaded, "ITEM_UPLOAD"));
    assert_eq!((event.actor.as_deref(), event.actor_name.as_deref()), (Some("17738362"), Some("Aaron L")));
    assert_eq!(event.at, Some(Wall(1_787_332_520_000)));
    assert!(event.raw.as_str().contains("session_id"));
    let Subject::Item(item) = event.subject else { panic!("{:?}", event.subject) };
    assert_eq!(
        item,
        RemoteItem {
            id: ItemId::file("11446498"),
            parent: Some(ItemId::folder("70")),
            name: "Contract.pdf".to_owned(),
            content: Some(RemoteContent {
                version: VersionId::new("26261748416"),
                hash: Some(ContentHash::Sha1("85136c79cbf9fe36bb9d05d0639c70c265c18d37".to_owned())),
                size: Some(629_644),
                modified: Some(Wall(1_770_541_204_000)),
            }),
            etag: Some(Etag::new("3")),
            sequence: Some(4),
            ancestors: Some(vec![
                Ancestor { id: ItemId::folder("0"), name: "All Files".to_owned() },
                Ancestor { id: ItemId::folder("69"), name: "Contracts".to_owned() },
                Ancestor { id: ItemId::folder("70"), name: "2026".to_owned() },
            ]),
            path: None,
        }
    );
}

#[test]
fn every_known_word_has_its_kind() {
    use EventKind as Kind;
    for (words, kind) in [
        ("ITEM_CREATE", Kind::Created),
        ("ITEM_UPLOAD ITEM_MODIFY UPLOAD EDIT", Kind::Uploaded),
        ("ITEM_COPY COPY", Kind::Copied),
        ("ITEM_RENAME RENAME", Kind::Renamed),
        ("ITEM_MOVE MOVE", Kind::Moved),
        ("ITEM_TRASH DELETE", Kind::Trashed),
        ("ITEM_UNDELETE_VIA_TRASH UNDELETE", Kind::Restored),
        ("ITEM_MAKE_CURRENT_VERSION FILE_VERSION_RESTORE", Kind::Promoted),
        ("LOCK_CREATE LOCK_DESTROY LOCK UNLOCK", Kind::Lock),
        (
            "COLLAB_ADD_COLLABORATOR COLLAB_REMOVE_COLLABORATOR COLLAB_INVITE_COLLABORATOR COLLAB_ROLE_CHANGE",
            Kind::Sharing,
        ),
        (
            "COLLABORATION_INVITE COLLABORATION_ACCEPT COLLABORATION_REMOVE GROUP_ADD_USER GROUP_REMOVE_USER",
            Kind::Sharing,
        ),
        ("ITEM_SHARED_CREATE ITEM_SHARED_UNSHARE ITEM_SHARED SHARE UNSHARE CHANGE_FOLDER_PERMISSION", Kind::Sharing),
        ("COMMENT_CREATE COMMENT_DELETE COMMENT_EDIT ANNOTATIONV2_CREATE", Kind::Comment),
        ("ITEM_DOWNLOAD ITEM_PREVIEW ITEM_OPEN DOWNLOAD PREVIEW CONTENT_ACCESS", Kind::Read),
        ("ITEM_SYNC TAG_ITEM_CREATE TASK_CREATE LOGIN SOMETHING_NEW item_trash", Kind::Other),
    ] {
        for word in words.split(' ') {
            assert_eq!(event_kind(taxonomy::box_type(word), word), kind, "{word}");
        }
    }
}

#[test]
fn an_unknown_event_still_names_its_item() {
    let event = one(&event_of("ITEM_BENT", &full_file()));
    assert_eq!((event.kind, event.provider_kind.as_ref()), (EventKind::Other, "ITEM_BENT"));
    assert!(matches!(event.subject, Subject::Item(_)));
}

#[test]
fn what_is_in_the_trash_is_gone() {
    let gone = Subject::Gone(ItemId::file("11446498"));
    let trashed = with(
        full_file(),
        json!({"parent": null, "path_collection": {"total_count": 0, "entries": []}, "item_status": "deleted",
               "trashed_at": "2026-08-21T10:15:20-07:00", "purged_at": "2026-09-20T10:15:20-07:00"}),
    );
    assert_eq!(one(&event_of("ITEM_TRASH", &trashed)).subject, gone);
    // The word is enough, and so is the state.
    assert_eq!(one(&event_of("ITEM_TRASH", &full_file())).subject, gone);
    for status in ["trashed", "deleted", "something new"] {
        let source = with(full_file(), json!({"item_status": status}));
        assert_eq!(one(&event_of("ITEM_RENAME", &source)).subject, gone, "{status}");
    }
    let folder = json!({"type": "folder", "id": 7, "item_status": "trashed"});
    assert_eq!(one(&event_of("ITEM_MOVE", &folder)).subject, Subject::Gone(ItemId::folder("7")));
}

#[test]
fn odd_sources_are_read_as_far_as_they_go() {
    let id = Subject::id(ItemId::file("11446498"));
    let subject = |source: Value| one(&event_of("ITEM_RENAME", &source)).subject;
    for source in [
        without(full_file(), "name"),
        without(full_file(), "parent"),
        without(full_file(), "file_version"),
        with(full_file(), json!({"parent": null})),
        with(full_file(), json!({"parent": "what"})),
        with(full_file(), json!({"parent": {"id": {}}})),
        with(full_file(), json!({"name": {"odd": 1}})),
        with(full_file(), json!({"file_version": []})),
    ] {
        assert_eq!(subject(source.clone()), id, "{source}");
    }
    // These fields are luxury: without them the item is known all the same.
    for (source, check) in [
        (with(full_file(), json!({"sha1": 7, "size": "much", "etag": {}, "sequence_id": "x"})), "luxury"),
        (with(full_file(), json!({"path_collection": {"entries": [{"id": "0"}]}})), "nameless ancestor"),
        (with(full_file(), json!({"path_collection": {"entries": "none"}})), "odd path"),
        (with(full_file(), json!({"path_collection": {"entries": []}})), "empty path"),
        (with(full_file(), json!({"path_collection": {"entries": [{"id": "9", "name": "n"}]}})), "another path"),
        (without(full_file(), "path_collection"), "no path"),
    ] {
        let Subject::Item(item) = subject(source) else { panic!("{check}") };
        assert_eq!(item.ancestors.is_some(), check == "luxury", "{check}");
        assert!(item.parent.is_some());
    }
    for nothing in [
        Value::Null,
        json!({}),
        json!([]),
        json!("file"),
        json!(7),
        json!({"type": "file"}),
        json!({"type": "file", "id": null}),
        json!({"type": ["file"], "id": "1"}),
        json!({"item_type": "file"}),
    ] {
        assert_eq!(subject(nothing.clone()), Subject::Unreadable, "{nothing}");
        for (word, expected) in [
            ("ITEM_MOVE", Subject::Unreadable),
            ("COLLAB_REMOVE_COLLABORATOR", Subject::Unreadable),
            ("SOMETHING_NEW", Subject::Unreadable),
            ("LOGIN", Subject::Nothing),
            ("COMMENT_CREATE", Subject::Nothing),
            ("ITEM_PREVIEW", Subject::Nothing),
        ] {
            assert_eq!(one(&event_of(word, &nothing)).subject, expected, "{word} {nothing}");
        }
    }
    for nothing in [
        json!({"type": "user", "id": "1", "name": "n"}),
        json!({"type": "web_link", "id": "1", "name": "n", "parent": {"id": "0"}}),
        json!({"type": "comment", "id": "1", "item": {"type": "web_link", "id": "2"}}),
    ] {
        assert_eq!(subject(nothing.clone()), Subject::Nothing, "{nothing}");
    }
    assert_eq!(one(&without(event_of("LOCK_DESTROY", &Value::Null), "source")).subject, Subject::Nothing);
    let comment = json!({"type": "comment", "id": "1", "item": {"type": "file", "id": "2", "name": "n"}});
    assert_eq!(one(&event_of("COMMENT_CREATE", &comment)).subject, Subject::id(ItemId::file("2")));
}

#[test]
fn a_number_above_the_exact_doubles_stays_exact() {
    let source = with(full_file(), json!({"id": 9_007_199_254_740_993_u64, "size": 9_007_199_254_740_993_u64}));
    let Subject::Item(item) = one(&event_of("ITEM_UPLOAD", &source)).subject else { panic!() };
    assert_eq!(item.id.raw(), "9007199254740993");
    assert_eq!(item.content.unwrap().size, Some(9_007_199_254_740_993));
}

#[test]
fn a_size_may_have_an_exponent() {
    for (text, size) in [
        ("1.0e+18", Some(1_000_000_000_000_000_000)),
        ("4.831838208e9", Some(4_831_838_208)),
        ("0", Some(0)),
        ("0.0", Some(0)),
        ("\"12\"", Some(12)),
        ("-1", None),
        ("1.5", None),
        ("1e30", None),
        ("null", None),
        ("true", None),
    ] {
        let file = full_file().to_string().replace("\"size\":629644", &format!("\"size\":{text}"));
        let ItemState::Active(item) = item_state(&file, ItemKind::File).unwrap() else { panic!() };
        assert_eq!(item.content.unwrap().size, size, "{text}");
    }
}

#[test]
fn enterprise_events_name_the_item_only() {
    let source =
        json!({"item_type": "file", "item_id": "9", "item_name": "a.txt", "parent": {"type": "folder", "id": "2"}});
    let (id, parent) = (ItemId::file("9"), Some(ItemId::folder("2")));
    let expected = Subject::Id { id, version: None, parent, path: None, from: None };
    assert_eq!(one(&event_of("UPLOAD", &source)).subject, expected);
    assert_eq!(one(&event_of("DELETE", &source)).subject, Subject::Gone(ItemId::file("9")));
    let collaboration = json!({"folder_id": "5", "folder_name": "f", "user_id": "1", "user_name": "n"});
    assert_eq!(one(&event_of("COLLABORATION_INVITE", &collaboration)).subject, Subject::id(ItemId::folder("5")));
    let login = json!({"type": "user", "id": "1", "name": "n", "login": "l"});
    assert_eq!(one(&event_of("LOGIN", &login)).subject, Subject::Nothing);
}

#[test]
fn one_unreadable_event_spoils_nothing() {
    let good = event_of("ITEM_CREATE", &full_file()).to_string();
    let odd = ["7", "null", "[]", "\"x\"", "{\"event_id\":\"1\",\"event_id\":\"2\"}", "{\"event_type\":1e400}", "{}"];
    let page = format!("{{\"entries\":[{},{good}],\"next_stream_position\":\"9\",\"chunk_size\":8}}", odd.join(","));
    let page = event_page(page, &Cursor::new("1")).unwrap();
    assert_eq!(page.events.len(), odd.len() + 1);
    for (event, text) in page.events.iter().zip(odd) {
        assert_eq!((event.kind, &event.subject, event.raw.as_str()), (EventKind::Other, &Subject::Unreadable, text));
        assert!(event.id.as_str().starts_with("sha256:"));
    }
    assert_eq!(page.events.last().unwrap().kind, EventKind::Created);
    assert_eq!(page.next.as_str(), "9");
    // An event without an id has the same made-up one wherever it turns up again.
    let nameless = without(event_of("ITEM_CREATE", &full_file()), "event_id");
    assert_eq!(one(&nameless).id, one(&nameless).id);
    assert_ne!(one(&nameless).id, one(&without(event_of("ITEM_MOVE", &full_file()), "event_id")).id);
}

#[test]
fn a_position_is_text_and_never_a_double() {
    let next = |token: &str| {
        let page = format!("{{\"entries\":[],\"chunk_size\":0,\"next_stream_position\":{token}}}");
        event_page(page, &Cursor::new("old")).unwrap().next
    };
    for (token, expected) in [
        ("30401068076164269", "30401068076164269"),
        ("\"30401068076164269\"", "30401068076164269"),
        ("18446744073709551616999", "18446744073709551616999"),
        ("3.0401068076164269e16", "30401068076164269"),
        ("1.8E+16", "18000000000000000"),
        ("12.0", "12"),
        ("\"1.8e16\"", "1.8e16"),
        ("1.5", "1.5"),
        ("1e999", "1e999"),
        ("\"abc-DEF\"", "abc-DEF"),
        // What says nothing keeps the place that we had.
        ("0", "old"),
        ("0.0", "old"),
        ("0e7", "old"),
        ("\"0\"", "old"),
        ("\"\"", "old"),
        ("\" \"", "old"),
        ("null", "old"),
        ("false", "old"),
        ("[]", "old"),
        ("{\"a\":1}", "old"),
        ("-7", "old"),
    ] {
        assert_eq!(next(token).as_str(), expected, "{token}");
        let page = format!("{{\"entries\":[],\"next_stream_position\":{token}}}");
        assert_eq!(newest_position(&page).is_ok(), expected != "old", "{token}");
    }
    assert_eq!(event_page("{\"entries\":[]}".to_owned(), &Cursor::new("old")).unwrap().next.as_str(), "old");
}

#[test]
fn the_end_of_the_stream_is_known_by_its_signs() {
    let event = event_of("ITEM_CREATE", &full_file()).to_string();
    let caught_up = |entries: &str, rest: &str| {
        event_page(format!("{{\"entries\":[{entries}]{rest}}}"), &Cursor::new("5")).unwrap().caught_up
    };
    assert!(caught_up("", ",\"next_stream_position\":6"), "an empty page");
    assert!(caught_up(&event, ",\"next_stream_position\":5"), "a place that does not move");
    assert!(caught_up(&event, ",\"next_stream_position\":0"), "no place at all");
    assert!(caught_up(&event, ",\"next_stream_position\":6,\"chunk_size\":0"));
    assert!(!caught_up(&event, ",\"next_stream_position\":6,\"chunk_size\":1"), "a short page is not the end");
    assert!(!caught_up(&event, ",\"next_stream_position\":6"));
}

#[test]
fn a_listing_is_whole_or_an_error() {
    let folder = ItemId::folder("70");
    let file = full_file();
    let sub = json!({"type": "folder", "id": "71", "etag": "0", "sequence_id": "0", "name": "sub"});
    let link = json!({"type": "web_link", "id": "72", "etag": "0", "name": "link"});
    let page = json!({"entries": [sub, link, file], "limit": 1000, "next_marker": "abc", "order": {"by": "x"}});
    let listed = list_page(&page.to_string(), &folder).unwrap();
    let ids: Vec<String> = listed.items.iter().map(|item| item.id.to_string()).collect();
    assert_eq!(ids, ["folder:71", "file:11446498"]);
    assert!(listed.items.iter().all(|item| item.parent.as_ref() == Some(&folder)));
    assert_eq!(listed.next.unwrap().as_str(), "abc");
    for end in [json!(""), Value::Null] {
        let page = json!({"entries": [], "next_marker": end});
        assert_eq!(
            list_page(&page.to_string(), &folder).unwrap(),
            ListPage { items: vec![], next: None, unread: None }
        );
    }
    assert!(list_page("{\"entries\":[]}", &folder).unwrap().next.is_none());
    let other = json!({"type": "folder", "id": "8", "name": "other"});
    for strange in [
        without(full_file(), "id"),
        without(full_file(), "name"),
        without(full_file(), "type"),
        without(full_file(), "file_version"),
        json!(null),
        json!("web_link"),
        json!([]),
        json!(["web_link"]),
    ] {
        let page = list_page(&json!({"entries": [strange, other]}).to_string(), &folder).unwrap();
        assert_eq!(page.items.iter().map(|item| &*item.name).collect::<Vec<_>>(), ["other"], "{strange}");
        assert_eq!(page.unread.map(|error| error.kind), Some(ProviderErrorKind::Corrupt), "{strange}");
    }
    let mut trashed = full_file();
    trashed["item_status"] = json!("trashed");
    for left_out in [trashed, json!({"type": "thing", "id": "1", "name": "n"}), json!({"type": "web_link"})] {
        let page = list_page(&json!({"entries": [left_out, other]}).to_string(), &folder).unwrap();
        assert_eq!((page.items.len(), page.unread.is_none()), (1, true), "{left_out}");
    }
    for broken in [
        json!([[]]),
        json!({"entries": null}),
        json!({"entries": {}}),
        json!({"items": []}),
        json!([]),
        json!({"entries": [], "next_marker": 7}),
    ] {
        let error = list_page(&broken.to_string(), &folder).unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Malformed, "{broken}");
    }
    for text in ["", "<html><body>sign in</body></html>", "{\"entries\":[", "null", "OK"] {
        assert_eq!(list_page(text, &folder).unwrap_err().kind, ProviderErrorKind::Malformed, "{text}");
    }
}

#[test]
fn an_event_that_cannot_be_read_spoils_no_other_and_each_keeps_its_text() {
    let good = |id: &str| {
        event_of("ITEM_UPLOAD", &full_file()).to_string().replace("f82c3ba03e41f7e8a7608363cc6c0390183c3f83", id)
    };
    let twice = r#"{"event_id":"b","event_id":"b2","event_type":"ITEM_UPLOAD","session":"ü"}"#;
    for (odd, is_read_alone) in [
        (twice, true),
        (r#"{"event_id":"b","created_by":{"name":"\ud800"}}"#, true),
        (r#"["b","ITEM_UPLOAD"]"#, false),
        ("null", false),
        ("17", false),
    ] {
        let page = format!(r#"{{"next_stream_position":"7","entries":[{}, {odd} ,{}]}}"#, good("a"), good("c"));
        let read = event_page(page.clone(), &Cursor::new("1")).unwrap();
        assert_eq!(parse::<wire::EventPage<'_, wire::Maybe<wire::Event<'_>>>>(&page).is_err(), is_read_alone, "{odd}");
        assert_eq!(read.next.as_str(), "7", "{odd}");
        let texts: Vec<&str> = read.events.iter().map(|event| event.raw.as_str()).collect();
        assert_eq!(texts, [good("a").as_str(), odd, good("c").as_str()]);
        assert_eq!((read.events[0].id.as_str(), read.events[2].id.as_str()), ("a", "c"));
        assert!(matches!(read.events[2].subject, Subject::Item(_)), "{odd}");
        assert_eq!(read.events[1].subject, Subject::Unreadable, "{odd}");
        assert!(read.events[1].id.as_str().starts_with("sha256:"), "{odd}");
    }
}

#[test]
fn a_deep_answer_breaks_nothing() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let page = format!("{{\"entries\":[{{\"event_id\":\"1\",\"source\":{deep}}}],\"x\":{deep}}}");
    assert_eq!(event_page(page, &Cursor::new("1")).unwrap().events[0].subject, Subject::Unreadable);
    let listed = list_page(&format!("{{\"entries\":[{deep}]}}"), &ItemId::folder("0"));
    assert!(listed.is_ok_and(|page| page.items.is_empty() && page.unread.is_some()));
}

#[test]
fn the_state_of_an_item_is_of_its_kind() {
    let file = full_file().to_string();
    assert!(matches!(item_state(&file, ItemKind::File).unwrap(), ItemState::Active(_)));
    assert_eq!(item_state(&file, ItemKind::Folder).unwrap_err().kind, ProviderErrorKind::Malformed);
    for status in ["trashed", "deleted"] {
        let file = with(full_file(), json!({"item_status": status})).to_string();
        assert_eq!(item_state(&file, ItemKind::File).unwrap(), ItemState::Trashed);
    }
    let root = json!({"type": "folder", "id": "0", "etag": null, "sequence_id": null, "name": "All Files", "parent": null,
                      "path_collection": {"total_count": 0, "entries": []}, "item_status": "active"});
    let ItemState::Active(root) = item_state(&root.to_string(), ItemKind::Folder).unwrap() else { panic!() };
    assert_eq!((root.parent, root.etag, root.sequence, root.ancestors), (None, None, None, Some(vec![])));
    assert!(item_state(&without(full_file(), "name").to_string(), ItemKind::File).is_err());
}

#[test]
fn every_refusal_has_its_word() {
    use ProviderErrorKind as Kind;
    let body = |code: &str| {
        json!({"type": "error", "status": 1, "code": code, "message": "so it is", "request_id": "abc", "context_info": {}})
            .to_string()
    };
    for (operation, status, code, kind) in [
        ("item", 400, "bad_request", Kind::Refused),
        ("events", 400, "bad_request", Kind::CursorLost),
        ("events", 404, "", Kind::CursorLost),
        ("events", 410, "", Kind::CursorLost),
        ("item", 400, "terms_of_service_required", Kind::Forbidden),
        ("item", 401, "unauthorized", Kind::SignInNeeded),
        ("item", 403, "access_denied_insufficient_permissions", Kind::Forbidden),
        ("item", 403, "insufficient_scope", Kind::Forbidden),
        ("content", 403, "forbidden_by_policy", Kind::Forbidden),
        ("content", 403, "access_denied_item_locked", Kind::Refused),
        ("item", 404, "not_found", Kind::NotFound),
        ("item", 404, "trashed", Kind::NotFound),
        ("item", 405, "method_not_allowed", Kind::NotFound),
        ("item", 408, "", Kind::Unavailable),
        ("item", 409, "item_name_in_use", Kind::Conflict),
        ("item", 409, "operation_blocked_temporary", Kind::Unavailable),
        ("item", 409, "name_temporarily_reserved", Kind::Unavailable),
        ("item", 412, "precondition_failed", Kind::Conflict),
        ("item", 413, "", Kind::Refused),
        ("item", 423, "", Kind::Refused),
        ("item", 429, "rate_limit_exceeded", Kind::RateLimited),
        ("item", 500, "internal_server_error", Kind::Unavailable),
        ("item", 502, "", Kind::Unavailable),
        ("item", 503, "unavailable", Kind::Unavailable),
        ("item", 507, "", Kind::Refused),
        ("item", 418, "", Kind::Refused),
        ("content", 202, "", Kind::NotReady),
        ("list", 302, "", Kind::Malformed),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("7"));
        let body = body(code);
        let error = refusal(&Refusal { operation, status, headers: &headers, body: body.as_bytes() });
        assert_eq!(error.kind, kind, "{operation} {status} {code}");
        assert_eq!(error.retry_after.map(|wait| wait.as_secs()), Some(7));
        assert!(error.detail.as_deref().unwrap().contains("so it is"));
        assert!(error.context.contains(&("request_id", "abc".to_owned())));
        assert_eq!(says_trashed(&error), code == "trashed");
    }
}

#[test]
fn a_refusal_without_a_body_is_one_all_the_same() {
    let mut headers = HeaderMap::new();
    headers.insert("box-request-id", HeaderValue::from_static("from-the-head"));
    for body in ["", "<html>502 Bad Gateway</html>", "null", "[]", "{\"code\":7}", "\u{0}\u{1}"] {
        let error = refusal(&Refusal { operation: "list", status: 502, headers: &headers, body: body.as_bytes() });
        assert_eq!(error.kind, ProviderErrorKind::Unavailable, "{body}");
        assert!(error.context.contains(&("request_id", "from-the-head".to_owned())));
    }
    let long = format!("{{\"message\":\"{}\\u001b[31m\"}}", "x".repeat(10_000));
    let error = refusal(&Refusal { operation: "list", status: 500, headers: &headers, body: long.as_bytes() });
    let detail = error.detail.unwrap();
    assert!(detail.len() <= MAX_DETAIL_CHARS && !detail.contains('\u{1b}'));
}

/// JSON that is close to Box's: its own field names with values of any kind.
fn near_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "type",
        "id",
        "name",
        "etag",
        "sequence_id",
        "sha1",
        "file_version",
        "size",
        "parent",
        "path_collection",
        "entries",
        "item_status",
        "content_modified_at",
        "item",
        "item_type",
        "item_id",
        "event_id",
        "event_type",
        "created_at",
        "created_by",
        "source",
        "next_stream_position",
        "chunk_size",
        "next_marker",
        "login",
        "file_id",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["file", "folder", "web_link", "active", "trashed", "0", "", "ITEM_TRASH", "DELETE"])
            .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..8)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_panics_and_no_event_is_lost(entries in prop::collection::vec(near_json(), 0..6), rest in near_json()) {
        let folder = ItemId::folder("1");
        let text = rest.to_string();
        let _ = list_page(&text, &folder);
        let _ = item_state(&text, ItemKind::File);
        let _ = item_state(&text, ItemKind::Folder);
        let _ = event_page(text.clone(), &Cursor::new("1"));
        let _ = newest_position(&text);
        let _ = refusal(&Refusal { operation: "item", status: 404, headers: &HeaderMap::new(), body: text.as_bytes() });
        let page = json!({"entries": entries, "next_stream_position": rest});
        let read = event_page(page.to_string(), &Cursor::new("1")).unwrap();
        prop_assert_eq!(read.events.len(), entries.len());
        prop_assert!(!read.next.as_str().trim().is_empty());
        for event in &read.events {
            prop_assert!(!event.id.as_str().is_empty());
            if let Subject::Item(item) = &event.subject {
                prop_assert!(item.parent.is_some());
                prop_assert_eq!(item.content.is_some(), !item.id.is_folder());
            }
        }
        let listing = json!({"entries": entries});
        if let Ok(listed) = list_page(&listing.to_string(), &folder) {
            let others = |entry: &&serde_json::Value| {
                let is_gone = entry["item_status"].as_str().is_some_and(|status| status != "active");
                is_gone || entry["type"].as_str().is_some_and(|word| !["file", "folder"].contains(&word))
            };
            let others = entries.iter().filter(others).count();
            prop_assert!(listed.unread.is_some() || listed.items.len() + others == entries.len());
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = event_page(text.clone(), &Cursor::new("1"));
        let _ = list_page(&text, &ItemId::folder("1"));
        let _ = whole_number(&text);
        let _ = refusal(&Refusal { operation: "x", status: 999, headers: &HeaderMap::new(), body: &bytes });
    }

    #[test]
    fn a_whole_number_is_written_out_exactly(number in any::<u64>()) {
        let (digits, exponent) = (number.to_string(), number.to_string().len() - 1);
        let scientific = format!("{}.{}e{exponent}", &digits[..1], &digits[1..]).replace(".e", "e");
        prop_assert_eq!(whole_number(&scientific), Some(digits.clone()));
        prop_assert_eq!(whole_number(&digits), Some(digits));
    }
}

#[test]
fn older_versions_that_were_deleted_cannot_be_fetched() {
    let text = r#"{"total_count":3,"entries":[
        {"type":"file_version","id":"3","sha1":"A9993E364706816ABA3E25717850C26C9CD0D89D","size":3,
         "modified_at":"1970-01-01T01:00:01+01:00","trashed_at":null},
        {"type":"file_version","id":"2","sha1":null,"trashed_at":"2026-01-01T00:00:00Z"},
        {"type":"file_version","id":"1"}]}"#;
    let versions = versions(text).unwrap();
    assert_eq!(versions.iter().map(|version| version.version.as_str()).collect::<Vec<_>>(), ["3", "1"]);
    assert_eq!(versions[0].hash, Some(ContentHash::Sha1("a9993e364706816aba3e25717850c26c9cd0d89d".into())));
    assert_eq!((versions[0].size, versions[0].modified), (Some(3), Some(Wall(1_000))));
    assert_eq!((versions[1].size, versions[1].modified), (None, None));
    assert!(super::versions(r#"{"entries":[{"sha1":"x"}]}"#).is_err(), "a version without an id is no version");
}
