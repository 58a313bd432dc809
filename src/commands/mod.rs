//! One file per command: gather, decide, act, report.

mod asking;
mod aws;
mod check;
mod credential_process;
mod exec;
mod export;
mod finish;
mod login;
mod past_run;
mod pick_secret;
mod resume;
mod secret;
mod setup;
mod undo;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::cli::{Cli, Command, Global};
use crate::env::{Env, Folders};
use crate::error::{Error, Result};
use crate::output::{Color, Format, Output};
use crate::prompt::{Prompt, Terminal, Unattended};
use crate::store::vault::Vault;

/// What every command gets.
struct Context {
    env: Env,
    global: Global,
    output: Arc<Output>,
    /// Whether a person can be asked.
    attended: bool,
}

impl Context {
    fn prompt(&self) -> Result<Box<dyn Prompt>> {
        if self.attended {
            Ok(Box::new(Terminal::new(self.env.unicode())?))
        } else {
            Ok(Box::new(Unattended))
        }
    }

    /// The region that a flag or a variable names.
    fn region(&self) -> Result<Option<&str>> {
        match &self.global.region {
            Some(region) => Ok(Some(region)),
            None => self.env.region(),
        }
    }

    fn vault(&self, folders: &Folders) -> Vault {
        let output = Arc::clone(&self.output);
        Vault {
            folders: folders.clone(),
            patience: self.patience(),
            warn: Arc::new(move |text| output.warn(text)),
        }
    }

    /// How long a keyring may take: a person may have to unlock it first; a script should soon be
    /// told.
    fn patience(&self) -> Duration {
        Duration::from_secs(if self.attended { 60 } else { 5 })
    }
}

/// Runs the program; returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let env = Env::from_process();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return misused(&error, &arguments, &env),
    };
    let global = cli.global;
    let output = Arc::new(Output::new(
        global.output,
        global.verbose,
        global.color,
        env.unicode(),
    ));
    let attended = !global.no_input && env.someone_can_be_asked();
    let context = Context {
        env,
        global,
        output: Arc::clone(&output),
        attended,
    };
    if !matches!(cli.command, Command::Check(_)) && context.global.profiles.len() > 1 {
        let error = Error::usage("--profile is given more than once")
            .hint("name one profile; only `cloudcred check` takes several");
        output.error(&error);
        return error.kind.exit_code();
    }
    let result = match cli.command {
        Command::Check(flags) => match check::run(flags, &context) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Setup(flags) => match setup::run(*flags, &context) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Login(flags) => login::run(flags, &context),
        Command::Resume(flags) => resume::run(flags, &context),
        Command::Undo(flags) => undo::run(flags, &context),
        Command::Secret(command) => secret::run(command, &context),
        Command::Export(flags) => export::run(flags, &context),
        Command::Exec(flags) => exec::run(flags, &context),
        Command::CredentialProcess { name } => {
            return match credential_process::run(name.as_deref(), &context) {
                Ok(()) => 0,
                Err(error) => {
                    // Standard output is the protocol's, whatever `--output` says.
                    output.say(&format!("cloudcred: {}", error.message));
                    error.kind.exit_code()
                }
            };
        }
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            output.done();
            output.error(&error);
            error.kind.exit_code()
        }
    }
}

/// clap's own words for people; the contract's document for `--output json`.
fn misused(error: &clap::Error, arguments: &[OsString], env: &Env) -> u8 {
    let json = arguments.iter().any(|a| a == "--output=json")
        || arguments
            .windows(2)
            .any(|pair| pair[0] == "--output" && pair[1] == "json");
    if error.use_stderr() && json {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let output = Output::new(Format::Json, 0, Color::Auto, env.unicode());
        output.error(&Error::usage(message).hint("cloudcred --help lists the commands and flags"));
        return 2;
    }
    // Nothing can be said when even that cannot be printed.
    error.print().unwrap_or_default();
    if error.use_stderr() { 2 } else { 0 }
}
