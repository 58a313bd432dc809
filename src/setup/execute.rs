//! Executes the steps of a run one by one, journalled before and after each; what a failed run made
//! is taken back at once. Asks nothing and decides nothing.

mod keeping;
mod obstacles;
mod ours;
mod resume;
mod undo;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::aws::account;
use crate::aws::failure::{Failure, Reason};
use crate::aws::iam::{self, Doubt};
use crate::aws::proof;
use crate::aws::sdk::{Sdk, Session};
use crate::aws_profile;
use crate::env::{Env, Folders};
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::secret::KeyPair;
use crate::setup::execute::ours::Whose;
use crate::setup::journal::{Journal, Record, Status};
use crate::setup::step::Step;
use crate::shared_config::Locations;
use crate::store::index::Index;
use crate::store::vault::Vault;
use crate::store::{SecretName, StoreKind};

pub use obstacles::obstacles;
pub use resume::prepare;
pub use undo::undo_run;

/// What is needed to change something and to take it back: credentials that may change the
/// account, and this machine's vault.
pub struct Access<'a> {
    pub sdk: &'a Sdk,
    /// `None` where nothing at AWS is concerned.
    pub session: Option<&'a Session>,
    pub vault: &'a Vault,
    pub folders: &'a Folders,
    pub env: &'a Env,
    pub output: &'a Output,
}

impl Access<'_> {
    fn iam(&self) -> Result<aws_sdk_iam::Client> {
        let session = self.session.ok_or_else(|| missing("credentials"))?;
        Ok(self.sdk.iam(session))
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

/// Applies the steps that are not done yet.
///
/// # Errors
/// The failing step's, after everything was taken back; `PartlyApplied` where that was impossible,
/// or where the key is kept but not proven yet: then the run stays open. So does one that was taken
/// up again, whatever stops it: what it made may be in use by now.
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
        if journal.record.steps[index].status == Status::Done {
            continue;
        }
        result = step(access, &mut hand, journal, index, interrupt).await;
        access.output.done();
        if result.is_ok() {
            let (what, detail) = journal.record.steps[index].step.described();
            access.output.step_done(what, &detail);
        }
    }
    if result.is_ok() {
        result = resume::last_look(access, journal).await;
    }
    match result {
        Ok(()) => {
            keeping::discard_what_was_set_aside(access, journal);
            finish(access, journal);
            Ok(())
        }
        Err(error) if error.kind == Kind::PartlyApplied => Err(error),
        Err(error) if journal.is_reopened() => Err(leave_open(access, journal, error).await),
        Err(error) => Err(undo::take_back(access, journal, error).await),
    }
}

/// Ends a run that was taken up again where it stands. Only a key whose secret could not be kept goes
/// at once: when this process ends, nobody has it.
async fn leave_open(access: &Access<'_>, journal: &mut Journal, error: Error) -> Error {
    for index in 0..journal.record.steps.len() {
        let record = &journal.record.steps[index];
        let is_key = matches!(record.step, Step::CreateAccessKey { .. });
        let is_kept =
            keeping::kept_pair(access, &journal.record, index).is_ok_and(|pair| pair.is_some());
        if is_key && record.status == Status::Begun && !is_kept {
            let status = match undo::undo(access, &journal.record, index).await {
                Ok(()) => Status::TakenBack,
                Err(left) => {
                    let warning = format!("the new access key stays: {}", left.message);
                    access.output.warn(&warning);
                    Status::Left
                }
            };
            if let Err(broken) = journal.set(index, status) {
                let warning = format!("the journal cannot be written: {broken}");
                access.output.warn(&warning);
            }
        }
    }
    access.output.done();
    let run = &journal.record.run;
    let goes_on =
        format!("`cloudcred resume {run}` goes on with it, `cloudcred undo {run}` takes it back");
    if error.kind == Kind::Cancelled {
        return error.hint(goes_on);
    }
    let hint = match &error.hint {
        Some(hint) => format!("{hint}; {goes_on}"),
        None => goes_on,
    };
    let message = format!("the run {run} is not finished: {}", error.message);
    Error::new(Kind::PartlyApplied, message).hint(hint)
}

/// What came of the run must be told even where the journal cannot be written.
fn finish(access: &Access<'_>, journal: &mut Journal) {
    if let Err(broken) = journal.finish(access.env.now()) {
        let warning = format!("the journal cannot be written: {broken}");
        access.output.warn(&warning);
    }
}

/// The store proves that it works before anything is made that could not be kept.
fn probe(access: &Access<'_>, journal: &Journal) -> Result<()> {
    match journal.record.place() {
        Some((_, StoreKind::Stdout)) | None => Ok(()),
        Some((_, store)) => {
            access.vault.probe(store)?;
            Index::update(access.folders, |_| Ok(()))
        }
    }
}

/// Why a step stopped.
struct Stop {
    error: Error,
    came_of_it: CameOfIt,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CameOfIt {
    /// AWS refused.
    Nothing,
    /// AWS's answer was lost.
    Unknown,
    /// AWS did it, or it is not about AWS.
    Something,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop {
            came_of_it: match failure.reason {
                Reason::Unclear => CameOfIt::Unknown,
                _ => CameOfIt::Nothing,
            },
            error: failure.into(),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop {
            error,
            came_of_it: CameOfIt::Something,
        }
    }
}

/// How often a step is tried whose answer gets lost.
const ATTEMPTS: usize = 3;

async fn step(
    access: &Access<'_>,
    hand: &mut InHand,
    journal: &mut Journal,
    index: usize,
    interrupt: &mut Interrupt,
) -> Result<()> {
    let step = journal.record.steps[index].step.clone();
    let (what, detail) = step.described();
    access.output.working(&format!("{what}  {detail}"));
    let mut attempt = 1;
    loop {
        if interrupt.arrived().await {
            return Err(Error::cancelled());
        }
        journal.begin_step(index, access.env.now())?;
        let stop = match apply(access, hand, journal, index, &step, interrupt).await {
            Ok(()) => return journal.set(index, Status::Done),
            Err(stop) => stop,
        };
        match stop.came_of_it {
            CameOfIt::Nothing => {
                journal.refused(index)?;
                return Err(stop.error);
            }
            CameOfIt::Unknown if attempt < ATTEMPTS => {
                attempt += 1;
                journal.given_up(index, access.env.now());
                let lost = format!("{what}: the answer was lost; looking what came of it");
                access.output.detail(1, &lost);
                match resume::settle(access, hand, journal, index).await {
                    Ok(true) => return journal.set(index, Status::Done),
                    Ok(false) => {}
                    // The first error says more than that nothing could be found out.
                    Err(_) => return Err(stop.error),
                }
            }
            CameOfIt::Unknown => {
                journal.given_up(index, access.env.now());
                return Err(stop.error);
            }
            CameOfIt::Something => return Err(stop.error),
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
    match step {
        Step::CreateUser {
            user_name,
            tags,
            permissions_boundary,
        } => {
            let iam = access.iam()?;
            let boundary = permissions_boundary.as_deref();
            let failure = match iam::create_user(&iam, user_name, tags, boundary).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if failure.reason != Reason::Exists {
                return Err(failure.into());
            }
            // Ours after all, where an earlier attempt's answer was lost.
            let run = &journal.record.run;
            match ours::whose(&iam, user_name, run, Doubt::none()).await {
                Ok(Whose::Ours) => Ok(()),
                // A lost attempt's user may not be known everywhere yet.
                Ok(Whose::Nobodys) | Err(_) if journal.record.steps[index].made.lost => Err(Stop {
                    error: failure.into(),
                    came_of_it: CameOfIt::Unknown,
                }),
                _ => Err(Stop {
                    error: Error::failed(format!("the IAM user `{user_name}` exists already"))
                        .hint("use it with --if-exists reuse, or choose another --user-name"),
                    came_of_it: CameOfIt::Nothing,
                }),
            }
        }
        Step::AttachPolicy {
            user_name,
            policy_arn,
        } => {
            let iam = access.iam()?;
            if !journal.record.creates_user() && !journal.record.steps[index].made.lost {
                // Minutes may have passed since the plan was made.
                let there = account::policy_arns(&iam, user_name).await?;
                if there.contains(policy_arn) {
                    return Ok(journal.made(index, |made| made.found = true)?);
                }
            }
            let attached = iam::attach_user_policy(&iam, user_name, policy_arn).await;
            attached.map_err(|failure| match failure.reason {
                Reason::Missing => Stop {
                    error: Error::from(failure).hint("check the ARN of --policy-arn"),
                    came_of_it: CameOfIt::Nothing,
                },
                _ => failure.into(),
            })
        }
        Step::CreateLoginProfile { user_name, .. } => {
            let password = hand.password.as_ref().ok_or_else(|| missing("password"))?;
            Ok(iam::create_login_profile(&access.iam()?, user_name, password).await?)
        }
        Step::CreateAccessKey {
            user_name, store, ..
        } => {
            let iam = access.iam()?;
            let user = user_name.as_deref();
            let lost = journal.record.steps[index].made.lost;
            // Minutes or days may have passed since the plan was made.
            if !lost && (!journal.record.creates_user() || journal.is_reopened()) {
                let noted = resume::note_known_keys(&iam, journal, index, user).await;
                noted.map_err(|error| Stop {
                    error,
                    came_of_it: CameOfIt::Nothing,
                })?;
            }
            let pair = match iam::create_access_key(&iam, user).await {
                Ok(pair) => pair,
                // There was room: the place may be taken by a key that an attempt of ours has made.
                Err(failure) if failure.reason == Reason::Limit => {
                    return Err(Stop {
                        error: failure.into(),
                        came_of_it: CameOfIt::Unknown,
                    });
                }
                Err(failure) => return Err(failure.into()),
            };
            journal.made_key(index, &pair.access_key_id)?;
            if *store != StoreKind::Stdout {
                keeping::keep(access, journal, index, &pair)?;
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
            Ok(iam::describe_access_key(&access.iam()?, user_name, id, description).await?)
        }
        Step::Verify { reads_iam } => {
            let pair = hand.pair.as_ref().ok_or_else(|| missing("access key"))?;
            verify(access, journal, pair, *reads_iam, interrupt).await
        }
        Step::StoreSecret { secret, store, .. } => {
            let pair = hand.pair.as_ref().ok_or_else(|| missing("access key"))?;
            if *store == StoreKind::Stdout {
                let document = Zeroizing::new(format!("{}\n", pair.to_document().expose_secret()));
                return Ok(access.output.raw(document.as_bytes())?);
            }
            let id = pair.access_key_id.clone();
            journal.made(index, |made| made.access_key_id = Some(id))?;
            keeping::keep(access, journal, index, pair)?;
            // STS was asked about a given pair before anything was planned.
            Ok(verified_now(access, secret)?)
        }
        Step::DeactivateRootKey { access_key_id } => {
            Ok(iam::set_root_key_active(&access.iam()?, access_key_id, false).await?)
        }
        Step::DeleteRootKey { access_key_id } => {
            Ok(iam::delete_root_key(&access.iam()?, access_key_id).await?)
        }
        Step::SetCurrent { secret } => {
            let previous = Index::load(access.folders)?.current;
            if previous.as_ref() != Some(secret) {
                journal.made(index, |made| made.previous_current = previous)?;
            }
            Ok(Index::update(access.folders, |index| {
                index.current = Some(secret.clone());
                Ok(())
            })?)
        }
        Step::WriteAwsProfile { profile, replaces } => {
            let locations = Locations::of(access.env)?;
            if let Some(there) = replaces.clone() {
                journal.made(index, |made| made.previous_aws_profile = Some(there))?;
            }
            aws_profile::write(access.folders, &locations, profile, replaces.as_ref())?;
            Ok(())
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
    let region = match access.session {
        Some(session) => session.region.clone(),
        None => access.sdk.region(),
    };
    let session = access.sdk.session(pair, region);
    let proof = async { Ok(proof::prove(access.sdk, &session, reads_iam_as, waiting).await) };
    let proven = match interrupt.or_cancel(proof).await? {
        Ok(identity) => identity,
        Err(failure) if proof::may_pass(&failure) && is_kept(&journal.record) => {
            return Err(Stop::from(unproven(&journal.record, &failure)));
        }
        // Waiting would not mend it, or the key would be lost when this process ends.
        Err(failure) => return Err(Stop::from(Error::from(failure))),
    };
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

fn is_kept(record: &Record) -> bool {
    record
        .place()
        .is_some_and(|(_, store)| store != StoreKind::Stdout)
}

fn unproven(record: &Record, failure: &Failure) -> Error {
    let id = record.access_key_id().unwrap_or_default();
    let run = &record.run;
    let (seconds, quoted) = (proof::LIMIT.as_secs(), failure.quoted());
    // What is denied for so long is not on its way: STS has accepted the key meanwhile.
    let (message, hint) = match failure.reason {
        Reason::Denied => (
            format!(
                "the key {id} is stored and STS accepts it, but after {seconds} s AWS still denies it {} ({quoted})",
                failure.operation
            ),
            format!(
                "a permissions boundary or a policy of the organization may be why: once that is mended, `cloudcred resume {run}`"
            ),
        ),
        _ => (
            format!(
                "the key {id} is stored, but after {seconds} s AWS does not accept it everywhere yet ({quoted})"
            ),
            format!("wait for it with `cloudcred resume {run}`"),
        ),
    };
    Error::new(Kind::PartlyApplied, message).hint(format!(
        "{hint}, or take all of it back with `cloudcred undo {run}`"
    ))
}

fn verified_now(access: &Access<'_>, secret: &SecretName) -> Result<()> {
    let now = access.env.now();
    Index::update(access.folders, |index| {
        index.verified(secret, now);
        Ok(())
    })
}
