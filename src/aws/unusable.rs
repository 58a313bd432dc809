//! Why credentials cannot be used, in words for their owner: what AWS refused, and what aws-config
//! could not resolve.

use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_signin::operation::create_o_auth2_token::CreateOAuth2TokenError;
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::configured::SignIn;
use crate::aws::credential::{Credential, EXPIRED, REJECTED, Source, UNREACHABLE, UNRESOLVABLE};
use crate::aws::failure::{
    CHECK_NETWORK, Failure, ROLE_OF_SSO, Reason, deepest, never_sent, within,
};
use crate::diagnostic::Diagnostic;

/// How the error of a program begins.
pub const PROGRAM_FAILED: &str = "credential_process: ";

/// Why AWS refused a call with these credentials.
pub fn rejected(credential: &Credential, failure: &Failure) -> Diagnostic {
    let (what, hint) = failure.explained();
    let hint = hint.unwrap_or_else(|| "ask an administrator of the account".to_owned());
    let (status, short) = match failure.reason {
        Reason::Expired => (EXPIRED, Some("expired")),
        Reason::Denied => (REJECTED, Some("not allowed")),
        Reason::UnknownKey | Reason::WrongSecret => (REJECTED, Some("rejected")),
        Reason::Unreachable | Reason::Unclear | Reason::Passing | Reason::Clock => {
            (UNREACHABLE, None)
        }
        _ => (REJECTED, None),
    };
    let message = match short {
        Some(short) => format!("{short} ({})", failure.code.as_deref().unwrap_or_default()),
        None => format!("{what} ({})", failure.quoted()),
    };
    let hint = if status == EXPIRED { sign_in_again(credential) } else { hint };
    Diagnostic::new(status, message, hint)
}

fn unreachable(why: &str) -> Diagnostic {
    Diagnostic::new(UNREACHABLE, format!("AWS cannot be reached ({why})"), CHECK_NETWORK)
}

/// Why credentials could not be resolved.
pub fn unresolvable(credential: &Credential, error: &CredentialsError) -> Diagnostic {
    if let Some(failure) = refused_call(error) {
        return rejected(credential, &failure);
    }
    let cause = deepest(error);
    if never_sent(error) {
        return unreachable(&cause);
    }
    if credential.signs_in.is_some() {
        return of_sign_in(credential, error);
    }
    if let Some(why) = cause.strip_prefix(PROGRAM_FAILED) {
        let hint = "run its credential_process by hand, to see why";
        return Diagnostic::new(UNRESOLVABLE, format!("its program failed: {why}"), hint);
    }
    let hint = match credential.source {
        Source::Profile(_) => "correct the profile in ~/.aws, or choose another one",
        _ => "correct these settings, or name other credentials with --profile",
    };
    Diagnostic::new(UNRESOLVABLE, cause, hint)
}

/// The call that was refused on the way to the credentials, where there is one.
fn refused_call(error: &CredentialsError) -> Option<Failure> {
    let of_token = "sts:AssumeRoleWithWebIdentity";
    Failure::within::<AssumeRoleError>("sts:AssumeRole", error)
        .or_else(|| Failure::within::<AssumeRoleWithWebIdentityError>(of_token, error))
        .or_else(|| Failure::within::<GetRoleCredentialsError>(ROLE_OF_SSO, error))
}

/// A session that is over shows as a missing or an expired cache, or as a refused refresh. aws-config
/// distinguishes the first two by words only, and drops the cause where it cannot load a cache
/// (`sso/token.rs`).
fn of_sign_in(credential: &Credential, error: &CredentialsError) -> Diagnostic {
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
    let hint = sign_in_again(credential);
    if is_over {
        return Diagnostic::new(EXPIRED, "session expired", hint);
    }
    Diagnostic::new(UNRESOLVABLE, format!("its session is unusable: {cause}"), hint)
}

fn sign_in_again(credential: &Credential) -> String {
    match &credential.signs_in {
        Some(SignIn { profile, sso: true }) => format!("aws sso login --profile {profile}"),
        // `aws login` is in version 2 of the AWS CLI only.
        Some(SignIn { profile, sso: false }) => format!("cloudcred login --profile {profile}"),
        None => "fetch new temporary credentials, then try again".to_owned(),
    }
}
