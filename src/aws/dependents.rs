//! What a user holds that keeps IAM from deleting it. Reads only.

use aws_sdk_iam::Client;

use crate::aws::account::{access_keys, login_profile, policy_arns};
use crate::aws::failure::{Failure, Reason};
use crate::aws::sdk::once;

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
/// itself still refuses to delete the user (API reference, DeleteUser). That keys, policies and the
/// console password could not be asked for is an error.
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
        // Servers that stand in for AWS know it rarely: asking again only takes time.
        once(iam).list_service_specific_credentials().user_name(user).send(),
    );
    let mut all = Vec::new();
    all.extend(unless_refused(keys)?.into_iter().map(|key| Dependent::AccessKey(key.id)));
    all.extend(unless_refused(policies)?.into_iter().map(Dependent::Policy));
    all.extend(unless_refused(login_profile)?.map(|_| Dependent::LoginProfile));
    let groups = names(groups.map(|it| it.groups), |it| it.group_name);
    let devices = names(devices.map(|it| it.mfa_devices), |it| it.serial_number);
    let ssh_keys = ssh_keys.map(|it| it.ssh_public_keys.unwrap_or_default());
    let ssh_keys = names(ssh_keys, |it| it.ssh_public_key_id);
    let certificates = names(certificates.map(|it| it.certificates), |it| it.certificate_id);
    let services = services.map(|it| it.service_specific_credentials.unwrap_or_default());
    let services = names(services, |it| it.service_specific_credential_id);
    let others = [
        ("inline policy", inline.map(|it| it.policy_names).unwrap_or_default()),
        ("membership in the group", groups),
        ("MFA device", devices),
        ("SSH key", ssh_keys),
        ("signing certificate", certificates),
        ("service credential", services),
    ];
    for (kind, names) in others {
        all.extend(names.iter().map(|name| Dependent::Other(format!("the {kind} {name}"))));
    }
    Ok(all)
}

fn names<T, E>(answer: Result<Vec<T>, E>, name: impl Fn(T) -> String) -> Vec<String> {
    answer.unwrap_or_default().into_iter().map(name).collect()
}

/// A user that a server does not know yet holds nothing that it would know.
fn unless_refused<T: Default>(answer: Result<T, Failure>) -> Result<T, Failure> {
    let refused = [Reason::Denied, Reason::Missing, Reason::Other];
    answer.or_else(|it| if refused.contains(&it.reason) { Ok(T::default()) } else { Err(it) })
}
