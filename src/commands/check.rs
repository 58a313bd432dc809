//! `cloudcred check`: every AWS credential on this machine, whose it is, whether it works, and what is
//! wrong with it.

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::credential::{Credential, REJECTED, Source, State};
use crate::aws::mfa::{MfaRole, check_code};
use crate::aws::profiles::{Scope, audit, check, list};
use crate::aws::resolve::{Tools, Verdicts};
use crate::aws::sdk::Sdk;
use crate::aws::warnings::warnings;
use crate::aws_files::text::FileKind;
use crate::aws_files::{AwsFiles, Profiles};
use crate::cli::Check;
use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::commands::tools::{ToolsReport, differences};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Kind, Result};
use crate::output::{Page, Report, table, visible};

#[derive(Serialize)]
struct CheckReport {
    /// In the environment as it is.
    tools: ToolsReport,
    profiles: Vec<Checked>,
    /// About the files themselves, about what in them belongs to no profile, and about whole accounts.
    warnings: Vec<Diagnostic>,
    /// Where tools differ or fail, with the profile's name before it.
    #[serde(skip)]
    differences: Vec<(String, Diagnostic)>,
}

/// One credential. Its fields are the contract's.
#[derive(Serialize)]
struct Checked {
    /// A profile's, or `environment`, `web_identity`, `container`, `instance`.
    name: String,
    kind: &'static str,
    /// `config` or `credentials` for a profile, by where its keys stand; else as its name.
    source: String,
    region: Option<String>,
    status: &'static str,
    arn: Option<String>,
    account_id: Option<String>,
    access_key_id: Option<String>,
    is_root: bool,
    expires_at: Option<Timestamp>,
    /// Where AWS_PROFILE names it; `None` for what is no profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<ToolsReport>,
    warnings: Vec<Diagnostic>,
    #[serde(skip)]
    row: Vec<String>,
}

impl Checked {
    fn new(
        found: &Credential,
        profiles: &Profiles,
        tools: Option<&Verdicts>,
        warnings: Vec<Diagnostic>,
    ) -> Self {
        let identity = found.identity();
        Checked {
            name: found.source.name().to_owned(),
            kind: match found.source {
                Source::Environment => "environment",
                _ => found.kind.name(),
            },
            source: source(&found.source, profiles).to_owned(),
            region: found.region.clone(),
            status: match &found.state {
                State::Unchecked => "unchecked",
                State::Works(_) => "valid",
                State::Fails(why) => why.code,
            },
            arn: identity.map(|identity| identity.arn.clone()),
            account_id: identity.map(|identity| identity.account_id.clone()),
            access_key_id: found.access_key_id.clone(),
            is_root: identity.is_some_and(|identity| identity.is_root()),
            expires_at: found.expires_at,
            tools: tools.map(ToolsReport::new),
            warnings,
            row: found.row(),
        }
    }
}

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

impl Report for CheckReport {
    fn text(&self, page: &Page) -> String {
        if self.profiles.is_empty() && self.warnings.is_empty() {
            return "no AWS credentials on this machine: `cloudcred setup` makes some\n".to_owned();
        }
        let rows: Vec<Vec<String>> = self.profiles.iter().map(|it| it.row.clone()).collect();
        let mut text = table(&rows, page.width);
        let of_profiles = self.profiles.iter().flat_map(|profile| {
            profile.warnings.iter().map(|warning| (format!("{}: ", profile.name), warning))
        });
        let of_files = self.warnings.iter().map(|warning| (String::new(), warning));
        let of_tools = self.differences.iter().map(|(name, it)| (name.clone(), it));
        let mut seen: Vec<&Diagnostic> = Vec::new();
        for (mut name, warning) in of_files.chain(of_profiles).chain(of_tools) {
            // The table says why a profile cannot be used; a file may belong to several profiles.
            if warning.code == "expired" || seen.contains(&warning) {
                continue;
            }
            seen.push(warning);
            if warning.code == "readable_by_others" {
                name.clear();
            }
            let message = visible(&format!("{name}{}", warning.located()));
            let line = format!("{} {message}", page.strong("warning:"));
            text.push_str(&format!("\n{}", page.wrapped(&line, "  ")));
            text.push_str(&page.wrapped(&visible(&format!("  {}", warning.hint)), "  "));
        }
        text
    }
}

/// The one role that `--mfa-code` is for.
///
/// # Errors
/// `Usage`, when there are several: AWS takes a code once.
fn role_of_the_code<'c>(
    found: &[Credential],
    profiles: &Profiles,
    context: &'c Context,
) -> Result<Option<(MfaRole, &'c str)>> {
    let Some(code) = &context.global.mfa_code else {
        return Ok(None);
    };
    check_code(code)?;
    let named = found.iter().filter_map(|found| profiles.find(found.source.profile_name()?));
    let mut roles = named.filter_map(|profile| MfaRole::of(profile, profiles));
    let role = roles.next();
    if roles.next().is_some() {
        return Err(Error::usage("several profiles need an MFA code, and a code works only once")
            .hint("name the profile that it is for with --profile"));
    }
    Ok(role.map(|role| (role, code.as_str())))
}

/// Replaces what the role is without its code by what it is with it.
async fn assume(
    (role, code): (&MfaRole, &str),
    found: &mut [Credential],
    sdk: &Sdk,
    profiles: &Profiles,
) {
    let mut all = found.iter_mut();
    let Some(found) = all.find(|it| it.source.profile_name() == Some(&role.profile)) else {
        return;
    };
    match role.assume(sdk, profiles, code).await {
        Ok(assumed) => *found = Credential { region: found.region.take(), ..assumed },
        Err(error) => {
            let hint = error.hint.unwrap_or_default();
            found.state = State::Fails(Diagnostic::new(REJECTED, error.message, hint));
        }
    }
}

pub fn run(flags: Check, context: &Context) -> Result<u8> {
    let files = AwsFiles::of(&context.env);
    let profiles = files.profiles();
    let aws = Aws::start(context)?;
    let named = &context.global.profiles;
    let scope = match named.is_empty() {
        true => Scope::Inventory,
        false => Scope::Profiles(named),
    };
    let mut found = list(&aws.sdk, &context.env, &files, scope)?;
    let coded = role_of_the_code(&found, &profiles, context)?;
    let mut of_accounts = Vec::new();
    if flags.offline {
        found.retain(|found| found.source != Source::Instance);
    } else {
        let all = found.len();
        let progress = |done: usize| {
            let text = format!("Checking AWS credentials: {done} of {all} …");
            context.output.working(&text);
        };
        progress(0);
        let checked = aws.read(async {
            let mut found = check(&aws.sdk, found, progress).await;
            if let Some((role, code)) = &coded {
                assume((role, code), &mut found, &aws.sdk, &profiles).await;
            }
            let of_accounts = audit(&aws.sdk, &mut found).await;
            Ok((found, of_accounts))
        });
        context.output.done();
        (found, of_accounts) = checked?;
    }
    let (of_found, mut warnings) = warnings(&found, &files, &context.env);
    warnings.extend(of_accounts);
    let works_here = |it: &Credential| it.source == Source::Instance && it.identity().is_some();
    let tools = Tools::of(&context.env, found.iter().any(works_here));
    let by_default = tools.verdicts(None);
    let mut told = Vec::new();
    if named.is_empty() {
        told.extend(differences(&by_default).into_iter().map(|it| (String::new(), it)));
    }
    let mut checked = Vec::new();
    for (found, warnings) in found.iter().zip(of_found) {
        let of_profile = found.source.profile_name().map(|name| tools.verdicts(Some(name)));
        if let Some(verdicts) = &of_profile {
            // The table says already why nobody can use it.
            let fails = matches!(found.state, State::Fails(_));
            if !(fails && verdicts.named().iter().all(|(_, verdict)| verdict.is_err())) {
                let name = format!("{}: ", found.source.name());
                told.extend(differences(verdicts).into_iter().map(|it| (name.clone(), it)));
            }
        }
        checked.push(Checked::new(found, &profiles, of_profile.as_ref(), warnings));
    }
    context.output.result(&CheckReport {
        tools: ToolsReport::new(&by_default),
        profiles: checked,
        warnings,
        differences: told,
    })?;
    // Offline, a credential without a known defect counts as working.
    let works = |found: &Credential| match found.state {
        State::Works(_) => true,
        State::Unchecked => flags.offline,
        State::Fails(_) => false,
    };
    let good = match named.is_empty() {
        true => found.iter().any(works),
        false => found.iter().all(works),
    };
    Ok(if good { 0 } else { Kind::Credentials.exit_code() })
}
