//! Questions to clouds, in the name of whoever they are asked for; and whom the journal is passed on to.

use std::sync::Arc;

use super::{World, ask, failed, post, unwanted};
use crate::daemon::subscribe::Subscriptions;
use crate::engine::Task;
use crate::events::subscription::SubscriptionSettings;
use crate::id::{AccountId, JobId};
use crate::provider::{ProviderError, ProviderErrorKind};

impl World {
    /// Has subscriptions served.
    pub fn serve_by(&mut self, subscriptions: Subscriptions) {
        self.subscriptions = Some(subscriptions);
    }

    pub(super) fn serve(&mut self, wanted: Vec<SubscriptionSettings>) {
        if let Some(subscriptions) = &mut self.subscriptions {
            subscriptions.serve(wanted, &self.tasks);
        }
    }

    /// Whether nothing is on its way to a subscriber.
    pub fn subscribers_are_settled(&self) -> bool {
        self.subscriptions.as_ref().is_none_or(Subscriptions::are_settled)
    }

    pub(super) fn journal_grew(&self) {
        if let Some(subscriptions) = &self.subscriptions {
            subscriptions.journal_grew();
        }
    }

    pub(super) fn cloud(&mut self, job: JobId, id: AccountId, task: Task) {
        let user = self.acting.remove(&job);
        let Some(account) = self.accounts.get(&id) else {
            let error = ProviderError::new(ProviderErrorKind::Local, "the account is not in use");
            self.post(job, failed(&task, error));
            return;
        };
        let provider = match &account.provider {
            Ok(provider) => Arc::clone(provider),
            Err(error) => {
                let error = error.clone();
                self.post(job, failed(&task, error));
                return;
            }
        };
        let provider = match user {
            None => provider,
            Some(user) => {
                let Some(acting) = provider.acting_for(&user) else {
                    let error = ProviderError::new(ProviderErrorKind::Local, "this account cannot act for other users");
                    self.post(job, failed(&task, error));
                    return;
                };
                acting
            }
        };
        let cancel = account.cancel.child_token();
        self.jobs.insert(job, cancel.clone());
        let inputs = self.inputs.clone();
        let bandwidth = Arc::clone(&account.bandwidth);
        let task = match task {
            Task::Fetch(folder, order) => return self.fetch(job, folder, *order, provider, bandwidth, cancel),
            Task::Upload(folder, order) => return self.upload(job, folder, *order, provider, bandwidth, cancel),
            task => task,
        };
        let work = async move {
            let outcome = tokio::select! {
                outcome = ask(&*provider, &task) => outcome,
                () = cancel.cancelled() => failed(&task, unwanted(&task)),
            };
            post(&inputs, job, outcome);
        };
        self.tasks.spawn_on(work, &self.runtime);
    }
}
