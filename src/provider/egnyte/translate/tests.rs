use super::*;

fn sha512() -> String {
    "ab".repeat(64)
}

#[test]
fn digests_are_told_from_composites_and_from_what_nobody_knows() {
    assert_eq!(hash(&sha512().to_uppercase()), ContentHash::Sha512(sha512()));
    let composite_text = composite(3, 10_485_760, &sha512());
    let chunks = ContentHash::Sha512Chunks { chunks: 3, chunk_size: 10_485_760, digest: sha512() };
    assert_eq!(hash(&composite_text), chunks);
    for odd in [format!("3-1-2-{}", sha512()), "2-x-10-ab".to_owned(), "2-1-10-ab".to_owned(), "d41d8cd9".to_owned()] {
        assert_eq!(hash(&odd), ContentHash::Unknown(odd.clone()));
        assert_eq!(hash(&odd).same_content(&ContentHash::Sha512(sha512())), None, "it cannot be verified");
    }
}

#[test]
fn moments_come_in_four_forms() {
    let wall = Some(Wall(1_600_000_000_000));
    for text in ["Sun, 13 Sep 2020 12:26:40 GMT", "2020-09-13T12:26:40Z", "2020-09-13T14:26:40+0200", "1600000000000"] {
        assert_eq!(moment(text), wall, "{text}");
    }
    assert_eq!(moment("yesterday"), None);
}

const FOLDER: &str = r#"{"name":"Inbox","lastModified":1600000000000,"uploaded":"1600000000000","path":"/Shared/Inbox",
    "folder_id":"f1","parent_id":"f0","is_folder":true,"restrict_move_delete":false}"#;

fn file(number: u64) -> String {
    format!(
        r#"{{"name":"{number:04}.txt","path":"/Shared/Inbox/{number:04}.txt","is_folder":false,"entry_id":"e{number}",
        "group_id":"g{number}","parent_id":"f1","checksum":"{}","size":"{number}",
        "last_modified":"Sun, 13 Sep 2020 12:26:40 GMT","num_versions":1,"locked":false}}"#,
        sha512()
    )
}

fn described(text: &str) -> RemoteItem {
    item(&object(text).unwrap(), None).unwrap()
}

#[test]
fn items_are_read_as_they_come() {
    let folder = described(FOLDER);
    assert_eq!((folder.id, folder.parent, folder.content), (ItemId::folder("f1"), Some(ItemId::folder("f0")), None));
    assert_eq!(folder.path.as_deref(), Some("/Shared/Inbox"));
    let file = described(&file(7));
    assert_eq!((file.id, file.name.as_str()), (ItemId::file("g7"), "0007.txt"));
    let content = RemoteContent {
        version: VersionId::new("e7"),
        hash: Some(ContentHash::Sha512(sha512())),
        size: Some(7),
        modified: Some(Wall(1_600_000_000_000)),
    };
    assert_eq!(file.content, Some(content));
    let top = described(r#"{"name":"","path":"/","folder_id":"f","is_folder":true}"#);
    assert_eq!((top.name.as_str(), top.parent), ("/", None));
    // A file without its parent must not pass for one at the top.
    let lost = r#"{"name":"a","path":"/Shared/a","is_folder":false,"entry_id":"e","group_id":"g"}"#;
    assert_eq!(item(&object(lost).unwrap(), None), None);
}

#[test]
fn a_lock_names_its_owner_where_it_can() {
    let locked = |text| lock(&object(text).unwrap());
    assert_eq!(locked(r#"{"locked":false}"#), None);
    assert_eq!(locked("{}"), None);
    assert_eq!(locked(r#"{"locked":true}"#).as_deref(), Some("somebody"));
    let told = r#"{"locked":"true","lock_info":{"owner_id":7,"first_name":"Ada","last_name":"L."}}"#;
    assert_eq!(locked(told).as_deref(), Some("Ada L."));
}

/// A page of a folder of so many files.
fn page(numbers: impl Iterator<Item = u64>, total: &str) -> String {
    let files: Vec<String> = numbers.map(file).collect();
    let total = if total.is_empty() { String::new() } else { format!(r#""total_count":{total},"#) };
    format!(r#"{{{total}"folder_id":"f1","is_folder":true,"files":[{}]}}"#, files.join(","))
}

fn listed(text: &str, place: Option<&Place>) -> Result<(usize, Option<Place>)> {
    let page = list_page(text, &ItemId::folder("f1"), place)?;
    Ok((page.items.len(), page.next.map(|token| Place::of(&token).unwrap())))
}

#[test]
fn pages_overlap_by_one_entry() {
    for total in ["1500", ""] {
        let (count, next) = listed(&page(0..1_000, total), None).unwrap();
        let place = next.unwrap();
        assert_eq!((count, place.offset), (1_000, 999));
        let (count, next) = listed(&page(999..1_500, total), Some(&place)).unwrap();
        assert_eq!(count, 500, "the overlap is left out");
        let Some(place) = next else {
            assert_eq!(total, "1500");
            continue;
        };
        assert_eq!(listed(&page(1_499..1_500, total), Some(&place)).unwrap(), (0, None));
    }
    // An entry before the place went away: one that was to come has slipped into the page before.
    let place = listed(&page(0..1_000, "1500"), None).unwrap().1.unwrap();
    let moved = listed(&page(1_000..1_499, "1499"), Some(&place)).unwrap_err();
    assert_eq!(moved.kind, ProviderErrorKind::Unavailable);
    // A page that begins at the top again is a circle.
    assert!(listed(&page(0..999, "1500"), Some(&place)).is_err());
    assert!(
        listed(&page(0..1_000, "1500"), Some(&place)).is_err(),
        "also if it ends with the entry that is looked for"
    );
}

#[test]
fn a_listing_is_never_shorter_than_it_says() {
    assert_eq!(listed(&page(0..0, "0"), None).unwrap(), (0, None));
    assert_eq!(listed(r#"{"folder_id":"f1"}"#, None).unwrap(), (0, None), "neither list is there when both are empty");
    for odd in [
        page(0..0, "3"),
        page(0..1, "1").replace("\"f1\",\"is_folder\":true", "\"f2\",\"is_folder\":true"),
        r#"{"folder_id":"f1","files":{}}"#.to_owned(),
        "{}".to_owned(),
    ] {
        assert_eq!(listed(&odd, None).unwrap_err().kind, ProviderErrorKind::Malformed, "{odd:.80}");
    }
    for strange in
        [page(0..3, "3").replace(r#""group_id":"g1","#, ""), page(0..3, "3").replace("g1\"", "g1\",\"entry_id\":null")]
    {
        let page = list_page(&strange, &ItemId::folder("f1"), None).unwrap();
        assert_eq!((page.items.len(), page.next), (2, None), "{strange}");
        assert_eq!(page.unread.map(|error| error.kind), Some(ProviderErrorKind::Corrupt));
    }
    // The server may give fewer than were asked for.
    let (count, next) = listed(&page(0..100, "150"), None).unwrap();
    assert_eq!((count, next.unwrap().offset), (100, 99));
    // An entry that comes twice is one.
    let twice = format!(r#"{{"folder_id":"f1","total_count":1,"files":[{0},{0}]}}"#, file(1));
    assert_eq!(listed(&twice, None).unwrap(), (1, None));
}

fn told(text: &str) -> RemoteEvent {
    event(text)
}

fn data(fields: &str, action: &str) -> RemoteEvent {
    told(&format!(
        r#"{{"id":4000123,"timestamp":"2020-09-13T12:26:40Z","action_source":"WebUI","actor":7,"type":"file_system",
        "action":"{action}","data":{{{fields}}}}}"#
    ))
}

const FILE_DATA: &str = r#""target_path":"/Shared/b.txt","target_id":"e7","target_group_id":"g7","is_folder":false"#;

#[test]
fn an_event_of_a_file_names_version_and_path() {
    let created = data(FILE_DATA, "create");
    assert_eq!((created.id.as_str(), created.kind), ("4000123", EventKind::Uploaded));
    assert_eq!((created.actor.as_deref(), created.at), (Some("7"), Some(Wall(1_600_000_000_000))));
    let subject = |from: Option<&str>| Subject::Id {
        id: ItemId::file("g7"),
        version: Some(VersionId::new("e7")),
        parent: None,
        path: Some("/Shared/b.txt".to_owned()),
        from: from.map(str::to_owned),
    };
    assert_eq!(created.subject, subject(None));
    let with_source = |path| format!(r#"{FILE_DATA},"source_path":"{path}","source_id":"e6","source_group_id":"g7""#);
    let renamed = data(&with_source("/Shared/a.txt"), "move");
    assert_eq!((renamed.kind, renamed.subject), (EventKind::Renamed, subject(Some("/Shared/a.txt"))));
    let moved = data(&with_source("/Shared/x/b.txt"), "rename");
    assert_eq!((moved.kind, moved.subject), (EventKind::Renamed, subject(Some("/Shared/x/b.txt"))));
    assert_eq!(data(&with_source("/Shared/x/b.txt"), "move").kind, EventKind::Moved);
    // What was copied is still where it was.
    let copied = data(&with_source("/Shared/a.txt"), "copy");
    assert_eq!((copied.kind, copied.subject), (EventKind::Copied, subject(None)));
    let deleted = data(FILE_DATA, "delete");
    assert_eq!((deleted.kind, deleted.subject), (EventKind::Trashed, subject(None)));
    assert_eq!(data(FILE_DATA, "restore").kind, EventKind::Restored);
}

#[test]
fn an_event_of_a_folder_may_name_a_path_only() {
    let path = r#""target_path":"/Shared/a","is_folder":true"#;
    let created = data(path, "create");
    let at_path = |from: Option<&str>| Subject::Path {
        path: "/Shared/a".to_owned(),
        from: from.map(str::to_owned),
        is_folder: Some(true),
    };
    assert_eq!((created.kind, created.subject), (EventKind::Created, at_path(None)));
    let gone = data(path, "delete");
    assert_eq!((gone.kind, gone.subject), (EventKind::Trashed, at_path(None)));
    let moved = data(&format!(r#"{path},"source_path":"/Shared/x/a""#), "move");
    assert_eq!((moved.kind, moved.subject), (EventKind::Moved, at_path(Some("/Shared/x/a"))));
    let known = data(&format!(r#"{path},"folder_id":"f7""#), "delete");
    let path = Some("/Shared/a".to_owned());
    let named = Subject::Id { id: ItemId::folder("f7"), version: None, parent: None, path, from: None };
    assert_eq!((known.kind, known.subject), (EventKind::Trashed, named));
}

#[test]
fn what_is_not_known_does_no_harm() {
    let odd = data(FILE_DATA, "transmogrify");
    assert_eq!((odd.kind, odd.provider_kind.as_ref()), (EventKind::Other, "transmogrify"));
    let note = told(r#"{"id":"9","type":"note","action":"create","data":{"note_id":"n"}}"#);
    assert_eq!((note.kind, note.subject), (EventKind::Comment, Subject::Nothing));
    let permission = r#"{"id":9,"type":"permission_change","action":"permission_change",
        "eventTypeSpecificAttributes":{"targetFolderId":"f7"}}"#;
    let permission = told(permission);
    assert_eq!((permission.kind, permission.subject), (EventKind::Sharing, Subject::id(ItemId::folder("f7"))));
    for text in ["7", "null", "{}", r#"{"data":[]}"#] {
        let event = told(text);
        assert_eq!((event.subject, event.raw.as_str()), (Subject::Unreadable, text));
        assert_eq!(event.id, told(text).id);
    }
}

fn read_page(ends: &str, ids: &[u64], asked: u64) -> EventPage {
    let events: Vec<String> = ids.iter().map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    event_page(&format!(r#"{{{ends}"events":[{}]}}"#, events.join(",")), asked).unwrap()
}

#[test]
fn the_place_follows_the_events_and_not_what_the_page_says_of_its_ends() {
    for ends in ["", r#""latest_id":99999,"oldest_id":1,"count":3,"#, r#""latest_id":0,"#, r#""latest_id":"12","#] {
        let page = read_page(ends, &[11, 13, 12], 10);
        assert_eq!((page.next.as_str(), page.caught_up), ("13", true), "{ends}");
    }
    assert_eq!(read_page("", &[], 10).next.as_str(), "10");
    assert_eq!(read_page("", &[4, 5], 10).next.as_str(), "10", "it never goes back");
    let full: Vec<u64> = (11..111).collect();
    assert!(!read_page("", &full, 10).caught_up);
    assert!(!read_page(r#""count":101,"#, &full[..50], 10).caught_up, "more are promised");
    assert!(read_page(r#""count":101,"#, &[4, 5], 10).caught_up, "a page that leads nowhere is the end for now");
    for odd in ["{}", "[]", "", r#"{"events":null}"#] {
        assert_eq!(event_page(odd, 1).unwrap_err().kind, ProviderErrorKind::Malformed, "{odd}");
    }
}

#[test]
fn both_ends_of_the_stream() {
    let text = r#"{"timestamp":"2020-09-13T12:26:40Z","latest_event_id":4000123,"oldest_event_id":"4000001"}"#;
    assert_eq!(ends(text).unwrap(), Ends { latest: 4_000_123, oldest: 4_000_001 });
    assert!(ends("{}").is_err());
}
