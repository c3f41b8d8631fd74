//! What the demo has shown, in numbers.

use std::time::Duration;

use super::super::failure::{Exit, Outcome};
use super::super::render::{Screen, Tone, count, size, span};
use super::compare::Comparison;
use super::stage::REMOTE;
use super::{amount, refused};
use crate::sandbox::Cloud;

/// Differences that are listed.
const DIFFERENCES_SHOWN: usize = 10;

/// Everything that the summary says.
#[derive(Debug, Default)]
pub struct Summary {
    /// How long the first mirror took, if it was completed.
    pub first: Option<Duration>,
    /// Files of the first mirror.
    first_files: u64,
    /// Their bytes.
    first_bytes: u64,
    /// API calls of the first mirror.
    pub mirror_calls: u64,
    /// Downloads that the first mirror asked for.
    pub first_downloads: u64,
    /// API calls afterwards.
    pub life_calls: u64,
    /// Downloads that those asked for.
    pub downloads: u64,
    /// Events that touched the folder.
    pub events: u64,
    /// How long each deed took until the disk showed it.
    pub delays: Vec<Duration>,
    /// Whether somebody stopped the demo.
    pub interrupted: bool,
    /// Both sides in the end.
    pub comparison: Option<Comparison>,
}

impl Summary {
    /// Remembers what the first mirror was about.
    pub fn took_first(&mut self, cloud: &Cloud) -> Outcome<()> {
        let tree = cloud.tree(REMOTE).map_err(refused)?;
        self.first_files = tree.values().filter(|entry| !entry.is_folder).count() as u64;
        self.first_bytes = tree.values().map(|entry| entry.size).sum();
        self.mirror_calls = cloud.api_calls();
        self.first_downloads = downloads(cloud);
        Ok(())
    }

    /// Prints it; the exit code is 0 only if both sides are equal.
    pub fn show(mut self, screen: &mut Screen) -> Outcome {
        screen.line(screen.tint(Tone::Strong, "Summary"))?;
        if let Some(first) = self.first {
            let rate = size((self.first_bytes as f64 / first.as_secs_f64()) as u64);
            let what = amount(self.first_files, self.first_bytes);
            screen.line(format_args!("  first mirror   {what} in {}: {rate}/s", seconds(first)))?;
            screen.line(calls(self.mirror_calls, self.first_downloads, self.first_files, "file"))?;
        }
        if !self.delays.is_empty() {
            let deeds = count(self.delays.len() as u64, "change");
            screen.line(format_args!("  changes        {deeds}, which made {}", count(self.events, "event")))?;
            screen.line(calls(self.life_calls, self.downloads, self.delays.len() as u64, "change"))?;
            self.delays.sort_unstable();
            let (median, worst) = (span(self.quantile(0.5)), span(self.quantile(0.99)));
            screen.line(format_args!("  until on disk  median {median}, 99 of 100 within {worst}"))?;
        }
        self.verdict(screen)
    }

    /// The delay that this share of the changes did not exceed. The delays are in order.
    fn quantile(&self, share: f64) -> Duration {
        let rank = (share * self.delays.len() as f64).ceil() as usize;
        self.delays.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn verdict(&self, screen: &mut Screen) -> Outcome {
        let comparison = self.comparison.as_ref();
        let differences = comparison.map_or(&[][..], |comparison| &comparison.differences);
        let (Some(comparison), true) = (comparison, differences.is_empty()) else {
            let many = count(differences.len() as u64, "difference");
            screen.line(format_args!("  comparison     {}", screen.tint(Tone::Bad, format!("NOT equal: {many}"))))?;
            for difference in differences.iter().take(DIFFERENCES_SHOWN) {
                screen.line(format_args!("                 {difference}"))?;
            }
            if self.interrupted && self.first.is_none() {
                screen.line("                 it was stopped before the first mirror was complete")?;
            }
            return Ok(if self.interrupted { Exit::Pending } else { Exit::Error });
        };
        let what = amount(comparison.files, comparison.bytes);
        let folders = count(comparison.folders, "folder");
        let equal = screen.tint(Tone::Good, "equal");
        screen.line(format_args!("  comparison     {equal}: {what} and {folders}, hash by hash"))?;
        Ok(Exit::Fine)
    }
}

/// API calls, what they were for, and how many there were of them for each of `things`.
/// Downloads that a cloud was asked for, in the words of all providers.
pub fn downloads(cloud: &Cloud) -> u64 {
    cloud.count("content") + cloud.count("egnyte_download")
}

fn calls(calls: u64, downloads: u64, things: u64, noun: &str) -> String {
    let each = calls as f64 / things.max(1) as f64;
    let (calls_text, others) = (count(calls, "API call"), calls.saturating_sub(downloads));
    let downloads = count(downloads, "download");
    format!("                 {calls_text} ({downloads}, {others} looks and listings), {each:.2} a {noun}")
}

/// A short span with its tenths.
fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}
