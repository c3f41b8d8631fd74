//! `agent status`.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use clap::Args;

use super::activity;
use super::agent::Agent;
use super::failure::{Exit, Failure, Outcome};
use super::render::{Screen, Tone, age, count, harmless, moment, now, size, span};
use crate::config::Places;
use crate::report::{AccountStatus, Degraded, FolderState, FolderStatus, SIGN_IN_WARNING_MS, Status};
use crate::tree::Wall;

/// How often a watched status is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Lines of recent activity below a status that is watched.
const ACTIVITY_SHOWN: u32 = 5;
/// Transfers shown for one folder.
const TRANSFERS_SHOWN: usize = 5;
/// The name of the degraded state that a sign-in cures.
pub const SIGN_IN_NEEDED: &str = "sign_in_needed";

/// Show what is in sync, what is under way, and what needs a person
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent status
  agent status inbox --watch
  agent status --json | jq .in_sync
  agent status --exit-code >/dev/null || echo 'not in sync'")]
pub struct StatusArgs {
    /// Only this folder and its account [default: all]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Go on showing it until Ctrl-C; with --json, one document for each change
    #[arg(short, long)]
    watch: bool,
    /// End with 0 only if everything is in sync, with 3 if not, with 4 if a person must decide, with 77 if somebody must
    /// sign in; without it the end is 0 whenever the status could be shown
    #[arg(long)]
    exit_code: bool,
}

/// Runs `agent status`.
pub async fn status(args: &StatusArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let mut last: Option<Status> = None;
    loop {
        let status = only(Agent::find(places).await?.status().await?, args.name.as_deref())?;
        if last.as_ref() != Some(&status) || (args.watch && !args.json && screen.is_terminal()) {
            if args.watch {
                screen.clear()?;
            }
            if args.json {
                screen.json(&status)?;
            } else {
                show(&status, screen)?;
            }
            if args.watch && !args.json {
                for row in activity::recent(args.name.as_deref(), None, ACTIVITY_SHOWN, places).await? {
                    let line = activity::line(&row, screen);
                    screen.line(format_args!("  {line}"))?;
                }
            }
        }
        if !args.watch {
            return Ok(if args.exit_code { verdict(&status) } else { Exit::Fine });
        }
        screen.flush()?;
        last = Some(status);
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Fine),
        }
    }
}

/// What a status says of one folder: that folder, its account, and nothing of the others.
fn only(mut status: Status, name: Option<&str>) -> Outcome<Status> {
    let Some(name) = name else { return Ok(status) };
    let known: Vec<String> = status.folders.iter().map(|folder| folder.name.clone()).collect();
    status.folders.retain(|folder| folder.name == name);
    let Some(folder) = status.folders.first() else {
        let failure = Failure::error(format!("there is no folder named `{name}`"));
        return Err(match known.as_slice() {
            [] => failure.hint("add one: agent add-folder /REMOTE/FOLDER LOCAL"),
            known => failure.hint(format!("there is {}", known.join(", "))),
        });
    };
    status.accounts.retain(|account| account.name == folder.account);
    (status.held, status.problems) = (folder.held, folder.problems);
    status.in_sync = status.running
        && folder.state == FolderState::InSync
        && status.degraded.is_empty()
        && status.accounts.iter().all(|account| !account.degraded.as_ref().is_some_and(Degraded::halts));
    Ok(status)
}

/// The exit code that a status deserves.
fn verdict(status: &Status) -> Exit {
    let sign_in = |degraded: &Option<Degraded>| degraded.as_ref().is_some_and(|state| state.name == SIGN_IN_NEEDED);
    // An account without folders keeps nothing from being in sync, unless there is nothing else.
    let uses = |name: &str| status.folders.is_empty() || status.folders.iter().any(|folder| folder.account == name);
    if status.held > 0 {
        Exit::PersonNeeded
    } else if status.accounts.iter().any(|account| sign_in(&account.degraded) && uses(&account.name)) {
        Exit::SignInNeeded
    } else if status.in_sync {
        Exit::Fine
    } else {
        Exit::Pending
    }
}

fn show(status: &Status, screen: &mut Screen) -> io::Result<()> {
    let agent = match (status.running, status.pid) {
        (true, Some(pid)) => format!("agent {} running (pid {pid})", status.version),
        (true, None) => format!("agent {} running", status.version),
        (false, _) => "no agent is running".to_owned(),
    };
    let (tone, word) = match verdict(status) {
        Exit::Fine if status.folders.is_empty() => (Tone::Quiet, "nothing configured"),
        Exit::Fine if status.running => (Tone::Good, "✓ everything is in sync"),
        Exit::Fine => (Tone::Quiet, "in sync when last seen"),
        Exit::PersonNeeded => (Tone::Warning, "! a person must decide: agent held"),
        Exit::SignInNeeded => (Tone::Bad, "✗ sign-in needed"),
        _ => (Tone::Warning, "… not in sync"),
    };
    let word = screen.tint(tone, word);
    screen.line(format_args!("{word} · {agent}"))?;
    for degraded in &status.degraded {
        show_degraded("agent", degraded, screen)?;
    }
    for account in &status.accounts {
        let in_use = status.folders.iter().any(|folder| folder.account == account.name);
        show_account(account, in_use, screen)?;
    }
    for scanner in &status.scanners {
        let version = scanner.version.as_deref().unwrap_or("not asked yet");
        let signatures = scanner.signatures_at.map(|at| format!(", signatures of {}", age(at, now())));
        let down = scanner.down_since.map(|since| format!(", down since {}", moment(since)));
        screen.line(format_args!(
            "scanner {} ({}): {}{}{}",
            scanner.hook,
            harmless(&scanner.scanner),
            harmless(version),
            signatures.unwrap_or_default(),
            down.unwrap_or_default()
        ))?;
    }
    if !status.folders.is_empty() {
        screen.line("")?;
    }
    let rows = status.folders.iter().map(|folder| {
        let content = format!("{}, {}", count(folder.files, "file"), size(folder.bytes));
        [folder.name.clone(), shown_state(folder), content, pending(folder), folder.local.clone()]
    });
    screen.table(["FOLDER", "STATE", "CONTENT", "PENDING", "LOCAL"], rows)?;
    for folder in &status.folders {
        if let Some(degraded) = &folder.degraded {
            show_degraded(&folder.name, degraded, screen)?;
        }
        if let Some(words) = folder.left_out.words() {
            screen.line(format_args!("  {}: {} (agent why PATH)", harmless(&folder.name), harmless(&words)))?;
        }
        if let Some(speed) = speed(folder) {
            screen.line(format_args!("  {}: {speed}", harmless(&folder.name)))?;
        }
        for transfer in folder.transfers.iter().take(TRANSFERS_SHOWN) {
            let of = transfer.total.map_or_else(String::new, |total| format!(" of {}", size(total)));
            let arrow = if transfer.up { "↑" } else { "↓" };
            screen.line(format_args!("  {arrow} {} {}{of}", harmless(&transfer.path), size(transfer.done)))?;
        }
        if folder.transfers.len() > TRANSFERS_SHOWN {
            screen.line(format_args!("    and {} more", folder.transfers.len() - TRANSFERS_SHOWN))?;
        }
    }
    for subscription in &status.subscriptions {
        super::subscriptions::show_trouble(subscription, screen)?;
    }
    if status.held > 0 {
        screen.line(format_args!("{} for a person: agent held", waits(status.held)))?;
    }
    if status.problems > 0 {
        screen.line(format_args!("{}: agent problems", count(status.problems, "problem")))?;
    }
    Ok(())
}

fn waits(held: u64) -> String {
    format!("{} {}", count(held, "hold"), if held == 1 { "waits" } else { "wait" })
}

/// The words for a folder's state.
pub fn state(folder: &FolderStatus) -> &'static str {
    match folder.state {
        FolderState::Syncing if folder.files == 0 => "first sync",
        state => state.words(),
    }
}

/// The state, and for a folder that is in sync how long ago all of it was seen.
fn shown_state(folder: &FolderStatus) -> String {
    match folder.oldest_seen.filter(|_| folder.state == FolderState::InSync) {
        Some(seen) => {
            let minutes = u64::try_from(now().since(seen)).unwrap_or(0).div_ceil(60_000).max(1);
            format!("{}; everything seen within {}", state(folder), span(Duration::from_secs(minutes * 60)))
        }
        None => state(folder).to_owned(),
    }
}

/// How fast a folder's content moves, and how long it will take: `↓ 12.3 MiB/s, 4 min left`. Nothing once nothing is to move: a mean of the
/// last seconds outlives what it was of.
pub fn speed(folder: &FolderStatus) -> Option<String> {
    let stands =
        matches!(folder.state, FolderState::Halted | FolderState::Paused | FolderState::Problems | FolderState::Held);
    if folder.transfers.is_empty() && (folder.pending == 0 || stands) {
        return None;
    }
    let rate = |arrow: &str, rate: Option<u64>| rate.map(|rate| format!("{arrow} {}/s", size(rate)));
    let ways: Vec<String> =
        [rate("↓", folder.progress.down), rate("↑", folder.progress.up)].into_iter().flatten().collect();
    if ways.is_empty() {
        return None;
    }
    let left = folder.progress.seconds_left.map(|seconds| format!(", {} left", span(Duration::from_secs(seconds))));
    Some(ways.join(" ") + &left.unwrap_or_default())
}

fn pending(folder: &FolderStatus) -> String {
    match (folder.pending, folder.pending_bytes) {
        (0, _) => String::new(),
        (items, 0) => count(items, "item"),
        (items, bytes) => format!("{}, {}", count(items, "item"), size(bytes)),
    }
}

fn show_account(account: &AccountStatus, in_use: bool, screen: &mut Screen) -> io::Result<()> {
    let now = now();
    let who = account.login.as_deref().map(|login| format!(" as {}", harmless(login))).unwrap_or_default();
    let mut text = format!("account {} ({}){who}", account.name, account.provider);
    if account.long_poll {
        text.push_str(" · listening");
    } else if let Some(next) = account.next_poll {
        let _ = write!(text, " · next look {}", age(next, now));
    }
    if let Some(polled) = account.last_poll {
        let _ = write!(text, " · last heard {}", age(polled, now));
    }
    if let Some(per_day) = account.budget.per_day {
        let _ = write!(text, " · {} of {} today", account.budget.spent_today, count(per_day, "call"));
    }
    if let Some(closed) = account.budget.closed_until.filter(|closed| *closed > now) {
        let _ = write!(text, " · the provider asked for a pause, over {}", age(closed, now));
    }
    screen.line(text)?;
    if let (Some(shares), Some(resets)) = (&account.budget.shares, account.budget.resets_at) {
        let kept = format!("{} kept for listening, {} for news, {} free", shares.listening, shares.news, shares.free);
        screen.line(format_args!("  calls left today: {kept} · a new day {}", age(resets, now)))?;
    }
    if let Some(forecast) = &account.budget.forecast {
        screen.line(format_args!("  {}", harmless(forecast)))?;
    }
    if let Some(degraded) = &account.degraded {
        show_degraded(&account.name, degraded, screen)?;
        if !in_use && degraded.name == SIGN_IN_NEEDED {
            screen.line(format_args!("  → or, as no folder uses it: agent remove-account {}", account.name))?;
        }
        return Ok(());
    }
    let ends = account.sign_in_ends;
    if let Some((warning, next)) = ends.and_then(|end| sign_in_warning(&account.name, &account.provider, end, now)) {
        let mark = screen.tint(Tone::Warning, format_args!("! {}", account.name));
        screen.line(format_args!("{mark}: {warning}"))?;
        screen.line(format_args!("  → {next}"))?;
    }
    Ok(())
}

/// What to tell of a sign-in whose end is near, and what to do.
pub fn sign_in_warning(account: &str, provider: &str, end: Wall, now: Wall) -> Option<(String, String)> {
    let left = end.since(now);
    if left > SIGN_IN_WARNING_MS {
        return None;
    }
    let ends = if left <= 0 { "ended" } else { "ends" };
    let warning = format!("the sign-in {ends} {} ({})", age(end, now), moment(end));
    Some((warning, format!("agent login {provider} --account {account}")))
}

fn show_degraded(whose: &str, degraded: &Degraded, screen: &mut Screen) -> io::Result<()> {
    let name = screen.tint(Tone::Bad, format_args!("✗ {whose}: {}", degraded.name.replace('_', " ")));
    screen.line(format_args!("{name}: {}", harmless(&degraded.cause)))?;
    screen.line(format_args!("  → {}", harmless(&degraded.next_step)))
}
