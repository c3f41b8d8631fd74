//! The house stays tidy: who may import whom, where SQL, HTTP and the disk may appear, and what no file may hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of one ring, what of ours they may use, and what they never see.
struct Ring {
    name: &'static str,
    modules: &'static [&'static str],
    /// Modules of ours; nothing means any.
    may_use: Option<&'static [&'static str]>,
    never: &'static [&'static str],
}

const WORDS: &[&str] = &["id", "path"];
const VALUES: &[&str] =
    &["id", "path", "tree", "deed", "plan", "events", "settings", "command", "report", "hook", "provider/error"];
const ENGINE: &[&str] = &[
    "id",
    "path",
    "tree",
    "deed",
    "plan",
    "events",
    "settings",
    "command",
    "report",
    "provider",
    "provider/error",
    "hook",
    "local_news",
    "store",
    "engine",
];
const SEAMS: &[&str] =
    &["id", "path", "tree", "deed", "plan", "events", "settings", "command", "report", "provider", "provider/error"];

/// What lets a module reach the outside world, or makes it do another thing each time.
const WORLD: &[&str] = &[
    "tokio::",
    "reqwest::",
    "axum::",
    "hyper::",
    "rusqlite::",
    "notify::",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "rustix::",
    "tracing::",
    "rand::",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
];

/// The table of who may import whom, from the middle outwards. The longest name that fits a module counts.
const RINGS: &[Ring] = &[
    Ring { name: "words", modules: &["id", "path"], may_use: Some(WORDS), never: WORLD },
    Ring {
        name: "values",
        modules: &["tree", "deed", "plan", "events", "settings", "command", "report", "hook", "provider/error"],
        may_use: Some(VALUES),
        never: WORLD,
    },
    Ring { name: "local news", modules: &["local_news"], may_use: Some(SEAMS), never: WORLD },
    Ring { name: "engine", modules: &["engine"], may_use: Some(ENGINE), never: WORLD },
    Ring { name: "seams", modules: &["provider"], may_use: Some(SEAMS), never: &["rusqlite::", "notify::"] },
    Ring {
        name: "effects",
        modules: &["local", "versions", "quarantine", "runner", "sys"],
        may_use: Some(&[
            "id",
            "path",
            "tree",
            "deed",
            "plan",
            "events",
            "settings",
            "command",
            "report",
            "provider/error",
            "local_news",
            "local",
            "versions",
            "quarantine",
            "hook",
            "runner",
            "sys",
            "store",
        ]),
        never: &[],
    },
    Ring {
        name: "store",
        modules: &["store"],
        may_use: Some(ENGINE),
        never: &["tokio::", "reqwest::", "axum::", "notify::"],
    },
    Ring { name: "sandbox", modules: &["sandbox"], may_use: Some(&["id", "path", "sandbox"]), never: &["rusqlite::"] },
    Ring {
        name: "assembly",
        modules: &["config", "daemon", "service", "shown", "telemetry"],
        may_use: None,
        never: &["crate::cli"],
    },
    Ring { name: "face", modules: &["cli", "main", "lib"], may_use: None, never: &[] },
];

/// Crates that only some modules may name.
const PLACES: &[(&str, &[&str])] = &[
    ("rusqlite::", &["store"]),
    ("reqwest::", &["provider", "daemon/client", "runner/post"]),
    ("axum::", &["sandbox", "daemon/control", "daemon/web"]),
    ("maud::", &["daemon/web"]),
    ("prometheus_client::", &["daemon/figures", "daemon/meters"]),
    ("notify::", &["local/watch", "daemon"]),
    ("allow(unsafe_code)", &["sys"]),
    ("anyhow::", &["cli", "main"]),
];

/// Parts of the engine that own their state, and the parts beside them that each may name. What is below one and not named here belongs to it,
/// and may name what it may.
const COMPONENTS: &[(&str, &[&str])] = &[
    ("engine/aside", &[]),
    ("engine/codes", &[]),
    ("engine/input", &[]),
    ("engine/effect", &["input"]),
    ("engine/paths", &["sides"]),
    ("engine/ctx", &["effect", "input", "paths"]),
    ("engine/filter", &[]),
    ("engine/subscribers", &["effect", "input"]),
    ("engine/recent", &[]),
    ("engine/sides", &[]),
    ("engine/sweep", &[]),
    ("engine/calls", &["ctx"]),
    ("engine/turns", &["aside", "codes", "ctx", "schedule", "sides"]),
    ("engine/within", &["ctx", "sides"]),
    ("engine/slots", &[]),
    ("engine/queues", &[]),
    ("engine/schedule", &[]),
    ("engine/health", &[]),
    ("engine/budget", &["input"]),
    ("engine/remote", &[]),
    ("engine/remote/above", &["ctx", "questions"]),
    ("engine/remote/ground", &["ctx", "filter", "hints", "questions", "readings"]),
    ("engine/remote/heard", &["ctx", "ground", "hints", "questions"]),
    ("engine/remote/hints", &[]),
    ("engine/remote/learn", &["codes", "ctx", "ground", "heard", "questions", "sides"]),
    ("engine/remote/looks", &["above", "ctx", "questions"]),
    ("engine/remote/questions", &["hints"]),
    ("engine/remote/root", &["ctx"]),
    ("engine/remote/whereabouts", &["ctx", "ground", "hints", "learn", "paths"]),
    ("engine/remote/rolling", &["ctx"]),
    ("engine/remote/strays", &["ctx"]),
    ("engine/disk", &[]),
    ("engine/disk/batch", &[]),
    ("engine/disk/deeds", &["batch", "ctx", "sides"]),
    ("engine/disk/outcome", &["deeds"]),
    ("engine/disk/seat", &["deeds"]),
    ("engine/conflict", &["codes", "ctx", "sides"]),
    ("engine/send/echoes", &["ctx", "sides"]),
    ("engine/send", &["aside", "codes", "ctx", "effect", "sides"]),
    ("engine/send/answers", &["codes", "ctx", "echoes", "effect", "sides"]),
    ("engine/send/hopes", &["ctx"]),
    ("engine/send/whole", &["ctx", "hopes", "schedule", "sides"]),
    ("engine/local", &["codes", "ctx", "effect", "filter", "sides"]),
    ("engine/jobs", &["local", "remote", "slots"]),
    ("engine/room", &["ctx"]),
    ("engine/holds", &["ctx"]),
    ("engine/retention", &["ctx", "effect", "holds"]),
    ("engine/trees", &["ctx"]),
    ("engine/undo", &["ctx"]),
    ("engine/resolve", &["ctx", "effect"]),
    ("engine/folders", &["ctx", "disk", "filter", "input", "local", "remote", "room"]),
    ("engine/hooks", &["ctx", "effect", "input", "jobs"]),
    ("engine/listen", &["budget", "ctx", "effect", "health", "input", "jobs", "queues", "remote"]),
    ("engine/listen/again", &["ctx"]),
    ("engine/listen/cursor", &["Account", "ctx"]),
    ("engine/listen/lull", &["ctx"]),
    ("engine/listen/reach", &["ctx"]),
    ("engine/listen/wake", &["Account", "bounds", "ctx", "effect", "input"]),
];
/// Files that hold all components at once and pass on what they return: the engine and its router.
const ROUTES: &[&str] = &["engine", "engine/route"];
/// The longest that a file may be, without its tests.
const FILE_MAX_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a directory with one of these endings; nothing that is built or hidden.
fn files(dir: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if endings.is_empty() || endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A source file with its module's name, such as `plan/order`, and its code: no comments, no tests.
struct Source {
    module: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    files(&src, &[".rs"])
        .into_iter()
        .map(|path| {
            let module = path.strip_prefix(&src).unwrap().with_extension("").to_string_lossy().into_owned();
            Source { module, code: code(&fs::read_to_string(&path).unwrap()) }
        })
        .filter(|source| !source.module.ends_with("/tests") && !source.module.contains("/tests/"))
        .collect()
}

/// The text without comments and without the tests at its end.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = lines.join("\n");
    // `use std::{fs, io}` names `std::fs` too.
    let grouped = code.match_indices("std::{").flat_map(|(at, start)| members(&code[at + start.len()..]));
    let expanded: Vec<String> = grouped.map(|member| format!("\nstd::{member}")).collect();
    code + &expanded.concat()
}

fn is_in(module: &str, place: &str) -> bool {
    module == place || module.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'))
}

fn ring(module: &str) -> Option<&'static Ring> {
    let fits =
        |ring: &&'static Ring| ring.modules.iter().filter(|place| is_in(module, place)).map(|place| place.len()).max();
    RINGS.iter().filter(|ring| fits(ring).is_some()).max_by_key(fits)
}

/// The modules of ours that a file names, such as `tree` and `provider/error`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            used.extend(members(group));
        } else {
            used.insert(first_words(rest));
        }
    }
    used
}

/// The first words of each path in `{a::b, c::{d, e}}`, given what follows the opening brace.
fn members(group: &str) -> Vec<String> {
    let mut members = Vec::new();
    let mut depth = 1;
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            members.push(first_words(group[start..at].trim()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

/// `provider/error` for `provider::error::…`, and the first word alone for everything else.
fn first_words(path: &str) -> String {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let first = word(path);
    if path.starts_with("provider::error")
        || path.starts_with("provider::Cure")
        || path.starts_with("provider::ProviderError")
    {
        return "provider/error".to_owned();
    }
    first
}

#[test]
fn every_module_has_a_ring() {
    for source in sources() {
        assert!(ring(&source.module).is_some(), "{} is in no ring of the table", source.module);
    }
}

#[test]
fn modules_import_inwards_only() {
    let mut wrong = Vec::new();
    for Source { module, code } in sources() {
        let Some(ring) = ring(&module) else { continue };
        if let Some(may_use) = ring.may_use {
            for used in uses(&code).iter().filter(|used| used.starts_with(|c: char| c.is_lowercase())) {
                // A macro of ours at the crate's root, or the file's own module.
                let own = module.split('/').next() == Some(used.as_str());
                if !own && !may_use.contains(&used.as_str()) {
                    wrong.push(format!("{module} ({}) uses {used}", ring.name));
                }
            }
        }
        for never in ring.never.iter().filter(|never| code.contains(**never)) {
            wrong.push(format!("{module} ({}) names {never}", ring.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn sql_http_and_the_like_keep_to_their_places() {
    let mut wrong = Vec::new();
    for Source { module, code } in sources() {
        for (word, places) in PLACES {
            if code.contains(word) && !places.iter().any(|place| is_in(&module, place)) {
                wrong.push(format!("{module} names {word}, which belongs to {}", places.join(", ")));
            }
        }
        let sql = ["SELECT ", "INSERT INTO", "DELETE FROM", "CREATE TABLE"];
        if !is_in(&module, "store") && sql.iter().any(|word| code.contains(word)) {
            wrong.push(format!("{module} speaks SQL"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn adapters_do_not_know_each_other() {
    for Source { module, code } in sources() {
        for (one, other) in [("box_com", "egnyte"), ("egnyte", "box_com")] {
            for house in ["provider", "sandbox"] {
                if is_in(&module, &format!("{house}/{one}")) {
                    assert!(!code.contains(&format!("{other}::")), "{module} uses {other}");
                }
            }
        }
    }
}

/// What a file of the engine names of the engine: the first word after `super::` and `crate::engine::`.
fn beside(code: &str) -> BTreeSet<String> {
    let mut named = named_after(code, "super::");
    named.extend(named_after(code, "crate::engine::"));
    named.remove("super");
    named
}

fn named_after(code: &str, start: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, start) in code.match_indices(start) {
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            Some(group) => named.extend(members(group).iter().map(|member| first_word(member))),
            None => _ = named.insert(first_word(rest)),
        }
    }
    named
}

/// The component that a file is a part of without being one itself, and what that may name.
fn part_of(module: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    let (above, _) = module.rsplit_once('/')?;
    let is_component = COMPONENTS.iter().any(|(component, _)| *component == module);
    COMPONENTS.iter().find(|(component, _)| !is_component && *component == above)
}

fn is_route(module: &str) -> bool {
    module == ROUTES[0] || is_in(module, ROUTES[1])
}

fn first_word(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || "_*".contains(*c)).collect()
}

#[test]
fn components_of_the_engine_name_no_sibling() {
    let sources = sources();
    let mut wrong = Vec::new();
    for (component, may_name) in COMPONENTS {
        let source = sources.iter().find(|source| source.module == *component);
        let Some(Source { code, .. }) = source else {
            wrong.push(format!("{component} is not there"));
            continue;
        };
        let siblings: Vec<String> =
            beside(code).into_iter().filter(|named| !may_name.contains(&named.as_str())).collect();
        if !siblings.is_empty() {
            wrong.push(format!("{component} names {}", siblings.join(", ")));
        }
    }
    for Source { module, code } in &sources {
        let Some((component, may_name)) = part_of(module) else { continue };
        let code = code.replace("super::super::", "crate::engine::");
        let own = component.rsplit('/').next();
        let siblings: Vec<String> = named_after(&code, "crate::engine::")
            .into_iter()
            .filter(|named| own != Some(named.as_str()) && !may_name.contains(&named.as_str()))
            .collect();
        if !siblings.is_empty() {
            wrong.push(format!("{module}, a part of {component}, names {}", siblings.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_components_of_the_engine_form_no_circle() {
    let sources = sources();
    let is_component = |module: &str| COMPONENTS.iter().any(|(component, _)| *component == module);
    // The files below a component are parts of it; below anything else they stand for themselves.
    let unit = |module: &str| {
        let above = module.rsplit_once('/').map_or(module, |(above, _)| above);
        if is_component(above) { above.to_owned() } else { module.to_owned() }
    };
    // What a name beside a file stands for: that component, or those below it.
    let meant = |module: &str, named: &str| {
        let above = module.rsplit_once('/').map_or(module, |(above, _)| above);
        let places = [format!("{above}/{named}"), format!("engine/{named}")];
        let all = COMPONENTS.iter().map(|(component, _)| *component);
        all.filter(|component| places.iter().any(|place| is_in(component, place))).map(unit).collect::<BTreeSet<_>>()
    };
    let mut named: std::collections::BTreeMap<String, BTreeSet<String>> = std::collections::BTreeMap::new();
    for source in sources.iter().filter(|source| is_component(&source.module) || part_of(&source.module).is_some()) {
        let own = unit(&source.module);
        let others = beside(&source.code).into_iter().flat_map(|name| meant(&source.module, &name));
        let others = others.filter(|other| *other != own).collect::<Vec<_>>();
        named.entry(own).or_default().extend(others);
    }
    // Those that name nobody who is left are taken away, until none is left.
    while !named.is_empty() {
        let free: Vec<String> = named
            .iter()
            .filter(|(_, others)| others.iter().all(|other| !named.contains_key(other)))
            .map(|(unit, _)| unit.clone())
            .collect();
        assert!(!free.is_empty(), "a circle among {named:#?}");
        for unit in free {
            named.remove(&unit);
        }
    }
}

#[test]
fn only_the_router_has_the_fields_of_the_engine() {
    let of_engine: Vec<Source> = sources().into_iter().filter(|source| is_in(&source.module, "engine")).collect();
    let shares = |source: &&Source| source.code.contains("impl Engine") && !is_route(&source.module);
    let found: Vec<&str> = of_engine.iter().filter(shares).map(|source| source.module.as_str()).collect();
    assert!(found.is_empty(), "{found:?}: a component owns its state and returns values");
    // A file that takes all the names of its parent has no door of its own.
    let wild: Vec<_> = of_engine.iter().filter(|source| source.code.contains("use super::*")).collect();
    assert!(wild.is_empty(), "{:?}", wild.iter().map(|source| &source.module).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not hold them.
    let words: Vec<String> =
        [("TO", "DO"), ("FIX", "ME"), ("#[ig", "nore"), ("todo", "!("), ("unimplemented", "!("), ("dbg", "!(")]
            .iter()
            .map(|(head, tail)| format!("{head}{tail}"))
            .collect();
    let machine = ["/wo", "rk/"].concat();
    let mut wrong = Vec::new();
    for dir in ["src", "tests", "service", "packaging"] {
        for path in files(&root().join(dir), &[]) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            for word in words.iter().chain([&machine]) {
                if text.contains(word) {
                    wrong.push(format!("{}: {word}", path.strip_prefix(root()).unwrap().display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn files_do_one_thing_and_say_it_first() {
    let mut wrong = Vec::new();
    for path in files(&root().join("src"), &[".rs"]) {
        let text = fs::read_to_string(&path).unwrap();
        let shown = path.strip_prefix(root()).unwrap().display();
        let lines = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().lines().count();
        if lines > FILE_MAX_LINES && !path.ends_with("tests.rs") {
            wrong.push(format!("{shown} has {lines} lines"));
        }
        if !text.starts_with("//! ") && !path.ends_with("tests.rs") {
            wrong.push(format!("{shown} does not open with its promise"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_is_read_as_it_is_meant() {
    let used =
        uses("use crate::tree::Wall; use crate::{id::X, provider::error::{A, B}, report}; $crate::x; crate::cli::y()");
    let used: Vec<&str> = used.iter().map(String::as_str).collect();
    assert_eq!(used, ["cli", "id", "provider/error", "report", "tree"]);
    assert_eq!(ring("provider/error").unwrap().name, "values");
    assert_eq!(ring("provider/http/body").unwrap().name, "seams");
    assert!(ring("providers").is_none());
    let beside = beside("use super::{Engine, hints::A}; use crate::engine::listen::B; super::super::C; use super::*;");
    assert_eq!(beside.iter().map(String::as_str).collect::<Vec<_>>(), ["*", "C", "Engine", "hints", "listen"]);
    assert!(code("use std::{io, fs::File};").contains("std::fs"));
    assert_eq!(code("a\n// std::fs\nb\n#[cfg(test)]\nmod tests {\nc\n}\n"), "a\nb");
}
