//! One file per command: gather, decide, act, report.

mod aws;
mod check;
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
use std::time::Duration;

use clap::Parser;

use crate::cli::{Cli, Command, Global};
use crate::env::{Env, Folders};
use crate::error::{Error, Result};
use crate::output::{Color, Format, Output};
use crate::pasted;
use crate::prompt::{Prompt, Question, Terminal, Unattended};
use crate::secret::KeyPair;
use crate::stdin;
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

    /// The pair of `--key-stdin`. A terminal would show what is typed: there it is asked for, hidden.
    fn pair_from_stdin(&self, prompt: &mut dyn Prompt) -> Result<KeyPair> {
        if self.env.stdin_is_terminal {
            let text = "Access key, both halves (not shown)";
            return prompt.key_pair(Question::required(text, "--key-stdin < FILE"));
        }
        pasted::parse(&stdin::read_to_end()?)
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

    /// How long a keyring may take: a person may have to unlock it first; a script should learn soon.
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
    if error.use_stderr() && json {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let output = Output::new(Format::Json, 0, Color::Auto, env.unicode());
        output.error(&Error::usage(message).hint("cloudcred --help lists the commands and flags"));
        return 2;
    }
    // If even that cannot be printed, nothing can be said.
    error.print().unwrap_or_default();
    if error.use_stderr() { 2 } else { 0 }
}
