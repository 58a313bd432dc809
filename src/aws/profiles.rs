//! Finds the credentials on this machine (variables, both `~/.aws` files, container and instance
//! metadata) and asks STS about all of them at once. Reads only.

use std::collections::HashSet;
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

use crate::aws::account::{self, Finding};
use crate::aws::configured::{Defect, configured, has_credentials, sources_of};
use crate::aws::console::Console;
use crate::aws::found::{Found, Source, State, Status};
use crate::aws::identity::caller_identity;
use crate::aws::kind::Kind;
use crate::aws::sdk::{Sdk, Session};
use crate::aws::unusable::{rejected, unresolvable};
use crate::env::Env;
use crate::error::{Error, Result, did_you_mean, near_names};
use crate::shared_config::{Profile, Profiles, SharedConfig};

/// Which credentials to look at.
pub enum Scope<'a> {
    /// Every one on this machine; the first is the one that tools would use.
    All,
    /// The same, and profiles that hold settings only, in the order of the files.
    Inventory,
    Profiles(&'a [String]),
    /// Only the one that tools without further settings would use.
    DefaultChain,
}

/// How credentials are checked.
#[derive(Clone, Copy)]
pub struct Checking {
    /// How many are asked at once.
    pub at_once: usize,
    /// How long one may take to resolve, and how long to answer.
    pub limit: Duration,
}

impl Default for Checking {
    fn default() -> Self {
        Checking { at_once: 32, limit: Duration::from_secs(10) }
    }
}

/// Looks, resolves and verifies, all at once; keeps the order of [`list`].
///
/// # Errors
/// When a profile that is asked for is not in the files.
pub async fn find(sdk: &Sdk, env: &Env, scope: Scope<'_>) -> Result<Vec<Found>> {
    let listed = list(sdk, env, &SharedConfig::of(env), scope)?;
    Ok(check(sdk, listed, Checking::default(), |_| ()).await)
}

/// What there is, unchecked; what is known to be broken says so already.
///
/// # Errors
/// When a profile that is asked for is not in the files.
pub fn list(sdk: &Sdk, env: &Env, files: &SharedConfig, scope: Scope<'_>) -> Result<Vec<Found>> {
    let profiles = files.profiles();
    Ok(match scope {
        Scope::Profiles(names) => {
            let profile = |name: &String| match profiles.find(name) {
                Some(profile) => Ok(of_profile(sdk, profile, &profiles)),
                None => Err(unknown_profile(name, &profiles)),
            };
            names.iter().map(profile).collect::<Result<_>>()?
        }
        Scope::Inventory => candidates(sdk, env, &profiles),
        Scope::All | Scope::DefaultChain => {
            let selected = selected_profile(env);
            let mut all = candidates(sdk, env, &profiles);
            all.retain(|found| match found.source.profile_name() {
                // One that is missing is kept: tools that follow AWS_PROFILE fail.
                Some(name) => profiles.find(name).is_none_or(has_credentials),
                None => true,
            });
            all.sort_by_key(|found| match &found.source {
                Source::Environment => 0,
                Source::Profile(name) if name == selected => 1,
                _ => 2,
            });
            if let Scope::DefaultChain = scope {
                all.retain(|found| found.source.profile_name().is_none_or(|it| it == selected));
                all.truncate(1);
            }
            all
        }
    })
}

/// Resolves and verifies what is not known to be broken, all at once; `progress` is told how many
/// are done. An instance role is left out where there is no instance.
pub async fn check(
    sdk: &Sdk,
    listed: Vec<Found>,
    how: Checking,
    progress: impl Fn(usize),
) -> Vec<Found> {
    let permits = Arc::new(Semaphore::new(how.at_once.max(1)));
    let mut tasks = JoinSet::new();
    for (index, found) in listed.into_iter().enumerate() {
        let (sdk, permits) = (sdk.clone(), Arc::clone(&permits));
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            (index, check_one(&sdk, found, how.limit).await)
        });
    }
    let mut checked = Vec::new();
    while let Some(done) = tasks.join_next().await {
        // A task that panicked has told so already.
        checked.extend(done.ok());
        progress(checked.len());
    }
    checked.sort_by_key(|(index, _)| *index);
    checked.into_iter().filter_map(|(_, found)| found).collect()
}

/// Asks IAM about the keys of the users that long-term keys belong to, all at once. Where there are
/// more of them than may be asked at once, nobody is asked: how old keys are is worth one round
/// trip, not many. Returns how many keys were not looked at for that reason.
pub async fn look_at_keys(sdk: &Sdk, found: &mut [Found], how: Checking) -> usize {
    let mut asked = HashSet::new();
    let of_keys: Vec<usize> = (0..found.len())
        .filter(|index| {
            let found = &found[*index];
            let works = found.kind == Kind::Static && found.identity().is_some();
            works && asked.insert(found.access_key_id.clone())
        })
        .collect();
    if of_keys.len() > how.at_once {
        return of_keys.len();
    }
    let mut tasks = JoinSet::new();
    for index in of_keys {
        let (sdk, session) = (sdk.clone(), found[index].session.clone());
        tasks.spawn(async move {
            // Of the caller's own user, or root's own (API reference, ListAccessKeys).
            let iam = sdk.iam_once(&session);
            let keys = account::access_keys(&iam, None);
            (index, tokio::time::timeout(how.limit, keys).await)
        });
    }
    while let Some(done) = tasks.join_next().await {
        // Who may not ask IAM is not told about its keys.
        if let Ok((index, Ok(Ok(keys)))) = done {
            let id = found[index].access_key_id.clone();
            for found in found.iter_mut().filter(|found| found.access_key_id == id) {
                found.keys.clone_from(&keys);
            }
        }
    }
    0
}

/// How many accounts are asked how their root user is guarded: somebody with more of them has other
/// means, and the answer must not take long.
const AUDITED: usize = 8;

/// How the root users are guarded of the first [`AUDITED`] accounts of those whose credentials work, by
/// the first credential of each, all asked at once. Nothing where it may not read that.
pub async fn look_at_roots(sdk: &Sdk, found: &[Found], how: Checking) -> Vec<Finding> {
    let mut accounts: Vec<(String, Session)> = Vec::new();
    for found in found {
        if let Some(identity) = found.identity()
            && accounts.len() < AUDITED
            && accounts.iter().all(|(id, _)| *id != identity.account_id)
        {
            accounts.push((identity.account_id.clone(), found.session.clone()));
        }
    }
    let mut tasks = JoinSet::new();
    for (index, (account, session)) in accounts.into_iter().enumerate() {
        let sdk = sdk.clone();
        tasks.spawn(async move {
            let iam = sdk.iam_once(&session);
            let root = tokio::time::timeout(how.limit, account::root_user(&iam)).await;
            let console = Console::of_region(session.region.as_ref());
            let findings = root.map(|root| root.map(|root| root.findings(&account, console)));
            (index, findings)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        if let Ok((index, Ok(Ok(findings)))) = done {
            all.push((index, findings));
        }
    }
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().flat_map(|(_, findings)| findings).collect()
}

/// Checks a pair that the user gave.
pub async fn check_given(sdk: &Sdk, pair: &crate::secret::KeyPair) -> Found {
    let session = sdk.session(pair, sdk.region());
    let mut found = Found {
        access_key_id: Some(pair.access_key_id.clone()),
        ..unchecked(Source::Given, Kind::Static, session)
    };
    found.state = verified(sdk, &found, Checking::default().limit).await;
    found
}

/// The profile that tools use when none is named.
pub fn selected_profile(env: &Env) -> &str {
    env.var("AWS_PROFILE").unwrap_or("default")
}

fn unknown_profile(name: &str, profiles: &Profiles) -> Error {
    let names = profiles.profiles.iter().map(|profile| profile.name.as_str());
    Error::credentials(format!("there is no AWS profile `{name}`")).hint(did_you_mean(
        &near_names(name, names),
        "`aws configure list-profiles` shows the ones there are",
    ))
}

fn unchecked(source: Source, kind: Kind, session: Session) -> Found {
    Found {
        source,
        kind,
        signs_in: None,
        mfa_serial: None,
        access_key_id: None,
        region: None,
        expires_at: None,
        keys: Vec::new(),
        session,
        state: State::Unchecked,
    }
}

/// Instance metadata is left out where it is switched off.
fn candidates(sdk: &Sdk, env: &Env, profiles: &Profiles) -> Vec<Found> {
    let candidate = |source, kind, provider| {
        let region = sdk.region();
        let session = Session { provider, region };
        Found {
            region: sdk.configured_region().map(|region| region.to_string()),
            ..unchecked(source, kind, session)
        }
    };
    let config = sdk.provider_config(sdk.region());
    let mut all = Vec::new();
    if let Some(id) = env.var("AWS_ACCESS_KEY_ID") {
        let kind = match env.var("AWS_SESSION_TOKEN") {
            Some(_) => Kind::Session,
            None => Kind::Static,
        };
        let provider = EnvironmentVariableCredentialsProvider::new();
        let provider = SharedCredentialsProvider::new(provider);
        let mut found = candidate(Source::Environment, kind, provider);
        found.access_key_id = Some(id.to_owned());
        if env.var("AWS_SECRET_ACCESS_KEY").is_none() {
            found.state = State::fails(
                Status::Unresolvable,
                "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY",
                "set both, or neither",
            );
        }
        all.push(found);
    }
    let selected = selected_profile(env);
    if selected != "default" && profiles.find(selected).is_none() {
        // Tools that follow AWS_PROFILE fail then, so it must not be passed over.
        let missing = Profile::named(selected);
        let mut found = of_profile(sdk, &missing, profiles);
        found.state = State::fails(
            Status::Unresolvable,
            "AWS_PROFILE names it, and there is no such profile",
            "set AWS_PROFILE to a profile that is there, or unset it",
        );
        all.push(found);
    }
    all.extend(profiles.profiles.iter().map(|profile| of_profile(sdk, profile, profiles)));
    if env.var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() && env.var("AWS_ROLE_ARN").is_some() {
        let provider = WebIdentityTokenCredentialsProvider::builder().configure(&config).build();
        all.push(candidate(
            Source::WebIdentity,
            Kind::WebIdentity,
            SharedCredentialsProvider::new(provider),
        ));
    }
    let container =
        ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    if container.iter().any(|name| env.var(name).is_some()) {
        let provider = ecs::EcsCredentialsProvider::builder().configure(&config).build();
        all.push(candidate(
            Source::Container,
            Kind::Container,
            SharedCredentialsProvider::new(provider),
        ));
    }
    let switched_off = env
        .var("AWS_EC2_METADATA_DISABLED")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !switched_off {
        // Where there is none, nothing answers: asked briefly, at the same time as all the others.
        let client = imds::Client::builder()
            .configure(&config)
            .max_attempts(1)
            .connect_timeout(Duration::from_millis(300))
            .read_timeout(Duration::from_secs(1))
            .build();
        let provider =
            ImdsCredentialsProvider::builder().configure(&config).imds_client(client).build();
        all.push(candidate(
            Source::Instance,
            Kind::Instance,
            SharedCredentialsProvider::new(provider),
        ));
    }
    all
}

fn of_profile(sdk: &Sdk, profile: &Profile, all: &Profiles) -> Found {
    let region = sdk.region_of(profile.get("region"));
    let configured = configured(profile, all);
    let provider = provider(&sdk.provider_config(region.clone()), profile, all);
    let session = Session { provider, region };
    let source = Source::Profile(profile.name.clone());
    Found {
        signs_in: configured.signs_in,
        mfa_serial: configured.mfa_serial,
        access_key_id: match configured.kind {
            Kind::Static | Kind::Session => profile.get("aws_access_key_id").map(str::to_owned),
            _ => None,
        },
        region: sdk.configured_region_of(profile.get("region")).map(|region| region.to_string()),
        state: match &configured.defect {
            Some(Defect { what, hint, .. }) => State::fails(Status::Unresolvable, what, hint),
            None => State::Unchecked,
        },
        ..unchecked(source, configured.kind, session)
    }
}

/// Resolves the profile as the SDK does, from what it has to read for it and nothing else.
pub fn provider(
    config: &ProviderConfig,
    profile: &Profile,
    all: &Profiles,
) -> SharedCredentialsProvider {
    let provider = ProfileFileCredentialsProvider::builder()
        .configure(config)
        .profile_name(profile.name.clone())
        .profile_files(
            EnvConfigFiles::builder()
                .with_contents(EnvConfigFileKind::Config, sources_of(profile, all))
                .build(),
        )
        .build();
    SharedCredentialsProvider::new(provider)
}

/// `None` for an instance role where there is no instance.
async fn check_one(sdk: &Sdk, mut found: Found, limit: Duration) -> Option<Found> {
    if !matches!(found.state, State::Unchecked) {
        return Some(found);
    }
    if found.mfa_serial.is_some() {
        // The SDK would leave the device out, and AWS then speaks of missing permissions.
        let name = found.source.name();
        let hint = format!("--profile {name} --mfa-code CODE");
        found.state = State::fails(Status::Unresolvable, "needs an MFA code", hint);
        return Some(found);
    }
    let resolving = found.session.provider.provide_credentials();
    match tokio::time::timeout(limit, resolving).await {
        Ok(Ok(credentials)) => {
            found.access_key_id = Some(credentials.access_key_id().to_owned());
            found.expires_at = credentials.expiry().and_then(|time| Timestamp::try_from(time).ok());
            found.state = verified(sdk, &found, limit).await;
        }
        Ok(Err(_)) if found.source == Source::Instance => return None,
        Ok(Err(error)) => found.state = unresolvable(&found, &error),
        Err(_) => {
            found.state = State::fails(
                Status::Unreachable,
                format!("no answer within {} s", limit.as_secs()),
                "check the network, and the program or service that it asks",
            );
        }
    }
    Some(found)
}

async fn verified(sdk: &Sdk, found: &Found, limit: Duration) -> State {
    match caller_identity(sdk, &found.session, limit).await {
        Ok(identity) => State::Works(identity),
        Err(failure) => rejected(found, failure),
    }
}
