//! What stands in the way of undoing a run: things that hang on its user and that the run did not make.
//! Reads only.

use crate::aws::dependents::{Dependent, dependents_of};
use crate::error::Result;
use crate::setup::journal::Record;
use crate::setup::steps::Step;
use crate::setup::steps::context::{RunUser, Work};

/// What the user that the run created has by now and the run did not give it, in words. Nothing of it
/// may be deleted, so neither may the user.
pub async fn undo_check(work: &Work<'_>, record: &Record) -> Result<Vec<String>> {
    let (RunUser::Created, Some(user)) = (&work.user, work.owner.user_name()) else {
        return Ok(Vec::new());
    };
    let mut dependents = dependents_of(&work.access.iam()?, user).await?;
    dependents.retain(|thing| !record.made().any(|made| may_come_from(thing, made)));
    Ok(dependents.iter().map(Dependent::described).collect())
}

fn may_come_from(thing: &Dependent, step: &Step) -> bool {
    match (thing, step) {
        (Dependent::AccessKey(id), Step::CreateAccessKey(step)) => {
            // One whose answer was lost: undoing the step finds out which one it is.
            let lost = !step.kept.made.unanswered.is_empty() && !step.known_key_ids.contains(id);
            step.kept.made.access_key_id.as_ref() == Some(id) || lost
        }
        (Dependent::Policy(arn), Step::AttachPolicy(step)) => *arn == step.policy_arn,
        (Dependent::LoginProfile, Step::CreateLoginProfile(_)) => true,
        _ => false,
    }
}
