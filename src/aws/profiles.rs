//! Finds the credentials on this machine (variables, both `~/.aws` files, container and instance
//! metadata) and asks STS about all of them at once. Reads only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::{Profile, ProfileFileCredentialsProvider, ProfileSet};
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{ecs, imds};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal as shim;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::aws::failure::{Failure, Reason, deepest};
use crate::aws::found::{Found, Kind, Source, State, Status};
use crate::aws::identity::caller_identity;
use crate::aws::sdk::{Sdk, Session};
use crate::env::Env;
use crate::error::{Error, Result, did_you_mean, near_names};

/// How long one credential may take to resolve and answer.
const LIMIT: Duration = Duration::from_secs(10);
/// How many are asked at once.
const AT_ONCE: usize = 32;

/// Which credentials to look at.
pub enum Scope<'a> {
    /// Every one on this machine, in the order of the default chain, then by name.
    All,
    Profile(&'a str),
    /// Only the one that tools without further settings would use.
    DefaultChain,
}

/// Looks, resolves and verifies, all at once; the result keeps the order of the candidates.
///
/// # Errors
/// When the `~/.aws` files cannot be parsed, or the profile asked for is not in them.
pub async fn find(sdk: &Sdk, env: &Env, scope: Scope<'_>) -> Result<Vec<Found>> {
    let profiles = load_profiles().await?;
    let candidates = match scope {
        Scope::Profile(name) => {
            let profile = profiles
                .get_profile(name)
                .ok_or_else(|| unknown_profile(name, &profiles))?;
            vec![of_profile(sdk, profile)]
        }
        Scope::DefaultChain => candidates(sdk, env, &profiles)
            .into_iter()
            .filter(|candidate| match &candidate.source {
                Source::Profile(name) => *name == selected_profile(env),
                _ => true,
            })
            .take(1)
            .collect(),
        Scope::All => candidates(sdk, env, &profiles),
    };
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (index, candidate) in candidates.into_iter().enumerate() {
        let (sdk, permits) = (sdk.clone(), Arc::clone(&permits));
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            (index, check(&sdk, candidate).await)
        });
    }
    let mut found: Vec<(usize, Option<Found>)> = tasks.join_all().await;
    found.sort_by_key(|(index, _)| *index);
    Ok(found.into_iter().filter_map(|(_, found)| found).collect())
}

/// Checks a pair that the user gave.
pub async fn check_given(sdk: &Sdk, pair: &crate::secret::KeyPair) -> Found {
    let session = sdk.session(pair, sdk.region());
    let mut found = Found {
        source: Source::Given,
        kind: Kind::Static,
        access_key_id: Some(pair.access_key_id.clone()),
        session,
        state: nothing_known(),
    };
    found.state = verified(sdk, &found).await;
    found
}

/// The profile that tools use when none is named.
pub fn selected_profile(env: &Env) -> &str {
    env.var("AWS_PROFILE").unwrap_or("default")
}

async fn load_profiles() -> Result<ProfileSet> {
    aws_config::profile::load(
        &shim::Fs::real(),
        &shim::Env::real(),
        &EnvConfigFiles::default(),
        None,
    )
    .await
    .map_err(|error| {
        Error::credentials(format!(
            "your AWS configuration cannot be read: {}",
            deepest(&error)
        ))
        .hint("mend the file that it names; `aws configure list-profiles` reads the same files")
        .caused_by(error)
    })
}

fn unknown_profile(name: &str, profiles: &ProfileSet) -> Error {
    let near = near_names(name, profiles.profiles());
    Error::credentials(format!("there is no AWS profile `{name}`")).hint(did_you_mean(
        &near,
        "`aws configure list-profiles` shows the ones there are",
    ))
}

/// In the SDK's order of precedence; instance metadata is left out where it is switched off.
fn candidates(sdk: &Sdk, env: &Env, profiles: &ProfileSet) -> Vec<Found> {
    let candidate = |source, kind, provider| Found {
        source,
        kind,
        access_key_id: None,
        session: Session {
            provider,
            region: sdk.region(),
        },
        state: nothing_known(),
    };
    let config = sdk.provider_config(sdk.region());
    let mut all = Vec::new();
    if env.var("AWS_ACCESS_KEY_ID").is_some() {
        let kind = match env.var("AWS_SESSION_TOKEN") {
            Some(_) => Kind::Session,
            None => Kind::Static,
        };
        let provider = EnvironmentVariableCredentialsProvider::new();
        all.push(candidate(
            Source::Environment,
            kind,
            SharedCredentialsProvider::new(provider),
        ));
    }
    let selected = selected_profile(env);
    if selected != "default" && profiles.get_profile(selected).is_none() {
        // Tools that follow AWS_PROFILE fail then, so it must not be passed over.
        let missing = Profile::new(selected.to_owned(), HashMap::new());
        all.push(of_profile(sdk, &missing));
    }
    let mut names: Vec<&str> = profiles.profiles().collect();
    names.sort_by_key(|name| (*name != selected, *name != "default", *name));
    all.extend(
        names
            .into_iter()
            .filter_map(|name| profiles.get_profile(name))
            // A profile with settings only, such as a region, is no credential.
            .filter(|profile| is_credential(profile))
            .map(|profile| of_profile(sdk, profile)),
    );
    if env.var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() && env.var("AWS_ROLE_ARN").is_some() {
        let provider = WebIdentityTokenCredentialsProvider::builder()
            .configure(&config)
            .build();
        all.push(candidate(
            Source::WebIdentity,
            Kind::WebIdentity,
            SharedCredentialsProvider::new(provider),
        ));
    }
    let container = [
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    if container.iter().any(|name| env.var(name).is_some()) {
        let provider = ecs::EcsCredentialsProvider::builder()
            .configure(&config)
            .build();
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
        let provider = ImdsCredentialsProvider::builder()
            .configure(&config)
            .imds_client(client)
            .build();
        all.push(candidate(
            Source::Instance,
            Kind::Instance,
            SharedCredentialsProvider::new(provider),
        ));
    }
    all
}

fn of_profile(sdk: &Sdk, profile: &Profile) -> Found {
    let region = sdk.region_of(profile.get("region"));
    let provider = ProfileFileCredentialsProvider::builder()
        .configure(&sdk.provider_config(region.clone()))
        .profile_name(profile.name())
        .build();
    Found {
        source: Source::Profile(profile.name().to_owned()),
        kind: Kind::of(profile),
        access_key_id: None,
        session: Session {
            provider: SharedCredentialsProvider::new(provider),
            region,
        },
        state: nothing_known(),
    }
}

const CREDENTIAL_KEYS: [&str; 7] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "sso_session",
    "sso_start_url",
    "role_arn",
    "credential_process",
    "login_session",
];

fn is_credential(profile: &Profile) -> bool {
    CREDENTIAL_KEYS.iter().any(|key| profile.get(key).is_some())
}

/// Resolves and verifies. `None` for an instance role where there is no instance.
async fn check(sdk: &Sdk, mut found: Found) -> Option<Found> {
    let resolving = found.session.provider.provide_credentials();
    match tokio::time::timeout(LIMIT, resolving).await {
        Ok(Ok(credentials)) => {
            found.access_key_id = Some(credentials.access_key_id().to_owned());
            found.state = verified(sdk, &found).await;
        }
        Ok(Err(_)) if found.source == Source::Instance => return None,
        Ok(Err(error)) => found.state = unresolvable(&found, &error),
        Err(_) => {
            found.state = State::Fails {
                status: Status::Unreachable,
                what: format!("no answer within {} s", LIMIT.as_secs()),
                hint: "check the network, and the program or service that it asks".to_owned(),
            };
        }
    }
    Some(found)
}

async fn verified(sdk: &Sdk, found: &Found) -> State {
    match caller_identity(sdk, &found.session, LIMIT).await {
        Ok(identity) => State::Works(identity),
        Err(failure) => rejected(found, failure),
    }
}

fn rejected(found: &Found, failure: Failure) -> State {
    let code = failure.code.clone().unwrap_or_default();
    let (status, what, hint) = match failure.reason {
        Reason::Unreachable | Reason::Unclear => (
            Status::Unreachable,
            format!("AWS cannot be reached ({})", failure.message),
            "check the network, --region, and AWS_ENDPOINT_URL where it is set".to_owned(),
        ),
        Reason::Passing => (
            Status::Unreachable,
            format!("AWS is busy ({code})"),
            "try again in a minute".to_owned(),
        ),
        Reason::Expired => (
            Status::Expired,
            format!("expired ({code})"),
            sign_in_again(found),
        ),
        Reason::UnknownKey => (
            Status::Rejected,
            format!("rejected ({code})"),
            "it was deleted, deactivated or mistyped".to_owned(),
        ),
        Reason::WrongSecret => (
            Status::Rejected,
            format!("rejected ({code})"),
            "the secret does not belong to the key ID".to_owned(),
        ),
        Reason::Clock => (
            Status::Unreachable,
            format!("this machine's clock is wrong: {}", failure.message),
            "set the clock to the right time and try again".to_owned(),
        ),
        _ => (
            Status::Rejected,
            format!("rejected ({code}: {})", failure.message),
            "ask whoever manages the account".to_owned(),
        ),
    };
    State::Fails { status, what, hint }
}

fn unresolvable(found: &Found, error: &CredentialsError) -> State {
    let cause = deepest(error);
    // A sign-in that is over shows as a missing or expired token cache, in several wordings.
    if matches!(found.kind, Kind::Sso | Kind::Login) {
        return State::Fails {
            status: Status::Expired,
            what: "session expired".to_owned(),
            hint: sign_in_again(found),
        };
    }
    if let Some(io) = io_error(error)
        && io.kind() == std::io::ErrorKind::ConnectionRefused
    {
        return State::Fails {
            status: Status::Unreachable,
            what: format!("AWS cannot be reached ({io})"),
            hint: "check the network, --region, and AWS_ENDPOINT_URL where it is set".to_owned(),
        };
    }
    if found.source == Source::Environment {
        return State::Fails {
            status: Status::Unresolvable,
            what: "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY".to_owned(),
            hint: "set both, or neither".to_owned(),
        };
    }
    State::Fails {
        status: Status::Unresolvable,
        what: cause,
        hint: match found.source {
            Source::Profile(_) => "mend the profile in ~/.aws, or choose another one".to_owned(),
            _ => "mend these settings, or name other credentials with --profile".to_owned(),
        },
    }
}

fn io_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e std::io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

fn sign_in_again(found: &Found) -> String {
    match &found.source {
        Source::Profile(name) if found.kind == Kind::Login => {
            format!("aws login --profile {name}")
        }
        Source::Profile(name) if found.kind == Kind::Sso => {
            format!("aws sso login --profile {name}")
        }
        _ => "fetch new temporary credentials, then try again".to_owned(),
    }
}

/// Before it is checked; never seen outside this file.
fn nothing_known() -> State {
    State::Fails {
        status: Status::Unresolvable,
        what: "not checked".to_owned(),
        hint: String::new(),
    }
}
