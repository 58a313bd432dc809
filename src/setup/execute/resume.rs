//! Finds out what became of steps whose answer nobody has: lost on the way, or with the process.

use crate::aws::account;
use crate::aws::failure::Reason;
use crate::aws::iam;
use crate::error::{Error, Result};
use crate::secret::KeyPair;
use crate::setup::execute::{Access, InHand, undo};
use crate::setup::journal::{Journal, Record, Status};
use crate::setup::step::Step;
use crate::store::StoreKind;

/// Brings a run of another process to where [`super::execute`] can go on with it: what is done is
/// known to be, and what is not can be done again.
///
/// # Errors
/// When something cannot be found out, or is no longer what the run made of it.
pub async fn prepare(access: &Access<'_>, hand: &mut InHand, journal: &mut Journal) -> Result<()> {
    if let (None, Some(kept)) = (journal.record.place(), &journal.record.goal.secret) {
        // A run that retires a root key finds the new pair where another run has put it.
        let pair = access.stores.place(kept.store).find(&kept.name)?;
        let id = journal.record.access_key_id();
        hand.pair = pair.filter(|pair| Some(pair.access_key_id.as_str()) == id);
    }
    for index in 0..journal.record.steps.len() {
        let record = &journal.record.steps[index];
        let unsettled = match (&record.step, record.status) {
            (_, Status::Begun | Status::Left) => true,
            (_, Status::Planned | Status::TakenBack | Status::Refused) => false,
            // Nobody has seen the password: a new one is set.
            (Step::CreateLoginProfile { generated, .. }, Status::Done) => *generated,
            // The pair must be at hand for what follows.
            (Step::CreateAccessKey { .. }, Status::Done) => true,
            (_, Status::Done) => false,
        };
        if unsettled {
            let before = record.status;
            let status = match settle(access, hand, journal, index).await? {
                true => Status::Done,
                // It was done, and has been taken back to be done anew.
                false if before == Status::Done => Status::Planned,
                // Something may be left of it all the same.
                false => before,
            };
            journal.set(index, status)?;
        }
    }
    Ok(())
}

/// Whether the step turns out to be done; if not, nothing of it stands in the way of doing it again.
pub async fn settle(
    access: &Access<'_>,
    hand: &mut InHand,
    journal: &mut Journal,
    index: usize,
) -> Result<bool> {
    match journal.record.steps[index].step.clone() {
        Step::CreateUser { user_name, .. } => {
            match undo::whose(&access.iam()?, &user_name, &journal.record.run).await? {
                undo::Whose::Ours => Ok(true),
                undo::Whose::Nobodys => Ok(false),
                undo::Whose::SomebodyElses => Err(Error::failed(format!(
                    "there is an IAM user `{user_name}` that this run did not create"
                ))
                .hint("choose another --user-name, or use it with --if-exists reuse")),
            }
        }
        Step::CreateLoginProfile { user_name, .. } => {
            iam::delete_login_profile(&access.iam()?, &user_name).await?;
            Ok(false)
        }
        Step::CreateAccessKey { user_name, .. } => {
            let iam = access.iam()?;
            hand.pair = stored_pair(access, &journal.record, index)?;
            if hand.pair.is_some() {
                return Ok(true);
            }
            undo::undo(access, &journal.record, index).await?;
            journal.made(index, |made| made.access_key_id = None)?;
            note_known_keys(&iam, journal, index, user_name.as_deref()).await?;
            // What was done with the key before is to be done with the next one.
            for later in index + 1..journal.record.steps.len() {
                if journal.record.steps[later].status == Status::Done {
                    undo::undo(access, &journal.record, later).await?;
                    journal.set(later, Status::Planned)?;
                }
            }
            Ok(false)
        }
        Step::StoreSecret { store, .. } => {
            if hand.pair.is_none() && store != StoreKind::Stdout {
                hand.pair = stored_pair(access, &journal.record, index)?;
            }
            Ok(false)
        }
        // Doing them twice does no harm.
        Step::AttachPolicy { .. }
        | Step::DescribeAccessKey { .. }
        | Step::DeactivateRootKey { .. }
        | Step::DeleteRootKey { .. }
        | Step::Verify { .. }
        | Step::SetCurrent { .. }
        | Step::WriteAwsProfile { .. } => Ok(false),
    }
}

/// The pair that the step made or was given, where it has reached its place and the index.
fn stored_pair(access: &Access<'_>, record: &Record, index: usize) -> Result<Option<KeyPair>> {
    let (step, made) = (&record.steps[index].step, &record.steps[index].made);
    let (Step::CreateAccessKey { secret, store, .. } | Step::StoreSecret { secret, store, .. }) =
        step
    else {
        return Ok(None);
    };
    let Some(id) = &made.access_key_id else {
        return Ok(None);
    };
    let listed = crate::store::index::Index::load(access.folders)?
        .find(secret)
        .is_some_and(|entry| entry.access_key_id == *id);
    let pair = access.stores.place(*store).find(secret)?;
    Ok(pair.filter(|pair| listed && pair.access_key_id == *id))
}

/// Journals which keys the user has, right before another one is created.
pub async fn note_known_keys(
    iam: &aws_sdk_iam::Client,
    journal: &mut Journal,
    index: usize,
    user: Option<&str>,
) -> Result<()> {
    let keys = match account::access_keys(iam, user).await {
        Ok(keys) => keys,
        Err(failure) if failure.reason == Reason::Missing => Vec::new(),
        Err(failure) => return Err(failure.into()),
    };
    journal.revise(index, |record| {
        if let Step::CreateAccessKey { known_key_ids, .. } = &mut record.step {
            *known_key_ids = keys.into_iter().map(|key| key.id).collect();
        }
    })
}
