//! The SDK's clients, and its errors in words that a person can act on.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use secrecy::ExposeSecret;

use crate::error::{Error, Kind};
use crate::output::Output;
use crate::secret::KeyPair;

/// Credentials, and the region whose endpoints they are used with. The region decides the
/// partition: keys of AWS China mean nothing to the endpoints of us-east-1.
#[derive(Clone, Debug)]
pub struct Session {
    pub provider: SharedCredentialsProvider,
    pub region: Region,
}

/// Makes clients; holds what they share.
#[derive(Clone)]
pub struct Sdk {
    base: SdkConfig,
    observer: Observer,
}

impl Sdk {
    /// Reads region and endpoint settings as the SDKs do (`region` before the variables before the
    /// profile), but never asks instance metadata for them, which costs seconds where there is none.
    pub async fn load(region: Option<&str>, profile: Option<&str>, output: Arc<Output>) -> Self {
        let mut of_profile = ProfileFileRegionProvider::builder();
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(profile) = profile {
            of_profile = of_profile.profile_name(profile);
            loader = loader.profile_name(profile);
        }
        let region =
            RegionProviderChain::first_try(region.map(|region| Region::new(region.to_owned())))
                .or_else(EnvironmentVariableRegionProvider::new())
                .or_else(of_profile.build())
                .or_else(Region::new("us-east-1"));
        let base = loader
            .region(region)
            .no_credentials()
            .http_client(http_client())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(5))
                    .operation_attempt_timeout(Duration::from_secs(20))
                    .operation_timeout(Duration::from_secs(60))
                    .build(),
            )
            .load()
            .await;
        Sdk {
            base,
            observer: Observer { output },
        }
    }

    /// The same, over connections of its own: they may reach other servers than the old ones.
    pub fn with_fresh_connections(&self) -> Self {
        Sdk {
            base: self.base.to_builder().http_client(http_client()).build(),
            observer: self.observer.clone(),
        }
    }

    pub fn region(&self) -> Region {
        self.base
            .region()
            .cloned()
            .unwrap_or(Region::from_static("us-east-1"))
    }

    /// A session with this pair in the default region.
    pub fn session(&self, pair: &KeyPair) -> Session {
        let credentials = Credentials::new(
            &pair.access_key_id,
            pair.secret_access_key.expose_secret(),
            None,
            None,
            "cloudcred",
        );
        Session {
            provider: SharedCredentialsProvider::new(credentials),
            region: self.region(),
        }
    }

    /// Two attempts: a check should tell soon, and its caller repeats it where it matters.
    pub fn sts(&self, session: &Session) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::config::Builder::from(&self.config(session))
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .interceptor(self.observer.clone())
            .build();
        aws_sdk_sts::Client::from_conf(config)
    }

    pub fn iam(&self, session: &Session) -> aws_sdk_iam::Client {
        let config = aws_sdk_iam::config::Builder::from(&self.config(session))
            .interceptor(self.observer.clone())
            .build();
        aws_sdk_iam::Client::from_conf(config)
    }

    fn config(&self, session: &Session) -> SdkConfig {
        self.base
            .to_builder()
            .region(session.region.clone())
            .credentials_provider(session.provider.clone())
            .build()
    }

    /// What aws-config's own credential providers need, sharing our connections.
    pub fn provider_config(&self, region: Region) -> ProviderConfig {
        let config = ProviderConfig::without_region()
            .with_region(Some(region))
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_retry_config(RetryConfig::standard().with_max_attempts(2));
        match self.base.http_client() {
            Some(client) => config.with_http_client(client),
            None => config,
        }
    }
}

fn http_client() -> aws_smithy_runtime_api::client::http::SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::AwsLc,
        ))
        .build_https()
}

/// Tells `-v` about each call and `-vv` about each attempt. Never looks into bodies or headers.
#[derive(Clone)]
struct Observer {
    output: Arc<Output>,
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

#[derive(Debug)]
struct Began(Instant);

impl Storable for Began {
    type Storer = StoreReplace<Self>;
}

impl Observer {
    fn tell(
        &self,
        level: u8,
        what: &str,
        context: &FinalizerInterceptorContextRef<'_>,
        cfg: &ConfigBag,
    ) {
        let Some(operation) = cfg.load::<Metadata>() else {
            return;
        };
        let answer = match context.response() {
            Some(response) => response.status().as_u16().to_string(),
            None => "no answer".to_owned(),
        };
        let took = cfg
            .load::<Began>()
            .map_or(0, |began| began.0.elapsed().as_millis());
        self.output.detail(
            level,
            &format!(
                "{what} {}:{} {answer} ({took} ms)",
                operation.service().to_lowercase(),
                operation.name()
            ),
        );
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
        self.tell(2, "aws attempt", context, cfg);
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.tell(1, "aws", context, cfg);
        Ok(())
    }
}

/// What kind of refusal it was, as far as it changes what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Denied,
    UnknownKey,
    WrongSecret,
    Expired,
    Clock,
    Missing,
    Exists,
    Limit,
    /// Passing, by AWS's own account: throttling, or two changes at once.
    Passing,
    PasswordPolicy,
    Unreachable,
    /// No answer: AWS may or may not have done it.
    Unclear,
    Other,
}

/// A call that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// As permissions name it, `iam:CreateUser`.
    pub operation: &'static str,
    /// AWS's error code, where AWS answered.
    pub code: Option<String>,
    pub message: String,
    pub reason: Reason,
}

impl Failure {
    /// Reads the metadata that the SDK's own `Display` leaves out.
    pub fn of<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let code = error
            .code()
            .map(str::to_owned)
            .or_else(|| element(&error, "Code"));
        let status = error
            .raw_response()
            .map(|response| response.status().as_u16());
        let their_time = error
            .raw_response()
            .and_then(|response| response.headers().get("date"))
            .map(str::to_owned);
        let mut message = error
            .message()
            .map(str::to_owned)
            .or_else(|| element(&error, "Message"))
            .unwrap_or_else(|| deepest(&error));
        let reason = match (&error, &code) {
            (SdkError::ServiceError(_), Some(code)) => reason_of(code, &message),
            (SdkError::ServiceError(_), None) => Reason::Other,
            (SdkError::ConstructionFailure(_), _) => Reason::Other,
            (SdkError::DispatchFailure(failure), _) if never_sent(failure) => Reason::Unreachable,
            _ => Reason::Unclear,
        };
        // A server that breaks down mid-way may have done its work.
        let reason = match (reason, status) {
            (Reason::Other, Some(500..)) => Reason::Unclear,
            (reason, _) => reason,
        };
        if let (Reason::Clock, Some(time)) = (reason, their_time) {
            message = format!("AWS's time is {time}");
        }
        Failure {
            operation,
            code,
            message,
            reason,
        }
    }

    /// Code and message as AWS gave them.
    fn quoted(&self) -> String {
        match (&self.code, self.message.is_empty()) {
            (Some(code), false) => format!("{code}: {}", self.message),
            (Some(code), true) => code.clone(),
            (None, _) => self.message.clone(),
        }
    }
}

/// An element of an error document that the SDK could not read: servers that stand in for AWS, and
/// proxies before it, answer IAM calls in EC2's form (`<Errors><Error><Code>`).
fn element<E>(error: &SdkError<E, HttpResponse>, name: &str) -> Option<String> {
    let body = std::str::from_utf8(error.raw_response()?.body().bytes()?).ok()?;
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

/// The codes of IAM and STS, from their API references' "Common Errors" and operation pages.
fn reason_of(code: &str, message: &str) -> Reason {
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => Reason::Denied,
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => {
            Reason::UnknownKey
        }
        "RequestExpired" | "RequestTimeTooSkewed" => Reason::Clock,
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "AuthFailure" => {
            let message = message.to_ascii_lowercase();
            if message.contains("signature expired") || message.contains("not yet current") {
                Reason::Clock
            } else {
                Reason::WrongSecret
            }
        }
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => Reason::Expired,
        "NoSuchEntity" => Reason::Missing,
        "EntityAlreadyExists" => Reason::Exists,
        "LimitExceeded" => Reason::Limit,
        "PasswordPolicyViolation" => Reason::PasswordPolicy,
        "ConcurrentModification"
        | "EntityTemporarilyUnmodifiable"
        | "DeleteConflict"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => Reason::Passing,
        "ServiceUnavailable" | "ServiceFailure" | "InternalFailure" => Reason::Unclear,
        _ => Reason::Other,
    }
}

/// Whether the connection was never there, so that nothing can have been done.
fn never_sent(failure: &aws_smithy_runtime_api::client::result::DispatchFailure) -> bool {
    let Some(error) = failure.as_connector_error() else {
        return false;
    };
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("dns error") {
            return true;
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{
                AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable,
            };
            if matches!(
                error.kind(),
                ConnectionRefused | AddrNotAvailable | HostUnreachable | NetworkUnreachable
            ) {
                return true;
            }
        }
        cause = error.source();
    }
    false
}

/// The innermost cause says what happened; the outer ones only where it surfaced.
pub fn deepest(error: &dyn StdError) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let operation = failure.operation;
        let quoted = failure.quoted();
        match failure.reason {
            Reason::Denied => Error::credentials(format!(
                "these credentials are not allowed to call {operation} ({quoted})"
            ))
            .hint(format!(
                "ask an administrator of the account for the permission {operation}, or use other credentials with --profile"
            )),
            Reason::UnknownKey => {
                Error::credentials(format!("AWS does not know this access key ({quoted})"))
                    .hint("it was deleted, deactivated or mistyped: use other credentials with --profile")
            }
            Reason::WrongSecret => Error::credentials(format!(
                "the secret access key does not belong to the access key ID ({quoted})"
            ))
            .hint("copy both halves again; if AWS no longer shows the secret, create a new key"),
            Reason::Expired => Error::credentials(format!("these credentials have expired ({quoted})"))
                .hint("sign in again, then repeat the command"),
            Reason::Clock => {
                Error::failed(format!("this machine's clock is wrong: {}", failure.message))
                    .hint("set the clock to the right time and try again")
            }
            Reason::Limit => Error::failed(format!("AWS refuses {operation}: a limit is reached ({quoted})"))
                .hint("remove what is no longer needed in the IAM console, then try again"),
            Reason::PasswordPolicy => {
                Error::failed(format!("the account's password policy refuses the console password ({quoted})"))
                    .hint("let cloudcred make one that fits: --console-password generate")
            }
            Reason::Unreachable => {
                Error::failed(format!("cannot reach AWS for {operation}: {}", failure.message))
                    .hint("check the network, --region, and AWS_ENDPOINT_URL where it is set")
            }
            Reason::Unclear => Error::failed(format!("AWS gave no clear answer to {operation} ({quoted})"))
                .hint("check the network and try again"),
            Reason::Passing => Error::failed(format!("AWS is busy and refuses {operation} for now ({quoted})"))
                .hint("try again in a minute"),
            Reason::Missing | Reason::Exists | Reason::Other => {
                Error::new(Kind::Failed, format!("AWS refuses {operation} ({quoted})"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_error_tells_a_wrong_clock_from_a_wrong_secret() {
        let late = "Signature expired: 20200101T000000Z is now earlier than 20261124T000000Z";
        assert_eq!(reason_of("SignatureDoesNotMatch", late), Reason::Clock);
        let wrong = "The request signature we calculated does not match";
        assert_eq!(
            reason_of("SignatureDoesNotMatch", wrong),
            Reason::WrongSecret
        );
    }

    #[test]
    fn a_denial_names_the_permission() {
        let error = Error::from(Failure {
            operation: "iam:CreateUser",
            code: Some("AccessDenied".into()),
            message: "User: x is not authorized".into(),
            reason: Reason::Denied,
        });
        assert_eq!(error.kind, Kind::Credentials);
        assert!(error.message.contains("AccessDenied"));
        assert!(
            error
                .hint
                .is_some_and(|hint| hint.contains("iam:CreateUser"))
        );
    }
}
