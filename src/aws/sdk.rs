//! The SDK's clients, and what they share: settings, connections, and the calls that `-v` shows.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_signin::config::endpoint::{self, ResolveEndpoint};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;

use crate::aws::endpoints::Endpoints;
use crate::aws::wire::{QueryProtocol, http_client, read_ca_bundle};
use crate::aws_files::{Profile, Profiles};
use crate::env::{Env, is_region};
use crate::output::Output;
use crate::secret::KeyPair;

/// Credentials, and the region whose endpoints they are used with. The region decides the
/// partition: keys of AWS China mean nothing to the endpoints of us-east-1.
#[derive(Clone, Debug)]
pub struct Session {
    pub provider: SharedCredentialsProvider,
    pub region: Region,
    /// Those of its profile; `None` where it belongs to none.
    pub endpoints: Option<Endpoints>,
}

impl Session {
    pub fn new(provider: impl ProvideCredentials + 'static, region: Region) -> Self {
        Session { provider: SharedCredentialsProvider::new(provider), region, endpoints: None }
    }

    /// The same places, with these keys.
    pub fn with_pair(&self, pair: &KeyPair) -> Self {
        Session { provider: SharedCredentialsProvider::new(keys(pair)), ..self.clone() }
    }
}

fn keys(pair: &KeyPair) -> Credentials {
    let secret = pair.secret_access_key.expose_secret();
    Credentials::new(&pair.access_key_id, secret, None, None, "cloudcred")
}

/// What stands in where nothing names a region.
const DEFAULT_REGION: Region = Region::from_static("us-east-1");

/// The same client, which sends each call once.
pub fn once(iam: &aws_sdk_iam::Client) -> aws_sdk_iam::Client {
    let config = iam.config().to_builder().retry_config(RetryConfig::disabled());
    aws_sdk_iam::Client::from_conf(config.build())
}

/// Makes clients, which share settings and connections.
#[derive(Clone)]
pub struct Sdk {
    base: SdkConfig,
    env: Arc<Env>,
    /// For sessions that belong to no profile: those of the selected one.
    endpoints: Endpoints,
    ca_bundle: Option<Arc<[u8]>>,
    /// From a flag, which comes before a profile's own region.
    given_region: Option<Region>,
    /// From that flag, a variable or the profile.
    configured_region: Option<Region>,
    observer: Observer,
}

impl Sdk {
    /// Settings come from flags, variables and the profile, in this order, and what is set to nothing counts as
    /// not set: the SDK's own reader panics at some of them, and asks instance metadata for a region,
    /// which costs seconds where there is none.
    pub fn new(
        env: &Env,
        profiles: &Profiles,
        (given_region, profile): (Option<&str>, Option<&str>),
        output: Arc<Output>,
    ) -> Self {
        let profile = profiles.find(profile.unwrap_or(env.var("AWS_PROFILE").unwrap_or("default")));
        let given_region = given_region.map(|region| Region::new(region.to_owned()));
        let of_variable = || env.region().ok().flatten();
        let of_profile = || profile?.get("region").filter(|region| is_region(region));
        let configured = || of_variable().or_else(of_profile);
        let configured_region =
            given_region.clone().or_else(|| Some(Region::new(configured()?.to_owned())));
        let ca_bundle = env.var("AWS_CA_BUNDLE").or_else(|| profile?.get("ca_bundle"));
        let ca_bundle = ca_bundle.filter(|it| !it.is_empty());
        let ca_bundle = ca_bundle.and_then(|path| {
            let bundle = read_ca_bundle(Path::new(path));
            bundle.inspect_err(|error| output.warn(&error.with_hint())).ok().map(Arc::from)
        });
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(20))
            .operation_timeout(Duration::from_secs(60));
        let base = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(configured_region.clone().unwrap_or(DEFAULT_REGION))
            .http_client(http_client(ca_bundle.as_deref(), ProxyConfig::from_env()))
            .timeout_config(timeouts.build())
            .retry_config(RetryConfig::standard())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(SharedTimeSource::new(SystemTimeSource::new()))
            .build();
        let endpoints = Endpoints::of(env, profile, profiles);
        let observer = Observer { output, clock_offset: Arc::default() };
        let env = Arc::new(env.clone());
        Sdk { base, env, endpoints, ca_bundle, given_region, configured_region, observer }
    }

    /// The same, over connections of its own: they may reach other servers than the old ones.
    pub fn with_fresh_connections(&self) -> Self {
        let base = self.base.to_builder().http_client(self.client()).build();
        Sdk { base, ..self.clone() }
    }

    fn client(&self) -> SharedHttpClient {
        http_client(self.ca_bundle.as_deref(), ProxyConfig::from_env())
    }

    /// A session of this profile, at its own addresses.
    pub fn session_of(
        &self,
        profile: &Profile,
        all: &Profiles,
        provider: SharedCredentialsProvider,
    ) -> Session {
        let endpoints = Some(Endpoints::of(&self.env, Some(profile), all));
        Session { provider, region: self.region_of(profile.get("region")), endpoints }
    }

    pub fn region(&self) -> Region {
        self.region_of(None)
    }

    /// The region for a profile: its own, unless a flag names one.
    pub fn region_of(&self, profile: Option<&str>) -> Region {
        self.configured_region(profile).unwrap_or(DEFAULT_REGION)
    }

    /// The same, where a flag, a variable or a profile names one.
    pub fn configured_region(&self, profile: Option<&str>) -> Option<Region> {
        let own = profile.filter(|region| is_region(region));
        let own = || own.map(|region| Region::new(region.to_owned()));
        self.given_region.clone().or_else(own).or_else(|| self.configured_region.clone())
    }

    /// This machine's time, corrected by the date of AWS's last answer.
    pub fn aws_time(&self, here: Timestamp) -> Timestamp {
        let offset = self.observer.clock_offset.load(Ordering::Relaxed);
        here.checked_add(SignedDuration::from_secs(offset)).unwrap_or(here)
    }

    pub fn session(&self, pair: &KeyPair, region: Region) -> Session {
        Session::new(keys(pair), region)
    }

    /// Two attempts: a check should answer soon, and its caller repeats it where it matters.
    pub fn sts(&self, session: &Session) -> aws_sdk_sts::Client {
        let mut config = aws_sdk_sts::config::Builder::from(&self.config(session));
        config.set_endpoint_url(self.endpoints_of(session).sts.clone());
        let config = config
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .interceptor(QueryProtocol)
            .interceptor(self.observer.clone())
            .build();
        aws_sdk_sts::Client::from_conf(config)
    }

    pub fn iam(&self, session: &Session) -> aws_sdk_iam::Client {
        let mut config = aws_sdk_iam::config::Builder::from(&self.config(session));
        config.set_endpoint_url(self.endpoints_of(session).iam.clone());
        let config = config.interceptor(QueryProtocol).interceptor(self.observer.clone()).build();
        aws_sdk_iam::Client::from_conf(config)
    }

    /// Where people sign in with a browser, and where the code that they get is exchanged: as the
    /// SDK finds it for the latter. An error where the region is in no partition.
    pub async fn signin_address(&self) -> Result<String, BoxError> {
        let params = endpoint::Params::builder()
            .use_fips(self.endpoints.use_fips)
            .use_dual_stack(self.endpoints.use_dual_stack)
            .set_endpoint(self.endpoints.signin.clone())
            .region(self.region().to_string())
            .is_control_plane(false)
            .build()?;
        let endpoint = endpoint::DefaultResolver::new().resolve_endpoint(&params).await?;
        Ok(endpoint.url().to_owned())
    }

    /// Each request is sent once: a code is good for one only. `proof` signs that it is ours.
    pub fn signin(&self, address: &str, proof: impl Intercept + 'static) -> aws_sdk_signin::Client {
        let config = aws_sdk_signin::config::Builder::from(&self.base)
            .endpoint_url(address)
            .retry_config(RetryConfig::disabled())
            .interceptor(proof)
            .interceptor(self.observer.clone())
            .build();
        aws_sdk_signin::Client::from_conf(config)
    }

    fn endpoints_of<'s>(&'s self, session: &'s Session) -> &'s Endpoints {
        session.endpoints.as_ref().unwrap_or(&self.endpoints)
    }

    fn config(&self, session: &Session) -> SdkConfig {
        let endpoints = self.endpoints_of(session);
        self.base
            .to_builder()
            .use_fips(endpoints.use_fips)
            .use_dual_stack(endpoints.use_dual_stack)
            .region(session.region.clone())
            .credentials_provider(session.provider.clone())
            .build()
    }

    /// For those that ask this machine or its network alone, and send it what no proxy shall see.
    pub fn provider_config_without_proxy(&self, region: Region) -> ProviderConfig {
        self.provider_config(region).with_http_client(http_client(None, ProxyConfig::disabled()))
    }

    /// What aws-config's own credential providers need, sharing our connections.
    pub fn provider_config(&self, region: Region) -> ProviderConfig {
        ProviderConfig::without_region()
            .with_region(Some(region))
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_retry_config(RetryConfig::standard().with_max_attempts(2))
            .with_http_client(self.base.http_client().unwrap_or_else(|| self.client()))
    }
}

/// Shows each call and each failed attempt with `-v`, and each attempt with `-vv`: no bodies, no
/// headers. Keeps the offset of AWS's clock.
#[derive(Clone, Debug)]
struct Observer {
    output: Arc<Output>,
    /// How far AWS's clock is ahead of this machine's, in seconds.
    clock_offset: Arc<AtomicI64>,
}

#[derive(Debug)]
struct Began(Instant);

impl Storable for Began {
    type Storer = StoreReplace<Self>;
}

impl Observer {
    fn show(&self, level: u8, what: &str, answer: Option<&HttpResponse>, cfg: &ConfigBag) {
        let Some(operation) = cfg.load::<Metadata>() else { return };
        let status = answer.map(|answer| answer.status().as_u16().to_string());
        let answer = status.unwrap_or_else(|| "no answer".to_owned());
        let took = cfg.load::<Began>().map_or(0, |began| began.0.elapsed().as_millis());
        let (service, name) = (operation.service().to_lowercase(), operation.name());
        self.output.detail(level, &format!("{what} {service}:{name} {answer} ({took} ms)"));
    }
}

#[dyn_dispatch_hint]
impl Intercept for Observer {
    fn name(&self) -> &'static str {
        "Observer"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(Began(Instant::now()));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let date = response.and_then(|it| rfc2822::parse(it.headers().get("date")?).ok());
        if let Some(date) = date {
            let offset = date.timestamp().as_second() - Timestamp::now().as_second();
            self.clock_offset.store(offset, Ordering::Relaxed);
        }
        let went_well = response.is_some_and(|it| it.status().as_u16() < 400);
        self.show(if went_well { 2 } else { 1 }, "aws attempt", response, cfg);
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.show(1, "aws", context.response(), cfg);
        Ok(())
    }
}
