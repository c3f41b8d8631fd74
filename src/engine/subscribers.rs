//! Who receives events: the places of subscriptions in the journal, kept in the transactions of the engine and moved by workers outside.
//!
//! Invariant: nothing here waits for a subscriber. The journal grows by what the stream brings, workers read it on connections of their own,
//! and all that comes back is a number.

use std::collections::BTreeSet;

use super::effect::Effect;
use super::input::Now;
use crate::events::subscription::{Beginning, SubscriptionNews, SubscriptionSettings, WhenFull};
use crate::store::{Result, Store};

/// The subscriptions that are wished for.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    wanted: Vec<SubscriptionSettings>,
    /// The journal grew since the last step ended.
    grew: bool,
}

impl Subscribers {
    /// Takes the subscriptions of a configuration. Those that are not in it any more lose their places.
    pub fn wish(&mut self, store: &mut Store, wanted: Vec<SubscriptionSettings>) -> Result<Effect> {
        let names: BTreeSet<&str> = wanted.iter().map(|one| one.name.as_str()).collect();
        for row in store.reader().subscriptions()? {
            if !names.contains(row.name.as_str()) {
                store.forget_subscription(&row.name)?;
            }
        }
        for one in &wanted {
            let (blocks, from_oldest) = (one.when_full == WhenFull::Block, one.beginning == Beginning::Oldest);
            store.want_subscription(&one.name, one.backlog, blocks, from_oldest)?;
        }
        self.wanted.clone_from(&wanted);
        Ok(Effect::Subscribe(wanted))
    }

    /// Whether the text of events is kept for somebody.
    pub fn wants_raw(&self, account: &str) -> bool {
        let of = |one: &SubscriptionSettings| one.filter.account.as_deref().is_none_or(|of| of == account);
        self.wanted.iter().any(|one| one.raw && of(one))
    }

    /// An entry may have been added to the journal.
    pub fn grew(&mut self, added: bool) {
        self.grew |= added;
    }

    /// What the workers are to be told when this step is committed.
    pub fn take_growth(&mut self) -> Option<Effect> {
        let grew = std::mem::take(&mut self.grew);
        (grew && !self.wanted.is_empty()).then_some(Effect::JournalGrew)
    }

    /// A worker has something to say.
    pub fn news(store: &mut Store, name: &str, news: &SubscriptionNews, now: Now) -> Result<()> {
        match news {
            SubscriptionNews::Delivered { cursor, epoch, events, lost } => {
                store.subscription_delivered(name, (*cursor, *epoch), (*events, *lost), now.wall)
            }
            SubscriptionNews::Failed { reason, again_ms } => {
                let again = now.wall.plus_ms(i64::try_from(*again_ms).unwrap_or(i64::MAX));
                store.subscription_failed(name, reason, again, now.wall)
            }
        }
    }

    /// The subscription of a name.
    pub fn names(&self) -> Vec<&str> {
        self.wanted.iter().map(|one| one.name.as_str()).collect()
    }
}
