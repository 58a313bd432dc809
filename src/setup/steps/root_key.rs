//! Takes a key of the root user out of use, and deletes it for good.

use serde::{Deserialize, Serialize};

use crate::aws::evidence::deleted;
use crate::aws::failure::Reason;
use crate::aws::iam;
use crate::error::Error;
use crate::setup::steps::context::{Change, Leftover, Outcome, Stop, Work};
use crate::setup::steps::orphan_keys::is_listed;

/// Makes the key inactive; root can activate it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeactivateRootKey {
    pub access_key_id: String,
}

impl Change for DeactivateRootKey {
    fn described(&self) -> (&'static str, String) {
        ("retire the root key", format!("{} becomes inactive", self.access_key_id))
    }

    fn remains(&self) -> Option<String> {
        Some(format!("the inactive root key {}", self.access_key_id))
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let iam = work.access.iam()?;
        Ok(iam::set_root_key_active(&iam, &self.access_key_id, false).await?)
    }

    async fn take_back(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<(), Leftover> {
        if outcome == Outcome::Refused {
            return Ok(());
        }
        let iam = work.access.iam()?;
        let activated = iam::set_root_key_active(&iam, &self.access_key_id, true).await;
        activated.map_err(|failure| match failure.reason {
            Reason::UnknownKey | Reason::Denied => Error::credentials(format!(
                "only root may activate it again, and not with this key ({})",
                failure.quoted()
            ))
            .hint("sign in as root: cloudcred login --profile NAME, then undo with --profile NAME")
            .into(),
            _ => failure.into(),
        })
    }
}

/// Deletes the key; nothing brings it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRootKey {
    pub access_key_id: String,
}

impl Change for DeleteRootKey {
    fn described(&self) -> (&'static str, String) {
        ("delete the root key", format!("{}, for good", self.access_key_id))
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let (access, id) = (work.access, &self.access_key_id);
        let delete = || async { iam::delete_access_key(&access.fresh_iam()?, None, id).await };
        Ok(deleted(delete, || is_listed(&access, None, id)).await?)
    }

    async fn take_back(&mut self, _: &mut Work<'_>, _: Outcome) -> Result<(), Leftover> {
        Ok(())
    }
}
