//! What every step gets to work with, and how it says that it stopped.

use aws_sdk_iam::Client;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::aws::failure::{Failure, Reason};
use crate::aws::identity::{Identity, caller_identity};
use crate::aws::sdk::{Sdk, Session};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::secret::KeyPair;
use crate::setup::request::Kept;
use crate::store::vault::Vault;

/// What is needed to change something and to take it back: credentials that may change the account,
/// and this machine's stores.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    pub sdk: &'a Sdk,
    /// `None` where nothing at AWS is concerned.
    pub session: Option<&'a Session>,
    pub vault: &'a Vault,
    pub env: &'a Env,
    pub output: &'a Output,
}

impl Access<'_> {
    pub fn iam(&self) -> Result<Client, Failure> {
        Ok(self.sdk.iam(self.signed_in()?))
    }

    /// Over connections of its own, which may reach another server than the ones before.
    pub fn fresh_iam(&self) -> Result<Client, Failure> {
        Ok(self.sdk.with_fresh_connections().iam(self.signed_in()?))
    }

    fn signed_in(&self) -> Result<&Session, Failure> {
        self.session.ok_or_else(|| Failure {
            operation: "the call",
            code: None,
            message: missing("credentials").message,
            reason: Reason::Other,
        })
    }

    /// The time by AWS's clock: this machine's may be set while a run waits to be finished.
    pub fn aws_now(&self) -> Timestamp {
        self.sdk.aws_time(self.env.now())
    }
}

/// What a run keeps in memory only.
#[derive(Default)]
pub struct RunSecrets {
    /// The console password, where the plan sets one.
    pub password: Option<SecretString>,
    /// The pair that the user brought along, or that was created.
    pub pair: Option<KeyPair>,
}

/// Whose the run's IAM user is, as far as this process knows.
pub enum RunUser {
    /// The run creates no user, or has not created it yet: its user belongs to others.
    NotCreated,
    /// The run created it, which AWS's answer or the user's tag proves.
    Created,
    /// The run created it, and it is gone with all that it had.
    Gone,
    /// Another user has the name by now, or nobody can tell.
    Unproven(String),
}

/// The run as its steps see it. A step reads what it needs to know of the others here.
pub struct Work<'a> {
    pub access: Access<'a>,
    pub secrets: RunSecrets,
    /// The run's name.
    pub run: String,
    /// Whether another process began it: then what it made may have changed since.
    pub resumed: bool,
    /// Whose the pair is, or will be.
    pub owner: Identity,
    pub user: RunUser,
    /// The key that the run creates or keeps, once it is known.
    pub access_key_id: Option<String>,
    /// Where the run keeps its pair; `None` where it is printed.
    pub target: Option<Kept>,
    pub interrupt: &'a Interrupt,
}

impl Work<'_> {
    /// What belongs to the user goes with it.
    pub fn user_is_gone(&self) -> bool {
        matches!(self.user, RunUser::Gone)
    }

    pub fn created_user(&self) -> bool {
        matches!(self.user, RunUser::Created | RunUser::Gone)
    }

    /// Whether there may be something of the run to be taken back on its user: nothing where it is
    /// gone, and nothing is touched on one that is not proven to be the run's.
    pub fn may_act(&self) -> Result<bool, Leftover> {
        match &self.user {
            RunUser::NotCreated | RunUser::Created => Ok(true),
            RunUser::Gone => Ok(false),
            RunUser::Unproven(why) => Err(Error::failed(why).into()),
        }
    }

    /// Whether STS accepts the pair of the key, as far as that is at hand: as long as it does, the key
    /// exists.
    pub async fn is_accepted(&self, id: &str) -> Result<bool, Failure> {
        let access = self.access;
        let kept = access.vault.find_key(id).unwrap_or_default();
        let pair = self.secrets.pair.as_ref().filter(|pair| pair.access_key_id == id);
        let (Some(pair), Some(session)) = (pair.or(kept.as_ref()), access.session) else {
            return Ok(false);
        };
        let session = session.with_pair(pair);
        match caller_identity(access.sdk, &session).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.reason == Reason::UnknownKey => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    pub fn pair(&self) -> Result<&KeyPair> {
        self.secrets.pair.as_ref().ok_or_else(|| missing("access key"))
    }
}

/// A plan has its steps in an order in which this does not happen.
pub fn missing(what: &str) -> Error {
    Error::failed(format!("this run has no {what} at hand"))
}

/// Why a step stopped.
pub enum Stop {
    /// AWS refused, and nothing came of it.
    Refused(Error),
    /// AWS's answer was lost: it may have done it.
    Unanswered(Error),
    /// Something came of it.
    Failed(Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure.reason {
            Reason::Unclear => Stop::Unanswered(failure.into()),
            _ => Stop::Refused(failure.into()),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

/// What became of a step whose outcome was not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Done,
    /// Nothing of it stands in the way of doing it again.
    Again,
    /// As `Again`; and what later steps did with its result is to be done anew.
    Anew,
}

/// What a step could not take back.
pub struct Leftover {
    /// As part of a sentence; empty where it is what [`Change::remains`] tells.
    pub what: String,
    pub why: Error,
    /// Whether it may well go when the other steps are taken back once more.
    pub passing: bool,
}

impl Leftover {
    pub fn stays(&self) -> String {
        format!("{} stays: {}", self.what, self.why)
    }
}

impl From<Error> for Leftover {
    fn from(why: Error) -> Self {
        Leftover { what: String::new(), why, passing: false }
    }
}

impl From<Failure> for Leftover {
    fn from(failure: Failure) -> Self {
        // What hangs on a user goes with the other steps.
        Leftover { passing: failure.reason == Reason::Conflict, ..Error::from(failure).into() }
    }
}

impl From<Leftover> for Error {
    fn from(left: Leftover) -> Self {
        Error::failed(left.stays())
    }
}

/// How things stood before a step, for what it must leave as it found it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Before {
    /// When that was found out, by AWS's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// Whether what the step makes was there already: then it stays.
    pub found: bool,
}

/// One kind of change: what it does, and how that is found out, described and taken back.
///
/// The driver journals the step before and after each of these calls, so a step only changes itself.
#[allow(async_fn_in_trait)] // nobody outside implements it, and it runs on one thread
pub trait Change {
    /// For people: what is done, and with what.
    fn described(&self) -> (&'static str, String);

    /// What it leaves behind, as part of a sentence.
    fn remains(&self) -> Option<String> {
        None
    }

    /// Whether it gives up a stored pair, or what a profile says.
    fn replaces(&self) -> bool {
        false
    }

    /// Notes what it will need to know of how things stood before.
    async fn prepare(&mut self, _: &mut Work<'_>) -> Result<()> {
        Ok(())
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop>;

    /// Keeps on this machine what came of it, once the journal knows that there is something.
    async fn keep(&mut self, _: &mut Work<'_>) -> Result<()> {
        Ok(())
    }

    /// Finds out what became of attempts whose answers were lost. Most steps may simply be repeated.
    async fn settle(&mut self, _: &mut Work<'_>) -> Result<Settled> {
        Ok(Settled::Again)
    }

    /// Brings a step that another process has done to where the run can go on.
    async fn revisit(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<Settled> {
        if outcome == Outcome::Done { Ok(Settled::Done) } else { self.settle(work).await }
    }

    /// Looks once more, before the run ends, for what attempts without an answer may have made.
    async fn last_look(&mut self, _: &mut Work<'_>) -> Result<()> {
        Ok(())
    }

    /// Finds out, before anything is taken back or gone on with, whose the run's user is.
    async fn survey(&self, _: &mut Work<'_>) -> Result<()> {
        Ok(())
    }

    /// Takes back what it made, and nothing else. What is gone already counts as taken back, so that it
    /// can be repeated.
    async fn take_back(&mut self, work: &mut Work<'_>, after: Outcome) -> Result<(), Leftover>;

    /// Takes it back, and names what stays.
    async fn undo(&mut self, work: &mut Work<'_>, after: Outcome) -> Result<(), Leftover> {
        let taken_back = self.take_back(work, after).await;
        taken_back.map_err(|left| match left.what.is_empty() {
            true => Leftover { what: self.remains().unwrap_or_default(), ..left },
            false => left,
        })
    }
}

/// How a step ended that is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Begun, and nobody knows what came of it.
    Unknown,
    Refused,
}

/// Reads the end of a deletion: what is not there is gone, and what AWS refused to do, it may as well
/// refuse to take back.
pub fn taken_back(outcome: Outcome, result: Result<(), Failure>) -> Result<(), Leftover> {
    match result {
        Err(failure) if failure.reason == Reason::Missing => Ok(()),
        Err(failure) if outcome == Outcome::Refused && failure.reason == Reason::Denied => Ok(()),
        result => Ok(result?),
    }
}
