//! What all pages have in common: the frame, links, moments, and answers that are no page.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::App;
use super::session::{Role, Said, Session};
use crate::report::ReportError;
use crate::shown;
use crate::tree::Wall;

/// Rows of a list on one page.
pub const ROWS: u32 = 100;

/// The screens, by address and name.
const SCREENS: [(&str, &str); 6] = [
    ("/", "Overview"),
    ("/events", "Events"),
    ("/callbacks", "Callbacks"),
    ("/quarantine", "Quarantine"),
    ("/decide", "Decide"),
    ("/accounts", "Accounts"),
];

/// Who asks, and of what.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The page's state.
    pub app: App,
    /// The session.
    pub session: Session,
    /// When.
    pub now: Wall,
}

impl Asked {
    /// Whether this session may change something.
    pub fn may_change(&self) -> bool {
        self.session.role == Role::Changes
    }

    /// The field that every form brings along.
    pub fn csrf(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.session.csrf); }
    }

    /// A form with one button.
    pub fn button(&self, action: &str, label: &str, fields: &[(&str, &str)]) -> Markup {
        html! {
            @if self.may_change() {
                form method="post" action=(action) class="inline" {
                    (self.csrf())
                    @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                    button { (label) }
                }
            }
        }
    }

    /// A button that opens what is to be considered first.
    pub fn confirmed(
        &self,
        action: &str,
        label: &str,
        warning: &str,
        fields: &[(&str, &str)],
        inside: Markup,
    ) -> Markup {
        html! {
            @if self.may_change() {
                details class="confirm" {
                    summary { (label) "…" }
                    form method="post" action=(action) {
                        (self.csrf())
                        @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                        p { (warning) }
                        (inside)
                        button class="strong" { (label) }
                    }
                }
            }
        }
    }

    /// A whole page.
    pub fn page(&self, title: &str, screen: &str, body: Markup) -> Response {
        let said = self.app.web.sessions.said(&self.session.key);
        Html(frame(title, Some((screen, self)), said.as_ref(), body).into_string()).into_response()
    }

    /// The page, or why there is none.
    pub fn page_of(&self, title: &str, screen: &str, body: Result<Markup, ReportError>) -> Response {
        match body {
            Ok(body) => self.page(title, screen, body),
            Err(ReportError::NotFound(why)) => self.missing(StatusCode::NOT_FOUND, screen, &why),
            Err(ReportError::Failed(why)) => self.missing(StatusCode::INTERNAL_SERVER_ERROR, screen, &why),
        }
    }

    fn missing(&self, status: StatusCode, screen: &str, why: &str) -> Response {
        let body = html! {
            h1 { @if status == StatusCode::NOT_FOUND { "Not found" } @else { "This did not work" } }
            p { (prose(why)) }
            p { a href="/" { "Back to the overview" } }
        };
        (status, self.page("Not found", screen, body)).into_response()
    }
}

impl FromRequestParts<App> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match parts.extensions.get::<Session>() {
            Some(session) => Ok(Self { app: app.clone(), session: session.clone(), now: crate::daemon::wall_now() }),
            None => Err(outside(app, false)),
        }
    }
}

fn frame(title: &str, inside: Option<(&str, &Asked)>, said: Option<&Said>, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Folder sync agent" }
                link rel="stylesheet" href="/assets/style.css";
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                script src="/assets/live.js" defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to the content" }
                header {
                    p class="brand" { img src="/assets/icon.svg" alt="" width="24" height="24"; " Folder sync agent" }
                    @if let Some((screen, asked)) = inside {
                        nav aria-label="Screens" {
                            ul {
                                @for (address, name) in SCREENS {
                                    li {
                                        @if address == screen { a href=(address) aria-current="page" { (name) } }
                                        @else { a href=(address) { (name) } }
                                    }
                                }
                            }
                        }
                        form method="post" action="/logout" class="inline" {
                            (asked.csrf())
                            button class="quiet" { "Sign out" }
                        }
                    }
                }
                main id="main" tabindex="-1" {
                    @if let Some(said) = said {
                        p class={ "said " @if said.good { "good" } @else { "bad" } } role="status" { (prose(&said.text)) }
                    }
                    (body)
                }
                footer {
                    p {
                        "Version " (env!("CARGO_PKG_VERSION"))
                        @if let Some((_, asked)) = inside {
                            " · you may " @if asked.may_change() { "look and change" } @else { "look" }
                        }
                        span id="live-note" {}
                    }
                }
            }
        }
    }
}

/// What somebody sees who has no session.
pub fn outside(app: &App, is_plain: bool) -> Response {
    if is_plain {
        return (StatusCode::UNAUTHORIZED, "No session.").into_response();
    }
    let body = html! {
        h1 { "Sign in with a link" }
        p { "Run this command on the machine of the agent, and open what it prints. The link works once, for five minutes." }
        pre { code { "agent web" } }
        p { "Whoever may use the agent's control socket may do so: its owner may change everything, its group may look." }
        @if app.password.is_some() { (password(None)) }
    };
    let page = frame("Sign in", None, None, body);
    (StatusCode::UNAUTHORIZED, Html(page.into_string())).into_response()
}

/// The form that asks for the password.
pub fn password(wrong: Option<&str>) -> Markup {
    html! {
        form method="post" action="/login" class="stack" {
            @if let Some(wrong) = wrong { p class="said bad" role="alert" { (wrong) } }
            label for="password" { "Or the password" }
            input type="password" id="password" name="password" autocomplete="current-password" required;
            button { "Sign in" }
        }
    }
}

/// A page without a session.
pub fn plain(status: StatusCode, title: &str, body: Markup) -> Response {
    (status, Html(frame(title, None, None, body).into_string())).into_response()
}

/// The page of a link that was followed. It goes on by itself: only then does the browser bring its new cookie along, wherever it came from.
pub fn entered(cookie: String) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content="0;url=/";
                title { "Sign in · Folder sync agent" }
                link rel="stylesheet" href="/assets/style.css";
            }
            body { main { p { a href="/" { "Go on to the overview" } } } }
        }
    };
    ([(axum::http::header::SET_COOKIE, cookie)], Html(page.into_string())).into_response()
}

/// A name from outside: it can neither change the page nor the order of what stands beside it.
pub fn name(text: &str) -> Markup {
    html! { bdi class="name" { (shown::harmless(text)) } }
}

/// A sentence of the agent's own: what stands between backticks is a command, a key or a name.
pub fn prose(text: &str) -> Markup {
    let text = shown::harmless(text);
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without its fellow is one that somebody gave a file.
    let whole = parts.len() % 2 == 1;
    html! {
        @if whole {
            @for (index, part) in parts.iter().enumerate() {
                @if index % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}

/// How long ago, or how soon, with the moment itself.
pub fn when(at: Wall, now: Wall) -> Markup {
    html! { time datetime=(iso(at)) title=(shown::moment(at)) { (shown::age(at, now)) } }
}

/// A moment to the second.
pub fn moment(at: Wall) -> Markup {
    html! { time datetime=(iso(at)) { (shown::moment(at)) } }
}

fn iso(at: Wall) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// An address with a query.
pub fn at(path: &str, query: &[(&str, &str)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        text.append_pair(key, value);
    }
    let text = text.finish();
    if text.is_empty() { path.to_owned() } else { format!("{path}?{text}") }
}

/// A cell of a table that becomes a card on narrow screens.
pub fn cell(label: &str, content: impl maud::Render) -> Markup {
    let content = content.render();
    html! {
        @if content.0.is_empty() { td role="cell" data-label=(label) {} }
        @else { td role="cell" data-label=(label) { div { (content) } } }
    }
}

/// A table that becomes cards on narrow screens, with a caption for those who do not see where it stands.
pub fn table(caption: &str, heads: &[&str], rows: Markup) -> Markup {
    html! {
        table role="table" {
            caption { (caption) }
            thead role="rowgroup" { tr role="row" { @for head in heads { th role="columnheader" scope="col" { (head) } } } }
            tbody role="rowgroup" { (rows) }
        }
    }
}

/// A row of it.
pub fn row(cells: Markup) -> Markup {
    html! { tr role="row" { (cells) } }
}

/// Links to the pages before and after, for lists that are counted.
pub fn pager(path: &str, query: &[(&str, &str)], page: u64, total: u64) -> Markup {
    let pages = total.div_ceil(u64::from(ROWS)).max(1);
    let to = |number: u64| {
        let number = number.to_string();
        let mut query = query.to_vec();
        query.push(("page", &number));
        at(path, &query)
    };
    html! {
        @if pages > 1 {
            nav class="pager" aria-label="Pages" {
                @if page > 1 { a href=(to(1)) { "First" } " " a href=(to(page - 1)) rel="prev" { "Before" } " " }
                span { "Page " (page) " of " (shown::count(pages, "page")) ", " (shown::count(total, "row")) }
                @if page < pages { " " a href=(to(page + 1)) rel="next" { "Next" } " " a href=(to(pages)) { "Last" } }
            }
        }
    }
}

/// A state's mark: a shape for those who see no colours, and words for everybody.
pub fn state(tone: Tone, words: impl maud::Render) -> Markup {
    let (class, mark) = match tone {
        Tone::Good => ("good", "✓"),
        Tone::Busy => ("busy", "…"),
        Tone::Warning => ("warning", "!"),
        Tone::Bad => ("bad", "✗"),
    };
    html! { span class={ "state " (class) } { span class="mark" aria-hidden="true" { (mark) } " " (words) } }
}

/// Tones of voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// It is being done.
    Busy,
    /// Look at this.
    Warning,
    /// This is wrong.
    Bad,
}

/// A bar of how much of something is done or left.
pub fn meter(label: &str, value: u64, of: u64) -> Markup {
    html! {
        meter min="0" max=(of.max(1)) value=(value) low=(of / 10) high=(of / 3) optimum=(of) aria-label=(label) { (value) " of " (of) }
    }
}
