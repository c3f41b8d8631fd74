//! The screen of accounts: who is signed in, for how long, and what is left of the API budget.

use axum::response::Response;
use maud::{Markup, html};

use super::page::{Asked, Tone, meter, name, prose, state, when};
use crate::report::{AccountStatus, SIGN_IN_WARNING_MS};
use crate::shown::count;

/// The page.
pub async fn page(asked: Asked) -> Response {
    let status = asked.app.web.report(|web| web.status()).await;
    let body = status.map(|status| {
        html! {
            h1 { "Accounts" }
            @if status.accounts.is_empty() {
                p { "There is none yet. On the machine of the agent:" }
                pre { code { "agent login box --account NAME" } }
            }
            @for account in &status.accounts { (one(account, &asked)) }
        }
    });
    asked.page_of("Accounts", "/accounts", body)
}

fn one(account: &AccountStatus, asked: &Asked) -> Markup {
    let now = asked.now;
    let login = format!("agent login {} --account {}", account.provider, account.name);
    let ends_soon = account.sign_in_ends.is_some_and(|end| end.since(now) <= SIGN_IN_WARNING_MS);
    html! {
        section class="card" aria-labelledby={ "account-" (account.name) } {
            h2 id={ "account-" (account.name) } { (name(&account.name)) " at " (account.provider) }
            (standing(account))
            dl {
                dt { "Signed in as" }
                dd { @match &account.login { Some(login) => (name(login)), None => "not known yet" } }
                dt { "The sign-in ends" }
                dd {
                    @match account.sign_in_ends {
                        Some(end) if ends_soon => {
                            (state(Tone::Warning, html! { (when(end, now)) }))
                            " Sign in again before: " code { (login) }
                        }
                        Some(end) => (when(end, now)),
                        None => "not as far as is known",
                    }
                }
                dt { "News comes" }
                dd {
                    @if account.long_poll { "at once, by long poll" } @else { "by asking now and then" }
                    @if let Some(next) = account.next_poll { ", next " (when(next, now)) }
                    @if let Some(last) = account.last_poll { ", last " (when(last, now)) }
                }
            }
            (budget(account, asked))
        }
    }
}

/// Whether an account works, and what to do if it does not.
pub fn standing(account: &AccountStatus) -> Markup {
    html! {
        @match &account.degraded {
            Some(degraded) => {
                @let tone = if degraded.halts() { Tone::Bad } else { Tone::Warning };
                p { (state(tone, degraded.name.replace('_', " "))) ": " (prose(&degraded.cause)) }
                p class="next" { "→ " (prose(&degraded.next_step)) }
            }
            None => p { (state(Tone::Good, "works")) },
        }
    }
}

/// The API budget as a gauge with its forecast.
pub fn budget(account: &AccountStatus, asked: &Asked) -> Markup {
    let budget = &account.budget;
    html! {
        @match budget.per_day {
            Some(per_day) => {
                @let left = per_day.saturating_sub(budget.spent_today);
                p class="gauge" {
                    (meter(&format!("API calls left today of account {}", account.name), left, per_day))
                    " " (left) " of " (count(per_day, "call")) " left today"
                    @if let Some(resets) = budget.resets_at { ", a new day " (when(resets, asked.now)) }
                }
                @if let Some(shares) = budget.shares {
                    p class="small" {
                        (shares.listening) " kept for listening, " (shares.news) " for what it brings, " (shares.free) " free"
                    }
                }
                p class="small" {
                    @match (&budget.forecast, budget.forecast_days) {
                        (Some(forecast), _) => { "Forecast: " (prose(forecast)) "." }
                        (None, Some(0)) => "Forecast: nothing waits for calls.",
                        _ => "Forecast: what is known is done within the day.",
                    }
                }
            }
            None => p class="small" { (count(budget.spent_today, "call")) " since the agent started; no daily limit" },
        }
        @if let Some(closed) = budget.closed_until.filter(|closed| *closed > asked.now) {
            p { (state(Tone::Warning, html! { "the provider asked for a pause, over " (when(closed, asked.now)) })) }
        }
    }
}
