//! Why credentials cannot be used, in words for their owner: what AWS refused, and what aws-config
//! could not resolve.

use std::error::Error as StdError;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_signin::operation::create_o_auth2_token::CreateOAuth2TokenError;
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::configured::SignIn;
use crate::aws::credential::{Credential, EXPIRED, REJECTED, Source, UNREACHABLE, UNRESOLVABLE};
use crate::aws::failure::{Failure, Reason, causes, deepest};
use crate::diagnostic::Diagnostic;

/// How the error of a program begins.
pub const PROGRAM_FAILED: &str = "credential_process: ";

const ROLE_OF_SSO: &str = "sso:GetRoleCredentials";

/// Why AWS refused a call with these credentials.
pub fn rejected(found: &Credential, failure: &Failure) -> Diagnostic {
    let code = failure.code.as_deref().unwrap_or_default();
    let sign_in = sign_in_again(found);
    let of_role = format!("the role and its source must allow {}", failure.operation);
    let (status, what, hint) = match failure.reason {
        Reason::Unreachable | Reason::Unclear => return unreachable(&failure.message),
        Reason::Passing => (UNREACHABLE, "AWS is busy", "try again in a minute"),
        Reason::Clock => {
            let message = format!("this machine's clock is wrong: {}", failure.message);
            return Diagnostic::new(UNREACHABLE, message, "set the clock and try again");
        }
        Reason::Expired => (EXPIRED, "expired", &*sign_in),
        Reason::UnknownKey => (REJECTED, "rejected", "it was deleted, deactivated or mistyped"),
        Reason::WrongSecret => (REJECTED, "rejected", "the secret does not belong to the key ID"),
        Reason::Denied if failure.operation == ROLE_OF_SSO => (
            REJECTED,
            "not allowed",
            "an administrator of IAM Identity Center must assign the account and the role",
        ),
        Reason::Denied => (REJECTED, "not allowed", &*of_role),
        _ => {
            let message = format!("rejected ({code}: {})", failure.message);
            return Diagnostic::new(REJECTED, message, "ask an administrator of the account");
        }
    };
    Diagnostic::new(status, format!("{what} ({code})"), hint)
}

fn unreachable(why: &str) -> Diagnostic {
    Diagnostic::new(
        UNREACHABLE,
        format!("AWS cannot be reached ({why})"),
        "check the network, --region, and AWS_ENDPOINT_URL where it is set",
    )
}

/// Why credentials could not be resolved.
pub fn unresolvable(found: &Credential, error: &CredentialsError) -> Diagnostic {
    if let Some(failure) = refused_call(error) {
        return rejected(found, &failure);
    }
    let cause = deepest(error);
    let io = within::<io::Error>(error).map(io::Error::kind);
    if cause.contains("dns error") || io == Some(io::ErrorKind::ConnectionRefused) {
        return unreachable(&cause);
    }
    if found.signs_in.is_some() {
        return of_sign_in(found, error);
    }
    if let Some(why) = cause.strip_prefix(PROGRAM_FAILED) {
        let hint = "run its credential_process by hand, to see why";
        return Diagnostic::new(UNRESOLVABLE, format!("its program failed: {why}"), hint);
    }
    let hint = match found.source {
        Source::Profile(_) => "correct the profile in ~/.aws, or choose another one",
        _ => "correct these settings, or name other credentials with --profile",
    };
    Diagnostic::new(UNRESOLVABLE, cause, hint)
}

/// The call that was refused on the way to the credentials, where there is one.
fn refused_call(error: &CredentialsError) -> Option<Failure> {
    let of_role = || Failure::within::<AssumeRoleError>("sts:AssumeRole", error);
    let of_token = || {
        let operation = "sts:AssumeRoleWithWebIdentity";
        Failure::within::<AssumeRoleWithWebIdentityError>(operation, error)
    };
    let of_sso = || Failure::within::<GetRoleCredentialsError>(ROLE_OF_SSO, error);
    of_role().or_else(of_token).or_else(of_sso)
}

/// A session that is over shows as a missing or an expired cache, or as a refused refresh. aws-config
/// distinguishes the first two by words only, and drops the cause where it cannot load a cache
/// (`sso/token.rs`).
fn of_sign_in(found: &Credential, error: &CredentialsError) -> Diagnostic {
    let cause = deepest(error);
    let is_over = match within::<CreateOAuth2TokenError>(error).map(ProvideErrorMetadata::code) {
        Some(Some("InternalServerException" | "TooManyRequestsException") | None) => {
            return unreachable(&cause);
        }
        Some(Some(_)) => true,
        None => {
            let io = within::<io::Error>(error).map(io::Error::kind);
            let words = ["expired", "failed to load the cached SSO token"];
            io == Some(io::ErrorKind::NotFound) || words.iter().any(|it| cause.contains(it))
        }
    };
    let hint = sign_in_again(found);
    match is_over {
        true => Diagnostic::new(EXPIRED, "session expired", hint),
        false => Diagnostic::new(UNRESOLVABLE, format!("its session is unusable: {cause}"), hint),
    }
}

/// The first error of this type in the chain of causes.
fn within<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    causes(error).find_map(|error| error.downcast_ref())
}

fn sign_in_again(found: &Credential) -> String {
    match &found.signs_in {
        Some(SignIn { profile, sso: true }) => format!("aws sso login --profile {profile}"),
        // `aws login` is in version 2 of the AWS CLI only.
        Some(SignIn { profile, sso: false }) => format!("cloudcred login --profile {profile}"),
        None => "fetch new temporary credentials, then try again".to_owned(),
    }
}
