//! The screen of quarantine: what hooks rejected and why, and what a person decides about it.

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::App;
use super::folder::page_number;
use super::guard::Posted;
use super::page::{Asked, ROWS, Tone, at, cell, name, pager, prose, row, state, table, when};
use crate::command::Command;
use crate::report::QuarantineReport;
use crate::shown::{harmless, size};

/// Which part of the list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    all: String,
    page: Option<u64>,
}

/// The page.
pub async fn page(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    let made = asked.clone();
    let body = asked.app.web.report(move |web| {
        let all = wanted.all == "yes";
        let mut rows = web.read(|rows| rows.quarantine(None, all))?;
        rows.reverse();
        let (page, skip) = page_number(wanted.page);
        let total = rows.len() as u64;
        Ok(html! {
            h1 { "Quarantine" }
            p { "Versions that a hook rejected. Nothing else can read them, and they are not fetched again." }
            p {
                @if all { a href="/quarantine" { "Show only what waits" } }
                @else { a href=(at("/quarantine", &[("all", "yes")])) { "Show also what was decided" } }
            }
            @if rows.is_empty() { p { (state(Tone::Good, "nothing is in quarantine")) } } @else {
                (table("Quarantine", &["What", "Why", "Since", "Decide"], html! {
                    @for rejected in rows.iter().skip(skip as usize).take(ROWS as usize) { (one(rejected, &made)) }
                }))
                (pager("/quarantine", &[("all", &wanted.all)], page, total))
            }
        })
    });
    asked.page_of("Quarantine", "/quarantine", body.await)
}

fn one(rejected: &QuarantineReport, asked: &Asked) -> Markup {
    let number = rejected.id.to_string();
    let fields = [("number", number.as_str())];
    let reason = format!("reason-{number}");
    row(html! {
        (cell("What", html! {
            (name(&rejected.path)) br;
            span class="small" { "number " (number) " in " (name(&rejected.folder)) ", " (size(rejected.size)) }
            details { summary { "SHA-256 and version" } code class="long" { (rejected.sha256) } br; (name(&rejected.version)) }
        }))
        (cell("Why", html! { (prose(&rejected.reason)) br; span class="small" { "hook " (name(&rejected.hook)) ": " (rejected.verdict) } }))
        (cell("Since", html! {
            (when(rejected.at, asked.now))
            @if let Some(expires) = rejected.expires { br; span class="small" { "goes by itself " (when(expires, asked.now)) } }
        }))
        (cell("Decide", html! {
            @if rejected.state == "held" {
                (asked.confirmed("/quarantine/release", "Release",
                    "It is published all the same, as if the hook had allowed it. Your reason is written down.",
                    &fields, html! {
                        label for=(reason) { "Reason" }
                        input id=(reason) name="reason" required;
                    }))
                (asked.button("/quarantine/rescan", "Examine again", &fields))
                (asked.confirmed("/quarantine/delete", "Delete", "It is deleted here, and this version is not fetched again.", &fields, html! {}))
                @if !asked.may_change() { "waits" }
            } @else {
                (rejected.state)
                @if let Some(at) = rejected.decided { " " (when(at, asked.now)) }
                @if let Some(why) = &rejected.why { br; span class="small" { (harmless(why)) } }
            }
        }))
    })
}

async fn decided(app: &App, posted: &Posted, command: Command) -> Response {
    let (good, text) = app.web.command(command).await;
    posted.then(app, "/quarantine", good, text)
}

/// Publishes it all the same.
pub async fn release(State(app): State<App>, posted: Posted) -> Response {
    let Some(reason) = posted.filled("reason") else {
        return posted.then(&app, "/quarantine", false, "A release needs a reason.");
    };
    let number = posted.number("number").unwrap_or_default();
    decided(&app, &posted, Command::ReleaseQuarantined { number, reason }).await
}

/// Deletes it.
pub async fn delete(State(app): State<App>, posted: Posted) -> Response {
    let number = posted.number("number").unwrap_or_default();
    decided(&app, &posted, Command::DeleteQuarantined { number }).await
}

/// Has it examined again.
pub async fn rescan(State(app): State<App>, posted: Posted) -> Response {
    let number = posted.number("number").unwrap_or_default();
    decided(&app, &posted, Command::RescanQuarantined { number }).await
}
