//! What a run leads to: whose pair ends up where. Known before anything is done.

use serde::{Deserialize, Serialize};

use crate::aws::credential::Source;
use crate::aws::identity::Identity;
use crate::setup::request::Mode;
use crate::store::{SecretName, StoreKind};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Where the pair is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub name: SecretName,
    pub store: StoreKind,
    pub current: bool,
}

impl Goal {
    pub fn of(mode: Mode, owner: &Identity) -> Self {
        Goal {
            mode,
            account_id: owner.account_id.clone(),
            arn: owner.arn.clone(),
            in_place: None,
            access_key_id: None,
            secret: None,
            prints: false,
            aws_profile: None,
        }
    }

    /// Whose the pair is, or will be.
    pub fn owner(&self) -> Identity {
        Identity::new(&self.account_id, &self.arn)
    }
}
