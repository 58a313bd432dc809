//! Takes back, in reverse order, what a run made, and nothing else. What is gone already counts as
//! taken back, so that it can be interrupted and repeated.

use crate::aws::account;
use crate::aws::failure::{Failure, Reason};
use crate::aws::iam;
use crate::error::{Error, Kind, Result};
use crate::setup::execute::Access;
use crate::setup::journal::{Journal, Record, Status};
use crate::setup::step::{RUN_TAG, Step};
use crate::store::index::Index;
use crate::store::{SecretName, StoreKind};

/// Takes the run back because of `error`, and completes that with what came of it.
pub async fn take_back(access: &Access<'_>, journal: &mut Journal, mut error: Error) -> Error {
    let anything = journal
        .record
        .steps
        .iter()
        .any(|record| record.status == Status::Done);
    let left = undo_steps(access, journal).await;
    if !left.is_empty() {
        error.kind = Kind::PartlyApplied;
        error.message = format!(
            "{}; this is left behind: {}",
            error.message,
            left.join(", ")
        );
        error.hint = Some(format!(
            "remove it in the IAM console; the run is recorded in {}",
            journal.path().display()
        ));
    } else if anything {
        let done = "everything that this run had made was taken back";
        error.hint = Some(match error.hint.take() {
            Some(hint) => format!("{hint}; {done}"),
            None => done.to_owned(),
        });
    }
    error
}

/// Returns what could not be taken back, in words.
async fn undo_steps(access: &Access<'_>, journal: &mut Journal) -> Vec<String> {
    let mut left = Vec::new();
    for index in (0..journal.record.steps.len()).rev() {
        let record = journal.record.steps[index].clone();
        if !record.status.may_have_made() {
            continue;
        }
        let (what, _) = record.step.described();
        access.output.working(&format!("taking back: {what}"));
        let status = match undo(access, &journal.record, &record.step, index).await {
            Ok(()) => Status::TakenBack,
            Err(failure) => {
                let remains = record.step.remains(record.made.access_key_id.as_deref());
                access.output.warn(&format!("{remains} stays: {failure}"));
                left.push(remains);
                Status::Left
            }
        };
        if let Err(broken) = journal.set(index, status) {
            let warning = format!("the journal cannot be written: {broken}");
            access.output.warn(&warning);
        }
    }
    access.output.done();
    left
}

async fn undo(access: &Access<'_>, record: &Record, step: &Step, index: usize) -> Result<()> {
    let iam = access.iam();
    let status = record.steps[index].status;
    let made = &record.steps[index].made;
    match step {
        Step::CreateUser { user_name, .. } => {
            if status == Status::Refused {
                return Ok(());
            }
            if status == Status::Begun && !is_ours(&iam, user_name, &record.run).await? {
                return Ok(());
            }
            Ok(iam::delete_user(&iam, user_name).await?)
        }
        Step::AttachPolicy {
            user_name,
            policy_arn,
        } => {
            let result = iam::detach_user_policy(&iam, user_name, policy_arn).await;
            forgiving(status, result)
        }
        Step::CreateLoginProfile { user_name, .. } => {
            if status == Status::Refused {
                return Ok(());
            }
            Ok(iam::delete_login_profile(&iam, user_name).await?)
        }
        Step::CreateAccessKey {
            user_name,
            secret,
            store,
            known_key_ids,
        } => {
            if status == Status::Refused {
                return Ok(());
            }
            let id = match &made.access_key_id {
                Some(id) => Some(id.clone()),
                None => orphan(&iam, user_name, known_key_ids).await?,
            };
            if let Some(id) = &id {
                iam::delete_access_key(&iam, user_name, id).await?;
            }
            put_back(access, record, index, secret, *store)
        }
        Step::DescribeAccessKey { user_name, .. } => match record.access_key_id() {
            Some(id) => {
                let result = iam::remove_key_description(&iam, user_name, id).await;
                forgiving(status, result)
            }
            None => Ok(()),
        },
        Step::StoreSecret { secret, store } => put_back(access, record, index, secret, *store),
        Step::Verify { .. } => Ok(()),
        Step::SetCurrent { secret } => Index::update(access.folders, |index| {
            if index.is_current(secret) {
                index.current.clone_from(&made.previous_current);
            }
            Ok(())
        }),
    }
}

/// What AWS refused to do, it may as well refuse to take back: then there is nothing to take back.
fn forgiving(status: Status, result: Result<(), Failure>) -> Result<()> {
    match result {
        Err(failure) if status == Status::Refused && failure.reason == Reason::Denied => Ok(()),
        result => Ok(result?),
    }
}

/// Where the answer to CreateUser was lost: only a user that carries the run's tag is ours.
async fn is_ours(iam: &aws_sdk_iam::Client, user: &str, run: &str) -> Result<bool> {
    match account::user_tag(iam, user, RUN_TAG).await {
        Ok(tag) => Ok(tag.as_deref() == Some(run)),
        Err(failure) if failure.reason == Reason::Missing => Ok(false),
        Err(failure) => Err(failure.into()),
    }
}

/// The key that CreateAccessKey made although its answer got lost: the one that was not there
/// before. Nothing is guessed where there are several.
async fn orphan(iam: &aws_sdk_iam::Client, user: &str, known: &[String]) -> Result<Option<String>> {
    let keys = match account::access_keys(iam, Some(user)).await {
        Ok(keys) => keys,
        Err(failure) if failure.reason == Reason::Missing => return Ok(None),
        Err(failure) => return Err(failure.into()),
    };
    let new = keys.into_iter().map(|key| key.id);
    let mut new = new.filter(|id| !known.contains(id));
    match (new.next(), new.next()) {
        (id, None) => Ok(id),
        (_, Some(_)) => Err(Error::failed(format!("`{user}` has several new keys"))),
    }
}

/// Gives the name back what it held before, in its place and in the index. What somebody else has
/// put there since stays.
fn put_back(
    access: &Access<'_>,
    record: &Record,
    index: usize,
    secret: &SecretName,
    store: StoreKind,
) -> Result<()> {
    let made = &record.steps[index].made;
    let Some(id) = made
        .access_key_id
        .as_ref()
        .filter(|_| store != StoreKind::Stdout)
    else {
        return Ok(());
    };
    let place = access.stores.place(store);
    let aside = SecretName::set_aside_by(&record.run);
    let ours = place
        .find(secret)?
        .is_some_and(|pair| pair.access_key_id == *id);
    if ours {
        match place.find(&aside)? {
            Some(old) => place.put(secret, &old)?,
            None => {
                place.remove(secret)?;
            }
        }
    }
    Index::update(access.folders, |index| {
        if index
            .find(secret)
            .is_some_and(|entry| entry.access_key_id == *id)
        {
            match &made.replaced {
                Some(entry) => index.put(entry.clone()),
                None => index.remove(secret),
            }
        }
        Ok(())
    })?;
    place.remove(&aside)?;
    Ok(())
}
