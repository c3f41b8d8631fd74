//! Box's JSON as it comes, read leniently: what we do not know is ignored, what is odd is absent.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::value::RawValue;

/// Text that may also come as a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a whole number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A count of bytes; Box writes large ones with an exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count of bytes")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Bytes, E> {
                Ok(Bytes(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Bytes, E> {
                u64::try_from(number).map(Bytes).map_err(|_| E::custom("negative"))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Bytes, E> {
                // Every whole number that a double can hold below 2^64 converts exactly.
                if number >= 0.0 && number.fract() == 0.0 && number < 18_446_744_073_709_551_616.0 {
                    Ok(Bytes(number as u64))
                } else {
                    Err(E::custom("not a whole number"))
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                text.parse().map(Bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(BytesVisitor)
    }
}

/// What must be an object: a list in its place is no list of its fields.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// Reads a field if it has the form that we know, else leaves it out: for hints, where a strange field must not hide
/// the rest.
fn lenient<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let raw: &'de RawValue = Deserialize::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// A user, as far as we care.
#[derive(Debug, Deserialize)]
pub struct User {
    #[serde(default)]
    pub id: Option<Text>,
    #[serde(default)]
    pub login: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
}

/// An item as Box names it inside others.
#[derive(Debug, Deserialize)]
pub struct Mini<'a> {
    #[serde(rename = "type", borrow, default)]
    pub kind: Option<Cow<'a, str>>,
    #[serde(default)]
    pub id: Option<Text>,
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct FileVersion {
    pub id: Text,
}

#[derive(Debug, Deserialize)]
pub struct PathCollection<'a> {
    #[serde(borrow, default)]
    pub entries: Vec<Mini<'a>>,
}

/// A file, folder or web link: in listings, by itself, and as the source of a user's event.
#[derive(Debug, Deserialize)]
pub struct Item<'a> {
    #[serde(rename = "type", borrow, default)]
    pub kind: Option<Cow<'a, str>>,
    #[serde(default)]
    pub id: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub etag: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub sequence_id: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub sha1: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub file_version: Option<FileVersion>,
    #[serde(default, deserialize_with = "lenient")]
    pub size: Option<Bytes>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub parent: Option<Mini<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub path_collection: Option<PathCollection<'a>>,
    #[serde(rename = "item_status", borrow, default, deserialize_with = "lenient")]
    pub status: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub content_modified_at: Option<Cow<'a, str>>,
    /// What a comment, task or collaboration is about.
    #[serde(rename = "item", borrow, default, deserialize_with = "lenient")]
    pub about: Option<Mini<'a>>,
}

/// The source of an enterprise event.
#[derive(Debug, Deserialize)]
pub struct EnterpriseSource<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub item_type: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient")]
    pub item_id: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub file_id: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub folder_id: Option<Text>,
}

/// A page of a folder.
#[derive(Debug, Deserialize)]
pub struct ItemPage<'a> {
    #[serde(borrow)]
    pub entries: Vec<Object<Item<'a>>>,
    #[serde(default)]
    pub next_marker: Option<String>,
}

/// A page of events; each is read by itself, so that an odd one spoils nothing.
#[derive(Debug, Deserialize)]
pub struct EventPage<'a> {
    #[serde(borrow)]
    pub entries: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pub next_stream_position: Option<&'a RawValue>,
    #[serde(default)]
    pub chunk_size: Option<i64>,
}

/// One event.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    #[serde(rename = "event_id", default, deserialize_with = "lenient")]
    pub id: Option<Text>,
    #[serde(rename = "event_type", borrow, default, deserialize_with = "lenient")]
    pub kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub created_at: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient")]
    pub created_by: Option<User>,
    #[serde(borrow, default)]
    pub source: Option<&'a RawValue>,
}

/// The answer to the question where to wait for news.
#[derive(Debug, Deserialize)]
pub struct RealtimeServers {
    #[serde(default)]
    pub entries: Vec<RealtimeServer>,
}

/// Where to wait for news. The numbers come as numbers or as text.
#[derive(Debug, Deserialize)]
pub struct RealtimeServer {
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub ttl: Option<Text>,
    #[serde(default)]
    pub max_retries: Option<Text>,
    #[serde(default)]
    pub retry_timeout: Option<Text>,
}

/// What the realtime server says.
#[derive(Debug, Deserialize)]
pub struct RealtimeMessage {
    #[serde(default)]
    pub message: Option<String>,
}

/// The body of an error.
#[derive(Debug, Deserialize, Default)]
pub struct ErrorBody {
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub request_id: Option<String>,
}
