//! From flags and standard input to what is wanted; inert values, nothing is looked up.

use std::io::Read;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::cli::{ModeChoice, Setup};
use crate::commands::Context;
use crate::error::{Error, Result};
use crate::output::Format;
use crate::pasted;
use crate::prompt::{Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::request::{Mode, PasswordChoice, Wanted};
use crate::store::StoreKind;

/// # Errors
/// `Usage`, for flags that exclude each other.
pub fn check_combination(flags: &Setup, format: Format) -> Result<()> {
    let json = format == Format::Json;
    if flags.store == Some(StoreKind::Stdout) && json {
        return Err(
            Error::usage("--store stdout and --output json exclude each other")
                .hint("standard output can carry one document only"),
        );
    }
    if flags.store == Some(StoreKind::Stdout) && flags.aws_profile.is_some() {
        return Err(
            Error::usage("--store stdout and --aws-profile exclude each other")
                .hint("a profile reads a secret that is kept: use --store keyring or --store file"),
        );
    }
    if flags.key_stdin && flags.console_password == Some(PasswordChoice::Stdin) {
        return Err(
            Error::usage("--key-stdin and --console-password stdin exclude each other")
                .hint("use --console-password generate"),
        );
    }
    if flags.key_stdin && flags.mode == ModeChoice::Existing {
        return Err(Error::usage("--key-stdin does not go with --mode existing")
            .hint("use --mode iam-user to create a user with the given key"));
    }
    if flags.retire_root_key && flags.store == Some(StoreKind::Stdout) {
        return Err(
            Error::usage("--retire-root-key and --store stdout exclude each other")
                .hint("the root key is retired only once the new pair is kept and proven"),
        );
    }
    if flags.login {
        check_login(flags)?;
    }
    Ok(())
}

fn check_login(flags: &Setup) -> Result<()> {
    let (other, hint) = match flags.mode {
        ModeChoice::Existing => ("--mode existing", "sign in alone with cloudcred login"),
        _ if flags.key_stdin => ("--key-stdin", "one of them is enough to create the user"),
        // It writes what AWS's tools read.
        _ if flags.dry_run => ("--dry-run", "first sign in with cloudcred login"),
        ModeChoice::Auto | ModeChoice::IamUser | ModeChoice::Root => return Ok(()),
    };
    Err(Error::usage(format!("--login does not go with {other}")).hint(hint))
}

/// # Errors
/// When standard input holds something else than was announced.
pub fn wanted(flags: Setup, context: &Context, prompt: &mut dyn Prompt) -> Result<Wanted> {
    let by_hand = context.env.stdin_is_terminal;
    let given_pair = match flags.key_stdin {
        true => Some(pair_from_stdin(context, prompt)?),
        false => None,
    };
    let console_password = match flags.console_password {
        Some(PasswordChoice::Stdin) if by_hand => Some(PasswordChoice::Prompt),
        choice => choice,
    };
    let given_password = match console_password {
        Some(PasswordChoice::Stdin) => {
            let text = read_stdin()?;
            let password = text.lines().next().unwrap_or_default();
            if password.is_empty() {
                return Err(Error::end_of_input(
                    "the console password",
                    "--console-password generate",
                ));
            }
            Some(SecretString::from(password))
        }
        _ => None,
    };
    Ok(Wanted {
        mode: match flags.mode {
            // The session is there to create the user.
            ModeChoice::Auto if flags.login => Some(Mode::IamUser),
            ModeChoice::Auto => None,
            ModeChoice::Existing => Some(Mode::Existing),
            ModeChoice::IamUser => Some(Mode::IamUser),
            ModeChoice::Root => Some(Mode::Root),
        },
        user_name: flags.user_name,
        policy_arns: flags.policy_arns,
        permissions_boundary: flags.permissions_boundary,
        tags: flags.tags,
        console_password,
        key_description: flags.key_description,
        if_exists: flags.if_exists,
        secret: flags.secret,
        store: flags.store,
        no_current: flags.no_current,
        aws_profile: flags.aws_profile,
        retire_root_key: flags.retire_root_key,
        root_risk_acknowledged: flags.acknowledge_root_risk,
        given_pair,
        given_password,
    })
}

/// A terminal would show what is typed: there the pair is asked for, hidden.
///
/// # Errors
/// When it is no key pair.
pub fn pair_from_stdin(context: &Context, prompt: &mut dyn Prompt) -> Result<KeyPair> {
    if context.env.stdin_is_terminal {
        let text = "Access key, both halves (not shown)";
        return prompt.key_pair(Question::required(text, "--key-stdin < FILE"));
    }
    pasted::parse(&read_stdin()?)
}

fn read_stdin() -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(pasted::LONGEST_INPUT + 2));
    std::io::stdin()
        .lock()
        .take(pasted::LONGEST_INPUT as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|cause| Error::credentials("standard input is not text").caused_by(cause))?;
    Ok(text)
}
