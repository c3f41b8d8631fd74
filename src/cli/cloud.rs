//! A provider for one command: the adapter of an account with the tokens of the installation.

use std::path::PathBuf;
use std::sync::Arc;

use super::failure::{Failure, Outcome};
use crate::config::Config;
use crate::daemon::world::make_provider;
use crate::provider::http::CallCounter;
use crate::provider::{Provider, ProviderError};
use crate::settings::AccountSettings;

/// The adapter of an account, with the tokens of a directory.
pub fn connect(account: &AccountSettings, credentials: PathBuf) -> Result<Arc<dyn Provider>, ProviderError> {
    make_provider(account, credentials, Arc::new(CallCounter::default()))
}

/// The account that a command means: the named one, else the only one.
pub fn account<'a>(config: &'a Config, name: Option<&str>) -> Outcome<&'a AccountSettings> {
    let known: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
    match (name, config.accounts.as_slice()) {
        (Some(name), _) => config.account(name).ok_or_else(|| {
            let failure = Failure::error(format!("there is no account named `{name}`"));
            if known.is_empty() {
                failure.hint(format!("sign in first: agent login box --account {name}"))
            } else {
                failure.hint(format!("there is {}", known.join(", ")))
            }
        }),
        (None, [only]) => Ok(only),
        (None, []) => Err(Failure::error("nobody is signed in").hint("sign in first: agent login box")),
        (None, _) => Err(Failure::error("there is more than one account").hint(format!(
            "say which with --account: {}; one of no use leaves with: agent remove-account NAME",
            known.join(", ")
        ))),
    }
}
