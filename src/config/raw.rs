//! The file as written: every value with its line and column, and every complaint kept instead of the first one.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest piece of a value that a complaint repeats, in characters.
const SHOWN_VALUE_MAX_CHARS: usize = 60;
/// A word is offered as "did you mean" if it takes one slip of the fingers to get from it to what was written, and one
/// more for every so many letters.
const LETTERS_PER_SLIP: usize = 4;
/// Parts of keys under which people try to keep secrets.
const SECRET_WORDS: [&str; 7] = ["token", "secret", "password", "passwd", "passphrase", "api_key", "private_key"];

/// One thing that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Complaint {
    /// The line, from 1; nothing if it concerns the file as a whole.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// Which key, such as `folder.inbox.keep_for`.
    pub key: String,
    /// The value as written, cut to a bearable length; never a secret.
    pub value: Option<String>,
    /// What is wrong, in a sentence without its full stop.
    pub problem: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        if let Some(value) = &self.value {
            write!(f, " (it says {value})")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// What a reader of one value finds wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The value may hold a secret and is not repeated.
    pub secret: bool,
}

impl Wrong {
    /// Something wrong, without advice.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None, secret: false }
    }

    /// Keeps the value out of the complaint.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The known word most like `word`, if any is alike enough to be meant.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(slips, candidate)| *slips <= 1 + candidate.chars().count() / LETTERS_PER_SLIP)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// The text of the file and the complaints about it so far.
pub struct Source<'a> {
    text: &'a str,
    complaints: RefCell<Vec<Complaint>>,
}

impl<'a> Source<'a> {
    /// Starts without complaints.
    pub fn new(text: &'a str) -> Self {
        Self { text, complaints: RefCell::default() }
    }

    /// Reads the outermost table. After a syntax error nothing else can be trusted, so there is nothing but complaints.
    pub fn document(&self) -> Option<Spanned<DeTable<'a>>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        let well_formed = errors.is_empty();
        for error in errors {
            self.complain(error.span().as_ref(), "", None, Wrong::new(error.message().trim()));
        }
        well_formed.then_some(document)
    }

    /// Notes a complaint about a span of the text.
    pub fn complain(&self, span: Option<&Range<usize>>, key: &str, value: Option<String>, wrong: Wrong) {
        let (line, column) = span.map(|span| self.line_and_column(span.start)).unzip();
        let Wrong { problem, hint, secret } = wrong;
        let value = value.filter(|_| !secret);
        self.complaints.borrow_mut().push(Complaint { line, column, key: key.to_owned(), value, problem, hint });
    }

    /// All complaints, in the order of the file.
    pub fn into_complaints(self) -> Vec<Complaint> {
        let mut complaints = self.complaints.into_inner();
        complaints.sort_by_key(|complaint| (complaint.line, complaint.column));
        complaints
    }

    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    fn shown(&self, span: &Range<usize>) -> Option<String> {
        let written = self.text.get(span.clone())?;
        let mut shown: String = written.chars().take(SHOWN_VALUE_MAX_CHARS).collect();
        if shown.len() < written.len() {
            shown.push('…');
        }
        Some(shown)
    }
}

/// Where a value stands, for complaints that need several values.
#[derive(Debug, Clone)]
pub struct Spot {
    key: String,
    span: Range<usize>,
}

impl Spot {
    /// Notes a complaint about this value.
    pub fn complain(&self, source: &Source<'_>, wrong: Wrong) {
        source.complain(Some(&self.span), &self.key, source.shown(&self.span), wrong);
    }
}

/// One table of the file, from which known keys are taken one by one; what is left at the end is unknown.
pub struct Block<'s, 'a> {
    source: &'s Source<'a>,
    path: String,
    span: Range<usize>,
    entries: Vec<Entry<'s, 'a>>,
    known: Vec<&'static str>,
}

struct Entry<'s, 'a> {
    key: &'s str,
    key_span: Range<usize>,
    value: &'s Spanned<DeValue<'a>>,
    taken: bool,
}

impl<'s, 'a> Block<'s, 'a> {
    /// A table at a path such as `folder.inbox`; empty for the outermost.
    pub fn new(source: &'s Source<'a>, path: impl Into<String>, span: Range<usize>, table: &'s DeTable<'a>) -> Self {
        let entries = table
            .iter()
            .map(|(key, value)| Entry { key: key.get_ref(), key_span: key.span(), value, taken: false })
            .collect();
        Self { source, path: path.into(), span, entries, known: Vec::new() }
    }

    /// Gives the block its final path, once its name is known.
    pub fn set_path(&mut self, path: impl Into<String>) {
        self.path = path.into();
    }

    /// Where the block itself stands.
    pub fn spot(&self) -> Spot {
        Spot { key: self.path.clone(), span: self.span.clone() }
    }

    /// Notes a complaint about the block as a whole.
    pub fn complain(&self, wrong: Wrong) {
        self.source.complain(Some(&self.span), &self.path, None, wrong);
    }

    /// Notes a complaint about a value of this block.
    pub fn complain_at(&self, spot: &Spot, wrong: Wrong) {
        spot.complain(self.source, wrong);
    }

    /// Whether the file gives the key a value, a good one or not.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &'static str) -> Option<&'s Spanned<DeValue<'a>>> {
        self.known.push(key);
        let entry = self.entries.iter_mut().find(|entry| entry.key == key)?;
        entry.taken = true;
        Some(entry.value)
    }

    /// Where the value of a key stands; nothing if the key is not there.
    pub fn spot_of(&self, key: &str) -> Option<Spot> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(Spot { key: self.key_path(key), span: entry.value.span() })
    }

    /// Takes the tables of an array of tables, such as all `[[folder]]` blocks.
    pub fn blocks(&mut self, key: &'static str) -> Vec<Block<'s, 'a>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let path = self.key_path(key);
        let wrong_shape = || {
            Wrong::new(format!("`{key}` is not a list of blocks")).hint(format!("begin each block with `[[{key}]]`"))
        };
        let Some(array) = value.get_ref().as_array() else {
            self.source.complain(Some(&value.span()), &path, None, wrong_shape());
            return Vec::new();
        };
        let mut blocks = Vec::new();
        for (index, element) in array.iter().enumerate() {
            let path = format!("{path}[{}]", index + 1);
            match element.get_ref().as_table() {
                Some(table) => blocks.push(Block::new(self.source, path, element.span(), table)),
                None => self.source.complain(Some(&element.span()), &path, None, wrong_shape()),
            }
        }
        blocks
    }

    /// Takes a text and reads it; what the reader finds wrong becomes a complaint.
    pub fn text<T>(&mut self, key: &'static str, read: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        self.value(key, |value| match value {
            DeValue::String(text) => read(text),
            other => Err(Wrong::new(format!("expected a text in quotes, found {}", article(other)))),
        })
    }

    /// Takes a text that must be there.
    pub fn required<T>(&mut self, key: &'static str, read: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        if !self.has(key) {
            self.complain(Wrong::new(format!("`{key}` is missing")));
        }
        self.text(key, read)
    }

    /// Takes a whole number within bounds.
    pub fn number(&mut self, key: &'static str, bounds: std::ops::RangeInclusive<u32>) -> Option<u32> {
        self.value(key, |value| {
            let out_of_bounds =
                || Wrong::new(format!("expected a whole number from {} to {}", bounds.start(), bounds.end()));
            let DeValue::Integer(integer) = value else { return Err(out_of_bounds()) };
            let number = u32::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| out_of_bounds())?;
            if bounds.contains(&number) { Ok(number) } else { Err(out_of_bounds()) }
        })
    }

    /// Takes `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.flag_if(key, || Ok(()))
    }

    /// The same where it depends whether the key may be there.
    pub fn flag_if(&mut self, key: &'static str, check: impl FnOnce() -> Result<(), Wrong>) -> Option<bool> {
        self.value(key, |value| match value {
            DeValue::Boolean(flag) => check().map(|()| *flag),
            other => Err(Wrong::new(format!("expected true or false, found {}", article(other)))),
        })
    }

    /// Takes a text or a whole number and reads either as text.
    pub fn text_or_number<T>(&mut self, key: &'static str, read: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        self.value(key, |value| match value {
            DeValue::String(text) => read(text),
            DeValue::Integer(integer) => read(integer.as_str()),
            other => Err(Wrong::new(format!("expected a text in quotes or a number, found {}", article(other)))),
        })
    }

    /// Takes a list of texts, each checked; one text alone counts as a list of one.
    pub fn texts(&mut self, key: &'static str, check: impl Fn(&str) -> Result<(), Wrong>) -> Vec<String> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let key_path = self.key_path(key);
        let mut texts = Vec::new();
        let mut one = |element: &Spanned<DeValue<'a>>| {
            let checked = match element.get_ref() {
                DeValue::String(text) => check(text).map(|()| texts.push(text.to_string())),
                other => Err(Wrong::new(format!("expected texts in quotes, found {}", article(other)))),
            };
            if let Err(wrong) = checked {
                let span = element.span();
                self.source.complain(Some(&span), &key_path, self.source.shown(&span), wrong);
            }
        };
        match value.get_ref() {
            DeValue::Array(array) => array.iter().for_each(one),
            _ => one(value),
        }
        texts
    }

    /// Takes a table of texts, such as `headers = { X-Team = "papers" }`, each checked with its name.
    pub fn pairs<T>(&mut self, key: &'static str, read: impl Fn(&str, &str) -> Result<T, Wrong>) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let key_path = self.key_path(key);
        let DeValue::Table(table) = value.get_ref() else {
            let wrong = Wrong::new(format!("expected a table, found {}", article(value.get_ref())));
            let wrong = wrong.hint(format!("write {key} = {{ Name = \"value\" }}"));
            self.source.complain(Some(&value.span()), &key_path, None, wrong);
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (name, value) in table {
            let checked = match value.get_ref() {
                DeValue::String(text) => read(name.get_ref(), text).map(|pair| pairs.push(pair)),
                other => Err(Wrong::new(format!("expected a text in quotes, found {}", article(other)))),
            };
            if let Err(wrong) = checked {
                let span = value.span();
                let key = format!("{key_path}.{}", name.get_ref());
                self.source.complain(Some(&span), &key, self.source.shown(&span), wrong);
            }
        }
        pairs
    }

    fn value<T>(&mut self, key: &'static str, read: impl FnOnce(&DeValue<'a>) -> Result<T, Wrong>) -> Option<T> {
        let value = self.take(key)?;
        match read(value.get_ref()) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let span = value.span();
                self.source.complain(Some(&span), &self.key_path(key), self.source.shown(&span), wrong);
                None
            }
        }
    }

    /// Complains about every key that nobody took.
    pub fn finish(self) {
        for entry in self.entries.iter().filter(|entry| !entry.taken) {
            let key = self.key_path(entry.key);
            let lower = entry.key.to_lowercase();
            let wrong = if SECRET_WORDS.iter().any(|word| lower.contains(word)) {
                Wrong::new("secrets are never kept in this file")
                    .hint("remove the line, and sign in with `agent login`, which reads the token from standard input")
            } else {
                let wrong = Wrong::new("there is no such key");
                match did_you_mean(&lower, self.known.iter().copied()) {
                    Some(known) => wrong.hint(format!("did you mean `{known}`?")),
                    None => wrong.hint(format!("the keys here are {}", list(&self.known))),
                }
            };
            self.source.complain(Some(&entry.key_span), &key, None, wrong);
        }
    }
}

/// Words as people list them: `a`, `b` and `c`.
pub fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn article(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    if kind.starts_with(['a', 'i']) { format!("an {kind}") } else { format!("a {kind}") }
}
