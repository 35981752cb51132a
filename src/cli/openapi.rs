//! `pocket-tasks openapi`: writes, checks or prints the OpenAPI document, and the reference of the README.

use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::output::print_line;
use crate::api;
use crate::api::openapi::{downgrade, reference, to_yaml};

/// Path of the committed document.
const PATH: &str = "openapi/openapi.yaml";

/// Path of the README.
const README: &str = "README.md";

/// Markers around the reference in the README.
const REFERENCE: [&str; 2] = ["<!-- reference -->", "<!-- /reference -->"];

#[derive(Args)]
pub(super) struct Arguments {
    /// Compare with the files instead of writing them; exits with 1 if they differ
    #[arg(long)]
    check: bool,
    /// Print the document in this format instead of writing files
    #[arg(long, value_enum, conflicts_with = "check")]
    format: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Yaml,
    Json,
    /// OpenAPI 3.0.3, for client generators that read nothing newer
    #[value(name = "json-3.0")]
    Json30,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let document = api::document()?;
    match arguments.format {
        Some(Format::Yaml) => print_line(to_yaml(&document).trim_end()),
        Some(Format::Json) => print_line(&format!("{document:#}")),
        Some(Format::Json30) => print_line(&format!("{:#}", downgrade(&document))),
        None if arguments.check => {
            check(PATH, &to_yaml(&document))?;
            if let Some(readme) = readme(&document)? {
                check(README, &readme)?;
            }
        }
        None => {
            if let Some(directory) = Path::new(PATH).parent() {
                std::fs::create_dir_all(directory).with_context(|| format!("creating the directory of {PATH}"))?;
            }
            write(PATH, &to_yaml(&document))?;
            if let Some(readme) = readme(&document)? {
                write(README, &readme)?;
            }
        }
    }
    Ok(())
}

/// Returns the README with the current reference, if there is a README with a place for it.
fn readme(document: &Value) -> anyhow::Result<Option<String>> {
    let readme = match std::fs::read_to_string(README) {
        Ok(readme) => readme,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {README}")),
    };
    let [start, end] = REFERENCE;
    let parts = readme.split_once(start).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    Ok(parts.map(|(before, after)| format!("{before}{start}\n{}{end}{after}", reference(document))))
}

fn write(path: &str, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {path}"))?;
    print_line(&format!("Wrote {path}."));
    Ok(())
}

fn check(path: &str, generated: &str) -> anyhow::Result<()> {
    let committed = std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    if committed == generated {
        print_line(&format!("{path} is up to date."));
        return Ok(());
    }
    let mut lines = committed.lines().zip(generated.lines()).enumerate();
    let line = lines.find(|(_, (old, new))| old != new).map_or(committed.lines().count(), |(line, _)| line) + 1;
    bail!("{path} is outdated from line {line} on. Regenerate it with: cargo run -- openapi")
}
