//! The event streams and the long poll that says when to read them.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::response::Response;
use sha1::{Digest, Sha1};

use super::render::{self, Fields, View};
use super::reply;
use super::{Ask, enterprise};
use crate::sandbox::content::hex;
use crate::sandbox::counters::Oddity;
use crate::sandbox::faults::Fault;
use crate::sandbox::model::{Event, Model, Snap, Streams, What};

const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 500;
/// Positions are this and a multiple of the stride away: above 2^53, so that a float cannot hold them.
const POSITION_BASE: u64 = 18_100_000_000_000_005;
const POSITION_STRIDE: u64 = 16;
/// Channels are forgotten beyond this number, oldest first.
const CHANNELS_MAX: usize = 10_000;

/// A client's right to one series of long polls.
#[derive(Debug)]
pub(super) struct Channel {
    /// The newest event that the client was told of.
    told: u64,
    polls: u32,
}

fn position_of(event: u64) -> u64 {
    POSITION_BASE + event * POSITION_STRIDE
}

/// Where a stream position points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Now,
    Oldest,
    After { event: u64, exact: bool },
    Malformed,
}

fn read_position(text: Option<&str>) -> Position {
    match text {
        None | Some("" | "0" | "null") => Position::Oldest,
        Some("now") => Position::Now,
        Some(text) => {
            let nearest = |value: u64| {
                let away = value.saturating_sub(POSITION_BASE - POSITION_STRIDE / 2);
                let event = away / POSITION_STRIDE;
                Position::After { event, exact: position_of(event) == value }
            };
            text.parse().map_or(Position::Malformed, nearest)
        }
    }
}

fn stream_of(name: Option<&str>) -> Option<Streams> {
    match name.unwrap_or("all") {
        "all" | "admin_logs" | "admin_logs_streaming" => Some(Streams::ALL),
        "changes" => Some(Streams::CHANGES),
        "sync" => Some(Streams::SYNC),
        _ => None,
    }
}

/// Whether a stream is the whole enterprise's, told in other words.
fn is_enterprise(name: Option<&str>) -> bool {
    matches!(name, Some("admin_logs" | "admin_logs_streaming"))
}

/// A span of time, in milliseconds since 1970; only the older of the enterprise streams can choose by it.
#[derive(Clone, Copy, Debug)]
struct Span {
    after: i64,
    before: i64,
}

impl Span {
    fn of(ask: &Ask) -> Option<Self> {
        let moment = |key: &str, open: i64| match ask.query.get(key) {
            Some(text) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
            None => Some(open),
        };
        let span = Self { after: moment("created_after", i64::MIN)?, before: moment("created_before", i64::MAX)? };
        let can_choose = ask.query.get("stream_type") == Some("admin_logs");
        Some(if can_choose { span } else { Self { after: i64::MIN, before: i64::MAX } })
    }

    fn holds(self, at: i64) -> bool {
        (self.after..=self.before).contains(&at)
    }
}

pub(super) fn page(ask: &Ask) -> Response {
    let Some(stream) = stream_of(ask.query.get("stream_type")) else {
        return reply::bad_request(ask, "stream_type is not one of the known streams");
    };
    let Some(span) = Span::of(ask) else {
        return reply::bad_request(ask, "created_after and created_before are moments");
    };
    let position = read_position(ask.query.get("stream_position"));
    let limit = ask.query.number("limit").unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX) as usize;
    let limit = ask.faults.iter().fold(limit, |limit, fault| match fault {
        Fault::ShortPage { entries } => limit.min(*entries),
        _ => limit,
    });
    let after = match position {
        Position::Malformed => return reply::bad_request(ask, "the stream position is malformed"),
        Position::Now => ask.shared.look(|model| model.newest_event()),
        Position::Oldest => 0,
        Position::After { event, exact } => {
            if !exact {
                ask.shared.counters.note(Oddity::PositionRounded);
            }
            event
        }
    };
    let (events, next) = if position == Position::Now {
        (Vec::new(), position_of(after).to_string())
    } else {
        let start = ask.faults.iter().fold(after, |start, fault| match fault {
            Fault::RewindEvents { by } => start.saturating_sub(*by),
            _ => start,
        });
        let (events, seen) = ask.shared.look(|model| read(model, start, stream, limit, span));
        // The older of the enterprise streams has no position to tell where there is nothing to tell.
        let has_none = events.is_empty() && ask.query.get("stream_type") == Some("admin_logs");
        (events, if has_none { "0".to_owned() } else { position_of(seen).to_string() })
    };
    let (events, next) = disturb(&ask.faults, events, next, &position_of(after).to_string());
    reply::json(200, written(ask, &events, &next))
}

/// What the script does to a page. The position is JSON text already.
fn disturb(faults: &[Fault], mut events: Vec<Arc<Event>>, mut next: String, asked: &str) -> (Vec<Arc<Event>>, String) {
    for fault in faults {
        match fault {
            Fault::DuplicateEvents => {
                events = events.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
            }
            Fault::ReorderEvents => events.reverse(),
            Fault::DropEvents => events.clear(),
            Fault::LateEvents => {
                events.clear();
                asked.clone_into(&mut next);
            }
            Fault::PositionText => next = format!("\"{next}\""),
            Fault::PositionZero => "0".clone_into(&mut next),
            Fault::PositionStuck => asked.clone_into(&mut next),
            _ => {}
        }
    }
    (events, next)
}

/// At most `limit` events of a stream after `after`, and the id of the last one looked at.
fn read(model: &Model, after: u64, stream: Streams, limit: usize, span: Span) -> (Vec<Arc<Event>>, u64) {
    let mut found = Vec::new();
    let mut seen = after.min(model.newest_event()).max(model.oldest_event() - 1);
    for event in model.events_after(seen) {
        if found.len() == limit {
            break;
        }
        seen = event.id;
        if event.kind.streams().shares(stream) && span.holds(event.at) {
            found.push(event.clone());
        }
    }
    (found, seen)
}

fn written(ask: &Ask, events: &[Arc<Event>], next: &str) -> String {
    let mut out = String::with_capacity(128 + events.len() * 1600);
    let _ = write!(out, r#"{{"chunk_size":{},"next_stream_position":{next},"entries":["#, events.len());
    for (place, event) in events.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        if is_enterprise(ask.query.get("stream_type")) {
            enterprise::write_event(&mut out, event, ask.shared.secret);
        } else {
            write_event(&mut out, event, ask.shared.secret);
        }
    }
    out.push_str("]}");
    out
}

fn write_event(out: &mut String, event: &Event, salt: u64) {
    out.push_str(r#"{"type":"event","event_id":""#);
    out.push_str(&event_id(event.id, salt));
    out.push_str(r#"","event_type":"#);
    render::quote(out, event.kind.box_name());
    out.push_str(r#","created_at":"#);
    render::time(out, event.at);
    out.push_str(r#","recorded_at":"#);
    render::time(out, event.at);
    out.push_str(r#","created_by":"#);
    render::user(out, event.by);
    out.push_str(r#","session_id":null,"source":"#);
    match &event.what {
        What::Item(snap) => render::item(out, snap, Fields::EVENT, View::Event),
        What::Noise(number) => render::item(out, &Snap::of_noise(*number, event.at), Fields::EVENT, View::Event),
        What::Nothing => out.push_str("null"),
    }
    out.push('}');
}

fn event_id(id: u64, salt: u64) -> String {
    let mut hasher = Sha1::new();
    hasher.update(salt.to_le_bytes());
    hasher.update(id.to_le_bytes());
    hex(&hasher.finalize())
}

/// The realtime server to poll, which is this one.
pub(super) fn servers(ask: &Ask) -> Response {
    let stream = ask.query.get("stream_type").unwrap_or("all");
    if stream_of(Some(stream)).is_none() {
        return reply::bad_request(ask, "stream_type is not one of the known streams");
    }
    let told = ask.shared.look(|model| model.newest_event());
    let id = ask.shared.box_com.channels_made.fetch_add(1, Ordering::Relaxed);
    let mut channels = ask.shared.box_com.channels.lock().unwrap_or_else(PoisonError::into_inner);
    if channels.len() >= CHANNELS_MAX {
        channels.retain(|known, _| *known + (CHANNELS_MAX as u64) / 2 > id);
    }
    channels.insert(id, Channel { told, polls: 0 });
    drop(channels);
    let url = format!("{}/realtime?channel={id:012x}&stream_type={stream}", ask.shared.url());
    let retries = ask.shared.options.realtime_max_retries;
    reply::json(
        200,
        format!(
            r#"{{"chunk_size":1,"entries":[{{"type":"realtime_server","url":"{url}","ttl":"10","max_retries":"{retries}","retry_timeout":610}}]}}"#
        ),
    )
}

fn message(text: &str) -> Response {
    let mut out = String::from(r#"{"message":"#);
    render::quote(&mut out, text);
    out.push_str(r#","version":1}"#);
    reply::json(200, out)
}

/// Holds the request until there is news or the hold is over.
pub(super) async fn long_poll(ask: &Ask) -> Response {
    let channel = ask.query.get("channel").and_then(|channel| u64::from_str_radix(channel, 16).ok());
    let Some(stream) = stream_of(ask.query.get("stream_type")) else {
        return reply::bad_request(ask, "stream_type is not one of the known streams");
    };
    let hang = ask.faults.contains(&Fault::Hang);
    if let Some(Fault::Message { text }) = ask.faults.iter().find(|fault| matches!(fault, Fault::Message { .. })) {
        return message(text);
    }
    let max = ask.shared.options.realtime_max_retries;
    let told = channel.and_then(|channel| {
        let mut channels = ask.shared.box_com.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.get_mut(&channel)?;
        channel.polls += 1;
        (channel.polls <= max).then_some(channel.told)
    });
    let Some(told) = told else {
        return message("max_retries");
    };
    let after = match read_position(ask.query.get("stream_position")) {
        Position::After { event, .. } => event,
        Position::Now | Position::Oldest | Position::Malformed => told,
    };
    let newest = if stream == Streams::ALL { &ask.shared.newest_any } else { &ask.shared.newest_change };
    let (mut newest, mut closing) = (newest.subscribe(), ask.shared.closing.subscribe());
    let news = tokio::select! {
        news = newest.wait_for(|newest| *newest > after && !hang) => news.map(|newest| *newest).ok(),
        _ = closing.wait_for(|closing| *closing) => None,
        () = tokio::time::sleep(ask.shared.options.realtime_hold), if !hang => None,
    };
    let Some(news) = news else {
        return message("reconnect");
    };
    let mut channels = ask.shared.box_com.channels.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(channel) = channel.and_then(|channel| channels.get_mut(&channel)) {
        channel.told = channel.told.max(news);
    }
    message("new_change")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_the_way_there_and_back_and_rounding_is_seen() {
        for event in [0, 1, 2, 300_000] {
            let position = position_of(event);
            assert!(position > 1 << 53);
            assert_eq!(read_position(Some(&position.to_string())), Position::After { event, exact: true });
            let rounded = (position as f64) as u64;
            assert_ne!(rounded, position, "a float must not be able to hold a position");
            assert_eq!(read_position(Some(&rounded.to_string())), Position::After { event, exact: false });
        }
        assert_eq!(read_position(Some("1.8e16")), Position::Malformed);
        assert_eq!(read_position(Some("now")), Position::Now);
        assert_eq!(read_position(None), Position::Oldest);
    }
}
