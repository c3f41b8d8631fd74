//! Every kind of event that a hook can react to is told by the real agent, with the document that says what it is about.

use std::fs;
use std::path::{Path, PathBuf};

use folder_sync_agent::sandbox::{ACCESS_TOKEN, Fault, Rule, User};
use serde_json::Value;

use super::gate::{remote, script};
use crate::support::{Bed, PATIENCE, until};

/// A hook that reacts, and keeps every document that it gets.
struct Listener {
    log: PathBuf,
}

impl Listener {
    fn new(bed: &Bed, on: &[&str]) -> Self {
        let log = bed.dir.path().join("documents");
        let program =
            script(bed, "listener", &format!("document=$(cat); printf '%s\\n' \"$document\" >> {}", log.display()));
        let mut args = vec!["add-hook", "listener", "--when", "after"];
        args.extend(on.iter().flat_map(|kind| ["--on", *kind]));
        args.extend(["--run", &program]);
        bed.ok(&args);
        Self { log }
    }

    fn documents(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for the `number`th document, from 1.
    fn await_document(&self, number: usize) -> Value {
        until(&format!("document {number}, not {:#?}", self.documents()), || self.documents().len() >= number);
        let document = self.documents().swap_remove(number - 1);
        assert_eq!((document["schema"].as_u64(), document["when"].as_str()), (Some(1), Some("after")), "{document}");
        assert_eq!((&document["hook"], &document["account"]["name"]), (&"listener".into(), &"work".into()));
        document
    }

    /// Waits for one more document and compares what happened, where, and where it was before.
    fn expect(&self, number: usize, (event, kind, path, before): (&str, &str, &str, Option<&str>)) -> Value {
        let document = self.await_document(number);
        let item = &document["item"];
        assert_eq!(
            (document["event"].as_str(), item["kind"].as_str(), item["path"].as_str(), item["path_before"].as_str()),
            (Some(event), Some(kind), Some(path), before),
            "{document:#}"
        );
        assert_eq!(document["folder"]["name"], "inbox");
        document
    }
}

fn content_of(document: &Value) -> Vec<u8> {
    fs::read(Path::new(document["file"].as_str().unwrap())).unwrap()
}

#[test]
fn what_becomes_of_a_file_is_told() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("dir")).unwrap();
    bed.add_folder(&[]);
    let listener = Listener::new(&bed, &["file.*"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let id = cloud.write(&remote("a.txt"), b"one".to_vec()).unwrap();
    let created = listener.expect(1, ("file.created", "file", "a.txt", None));
    assert_eq!((created["item"]["id"].as_str(), created["item"]["size"].as_u64()), (Some(id.as_str()), Some(3)));
    assert_eq!(content_of(&created), b"one");
    cloud.write(&remote("a.txt"), b"three".to_vec()).unwrap();
    let updated = listener.expect(2, ("file.updated", "file", "a.txt", None));
    assert_eq!((updated["item"]["id"].as_str(), updated["item"]["size"].as_u64()), (Some(id.as_str()), Some(5)));
    assert_ne!(created["item"]["version"], updated["item"]["version"]);
    cloud.rename(&remote("a.txt"), "b.txt").unwrap();
    listener.expect(3, ("file.renamed", "file", "b.txt", Some("a.txt")));
    cloud.move_to(&remote("b.txt"), &remote("dir")).unwrap();
    let moved = listener.expect(4, ("file.moved", "file", "dir/b.txt", Some("b.txt")));
    assert_eq!(content_of(&moved), b"three");
    cloud.trash(&remote("dir/b.txt")).unwrap();
    let deleted = listener.expect(5, ("file.deleted", "file", "dir/b.txt", None));
    assert_eq!(deleted["file"], Value::Null, "there is none to look at");
    cloud.restore(&id).unwrap();
    let restored = listener.expect(6, ("file.restored", "file", "dir/b.txt", None));
    assert_eq!(restored["item"]["id"].as_str(), Some(id.as_str()));
    assert_eq!(content_of(&restored), b"three");
    bed.wait_in_sync(PATIENCE);
    assert_eq!(listener.documents().len(), 6);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn what_becomes_of_a_folder_is_told() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("other")).unwrap();
    bed.add_folder(&[]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let listener = Listener::new(&bed, &["folder.*"]);
    cloud.mkdir_p(&remote("dir")).unwrap();
    let id = cloud.id_of(&remote("dir")).unwrap();
    let created = listener.expect(1, ("folder.created", "folder", "dir", None));
    assert_eq!(created["item"]["id"].as_str(), Some(id.as_str()));
    cloud.rename(&remote("dir"), "new").unwrap();
    listener.expect(2, ("folder.renamed", "folder", "new", Some("dir")));
    cloud.move_to(&remote("new"), &remote("other")).unwrap();
    listener.expect(3, ("folder.moved", "folder", "other/new", Some("new")));
    cloud.trash(&remote("other/new")).unwrap();
    listener.expect(4, ("folder.deleted", "folder", "other/new", None));
    cloud.restore(&id).unwrap();
    listener.expect(5, ("folder.restored", "folder", "other/new", None));
    bed.wait_in_sync(PATIENCE);
    assert_eq!(listener.documents().len(), 5);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_quarantine_is_told() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let judge = script(&bed, "judge", "echo full of worms; exit 1");
    bed.ok(&["add-hook", "judge", "--when", "before", "--on", "file.download", "--match", "*.bad", "--run", &judge]);
    let listener = Listener::new(&bed, &["file.quarantined"]);
    let agent = bed.start();
    cloud.write(&remote("good.txt"), b"good".to_vec()).unwrap();
    cloud.write(&remote("worm.bad"), b"worm".to_vec()).unwrap();
    let document = listener.expect(1, ("file.quarantined", "file", "worm.bad", None));
    assert!(document["message"].as_str().unwrap().contains("full of worms"), "{document:#}");
    until("the other file", || bed.local().join("good.txt").exists());
    assert_eq!(listener.documents().len(), 1);
    assert_eq!(agent.stop(), Some(0));
}

/// Lets the account follow the stream that carries more than changes.
fn follow_everything(bed: &Bed) {
    let path = bed.home().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let changed = config.replacen("provider = \"box\"\n", "provider = \"box\"\nstream = \"all\"\n", 1);
    assert_ne!(changed, config);
    fs::write(&path, changed).unwrap();
}

#[test]
fn what_only_the_stream_tells_is_told() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&remote("a.txt"), b"1".to_vec()).unwrap();
    cloud.mkdir_p(&remote("dir")).unwrap();
    bed.add_folder(&[]);
    follow_everything(&bed);
    let listener = Listener::new(&bed, &["comment.*", "lock.*", "share.*", "collaboration.*"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let mut number = 0;
    for (word, path, event) in [
        ("COMMENT_CREATE", "a.txt", "comment.created"),
        ("COMMENT_EDIT", "a.txt", "comment.updated"),
        ("COMMENT_DELETE", "a.txt", "comment.deleted"),
        ("ITEM_SHARED_CREATE", "a.txt", "share.created"),
        ("ITEM_SHARED_UPDATE", "a.txt", "share.updated"),
        ("ITEM_SHARED_UNSHARE", "a.txt", "share.removed"),
        ("COLLAB_ADD_COLLABORATOR", "dir", "collaboration.added"),
        ("COLLAB_ROLE_CHANGE", "dir", "collaboration.updated"),
        ("COLLAB_REMOVE_COLLABORATOR", "dir", "collaboration.removed"),
    ] {
        cloud.announce(word, Some(&remote(path))).unwrap();
        number += 1;
        let kind = if path == "dir" { "folder" } else { "file" };
        let document = listener.expect(number, (event, kind, path, None));
        assert_eq!(document["item"]["id"].as_str(), Some(cloud.id_of(&remote(path)).unwrap().as_str()));
        assert!(document["actor"]["name"].is_string(), "{document:#}");
    }
    cloud.lock(&remote("a.txt")).unwrap();
    listener.expect(number + 1, ("lock.created", "file", "a.txt", None));
    cloud.unlock(&remote("a.txt")).unwrap();
    listener.expect(number + 2, ("lock.removed", "file", "a.txt", None));
    bed.wait_in_sync(PATIENCE);
    assert_eq!(listener.documents().len(), number + 2);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_stream_that_cannot_carry_a_kind_is_complained_about() {
    let bed = Bed::new();
    bed.add_folder(&[]);
    let before = fs::read_to_string(bed.home().join("config.toml")).unwrap();
    let program = script(&bed, "listener", "true");
    let add = |on: &str| {
        bed.run(&["add-hook", "listener", "--when", "after", "--folder", "inbox", "--on", on, "--run", &program])
    };
    for group in ["comment", "lock", "share"] {
        let refused = add(&format!("{group}.*"));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "{group}");
        assert!(said.contains(&format!("does not carry `{group}` events")), "{said}");
        assert!(said.contains("stream = \"all\""), "it says what helps: {said}");
    }
    assert_eq!(fs::read_to_string(bed.home().join("config.toml")).unwrap(), before, "no half of it stays");
    follow_everything(&bed);
    assert!(add("comment.*").status.success());
}

#[test]
fn a_problem_is_told_once() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let listener = Listener::new(&bed, &["problem"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.faults().add(Rule::on("content_redirect", Fault::CorruptBody { at: 0 }).always());
    cloud.write(&remote("a.txt"), b"never whole".to_vec()).unwrap();
    let document = listener.expect(1, ("problem", "file", "a.txt", None));
    assert!(!document["message"].as_str().unwrap().is_empty(), "{document:#}");
    let asked = cloud.count("content");
    until("another try", || cloud.count("content") > asked);
    cloud.faults().clear();
    until("the file", || bed.local().join("a.txt").exists());
    bed.wait_in_sync(PATIENCE);
    assert_eq!(listener.documents().len(), 1, "{:#?}", listener.documents());
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_hold_is_told() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.mkdir_p(&remote("many")).unwrap();
    for file in 0..60 {
        cloud.write(&remote(&format!("many/f{file}")), format!("{file}").into_bytes()).unwrap();
    }
    bed.add_folder(&[]);
    let listener = Listener::new(&bed, &["hold"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.trash(&remote("many")).unwrap();
    let document = listener.await_document(1);
    assert_eq!((document["event"].as_str(), document["folder"]["name"].as_str()), (Some("hold"), Some("inbox")));
    assert!(document["message"].as_str().unwrap().contains("60 of 60 files"), "{document:#}");
    assert_eq!(document["item"], Value::Null);
    until("all sixty on the list", || {
        let held: Value = serde_json::from_str(&bed.ok(&["held", "--json"])).unwrap();
        held["rows"][0]["items"] == 60
    });
    assert_eq!(listener.documents().len(), 1, "one hold, not sixty");
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_needed_sign_in_is_told() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    bed.add_folder(&[]);
    let token = cloud.issue_token(User::Agent, None);
    bed.login_with(&token);
    let listener = Listener::new(&bed, &["account.sign_in_needed"]);
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    cloud.revoke_token(&token);
    cloud.write(&remote("one"), b"1".to_vec()).unwrap();
    let document = listener.await_document(1);
    assert_eq!(document["event"], "account.sign_in_needed");
    assert_eq!(document["account"]["provider"], "box");
    assert_eq!((&document["folder"], &document["item"]), (&Value::Null, &Value::Null));
    assert!(document["message"].as_str().unwrap().contains("`work` needs a sign-in"), "{document:#}");
    bed.login_with(ACCESS_TOKEN);
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(listener.documents().len(), 1);
    assert_eq!(agent.stop(), Some(0));
}

#[test]
fn a_conflict_is_told() {
    let bed = Bed::new();
    let cloud = bed.cloud();
    cloud.write(&remote("a.txt"), b"both know it".to_vec()).unwrap();
    bed.add_folder(&["--mode", "two-way"]);
    let listener = Listener::new(&bed, &["conflict"]);
    let agent = bed.start();
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(agent.stop(), Some(0));
    fs::write(bed.local().join("a.txt"), "ours").unwrap();
    cloud.write(&remote("a.txt"), b"theirs".to_vec()).unwrap();
    let agent = bed.start();
    let document = listener.expect(1, ("conflict", "file", "a.txt", None));
    assert!(document["message"].as_str().unwrap().contains("conflicted copy"), "{document:#}");
    bed.wait_equal(PATIENCE);
    bed.wait_in_sync(PATIENCE);
    assert_eq!(listener.documents().len(), 1);
    let contents: Vec<_> = crate::support::read_tree(&bed.local())
        .into_keys()
        .map(|name| fs::read(bed.local().join(name)).unwrap())
        .collect();
    assert!(contents.contains(&b"ours".to_vec()) && contents.contains(&b"theirs".to_vec()));
    assert_eq!(agent.stop(), Some(0));
}
