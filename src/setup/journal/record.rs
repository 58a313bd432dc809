//! What a journal holds: the steps of a run, where each stands, and what it made. Plain values, and no
//! secrets among them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::credential::Credential;
use crate::setup::plan::Plan;
use crate::setup::request::Goal;
use crate::setup::steps::context::Outcome;
use crate::setup::steps::{
    AttachPolicy, CreateAccessKey, CreateLoginProfile, CreateUser, DescribeAccessKey, Step,
};

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Planned,
    /// About to be done, or done without a recorded answer.
    Begun,
    Done,
    /// AWS refused it, and nothing came of it.
    Refused,
    /// Done, and taken back again.
    TakenBack,
    /// It could not be taken back.
    Left,
}

impl Status {
    /// How a step ended that may have made something.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Status::Done => Some(Outcome::Done),
            Status::Begun | Status::Left => Some(Outcome::Unknown),
            Status::Refused => Some(Outcome::Refused),
            Status::Planned | Status::TakenBack => None,
        }
    }

    /// The same, for a step that AWS has not refused.
    pub fn maybe_done(self) -> Option<Outcome> {
        self.outcome().filter(|outcome| *outcome != Outcome::Refused)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    #[serde(flatten)]
    pub step: Step,
    pub status: Status,
}

/// The whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub version: u32,
    pub run: String,
    pub goal: Goal,
    pub started_at: Timestamp,
    /// Absent while it runs, and after a crash.
    pub finished_at: Option<Timestamp>,
    /// Who did it.
    pub caller_arn: String,
    /// The profile whose credentials it used, where it was one.
    pub profile: Option<String>,
    pub steps: Vec<StepRecord>,
    /// The step before which all that was done stays, whatever happens from it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<usize>,
    /// Whether the pair was printed, or about to be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub printed: bool,
}

impl Record {
    /// Of a run that has not begun.
    pub fn new(run: &str, plan: &Plan, caller: &Credential) -> Self {
        let steps = plan.steps.iter();
        let steps = steps.map(|step| StepRecord { step: step.clone(), status: Status::Planned });
        Record {
            version: 1,
            run: run.to_owned(),
            goal: plan.goal.clone(),
            // Not rounded: it tells which of two runs is the later one.
            started_at: Timestamp::now(),
            finished_at: None,
            caller_arn: caller.identity().map_or_else(String::new, |it| it.arn.clone()),
            profile: caller.source.profile_name().map(str::to_owned),
            steps: steps.collect(),
            checkpoint: plan.checkpoint,
            printed: false,
        }
    }

    /// Whether something is still to be finished or taken back.
    pub fn is_open(&self) -> bool {
        self.finished_at.is_none()
    }

    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.steps.iter().map(|record| &record.step)
    }

    /// The steps that may have made something.
    pub fn made(&self) -> impl DoubleEndedIterator<Item = &Step> {
        let made = self.steps.iter().filter(|record| record.status.outcome().is_some());
        made.map(|record| &record.step)
    }

    /// Whether all steps name the user that the goal names: a record that does not is not ours.
    pub fn is_about_one_user(&self) -> bool {
        let owner = self.goal.owner();
        let mut users = self.steps().filter_map(|step| match step {
            Step::CreateUser(CreateUser { user_name, .. })
            | Step::AttachPolicy(AttachPolicy { user_name, .. })
            | Step::CreateLoginProfile(CreateLoginProfile { user_name, .. })
            | Step::CreateAccessKey(CreateAccessKey { user_name: Some(user_name), .. })
            | Step::DescribeAccessKey(DescribeAccessKey { user_name, .. }) => Some(user_name),
            _ => None,
        });
        let created = self.steps().filter(|step| matches!(step, Step::CreateUser(_)));
        created.count() <= 1
            && users
                .all(|user| owner.user_name().is_some_and(|name| name.eq_ignore_ascii_case(user)))
    }

    /// Whether the run makes a root key or takes one out of use, which only root may do: anybody
    /// else's call would be about their own keys.
    pub fn concerns_root_key(&self) -> bool {
        self.steps().any(|step| match step {
            Step::DeactivateRootKey(_) | Step::DeleteRootKey(_) => true,
            Step::CreateAccessKey(step) => step.user_name.is_none(),
            _ => false,
        })
    }

    /// The root key that the run has deleted, which nothing brings back.
    pub fn deleted_root_key(&self) -> Option<&str> {
        self.steps.iter().find_map(|record| match &record.step {
            Step::DeleteRootKey(it) if record.status == Status::Done => Some(&*it.access_key_id),
            _ => None,
        })
    }

    /// The key that the run has created or keeps, once it is known.
    pub fn access_key_id(&self) -> Option<&str> {
        let made = self.steps().find_map(|step| match step {
            Step::CreateAccessKey(step) => step.kept.made.access_key_id.as_deref(),
            Step::StoreSecret(step) => step.made.access_key_id.as_deref(),
            _ => None,
        });
        made.or(self.goal.access_key_id.as_deref())
    }
}
