//! One file per command: gather, decide, act, report.

mod aws;
mod tools;
mod check;
mod context;
mod credential_process;
mod exec;
mod export;
mod finish;
mod login;
mod lookups;
mod past_run;
mod pick_secret;
mod secret;
mod setup;
mod sign_in;

use std::ffi::OsString;
use std::sync::Arc;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::commands::context::Context;
use crate::env::Env;
use crate::error::Error;
use crate::output::{Color, Format, Output};

/// Runs the program; returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let env = Env::from_process();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return misused(&error, &arguments, &env),
    };
    let global = cli.global;
    let output = Arc::new(Output::new(global.output, global.verbose, global.color, env.unicode()));
    let attended = !global.no_input && env.someone_can_be_asked();
    let context = Context { env, global, output: Arc::clone(&output), attended };
    if !matches!(cli.command, Command::Check(_)) && context.global.profiles.len() > 1 {
        let error = Error::usage("--profile is given more than once")
            .hint("name one profile; only `cloudcred check` takes several");
        output.error(&error);
        return error.kind.exit_code();
    }
    let result = match cli.command {
        Command::Check(flags) => check::run(flags, &context),
        Command::Setup(flags) => setup::run(*flags, &context),
        Command::Login(flags) => login::run(flags, &context).map(|()| 0),
        Command::Resume(flags) => past_run::resume::run(flags, &context).map(|()| 0),
        Command::Undo(flags) => past_run::undo::run(flags, &context).map(|()| 0),
        Command::Secret(command) => secret::run(command, &context).map(|()| 0),
        Command::Export(flags) => export::run(flags, &context).map(|()| 0),
        Command::Exec(flags) => exec::run(flags, &context).map(|()| 0),
        Command::CredentialProcess { name } => {
            let result = credential_process::run(name.as_deref(), &context);
            // Standard output belongs to the protocol, whatever `--output` says.
            return result.map_or_else(
                |error| {
                    output.say(&format!("cloudcred: {}", error.message));
                    error.kind.exit_code()
                },
                |()| 0,
            );
        }
    };
    result.unwrap_or_else(|error| {
        output.done();
        output.error(&error);
        error.kind.exit_code()
    })
}

/// clap's own words for people; the contract's document for `--output json`.
fn misused(error: &clap::Error, arguments: &[OsString], env: &Env) -> u8 {
    let json = arguments.iter().any(|a| a == "--output=json")
        || arguments.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    if !error.use_stderr() {
        // If even that cannot be printed, nothing can be said.
        error.print().unwrap_or_default();
        return 0;
    }
    let format = if json { Format::Json } else { Format::Text };
    let output = Output::new(format, 0, Color::Auto, env.unicode());
    let text = error.render().to_string();
    if json {
        let message = text.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        output.error(&Error::usage(message).hint("cloudcred --help lists the commands and flags"));
    } else {
        output.say(text.trim_end());
    }
    2
}
