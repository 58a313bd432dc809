//! Everything that the user wants: first as far as flags say it, then complete. Inert values and
//! the rules that they must keep; reads nothing and asks nothing.

mod rules;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::aws::found::{Found, Source};
use crate::error::Result;
use crate::secret::KeyPair;
use crate::store::{SecretName, StoreKind};

pub use rules::{
    check_key_description, check_policy_arn, check_user_name, default_key_description, parse_tags,
};

/// `--mode`, without `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Leave the AWS CLI configuration that works in place.
    Existing,
    IamUser,
    Root,
}

/// `--if-exists`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum IfExists {
    /// Stop when the user exists
    Fail,
    /// Keep the user, and add what it lacks
    Reuse,
}

/// `--console-password`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PasswordChoice {
    /// No console password
    None,
    /// Make one that fits the account's policy, and show it once
    Generate,
    /// Ask for it, twice
    Prompt,
    /// Read it from standard input
    Stdin,
}

/// What flags and standard input say. `None` and empty lists are open questions.
#[derive(Default)]
pub struct Wanted {
    pub mode: Option<Mode>,
    pub user_name: Option<String>,
    pub policy_arns: Vec<String>,
    pub permissions_boundary: Option<String>,
    /// As given: `KEY=VALUE`.
    pub tags: Vec<String>,
    pub console_password: Option<PasswordChoice>,
    pub key_description: Option<String>,
    pub if_exists: Option<IfExists>,
    pub secret: Option<String>,
    pub store: Option<StoreKind>,
    pub no_current: bool,
    pub aws_profile: Option<String>,
    pub root_risk_acknowledged: bool,
    pub retire_root_key: bool,
    /// The pair from `--key-stdin`.
    pub given_pair: Option<KeyPair>,
    /// The password from `--console-password stdin`.
    pub given_password: Option<SecretString>,
}

impl Wanted {
    /// Checks all that flags say, by AWS's rules and ours, before anybody is asked anything.
    ///
    /// # Errors
    /// `Usage`, with the rule.
    pub fn check(&self) -> Result<()> {
        parse_tags(&self.tags)?;
        let mut arns = self.policy_arns.iter().chain(&self.permissions_boundary);
        arns.try_for_each(|arn| check_policy_arn(arn))?;
        self.user_name.as_deref().map_or(Ok(()), check_user_name)?;
        let description = self.key_description.as_deref();
        description.map_or(Ok(()), check_key_description)?;
        self.secret.as_deref().map(SecretName::new).transpose()?;
        Ok(())
    }

    /// The flags that say what to create or to keep, as far as they are given.
    pub fn of_a_new_key(&self) -> Vec<&'static str> {
        let mut flags = self.of_a_user();
        flags.extend(given([
            ("--if-exists", self.if_exists.is_some()),
            ("--secret", self.secret.is_some()),
            ("--store", self.store.is_some()),
            ("--aws-profile", self.aws_profile.is_some()),
        ]));
        flags
    }

    /// Those that say something of an IAM user only.
    pub fn of_a_user(&self) -> Vec<&'static str> {
        given([
            ("--user-name", self.user_name.is_some()),
            ("--policy-arn", !self.policy_arns.is_empty()),
            (
                "--permissions-boundary",
                self.permissions_boundary.is_some(),
            ),
            ("--tag", !self.tags.is_empty()),
            ("--console-password", self.console_password.is_some()),
            ("--key-description", self.key_description.is_some()),
        ])
    }
}

fn given<const N: usize>(flags: [(&'static str, bool); N]) -> Vec<&'static str> {
    let flags = flags.into_iter();
    flags
        .filter_map(|(flag, given)| given.then_some(flag))
        .collect()
}

/// The complete wish.
pub enum Request {
    Existing(ExistingRequest),
    IamUser(Box<IamUserRequest>),
    Root(RootRequest),
}

pub struct ExistingRequest {
    /// What stays in place.
    pub found: Found,
    /// Flags that then mean nothing.
    pub unused: Vec<&'static str>,
}

impl Request {
    /// Where the pair is kept, if it is.
    pub fn keep(&self) -> Option<&Keep> {
        match self {
            Request::Existing(_) => None,
            Request::IamUser(request) => Some(&request.keep),
            Request::Root(request) => Some(&request.keep),
        }
    }

    /// The credentials that do the work, or that stay in place.
    pub fn caller(&self) -> &Found {
        match self {
            Request::Existing(request) => &request.found,
            Request::IamUser(request) => &request.bootstrap,
            Request::Root(request) => &request.checked,
        }
    }

    /// The command that asks for the same without questions; `None` where there is nothing to do, or
    /// no command line that every shell reads alike.
    pub fn as_command(&self) -> Option<String> {
        let mut words = vec!["cloudcred setup --yes".to_owned()];
        let mut safe = true;
        let mut from = "";
        let mut flag = |name: &str, value: &str| {
            let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
            // In double quotes, these mean something to one shell or another.
            safe &= !value.contains(['"', '$', '`', '\\', '!', '%']);
            words.push(match value.chars().all(bare) && !value.is_empty() {
                true => format!("--{name} {value}"),
                false => format!("--{name} \"{value}\""),
            });
        };
        let keep = match self {
            Request::Existing(_) => return None,
            Request::IamUser(request) => {
                flag("mode", "iam-user");
                if let Some(profile) = request.bootstrap.source.profile_name() {
                    flag("profile", profile);
                }
                flag("user-name", &request.user_name);
                match request.console_password {
                    ConsolePassword::None => {}
                    ConsolePassword::Generate => flag("console-password", "generate"),
                    // Standard input can bring one thing only.
                    ConsolePassword::Given(_) if request.bootstrap.source == Source::Given => {
                        return None;
                    }
                    ConsolePassword::Given(_) => {
                        flag("console-password", "stdin");
                        from = " < PASSWORD_FILE";
                    }
                }
                if let Some(description) = &request.key_description {
                    flag("key-description", description);
                }
                for arn in request
                    .policy_arns
                    .iter()
                    .filter(|_| !request.default_policy())
                {
                    flag("policy-arn", arn);
                }
                if let Some(arn) = &request.permissions_boundary {
                    flag("permissions-boundary", arn);
                }
                for (key, value) in &request.tags {
                    flag("tag", &format!("{key}={value}"));
                }
                &request.keep
            }
            Request::Root(request) => {
                flag("mode", "root");
                if let Some(profile) = request.checked.source.profile_name() {
                    flag("profile", profile);
                }
                &request.keep
            }
        };
        let default_name = match self {
            Request::IamUser(request) => &request.user_name,
            _ => "root",
        };
        if keep.secret.as_str() != default_name {
            flag("secret", keep.secret.as_str());
        }
        flag("store", keep.store.name());
        // So that it can be run more than once.
        flag("if-exists", "reuse");
        if let Some(profile) = &keep.aws_profile {
            flag("aws-profile", profile);
        }
        if !keep.make_current {
            words.push("--no-current".to_owned());
        }
        if matches!(self, Request::Root(_)) {
            words.push("--acknowledge-root-risk".to_owned());
        }
        if matches!(self, Request::IamUser(request) if request.retire.is_some()) {
            words.push("--retire-root-key".to_owned());
        }
        if self.caller().source == Source::Given {
            words.push("--key-stdin".to_owned());
            from = " < KEY_FILE";
        }
        safe.then(|| words.join(" ") + from)
    }
}

pub struct IamUserRequest {
    /// The credentials that create the user.
    pub bootstrap: Found,
    pub user_name: String,
    /// At least one.
    pub policy_arns: Vec<String>,
    pub permissions_boundary: Option<String>,
    pub tags: Vec<(String, String)>,
    pub console_password: ConsolePassword,
    /// `None` for a key that keeps the description it has.
    pub key_description: Option<String>,
    /// A key that the user itself has already: it is kept instead of a new one.
    pub own_key: Option<KeyPair>,
    /// The root key that created the user, where it is to be retired afterwards.
    pub retire: Option<String>,
    /// `None` where the question was left open and nobody could be asked.
    pub if_exists: Option<IfExists>,
    pub keep: Keep,
}

impl IamUserRequest {
    fn default_policy(&self) -> bool {
        matches!(&self.policy_arns[..], [arn] if is_administrator_access(arn))
    }
}

/// AWS's own policy of that name, in every partition.
pub fn is_administrator_access(policy_arn: &str) -> bool {
    policy_arn.ends_with(":iam::aws:policy/AdministratorAccess")
}

pub struct RootRequest {
    /// The key to keep; `None` where a new one is to be made.
    pub pair: Option<KeyPair>,
    /// That key, or what makes the new one. Checked: it works, and it is root's.
    pub checked: Found,
    /// Flags that mean nothing without a user.
    pub unused: Vec<&'static str>,
    pub if_exists: Option<IfExists>,
    pub keep: Keep,
}

pub enum ConsolePassword {
    None,
    Generate,
    Given(SecretString),
}

impl ConsolePassword {
    pub fn is_generated(&self) -> bool {
        matches!(self, ConsolePassword::Generate)
    }
}

/// Where and under which name the pair is kept.
#[derive(Clone, Debug)]
pub struct Keep {
    pub secret: SecretName,
    pub store: StoreKind,
    pub make_current: bool,
    /// The AWS profile that is to read the secret.
    pub aws_profile: Option<String>,
    /// The user agreed, for this very name, that what it holds is replaced.
    pub replace: bool,
}
