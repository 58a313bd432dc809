//! Proves the key: until STS and IAM accept it wherever they are asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aws::failure::{Failure, Reason};
use crate::aws::proof;
use crate::error::{Error, Kind, Result};
use crate::setup::steps::context::{Change, Leftover, Outcome, Stop, Work};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// Whether the policies allow reading IAM, so that IAM must answer, too.
    pub reads_iam: bool,
}

impl Change for Verify {
    fn described(&self) -> (&'static str, String) {
        ("prove it", "until STS and IAM accept the new key everywhere".to_owned())
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let access = work.access;
        let reads_iam_as = work.owner.user_name().filter(|_| self.reads_iam);
        let waiting = |left: Duration| {
            let seconds = left.as_secs();
            access.output.working(&format!(
                "waiting until AWS knows the new key everywhere (at most {seconds} s more)"
            ));
        };
        let pair = work.pair()?;
        let session = match access.session {
            Some(session) => session.with_pair(pair),
            None => access.sdk.session(pair, access.sdk.region()),
        };
        let proof = async { Ok(proof::prove(access.sdk, &session, reads_iam_as, waiting).await) };
        let proven = match work.interrupt.or_cancel(proof).await? {
            Ok(identity) => identity,
            Err(failure) if proof::may_pass(&failure) && work.target.is_some() => {
                return Err(unproven(work, &failure).into());
            }
            // Waiting would not help, or the key would be lost when this process ends.
            Err(failure) => return Err(Stop::Failed(failure.into())),
        };
        if proven.account_id != work.owner.account_id {
            let (proven, owner) = (proven.described(), work.owner.described());
            return Err(
                Error::failed(format!("the new key belongs to {proven}, not to {owner}")).into()
            );
        }
        if let Some(kept) = &work.target {
            access.vault.verified(&kept.name, access.env.now())?;
        }
        Ok(())
    }

    async fn take_back(&mut self, _: &mut Work<'_>, _: Outcome) -> Result<(), Leftover> {
        Ok(())
    }
}

fn unproven(work: &Work<'_>, failure: &Failure) -> Error {
    let id = work.access_key_id.as_deref().unwrap_or_default();
    let run = &work.run;
    let (seconds, quoted) = (proof::LIMIT.as_secs(), failure.quoted());
    // What is denied for so long is not on its way: STS has accepted the key meanwhile.
    let (message, hint) = match failure.reason {
        Reason::Denied => (
            format!(
                "the key {id} is stored and STS accepts it, but after {seconds} s AWS still denies it {} ({quoted})",
                failure.operation
            ),
            format!(
                "look for a permissions boundary or a policy of the organization that denies it, then `cloudcred resume {run}`"
            ),
        ),
        _ => (
            format!(
                "the key {id} is stored, but after {seconds} s AWS does not accept it everywhere yet ({quoted})"
            ),
            format!("wait for it with `cloudcred resume {run}`"),
        ),
    };
    Error::new(Kind::PartlyApplied, message)
        .hint(format!("{hint}, or take all of it back with `cloudcred undo {run}`"))
}
