//! `agent events types` and `agent events schema`: what events there are, and the form in which they are printed.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::super::failure::{Exit, Outcome};
use super::super::render::Screen;
use crate::events::taxonomy;
use crate::report::Listing;
use crate::settings::ProviderName;

/// The description of the JSON lines.
const SCHEMA: &str = include_str!("../../../packaging/events.schema.json");

/// A cloud, as the command line says it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProviderArg {
    Box,
    Egnyte,
}

/// List every type of event: our name, the provider's word, the streams that carry it, and what it means for a mirror
#[derive(Debug, Args)]
pub struct TypesArgs {
    /// Only those of this provider
    #[arg(long, value_enum)]
    provider: Option<ProviderArg>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Print the JSON schema of the lines of `agent events --json`, which subscribers get as well
#[derive(Debug, Args)]
pub struct SchemaArgs {}

#[derive(Serialize)]
struct TypeRow {
    provider: &'static str,
    name: &'static str,
    word: &'static str,
    kind: &'static str,
    meaning: &'static str,
    says: &'static str,
    streams: &'static [&'static str],
}

/// Runs `agent events types`.
pub fn types(args: &TypesArgs, screen: &mut Screen) -> Outcome {
    let providers: &[ProviderName] = match args.provider {
        None => &[ProviderName::Box, ProviderName::Egnyte],
        Some(ProviderArg::Box) => &[ProviderName::Box],
        Some(ProviderArg::Egnyte) => &[ProviderName::Egnyte],
    };
    let rows = providers.iter().flat_map(|provider| {
        taxonomy::types(*provider).into_iter().map(|row| TypeRow {
            provider: provider.word(),
            name: row.name,
            word: row.word,
            kind: row.kind.word(),
            meaning: row.meaning.word(),
            says: row.meaning.says(),
            streams: row.streams.words(),
        })
    });
    if args.json {
        screen.json(&Listing::new(rows.collect()))?;
        return Ok(Exit::Fine);
    }
    let rows = rows.map(|row| {
        [
            row.name.to_owned(),
            row.provider.to_owned(),
            row.word.to_owned(),
            row.meaning.to_owned(),
            row.streams.join(", "),
        ]
    });
    screen.table(["TYPE", "PROVIDER", "ITS WORD", "CHANGES", "STREAMS"], rows)?;
    Ok(Exit::Fine)
}

/// Runs `agent events schema`.
pub fn schema(screen: &mut Screen) -> Outcome {
    screen.bytes(SCHEMA.as_bytes())?;
    Ok(Exit::Fine)
}
