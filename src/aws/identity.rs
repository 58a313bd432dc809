//! Who credentials are: STS's answer, taken apart. Reads only.

use crate::aws::failure::{Failure, ask_within_limit};
use crate::aws::partition::Partition;
use crate::aws::sdk::{Sdk, Session};

/// What `GetCallerIdentity` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account_id: String,
    pub arn: String,
    pub principal: Principal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    Root,
    /// An IAM user, by its name without path.
    User(String),
    /// A role session, an Identity Center user or a federated user, as the ARN has it.
    Session(String),
}

impl Identity {
    /// Takes an ARN apart: `arn:{partition}:{service}::{account}:{resource}`.
    pub fn new(account_id: impl Into<String>, arn: impl Into<String>) -> Self {
        let arn = arn.into();
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        let principal = match resource.split_once('/') {
            None if resource == "root" => Principal::Root,
            Some(("user", path)) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                Principal::User(name.to_owned())
            }
            _ => Principal::Session(resource.to_owned()),
        };
        Identity { account_id: account_id.into(), arn, principal }
    }

    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }

    pub fn is_root(&self) -> bool {
        self.principal == Principal::Root
    }

    pub fn user_name(&self) -> Option<&str> {
        if let Principal::User(name) = &self.principal { Some(name) } else { None }
    }

    /// A user of that name, without a path, in the same account.
    pub fn user(&self, name: &str) -> Identity {
        let (partition, account) = (self.partition(), &self.account_id);
        Identity::new(account, format!("arn:{partition}:iam::{account}:user/{name}"))
    }

    /// `user/ana`, `the root user`, `role/ci`: without the session's name, which says little.
    pub fn short(&self) -> String {
        match &self.principal {
            Principal::Root => "the root user".to_owned(),
            Principal::User(name) => format!("user/{name}"),
            Principal::Session(session) => match session.split('/').collect::<Vec<_>>()[..] {
                ["assumed-role", role, ..] => format!("role/{role}"),
                _ => session.clone(),
            },
        }
    }

    /// `user/ana in 111122223333`.
    pub fn described(&self) -> String {
        format!("{} in {}", self.short(), self.account_id)
    }

    /// Where the account's users sign in to the console; `None` in a partition that is not known.
    pub fn console_url(&self) -> Option<String> {
        let domain = Partition::with_id(self.partition())?.console_domain;
        Some(format!("https://{}.signin.{domain}/console", self.account_id))
    }

    /// The managed policy of that name in this partition.
    pub fn managed_policy_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::aws:policy/{name}", self.partition())
    }
}

/// Asks STS who the session is.
pub async fn caller_identity(sdk: &Sdk, session: &Session) -> Result<Identity, Failure> {
    const OPERATION: &str = "sts:GetCallerIdentity";
    let call = sdk.sts(session).get_caller_identity().send();
    let answer = ask_within_limit(OPERATION, call).await?;
    match (answer.account, answer.arn) {
        (Some(account), Some(arn)) => Ok(Identity::new(account, arn)),
        _ => Err(Failure::without(OPERATION, "the account or the ARN")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(arn: &str) -> Identity {
        Identity::new("111122223333", arn)
    }

    #[test]
    fn an_arn_names_the_principal() {
        let root = identity("arn:aws:iam::111122223333:root");
        assert!(root.is_root());
        let user = identity("arn:aws-cn:iam::111122223333:user/team/ana");
        assert_eq!(user.user_name(), Some("ana"));
        assert_eq!(user.partition(), "aws-cn");
        assert_eq!(user.described(), "user/ana in 111122223333");
        let session = identity("arn:aws:sts::111122223333:assumed-role/ci/run");
        assert_eq!(session.short(), "role/ci");
        let trick = identity("arn:aws:iam::111122223333:user/root");
        assert!(!trick.is_root(), "a user called root is not the root user");
    }

    #[test]
    fn addresses_and_policies_follow_the_partition() {
        let gov = identity("arn:aws-us-gov:iam::111122223333:user/ana");
        for (partition, host) in [
            ("aws", "signin.aws.amazon.com"),
            ("aws-us-gov", "signin.amazonaws-us-gov.com"),
            ("aws-eusc", "signin.amazonaws-eusc.eu"),
        ] {
            let identity = identity(&format!("arn:{partition}:iam::111122223333:user/ana"));
            let url = format!("https://111122223333.{host}/console");
            assert_eq!(identity.console_url(), Some(url));
        }
        let unknown = identity("arn:aws-moon:iam::111122223333:user/ana");
        assert_eq!(unknown.console_url(), None, "no link is better than a wrong one");
        assert_eq!(
            gov.managed_policy_arn("AdministratorAccess"),
            "arn:aws-us-gov:iam::aws:policy/AdministratorAccess"
        );
    }
}
