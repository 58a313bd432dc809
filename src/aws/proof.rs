//! Proves that a fresh key works wherever it is asked for, not just where the first answer came
//! from. Reads only.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::aws::failure::{Failure, Reason};
use crate::aws::identity::{Identity, caller_identity};
use crate::aws::sdk::{Sdk, Session};

/// AWS promises no number for its propagation; 3 to 15 s have been seen.
pub const LIMIT: Duration = Duration::from_secs(120);
/// How long one probe may take.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// Repeats rounds of probes until one round succeeds as a whole. A round asks STS three times and,
/// with `reads_iam_as` (the user's name), IAM twice, all at once over connections of their own:
/// they reach different servers. `waiting` is told the time that is left, each second.
///
/// # Errors
/// A refusal that waiting cannot mend, or the last one when [`LIMIT`] is over.
pub async fn prove(
    sdk: &Sdk,
    session: &Session,
    reads_iam_as: Option<&str>,
    waiting: impl Fn(Duration),
) -> Result<Identity, Failure> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(500);
    loop {
        match round(sdk, session, reads_iam_as).await {
            Ok(identity) => return Ok(identity),
            Err(failure) => {
                let left = LIMIT.saturating_sub(start.elapsed());
                if !may_pass(&failure) || left < pause {
                    return Err(failure);
                }
                let until = Instant::now() + pause.mul_f64(0.75 + 0.5 * rand::random::<f64>());
                while Instant::now() < until {
                    waiting(LIMIT.saturating_sub(start.elapsed()));
                    sleep_until(until.min(Instant::now() + Duration::from_secs(1))).await;
                }
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}

async fn round(
    sdk: &Sdk,
    session: &Session,
    reads_iam_as: Option<&str>,
) -> Result<Identity, Failure> {
    let mut identities = JoinSet::new();
    for _ in 0..3 {
        let (sdk, session) = (sdk.with_fresh_connections(), session.clone());
        identities.spawn(async move { caller_identity(&sdk, &session, PROBE_LIMIT).await });
    }
    let mut reads = JoinSet::new();
    for user in std::iter::repeat_n(reads_iam_as, 2).flatten() {
        let iam = sdk.with_fresh_connections().iam(session);
        let read = iam.get_user().user_name(user).send();
        reads.spawn(async move {
            match timeout(PROBE_LIMIT, read).await {
                Ok(answer) => answer.map_err(|error| Failure::of("iam:GetUser", error)),
                Err(_) => Err(Failure {
                    operation: "iam:GetUser",
                    ..broken(format!("no answer within {} s", PROBE_LIMIT.as_secs()))
                }),
            }
        });
    }
    // The probes run on their own; all of them must have succeeded. STS first: what IAM denies is
    // then denied to a key that STS accepts.
    let mut identity = None;
    while let Some(answer) = identities.join_next().await {
        identity = Some(answer.map_err(broken)??);
    }
    while let Some(read) = reads.join_next().await {
        read.map_err(broken)??;
    }
    identity.ok_or_else(|| broken("no probe was sent"))
}

/// What a fresh key, user or policy looks like to a server that does not know it yet, and what a
/// network does now and then. A wrong secret or clock stays wrong.
pub fn may_pass(failure: &Failure) -> bool {
    !matches!(failure.reason, Reason::WrongSecret | Reason::Clock | Reason::Expired)
}

fn broken(cause: impl std::fmt::Display) -> Failure {
    Failure {
        operation: "sts:GetCallerIdentity",
        code: None,
        message: cause.to_string(),
        reason: Reason::Unclear,
    }
}
