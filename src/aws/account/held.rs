//! What a user holds that keeps IAM from deleting it. Reads only.

use std::error::Error as StdError;

use aws_sdk_iam::Client;
use aws_sdk_iam::config::Config;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::account::{access_keys, has_login_profile, policy_arns};
use crate::aws::failure::{Failure, Reason};

/// Something that a user holds, and that keeps IAM from deleting the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    AccessKey(String),
    /// A managed policy, by its ARN.
    Policy(String),
    LoginProfile,
    /// In words.
    Other(String),
}

impl Held {
    pub fn described(&self) -> String {
        match self {
            Held::AccessKey(id) => format!("the access key {id}"),
            Held::Policy(arn) => format!("the policy {arn}"),
            Held::LoginProfile => "a console password".to_owned(),
            Held::Other(what) => what.clone(),
        }
    }
}

/// What the user holds, as far as the caller may see it: where a list is refused, IAM itself still
/// refuses to delete a user that holds something (API reference, DeleteUser).
///
/// # Errors
/// When it is not known whether a list would show something: no answer, no clear one, or none for
/// now.
pub async fn held_by(iam: &Client, user: &str) -> Result<Vec<Held>, Failure> {
    let (keys, policies, login_profile, inline, groups, devices, ssh_keys, certificates, services) = tokio::join!(
        access_keys(iam, Some(user)),
        policy_arns(iam, user),
        has_login_profile(iam, user),
        iam.list_user_policies().user_name(user).send(),
        iam.list_groups_for_user().user_name(user).send(),
        iam.list_mfa_devices().user_name(user).send(),
        iam.list_ssh_public_keys().user_name(user).send(),
        iam.list_signing_certificates().user_name(user).send(),
        iam.list_service_specific_credentials()
            .user_name(user)
            .customize()
            // Servers that stand in for AWS know it rarely: asking again only takes time.
            .config_override(Config::builder().retry_config(RetryConfig::disabled()))
            .send(),
    );
    let mut held = Vec::new();
    let keys = unless_refused(keys)?.unwrap_or_default();
    held.extend(keys.into_iter().map(|key| Held::AccessKey(key.id)));
    let policies = unless_refused(policies)?.unwrap_or_default();
    held.extend(policies.into_iter().map(Held::Policy));
    if unless_refused(login_profile)? == Some(true) {
        held.push(Held::LoginProfile);
    }
    let mut other = |kind: &str, name: &str| held.push(Held::Other(format!("the {kind} {name}")));
    if let Some(answer) = answered("iam:ListUserPolicies", inline)? {
        let names = answer.policy_names();
        names.iter().for_each(|name| other("inline policy", name));
    }
    if let Some(answer) = answered("iam:ListGroupsForUser", groups)? {
        let groups = answer.groups();
        groups
            .iter()
            .for_each(|it| other("membership in the group", it.group_name()));
    }
    if let Some(answer) = answered("iam:ListMFADevices", devices)? {
        let devices = answer.mfa_devices();
        devices
            .iter()
            .for_each(|it| other("MFA device", it.serial_number()));
    }
    if let Some(answer) = answered("iam:ListSSHPublicKeys", ssh_keys)? {
        let keys = answer.ssh_public_keys();
        keys.iter()
            .for_each(|it| other("SSH key", it.ssh_public_key_id()));
    }
    if let Some(answer) = answered("iam:ListSigningCertificates", certificates)? {
        let certificates = answer.certificates();
        certificates
            .iter()
            .for_each(|it| other("signing certificate", it.certificate_id()));
    }
    if let Some(answer) = answered("iam:ListServiceSpecificCredentials", services)? {
        let credentials = answer.service_specific_credentials();
        credentials
            .iter()
            .for_each(|it| other("service credential", it.service_specific_credential_id()));
    }
    Ok(held)
}

/// The answer; `None` where a server refuses to give one, or does not know the question.
fn answered<T, E>(
    operation: &'static str,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<Option<T>, Failure>
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    const NOT_IMPLEMENTED: u16 = 501;
    match answer {
        Err(error)
            if error
                .raw_response()
                .is_some_and(|it| it.status().as_u16() == NOT_IMPLEMENTED) =>
        {
            Ok(None)
        }
        answer => unless_refused(answer.map_err(|error| Failure::of(operation, error))),
    }
}

/// As [`answered`]. A user that a server does not know yet holds nothing that it would know.
fn unless_refused<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) => match failure.reason {
            Reason::Denied | Reason::Missing | Reason::Other => Ok(None),
            _ => Err(failure),
        },
    }
}
