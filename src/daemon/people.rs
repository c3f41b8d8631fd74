//! Who is behind the numbers in a provider's events: asked once for each, when somebody looks at them, and only out of calls to spare.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::control::{Order, Ordered, order};
use crate::command::Command;
use crate::provider::{Cure, Provider, ProviderErrorKind};
use crate::report::{Nameless, Reports};

/// How long the provider may take for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Whoever looks waits no longer than this for all of them.
const ALL_LIMIT: Duration = Duration::from_secs(4);
/// After an answer that time cures nobody is asked about for this long.
const PAUSE: Duration = Duration::from_mins(1);

/// The providers that can be asked.
#[derive(Clone, Default)]
pub struct People(Arc<Inner>);

#[derive(Default)]
struct Inner {
    providers: Mutex<HashMap<String, Arc<dyn Provider>>>,
    pause: Mutex<Option<Instant>>,
    turn: Mutex<()>,
}

impl std::fmt::Debug for People {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("People").finish_non_exhaustive()
    }
}

impl People {
    /// An account's provider from now on.
    pub fn use_provider(&self, account: &str, provider: Option<Arc<dyn Provider>>) {
        let mut providers = locked(&self.0.providers);
        match provider {
            Some(provider) => providers.insert(account.to_owned(), provider),
            None => providers.remove(account),
        };
    }

    /// Whether somebody may be asked about now.
    pub fn may_ask(&self) -> bool {
        locked(&self.0.pause).is_none_or(|until| Instant::now() >= until)
    }

    /// Asks about one person. Blocks; for the blocking pool only.
    pub fn ask(&self, of: &Nameless) -> Option<Command> {
        // Two who look at the same time do not ask twice.
        let _turn = self.0.turn.try_lock().ok()?;
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let provider = locked(&self.0.providers).get(&of.account).cloned()?;
        let asked = runtime.block_on(async { tokio::time::timeout(ANSWER_LIMIT, provider.person(&of.user_id)).await });
        let noted = |user_id: &str, name: Option<String>| {
            Some(Command::NamePerson { account: of.account.clone(), user_id: user_id.to_owned(), name })
        };
        match asked {
            Ok(Ok(name)) => noted(&of.user_id, name),
            // The token may not ask about anybody.
            Ok(Err(error)) if error.kind == ProviderErrorKind::Forbidden => noted("", None),
            Ok(Err(error)) if error.cure() == Cure::Change && error.kind != ProviderErrorKind::SignInNeeded => {
                noted(&of.user_id, None)
            }
            Ok(Err(_)) | Err(_) => {
                *locked(&self.0.pause) = Some(Instant::now() + PAUSE);
                None
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has everybody named who is nameless among the newest events, as far as it goes quickly.
pub async fn name_all(reports: &Arc<dyn Reports>, orders: &mpsc::Sender<Ordered>) {
    let until = Instant::now() + ALL_LIMIT;
    let asking = Arc::clone(reports);
    let nameless = tokio::task::spawn_blocking(move || asking.nameless().unwrap_or_default()).await;
    for of in nameless.unwrap_or_default() {
        if Instant::now() >= until {
            return;
        }
        let asking = Arc::clone(reports);
        let asked = tokio::task::spawn_blocking(move || asking.ask_name(&of)).await;
        // Without an answer the others are not asked about either.
        let Ok(Some(command)) = asked else { return };
        let is_refused = matches!(&command, Command::NamePerson { user_id, .. } if user_id.is_empty());
        order(orders, Order::Do(command)).await;
        if is_refused {
            return;
        }
    }
}
