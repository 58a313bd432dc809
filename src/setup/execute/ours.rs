//! What at AWS is this run's: its user, told by its tag, and keys whose secret nobody ever got, told
//! by when they were made. Reads only.

use std::time::Duration;

use aws_sdk_iam::Client;
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use crate::aws::account::{self, AccessKey};
use crate::aws::failure::{Failure, Reason};
use crate::aws::iam::Doubt;
use crate::error::{Error, Result};
use crate::setup::execute::Access;
use crate::setup::journal::Made;
use crate::setup::step::RUN_TAG;

/// How long a change may be unknown to some of IAM's servers, or a call that nobody waits for any
/// more may still be on its way. AWS promises no number; 3 to 15 s have been seen.
pub const SETTLING: Duration = Duration::from_secs(15);
/// A key that an attempt made is this much older than the attempt at most, for rounded clocks; and
/// this much younger, for a call that was long on its way.
const OLDER: SignedDuration = SignedDuration::from_secs(5);
const YOUNGER: SignedDuration = SignedDuration::from_secs(60);

/// For how long something that was begun then is not believed to be absent.
pub fn doubt_since(begun_at: Option<Timestamp>, now: Timestamp, span: Duration) -> Doubt {
    let age = begun_at.map_or(SignedDuration::MAX, |begun| now.duration_since(begun));
    let left = SignedDuration::try_from(span)
        .ok()
        .and_then(|span| span.checked_sub(age));
    let left = left.and_then(|left| Duration::try_from(left).ok());
    // A clock that was set back since must not make it last longer.
    Doubt::lasting(left.unwrap_or_default().min(span))
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
pub async fn whose(iam: &Client, user: &str, run: &str, doubt: Doubt) -> Result<Whose, Failure> {
    loop {
        match account::user_tag(iam, user, RUN_TAG).await {
            Ok(Some(tag)) if tag == run => return Ok(Whose::Ours),
            Ok(_) => return Ok(Whose::SomebodyElses),
            Err(failure) if failure.reason != Reason::Missing => return Err(failure),
            Err(_) if doubt.is_over() => return Ok(Whose::Nobodys),
            Err(_) => sleep(Duration::from_millis(500)).await,
        }
    }
}

/// The keys of a user, `None` for root's own; no user has none.
///
/// # Errors
/// AWS's refusal of `iam:ListAccessKeys`.
pub async fn keys_of(iam: &Client, user: Option<&str>) -> Result<Vec<AccessKey>, Failure> {
    match account::access_keys(iam, user).await {
        Err(failure) if failure.reason == Reason::Missing => Ok(Vec::new()),
        keys => keys,
    }
}

/// The keys of a user that the run's attempts have made and nobody has the secrets of: not there
/// before, as old as an attempt, and never used. Looks until there are as many as attempts without an
/// answer, or the doubt is over.
///
/// # Errors
/// AWS's refusal of `iam:ListAccessKeys`; or that there are more than attempts, so that nobody can
/// tell which are the run's.
pub async fn orphans(
    access: &Access<'_>,
    user: Option<&str>,
    known: &[String],
    made: &Made,
    doubt: Doubt,
) -> Result<Vec<String>> {
    let iam = access.iam()?;
    let attempts = made.attempts();
    if attempts.is_empty() {
        return Ok(Vec::new());
    }
    loop {
        let mut new = match keys_of(&iam, user).await {
            // Nothing is missing; this was but a second look.
            Err(_) if made.unanswered.is_empty() => return Ok(Vec::new()),
            keys => keys?,
        };
        new.retain(|key| {
            let before = known.contains(&key.id) || made.access_key_id.as_ref() == Some(&key.id);
            let mut attempts = attempts.iter();
            !before && attempts.any(|attempt| made_by(key, access.sdk.aws_time(*attempt)))
        });
        let mut orphans = Vec::new();
        for key in new {
            if !account::was_used(&iam, &key.id).await {
                orphans.push(key.id);
            }
        }
        if orphans.len() > attempts.len() {
            return Err(ambiguous(user, &orphans));
        }
        if orphans.len() >= made.unanswered.len() || doubt.is_over() {
            return Ok(orphans);
        }
        sleep(Duration::from_millis(500)).await;
    }
}

fn made_by(key: &AccessKey, attempt: Timestamp) -> bool {
    key.created_at.is_none_or(|created| {
        let younger = created.duration_since(attempt);
        -OLDER <= younger && younger <= YOUNGER
    })
}

fn ambiguous(user: Option<&str>, keys: &[String]) -> Error {
    let (whose, named) = match user {
        Some(user) => (format!("`{user}`"), format!(" --user-name {user}")),
        None => ("the root user".to_owned(), String::new()),
    };
    Error::failed(format!(
        "{whose} has several new access keys, and which is this run's nobody knows: {}",
        keys.join(", ")
    ))
    .hint(format!(
        "delete the one that is not used: aws iam delete-access-key{named} --access-key-id ID"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_ends_with_the_age_of_the_thing() {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().expect("a time");
        let ago = |seconds| Some(now - SignedDuration::from_secs(seconds));
        assert!(doubt_since(None, now, SETTLING).is_over());
        assert!(doubt_since(ago(15), now, SETTLING).is_over());
        assert!(!doubt_since(ago(3), now, SETTLING).is_over());
        assert!(!doubt_since(ago(-100), now, SETTLING).is_over());
    }

    #[test]
    fn an_orphan_is_as_old_as_its_attempt() {
        let attempt: Timestamp = "2026-11-25T12:00:00Z".parse().expect("a time");
        let key = |created_at| AccessKey {
            id: "AKIA".into(),
            active: true,
            created_at,
        };
        assert!(made_by(&key(None), attempt));
        let after = |seconds| Some(attempt + SignedDuration::from_secs(seconds));
        for (seconds, by_it) in [(-10, false), (-2, true), (0, true), (40, true), (90, false)] {
            assert_eq!(made_by(&key(after(seconds)), attempt), by_it, "{seconds}");
        }
    }
}
