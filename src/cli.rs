//! The command line: every flag and its help. Reads no file, variable or network.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::env::is_region;
use crate::export::ExportFormat;
use crate::output::{Color, Format};
use crate::store::StoreKind;

/// From whatever you have to verified, safely stored AWS credentials for CloudStudio
#[derive(Parser)]
#[command(name = "cloudcred", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

#[derive(Args)]
pub struct Global {
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
    /// The AWS profile to work with; repeatable with `check`
    #[arg(long = "profile", global = true, value_name = "NAME")]
    pub profiles: Vec<String>,
    /// The AWS region to work in
    #[arg(long, global = true, value_name = "REGION", value_parser = region)]
    pub region: Option<String>,
    /// The current code of the MFA device that the profile's role asks for
    #[arg(long, global = true, value_name = "CODE")]
    pub mfa_code: Option<String>,
    /// Accept the plan without being asked
    #[arg(long, global = true)]
    pub yes: bool,
    /// Never ask; also implied without a terminal, and where CI is set
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Show each AWS call, and attempts that failed; twice: each attempt
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Whether to use colours
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
}

fn region(text: &str) -> Result<String, &'static str> {
    let region = is_region(text).then(|| text.to_owned());
    region.ok_or("a region has only letters, digits and `-`, such as eu-west-1")
}

impl Global {
    /// The profile, for a command that works with only one.
    pub fn profile(&self) -> Option<&String> {
        self.profiles.last()
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// Get verified AWS credentials into CloudStudio: the wizard, or with flags without questions
    Setup(Box<Setup>),
    /// Every AWS credential on this machine: whose it is, and whether it works
    Check {
        /// Only read files and variables; do not ask AWS
        #[arg(long)]
        offline: bool,
    },
    /// Sign in with the browser for a short-lived session that AWS's tools can use, too
    Login(Login),
    /// Finish what an interrupted run began
    Resume(PastRun),
    /// Take back what a run made, and nothing else
    Undo(PastRun),
    /// Print a secret in the format of AWS's `credential_process`
    CredentialProcess {
        /// The secret [default: the current one]
        name: Option<String>,
    },
    /// The CloudStudio environment secrets on this machine
    #[command(subcommand)]
    Secret(Secret),
    /// Print a secret as environment variables
    Export(Export),
    /// Run a command with a secret in its environment
    Exec {
        /// The secret [default: the current one]
        name: Option<String>,
        /// The command and its arguments, after `--`
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ModeChoice {
    /// Keep what works; ask where a person can be asked
    #[default]
    Auto,
    /// Leave the AWS CLI configuration that works in place
    Existing,
    /// Create an IAM user with a key of its own (recommended)
    IamUser,
    /// Use the root user's key (risky)
    Root,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IfExists {
    /// Stop when the user exists
    Fail,
    /// Keep the user, and add what it lacks
    Reuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PasswordChoice {
    /// No console password
    None,
    /// Make one that fits the account's policy, and show it once
    Generate,
    /// Ask for it, twice
    Prompt,
    /// Read it from standard input
    Stdin,
}

/// What `setup` is to do, as far as flags say it: `None` and empty lists are open questions.
#[derive(Args, Default)]
pub struct Setup {
    /// What CloudStudio should use
    #[arg(long, value_enum, default_value = "auto")]
    pub mode: ModeChoice,
    /// The IAM user to create [default: cloudstudio-admin]
    #[arg(long, value_name = "NAME")]
    pub user_name: Option<String>,
    /// A policy to attach, repeatable [default: AdministratorAccess]
    #[arg(long = "policy-arn", value_name = "ARN")]
    pub policy_arns: Vec<String>,
    /// The policy that bounds the user's permissions
    #[arg(long, value_name = "ARN")]
    pub permissions_boundary: Option<String>,
    /// A tag for the user, repeatable
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub tags: Vec<String>,
    /// Whether the user may sign in to the AWS console [default: none]
    #[arg(long, value_enum, value_name = "WHICH")]
    pub console_password: Option<PasswordChoice>,
    /// The description by which you recognise the key in AWS
    #[arg(long, value_name = "TEXT")]
    pub key_description: Option<String>,
    /// What to do when the user exists [default: fail]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub if_exists: Option<IfExists>,
    /// The name of the CloudStudio secret [default: the user name, or root]
    #[arg(long, value_name = "NAME")]
    pub secret: Option<String>,
    /// Where the secret is kept [default: keyring]
    #[arg(long, value_enum)]
    pub store: Option<StoreChoice>,
    /// Do not make the secret the current one
    #[arg(long)]
    pub no_current: bool,
    /// Also write an AWS profile that reads the secret through cloudcred
    #[arg(long, value_name = "NAME")]
    pub aws_profile: Option<String>,
    /// Read the access key to work with from standard input: CloudStudio's JSON, AWS's CSV, or two lines
    #[arg(long)]
    pub key_stdin: bool,
    /// Sign in with the browser, and let that session create the IAM user (or the root key)
    #[arg(long)]
    pub login: bool,
    /// Print addresses instead of opening them in the browser
    #[arg(long)]
    pub no_browser: bool,
    /// Confirm that you know the risk of a root key
    #[arg(long)]
    pub acknowledge_root_risk: bool,
    /// Once the new user's key works, deactivate the root key that created the user
    #[arg(long)]
    pub retire_root_key: bool,
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl Setup {
    /// The flags that say what to create or to keep, as far as they are given.
    pub fn given_for_a_new_key(&self) -> Vec<&'static str> {
        let flags = [
            ("--if-exists", self.if_exists.is_some()),
            ("--secret", self.secret.is_some()),
            ("--store", self.store.is_some()),
            ("--aws-profile", self.aws_profile.is_some()),
        ];
        [self.given_for_a_user(), given(&flags)].concat()
    }

    /// Those that concern an IAM user only.
    pub fn given_for_a_user(&self) -> Vec<&'static str> {
        given(&[
            ("--user-name", self.user_name.is_some()),
            ("--policy-arn", !self.policy_arns.is_empty()),
            ("--permissions-boundary", self.permissions_boundary.is_some()),
            ("--tag", !self.tags.is_empty()),
            ("--console-password", self.console_password.is_some()),
            ("--key-description", self.key_description.is_some()),
        ])
    }
}

fn given(flags: &[(&'static str, bool)]) -> Vec<&'static str> {
    flags.iter().filter_map(|(flag, is_given)| is_given.then_some(*flag)).collect()
}

#[derive(Args)]
pub struct Login {
    /// Sign in with a browser on another machine, and paste the code that it shows
    #[arg(long)]
    pub remote: bool,
    /// Print the sign-in address instead of opening it
    #[arg(long)]
    pub no_browser: bool,
    /// The port on which to wait for the browser [default: any free one]
    #[arg(long, value_name = "PORT", conflicts_with = "remote")]
    pub redirect_port: Option<u16>,
}

#[derive(Args)]
pub struct PastRun {
    /// The run, as `setup` and its journal name it [default: the latest]
    pub run: Option<String>,
    /// Read the access key to work with from standard input
    #[arg(long)]
    pub key_stdin: bool,
}

#[derive(Subcommand)]
pub enum Secret {
    /// List the secrets
    List,
    /// Show one secret, masked
    Show {
        /// Its name, as `secret list` shows it
        name: String,
        /// Print the CloudStudio document with the secret access key
        #[arg(long)]
        reveal: bool,
    },
    /// Store an access key that you have: CloudStudio's JSON, AWS's CSV, shell exports, or two lines
    Add(AddSecret),
    /// Make one secret the current one, as CloudStudio's "set current" does
    Use {
        /// Its name, as `secret list` shows it
        name: String,
        /// Also write an AWS profile that reads whichever secret is current
        #[arg(long, value_name = "PROFILE")]
        aws_profile: Option<String>,
    },
    /// Put one secret on the clipboard, to be pasted into CloudStudio
    Copy(CopySecret),
    /// Give one secret another name
    Rename {
        /// Its name, as `secret list` shows it
        old: String,
        /// Its new name
        new: String,
    },
    /// Move one secret to another store
    Move {
        /// Its name, as `secret list` shows it
        name: String,
        /// The store to move it to
        #[arg(long, value_enum)]
        store: StoreKind,
    },
    /// Remove one secret from this machine; its key stays at AWS
    Remove {
        /// Its name, as `secret list` shows it
        name: String,
        /// Remove it from the list even if its keyring or file cannot be reached
        #[arg(long)]
        forget: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreChoice {
    /// The system's keyring: Keychain, Credential Manager, or a Secret Service
    Keyring,
    /// A file that only its owner may read
    File,
    /// The CloudStudio document on standard output, kept nowhere
    Stdout,
}

impl StoreChoice {
    /// The store; `None` where the secret is printed.
    pub fn store(self) -> Option<StoreKind> {
        match self {
            StoreChoice::Keyring => Some(StoreKind::Keyring),
            StoreChoice::File => Some(StoreKind::File),
            StoreChoice::Stdout => None,
        }
    }
}

#[derive(Args)]
pub struct AddSecret {
    /// Its name
    pub name: String,
    /// Where it is kept [default: keyring]
    #[arg(long, value_enum)]
    pub store: Option<StoreKind>,
    /// Read the access key from standard input instead of asking for it
    #[arg(long)]
    pub key_stdin: bool,
    /// Do not ask AWS whether the key works
    #[arg(long)]
    pub no_verify: bool,
    /// Replace the pair that has this name
    #[arg(long)]
    pub replace: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Field {
    AccessKey,
    SecretKey,
    /// The document that CloudStudio's editor takes
    Json,
}

#[derive(Args)]
pub struct CopySecret {
    /// The secret [default: the current one]
    pub name: Option<String>,
    /// Which part of it
    #[arg(long, value_enum, default_value = "json")]
    pub field: Field,
    /// Clear the clipboard after this many seconds, unless it holds something else by then
    #[arg(long, value_name = "SECONDS", default_value = "45")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub clear_after: u64,
}

#[derive(Args)]
pub struct Export {
    /// The secret [default: the current one]
    pub name: Option<String>,
    /// The syntax [default: bash; on Windows powershell]
    #[arg(long, value_enum)]
    pub format: Option<ExportFormat>,
    /// Print commands that unset the variables
    #[arg(long)]
    pub unset: bool,
    /// Print it even to a terminal
    #[arg(long)]
    pub force: bool,
}
