//! A webhook: one signed POST for each batch.

use std::sync::Arc;

use serde::Serialize;
use url::Url;

use super::Kit;
use super::journal::Doc;
use super::target::{Delivery, Undelivered};
use crate::hook::HeaderText;
use crate::report::SCHEMA_VERSION;
use crate::runner::post::{self, Refused};

#[derive(Serialize)]
struct Body<'a> {
    schema: u32,
    subscription: &'a str,
    delivery: &'a str,
    events: &'a [Doc],
}

/// See the module.
pub struct WebhookTarget {
    kit: Arc<Kit>,
    url: Url,
    headers: Vec<(String, HeaderText)>,
    sign: Option<String>,
}

impl WebhookTarget {
    /// A server.
    pub fn new(kit: Arc<Kit>, url: Url, headers: Vec<(String, HeaderText)>, sign: Option<String>) -> Self {
        Self { kit, url, headers, sign }
    }

    /// Posts a batch; any 2xx takes it.
    pub async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), Undelivered> {
        let client = self.kit.client.as_ref().map_err(|why| Undelivered::because(why.clone()))?;
        let id = delivery.id();
        let body = Body { schema: SCHEMA_VERSION, subscription: delivery.name, delivery: &id, events: delivery.docs };
        let body = serde_json::to_vec(&body)
            .map_err(|error| Undelivered::because(format!("a batch cannot be written: {error}")))?;
        let place = post::Place { url: &self.url, headers: &self.headers, sign: self.sign.as_deref() };
        match post::send(client, place, &id, body, &self.kit.credentials).await {
            Ok(()) => Ok(()),
            Err(Refused { reason, status, retry_after }) => {
                Err(Undelivered { reason, retry_after, too_large: status == Some(413) })
            }
        }
    }
}
