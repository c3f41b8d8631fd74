//! The screen of events: what the cloud told, live, with filters, and what became of each.

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::live::{self, Look};
use super::page::{Asked, ROWS, Tone, at, cell, name, row, state, table, when};
use crate::events::filter::Disposition;
use crate::id::JournalId;
use crate::report::{EventQuery, EventRow, ReportError};
use crate::shown::{harmless, person};
use crate::store::browse::JournalFilter;
use crate::tree::Wall;

/// What is asked for. Empty fields of the form say nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    folder: String,
    kind: String,
    outcome: String,
    path: String,
    before: Option<i64>,
}

impl Wanted {
    fn filter(&self) -> JournalFilter {
        let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        JournalFilter {
            folder: filled(&self.folder),
            kind: filled(&self.kind),
            outcome: filled(&self.outcome),
            path: filled(&self.path),
            before: self.before.map(JournalId),
        }
    }

    fn query(&self) -> Vec<(&'static str, &str)> {
        vec![("folder", &self.folder), ("kind", &self.kind), ("outcome", &self.outcome), ("path", &self.path)]
    }
}

/// The page.
pub async fn page(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    asked.app.web.name_people();
    let made = asked.clone();
    let body = asked.app.web.report(move |web| {
        let folders = web.status()?.folders.iter().map(|folder| folder.name.clone()).collect::<Vec<_>>();
        let list = list(&made, &wanted)?;
        Ok(html! {
            h1 { "Events" }
            p { "What the cloud told of your folders, newest first, and what became of each." }
            (filters(&wanted, &folders))
            @if wanted.before.is_none() { div id="live" data-live=(at("/live/events", &wanted.query())) { (list) } } @else { (list) }
        })
    });
    asked.page_of("Events", "/events", body.await)
}

/// What changes by itself: the newest.
pub async fn live(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    live::stream(asked, move |asked| Ok(Look::of(&list(asked, &wanted)?)))
}

fn filters(wanted: &Wanted, folders: &[String]) -> Markup {
    html! {
        form method="get" action="/events" class="filters" role="search" aria-label="Filter events" {
            div {
                label for="folder" { "Folder" }
                select id="folder" name="folder" {
                    option value="" selected[wanted.folder.is_empty()] { "all" }
                    @for folder in folders { option value=(folder) selected[*folder == wanted.folder] { (folder) } }
                }
            }
            div { label for="kind" { "Kind" } input id="kind" name="kind" value=(wanted.kind) placeholder="uploaded"; }
            div { label for="outcome" { "What became of it" } input id="outcome" name="outcome" value=(wanted.outcome) placeholder="downloaded"; }
            div { label for="path" { "Path holds" } input id="path" name="path" value=(wanted.path); }
            button { "Filter" }
            @if !wanted.query().iter().all(|(_, value)| value.is_empty()) { " " a href="/events" { "Show all" } }
        }
    }
}

fn list(asked: &Asked, wanted: &Wanted) -> Result<Markup, ReportError> {
    let filter = wanted.filter();
    let rows = asked.app.web.read(|rows| {
        let mut events = Vec::new();
        for id in rows.journal_page(&filter, ROWS)? {
            let one = EventQuery { after: Some(JournalId(id.0 - 1)), limit: Some(1), ..EventQuery::default() };
            events.extend(rows.events(&one)?.into_iter().filter(|event| event.id == id));
        }
        Ok(events)
    })?;
    let older = rows.last().filter(|_| rows.len() == ROWS as usize).map(|last| {
        let before = last.id.0.to_string();
        let mut query = wanted.query();
        query.push(("before", &before));
        at("/events", &query)
    });
    Ok(html! {
        @if rows.is_empty() { p { "No event." } } @else { (event_table("Events", &rows, asked.now)) }
        nav class="pager" aria-label="Pages" {
            @if wanted.before.is_some() { a href=(at("/events", &wanted.query())) { "Newest" } " " }
            @if let Some(older) = older { a href=(older) rel="next" { "Older" } }
        }
    })
}

/// Events as a table.
pub fn event_table(caption: &str, events: &[EventRow], now: Wall) -> Markup {
    table(
        caption,
        &["When", "What", "Path", "Who", "What became of it"],
        html! { @for event in events { (event_row(event, now)) } },
    )
}

fn event_row(event: &EventRow, now: Wall) -> Markup {
    row(html! {
        (cell("When", when(event.received, now)))
        (cell("What", html! { (harmless(&event.kind)) br; span class="small" { (harmless(&event.provider_kind)) } }))
        (cell("Path", html! {
            @match &event.path { Some(path) => (name(path)), None => "not known" }
            @if let Some(folder) = &event.folder { br; span class="small" { "in " (name(folder)) } }
        }))
        (cell("Who", html! { @match &event.actor { Some(actor) => (name(&person(actor))), None => "not told" } }))
        (cell("What became of it", html! {
            (state(tone(&event.outcome), became(event)))
            @if let Some(took) = event.took_ms { span class="small" { " after " (crate::shown::span(std::time::Duration::from_millis(took))) } }
        }))
    })
}

/// Of our own deeds there is nothing to do, whatever the stream's order made of them.
fn became(event: &EventRow) -> String {
    if event.disposition == Disposition::Own { "own".to_owned() } else { harmless(&event.outcome) }
}

fn tone(outcome: &str) -> Tone {
    match outcome {
        "pending" => Tone::Busy,
        "failed" => Tone::Bad,
        "held" | "quarantined" => Tone::Warning,
        _ => Tone::Good,
    }
}
