//! Finds out what became of steps whose answer nobody has: lost on the way, or with the process.

use std::time::Duration;

use aws_sdk_iam::Client;
use tokio::time::sleep;

use crate::aws::failure::Reason;
use crate::aws::iam::{self, Doubt};
use crate::error::{Error, Kind, Result};
use crate::setup::execute::ours::{SETTLING, Whose, doubt_since, keys_of, orphans, whose};
use crate::setup::execute::{Access, InHand, keeping, undo};
use crate::setup::journal::{Journal, Status};
use crate::setup::step::Step;
use crate::store::StoreKind;

/// How long a lost key is looked for before another one is made. What shows up later is found at the
/// end of the run.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// Brings a run of another process to where [`super::execute`] can go on with it: what is done is
/// known to be, and what is not can be done again.
///
/// # Errors
/// When something cannot be found out, or is no longer what the run made of it.
pub async fn prepare(access: &Access<'_>, hand: &mut InHand, journal: &mut Journal) -> Result<()> {
    if let (None, Some(kept)) = (journal.record.place(), &journal.record.goal.secret) {
        // A run that retires a root key finds the new pair where another run has put it.
        let pair = access.vault.find(kept.store, &kept.name)?;
        let id = journal.record.access_key_id();
        hand.pair = pair.filter(|pair| Some(pair.access_key_id.as_str()) == id);
    }
    check_user(access, journal).await?;
    let is_printed = journal.record.steps.iter().any(|record| {
        let printed = matches!(
            record.step,
            Step::StoreSecret {
                store: StoreKind::Stdout,
                ..
            }
        );
        printed && record.status == Status::Done
    });
    for index in 0..journal.record.steps.len() {
        let record = &journal.record.steps[index];
        let unsettled = match (&record.step, record.status) {
            (_, Status::Begun | Status::Left) => true,
            (_, Status::Planned | Status::TakenBack | Status::Refused) => false,
            // Nobody has seen the password: a new one is set.
            (Step::CreateLoginProfile { generated, .. }, Status::Done) => *generated,
            // The pair must be at hand for what follows, unless its owner has it.
            (Step::CreateAccessKey { .. }, Status::Done) => !is_printed,
            (_, Status::Done) => false,
        };
        // An undo that could not write the journal may have taken them back; twice does no harm.
        let repeated = match &record.step {
            Step::AttachPolicy { .. } => record.status == Status::Done && !record.made.found,
            Step::DescribeAccessKey { .. } => record.status == Status::Done,
            _ => false,
        };
        if repeated {
            journal.set(index, Status::Begun)?;
        } else if unsettled {
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

/// A run goes on with its own user only, however long ago it made it. Where that is gone (taken back
/// while no journal could be written, or deleted by somebody), all of it is to be done anew.
async fn check_user(access: &Access<'_>, journal: &mut Journal) -> Result<()> {
    let record = &journal.record;
    let Some((user, created)) = record
        .created_user()
        .filter(|(_, created)| created.status == Status::Done)
    else {
        return Ok(());
    };
    let doubt = doubt_since(created.made.begun_at, access.env.now(), SETTLING);
    match whose(&access.iam()?, user, &record.run, doubt).await? {
        Whose::Ours => Ok(()),
        Whose::SomebodyElses => Err(Error::failed(format!(
            "the IAM user `{user}` is no longer the one that this run made"
        ))),
        Whose::Nobodys => {
            for step in (0..journal.record.steps.len()).rev() {
                if journal.record.steps[step].status.may_have_made() {
                    undo::undo_here(access, &journal.record, step)?;
                    journal.set(step, Status::Planned)?;
                }
            }
            Ok(())
        }
    }
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
            // Where it is not seen yet, creating it again tells.
            let run = &journal.record.run;
            match whose(&access.iam()?, &user_name, run, Doubt::none()).await? {
                Whose::Ours => Ok(true),
                Whose::Nobodys => Ok(false),
                Whose::SomebodyElses => Err(Error::failed(format!(
                    "there is an IAM user `{user_name}` that this run did not create"
                ))
                .hint("choose another --user-name, or use it with --if-exists reuse")),
            }
        }
        Step::CreateLoginProfile { user_name, .. } => {
            iam::delete_login_profile(&access.iam()?, &user_name, Doubt::none()).await?;
            Ok(false)
        }
        Step::CreateAccessKey { user_name, .. } => {
            let iam = access.iam()?;
            let user = user_name.as_deref();
            if let Some(pair) = keeping::kept_pair(access, &journal.record, index)?
                && is_known(&iam, user, &pair.access_key_id, access, journal, index).await?
            {
                hand.pair = Some(pair);
                return Ok(true);
            }
            // What was done with the key before is to be done with the next one.
            for later in (index + 1..journal.record.steps.len()).rev() {
                if journal.record.steps[later].status.may_have_made() {
                    undo::undo(access, &journal.record, later).await?;
                    journal.set(later, Status::Planned)?;
                }
            }
            if let Some(id) = journal.record.steps[index].made.access_key_id.clone() {
                iam::delete_access_key(&iam, user, &id, Doubt::none()).await?;
                keeping::put_back(access, &journal.record, index)?;
                journal.made(index, |made| made.access_key_id = None)?;
            }
            delete_orphans(access, user, journal, index, Doubt::lasting(FIRST_LOOK)).await?;
            Ok(false)
        }
        Step::StoreSecret { store, .. } => {
            if hand.pair.is_none() && store != StoreKind::Stdout {
                hand.pair = keeping::kept_pair(access, &journal.record, index)?;
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

/// Whether IAM has the key of a stored pair, and active; whoever may not ask believes it.
async fn is_known(
    iam: &Client,
    user: Option<&str>,
    id: &str,
    access: &Access<'_>,
    journal: &Journal,
    index: usize,
) -> Result<bool> {
    let begun_at = journal.record.steps[index].made.begun_at;
    let doubt = doubt_since(begun_at, access.env.now(), SETTLING);
    loop {
        match keys_of(iam, user).await {
            Ok(keys) if keys.iter().any(|key| key.id == id && key.active) => return Ok(true),
            Err(failure) if failure.reason == Reason::Denied => return Ok(true),
            Err(failure) => return Err(failure.into()),
            Ok(_) if doubt.is_over() => return Ok(false),
            Ok(_) => sleep(Duration::from_millis(500)).await,
        }
    }
}

/// Deletes the keys that attempts without an answer have made, as far as they show up.
async fn delete_orphans(
    access: &Access<'_>,
    user: Option<&str>,
    journal: &mut Journal,
    index: usize,
    doubt: Doubt,
) -> Result<()> {
    let record = &journal.record.steps[index];
    let Step::CreateAccessKey { known_key_ids, .. } = &record.step else {
        return Ok(());
    };
    let orphans = orphans(access, user, known_key_ids, &record.made, doubt).await?;
    for id in &orphans {
        iam::delete_access_key(&access.iam()?, user, id, Doubt::none()).await?;
    }
    if !orphans.is_empty() {
        journal.made(index, |made| {
            let found = orphans.len().min(made.unanswered.len());
            made.unanswered.drain(..found);
        })?;
    }
    Ok(())
}

/// Makes sure, before the run ends, that no attempt has made a key that nobody has: one whose answer
/// was lost may show up late, or may have been on its way all the time.
///
/// # Errors
/// `PartlyApplied` where that cannot be found out, or such a key cannot be deleted.
pub async fn last_look(access: &Access<'_>, journal: &mut Journal) -> Result<()> {
    for index in 0..journal.record.steps.len() {
        let record = &journal.record.steps[index];
        let Step::CreateAccessKey { user_name, .. } = &record.step else {
            continue;
        };
        let made = &record.made;
        let last = made.given_up_at.or(made.unanswered.iter().max().copied());
        let doubt = match made.unanswered.is_empty() {
            true => Doubt::none(),
            false => doubt_since(last, access.env.now(), SETTLING),
        };
        access
            .output
            .working("making sure that there is no key whose secret nobody has");
        let user = user_name.clone();
        let looked = delete_orphans(access, user.as_deref(), journal, index, doubt).await;
        access.output.done();
        looked.map_err(|error| {
            let run = &journal.record.run;
            let message = format!(
                "everything is done, but an answer to iam:CreateAccessKey was lost, and whether it made another key is not known: {}",
                error.message
            );
            Error::new(Kind::PartlyApplied, message).hint(format!(
                "`cloudcred resume {run}` looks again, `cloudcred undo {run}` takes all of it back"
            ))
        })?;
        if !journal.record.steps[index].made.unanswered.is_empty() {
            journal.made(index, |made| made.unanswered.clear())?;
        }
    }
    Ok(())
}

/// Journals which keys there are, right before the first attempt at another one.
pub async fn note_known_keys(
    iam: &Client,
    journal: &mut Journal,
    index: usize,
    user: Option<&str>,
) -> Result<()> {
    let keys = keys_of(iam, user).await?;
    journal.revise(index, |record| {
        if let Step::CreateAccessKey { known_key_ids, .. } = &mut record.step {
            // Whatever was there once is not this run's, whether this server knows it or not.
            for key in keys {
                if !known_key_ids.contains(&key.id) {
                    known_key_ids.push(key.id);
                }
            }
        }
    })
}
