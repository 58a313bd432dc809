//! `cloudcred export`: the pair as environment variables, for a shell, a file or GitHub Actions.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};

use secrecy::{ExposeSecret, SecretString};

use crate::cli::Export;
use crate::commands::context::Context;
use crate::error::{Error, Result};
use crate::export::{self, CONFLICTING, ExportFormat, github_environment};
use crate::output::Format;
use crate::secret::KeyPair;

const DEFAULT: ExportFormat =
    if cfg!(windows) { ExportFormat::Powershell } else { ExportFormat::Bash };

pub fn run(flags: Export, context: &Context) -> Result<()> {
    let is_json = context.output.format == Format::Json;
    let format = flags.format.unwrap_or(if is_json { ExportFormat::Json } else { DEFAULT });
    if is_json && format != ExportFormat::Json {
        let error = Error::usage("--output json goes with --format json only");
        return Err(error.hint("leave one out"));
    }
    if flags.unset {
        if flags.name.is_some() {
            return Err(Error::usage("--unset takes no name")
                .hint("it unsets the variables, whichever secret they contain"));
        }
        return context.output.raw(export::unset(format)?.as_bytes());
    }
    if context.env.stdout_is_terminal && !flags.force {
        return Err(Error::usage("this would show the secret access key on the terminal")
            .hint(format!("use it like this: {}; or show it with --force", format.usage())));
    }
    let (_, pair) = context.secret(flags.name.as_deref())?;
    if format == ExportFormat::Github {
        return hand_over(&pair, context);
    }
    context.output.raw(export::set(&pair, format)?.expose_secret().as_bytes())
}

/// Hands the pair over to the later steps of a GitHub Actions job, masked.
fn hand_over(pair: &KeyPair, context: &Context) -> Result<()> {
    // Checked before the lines that mask the pair are printed.
    let file = context.env.var("GITHUB_ENV").ok_or_else(|| {
        Error::failed("GITHUB_ENV is not set: this is not a step of a GitHub Actions job")
            .hint("use another --format, or `cloudcred exec`")
    })?;
    let masks = export::set(pair, ExportFormat::Github)?;
    context.output.raw(masks.expose_secret().as_bytes())?;
    let is_set = |name: &&str| context.env.var(name).is_some();
    let conflicting = CONFLICTING.into_iter().filter(is_set);
    let (profiles, emptied): (Vec<_>, Vec<_>) =
        conflicting.partition(|name| name.ends_with("PROFILE"));
    let delimiter = format!("cloudcred-{:032x}", rand::random::<u128>());
    append(file, &github_environment(pair, &emptied, &delimiter)).map_err(|cause| {
        Error::failed(format!("cannot append to {file}: {cause}"))
            .hint("GITHUB_ENV must name a file of this job")
    })?;
    for name in profiles {
        // An empty profile is an error to botocore, and nothing can be unset there.
        context.output.warn(&format!(
            "{name} is set in this job, cannot be unset from here, and comes first in the AWS SDK for JavaScript"
        ));
    }
    context.output.say("the later steps of this job have the pair in their environment");
    Ok(())
}

/// Adds the text in one write, on a line of its own. The runner has made the file: one that is
/// missing is not made here, where others could read it.
fn append(path: &str, text: &SecretString) -> std::io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    file.write_all(text.expose_secret().as_bytes())
}
