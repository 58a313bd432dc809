//! Executes a plan step by step, journalled before and after each; takes back what it made when a
//! step fails. Asks nothing and decides nothing.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::aws::account;
use crate::aws::iam;
use crate::aws::identity::Identity;
use crate::aws::proof;
use crate::aws::sdk::{Failure, Reason, Sdk, Session};
use crate::env::{Env, Folders};
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::secret::KeyPair;
use crate::setup::journal::{Journal, Made, Status};
use crate::setup::plan::{RUN_TAG, Step};
use crate::store::index::{Entry, Index};
use crate::store::{SecretName, StoreKind, Stores};

/// What executing needs besides the plan.
pub struct Work<'a> {
    pub sdk: &'a Sdk,
    /// The credentials that may change the account.
    pub session: &'a Session,
    /// Whose pair it will be: known for root, made by the plan for a user.
    pub owner: Identity,
    pub stores: &'a Stores<'a>,
    pub folders: &'a Folders,
    pub env: &'a Env,
    pub output: &'a Arc<Output>,
    /// The console password, where the plan sets one.
    pub password: Option<SecretString>,
    /// The pair that the user brought along, where the plan keeps one.
    pub pair: Option<KeyPair>,
}

/// What came out of a plan that was executed to its end.
#[derive(Debug, Default)]
pub struct Outcome {
    pub access_key_id: Option<String>,
    pub user_arn: Option<String>,
}

/// What a run holds in memory only.
#[derive(Default)]
struct InHand {
    pair: Option<KeyPair>,
    /// What the secret's name held before, and what the index said of it.
    replaced: Option<(Option<KeyPair>, Option<Entry>)>,
    outcome: Outcome,
}

/// # Errors
/// The failing step's, after everything was taken back; `PartlyApplied` where that was impossible,
/// naming what is left.
pub async fn execute(
    work: Work<'_>,
    journal: &mut Journal,
    interrupt: &mut Interrupt,
) -> Result<Outcome> {
    // The store proves that it works before anything is made that could not be kept.
    if let Some((_, store)) = kept(journal) {
        work.stores.place(store).probe()?;
    }
    let mut hand = InHand {
        pair: work.pair.clone(),
        ..InHand::default()
    };
    for index in 0..journal.record.steps.len() {
        let result = step(&work, journal, index, interrupt, &mut hand).await;
        work.output.done();
        if let Err(error) = result {
            let error = take_back(&work, journal, &hand, error).await;
            finish(&work, journal);
            return Err(error);
        }
        let (what, detail) = journal.record.steps[index].step.described();
        work.output.say(&format!("  done  {what:<21} {detail}"));
    }
    finish(&work, journal);
    Ok(hand.outcome)
}

/// What came of the run, good or bad, must be told even where the journal cannot be written.
fn finish(work: &Work<'_>, journal: &mut Journal) {
    if let Err(broken) = journal.finish(work.env.now()) {
        work.output
            .warn(&format!("the journal cannot be written: {broken}"));
    }
}

fn kept(journal: &Journal) -> Option<(SecretName, StoreKind)> {
    journal
        .record
        .steps
        .iter()
        .find_map(|record| match &record.step {
            Step::CreateAccessKey { secret, store, .. } | Step::StoreSecret { secret, store } => {
                Some((secret.clone(), *store))
            }
            _ => None,
        })
}

async fn step(
    work: &Work<'_>,
    journal: &mut Journal,
    index: usize,
    interrupt: &mut Interrupt,
    hand: &mut InHand,
) -> Result<()> {
    if interrupt.arrived().await {
        return Err(Error::cancelled());
    }
    let step = journal.record.steps[index].step.clone();
    let (what, detail) = step.described();
    work.output.working(&format!("{what}  {detail}"));
    journal.set(index, Status::Begun)?;
    let mut made = Made::default();
    let result = apply(work, journal, index, &step, interrupt, hand, &mut made).await;
    if result.is_ok() {
        journal.set(index, Status::Done)?;
    }
    result
}

async fn apply(
    work: &Work<'_>,
    journal: &mut Journal,
    index: usize,
    step: &Step,
    interrupt: &mut Interrupt,
    hand: &mut InHand,
    made: &mut Made,
) -> Result<()> {
    let client = || work.sdk.iam(work.session);
    match step {
        Step::CreateUser {
            user_name,
            tags,
            permissions_boundary,
        } => {
            let iam = client();
            let boundary = permissions_boundary.as_deref();
            let created = iam::create_user(&iam, user_name, tags, boundary).await;
            let arn =
                match created {
                    Ok(arn) => arn,
                    Err(failure) => {
                        if failure.reason != Reason::Unclear {
                            // A sure refusal: there is nothing of ours to take back.
                            journal.set(index, Status::Failed)?;
                        }
                        return Err(match failure.reason {
                            Reason::Exists => Error::failed(format!(
                                "the IAM user `{user_name}` exists already"
                            ))
                            .hint("use it with --if-exists reuse, or choose another --user-name"),
                            _ => failure.into(),
                        });
                    }
                };
            made.user_arn = Some(arn.clone());
            hand.outcome.user_arn = Some(arn);
            journal.made(index, made.clone())
        }
        Step::AttachPolicy {
            user_name,
            policy_arn,
        } => Ok(iam::attach_user_policy(&client(), user_name, policy_arn).await?),
        Step::CreateLoginProfile { user_name } => {
            let Some(password) = &work.password else {
                return Err(Error::failed("there is no console password to set"));
            };
            Ok(iam::create_login_profile(&client(), user_name, password).await?)
        }
        Step::CreateAccessKey {
            user_name,
            secret,
            store,
            ..
        } => {
            let pair = iam::create_access_key(&client(), user_name).await?;
            // In memory first: whatever fails from here on, the key can be taken back.
            made.access_key_id = Some(pair.access_key_id.clone());
            hand.outcome.access_key_id = made.access_key_id.clone();
            hand.pair = Some(pair.clone());
            journal.made(index, made.clone())?;
            keep(work, secret, *store, &pair, hand)
        }
        Step::StoreSecret { secret, store } => {
            let Some(pair) = hand.pair.clone() else {
                return Err(Error::failed("there is no key to keep"));
            };
            hand.outcome.access_key_id = Some(pair.access_key_id.clone());
            keep(work, secret, *store, &pair, hand)?;
            if *store != StoreKind::Stdout {
                verified_now(work, secret)?;
            }
            Ok(())
        }
        Step::DescribeAccessKey {
            user_name,
            description,
        } => {
            let id = hand.outcome.access_key_id.clone().unwrap_or_default();
            iam::describe_access_key(&client(), user_name, &id, description).await?;
            made.access_key_id = Some(id);
            journal.made(index, made.clone())
        }
        Step::Verify { reads_iam } => {
            let Some(pair) = &hand.pair else {
                return Err(Error::failed("there is no key to verify"));
            };
            let reads_iam_as = work.owner.user_name().filter(|_| *reads_iam);
            let output = work.output;
            let waiting = |left: std::time::Duration| {
                output.working(&format!(
                    "waiting until AWS knows the new key everywhere (at most {} s more)",
                    left.as_secs()
                ));
            };
            let proven = interrupt
                .or_cancel(async {
                    let proof = proof::prove(work.sdk, pair, reads_iam_as, waiting).await;
                    proof.map_err(Error::from)
                })
                .await?;
            if proven.account_id != work.owner.account_id {
                return Err(Error::failed(format!(
                    "the new key belongs to {}, not to {}",
                    proven.described(),
                    work.owner.described()
                )));
            }
            match kept(journal) {
                Some((secret, store)) if store != StoreKind::Stdout => verified_now(work, &secret),
                _ => Ok(()),
            }
        }
        Step::SetCurrent { secret } => {
            let previous = Index::update(work.folders, |index| {
                Ok(index.current.replace(secret.clone()))
            })?;
            made.previous_current = previous;
            journal.made(index, made.clone())
        }
    }
}

/// Puts the pair into its place, then into the index. What was there before stays in memory.
fn keep(
    work: &Work<'_>,
    secret: &SecretName,
    store: StoreKind,
    pair: &KeyPair,
    hand: &mut InHand,
) -> Result<()> {
    let place = work.stores.place(store);
    let old_pair = place.find(secret)?;
    let old_entry = Index::load(work.folders)?.find(secret).cloned();
    hand.replaced = Some((old_pair, old_entry));
    place.put(secret, pair)?;
    if store == StoreKind::Stdout {
        return Ok(());
    }
    let entry = Entry {
        name: secret.clone(),
        store,
        access_key_id: pair.access_key_id.clone(),
        account_id: work.owner.account_id.clone(),
        arn: hand
            .outcome
            .user_arn
            .clone()
            .unwrap_or_else(|| work.owner.arn.clone()),
        created_at: work.env.now(),
        verified_at: None,
    };
    Index::update(work.folders, |index| {
        index.put(entry);
        Ok(())
    })
}

fn verified_now(work: &Work<'_>, secret: &SecretName) -> Result<()> {
    let now: Timestamp = work.env.now();
    Index::update(work.folders, |index| {
        let entry = index
            .secrets
            .iter_mut()
            .find(|entry| entry.name.same_place_as(secret));
        if let Some(entry) = entry {
            entry.verified_at = Some(now);
        }
        Ok(())
    })
}

/// Takes back, in reverse order, what this run made, and says so in the error.
async fn take_back(
    work: &Work<'_>,
    journal: &mut Journal,
    hand: &InHand,
    mut error: Error,
) -> Error {
    let mut left = Vec::new();
    let mut anything = false;
    for index in (0..journal.record.steps.len()).rev() {
        let record = journal.record.steps[index].clone();
        if !matches!(record.status, Status::Begun | Status::Done) {
            continue;
        }
        work.output
            .working(&format!("taking back: {}", record.step.described().0));
        let undone = undo(
            work,
            &journal.record.run,
            &record.step,
            record.status,
            &record.made,
            hand,
        )
        .await;
        let status = match undone {
            Ok(()) => Status::TakenBack,
            Err(failure) => {
                work.output.warn(&format!(
                    "{}: {failure}",
                    remains(&record.step, &record.made)
                ));
                left.push(remains(&record.step, &record.made));
                Status::Left
            }
        };
        anything |= record.status == Status::Done;
        if let Err(broken) = journal.set(index, status) {
            work.output
                .warn(&format!("the journal cannot be written: {broken}"));
        }
    }
    work.output.done();
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
        let hint = error
            .hint
            .take()
            .map(|hint| format!("{hint}; "))
            .unwrap_or_default();
        error.hint = Some(format!(
            "{hint}everything that this run had made was taken back"
        ));
    }
    error
}

fn remains(step: &Step, made: &Made) -> String {
    match step {
        Step::CreateUser { user_name, .. } => format!("the IAM user `{user_name}`"),
        Step::AttachPolicy {
            user_name,
            policy_arn,
        } => {
            format!("the policy {policy_arn} on `{user_name}`")
        }
        Step::CreateLoginProfile { user_name } => format!("the console password of `{user_name}`"),
        Step::CreateAccessKey { user_name, .. } => match &made.access_key_id {
            Some(id) => format!("the access key {id} of `{user_name}`"),
            None => format!("possibly an access key of `{user_name}`"),
        },
        Step::DescribeAccessKey { user_name, .. } => format!("the key's tag on `{user_name}`"),
        Step::StoreSecret { secret, .. } => format!("the secret `{secret}`"),
        Step::Verify { .. } => "nothing".to_owned(),
        Step::SetCurrent { secret } => format!("`{secret}` as the current secret"),
    }
}

async fn undo(
    work: &Work<'_>,
    run: &str,
    step: &Step,
    status: Status,
    made: &Made,
    hand: &InHand,
) -> Result<()> {
    let iam = work.sdk.iam(work.session);
    let failed = |failure: Failure| Error::from(failure);
    match step {
        Step::CreateUser { user_name, .. } => {
            if status == Status::Begun && made.user_arn.is_none() {
                // The answer was lost: only a user that carries our run is ours.
                match account::user_tag(&iam, user_name, RUN_TAG).await {
                    Ok(Some(tag)) if tag == run => {}
                    Ok(_) => return Ok(()),
                    Err(failure) if failure.reason == Reason::Missing => return Ok(()),
                    Err(failure) => return Err(failure.into()),
                }
            }
            iam::delete_user(&iam, user_name).await.map_err(failed)
        }
        Step::AttachPolicy {
            user_name,
            policy_arn,
        } => match iam::detach_user_policy(&iam, user_name, policy_arn).await {
            // It was never attached, by AWS's own answer to attaching it.
            Err(failure) if status == Status::Begun && failure.reason == Reason::Denied => Ok(()),
            result => result.map_err(failed),
        },
        Step::CreateLoginProfile { user_name } => {
            match iam::delete_login_profile(&iam, user_name).await {
                Err(failure) if status == Status::Begun && failure.reason == Reason::Denied => {
                    Ok(())
                }
                result => result.map_err(failed),
            }
        }
        Step::CreateAccessKey {
            user_name,
            secret,
            store,
            known_key_ids,
        } => {
            let id = match &made.access_key_id {
                Some(id) => Some(id.clone()),
                None => orphan(&iam, user_name, known_key_ids).await?,
            };
            if let Some(id) = id {
                iam::delete_access_key(&iam, user_name, &id)
                    .await
                    .map_err(failed)?;
            }
            put_back(work, secret, *store, hand)
        }
        Step::DescribeAccessKey { user_name, .. } => {
            let Some(id) = hand.outcome.access_key_id.as_deref() else {
                return Ok(());
            };
            match iam::remove_key_description(&iam, user_name, id).await {
                Err(failure) if status == Status::Begun && failure.reason == Reason::Denied => {
                    Ok(())
                }
                result => result.map_err(failed),
            }
        }
        Step::StoreSecret { secret, store } => put_back(work, secret, *store, hand),
        Step::Verify { .. } => Ok(()),
        Step::SetCurrent { secret } => Index::update(work.folders, |index| {
            if index.is_current(secret) {
                index.current = made.previous_current.clone();
            }
            Ok(())
        }),
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
    let mut new = keys
        .into_iter()
        .map(|key| key.id)
        .filter(|id| !known.contains(id));
    match (new.next(), new.next()) {
        (id, None) => Ok(id),
        (_, Some(_)) => Err(Error::failed(format!("`{user}` has several new keys"))),
    }
}

/// Gives the name back what it held before, in its place and in the index.
fn put_back(work: &Work<'_>, secret: &SecretName, store: StoreKind, hand: &InHand) -> Result<()> {
    let Some((pair, entry)) = &hand.replaced else {
        return Ok(());
    };
    let place = work.stores.place(store);
    match pair {
        Some(pair) => place.put(secret, pair)?,
        None => {
            place.remove(secret)?;
        }
    }
    if store == StoreKind::Stdout {
        return Ok(());
    }
    Index::update(work.folders, |index| {
        match entry {
            Some(entry) => index.put(entry.clone()),
            None => index.remove(secret),
        }
        Ok(())
    })
}
