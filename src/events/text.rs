//! The text of an event as it came. Few events are ever asked for theirs, so that a page is kept whole and taken apart when one is.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

/// The text of one event as it came.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct EventText(Kept);

#[derive(Clone)]
enum Kept {
    Alone(String),
    InPage { page: Arc<PageText>, index: usize },
}

/// A page of a stream as it came.
pub struct PageText {
    text: String,
    split: fn(&str) -> Vec<Range<usize>>,
    entries: OnceLock<Vec<Range<usize>>>,
}

impl PageText {
    /// A page, and how the places of its events are found in it.
    pub fn new(text: String, split: fn(&str) -> Vec<Range<usize>>) -> Arc<Self> {
        Arc::new(Self { text, split, entries: OnceLock::new() })
    }

    /// The whole page.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text of an event, counted from 0; empty where the page has no such.
    pub fn entry(&self, index: usize) -> &str {
        let entries = self.entries.get_or_init(|| (self.split)(&self.text));
        entries.get(index).and_then(|place| self.text.get(place.clone())).unwrap_or_default()
    }
}

impl EventText {
    /// The text of an event of a page, counted from 0.
    pub fn in_page(page: &Arc<PageText>, index: usize) -> Self {
        Self(Kept::InPage { page: Arc::clone(page), index })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kept::Alone(text) => text,
            Kept::InPage { page, index } => page.entry(*index),
        }
    }
}

impl From<String> for EventText {
    fn from(text: String) -> Self {
        Self(Kept::Alone(text))
    }
}

impl From<EventText> for String {
    fn from(text: EventText) -> Self {
        match text.0 {
            Kept::Alone(text) => text,
            Kept::InPage { page, index } => page.entry(index).to_owned(),
        }
    }
}

impl fmt::Debug for EventText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl PartialEq for EventText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for EventText {}
