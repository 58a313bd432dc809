//! Takes back, in reverse order, what a run made, and nothing else. What is gone already counts as
//! taken back, so that it can be interrupted and repeated.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::aws::failure::{Failure, Reason};
use crate::aws::iam::{self, Doubt};
use crate::aws_profile;
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::setup::execute::ours::{SETTLING, Whose, doubt_since, orphans, whose};
use crate::setup::execute::{Access, finish, keeping};
use crate::setup::journal::{Journal, Record, Status};
use crate::setup::step::Step;
use crate::shared_config::Locations;
use crate::store::index::Index;

/// How long AWS may say that something which was made for sure is not there.
const FRESH: Duration = Duration::from_secs(30);
/// How long a user may be said to hold something before that is believed.
const CONFLICT: Duration = Duration::from_secs(20);

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
    step: usize,
    what: String,
    why: Error,
    /// Whether it is at AWS and goes with the IAM user.
    of_user: bool,
}

/// Returns what could not be taken back, in words.
async fn undo_steps(
    access: &Access<'_>,
    journal: &mut Journal,
    mut interrupt: Option<&mut Interrupt>,
) -> Result<Vec<String>> {
    let at_aws = user_is_ours(access, journal).await?;
    let mut all_left: Vec<Left> = Vec::new();
    for step in (0..journal.record.steps.len()).rev() {
        let status = journal.record.steps[step].status;
        if !status.may_have_made() {
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
        let (what, _) = journal.record.steps[step].step.described();
        access.output.working(&format!("taking back: {what}"));
        if status == Status::Done {
            // Whoever reads the journal after a crash must not take it for done.
            note(access, journal, step, Status::Begun);
        }
        let left = undo_step(access, &journal.record, step, status, at_aws).await;
        note(access, journal, step, status_after(&left));
        let is_user = matches!(journal.record.steps[step].step, Step::CreateUser { .. });
        let user_is_gone = is_user && left.is_empty();
        all_left.extend(left);
        if user_is_gone {
            // Whatever the user held is gone with it; then its pair is of no use any more either.
            let gone: Vec<Left> = all_left.extract_if(.., |left| left.of_user).collect();
            for gone in gone {
                let left = left_here(access, &journal.record, gone.step);
                note(access, journal, gone.step, status_after(left.as_slice()));
                all_left.extend(left);
            }
        }
    }
    access.output.done();
    for left in &all_left {
        access
            .output
            .warn(&format!("{} stays: {}", left.what, left.why));
    }
    Ok(all_left.into_iter().map(|left| left.what).collect())
}

fn status_after(left: &[Left]) -> Status {
    match left.is_empty() {
        true => Status::TakenBack,
        false => Status::Left,
    }
}

fn note(access: &Access<'_>, journal: &mut Journal, step: usize, status: Status) {
    if let Err(broken) = journal.set(step, status) {
        let warning = format!("the journal cannot be written: {broken}");
        access.output.warn(&warning);
    }
}

/// Whether the user that the run has created is still its own. This process knows it; a run that is
/// taken up later may meet no user, or somebody else's: then nothing at AWS is the run's any more.
async fn user_is_ours(access: &Access<'_>, journal: &Journal) -> Result<bool> {
    let record = &journal.record;
    let Some((user, created)) = record.created_user().filter(|_| journal.is_reopened()) else {
        return Ok(true);
    };
    let doubt = doubt_since(created.made.begun_at, access.env.now(), SETTLING);
    let whose = whose(&access.iam()?, user, &record.run, doubt).await?;
    Ok(whose == Whose::Ours)
}

/// Takes one step back, without a word in the journal.
///
/// # Errors
/// The first thing that refuses.
pub async fn undo(access: &Access<'_>, record: &Record, step: usize) -> Result<()> {
    let left = undo_step(access, record, step, record.steps[step].status, true).await;
    match left.into_iter().next() {
        None => Ok(()),
        Some(left) => Err(left.why),
    }
}

/// `status` is the step's before it is taken back. A key that cannot be deleted keeps its pair: it
/// would be a key whose secret nobody has.
async fn undo_step(
    access: &Access<'_>,
    record: &Record,
    step: usize,
    status: Status,
    at_aws: bool,
) -> Vec<Left> {
    let of = &record.steps[step];
    if at_aws
        && of.step.changes_aws()
        && let Err(why) = undo_at_aws(access, record, step, status).await
    {
        let remains = of.step.remains(of.made.access_key_id.as_deref());
        return vec![Left {
            step,
            what: remains.unwrap_or_default(),
            why,
            of_user: record.creates_user() && !matches!(of.step, Step::CreateUser { .. }),
        }];
    }
    Vec::from_iter(left_here(access, record, step))
}

/// What of the step stays on this machine.
fn left_here(access: &Access<'_>, record: &Record, step: usize) -> Option<Left> {
    let why = undo_here(access, record, step).err()?;
    let what = match &record.steps[step].step {
        Step::CreateAccessKey { secret, .. } | Step::StoreSecret { secret, .. } => {
            format!("what this run made of the secret `{secret}`")
        }
        other => other.remains(None).unwrap_or_default(),
    };
    Some(Left {
        step,
        what,
        why,
        of_user: false,
    })
}

async fn undo_at_aws(
    access: &Access<'_>,
    record: &Record,
    step: usize,
    status: Status,
) -> Result<()> {
    let iam = access.iam()?;
    let made = &record.steps[step].made;
    let now = access.env.now();
    let Step::CreateUser { user_name, .. } = &record.steps[step].step else {
        // A user of the run's own is deleted at last, and IAM refuses that as long as it holds
        // anything: there, what is said to be gone needs no second look.
        let doubt = match (record.creates_user(), status) {
            (true, _) => Doubt::none(),
            (false, Status::Done) => doubt_since(made.begun_at, now, FRESH),
            (false, _) => doubt_since(made.begun_at, now, SETTLING),
        };
        return undo_of_user(access, record, step, status, doubt).await;
    };
    match status {
        // Sent once, and refused.
        Status::Refused => return Ok(()),
        Status::Done => {}
        _ => {
            let doubt = doubt_since(made.begun_at, now, SETTLING);
            if whose(&iam, user_name, &record.run, doubt).await? != Whose::Ours {
                return Ok(());
            }
        }
    }
    let fresh = doubt_since(made.begun_at, now, FRESH);
    let began = Instant::now();
    loop {
        match iam::delete_user(&iam, user_name, fresh).await {
            Err(failure) if failure.reason == Reason::Conflict && began.elapsed() < CONFLICT => {
                // Something was said to be gone by a server that did not know it yet.
                for other in (0..record.steps.len()).rev().filter(|other| *other != step) {
                    let status = record.steps[other].status;
                    if status != Status::Planned {
                        // What refuses keeps the user from being deleted, and that is told.
                        let again = undo_of_user(access, record, other, status, Doubt::none());
                        drop(again.await);
                    }
                }
                sleep(Duration::from_millis(500)).await;
            }
            result => return Ok(result?),
        }
    }
}

/// Every step but the user's own creation.
async fn undo_of_user(
    access: &Access<'_>,
    record: &Record,
    step: usize,
    status: Status,
    doubt: Doubt,
) -> Result<()> {
    let iam = &access.iam()?;
    let made = &record.steps[step].made;
    match &record.steps[step].step {
        // Refusals of these are sure.
        Step::CreateLoginProfile { .. }
        | Step::CreateAccessKey { .. }
        | Step::DeactivateRootKey { .. }
            if status == Status::Refused =>
        {
            Ok(())
        }
        // It was there already.
        Step::AttachPolicy { .. } if made.found => Ok(()),
        Step::AttachPolicy {
            user_name,
            policy_arn,
        } => {
            let result = iam::detach_user_policy(iam, user_name, policy_arn, doubt).await;
            forgiving(status, result)
        }
        Step::CreateLoginProfile { user_name, .. } => {
            Ok(iam::delete_login_profile(iam, user_name, doubt).await?)
        }
        Step::CreateAccessKey {
            user_name,
            known_key_ids,
            ..
        } => {
            let user = user_name.as_deref();
            if let Some(id) = &made.access_key_id {
                iam::delete_access_key(iam, user, id, doubt).await?;
            }
            for id in orphans(access, user, known_key_ids, made, doubt).await? {
                iam::delete_access_key(iam, user, &id, Doubt::none()).await?;
            }
            Ok(())
        }
        Step::DescribeAccessKey { user_name, .. } => match record.access_key_id() {
            Some(id) => {
                let result = iam::remove_key_description(iam, user_name, id).await;
                forgiving(status, result)
            }
            None => Ok(()),
        },
        Step::DeactivateRootKey { access_key_id } => {
            let result = iam::set_root_key_active(iam, access_key_id, true).await;
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
        Step::CreateUser { .. }
        | Step::StoreSecret { .. }
        | Step::Verify { .. }
        | Step::SetCurrent { .. }
        | Step::WriteAwsProfile { .. } => Ok(()),
    }
}

/// Takes back what the step changed on this machine.
///
/// # Errors
/// The store's, the index's, or that of the `~/.aws` files.
pub fn undo_here(access: &Access<'_>, record: &Record, step: usize) -> Result<()> {
    let made = &record.steps[step].made;
    match &record.steps[step].step {
        Step::CreateAccessKey { .. } | Step::StoreSecret { .. } => {
            keeping::put_back(access, record, step)
        }
        Step::SetCurrent { secret } => Index::update(access.folders, |index| {
            if index.is_current(secret) {
                let previous = made.previous_current.clone();
                index.current = previous.filter(|previous| index.find(previous).is_some());
            }
            Ok(())
        }),
        Step::WriteAwsProfile { profile, .. } => {
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
