//! Finds the credentials on this machine (variables, both `~/.aws` files, container and instance
//! metadata) and asks STS and IAM about all of them at once. Reads only.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{ecs, imds};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::aws::account::{access_keys, root_user};
use crate::aws::configured::{
    Kind, configured, has_credentials, near_profile, program_of, sources_of,
};
use crate::aws::credential::{Credential, Source, State, UNREACHABLE, UNRESOLVABLE};
use crate::aws::failure::LIMIT;
use crate::aws::identity::caller_identity;
use crate::aws::partition::Partition;
use crate::aws::program::program;
use crate::aws::resolve::pair::Pair;
use crate::aws::sdk::{Sdk, Session, once};
use crate::aws::unusable::{rejected, unresolvable};
use crate::aws_files::{AwsFiles, Profile, Profiles};
use crate::diagnostic::Diagnostic;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::secret::KeyPair;

/// How many credentials are checked at once.
const AT_ONCE: usize = 32;

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
pub async fn find(sdk: &Sdk, env: &Env, scope: Scope<'_>) -> Result<Vec<Credential>> {
    let listed = list(sdk, env, &AwsFiles::of(env), scope)?;
    Ok(check(sdk, listed, |_| ()).await)
}

/// The credentials, unchecked; those that cannot work fail already. A name that no profile has is an
/// error.
pub fn list(sdk: &Sdk, env: &Env, files: &AwsFiles, scope: Scope<'_>) -> Result<Vec<Credential>> {
    let profiles = files.profiles();
    if let Scope::Profiles(names) = scope {
        let names = names.iter();
        let named =
            names.map(|name| Ok(of_profile(sdk, find_profile(name, &profiles)?, &profiles)));
        return named.collect();
    }
    let mut all = candidates(sdk, env, &profiles);
    if let Scope::Inventory = scope {
        return Ok(all);
    }
    let selected = selected_profile(env);
    // A selected profile that is missing stays: tools that follow AWS_PROFILE fail.
    let is_usable = |name: &str| profiles.find(name).is_none_or(has_credentials);
    all.retain(|credential| credential.source.profile_name().is_none_or(is_usable));
    all.sort_by_key(|credential| match &credential.source {
        Source::Environment => 0,
        Source::Profile(name) if name == selected => 1,
        _ => 2,
    });
    if let Scope::DefaultChain = scope {
        all.retain(|it| it.source.profile_name().is_none_or(|name| name == selected));
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
    let checks = listed.iter().cloned().map(|credential| check_one(sdk.clone(), credential));
    let mut checked: HashMap<usize, Option<Credential>> =
        concurrently(checks, progress).await.into_iter().collect();
    let row = |(index, credential)| match checked.remove(&index) {
        Some(checked) => checked,
        None => Some(Credential { state: panicked(), ..credential }),
    };
    listed.into_iter().enumerate().filter_map(row).collect()
}

/// The SDK gave up on values that it had not expected.
fn panicked() -> State {
    let hint =
        "look at what it is configured with, and please report this with `cloudcred check -v`";
    State::unresolvable("reading it failed inside the AWS SDK", hint)
}

/// The results, with the position of their work. That of a task which panicked is not there.
async fn concurrently<T: Send + 'static>(
    work: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
    progress: impl Fn(usize),
) -> Vec<(usize, T)> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (index, work) in work.enumerate() {
        let permits = Arc::clone(&permits);
        tasks.spawn(async move {
            let _permit = permits.acquire().await;
            (index, work.await)
        });
    }
    let mut done = Vec::new();
    while let Some(result) = tasks.join_next().await {
        done.extend(result.ok());
        progress(done.len());
    }
    done
}

/// Asks IAM about the users of working long-term keys, and about the root users of the first accounts,
/// all at once: keeps the lists of keys, and returns what is wrong with whole accounts. What may not
/// be read is left out; so are keys in a number that would take more than one round trip.
pub async fn audit(sdk: &Sdk, credentials: &mut [Credential]) -> Vec<Diagnostic> {
    let mut keys = Vec::new();
    let mut accounts = Vec::new();
    let mut seen = HashSet::new();
    for credential in &*credentials {
        let Some(identity) = credential.identity() else { continue };
        let (account, session) = (&identity.account_id, &credential.session);
        if accounts.len() < AUDITED && seen.insert(account) {
            accounts.push((account.clone(), session.clone()));
        }
        if let (Kind::Static, Some(id)) = (&credential.kind, &credential.access_key_id)
            && seen.insert(id)
        {
            keys.push((id.clone(), session.clone()));
        }
    }
    let mut warnings = Vec::new();
    if keys.len() > AT_ONCE {
        let count = keys.drain(..).count();
        let message = format!("{count} keys were not checked for their age, nor for a second key");
        let hint = "name fewer profiles, with --profile";
        warnings.push(Diagnostic::new("keys_not_looked_at", message, hint));
    }
    let of_keys = keys.into_iter().map(|(id, session)| {
        let iam = once(&sdk.iam(&session));
        // Without a name, of the caller's own user (API reference, ListAccessKeys).
        async move { Some((id, timeout(LIMIT, access_keys(&iam, None)).await.ok()?.ok()?)) }
    });
    let of_roots = accounts.into_iter().map(|(account, session)| {
        let iam = once(&sdk.iam(&session));
        async move {
            let root = timeout(LIMIT, root_user(&iam)).await.ok()?.ok()?;
            Some(root.weaknesses(&account, Partition::of_region(session.region.as_ref())))
        }
    });
    let (listed, mut roots) =
        tokio::join!(concurrently(of_keys, |_| ()), concurrently(of_roots, |_| ()));
    for (id, keys) in listed.into_iter().filter_map(|(_, keys)| keys) {
        let with_id = credentials.iter_mut().filter(|it| it.access_key_id.as_ref() == Some(&id));
        with_id.for_each(|credential| credential.keys.clone_from(&keys));
    }
    roots.sort_by_key(|(index, _)| *index);
    warnings.extend(roots.into_iter().filter_map(|(_, root)| root).flatten());
    warnings
}

/// Checks a pair that the user gave.
pub async fn check_given(sdk: &Sdk, pair: &KeyPair) -> Credential {
    let session = sdk.session(pair, sdk.region());
    let mut given = Credential::unchecked(Source::Given, Kind::Static, session);
    given.access_key_id = Some(pair.access_key_id.clone());
    given.state = verified(sdk, &given).await;
    given
}

/// The profile that tools use when none is named.
pub fn selected_profile(env: &Env) -> &str {
    env.var("AWS_PROFILE").unwrap_or("default")
}

pub fn find_profile<'p>(name: &str, all: &'p Profiles) -> Result<&'p Profile> {
    let hint = || near_profile(name, all, "`aws configure list-profiles` lists them");
    let unknown = || Error::credentials(format!("there is no AWS profile `{name}`")).hint(hint());
    all.find(name).ok_or_else(unknown)
}

/// Every source there may be, in the order of the default chain.
fn candidates(sdk: &Sdk, env: &Env, profiles: &Profiles) -> Vec<Credential> {
    let config = sdk.provider_config(sdk.region());
    let on_this_machine = sdk.provider_config_without_proxy(sdk.region());
    let is_set = |name| env.var(name).is_some();
    let mut all = Vec::new();
    if let Some(id) = env.var("AWS_ACCESS_KEY_ID") {
        let kind = if is_set("AWS_SESSION_TOKEN") { Kind::Session } else { Kind::Static };
        let secret = env.var("AWS_SECRET_ACCESS_KEY").unwrap_or_default();
        let token = env.var("AWS_SESSION_TOKEN").map(str::to_owned);
        let provider = Credentials::new(id, secret, token, None, "environment");
        let mut credential = candidate(sdk, Source::Environment, kind, provider);
        credential.access_key_id = Some(id.to_owned());
        if !is_set("AWS_SECRET_ACCESS_KEY") {
            let message = "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY";
            credential.state = State::unresolvable(message, "set both, or neither");
        }
        all.push(credential);
    }
    let selected = selected_profile(env);
    if selected != "default" && profiles.find(selected).is_none() {
        let mut credential = of_profile(sdk, &Profile::named(selected), profiles);
        credential.state = State::unresolvable(
            "AWS_PROFILE names it, but there is no such profile",
            "set AWS_PROFILE to an existing profile, or unset it",
        );
        all.push(credential);
    }
    all.extend(profiles.profiles.iter().map(|profile| of_profile(sdk, profile, profiles)));
    if is_set("AWS_WEB_IDENTITY_TOKEN_FILE") && is_set("AWS_ROLE_ARN") {
        let provider = WebIdentityTokenCredentialsProvider::builder().configure(&config).build();
        all.push(candidate(sdk, Source::WebIdentity, Kind::WebIdentity, provider));
    }
    if is_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        || is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    {
        let provider = ecs::EcsCredentialsProvider::builder().configure(&on_this_machine).build();
        all.push(candidate(sdk, Source::Container, Kind::Container, provider));
    }
    let switch = env.var("AWS_EC2_METADATA_DISABLED").unwrap_or_default();
    if !switch.eq_ignore_ascii_case("true") {
        // Where there is no instance nothing answers, so the wait is short.
        let client = imds::Client::builder()
            .configure(&on_this_machine)
            .max_attempts(1)
            .connect_timeout(Duration::from_millis(300))
            .read_timeout(Duration::from_secs(1))
            .build();
        let provider =
            ImdsCredentialsProvider::builder().configure(&on_this_machine).imds_client(client);
        all.push(candidate(sdk, Source::Instance, Kind::Instance, provider.build()));
    }
    all
}

fn candidate(
    sdk: &Sdk,
    source: Source,
    kind: Kind,
    provider: impl ProvideCredentials + 'static,
) -> Credential {
    let session = Session::new(provider, sdk.region());
    Credential {
        region: sdk.configured_region(None).map(|region| region.to_string()),
        ..Credential::unchecked(source, kind, session)
    }
}

fn of_profile(sdk: &Sdk, profile: &Profile, all: &Profiles) -> Credential {
    let own_region = profile.get("region");
    let region = sdk.region_of(own_region);
    let configured = configured(profile, all);
    let provider = provider(&sdk.provider_config(region), profile, all);
    let session = sdk.session_of(profile, all, provider);
    let has_keys = matches!(configured.kind, Kind::Static | Kind::Session);
    let id = profile.get("aws_access_key_id").filter(|_| has_keys);
    // Swapped halves must not show the secret as an ID.
    let is_swapped = profile.get("aws_secret_access_key").is_some_and(|it| it.starts_with("AKIA"));
    let id = id.filter(|id| !is_swapped || id.starts_with("AKIA"));
    let failing = |defect| State::Fails(Diagnostic { code: UNRESOLVABLE, ..defect });
    let source = Source::Profile(profile.name.clone());
    Credential {
        signs_in: configured.signs_in,
        mfa_serial: configured.mfa_serial,
        access_key_id: id.map(str::to_owned),
        region: sdk.configured_region(own_region).map(|region| region.to_string()),
        state: configured.defect.map_or(State::Unchecked, failing),
        ..Credential::unchecked(source, configured.kind, session)
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
        let program = program(command);
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
async fn check_one(sdk: Sdk, mut credential: Credential) -> Option<Credential> {
    if !matches!(credential.state, State::Unchecked) {
        return Some(credential);
    }
    if credential.mfa_serial.is_some() {
        // The SDK would leave the device out, and AWS would then complain of missing permissions.
        let hint = format!("--profile {} --mfa-code CODE", credential.source.name());
        credential.state = State::unresolvable("needs an MFA code", &hint);
        return Some(credential);
    }
    match timeout(LIMIT, credential.session.provider.provide_credentials()).await {
        Ok(Ok(keys)) => {
            credential.access_key_id = Some(keys.access_key_id().to_owned());
            credential.expires_at = keys.expiry().and_then(|time| Timestamp::try_from(time).ok());
            let (id, secret) = (keys.access_key_id(), keys.secret_access_key());
            let pair = Pair { id, secret, token: keys.session_token() };
            credential.state = match pair.unsignable(&credential.source.described()) {
                Some(problem) => State::Fails(Diagnostic { code: UNRESOLVABLE, ..problem }),
                None => verified(&sdk, &credential).await,
            };
        }
        Ok(Err(_)) if credential.source == Source::Instance => return None,
        Ok(Err(error)) => credential.state = State::Fails(unresolvable(&credential, &error)),
        Err(_) => {
            let message = format!("no answer within {} s", LIMIT.as_secs());
            let hint = "check the network, and the program or service that it asks";
            credential.state = State::Fails(Diagnostic::new(UNREACHABLE, message, hint));
        }
    }
    Some(credential)
}

async fn verified(sdk: &Sdk, credential: &Credential) -> State {
    let identity = caller_identity(sdk, &credential.session).await;
    identity.map_or_else(|failure| State::Fails(rejected(credential, &failure)), State::Works)
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
