//! Request and Facts in, steps out: a pure function. No I/O, no questions.

mod refusals;
#[cfg(test)]
mod tests;

use crate::aws::account::{AccessKey, User};
use crate::aws::credential::Credential;
use crate::aws::identity::Identity;
use crate::error::{Error, Result};
use crate::setup::facts::{Facts, Stored, UserFact};
use crate::setup::request::{
    ConsolePassword, Goal, IamUserRequest, IfExists, Kept, Mode, Request, RootRequest,
    SecretTarget, is_administrator_access,
};
use crate::setup::steps::{
    AttachPolicy, CREATED_BY_TAG, CreateAccessKey, CreateLoginProfile, CreateUser,
    DeactivateRootKey, DeleteRootKey, DescribeAccessKey, RUN_TAG, SetCurrent, Step, StoreSecret,
    Verify, user_exists,
};
use crate::store::StoreKind;

use refusals::{
    check_boundary, check_name_is_free, check_password, check_room_for_a_key,
    check_stored_key_is_gone,
};

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
    fn new(goal: Goal, steps: Vec<Step>, warnings: Vec<String>) -> Self {
        Plan { goal, steps, checkpoint: None, warnings }
    }

    /// Whether it needs somebody's yes: it changes the account, or gives up a stored secret.
    pub fn needs_consent(&self) -> bool {
        self.steps.iter().any(|step| step.changes_aws() || step.replaces())
    }
}

/// Fails where what is wanted meets something that exists, and nothing says what to do about it.
pub fn plan(request: &Request, facts: &Facts, run: &str) -> Result<Plan> {
    let mut plan = match request {
        Request::Existing { credential, unused } => for_existing(credential, unused, facts),
        Request::IamUser(request) => for_iam_user(request, facts, run),
        Request::Root(request) => for_root(request, facts),
    }?;
    if let Some(target) = request.target() {
        plan.goal.prints = target.store.is_none();
        if target.make_current && !facts.secret_is_current {
            let (secret, made) = (target.secret.clone(), Default::default());
            plan.steps.push(Step::SetCurrent(SetCurrent { secret, made }));
        }
    }
    if let Some(write) = &facts.aws_profile {
        plan.goal.aws_profile = Some(write.profile.name.clone());
        if !write.replaces.as_ref().is_some_and(|there| there.serves_as(&write.profile)) {
            plan.steps.push(Step::WriteAwsProfile(write.clone()));
        }
    }
    if let Request::IamUser(request) = request
        && let Some(root_key) = &request.retire
    {
        plan.checkpoint = Some(plan.steps.len());
        // Never before the user's pair is proven to be an administrator's, and once more afterwards.
        plan.steps.extend([
            Step::Verify(Verify { reads_iam: true }),
            Step::DeactivateRootKey(DeactivateRootKey { access_key_id: root_key.clone() }),
            Step::Verify(Verify { reads_iam: true }),
        ]);
    }
    Ok(plan)
}

/// The plan that deletes a retired root key for good. A run of its own, since another credential of root
/// signs it, and somebody must say so once more.
pub fn deletion(root_key: &str, goal: &Goal) -> Plan {
    let delete = DeleteRootKey { access_key_id: root_key.to_owned() };
    let steps = vec![Step::Verify(Verify { reads_iam: true }), Step::DeleteRootKey(delete)];
    Plan::new(goal.clone(), steps, Vec::new())
}

fn for_existing(credential: &Credential, flags: &[&str], facts: &Facts) -> Result<Plan> {
    let goal = Goal {
        access_key_id: credential.access_key_id.clone(),
        in_place: Some(credential.source.clone()),
        ..Goal::of(Mode::Existing, &caller(credential)?)
    };
    let warnings = facts.warnings.iter().cloned().chain(unused(flags)).collect();
    Ok(Plan::new(goal, Vec::new(), warnings))
}

fn unused(flags: &[&str]) -> Option<String> {
    let flags = Some(flags.join(", ")).filter(|flags| !flags.is_empty());
    flags.map(|flags| format!("without --mode iam-user, these say nothing: {flags}"))
}

/// The wizard lets only working credentials through.
fn caller(credential: &Credential) -> Result<Identity> {
    let unchecked = || Error::credentials("these credentials were not checked");
    credential.identity().cloned().ok_or_else(unchecked)
}

fn kept(target: &SecretTarget, store: Option<StoreKind>, facts: &Facts) -> Option<Kept> {
    Some(Kept {
        name: target.secret.clone(),
        store: store?,
        current: target.make_current || facts.secret_is_current,
    })
}

fn for_iam_user(request: &IamUserRequest, facts: &Facts, run: &str) -> Result<Plan> {
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
        warnings.extend(what_stays(request, user));
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
        if user.is_some_and(|user| user.has_login_profile) {
            let name = &request.user_name;
            warnings.push(format!("`{name}` has a console password already: it stays as it is"));
        } else {
            steps.push(Step::CreateLoginProfile(CreateLoginProfile {
                user_name: user_name(),
                generated: request.console_password.is_generated(),
                made: Default::default(),
            }));
        }
    }
    let (mut store, mut access_key_id) = (request.target.store, own_key(request, user));
    if let Some(stored) = working_key(user, facts) {
        access_key_id.clone_from(&stored.access_key_id);
        store = Some(stored.store);
        if store != request.target.store {
            let (name, place) = (&request.target.secret, stored.described());
            warnings.push(format!("the secret `{name}` stays where it is: {place}"));
        }
    } else {
        check_name_is_free(&request.target, facts, reuse)?;
        steps.extend(key_steps(request, facts, user)?);
    }
    let owner = match user {
        Some(user) => Identity::new(&caller.account_id, &user.arn),
        None => caller.user(&request.user_name),
    };
    let secret = kept(&request.target, store, facts);
    let goal = Goal { access_key_id, secret, ..Goal::of(Mode::IamUser, &owner) };
    Ok(Plan::new(goal, steps, warnings))
}

/// The key that was brought along, where the user has it.
fn own_key(request: &IamUserRequest, user: Option<&User>) -> Option<String> {
    let own = &request.own_key.as_ref()?.access_key_id;
    user?.access_keys.iter().any(|key| key.id == *own).then(|| own.clone())
}

/// The key that the user has already, or a new one; described and proven.
fn key_steps(request: &IamUserRequest, facts: &Facts, user: Option<&User>) -> Result<Vec<Step>> {
    let keys = user.map_or(&[][..], |user| &user.access_keys);
    let name = &request.user_name;
    check_stored_key_is_gone(&request.target, facts, Some(name), keys)?;
    let mut steps = Vec::new();
    if own_key(request, user).is_none() {
        steps.push(create_access_key(Some(name), &request.target, facts, keys)?);
    } else if request.target.store.is_some() {
        steps.push(Step::StoreSecret(store_secret(&request.target, facts)));
    }
    if let Some(description) = request.key_description.clone() {
        let describe = DescribeAccessKey { user_name: name.clone(), description };
        steps.push(Step::DescribeAccessKey(describe));
    }
    let bounded = request.permissions_boundary.is_some()
        || user.is_some_and(|user| user.permissions_boundary.is_some());
    let is_administrator = request.policy_arns.iter().any(|arn| is_administrator_access(arn));
    steps.push(Step::Verify(Verify { reads_iam: is_administrator && !bounded }));
    Ok(steps)
}

fn for_root(request: &RootRequest, facts: &Facts) -> Result<Plan> {
    let reuse = request.if_exists == Some(IfExists::Reuse);
    let mut steps = Vec::new();
    let mut store = request.target.store;
    let given = request.pair.as_ref().map(|pair| &pair.access_key_id);
    let mut access_key_id = given.cloned();
    let will_do = facts.stored.as_ref().filter(|stored| {
        // Where none is given, any key of root is as good.
        let is_meant = given.is_none() || stored.access_key_id.as_ref() == given;
        let agreed = reuse || (given.is_some() && request.target.replace);
        stored.works() && stored.is_reusable && is_meant && agreed
    });
    if let Some(stored) = will_do {
        store = Some(stored.store);
        access_key_id.clone_from(&stored.access_key_id);
    } else {
        check_name_is_free(&request.target, facts, reuse)?;
        match given {
            None => steps.extend(new_root_key(request, facts)?),
            // It is printed at the end.
            Some(_) if request.target.store.is_none() => {}
            Some(_) => steps.push(Step::StoreSecret(store_secret(&request.target, facts))),
        }
    }
    let advice =
        "a root key is unrestricted; AWS advises against having one: prefer --mode iam-user";
    let mut warnings = vec![advice.to_owned()];
    warnings.extend(unused(&request.unused).into_iter().chain(facts.warnings.iter().cloned()));
    let secret = kept(&request.target, store, facts);
    let owner = caller(&request.checked)?;
    let goal = Goal { access_key_id, secret, ..Goal::of(Mode::Root, &owner) };
    Ok(Plan::new(goal, steps, warnings))
}

/// Made by root for itself.
fn new_root_key(request: &RootRequest, facts: &Facts) -> Result<[Step; 2]> {
    let keys = match &facts.user {
        UserFact::Present(root) => &root.access_keys[..],
        _ => &[],
    };
    check_stored_key_is_gone(&request.target, facts, None, keys)?;
    let create = create_access_key(None, &request.target, facts, keys)?;
    Ok([create, Step::Verify(Verify { reads_iam: false })])
}

/// A new key, where there is room for it.
fn create_access_key(
    user_name: Option<&String>,
    target: &SecretTarget,
    facts: &Facts,
    keys: &[AccessKey],
) -> Result<Step> {
    check_room_for_a_key(user_name.map(String::as_str), keys, facts.now)?;
    Ok(Step::CreateAccessKey(CreateAccessKey {
        user_name: user_name.cloned(),
        kept: store_secret(target, facts),
        known_key_ids: keys.iter().map(|key| key.id.clone()).collect(),
    }))
}

/// Whether what stands under the wanted name may be replaced was checked.
fn store_secret(target: &SecretTarget, facts: &Facts) -> StoreSecret {
    let replaces = facts.stored.as_ref().and_then(|stored| stored.access_key_id.clone());
    let (secret, made) = (target.secret.clone(), Default::default());
    StoreSecret { secret, store: target.store, replaces, made }
}

/// What an existing user keeps, although the request says otherwise.
fn what_stays(request: &IamUserRequest, user: &User) -> Vec<String> {
    let name = &request.user_name;
    let mut others = user.policy_arns.clone();
    others.retain(|arn| !request.policy_arns.contains(arn));
    let mut warnings = Vec::new();
    if !others.is_empty() {
        let others = others.join(", ");
        warnings.push(format!("`{name}` keeps the policies that it has already: {others}"));
    }
    if !request.tags.is_empty() {
        warnings.push(format!("`{name}` exists already: its tags stay as they are"));
    }
    warnings
}

/// The user's own, and ours: IAM holds tag keys apart regardless of case and refuses doubles.
fn tags(request: &IamUserRequest, run: &str) -> Vec<(String, String)> {
    let ours = [CREATED_BY_TAG, (RUN_TAG, run)];
    let mut tags = request.tags.clone();
    tags.retain(|(key, _)| !ours.iter().any(|(ours, _)| key.eq_ignore_ascii_case(ours)));
    tags.extend(ours.map(|(key, value)| (key.to_owned(), value.to_owned())));
    tags
}

/// The stored pair, where it works as this user, with a key that the user still has.
fn working_key<'f>(user: Option<&User>, facts: &'f Facts) -> Option<&'f Stored> {
    let (user, stored) = (user?, facts.stored.as_ref()?);
    let is_it = |key: &AccessKey| key.active && Some(&key.id) == stored.access_key_id.as_ref();
    let has_it = user.access_keys.iter().any(is_it);
    (stored.works() && stored.is_reusable && has_it).then_some(stored)
}
