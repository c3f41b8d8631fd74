//! The first screen: one sentence, the folders with their progress, the accounts with their budget, and the last 24 hours.

use std::collections::HashMap;
use std::time::Duration;

use axum::response::Response;
use maud::{Markup, html};

use super::accounts::{budget, standing};
use super::guard::Posted;
use super::live::{self, Look};
use super::page::{Asked, Tone, at, cell, name, prose, row, state, table};
use super::{App, Inner};
use crate::command::Command;
use crate::daemon::history::{HOUR_MS, HOURS};
use crate::report::{FolderState, FolderStatus, ReportError, Status};
use crate::shown::{count, harmless, size, span};
use crate::tree::Wall;

/// Transfers shown for one folder.
const TRANSFERS_SHOWN: usize = 3;
/// What is wrong with the agent itself, by name; the rest of what a status names is told below.
const TROUBLE: [&str; 3] = ["store", "config", "accounts"];

/// The page.
pub async fn page(asked: Asked) -> Response {
    let made = asked.clone();
    let body = asked.app.web.report(move |web| {
        let status = web.status()?;
        let (tone, words) = sentence(&status);
        Ok(html! {
            h1 { "Overview" }
            p class="sentence" id="sentence" role="status" { (state(tone, words)) }
            div id="live" data-live="/live/overview" { (part(web, &status, &made)?) }
        })
    });
    asked.page_of("Overview", "/", body.await)
}

/// What changes by itself.
pub async fn live(asked: Asked) -> Response {
    live::stream(asked, |asked| {
        let web = &asked.app.web;
        let status = web.status()?;
        let (tone, words) = sentence(&status);
        let html = part(web, &status, asked)?;
        Ok(Look { sentence: state(tone, words).0, html: html.0 })
    })
}

/// The state of everything in a sentence.
fn sentence(status: &Status) -> (Tone, String) {
    let sign_in = |account: &&crate::report::AccountStatus| {
        account.degraded.as_ref().is_some_and(|degraded| degraded.name == "sign_in_needed")
    };
    let needs_sign_in = status.accounts.iter().find(sign_in);
    let halted = status.folders.iter().filter(|folder| folder.state == FolderState::Halted).count() as u64;
    if let Some(degraded) = status.degraded.iter().find(|degraded| TROUBLE.contains(&degraded.name.as_str())) {
        (Tone::Bad, format!("The agent is in trouble: {}", harmless(&degraded.cause)))
    } else if let Some(account) = needs_sign_in {
        (Tone::Bad, format!("Account {} needs a sign-in", harmless(&account.name)))
    } else if status.held > 0 {
        let wait = if status.held == 1 { "waits" } else { "wait" };
        (Tone::Warning, format!("{} {wait} for your decision", count(status.held, "hold")))
    } else if halted > 0 {
        (Tone::Bad, format!("{} cannot go on", count(halted, "folder")))
    } else if status.folders.is_empty() {
        (Tone::Busy, "Nothing is configured yet".into())
    } else if status.in_sync {
        (Tone::Good, "Everything is in sync".into())
    } else if status.folders.iter().all(|folder| matches!(folder.state, FolderState::InSync | FolderState::Problems))
        && status.problems > 0
    {
        let have = if status.problems == 1 { "has a problem" } else { "have problems" };
        (Tone::Warning, format!("In sync, but {} {have}", count(status.problems, "item")))
    } else {
        let pending: u64 = status.folders.iter().map(|folder| folder.pending).sum();
        (
            Tone::Busy,
            if pending > 0 {
                format!("Not in sync yet: {} to do", count(pending, "item"))
            } else {
                "Not in sync yet".into()
            },
        )
    }
}

fn part(web: &Inner, status: &Status, asked: &Asked) -> Result<Markup, ReportError> {
    let hours = hours(web, asked.now)?;
    Ok(html! {
        @for degraded in &status.degraded {
            section class="card bad" {
                p { (state(Tone::Bad, degraded.name.replace('_', " "))) ": " (prose(&degraded.cause)) }
                p class="next" { "→ " (prose(&degraded.next_step)) }
            }
        }
        (waiting(status))
        section aria-labelledby="folders" {
            h2 id="folders" { "Folders" }
            @if status.folders.is_empty() {
                p { "There is none yet. On the machine of the agent:" }
                pre { code { "agent add-folder REMOTE LOCAL" } }
            } @else {
                (table("Folders", &["Folder", "State", "Content", "To do", "Actions"], html! {
                    @for folder in &status.folders { (folder_row(folder, asked)) }
                }))
                p class="actions" { (asked.button("/sync", "Ask the cloud now", &[("back", "/")])) }
            }
        }
        section aria-labelledby="accounts" {
            h2 id="accounts" { "Accounts" }
            div class="cards" {
                @for account in &status.accounts {
                    div class="card" {
                        h3 { (name(&account.name)) " at " (account.provider) }
                        (standing(account))
                        (budget(account, asked))
                    }
                }
            }
        }
        section aria-labelledby="day" {
            h2 id="day" { "The last 24 hours" }
            div class="cards" {
                (chart("Events", "events", &hours, |hour| hour.events, |sum| count(sum, "event")))
                (chart("Bytes", "bytes", &hours, |hour| hour.bytes, size))
                (chart("Requests", "requests", &hours, |hour| hour.requests, |sum| count(sum, "request")))
            }
            details {
                summary { "The same as a table" }
                (table("The last 24 hours", &["Hour", "Events", "Bytes", "Requests"], html! {
                    @for hour in hours.iter().rev() {
                        (row(html! {
                            (cell("Hour", super::page::moment(hour.began)))
                            (cell("Events", hour.events))
                            (cell("Bytes", size(hour.bytes)))
                            (cell("Requests", hour.requests))
                        }))
                    }
                }))
            }
            p class="small" { "Bytes and requests are those of this run of the agent." }
        }
    })
}

/// What waits for a person.
fn waiting(status: &Status) -> Markup {
    let quarantined: u64 = status.folders.iter().map(|folder| folder.quarantined).sum();
    html! {
        @if status.held + status.problems + quarantined > 0 {
            ul class="waiting" {
                @if status.held > 0 { li { a href="/decide" { (count(status.held, "hold")) " to decide" } } }
                @if quarantined > 0 { li { a href="/quarantine" { (quarantined) " in quarantine" } } }
                @for folder in status.folders.iter().filter(|folder| folder.problems > folder.quarantined) {
                    li {
                        a href=(at("/folder/problems", &[("name", &folder.name)])) {
                            (count(folder.problems - folder.quarantined, "problem")) " in " (name(&folder.name))
                        }
                    }
                }
            }
        }
    }
}

/// The tone and the words of a folder's state.
pub fn folder_state(folder: &FolderStatus) -> Markup {
    let tone = match folder.state {
        FolderState::InSync => Tone::Good,
        FolderState::Starting | FolderState::Listing | FolderState::Syncing | FolderState::Verifying => Tone::Busy,
        FolderState::Unverified
        | FolderState::Paused
        | FolderState::Held
        | FolderState::Unwatched
        | FolderState::Problems => Tone::Warning,
        FolderState::Halted => Tone::Bad,
    };
    let words = match folder.state {
        FolderState::Syncing if folder.files == 0 => "first sync",
        state => state.words(),
    };
    state(tone, words)
}

fn folder_row(folder: &FolderStatus, asked: &Asked) -> Markup {
    let paused = folder.state == FolderState::Paused;
    let fields = [("folder", folder.name.as_str()), ("back", "/")];
    row(html! {
        (cell("Folder", html! {
            a href=(at("/folder", &[("name", &folder.name)])) { (name(&folder.name)) }
            br; span class="small" { (name(&folder.remote)) }
        }))
        (cell("State", html! {
            (folder_state(folder))
            @if let Some(degraded) = &folder.degraded {
                p class="small" { (prose(&degraded.cause)) br; "→ " (prose(&degraded.next_step)) }
            }
        }))
        (cell("Content", html! { (count(folder.files, "file")) br; (size(folder.bytes)) }))
        (cell("To do", progress(folder)))
        (cell("Actions", html! {
            @if asked.may_change() {
                @if paused { (asked.button("/resume", "Go on", &fields)) } @else { (asked.button("/pause", "Pause", &fields)) }
            } @else { "none" }
        }))
    })
}

/// What is left to do, how fast it goes, and what is under way.
pub fn progress(folder: &FolderStatus) -> Markup {
    let under_way: u64 = folder.transfers.iter().map(|transfer| transfer.done).sum();
    let done = folder.bytes + under_way;
    let all = folder.bytes + folder.pending_bytes.max(under_way);
    html! {
        @if folder.pending == 0 { "nothing" } @else {
            (count(folder.pending, "item"))
            @if folder.pending_bytes > 0 { ", " (size(folder.pending_bytes)) }
        }
        @if folder.pending_bytes > 0 {
            br; progress max=(all) value=(done) aria-label={ "Progress of folder " (folder.name) } { (size(done)) " of " (size(all)) }
        }
        @let pace = folder.progress;
        // A mean of the last seconds outlives what it was of.
        @let moves = !folder.transfers.is_empty() || folder.state == FolderState::Syncing || folder.state == FolderState::Listing;
        @if moves && (pace.down.is_some() || pace.up.is_some()) {
            @let parts = [
                pace.down.map(|down| format!("{}/s from the cloud", size(down))),
                pace.up.map(|up| format!("{}/s to the cloud", size(up))),
                pace.seconds_left.map(|left| format!("about {} left", span(Duration::from_secs(left)))),
            ];
            p class="small" { (parts.into_iter().flatten().collect::<Vec<_>>().join(", ")) }
        }
        @for transfer in folder.transfers.iter().take(TRANSFERS_SHOWN) {
            p class="small" {
                (name(&transfer.path)) " " (size(transfer.done))
                @if let Some(total) = transfer.total { " of " (size(total)) }
            }
        }
        @if folder.transfers.len() > TRANSFERS_SHOWN {
            p class="small" { "and " (folder.transfers.len() - TRANSFERS_SHOWN) " more" }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Hour {
    began: Wall,
    events: u64,
    bytes: u64,
    requests: u64,
}

fn hours(web: &Inner, now: Wall) -> Result<Vec<Hour>, ReportError> {
    let newest = now.0.div_euclid(HOUR_MS);
    let oldest = newest - HOURS + 1;
    let events: HashMap<i64, u64> =
        web.read(|rows| rows.events_by_hour(Wall(oldest * HOUR_MS), HOUR_MS))?.into_iter().collect();
    let cost = web.history.hours();
    let hour = |number: i64| {
        let cost = cost.get(&number).copied().unwrap_or_default();
        let events = events.get(&number).copied().unwrap_or(0);
        Hour { began: Wall(number * HOUR_MS), events, bytes: cost.bytes, requests: cost.requests }
    };
    Ok((oldest..=newest).map(hour).collect())
}

/// Bars of one kind, with their sum in words.
fn chart(
    title: &str,
    class: &str,
    hours: &[Hour],
    value: impl Fn(&Hour) -> u64,
    words: impl Fn(u64) -> String,
) -> Markup {
    let values: Vec<u64> = hours.iter().map(value).collect();
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let sum: u64 = values.iter().sum();
    let summary = format!("{}, {} at most in an hour", words(sum), words(values.iter().copied().max().unwrap_or(0)));
    html! {
        figure class="card chart" {
            figcaption { (words(sum)) }
            svg viewBox="0 0 240 60" role="img" aria-label={ (title) " by the hour: " (summary) } class=(class) preserveAspectRatio="none" {
                line x1="0" y1="59.5" x2="240" y2="59.5" class="base" {}
                @for (index, value) in values.iter().enumerate() {
                    @let height = (*value as f64 / most as f64 * 56.0).max(if *value > 0 { 2.0 } else { 0.0 });
                    @if *value > 0 {
                        rect x=(index * 10 + 1) y=(format!("{:.1}", 59.0 - height)) width="8" height=(format!("{height:.1}")) {}
                    }
                }
            }
        }
    }
}

fn back(posted: &Posted) -> String {
    match posted.field("back") {
        "folder" => at("/folder", &[("name", posted.field("folder"))]),
        _ => "/".to_owned(),
    }
}

async fn commanded(app: &App, posted: &Posted, command: Command) -> Response {
    let (good, text) = app.web.command(command).await;
    posted.then(app, &back(posted), good, text)
}

/// Asks the cloud for news now, or compares everything.
pub async fn sync(axum::extract::State(app): axum::extract::State<App>, posted: Posted) -> Response {
    let command = Command::Sync { folder: posted.filled("folder"), full: posted.field("full") == "yes" };
    commanded(&app, &posted, command).await
}

/// Stops new work of a folder.
pub async fn pause(axum::extract::State(app): axum::extract::State<App>, posted: Posted) -> Response {
    commanded(&app, &posted, Command::Pause { folder: posted.filled("folder") }).await
}

/// Goes on.
pub async fn resume(axum::extract::State(app): axum::extract::State<App>, posted: Posted) -> Response {
    commanded(&app, &posted, Command::Resume { folder: posted.filled("folder") }).await
}
