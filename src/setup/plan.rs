//! Request and Facts in, steps out: a pure function. No I/O, no questions.

mod refusals;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::aws::account::{AccessKey, User};
use crate::aws::found::{Found, Source};
use crate::aws::identity::Identity;
use crate::aws_profile::{self, Holder};
use crate::error::{Error, Result};
use crate::setup::facts::{Facts, Stored, UserFact};
use crate::setup::request::{
    ConsolePassword, ExistingRequest, IamUserRequest, IfExists, Mode, Request, RootRequest,
    SecretTarget, is_administrator_access,
};
use crate::setup::steps::{
    AttachPolicy, CREATED_BY_TAG, CreateAccessKey, CreateLoginProfile, CreateUser,
    DeactivateRootKey, DeleteRootKey, DescribeAccessKey, Destination, RUN_TAG, SetCurrent, Step,
    StoreSecret, Verify, WriteAwsProfile, lasting_store,
};
use crate::store::{SecretName, StoreKind};

use refusals::{
    check_boundary, check_name_is_free, check_password, check_room_for_a_key,
    check_stored_key_is_gone, user_exists,
};

/// What the steps lead to: whose pair ends up where. Known before anything is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    pub mode: Mode,
    /// Twelve digits.
    pub account_id: String,
    /// Whose the pair is, or will be.
    pub arn: String,
    /// The credentials that stay in place, in mode `existing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<Source>,
    /// Absent while the key is still to be created.
    pub access_key_id: Option<String>,
    /// Absent in mode `existing`, and where the pair is printed.
    #[serde(default, deserialize_with = "kept_for_good")]
    pub secret: Option<Kept>,
    /// Whether the pair is printed at the end, and kept nowhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prints: bool,
    /// The AWS profile that reads the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_profile: Option<String>,
}

/// Where the pair is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub name: SecretName,
    pub store: StoreKind,
    pub current: bool,
}

/// Journals of version 0.1 call standard output a store.
fn kept_for_good<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Kept>, D::Error> {
    #[derive(Deserialize)]
    struct Written {
        name: SecretName,
        #[serde(deserialize_with = "lasting_store")]
        store: Option<StoreKind>,
        current: bool,
    }
    let written = Option::<Written>::deserialize(deserializer)?;
    Ok(written.and_then(|it| Some(Kept { name: it.name, store: it.store?, current: it.current })))
}

impl Goal {
    /// Whose the pair is, or will be.
    pub fn owner(&self) -> Identity {
        Identity::new(&self.account_id, &self.arn)
    }
}

/// The steps, in order; empty when everything is there already.
#[derive(Debug)]
pub struct Plan {
    pub goal: Goal,
    pub steps: Vec<Step>,
    /// The step before which all that was done stays, whatever happens from it on.
    pub checkpoint: Option<usize>,
    pub warnings: Vec<String>,
}

impl Plan {
    /// Whether it needs somebody's yes: it changes the account, or gives up a stored secret.
    pub fn needs_consent(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.changes_aws() || step.replaces())
    }
}

/// # Errors
/// When what is wanted meets something that exists and nothing says what to do about it, before
/// anything is changed.
pub fn plan(request: &Request, facts: &Facts, run: &str, now: Timestamp) -> Result<Plan> {
    let mut plan = match request {
        Request::Existing(request) => for_existing(request, facts),
        Request::IamUser(request) => for_iam_user(request, facts, run, now),
        Request::Root(request) => for_root(request, facts, now),
    }?;
    plan.steps.extend(write_aws_profile(facts)?);
    let wanted = facts.aws_profile.as_ref();
    plan.goal.prints = request.target().is_some_and(|keep| keep.store.is_none());
    plan.goal.aws_profile = wanted.map(|(profile, _)| profile.name.clone());
    if let Request::IamUser(request) = request
        && let Some(root_key) = &request.retire
    {
        plan.checkpoint = Some(plan.steps.len());
        plan.steps.extend(retirement(root_key));
    }
    Ok(plan)
}

/// How the root key is retired: never before the user's pair is proven to be an administrator's, and
/// that is proven again afterwards.
fn retirement(root_key: &str) -> [Step; 3] {
    [
        Step::Verify(Verify { reads_iam: true }),
        Step::DeactivateRootKey(DeactivateRootKey { access_key_id: root_key.to_owned() }),
        Step::Verify(Verify { reads_iam: true }),
    ]
}

/// The plan that deletes a retired root key for good. A run of its own, since another credential of root
/// signs it, and somebody must say so once more.
pub fn deletion(root_key: &str, goal: &Goal) -> Plan {
    Plan {
        goal: goal.clone(),
        steps: vec![
            Step::Verify(Verify { reads_iam: true }),
            Step::DeleteRootKey(DeleteRootKey { access_key_id: root_key.to_owned() }),
        ],
        checkpoint: None,
        warnings: Vec::new(),
    }
}

fn write_aws_profile(facts: &Facts) -> Result<Option<Step>> {
    let Some((profile, holder)) = &facts.aws_profile else {
        return Ok(None);
    };
    let replaces = match holder {
        Holder::SomebodyElse(place) => return Err(aws_profile::taken(&profile.name, place)),
        Holder::Ours(there) if there.serves_as(profile) => return Ok(None),
        Holder::Ours(there) => Some(there.clone()),
        Holder::Nobody => None,
    };
    let profile = profile.clone();
    Ok(Some(Step::WriteAwsProfile(WriteAwsProfile { profile, replaces, made: Default::default() })))
}

fn for_existing(request: &ExistingRequest, facts: &Facts) -> Result<Plan> {
    let found = &request.found;
    let access_key_id = found.access_key_id.clone();
    let mut warnings = facts.warnings.clone();
    warnings.extend(unused(&request.unused));
    Ok(Plan {
        goal: goal(Mode::Existing, &caller(found)?, access_key_id, None, Some(found)),
        steps: Vec::new(),
        checkpoint: None,
        warnings,
    })
}

fn unused(flags: &[&str]) -> Option<String> {
    let flags = Some(flags.join(", ")).filter(|flags| !flags.is_empty());
    flags.map(|flags| format!("without --mode iam-user, these say nothing: {flags}"))
}

fn goal(
    mode: Mode,
    owner: &Identity,
    access_key_id: Option<String>,
    secret: Option<Kept>,
    in_place: Option<&Found>,
) -> Goal {
    Goal {
        mode,
        account_id: owner.account_id.clone(),
        arn: owner.arn.clone(),
        in_place: in_place.map(|found| found.source.clone()),
        access_key_id,
        secret,
        prints: false,
        aws_profile: None,
    }
}

/// The wizard lets only working credentials through.
fn caller(found: &Found) -> Result<Identity> {
    match found.failure() {
        Some(failure) => Err(failure),
        None => found
            .identity()
            .cloned()
            .ok_or_else(|| Error::credentials("these credentials were not checked")),
    }
}

fn kept(keep: &SecretTarget, store: Option<StoreKind>, facts: &Facts) -> Option<Kept> {
    Some(Kept {
        name: keep.secret.clone(),
        store: store?,
        current: keep.make_current || facts.secret_is_current,
    })
}

fn for_iam_user(
    request: &IamUserRequest,
    facts: &Facts,
    run: &str,
    now: Timestamp,
) -> Result<Plan> {
    let caller = caller(&request.bootstrap)?;
    let mut warnings = facts.warnings.clone();
    let reuse = request.if_exists == Some(IfExists::Reuse);
    let user = match &facts.user {
        UserFact::Present(user) if reuse => Some(user),
        UserFact::Present(_) => return Err(user_exists(&request.user_name)),
        UserFact::Absent => None,
        UserFact::Unreadable(failure) if reuse => return Err(failure.clone().into()),
        UserFact::Unreadable(_) => None,
    };
    if let Some(user) = user {
        check_boundary(request, user)?;
        let others = user.policy_arns.iter().filter(|arn| !request.policy_arns.contains(arn));
        let others: Vec<&str> = others.map(String::as_str).collect();
        if !others.is_empty() {
            warnings.push(format!(
                "`{}` keeps the policies that it has already: {}",
                request.user_name,
                others.join(", ")
            ));
        }
        if !request.tags.is_empty() {
            warnings
                .push(format!("`{}` exists already: its tags stay as they are", request.user_name));
        }
    }
    let user_name = || request.user_name.clone();
    let mut steps = Vec::new();
    if user.is_none() {
        steps.push(Step::CreateUser(CreateUser {
            user_name: user_name(),
            tags: tags(request, run),
            permissions_boundary: request.permissions_boundary.clone(),
            made: Default::default(),
        }));
    }
    let attached = |arn: &String| user.is_some_and(|user| user.policy_arns.contains(arn));
    let missing = request.policy_arns.iter().filter(|arn| !attached(arn));
    steps.extend(missing.map(|policy_arn| {
        Step::AttachPolicy(AttachPolicy {
            user_name: user_name(),
            policy_arn: policy_arn.clone(),
            made: Default::default(),
        })
    }));
    if !matches!(request.console_password, ConsolePassword::None) {
        check_password(request, facts)?;
        if user.is_some_and(|user| user.has_login_profile == Some(true)) {
            warnings.push(format!(
                "`{}` has a console password already: it stays as it is",
                request.user_name
            ));
        } else {
            steps.push(Step::CreateLoginProfile(CreateLoginProfile {
                user_name: user_name(),
                generated: matches!(request.console_password, ConsolePassword::Generate),
                made: Default::default(),
            }));
        }
    }
    let mut secret = kept(&request.target, request.target.store, facts);
    let mut access_key_id = None;
    if let Some(stored) = working_key(user, facts) {
        access_key_id.clone_from(&stored.access_key_id);
        secret = kept(&request.target, Some(stored.store), facts);
        if Some(stored.store) != request.target.store {
            warnings.push(format!(
                "the secret `{}` stays where it is: {}",
                request.target.secret,
                stored.described()
            ));
        }
    } else {
        check_name_is_free(&request.target, facts, reuse)?;
        let keys = user.map_or(&[][..], |user| &user.access_keys);
        check_stored_key_is_gone(&request.target, facts, Some(&request.user_name), keys)?;
        let own_key = request.own_key.as_ref().map(|pair| &pair.access_key_id);
        match own_key.filter(|own| keys.iter().any(|key| key.id == **own)) {
            Some(own) => {
                access_key_id = Some(own.clone());
                if request.target.store.is_some() {
                    steps.push(store_secret(&request.target, facts));
                }
            }
            None => {
                check_room_for_a_key(Some(&request.user_name), keys, now)?;
                steps.push(create_access_key(Some(user_name()), &request.target, facts, keys));
            }
        }
        let description = request.key_description.clone();
        steps.extend(description.map(|description| {
            Step::DescribeAccessKey(DescribeAccessKey { user_name: user_name(), description })
        }));
        steps.push(Step::Verify(Verify {
            reads_iam: request.permissions_boundary.is_none()
                && user.is_none_or(|user| user.permissions_boundary.is_none())
                && request.policy_arns.iter().any(|arn| is_administrator_access(arn)),
        }));
    }
    steps.extend(set_current(&request.target, facts));
    let owner = match user {
        Some(user) => Identity::new(&caller.account_id, &user.arn),
        None => caller.user(&request.user_name),
    };
    Ok(Plan {
        goal: goal(Mode::IamUser, &owner, access_key_id, secret, None),
        steps,
        checkpoint: None,
        warnings,
    })
}

fn for_root(request: &RootRequest, facts: &Facts, now: Timestamp) -> Result<Plan> {
    let reuse = request.if_exists == Some(IfExists::Reuse);
    let mut steps = Vec::new();
    let mut store = request.target.store;
    let given = request.pair.as_ref().map(|pair| &pair.access_key_id);
    let mut access_key_id = given.cloned();
    let will_do = facts.stored.as_ref().filter(|stored| {
        let agreed = match given {
            Some(given) => {
                stored.access_key_id.as_ref() == Some(given) && (reuse || request.target.replace)
            }
            // Any key of root is as good.
            None => reuse,
        };
        stored.works() && facts.stored_is_reusable && agreed
    });
    match will_do {
        Some(stored) => {
            store = Some(stored.store);
            access_key_id.clone_from(&stored.access_key_id);
        }
        None => {
            check_name_is_free(&request.target, facts, reuse)?;
            if given.is_none() {
                steps.extend(new_root_key(request, facts, now)?);
            }
            if given.is_some() && request.target.store.is_some() {
                steps.push(store_secret(&request.target, facts));
            }
        }
    }
    steps.extend(set_current(&request.target, facts));
    let mut warnings = vec![
        "a root key is unrestricted; AWS advises against having one: prefer --mode iam-user"
            .to_owned(),
    ];
    warnings.extend(unused(&request.unused));
    warnings.extend(facts.warnings.iter().cloned());
    let secret = kept(&request.target, store, facts);
    Ok(Plan {
        goal: goal(Mode::Root, &caller(&request.checked)?, access_key_id, secret, None),
        steps,
        checkpoint: None,
        warnings,
    })
}

/// Made by root for itself.
fn new_root_key(request: &RootRequest, facts: &Facts, now: Timestamp) -> Result<[Step; 2]> {
    let keys = match &facts.user {
        UserFact::Present(root) => &root.access_keys[..],
        _ => &[],
    };
    check_stored_key_is_gone(&request.target, facts, None, keys)?;
    check_room_for_a_key(None, keys, now)?;
    let create = create_access_key(None, &request.target, facts, keys);
    Ok([create, Step::Verify(Verify { reads_iam: false })])
}

fn create_access_key(
    user_name: Option<String>,
    keep: &SecretTarget,
    facts: &Facts,
    keys: &[AccessKey],
) -> Step {
    Step::CreateAccessKey(CreateAccessKey {
        user_name,
        destination: destination(keep, facts),
        known_key_ids: keys.iter().map(|key| key.id.clone()).collect(),
        made: Default::default(),
    })
}

fn store_secret(keep: &SecretTarget, facts: &Facts) -> Step {
    let destination = destination(keep, facts);
    Step::StoreSecret(StoreSecret { destination, made: Default::default() })
}

fn destination(keep: &SecretTarget, facts: &Facts) -> Destination {
    Destination { secret: keep.secret.clone(), store: keep.store, replaces: replaces(facts) }
}

/// What stands under the wanted name; whether it may be replaced was checked.
fn replaces(facts: &Facts) -> Option<String> {
    facts.stored.as_ref()?.access_key_id.clone()
}

fn set_current(keep: &SecretTarget, facts: &Facts) -> Option<Step> {
    (keep.make_current && !facts.secret_is_current).then(|| {
        Step::SetCurrent(SetCurrent { secret: keep.secret.clone(), made: Default::default() })
    })
}

/// The user's own, and ours: IAM holds tag keys apart regardless of case and refuses doubles.
fn tags(request: &IamUserRequest, run: &str) -> Vec<(String, String)> {
    let ours = [CREATED_BY_TAG, (RUN_TAG, run)];
    let theirs = request
        .tags
        .iter()
        .filter(|(key, _)| !ours.iter().any(|(ours, _)| key.eq_ignore_ascii_case(ours)));
    let ours = ours.map(|(key, value)| (key.to_owned(), value.to_owned()));
    theirs.cloned().chain(ours).collect()
}

/// The stored pair, where it works as this user, with a key that the user still has.
fn working_key<'f>(user: Option<&User>, facts: &'f Facts) -> Option<&'f Stored> {
    let (user, stored) = (user?, facts.stored.as_ref()?);
    let has_it = user
        .access_keys
        .iter()
        .any(|key| key.active && Some(&key.id) == stored.access_key_id.as_ref());
    (stored.works() && facts.stored_is_reusable && has_it).then_some(stored)
}
