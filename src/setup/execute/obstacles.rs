//! What stands in the way of undoing a run: things that its user holds and the run did not make.
//! Reads only.

use crate::aws::account::{self, Held};
use crate::aws::failure::Reason;
use crate::error::Result;
use crate::setup::execute::Access;
use crate::setup::journal::{Record, StepRecord};
use crate::setup::step::{RUN_TAG, Step};

/// What the user that the run created holds by now and the run did not give it, in words. Nothing
/// of it may be deleted, so neither may the user.
///
/// # Errors
/// When whose the user is, or what it holds, cannot be found out.
pub async fn obstacles(access: &Access<'_>, record: &Record) -> Result<Vec<String>> {
    let mut steps = record
        .steps
        .iter()
        .filter(|record| record.status.may_have_made());
    let Some(user) = steps.find_map(|record| match &record.step {
        Step::CreateUser { user_name, .. } => Some(user_name),
        _ => None,
    }) else {
        return Ok(Vec::new());
    };
    let iam = access.iam()?;
    match account::user_tag(&iam, user, RUN_TAG).await {
        Ok(Some(tag)) if tag == record.run => {}
        Ok(_) => {
            return Ok(vec![format!(
                "the user `{user}` itself, which carries no tag of this run"
            )]);
        }
        Err(failure) if failure.reason == Reason::Missing => return Ok(Vec::new()),
        Err(failure) => return Err(failure.into()),
    }
    let mut held = account::held_by(&iam, user).await?;
    held.retain(|thing| !record.steps.iter().any(|step| may_come_from(thing, step)));
    Ok(held.iter().map(Held::described).collect())
}

fn may_come_from(thing: &Held, record: &StepRecord) -> bool {
    match (thing, &record.step) {
        (Held::AccessKey(id), Step::CreateAccessKey { known_key_ids, .. }) => {
            // One whose answer was lost: undoing the step finds out which one it is.
            let lost = !record.made.unanswered.is_empty() && !known_key_ids.contains(id);
            record.made.access_key_id.as_ref() == Some(id) || lost
        }
        (Held::Policy(arn), Step::AttachPolicy { policy_arn, .. }) => arn == policy_arn,
        (Held::LoginProfile, Step::CreateLoginProfile { .. }) => true,
        _ => false,
    }
}
