//! What is told of events: entries of the journal, what is asked of it, activity, and how subscriptions are.

use serde::{Deserialize, Serialize};

use super::SCHEMA_VERSION;
use crate::events::filter::{Disposition, EventFilter};
use crate::events::taxonomy::TypePattern;
use crate::id::{ItemId, JournalId};
use crate::tree::Wall;

/// One entry of `agent events`, and the document that subscribers get: `packaging/events.schema.json` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// Its number in the journal.
    pub id: JournalId,
    /// Our name of its type, such as `item.uploaded`; `unknown` for one that no list has.
    #[serde(rename = "type")]
    pub event_type: String,
    /// What became of it, as one of a few words.
    pub disposition: Disposition,
    /// When it was received.
    pub received: Wall,
    /// When it happened, by the provider's clock.
    pub at: Option<Wall>,
    /// The account.
    pub account: String,
    /// Its provider.
    pub provider: String,
    /// The folder, if it concerns one.
    pub folder: Option<String>,
    /// Our word for what happened.
    pub kind: String,
    /// The provider's word for its type.
    pub provider_kind: String,
    /// The provider's event id.
    pub event_id: String,
    /// The item.
    pub item: Option<ItemId>,
    /// The path as it was known when the event came: below the folder's root if it concerns one, else from the top of the account.
    pub path: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
    /// The provider's id of who did it.
    pub actor_id: Option<String>,
    /// What became of it, in detail: `pending`, `downloaded`, `renamed`, `moved`, `removed`, `created`, `no change`, `stale`, `repeated`,
    /// `held`, `failed`, `outside`, ….
    pub outcome: String,
    /// Milliseconds from reception to the outcome.
    pub took_ms: Option<u64>,
    /// How often it was told again.
    #[serde(default)]
    pub repeats: u32,
    /// The event as it came, where that was asked for and is kept.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "raw_json")]
    pub raw: Option<String>,
}

impl Default for EventRow {
    fn default() -> Self {
        Self {
            schema: SCHEMA_VERSION,
            id: JournalId(0),
            event_type: String::new(),
            disposition: Disposition::Pending,
            received: Wall(0),
            at: None,
            account: String::new(),
            provider: String::new(),
            folder: None,
            kind: String::new(),
            provider_kind: String::new(),
            event_id: String::new(),
            item: None,
            path: None,
            actor: None,
            actor_id: None,
            outcome: String::new(),
            took_ms: None,
            repeats: 0,
            raw: None,
        }
    }
}

/// A text that is JSON, written as the value that it is; any other text stays a text.
mod raw_json {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::value::RawValue;

    #[allow(clippy::ref_option, reason = "serde calls it so")]
    pub fn serialize<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(text) = text else { return serializer.serialize_none() };
        match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => value.serialize(serializer),
            Err(_) => serializer.serialize_str(text),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        let value = Option::<Box<RawValue>>::deserialize(deserializer)?;
        Ok(value.map(|value| value.get().to_owned()))
    }
}

/// A person of whom nothing but a number is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nameless {
    /// The account.
    pub account: String,
    /// The provider's id of the person.
    pub user_id: String,
}

/// One line of `agent activity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityRow {
    /// When.
    pub at: Wall,
    /// Who did it; nothing means this computer.
    pub person: Option<String>,
    /// What was done.
    pub action: String,
    /// Where.
    pub path: String,
    /// What became of it here.
    pub became: String,
    /// The watched folder, if there is one.
    pub folder: Option<String>,
    /// The account, if it is known.
    pub account: Option<String>,
}

/// Events that were not kept for a subscriber: the document that stands in their place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRow {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// `gap`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The entry of the journal before the gap.
    pub after: JournalId,
    /// The entry behind it.
    pub before: JournalId,
    /// How many entries are missing.
    pub lost: u64,
    /// When that was noticed.
    pub at: Wall,
}

/// Which entries of the event journal are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventQuery {
    /// Only entries after this one, oldest first. Without it: the newest entries, still oldest first.
    pub after: Option<JournalId>,
    /// Only entries received at or after this moment, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Only entries received before this moment, in milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// Only entries of this account.
    pub account: Option<String>,
    /// Only entries that concern this folder.
    pub folder: Option<String>,
    /// Only entries of these types, separated by commas.
    pub types: Option<String>,
    /// Only entries at paths that this pattern matches.
    pub path: Option<String>,
    /// Only entries by this person.
    pub actor: Option<String>,
    /// Only entries with these dispositions, separated by commas.
    pub dispositions: Option<String>,
    /// With the events as they came.
    #[serde(default)]
    pub raw: bool,
    /// At most this many entries, and never more than [`MAX_ROWS`].
    pub limit: Option<u32>,
}

impl EventQuery {
    /// The wish in it. What cannot be read matches nothing it could be taken for, and was refused where it was written.
    pub fn filter(&self) -> EventFilter {
        let list = |text: &Option<String>| -> Vec<String> {
            text.iter().flat_map(|text| text.split(',')).map(|word| word.trim().to_owned()).collect()
        };
        EventFilter {
            account: self.account.clone(),
            folder: self.folder.clone(),
            types: list(&self.types).iter().filter_map(|word| TypePattern::parse(word)).collect(),
            paths: self.path.iter().cloned().collect(),
            actor: self.actor.clone(),
            dispositions: list(&self.dispositions).iter().filter_map(|word| Disposition::parse(word)).collect(),
            since: self.since_ms.map(Wall),
            until: self.until_ms.map(Wall),
        }
    }
}

/// How a subscription is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// Everything is delivered.
    CaughtUp,
    /// Events are on their way.
    Delivering,
    /// The target does not take them; they are kept, and it is tried again.
    Unreachable,
    /// As many are kept as may be: until these are delivered, nothing newer is taken.
    Blocked,
    /// As many are kept as may be: the oldest go.
    Dropping,
}

impl SubscriptionState {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::CaughtUp => "caught up",
            Self::Delivering => "delivering",
            Self::Unreachable => "unreachable",
            Self::Blocked => "blocked",
            Self::Dropping => "dropping the oldest",
        }
    }
}

/// One subscription, for `agent subscriptions` and `agent status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionStatus {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: SubscriptionState,
    /// The last entry of the journal that it is done with.
    pub cursor: JournalId,
    /// Entries of the journal behind that.
    pub waiting: u64,
    /// Entries kept for it at most.
    pub backlog: u64,
    /// Events delivered.
    pub delivered: u64,
    /// Entries that were not kept, and told as gaps.
    pub lost: u64,
    /// When something was last delivered.
    pub delivered_at: Option<Wall>,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last delivery failed.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<Wall>,
    /// When it is tried again.
    pub next_try: Option<Wall>,
}
