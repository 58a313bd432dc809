//! What a run leads to: whose pair ends up where. Known before anything is done.

use serde::{Deserialize, Deserializer, Serialize};

use crate::aws::credential::Source;
use crate::aws::identity::Identity;
use crate::setup::request::Mode;
use crate::setup::steps::lasting_store;
use crate::store::{SecretName, StoreKind};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    pub mode: Mode,
    /// Twelve digits.
    pub account_id: String,
    /// Whose the pair is, or will be.
    pub arn: String,
    /// The credentials that stay in place, in mode `existing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<Source>,
    /// Absent while the key is still to be created.
    pub access_key_id: Option<String>,
    /// Absent in mode `existing`, and where the pair is printed.
    #[serde(default, deserialize_with = "kept_for_good")]
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

/// Journals of version 0.1 call standard output a store.
fn kept_for_good<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Kept>, D::Error> {
    #[derive(Deserialize)]
    struct Written {
        name: SecretName,
        #[serde(deserialize_with = "lasting_store")]
        store: Option<StoreKind>,
        current: bool,
    }
    let written = Option::<Written>::deserialize(deserializer)?;
    Ok(written.and_then(|it| Some(Kept { name: it.name, store: it.store?, current: it.current })))
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
