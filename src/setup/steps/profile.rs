//! Lets AWS's tools read the secret: an AWS profile whose `credential_process` is cloudcred.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws_files::Locations;
use crate::aws_profile::{self, AwsProfile};
use crate::error::Result;
use crate::setup::steps::context::{Change, Leftover, Outcome, Settled, Stop, Work};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteAwsProfile {
    pub profile: AwsProfile,
    /// The one of ours that has the name, and says something else.
    #[serde(default)]
    pub replaces: Option<AwsProfile>,
    #[serde(default)]
    pub made: Made,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Made {
    /// When it was found out whether the profile was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// Whether it was, word for word: then it stays.
    pub found: bool,
}

impl WriteAwsProfile {
    fn what(&self) -> String {
        format!("the AWS profile `{}`", self.profile.name)
    }
}

impl Change for WriteAwsProfile {
    const NAME: &'static str = "write_aws_profile";

    fn described(&self) -> (&'static str, String) {
        let instead = match &self.replaces {
            Some(there) => format!(", in place of {}", there.described()),
            None => String::new(),
        };
        let name = &self.profile.name;
        (
            "write AWS profile",
            format!("`{name}`, which reads the secret through cloudcred{instead}"),
        )
    }

    fn remains(&self) -> Option<String> {
        (!self.made.found).then(|| self.what())
    }

    fn replaces(&self) -> bool {
        self.replaces.is_some()
    }

    async fn prepare(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        if self.made.begun_at.is_none() {
            let locations = Locations::of(work.access.env)?;
            let existing = aws_profile::existing(&locations, &self.profile)?;
            let found = existing.is_some_and(|there| there.serves_as(&self.profile));
            self.made = Made { begun_at: Some(work.access.aws_now()), found };
        }
        Ok(())
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let locations = Locations::of(work.access.env)?;
        aws_profile::write(&locations, &self.profile, self.replaces.as_ref())?;
        Ok(())
    }

    /// Written once more: an undo that was cut off may have removed it.
    async fn revisit(&mut self, _: &mut Work<'_>, _: Outcome) -> Result<Settled> {
        Ok(Settled::Again)
    }

    async fn take_back(&mut self, work: &mut Work<'_>, _: Outcome) -> Result<(), Leftover> {
        if self.made.found {
            return Ok(());
        }
        let taken_back = Locations::of(work.access.env).and_then(|locations| {
            aws_profile::take_back(&locations, &self.profile, self.replaces.as_ref())
        });
        taken_back.map_err(|why| Leftover::new(self.what(), why))?;
        self.made = Made::default();
        Ok(())
    }
}
