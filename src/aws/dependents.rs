//! What a user holds that keeps IAM from deleting it. Reads only.

use aws_sdk_iam::Client;
use aws_sdk_iam::config::Config;
use aws_sdk_iam::config::retry::RetryConfig;

use crate::aws::account::{access_keys, login_profile, policy_arns};
use crate::aws::failure::{Failure, Reason};

/// Something that hangs on a user, and keeps IAM from deleting it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dependent {
    AccessKey(String),
    /// A managed policy, by its ARN.
    Policy(String),
    LoginProfile,
    /// In words.
    Other(String),
}

impl Dependent {
    pub fn described(&self) -> String {
        match self {
            Dependent::AccessKey(id) => format!("the access key {id}"),
            Dependent::Policy(arn) => format!("the policy {arn}"),
            Dependent::LoginProfile => "a console password".to_owned(),
            Dependent::Other(what) => what.clone(),
        }
    }
}

/// What hangs on the user, as far as it can be listed: where a list is refused or not implemented, IAM
/// itself still refuses to delete the user (API reference, DeleteUser).
///
/// # Errors
/// When AWS gives no clear answer about keys, policies or the console password.
pub async fn dependents_of(iam: &Client, user: &str) -> Result<Vec<Dependent>, Failure> {
    let (keys, policies, login_profile, inline, groups, devices, ssh_keys, certificates, services) = tokio::join!(
        access_keys(iam, Some(user)),
        policy_arns(iam, user),
        login_profile(iam, user),
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
    let mut found = Vec::new();
    let keys = unless_refused(keys)?.unwrap_or_default();
    found.extend(keys.into_iter().map(|key| Dependent::AccessKey(key.id)));
    let policies = unless_refused(policies)?.unwrap_or_default();
    found.extend(policies.into_iter().map(Dependent::Policy));
    if unless_refused(login_profile)?.flatten().is_some() {
        found.push(Dependent::LoginProfile);
    }
    let mut other = |kind: &str, name: &str| {
        found.push(Dependent::Other(format!("the {kind} {name}")));
    };
    if let Ok(answer) = inline {
        answer.policy_names().iter().for_each(|name| other("inline policy", name));
    }
    if let Ok(answer) = groups {
        let groups = answer.groups().iter();
        groups.for_each(|it| other("membership in the group", it.group_name()));
    }
    if let Ok(answer) = devices {
        let devices = answer.mfa_devices().iter();
        devices.for_each(|it| other("MFA device", it.serial_number()));
    }
    if let Ok(answer) = ssh_keys {
        let keys = answer.ssh_public_keys().iter();
        keys.for_each(|it| other("SSH key", it.ssh_public_key_id()));
    }
    if let Ok(answer) = certificates {
        let certificates = answer.certificates().iter();
        certificates.for_each(|it| other("signing certificate", it.certificate_id()));
    }
    if let Ok(answer) = services {
        let credentials = answer.service_specific_credentials().iter();
        credentials.for_each(|it| other("service credential", it.service_specific_credential_id()));
    }
    Ok(found)
}

/// A user that a server does not know yet holds nothing that it would know.
fn unless_refused<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) => match failure.reason {
            Reason::Denied | Reason::Missing | Reason::Other => Ok(None),
            _ => Err(failure),
        },
    }
}
