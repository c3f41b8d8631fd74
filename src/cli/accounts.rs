//! `agent accounts`.

use clap::Args;

use super::agent::Agent;
use super::failure::{Exit, Outcome};
use super::render::{Screen, age, count, now};
use crate::config::Places;
use crate::report::{AccountStatus, Listing};

/// List the accounts, who is signed in, and their API budgets
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent accounts
  agent accounts --json | jq -r '.rows[].login'")]
pub struct AccountsArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `agent accounts`.
pub async fn accounts(args: &AccountsArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let status = Agent::find(places).await?.status().await?;
    if args.json {
        screen.json(&Listing::new(status.accounts))?;
        return Ok(Exit::Fine);
    }
    if status.accounts.is_empty() {
        screen.line("No account yet. Sign in with: agent login box")?;
    }
    screen.table(["ACCOUNT", "PROVIDER", "SIGNED IN", "LAST POLL", "CALLS TODAY"], status.accounts.iter().map(row))?;
    Ok(Exit::Fine)
}

fn row(account: &AccountStatus) -> [String; 5] {
    let signed_in = match (&account.degraded, &account.login) {
        (Some(degraded), _) if degraded.halts() => {
            format!("{}: {}", degraded.name.replace('_', " "), degraded.next_step)
        }
        (_, Some(login)) => login.clone(),
        (_, None) => "not yet known".to_owned(),
    };
    let calls = match account.budget.per_day {
        Some(per_day) => format!("{} of {}", account.budget.spent_today, count(per_day, "call")),
        None => account.budget.spent_today.to_string(),
    };
    let polled = account.last_poll.map_or_else(|| "never".to_owned(), |polled| age(polled, now()));
    [account.name.clone(), account.provider.clone(), signed_in, polled, calls]
}
