//! Roles that are assumed with a code of an MFA device, which aws-config cannot ask for. Changes
//! nothing.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::aws::configured::{configured, value};
use crate::aws::credential::{Credential, Source, State};
use crate::aws::failure::{Failure, Reason};
use crate::aws::identity::caller_identity;
use crate::aws::kind::Kind;
use crate::aws::profiles::provider;
use crate::aws::sdk::{Sdk, Session};
use crate::aws_files::{Profile, Profiles};
use crate::error::{Error, Result};
use jiff::Timestamp;

/// How long STS may take to answer for the new session.
const LIMIT: Duration = Duration::from_secs(10);

/// A profile whose role asks for a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MfaRole {
    pub profile: String,
    /// The MFA device's serial number or ARN.
    pub serial: String,
    role_arn: String,
    origin: Origin,
    external_id: Option<String>,
    session_name: Option<String>,
    duration_seconds: Option<i32>,
    region: Option<String>,
}

/// Whose credentials assume the role.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Profile(String),
    Environment,
}

impl MfaRole {
    /// `None` if no code is needed, or if a code alone would not help.
    pub fn of(profile: &Profile, all: &Profiles) -> Option<Self> {
        let configured = configured(profile, all);
        if configured.defect.is_some() {
            return None;
        }
        let get = |key| value(profile, key).map(str::to_owned);
        let origin = get("source_profile").map_or(Origin::Environment, Origin::Profile);
        Some(MfaRole {
            profile: profile.name.clone(),
            serial: configured.mfa_serial?,
            role_arn: get("role_arn")?,
            origin,
            external_id: get("external_id"),
            session_name: get("role_session_name"),
            duration_seconds: get("duration_seconds").and_then(|text| text.parse().ok()),
            region: get("region"),
        })
    }

    /// Assumes the role with this code, which is good for one call, and checks the session. `all` holds
    /// the profile's sources.
    pub async fn assume(&self, sdk: &Sdk, all: &Profiles, code: &str) -> Result<Credential> {
        let region = sdk.region_of(self.region.as_deref());
        let config = sdk.provider_config(region.clone());
        let provider = match &self.origin {
            Origin::Profile(name) => source(name, all, &config)?,
            Origin::Environment => {
                SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())
            }
        };
        let origin = Session { provider, region: region.clone() };
        let answer = sdk
            .sts(&origin)
            .assume_role()
            .role_arn(&self.role_arn)
            .role_session_name(self.session_name.as_deref().unwrap_or("cloudcred"))
            .set_external_id(self.external_id.clone())
            .set_duration_seconds(self.duration_seconds)
            .serial_number(&self.serial)
            .token_code(code)
            .send()
            .await
            .map_err(|error| self.refused(Failure::of("sts:AssumeRole", error)))?;
        let keys = answer.credentials.ok_or_else(|| {
            Error::failed("AWS's answer to sts:AssumeRole contains no credentials")
                .hint("try again")
        })?;
        let access_key_id = keys.access_key_id().to_owned();
        let expiry = std::time::SystemTime::try_from(*keys.expiration()).ok();
        let session = Session {
            provider: SharedCredentialsProvider::new(Credentials::new(
                keys.access_key_id,
                keys.secret_access_key,
                Some(keys.session_token),
                expiry,
                "cloudcred",
            )),
            region,
        };
        let identity = caller_identity(sdk, &session, LIMIT).await?;
        Ok(Credential {
            source: Source::Profile(self.profile.clone()),
            kind: Kind::AssumeRole(match &self.origin {
                Origin::Profile(name) => Some(name.clone()),
                Origin::Environment => None,
            }),
            signs_in: None,
            mfa_serial: Some(self.serial.clone()),
            access_key_id: Some(access_key_id),
            region: Some(session.region.to_string()),
            expires_at: expiry.and_then(|time| Timestamp::try_from(time).ok()),
            keys: Vec::new(),
            session,
            state: State::Works(identity),
        })
    }

    fn refused(&self, failure: Failure) -> Error {
        if failure.reason == Reason::Denied && failure.message.contains("MultiFactorAuthentication")
        {
            let quoted = failure.quoted();
            return Error::credentials(format!("AWS does not accept the MFA code ({quoted})"))
                .hint("a code is good once: wait for the next one, and run the command again");
        }
        failure.into()
    }
}

/// The credentials of the profile that assumes the role. Its own keys come first, even if it has a role
/// itself or is the profile whose role is assumed (aws-config, `profile/credentials/repr.rs`).
fn source(
    name: &str,
    all: &Profiles,
    config: &ProviderConfig,
) -> Result<SharedCredentialsProvider> {
    let Some(profile) = all.find(name) else {
        let message = format!("the source_profile `{name}` no longer exists");
        return Err(Error::credentials(message).hint("fix ~/.aws/config and try again"));
    };
    let get = |key| value(profile, key);
    let keys = (get("aws_access_key_id"), get("aws_secret_access_key"));
    Ok(match keys {
        (Some(id), Some(secret)) => {
            let token = get("aws_session_token").map(str::to_owned);
            let credentials = Credentials::new(id, secret, token, None, "cloudcred");
            SharedCredentialsProvider::new(credentials)
        }
        _ => provider(config, profile, all),
    })
}

/// A code as MFA devices show it.
pub fn check_code(code: &str) -> Result<()> {
    if code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(Error::usage("this is not an MFA code").hint("enter the six digits that the device shows"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws_files::AwsFiles;
    use crate::aws_files::text::{AwsFile, FileKind};

    #[test]
    fn a_role_with_a_device_and_an_origin_needs_a_code() {
        let config = "[profile a]\nrole_arn = r\nsource_profile = s\nmfa_serial = m\n\
                      [profile b]\nrole_arn = r\nsource_profile = s\n\
                      [profile c]\nmfa_serial = m\naws_access_key_id = k\n\
                      [profile d]\nrole_arn = r\ncredential_source = Ec2InstanceMetadata\nmfa_serial = m\n\
                      [profile e]\nrole_arn = r\ncredential_source = Environment\nmfa_serial = m\n\
                      [profile f]\nrole_arn = r\nsource_profile = s\nmfa_serial =\n\
                      [profile g]\nrole_arn = r\nsource_profile = lost\nmfa_serial = m\n\
                      [profile h]\nrole_arn = r\nsource_profile = h\nmfa_serial = m\n\
                      aws_access_key_id = k\naws_secret_access_key = k\n\
                      [profile s]\naws_access_key_id = k\naws_secret_access_key = k\n";
        let profiles = AwsFiles {
            config: AwsFile::parse(FileKind::Config, config.as_bytes()),
            credentials: AwsFile::parse(FileKind::Credentials, b""),
        }
        .profiles();
        let all = profiles.profiles.iter();
        let guarded = all.filter_map(|profile| MfaRole::of(profile, &profiles));
        let names: Vec<String> = guarded.map(|role| role.profile).collect();
        assert_eq!(names, ["a", "e", "h"]);
    }

    #[test]
    fn a_code_has_six_digits() {
        check_code("012345").expect("six digits");
        for wrong in ["", "12345", "1234567", "12345x"] {
            check_code(wrong).expect_err(wrong);
        }
    }
}
