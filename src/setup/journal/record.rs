//! What a journal holds: the steps of a run, where each stands, and what it made. Plain values, and no
//! secrets among them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::found::Found;
use crate::aws_profile::AwsProfile;
use crate::setup::plan::{Goal, Plan};
use crate::setup::step::Step;
use crate::store::index::Entry;
use crate::store::{SecretName, StoreKind};

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
    /// Whether the step may have left something behind.
    pub fn may_have_made(self) -> bool {
        match self {
            Status::Begun | Status::Done | Status::Refused | Status::Left => true,
            Status::Planned | Status::TakenBack => false,
        }
    }
}

/// What a step made, as far as undoing it needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// When the step was last begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// Whether an attempt before the last one may have done it without anybody being told.
    #[serde(default)]
    pub lost: bool,
    /// When those attempts at a key were sent of which nobody knows whether they made one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Timestamp>,
    /// When the last of them was no longer waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up_at: Option<Timestamp>,
    /// Whether the policy was attached already.
    #[serde(default)]
    pub found: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// Whether a pair that had the secret's name is set aside in the store until the run has ended.
    #[serde(default)]
    pub set_aside: bool,
    /// What the index said of the secret that was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Entry>,
    /// The secret that was current before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_current: Option<SecretName>,
    /// The AWS profile of ours that had the name before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_aws_profile: Option<AwsProfile>,
}

impl Made {
    /// When attempts at a key were sent that may have made one more than is known: those without an
    /// answer, and the one with it, should its request have been doubled on the way.
    pub fn attempts(&self) -> Vec<Timestamp> {
        let answered = self.access_key_id.as_ref().and(self.begun_at);
        self.unanswered.iter().copied().chain(answered).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    #[serde(flatten)]
    pub step: Step,
    pub status: Status,
    #[serde(default)]
    pub made: Made,
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
}

impl Record {
    /// Of a run that has not begun.
    pub fn new(run: &str, plan: &Plan, caller: &Found) -> Self {
        let steps = plan.steps.iter().map(|step| StepRecord {
            step: step.clone(),
            status: Status::Planned,
            made: Made::default(),
        });
        Record {
            version: 1,
            run: run.to_owned(),
            goal: plan.goal.clone(),
            // Not rounded: it tells which of two runs is the later one.
            started_at: Timestamp::now(),
            finished_at: None,
            caller_arn: caller
                .identity()
                .map_or_else(String::new, |it| it.arn.clone()),
            profile: caller.source.profile_name().map(str::to_owned),
            steps: steps.collect(),
        }
    }

    /// Whether something is still to be finished or taken back.
    pub fn is_open(&self) -> bool {
        self.finished_at.is_none()
    }

    /// Whether the run makes the user, or finds it.
    pub fn creates_user(&self) -> bool {
        self.created_user().is_some()
    }

    /// The name of the user that the run makes, and the step that does.
    pub fn created_user(&self) -> Option<(&str, &StepRecord)> {
        self.steps.iter().find_map(|record| match &record.step {
            Step::CreateUser { user_name, .. } => Some((user_name.as_str(), record)),
            _ => None,
        })
    }

    /// Whether the run makes a root key or takes one out of use, which only root may do: anybody
    /// else's call would be about their own keys.
    pub fn concerns_root_key(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|record| {
            matches!(
                record.step,
                Step::DeactivateRootKey { .. }
                    | Step::DeleteRootKey { .. }
                    | Step::CreateAccessKey {
                        user_name: None,
                        ..
                    }
            )
        })
    }

    /// The root key that the run has deleted, which nothing brings back.
    pub fn deleted_root_key(&self) -> Option<&str> {
        self.steps.iter().find_map(|record| match &record.step {
            Step::DeleteRootKey { access_key_id } if record.status == Status::Done => {
                Some(access_key_id.as_str())
            }
            _ => None,
        })
    }

    /// The key that the run has created or keeps, once it is known.
    pub fn access_key_id(&self) -> Option<&str> {
        let made = self
            .steps
            .iter()
            .find_map(|step| step.made.access_key_id.as_deref());
        made.or(self.goal.access_key_id.as_deref())
    }

    /// Where the run puts its pair, if it does.
    pub fn place(&self) -> Option<(&SecretName, StoreKind)> {
        self.steps.iter().find_map(|record| match &record.step {
            Step::CreateAccessKey { secret, store, .. }
            | Step::StoreSecret { secret, store, .. } => Some((secret, *store)),
            _ => None,
        })
    }
}
