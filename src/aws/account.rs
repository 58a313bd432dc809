//! What IAM holds before anything is decided: the user, its keys and policies, the account's
//! password policy, how its root user is guarded. Reads only.

use aws_sdk_iam::Client;
use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{StatusType, SummaryKeyType, User as ApiUser};
use jiff::Timestamp;

use crate::aws::failure::{Failure, Reason, ask};
use crate::aws::partition::Partition;
use crate::diagnostic::Diagnostic;
use crate::error::Error;

/// An access key as IAM lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    pub id: String,
    pub active: bool,
    pub created_at: Option<Timestamp>,
}

/// An IAM user as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub arn: String,
    pub access_keys: Vec<AccessKey>,
    /// Of attached managed policies.
    pub policy_arns: Vec<String>,
    /// Whether it has a console password, where somebody wants to know.
    pub has_login_profile: bool,
    /// The ARN of the policy that bounds its permissions.
    pub permissions_boundary: Option<String>,
}

/// What the account demands of console passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    pub minimum_length: usize,
    /// Whether there must be one of each of [`CLASSES`].
    pub required: [bool; 4],
    /// How many of these classes there must be, whichever they are.
    pub classes: usize,
}

const CLASSES: [&str; 4] = ["a lower-case letter", "an upper-case letter", "a digit", "a symbol"];

impl Default for PasswordPolicy {
    /// What IAM demands where the account sets nothing: 8 characters of three of the four classes
    /// (IAM user guide, "Setting an account password policy").
    fn default() -> Self {
        PasswordPolicy { minimum_length: 8, required: [false; 4], classes: 3 }
    }
}

/// The symbols that IAM counts as such.
pub const PASSWORD_SYMBOLS: &str = "!@#$%^&*()_+-=[]{}|'";

impl PasswordPolicy {
    pub fn check(&self, password: &str) -> crate::error::Result<()> {
        let missing = self.missing_in(password);
        if missing.is_empty() {
            return Ok(());
        }
        let refused = "the account's password policy refuses this console password: it needs";
        Err(Error::failed(format!("{refused} {}", missing.join(", "))).hint(
            "choose another one, or let cloudcred make one that fits: --console-password generate",
        ))
    }

    /// What the password lacks, in words; empty when it fits.
    pub fn missing_in(&self, password: &str) -> Vec<String> {
        let mut missing = Vec::new();
        let length = password.chars().count();
        if length < self.minimum_length {
            missing.push(format!("at least {} characters", self.minimum_length));
        }
        if length > 128 {
            missing.push("at most 128 characters".to_owned());
        }
        let symbol = |c: &char| PASSWORD_SYMBOLS.contains(*c);
        let classes: [&dyn Fn(&char) -> bool; 4] =
            [&char::is_ascii_lowercase, &char::is_ascii_uppercase, &char::is_ascii_digit, &symbol];
        let has = classes.map(|class| password.chars().any(|c| class(&c)));
        let lacks = |class: &usize| self.required[*class] && !has[*class];
        missing.extend((0..4).filter(lacks).map(|class| CLASSES[class].to_owned()));
        if has.iter().filter(|has| **has).count() < self.classes {
            missing.push(format!("at least {} of: {}", self.classes, CLASSES.join(", ")));
        }
        missing
    }
}

/// The user of that name; `Missing` where there is none.
pub async fn get_user(iam: &Client, name: &str) -> Result<ApiUser, Failure> {
    const OPERATION: &str = "iam:GetUser";
    let answer = ask(OPERATION, iam.get_user().user_name(name).send()).await?;
    // The SDK makes an empty text of what is not there.
    let user = answer.user.filter(|user| !user.arn.is_empty());
    user.ok_or_else(|| Failure::without(OPERATION, "the user"))
}

/// The same, or `None`, with what it has; `with_login_profile` also looks for a console password.
pub async fn user(
    iam: &Client,
    name: &str,
    with_login_profile: bool,
) -> Result<Option<User>, Failure> {
    let Some(user) = if_there(get_user(iam, name).await)? else { return Ok(None) };
    let has_login_profile =
        async { Ok(with_login_profile && login_profile(iam, name).await?.is_some()) };
    let (access_keys, policy_arns, has_login_profile) =
        tokio::try_join!(access_keys(iam, Some(name)), policy_arns(iam, name), has_login_profile)?;
    let boundary = user.permissions_boundary;
    Ok(Some(User {
        permissions_boundary: boundary.and_then(|it| it.permissions_boundary_arn),
        arn: user.arn,
        access_keys,
        policy_arns,
        has_login_profile,
    }))
}

fn if_there<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Err(failure) if failure.reason == Reason::Missing => Ok(None),
        answer => answer.map(Some),
    }
}

/// The user's keys, oldest first as IAM lists them; without a name, those of the caller.
pub async fn access_keys(iam: &Client, user: Option<&str>) -> Result<Vec<AccessKey>, Failure> {
    // IAM allows two keys a user, so there is no second page.
    let call = iam.list_access_keys().set_user_name(user.map(str::to_owned)).send();
    let keys = ask("iam:ListAccessKeys", call).await?.access_key_metadata.into_iter();
    let keys = keys.filter_map(|key| {
        Some(AccessKey {
            id: key.access_key_id?,
            active: key.status == Some(StatusType::Active),
            created_at: key.create_date.as_ref().and_then(time),
        })
    });
    Ok(keys.collect())
}

/// The ARNs of the managed policies that are attached to the user.
pub async fn policy_arns(iam: &Client, user: &str) -> Result<Vec<String>, Failure> {
    // One page holds 100, and IAM allows 20 managed policies a user at most.
    let call = iam.list_attached_user_policies().user_name(user).send();
    let answer = ask("iam:ListAttachedUserPolicies", call).await?;
    let policies = answer.attached_policies.unwrap_or_default().into_iter();
    Ok(policies.filter_map(|policy| policy.policy_arn).collect())
}

/// When a key was last used; `None` where IAM says that it never was (API reference,
/// GetAccessKeyLastUsed). Not being allowed to ask says nothing.
pub async fn last_used(iam: &Client, id: &str) -> Result<Option<Timestamp>, Failure> {
    const OPERATION: &str = "iam:GetAccessKeyLastUsed";
    let answer = ask(OPERATION, iam.get_access_key_last_used().access_key_id(id).send()).await?;
    let last = answer.access_key_last_used;
    let last = last.ok_or_else(|| Failure::without(OPERATION, "the key's last use"))?;
    Ok(last.last_used_date.as_ref().and_then(time))
}

/// When the user got its console password; `None` where it has none.
pub async fn login_profile(iam: &Client, user: &str) -> Result<Option<Timestamp>, Failure> {
    const OPERATION: &str = "iam:GetLoginProfile";
    let answer = ask(OPERATION, iam.get_login_profile().user_name(user).send()).await;
    let Some(answer) = if_there(answer)? else { return Ok(None) };
    let created_at = answer.login_profile.and_then(|profile| time(&profile.create_date));
    created_at.map(Some).ok_or_else(|| Failure::without(OPERATION, "the login profile"))
}

pub fn time(date: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(date.secs()).ok()
}

/// The account's password policy; IAM's default where the account sets none.
pub async fn password_policy(iam: &Client) -> Result<PasswordPolicy, Failure> {
    let call = ask("iam:GetAccountPasswordPolicy", iam.get_account_password_policy().send());
    let policy = if_there(call.await)?.and_then(|answer| answer.password_policy);
    Ok(policy.map_or_else(PasswordPolicy::default, |policy| PasswordPolicy {
        minimum_length: policy.minimum_password_length.map_or(6, |length| length.max(0) as usize),
        required: [
            policy.require_lowercase_characters,
            policy.require_uppercase_characters,
            policy.require_numbers,
            policy.require_symbols,
        ],
        classes: 0,
    }))
}

/// How well the root user is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootUser {
    pub has_access_key: bool,
    /// Whether somebody could sign in as root with a password alone.
    pub lacks_mfa: bool,
}

impl RootUser {
    /// `account` has twelve digits.
    pub fn weaknesses(&self, account: &str, partition: Partition) -> Vec<Diagnostic> {
        let page = partition.security_credentials();
        let whose = format!("the root user of account {account} has");
        let key = Diagnostic::new(
            "root_access_key",
            format!("{whose} an access key without any limits"),
            format!("delete it once nothing uses it, at {page}"),
        );
        let mfa = Diagnostic::new(
            "root_without_mfa",
            format!("{whose} no MFA: its password is enough"),
            format!("add MFA as root, at {page}"),
        );
        let all = [(self.has_access_key, key), (self.lacks_mfa, mfa)].into_iter();
        all.filter_map(|(applies, weakness)| applies.then_some(weakness)).collect()
    }
}

/// Asks IAM (API reference, GetAccountSummary).
pub async fn root_user(iam: &Client) -> Result<RootUser, Failure> {
    let answer = ask("iam:GetAccountSummary", iam.get_account_summary().send()).await?;
    let summary = answer.summary_map.unwrap_or_default();
    let count = |what: SummaryKeyType| summary.get(&what).copied();
    Ok(RootUser {
        has_access_key: count(SummaryKeyType::AccountAccessKeysPresent) > Some(0),
        // Member accounts of an organization may have no root password at all.
        lacks_mfa: count(SummaryKeyType::AccountMfaEnabled) == Some(0)
            && count(SummaryKeyType::AccountPasswordPresent) != Some(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_told_all_that_it_lacks() {
        let policy = PasswordPolicy { minimum_length: 14, required: [true; 4], classes: 0 };
        assert_eq!(
            policy.missing_in("short"),
            ["at least 14 characters", "an upper-case letter", "a digit", "a symbol"]
        );
        assert!(policy.missing_in("Long-Enough-4-It").is_empty());
        let none = PasswordPolicy { minimum_length: 6, classes: 0, ..PasswordPolicy::default() };
        assert!(none.missing_in("simple").is_empty());
        assert!(!none.missing_in(&"x".repeat(129)).is_empty());
    }

    #[test]
    fn where_the_account_sets_nothing_any_three_classes_do() {
        let policy = PasswordPolicy::default();
        for fits in ["Password1", "password-1", "PASSWORD-1", "Password-"] {
            assert_eq!(policy.missing_in(fits), [""; 0], "{fits}");
        }
        for (wrong, lacks) in
            [("password1", "at least 3 of: a lower-case letter"), ("Pa-1", "at least 8 characters")]
        {
            let missing = policy.missing_in(wrong).join("; ");
            assert!(missing.starts_with(lacks), "{wrong}: {missing}");
        }
    }

    #[test]
    fn each_weakness_says_what_to_do() {
        let partition = Partition::of_region("us-east-1");
        let codes = |has_access_key, lacks_mfa| -> Vec<&str> {
            let root = RootUser { has_access_key, lacks_mfa };
            let weaknesses = root.weaknesses("111122223333", partition);
            assert!(weaknesses.iter().all(|it| it.hint.contains("https://")));
            weaknesses.iter().map(|it| it.code).collect()
        };
        assert_eq!(codes(true, true), ["root_access_key", "root_without_mfa"]);
        assert!(codes(false, false).is_empty());
    }
}
