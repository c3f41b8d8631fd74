//! `agent completions` and `agent man`: what packages and shells want to know of the command line.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::failure::{Exit, Failure, Outcome};
use super::render::Screen;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  agent completions bash > ~/.local/share/bash-completion/completions/agent
  agent completions fish > ~/.config/fish/completions/agent.fish")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write all of them to a directory
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command to this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs `agent completions`.
pub fn completions(args: &CompletionsArgs, screen: &mut Screen) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "agent", &mut text);
    screen.bytes(&text)?;
    Ok(Exit::Fine)
}

/// Runs `agent man`.
pub fn man(args: &ManArgs, screen: &mut Screen) -> Outcome {
    // The grouped list of commands is for terminals; a manual page has a list of its own.
    let command = super::command().after_help("").disable_help_subcommand(true);
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        screen.bytes(&page)?;
        return Ok(Exit::Fine);
    };
    let failed = |error| Failure::error(format!("cannot write to {}", dir.display())).because(error);
    fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(command, dir).map_err(failed)?;
    Ok(Exit::Fine)
}
