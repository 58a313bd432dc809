//! Roles that are assumed with an MFA code, which aws-config cannot ask for. Changes nothing.

use std::time::SystemTime;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;

use crate::aws::configured::{Kind, configured, value};
use crate::aws::credential::{Credential, Source, State};
use crate::aws::failure::{Failure, Reason, ask};
use crate::aws::identity::caller_identity;
use crate::aws::profiles::{find_profile, provider};
use crate::aws::sdk::{Sdk, Session};
use crate::aws_files::{Profile, Profiles};
use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MfaRole {
    pub profile: String,
    /// The MFA device's serial number or ARN.
    pub serial: String,
}

impl MfaRole {
    /// `None` if no code is needed, or if a code alone would not help.
    pub fn of(profile: &Profile, all: &Profiles) -> Option<Self> {
        let configured = configured(profile, all);
        let serial = configured.mfa_serial.filter(|_| configured.defect.is_none())?;
        Some(MfaRole { profile: profile.name.clone(), serial })
    }

    /// Assumes the role and checks the session. A code is good once. `all` has its source profiles.
    pub async fn assume(&self, sdk: &Sdk, all: &Profiles, code: &str) -> Result<Credential> {
        const OPERATION: &str = "sts:AssumeRole";
        let role = find_profile(&self.profile, all)?;
        let get = |key| value(role, key).map(str::to_owned);
        let region = sdk.region_of(role.get("region"));
        let source_profile = get("source_profile");
        let provider = match &source_profile {
            Some(name) => {
                source(find_profile(name, all)?, all, &sdk.provider_config(region.clone()))
            }
            None => SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()),
        };
        let source = sdk.session_of(role, all, provider);
        let call = sdk
            .sts(&source)
            .assume_role()
            .set_role_arn(get("role_arn"))
            .role_session_name(value(role, "role_session_name").unwrap_or("cloudcred"))
            .set_external_id(get("external_id"))
            .set_duration_seconds(get("duration_seconds").and_then(|text| text.parse().ok()))
            .serial_number(&self.serial)
            .token_code(code)
            .customize()
            // The code is good for one call.
            .config_override(
                aws_sdk_sts::config::Builder::new().retry_config(RetryConfig::disabled()),
            )
            .send();
        let answer = ask(OPERATION, call).await.map_err(refused)?;
        let keys = answer.credentials.ok_or_else(|| Failure::without(OPERATION, "the keys"))?;
        let expiry = SystemTime::try_from(*keys.expiration()).ok();
        let access_key_id = Some(keys.access_key_id.clone());
        let (id, secret) = (keys.access_key_id, keys.secret_access_key);
        let keys = Credentials::new(id, secret, Some(keys.session_token), expiry, "cloudcred");
        let session = Session { provider: SharedCredentialsProvider::new(keys), ..source };
        let identity = caller_identity(sdk, &session).await?;
        let source = Source::Profile(self.profile.clone());
        Ok(Credential {
            mfa_serial: Some(self.serial.clone()),
            access_key_id,
            region: Some(session.region.to_string()),
            expires_at: expiry.and_then(|time| Timestamp::try_from(time).ok()),
            state: State::Works(identity),
            ..Credential::unchecked(source, Kind::AssumeRole(source_profile), session)
        })
    }
}

fn refused(failure: Failure) -> Error {
    if failure.reason == Reason::Denied && failure.message.contains("MultiFactorAuthentication") {
        let quoted = failure.quoted();
        return Error::credentials(format!("AWS does not accept the MFA code ({quoted})"))
            .hint("a code is good once: wait for the next one, and run the command again");
    }
    failure.into()
}

/// The credentials of the profile that assumes the role. Its own keys come first, even if it has a role
/// itself or is the profile whose role is assumed (aws-config, `profile/credentials/repr.rs`).
fn source(profile: &Profile, all: &Profiles, config: &ProviderConfig) -> SharedCredentialsProvider {
    let get = |key| value(profile, key);
    let (Some(id), Some(secret)) = (get("aws_access_key_id"), get("aws_secret_access_key")) else {
        return provider(config, profile, all);
    };
    let token = get("aws_session_token").map(str::to_owned);
    SharedCredentialsProvider::new(Credentials::new(id, secret, token, None, "cloudcred"))
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
