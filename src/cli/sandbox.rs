//! `agent sandbox`: the sandbox cloud on its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::failure::{Exit, Failure, Outcome};
use super::render::Screen;
use crate::sandbox::{self, Options};

/// Run the sandbox cloud on its own
///
/// A cloud in memory that speaks the APIs of Box and Egnyte on one loopback address, for trying things out and for tests of
/// your own programs.
/// Nothing is kept when it ends.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  agent sandbox --listen 127.0.0.1:8080")]
pub struct SandboxArgs {
    /// Where to listen; a loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where large files are kept [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Runs `agent sandbox`.
pub async fn sandbox(args: &SandboxArgs, screen: &mut Screen) -> Outcome {
    let failed = |error| Failure::error(format!("cannot run the sandbox on {}", args.listen)).because(error);
    let options = Options { listen: args.listen, data: args.data.clone(), ..Options::default() };
    let sandbox = sandbox::start(options).await.map_err(failed)?;
    screen.line(sandbox.banner())?;
    screen.flush()?;
    super::terminal::stop_signal().await.map_err(failed)?;
    sandbox.shutdown().await;
    Ok(Exit::Fine)
}
