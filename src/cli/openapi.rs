//! `pocket-tasks openapi`: writes, checks or prints the OpenAPI document.

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use super::output::print_line;
use crate::api;
use crate::api::openapi::to_yaml;

/// Path of the committed document.
const PATH: &str = "openapi/openapi.yaml";

#[derive(Args)]
pub(super) struct Arguments {
    /// Compare with the file instead of writing it; exits with 1 if they differ
    #[arg(long)]
    check: bool,
    /// Print the document in this format instead of writing the file
    #[arg(long, value_enum, conflicts_with = "check")]
    format: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let document = api::document()?;
    match arguments.format {
        Some(Format::Yaml) => print_line(to_yaml(&document).trim_end()),
        Some(Format::Json) => print_line(&format!("{document:#}")),
        None if arguments.check => check(&to_yaml(&document))?,
        None => {
            if let Some(directory) = Path::new(PATH).parent() {
                std::fs::create_dir_all(directory).with_context(|| format!("creating the directory of {PATH}"))?;
            }
            std::fs::write(PATH, to_yaml(&document)).with_context(|| format!("writing {PATH}"))?;
            print_line(&format!("Wrote {PATH}."));
        }
    }
    Ok(())
}

fn check(generated: &str) -> anyhow::Result<()> {
    let committed = std::fs::read_to_string(PATH).with_context(|| format!("reading {PATH}"))?;
    if committed == generated {
        print_line(&format!("{PATH} is up to date."));
        return Ok(());
    }
    let mut lines = committed.lines().zip(generated.lines()).enumerate();
    let line = lines.find(|(_, (old, new))| old != new).map_or(committed.lines().count(), |(line, _)| line) + 1;
    bail!("{PATH} is outdated from line {line} on. Regenerate it with: cargo run -- openapi")
}
