//! Proves that a fresh key works wherever it is asked for, not just where the first answer came
//! from. Reads only.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::aws::failure::{Failure, Reason, ask_within_limit};
use crate::aws::identity::{Identity, caller_identity};
use crate::aws::sdk::{Sdk, Session};

/// AWS promises no number for its propagation; 3 to 15 s have been seen.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Repeats rounds of probes until one round succeeds as a whole. A round asks STS three times and,
/// with `reads_iam_as` (the user's name), IAM twice, all at once over connections of their own:
/// they reach different servers. `waiting` is told the time that is left, each second. Fails with a
/// refusal that waiting cannot change, or with the last one when [`LIMIT`] is over.
pub async fn prove(
    sdk: &Sdk,
    session: &Session,
    reads_iam_as: Option<&str>,
    waiting: impl Fn(Duration),
) -> Result<Identity, Failure> {
    let start = Instant::now();
    let left = || LIMIT.saturating_sub(start.elapsed());
    let mut pause = Duration::from_millis(500);
    loop {
        match round(sdk, session, reads_iam_as).await {
            Err(failure) if may_pass(&failure) && left() >= pause => {}
            result => return result,
        }
        let until = Instant::now() + pause.mul_f64(0.75 + 0.5 * rand::random::<f64>());
        while Instant::now() < until {
            waiting(left());
            sleep_until(until.min(Instant::now() + Duration::from_secs(1))).await;
        }
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn round(
    sdk: &Sdk,
    session: &Session,
    reads_iam_as: Option<&str>,
) -> Result<Identity, Failure> {
    let sts = || async { caller_identity(&sdk.with_fresh_connections(), session).await };
    let iam = || async {
        let Some(user) = reads_iam_as else { return Ok(()) };
        let iam = sdk.with_fresh_connections().iam(session);
        ask_within_limit("iam:GetUser", iam.get_user().user_name(user).send()).await.map(drop)
    };
    let (first, second, third, read, read_again) = tokio::join!(sts(), sts(), sts(), iam(), iam());
    // STS first: what IAM denies is then denied to a key that STS accepts.
    let identity = first.and(second).and(third)?;
    read.and(read_again).map(|()| identity)
}

/// What a fresh key, user or policy looks like to a server that does not know it yet, and what a
/// network does now and then. A wrong secret or clock stays wrong.
pub fn may_pass(failure: &Failure) -> bool {
    !matches!(failure.reason, Reason::WrongSecret | Reason::Clock | Reason::Expired)
}
