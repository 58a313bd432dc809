//! The changes that exist. A closed set: one `match` each to describe, apply and undo.

use serde::{Deserialize, Serialize};

use crate::aws_profile::AwsProfile;
use crate::setup::request::is_administrator_access;
use crate::store::{SecretName, StoreKind};

/// Marks the users that cloudcred made, among others for audits.
pub const CREATED_BY_TAG: (&str, &str) = ("created-by", "cloudcred");
/// Tells which run made a user, should the answer to CreateUser get lost.
pub const RUN_TAG: &str = "cloudcred-run";

/// One change. The journal holds steps as they are, so they hold no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    CreateUser {
        user_name: String,
        tags: Vec<(String, String)>,
        permissions_boundary: Option<String>,
    },
    AttachPolicy {
        user_name: String,
        policy_arn: String,
    },
    /// Sets the console password.
    CreateLoginProfile {
        user_name: String,
        /// Made by cloudcred and shown at the end, rather than given by the user.
        generated: bool,
    },
    /// Creates a key and keeps it: one step, because in between nobody but us has the secret. With
    /// standard output as the store, keeping is a step of its own at the end: what is printed works.
    CreateAccessKey {
        /// `None` for a key of root.
        user_name: Option<String>,
        secret: SecretName,
        store: StoreKind,
        /// The user's keys before: any other one is this step's.
        known_key_ids: Vec<String>,
        /// The key whose pair has the secret's name already, and may be replaced.
        replaces: Option<String>,
    },
    DescribeAccessKey {
        user_name: String,
        description: String,
    },
    /// Keeps the pair that the user brought along, or prints the new one.
    StoreSecret {
        secret: SecretName,
        store: StoreKind,
        /// As for a created key.
        replaces: Option<String>,
    },
    /// Until STS and IAM accept the key wherever they are asked.
    Verify {
        /// Whether the policies allow reading IAM, so that IAM must answer, too.
        reads_iam: bool,
    },
    SetCurrent {
        secret: SecretName,
    },
    /// Lets AWS's tools read the secret through `credential_process`.
    WriteAwsProfile {
        profile: AwsProfile,
        /// The one of ours that has the name, and says something else.
        #[serde(default)]
        replaces: Option<AwsProfile>,
    },
    /// Takes the root user's key out of use; it can be activated again.
    DeactivateRootKey {
        access_key_id: String,
    },
    /// For good.
    DeleteRootKey {
        access_key_id: String,
    },
}

impl Step {
    /// As the journal and `--output json` name it.
    pub fn name(&self) -> &'static str {
        match self {
            Step::CreateUser { .. } => "create_user",
            Step::AttachPolicy { .. } => "attach_policy",
            Step::CreateLoginProfile { .. } => "create_login_profile",
            Step::CreateAccessKey { .. } => "create_access_key",
            Step::DescribeAccessKey { .. } => "describe_access_key",
            Step::StoreSecret { .. } => "store_secret",
            Step::Verify { .. } => "verify",
            Step::SetCurrent { .. } => "set_current",
            Step::WriteAwsProfile { .. } => "write_aws_profile",
            Step::DeactivateRootKey { .. } => "deactivate_root_key",
            Step::DeleteRootKey { .. } => "delete_root_key",
        }
    }

    /// For people: what is done, and with what.
    pub fn described(&self) -> (&'static str, String) {
        match self {
            Step::CreateUser {
                user_name,
                permissions_boundary,
                ..
            } => (
                "create IAM user",
                match permissions_boundary {
                    Some(boundary) => format!("{user_name}, bounded by {boundary}"),
                    None => user_name.clone(),
                },
            ),
            Step::AttachPolicy { policy_arn, .. } => ("attach policy", policy_meaning(policy_arn)),
            Step::CreateLoginProfile {
                user_name,
                generated,
            } => (
                "set password",
                match generated {
                    true => format!("generated, for {user_name}"),
                    false => format!("for {user_name}"),
                },
            ),
            Step::CreateAccessKey {
                user_name,
                store: StoreKind::Stdout,
                ..
            } => ("create access key", format!("of {}", of(user_name))),
            Step::CreateAccessKey {
                secret,
                store,
                replaces,
                ..
            } => (
                "create access key",
                format!("kept {}{}", kept_in(secret, *store), instead_of(replaces)),
            ),
            Step::DescribeAccessKey { description, .. } => {
                ("describe the key", format!("\"{description}\""))
            }
            Step::StoreSecret {
                store: StoreKind::Stdout,
                ..
            } => (
                "print the key",
                "to standard output, kept nowhere".to_owned(),
            ),
            Step::StoreSecret {
                secret,
                store,
                replaces,
            } => (
                "store the key",
                format!("{}{}", kept_in(secret, *store), instead_of(replaces)),
            ),
            Step::Verify { .. } => (
                "prove it",
                "until STS and IAM accept the new key everywhere".to_owned(),
            ),
            Step::SetCurrent { secret } => (
                "set current",
                format!("`{secret}`, for CloudStudio's tools"),
            ),
            Step::WriteAwsProfile { profile, replaces } => (
                "write AWS profile",
                format!(
                    "`{}`, which reads the secret through cloudcred{}",
                    profile.name,
                    match replaces {
                        Some(there) => format!(", in place of {}", there.described()),
                        None => String::new(),
                    }
                ),
            ),
            Step::DeactivateRootKey { access_key_id } => (
                "retire the root key",
                format!("{access_key_id} becomes inactive"),
            ),
            Step::DeleteRootKey { access_key_id } => {
                ("delete the root key", format!("{access_key_id}, for good"))
            }
        }
    }

    /// Whether it gives up a stored pair, or what a profile says.
    pub fn replaces(&self) -> bool {
        match self {
            Step::CreateAccessKey { replaces, .. } | Step::StoreSecret { replaces, .. } => {
                replaces.is_some()
            }
            Step::WriteAwsProfile { replaces, .. } => replaces.is_some(),
            _ => false,
        }
    }

    /// What it leaves behind, as part of a sentence.
    pub fn remains(&self, access_key_id: Option<&str>) -> Option<String> {
        Some(match self {
            Step::CreateUser { user_name, .. } => format!("the IAM user `{user_name}`"),
            Step::AttachPolicy {
                user_name,
                policy_arn,
            } => format!("the policy {policy_arn} on `{user_name}`"),
            Step::CreateLoginProfile { user_name, .. } => {
                format!("the console password of `{user_name}`")
            }
            Step::CreateAccessKey { user_name, .. } => match access_key_id {
                Some(id) => format!("the access key {id} of {}", of(user_name)),
                None => format!("possibly an access key of {}", of(user_name)),
            },
            Step::DescribeAccessKey { user_name, .. } => format!("the key's tag on `{user_name}`"),
            Step::StoreSecret { secret, .. } => format!("the secret `{secret}`"),
            Step::Verify { .. } | Step::DeleteRootKey { .. } => return None,
            Step::DeactivateRootKey { access_key_id } => {
                format!("the inactive root key {access_key_id}")
            }
            Step::SetCurrent { secret } => format!("`{secret}` as the current secret"),
            Step::WriteAwsProfile { profile, .. } => format!("the AWS profile `{}`", profile.name),
        })
    }

    /// Whether it changes something at AWS, and not just on this machine.
    pub fn changes_aws(&self) -> bool {
        match self {
            Step::CreateUser { .. }
            | Step::AttachPolicy { .. }
            | Step::CreateLoginProfile { .. }
            | Step::CreateAccessKey { .. }
            | Step::DescribeAccessKey { .. }
            | Step::DeactivateRootKey { .. }
            | Step::DeleteRootKey { .. } => true,
            Step::StoreSecret { .. }
            | Step::Verify { .. }
            | Step::SetCurrent { .. }
            | Step::WriteAwsProfile { .. } => false,
        }
    }
}

fn of(user_name: &Option<String>) -> String {
    match user_name {
        Some(name) => format!("`{name}`"),
        None => "the root user".to_owned(),
    }
}

fn policy_meaning(arn: &str) -> String {
    if is_administrator_access(arn) {
        "AdministratorAccess: full access to every AWS service".to_owned()
    } else {
        arn.to_owned()
    }
}

fn instead_of(replaces: &Option<String>) -> String {
    match replaces {
        Some(id) => format!(", replacing the pair of {id}"),
        None => String::new(),
    }
}

fn kept_in(secret: &SecretName, store: StoreKind) -> String {
    match store {
        StoreKind::Keyring => format!("in the keyring, as secret `{secret}`"),
        StoreKind::File => format!("in a private file, as secret `{secret}`"),
        StoreKind::Stdout => "nowhere".to_owned(),
    }
}
