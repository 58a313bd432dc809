//! What a sign-in yields: a session, and the document by which AWS's tools use and renew it.
//! The format is the AWS CLI's (version 2, `aws login`); botocore and aws-config read it.

use std::path::{Path, PathBuf};

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_sdk_signin::types::CreateOAuth2TokenResponseBody;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::aws::sdk::Session;
use crate::aws::signin::dpop::ProofKey;
use crate::aws_files;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::output;

/// A console session, as far as AWS's tools may use it.
pub struct SignedIn {
    /// The ARN that a profile names as its `login_session`.
    pub login_session: String,
    /// When the present keys expire; tools renew them for as long as the console session lasts.
    pub expires_at: Timestamp,
    pub access_key_id: String,
    pub session: Session,
    pub document: Zeroizing<Vec<u8>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    access_token: CachedToken<'a>,
    token_type: &'a str,
    client_id: &'a str,
    refresh_token: &'a str,
    id_token: &'a str,
    dpop_key: &'a str,
    /// Where botocore renews the session, whatever the profile's region is by then (1.44.8,
    /// `credentials.py`, `LoginCredentialFetcher.refresh_credentials`). Older ones and aws-config 1.13
    /// renew it in the profile's region; the latter drops the key when it does.
    sign_in_region: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CachedToken<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    account_id: &'a str,
    expires_at: Timestamp,
}

impl SignedIn {
    pub(super) fn new(
        answer: &CreateOAuth2TokenResponseBody,
        client_id: &str,
        key: &ProofKey,
        region: Region,
    ) -> Result<Self> {
        let lacks = |what: &str| {
            Error::failed(format!("AWS's answer to the sign-in lacks {what}"))
                .hint("nothing was written; run the command again")
        };
        let token = answer.access_token().ok_or_else(|| lacks("the keys"))?;
        let id_token = answer.id_token().ok_or_else(|| lacks("the identity"))?;
        let login_session = subject(id_token).ok_or_else(|| lacks("the identity's ARN"))?;
        let account_id = account_of(&login_session).ok_or_else(|| lacks("the account"))?;
        let expiry = Timestamp::now().as_second() + i64::from(answer.expires_in());
        let expires_at = Timestamp::from_second(expiry).map_err(|_| lacks("a possible expiry"))?;
        let dpop_key = key.to_pem();
        let (id, secret) = (token.access_key_id(), token.secret_access_key());
        let document = output::json(&Document {
            access_token: CachedToken {
                access_key_id: id,
                secret_access_key: secret,
                session_token: token.session_token(),
                account_id,
                expires_at,
            },
            token_type: answer.token_type(),
            client_id,
            refresh_token: answer.refresh_token(),
            id_token,
            dpop_key: dpop_key.expose_secret(),
            sign_in_region: region.as_ref(),
        })
        .map_err(anyhow::Error::from)?;
        let session_token = Some(token.session_token().to_owned());
        let expiry = expires_at.try_into().ok();
        let keys = Credentials::new(id, secret, session_token, expiry, "cloudcred");
        let (access_key_id, session) = (id.to_owned(), Session::new(keys, region));
        Ok(SignedIn { login_session, expires_at, access_key_id, session, document })
    }
}

/// Who signed in: the `sub` of the identity token, where it is an ARN. The token came straight
/// from AWS over TLS, so that its signature proves nothing more (OpenID Connect Core, 3.1.3.7).
fn subject(id_token: &str) -> Option<String> {
    let payload = id_token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let payload: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let sub = payload.get("sub")?.as_str()?;
    // It ends up as a line of the config file.
    let plain = sub.bytes().all(|byte| byte.is_ascii_graphic()) && sub.len() <= 2048;
    (plain && sub.starts_with("arn:")).then(|| sub.to_owned())
}

fn account_of(arn: &str) -> Option<&str> {
    let is_account = |it: &&str| it.len() == 12 && it.bytes().all(|byte| byte.is_ascii_digit());
    arn.split(':').nth(4).filter(is_account)
}

/// Where AWS's tools look for the documents of sessions: an error if in different places.
pub fn cache_folder(env: &Env) -> Result<PathBuf> {
    const VARIABLE: &str = "AWS_LOGIN_CACHE_DIRECTORY";
    let Some(folder) = env.var(VARIABLE) else {
        let home = aws_files::home_of(env).ok_or_else(|| {
            Error::failed("cannot find your home directory, and so not ~/.aws")
                .hint(format!("set HOME, or {VARIABLE}"))
        })?;
        return Ok([home.as_str(), ".aws", "login", "cache"].iter().collect());
    };
    // botocore expands it (`utils.py`, `get_login_token_cache_directory`), aws-config does not
    // (`login/cache.rs`): for one it is the home directory, for the other a folder called `~`.
    if folder.starts_with('~') {
        let message = format!("{VARIABLE} is {folder}: some of AWS's tools take `~` literally");
        let hint = "nothing was changed; set it to the whole path, or unset it";
        return Err(Error::failed(message).hint(hint));
    }
    Ok(PathBuf::from(folder))
}

pub fn cache_file(folder: &Path, login_session: &str) -> PathBuf {
    let hash = Sha256::digest(login_session.trim().as_bytes());
    folder.join(format!("{hash:x}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_lies_where_awss_tools_look() {
        let env = Env::for_tests(&[("HOME", "/home/ana")]);
        let folder = cache_folder(&env).expect("a home");
        let file = cache_file(&folder, "arn:aws:iam::0123456789012:user/Admin");
        // From aws-config's own tests.
        let expected = "/home/ana/.aws/login/cache/36db1d138ff460920374e4c3d8e01f53f9f73537e89c88d639f68393df0e2726.json";
        assert_eq!(file, PathBuf::from(expected));
        let named = |folder| Env::for_tests(&[("AWS_LOGIN_CACHE_DIRECTORY", folder)]);
        let folder = cache_folder(&named("/elsewhere")).expect("named");
        assert_eq!(folder, PathBuf::from("/elsewhere"));
        for ambiguous in ["~", "~/.aws/login", "~ana/login"] {
            cache_folder(&named(ambiguous)).expect_err(ambiguous);
        }
        assert!(cache_folder(&Env::for_tests(&[])).is_err());
    }

    #[test]
    fn a_session_is_named_by_an_arn_and_by_nothing_else() {
        let token = |sub: &str| {
            let payload = serde_json::json!({ "sub": sub }).to_string();
            format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload))
        };
        let arn = "arn:aws:iam::111122223333:user/ana";
        assert_eq!(subject(&token(arn)).as_deref(), Some(arn));
        assert_eq!(account_of(arn), Some("111122223333"));
        for wrong in ["ana", "arn:aws:iam::1:user/a\n[default]", ""] {
            assert_eq!(subject(&token(wrong)), None, "{wrong}");
        }
        assert_eq!(subject("no token"), None);
        assert_eq!(account_of("arn:aws:iam::x:user/ana"), None);
    }
}
