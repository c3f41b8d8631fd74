//! What the database costs as the tree grows: time and room.
//!
//! No statement of the store reads a whole table that grows with the tree or with time: every one is explained by SQLite, and what goes
//! through all of a table or an index stands in a list, with the reason why it may.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use folder_sync_agent::id::{ContentHash, ItemId, ItemKind, Sha256, VersionId};
use folder_sync_agent::path::Name;
use folder_sync_agent::store::Store;
use folder_sync_agent::store::folders::NewFolder;
use folder_sync_agent::store::items::{Presence, RemoteRow, SeatRow, SyncedRow};
use folder_sync_agent::tree::{RemoteContent, Stamp, SyncedContent, Wall};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// Tables with a row for each account, folder, hook or the like, which are small whatever the tree is.
/// So are those with a row for each job under way, of which there are at most 512.
const SMALL: &[&str] = &[
    "intent",
    "sent",
    "fact",
    "account",
    "folder",
    "hold",
    "above",
    "arrival_walk",
    "deletion",
    "examining",
    "subscription",
    "verification",
    "sqlite_schema",
    "sqlite_master",
    "json_each",
];

/// Statements that may sort rows of which they take a few: the file, a part of the statement, and the reason.
const SORTED: &[(&str, &str, &str)] = &[
    ("browse", "UNION SELECT node FROM item", "what a directory holds; a person asked"),
    ("browse", "FROM hook_run", "the latest runs of a hook; a person asked"),
    ("items/local", "s_name AS seat", "two places in a directory; the page of a scan bounds both"),
    ("people", "SELECT DISTINCT a.name", "of the last events, of which there is a limit"),
    ("quarantine", "item = ?2 AND version = ?3 OR sha256 = ?4", "what is kept of one content"),
    ("query", "AS moment", "journal and deeds in one order; a person asked"),
    ("query", "FROM work WHERE folder = ?1 ORDER BY lane", "a person asked"),
    ("query", "FROM listing WHERE folder = ?1 ORDER BY pos", "a person asked"),
    ("query", "FROM hold_item", "the largest directories that a person is to decide on first"),
    ("query", "w.code IS NOT NULL", "what waits for a person, who asked"),
    ("query", "l.attempts > 0", "what failed; a person asked"),
    ("recall", "seen_version", "the versions of one item; a person asked"),
    ("undo", "FROM seen_version", "the versions of one item"),
    ("versions", "kept_file", "the kept versions of one item"),
    ("work", "INDEXED BY work_look", "what is to be looked at, of which it takes those in one directory"),
    ("work", "instr(text, ?2) > 0", "what waits for one reason, as that ends"),
];

/// Statements that may go through a whole table or index: the file, what is gone through, a part of the statement, and the reason.
const ALLOWED: &[(&str, &str, &str, &str)] = &[
    ("examined", "examined", "hook NOT IN", "when the configuration changes"),
    ("query", "listing", "l.attempts > 0", "what is to be listed; a person asked"),
    ("query", "local_scan", "l.attempts > 0", "an index of nothing but what failed; a person asked"),
    ("clock", "work", "WHERE state = 1", "an index of nothing but what waits; when the clock was set back"),
    ("clock", "listing", "WHERE due > 1", "an index of nothing but what waits; when the clock was set back"),
    ("clock", "local_scan", "WHERE due > ?1", "what is to be scanned; when the clock was set back"),
    ("clock", "delivery", "WHERE state = 0", "an index of nothing but what is to be told; when the clock was set back"),
    (
        "clock",
        "quarantine",
        "disposal IS NOT NULL",
        "an index of nothing but what is to be done; when the clock was set back",
    ),
    (
        "conflicts",
        "conflict",
        "FROM conflict",
        "rows until a person looked at them; asked for by a person, with a limit",
    ),
    ("lately", "version", "files IS NOT NULL", "the first row of an index of nothing but directories is enough"),
    (
        "holds",
        "hold_item",
        "WHERE files IS NOT NULL)",
        "the first row of an index of nothing but directories is enough",
    ),
    ("former", "former_name", "FROM former_name ORDER BY pos", "a thousand at most, read once at the start"),
    ("expected", "expected", "FROM expected CROSS JOIN", "read once at the start; a row for each mark that is open"),
    (
        "expected",
        "expected_name",
        "FROM expected_name CROSS JOIN",
        "read once at the start; a row for each mark that is open",
    ),
    (
        "figures",
        "delivery",
        "WHERE state = 0 GROUP BY hook",
        "indexes of nothing but what is to be told and what was given up",
    ),
    (
        "hooks",
        "delivery",
        "EXISTS (SELECT 1 FROM delivery WHERE state = 0 AND due",
        "ends at the first that is due; `run --once`",
    ),
    ("hooks", "delivery", "why = 'the hook was removed'", "when the configuration changes"),
    (
        "hooks",
        "delivery",
        "WHERE state = 2 AND (?1 IS NULL OR hook = ?1)",
        "an index of what was given up; a person asked",
    ),
    ("hooks", "hook_run", "FROM hook_run r", "newest first, and ends at its limit"),
    ("journal", "event", "LIMIT 1 OFFSET", "an index, up to the number of events that are kept; every ten minutes"),
    ("journal", "action", "FROM action ORDER BY action LIMIT", "ends at its limit"),
    (
        "quarantine",
        "quarantine",
        "quarantine",
        "a row for each rejected version; at the start, or because a person asked",
    ),
    ("browse", "item", "instr(lower(", "in the order of the table, and ends at its limit; a person searches"),
    ("browse", "event", "ORDER BY journal DESC LIMIT ?4", "the newest thousands; a person asked"),
    ("people", "event", "ORDER BY journal DESC LIMIT ?1", "the newest thousands; a person looks"),
    ("query", "event", "ORDER BY e.journal DESC LIMIT", "newest first, and ends at its limit"),
    ("query", "action", "ORDER BY c.action DESC LIMIT", "newest first, and ends at its limit"),
    ("query", "work", "w.code <> 'waits'", "an index of nothing but what waits; a person asked"),
    ("sent", "echo", "WHERE at < ?1 LIMIT", "own writes of the last minutes; every ten minutes, with a limit"),
    ("versions", "version", "dropped < ?1 LIMIT", "an index of nothing but what was given up, with a limit"),
    ("work", "work", "WHERE state = 1 ORDER BY due LIMIT 1", "the first of its index"),
    (
        "work",
        "work",
        "WHERE state = 1 AND (?1 IS NULL OR folder = ?1)",
        "an index of nothing but what waits; a person asked",
    ),
    ("work", "work", "WHERE state = 1 AND code = ?", "an index of nothing but what waits, when its reason may be gone"),
    ("upkeep", "item", "SELECT count(*) FROM item", "`agent db check` and `agent support`"),
    ("upkeep", "version", "SELECT count(*) FROM version", "`agent db check` and `agent support`"),
    ("upkeep", "seen_version", "SELECT count(*) FROM seen_version", "`agent db check` and `agent support`"),
];

/// What stands for a name in braces that is not a constant of the store, in statements with this part: each value is tried.
const VALUES: &[(&str, &str, &str, &[&str])] = &[
    ("examined", "table", "", &["examined", "examining"]),
    ("examined", "range", "", &["signatures < ?3", "signatures > ?3"]),
    ("folders", "table", "", &["observed", "above", "local_scan", "vanished", "sent", "echo", "conflict"]),
    ("query", "table", "", &["listing", "local_scan"]),
    (
        "referring",
        "table",
        "",
        &[
            "work",
            "hold_item",
            "tombstone",
            "arrival",
            "vanished",
            "expected",
            "examined",
            "staged",
            "former_name",
            "listing",
            "sweep",
            "local_scan",
            "observed",
            "left_out",
        ],
    ),
    ("referring", "within", "", &["expected_name", "former_name"]),
    ("referring", "those", "", &["s = 1 AND away = 0 AND s_parent = 1", "node > 1 AND node <= 2"]),
    ("query", "order", "", &["ASC", "DESC"]),
    ("query", "raw", "", &["NULL", "e.raw"]),
    ("subscriptions", "raw", "", &["NULL", "e.raw"]),
    // Looked at once, when the store is opened.
    ("store", "column", "", &["pos"]),
    ("store", "table", "", &["work", "listing", "local_scan"]),
    // Only a database in memory is emptied.
    ("schema", "table", "", &["fact"]),
    ("upkeep", "table", "SELECT count(*)", &["version", "seen_version", "item"]),
    ("upkeep", "table", "UPDATE OR REPLACE", &["version", "seen_version"]),
];

/// A statement as it stands in the source.
#[derive(Debug)]
struct Statement {
    file: String,
    sql: String,
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The string literals of a source file, each with the text before it on its line or the line above.
fn literals(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut before = String::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            // A quote as a character, which begins no string.
            '\'' if chars.clone().next() == Some('"') => {
                chars.next();
            }
            '"' => {
                let mut text = String::new();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    match c {
                        '\\' => match chars.next() {
                            Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                            Some('n') => text.push('\n'),
                            Some(c) => text.push(c),
                            None => {}
                        },
                        c => text.push(c),
                    }
                }
                found.push((std::mem::take(&mut before), text));
            }
            c => {
                before.push(c);
                if before.len() > 120 && c == '\n' {
                    before.clear();
                }
            }
        }
    }
    found
}

/// The name of the constant that a literal is the value of, given the text before it.
fn constant(before: &str) -> Option<&str> {
    let (_, rest) = before.rsplit_once("const ")?;
    let (name, rest) = rest.split_once(':')?;
    (rest.trim() == "&str =").then_some(name)
}

fn is_statement(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE", "{BELOW}"].contains(&first) && text.contains(' ')
}

/// Every statement of the store, with the names in braces filled in.
fn statements() -> Vec<Statement> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut paths = sources(&root);
    paths.push(root.with_extension("rs"));
    let texts: Vec<(String, Vec<(String, String)>)> = paths
        .iter()
        .map(|path| {
            let name =
                path.strip_prefix(&root).map_or("store".into(), |path| path.with_extension("").display().to_string());
            let code = fs::read_to_string(path).unwrap();
            let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
            (name, literals(code))
        })
        .collect();
    let mut constants: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (file, literals) in &texts {
        constants.extend(
            literals.iter().filter_map(|(before, text)| Some(((file.as_str(), constant(before)?), text.as_str()))),
        );
    }
    let mut found = Vec::new();
    for (file, literals) in &texts {
        // A constant that others name is a part of them.
        let is_part = |before: &str| {
            constant(before).is_some_and(|name| {
                let named = format!("{{{name}}}");
                texts.iter().flat_map(|(_, literals)| literals).any(|(_, text)| text.contains(&named))
            })
        };
        for (_, text) in literals.iter().filter(|(before, text)| is_statement(text) && !is_part(before)) {
            for sql in filled(file, text, &constants) {
                found.push(Statement { file: file.clone(), sql: sql.split_whitespace().collect::<Vec<_>>().join(" ") });
            }
        }
    }
    found
}

fn filled(file: &str, text: &str, constants: &BTreeMap<(&str, &str), &str>) -> Vec<String> {
    let Some((before, rest)) = text.split_once('{') else { return vec![text.to_owned()] };
    let (name, after) = rest.split_once('}').unwrap_or_else(|| panic!("{file}: {text}"));
    let above = file.rsplit_once('/').map_or("", |(above, _)| above);
    let known = [file, above].iter().find_map(|file| constants.get(&(*file, name)));
    let elsewhere = || constants.iter().find(|((_, constant), _)| *constant == name).map(|(_, value)| value);
    let values: Vec<&str> = match (name, known.or_else(elsewhere)) {
        // The columns of the table.
        ("", _) => vec!["*"],
        (_, Some(value)) => vec![value],
        _ if name.chars().all(|c| c.is_uppercase() || c == '_') => vec!["1000"],
        _ => {
            let is_it = |(of, value, part, _): &&(&str, &str, &str, &[&str])| {
                *of == file && *value == name && text.contains(part)
            };
            let given = VALUES.iter().find(is_it);
            let missing = || panic!("{file}: what is {{{name}}} in: {text}");
            given.map_or_else(missing, |(_, _, _, values)| values.to_vec())
        }
    };
    values.iter().flat_map(|value| filled(file, &format!("{before}{value}{after}"), constants)).collect()
}

/// A database with the schema of the program, prepared as the store's connections are, and the tables of the places of a verification.
fn database(dir: &Path) -> Connection {
    let path = dir.join("state.db");
    drop(Store::open(&path).unwrap());
    let conn = Connection::open(&path).unwrap();
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/verifying.rs");
    for (_, text) in literals(&fs::read_to_string(root).unwrap()) {
        if text.trim_start().starts_with("CREATE TABLE") {
            conn.execute_batch(&text).unwrap();
        }
    }
    conn
}

/// The tables that a statement gives other names to.
fn aliases(sql: &str, tables: &BTreeSet<String>) -> BTreeMap<String, String> {
    let words: Vec<&str> =
        sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect();
    let mut found = BTreeMap::new();
    let is_named = |at: usize| at > 0 && ["FROM", "JOIN", "UPDATE", "INTO"].contains(&words[at - 1]);
    for (at, word) in words.iter().enumerate().filter(|(at, word)| tables.contains(**word) && is_named(*at)) {
        let next = match words.get(at + 1) {
            Some(&"AS") => words.get(at + 2),
            next => next,
        };
        found.insert((*word).to_owned(), (*word).to_owned());
        if let Some(next) = next.filter(|next| next.chars().next().is_some_and(char::is_lowercase)) {
            found.entry((*next).to_owned()).or_insert_with(|| (*word).to_owned());
        }
    }
    found
}

/// How SQLite would carry out a statement: a line for each loop and each sort.
fn plan_of(conn: &Connection, file: &str, sql: &str) -> Vec<String> {
    let explained = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
    let mut explained = explained.unwrap_or_else(|why| panic!("{file}: {why}: {sql}"));
    explained.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>().unwrap()
}

#[test]
fn no_statement_reads_a_whole_table_that_grows() {
    let dir = tempfile::tempdir().unwrap();
    let conn = database(dir.path());
    let tables: BTreeSet<String> = conn
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let statements = statements();
    assert!(statements.len() > 300, "{} statements were found", statements.len());
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for Statement { file, sql } in &statements {
        for detail in plan_of(&conn, file, sql) {
            let Some(of) = detail.strip_prefix("SCAN ").and_then(|rest| rest.split_whitespace().next()) else {
                continue;
            };
            let aliases = aliases(sql, &tables);
            let Some(table) = aliases.get(of).filter(|table| !SMALL.contains(&table.as_str())) else { continue };
            // Whether a table has any row is known by the first one.
            if *sql == format!("SELECT EXISTS (SELECT 1 FROM {table})") {
                continue;
            }
            let allowed =
                ALLOWED.iter().position(|(in_file, of, part, _)| in_file == file && of == table && sql.contains(part));
            match allowed {
                Some(at) => drop(used.insert(at)),
                None => wrong.push(format!("{file}: {detail} ({table}): {sql}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} statements read a whole table:\n{}", wrong.len(), wrong.join("\n"));
    let unused: Vec<_> =
        ALLOWED.iter().enumerate().filter(|(at, _)| !used.contains(at)).map(|(_, allowed)| allowed).collect();
    assert!(unused.is_empty(), "nothing needs these any more: {unused:#?}");
}

/// What takes the first few rows of an order finds them by an index, and does not sort all the others for each of them.
#[test]
fn no_statement_sorts_what_it_leaves_out() {
    let dir = tempfile::tempdir().unwrap();
    let conn = database(dir.path());
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for Statement { file, sql } in statements().iter().filter(|of| of.sql.contains("LIMIT")) {
        for detail in plan_of(&conn, file, sql).into_iter().filter(|detail| detail.starts_with("USE TEMP B-TREE")) {
            match SORTED.iter().position(|(in_file, part, _)| in_file == file && sql.contains(part)) {
                Some(at) => drop(used.insert(at)),
                None => wrong.push(format!("{file}: {detail}: {sql}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} statements sort what they leave out:\n{}", wrong.len(), wrong.join("\n"));
    let unused: Vec<_> =
        SORTED.iter().enumerate().filter(|(at, _)| !used.contains(at)).map(|(_, sorted)| sorted).collect();
    assert!(unused.is_empty(), "nothing needs these any more: {unused:#?}");
}

#[test]
fn a_mirrored_file_takes_little_room() {
    const FILES: i64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let mut store = Store::open(&path).unwrap();
    let account = store.account("work", "box").unwrap().account;
    let new =
        NewFolder { name: "inbox", account, mark: "m", remote: "/Inbox", local: Path::new("/inbox"), filters: "" };
    let folder = store.add_folder(&new).unwrap().folder;
    let mut remote = RemoteRow {
        presence: Presence::Present,
        parent: None,
        name: "Inbox".into(),
        content: None,
        etag: None,
        sequence: None,
        seen: 2,
    };
    store.begin().unwrap();
    let root = store.add_item(folder, &ItemId::new(ItemKind::Folder, "1"), &remote).unwrap();
    remote.parent = Some(root);
    let mut nodes = Vec::new();
    for file in 0..FILES {
        remote.name = format!("f{file:07}.bin");
        remote.content = Some(RemoteContent {
            version: VersionId::new(format!("{}", 3_000_000_000_000 + file)),
            hash: Some(ContentHash::Sha1(format!("{file:040x}"))),
            size: Some(4_096),
            modified: Some(Wall(1_700_000_000_000 + file)),
        });
        let id = ItemId::new(ItemKind::File, format!("{}", 1_000_000_000_000 + file));
        nodes.push((store.add_item(folder, &id, &remote).unwrap(), remote.clone()));
    }
    store.commit().unwrap();
    store.begin().unwrap();
    for (node, remote) in nodes {
        let content = remote.content.unwrap();
        let synced = SyncedRow {
            seat: SeatRow::At { parent: root, name: Name::new(remote.name.as_bytes()).unwrap() },
            content: Some(SyncedContent {
                version: content.version,
                hash: content.hash,
                sha256: Some(Sha256([7; 32])),
                size: 4_096,
            }),
            stamp: Stamp {
                dev: 65_024,
                ino: 10_000_000 + node.0 as u64,
                size: 4_096,
                mtime_ns: 1_700_000_000_000_000_000 + node.0,
                ctime_ns: 1_700_000_000_123_456_789 + node.0,
            },
        };
        store.set_synced(node, Some(&synced)).unwrap();
        store.add_action(folder, node, &remote.name, "downloaded", None, Wall(1_700_000_000_000)).unwrap();
    }
    store.commit().unwrap();
    let item = store.item(root).unwrap();
    assert!(item.is_some());
    drop(store);
    let conn = Connection::open(&path).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let sizes: Vec<(String, i64)> = conn
        .prepare("SELECT name, sum(pgsize) / ?1 FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 7")
        .unwrap()
        .query_map([FILES], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let whole = fs::metadata(&path).unwrap().len() as i64 / FILES;
    assert!(whole < 290, "{whole} bytes a file: {sizes:?}");
    let items = sizes.iter().find(|(name, _)| name == "item").unwrap().1;
    assert!(items < 170, "{items} bytes of rows a file, which is more than they hold: pages were torn apart");
}
