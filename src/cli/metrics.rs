//! `agent metrics`.

use clap::Args;

use super::agent::Agent;
use super::failure::{Exit, Outcome};
use super::render::Screen;
use crate::config::Places;
use crate::report::MetricsFormat;

/// Print figures for a monitoring system
///
/// OpenMetrics, as Prometheus reads it. A running agent gives the same at `/metrics` of its control socket. Without one, what its
/// database knows is printed, with `folder_sync_running 0`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent metrics
  agent metrics | grep folder_lag
  agent metrics --text >/var/lib/prometheus/node-exporter/agent.prom.new
  curl --unix-socket /run/folder-sync-agent/control.sock http://agent/metrics")]
pub struct MetricsArgs {
    /// Print the older text format, for node_exporter's textfile collector
    #[arg(long)]
    text: bool,
}

/// Runs `agent metrics`.
pub async fn metrics(args: &MetricsArgs, places: &Places, screen: &mut Screen) -> Outcome {
    let format = if args.text { MetricsFormat::Text } else { MetricsFormat::OpenMetrics };
    screen.bytes(Agent::find(places).await?.metrics(format).await?.as_bytes())?;
    Ok(Exit::Fine)
}
