//! `agent sandbox`: the sandbox cloud on its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::demo::bytes;
use super::failure::{Exit, Failure, Outcome};
use super::render::Screen;
use super::wait::time;
use crate::sandbox::{self, Network, Options};

/// Run the sandbox cloud on its own
///
/// A cloud in memory that speaks the APIs of Box and Egnyte on one loopback address, for trying things out and for tests of
/// your own programs.
/// Nothing is kept when it ends.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  agent sandbox --listen 127.0.0.1:8080
  agent sandbox --latency 40ms --bandwidth \"20 MB\"")]
pub struct SandboxArgs {
    /// Where to listen; a loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where large files are kept [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How long a request takes there and back on a network as slow as this [default: no longer than it must]
    #[arg(long, value_name = "TIME", value_parser = time)]
    latency: Option<Duration>,
    /// What each connection carries in a second [default: as much as this machine can]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    bandwidth: Option<u64>,
}

/// Runs `agent sandbox`.
pub async fn sandbox(args: &SandboxArgs, screen: &mut Screen) -> Outcome {
    let failed = |error| Failure::error(format!("cannot run the sandbox on {}", args.listen)).because(error);
    let network = Network {
        latency_ms: args.latency.map_or(0, |latency| latency.as_millis() as u64),
        bytes_per_second: args.bandwidth.unwrap_or(0),
    };
    let options = Options { listen: args.listen, data: args.data.clone(), network, ..Options::default() };
    let sandbox = sandbox::start(options).await.map_err(failed)?;
    screen.line(sandbox.banner())?;
    screen.flush()?;
    super::terminal::stop_signal().await.map_err(failed)?;
    sandbox.shutdown().await;
    Ok(Exit::Fine)
}
