//! The screen of decisions: what is held, with its list, and conflicts side by side.

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::folder::page_number;
use super::guard::Posted;
use super::page::{Asked, ROWS, Tone, at, cell, moment, name, pager, prose, row, state, table, when};
use super::{App, Inner};
use crate::command::{Command, Keep};
use crate::id::{HoldId, NodeId};
use crate::report::{CHANGED_AFTER_DECISION, HoldRow, ReportError};
use crate::shown::{count, listed, size};
use crate::store::conflicts::ConflictRow;
use crate::store::items::ItemRow;

/// Which part of a list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    id: i64,
    page: Option<u64>,
}

/// The page.
pub async fn page(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    let made = asked.clone();
    let body = asked.app.web.report(move |web| {
        let holds = web.reports.held()?;
        Ok(html! {
            h1 { "Decide" }
            section aria-labelledby="held" {
                h2 id="held" { "Held" }
                @if holds.is_empty() { p { (state(Tone::Good, "nothing is held")) } }
                @for hold in &holds { (one_hold(hold, &made)) }
            }
            (conflicts(web, &wanted, &made)?)
        })
    });
    asked.page_of("Decide", "/decide", body.await)
}

fn one_hold(hold: &HoldRow, asked: &Asked) -> Markup {
    let id = hold.id.0.to_string();
    html! {
        article class="card" aria-labelledby={ "hold-" (id) } {
            h3 id={ "hold-" (id) } { "Hold " (id) " in " (name(&hold.folder)) }
            p { (state(Tone::Warning, hold.reason.replace('_', " "))) ", " (when(hold.since, asked.now)) }
            p { (prose(&hold.text)) }
            @if hold.lines > 0 {
                ul class="paths" {
                    @for path in hold.examples.iter().take(5) { li { (held(path, hold.files_in(path))) } }
                }
                p { a href=(at("/decide/hold", &[("id", &id)])) { "The whole list: " (listed(hold.items, hold.lines)) } }
            }
            (decision(&id, asked))
        }
    }
}

/// A line of the list: a file, or a directory with the number of files in it.
fn held(path: &str, files: Option<u64>) -> Markup {
    html! { (name(path)) @if let Some(files) = files { " (" (count(files, "file")) ")" } }
}

fn decision(id: &str, asked: &Asked) -> Markup {
    html! {
        div class="actions" {
            (asked.confirmed("/decide/hold", "Approve", "What is listed happens now.", &[("id", id), ("decision", "approve")], html! {}))
            (asked.confirmed("/decide/hold", "Reject", "What would have been deleted stays.", &[("id", id), ("decision", "reject")], html! {}))
        }
    }
}

/// The whole list of a hold.
pub async fn hold_page(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    let made = asked.clone();
    let body = asked.app.web.report(move |web| {
        let hold = web.reports.held()?.into_iter().find(|hold| hold.id.0 == wanted.id);
        let hold = hold.ok_or_else(|| ReportError::NotFound(format!("there is no hold {}", wanted.id)))?;
        let (page, skip) = page_number(wanted.page);
        let paths = web.read(|rows| rows.held_paths(HoldId(wanted.id), skip, ROWS))?;
        let id = wanted.id.to_string();
        Ok(html! {
            h1 { "Hold " (id) " in " (name(&hold.folder)) }
            p { (prose(&hold.text)) }
            p { (listed(hold.items, hold.lines)) }
            (decision(&id, &made))
            ol class="paths" start=(skip + 1) { @for (path, files) in &paths { li { (held(path, *files)) } } }
            (pager("/decide/hold", &[("id", &id)], page, hold.lines))
        })
    });
    asked.page_of("Hold", "/decide", body.await)
}

/// Approves or rejects.
pub async fn hold(State(app): State<App>, posted: Posted) -> Response {
    let Some(id) = posted.number("id") else { return posted.then(&app, "/decide", false, "There is no such hold.") };
    let hold = HoldId(id);
    let command = match posted.field("decision") {
        "approve" => Command::Approve { hold },
        "reject" => Command::Reject { hold },
        _ => return posted.then(&app, "/decide", false, "Approve or reject it."),
    };
    let (good, text) = app.web.command(command).await;
    posted.then(&app, "/decide", good, text)
}

fn conflicts(web: &Inner, wanted: &Wanted, asked: &Asked) -> Result<Markup, ReportError> {
    let folders = web.read(|rows| rows.folders())?;
    let mut all: Vec<(String, ConflictRow)> = Vec::new();
    for folder in folders {
        let name = folder.name.clone().unwrap_or_default();
        all.extend(web.read(|rows| rows.conflicts(Some(folder.folder)))?.into_iter().map(|row| (name.clone(), row)));
    }
    let (page, skip) = page_number(wanted.page);
    let total = all.len() as u64;
    let mut shown = Vec::new();
    for (folder, conflict) in all.into_iter().skip(skip as usize).take(ROWS as usize) {
        let item = |node: NodeId| web.read(|rows| rows.item(node));
        let (kept, copy) = (item(conflict.node)?, item(conflict.copy)?);
        shown.push(one_conflict(&folder, &conflict, kept.as_ref(), copy.as_ref(), asked));
    }
    Ok(html! {
        section aria-labelledby="conflicts" {
            h2 id="conflicts" { "Conflicts" }
            @if shown.is_empty() { p { (state(Tone::Good, "no conflicts")) } }
            @for conflict in shown { (conflict) }
            (pager("/decide", &[], page, total))
        }
    })
}

fn one_conflict(
    folder: &str,
    conflict: &ConflictRow,
    kept: Option<&ItemRow>,
    copy: Option<&ItemRow>,
    asked: &Asked,
) -> Markup {
    let id = format!("conflict-{}", conflict.conflict);
    let fields = |keep: &'static str| [("folder", folder), ("path", conflict.path.as_str()), ("keep", keep)];
    html! {
        article class="card" aria-labelledby=(id) {
            h3 id=(id) { (name(&conflict.path)) " in " (name(folder)) }
            p { "Both sides changed it, " (when(conflict.at, asked.now)) "." }
            @if conflict.reason == CHANGED_AFTER_DECISION {
                p { (state(Tone::Warning, "what was to go was changed after the decision: decide again")) }
            }
            (table("Side by side", &["", "The cloud's, under the name", "Yours, the conflict copy"], html! {
                (row(html! { (cell("", "Path")) (cell("Cloud's", name(&conflict.path))) (cell("Yours", name(&conflict.kept))) }))
                (row(html! { (cell("", "Size")) (cell("Cloud's", length(kept))) (cell("Yours", length(copy))) }))
                (row(html! { (cell("", "Written")) (cell("Cloud's", written(kept))) (cell("Yours", written(copy))) }))
            }))
            @match &conflict.decision {
                Some(decision) => p { "Decided: keep " (decision.keep.word()) ", as soon as the agent comes to it." },
                None => div class="actions" {
                    (asked.confirmed("/decide/conflict", "Keep the cloud's", "The copy goes to the version store and the cloud's trash.", &fields("remote"), html! {}))
                    (asked.confirmed("/decide/conflict", "Keep yours", "It becomes a new version under the name; the other stays in the version store.", &fields("local"), html! {}))
                    (asked.button("/decide/conflict", "Keep both", &fields("both")))
                },
            }
        }
    }
}

fn length(item: Option<&ItemRow>) -> Markup {
    let bytes = item.and_then(|item| {
        let content = item.remote.content.as_ref().and_then(|content| content.size);
        content.or(item.disk_stamp().map(|stamp| stamp.size))
    });
    html! { @match bytes { Some(bytes) => (size(bytes)), None => "not known" } }
}

fn written(item: Option<&ItemRow>) -> Markup {
    let at = item.and_then(|item| item.remote.content.as_ref()?.modified);
    html! { @match at { Some(at) => (moment(at)), None => "not known" } }
}

/// Decides a conflict.
pub async fn conflict(State(app): State<App>, posted: Posted) -> Response {
    let (Some(keep), Some(path)) = (Keep::parse(posted.field("keep")), posted.raw("path")) else {
        return posted.then(&app, "/decide", false, "Say which one to keep.");
    };
    let command = Command::Resolve { path: Some(path), folder: posted.filled("folder"), keep };
    let (good, text) = app.web.command(command).await;
    posted.then(&app, "/decide", good, text)
}
