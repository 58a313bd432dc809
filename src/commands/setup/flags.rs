//! Checks the flags of `setup`, and reads what they announce on standard input.

use secrecy::SecretString;

use crate::aws_files::Locations;
use crate::aws_profile::AwsProfile;
use crate::cli::{ModeChoice, PasswordChoice, Setup, StoreChoice};
use crate::commands::context::Context;
use crate::error::{Error, Result};
use crate::output::Format;
use crate::prompt::Prompt;
use crate::setup::request::{check_key_description, check_policy_arn, check_user_name, parse_tags};
use crate::setup::wizard::Piped;
use crate::stdin;
use crate::store::SecretName;

pub fn check(flags: &mut Setup, context: &Context) -> Result<()> {
    check_combination(flags, context.global.output)?;
    parse_tags(&flags.tags)?;
    let mut arns = flags.policy_arns.iter().chain(&flags.permissions_boundary);
    arns.try_for_each(|arn| check_policy_arn(arn))?;
    flags.user_name.as_deref().map_or(Ok(()), check_user_name)?;
    flags.key_description.as_deref().map_or(Ok(()), check_key_description)?;
    flags.secret.as_deref().map(SecretName::new).transpose()?;
    if flags.login && flags.mode == ModeChoice::Auto {
        // The session is there to create the user.
        flags.mode = ModeChoice::IamUser;
    }
    if flags.login && !context.attended {
        // Before a person signs in, what nobody could answer afterwards.
        if flags.mode == ModeChoice::Root && !flags.acknowledge_root_risk {
            let question = "a root key may do everything in the account";
            return Err(Error::answer_needed(question, "--acknowledge-root-risk"));
        }
        if !context.global.yes && !flags.dry_run {
            return Err(Error::answer_needed("Go ahead?", "--yes"));
        }
    }
    if let Some(name) = &flags.aws_profile {
        let profile = AwsProfile::new(name, context.env.program()?, None, None)?;
        profile.existing(&Locations::of(&context.env)?)?;
    }
    Ok(())
}

fn check_combination(flags: &Setup, format: Format) -> Result<()> {
    let to_stdout = flags.store == Some(StoreChoice::Stdout);
    let existing = flags.mode == ModeChoice::Existing;
    let (flags, hint) = if to_stdout && format == Format::Json {
        ("--store stdout and --output json", "standard output can carry one document only")
    } else if to_stdout && flags.aws_profile.is_some() {
        let hint = "a profile reads a secret that is kept: use --store keyring or --store file";
        ("--store stdout and --aws-profile", hint)
    } else if to_stdout && flags.retire_root_key {
        let hint = "the root key is retired only once the new pair is kept and works";
        ("--retire-root-key and --store stdout", hint)
    } else if flags.key_stdin && flags.console_password == Some(PasswordChoice::Stdin) {
        ("--key-stdin and --console-password stdin", "use --console-password generate")
    } else if flags.key_stdin && existing {
        let hint = "use --mode iam-user to create a user with the given key";
        ("--key-stdin and --mode existing", hint)
    } else if flags.login && existing {
        let hint = "to sign in and create nothing, use cloudcred login";
        ("--login and --mode existing", hint)
    } else if flags.login && flags.key_stdin {
        ("--login and --key-stdin", "one of them is enough to create the user")
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("{flags} exclude each other")).hint(hint))
}

pub fn read_piped(flags: &Setup, context: &Context, prompt: &mut dyn Prompt) -> Result<Piped> {
    let pair = flags.key_stdin.then(|| context.pair_from_stdin(prompt)).transpose()?;
    let is_password = flags.console_password == Some(PasswordChoice::Stdin);
    if !is_password || context.env.stdin_is_terminal {
        return Ok(Piped { pair, password: None });
    }
    let text = stdin::read_to_end()?;
    let line = text.lines().next().filter(|line| !line.is_empty());
    let missing = || Error::end_of_input("the console password", "--console-password generate");
    Ok(Piped { pair, password: Some(SecretString::from(line.ok_or_else(missing)?)) })
}
