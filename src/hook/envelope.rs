//! How a document is wrapped for a server: as it is, or as a CloudEvent (version 1.0), structured or binary.

use serde_json::json;

use super::Document;

/// What stands before our kinds in the type of a CloudEvent.
const TYPE_PREFIX: &str = "folder-sync-agent.";

/// How a document is wrapped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// The document itself.
    #[default]
    Document,
    /// A CloudEvent whose attributes stand in the body.
    CloudEvents,
    /// A CloudEvent whose attributes are headers; the body is the document.
    CloudEventsBinary,
}

impl Format {
    /// Every format, by the word of the configuration file.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("document", Self::Document),
        ("cloudevents", Self::CloudEvents),
        ("cloudevents-binary", Self::CloudEventsBinary),
    ];
}

/// A document, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The type of the content.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Wraps a document.
pub fn wrap(document: &Document, format: Format) -> Wrapped {
    let body = document.to_json();
    if format == Format::Document {
        return Wrapped { content_type: "application/json", headers: Vec::new(), body };
    }
    let kind = format!("{TYPE_PREFIX}{}", document.event.word());
    let time = jiff::Timestamp::from_millisecond(document.at.0).unwrap_or_default().to_string();
    let (source, subject) = (source(document), document.item.as_ref().map(|item| item.path.clone()));
    if format == Format::CloudEventsBinary {
        let mut headers = vec![
            ("ce-specversion", "1.0".to_owned()),
            ("ce-id", encoded(&document.delivery)),
            ("ce-source", source),
            ("ce-type", kind),
            ("ce-time", time),
        ];
        headers.extend(subject.map(|subject| ("ce-subject", encoded(&subject))));
        return Wrapped { content_type: "application/json", headers, body };
    }
    let mut event = json!({
        "specversion": "1.0", "id": document.delivery, "source": source, "type": kind, "time": time,
        "datacontenttype": "application/json", "data": document,
    });
    if let Some(subject) = subject {
        event["subject"] = subject.into();
    }
    let content_type = "application/cloudevents+json; charset=utf-8";
    Wrapped { content_type, headers: Vec::new(), body: event.to_string().into_bytes() }
}

/// Where the event comes from, as a reference without a host: the account and the folder.
fn source(document: &Document) -> String {
    let part = |name: Option<&String>| name.map(|name| format!("/{}", encoded(name))).unwrap_or_default();
    let account = part(document.account.as_ref().map(|account| &account.name));
    let folder = part(document.folder.as_ref().map(|folder| &folder.name));
    format!("/folder-sync-agent{account}{folder}")
}

/// A value as the HTTP binding has it: outside of printable ASCII, and for `"`, `%` and blanks, percent and two digits.
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            encoded.push(byte.into());
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::hook::document::{FolderPart, ItemPart, SCHEMA};
    use crate::hook::{HookKind, When};
    use crate::tree::Wall;

    fn document() -> Document {
        Document {
            schema: SCHEMA,
            hook: "crm".into(),
            when: When::After,
            event: HookKind::FileCreated,
            delivery: "d-1".into(),
            attempt: 1,
            at: Wall(1_700_000_000_123),
            account: None,
            folder: Some(FolderPart { name: "inbox".into(), local: "/srv/inbox".into(), remote: "/Inbox".into() }),
            item: Some(ItemPart { kind: "file".into(), path: "a b/ü\n.pdf".into(), ..ItemPart::default() }),
            file: None,
            actor: None,
            message: None,
            depth: 0,
            causes: Vec::new(),
        }
    }

    #[test]
    fn a_structured_event_holds_the_document() {
        let wrapped = wrap(&document(), Format::CloudEvents);
        assert_eq!(wrapped.content_type, "application/cloudevents+json; charset=utf-8");
        let event: Value = serde_json::from_slice(&wrapped.body).unwrap();
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["id"], "d-1");
        assert_eq!(event["type"], "folder-sync-agent.file.created");
        assert_eq!(event["source"], "/folder-sync-agent/inbox");
        assert_eq!(event["time"], "2023-11-14T22:13:20.123Z");
        assert_eq!(event["subject"], "a b/ü\n.pdf");
        assert_eq!(event["data"], serde_json::to_value(document()).unwrap());
    }

    #[test]
    fn a_binary_event_has_its_attributes_in_headers() {
        let wrapped = wrap(&document(), Format::CloudEventsBinary);
        assert_eq!(wrapped.body, document().to_json());
        let of = |wanted: &str| wrapped.headers.iter().find(|(name, _)| *name == wanted).unwrap().1.as_str();
        assert_eq!(of("ce-specversion"), "1.0");
        assert_eq!(of("ce-subject"), "a%20b/%C3%BC%0A.pdf");
        assert_eq!(of("ce-type"), "folder-sync-agent.file.created");
    }

    #[test]
    fn the_document_stays_as_it_is() {
        let wrapped = wrap(&document(), Format::Document);
        assert_eq!((wrapped.content_type, wrapped.headers.len()), ("application/json", 0));
        assert_eq!(wrapped.body, document().to_json());
    }
}
