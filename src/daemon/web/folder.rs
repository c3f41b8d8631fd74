//! The screen of one folder: its state, its tree with the state of each entry, and its problems.

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::guard::Posted;
use super::live::{self, Look};
use super::overview::{folder_state, progress};
use super::page::{Asked, ROWS, Tone, at, cell, name, pager, prose, row, state, table, when};
use super::{App, Inner};
use crate::command::Command;
use crate::id::NodeId;
use crate::report::{FolderStatus, ProblemRow, ReportError};
use crate::shown::{count, harmless, size};
use crate::store::browse::{Entry, EntryState};
use crate::store::folders::FolderRow;

/// What a page of a folder is asked for.
#[derive(Debug, Clone, Deserialize)]
pub struct Wanted {
    /// The folder.
    pub name: String,
    /// The directory in it; the root if nothing is said.
    pub at: Option<i64>,
    /// Which page, from 1.
    pub page: Option<u64>,
}

/// The page of a list, from 1, and how many rows come before it.
pub fn page_number(page: Option<u64>) -> (u64, u64) {
    let page = page.unwrap_or(1).clamp(1, u64::from(u32::MAX));
    (page, (page - 1) * u64::from(ROWS))
}

/// The row of a folder.
pub fn find(web: &Inner, folder: &str) -> Result<FolderRow, ReportError> {
    let rows = web.read(|rows| rows.folders())?;
    let found = rows.into_iter().find(|row| row.name.as_deref() == Some(folder));
    found.ok_or_else(|| ReportError::NotFound(format!("there is no folder named `{folder}`")))
}

fn status_of(web: &Inner, folder: &str) -> Result<FolderStatus, ReportError> {
    let status = web.status()?;
    let found = status.folders.iter().find(|status| status.name == folder).cloned();
    found.ok_or_else(|| ReportError::NotFound(format!("there is no folder named `{folder}`")))
}

/// The page.
pub async fn page(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    let (made, title) = (asked.clone(), wanted.name.clone());
    let body = asked.app.web.report(move |web| {
        let status = status_of(web, &wanted.name)?;
        let live = at("/live/folder", &[("name", &wanted.name)]);
        Ok(html! {
            h1 { "Folder " (name(&wanted.name)) }
            div id="live" data-live=(live) { (part(&status, &made)) }
            (actions(&status, &made))
            (tree(web, &wanted)?)
        })
    });
    asked.page_of(&format!("Folder {}", harmless(&title)), "/", body.await)
}

/// What changes by itself.
pub async fn live(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    live::stream(asked, move |asked| {
        let web = &asked.app.web;
        Ok(Look::of(&part(&status_of(web, &wanted.name)?, asked)))
    })
}

fn part(folder: &FolderStatus, asked: &Asked) -> Markup {
    let problems = at("/folder/problems", &[("name", &folder.name)]);
    html! {
        p class="sentence" { (folder_state(folder)) }
        @if let Some(degraded) = &folder.degraded {
            p { (prose(&degraded.cause)) }
            p class="next" { "→ " (prose(&degraded.next_step)) }
        }
        dl {
            dt { "In the cloud" } dd { (name(&folder.remote)) ", account " (name(&folder.account)) }
            dt { "On disk" } dd { (name(&folder.local)) }
            dt { "Mode" } dd { (folder.mode) }
            dt { "Content" } dd { (count(folder.files, "file")) ", " (count(folder.folders, "folder")) ", " (size(folder.bytes)) }
            dt { "To do" } dd { (progress(folder)) }
            @if let Some(words) = folder.left_out.words() { dt { "Never sent" } dd { (harmless(&words)) } }
            dt { "Problems" }
            dd { @if folder.problems == 0 { "none" } @else { a href=(problems) { (count(folder.problems, "problem")) } } }
            dt { "All of it seen since" }
            dd { @match folder.oldest_seen { Some(seen) => (when(seen, asked.now)), None => "never yet" } }
        }
    }
}

fn actions(folder: &FolderStatus, asked: &Asked) -> Markup {
    let fields = [("folder", folder.name.as_str()), ("back", "folder")];
    let full = [("folder", folder.name.as_str()), ("back", "folder"), ("full", "yes")];
    html! {
        div class="actions" {
            (asked.button("/sync", "Ask the cloud now", &fields))
            @if folder.state == crate::report::FolderState::Paused { (asked.button("/resume", "Go on", &fields)) }
            @else { (asked.button("/pause", "Pause", &fields)) }
            (asked.confirmed(
                "/sync", "Compare everything",
                "The whole folder is listed in the cloud and compared. That costs a call for each of its folders.",
                &full, html! {},
            ))
        }
    }
}

fn tree(web: &Inner, wanted: &Wanted) -> Result<Markup, ReportError> {
    let folder = find(web, &wanted.name)?;
    let Some(root) = web.read(|rows| rows.root_of(folder.folder))? else {
        return Ok(html! { p { "The folder was not found in the cloud yet." } });
    };
    let node = wanted.at.map_or(root, NodeId);
    let (page, skip) = page_number(wanted.page);
    let (way, entries, total) =
        web.read(|rows| Ok((rows.way_to(node)?, rows.entries(node, skip, ROWS)?, rows.entries_total(node)?)))?;
    if way.first().map(|(top, _)| *top) != Some(root) {
        return Err(ReportError::NotFound("this directory is not in the folder any more".into()));
    }
    let link = |node: NodeId| at("/folder", &[("name", &wanted.name), ("at", &node.0.to_string())]);
    let shown = node.0.to_string();
    let query = [("name", wanted.name.as_str()), ("at", if wanted.at.is_some() { shown.as_str() } else { "" })];
    Ok(html! {
        section aria-labelledby="tree" {
            h2 id="tree" { "What is in it" }
            (super::search::form(&wanted.name, ""))
            @if way.len() > 1 { nav aria-label="Where you are" class="way" {
                ol {
                    @for (index, (step, step_name)) in way.iter().enumerate() {
                        li {
                            @let label = if index == 0 { html! { "Top" } } else { name(step_name) };
                            @if *step == node { span aria-current="page" { (label) } } @else { a href=(link(*step)) { (label) } }
                        }
                    }
                }
            } }
            @if entries.is_empty() { p { "Nothing is in here." } } @else {
                (table("Entries", &["Name", "State", "Size", "Changed"], html! {
                    @for entry in &entries { (entry_row(entry, &wanted.name, &link(entry.node))) }
                }))
            }
            (pager("/folder", &query, page, total))
        }
    })
}

fn entry_row(entry: &Entry, folder: &str, inside: &str) -> Markup {
    let about = at("/item", &[("folder", folder), ("node", &entry.node.0.to_string())]);
    row(html! {
        (cell("Name", html! {
            @if entry.is_folder { a href=(inside) { (name(&entry.name)) "/" } " " a href=(about) class="small" { "why" } }
            @else { a href=(about) { (name(&entry.name)) } }
        }))
        (cell("State", entry_state(&entry.state)))
        (cell("Size", html! { @match entry.size { Some(bytes) => (size(bytes)), None => "" } }))
        (cell("Changed", html! { @match entry.modified { Some(at) => (super::page::moment(at)), None => "" } }))
    })
}

pub fn entry_state(of: &EntryState) -> Markup {
    match of {
        EntryState::InSync => state(Tone::Good, "in sync"),
        EntryState::Pending => state(Tone::Busy, "to do"),
        EntryState::Waits(why) => state(Tone::Busy, html! { "waits: " (prose(why)) }),
        EntryState::Held => state(Tone::Warning, html! { a href="/decide" { "waits for you" } }),
        EntryState::Problem(code, why) if code == "drift" => state(Tone::Warning, html! { "drift: " (prose(why)) }),
        EntryState::Problem(_, why) => state(Tone::Bad, prose(why)),
        EntryState::KeptOut => state(Tone::Busy, "kept out by a pattern"),
        EntryState::OnlyInCloud => state(Tone::Busy, "only in the cloud"),
        EntryState::OnlyOnDisk => state(Tone::Busy, "only on disk"),
    }
}

/// The page of a folder's problems, drift first.
pub async fn problems(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    let made = asked.clone();
    let body = asked.app.web.report(move |web| {
        let mut problems = web.reports.problems(Some(&wanted.name))?;
        problems.sort_by_key(|problem| problem.code != "drift");
        let (page, skip) = page_number(wanted.page);
        let total = problems.len() as u64;
        let shown = problems.iter().skip(skip as usize).take(ROWS as usize);
        Ok(html! {
            h1 { "Problems of " (name(&wanted.name)) }
            p { a href=(at("/folder", &[("name", &wanted.name)])) { "Back to the folder" } }
            @if problems.is_empty() { p { (state(Tone::Good, "no problems")) } } @else {
                p { "Everything else goes on. Each of these is tried again by itself." }
                (made.button("/folder/retry", "Try all of them now", &[("folder", &wanted.name)]))
                (table("Problems", &["Path", "Problem", "Since", "Next try"], html! {
                    @for problem in shown { (problem_row(problem, &made)) }
                }))
                (pager("/folder/problems", &[("name", &wanted.name)], page, total))
            }
        })
    });
    asked.page_of("Problems", "/", body.await)
}

fn problem_row(problem: &ProblemRow, asked: &Asked) -> Markup {
    row(html! {
        (cell("Path", name(&problem.path)))
        (cell("Problem", html! {
            @if problem.code == "drift" { strong { "Drift: " } }
            (prose(&problem.text)) br; span class="next small" { "→ " (prose(&problem.next_step)) }
        }))
        (cell("Since", html! { @match problem.since { Some(at) => (when(at, asked.now)), None => "not known" } }))
        (cell("Next try", html! {
            @match problem.next_try { Some(at) => (when(at, asked.now)), None => "not known" }
            br; span class="small" { (count(u64::from(problem.attempts), "attempt")) }
        }))
    })
}

/// Tries everything that failed again.
pub async fn retry(State(app): State<App>, posted: Posted) -> Response {
    let (good, text) = app.web.command(Command::RetryProblems { folder: posted.filled("folder") }).await;
    posted.then(&app, &at("/folder/problems", &[("name", posted.field("folder"))]), good, text)
}
