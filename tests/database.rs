//! The database over its life: upgraded from every schema that was released, refused by an older program, put back from a copy, lost,
//! damaged. Whatever becomes of it, nothing is deleted, and nothing is transferred that is on both sides.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use folder_sync_agent::sandbox::{Fault, Rule};
use rusqlite::Connection;

use crate::support::{Bed, PATIENCE, REMOTE, read_tree, until};

/// The schemas of released versions. With each release one is added, together with a fixture: `AGENT_WRITE_FIXTURE=1 cargo test --test all
/// database::fixtures`.
const RELEASED_SCHEMAS: [i64; 5] = [10, 12, 13, 14, 16];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The files of every history, by the hands of another user.
fn fill(bed: &Bed) {
    let cloud = bed.cloud();
    for (path, content) in [("a.txt", "one"), ("sub/b.txt", "two"), ("sub/deep/c.txt", "three"), ("契約書.txt", "four")]
    {
        let path = format!("{REMOTE}/{path}");
        if let Some((parent, _)) = path.rsplit_once('/') {
            cloud.mkdir_p(parent).unwrap();
        }
        cloud.write(&path, content.as_bytes().to_vec()).unwrap();
    }
}

/// A two-way folder that was in sync when the agent stopped.
fn synced() -> Bed {
    let bed = Bed::new();
    fill(&bed);
    bed.add_folder(&["--mode", "two-way"]);
    bed.ok(&["run", "--once"]);
    assert_eq!(bed.difference(), Vec::<String>::new());
    bed
}

fn database(bed: &Bed) -> PathBuf {
    bed.home().join("state.db")
}

fn remove_database(bed: &Bed) {
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{ending}", database(bed).display()));
    }
}

/// What must not have changed: both trees, and what was transferred or thrown away.
#[derive(Debug, PartialEq)]
struct World {
    disk: BTreeMap<String, String>,
    cloud: Vec<String>,
    transfers: Vec<(String, u64)>,
}

fn world(bed: &Bed) -> World {
    let counters = bed.cloud().counters();
    let transfers = counters.into_iter().filter(|(call, _)| {
        [
            "content",
            "upload_new",
            "upload_version",
            "file_delete",
            "folder_delete",
            "file_update",
            "folder_update",
            "folder_create",
        ]
        .contains(&call.as_str())
    });
    let cloud = bed.cloud().tree(REMOTE).unwrap();
    World {
        disk: read_tree(&bed.local()),
        cloud: cloud.into_iter().map(|(path, entry)| format!("{path} {}", entry.sha1)).collect(),
        transfers: transfers.collect(),
    }
}

#[test]
fn a_lost_database_is_rebuilt_without_a_transfer() {
    let bed = synced();
    let before = world(&bed);
    assert!(!before.transfers.is_empty(), "the calls are known by these names");
    remove_database(&bed);
    bed.ok(&["run", "--once"]);
    assert_eq!(world(&bed), before);
}

#[test]
fn a_lost_database_of_many_files_is_rebuilt_without_a_transfer() {
    // More than is looked at on disk by the time at which the cloud has told all.
    let bed = Bed::new();
    let dir = format!("{REMOTE}/many");
    bed.cloud().mkdir_p(&dir).unwrap();
    for number in 0..1_000 {
        bed.cloud().write(&format!("{dir}/{number}.txt"), format!("content {number}").into_bytes()).unwrap();
    }
    bed.add_folder(&["--mode", "two-way"]);
    bed.ok(&["run", "--once"]);
    let before = world(&bed);
    remove_database(&bed);
    bed.ok(&["run", "--once"]);
    assert_eq!(world(&bed).transfers, before.transfers);
}

#[test]
fn a_damaged_database_is_set_aside_and_rebuilt() {
    for damage in [damage_header as fn(&Path), damage_pages] {
        let bed = synced();
        let before = world(&bed);
        damage(&database(&bed));
        let check = bed.run(&["db", "check"]);
        assert_eq!(check.status.code(), Some(1), "{check:?}");
        let agent = bed.start();
        bed.wait_in_sync(PATIENCE);
        let status = bed.status().unwrap();
        let told = &status["degraded"][0];
        assert_eq!(told["name"], "database_rebuilt", "{status}");
        assert!(told["cause"].as_str().unwrap().contains("state.db.damaged-"), "{status}");
        assert_eq!(agent.stop(), Some(0));
        assert_eq!(world(&bed), before);
        let kept = fs::read_dir(bed.home())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("state.db.damaged-"));
        assert!(kept.count() >= 1, "what was damaged is kept");
    }
}

fn damage_header(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[..64].fill(b'x');
    fs::write(path, bytes).unwrap();
}

/// Everything but the header is noise, as after a bad disk.
fn damage_pages(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[100..].fill(0x5a);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_database_from_before_is_recognised_and_believes_nothing() {
    let bed = synced();
    let copy = bed.dir.path().join("last-week.db");
    bed.ok(&["db", "backup", copy.to_str().unwrap()]);
    // Both sides go on: edits, deletions, and names that are used again.
    let cloud = bed.cloud();
    cloud.write(&format!("{REMOTE}/a.txt"), b"edited in the cloud".to_vec()).unwrap();
    cloud.trash(&format!("{REMOTE}/sub/b.txt")).unwrap();
    fs::write(bed.local().join("sub/deep/c.txt"), "edited on disk").unwrap();
    fs::write(bed.local().join("new.txt"), "new").unwrap();
    fs::remove_file(bed.local().join("契約書.txt")).unwrap();
    bed.ok(&["run", "--once"]);
    fs::write(bed.local().join("契約書.txt"), "another one of that name").unwrap();
    bed.ok(&["run", "--once"]);
    assert_eq!(bed.difference(), Vec::<String>::new());
    let before = world(&bed);

    // Somebody puts the old file back by hand; nothing but the number beside it can tell.
    remove_database(&bed);
    fs::copy(&copy, database(&bed)).unwrap();
    let agent = bed.start();
    bed.wait_in_sync(PATIENCE);
    let status = bed.status().unwrap();
    assert_eq!(status["degraded"][0]["name"], "database_older", "{status}");
    assert_eq!(agent.stop(), Some(0));
    assert_eq!(world(&bed), before, "nothing was deleted, sent or fetched, and there is no conflict copy");

    // It is told once: from now on this is the database.
    bed.ok(&["run", "--once"]);
    assert_eq!(world(&bed), before);

    // The same by command.
    bed.ok(&["db", "restore", copy.to_str().unwrap(), "--yes"]);
    bed.ok(&["run", "--once"]);
    assert_eq!(world(&bed), before);
}

#[test]
fn every_folder_is_unverified_before_it_was_compared() {
    let bed = synced();
    let copy = bed.dir.path().join("copy.db");
    bed.ok(&["db", "backup", copy.to_str().unwrap()]);
    bed.ok(&["db", "restore", copy.to_str().unwrap(), "--yes"]);
    // The cloud is out of reach: nothing can be compared.
    bed.cloud().faults().add(Rule::on("folder_items", Fault::CutBefore).always());
    fs::write(bed.local().join("new.txt"), "new").unwrap();
    fs::remove_file(bed.local().join("a.txt")).unwrap();
    let agent = bed.start();
    until("the state `unverified`", || {
        bed.status().is_some_and(|status| status["folders"][0]["state"] == "unverified")
    });
    assert_eq!((bed.cloud().count("file_delete"), bed.cloud().count("upload_new")), (0, 0));
    drop(agent);
}

#[test]
fn a_newer_database_is_refused_with_the_reason_and_the_next_step() {
    let bed = synced();
    let conn = Connection::open(database(&bed)).unwrap();
    conn.pragma_update(None, "user_version", 9_999).unwrap();
    drop(conn);
    let before = fs::read(database(&bed)).unwrap();
    let ran = bed.run(&["run", "--once"]);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(78), "{said}");
    for part in ["state.db", "schema 9999", "install the newer agent again", "agent db restore"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(fs::read(database(&bed)).unwrap(), before, "it is left as it is");
}

#[test]
fn an_upgrade_makes_a_copy_first_and_goes_on_syncing() {
    let bed = synced();
    // A database of an older schema, as the migrations of that time made it.
    remove_database(&bed);
    let older = RELEASED_SCHEMAS[0] - 1;
    let conn = Connection::open(database(&bed)).unwrap();
    for step in 1..=older {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/migrations/{step:04}.sql"));
        conn.execute_batch(&fs::read_to_string(path).unwrap()).unwrap();
    }
    conn.pragma_update(None, "application_id", 0x4653_4167).unwrap();
    conn.pragma_update(None, "user_version", older).unwrap();
    drop(conn);
    // Before it is upgraded nobody reads it as what it is not.
    assert!(bed.ok(&["status"]).contains("no agent is running"));
    bed.ok(&["run", "--once"]);
    let copy = bed.home().join(format!("state.db.schema-{older}"));
    let conn = Connection::open(&copy).unwrap();
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, older);
    assert_eq!(bed.difference(), Vec::<String>::new());
}

#[test]
fn care_for_a_database_is_refused_while_an_agent_uses_it() {
    let bed = synced();
    let copy = bed.dir.path().join("copy.db");
    let agent = bed.start();
    until("an agent", || bed.status().is_some());
    bed.ok(&["db", "backup", copy.to_str().unwrap()]);
    assert!(bed.ok(&["db", "check"]).contains("the database is whole"));
    for care in [&["db", "compact"][..], &["db", "restore", copy.to_str().unwrap(), "--yes"]] {
        assert_eq!(bed.run(care).status.code(), Some(5), "{care:?}");
    }
    assert_eq!(agent.stop(), Some(0));
    // Nobody can be asked: nothing is replaced unasked.
    let ran = bed.run(&["db", "restore", copy.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("--yes"), "{ran:?}");
    assert!(bed.ok(&["db", "compact"]).contains("it had"));
    fs::write(&copy, "no database").unwrap();
    let ran = bed.run(&["db", "restore", copy.to_str().unwrap(), "--yes"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(bed.ok(&["db", "check"]).contains("the database is whole"));
}

/// Databases that released versions wrote open, are upgraded, and go on syncing.
#[test]
fn fixtures_of_released_schemas_go_on_syncing() {
    if std::env::var_os("AGENT_WRITE_FIXTURE").is_some() {
        write_fixture();
    }
    let mut schemas = Vec::new();
    for entry in fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        let schema = path.file_stem().and_then(|stem| stem.to_str()?.strip_prefix("state-")?.parse::<i64>().ok());
        let Some(schema) = schema.filter(|_| path.extension().is_some_and(|ending| ending == "sql")) else { continue };
        schemas.push(schema);
        // The same cloud and the same disk as when it was written.
        let bed = synced();
        let before = world(&bed);
        remove_database(&bed);
        let conn = Connection::open(database(&bed)).unwrap();
        let local = hex(bed.local().to_str().unwrap().as_bytes());
        let mark = fs::read_to_string(bed.local().join(".folder-sync-agent/folder")).unwrap();
        let text = fs::read_to_string(&path).unwrap().replace("@LOCAL@", &local).replace("@MARK@", mark.trim());
        conn.execute_batch(&text).unwrap();
        drop(conn);
        // Nothing beside it: this is not about its age.
        fs::remove_file(bed.home().join("state.generation")).unwrap();
        bed.ok(&["run", "--once"]);
        assert_eq!(world(&bed), before, "schema {schema}");
        bed.cloud().write(&format!("{REMOTE}/a.txt"), b"news".to_vec()).unwrap();
        let agent = bed.start();
        bed.wait_equal(PATIENCE);
        assert_eq!(agent.stop(), Some(0));
    }
    schemas.sort_unstable();
    assert_eq!(schemas, RELEASED_SCHEMAS, "one fixture of each");
}

fn hex(bytes: &[u8]) -> String {
    folder_sync_agent::local::hash::hex(bytes)
}

/// Writes the database of a synced folder as SQL, with the places of this run replaced.
fn write_fixture() {
    let bed = synced();
    let conn = Connection::open(database(&bed)).unwrap();
    let schema: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let local = hex(bed.local().to_str().unwrap().as_bytes());
    let mark = fs::read_to_string(bed.local().join(".folder-sync-agent/folder")).unwrap();
    let mut text = String::from("BEGIN;\n");
    let select = |sql: &str| -> Vec<(String, String)> {
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let made =
        select("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid");
    for (_, sql) in &made {
        text.push_str(sql);
        text.push_str(";\n");
    }
    for (table, _) in made.iter().filter(|(_, sql)| sql.starts_with("CREATE TABLE")) {
        let columns: Vec<String> = select(&format!("SELECT name, '' FROM pragma_table_info('{table}')"))
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let values: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
        for (row, _) in select(&format!("SELECT {}, '' FROM {table}", values.join(" || ',' || "))) {
            writeln!(text, "INSERT INTO {table} ({}) VALUES ({row});", columns.join(",")).unwrap();
        }
    }
    writeln!(text, "PRAGMA application_id = {};\nPRAGMA user_version = {schema};\nCOMMIT;", 0x4653_4167).unwrap();
    let text = text.replace(&local.to_uppercase(), "@LOCAL@").replace(mark.trim(), "@MARK@");
    fs::create_dir_all(fixtures()).unwrap();
    fs::write(fixtures().join(format!("state-{schema}.sql")), text).unwrap();
}
