//! Attaches a managed policy to the user.

use serde::{Deserialize, Serialize};

use crate::aws::account;
use crate::aws::evidence::{deleted, thrice};
use crate::aws::failure::{Failure, Reason};
use crate::aws::iam;
use crate::error::{Error, Result};
use crate::setup::request::is_administrator_access;
use crate::setup::steps::context::{
    Access, Before, Change, Leftover, Outcome, Settled, Stop, Work, taken_back,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachPolicy {
    pub user_name: String,
    pub policy_arn: String,
    #[serde(default)]
    pub made: Before,
}

impl AttachPolicy {
    async fn is_attached(&self, access: &Access<'_>) -> Result<bool, Failure> {
        match account::policy_arns(&access.fresh_iam()?, &self.user_name).await {
            Ok(arns) => Ok(arns.contains(&self.policy_arn)),
            Err(failure) if failure.reason == Reason::Missing => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

impl Change for AttachPolicy {
    fn described(&self) -> (&'static str, String) {
        let detail = if is_administrator_access(&self.policy_arn) {
            "AdministratorAccess: full access to every AWS service".to_owned()
        } else {
            self.policy_arn.clone()
        };
        ("attach policy", detail)
    }

    fn remains(&self) -> Option<String> {
        let what = format!("the policy {} on `{}`", self.policy_arn, self.user_name);
        Some(what).filter(|_| !self.made.found)
    }

    /// On a user of others, somebody may have attached it since the plan was made. One server that has
    /// seen it is enough.
    async fn prepare(&mut self, work: &mut Work<'_>) -> Result<()> {
        if work.created_user() || self.made.begun_at.is_some() {
            return Ok(());
        }
        let found = thrice(|| self.is_attached(&work.access)).await?.contains(&true);
        self.made = Before { begun_at: Some(work.access.aws_now()), found };
        Ok(())
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        if self.made.found {
            return Ok(());
        }
        let iam = work.access.iam()?;
        let attached = iam::attach_user_policy(&iam, &self.user_name, &self.policy_arn).await;
        attached.map_err(|failure| match failure.reason {
            Reason::Missing => {
                Stop::Refused(Error::from(failure).hint("check the ARN of --policy-arn"))
            }
            _ => failure.into(),
        })
    }

    /// Attached once more: an undo that was cut off may have detached it.
    async fn revisit(&mut self, _: &mut Work<'_>, _: Outcome) -> Result<Settled> {
        Ok(if self.made.found { Settled::Done } else { Settled::Again })
    }

    async fn take_back(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<(), Leftover> {
        if self.made.found || !work.may_act()? {
            return Ok(());
        }
        let access = work.access;
        let detach = || async {
            let iam = access.fresh_iam()?;
            iam::detach_user_policy(&iam, &self.user_name, &self.policy_arn).await
        };
        let detached = match outcome {
            Outcome::Refused => detach().await,
            Outcome::Done | Outcome::Unknown => deleted(detach, || self.is_attached(&access)).await,
        };
        taken_back(outcome, detached)?;
        self.made = Before::default();
        Ok(())
    }
}
