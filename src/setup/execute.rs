//! Executes the steps of a run one by one, journalled before and after each; what a failed run made
//! is taken back at once. Asks nothing and decides nothing.

mod undo;

use std::time::Duration;

use secrecy::SecretString;

use crate::aws::failure::{Failure, Reason};
use crate::aws::iam;
use crate::aws::proof;
use crate::aws::sdk::{Sdk, Session};
use crate::env::{Env, Folders};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::secret::KeyPair;
use crate::setup::journal::{Journal, Status};
use crate::setup::step::Step;
use crate::store::index::{Entry, Index};
use crate::store::{SecretName, StoreKind, Stores};

/// What is needed to change something and to take it back: credentials that may change the
/// account, and this machine's stores.
pub struct Access<'a> {
    pub sdk: &'a Sdk,
    pub session: &'a Session,
    pub stores: &'a Stores<'a>,
    pub folders: &'a Folders,
    pub env: &'a Env,
    pub output: &'a Output,
}

impl Access<'_> {
    fn iam(&self) -> aws_sdk_iam::Client {
        self.sdk.iam(self.session)
    }
}

/// What a run holds in memory only.
#[derive(Default)]
pub struct InHand {
    /// The console password, where the plan sets one.
    pub password: Option<SecretString>,
    /// The pair that the user brought along, or that was created.
    pub pair: Option<KeyPair>,
}

/// # Errors
/// The failing step's, after everything was taken back; `PartlyApplied` where that was impossible,
/// naming what is left.
pub async fn execute(
    access: &Access<'_>,
    mut hand: InHand,
    journal: &mut Journal,
    interrupt: &mut Interrupt,
) -> Result<()> {
    let mut result = probe(access, journal);
    for index in 0..journal.record.steps.len() {
        if result.is_err() {
            break;
        }
        result = step(access, &mut hand, journal, index, interrupt).await;
        access.output.done();
        if result.is_ok() {
            let (what, detail) = journal.record.steps[index].step.described();
            access.output.step_done(what, &detail);
        }
    }
    let result = match result {
        Ok(()) => discard_what_was_set_aside(access, journal),
        Err(error) => Err(undo::take_back(access, journal, error).await),
    };
    // What came of the run must be told even where the journal cannot be written.
    if let Err(broken) = journal.finish(access.env.now()) {
        let warning = format!("the journal cannot be written: {broken}");
        access.output.warn(&warning);
    }
    result
}

/// The store proves that it works before anything is made that could not be kept.
fn probe(access: &Access<'_>, journal: &Journal) -> Result<()> {
    match journal.record.place() {
        Some((_, store)) => access.stores.place(store).probe(),
        None => Ok(()),
    }
}

/// Why a step stopped.
struct Stop {
    error: Error,
    /// AWS refused, so that nothing came of the step.
    refused: bool,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop {
            refused: failure.reason != Reason::Unclear,
            error: failure.into(),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop {
            error,
            refused: false,
        }
    }
}

async fn step(
    access: &Access<'_>,
    hand: &mut InHand,
    journal: &mut Journal,
    index: usize,
    interrupt: &mut Interrupt,
) -> Result<()> {
    if interrupt.arrived().await {
        return Err(Error::cancelled());
    }
    let step = journal.record.steps[index].step.clone();
    let (what, detail) = step.described();
    access.output.working(&format!("{what}  {detail}"));
    journal.set(index, Status::Begun)?;
    match apply(access, hand, journal, index, &step, interrupt).await {
        Ok(()) => journal.set(index, Status::Done),
        Err(Stop { error, refused }) => {
            if refused {
                journal.set(index, Status::Refused)?;
            }
            Err(error)
        }
    }
}

async fn apply(
    access: &Access<'_>,
    hand: &mut InHand,
    journal: &mut Journal,
    index: usize,
    step: &Step,
    interrupt: &mut Interrupt,
) -> Result<(), Stop> {
    let iam = access.iam();
    match step {
        Step::CreateUser {
            user_name,
            tags,
            permissions_boundary,
        } => {
            let boundary = permissions_boundary.as_deref();
            match iam::create_user(&iam, user_name, tags, boundary).await {
                Ok(()) => Ok(()),
                Err(failure) if failure.reason == Reason::Exists => Err(Stop {
                    error: Error::failed(format!("the IAM user `{user_name}` exists already"))
                        .hint("use it with --if-exists reuse, or choose another --user-name"),
                    refused: true,
                }),
                Err(failure) => Err(failure.into()),
            }
        }
        Step::AttachPolicy {
            user_name,
            policy_arn,
        } => Ok(iam::attach_user_policy(&iam, user_name, policy_arn).await?),
        Step::CreateLoginProfile { user_name, .. } => {
            let password = hand.password.as_ref().ok_or_else(|| missing("password"))?;
            Ok(iam::create_login_profile(&iam, user_name, password).await?)
        }
        Step::CreateAccessKey {
            user_name,
            secret,
            store,
            ..
        } => {
            let pair = iam::create_access_key(&iam, user_name).await?;
            let id = pair.access_key_id.clone();
            journal.made(index, |made| made.access_key_id = Some(id))?;
            if *store != StoreKind::Stdout {
                keep(access, journal, index, secret, *store, &pair)?;
            }
            hand.pair = Some(pair);
            Ok(())
        }
        Step::DescribeAccessKey {
            user_name,
            description,
        } => {
            let id = journal.record.access_key_id();
            let id = id.ok_or_else(|| missing("access key"))?;
            Ok(iam::describe_access_key(&iam, user_name, id, description).await?)
        }
        Step::Verify { reads_iam } => {
            let pair = hand.pair.as_ref().ok_or_else(|| missing("access key"))?;
            verify(access, journal, pair, *reads_iam, interrupt).await
        }
        Step::StoreSecret { secret, store } => {
            let pair = hand.pair.as_ref().ok_or_else(|| missing("access key"))?;
            if *store == StoreKind::Stdout {
                return Ok(access.stores.place(*store).put(secret, pair)?);
            }
            let id = pair.access_key_id.clone();
            journal.made(index, |made| made.access_key_id = Some(id))?;
            keep(access, journal, index, secret, *store, pair)?;
            // STS was asked about a given pair before anything was planned.
            Ok(verified_now(access, secret)?)
        }
        Step::SetCurrent { secret } => {
            let previous = Index::load(access.folders)?.current;
            journal.made(index, |made| made.previous_current = previous)?;
            Ok(Index::update(access.folders, |index| {
                index.current = Some(secret.clone());
                Ok(())
            })?)
        }
    }
}

/// A plan has its steps in an order in which this does not happen.
fn missing(what: &str) -> Error {
    Error::failed(format!("this run has no {what} at hand"))
}

async fn verify(
    access: &Access<'_>,
    journal: &Journal,
    pair: &KeyPair,
    reads_iam: bool,
    interrupt: &mut Interrupt,
) -> Result<(), Stop> {
    let owner = journal.record.goal.owner();
    let reads_iam_as = owner.user_name().filter(|_| reads_iam);
    let waiting = |left: Duration| {
        access.output.working(&format!(
            "waiting until AWS knows the new key everywhere (at most {} s more)",
            left.as_secs()
        ));
    };
    let proof = async {
        let proof = proof::prove(access.sdk, pair, reads_iam_as, waiting).await;
        proof.map_err(Error::from)
    };
    let proven = interrupt.or_cancel(proof).await?;
    if proven.account_id != owner.account_id {
        return Err(Stop::from(Error::failed(format!(
            "the new key belongs to {}, not to {}",
            proven.described(),
            owner.described()
        ))));
    }
    match journal.record.place() {
        Some((secret, store)) if store != StoreKind::Stdout => Ok(verified_now(access, secret)?),
        _ => Ok(()),
    }
}

/// Puts the pair into its place, then into the index. What was there before is set aside first, in
/// the same store: undo can then bring it back, in another process, too.
fn keep(
    access: &Access<'_>,
    journal: &mut Journal,
    index: usize,
    secret: &SecretName,
    store: StoreKind,
    pair: &KeyPair,
) -> Result<()> {
    let place = access.stores.place(store);
    if let Some(old) = place.find(secret)?
        && !old.same_as(pair)
    {
        place.put(&SecretName::set_aside_by(&journal.record.run), &old)?;
    }
    if let Some(entry) = Index::load(access.folders)?.find(secret)
        && entry.access_key_id != pair.access_key_id
    {
        journal.made(index, |made| made.replaced = Some(entry.clone()))?;
    }
    place.put(secret, pair)?;
    let owner = journal.record.goal.owner();
    let entry = Entry {
        name: secret.clone(),
        store,
        access_key_id: pair.access_key_id.clone(),
        account_id: owner.account_id,
        arn: owner.arn,
        created_at: access.env.now(),
        verified_at: None,
    };
    Index::update(access.folders, |index| {
        index.put(entry);
        Ok(())
    })
}

fn discard_what_was_set_aside(access: &Access<'_>, journal: &Journal) -> Result<()> {
    if let Some((_, store)) = journal.record.place() {
        let aside = SecretName::set_aside_by(&journal.record.run);
        access.stores.place(store).remove(&aside)?;
    }
    Ok(())
}

fn verified_now(access: &Access<'_>, secret: &SecretName) -> Result<()> {
    let now = access.env.now();
    Index::update(access.folders, |index| {
        index.verified(secret, now);
        Ok(())
    })
}
