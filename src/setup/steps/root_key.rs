//! Takes a key of the root user out of use, and deletes it for good.

use serde::{Deserialize, Serialize};

use crate::aws::account;
use crate::aws::evidence::deleted;
use crate::aws::failure::Reason;
use crate::aws::iam;
use crate::error::{Error, Result};
use crate::setup::steps::context::{Change, Leftover, Outcome, Settled, Stop, Work};

/// Makes the key inactive; root can activate it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeactivateRootKey {
    pub access_key_id: String,
}

impl DeactivateRootKey {
    fn what(&self) -> String {
        format!("the inactive root key {}", self.access_key_id)
    }
}

impl Change for DeactivateRootKey {
    const NAME: &'static str = "deactivate_root_key";

    fn described(&self) -> (&'static str, String) {
        ("retire the root key", format!("{} becomes inactive", self.access_key_id))
    }

    fn remains(&self) -> Option<String> {
        Some(self.what())
    }

    fn changes_aws(&self) -> bool {
        true
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let iam = work.access.iam()?;
        Ok(iam::set_root_key_active(&iam, &self.access_key_id, false).await?)
    }

    async fn take_back(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<(), Leftover> {
        if outcome == Outcome::Refused {
            return Ok(());
        }
        let activated = match work.access.iam() {
            Ok(iam) => iam::set_root_key_active(&iam, &self.access_key_id, true).await,
            Err(failure) => Err(failure),
        };
        activated.map_err(|failure| {
            let why = match failure.reason {
                Reason::UnknownKey | Reason::Denied => Error::credentials(format!(
                    "only root may activate it again, and not with this key ({})",
                    failure.quoted()
                ))
                .hint("sign in as root: cloudcred login --profile NAME, then undo with --profile NAME"),
                _ => failure.into(),
            };
            Leftover::new(self.what(), why)
        })
    }
}

/// Deletes the key; nothing brings it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRootKey {
    pub access_key_id: String,
}

impl Change for DeleteRootKey {
    const NAME: &'static str = "delete_root_key";

    fn described(&self) -> (&'static str, String) {
        ("delete the root key", format!("{}, for good", self.access_key_id))
    }

    fn remains(&self) -> Option<String> {
        None
    }

    fn changes_aws(&self) -> bool {
        true
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let (access, id) = (work.access, &self.access_key_id);
        let delete = || async { iam::delete_access_key(&access.fresh_iam()?, None, id).await };
        let is_listed = || async {
            let keys = account::access_keys(&access.fresh_iam()?, None).await?;
            Ok(keys.iter().any(|key| key.id == *id))
        };
        Ok(deleted(delete, is_listed).await?)
    }

    async fn revisit(&mut self, _: &mut Work<'_>, outcome: Outcome) -> Result<Settled> {
        Ok(if outcome == Outcome::Done { Settled::Done } else { Settled::Again })
    }

    async fn take_back(&mut self, _: &mut Work<'_>, _: Outcome) -> Result<(), Leftover> {
        Ok(())
    }
}
