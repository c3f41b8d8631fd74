//! A NATS server with JetStream: one message for each document, each acknowledged before the batch counts as delivered. The message id is the
//! event's, so that the server drops what it has already.

use std::sync::Arc;

use async_nats::header::{HeaderMap, NATS_MESSAGE_ID};
use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, Event};
use secrecy::ExposeSecret;

use super::Kit;
use super::journal::Doc;
use super::target::{Delivery, Undelivered};

/// See the module.
pub struct NatsTarget {
    kit: Arc<Kit>,
    name: String,
    url: String,
    subject: String,
    credential: Option<String>,
    open: Option<Context>,
}

impl NatsTarget {
    /// A server that is not connected yet.
    pub fn new(kit: Arc<Kit>, name: String, url: String, subject: String, credential: Option<String>) -> Self {
        Self { kit, name, url, subject, credential, open: None }
    }

    /// Publishes a batch and waits for every acknowledgement.
    pub async fn deliver(&mut self, delivery: &Delivery<'_>) -> Result<(), Undelivered> {
        if self.open.is_none() {
            self.open = Some(self.connect().await?);
        }
        let Some(context) = &self.open else { return Err(Undelivered::because("not connected")) };
        let mut acknowledgements = Vec::with_capacity(delivery.docs.len());
        for doc in delivery.docs {
            let payload = serde_json::to_vec(doc)
                .map_err(|error| Undelivered::because(format!("an event cannot be written: {error}")))?;
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, message_id(&self.name, doc).as_str());
            let subject = subject_of(&self.subject, doc);
            let sent = context.publish_with_headers(subject.clone(), headers, payload.into()).await;
            acknowledgements.push((subject, sent.map_err(|error| Undelivered::because(error.to_string()))?));
        }
        for (subject, acknowledgement) in acknowledgements {
            acknowledgement.await.map_err(|error| {
                let reason = error.to_string();
                let hint = if error.kind() == jetstream::context::PublishErrorKind::StreamNotFound {
                    format!("no stream of the server takes the subject `{subject}`: add one with `nats stream add`")
                } else {
                    reason
                };
                Undelivered::because(hint)
            })?;
        }
        Ok(())
    }

    /// Connects anew next time.
    pub fn close(&mut self) {
        self.open = None;
    }

    async fn connect(&self) -> Result<Context, Undelivered> {
        let options = match &self.credential {
            None => ConnectOptions::new(),
            Some(name) => {
                let secret = self.kit.credentials.get(name).map_err(Undelivered::because)?;
                let text = secret.expose_secret();
                if text.contains("-----BEGIN") {
                    ConnectOptions::with_credentials(text)
                        .map_err(|error| Undelivered::because(format!("credential `{name}`: {error}")))?
                } else if let Some((user, password)) = text.split_once(':') {
                    ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
                } else {
                    ConnectOptions::with_token(text.to_owned())
                }
            }
        };
        let subscription = self.name.clone();
        let client = options
            .name(format!("folder-sync-agent {}", self.name))
            // A connection that is lost ends the delivery, and the next try makes a new one: the back-off is the worker's.
            .max_reconnects(1)
            .event_callback(move |event| {
                let subscription = subscription.clone();
                async move {
                    if matches!(event, Event::ServerError(_) | Event::ClientError(_)) {
                        tracing::debug!(subscription, %event, "NATS");
                    }
                }
            })
            .connect(&self.url)
            .await
            .map_err(|error| Undelivered::because(format!("{} cannot be reached: {error}", self.url)))?;
        Ok(jetstream::new(client))
    }
}

/// What the server tells repeated messages by: the event's id. Egnyte counts events of each domain from one, so that its ids are told apart by
/// the account.
fn message_id(subscription: &str, doc: &Doc) -> String {
    match doc {
        Doc::Event(row) if row.provider == "egnyte" => format!("{}:{}", row.account, row.event_id),
        Doc::Event(row) => row.event_id.clone(),
        Doc::Gap(gap) => format!("gap:{subscription}:{}-{}", gap.after, gap.before),
    }
}

/// The subject with its placeholders filled in. What a subject cannot hold becomes `_`.
fn subject_of(pattern: &str, doc: &Doc) -> String {
    let token = |text: &str| -> String {
        let clean = |c: char| if c.is_whitespace() || c.is_control() || "*>".contains(c) { '_' } else { c };
        text.chars().map(clean).collect()
    };
    let one = |text: &str| token(text).replace('.', "_");
    let (account, folder, event_type) = match doc {
        Doc::Event(row) => (one(&row.account), one(row.folder.as_deref().unwrap_or("none")), token(&row.event_type)),
        Doc::Gap(_) => ("none".to_owned(), "none".to_owned(), "gap".to_owned()),
    };
    pattern.replace("{account}", &account).replace("{folder}", &folder).replace("{type}", &event_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::EventRow;

    #[test]
    fn subjects_are_filled_in_and_stay_subjects() {
        let row = EventRow {
            account: "my work".into(),
            folder: Some("a.b>".into()),
            event_type: "item.uploaded".into(),
            ..EventRow::default()
        };
        let doc = Doc::Event(Box::new(row));
        assert_eq!(subject_of("agent.{account}.{folder}.{type}", &doc), "agent.my_work.a_b_.item.uploaded");
    }

    #[test]
    fn egnytes_numbers_are_told_apart_by_account() {
        let of = |provider: &str| EventRow {
            provider: provider.into(),
            account: "work".into(),
            event_id: "12".into(),
            ..EventRow::default()
        };
        assert_eq!(message_id("s", &Doc::Event(Box::new(of("box")))), "12");
        assert_eq!(message_id("s", &Doc::Event(Box::new(of("egnyte")))), "work:12");
    }
}
