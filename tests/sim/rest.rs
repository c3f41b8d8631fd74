//! When nothing is left to do, and what is left if there is something; holds, which a person decides.

use folder_sync_agent::command::Command;
use folder_sync_agent::id::{AccountId, HoldId};
use folder_sync_agent::report::Degraded;
use folder_sync_agent::settings::Mode;

use super::world::{FOLDER, Happening, World};

/// How long the world may take to come to rest after the last misfortune.
const REST_WITHIN_MS: u64 = 12 * 3_600 * 1_000;
/// How long what waits for another item is watched before it is believed to wait for a person: it is tried every few seconds.
const WAITS_WATCHED_MS: u64 = 60_000;

impl World {
    /// Answers open holds of mass deletion.
    pub fn decide_holds(&mut self, may_reject: bool) {
        let Some(hold) = self.open_hold() else { return };
        self.tally.holds += 1;
        if may_reject && self.chance.one_in(self.swarm.reject) {
            self.refused = true;
            self.tally.hit("hold refused");
            self.command(Command::Reject { hold });
        } else {
            self.approved = true;
            self.command(Command::Approve { hold });
        }
    }

    pub fn open_hold(&self) -> Option<HoldId> {
        let down = self.store().open_hold(FOLDER, "mass_delete").unwrap();
        down.or_else(|| self.store().open_hold(FOLDER, "mass_delete_in_cloud").unwrap())
    }

    /// Runs until nothing is left to do.
    pub fn rest(&mut self) {
        let begun = self.now;
        let mut quiet_since = None;
        loop {
            assert!(self.step(), "V2: nothing will ever happen again");
            if self.now >= begun + REST_WITHIN_MS {
                self.say(|| format!("{:?}", self.engine()));
            }
            assert!(self.now < begun + REST_WITHIN_MS, "V2: no rest: {}", self.unrest().unwrap_or_default());
            if self.at_rest() {
                let since = *quiet_since.get_or_insert(self.now);
                if self.now >= since + WAITS_WATCHED_MS || !self.anybody_waits() {
                    return;
                }
            }
        }
    }

    /// Whether an item waits for another one.
    fn anybody_waits(&self) -> bool {
        let waits = |node| {
            let problem = self.store().work(node).unwrap().and_then(|work| work.problem);
            problem.is_some_and(|(code, _)| is_for_another(&code))
        };
        let planned = self.store().reader().planned(FOLDER).unwrap();
        if planned.is_empty() {
            // There is no work at all.
            return false;
        }
        let item = |id| self.store().item_by_id(FOLDER, id).unwrap();
        planned.iter().any(|planned| waits(planned.item.node))
            || self.cloud.all_ids.iter().filter_map(item).any(|item| waits(item.node))
    }

    pub fn at_rest(&self) -> bool {
        if !self.inbox.is_empty()
            || !self.cloud.is_all_told() && !self.misfortune
            || self.heap.values().any(|happening| !matches!(happening, Happening::Late))
        {
            return false;
        }
        self.unrest().is_none()
    }

    /// What is still to be done.
    pub fn unrest(&self) -> Option<String> {
        let mono = self.now - self.boot;
        if self.engine().deadline().is_none_or(|deadline| deadline <= mono) {
            return Some(format!("the deadline is {:?} at {mono}", self.engine().deadline()));
        }
        self.unsettled()
    }

    /// What is still to be done, whenever that may be.
    pub fn unsettled(&self) -> Option<String> {
        let folder = self.store().folders().unwrap().into_iter().find(|folder| folder.folder == FOLDER);
        let Some(folder) = folder else { return Some("the folder has no row".into()) };
        if folder.unverified.is_some() || folder.comparison_stage.is_some() || folder.verified_at.is_none() {
            return Some(format!("comparison: {:?} {:?}", folder.unverified, folder.comparison_stage));
        }
        if folder.doubt.is_some() {
            return Some("an event that could not be understood".into());
        }
        // The pace of calls may put the look at it off.
        let strays = self.store().strays(AccountId(1)).unwrap();
        if !strays.is_empty() {
            return Some(format!("ids without a place: {strays:?}"));
        }
        let health = self.engine().health();
        let is_well = !health.accounts.values().any(|account| account.degraded.as_ref().is_some_and(Degraded::halts))
            && health.folders.values().all(Option::is_none);
        if !is_well {
            return Some(format!("degraded: {health:?}"));
        }
        if self.store().busy(FOLDER).unwrap() || !self.store().intents(FOLDER).unwrap().is_empty() {
            return Some(format!("busy: {:?}", self.work()));
        }
        let unread = self.store().failed_scans(FOLDER, 1).unwrap();
        if !unread.is_empty() || self.store().scan_left(FOLDER).unwrap() || self.store().sent_left(FOLDER).unwrap() {
            return Some("scans or writes are left".into());
        }
        if self.swarm.mode != Mode::Mirror {
            let mut planned = self.store().reader().planned(FOLDER).unwrap();
            let code = |node| self.store().work(node).unwrap().and_then(|work| work.problem).map(|(code, _)| code);
            let by_design = planned.len();
            planned.retain(|planned| !code(planned.item.node).is_some_and(|code| is_by_design(&code)));
            let by_design = by_design - planned.len();
            // What waits for one that waits for a person waits for that person too.
            planned
                .retain(|planned| by_design == 0 || !code(planned.item.node).is_some_and(|code| is_for_another(&code)));
            if !planned.is_empty() {
                let work: Vec<_> = planned.iter().map(|planned| self.store().work(planned.item.node)).collect();
                return Some(format!("planned: {planned:#?} {work:?}"));
            }
        }
        let work = self.work();
        if !work.is_empty() {
            return Some(format!("work: {work:?}"));
        }
        if self.long_poll.is_none() && self.waits.len() != usize::from(self.swarm.long_poll) {
            return Some("no long poll".into());
        }
        let at_end = self.read_to.as_ref().is_some_and(|cursor| !self.cloud.has_news(cursor));
        (!at_end).then(|| "the stream is not read to its end".into())
    }

    /// Work that is left, but for what waits for a person by design.
    fn work(&self) -> Vec<String> {
        let mut left = Vec::new();
        // What only the disk has may wait for a person, too.
        let planned = self.store().reader().planned(FOLDER).unwrap();
        if planned.is_empty() {
            return left;
        }
        let problem = |node| self.store().work(node).unwrap().and_then(|work| work.problem);
        let waits = |node| problem(node).is_some_and(|(code, _)| is_by_design(&code));
        let mut by_design = planned.iter().filter(|planned| waits(planned.item.node)).count();
        let mut waiting = Vec::new();
        for id in &self.cloud.all_ids {
            let Some(item) = self.store().item_by_id(FOLDER, id).unwrap() else { continue };
            let Some(work) = self.store().work(item.node).unwrap() else { continue };
            match work.problem.as_ref().map(|(code, _)| code.as_str()) {
                Some(code) if is_by_design(code) => by_design += 1,
                Some(code) if is_for_another(code) => waiting.push(format!("{id} {work:?} {item:?}")),
                _ => left.push(format!("{id} {work:?} {item:?}")),
            }
        }
        // What waits for one that waits for a person waits for that person too.
        if by_design == 0 {
            left.append(&mut waiting);
        }
        left
    }
}

/// Problems that last until a person does something.
pub fn is_by_design(code: &str) -> bool {
    ["local_in_the_way", "drift", "name_in_cloud"].contains(&code)
}

/// Codes of what waits for another item, and is well or in trouble with it.
pub fn is_for_another(code: &str) -> bool {
    ["waits", "above"].contains(&code)
}
