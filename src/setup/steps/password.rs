//! Gives the user a console password. IAM calls that its login profile.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::aws::account;
use crate::aws::evidence::{Look, SETTLING, deleted, settled, thrice};
use crate::aws::failure::{Failure, Reason};
use crate::aws::iam;
use crate::error::{Error, Result};
use crate::setup::steps::context::{
    Access, Change, Leftover, Outcome, Settled, Stop, Work, missing, taken_back,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateLoginProfile {
    pub user_name: String,
    /// Made by cloudcred and shown at the end, rather than given by the user.
    pub generated: bool,
    #[serde(default)]
    pub made: Made,
}

/// Times are AWS's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Made {
    /// When the last attempt was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// When those attempts were sent whose answers were lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Timestamp>,
    /// When the password was set, by IAM's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

impl Made {
    /// Whether the password that was set then is this step's.
    fn is_ours(&self, created: Timestamp) -> bool {
        match self.created_at {
            Some(ours) => ours == created,
            None => {
                self.unanswered.iter().chain(&self.begun_at).any(|sent| follows(created, *sent))
            }
        }
    }
}

/// Whether what IAM made then may come from a request sent at the other time. IAM tells whole seconds.
fn follows(created: Timestamp, sent: Timestamp) -> bool {
    let later = created.duration_since(sent);
    -SignedDuration::from_secs(2) <= later
        && later <= SignedDuration::from_secs(4 * SETTLING.as_secs() as i64)
}

impl CreateLoginProfile {
    async fn created_at(&self, access: &Access<'_>) -> Result<Option<Timestamp>, Failure> {
        account::login_profile(&access.fresh_iam()?, &self.user_name).await
    }

    fn somebody_elses(&self) -> Error {
        Error::failed(format!("`{}` has a console password already", self.user_name))
            .hint("run the command again: it then leaves that password as it is")
    }

    /// Removes the password, where it is this step's.
    async fn remove(&self, access: &Access<'_>) -> Result<(), Failure> {
        let is_ours = || async {
            let created = self.created_at(access).await?;
            Ok(created.is_some_and(|created| self.made.is_ours(created)))
        };
        let delete = || async {
            // Asked before each deletion: by then it may be another one.
            if self.created_at(access).await?.is_some_and(|created| !self.made.is_ours(created)) {
                return Ok(());
            }
            iam::delete_login_profile(&access.fresh_iam()?, &self.user_name).await
        };
        deleted(delete, is_ours).await
    }
}

impl Change for CreateLoginProfile {
    fn described(&self) -> (&'static str, String) {
        let generated = if self.generated { "generated, " } else { "" };
        ("set password", format!("{generated}for {}", self.user_name))
    }

    fn remains(&self) -> Option<String> {
        Some(format!("the console password of `{}`", self.user_name))
    }

    async fn prepare(&mut self, work: &mut Work<'_>) -> Result<()> {
        // Somebody may have set one since the plan was made; one server that has seen it is enough.
        if !work.created_user() && self.made.begun_at.is_none() {
            let looks = thrice(|| self.created_at(&work.access)).await?;
            if looks.iter().any(Option::is_some) {
                return Err(self.somebody_elses());
            }
        }
        let now = work.access.aws_now();
        self.made.begun_at = Some(now);
        self.made.unanswered.push(now);
        Ok(())
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let password = work.secrets.password.as_ref().ok_or_else(|| missing("password"))?;
        let iam = work.access.iam()?;
        let failure = match iam::create_login_profile(&iam, &self.user_name, password).await {
            Ok(created_at) => {
                self.made.unanswered.clear();
                self.made.created_at = created_at;
                return Ok(());
            }
            Err(failure) => failure,
        };
        if failure.reason != Reason::Unclear {
            self.made.unanswered.pop();
        }
        Err(match failure.reason {
            Reason::Exists if self.made.unanswered.is_empty() => {
                Stop::Refused(self.somebody_elses())
            }
            // The first attempt of this step may have set it.
            Reason::Exists => Stop::Unanswered(self.somebody_elses()),
            _ => failure.into(),
        })
    }

    /// Ours is one that IAM has set after an attempt, where there was none before.
    async fn settle(&mut self, work: &mut Work<'_>) -> Result<Settled> {
        let access = &work.access;
        let created = settled(|| async {
            Ok(match self.created_at(access).await? {
                Some(created) if self.made.is_ours(created) => Look::Sure(Some(created)),
                created => Look::Unsure(created),
            })
        });
        let created = created.await?;
        if created.is_some_and(|created| !self.made.is_ours(created)) {
            return Err(self.somebody_elses());
        }
        self.made.unanswered.clear();
        self.made.created_at = created.or(self.made.created_at);
        Ok(if created.is_some() { Settled::Done } else { Settled::Again })
    }

    /// A password that nobody has seen is set anew.
    async fn revisit(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<Settled> {
        if outcome == Outcome::Done && !self.generated {
            return Ok(Settled::Done);
        }
        if self.settle(work).await? == Settled::Done {
            self.remove(&work.access).await?;
        }
        self.made = Made::default();
        Ok(Settled::Again)
    }

    async fn take_back(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<(), Leftover> {
        if outcome == Outcome::Refused || !work.may_act()? {
            return Ok(());
        }
        let access = work.access;
        let result = if work.created_user() {
            let delete =
                || async { iam::delete_login_profile(&access.fresh_iam()?, &self.user_name).await };
            deleted(delete, || async { Ok(self.created_at(&access).await?.is_some()) }).await
        } else {
            self.remove(&access).await
        };
        taken_back(outcome, result)?;
        self.made = Made::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_password_that_iam_set_after_the_attempt_is_ours() {
        let sent: Timestamp = "2026-11-25T12:00:00.7Z".parse().expect("a time");
        let at = |seconds| sent + SignedDuration::from_secs(seconds);
        let lost = Made { unanswered: vec![sent], ..Made::default() };
        for (seconds, ours) in
            [(-60, false), (-3, false), (-1, true), (0, true), (20, true), (90, false)]
        {
            assert_eq!(lost.is_ours(at(seconds)), ours, "{seconds}");
        }
        let answered = Made { created_at: Some(at(1)), begun_at: Some(sent), ..Made::default() };
        assert!(answered.is_ours(at(1)) && !answered.is_ours(at(2)));
    }
}
