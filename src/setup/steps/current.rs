//! Makes the secret the current one, which CloudStudio's tools use when none is named.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::setup::steps::context::{Change, Leftover, Outcome, Settled, Stop, Work};
use crate::store::SecretName;
use crate::store::index::Index;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetCurrent {
    pub secret: SecretName,
    #[serde(default)]
    pub made: Made,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Made {
    /// The secret that was current before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_current: Option<SecretName>,
}

impl Change for SetCurrent {
    fn described(&self) -> (&'static str, String) {
        ("set current", format!("`{}`, for CloudStudio's tools", self.secret))
    }

    fn remains(&self) -> Option<String> {
        Some(format!("`{}` as the current secret", self.secret))
    }

    async fn prepare(&mut self, work: &mut Work<'_>) -> Result<()> {
        let current = Index::load(&work.access.vault.folders)?.current;
        // Where it is current already, an earlier attempt has noted what was before.
        if !current.as_ref().is_some_and(|current| current.same_place_as(&self.secret)) {
            self.made.previous_current = current;
        }
        Ok(())
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        Ok(work.access.vault.set_current(&self.secret).map(drop)?)
    }

    /// Set once more: an undo that was cut off may have set another one.
    async fn revisit(&mut self, _: &mut Work<'_>, _: Outcome) -> Result<Settled> {
        Ok(Settled::Again)
    }

    async fn take_back(&mut self, work: &mut Work<'_>, _: Outcome) -> Result<(), Leftover> {
        let previous = self.made.previous_current.as_ref();
        work.access.vault.restore_current(&self.secret, previous)?;
        self.made = Made::default();
        Ok(())
    }
}
