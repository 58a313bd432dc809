//! Takes back, in reverse order, what a run made, and nothing else. What is gone already counts as
//! taken back, so that it can be interrupted and repeated.

use std::time::Duration;

use aws_sdk_iam::Client;
use tokio::time::{Instant, sleep};

use crate::aws::account;
use crate::aws::failure::{Failure, Reason};
use crate::aws::iam;
use crate::aws_profile;
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::setup::execute::{Access, finish};
use crate::setup::journal::{Journal, Record, Status};
use crate::setup::step::{RUN_TAG, Step};
use crate::shared_config::Locations;
use crate::store::index::Index;
use crate::store::{SecretName, StoreKind};

/// How long IAM is asked again about something whose creation nobody has confirmed: an answer that
/// it is not there may come from a server that does not know it yet.
const DOUBT: Duration = Duration::from_secs(5);

/// Takes the run back because of `error`, and completes that with what came of it.
pub async fn take_back(access: &Access<'_>, journal: &mut Journal, mut error: Error) -> Error {
    let mut records = journal.record.steps.iter();
    let anything = records.any(|record| record.status == Status::Done);
    let left = undo_steps(access, journal, None).await;
    match left {
        Ok(left) if left.is_empty() => {
            finish(access, journal);
            if anything {
                let done = "everything that this run had made was taken back";
                error.hint = Some(match error.hint.take() {
                    Some(hint) => format!("{hint}; {done}"),
                    None => done.to_owned(),
                });
            }
            error
        }
        Ok(left) => partly_applied(journal, &error.message, &left),
        Err(stopped) => stopped,
    }
}

/// Takes back a run that has ended, or that another process has left.
///
/// # Errors
/// `Cancelled` between two steps; `PartlyApplied` naming what cannot be taken back. The run then
/// stays open.
pub async fn undo_run(
    access: &Access<'_>,
    journal: &mut Journal,
    interrupt: &mut Interrupt,
) -> Result<()> {
    journal.open_again()?;
    let left = undo_steps(access, journal, Some(interrupt)).await?;
    if !left.is_empty() {
        let message = "not everything could be taken back";
        return Err(partly_applied(journal, message, &left));
    }
    finish(access, journal);
    Ok(())
}

fn partly_applied(journal: &Journal, message: &str, left: &[String]) -> Error {
    let run = &journal.record.run;
    Error::new(
        Kind::PartlyApplied,
        format!("{message}; this is left behind: {}", left.join(", ")),
    )
    .hint(format!(
        "`cloudcred undo {run}` takes it back, `cloudcred resume {run}` finishes it, once the cause is mended"
    ))
}

/// Something that could not be taken back.
struct Left {
    what: String,
    why: Error,
    /// Whether it goes with the IAM user.
    of_user: bool,
}

/// Returns what could not be taken back, in words.
async fn undo_steps(
    access: &Access<'_>,
    journal: &mut Journal,
    mut interrupt: Option<&mut Interrupt>,
) -> Result<Vec<String>> {
    let mut all_left: Vec<(usize, Left)> = Vec::new();
    for index in (0..journal.record.steps.len()).rev() {
        let record = &journal.record.steps[index];
        if !record.status.may_have_made() {
            continue;
        }
        if let Some(interrupt) = &mut interrupt
            && interrupt.arrived().await
        {
            return Err(Error::cancelled().hint(format!(
                "`cloudcred undo {}` goes on with it",
                journal.record.run
            )));
        }
        let (what, _) = record.step.described();
        access.output.working(&format!("taking back: {what}"));
        let left = undo_parts(access, &journal.record, index).await;
        let status = match left.is_empty() {
            true => Status::TakenBack,
            false => Status::Left,
        };
        let user_is_gone = left.is_empty() && matches!(record.step, Step::CreateUser { .. });
        note(access, journal, index, status);
        all_left.extend(left.into_iter().map(|left| (index, left)));
        if user_is_gone {
            // IAM deletes no user that still has a policy, a password or a key; tags go with it.
            for (index, _) in all_left.extract_if(.., |(_, left)| left.of_user) {
                note(access, journal, index, Status::TakenBack);
            }
        }
    }
    access.output.done();
    for (_, left) in &all_left {
        access
            .output
            .warn(&format!("{} stays: {}", left.what, left.why));
    }
    Ok(all_left.into_iter().map(|(_, left)| left.what).collect())
}

fn note(access: &Access<'_>, journal: &mut Journal, index: usize, status: Status) {
    if let Err(broken) = journal.set(index, status) {
        let warning = format!("the journal cannot be written: {broken}");
        access.output.warn(&warning);
    }
}

/// Takes one step back.
///
/// # Errors
/// The first thing that refuses.
pub async fn undo(access: &Access<'_>, record: &Record, index: usize) -> Result<()> {
    match undo_parts(access, record, index).await.into_iter().next() {
        None => Ok(()),
        Some(left) => Err(left.why),
    }
}

/// A step that changed both AWS and this machine is taken back on both sides, whatever comes of the
/// other one.
async fn undo_parts(access: &Access<'_>, record: &Record, index: usize) -> Vec<Left> {
    let step = &record.steps[index].step;
    let mut left = Vec::new();
    if step.changes_aws()
        && let Err(why) = undo_at_aws(access, record, index).await
    {
        left.push(Left {
            what: step
                .remains(record.steps[index].made.access_key_id.as_deref())
                .unwrap_or_default(),
            why,
            of_user: !matches!(step, Step::CreateUser { .. }),
        });
    }
    if let Err(why) = undo_here(access, record, index) {
        left.push(Left {
            what: match step {
                Step::CreateAccessKey { secret, .. } | Step::StoreSecret { secret, .. } => {
                    format!("what this run made of the secret `{secret}`")
                }
                step => step.remains(None).unwrap_or_default(),
            },
            why,
            of_user: false,
        });
    }
    left
}

async fn undo_at_aws(access: &Access<'_>, record: &Record, index: usize) -> Result<()> {
    let iam = access.iam()?;
    let status = record.steps[index].status;
    let made = &record.steps[index].made;
    match &record.steps[index].step {
        // A refusal of these is sure: they were sent once.
        Step::CreateUser { .. }
        | Step::CreateLoginProfile { .. }
        | Step::CreateAccessKey { .. }
            if status == Status::Refused =>
        {
            Ok(())
        }
        Step::CreateUser { user_name, .. } => {
            if status != Status::Done && whose(&iam, user_name, &record.run).await? != Whose::Ours {
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
            Ok(iam::delete_login_profile(&iam, user_name).await?)
        }
        Step::CreateAccessKey {
            user_name,
            known_key_ids,
            ..
        } => {
            let id = match &made.access_key_id {
                Some(id) => Some(id.clone()),
                None => orphan(&iam, user_name.as_deref(), known_key_ids).await?,
            };
            match id {
                Some(id) => Ok(iam::delete_access_key(&iam, user_name.as_deref(), &id).await?),
                None => Ok(()),
            }
        }
        Step::DescribeAccessKey { user_name, .. } => match record.access_key_id() {
            Some(id) => {
                let result = iam::remove_key_description(&iam, user_name, id).await;
                forgiving(status, result)
            }
            None => Ok(()),
        },
        Step::DeactivateRootKey { .. } if status == Status::Refused => Ok(()),
        Step::DeactivateRootKey { access_key_id } => {
            let result = iam::set_root_key_active(&iam, access_key_id, true).await;
            result.map_err(|failure| match failure.reason {
                Reason::UnknownKey | Reason::Denied => Error::credentials(format!(
                    "only root may activate it again, and not with this key ({})",
                    failure.quoted()
                ))
                .hint("sign in as root: cloudcred login --profile NAME, then undo with --profile NAME"),
                _ => failure.into(),
            })
        }
        // Nothing brings it back.
        Step::DeleteRootKey { .. } => Ok(()),
        Step::StoreSecret { .. }
        | Step::Verify { .. }
        | Step::SetCurrent { .. }
        | Step::WriteAwsProfile { .. } => Ok(()),
    }
}

fn undo_here(access: &Access<'_>, record: &Record, index: usize) -> Result<()> {
    let made = &record.steps[index].made;
    match &record.steps[index].step {
        Step::CreateAccessKey { secret, store, .. } | Step::StoreSecret { secret, store, .. } => {
            put_back(access, record, index, secret, *store)
        }
        Step::SetCurrent { secret } => Index::update(access.folders, |index| {
            if index.is_current(secret) {
                index.current.clone_from(&made.previous_current);
            }
            Ok(())
        }),
        Step::WriteAwsProfile { profile } => {
            let locations = Locations::of(access.env)?;
            let before = made.previous_aws_profile.as_ref();
            aws_profile::take_back(access.folders, &locations, profile, before)
        }
        Step::CreateUser { .. }
        | Step::AttachPolicy { .. }
        | Step::CreateLoginProfile { .. }
        | Step::DescribeAccessKey { .. }
        | Step::DeactivateRootKey { .. }
        | Step::DeleteRootKey { .. }
        | Step::Verify { .. } => Ok(()),
    }
}

/// What AWS refused to do, it may as well refuse to take back: then there is nothing to take back.
fn forgiving(status: Status, result: Result<(), Failure>) -> Result<()> {
    match result {
        Err(failure) if status == Status::Refused && failure.reason == Reason::Denied => Ok(()),
        result => Ok(result?),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Ours,
    SomebodyElses,
    Nobodys,
}

/// Whose the user of that name is: only one that carries the run's tag is the run's.
///
/// # Errors
/// AWS's refusal of `iam:GetUser`.
pub async fn whose(iam: &Client, user: &str, run: &str) -> Result<Whose> {
    let start = Instant::now();
    loop {
        match account::user_tag(iam, user, RUN_TAG).await {
            Ok(Some(tag)) if tag == run => return Ok(Whose::Ours),
            Ok(_) => return Ok(Whose::SomebodyElses),
            Err(failure) if failure.reason != Reason::Missing => return Err(failure.into()),
            Err(_) if start.elapsed() > DOUBT => return Ok(Whose::Nobodys),
            Err(_) => sleep(Duration::from_millis(500)).await,
        }
    }
}

/// The key that CreateAccessKey made although its answer got lost: the one that was not there
/// before. Nothing is guessed where there are several.
async fn orphan(iam: &Client, user: Option<&str>, known: &[String]) -> Result<Option<String>> {
    let start = Instant::now();
    loop {
        let keys = match account::access_keys(iam, user).await {
            Ok(keys) => keys,
            Err(failure) if failure.reason == Reason::Missing => Vec::new(),
            Err(failure) => return Err(failure.into()),
        };
        let new: Vec<String> = keys
            .into_iter()
            .map(|key| key.id)
            .filter(|id| !known.contains(id))
            .collect();
        match &new[..] {
            [id] => return Ok(Some(id.clone())),
            [] if start.elapsed() > DOUBT => return Ok(None),
            [] => sleep(Duration::from_millis(500)).await,
            several => {
                let (whose, named) = match user {
                    Some(user) => (format!("`{user}`"), format!(" --user-name {user}")),
                    None => ("the root user".to_owned(), String::new()),
                };
                return Err(Error::failed(format!(
                    "{whose} has several new access keys, and which is this run's nobody knows: {}",
                    several.join(", ")
                ))
                .hint(format!(
                    "delete the one that is not used: aws iam delete-access-key{named} --access-key-id ID"
                )));
            }
        }
    }
}

/// Gives the name back what it held before, in its place and in the index. What somebody else has
/// put there since stays.
fn put_back(
    access: &Access<'_>,
    record: &Record,
    step: usize,
    secret: &SecretName,
    store: StoreKind,
) -> Result<()> {
    let made = &record.steps[step].made;
    let Some(id) = made
        .access_key_id
        .as_ref()
        .filter(|_| store != StoreKind::Stdout)
    else {
        return Ok(());
    };
    let place = access.stores.place(store);
    let aside = SecretName::set_aside_by(&record.run);
    Index::update(access.folders, |index| {
        // Of a key that the user brought along, there may be another secret of the user's own.
        if matches!(record.steps[step].step, Step::CreateAccessKey { .. }) {
            forget_elsewhere(access, index, id, secret, store)?;
        }
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
    if made.set_aside {
        place.remove(&aside)?;
    }
    Ok(())
}

/// Removes the pair that this run made from where it was renamed or moved to since. Where it is
/// still in its own place, another secret of the same key is somebody's copy, and stays.
fn forget_elsewhere(
    access: &Access<'_>,
    index: &mut Index,
    id: &str,
    secret: &SecretName,
    store: StoreKind,
) -> Result<()> {
    let mut entries = index.secrets.iter();
    let moved = entries.find(|entry| entry.access_key_id == id).cloned();
    let own = index.find(secret);
    let stays = own.is_some_and(|own| own.store == store && own.access_key_id == id);
    let Some(entry) = moved.filter(|_| !stays) else {
        return Ok(());
    };
    let place = access.stores.place(entry.store);
    let pair = place.find(&entry.name)?;
    if pair.is_some_and(|pair| pair.access_key_id == id) {
        place.remove(&entry.name)?;
    }
    index.remove(&entry.name);
    Ok(())
}
