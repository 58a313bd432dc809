//! The changes that exist: a closed set, one file a kind.
//!
//! The journal holds steps as they are, with what each has made, so they hold no secrets.

pub mod context;
mod current;
mod key;
mod orphan_keys;
mod password;
mod policy;
mod profile;
mod root_key;
mod secret;
mod tag;
mod user;
mod verify;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use context::{Change, Leftover, Outcome, Settled, Stop, Work};

pub use current::SetCurrent;
pub use key::CreateAccessKey;
pub use orphan_keys::whose_keys;
pub use password::CreateLoginProfile;
pub use policy::AttachPolicy;
pub use profile::WriteAwsProfile;
pub use root_key::{DeactivateRootKey, DeleteRootKey};
pub use secret::StoreSecret;
pub use tag::DescribeAccessKey;
pub use user::{CREATED_BY_TAG, CreateUser, RUN_TAG, user_exists};
pub use verify::Verify;

/// One change, in order with what it has made so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    CreateUser(CreateUser),
    AttachPolicy(AttachPolicy),
    CreateLoginProfile(CreateLoginProfile),
    CreateAccessKey(CreateAccessKey),
    DescribeAccessKey(DescribeAccessKey),
    StoreSecret(StoreSecret),
    Verify(Verify),
    SetCurrent(SetCurrent),
    WriteAwsProfile(WriteAwsProfile),
    DeactivateRootKey(DeactivateRootKey),
    DeleteRootKey(DeleteRootKey),
}

/// The one dispatch: evaluates the expression for whichever kind of change the step is.
macro_rules! dispatch {
    ($step:expr, $change:ident => $result:expr) => {
        match $step {
            Step::CreateUser($change) => $result,
            Step::AttachPolicy($change) => $result,
            Step::CreateLoginProfile($change) => $result,
            Step::CreateAccessKey($change) => $result,
            Step::DescribeAccessKey($change) => $result,
            Step::StoreSecret($change) => $result,
            Step::Verify($change) => $result,
            Step::SetCurrent($change) => $result,
            Step::WriteAwsProfile($change) => $result,
            Step::DeactivateRootKey($change) => $result,
            Step::DeleteRootKey($change) => $result,
        }
    };
}

impl Step {
    /// As the journal and `--output json` name it.
    pub fn name(&self) -> String {
        let written = serde_json::to_value(self).unwrap_or_default();
        written["step"].as_str().unwrap_or_default().to_owned()
    }

    pub fn described(&self) -> (&'static str, String) {
        dispatch!(self, change => change.described())
    }

    pub fn remains(&self) -> Option<String> {
        dispatch!(self, change => change.remains())
    }

    /// Whether it changes something at AWS, and not just on this machine.
    pub fn changes_aws(&self) -> bool {
        use Step::{SetCurrent, StoreSecret, Verify, WriteAwsProfile};
        !matches!(self, StoreSecret(_) | Verify(_) | SetCurrent(_) | WriteAwsProfile(_))
    }

    pub fn replaces(&self) -> bool {
        dispatch!(self, change => change.replaces())
    }

    pub async fn prepare(&mut self, work: &mut Work<'_>) -> Result<()> {
        dispatch!(self, change => change.prepare(work).await)
    }

    pub async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        dispatch!(self, change => change.act(work).await)
    }

    pub async fn keep(&mut self, work: &mut Work<'_>) -> Result<()> {
        dispatch!(self, change => change.keep(work).await)
    }

    pub async fn settle(&mut self, work: &mut Work<'_>) -> Result<Settled> {
        dispatch!(self, change => change.settle(work).await)
    }

    pub async fn revisit(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<Settled> {
        dispatch!(self, change => change.revisit(work, outcome).await)
    }

    pub async fn last_look(&mut self, work: &mut Work<'_>) -> Result<()> {
        dispatch!(self, change => change.last_look(work).await)
    }

    pub async fn survey(&self, work: &mut Work<'_>) -> Result<()> {
        dispatch!(self, change => change.survey(work).await)
    }

    pub async fn undo(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<(), Leftover> {
        dispatch!(self, change => change.undo(work, outcome).await)
    }
}
