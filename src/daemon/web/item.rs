//! The screen of one item: everything that is known of it, and its versions, which can be taken back.

use std::fs::File;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::events::event_table;
use super::folder::find;
use super::guard::Posted;
use super::page::{Asked, at, cell, moment, name, prose, row, table};
use super::{App, Inner};
use crate::command::Command;
use crate::config::Config;
use crate::deed::KeptAt;
use crate::hook::select::Happening;
use crate::hook::{HookKind, Selector, When};
use crate::id::{JobId, NodeId, VersionId};
use crate::local::hash;
use crate::local::recall::{self, Dress, Target};
use crate::path::{Name, RelPath};
use crate::report::{ReportError, VersionRow, Versions, Why};
use crate::settings::{FolderSettings, Mode};
use crate::shown::{harmless, size};

/// Which item.
#[derive(Debug, Clone, Deserialize)]
pub struct Wanted {
    /// The folder.
    folder: String,
    /// Its row.
    node: i64,
    /// A content of the version store.
    kept: Option<i64>,
}

/// The address of the directory that holds an item.
fn directory(web: &Inner, wanted: &Wanted) -> Result<String, ReportError> {
    let way = web.read(|rows| rows.way_to(NodeId(wanted.node)))?;
    let above = way.iter().rev().nth(1).map(|(node, _)| node.0.to_string()).unwrap_or_default();
    Ok(at("/folder", &[("name", &wanted.folder), ("at", &above)]))
}

/// The local path of an item, where it is or where it would be.
fn local_path(web: &Inner, wanted: &Wanted) -> Result<PathBuf, ReportError> {
    let folder = find(web, &wanted.folder)?;
    let way = web.read(|rows| rows.way_to(NodeId(wanted.node)))?;
    let root = web.read(|rows| rows.root_of(folder.folder))?;
    let gone = || ReportError::NotFound("this item is not in the folder any more".into());
    if way.first().map(|(top, _)| *top) != root {
        return Err(gone());
    }
    let mut path = folder.local.clone();
    for (_, step) in way.iter().skip(1) {
        // A name that is no step of a path cannot lead out of the folder.
        path.push(Name::new(step.as_bytes()).map_err(|_| gone())?.as_os_str());
    }
    Ok(path)
}

/// The page.
pub async fn page(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    let made = asked.clone();
    let body = asked.app.web.report(move |web| {
        let path = local_path(web, &wanted)?;
        let path = path.to_string_lossy();
        let why = web.reports.why(&path)?;
        // A directory has no versions.
        let versions = web.reports.versions(&path).ok();
        Ok(html! {
            h1 { (name(Path::new(&*path).file_name().map(|name| name.to_string_lossy()).unwrap_or_default().as_ref())) }
            p { a href=(directory(web, &wanted)?) { "Back to its directory" } }
            (known(&why))
            @if let Some(versions) = &versions { (version_list(versions, &wanted, &made)) }
            section aria-labelledby="events" {
                h2 id="events" { "What happened" }
                @if why.events.is_empty() { p { "No event of the cloud told of it." } } @else { (event_table("Events", &why.events, made.now)) }
            }
            @if !why.hooks.is_empty() {
                section aria-labelledby="hooks" {
                    h2 id="hooks" { "What hooks said" }
                    ul { @for said in &why.hooks { li { (prose(said)) } } }
                }
            }
        })
    });
    asked.page_of("Item", "/", body.await)
}

fn known(why: &Why) -> Markup {
    let sentence = |text: &Option<String>, none: &str| {
        html! {
            @match text { Some(text) => (prose(text)), None => (none) }
        }
    };
    html! {
        dl {
            dt { "Path" } dd { (name(&why.path)) }
            dt { "What happens next" } dd { (prose(&why.plan)) }
            @if let Some(problem) = &why.problem {
                dt { "Problem" } dd { (prose(&problem.text)) p class="next" { "→ " (prose(&problem.next_step)) } }
            }
            dt { "In the cloud" } dd { (sentence(&why.remote, "not there")) }
            dt { "On disk, as both agreed" } dd { (sentence(&why.synced, "not there")) }
            @if let Some(mapped) = &why.mapped { dt { "Its name" } dd { (prose(mapped)) } }
            @if let Some(pattern) = &why.excluded_by { dt { "Kept out by" } dd { code { (harmless(pattern)) } } }
        }
    }
}

fn version_list(versions: &Versions, wanted: &Wanted, asked: &Asked) -> Markup {
    let node = wanted.node.to_string();
    let fields = [("folder", wanted.folder.as_str()), ("node", node.as_str())];
    html! {
        section aria-labelledby="versions" {
            h2 id="versions" { "Versions" }
            @if let Some(away) = &versions.away {
                p { "It is kept off the disk: " (prose(away)) "." }
                (asked.button("/item/restore", "Fetch it again", &fields))
            }
            @if versions.rows.is_empty() { p { "None is known." } } @else {
                (table("Versions", &["Version", "What it is", "Size", "Written", "Take it back"], html! {
                    @for version in &versions.rows { (version_row(version, wanted, asked)) }
                }))
            }
        }
    }
}

fn version_row(version: &VersionRow, wanted: &Wanted, asked: &Asked) -> Markup {
    let node = wanted.node.to_string();
    let kept = version.kept.map(|job| job.0.to_string());
    row(html! {
        (cell("Version", name(&version.id)))
        (cell("What it is", html! { (version.state) @if version.on_disk { ", on disk" } }))
        (cell("Size", html! { @match version.size { Some(bytes) => (size(bytes)), None => "not known" } }))
        (cell("Written", html! { @match version.modified.or(version.since) { Some(at) => (moment(at)), None => "not known" } }))
        (cell("Take it back", html! {
            @match (&kept, asked.may_change()) {
                (Some(kept), true) => {
                    a href=(at("/item/kept", &[("folder", &wanted.folder), ("node", &node), ("kept", kept)])) { "Save a copy" }
                    (asked.confirmed(
                        "/item/restore", "Put it back",
                        "What is at the path now goes to the version store first.",
                        &[("folder", &wanted.folder), ("node", &node), ("kept", kept)], html! {},
                    ))
                }
                (Some(_), false) => "kept here",
                (None, _) if version.state == "present" => "it is the present one",
                (None, _) => { "only the cloud may have it: " code { "agent restore --version " (harmless(&version.id)) } }
            }
        }))
    })
}

/// Brings a version back: to its place where the folder's mode allows it.
pub async fn restore(State(app): State<App>, posted: Posted) -> Response {
    let wanted = Wanted {
        folder: posted.field("folder").to_owned(),
        node: posted.number("node").unwrap_or_default(),
        kept: posted.number("kept"),
    };
    let back = at("/item", &[("folder", &wanted.folder), ("node", &wanted.node.to_string())]);
    let found = {
        let wanted = wanted.clone();
        app.web.report(move |web| Ok(local_path(web, &wanted)?.to_string_lossy().into_owned())).await
    };
    let path = match found {
        Ok(path) => path,
        Err(why) => return posted.then(&app, "/", false, why.to_string()),
    };
    let Some(kept) = wanted.kept else {
        let (good, text) = app.web.command(Command::Restore { path }).await;
        return posted.then(&app, &back, good, text);
    };
    let put = app.web.report(move |web| Ok(put_back(web, &path, JobId(kept)))).await;
    match put {
        Ok(Ok(text)) => posted.then(&app, &back, true, text),
        Ok(Err(text)) => posted.then(&app, &back, false, text),
        Err(why) => posted.then(&app, &back, false, why.to_string()),
    }
}

/// A version of this very path, and never one of another.
fn version(web: &Inner, path: &str, kept: JobId) -> Result<(Versions, KeptAt), String> {
    let versions = web.reports.versions(path).map_err(|why| why.to_string())?;
    let at = versions.rows.iter().find(|row| row.kept == Some(kept)).and_then(VersionRow::kept_at);
    match at {
        Some(at) => Ok((versions, at)),
        None => Err("This version was given up meanwhile.".into()),
    }
}

fn put_back(web: &Inner, path: &str, kept: JobId) -> Result<String, String> {
    let (versions, at) = version(web, path, kept)?;
    let config = Config::load(&web.places).map_err(|why| why.to_string())?;
    let folder = config.folder(&versions.folder).ok_or("The configuration has no such folder any more.")?;
    let target = match folder.mode {
        Mode::Mirror if versions.in_cloud => {
            return Err("In a mirror the cloud decides what is there: save a copy, or bring the older version back in the cloud.".into());
        }
        Mode::Mirror => Target::Free,
        Mode::TwoWay | Mode::Upload => versions.stamp.map_or(Target::Free, Target::This),
    };
    let root = PathBuf::from(&versions.local);
    let below = Path::new(path).strip_prefix(&root).map_err(|why| why.to_string())?;
    let names: Result<Vec<Name>, _> = below.iter().map(|step| Name::new(step.as_encoded_bytes())).collect();
    let below = RelPath::from_names(names.map_err(|why| why.to_string())?);
    let content = recall::open_kept(&root, &at).map_err(|why| format!("The version cannot be read: {why}"))?;
    may_be_put_back(web, &config, folder, &versions, kept, &content, &below)?;
    recall::put(&content, &root, &below, target, Dress::Folder(folder.file_mode))
        .map(|length| format!("Put back, {}.", size(length)))
        .map_err(|why| format!("Nothing was written: {why}."))
}

/// Putting a content back is a way into the folder: what was rejected stays out, and what hooks decide about goes by the command that asks
/// them.
fn may_be_put_back(
    web: &Inner,
    config: &Config,
    folder: &FolderSettings,
    versions: &Versions,
    kept: JobId,
    content: &File,
    below: &RelPath,
) -> Result<(), String> {
    let row = versions.rows.iter().find(|row| row.kept == Some(kept)).ok_or("This version was given up meanwhile.")?;
    let known = find(web, &versions.folder).map_err(|why| why.to_string())?;
    let digest = hash::digest(content, None).map_err(|why| format!("The version cannot be read: {why}"))?;
    let version = row.version.as_ref().map_or("", VersionId::as_str);
    let rejected = web.read(|rows| rows.rejection(known.folder, &row.item, version, digest.sha256));
    if let Some((hook, reason)) = rejected.map_err(|why| why.to_string())? {
        return Err(format!("Hook `{hook}` rejected this content: {reason}."));
    }
    let place = below.to_string();
    let what = Happening {
        kind: HookKind::FileDownload,
        account: &folder.account,
        folder: Some(&folder.name),
        path: Some(&place),
        is_dir: false,
    };
    if Selector::new(config.hooks.clone()).choose(When::Before, what).next().is_some() {
        return Err("A hook decides about this file: `agent restore` has it examined first.".into());
    }
    Ok(())
}

/// A content of the version store, to be saved. The browser is never to show it: anybody may have written it.
pub async fn kept(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    if !asked.may_change() {
        return (StatusCode::FORBIDDEN, "Only root and the agent's own user may read what files held.").into_response();
    }
    let opened = asked.app.web.report(move |web| {
        let path = local_path(web, &wanted)?;
        let shown = path.to_string_lossy();
        let kept = JobId(wanted.kept.unwrap_or_default());
        let (versions, at) = version(web, &shown, kept).map_err(ReportError::NotFound)?;
        let file = recall::open_kept(Path::new(&versions.local), &at)
            .map_err(|why| ReportError::NotFound(format!("the version cannot be read: {why}")))?;
        let length = file.metadata().map_err(|why| ReportError::Failed(why.to_string()))?.len();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok((file, length, name))
    });
    match opened.await {
        Ok((file, length, name)) => {
            let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
            let headers = [
                (CONTENT_TYPE, "application/octet-stream".to_owned()),
                (CONTENT_LENGTH, length.to_string()),
                (CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{name}")),
            ];
            let content = ReaderStream::new(tokio::fs::File::from_std(file));
            (headers, Body::from_stream(content)).into_response()
        }
        Err(why) => asked.page_of("Item", "/", Err(why)),
    }
}
