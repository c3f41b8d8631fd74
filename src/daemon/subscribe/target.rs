//! The ways to a target behind one interface: a batch of documents goes out whole, or the reason comes back why not.

use std::sync::Arc;
use std::time::Duration;

use super::Kit;
use super::file::FileTarget;
use super::journal::{Doc, Place};
use super::nats::NatsTarget;
use super::socket::SocketTarget;
use super::webhook::WebhookTarget;
use crate::events::subscription::{SubscriptionSettings, Target};

/// Why a delivery did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// In a sentence without its full stop.
    pub reason: String,
    /// When the target wants to be tried again.
    pub retry_after: Option<Duration>,
    /// The batch was too large.
    pub too_large: bool,
}

impl Undelivered {
    /// A reason alone.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry_after: None, too_large: false }
    }
}

/// One batch on its way.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// The subscription.
    pub name: &'a str,
    /// Where the batch begins.
    pub from: Place,
    /// Where it ends.
    pub upto: i64,
    /// The documents, in order.
    pub docs: &'a [Doc],
}

impl Delivery<'_> {
    /// The same for the same events again.
    pub fn id(&self) -> String {
        format!("{}-{}-{}-{}", self.name, self.from.epoch, self.from.cursor + 1, self.upto)
    }

    /// One JSON document a line.
    pub fn lines(&self) -> Result<Vec<u8>, Undelivered> {
        let mut lines = Vec::new();
        for doc in self.docs {
            serde_json::to_writer(&mut lines, doc)
                .map_err(|error| Undelivered::because(format!("an event cannot be written: {error}")))?;
            lines.push(b'\n');
        }
        Ok(lines)
    }
}

/// A way to a target.
pub enum Way {
    Webhook(WebhookTarget),
    Nats(Box<NatsTarget>),
    File(FileTarget),
    Socket(SocketTarget),
}

impl Way {
    /// The way of a subscription. Nothing is opened yet.
    pub fn of(settings: &SubscriptionSettings, kit: &Arc<Kit>) -> Self {
        match &settings.target {
            Target::Webhook { url, headers, sign } => {
                Self::Webhook(WebhookTarget::new(Arc::clone(kit), url.clone(), headers.clone(), sign.clone()))
            }
            Target::Nats { url, subject, credential } => Self::Nats(Box::new(NatsTarget::new(
                Arc::clone(kit),
                settings.name.clone(),
                url.clone(),
                subject.clone(),
                credential.clone(),
            ))),
            Target::File { path, rotate_bytes, keep } => {
                Self::File(FileTarget::new(path.clone(), *rotate_bytes, *keep))
            }
            Target::Socket { path } => Self::Socket(SocketTarget::new(path.clone())),
        }
    }

    /// Delivers a batch within `limit`. After a failure the next try begins anew.
    pub async fn deliver(&mut self, delivery: &Delivery<'_>, limit: Duration) -> Result<(), Undelivered> {
        let work = async {
            match self {
                Self::Webhook(way) => way.deliver(delivery).await,
                Self::Nats(way) => way.deliver(delivery).await,
                Self::File(way) => way.deliver(delivery).await,
                Self::Socket(way) => way.deliver(delivery).await,
            }
        };
        let done = match tokio::time::timeout(limit, work).await {
            Ok(done) => done,
            Err(_) => Err(Undelivered::because(format!("no answer within {} s", limit.as_secs_f32()))),
        };
        if done.is_err() {
            self.close();
        }
        done
    }

    fn close(&mut self) {
        match self {
            Self::Webhook(_) => {}
            Self::Nats(way) => way.close(),
            Self::File(way) => way.close(),
            Self::Socket(way) => way.close(),
        }
    }
}
