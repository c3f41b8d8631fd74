//! The JSON document that a hook gets, version 1: what happened, to what, and why it is called.
//!
//! The schema is `packaging/hooks/document.schema.json`. Within a version, members may be added; none is renamed, removed
//! or given another meaning.

use std::ffi::OsString;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{HookKind, When};
use crate::tree::Wall;

/// The version of the document.
pub const SCHEMA: u32 = 1;

/// The longest value of an environment variable; what is longer is in the document only.
const VARIABLE_MAX_BYTES: usize = 32 * 1024;

/// What a hook is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The version of the document.
    pub schema: u32,
    /// The hook's name.
    pub hook: String,
    /// `before` or `after`.
    pub when: When,
    /// What happened or is about to, such as `file.created`.
    #[serde(serialize_with = "kind_word", deserialize_with = "kind_of")]
    pub event: HookKind,
    /// The same for every attempt to tell the same thing to the same hook: the idempotency key.
    pub delivery: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it happened.
    #[serde(serialize_with = "rfc3339", deserialize_with = "moment")]
    pub at: Wall,
    /// The account.
    pub account: Option<AccountPart>,
    /// The watched folder.
    pub folder: Option<FolderPart>,
    /// The file or folder.
    pub item: Option<ItemPart>,
    /// Where an exec hook finds the content; a server gets none of our paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Who did it, as far as the cloud says.
    pub actor: Option<Actor>,
    /// What the event is about in words: the problem, the hold, the reason of a quarantine.
    pub message: Option<String>,
    /// How many hooks stand between this event and a change that nobody's hook caused.
    pub depth: u32,
    /// The hooks that led here, the nearest last.
    pub causes: Vec<String>,
}

/// The account in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPart {
    /// Its name in the configuration.
    pub name: String,
    /// `box` or `egnyte`.
    pub provider: String,
}

/// The watched folder in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderPart {
    /// Its name in the configuration.
    pub name: String,
    /// The local directory.
    pub local: String,
    /// The remote folder as configured.
    pub remote: String,
}

/// The file or folder in a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemPart {
    /// `file` or `folder`.
    pub kind: String,
    /// The provider's id.
    pub id: Option<String>,
    /// The provider's id of the content.
    pub version: Option<String>,
    /// The path inside the folder; bytes that are not UTF-8 are replaced. `AGENT_PATH` has them as they are.
    pub path: String,
    /// The path before, for renames and moves.
    pub path_before: Option<String>,
    /// The length in bytes.
    pub size: Option<u64>,
    /// The SHA-256 of the content, in hex.
    pub sha256: Option<String>,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The provider's id of the user.
    pub id: Option<String>,
    /// The user's name or login.
    pub name: Option<String>,
}

impl Document {
    /// The document as bytes. Every member is text or a number, so that this cannot fail.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The same in environment variables, for scripts without a JSON parser. `path` is the path as its bytes are.
    pub fn environment(&self, path: Option<OsString>, file: Option<&PathBuf>) -> Vec<(&'static str, OsString)> {
        let mut environment: Vec<(&'static str, OsString)> = vec![
            ("AGENT_SCHEMA", self.schema.to_string().into()),
            ("AGENT_HOOK", self.hook.clone().into()),
            ("AGENT_WHEN", self.when.word().into()),
            ("AGENT_EVENT", self.event.word().into()),
            ("AGENT_DELIVERY", self.delivery.clone().into()),
            ("AGENT_ATTEMPT", self.attempt.to_string().into()),
            ("AGENT_DEPTH", self.depth.to_string().into()),
        ];
        let mut add = |name, value: Option<OsString>| environment.extend(value.map(|value| (name, value)));
        add("AGENT_FILE", file.map(|file| file.clone().into_os_string()));
        add("AGENT_PATH", path);
        if let Some(account) = &self.account {
            add("AGENT_ACCOUNT", Some(account.name.clone().into()));
            add("AGENT_PROVIDER", Some(account.provider.clone().into()));
        }
        if let Some(folder) = &self.folder {
            add("AGENT_FOLDER", Some(folder.name.clone().into()));
            add("AGENT_LOCAL", Some(folder.local.clone().into()));
        }
        if let Some(item) = &self.item {
            add("AGENT_ITEM_KIND", Some(item.kind.clone().into()));
            add("AGENT_ITEM_ID", item.id.clone().map(OsString::from));
            add("AGENT_VERSION_ID", item.version.clone().map(OsString::from));
            add("AGENT_PATH_BEFORE", item.path_before.clone().map(OsString::from));
            add("AGENT_SIZE", item.size.map(|size| size.to_string().into()));
            add("AGENT_SHA256", item.sha256.clone().map(OsString::from));
        }
        add("AGENT_MESSAGE", self.message.clone().map(OsString::from));
        // The system takes no NUL and no endless text, and what comes from a cloud may hold either.
        environment.retain(|(_, value)| value.len() <= VARIABLE_MAX_BYTES && !value.as_encoded_bytes().contains(&0));
        environment
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn kind_word<S: Serializer>(kind: &HookKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.word())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn rfc3339<S: Serializer>(at: &Wall, serializer: S) -> Result<S::Ok, S::Error> {
    match Timestamp::from_millisecond(at.0) {
        Ok(at) => serializer.collect_str(&at),
        Err(_) => serializer.serialize_str("1970-01-01T00:00:00Z"),
    }
}

fn kind_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HookKind, D::Error> {
    let word = String::deserialize(deserializer)?;
    HookKind::parse(&word).ok_or_else(|| D::Error::custom("no kind of event"))
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Wall, D::Error> {
    let at = Timestamp::deserialize(deserializer)?;
    Ok(Wall(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn full() -> Document {
        Document {
            schema: SCHEMA,
            hook: "clamav".into(),
            when: When::Before,
            event: HookKind::FileDownload,
            delivery: "d-1".into(),
            attempt: 1,
            at: Wall(1_700_000_000_123),
            account: Some(AccountPart { name: "work".into(), provider: "box".into() }),
            folder: Some(FolderPart { name: "inbox".into(), local: "/srv/inbox".into(), remote: "/Inbox".into() }),
            item: Some(ItemPart {
                kind: "file".into(),
                id: Some("7".into()),
                version: Some("8".into()),
                path: "a\nb.pdf".into(),
                path_before: Some("b.pdf".into()),
                size: Some(68),
                sha256: Some("ab".repeat(32)),
            }),
            file: Some("/srv/inbox/.folder-sync-agent/stage/1".into()),
            actor: Some(Actor { id: Some("1".into()), name: Some("ann".into()) }),
            message: Some("why".into()),
            depth: 1,
            causes: vec!["resize".into()],
        }
    }

    /// Checks names, types and required members against the schema that we ship, at every level.
    fn compare(schema: &Value, value: &Value, at: &str) {
        let types: BTreeSet<&str> = match &schema["type"] {
            Value::String(one) => [one.as_str()].into(),
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            other => panic!("{at}: no type but {other}"),
        };
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(types.contains(is), "{at}: {is} is not one of {types:?}");
        if let Some(allowed) = schema["enum"].as_array() {
            assert!(allowed.contains(value), "{at}: {value} is not allowed");
        }
        match value {
            Value::Object(members) => {
                let properties = schema["properties"].as_object().unwrap();
                for (name, member) in members {
                    let schema = properties.get(name).unwrap_or_else(|| panic!("{at}.{name} is not in the schema"));
                    compare(schema, member, &format!("{at}.{name}"));
                }
                for required in schema["required"].as_array().unwrap() {
                    assert!(members.contains_key(required.as_str().unwrap()), "{at}: {required} is missing");
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| compare(&schema["items"], element, at)),
            _ => {}
        }
    }

    #[test]
    fn the_document_is_what_the_shipped_schema_says() {
        let schema: Value = serde_json::from_str(include_str!("../../packaging/hooks/document.schema.json")).unwrap();
        let full: Value = serde_json::from_slice(&full().to_json()).unwrap();
        compare(&schema, &full, "document");
        let described: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(described, full.as_object().unwrap().keys().collect::<BTreeSet<_>>());
        let words: BTreeSet<_> =
            schema["properties"]["event"]["enum"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(words, HookKind::ALL.iter().map(|kind| kind.word()).collect::<BTreeSet<_>>());
        assert_eq!(full["at"], "2023-11-14T22:13:20.123Z");

        let mut bare = self::full();
        (bare.account, bare.folder, bare.item, bare.file, bare.actor) = (None, None, None, None, None);
        compare(&schema, &serde_json::from_slice(&bare.to_json()).unwrap(), "document");
    }

    #[test]
    fn the_environment_holds_no_nul() {
        let mut document = full();
        document.message = Some("a\0b".into());
        let environment =
            document.environment(Some("a\nb.pdf".into()), document.file.clone().map(PathBuf::from).as_ref());
        assert!(!environment.iter().any(|(name, _)| *name == "AGENT_MESSAGE"));
        let of = |wanted| environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
        assert_eq!(of("AGENT_PATH"), Some("a\nb.pdf".into()));
        assert_eq!(of("AGENT_SIZE"), Some("68".into()));
        assert_eq!(of("AGENT_EVENT"), Some("file.download".into()));
    }
}
