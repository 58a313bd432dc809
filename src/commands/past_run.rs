//! What `resume` and `undo` share: which past run is meant, and with which credentials to act on it.

use crate::aws::found::Found;
use crate::aws::profiles::{self, Scope};
use crate::cli::Reopen;
use crate::commands::Context;
use crate::commands::aws::Aws;
use crate::commands::lookups::{LiveLookups, mfa_roles};
use crate::env::Folders;
use crate::error::{Error, Result, did_you_mean, near_names};
use crate::private_file;
use crate::prompt::{Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::journal::{Record, is_going_on, runs};
use crate::setup::steps::Step;
use crate::setup::wizard::{Lookups, ask_for_pair};
use crate::store::index::Index;

/// The run of that name, else the latest that `is_meant`.
///
/// # Errors
/// When there is no run of that name; the near ones are named. Without a name, when any journal cannot be
/// read: its run may be the one that is meant.
pub fn find(
    folders: &Folders,
    name: Option<&str>,
    is_meant: impl Fn(&Record) -> bool,
) -> Result<Option<Record>> {
    let (mut records, broken) = runs(folders)?;
    let Some(name) = name else {
        return match broken.into_iter().next() {
            Some(error) => Err(error.and_hint("or name the run that is meant")),
            None => Ok(records.into_iter().rev().find(is_meant)),
        };
    };
    if let Some(at) = records.iter().position(|record| record.run == name) {
        return Ok(Some(records.swap_remove(at)));
    }
    if let Some(error) = broken.into_iter().find(|error| error.message.contains(name)) {
        return Err(error);
    }
    let near = near_names(name, records.iter().map(|record| record.run.as_str()));
    let folder = folders.state.join("runs");
    let otherwise = format!("the runs of this machine are in {}", folder.display());
    Err(Error::failed(format!("there is no run `{name}`")).hint(did_you_mean(&near, &otherwise)))
}

/// Removes what commands that were killed have left half-written: documents in the file store at
/// once, under the index's lock, and old states of journals. Makes no folder.
///
/// # Errors
/// When the index cannot be locked or read, or something cannot be removed.
pub fn clear_half_written(folders: &Folders) -> Result<()> {
    if folders.data.exists() {
        drop(Index::lock(folders)?);
    }
    let runs = folders.state.join("runs");
    private_file::sweep(&runs, private_file::ABANDONED).map_err(Folders::unusable)
}

/// The latest run that nobody finished and nobody works on.
pub fn find_abandoned(folders: &Folders) -> Result<Option<Record>> {
    find(folders, None, |record| record.is_open() && !is_going_on(folders, &record.run))
}

/// The pair of `--key-stdin`.
///
/// # Errors
/// When standard input holds something else.
pub fn given_pair(
    flags: &Reopen,
    context: &Context,
    prompt: &mut dyn Prompt,
) -> Result<Option<KeyPair>> {
    match flags.key_stdin {
        true => context.pair_from_stdin(prompt).map(Some),
        false => Ok(None),
    }
}

/// The key that the run has created, not one that somebody brought along.
fn made_key(record: &Record) -> Option<&str> {
    record.steps.iter().find_map(|record| match &record.step {
        Step::CreateAccessKey(step) => step.made.access_key_id.as_deref(),
        _ => None,
    })
}

/// Credentials that work in the run's account, and are not its own: those that were given, else
/// those that the run used. `None` where the run changes nothing at AWS.
///
/// # Errors
/// When they do not work, or in another account; or are those that the run made.
pub fn caller(
    record: &Record,
    given: Option<&KeyPair>,
    aws: &Aws,
    context: &Context,
    prompt: &mut dyn Prompt,
) -> Result<Option<Found>> {
    if !record.steps.iter().any(|record| record.step.changes_aws()) {
        return Ok(None);
    }
    let profile = context.global.profile().or(record.profile.as_ref());
    let found = match (given, profile) {
        (Some(pair), _) => aws.read(async { Ok(profiles::check_given(&aws.sdk, pair).await) })?,
        (None, profile) => {
            let scope = profile.map_or(Scope::DefaultChain, |profile| {
                Scope::Profiles(std::slice::from_ref(profile))
            });
            let found = aws.read(profiles::find(&aws.sdk, &context.env, scope))?;
            let first = found.into_iter().next();
            let lookups = LiveLookups { aws, context, no_browser: false };
            let roles = mfa_roles(context);
            let mut roles = roles.iter();
            let role = roles.find(|role| Some(&role.profile) == profile);
            match (first, role) {
                (Some(found), _) if found.identity().is_some() => found,
                (_, Some(role)) => lookups.assume_with_mfa(role, prompt)?,
                // The key that the run knows is the one that it has retired.
                (_, None) if record.concerns_root_key() && context.attended => {
                    prompt.tell("A root key is concerned, so sign in as the root user.")?;
                    lookups.sign_in(prompt)?
                }
                (Some(found), None) if !context.attended => found,
                (_, None) => {
                    let text = "Access key that may manage IAM, both halves (not shown)";
                    let question = Question::required(text, "--profile or --key-stdin");
                    ask_for_pair(question, &lookups, prompt, &Ok)?.1
                }
            }
        }
    };
    if let Some(failure) = found.failure() {
        return Err(failure.and_hint("or name credentials that work with --profile or --key-stdin"));
    }
    // It would delete itself first, and be of no use for the rest.
    if found.access_key_id.is_some() && found.access_key_id.as_deref() == made_key(record) {
        return Err(Error::credentials(format!(
            "these are the credentials that the run {} made",
            record.run
        ))
        .hint("name others with --profile or --key-stdin"));
    }
    let identity = found.identity();
    if record.concerns_root_key() && !identity.is_some_and(|it| it.is_root()) {
        return Err(Error::credentials(format!(
            "the run {} is about a root key, and these credentials are not root's",
            record.run
        ))
        .hint("sign in as root with cloudcred login --profile NAME, then name that --profile"));
    }
    match identity.filter(|identity| identity.account_id != record.goal.account_id) {
        None => Ok(Some(found)),
        Some(other) => Err(Error::credentials(format!(
            "the run {} is of account {}, and these credentials are {}",
            record.run,
            record.goal.account_id,
            other.described()
        ))
        .hint("name credentials of that account with --profile or --key-stdin")),
    }
}
