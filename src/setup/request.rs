//! Everything that the user wants, complete, and AWS's rules for it. Reads nothing and asks nothing.

mod command_line;
mod rules;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::aws::credential::Credential;
use crate::secret::KeyPair;
use crate::store::{SecretName, StoreKind};

pub use crate::cli::IfExists;
pub use rules::{
    check_key_description, check_policy_arn, check_user_name, default_key_description, parse_tags,
};

/// What CloudStudio is to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Leave the AWS CLI configuration that works in place.
    Existing,
    IamUser,
    Root,
}

/// What a run is to bring about.
pub enum Request {
    Existing(ExistingRequest),
    IamUser(Box<IamUserRequest>),
    Root(RootRequest),
}

pub struct ExistingRequest {
    /// What stays in place.
    pub found: Credential,
    /// Flags that then mean nothing.
    pub unused: Vec<&'static str>,
}

impl Request {
    /// Where the pair is kept, if it is.
    pub fn target(&self) -> Option<&SecretTarget> {
        match self {
            Request::Existing(_) => None,
            Request::IamUser(request) => Some(&request.target),
            Request::Root(request) => Some(&request.target),
        }
    }

    /// The credentials that do the work, or that stay in place.
    pub fn caller(&self) -> &Credential {
        match self {
            Request::Existing(request) => &request.found,
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

impl IamUserRequest {
    fn default_policy(&self) -> bool {
        matches!(&self.policy_arns[..], [arn] if is_administrator_access(arn))
    }
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

/// Where and under which name the pair is kept.
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
