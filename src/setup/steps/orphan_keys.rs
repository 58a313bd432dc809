//! Keys whose secret nobody ever got: CreateAccessKey made them, and the answer was lost. Reads only.

use jiff::Timestamp;

use crate::aws::account::{self, AccessKey};
use crate::aws::evidence::{Look, SETTLING, settled, thrice};
use crate::aws::failure::{Failure, Reason};
use crate::setup::steps::context::Access;

/// A key that one of the attempts may have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    pub id: String,
    /// Whether IAM says for sure that it was never used, as it must be where nobody has its secret.
    pub never_used: bool,
}

/// The keys that the attempts may have made: not known before, as old as an attempt, and not known to
/// be used. That may be somebody else's new key as well. Looks for the whole settling time, or until
/// there are as many as attempts, which were `sent` then by AWS's clock.
pub async fn suspects(
    access: &Access<'_>,
    user: Option<&str>,
    known: &[&String],
    sent: &[Timestamp],
) -> Result<Vec<Suspect>, Failure> {
    settled(|| async {
        let mut suspects = Vec::new();
        for key in keys_of(access, user).await? {
            let is_known = known.contains(&&key.id);
            if is_known || !sent.iter().any(|sent| may_come_from(&key, *sent)) {
                continue;
            }
            match account::last_used(&access.iam()?, &key.id).await {
                Ok(Some(_)) => {}
                used => suspects.push(Suspect { id: key.id, never_used: used.is_ok() }),
            }
        }
        let all_found = suspects.len() >= sent.len();
        Ok(if all_found { Look::Sure(suspects) } else { Look::Unsure(suspects) })
    })
    .await
}

/// In words, and as the AWS CLI is told.
pub fn whose_keys(user: Option<&str>) -> (String, String) {
    match user {
        Some(user) => (format!("`{user}`"), format!(" --user-name {user}")),
        None => ("the root user".to_owned(), String::new()),
    }
}

/// The keys that one server shows; no user has none.
pub async fn listed(access: &Access<'_>, user: Option<&str>) -> Result<Vec<AccessKey>, Failure> {
    match account::access_keys(&access.fresh_iam()?, user).await {
        Err(failure) if failure.reason == Reason::Missing => Ok(Vec::new()),
        keys => keys,
    }
}

pub async fn is_listed(access: &Access<'_>, user: Option<&str>, id: &str) -> Result<bool, Failure> {
    Ok(listed(access, user).await?.iter().any(|key| key.id == id))
}

/// All keys that any of three servers shows.
pub async fn keys_of(access: &Access<'_>, user: Option<&str>) -> Result<Vec<AccessKey>, Failure> {
    let mut keys: Vec<AccessKey> = Vec::new();
    for key in thrice(|| listed(access, user)).await?.into_iter().flatten() {
        if !keys.iter().any(|it| it.id == key.id) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// A request may be long on its way; IAM tells whole seconds.
fn may_come_from(key: &AccessKey, sent: Timestamp) -> bool {
    let settling = SETTLING.as_secs() as i64;
    key.created_at.is_none_or(|created| {
        (-settling..=4 * settling).contains(&created.duration_since(sent).as_secs())
    })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_suspect_is_as_old_as_its_attempt() {
        let sent: Timestamp = "2026-11-25T12:00:00Z".parse().expect("a time");
        let key = |created_at| AccessKey { id: "AKIA".into(), active: true, created_at };
        assert!(may_come_from(&key(None), sent));
        let after = |seconds| Some(sent + SignedDuration::from_secs(seconds));
        for (seconds, expected) in [(-20, false), (-2, true), (0, true), (40, true), (90, false)] {
            assert_eq!(may_come_from(&key(after(seconds)), sent), expected, "{seconds}");
        }
    }
}
