//! Lets AWS's tools read the secret: an AWS profile whose `credential_process` is cloudcred.

use serde::{Deserialize, Serialize};

use crate::aws_files::Locations;
use crate::aws_profile::AwsProfile;
use crate::error::Result;
use crate::setup::steps::context::{Before, Change, Leftover, Outcome, Settled, Stop, Work};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteAwsProfile {
    pub profile: AwsProfile,
    /// The one of ours that has the name, and says something else.
    #[serde(default)]
    pub replaces: Option<AwsProfile>,
    #[serde(default)]
    pub made: Before,
}

impl Change for WriteAwsProfile {
    fn described(&self) -> (&'static str, String) {
        let mut detail =
            format!("`{}`, which reads the secret through cloudcred", self.profile.name);
        if let Some(there) = &self.replaces {
            detail += &format!(", in place of {}", there.described());
        }
        ("write AWS profile", detail)
    }

    fn remains(&self) -> Option<String> {
        (!self.made.found).then(|| format!("the AWS profile `{}`", self.profile.name))
    }

    fn replaces(&self) -> bool {
        self.replaces.is_some()
    }

    async fn prepare(&mut self, work: &mut Work<'_>) -> Result<()> {
        if self.made.begun_at.is_none() {
            let locations = Locations::of(work.access.env)?;
            let existing = self.profile.existing(&locations)?;
            let found = existing.is_some_and(|there| there.serves_as(&self.profile));
            self.made = Before { begun_at: Some(work.access.aws_now()), found };
        }
        Ok(())
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let locations = Locations::of(work.access.env)?;
        Ok(self.profile.write(&locations, self.replaces.as_ref()).map(drop)?)
    }

    /// Written once more: an undo that was cut off may have removed it.
    async fn revisit(&mut self, _: &mut Work<'_>, _: Outcome) -> Result<Settled> {
        Ok(Settled::Again)
    }

    async fn take_back(&mut self, work: &mut Work<'_>, _: Outcome) -> Result<(), Leftover> {
        if !self.made.found {
            let locations = Locations::of(work.access.env)?;
            self.profile.take_back(&locations, self.replaces.as_ref())?;
            self.made = Before::default();
        }
        Ok(())
    }
}
