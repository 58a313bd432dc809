//! `cloudcred check`: every AWS credential on this machine, whose it is, whether it works, and what is
//! wrong with it.

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::found::{Found, Source, State, Status, Warning};
use crate::aws::mfa::{MfaRole, check_code};
use crate::aws::profiles::{Checking, Scope, check, list, look_at_keys, look_at_roots};
use crate::aws::sdk::Sdk;
use crate::aws::warnings::{Scene, warnings};
use crate::cli::Check;
use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::error::{Error, Kind, Result};
use crate::output::{Page, Report, table};
use crate::shared_config::{Locations, Place, Profiles, SharedConfig};

#[derive(Serialize)]
struct CheckReport {
    profiles: Vec<Checked>,
    /// Of the files themselves, of what in them belongs to no profile, and of whole accounts.
    warnings: Vec<Warning>,
}

/// One credential. Its fields are the contract's.
#[derive(Serialize)]
struct Checked {
    /// A profile's, or `environment`, `web_identity`, `container`, `instance`.
    name: String,
    kind: &'static str,
    /// `config` or `credentials` for a profile, by where its keys stand; else as its name.
    source: &'static str,
    region: Option<String>,
    status: &'static str,
    arn: Option<String>,
    account_id: Option<String>,
    access_key_id: Option<String>,
    is_root: bool,
    expires_at: Option<Timestamp>,
    warnings: Vec<Warning>,
    #[serde(skip)]
    row: Vec<String>,
}

impl Checked {
    fn new(found: &Found, profiles: &Profiles, warnings: Vec<Warning>) -> Self {
        let identity = found.identity();
        let from_environment = found.source == Source::Environment;
        Checked {
            name: found.source.name().to_owned(),
            kind: match from_environment {
                true => "environment",
                false => found.kind.name(),
            },
            source: place(&found.source, profiles),
            region: found.region.clone(),
            status: status(&found.state),
            arn: identity.map(|identity| identity.arn.clone()),
            account_id: identity.map(|identity| identity.account_id.clone()),
            access_key_id: found.access_key_id.clone(),
            is_root: identity.is_some_and(|identity| identity.is_root()),
            expires_at: found.expires_at,
            warnings,
            row: found.row(),
        }
    }
}

fn status(state: &State) -> &'static str {
    match state {
        State::Unchecked => "unchecked",
        State::Works(_) => "valid",
        State::Fails { status, .. } => match status {
            Status::Rejected => "rejected",
            Status::Expired => "expired",
            Status::Unreachable => "unreachable",
            Status::Unresolvable => "unresolvable",
        },
    }
}

fn place(source: &Source, profiles: &Profiles) -> &'static str {
    let profile = match source {
        Source::Profile(name) => profiles.find(name),
        Source::Environment => return "environment",
        Source::WebIdentity => return "web_identity",
        Source::Container => return "container",
        Source::Instance => return "instance",
        Source::Given => return "given",
        Source::SignIn => return "sign_in",
    };
    let keys = profile.and_then(|profile| profile.place_of("aws_access_key_id"));
    match keys.or_else(|| Some(profile?.at?.0)) {
        Some(Place::Credentials) => "credentials",
        Some(Place::Config) => "config",
        // AWS_PROFILE names it, and it is nowhere.
        None => "environment",
    }
}

impl Report for CheckReport {
    fn text(&self, page: &Page) -> String {
        if self.profiles.is_empty() && self.warnings.is_empty() {
            return "no AWS credentials on this machine: `cloudcred setup` makes some\n".to_owned();
        }
        let rows: Vec<Vec<String>> = self.profiles.iter().map(|it| it.row.clone()).collect();
        let mut text = table(&rows, page.width);
        let of_profiles = self.profiles.iter().flat_map(|profile| {
            let warnings = profile.warnings.iter();
            warnings.map(|warning| (profile.name.as_str(), warning))
        });
        let of_files = self.warnings.iter().map(|warning| ("", warning));
        let mut told: Vec<&Warning> = Vec::new();
        for (name, warning) in of_files.chain(of_profiles) {
            // A profile that cannot be used says why in the table; a file is told about once.
            if warning.code == "expired" || told.contains(&warning) {
                continue;
            }
            told.push(warning);
            let name = match warning.code {
                _ if name.is_empty() => String::new(),
                "readable_by_others" => String::new(),
                _ => format!("{name}: "),
            };
            let line = format!("{} {name}{}", page.strong("warning:"), warning.message);
            text.push_str(&format!("\n{}", page.wrapped(&line, "  ")));
            text.push_str(&page.wrapped(&format!("  {}", warning.hint), "  "));
        }
        text
    }
}

/// The one role that `--mfa-code` is for.
///
/// # Errors
/// `Usage`, when there are several: AWS takes a code once.
fn role_of_the_code<'c>(
    found: &[Found],
    profiles: &Profiles,
    context: &'c Context,
) -> Result<Option<(MfaRole, &'c str)>> {
    let Some(code) = &context.global.mfa_code else {
        return Ok(None);
    };
    check_code(code)?;
    let names = found.iter().filter_map(|found| found.source.profile_name());
    let named = names.filter_map(|name| profiles.find(name));
    let mut roles: Vec<MfaRole> =
        named.filter_map(|profile| MfaRole::of(profile, profiles)).collect();
    let role = roles.pop();
    match roles.is_empty() {
        true => Ok(role.map(|role| (role, code.as_str()))),
        false => Err(Error::usage("several profiles need an MFA code, and one is good once")
            .hint("name the profile that it is for with --profile")),
    }
}

/// Puts what the role is with its code in the place of what it is without.
async fn assume(role: &MfaRole, code: &str, found: &mut [Found], sdk: &Sdk, profiles: &Profiles) {
    let mut all = found.iter_mut();
    let is_it = |found: &&mut Found| found.source.profile_name() == Some(&role.profile);
    let Some(found) = all.find(is_it) else {
        return;
    };
    match role.assume(sdk, profiles, code).await {
        Ok(assumed) => *found = Found { region: found.region.take(), ..assumed },
        Err(error) => {
            found.state = State::Fails {
                status: Status::Rejected,
                what: error.message,
                hint: error.hint.unwrap_or_default(),
            }
        }
    }
}

/// # Errors
/// When a profile that is named is not there.
pub fn run(flags: Check, context: &Context) -> Result<u8> {
    let files = SharedConfig::of(&context.env);
    let aws = Aws::start(context)?;
    let named = &context.global.profiles;
    let scope = match named.is_empty() {
        true => Scope::Inventory,
        false => Scope::Profiles(named),
    };
    let mut findings = Vec::new();
    let mut found = list(&aws.sdk, &context.env, &files, scope)?;
    let coded = role_of_the_code(&found, &files.profiles(), context)?;
    let mut keys_not_looked_at = 0;
    if flags.offline {
        found.retain(|found| found.source != Source::Instance);
    } else {
        let how = Checking::default();
        let all = found.len();
        let progress = |done: usize| {
            let text = format!("Checking AWS credentials: {done} of {all} …");
            context.output.working(&text);
        };
        progress(0);
        let work = async {
            let mut found = check(&aws.sdk, found, how, progress).await;
            if let Some((role, code)) = &coded {
                assume(role, code, &mut found, &aws.sdk, &files.profiles()).await;
            }
            // One round trip for both.
            let unchanged = found.clone();
            let (not_looked_at, findings) = tokio::join!(
                look_at_keys(&aws.sdk, &mut found, how),
                look_at_roots(&aws.sdk, &unchanged, how)
            );
            Ok((found, not_looked_at, findings))
        };
        let checked = aws.read(work);
        context.output.done();
        (found, keys_not_looked_at, findings) = checked?;
    }
    let locations = Locations::of(&context.env).ok();
    let scene = Scene {
        env: &context.env,
        files: &files,
        locations: locations.as_ref(),
        now: context.env.now(),
        keys_not_looked_at,
    };
    let (of_found, mut of_files) = warnings(&found, &scene);
    of_files.extend(findings.into_iter().map(|finding| Warning {
        code: finding.code,
        message: finding.message,
        hint: finding.hint,
    }));
    let profiles = files.profiles();
    let checked = found.iter().zip(of_found);
    let report = CheckReport {
        profiles: checked
            .map(|(found, warnings)| Checked::new(found, &profiles, warnings))
            .collect(),
        warnings: of_files,
    };
    context.output.result(&report)?;
    // Offline, whatever is not known to be broken may well work.
    let works = |found: &Found| match found.state {
        State::Works(_) => true,
        State::Unchecked => flags.offline,
        State::Fails { .. } => false,
    };
    let good = match named.is_empty() {
        true => found.iter().any(works),
        false => found.iter().all(works),
    };
    Ok(match good {
        true => 0,
        false => Kind::Credentials.exit_code(),
    })
}
