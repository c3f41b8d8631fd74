//! The agent's figures for monitoring systems: OpenMetrics, or the older text format, of what one status and the live counts say.
//!
//! Names follow Prometheus' conventions: base units, `_total` for what only grows, timestamps in seconds since 1970. What only a running
//! agent knows is left out where none is running.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::meters::HookMeter;
use crate::provider::http::CallKind;
use crate::report::{AccountStatus, FolderState, FolderStatus, LeftOut, MetricsFormat, SIGN_IN_WARNING_MS, Status};
use crate::store::figures::Deliveries;
use crate::tree::Wall;

/// What every name begins with.
const PREFIX: &str = "folder_sync";

/// A day in seconds.
const DAY_S: f64 = 86_400.0;

/// Everything that the figures are made of, at one moment.
#[derive(Debug)]
pub struct Figures {
    /// When.
    pub now: Wall,
    /// What `agent status` says.
    pub status: Status,
    /// What it does not say of folders, by name.
    pub folders: BTreeMap<String, FolderFigures>,
    /// Deliveries that are not told.
    pub deliveries: Vec<Deliveries>,
    /// How often the agent was started with this database.
    pub starts: u64,
    /// The database's length, and that of its log.
    pub store_bytes: Option<u64>,
    /// The length of the write-ahead log.
    pub wal_bytes: u64,
    /// What only a running agent knows.
    pub live: Option<LiveFigures>,
}

/// What `agent status` does not say of a folder.
#[derive(Debug, Clone, Copy, Default)]
pub struct FolderFigures {
    /// When the oldest event came that is not applied.
    pub oldest_unapplied: Option<Wall>,
    /// Conflicts that nobody decided.
    pub conflicts: u64,
}

/// What only a running agent knows.
#[derive(Debug, Default)]
pub struct LiveFigures {
    /// When the process started.
    pub started: Wall,
    /// How requests ended, by account.
    pub answers: BTreeMap<String, BTreeMap<(CallKind, Option<u16>), u64>>,
    /// Times from events to what they changed on disk, by folder.
    pub visible: BTreeMap<String, Histogram>,
    /// Runs of hooks.
    pub hooks: BTreeMap<String, HookMeter>,
    /// Batches made durable.
    pub commits: u64,
    /// The longest that one of them took.
    pub longest_step: std::time::Duration,
    /// How often the engine was built anew because the database failed.
    pub store_failures: u64,
}

impl Figures {
    /// The document.
    pub fn document(self, format: MetricsFormat) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(self));
        let mut document = String::new();
        match format {
            MetricsFormat::OpenMetrics => text::encode(&mut document, &registry)?,
            MetricsFormat::Text => prometheus_text::encode(&mut document, &registry)?,
        }
        Ok(document)
    }
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// A gauge or a counter with its rows.
struct Family<'a> {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    counts: bool,
    rows: Vec<(Labels<'a>, f64)>,
}

impl<'a> Family<'a> {
    fn gauge(name: &'static str, help: &'static str, rows: impl IntoIterator<Item = (Labels<'a>, f64)>) -> Self {
        Self { name, help, unit: None, counts: false, rows: rows.into_iter().collect() }
    }

    fn counter(name: &'static str, help: &'static str, rows: impl IntoIterator<Item = (Labels<'a>, f64)>) -> Self {
        Self { counts: true, ..Self::gauge(name, help, rows) }
    }

    fn seconds(self) -> Self {
        Self { unit: Some(Unit::Seconds), ..self }
    }

    fn bytes(self) -> Self {
        Self { unit: Some(Unit::Bytes), ..self }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let kind = if self.counts { MetricType::Counter } else { MetricType::Gauge };
        let mut metric = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), kind)?;
        for (labels, value) in &self.rows {
            let row = metric.encode_family(labels)?;
            if self.counts {
                ConstCounter::new(*value as u64).encode(row)?;
            } else {
                ConstGauge::new(*value).encode(row)?;
            }
        }
        Ok(())
    }
}

/// An account with its provider, for whoever must sign in again.
fn named(account: &AccountStatus) -> Labels<'_> {
    vec![("account", account.name.as_str()), ("provider", account.provider.as_str())]
}

fn one(value: f64) -> [(Labels<'static>, f64); 1] {
    [(Vec::new(), value)]
}

fn truth(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

fn seconds(wall: Wall) -> f64 {
    wall.0 as f64 / 1_000.0
}

fn histograms<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    label: &'static str,
    rows: impl IntoIterator<Item = (&'a String, &'a Histogram)>,
) -> fmt::Result {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (value, histogram) in rows {
        let labels = [(label, value.as_str())];
        histogram.encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let families = [self.of_agent(), self.of_accounts(), self.of_folders(), self.of_hooks(), self.of_store()];
        for family in families.iter().flatten() {
            family.encode(&mut encoder)?;
        }
        let Some(live) = &self.live else { return Ok(()) };
        histograms(
            &mut encoder,
            ("event_to_visible", "Time from an event's arrival until the disk shows what it told"),
            "folder",
            &live.visible,
        )?;
        histograms(
            &mut encoder,
            ("hook_duration", "How long runs of a hook took"),
            "hook",
            live.hooks.iter().map(|(name, meter)| (name, &meter.took)),
        )
    }
}

impl Figures {
    fn of_agent(&self) -> Vec<Family<'_>> {
        let status = &self.status;
        let mut families = vec![
            Family::gauge("build_info", "The agent's version", [(vec![("version", status.version.as_str())], 1.0)]),
            Family::gauge("running", "Whether an agent is running", one(truth(status.running))),
            Family::gauge("in_sync", "Whether everything is in sync", one(truth(status.in_sync))),
            Family::gauge("held", "Holds that wait for a person", one(status.held as f64)),
            Family::gauge("problems", "Items with a problem", one(status.problems as f64)),
            Family::gauge(
                "degraded",
                "What is wrong with the agent as a whole, by name",
                status.degraded.iter().map(|degraded| (vec![("reason", degraded.name.as_str())], 1.0)),
            ),
            Family::counter("starts", "Starts of the agent with this database", one(self.starts as f64)),
        ];
        if let Some(live) = &self.live {
            families.push(
                Family::gauge("start_timestamp", "When this process started", one(seconds(live.started))).seconds(),
            );
        }
        families
    }

    fn accounts<'a>(
        &'a self,
        value: impl Fn(&AccountStatus) -> Option<f64> + 'a,
    ) -> impl Iterator<Item = (Labels<'a>, f64)> {
        let row = move |account: &'a AccountStatus| Some((vec![("account", account.name.as_str())], value(account)?));
        self.status.accounts.iter().filter_map(row)
    }

    fn of_accounts(&self) -> Vec<Family<'_>> {
        let now = self.now;
        let mut families = self.of_sign_ins();
        families.extend([
            Family::gauge(
                "account_last_read_timestamp",
                "When the event stream was last read with success",
                self.accounts(|account| account.last_poll.map(seconds)),
            )
            .seconds(),
            Family::gauge(
                "account_long_poll",
                "Whether news arrives by long poll right now",
                self.accounts(|account| Some(truth(account.long_poll))),
            ),
            Family::counter(
                "events",
                "Events read since the start of the database, by what became of them",
                self.status.accounts.iter().flat_map(|account| {
                    let counts = account.events;
                    [
                        ("relevant", counts.relevant),
                        ("foreign", counts.foreign),
                        ("repeated", counts.repeated),
                        ("stale", counts.stale),
                        ("own", counts.own),
                    ]
                    .map(|(word, count)| {
                        (vec![("account", account.name.as_str()), ("disposition", word)], count as f64)
                    })
                }),
            ),
            Family::gauge(
                "api_budget_calls",
                "Calls that the API budget allows a day (UTC)",
                self.accounts(|account| Some(account.budget.per_day? as f64)),
            ),
            Family::gauge(
                "api_budget_left_calls",
                "Calls left of this day's API budget",
                self.accounts(
                    |account| Some(account.budget.per_day?.saturating_sub(account.budget.spent_today) as f64),
                ),
            ),
            Family::gauge(
                "api_budget_share_calls",
                "How the rest of the day's calls is shared",
                self.status.accounts.iter().flat_map(|account| {
                    let shares = account.budget.shares;
                    let rows = shares
                        .map(|shares| [("listening", shares.listening), ("news", shares.news), ("free", shares.free)]);
                    let row = |(word, calls): (&'static str, u64)| {
                        (vec![("account", account.name.as_str()), ("share", word)], calls as f64)
                    };
                    rows.into_iter().flatten().map(row).collect::<Vec<_>>()
                }),
            ),
            Family::gauge(
                "api_budget_forecast",
                "Time that the work known now takes within the API budget, in whole days",
                self.accounts(|account| Some(account.budget.forecast_days? as f64 * DAY_S)),
            )
            .seconds(),
            Family::gauge(
                "api_budget_reset",
                "Time until the day's count starts again",
                self.accounts(move |account| Some((account.budget.resets_at?.since(now).max(0) as f64) / 1_000.0)),
            )
            .seconds(),
            Family::gauge(
                "api_closed",
                "Time for which the provider asked for no calls",
                self.accounts(move |account| {
                    Some(account.budget.closed_until.map_or(0, |until| until.since(now).max(0)) as f64 / 1_000.0)
                }),
            )
            .seconds(),
        ]);
        families
    }

    fn of_sign_ins(&self) -> Vec<Family<'_>> {
        let now = self.now;
        let ends_soon = move |account: &AccountStatus| {
            truth(account.sign_in_ends.is_some_and(|end| end.since(now) <= SIGN_IN_WARNING_MS))
        };
        vec![
            Family::gauge(
                "account_degraded",
                "What is wrong with an account, by name",
                self.status.accounts.iter().filter_map(|account| {
                    let degraded = account.degraded.as_ref()?;
                    let mut labels = named(account);
                    labels.push(("reason", degraded.name.as_str()));
                    Some((labels, 1.0))
                }),
            ),
            Family::gauge(
                "account_sign_in_end_timestamp",
                "When the sign-in ends unless somebody signs in again, if that is known",
                self.status
                    .accounts
                    .iter()
                    .filter_map(|account| Some((named(account), seconds(account.sign_in_ends?)))),
            )
            .seconds(),
            Family::gauge(
                "account_sign_in_ends_soon",
                "Whether the sign-in ends within 7 days",
                self.status.accounts.iter().map(move |account| (named(account), ends_soon(account))),
            ),
        ]
    }

    fn folders<'a>(
        &'a self,
        value: impl Fn(&FolderStatus, FolderFigures) -> Option<f64> + 'a,
    ) -> impl Iterator<Item = (Labels<'a>, f64)> {
        self.status.folders.iter().filter_map(move |folder| {
            let more = self.folders.get(&folder.name).copied().unwrap_or_default();
            Some((vec![("folder", folder.name.as_str())], value(folder, more)?))
        })
    }

    fn of_folders(&self) -> Vec<Family<'_>> {
        let now = self.now;
        let age = move |since: Wall| now.since(since).max(0) as f64 / 1_000.0;
        let states = self.status.folders.iter().flat_map(|folder| {
            FolderState::ALL.map(|state| {
                let labels = vec![("folder", folder.name.as_str()), ("state", state.word())];
                (labels, truth(folder.state == state))
            })
        });
        vec![
            Family::gauge("folder_state", "The state of a folder: 1 for the one that it is in", states),
            Family::gauge(
                "folder_degraded",
                "What is wrong with a folder, by name",
                self.status.folders.iter().filter_map(|folder| {
                    let degraded = folder.degraded.as_ref()?;
                    Some((vec![("folder", folder.name.as_str()), ("reason", degraded.name.as_str())], 1.0))
                }),
            ),
            Family::gauge(
                "folder_lag",
                "Age of the oldest event whose work is not done; what has a problem or waits for a person is counted there",
                self.folders(move |_, more| Some(more.oldest_unapplied.map_or(0.0, age))),
            )
            .seconds(),
            Family::gauge(
                "folder_oldest_unverified",
                "Age of the oldest observation of the cloud: everything in the folder was seen since",
                self.folders(move |folder, _| folder.oldest_seen.map(age)),
            )
            .seconds(),
            Family::gauge("folder_files", "Files on disk", self.folders(|folder, _| Some(folder.files as f64))),
            Family::gauge("folder_size", "Bytes of the files on disk", self.folders(|folder, _| Some(folder.bytes as f64)))
                .bytes(),
            Family::gauge(
                "folder_pending",
                "Items with work to do",
                self.folders(|folder, _| Some(folder.pending as f64)),
            ),
            Family::gauge(
                "folder_pending_size",
                "Bytes still to fetch, as far as known",
                self.folders(|folder, _| Some(folder.pending_bytes as f64)),
            )
            .bytes(),
            Family::gauge(
                "folder_transfers",
                "Transfers under way",
                self.folders(|folder, _| Some(folder.transfers.len() as f64)),
            ),
            Family::gauge(
                "folder_problems",
                "Items with a problem, those in quarantine among them",
                self.folders(|folder, _| Some(folder.problems as f64)),
            ),
            Family::gauge(
                "folder_conflicts",
                "Conflicts that nobody decided",
                self.folders(|_, more| Some(more.conflicts as f64)),
            ),
            Family::gauge(
                "folder_left_out",
                "Entries of local directories that are never sent, by kind",
                self.status.folders.iter().flat_map(|folder| {
                    let LeftOut { links, special, mounts, .. } = folder.left_out;
                    [("link", links), ("special", special), ("mount", mounts)]
                        .map(|(kind, count)| (vec![("folder", folder.name.as_str()), ("kind", kind)], count as f64))
                }),
            ),
            Family::gauge("folder_held", "Holds that wait for a person", self.folders(|folder, _| Some(folder.held as f64))),
            Family::gauge(
                "folder_quarantined",
                "Versions in quarantine that wait for a person",
                self.folders(|folder, _| Some(folder.quarantined as f64)),
            ),
        ]
    }

    fn of_hooks(&self) -> Vec<Family<'_>> {
        let mut families = vec![Family::gauge(
            "hook_deliveries",
            "Deliveries of after hooks that are not told: waiting, or dead after all attempts",
            self.deliveries.iter().flat_map(|of| {
                [("waiting", of.waiting), ("dead", of.dead)]
                    .map(|(state, count)| (vec![("hook", of.hook.as_str()), ("state", state)], count as f64))
            }),
        )];
        families.push(
            Family::gauge(
                "scanner_signatures_timestamp",
                "Of when the signatures of a scanner are, as it says itself",
                self.status.scanners.iter().filter_map(|scanner| {
                    Some((vec![("hook", scanner.hook.as_str())], seconds(scanner.signatures_at?)))
                }),
            )
            .seconds(),
        );
        families.push(Family::gauge(
            "scanner_down",
            "Whether a scanner does not work, so that what it decides about waits",
            self.status
                .scanners
                .iter()
                .map(|scanner| (vec![("hook", scanner.hook.as_str())], truth(scanner.down_since.is_some()))),
        ));
        if let Some(live) = &self.live {
            families.push(Family::counter(
                "hook_runs",
                "Runs of hooks since the agent started, by verdict",
                live.hooks.iter().flat_map(|(hook, meter)| {
                    let row = move |(verdict, count): (&&'static str, &u64)| {
                        (vec![("hook", hook.as_str()), ("verdict", *verdict)], *count as f64)
                    };
                    meter.verdicts.iter().map(row)
                }),
            ));
        }
        families
    }

    fn of_store(&self) -> Vec<Family<'_>> {
        let mut families = vec![
            Family::gauge(
                "store_size",
                "Length of the database file",
                self.store_bytes.map(|bytes| (Vec::new(), bytes as f64)),
            )
            .bytes(),
            Family::gauge("store_wal_size", "Length of the database's write-ahead log", one(self.wal_bytes as f64))
                .bytes(),
        ];
        if let Some(live) = &self.live {
            families.push(Family::counter(
                "store_commits",
                "Transactions of the engine since the agent started",
                one(live.commits as f64),
            ));
            families.push(
                Family::gauge(
                    "step_longest",
                    "The longest that one step of the engine took since the agent started, its transaction included",
                    one(live.longest_step.as_secs_f64()),
                )
                .seconds(),
            );
            families.push(Family::counter(
                "store_failures",
                "Times that the engine was built anew because the database failed",
                one(live.store_failures as f64),
            ));
            families.push(Family::counter(
                "api_requests",
                "Requests to the provider since the agent started, by kind and status; `none` where no answer came",
                live.answers.iter().flat_map(|(account, answers)| {
                    answers.iter().map(move |((kind, status), count)| {
                        let labels = vec![
                            ("account", account.as_str()),
                            ("kind", kind.word()),
                            ("status", status_word(*status)),
                        ];
                        (labels, *count as f64)
                    })
                }),
            ));
        }
        families
    }
}

/// A status as a label. Those that tell something are named; of the others the class is enough.
fn status_word(status: Option<u16>) -> &'static str {
    match status {
        None => "none",
        Some(200) => "200",
        Some(206) => "206",
        Some(302) => "302",
        Some(401) => "401",
        Some(403) => "403",
        Some(404) => "404",
        Some(409) => "409",
        Some(412) => "412",
        Some(429) => "429",
        Some(500) => "500",
        Some(502) => "502",
        Some(503) => "503",
        Some(504) => "504",
        Some(status) => match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
    }
}
