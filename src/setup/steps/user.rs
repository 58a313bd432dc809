//! Creates the IAM user, with its tags and permissions boundary in the same call.

use std::cell::Cell;

use aws_sdk_iam::types::User;
use serde::{Deserialize, Serialize};

use crate::aws::account;
use crate::aws::evidence::{Look, deleted, settled};
use crate::aws::failure::{Failure, Reason};
use crate::aws::iam;
use crate::error::{Error, Result};
use crate::setup::steps::context::{
    Access, Change, Leftover, Outcome, RunUser, Settled, Stop, Work,
};
use crate::setup::steps::orphan_keys::is_listed;

/// Marks the users that cloudcred made, among others for audits.
pub const CREATED_BY_TAG: (&str, &str) = ("created-by", "cloudcred");
/// Tells which run made a user: the only proof that one may be deleted.
pub const RUN_TAG: &str = "cloudcred-run";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateUser {
    pub user_name: String,
    pub tags: Vec<(String, String)>,
    pub permissions_boundary: Option<String>,
    #[serde(default)]
    pub made: Made,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Made {
    /// The user's unique ID, by IAM's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Whether an attempt's answer was lost, so that the user may exist.
    pub lost: bool,
}

/// Whose the user of that name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    ThisRun,
    SomebodyElse,
    Nobody,
}

fn has_run_tag(user: &User, run: &str) -> bool {
    user.tags().iter().any(|tag| tag.key == RUN_TAG && tag.value == run)
}

/// Whether AWS still knows the run's key, which no user keeps beyond its own end: by STS, which accepts
/// its pair, or by the user's list of keys.
async fn key_exists(work: &Work<'_>, user: &str) -> Result<bool> {
    let Some(id) = &work.access_key_id else {
        return Ok(false);
    };
    if work.is_accepted(id).await? {
        return Ok(true);
    }
    match is_listed(&work.access, Some(user), id).await {
        // What cannot be read may be there.
        Err(failure) if failure.reason == Reason::Denied => Ok(true),
        listed => Ok(listed?),
    }
}

impl CreateUser {
    /// Asks until a server shows the run's tag, which proves it; everything else must last.
    async fn owner(&self, access: &Access<'_>, run: &str) -> Result<Owner, Failure> {
        // A user that was seen once is not absent, whatever the last server says.
        let seen = Cell::new(false);
        settled(|| async {
            match account::get_user(&access.fresh_iam()?, &self.user_name).await {
                Ok(user) if has_run_tag(&user, run) => Ok(Look::Sure(Owner::ThisRun)),
                // Another user has the name by now, so the run's is gone.
                Ok(user) if self.made.user_id.as_ref().is_some_and(|id| *id != user.user_id) => {
                    Ok(Look::Unsure(Owner::Nobody))
                }
                Err(failure) if failure.reason == Reason::Missing && !seen.get() => {
                    Ok(Look::Unsure(Owner::Nobody))
                }
                Err(failure) if failure.reason != Reason::Missing => Err(failure),
                Ok(_) | Err(_) => {
                    seen.set(true);
                    Ok(Look::Unsure(Owner::SomebodyElse))
                }
            }
        })
        .await
    }
}

pub fn user_exists(name: &str) -> Error {
    Error::failed(format!("the IAM user `{name}` exists already")).hint(
        "use it with --if-exists reuse (it gets what it lacks, and a new key unless its secret works), or choose another --user-name",
    )
}

impl Change for CreateUser {
    fn described(&self) -> (&'static str, String) {
        let name = &self.user_name;
        let bounded = |boundary| format!("{name}, bounded by {boundary}");
        let boundary = self.permissions_boundary.as_ref();
        ("create IAM user", boundary.map_or_else(|| name.clone(), bounded))
    }

    fn remains(&self) -> Option<String> {
        Some(format!("the IAM user `{}`", self.user_name))
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let iam = work.access.iam()?;
        let boundary = self.permissions_boundary.as_deref();
        match iam::create_user(&iam, &self.user_name, &self.tags, boundary).await {
            Ok(id) => {
                self.made.user_id = id;
                work.user = RunUser::Created;
                Ok(())
            }
            // An earlier attempt of ours may have made it.
            Err(failure) if failure.reason == Reason::Exists && self.made.lost => {
                match self.settle(work).await.map_err(Stop::Refused)? {
                    Settled::Done => Ok(()),
                    _ => Err(Stop::Unanswered(failure.into())),
                }
            }
            Err(failure) if failure.reason == Reason::Exists => {
                Err(Stop::Refused(user_exists(&self.user_name)))
            }
            Err(failure) => {
                self.made.lost |= failure.reason == Reason::Unclear;
                Err(failure.into())
            }
        }
    }

    async fn settle(&mut self, work: &mut Work<'_>) -> Result<Settled> {
        match self.owner(&work.access, &work.run).await? {
            Owner::ThisRun => {
                work.user = RunUser::Created;
                Ok(Settled::Done)
            }
            Owner::Nobody => Ok(Settled::Again),
            Owner::SomebodyElse => Err(user_exists(&self.user_name)),
        }
    }

    async fn revisit(&mut self, work: &mut Work<'_>, _: Outcome) -> Result<Settled> {
        match &work.user {
            RunUser::Created => Ok(Settled::Done),
            RunUser::Gone | RunUser::NotCreated => Ok(Settled::Again),
            RunUser::Unproven(why) => Err(Error::failed(why)),
        }
    }

    async fn survey(&self, work: &mut Work<'_>) -> Result<()> {
        if work.created_user() {
            return Ok(());
        }
        let user = &self.user_name;
        work.user = match self.owner(&work.access, &work.run).await {
            Ok(Owner::ThisRun) => RunUser::Created,
            Ok(owner) => {
                let key_exists = key_exists(work, user).await?;
                match owner {
                    Owner::Nobody if key_exists => RunUser::Unproven(format!(
                        "AWS does not show the user `{user}`, but its key may still work"
                    )),
                    Owner::Nobody => RunUser::Gone,
                    // Deleted, and created anew by somebody else: its key went with it.
                    _ if !key_exists && work.access_key_id.is_some() => RunUser::Gone,
                    _ => RunUser::Unproven(format!("`{user}` does not carry the tag of this run")),
                }
            }
            Err(failure) if failure.reason == Reason::Denied => RunUser::Unproven(format!(
                "whether `{user}` is this run's cannot be read: {}",
                failure.quoted()
            )),
            Err(failure) => return Err(failure.into()),
        };
        Ok(())
    }

    async fn take_back(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<(), Leftover> {
        if outcome == Outcome::Refused || !work.may_act()? {
            return Ok(());
        }
        let access = work.access;
        let (user, run, id) = (&self.user_name, &work.run, self.made.user_id.as_ref());
        let mark = || async { account::get_user(&access.fresh_iam()?, user).await };
        let delete = || async {
            // Asked before each deletion: by then, the name may be somebody else's.
            match mark().await {
                Ok(mark) if !has_run_tag(&mark, run) => {
                    return Err(Failure::without("iam:GetUser", "the tag of this run"));
                }
                // Created by this process or proven a moment ago.
                Err(failure) if failure.reason != Reason::Denied => return Err(failure),
                Ok(_) | Err(_) => {}
            }
            iam::delete_user(&access.fresh_iam()?, user).await
        };
        let is_listed = || async {
            let mark = mark().await?;
            Ok(id.is_none_or(|id| *id == mark.user_id))
        };
        deleted(delete, is_listed).await?;
        work.user = RunUser::Gone;
        self.made = Made::default();
        Ok(())
    }
}
