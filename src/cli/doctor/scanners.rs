//! Scanners: each is asked how it is, and of when its signatures are.

use super::{Checklist, now};
use crate::cli::render::age;
use crate::config::{Config, Places};
use crate::hook::{Call, Verdict, When, scanner};
use crate::runner::{Runner, Trust};

/// Signatures older than this miss what everybody else finds.
const OLD_MS: i64 = 7 * 24 * 3_600 * 1_000;

/// Asks every scanner.
pub async fn look(list: &mut Checklist, config: &Config, places: &Places) {
    let scanners: Vec<_> = config
        .hooks
        .iter()
        .filter(|hook| hook.when == When::Before)
        .filter_map(|hook| match &hook.call {
            Call::Scan(scanner) => Some((hook, scanner)),
            Call::Exec { .. } | Call::Http { .. } => None,
        })
        .collect();
    if scanners.is_empty() {
        return;
    }
    let runner = match Runner::new(Trust::of(places.is_system()), &places.credentials_dir()) {
        Ok(runner) => runner,
        Err(error) => return list.wrong("scanners", error.to_string(), "see the system's limits on threads"),
    };
    for (hook, place) in scanners {
        let name = format!("scanner `{}`", hook.name);
        let outcome = runner.probe(hook).await;
        let version = outcome.version.unwrap_or_default();
        if outcome.verdict != Verdict::Allow {
            let hint = format!("start it, or correct `scan = \"{place}\"`; what it decides about waits meanwhile");
            list.wrong(&name, outcome.reason.unwrap_or_else(|| "it does not answer".into()), hint);
            continue;
        }
        match scanner::signatures_at(&version) {
            Some(at) if now().since(at) > OLD_MS => {
                let text = format!("{version}; its signatures are of {}", age(at, now()));
                list.warning(&name, text, "see why they are not renewed (freshclam)");
            }
            Some(at) => list.fine(&name, format!("{version}; its signatures are of {}", age(at, now()))),
            None => list.fine(&name, version),
        }
        match runner.reach(hook).await {
            Some((text, true)) => list.fine(&name, text),
            Some((text, false)) => {
                list.warning(&name, text, "see clamd.conf; what it does not look into is not published");
            }
            None => {}
        }
    }
}
