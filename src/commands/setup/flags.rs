//! Checks the flags of `setup` and reads what they announce on standard input, before anybody is asked
//! anything.

use secrecy::SecretString;

use crate::cli::{ModeChoice, PasswordChoice, Setup, StoreChoice};
use crate::commands::context::Context;
use crate::error::{Error, Result};
use crate::output::Format;
use crate::prompt::Prompt;
use crate::setup::request::{check_key_description, check_policy_arn, check_user_name, parse_tags};
use crate::setup::wizard::Piped;
use crate::stdin;
use crate::store::SecretName;

/// What is wrong with a flag by itself, by AWS's rules and ours.
pub fn check_values(flags: &Setup) -> Result<()> {
    parse_tags(&flags.tags)?;
    let mut arns = flags.policy_arns.iter().chain(&flags.permissions_boundary);
    arns.try_for_each(|arn| check_policy_arn(arn))?;
    flags.user_name.as_deref().map_or(Ok(()), check_user_name)?;
    let description = flags.key_description.as_deref();
    description.map_or(Ok(()), check_key_description)?;
    flags.secret.as_deref().map(SecretName::new).transpose()?;
    Ok(())
}

/// # Errors
/// `Usage`, for flags that exclude each other.
pub fn check_combination(flags: &Setup, format: Format) -> Result<()> {
    let to_stdout = flags.store == Some(StoreChoice::Stdout);
    let existing = flags.mode == ModeChoice::Existing;
    let password_from_stdin = flags.console_password == Some(PasswordChoice::Stdin);
    let exclusive = [
        (
            to_stdout && format == Format::Json,
            "--store stdout and --output json",
            "standard output can carry one document only",
        ),
        (
            to_stdout && flags.aws_profile.is_some(),
            "--store stdout and --aws-profile",
            "a profile reads a secret that is kept: use --store keyring or --store file",
        ),
        (
            to_stdout && flags.retire_root_key,
            "--retire-root-key and --store stdout",
            "the root key is retired only once the new pair is kept and works",
        ),
        (
            flags.key_stdin && password_from_stdin,
            "--key-stdin and --console-password stdin",
            "use --console-password generate",
        ),
        (
            flags.key_stdin && existing,
            "--key-stdin and --mode existing",
            "use --mode iam-user to create a user with the given key",
        ),
        (
            flags.login && existing,
            "--login and --mode existing",
            "to sign in and create nothing, use cloudcred login",
        ),
        (
            flags.login && flags.key_stdin,
            "--login and --key-stdin",
            "one of them is enough to create the user",
        ),
    ];
    match exclusive.into_iter().find(|(is_given, ..)| *is_given) {
        None => Ok(()),
        Some((_, flags, hint)) => {
            Err(Error::usage(format!("{flags} exclude each other")).hint(hint))
        }
    }
}

/// Before a person signs in, reports what nobody could answer afterwards.
pub fn check_answers_to_come(flags: &Setup, has_consent: bool) -> Result<()> {
    if flags.mode == ModeChoice::Root && !flags.acknowledge_root_risk {
        let question = "a root key may do everything in the account";
        return Err(Error::answer_needed(question, "--acknowledge-root-risk"));
    }
    if has_consent || flags.dry_run {
        return Ok(());
    }
    Err(Error::answer_needed("Go ahead?", "--yes"))
}

pub fn read_piped(flags: &Setup, context: &Context, prompt: &mut dyn Prompt) -> Result<Piped> {
    let mut piped = Piped::default();
    if flags.key_stdin {
        piped.pair = Some(context.pair_from_stdin(prompt)?);
    }
    let is_password = flags.console_password == Some(PasswordChoice::Stdin);
    if is_password && !context.env.stdin_is_terminal {
        let text = stdin::read_to_end()?;
        let password = text.lines().next().unwrap_or_default();
        if password.is_empty() {
            let flag = "--console-password generate";
            return Err(Error::end_of_input("the console password", flag));
        }
        piped.password = Some(SecretString::from(password));
    }
    Ok(piped)
}
