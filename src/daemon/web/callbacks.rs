//! The screen of callbacks: what is called for what, its history, and how it is made, changed, tried and taken away.
//!
//! Programs can be looked at and not changed here: what runs on this machine is decided on this machine.

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::guard::Posted;
use super::page::{Asked, ROWS, Tone, at, cell, name, row, state, table, when};
use super::{App, Inner};
use crate::config::edit::{EditError, Editor, Kind, Setting};
use crate::config::{Complaint, Config};
use crate::daemon::control::Order as Wish;
use crate::hook::document::{Document, FolderPart, ItemPart, SCHEMA};
use crate::hook::{Call, HookKind, HookSettings, Listen, When};
use crate::report::{HookRunQuery, HookRunRow, ReportError};
use crate::runner::{Order, Runner, Trust};
use crate::shown::{harmless, span};

/// Which callback, and which part of its history.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    name: String,
    failed: String,
    before: Option<i64>,
    run: i64,
}

fn config(web: &Inner) -> Result<Config, ReportError> {
    Config::load(&web.places).map_err(|why| ReportError::Failed(why.to_string()))
}

fn hook(config: &Config, name: &str) -> Result<HookSettings, ReportError> {
    let found = config.hook(name).cloned();
    found.ok_or_else(|| ReportError::NotFound(format!("there is no callback named `{name}`")))
}

fn target(call: &Call) -> String {
    match call {
        Call::Exec { run, .. } => run.join(" "),
        Call::Scan(scanner) => scanner.to_string(),
        Call::Http { url, .. } => url.to_string(),
    }
}

fn link(name: &str) -> String {
    at("/callback", &[("name", name)])
}

/// The list.
pub async fn page(asked: Asked) -> Response {
    let made = asked.clone();
    let body = asked.app.web.report(move |web| {
        let config = config(web)?;
        let mut rows = Vec::new();
        for hook in &config.hooks {
            let is_off = config.hooks_off.contains(&hook.name);
            let (last, deliveries) =
                web.read(|rows| Ok((rows.last_run(&hook.name)?, rows.deliveries_of(&hook.name)?)))?;
            rows.push(row(html! {
                (cell("Name", html! { a href=(link(&hook.name)) { (name(&hook.name)) } }))
                (cell("When", html! { (hook.when.word()) @if let Some(folder) = &hook.folder { ", in " (name(folder)) } }))
                (cell("Calls", name(&target(&hook.call))))
                (cell("Last triggered", html! {
                    @match &last {
                        Some((at, verdict)) => { (when(*at, made.now)) br; (verdict_state(verdict)) }
                        None => "never",
                    }
                }))
                (cell("State", html! {
                    @if is_off { (state(Tone::Warning, "switched off")) } @else { (state(Tone::Good, "on")) }
                    @if deliveries.0 > 0 { br; span class="small" { (deliveries.0) " waiting" } }
                    @if deliveries.1 > 0 { br; span class="small" { (deliveries.1) " given up" } }
                }))
            }));
        }
        Ok(html! {
            h1 { "Callbacks" }
            p { "Who decides before a file appears, and who is told after something happened." }
            @if rows.is_empty() { p { "There is none yet." } } @else {
                (table("Callbacks", &["Name", "When", "Calls", "Last triggered", "State"], html! { @for row in &rows { (row) } }))
            }
            @if made.may_change() { p { a href="/callbacks/new" class="button" { "New callback" } } }
        })
    });
    asked.page_of("Callbacks", "/callbacks", body.await)
}

fn verdict_state(verdict: &str) -> Markup {
    let tone = match verdict {
        "allow" => Tone::Good,
        "reject" | "unscannable" => Tone::Warning,
        _ => Tone::Bad,
    };
    state(tone, verdict.replace('_', " "))
}

/// The form of a new one.
pub async fn new_page(asked: Asked) -> Response {
    let made = asked.clone();
    let body = asked.app.web.report(move |web| {
        Ok(html! {
            h1 { "New callback" }
            p { "A server gets a JSON document by POST. A program is added on the machine itself: " code { "agent add-hook" } }
            (form(&config(web)?, None, &made))
        })
    });
    asked.page_of("New callback", "/callbacks", body.await)
}

fn form(config: &Config, hook: Option<&HookSettings>, asked: &Asked) -> Markup {
    let url = hook.map(|hook| target(&hook.call)).unwrap_or_default();
    let listens = |kind: HookKind| hook.is_some_and(|hook| hook.on.iter().any(|on| on.covers(kind)));
    let all = hook.is_none_or(|hook| hook.on.contains(&Listen::Everything));
    let is_before = hook.is_some_and(|hook| hook.when == When::Before);
    let action = if hook.is_some() { "/callback" } else { "/callbacks/new" };
    html! {
        form method="post" action=(action) class="stack" {
            (asked.csrf())
            @match hook {
                Some(hook) => { input type="hidden" name="name" value=(hook.name); }
                None => { label for="name" { "Name" } input id="name" name="name" required; }
            }
            label for="url" { "Address (https, or this machine)" }
            input id="url" name="url" type="url" value=(url) required;
            fieldset {
                legend { "When" }
                @if hook.is_none() {
                    label { input type="radio" name="when" value="after" checked; " After: it is told what has happened" }
                    label { input type="radio" name="when" value="before"; " Before: it decides, and everything waits for it" }
                } @else { p { (if is_before { "Before: it decides" } else { "After: it is told" }) } }
            }
            fieldset {
                legend { "What it is called for" }
                label { input type="checkbox" name="on" value="*" checked[all]; " Everything" }
                @for kind in HookKind::ALL.iter().filter(|kind| hook.is_none() || kind.is_decided() == is_before) {
                    label { input type="checkbox" name="on" value=(kind.word()) checked[!all && listens(*kind)]; " " (kind.word()) }
                }
            }
            label for="folder" { "Folder" }
            select id="folder" name="folder" {
                option value="" { "all" }
                @for folder in &config.folders {
                    option value=(folder.name) selected[hook.is_some_and(|hook| hook.folder.as_deref() == Some(&folder.name))] { (folder.name) }
                }
            }
            label for="match" { "Only paths like (gitignore patterns, one a line)" }
            textarea id="match" name="match" rows="2" { (hook.map(|hook| hook.patterns.join("\n")).unwrap_or_default()) }
            label for="timeout" { "Longest time" }
            input id="timeout" name="timeout" value=(hook.map(|hook| format!("{}s", hook.timeout.as_secs())).unwrap_or_default()) placeholder="120s";
            button { @if hook.is_some() { "Change" } @else { "Create" } }
        }
    }
}

/// One callback.
pub async fn one_page(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    let (made, title) = (asked.clone(), wanted.name.clone());
    let body = asked.app.web.report(move |web| {
        let config = config(web)?;
        let hook = hook(&config, &wanted.name)?;
        let is_http = matches!(hook.call, Call::Http { .. });
        let is_off = config.hooks_off.contains(&hook.name);
        Ok(html! {
            h1 { "Callback " (name(&hook.name)) }
            p { @if is_off { (state(Tone::Warning, "switched off")) } @else { (state(Tone::Good, "on")) } }
            dl {
                dt { "Calls" } dd { (name(&target(&hook.call))) }
                dt { "When" } dd { (hook.when.word()) }
                dt { "For" } dd { (hook.on.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
                dt { "Folder" } dd { @match &hook.folder { Some(folder) => (name(folder)), None => "all" } }
                dt { "Longest time" } dd { (span(hook.timeout)) }
            }
            @if !is_http {
                p { "A program of this machine: it is changed with " code { "agent set-hook" } " and " code { "agent remove-hook" } "." }
            } @else if made.may_change() {
                div class="actions" { (actions(&hook, is_off, &made)) }
                details { summary { "Change it" } (form(&config, Some(&hook), &made)) }
            }
            (history(web, &hook, &wanted, &made)?)
        })
    });
    asked.page_of(&format!("Callback {}", harmless(&title)), "/callbacks", body.await)
}

fn actions(hook: &HookSettings, is_off: bool, asked: &Asked) -> Markup {
    let fields = [("name", hook.name.as_str())];
    let off = match hook.when {
        When::Before => "Files are published without asking it, from now on.",
        When::After => "It is told nothing from now on. What waits to be told is given up, and can be repeated.",
    };
    html! {
        (asked.button("/callback/test", "Send a test", &fields))
        @if is_off { (asked.button("/callback/switch", "Switch on", &[fields[0], ("switch", "on")])) }
        @else { (asked.confirmed("/callback/switch", "Switch off", off, &[fields[0], ("switch", "off")], html! {})) }
        (asked.confirmed("/callback/delete", "Delete", "It leaves the configuration. Its history stays.", &fields, html! {}))
    }
}

fn history(web: &Inner, hook: &HookSettings, wanted: &Wanted, asked: &Asked) -> Result<Markup, ReportError> {
    let failed = wanted.failed == "yes";
    let runs = web.read(|rows| {
        let mut runs = Vec::new();
        for run in rows.runs_page(&hook.name, failed, wanted.before, ROWS)? {
            runs.extend(rows.hook_runs(&HookRunQuery { run: Some(run), ..HookRunQuery::default() })?);
        }
        Ok(runs)
    })?;
    let query = [("name", hook.name.as_str()), ("failed", wanted.failed.as_str())];
    let older = runs.last().filter(|_| runs.len() == ROWS as usize).map(|last| {
        let before = last.run.to_string();
        at("/callback", &[query[0], query[1], ("before", &before)])
    });
    Ok(html! {
        section aria-labelledby="history" {
            h2 id="history" { "History" }
            p {
                @if failed { a href=(link(&hook.name)) { "Show all runs" } }
                @else { a href=(at("/callback", &[("name", &hook.name), ("failed", "yes")])) { "Show only what failed" } }
            }
            @if runs.is_empty() { p { "No run." } } @else {
                (table("Runs", &["When", "For", "Answer", "Time", "Repeat"], html! { @for run in &runs { (run_row(run, asked)) } }))
            }
            nav class="pager" aria-label="Pages" { @if let Some(older) = older { a href=(older) rel="next" { "Older" } } }
        }
    })
}

fn run_row(run: &HookRunRow, asked: &Asked) -> Markup {
    let number = run.run.to_string();
    let said = run.output.lines().rev().find(|line| !line.trim().is_empty()).or(run.reason.as_deref());
    row(html! {
        (cell("When", html! { a href=(at("/callback/run", &[("run", &number)])) { (when(run.at, asked.now)) } }))
        (cell("For", html! { (run.event) @if let Some(path) = &run.path { br; (name(path)) } }))
        (cell("Answer", html! {
            (verdict_state(&run.verdict)) ", " (run.effect)
            @if let Some(status) = run.status { " (" (status) ")" }
            @if let Some(said) = said { br; span class="small" { (harmless(&said.chars().take(120).collect::<String>())) } }
        }))
        (cell("Time", html! { (run.took_ms) " ms" @if run.attempt > 1 { br; span class="small" { "attempt " (run.attempt) } } }))
        (cell("Repeat", html! {
            @if run.delivery.is_some() && asked.may_change() {
                (asked.button("/callback/repeat", "Repeat", &[("run", &number), ("name", &run.hook)]))
            } @else { "—" }
        }))
    })
}

/// One run: what was sent, and what was answered.
pub async fn run_page(asked: Asked, Query(wanted): Query<Wanted>) -> Response {
    let made = asked.clone();
    let body = asked.app.web.report(move |web| {
        let query = HookRunQuery { run: Some(wanted.run), ..HookRunQuery::default() };
        let (run, sent) = web.read(|rows| Ok((rows.hook_runs(&query)?.pop(), rows.request_of(wanted.run)?)))?;
        let run = run.ok_or_else(|| ReportError::NotFound(format!("there is no run {}", wanted.run)))?;
        let sent = sent.map(|sent| match serde_json::from_str::<serde_json::Value>(&sent) {
            Ok(document) => serde_json::to_string_pretty(&document).unwrap_or(sent),
            Err(_) => sent,
        });
        Ok(html! {
            h1 { "Run " (run.run) " of " (name(&run.hook)) }
            p { a href=(link(&run.hook)) { "Back to the callback" } }
            dl {
                dt { "When" } dd { (super::page::moment(run.at)) ", attempt " (run.attempt) ", " (run.took_ms) " ms" }
                dt { "For" } dd { (run.event) @if let Some(path) = &run.path { ": " (name(path)) } }
                dt { "Answer" } dd {
                    (verdict_state(&run.verdict)) ", " (run.effect)
                    @if let Some(status) = run.status { ", status " (status) }
                    @if let Some(code) = run.exit_code { ", exit code " (code) }
                    @if let Some(signal) = run.signal { ", signal " (signal) }
                    @if let Some(reason) = &run.reason { ", " (harmless(reason)) }
                }
            }
            h2 { "Request" }
            @match sent {
                Some(sent) => pre tabindex="0" { code { (sent.lines().map(harmless).collect::<Vec<_>>().join("\n")) } },
                None => p { "What a deciding hook is asked is not kept; the path and the digest above name it." }
            }
            h2 { "Answer" }
            @if run.output.is_empty() { p { "Nothing was said." } } @else {
                pre tabindex="0" { code { (run.output.lines().map(harmless).collect::<Vec<_>>().join("\n")) } }
                @if run.output_cut { p class="small" { "Only the end is kept." } }
            }
            @if run.delivery.is_some() {
                (made.button("/callback/repeat", "Repeat", &[("run", &run.run.to_string()), ("name", &run.hook)]))
            }
        })
    });
    asked.page_of("Run", "/callbacks", body.await)
}

/// Edits the configuration and has it read. What is wrong is told in a sentence.
async fn edit(
    app: &App,
    what: impl FnOnce(&mut Editor) -> Result<(), EditError> + Send + 'static,
) -> Result<(), String> {
    let edited = app.web.report(move |web| {
        let edited = Editor::open(&web.places).and_then(|mut editor| {
            what(&mut editor)?;
            editor.save()
        });
        Ok(edited.map(drop).map_err(|why| wrong(&why)))
    });
    edited.await.map_err(|why| why.to_string())??;
    match app.web.ordered(Wish::Reload).await {
        (true, _) => Ok(()),
        (false, text) => Err(text),
    }
}

fn wrong(why: &EditError) -> String {
    match why {
        EditError::After { complaints } => {
            let texts: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
            format!("Nothing was changed: {}.", texts.join("; "))
        }
        EditError::Write { path, source } => format!(
            "Nothing was changed: the agent may not write {} ({source}). `agent add-hook` and `agent set-hook` do the same as root.",
            path.display()
        ),
        other => format!("Nothing was changed: {other}."),
    }
}

/// Callbacks that may be changed from here: servers, and never programs.
async fn is_server(app: &App, wanted: &str) -> Result<(), String> {
    let wanted = wanted.to_owned();
    let found = app.web.report(move |web| hook(&config(web)?, &wanted)).await.map_err(|why| why.to_string())?;
    match found.call {
        Call::Http { .. } => Ok(()),
        Call::Exec { .. } => Err("Programs are changed on the machine itself, with `agent set-hook`.".into()),
        Call::Scan(_) => Err("Scanners are changed on the machine itself, with `agent set-hook`.".into()),
    }
}

fn settings(posted: &Posted) -> Vec<(&'static str, Setting)> {
    let lines: Vec<String> =
        posted.field("match").lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let list = |texts: Vec<String>| if texts.is_empty() { Setting::Default } else { Setting::List(texts) };
    let text = |name: &str| posted.filled(name).map_or(Setting::Default, Setting::Text);
    let mut on = posted.all("on");
    if on.iter().any(|on| on == "*") {
        on = vec!["*".to_owned()];
    }
    vec![
        ("on", list(on)),
        ("url", text("url")),
        ("folder", text("folder")),
        ("match", list(lines)),
        ("timeout", text("timeout")),
    ]
}

/// Makes one.
pub async fn create(State(app): State<App>, posted: Posted) -> Response {
    let name = posted.field("name").to_owned();
    let mut settings = settings(&posted);
    let when = if posted.field("when") == "before" { "before" } else { "after" };
    settings.splice(0..0, [("name", Setting::Text(name.clone())), ("when", Setting::Text(when.into()))]);
    let made = edit(&app, move |editor| {
        editor.add(Kind::Hook, &settings);
        Ok(())
    });
    match made.await {
        Ok(()) => posted.then(&app, &link(&name), true, format!("Callback {name} is made. Send it a test.")),
        Err(why) => posted.then(&app, "/callbacks/new", false, why),
    }
}

/// Changes one.
pub async fn change(State(app): State<App>, posted: Posted) -> Response {
    let name = posted.field("name").to_owned();
    let (settings, changed) = (settings(&posted), name.clone());
    let done = match is_server(&app, &name).await {
        Ok(()) => {
            edit(&app, move |editor| {
                settings.iter().try_for_each(|(key, setting)| editor.set(Kind::Hook, &changed, key, setting))
            })
            .await
        }
        Err(why) => Err(why),
    };
    told(&app, &posted, &link(&name), done, "Changed.")
}

/// Switches one on or off.
pub async fn switch(State(app): State<App>, posted: Posted) -> Response {
    let (name, is_off) = (posted.field("name").to_owned(), posted.field("switch") == "off");
    let changed = name.clone();
    let done = match is_server(&app, &name).await {
        Ok(()) => {
            let setting = if is_off { Setting::Text("off".into()) } else { Setting::Default };
            edit(&app, move |editor| editor.set(Kind::Hook, &changed, "switch", &setting)).await
        }
        Err(why) => Err(why),
    };
    told(&app, &posted, &link(&name), done, if is_off { "Switched off." } else { "Switched on." })
}

/// Takes one away.
pub async fn delete(State(app): State<App>, posted: Posted) -> Response {
    let name = posted.field("name").to_owned();
    let done = match is_server(&app, &name).await {
        Ok(()) => edit(&app, move |editor| editor.remove(Kind::Hook, &name)).await,
        Err(why) => Err(why),
    };
    told(&app, &posted, "/callbacks", done, "Deleted.")
}

fn told(app: &App, posted: &Posted, to: &str, done: Result<(), String>, good: &str) -> Response {
    match done {
        Ok(()) => posted.then(app, to, true, good),
        Err(why) => posted.then(app, to, false, why),
    }
}

/// Tells a delivery again.
pub async fn repeat(State(app): State<App>, posted: Posted) -> Response {
    let command = crate::command::Command::ReplayHooks { run: posted.number("run"), hook: None };
    let (good, text) = app.web.command(command).await;
    posted.then(&app, &link(posted.field("name")), good, text)
}

/// Sends a document about a file that does not exist, with the delivery `test`.
pub async fn test(State(app): State<App>, posted: Posted) -> Response {
    let name = posted.field("name").to_owned();
    let to = link(&name);
    if let Err(why) = is_server(&app, &name).await {
        return posted.then(&app, &to, false, why);
    }
    let prepared = app.web.report(move |web| {
        let config = config(web)?;
        let hook = hook(&config, &name)?;
        let runner = Runner::new(Trust::of(web.places.is_system()), &web.places.credentials_dir())
            .map_err(|why| ReportError::Failed(why.to_string()))?;
        let order = trial(&hook, &config);
        Ok((hook, runner, order))
    });
    let (hook, runner, order) = match prepared.await {
        Ok(prepared) => prepared,
        Err(why) => return posted.then(&app, &to, false, why.to_string()),
    };
    let outcome = runner.run(&hook, &order).await;
    let answer = outcome.status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
    let because = outcome.reason.map(|reason| format!(", {}", harmless(&reason))).unwrap_or_default();
    let text = format!("The test came to “{}” ({answer}{because}) after {}.", outcome.verdict, span(outcome.took));
    posted.then(&app, &to, outcome.verdict == crate::hook::Verdict::Allow, text)
}

fn trial(hook: &HookSettings, config: &Config) -> Order {
    let folder = hook.folder.as_deref().and_then(|folder| config.folder(folder)).or(config.folders.first());
    let mut kinds = HookKind::ALL.iter().filter(|kind| kind.is_decided() == (hook.when == When::Before));
    let kind = kinds.find(|kind| hook.on.iter().any(|listen| listen.covers(**kind))).copied();
    let document = Document {
        schema: SCHEMA,
        hook: hook.name.clone(),
        when: hook.when,
        event: kind.unwrap_or(HookKind::FileCreated),
        delivery: "test".into(),
        attempt: 1,
        at: crate::daemon::wall_now(),
        account: None,
        folder: folder.map(|folder| FolderPart {
            name: folder.name.clone(),
            local: folder.local.display().to_string(),
            remote: folder.remote.to_string(),
        }),
        item: Some(ItemPart { kind: "file".into(), path: "test.txt".into(), size: Some(0), ..ItemPart::default() }),
        file: None,
        actor: None,
        message: Some("A test from the page in the browser.".into()),
        depth: 0,
        causes: Vec::new(),
    };
    Order { document, path: None, file: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_names_the_command_that_can() {
        let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let text = wrong(&EditError::Write { path: "/etc/x".into(), source });
        assert!(text.contains("agent set-hook") && text.contains("/etc/x"), "{text}");
    }
}
