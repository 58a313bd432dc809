//! Everything that the user wants, complete, and AWS's rules for it; and what a run then leads to. Reads
//! nothing and asks nothing.

mod command_line;
mod rules;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::aws::credential::{Credential, Source};
use crate::aws::identity::Identity;
use crate::secret::KeyPair;
use crate::store::{SecretName, StoreKind};

pub use crate::cli::IfExists;
pub use rules::{
    check_key_description, check_policy_arn, check_user_name, default_key_description, parse_tags,
};

/// What CloudStudio is to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Leave the AWS CLI configuration that works in place.
    #[default]
    Existing,
    IamUser,
    Root,
}

/// What a run is to bring about.
pub enum Request {
    Existing {
        /// What stays in place.
        credential: Credential,
        /// Flags that then mean nothing.
        unused: Vec<&'static str>,
    },
    IamUser(Box<IamUserRequest>),
    Root(RootRequest),
}

impl Request {
    /// Where the pair is kept, if it is.
    pub fn target(&self) -> Option<&SecretTarget> {
        match self {
            Request::Existing { .. } => None,
            Request::IamUser(request) => Some(&request.target),
            Request::Root(request) => Some(&request.target),
        }
    }

    /// The credentials that do the work, or that stay in place.
    pub fn caller(&self) -> &Credential {
        match self {
            Request::Existing { credential, .. } => credential,
            Request::IamUser(request) => &request.bootstrap,
            Request::Root(request) => &request.checked,
        }
    }
}

pub struct IamUserRequest {
    /// The credentials that create the user.
    pub bootstrap: Credential,
    pub user_name: String,
    /// At least one.
    pub policy_arns: Vec<String>,
    pub permissions_boundary: Option<String>,
    pub tags: Vec<(String, String)>,
    pub console_password: ConsolePassword,
    /// `None` for a key that keeps the description it has.
    pub key_description: Option<String>,
    /// A key that the user itself has already: it is kept instead of a new one.
    pub own_key: Option<KeyPair>,
    /// The root key that created the user, where it is to be retired afterwards.
    pub retire: Option<String>,
    /// `None` where the question was left open and nobody could be asked.
    pub if_exists: Option<IfExists>,
    pub target: SecretTarget,
}

/// AWS's own policy of that name, in every partition.
pub fn is_administrator_access(policy_arn: &str) -> bool {
    policy_arn.ends_with(":iam::aws:policy/AdministratorAccess")
}

pub struct RootRequest {
    /// The key to keep; `None` where a new one is to be made.
    pub pair: Option<KeyPair>,
    /// That key, or what makes the new one. Checked: it works, and it is root's.
    pub checked: Credential,
    /// Flags that mean nothing without a user.
    pub unused: Vec<&'static str>,
    pub if_exists: Option<IfExists>,
    pub target: SecretTarget,
}

pub enum ConsolePassword {
    None,
    Generate,
    Given(SecretString),
}

impl ConsolePassword {
    pub fn is_generated(&self) -> bool {
        matches!(self, ConsolePassword::Generate)
    }
}

/// Where the user wants the pair, and who is to read it.
#[derive(Clone, Debug)]
pub struct SecretTarget {
    pub secret: SecretName,
    /// `None` where the pair is printed, and kept nowhere.
    pub store: Option<StoreKind>,
    pub make_current: bool,
    /// The AWS profile that is to read the secret.
    pub aws_profile: Option<String>,
    /// The user agreed, for this very name, that what it holds is replaced.
    pub replace: bool,
}

/// What a run leads to: whose pair ends up where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    pub mode: Mode,
    /// Twelve digits.
    pub account_id: String,
    pub arn: String,
    /// The credentials that stay in place, in mode `existing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<Source>,
    /// Absent while the key is still to be created.
    pub access_key_id: Option<String>,
    /// Absent in mode `existing`, and where the pair is printed.
    pub secret: Option<Kept>,
    /// Whether the pair is printed at the end, and kept nowhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prints: bool,
    /// The AWS profile that reads the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_profile: Option<String>,
}

/// Where the pair is kept, as the journal and the result say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub name: SecretName,
    pub store: StoreKind,
    pub current: bool,
}

impl Goal {
    pub fn of(mode: Mode, owner: &Identity) -> Self {
        let (account_id, arn) = (owner.account_id.clone(), owner.arn.clone());
        Goal { mode, account_id, arn, ..Goal::default() }
    }

    /// Whose the pair is, or will be.
    pub fn owner(&self) -> Identity {
        Identity::new(&self.account_id, &self.arn)
    }
}
