//! Finds the credentials on this machine (variables, both `~/.aws` files, container and instance
//! metadata) and asks STS and IAM about all of them at once. Reads only.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{ecs, imds};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::aws::account;
use crate::aws::configured::{configured, has_credentials, program_of, sources_of};
use crate::aws::console::Console;
use crate::aws::credential::{Credential, Source, State, UNREACHABLE, UNRESOLVABLE};
use crate::aws::identity::caller_identity;
use crate::aws::kind::Kind;
use crate::aws::program::Program;
use crate::aws::sdk::{Sdk, Session};
use crate::aws::unusable::{rejected, unresolvable};
use crate::aws_files::{AwsFiles, Profile, Profiles};
use crate::diagnostic::Diagnostic;
use crate::env::Env;
use crate::error::{Error, Result, did_you_mean};
use crate::secret::KeyPair;

/// How many credentials are checked at once.
const AT_ONCE: usize = 32;

/// How long one may take to resolve, and how long AWS may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// How many accounts are asked about their root user: somebody with more of them has other means, and
/// the answer must not take long.
const AUDITED: usize = 8;

/// Which credentials to look at.
pub enum Scope<'a> {
    /// Every one on this machine; the first is the one that tools would use.
    All,
    /// The same, and profiles with settings only, in the order of the files.
    Inventory,
    Profiles(&'a [String]),
    /// Only the one that tools without further settings would use.
    DefaultChain,
}

/// Lists, resolves and verifies.
///
/// # Errors
/// When a named profile is not in the files.
pub async fn find(sdk: &Sdk, env: &Env, scope: Scope<'_>) -> Result<Vec<Credential>> {
    let listed = list(sdk, env, &AwsFiles::of(env), scope)?;
    Ok(check(sdk, listed, |_| ()).await)
}

/// The credentials, unchecked; those that cannot work fail already.
///
/// # Errors
/// When a named profile is not in the files.
pub fn list(sdk: &Sdk, env: &Env, files: &AwsFiles, scope: Scope<'_>) -> Result<Vec<Credential>> {
    let profiles = files.profiles();
    if let Scope::Profiles(names) = scope {
        let profile = |name: &String| match profiles.find(name) {
            Some(profile) => Ok(of_profile(sdk, profile, &profiles)),
            None => Err(unknown_profile(name, &profiles)),
        };
        return names.iter().map(profile).collect();
    }
    let selected = selected_profile(env);
    let mut all = candidates(sdk, env, &profiles);
    if let Scope::Inventory = scope {
        return Ok(all);
    }
    // A selected profile that is missing stays: tools that follow AWS_PROFILE fail.
    let is_usable = |name: &str| profiles.find(name).is_none_or(has_credentials);
    all.retain(|found| found.source.profile_name().is_none_or(is_usable));
    all.sort_by_key(|found| match &found.source {
        Source::Environment => 0,
        Source::Profile(name) if name == selected => 1,
        _ => 2,
    });
    if let Scope::DefaultChain = scope {
        all.retain(|found| found.source.profile_name().is_none_or(|name| name == selected));
        all.truncate(1);
    }
    Ok(all)
}

/// Resolves and verifies what may work, in the given order; `progress` gets the number of those that
/// are done. An instance role is left out where there is no instance.
pub async fn check(
    sdk: &Sdk,
    listed: Vec<Credential>,
    progress: impl Fn(usize),
) -> Vec<Credential> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let checks = listed.into_iter().map(|found| {
        let (sdk, permits) = (sdk.clone(), Arc::clone(&permits));
        async move {
            let _permit = permits.acquire_owned().await;
            check_one(&sdk, found).await
        }
    });
    concurrently(checks, progress).await.into_iter().flatten().collect()
}

/// The results in the order of the work.
async fn concurrently<T: Send + 'static>(
    work: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
    progress: impl Fn(usize),
) -> Vec<T> {
    let mut tasks = JoinSet::new();
    for (index, work) in work.enumerate() {
        tasks.spawn(async move { (index, work.await) });
    }
    let mut done = Vec::new();
    while let Some(result) = tasks.join_next().await {
        // A task that panicked has reported it already.
        done.extend(result.ok());
        progress(done.len());
    }
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Asks IAM about the users of working long-term keys, and about the root users of the first accounts,
/// all at once: keeps the lists of keys, and returns what is wrong with whole accounts. What may not
/// be read is left out; so are keys in a number that would take more than one round trip.
pub async fn audit(sdk: &Sdk, found: &mut [Credential]) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let works = || found.iter().filter_map(|found| Some((found, found.identity()?)));
    let mut keys = distinct(
        works()
            .filter(|(found, _)| found.kind == Kind::Static)
            .filter_map(|(found, _)| Some((found.access_key_id.clone()?, found.session.clone()))),
    );
    let mut accounts = distinct(
        works().map(|(found, identity)| (identity.account_id.clone(), found.session.clone())),
    );
    accounts.truncate(AUDITED);
    if keys.len() > AT_ONCE {
        let count = keys.len();
        warnings.push(Diagnostic::new(
            "keys_not_looked_at",
            format!("{count} keys were not checked for their age, nor for a second key"),
            "name fewer profiles, with --profile",
        ));
        keys.clear();
    }
    let of_keys = keys.into_iter().map(|(id, session)| {
        let iam = sdk.iam_once(&session);
        // Without a name, of the caller's own user (API reference, ListAccessKeys).
        async move { (id, timeout(LIMIT, account::access_keys(&iam, None)).await) }
    });
    let of_roots = accounts.into_iter().map(|(account, session)| {
        let iam = sdk.iam_once(&session);
        let console = Console::of_region(session.region.as_ref());
        async move {
            let root = timeout(LIMIT, account::root_user(&iam)).await.ok()?.ok()?;
            Some(root.weaknesses(&account, console))
        }
    });
    let (listed, roots) =
        tokio::join!(concurrently(of_keys, |_| ()), concurrently(of_roots, |_| ()));
    for (id, keys) in listed {
        if let Ok(Ok(keys)) = keys {
            for found in found.iter_mut().filter(|it| it.access_key_id.as_ref() == Some(&id)) {
                found.keys.clone_from(&keys);
            }
        }
    }
    warnings.extend(roots.into_iter().flatten().flatten());
    warnings
}

/// The first session for each ID.
fn distinct(all: impl Iterator<Item = (String, Session)>) -> Vec<(String, Session)> {
    let mut seen = HashSet::new();
    all.filter(|(id, _)| seen.insert(id.clone())).collect()
}

/// Checks a pair that the user gave.
pub async fn check_given(sdk: &Sdk, pair: &KeyPair) -> Credential {
    let session = sdk.session(pair, sdk.region());
    let mut found = Credential::unchecked(Source::Given, Kind::Static, session);
    found.access_key_id = Some(pair.access_key_id.clone());
    found.state = verified(sdk, &found).await;
    found
}

/// The profile that tools use when none is named.
pub fn selected_profile(env: &Env) -> &str {
    env.var("AWS_PROFILE").unwrap_or("default")
}

fn unknown_profile(name: &str, profiles: &Profiles) -> Error {
    let names = profiles.profiles.iter().map(|profile| profile.name.as_str());
    let otherwise = "`aws configure list-profiles` lists them";
    Error::credentials(format!("there is no AWS profile `{name}`"))
        .hint(did_you_mean(name, names, otherwise))
}

/// Every source there may be, in the order of the default chain.
fn candidates(sdk: &Sdk, env: &Env, profiles: &Profiles) -> Vec<Credential> {
    let candidate = |source, kind, provider| Credential {
        region: sdk.configured_region(None),
        ..Credential::unchecked(source, kind, Session { provider, region: sdk.region() })
    };
    let config = sdk.provider_config(sdk.region());
    let is_set = |name| env.var(name).is_some();
    let mut all = Vec::new();
    if let Some(id) = env.var("AWS_ACCESS_KEY_ID") {
        let kind = if is_set("AWS_SESSION_TOKEN") { Kind::Session } else { Kind::Static };
        let provider = EnvironmentVariableCredentialsProvider::new();
        let provider = SharedCredentialsProvider::new(provider);
        let mut found = candidate(Source::Environment, kind, provider);
        found.access_key_id = Some(id.to_owned());
        if !is_set("AWS_SECRET_ACCESS_KEY") {
            found.state = State::Fails(Diagnostic::new(
                UNRESOLVABLE,
                "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY",
                "set both, or neither",
            ));
        }
        all.push(found);
    }
    let selected = selected_profile(env);
    if selected != "default" && profiles.find(selected).is_none() {
        let mut found = of_profile(sdk, &Profile::named(selected), profiles);
        found.state = State::Fails(Diagnostic::new(
            UNRESOLVABLE,
            "AWS_PROFILE names it, but there is no such profile",
            "set AWS_PROFILE to an existing profile, or unset it",
        ));
        all.push(found);
    }
    all.extend(profiles.profiles.iter().map(|profile| of_profile(sdk, profile, profiles)));
    if is_set("AWS_WEB_IDENTITY_TOKEN_FILE") && is_set("AWS_ROLE_ARN") {
        let provider = WebIdentityTokenCredentialsProvider::builder().configure(&config).build();
        let provider = SharedCredentialsProvider::new(provider);
        all.push(candidate(Source::WebIdentity, Kind::WebIdentity, provider));
    }
    if is_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        || is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    {
        let provider = ecs::EcsCredentialsProvider::builder().configure(&config).build();
        let provider = SharedCredentialsProvider::new(provider);
        all.push(candidate(Source::Container, Kind::Container, provider));
    }
    let switch = env.var("AWS_EC2_METADATA_DISABLED").unwrap_or_default();
    if !switch.eq_ignore_ascii_case("true") {
        // Where there is no instance nothing answers, so the wait is short.
        let client = imds::Client::builder()
            .configure(&config)
            .max_attempts(1)
            .connect_timeout(Duration::from_millis(300))
            .read_timeout(Duration::from_secs(1))
            .build();
        let provider = ImdsCredentialsProvider::builder().configure(&config).imds_client(client);
        let provider = SharedCredentialsProvider::new(provider.build());
        all.push(candidate(Source::Instance, Kind::Instance, provider));
    }
    all
}

fn of_profile(sdk: &Sdk, profile: &Profile, all: &Profiles) -> Credential {
    let own_region = profile.get("region");
    let region = sdk.region_of(own_region);
    let configured = configured(profile, all);
    let provider = provider(&sdk.provider_config(region.clone()), profile, all);
    let access_key_id = match configured.kind {
        Kind::Static | Kind::Session => profile.get("aws_access_key_id").map(str::to_owned),
        _ => None,
    };
    let source = Source::Profile(profile.name.clone());
    Credential {
        signs_in: configured.signs_in,
        mfa_serial: configured.mfa_serial,
        access_key_id,
        region: sdk.configured_region(own_region),
        state: match configured.defect {
            Some(defect) => State::Fails(Diagnostic { code: UNRESOLVABLE, ..defect }),
            None => State::Unchecked,
        },
        ..Credential::unchecked(source, configured.kind, Session { provider, region })
    }
}

/// Resolves the profile as the SDK does, from its own sources alone. An external program at the end is
/// ours to run.
pub fn provider(
    config: &ProviderConfig,
    profile: &Profile,
    all: &Profiles,
) -> SharedCredentialsProvider {
    let mut sources = sources_of(profile, all);
    let mut provider = ProfileFileCredentialsProvider::builder()
        .configure(config)
        .profile_name(profile.name.clone());
    if let Some((name, command)) = program_of(profile, all) {
        let program = Program { command: command.to_owned() };
        // The last role of the chain, if there is one, takes it as a source of that name.
        let by_profile = format!("\nsource_profile = {name}\n");
        let Some((before, after)) = sources.rsplit_once(&by_profile) else {
            return SharedCredentialsProvider::new(program);
        };
        sources = format!("{before}\ncredential_source = Program\n{after}");
        provider = provider.with_custom_provider("Program", program);
    }
    let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, sources);
    SharedCredentialsProvider::new(provider.profile_files(files.build()).build())
}

/// `None` for an instance role where there is no instance.
async fn check_one(sdk: &Sdk, mut found: Credential) -> Option<Credential> {
    if !matches!(found.state, State::Unchecked) {
        return Some(found);
    }
    if found.mfa_serial.is_some() {
        // The SDK would leave the device out, and AWS would then complain of missing permissions.
        let hint = format!("--profile {} --mfa-code CODE", found.source.name());
        found.state = State::Fails(Diagnostic::new(UNRESOLVABLE, "needs an MFA code", hint));
        return Some(found);
    }
    match timeout(LIMIT, found.session.provider.provide_credentials()).await {
        Ok(Ok(credentials)) => {
            found.access_key_id = Some(credentials.access_key_id().to_owned());
            found.expires_at = credentials.expiry().and_then(|time| Timestamp::try_from(time).ok());
            found.state = verified(sdk, &found).await;
        }
        Ok(Err(_)) if found.source == Source::Instance => return None,
        Ok(Err(error)) => found.state = State::Fails(unresolvable(&found, &error)),
        Err(_) => {
            found.state = State::Fails(Diagnostic::new(
                UNREACHABLE,
                format!("no answer within {} s", LIMIT.as_secs()),
                "check the network, and the program or service that it asks",
            ));
        }
    }
    Some(found)
}

async fn verified(sdk: &Sdk, found: &Credential) -> State {
    match caller_identity(sdk, &found.session, LIMIT).await {
        Ok(identity) => State::Works(identity),
        Err(failure) => State::Fails(rejected(found, &failure)),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::aws::failure::deepest;
    use crate::aws::unusable::PROGRAM_FAILED;
    use crate::aws_files::text::{AwsFile, FileKind};

    #[tokio::test]
    async fn a_program_at_the_end_of_a_chain_is_run_by_us() {
        let config = "[profile a]\nrole_arn = arn\nsource_profile = b\n[profile b]\nrole_arn = arn\nsource_profile = c\n\
             [profile c]\ncredential_process = echo no >&2; exit 1\n\
             [profile self]\nrole_arn = arn\nsource_profile = self\ncredential_process = echo no >&2; exit 1\n";
        let files = AwsFiles {
            config: AwsFile::parse(FileKind::Config, config.as_bytes()),
            ..AwsFiles::default()
        };
        let all = files.profiles();
        let region = aws_config::Region::from_static("us-east-1");
        let config = ProviderConfig::without_region().with_region(Some(region));
        for name in ["a", "b", "c", "self"] {
            let profile = all.find(name).expect("in the file");
            let provider = provider(&config, profile, &all);
            let error = provider.provide_credentials().await.expect_err("it fails");
            assert_eq!(deepest(&error), format!("{PROGRAM_FAILED}no"), "{name}");
        }
    }
}
