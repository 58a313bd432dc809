//! One file per command: gather, decide, act, report.

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
mod secret;
mod setup;
mod sign_in;

use std::ffi::OsString;
use std::sync::Arc;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::commands::context::Context;
use crate::commands::past_run::Action;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::output::{Color, Format, Output};

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
    let is_protocol = matches!(cli.command, Command::CredentialProcess { .. });
    run_command(cli.command, &context).unwrap_or_else(|error| {
        output.done();
        if is_protocol {
            // Standard output belongs to the protocol, whatever `--output` says, and the tool that
            // called shows one line.
            let hint = error.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
            output.say(&format!("cloudcred: {}{hint}", error.message));
        } else {
            output.error(&error);
        }
        error.kind.exit_code()
    })
}

/// Returns the exit code of a command that has told all there is to tell.
fn run_command(command: Command, context: &Context) -> Result<u8> {
    if !matches!(command, Command::Check { .. }) && context.global.profiles.len() > 1 {
        return Err(Error::usage("--profile is given more than once")
            .hint("name one profile; only `cloudcred check` takes several"));
    }
    match command {
        Command::Check { offline } => return check::run(offline, context),
        Command::Setup(flags) => return setup::run(*flags, context),
        Command::Login(flags) => login::run(flags, context),
        Command::Resume(run) => past_run::run(Action::Resume, &run, context),
        Command::Undo(run) => past_run::run(Action::Undo, &run, context),
        Command::Secret(command) => secret::run(command, context),
        Command::Export(flags) => export::run(flags, context),
        Command::Exec { name, command } => exec::run(name.as_deref(), &command, context),
        Command::CredentialProcess { name } => credential_process::run(name.as_deref(), context),
    }?;
    Ok(0)
}

/// clap's own words for people; the contract's document for `--output json`.
fn misused(error: &clap::Error, arguments: &[OsString], env: &Env) -> u8 {
    if !error.use_stderr() {
        // If even that cannot be printed, nothing can be said.
        error.print().unwrap_or_default();
        return 0;
    }
    let is_json = arguments.iter().any(|argument| argument == "--output=json")
        || arguments.windows(2).any(|pair| pair == ["--output", "json"]);
    let format = if is_json { Format::Json } else { Format::Text };
    let output = Output::new(format, 0, Color::Auto, env.unicode());
    let text = error.render().to_string();
    if is_json {
        let message = text.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        output.error(&Error::usage(message).hint("cloudcred --help lists the commands and flags"));
    } else {
        output.say(text.trim_end());
    }
    2
}
