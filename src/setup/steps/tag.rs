//! Describes the key as the console does: a tag on the user, with the key's ID as the tag's key.

use serde::{Deserialize, Serialize};

use crate::aws::account;
use crate::aws::evidence::deleted;
use crate::aws::iam;
use crate::error::Result;
use crate::setup::steps::context::{
    Change, Leftover, Outcome, Settled, Stop, Work, missing, taken_back,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeAccessKey {
    pub user_name: String,
    pub description: String,
}

impl DescribeAccessKey {
    fn what(&self) -> String {
        format!("the key's tag on `{}`", self.user_name)
    }
}

impl Change for DescribeAccessKey {
    const NAME: &'static str = "describe_access_key";

    fn described(&self) -> (&'static str, String) {
        ("describe the key", format!("\"{}\"", self.description))
    }

    fn remains(&self) -> Option<String> {
        Some(self.what())
    }

    fn changes_aws(&self) -> bool {
        true
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let id = work.access_key_id.as_ref().ok_or_else(|| missing("access key"))?;
        let iam = work.access.iam()?;
        Ok(iam::describe_access_key(&iam, &self.user_name, id, &self.description).await?)
    }

    /// Written once more: an undo that was cut off may have removed it.
    async fn revisit(&mut self, _: &mut Work<'_>, _: Outcome) -> Result<Settled> {
        Ok(Settled::Again)
    }

    async fn take_back(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<(), Leftover> {
        if !work.may_act(&self.what())? {
            return Ok(());
        }
        let Some(id) = work.access_key_id.clone() else {
            return Ok(());
        };
        let access = work.access;
        let remove = || async {
            let iam = access.fresh_iam()?;
            iam::remove_key_description(&iam, &self.user_name, &id).await
        };
        let is_listed = || async {
            let iam = access.fresh_iam()?;
            let user = account::get_user(&iam, &self.user_name).await?;
            Ok(user.tags().iter().any(|tag| tag.key == id))
        };
        let result = if work.created_user() {
            // It goes with the user.
            remove().await
        } else {
            deleted(remove, is_listed).await
        };
        taken_back(self.what(), outcome, result)
    }
}
