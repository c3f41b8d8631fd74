//! Box's JSON as it comes, read leniently and in one pass: what we do not know is ignored, what is odd is absent.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What can be made of one JSON value; every form that is not expected is nothing.
trait Lenient<'de>: Sized {
    fn from_text(_: Cow<'de, str>) -> Option<Self> {
        None
    }

    fn from_whole(_: u64) -> Option<Self> {
        None
    }

    fn from_double(_: f64) -> Option<Self> {
        None
    }

    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Reads a field if it has a form that we know, else leaves it out: a strange field must not hide the rest.
fn lenient<'de, T: Lenient<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(AnyForm(PhantomData))
}

struct AnyForm<T>(PhantomData<T>);

impl<'de, T: Lenient<'de>> Visitor<'de> for AnyForm<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Option<T>, E> {
        Ok(T::from_text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<T>, E> {
        Ok(T::from_text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<T>, E> {
        Ok(T::from_whole(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Option<T>, E> {
        Ok(u64::try_from(number).ok().and_then(T::from_whole))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Option<T>, E> {
        Ok(T::from_double(number))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Option<T>, A::Error> {
        T::from_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Option<T>, A::Error> {
        T::from_object(object)
    }
}

/// One value by itself, in whatever form it comes.
#[derive(Debug)]
pub struct Maybe<T>(pub Option<T>);

impl<'de, T: Lenient<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer).map(Maybe)
    }
}

/// Text that is not copied where that is possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Str<'a>(pub Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Lenient<'de> for Str<'de> {
    fn from_text(text: Cow<'de, str>) -> Option<Self> {
        Some(Self(text))
    }
}

impl<'de> Lenient<'de> for String {
    fn from_text(text: Cow<'de, str>) -> Option<Self> {
        Some(text.into_owned())
    }
}

/// An id or a count that may come as text or as a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Lenient<'de> for Text {
    fn from_text(text: Cow<'de, str>) -> Option<Self> {
        Some(Self(text.into_owned()))
    }

    fn from_whole(number: u64) -> Option<Self> {
        Some(Self(number.to_string()))
    }
}

/// A count that may come as text or as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u64);

impl<'de> Lenient<'de> for Count {
    fn from_text(text: Cow<'de, str>) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn from_whole(number: u64) -> Option<Self> {
        Some(Self(number))
    }
}

/// A count of bytes; Box writes large ones with an exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl<'de> Lenient<'de> for Bytes {
    fn from_text(text: Cow<'de, str>) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn from_whole(number: u64) -> Option<Self> {
        Some(Self(number))
    }

    fn from_double(number: f64) -> Option<Self> {
        // Every whole number that a double can hold below 2^64 converts exactly.
        let whole = number >= 0.0 && number.fract() == 0.0 && number < 18_446_744_073_709_551_616.0;
        whole.then_some(Self(number as u64))
    }
}

/// A list counts only if each of its entries is what it should be.
impl<'de, T: Lenient<'de>> Lenient<'de> for Vec<T> {
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut entries = Some(Self::new());
        while let Some(Maybe(entry)) = list.next_element()? {
            match (entry, &mut entries) {
                (Some(entry), Some(entries)) => entries.push(entry),
                (Some(_) | None, _) => entries = None,
            }
        }
        Ok(entries)
    }
}

/// Makes structs lenient: an object is read field by field, anything else is nothing.
macro_rules! lenient_objects {
    ($($object:ty),*) => {$(
        impl<'de> Lenient<'de> for $object {
            fn from_object<A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
                Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
            }
        }
    )*};
}

lenient_objects!(
    User<'de>,
    Mini<'de>,
    FileVersion,
    PathCollection<'de>,
    Item<'de>,
    Event<'de>,
    ErrorContext,
    SessionEndpoints,
    Part
);

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

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(object)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// A user, as far as we care.
#[derive(Debug, Deserialize)]
pub struct User<'a> {
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<Text>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub login: Option<Str<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub name: Option<Str<'a>>,
}

/// An item as Box names it inside others.
#[derive(Debug, Deserialize)]
pub struct Mini<'a> {
    #[serde(rename = "type", borrow, default, deserialize_with = "lenient")]
    pub kind: Option<Str<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<Text>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub name: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct FileVersion {
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<Text>,
}

#[derive(Debug, Deserialize)]
pub struct PathCollection<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub entries: Option<Vec<Mini<'a>>>,
}

/// A file, folder or web link: in listings, by itself, and as the source of an event.
#[derive(Debug, Deserialize)]
pub struct Item<'a> {
    #[serde(rename = "type", borrow, default, deserialize_with = "lenient")]
    pub kind: Option<Str<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub etag: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub sequence_id: Option<Count>,
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
    pub status: Option<Str<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub content_modified_at: Option<Str<'a>>,
    /// What a comment, task or collaboration is about.
    #[serde(rename = "item", borrow, default, deserialize_with = "lenient")]
    pub about: Option<Mini<'a>>,
    /// How enterprise events name the item.
    #[serde(rename = "item_type", borrow, default, deserialize_with = "lenient")]
    pub enterprise_kind: Option<Str<'a>>,
    #[serde(rename = "item_id", default, deserialize_with = "lenient")]
    pub enterprise_id: Option<Text>,
    /// How enterprise events name the item of a collaboration.
    #[serde(default, deserialize_with = "lenient")]
    pub file_id: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub folder_id: Option<Text>,
}

fn entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Maybe<Item<'de>>>, D::Error> {
    Vec::deserialize(deserializer)
}

/// A page of a folder.
#[derive(Debug, Deserialize)]
pub struct ItemPage<'a> {
    #[serde(borrow, deserialize_with = "entries")]
    pub entries: Vec<Maybe<Item<'a>>>,
    #[serde(default)]
    pub next_marker: Option<String>,
}

/// An older content of a file.
#[derive(Debug, Deserialize)]
pub struct Version<'a> {
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub sha1: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub size: Option<Bytes>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub modified_at: Option<Str<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub trashed_at: Option<Str<'a>>,
}

/// The older contents of a file.
#[derive(Debug, Deserialize)]
pub struct VersionPage<'a> {
    #[serde(borrow)]
    pub entries: Vec<Object<Version<'a>>>,
}

/// A page of events, each of the form `E`.
#[derive(Debug, Deserialize)]
pub struct EventPage<'a, E> {
    pub entries: Vec<E>,
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
    pub kind: Option<Str<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub created_at: Option<Str<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub created_by: Option<User<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub source: Option<Item<'a>>,
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
    #[serde(default, deserialize_with = "lenient")]
    pub url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub ttl: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub max_retries: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub retry_timeout: Option<Text>,
}

/// What the realtime server says.
#[derive(Debug, Deserialize)]
pub struct RealtimeMessage {
    #[serde(default, deserialize_with = "lenient")]
    pub message: Option<String>,
}

/// The body of an error.
#[derive(Debug, Deserialize, Default)]
pub struct ErrorBody {
    #[serde(default, deserialize_with = "lenient")]
    pub code: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub request_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub context_info: Option<ErrorContext>,
}

/// What an error is about.
#[derive(Debug, Deserialize)]
pub struct ErrorContext {
    #[serde(default, deserialize_with = "lenient")]
    pub conflicts: Option<TakenBy>,
}

/// The item that has the name already: one object for files, a list for folders.
#[derive(Debug)]
pub struct TakenBy {
    /// `file` or `folder`.
    pub kind: Option<String>,
    pub id: Option<String>,
}

impl<'de> Lenient<'de> for TakenBy {
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut first = None;
        while let Some(Maybe(entry)) = list.next_element()? {
            first = first.or(entry);
        }
        Ok(first)
    }

    fn from_object<A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        let mini = Mini::deserialize(MapAccessDeserializer::new(object))?;
        Ok(Some(Self { kind: mini.kind.map(|kind| kind.0.into_owned()), id: mini.id.map(|id| id.0) }))
    }
}

/// An upload session.
#[derive(Debug, Deserialize)]
pub struct UploadSession {
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub part_size: Option<Bytes>,
    #[serde(default, deserialize_with = "lenient")]
    pub session_endpoints: Option<SessionEndpoints>,
}

/// Where the requests of an upload session go.
#[derive(Debug, Default, Deserialize)]
pub struct SessionEndpoints {
    #[serde(default, deserialize_with = "lenient")]
    pub upload_part: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub list_parts: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub commit: Option<String>,
}

/// A part that Box has.
#[derive(Debug, Deserialize)]
pub struct Part {
    #[serde(rename = "part_id", default, deserialize_with = "lenient")]
    pub id: Option<Text>,
    #[serde(default, deserialize_with = "lenient")]
    pub offset: Option<Bytes>,
    #[serde(default, deserialize_with = "lenient")]
    pub size: Option<Bytes>,
}

/// The answer to a part.
#[derive(Debug, Deserialize)]
pub struct PartAnswer {
    #[serde(default, deserialize_with = "lenient")]
    pub part: Option<Part>,
}

/// A page of parts.
#[derive(Debug, Deserialize)]
pub struct PartPage {
    pub entries: Vec<Part>,
}
