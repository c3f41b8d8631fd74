//! `add-folder` and its sisters: change the file in place, keep its comments, and never leave a wrong or half one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, RawString, Table, Value};

use super::{Complaint, Config, ConfigError, Installation, Places, read};

const NEW_FILE_HEADER: &str =
    "# What the folder sync agent mirrors. `agent config check` says whether this file is right.\n\n";
const NEW_FILE_MODE: u32 = 0o644;
const SYSTEM_CONFIG_DIR_MODE: u32 = 0o755;

/// The kinds of block that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[[account]]`
    Account,
    /// `[[folder]]`
    Folder,
    /// `[[hook]]`
    Hook,
    /// `[[subscription]]`
    Subscription,
}

impl Kind {
    /// The word of the configuration file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Folder => "folder",
            Self::Hook => "hook",
            Self::Subscription => "subscription",
        }
    }
}

/// What a key is to be set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A text in quotes.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A list of texts.
    List(Vec<String>),
    /// A table of texts.
    Pairs(Vec<(String, String)>),
    /// The key goes away, and the default comes back.
    Default,
}

impl Setting {
    fn value(&self) -> Option<Value> {
        match self {
            Self::Text(text) => Some(text.as_str().into()),
            Self::Number(number) => Some((*number).into()),
            Self::Flag(flag) => Some((*flag).into()),
            Self::List(texts) => Some(Value::Array(texts.iter().map(String::as_str).collect::<Array>())),
            Self::Pairs(pairs) => {
                let pairs = pairs.iter().map(|(name, text)| (name.as_str(), Value::from(text.as_str())));
                Some(Value::InlineTable(pairs.collect::<InlineTable>()))
            }
            Self::Default => None,
        }
    }
}

/// Why an edit did not happen; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file was no good before the edit.
    #[error(transparent)]
    Before(#[from] ConfigError),
    /// The file would be wrong after it.
    #[error("the configuration would be wrong")]
    After {
        /// All that would be wrong.
        complaints: Vec<Complaint>,
    },
    /// There is no such block.
    #[error("there is no {} named `{name}`", kind.word())]
    NotFound {
        /// The kind of block.
        kind: Kind,
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// The file under edit. While it lives, no other editor of ours touches the file.
#[derive(Debug)]
pub struct Editor {
    places: Places,
    target: PathBuf,
    document: DocumentMut,
    _lock: File,
}

impl Editor {
    /// Opens the installation's file for editing, or begins a new one. A file that is wrong already is refused with its
    /// complaints, since nobody could tell what an edit of it means.
    pub fn open(places: &Places) -> Result<Self, EditError> {
        let dir = places.config_dir();
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| EditError::Write { path, source }
        };
        make_config_dir(places).map_err(failed(dir))?;
        let lock = File::open(dir).map_err(failed(dir))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|errno| failed(dir)(errno.into()))?;
        // The file may be a link into someone's collection of settings: what is replaced is what it leads to.
        let target = fs::canonicalize(&places.config_file).unwrap_or_else(|_| places.config_file.clone());
        let text = read(places)?;
        Config::check(&text, places)
            .map_err(|complaints| ConfigError::Wrong { path: places.config_file.clone(), complaints })?;
        let text = if text.is_empty() { NEW_FILE_HEADER.to_owned() } else { text };
        let document = text.parse().map_err(|error: toml_edit::TomlError| {
            failed(&places.config_file)(io::Error::new(io::ErrorKind::InvalidData, error.message().to_owned()))
        })?;
        Ok(Self { places: places.clone(), target, document, _lock: lock })
    }

    /// Adds a block at the end of its kind.
    pub fn add(&mut self, kind: Kind, settings: &[(&str, Setting)]) {
        let mut table = Table::new();
        table.decor_mut().set_prefix(if self.document.as_table().is_empty() { "" } else { "\n" });
        for (key, setting) in settings {
            if let Some(value) = setting.value() {
                table.insert(key, Item::Value(value));
            }
        }
        // The first block of its kind goes to the end of the file, and the file's last comments stay before it.
        if !self.document.contains_key(kind.word()) {
            let trailing = self.document.trailing().as_str().unwrap_or_default().to_owned();
            if !trailing.trim().is_empty() {
                let gap = if trailing.ends_with("\n\n") { "" } else { "\n" };
                table.decor_mut().set_prefix(format!("{trailing}{gap}"));
                self.document.set_trailing("");
            }
        }
        let blocks = self.document.entry(kind.word()).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if let Some(blocks) = blocks.as_array_of_tables_mut() {
            blocks.push(table);
        }
    }

    /// Sets or removes one key of a block; a comment behind the value stays.
    pub fn set(&mut self, kind: Kind, name: &str, key: &str, setting: &Setting) -> Result<(), EditError> {
        let index = self.index(kind, name)?;
        let Some(table) = self.blocks(kind).and_then(|blocks| blocks.get_mut(index)) else { return Ok(()) };
        match setting.value() {
            None => {
                table.remove(key);
            }
            Some(mut value) => match table.get_mut(key).and_then(Item::as_value_mut) {
                Some(old) => {
                    *value.decor_mut() = old.decor().clone();
                    *old = value;
                }
                None => {
                    table.insert(key, Item::Value(value));
                }
            },
        }
        Ok(())
    }

    /// Removes a block with the comment right above it; what is set off by an empty line stays.
    pub fn remove(&mut self, kind: Kind, name: &str) -> Result<(), EditError> {
        let index = self.index(kind, name)?;
        let Some(blocks) = self.blocks(kind) else { return Ok(()) };
        let kept = blocks
            .get(index)
            .and_then(|table| table.decor().prefix().and_then(RawString::as_str))
            .and_then(|prefix| prefix.rfind("\n\n").map(|end| prefix[..=end].to_owned()))
            .unwrap_or_default();
        let position = blocks.get(index).and_then(Table::position);
        blocks.remove(index);
        if blocks.is_empty() {
            self.document.remove(kind.word());
        }
        if !kept.trim().is_empty() {
            self.keep_comment(&kept, position);
        }
        Ok(())
    }

    /// Puts a comment that stood before a removed block before the block that follows it now, or at the end.
    fn keep_comment(&mut self, comment: &str, position: Option<isize>) {
        let mut following: Vec<&mut Table> = self
            .document
            .iter_mut()
            .filter_map(|(_, item)| item.as_array_of_tables_mut())
            .flat_map(ArrayOfTables::iter_mut)
            .filter(|table| table.position() > position)
            .collect();
        following.sort_by_key(|table| table.position());
        if let Some(next) = following.into_iter().next() {
            let old = next.decor().prefix().and_then(RawString::as_str).unwrap_or_default().to_owned();
            next.decor_mut().set_prefix(format!("{comment}{old}"));
        } else {
            let old = self.document.trailing().as_str().unwrap_or_default().to_owned();
            self.document.set_trailing(format!("{comment}{old}"));
        }
    }

    /// The configuration as it would be.
    pub fn check(&self) -> Result<Config, EditError> {
        Config::check(&self.document.to_string(), &self.places).map_err(|complaints| EditError::After { complaints })
    }

    /// Checks the result and puts it in the place of the file, whole.
    pub fn save(self) -> Result<Config, EditError> {
        let config = self.check()?;
        let failed = |source| EditError::Write { path: self.target.clone(), source };
        self.replace().map_err(failed)?;
        Ok(config)
    }

    fn replace(&self) -> io::Result<()> {
        let dir = self.target.parent().unwrap_or(Path::new("/"));
        let mut new = tempfile::Builder::new().prefix(".config-").suffix(".toml").tempfile_in(dir)?;
        new.write_all(self.document.to_string().as_bytes())?;
        match fs::metadata(&self.target) {
            Ok(old) => {
                new.as_file().set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))?;
                if rustix::process::geteuid().is_root() {
                    chown(new.path(), Some(old.uid()), Some(old.gid()))?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                new.as_file().set_permissions(fs::Permissions::from_mode(NEW_FILE_MODE))?;
                if self.places.installation == Installation::Home && self.places.state_dir.exists() {
                    self.places.adopt(new.path())?;
                }
            }
            Err(error) => return Err(error),
        }
        new.as_file().sync_all()?;
        new.persist(&self.target).map_err(|error| error.error)?;
        File::open(dir)?.sync_all()
    }

    fn blocks(&mut self, kind: Kind) -> Option<&mut ArrayOfTables> {
        self.document.get_mut(kind.word())?.as_array_of_tables_mut()
    }

    fn index(&mut self, kind: Kind, name: &str) -> Result<usize, EditError> {
        let known: Vec<String> = self
            .blocks(kind)
            .into_iter()
            .flat_map(|blocks| blocks.iter())
            .map(|table| table.get("name").and_then(Item::as_str).unwrap_or_default().to_owned())
            .collect();
        known.iter().position(|known| known == name).ok_or_else(|| EditError::NotFound {
            kind,
            name: name.to_owned(),
            known,
        })
    }
}

fn make_config_dir(places: &Places) -> io::Result<()> {
    let dir = places.config_dir();
    if dir.is_dir() {
        return Ok(());
    }
    if places.installation == Installation::Home {
        return places.make_state_dirs();
    }
    let mode = if places.installation == Installation::System {
        SYSTEM_CONFIG_DIR_MODE
    } else {
        super::places::PRIVATE_DIR_MODE
    };
    fs::DirBuilder::new().recursive(true).mode(mode).create(dir)
}

#[cfg(test)]
mod tests {
    use super::super::places::Surroundings;
    use super::*;

    const WITH_COMMENTS: &str = r#"# The whole file.

log = "info" # quiet

# My account.
[[account]]
name = "work"
provider = "box" # the cloud

# Everything that arrives.
[[folder]]
name = "inbox"
account = "work"
remote = "/Inbox"
local = "/srv/inbox"
exclude = ["*.tmp"] # no rubbish

# Archive: first half.

# Old things.
[[folder]]
name = "old"
account = "work"
remote = "/Old"
local = "/srv/old"

# The end.
"#;

    struct Bed {
        _dir: tempfile::TempDir,
        places: Places,
    }

    fn bed(text: Option<&str>) -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::home(&dir.path().join("home"), &Surroundings::default());
        if let Some(text) = text {
            places.make_state_dirs().unwrap();
            fs::write(&places.config_file, text).unwrap();
            fs::set_permissions(&places.config_file, fs::Permissions::from_mode(0o640)).unwrap();
        }
        Bed { _dir: dir, places }
    }

    fn text(bed: &Bed) -> String {
        fs::read_to_string(&bed.places.config_file).unwrap()
    }

    fn folder(name: &str) -> Vec<(&'static str, Setting)> {
        vec![
            ("name", Setting::Text(name.into())),
            ("account", Setting::Text("work".into())),
            ("remote", Setting::Text(format!("/{name}"))),
            ("local", Setting::Text(format!("/srv/{name}"))),
            ("exclude", Setting::List(vec!["~$*".into()])),
            ("keep_versions", Setting::Number(3)),
        ]
    }

    #[test]
    fn the_first_edit_makes_the_file() {
        let bed = bed(None);
        let mut editor = Editor::open(&bed.places).unwrap();
        editor.add(Kind::Account, &[("name", Setting::Text("work".into())), ("provider", Setting::Text("box".into()))]);
        editor.save().unwrap();
        let mut editor = Editor::open(&bed.places).unwrap();
        editor.add(Kind::Folder, &folder("new"));
        let config = editor.save().unwrap();
        assert_eq!(config.folder("new").unwrap().keep_versions, 3);
        insta::assert_snapshot!(text(&bed), @r#"
        # What the folder sync agent mirrors. `agent config check` says whether this file is right.

        [[account]]
        name = "work"
        provider = "box"

        [[folder]]
        name = "new"
        account = "work"
        remote = "/new"
        local = "/srv/new"
        exclude = ["~$*"]
        keep_versions = 3
        "#);
    }

    #[test]
    fn edits_keep_comments() {
        let bed = bed(Some(WITH_COMMENTS));
        let mut editor = Editor::open(&bed.places).unwrap();
        editor.add(Kind::Folder, &folder("new"));
        editor.set(Kind::Folder, "inbox", "exclude", &Setting::List(vec!["*.bak".into(), "*.tmp".into()])).unwrap();
        editor.set(Kind::Folder, "inbox", "keep_for", &Setting::Text("30d".into())).unwrap();
        editor.save().unwrap();
        let expected = WITH_COMMENTS
            .replace("exclude = [\"*.tmp\"] # no", "exclude = [\"*.bak\", \"*.tmp\"] # no")
            .replace("# no rubbish\n", "# no rubbish\nkeep_for = \"30d\"\n");
        for line in expected.lines() {
            assert!(text(&bed).lines().any(|kept| kept == line), "lost: {line}\n{}", text(&bed));
        }
        assert!(text(&bed).contains("name = \"new\""));
        assert_eq!(fs::metadata(&bed.places.config_file).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn hooks_are_added_set_and_removed_like_folders() {
        let bed = bed(Some(WITH_COMMENTS));
        let mut editor = Editor::open(&bed.places).unwrap();
        editor.add(
            Kind::Hook,
            &[
                ("name", Setting::Text("scan".into())),
                ("when", Setting::Text("before".into())),
                ("on", Setting::List(vec!["file.download".into()])),
                ("run", Setting::List(vec!["/bin/true".into()])),
            ],
        );
        editor.set(Kind::Hook, "scan", "timeout", &Setting::Text("30s".into())).unwrap();
        let config = editor.save().unwrap();
        assert_eq!(config.hook("scan").unwrap().timeout.as_secs(), 30);
        let mut editor = Editor::open(&bed.places).unwrap();
        let missing = editor.set(Kind::Hook, "scam", "timeout", &Setting::Default).unwrap_err();
        assert_eq!(missing.to_string(), "there is no hook named `scam`");
        editor.remove(Kind::Hook, "scan").unwrap();
        assert!(editor.save().unwrap().hooks.is_empty());
        for line in WITH_COMMENTS.lines() {
            assert!(text(&bed).lines().any(|kept| kept == line), "lost: {line}\n{}", text(&bed));
        }
    }

    #[test]
    fn an_edit_that_changes_nothing_changes_no_byte() {
        let bed = bed(Some(WITH_COMMENTS));
        Editor::open(&bed.places).unwrap().save().unwrap();
        assert_eq!(text(&bed), WITH_COMMENTS);
    }

    #[test]
    fn a_removed_block_takes_its_own_comment_only() {
        let bed = bed(Some(WITH_COMMENTS));
        let mut editor = Editor::open(&bed.places).unwrap();
        editor.remove(Kind::Folder, "old").unwrap();
        editor.save().unwrap();
        let after = text(&bed);
        assert!(!after.contains("Old things") && !after.contains("/srv/old"), "{after}");
        assert!(after.contains("# Archive: first half.") && after.contains("# The end."), "{after}");

        let mut editor = Editor::open(&bed.places).unwrap();
        editor.remove(Kind::Folder, "inbox").unwrap();
        editor.save().unwrap();
        assert!(text(&bed).contains("# My account."), "{}", text(&bed));
    }

    #[test]
    fn a_wrong_result_replaces_nothing() {
        let bed = bed(Some(WITH_COMMENTS));
        let mut editor = Editor::open(&bed.places).unwrap();
        editor.set(Kind::Folder, "inbox", "on_drfit", &Setting::Text("keep".into())).unwrap();
        let EditError::After { complaints } = editor.save().unwrap_err() else { panic!("expected complaints") };
        assert_eq!(complaints[0].hint.as_deref(), Some("did you mean `on_drift`?"));
        assert_eq!(text(&bed), WITH_COMMENTS);
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let bed = bed(Some(WITH_COMMENTS));
        let mut editor = Editor::open(&bed.places).unwrap();
        let Err(EditError::NotFound { known, .. }) = editor.remove(Kind::Folder, "inbx") else { panic!() };
        assert_eq!(known, ["inbox", "old"]);
    }

    #[test]
    fn a_linked_file_stays_linked() {
        let bed = bed(Some(WITH_COMMENTS));
        let real = bed.places.state_dir.join("real.toml");
        fs::rename(&bed.places.config_file, &real).unwrap();
        std::os::unix::fs::symlink("real.toml", &bed.places.config_file).unwrap();
        let mut editor = Editor::open(&bed.places).unwrap();
        editor.add(Kind::Folder, &folder("new"));
        editor.save().unwrap();
        assert!(fs::symlink_metadata(&bed.places.config_file).unwrap().is_symlink());
        assert!(fs::read_to_string(real).unwrap().contains("/srv/new"));
    }
}
