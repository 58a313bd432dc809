//! AWS's refusals, and silence, in words that a person can act on.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::timeout;

use crate::error::{Error, Kind};

pub const ROLE_OF_SSO: &str = "sso:GetRoleCredentials";

pub const CHECK_NETWORK: &str = "check the network, --region, and AWS_ENDPOINT_URL, HTTPS_PROXY and AWS_CA_BUNDLE where they are set";

/// The kind of refusal, as far as it decides what to do next.
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
    /// What is to be deleted still has dependents.
    Conflict,
    /// It will pass, AWS says: throttling, or two changes at once.
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

/// How long an answer may take that somebody waits for.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Sends a call; `operation` is its name as permissions have it.
pub async fn ask<T, E: ProvideErrorMetadata + StdError + 'static>(
    operation: &'static str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failure> {
    call.await.map_err(|error| Failure::of(operation, &error))
}

/// The same, where nobody waits any longer than [`LIMIT`].
pub async fn ask_within_limit<T, E: ProvideErrorMetadata + StdError + 'static>(
    operation: &'static str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failure> {
    timeout(LIMIT, ask(operation, call)).await.unwrap_or_else(|_| {
        Err(Failure::unclear(operation, format!("no answer within {} s", LIMIT.as_secs())))
    })
}

impl Failure {
    pub fn unclear(operation: &'static str, message: impl Into<String>) -> Self {
        Failure { operation, code: None, message: message.into(), reason: Reason::Unclear }
    }

    /// An answer without what it is about, which proves nothing.
    pub fn without(operation: &'static str, what: &str) -> Self {
        Failure::unclear(operation, format!("the answer lacks {what}"))
    }

    /// The refused call somewhere behind an error of aws-config's, where there is one of this kind.
    pub fn within<E: ProvideErrorMetadata + StdError + 'static>(
        operation: &'static str,
        error: &(dyn StdError + 'static),
    ) -> Option<Self> {
        within::<SdkError<E, HttpResponse>>(error).map(|error| Failure::of(operation, error))
    }

    /// Reads the metadata that the SDK's own `Display` leaves out.
    pub fn of<E: ProvideErrorMetadata + StdError + 'static>(
        operation: &'static str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        let code = error.code().map(str::to_owned).or_else(|| element(error, "Code"));
        let response = error.raw_response();
        let status = response.map(|response| response.status().as_u16());
        let message = error.message().map(str::to_owned).or_else(|| element(error, "Message"));
        let mut message = message.unwrap_or_else(|| deepest(error));
        let reason = match (error, &code) {
            (SdkError::ServiceError(_), Some(code)) => reason_of(code, &message),
            // Something between AWS and us may have passed the request on before it answered.
            (SdkError::ServiceError(_), None) => Reason::Unclear,
            (SdkError::ConstructionFailure(_), _) => Reason::Other,
            (SdkError::DispatchFailure(_), _) if never_sent(error) => Reason::Unreachable,
            _ => Reason::Unclear,
        };
        // A server that breaks down midway may have done its work; and 2xx is no refusal.
        let reason = match (reason, status) {
            (Reason::Other, Some(408 | 500..)) | (_, Some(200..=399)) => Reason::Unclear,
            (reason, _) => reason,
        };
        if let (None, SdkError::ServiceError(_), Some(status)) = (&code, error, status) {
            message = format!("something other than AWS answered, with HTTP status {status}");
        }
        let date = response.and_then(|response| response.headers().get("date"));
        if let (Reason::Clock, Some(time)) = (reason, date) {
            message = format!("AWS's time is {time}");
        }
        Failure { operation, code, message, reason }
    }

    /// Code and message as AWS gave them.
    pub fn quoted(&self) -> String {
        let code = self.code.as_deref().unwrap_or_default();
        let colon = if code.is_empty() || self.message.is_empty() { "" } else { ": " };
        format!("{code}{colon}{}", self.message)
    }

    /// What happened, and what to do about it.
    pub fn explained(&self) -> (String, Option<String>) {
        const DENIED: &str = "these credentials are not allowed to call {}";
        let operation = self.operation;
        let (what, hint) = match self.reason {
            Reason::Denied if operation == ROLE_OF_SSO => (
                DENIED,
                "an administrator of IAM Identity Center must assign the account and the role",
            ),
            // The cure is no further permission (IAM user guide, "Policy evaluation logic").
            Reason::Denied if self.message.contains("explicit deny") => (
                "a policy forbids these credentials to call {}",
                "where it demands MFA, use a profile with mfa_serial and --mfa-code; else ask an administrator of the account",
            ),
            Reason::Denied if operation.starts_with("sts:AssumeRole") => {
                (DENIED, "the role and its source must allow {}")
            }
            Reason::Denied => (
                DENIED,
                "ask an administrator of the account for the permission {}, or use other credentials with --profile",
            ),
            // STS may accept what IAM refuses: GetSessionToken without MFA (API reference, STS).
            Reason::UnknownKey if operation.starts_with("iam:") => (
                "{} does not accept these credentials",
                "temporary credentials need MFA for IAM: use other ones with --profile; or the key was deleted meanwhile",
            ),
            Reason::UnknownKey => (
                "AWS does not know this access key",
                "it was deleted, deactivated or mistyped: use others with --profile",
            ),
            Reason::WrongSecret => (
                "the secret access key does not belong to the access key ID",
                "copy both halves again; if AWS no longer shows the secret, create a new key",
            ),
            Reason::Expired => {
                ("these credentials have expired", "sign in again, then repeat the command")
            }
            Reason::Clock => ("this machine's clock is wrong", "set the clock and try again"),
            Reason::Limit => (
                "AWS refuses {}: a limit is reached",
                "remove what is no longer needed in the IAM console, then try again",
            ),
            Reason::PasswordPolicy => (
                "the account's password policy refuses the console password",
                "let cloudcred make one that fits: --console-password generate",
            ),
            Reason::Unreachable => ("AWS cannot be reached", CHECK_NETWORK),
            Reason::Unclear => {
                ("AWS gave no clear answer to {}", "check the network and try again")
            }
            Reason::Passing => ("AWS is busy and refuses {} for now", "try again in a minute"),
            Reason::Missing | Reason::Exists | Reason::Conflict | Reason::Other => {
                return (format!("AWS refuses {operation}"), None);
            }
        };
        (what.replace("{}", operation), Some(hint.replace("{}", operation)))
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

/// From the "Common Errors" and the operations' pages of the API references of IAM, STS and IAM Identity
/// Center, whose UnauthorizedException is an expired token (GetRoleCredentials).
const CODES: &[(Reason, &[&str])] = &[
    (Reason::Denied, &["AccessDenied", "AccessDeniedException"]),
    (Reason::Denied, &["UnauthorizedOperation", "ForbiddenException"]),
    (Reason::UnknownKey, &["InvalidClientTokenId", "UnrecognizedClientException"]),
    (Reason::UnknownKey, &["InvalidAccessKeyId"]),
    (Reason::Clock, &["RequestExpired", "RequestTimeTooSkewed"]),
    (Reason::WrongSecret, &["SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"]),
    (Reason::Expired, &["ExpiredToken", "ExpiredTokenException"]),
    (Reason::Expired, &["TokenRefreshRequired", "UnauthorizedException"]),
    (Reason::Missing, &["NoSuchEntity"]),
    (Reason::Exists, &["EntityAlreadyExists"]),
    (Reason::Limit, &["LimitExceeded"]),
    (Reason::PasswordPolicy, &["PasswordPolicyViolation"]),
    (Reason::Conflict, &["DeleteConflict"]),
    (Reason::Passing, &["ConcurrentModification", "EntityTemporarilyUnmodifiable"]),
    (Reason::Passing, &["Throttling", "ThrottlingException", "RequestLimitExceeded"]),
    (Reason::Passing, &["TooManyRequestsException"]),
    (Reason::Unclear, &["ServiceUnavailable", "ServiceFailure", "InternalFailure"]),
];

fn reason_of(code: &str, message: &str) -> Reason {
    let known = CODES.iter().find(|(_, codes)| codes.contains(&code));
    let reason = known.map_or(Reason::Other, |(reason, _)| *reason);
    let message = message.to_ascii_lowercase();
    let is_late = message.contains("signature expired") || message.contains("not yet current");
    if reason == Reason::WrongSecret && is_late { Reason::Clock } else { reason }
}

/// Whether the connection was never there, so that nothing can have been done. What else a socket
/// reports can also happen in the middle of a call.
pub fn never_sent(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let told = cause.to_string();
        let before_the_request = ["dns error", "invalid peer certificate", "tunnel error"];
        io == Some(io::ErrorKind::ConnectionRefused)
            || before_the_request.iter().any(|words| told.contains(words))
    })
}

/// The error and its causes, the outermost first.
pub fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn StdError + 'static)| (*error).source())
}

/// The first error of this type among them.
pub fn within<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The innermost cause says what happened; the outer ones only where it surfaced.
pub fn deepest(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        use Reason::{Denied, Expired, UnknownKey, WrongSecret};
        let (what, hint) = failure.explained();
        let message = format!("{what} ({})", failure.quoted());
        let is_theirs = matches!(failure.reason, Denied | Expired | UnknownKey | WrongSecret);
        let kind = if is_theirs { Kind::Credentials } else { Kind::Failed };
        Error { hint, ..Error::new(kind, message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_not_taken_for_a_wrong_secret() {
        let late = "Signature expired: 20200101T000000Z is now earlier than 20261124T000000Z";
        assert_eq!(reason_of("SignatureDoesNotMatch", late), Reason::Clock);
        let wrong = "The request signature we calculated does not match";
        assert_eq!(reason_of("SignatureDoesNotMatch", wrong), Reason::WrongSecret);
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
        assert!(error.hint.is_some_and(|hint| hint.contains("iam:CreateUser")));
    }
}
