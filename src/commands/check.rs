//! `cloudcred check`: every AWS credential on this machine, whose it is, whether it works, and what is
//! wrong with it.

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::found::{Found, Source, State, Status, Warning};
use crate::aws::profiles::{Checking, Scope, check, list, look_at_keys};
use crate::aws::warnings::{Scene, warnings};
use crate::cli::Check;
use crate::commands::Context;
use crate::commands::aws::Aws;
use crate::error::{Kind, Result};
use crate::output::{Page, Report, table};
use crate::shared_config::{Locations, Place, Profiles, SharedConfig};

#[derive(Serialize)]
struct CheckReport {
    profiles: Vec<Checked>,
    /// Of the files themselves, and of what in them belongs to no profile.
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
    let mut found = list(&aws.sdk, &context.env, &files, scope)?;
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
            let not_looked_at = look_at_keys(&aws.sdk, &mut found, how).await;
            Ok((found, not_looked_at))
        };
        let checked = aws.read(work);
        context.output.done();
        (found, keys_not_looked_at) = checked?;
    }
    let locations = Locations::of(&context.env).ok();
    let scene = Scene {
        env: &context.env,
        files: &files,
        locations: locations.as_ref(),
        now: context.env.now(),
        keys_not_looked_at,
    };
    let (of_found, of_files) = warnings(&found, &scene);
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
