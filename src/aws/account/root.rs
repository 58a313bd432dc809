//! How the account's root user is guarded, and what to do about it. Reads only.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::SummaryKeyType;

use crate::aws::failure::{Failure, ask};
use crate::aws::partition::Partition;
use crate::diagnostic::Diagnostic;

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
