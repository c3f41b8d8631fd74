//! Uploads in one request, and the preflight before them.

use std::sync::Arc;

use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use serde_json::Value;

use super::Ask;
use super::change::{check_if_match, parent_of, time_of};
use super::items::object;
use super::render::{Fields, View};
use super::reply::{self, Conflict};
use crate::sandbox::content::Stored;
use crate::sandbox::counters::Call;
use crate::sandbox::model::{ContentTimes, Kind, Model, ROOT, Refusal};
use crate::sandbox::spool::Spool;

/// What came in, or why not.
type Received = Result<(Value, Arc<Stored>), Response>;

pub(super) async fn upload(ask: &Ask, request: Request) -> Response {
    let (attributes, stored) = match receive(ask, request).await {
        Ok(received) => received,
        Err(refused) => return refused,
    };
    if let Some(claimed) = ask.header("content-md5")
        && !claimed.eq_ignore_ascii_case(stored.sha1())
    {
        return reply::error(
            ask,
            400,
            "bad_digest",
            "The SHA-1 in content-md5 is not that of the content",
        );
    }
    store(ask, &attributes, stored)
}

async fn receive(ask: &Ask, request: Request) -> Received {
    let bad = |message: &str| reply::bad_request(ask, message);
    let whole = request.headers().contains_key(CONTENT_LENGTH);
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|_| bad("the body is not a multipart form"))?;
    let (mut attributes, mut stored) = (None, None);
    loop {
        let mut field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => break,
            Err(_) if stored.is_some() && !whole => break,
            Err(_) => return Err(bad("the multipart form is broken")),
        };
        if field.name() == Some("attributes") {
            if stored.is_some() {
                let message = "The attributes must come before the file";
                return Err(reply::error(
                    ask,
                    400,
                    "metadata_after_file_contents",
                    message,
                ));
            }
            let text = field
                .text()
                .await
                .map_err(|_| bad("the attributes are broken"))?;
            attributes =
                Some(serde_json::from_str(&text).map_err(|_| bad("the attributes are not JSON"))?);
            continue;
        }
        let mut spool = Spool::new(ask.shared.spill_path());
        loop {
            match field.chunk().await {
                Ok(Some(chunk)) => spool
                    .write(&chunk)
                    .map_err(|error| reply::refusal(ask, &error.into(), Conflict::Untold))?,
                Ok(None) => break,
                // The real service keeps a body that ends early as a good, short file, when no length was announced.
                Err(_) if !whole => break,
                Err(_) => return Err(bad("the file is broken")),
            }
        }
        stored = Some(spool.finish());
    }
    // A new version needs no attributes: an older client sends none.
    match stored {
        Some(stored) => Ok((attributes.unwrap_or(Value::Null), stored)),
        None => Err(bad("the form has no file")),
    }
}

/// Whether the account accepts so many bytes more.
pub(super) fn check_size(ask: &Ask, model: &Model, size: u64) -> Result<(), Response> {
    let options = &ask.shared.options;
    if size > options.max_upload_bytes {
        return Err(reply::error(
            ask,
            403,
            "file_size_limit_exceeded",
            "File size exceeds the limit of the account",
        ));
    }
    let used = model.any(ROOT).map_or(0, |root| root.bytes_below);
    if used.saturating_add(size) > options.space_bytes {
        return Err(reply::error(
            ask,
            403,
            "storage_limit_exceeded",
            "Account storage limit reached",
        ));
    }
    Ok(())
}

fn times_of(attributes: &Value) -> Result<ContentTimes, String> {
    Ok(ContentTimes {
        created: time_of(attributes, "content_created_at")?,
        modified: time_of(attributes, "content_modified_at")?,
    })
}

fn store(ask: &Ask, attributes: &Value, stored: Arc<Stored>) -> Response {
    let times = match times_of(attributes) {
        Ok(times) => times,
        Err(complaint) => return reply::bad_request(ask, &complaint),
    };
    if let Err(refused) = ask
        .shared
        .look(|model| check_size(ask, model, stored.len()))
    {
        return refused;
    }
    let name = attributes.get("name").and_then(Value::as_str);
    if ask.route.call == Call::UploadVersion {
        return finish(
            ask,
            200,
            &Target::Version { id: ask.id(), name },
            stored,
            times,
        );
    }
    let (Some(name), Some(parent)) = (name, parent_of(attributes)) else {
        return reply::bad_request(ask, "name and parent are needed");
    };
    finish(ask, 201, &Target::New { parent, name }, stored, times)
}

/// Where an uploaded content goes.
#[derive(Debug)]
pub(super) enum Target<'a> {
    New { parent: u64, name: &'a str },
    Version { id: u64, name: Option<&'a str> },
}

/// Puts the content into the cloud and tells of the file.
pub(super) fn finish(
    ask: &Ask,
    status: u16,
    target: &Target<'_>,
    stored: Arc<Stored>,
    times: ContentTimes,
) -> Response {
    let kept = ask.shared.change(ask.user, |model, deed| {
        let id = match *target {
            Target::New { parent, name } => model.create_file(deed, parent, name, stored, times)?,
            Target::Version { id, name } => {
                model.live_of(Kind::File, id)?;
                check_if_match(ask, model, id)?;
                model.add_version(deed, id, stored, name, times)?;
                id
            }
        };
        let fields = ask
            .query
            .get("fields")
            .map_or(Fields::STANDARD, Fields::parse);
        object(model, id, fields, View::Plain)
    });
    match kept {
        Ok(file) => reply::json(status, format!(r#"{{"total_count":1,"entries":[{file}]}}"#)),
        Err(refusal) => reply::refusal(ask, &refusal, Conflict::Object),
    }
}

/// Says whether an upload would be accepted, and where to send it.
pub(super) fn preflight(ask: &Ask, body: &Value) -> Response {
    let name = body.get("name").and_then(Value::as_str);
    let size = body
        .get("size")
        .and_then(|size| size.as_u64().or_else(|| size.as_str()?.parse().ok()));
    let id = ask.route.id.as_str();
    let checked = ask.shared.look(|model| {
        let (folder, itself) = if id.is_empty() {
            (parent_of(body).unwrap_or(ROOT), None)
        } else {
            (
                model.live_of(Kind::File, ask.id())?.parent.unwrap_or(ROOT),
                Some(ask.id()),
            )
        };
        let folder = model.live_of(Kind::Folder, folder)?;
        match name.and_then(|name| folder.child(name)) {
            Some(other) if Some(other) != itself => return Err(Refusal::NameInUse(other)),
            _ => {}
        }
        Ok(check_size(ask, model, size.unwrap_or(0)))
    });
    match checked {
        Err(refusal) => reply::refusal(ask, &refusal, Conflict::Object),
        Ok(Err(refused)) => refused,
        Ok(Ok(())) => {
            let between = if id.is_empty() { "" } else { "/" };
            let url = format!("{}/api/2.0/files{between}{id}/content", ask.shared.url());
            reply::json(
                200,
                format!(r#"{{"upload_url":"{url}","upload_token":""}}"#),
            )
        }
    }
}
