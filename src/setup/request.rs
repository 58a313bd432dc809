//! Everything that the user wants: first as far as flags say it, then complete. Inert values and
//! the rules that they must keep; reads nothing and asks nothing.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::aws::found::{Found, Source};
use crate::error::{Error, Result};
use crate::secret::KeyPair;
use crate::store::{SecretName, StoreKind};

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

/// IAM's rule for user names (API reference, CreateUser): 1 to 64 of `[\w+=,.@-]`, ASCII.
///
/// # Errors
/// `Usage`, with the rule.
pub fn check_user_name(name: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::usage(format!("`{name}` is no valid IAM user name"))
        .hint("use 1 to 64 letters, digits and _+=,.@- with --user-name"))
}

/// # Errors
/// `Usage`, when it is no policy's ARN.
pub fn check_policy_arn(arn: &str) -> Result<()> {
    let mut parts = arn.splitn(6, ':');
    let mut is = |expected: &dyn Fn(&str) -> bool| parts.next().is_some_and(expected);
    let valid = is(&|arn| arn == "arn")
        && is(&|partition| partition.starts_with("aws"))
        && is(&|service| service == "iam")
        && is(&str::is_empty)
        && is(&|account| account == "aws" || account.len() == 12)
        && is(&|resource| {
            resource
                .strip_prefix("policy/")
                .is_some_and(|name| !name.is_empty())
        });
    if valid {
        return Ok(());
    }
    Err(Error::usage(format!("`{arn}` is no ARN of a policy"))
        .hint("give it as in arn:aws:iam::aws:policy/ReadOnlyAccess, or arn:aws:iam::111122223333:policy/NAME"))
}

/// IAM's rule for tag values (API reference, Tag): at most 256 letters, digits, spaces and
/// `_.:/=+-@`.
///
/// # Errors
/// `Usage`, naming the characters that are refused.
pub fn check_key_description(description: &str) -> Result<()> {
    check_tag_text(description, 0, 256).map_err(|why| {
        Error::usage(format!("AWS refuses this key description: {why}"))
            .hint("use up to 256 letters, digits, spaces and _.:/=+-@ with --key-description")
    })
}

/// Takes `KEY=VALUE`s apart and checks them by IAM's rules: their characters, no key twice
/// (whatever its case), and at most 50 tags a user, three of which are ours.
///
/// # Errors
/// `Usage`, with the rule.
pub fn parse_tags(texts: &[String]) -> Result<Vec<(String, String)>> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for text in texts {
        let (key, value) = parse_tag(text)?;
        if tags
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(&key))
        {
            return Err(Error::usage(format!("the tag `{key}` is given twice"))
                .hint("give each --tag once; IAM does not tell `a` from `A`"));
        }
        tags.push((key, value));
    }
    if tags.len() > 47 {
        return Err(Error::usage(format!("{} tags are too many", tags.len()))
            .hint("give at most 47; IAM allows 50, and cloudcred adds three"));
    }
    Ok(tags)
}

fn parse_tag(text: &str) -> Result<(String, String)> {
    let wrong = |why: String| {
        Error::usage(format!("`{text}` is no valid tag: {why}"))
            .hint("use --tag KEY=VALUE with letters, digits, spaces and _.:/=+-@")
    };
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| wrong("it has no `=`".to_owned()))?;
    check_tag_text(key, 1, 128).map_err(|why| wrong(format!("its key: {why}")))?;
    check_tag_text(value, 0, 256).map_err(|why| wrong(format!("its value: {why}")))?;
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(wrong("keys that start with aws: belong to AWS".to_owned()));
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn check_tag_text(text: &str, shortest: usize, longest: usize) -> Result<(), String> {
    let length = text.chars().count();
    if length < shortest {
        return Err("it is empty".to_owned());
    }
    if length > longest {
        return Err(format!("it has {length} characters, more than {longest}"));
    }
    let mut refused: Vec<char> = text.chars().filter(|c| !tag_character(*c)).collect();
    refused.dedup();
    if refused.is_empty() {
        return Ok(());
    }
    let refused: Vec<String> = refused
        .iter()
        .map(|c| match c.is_control() {
            true => format!("`{}`", c.escape_default()),
            false => format!("`{c}`"),
        })
        .collect();
    Err(format!("it contains {}", refused.join(" ")))
}

fn tag_character(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}

/// `CloudStudio on ana-laptop`, without what a tag refuses.
pub fn default_key_description(host_name: Option<&str>) -> String {
    match host_name {
        Some(host) => {
            let host: String = host
                .chars()
                .filter(|c| tag_character(*c))
                .take(100)
                .collect();
            format!("CloudStudio on {host}")
        }
        None => "CloudStudio".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn user_names_follow_iams_rule() {
        for name in ["a", "ci-admin", "A_b+c=d,e.f@g-h", &"x".repeat(64)] {
            check_user_name(name).expect("allowed");
        }
        for name in ["", "a b", "a/b", "ü", "a:b", &"x".repeat(65)] {
            assert_eq!(check_user_name(name).expect_err(name).kind, Kind::Usage);
        }
    }

    #[test]
    fn descriptions_name_the_characters_that_tags_refuse() {
        check_key_description("CloudStudio on ana-laptop, no").expect_err("comma");
        let error = check_key_description("it's (mine)").expect_err("refused");
        assert!(error.message.contains("`'` `(` `)`"), "{}", error.message);
        check_key_description("Ünïcode letters are fine").expect("allowed");
        check_key_description("").expect("an empty value is allowed");
        check_key_description(&"x".repeat(257)).expect_err("too long");
    }

    #[test]
    fn a_default_description_is_always_accepted() {
        for host in [None, Some("ana-laptop"), Some("weird,host(name)#")] {
            check_key_description(&default_key_description(host)).expect("made to fit");
        }
    }

    #[test]
    fn tags_are_taken_apart_at_the_first_sign() {
        let parse =
            |tags: &[&str]| parse_tags(&tags.iter().map(|tag| tag.to_string()).collect::<Vec<_>>());
        assert_eq!(
            parse(&["a=b=c", "d="]).expect("valid"),
            [("a".into(), "b=c".into()), ("d".into(), String::new())]
        );
        for wrong in [
            &["a"][..],
            &["=b"],
            &["aws:x=y"],
            &["a=(b)"],
            &["a=1", "A=2"],
        ] {
            let error = parse(wrong).expect_err(wrong[0]);
            assert_eq!(error.kind, Kind::Usage);
        }
    }
}
