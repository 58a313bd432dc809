//! `cloudcred check`: every AWS credential on this machine, whose it is, whether it works, and what is
//! wrong with it.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::aws::credential::{Credential, REJECTED, Source, State};
use crate::aws::mfa::{MfaRole, check_code};
use crate::aws::profiles::{Scope, audit, check, list};
use crate::aws::resolve::{Tools, Verdicts};
use crate::aws::warnings::warnings;
use crate::aws_files::text::FileKind;
use crate::aws_files::{AwsFiles, Profiles};
use crate::commands::context::{Aws, Context};
use crate::commands::tools::{differences, tools};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Kind, Result};
use crate::output::{Page, table, visible};

pub fn run(offline: bool, context: &Context) -> Result<u8> {
    let files = AwsFiles::of(&context.env);
    let profiles = files.profiles();
    let aws = Aws::start(context)?;
    let named = &context.global.profiles;
    let scope = if named.is_empty() { Scope::Inventory } else { Scope::Profiles(named) };
    let mut credentials = list(&aws.sdk, &context.env, &files, scope)?;
    let code = context.global.mfa_code.as_deref();
    let role = code.map(|code| role_of_the_code(code, &credentials, &profiles)).transpose()?;
    let mut of_accounts = Vec::new();
    if offline {
        credentials.retain(|credential| credential.source != Source::Instance);
    } else {
        let progress = |all: usize, done: usize| {
            context.output.working(&format!("Checking AWS credentials: {done} of {all} …"));
        };
        let all = credentials.len();
        progress(all, 0);
        let checked = aws.read(async {
            let mut credentials = check(&aws.sdk, credentials, |done| progress(all, done)).await;
            // What the role is with its code takes the place of what it is without.
            if let (Some(code), Some(Some(role))) = (code, &role)
                && let Some(credential) = credentials
                    .iter_mut()
                    .find(|it| it.source.profile_name() == Some(&role.profile))
            {
                match role.assume(&aws.sdk, &profiles, code).await {
                    Ok(assumed) => {
                        *credential = Credential { region: credential.region.take(), ..assumed };
                    }
                    Err(error) => {
                        let hint = error.hint.unwrap_or_default();
                        credential.state =
                            State::Fails(Diagnostic::new(REJECTED, error.message, hint));
                    }
                }
            }
            let of_accounts = audit(&aws.sdk, &mut credentials).await;
            Ok((credentials, of_accounts))
        });
        context.output.done();
        (credentials, of_accounts) = checked?;
    }
    let (of_each, mut of_files) = warnings(&credentials, &files, &context.env);
    of_files.extend(of_accounts);
    let has_role = |it: &Credential| it.source == Source::Instance && it.identity().is_some();
    let resolver = Tools::of(&context.env, credentials.iter().any(has_role));
    let by_default = resolver.verdicts(None);
    let of_profile =
        |it: &Credential| it.source.profile_name().map(|it| resolver.verdicts(Some(it)));
    let verdicts: Vec<Option<Verdicts>> = credentials.iter().map(of_profile).collect();
    let each = || credentials.iter().zip(&of_each);
    let checked = each().zip(&verdicts).map(|((credential, warnings), verdicts)| {
        checked(credential, warnings, &profiles, verdicts.as_ref())
    });
    let json = json!({
        "tools": tools(&by_default),
        "profiles": checked.collect::<Value>(),
        "warnings": of_files,
    });
    let of_tools = of_tools(&credentials, &verdicts, named.is_empty().then_some(&by_default));
    let named_warnings = each().flat_map(|(credential, warnings)| {
        warnings.iter().map(|warning| (credential.source.name(), warning))
    });
    let of_tools = of_tools.iter().map(|(name, warning)| (*name, warning));
    let all_warnings =
        of_files.iter().map(|warning| ("", warning)).chain(named_warnings).chain(of_tools);
    context.result(json, |page| text(&credentials, all_warnings.clone(), page))?;
    // Offline, a credential without a known defect counts as working.
    let works = |credential: &Credential| match credential.state {
        State::Works(_) => true,
        State::Unchecked => offline,
        State::Fails(_) => false,
    };
    let mut all = credentials.iter();
    let good = if named.is_empty() { all.any(works) } else { all.all(works) };
    Ok(if good { 0 } else { Kind::Credentials.exit_code() })
}

/// Where tools differ or fail, each with the name of the profile that it is about.
fn of_tools<'c>(
    credentials: &'c [Credential],
    verdicts: &[Option<Verdicts>],
    by_default: Option<&Verdicts>,
) -> Vec<(&'c str, Diagnostic)> {
    let mut all: Vec<_> = by_default.into_iter().flat_map(differences).map(|it| ("", it)).collect();
    for (credential, verdicts) in credentials.iter().zip(verdicts) {
        let fails = matches!(credential.state, State::Fails(_));
        // Where nobody can use it, the table says why; and a file that is refused is refused once.
        let is_told = |it: &Verdicts| {
            fails && it.all_fail() || by_default.is_some_and(|first| it.fails_like(first))
        };
        if let Some(verdicts) = verdicts.as_ref().filter(|it| !is_told(it)) {
            let name = credential.source.name();
            all.extend(differences(verdicts).into_iter().map(|it| (name, it)));
        }
    }
    all
}

/// One credential. Its fields are the contract's.
fn checked(
    credential: &Credential,
    warnings: &[Diagnostic],
    profiles: &Profiles,
    verdicts: Option<&Verdicts>,
) -> Value {
    let identity = credential.identity();
    json!({
        // A profile's, or `environment`, `web_identity`, `container`, `instance`.
        "name": credential.source.name(),
        "kind": match credential.source {
            Source::Environment => "environment",
            _ => credential.kind.name(),
        },
        "source": source(&credential.source, profiles),
        "region": credential.region,
        "status": match &credential.state {
            State::Unchecked => "unchecked",
            State::Works(_) => "valid",
            State::Fails(why) => why.code,
        },
        "arn": identity.map(|it| &it.arn),
        "account_id": identity.map(|it| &it.account_id),
        "access_key_id": credential.access_key_id,
        "is_root": identity.is_some_and(|it| it.is_root()),
        "expires_at": credential.expires_at,
        "warnings": warnings,
        "tools": verdicts.map(tools),
    })
}

/// `config` or `credentials` for a profile, by where its keys stand; else its name.
fn source<'s>(source: &'s Source, profiles: &Profiles) -> &'s str {
    let Source::Profile(name) = source else {
        return source.name();
    };
    let profile = profiles.find(name);
    let keys = profile.and_then(|profile| profile.file_of("aws_access_key_id"));
    match keys.or_else(|| Some(profile?.at?.0)) {
        Some(FileKind::Credentials) => "credentials",
        Some(FileKind::Config) => "config",
        // AWS_PROFILE names it, and no file has it.
        None => "environment",
    }
}

/// The table of credentials, and each warning once, after the name of what it is about.
fn text<'w>(
    credentials: &[Credential],
    warnings: impl Iterator<Item = (&'w str, &'w Diagnostic)>,
    page: &Page,
) -> String {
    let rows: Vec<Vec<String>> = credentials.iter().map(Credential::row).collect();
    let mut text = table(&rows, page.width);
    let mut seen: HashSet<&Diagnostic> = HashSet::new();
    for (name, warning) in warnings {
        // A file may belong to several profiles.
        if !seen.insert(warning) {
            continue;
        }
        let message = match (name, warning.code) {
            // The table says why a profile cannot be used.
            (_, "expired") => continue,
            ("", _) | (_, "readable_by_others") => warning.located(),
            _ => format!("{name}: {}", warning.located()),
        };
        let line = format!("{} {}", page.strong("warning:"), visible(&message));
        text.push_str(&format!("\n{}", page.wrapped(&line, "  ")));
        if !warning.hint.is_empty() {
            text.push_str(&page.wrapped(&visible(&format!("  {}", warning.hint)), "  "));
        }
    }
    if text.is_empty() {
        text = "no AWS credentials on this machine: `cloudcred setup` makes some\n".to_owned();
    }
    text
}

/// The one role that `--mfa-code` is for: AWS takes a code once.
fn role_of_the_code(
    code: &str,
    credentials: &[Credential],
    profiles: &Profiles,
) -> Result<Option<MfaRole>> {
    check_code(code)?;
    let named = credentials.iter().filter_map(|it| profiles.find(it.source.profile_name()?));
    let mut roles = named.filter_map(|profile| MfaRole::of(profile, profiles));
    let role = roles.next();
    if roles.next().is_some() {
        return Err(Error::usage("several profiles need an MFA code, and a code works only once")
            .hint("name the profile that it is for with --profile"));
    }
    Ok(role)
}
