//! Egnyte's JSON as it comes, read leniently: numbers may be text, what we do not know is ignored, what is odd is absent.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A JSON object of which nothing is certain.
pub type Object = Map<String, Value>;

/// Fields in whatever form they come.
pub trait Fields {
    /// Text, or a number as text; an empty one is none.
    fn text(&self, key: &str) -> Option<String>;
    /// A whole number that is not negative, as a number or as text.
    fn number(&self, key: &str) -> Option<u64>;
    /// A truth, as such or as text.
    fn flag(&self, key: &str) -> Option<bool>;
    /// An object within.
    fn object(&self, key: &str) -> Option<&Object>;
}

impl Fields for Object {
    fn text(&self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        whole(self.get(key)?)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn object(&self, key: &str) -> Option<&Object> {
        self.get(key)?.as_object()
    }
}

fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            // Every whole number that a double can hold below 2^64 converts exactly.
            let double = number.as_f64()?;
            let is_whole = double >= 0.0 && double.fract() == 0.0 && double < 18_446_744_073_709_551_616.0;
            is_whole.then_some(double as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A page of events; each is read by itself, so that an odd one spoils nothing.
#[derive(Debug, Deserialize)]
pub struct EventPage<'a> {
    #[serde(borrow)]
    pub events: Vec<&'a RawValue>,
    /// Perhaps the length of the page, perhaps how many events match in all.
    #[serde(default)]
    pub count: Option<Value>,
}

impl EventPage<'_> {
    /// How many events there are, if the page says so.
    pub fn matching(&self) -> Option<u64> {
        self.count.as_ref().and_then(whole)
    }
}
