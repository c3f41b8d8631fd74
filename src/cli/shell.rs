//! `agent completions` and `agent man`: what packages and shells want to know of the command line.

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;
use roff::{Roff, bold, italic, roman};

use super::failure::{Exit, Failure, Outcome};
use super::render::Screen;
use crate::config::reference;

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
#[command(after_long_help = "Examples:
  agent man | man -l -
  agent man agent.toml | man -l -
  agent man --dir ./pages")]
pub struct ManArgs {
    /// Which page: of the program, or of its configuration file
    #[arg(value_enum, default_value_t, conflicts_with = "dir")]
    page: ManPage,
    /// Write a page for each command to this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The pages that can be printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ManPage {
    /// The program
    #[default]
    #[value(name = "agent")]
    Program,
    /// Its configuration file
    #[value(name = "agent.toml")]
    File,
}

/// The manual page of the configuration file, made of the same table as `agent config reference`.
fn file_page() -> Vec<u8> {
    let mut page = Roff::new();
    page.control("TH", ["agent.toml", "5", "", "folder-sync-agent", "File formats"]);
    page.control("SH", ["NAME"]);
    page.text([roman("agent.toml - the configuration of the folder sync agent: config.toml")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "A TOML file. The commands edit it in place and keep its comments, and a running agent takes changes at once; `agent config path` \
         says where it is, `agent config check` lists everything that is wrong with it. Secrets are never in it. Durations are written like \
         \"30d\", \"12h\" or \"90s\", sizes like \"10 MiB\", \"2 GB\" or plain 4096.",
    )]);
    for (table, meaning) in reference::TABLES {
        let title = if table.is_empty() { "TOP OF THE FILE".to_owned() } else { format!("[[{table}]]") };
        page.control("SH", [title.as_str()]);
        page.text([roman(meaning)]);
        for key in reference::keys().iter().filter(|key| key.table == table) {
            page.control("TP", []);
            page.text([bold(key.key), roman(format!(" ({})", reference::facts(key)))]);
            page.text([roman(key.meaning.as_str())]);
            page.control("br", []);
            page.text([italic(key.example)]);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("agent"), roman("(1)")]);
    page.render().into_bytes()
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
        if args.page == ManPage::File {
            screen.bytes(&file_page())?;
            return Ok(Exit::Fine);
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        screen.bytes(&page)?;
        return Ok(Exit::Fine);
    };
    let failed = |error| Failure::error(format!("cannot write to {}", dir.display())).because(error);
    fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(command, dir).map_err(failed)?;
    fs::write(dir.join("agent.toml.5"), file_page()).map_err(failed)?;
    Ok(Exit::Fine)
}
