//! How the account's root user is guarded, and what to do about it. Reads only.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::SummaryKeyType;

use crate::aws::console::Console;
use crate::aws::failure::Failure;

/// How well the root user is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootUser {
    pub has_access_key: bool,
    /// Whether somebody could sign in as root with a password alone.
    pub lacks_mfa: bool,
}

/// Something that is wrong with an account, with a code for scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub code: &'static str,
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl RootUser {
    /// `account` has twelve digits.
    pub fn findings(&self, account: &str, console: Console) -> Vec<Finding> {
        let page = console.security_credentials();
        let key = self.has_access_key.then(|| Finding {
            code: "root_access_key",
            message: format!(
                "the root user of account {account} has an access key, which may do everything"
            ),
            hint: format!("delete it once nothing uses it, at {page}"),
        });
        let mfa = self.lacks_mfa.then(|| Finding {
            code: "root_without_mfa",
            message: format!(
                "the root user of account {account} has no MFA: its password alone opens the account"
            ),
            hint: format!("add MFA as root, at {page}"),
        });
        key.into_iter().chain(mfa).collect()
    }
}

/// How the root user is guarded (API reference, GetAccountSummary).
pub async fn root_user(iam: &Client) -> Result<RootUser, Failure> {
    let answer = iam.get_account_summary().send().await;
    let answer = answer.map_err(|error| Failure::of("iam:GetAccountSummary", error))?;
    let summary = answer.summary_map.unwrap_or_default();
    let says = |what: SummaryKeyType, count: i32| summary.get(&what) == Some(&count);
    Ok(RootUser {
        has_access_key: summary
            .get(&SummaryKeyType::AccountAccessKeysPresent)
            .is_some_and(|keys| *keys > 0),
        // Member accounts of an organization may have no root password at all.
        lacks_mfa: says(SummaryKeyType::AccountMfaEnabled, 0)
            && !says(SummaryKeyType::AccountPasswordPresent, 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_says_what_to_do() {
        let console = Console::of_region("us-east-1");
        let codes = |has_access_key, lacks_mfa| -> Vec<&str> {
            let root = RootUser { has_access_key, lacks_mfa };
            let findings = root.findings("111122223333", console);
            assert!(findings.iter().all(|it| it.hint.contains("https://")));
            findings.iter().map(|finding| finding.code).collect()
        };
        assert_eq!(codes(true, true), ["root_access_key", "root_without_mfa"]);
        assert!(codes(false, false).is_empty());
    }
}
