//! `agent demo`: the real agent against a cloud of its own, with the proof at the end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::failure::{Failure, Outcome};
use super::login::CloudArg;
use super::render::{Screen, Tone, count, harmless, size, span};
use crate::config::Config;
use crate::daemon::client::ControlClient;
use crate::daemon::{self, RunEnd, RunError, RunOptions};
use crate::sandbox::{self, Bustle, Cloud};
use crate::settings::ProviderName;

mod compare;
mod mirror;
mod scan;
mod stage;
mod story;
mod summary;
mod watch;

use compare::{Comparison, Disk};
use stage::{REMOTE, Stage};
use summary::Summary;
use watch::Watch;

/// How long the other user rests between two deeds where a person looks on.
const PACE_FOR_PEOPLE: Duration = Duration::from_millis(350);
/// How long the other user rests between two deeds of `--seconds`.
const PACE_OF_LIFE: Duration = Duration::from_millis(150);
/// How long the disk may take to show a deed, or the agent to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the life of `--seconds` follows from.
const SEED_OF_LIFE: u64 = 7;

/// Show the agent at work, without an account
///
/// Starts a sandbox cloud, fills it, mirrors it to a temporary directory, and lets another user change things while the
/// screen shows each event, what became of it, and how long it took until the disk showed it. In the end both sides are
/// compared hash by hash; the demo ends with 0 only if they are equal.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent demo
  agent demo --provider egnyte
  agent demo --seconds 30
  agent demo --scan
  agent demo --dir ./demo --large '1 GiB'")]
pub struct DemoArgs {
    /// The provider whose API the cloud and the agent speak
    #[arg(long, value_enum, default_value_t = CloudArg::Box)]
    provider: CloudArg,
    /// Work in this directory, which must be empty, and keep it [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Let the other user go on for this long
    #[arg(long, value_name = "N", default_value_t = 0)]
    seconds: u32,
    /// Have every file scanned first, and show an infected upload being caught
    #[arg(long)]
    scan: bool,
    /// The size of the largest file
    #[arg(long, value_name = "SIZE", default_value = "300 MB", value_parser = bytes)]
    large: u64,
}

/// Reads a size as people write it.
pub fn bytes(text: &str) -> Result<u64, String> {
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| "expected a size such as \"300 MB\"".to_owned())
}

/// Runs `agent demo`.
pub async fn demo(args: &DemoArgs, screen: &mut Screen) -> Outcome {
    let stage = Stage::set_up(args.dir.as_deref(), args.large, args.provider.name(), args.scan).await?;
    let stop = CancellationToken::new();
    let interrupted = on_signal(stop.clone());
    let shown = Show { stage: &stage, stop: &stop, disk: Disk::new(&stage.local) }.run(args, screen).await;
    interrupted.abort();
    let summary = shown?;
    let exit = summary.show(screen)?;
    if args.dir.is_some() {
        let home = stage.places.state_dir.display();
        screen.line(format_args!("\nKept: {} (look around: agent --home {home} events)", stage.dir.display()))?;
    }
    stage.take_down().await;
    Ok(exit)
}

/// Cancels the token when somebody asks the process to end.
fn on_signal(stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Without handlers a signal ends the process at once, which leaves only temporary files behind.
        if super::terminal::stop_signal().await.is_ok() {
            stop.cancel();
        }
    })
}

/// The running agent, in this process.
struct Running {
    stop: CancellationToken,
    ended: JoinHandle<Result<RunEnd, RunError>>,
}

impl Running {
    fn start(stage: &Stage, config: Config, once: bool, watch: &Watch) -> Self {
        let stop = CancellationToken::new();
        let options = RunOptions { once, stop: stop.clone(), notices: Some(watch.sender()), ..RunOptions::default() };
        let places = stage.places.clone();
        Self { stop, ended: tokio::spawn(async move { daemon::run(&places, config, options).await }) }
    }

    /// Waits for the agent's own end.
    async fn end(self) -> Outcome<()> {
        let limit = tokio::time::timeout(PATIENCE, self.ended).await;
        let ended = limit
            .map_err(|_| Failure::error("the agent did not end").hint("that should not happen: please report it"))?;
        ended.map_err(|error| Failure::error("the agent broke").because(error))??;
        Ok(())
    }

    async fn stop(self) -> Outcome<()> {
        self.stop.cancel();
        self.end().await
    }
}

/// What the demo works with.
struct Show<'a> {
    stage: &'a Stage,
    stop: &'a CancellationToken,
    disk: Disk,
}

impl Show<'_> {
    async fn run(mut self, args: &DemoArgs, screen: &mut Screen) -> Outcome<Summary> {
        let cloud = self.stage.sandbox.cloud();
        let config = Config::load(&self.stage.places)?;
        screen.line(screen.tint(Tone::Strong, "A sandbox cloud, and the agent beside it"))?;
        screen.line(format_args!("  cloud   {} on {}", REMOTE, self.stage.sandbox.url()))?;
        screen.line(format_args!("  disk    {}", harmless(&self.stage.local.display().to_string())))?;
        screen.line("")?;
        screen.flush()?;

        let mut watch = Watch::new();
        let mut summary = Summary::default();
        let begun = Instant::now();
        let running = Running::start(self.stage, config.clone(), false, &watch);
        let mirrored = mirror::first(self.stage, &mut self.disk, self.stop, screen).await?;
        summary.first = mirrored.then(|| begun.elapsed());
        if mirrored {
            summary.took_first(&cloud)?;
            watch.forget();
            self.live(args, &cloud, &mut watch, &mut summary, screen).await?;
        }
        // The demo's end is the moment at which the agent itself says that everything is in sync.
        if !self.stop.is_cancelled() {
            self.in_sync(&cloud).await?;
        }
        running.stop().await?;
        if self.stop.is_cancelled() && mirrored {
            screen.line(screen.tint(Tone::Quiet, "\nStopping: the agent catches up once more."))?;
            screen.flush()?;
            Running::start(self.stage, config, true, &watch).end().await?;
        }
        summary.interrupted = self.stop.is_cancelled();
        summary.life_calls = cloud.api_calls() - summary.mirror_calls;
        summary.downloads = summary::downloads(&cloud) - summary.first_downloads;
        summary.events = watch.events();
        summary.comparison = Some(Comparison::by_hash(&cloud, &self.stage.local).await?);
        Ok(summary)
    }

    /// The other user's deeds, one after another, each until the disk shows it.
    async fn live(
        &mut self,
        args: &DemoArgs,
        cloud: &Cloud,
        watch: &mut Watch,
        summary: &mut Summary,
        screen: &mut Screen,
    ) -> Outcome<()> {
        screen.line(screen.tint(Tone::Strong, "Another user changes things"))?;
        for act in story::acts() {
            let rest = if screen.is_terminal() { PACE_FOR_PEOPLE } else { Duration::ZERO };
            if self.rest(rest).await {
                return Ok(());
            }
            screen.line(format_args!("\n  {}", act.title))?;
            screen.flush()?;
            self.until_shown(args, cloud, watch, summary, screen, || (act.deed)(cloud)).await?;
        }
        if args.scan && !self.rest(Duration::ZERO).await {
            self.scan(cloud, watch, screen).await?;
        }
        let mut life = Bustle::new(cloud, REMOTE, SEED_OF_LIFE).map_err(refused)?;
        let until = Instant::now() + Duration::from_secs(args.seconds.into());
        if args.seconds > 0 {
            screen.line(format_args!("\n  goes on for {}", span(Duration::from_secs(args.seconds.into()))))?;
        }
        while Instant::now() < until && !self.rest(PACE_OF_LIFE).await {
            self.until_shown(args, cloud, watch, summary, screen, || life.step().map(drop)).await?;
        }
        screen.line("")?;
        Ok(())
    }

    /// Whether somebody asked for the end, now or within the rest.
    async fn rest(&self, rest: Duration) -> bool {
        if !rest.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.stop.cancelled() => {}
            }
        }
        self.stop.is_cancelled()
    }

    /// Does a deed, and shows what the agent makes of it until the disk is as the cloud.
    async fn until_shown(
        &mut self,
        args: &DemoArgs,
        cloud: &Cloud,
        watch: &mut Watch,
        summary: &mut Summary,
        screen: &mut Screen,
        deed: impl FnOnce() -> Result<(), sandbox::Refusal>,
    ) -> Outcome<()> {
        let begun = Instant::now();
        let before = cloud.events_total();
        deed().map_err(refused)?;
        // A provider that tells less than the cloud keeps is not waited for: the disk decides.
        let told = if args.provider.name() == ProviderName::Box { cloud.events_total() - before } else { 0 };
        let events = watch.events() + told;
        let mut shown = None;
        while shown.is_none() || watch.events() < events || !self.settled().await? {
            if begun.elapsed() > PATIENCE {
                // An event of which nobody heard is no reason to give up: the comparison decides.
                if shown.is_some() {
                    break;
                }
                let why = self.disk.difference(cloud)?.unwrap_or_default();
                return Err(Failure::error("the disk does not show what the cloud has").because(why));
            }
            if self.stop.is_cancelled() {
                return Ok(());
            }
            watch.next(begun, screen).await?;
            if shown.is_none() && self.disk.difference(cloud)?.is_none() {
                shown = Some(begun.elapsed());
            }
        }
        watch.rest_of(begun, screen)?;
        summary.delays.extend(shown);
        Ok(())
    }

    /// Whether the agent has nothing more to do.
    async fn settled(&self) -> Outcome<bool> {
        let Some(client) = ControlClient::find(&self.stage.places.socket).await? else { return Ok(false) };
        Ok(client.status().await?.in_sync)
    }

    /// Waits until the agent says that everything is in sync and the disk agrees.
    async fn in_sync(&mut self, cloud: &Cloud) -> Outcome<()> {
        super::wait::Wish::default().come_true(&self.stage.places, Some(PATIENCE)).await?;
        match self.disk.difference(cloud)? {
            None => Ok(()),
            Some(why) => Err(Failure::error("the agent says \"in sync\", and it is not so").because(why)),
        }
    }
}

fn refused(refusal: sandbox::Refusal) -> Failure {
    Failure::error("the sandbox refused a deed of the demo").because(refusal)
}

/// Files and bytes as one phrase.
fn amount(files: u64, bytes: u64) -> String {
    format!("{}, {}", count(files, "file"), size(bytes))
}
