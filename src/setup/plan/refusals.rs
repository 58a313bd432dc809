//! What a plan must not pass over: what exists already, and what would be lost. Each refusal says how
//! to go on.

use jiff::Timestamp;
use secrecy::ExposeSecret;

use crate::aws::account::{AccessKey, User};
use crate::error::{Error, Result};
use crate::setup::facts::{Facts, Stored, Verdict};
use crate::setup::request::{ConsolePassword, IamUserRequest, SecretTarget};
use crate::setup::steps::whose_keys;

/// A boundary that is asked for must be there before a policy is attached.
pub fn check_boundary(request: &IamUserRequest, user: &User) -> Result<()> {
    let wanted = request.permissions_boundary.as_ref();
    let Some(wanted) = wanted.filter(|it| user.permissions_boundary.as_ref() != Some(it)) else {
        return Ok(());
    };
    let name = &request.user_name;
    Err(Error::failed(format!("`{name}` exists already, without the permissions boundary {wanted}"))
        .hint(format!(
            "set it first: aws iam put-user-permissions-boundary --user-name {name} --permissions-boundary {wanted}"
        )))
}

pub fn check_password(request: &IamUserRequest, facts: &Facts) -> Result<()> {
    let ConsolePassword::Given(password) = &request.console_password else {
        return Ok(());
    };
    // Where it may not be read, it is taken to be IAM's own.
    let policy = facts.password_policy.clone().unwrap_or_default();
    policy.check(password.expose_secret())
}

pub fn check_name_is_free(target: &SecretTarget, facts: &Facts, reuse: bool) -> Result<()> {
    let Some(stored) = &facts.stored else {
        return Ok(());
    };
    let may_be_replaced = stored.is_reusable && !stored.works();
    let agreed = target.replace || (reuse && may_be_replaced);
    if agreed && Some(stored.store) == target.store {
        return Ok(());
    }
    let secret = &target.secret;
    let hint = if agreed {
        format!("replace it where it is with --store {}", stored.store.name())
    } else if may_be_replaced {
        "replace it with --if-exists reuse --yes, or choose another name with --secret".to_owned()
    } else if stored.identity.is_none() {
        "choose another name with --secret".to_owned()
    } else {
        format!(
            "choose another name with --secret, or remove it first: cloudcred secret remove {secret}"
        )
    };
    let there = stored.described();
    Err(Error::failed(format!("there is a secret `{secret}` already, {there}")).hint(hint))
}

/// A stored key that STS does not know, and AWS lists all the same, is too new or inactive: its
/// secret exists nowhere else, so only somebody who was asked gives it up.
pub fn check_stored_key_is_gone(
    target: &SecretTarget,
    facts: &Facts,
    user: Option<&str>,
    keys: &[AccessKey],
) -> Result<()> {
    let unknown = |stored: &&Stored| stored.verdict == Verdict::UnknownKey && !target.replace;
    let stored = facts.stored.as_ref().filter(unknown);
    let id = stored.and_then(|stored| stored.access_key_id.as_ref());
    let Some(key) = keys.iter().find(|key| Some(&key.id) == id) else {
        return Ok(());
    };
    let (whose, named) = whose_keys(user);
    let (id, secret) = (&key.id, &target.secret);
    let held = format!("the key {id} of {whose}, which the secret `{secret}` holds");
    let delete = format!("aws iam delete-access-key{named} --access-key-id {id}");
    Err(if key.active {
        Error::failed(format!("AWS lists {held}, as active, but STS does not accept it (yet)"))
            .hint(format!(
                "wait a moment and run the command again; to give the key up, delete it first: {delete}"
            ))
    } else {
        Error::failed(format!("{held}, is inactive")).hint(format!(
            "activate it: aws iam update-access-key{named} --access-key-id {id} --status Active; or delete it: {delete}"
        ))
    })
}

/// IAM allows two keys a user, inactive ones included.
pub fn check_room_for_a_key(user: Option<&str>, keys: &[AccessKey], now: Timestamp) -> Result<()> {
    if keys.len() < 2 {
        return Ok(());
    }
    let keys: Vec<String> = keys.iter().map(|key| described_key(key, now)).collect();
    let (keys, (whose, named)) = (keys.join("; "), whose_keys(user));
    Err(Error::failed(format!(
        "{whose} has two access keys already, the most that IAM allows: {keys}"
    ))
    .hint(format!(
        "delete the one that is not used: aws iam delete-access-key{named} --access-key-id ID"
    )))
}

fn described_key(key: &AccessKey, now: Timestamp) -> String {
    let state = if key.active { "" } else { ", inactive" };
    let age = match key.created_at.map(|created| now.duration_since(created).as_hours() / 24) {
        None => "age unknown".to_owned(),
        Some(..=0) => "created today".to_owned(),
        Some(1) => "1 day old".to_owned(),
        Some(days) => format!("{days} days old"),
    };
    format!("{} ({age}{state})", key.id)
}
