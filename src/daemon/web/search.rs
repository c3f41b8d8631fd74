//! The search in a folder: what has a text in its name, wherever it lies.

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::folder::{entry_state, find};
use super::page::{Asked, ROWS, at, cell, name, row, table};
use crate::shown::harmless;

/// What is searched for.
#[derive(Debug, Clone, Deserialize)]
pub struct Wanted {
    /// The folder.
    name: String,
    /// A part of a name.
    #[serde(default)]
    text: String,
}

/// The form.
pub fn form(folder: &str, text: &str) -> Markup {
    html! {
        form method="get" action="/folder/search" class="filters" role="search" aria-label="Search in the folder" {
            input type="hidden" name="name" value=(folder);
            div { label for="text" { "Name holds" } input id="text" name="text" value=(text) required; }
            button { "Search" }
        }
    }
}

/// The page.
pub async fn page(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    let title = format!("Search in {}", harmless(&wanted.name));
    let body = asked.app.web.report(move |web| {
        let folder = find(web, &wanted.name)?;
        let text = wanted.text.trim();
        let found = match text {
            "" => Vec::new(),
            text => web.read(|rows| rows.named(folder.folder, text, ROWS))?,
        };
        let about = |node: i64| at("/item", &[("folder", &wanted.name), ("node", &node.to_string())]);
        Ok(html! {
            h1 { "Search in " (name(&wanted.name)) }
            p { a href=(at("/folder", &[("name", &wanted.name)])) { "Back to the folder" } }
            (form(&wanted.name, text))
            @if found.is_empty() { p { "Nothing has that in its name." } } @else {
                (table("Found", &["Path", "State"], html! {
                    @for (entry, path) in &found {
                        (row(html! {
                            (cell("Path", html! { a href=(about(entry.node.0)) { (name(path)) @if entry.is_folder { "/" } } }))
                            (cell("State", entry_state(&entry.state)))
                        }))
                    }
                }))
                @if found.len() == ROWS as usize { p { "There may be more: a longer text finds less." } }
            }
        })
    });
    asked.page_of(&title, "/", body.await)
}
