//! Why credentials cannot be used, in words for their owner: what AWS refused, and what aws-config
//! could not resolve. Asks nobody.

use std::error::Error as StdError;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_signin::operation::create_o_auth2_token::CreateOAuth2TokenError;
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::configured::SignIn;
use crate::aws::failure::{Failure, Reason, deepest};
use crate::aws::found::{Found, Source, State, Status};
use crate::aws::kind::Kind;

const ROLE_OF_SSO: &str = "sso:GetRoleCredentials";

/// Of credentials with which AWS was asked something.
pub fn rejected(found: &Found, failure: Failure) -> State {
    let code = failure.code.clone().unwrap_or_default();
    let (status, what, hint) = match failure.reason {
        Reason::Unreachable | Reason::Unclear => return unreachable(&failure.message),
        Reason::Passing => (
            Status::Unreachable,
            format!("AWS is busy ({code})"),
            "try again in a minute".to_owned(),
        ),
        Reason::Expired => (Status::Expired, format!("expired ({code})"), sign_in_again(found)),
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
        Reason::Denied if failure.operation == ROLE_OF_SSO => (
            Status::Rejected,
            format!("not allowed ({code})"),
            "whoever manages IAM Identity Center must assign the account and the role".to_owned(),
        ),
        Reason::Denied => (
            Status::Rejected,
            format!("not allowed ({code})"),
            format!("the role and its source must allow {}", failure.operation),
        ),
        _ => (
            Status::Rejected,
            format!("rejected ({code}: {})", failure.message),
            "ask whoever manages the account".to_owned(),
        ),
    };
    State::fails(status, what, hint)
}

fn unreachable(why: &str) -> State {
    State::fails(
        Status::Unreachable,
        format!("AWS cannot be reached ({why})"),
        "check the network, --region, and AWS_ENDPOINT_URL where it is set",
    )
}

/// Of credentials that could not be resolved.
pub fn unresolvable(found: &Found, error: &CredentialsError) -> State {
    if let Some(failure) = refused_call(error) {
        return rejected(found, failure);
    }
    let cause = deepest(error);
    let io = within::<io::Error>(error).map(io::Error::kind);
    if cause.contains("dns error") || io == Some(io::ErrorKind::ConnectionRefused) {
        return unreachable(&cause);
    }
    if found.signs_in.is_some() {
        return of_sign_in(found, error);
    }
    // aws-config tells the exit status and all that the program said (`credential_process.rs`).
    if let (Kind::CredentialProcess, Some((_, said))) = (&found.kind, cause.split_once("Stderr: "))
    {
        let line = said.lines().next().unwrap_or_default();
        return State::fails(
            Status::Unresolvable,
            format!("its program failed: {line}"),
            "run its credential_process by hand, to see why",
        );
    }
    let hint = match found.source {
        Source::Profile(_) => "mend the profile in ~/.aws, or choose another one",
        _ => "mend these settings, or name other credentials with --profile",
    };
    State::fails(Status::Unresolvable, cause, hint)
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

/// A session that is over shows as a cache that is missing, as one that has expired, or as a refused
/// refresh. aws-config does not tell the first two by type, and has lost the cause where it could
/// not load a cache (`sso/token.rs`).
fn of_sign_in(found: &Found, error: &CredentialsError) -> State {
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
    let (status, what) = match is_over {
        true => (Status::Expired, "session expired".to_owned()),
        false => (Status::Unresolvable, format!("its session cannot be used: {cause}")),
    };
    State::fails(status, what, sign_in_again(found))
}

/// The first error of this type in the chain of causes.
fn within<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn sign_in_again(found: &Found) -> String {
    match &found.signs_in {
        Some(SignIn { profile, sso: true }) => format!("aws sso login --profile {profile}"),
        // `aws login` is in version 2 of the AWS CLI only.
        Some(SignIn { profile, sso: false }) => format!("cloudcred login --profile {profile}"),
        None => "fetch new temporary credentials, then try again".to_owned(),
    }
}
