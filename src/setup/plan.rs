//! Request and Facts in, steps out: a pure function. No I/O, no questions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::account::{AccessKey, User};
use crate::error::{Error, Result};
use crate::setup::facts::{Facts, UserFact};
use crate::setup::request::{
    ConsolePassword, IamUserRequest, IfExists, Keep, Request, RootRequest,
};
use crate::store::{SecretName, StoreKind};

/// Marks the users that cloudcred made, among others for audits.
pub const CREATED_BY_TAG: (&str, &str) = ("created-by", "cloudcred");
/// Tells which run made a user, should the answer to CreateUser get lost.
pub const RUN_TAG: &str = "cloudcred-run";

/// One change. The journal holds steps as they are, so they hold no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    CreateUser {
        user_name: String,
        tags: Vec<(String, String)>,
        permissions_boundary: Option<String>,
    },
    AttachPolicy {
        user_name: String,
        policy_arn: String,
    },
    CreateLoginProfile {
        user_name: String,
    },
    /// Creates a key and keeps it: one step, because in between nobody but us has the secret.
    CreateAccessKey {
        user_name: String,
        secret: SecretName,
        store: StoreKind,
        /// The user's keys before: any other one is this step's.
        known_key_ids: Vec<String>,
    },
    DescribeAccessKey {
        user_name: String,
        description: String,
    },
    /// Keeps a pair that the user brought along.
    StoreSecret {
        secret: SecretName,
        store: StoreKind,
    },
    /// Until STS and IAM accept the key wherever they are asked.
    Verify {
        /// Whether the policies allow reading IAM, so that IAM must answer, too.
        reads_iam: bool,
    },
    SetCurrent {
        secret: SecretName,
    },
}

impl Step {
    /// As the journal and `--output json` name it.
    pub fn name(&self) -> &'static str {
        match self {
            Step::CreateUser { .. } => "create_user",
            Step::AttachPolicy { .. } => "attach_policy",
            Step::CreateLoginProfile { .. } => "create_login_profile",
            Step::CreateAccessKey { .. } => "create_access_key",
            Step::DescribeAccessKey { .. } => "describe_access_key",
            Step::StoreSecret { .. } => "store_secret",
            Step::Verify { .. } => "verify",
            Step::SetCurrent { .. } => "set_current",
        }
    }

    /// For people: what is done, and with what.
    pub fn described(&self) -> (&'static str, String) {
        match self {
            Step::CreateUser {
                user_name,
                permissions_boundary,
                ..
            } => (
                "create IAM user",
                match permissions_boundary {
                    Some(boundary) => format!("{user_name}, bounded by {boundary}"),
                    None => user_name.clone(),
                },
            ),
            Step::AttachPolicy { policy_arn, .. } => ("attach policy", policy_meaning(policy_arn)),
            Step::CreateLoginProfile { user_name } => {
                ("set console password", format!("for {user_name}"))
            }
            Step::CreateAccessKey { secret, store, .. } => (
                "create access key",
                format!("and keep it {}", kept_in(secret, *store)),
            ),
            Step::DescribeAccessKey { description, .. } => {
                ("describe the key", format!("\"{description}\""))
            }
            Step::StoreSecret { secret, store } => ("store the key", kept_in(secret, *store)),
            Step::Verify { .. } => (
                "prove it",
                "until STS and IAM accept the new key everywhere".to_owned(),
            ),
            Step::SetCurrent { secret } => (
                "set current",
                format!("`{secret}`, for CloudStudio's tools"),
            ),
        }
    }

    /// Whether it changes something at AWS, and not just on this machine.
    pub fn changes_aws(&self) -> bool {
        match self {
            Step::CreateUser { .. }
            | Step::AttachPolicy { .. }
            | Step::CreateLoginProfile { .. }
            | Step::CreateAccessKey { .. }
            | Step::DescribeAccessKey { .. } => true,
            Step::StoreSecret { .. } | Step::Verify { .. } | Step::SetCurrent { .. } => false,
        }
    }
}

fn policy_meaning(arn: &str) -> String {
    if is_administrator_access(arn) {
        "AdministratorAccess: full access to every AWS service".to_owned()
    } else {
        arn.to_owned()
    }
}

fn is_administrator_access(arn: &str) -> bool {
    arn.ends_with(":iam::aws:policy/AdministratorAccess")
}

fn kept_in(secret: &SecretName, store: StoreKind) -> String {
    match store {
        StoreKind::Keyring => format!("in the keyring, as CloudStudio secret `{secret}`"),
        StoreKind::File => format!("in a private file, as CloudStudio secret `{secret}`"),
        StoreKind::Stdout => "nowhere: it is printed to standard output".to_owned(),
    }
}

/// The steps, in order; empty when everything is there already.
#[derive(Debug)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub warnings: Vec<String>,
}

impl Plan {
    pub fn changes_aws(&self) -> bool {
        self.steps.iter().any(Step::changes_aws)
    }
}

/// # Errors
/// When what is wanted meets something that exists and nothing says what to do about it, before
/// anything is changed.
pub fn plan(request: &Request, facts: &Facts, run: &str, now: Timestamp) -> Result<Plan> {
    match request {
        Request::Existing(_) => Ok(Plan {
            steps: Vec::new(),
            warnings: Vec::new(),
        }),
        Request::IamUser(request) => for_iam_user(request, facts, run, now),
        Request::Root(request) => for_root(request, facts),
    }
}

fn for_iam_user(
    request: &IamUserRequest,
    facts: &Facts,
    run: &str,
    now: Timestamp,
) -> Result<Plan> {
    let mut warnings = facts.warnings.clone();
    let reuse = request.if_exists == Some(IfExists::Reuse);
    let user = match &facts.user {
        UserFact::Present(user) if reuse => Some(user),
        UserFact::Present(_) => return Err(user_exists(&request.user_name)),
        UserFact::Absent => None,
        UserFact::Unreadable(failure) if reuse => return Err(failure.clone().into()),
        UserFact::Unreadable(_) => None,
    };
    let user_name = || request.user_name.clone();
    let mut steps = Vec::new();
    if user.is_none() {
        steps.push(Step::CreateUser {
            user_name: user_name(),
            tags: tags(request, run),
            permissions_boundary: request.permissions_boundary.clone(),
        });
    }
    let attached = |arn: &String| user.is_some_and(|user| user.policy_arns.contains(arn));
    steps.extend(
        request
            .policy_arns
            .iter()
            .filter(|arn| !attached(arn))
            .map(|policy_arn| Step::AttachPolicy {
                user_name: user_name(),
                policy_arn: policy_arn.clone(),
            }),
    );
    if !matches!(request.console_password, ConsolePassword::None) {
        check_password(request, facts)?;
        if user.is_some_and(|user| user.has_login_profile) {
            warnings.push(format!(
                "`{}` has a console password already: it stays as it is",
                request.user_name
            ));
        } else {
            steps.push(Step::CreateLoginProfile {
                user_name: user_name(),
            });
        }
    }
    if has_working_key(user, facts) {
        if let Some(stored) = facts
            .stored
            .as_ref()
            .filter(|s| s.store != request.keep.store)
        {
            warnings.push(format!(
                "the secret `{}` stays where it is: {}",
                request.keep.secret,
                stored.described()
            ));
        }
    } else {
        check_name_is_free(&request.keep, facts, reuse)?;
        let keys = user.map_or(&[][..], |user| &user.access_keys);
        check_room_for_a_key(&request.user_name, keys, now)?;
        steps.push(Step::CreateAccessKey {
            user_name: user_name(),
            secret: request.keep.secret.clone(),
            store: request.keep.store,
            known_key_ids: keys.iter().map(|key| key.id.clone()).collect(),
        });
        steps.push(Step::DescribeAccessKey {
            user_name: user_name(),
            description: request.key_description.clone(),
        });
        steps.push(Step::Verify {
            reads_iam: request.permissions_boundary.is_none()
                && request
                    .policy_arns
                    .iter()
                    .any(|arn| is_administrator_access(arn)),
        });
    }
    steps.extend(set_current(&request.keep, facts));
    Ok(Plan { steps, warnings })
}

fn for_root(request: &RootRequest, facts: &Facts) -> Result<Plan> {
    let reuse = request.if_exists == Some(IfExists::Reuse);
    let mut steps = Vec::new();
    let the_same = facts.stored.as_ref().is_some_and(|stored| {
        stored.works
            && stored.access_key_id.as_deref() == Some(&request.pair.access_key_id)
            && facts.stored_is_reusable
    });
    if !(reuse && the_same) {
        check_name_is_free(&request.keep, facts, reuse)?;
        steps.push(Step::StoreSecret {
            secret: request.keep.secret.clone(),
            store: request.keep.store,
        });
    }
    steps.extend(set_current(&request.keep, facts));
    Ok(Plan {
        steps,
        warnings: vec![
            "a root key is unrestricted; AWS advises against having one: prefer --mode iam-user"
                .to_owned(),
        ],
    })
}

fn set_current(keep: &Keep, facts: &Facts) -> Option<Step> {
    (keep.make_current && !facts.secret_is_current).then(|| Step::SetCurrent {
        secret: keep.secret.clone(),
    })
}

fn tags(request: &IamUserRequest, run: &str) -> Vec<(String, String)> {
    let ours = [CREATED_BY_TAG, (RUN_TAG, run)];
    let mut tags: Vec<(String, String)> = request.tags.clone();
    // IAM holds tag keys apart regardless of case and refuses doubles; the user's own win.
    for (key, value) in ours {
        if !tags
            .iter()
            .any(|(theirs, _)| theirs.eq_ignore_ascii_case(key))
        {
            tags.push((key.to_owned(), value.to_owned()));
        }
    }
    tags
}

/// Whether the stored pair works, as this user, with a key that the user still has.
fn has_working_key(user: Option<&User>, facts: &Facts) -> bool {
    let (Some(user), Some(stored)) = (user, &facts.stored) else {
        return false;
    };
    stored.works
        && facts.stored_is_reusable
        && user
            .access_keys
            .iter()
            .any(|key| key.active && Some(&key.id) == stored.access_key_id.as_ref())
}

fn user_exists(name: &str) -> Error {
    Error::failed(format!("the IAM user `{name}` exists already")).hint(
        "use it with --if-exists reuse (it gets what it lacks, and a new key unless its secret works), or choose another --user-name",
    )
}

fn check_password(request: &IamUserRequest, facts: &Facts) -> Result<()> {
    use secrecy::ExposeSecret;
    let (ConsolePassword::Given(password), Some(policy)) =
        (&request.console_password, &facts.password_policy)
    else {
        return Ok(());
    };
    let missing = policy.missing_in(password.expose_secret());
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the account's password policy refuses this console password: it needs {}",
        missing.join(", ")
    ))
    .hint("choose another one, or let cloudcred make one that fits: --console-password generate"))
}

fn check_name_is_free(keep: &Keep, facts: &Facts, reuse: bool) -> Result<()> {
    let Some(stored) = &facts.stored else {
        return Ok(());
    };
    let agreed = keep.replace || (reuse && facts.stored_is_reusable);
    if agreed && stored.store == keep.store {
        return Ok(());
    }
    let error = Error::failed(format!(
        "there is a secret `{}` already, {}",
        keep.secret,
        stored.described()
    ));
    Err(if agreed {
        error.hint(format!(
            "replace it where it is with --store {}",
            stored.store.name()
        ))
    } else if facts.stored_is_reusable {
        error.hint("replace it with --if-exists reuse --yes, or choose another name with --secret")
    } else {
        error.hint(format!(
            "choose another name with --secret, or remove it first: cloudcred secret remove {}",
            keep.secret
        ))
    })
}

/// IAM allows two keys a user, inactive ones included.
fn check_room_for_a_key(user: &str, keys: &[AccessKey], now: Timestamp) -> Result<()> {
    if keys.len() < 2 {
        return Ok(());
    }
    let keys: Vec<String> = keys.iter().map(|key| described_key(key, now)).collect();
    Err(Error::failed(format!(
        "`{user}` has two access keys already, the most that IAM allows: {}",
        keys.join("; ")
    ))
    .hint(format!(
        "delete the one that is not used: aws iam delete-access-key --user-name {user} --access-key-id ID"
    )))
}

fn described_key(key: &AccessKey, now: Timestamp) -> String {
    let state = if key.active { "" } else { ", inactive" };
    match key.created_at {
        Some(created) => {
            let days = now.duration_since(created).as_hours() / 24;
            let age = match days {
                ..=0 => "created today".to_owned(),
                1 => "1 day old".to_owned(),
                days => format!("{days} days old"),
            };
            format!("{} ({age}{state})", key.id)
        }
        None => format!("{} (age unknown{state})", key.id),
    }
}
