//! AWS's refusals, and silence, in words that a person can act on.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::error::{Error, Kind};

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
    /// Something else hangs on what is to be deleted.
    Conflict,
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
    pub fn of<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        Failure::read(operation, &error)
    }

    /// An answer that lacks what it is about, so that it says nothing.
    pub fn without(operation: &'static str, what: &str) -> Self {
        Failure {
            operation,
            code: None,
            message: format!("the answer does not hold {what}"),
            reason: Reason::Unclear,
        }
    }

    /// The refused call somewhere behind an error of aws-config's, where there is one of this kind.
    pub fn within<E>(operation: &'static str, error: &(dyn StdError + 'static)) -> Option<Self>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<SdkError<E, HttpResponse>>() {
                return Some(Failure::read(operation, error));
            }
            cause = error.source();
        }
        None
    }

    /// Reads the metadata that the SDK's own `Display` leaves out.
    fn read<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let code = error.code().map(str::to_owned).or_else(|| element(error, "Code"));
        let status = error.raw_response().map(|response| response.status().as_u16());
        let their_time = error
            .raw_response()
            .and_then(|response| response.headers().get("date"))
            .map(str::to_owned);
        let mut message = error
            .message()
            .map(str::to_owned)
            .or_else(|| element(error, "Message"))
            .unwrap_or_else(|| deepest(error));
        let reason = match (error, &code) {
            (SdkError::ServiceError(_), Some(code)) => reason_of(code, &message),
            // Whoever speaks in AWS's name without its words may have passed the request on.
            (SdkError::ServiceError(_), None) => Reason::Unclear,
            (SdkError::ConstructionFailure(_), _) => Reason::Other,
            (SdkError::DispatchFailure(failure), _) if never_sent(failure) => Reason::Unreachable,
            _ => Reason::Unclear,
        };
        // A server that breaks down mid-way may have done its work; and 2xx is no refusal.
        let reason = match (reason, status) {
            (Reason::Other, Some(408 | 500..)) | (_, Some(200..=399)) => Reason::Unclear,
            (reason, _) => reason,
        };
        if let (None, SdkError::ServiceError(_), Some(status)) = (&code, error, status) {
            message = format!("something other than AWS answered, with HTTP status {status}");
        }
        if let (Reason::Clock, Some(time)) = (reason, their_time) {
            message = format!("AWS's time is {time}");
        }
        Failure { operation, code, message, reason }
    }

    /// Code and message as AWS gave them.
    pub fn quoted(&self) -> String {
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

/// The codes of IAM, STS and IAM Identity Center, from their API references' "Common Errors" and operation pages.
fn reason_of(code: &str, message: &str) -> Reason {
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "ForbiddenException" => Reason::Denied,
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
        // IAM Identity Center says so of a token that is over (API reference, GetRoleCredentials).
        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "UnauthorizedException" => Reason::Expired,
        "NoSuchEntity" => Reason::Missing,
        "EntityAlreadyExists" => Reason::Exists,
        "LimitExceeded" => Reason::Limit,
        "PasswordPolicyViolation" => Reason::PasswordPolicy,
        "DeleteConflict" => Reason::Conflict,
        "ConcurrentModification"
        | "EntityTemporarilyUnmodifiable"
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
            // What else a socket may say can also happen in the middle of a call.
            if error.kind() == std::io::ErrorKind::ConnectionRefused {
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
            // STS may accept what IAM refuses: GetSessionToken without MFA (API reference, STS).
            Reason::UnknownKey if operation.starts_with("iam:") => Error::credentials(format!(
                "{operation} does not accept these credentials ({quoted})"
            ))
            .hint("temporary credentials need MFA for IAM: use other ones with --profile; a key may also have been deleted meanwhile"),
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
            Reason::Missing | Reason::Exists | Reason::Conflict | Reason::Other => {
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
