//! Every call that changes something at AWS. Only the executor may import this file.
//!
//! Calls that may be repeated safely are, when AWS's refusal will pass or its answer was lost; those
//! that may not are sent once, and again only after a refusal that is sure.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::types::{StatusType, Tag};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::aws::evidence::SETTLING;
use crate::aws::failure::{Failure, Reason};
use crate::secret::KeyPair;

/// How long a passing refusal is waited out.
const PATIENCE: Duration = Duration::from_secs(2 * SETTLING.as_secs());

/// Creates the user and returns its unique ID. Not repeated after a lost answer: a second attempt would meet the first one's
/// user. Tags and boundary are part of the same call, so the user is never without them.
///
/// # Errors
/// AWS's refusal, after waiting out a passing one; `Unclear` where it may have been created.
pub async fn create_user(
    iam: &Client,
    name: &str,
    tags: &[(String, String)],
    permissions_boundary: Option<&str>,
) -> Result<Option<String>, Failure> {
    const OPERATION: &str = "iam:CreateUser";
    let tags = tags
        .iter()
        .map(|(key, value)| tag(OPERATION, key, value))
        .collect::<Result<Vec<_>, _>>()?;
    let answer = patiently(OPERATION, || {
        iam.create_user()
            .user_name(name)
            .set_tags(Some(tags.clone()))
            .set_permissions_boundary(permissions_boundary.map(str::to_owned))
            .customize()
            .config_override(once())
            .send()
    })
    .await?;
    Ok(answer.user.map(|user| user.user_id))
}

/// # Errors
/// `Missing`, which one server may say of a user that it does not know yet; `Conflict`, where the user
/// still holds something.
pub async fn delete_user(iam: &Client, name: &str) -> Result<(), Failure> {
    deletion("iam:DeleteUser", || iam.delete_user().user_name(name).send()).await
}

pub async fn attach_user_policy(iam: &Client, user: &str, policy_arn: &str) -> Result<(), Failure> {
    idempotently("iam:AttachUserPolicy", || {
        iam.attach_user_policy().user_name(user).policy_arn(policy_arn).send()
    })
    .await
    .map(drop)
}

pub async fn detach_user_policy(iam: &Client, user: &str, policy_arn: &str) -> Result<(), Failure> {
    deletion("iam:DetachUserPolicy", || {
        iam.detach_user_policy().user_name(user).policy_arn(policy_arn).send()
    })
    .await
}

/// Gives the user a console password, and returns when, by AWS's clock. The SDK does not repeat it: a
/// second attempt after a lost answer could not tell our password from somebody else's.
///
/// # Errors
/// AWS's refusal, after waiting out a passing one; `Exists` where it has one already; `Unclear`
/// where it may have been set.
pub async fn create_login_profile(
    iam: &Client,
    user: &str,
    password: &SecretString,
) -> Result<Option<Timestamp>, Failure> {
    let answer = patiently("iam:CreateLoginProfile", || {
        iam.create_login_profile()
            .user_name(user)
            .password(password.expose_secret())
            .password_reset_required(false)
            .customize()
            .config_override(once())
            .send()
    })
    .await?;
    Ok(answer
        .login_profile
        .and_then(|profile| Timestamp::from_second(profile.create_date.secs()).ok()))
}

pub async fn delete_login_profile(iam: &Client, user: &str) -> Result<(), Failure> {
    deletion("iam:DeleteLoginProfile", || iam.delete_login_profile().user_name(user).send()).await
}

/// Creates a key and returns it with the time of its creation by AWS's clock. Without a user's name it
/// is one of root, which only root may ask for (API reference, CreateAccessKey). Sent once, and never
/// again by the SDK either: each success makes another key, and the secret of one whose answer was lost
/// is gone.
///
/// # Errors
/// AWS's refusal; `Unclear` where a key may exist that nobody has.
pub async fn create_access_key(
    iam: &Client,
    user: Option<&str>,
) -> Result<(KeyPair, Option<Timestamp>), Failure> {
    const OPERATION: &str = "iam:CreateAccessKey";
    // A user that was created a second ago may not be known everywhere yet. That refusal is sure,
    // so trying again then is safe.
    let answer = patiently(OPERATION, || {
        iam.create_access_key()
            .set_user_name(user.map(str::to_owned))
            .customize()
            .config_override(once())
            .send()
    })
    .await?;
    let key = answer.access_key.ok_or_else(|| Failure::without(OPERATION, "the key"))?;
    let secret = Zeroizing::new(key.secret_access_key);
    let is_id = |id: &str| id.len() >= 16 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_id(&key.access_key_id) || secret.len() < 40 {
        // Whatever else was done to it on the way: the key exists, and its secret is lost.
        return Err(Failure::without(OPERATION, "a whole key"));
    }
    let created_at = key.create_date;
    let created_at = created_at.and_then(|date| Timestamp::from_second(date.secs()).ok());
    let pair = KeyPair::new(key.access_key_id, SecretString::from(secret.as_str()));
    Ok((pair, created_at))
}

/// As for creating, `None` stands for root.
pub async fn delete_access_key(iam: &Client, user: Option<&str>, id: &str) -> Result<(), Failure> {
    deletion("iam:DeleteAccessKey", || {
        iam.delete_access_key().set_user_name(user.map(str::to_owned)).access_key_id(id).send()
    })
    .await
}

/// Makes a root key inactive, or active again. Without a user's name, IAM acts on the keys of root
/// itself, and only root may ask for it (API reference, UpdateAccessKey).
///
/// A key that makes itself inactive cannot ask again: that it is refused after an answer was lost
/// is the sign that it worked.
pub async fn set_root_key_active(iam: &Client, id: &str, active: bool) -> Result<(), Failure> {
    let status = if active { StatusType::Active } else { StatusType::Inactive };
    let lost = AtomicU32::new(0);
    let again = |failure: &Failure| passes(failure) || lost_again(failure, &lost);
    let update = || {
        let call = iam.update_access_key().access_key_id(id).status(status.clone());
        call.customize().config_override(once()).send()
    };
    match repeated("iam:UpdateAccessKey", update, again).await {
        Err(failure)
            if !active
                && failure.reason == Reason::UnknownKey
                && lost.load(Ordering::Relaxed) > 0 =>
        {
            Ok(())
        }
        result => result.map(drop),
    }
}

/// Describes a key as the console does: a tag on the user, with the key's ID as the tag's key.
pub async fn describe_access_key(
    iam: &Client,
    user: &str,
    id: &str,
    description: &str,
) -> Result<(), Failure> {
    const OPERATION: &str = "iam:TagUser";
    let tag = tag(OPERATION, id, description)?;
    idempotently(OPERATION, || iam.tag_user().user_name(user).tags(tag.clone()).send())
        .await
        .map(drop)
}

pub async fn remove_key_description(iam: &Client, user: &str, id: &str) -> Result<(), Failure> {
    deletion("iam:UntagUser", || iam.untag_user().user_name(user).tag_keys(id).send()).await
}

fn tag(operation: &'static str, key: &str, value: &str) -> Result<Tag, Failure> {
    Tag::builder().key(key).value(value).build().map_err(|error| Failure {
        operation,
        code: None,
        message: error.to_string(),
        reason: Reason::Other,
    })
}

fn once() -> aws_sdk_iam::config::Builder {
    aws_sdk_iam::config::Builder::new().retry_config(RetryConfig::disabled())
}

type Answer<T, E> = Result<T, SdkError<E, HttpResponse>>;

/// What the SDK's errors of single calls have in common.
trait CallError: ProvideErrorMetadata + StdError + Send + Sync + 'static {}
impl<E: ProvideErrorMetadata + StdError + Send + Sync + 'static> CallError for E {}

/// Repeats a call while AWS's refusal is of the kind that passes and proves that nothing was done:
/// two changes at once, or a user so fresh that the server asked does not know it yet.
async fn patiently<T, E: CallError, F: Future<Output = Answer<T, E>>>(
    operation: &'static str,
    call: impl Fn() -> F,
) -> Result<T, Failure> {
    repeated(operation, call, |failure| passes(failure) || does_not_know_user_yet(failure)).await
}

/// Repeats a call that does no harm when it is done twice, also after a lost answer.
async fn idempotently<T, E: CallError, F: Future<Output = Answer<T, E>>>(
    operation: &'static str,
    call: impl Fn() -> F,
) -> Result<T, Failure> {
    let lost = AtomicU32::new(0);
    let again = |failure: &Failure| {
        passes(failure) || does_not_know_user_yet(failure) || lost_again(failure, &lost)
    };
    repeated(operation, call, again).await
}

/// Sends a deletion, again after a lost answer; what "no such entity" means is for the caller to find
/// out.
async fn deletion<T, E: CallError, F: Future<Output = Answer<T, E>>>(
    operation: &'static str,
    call: impl Fn() -> F,
) -> Result<(), Failure> {
    let lost = AtomicU32::new(0);
    let again = |failure: &Failure| passes(failure) || lost_again(failure, &lost);
    repeated(operation, call, again).await.map(drop)
}

async fn repeated<T, E: CallError, F: Future<Output = Answer<T, E>>>(
    operation: &'static str,
    call: impl Fn() -> F,
    again: impl Fn(&Failure) -> bool,
) -> Result<T, Failure> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(300);
    loop {
        match call().await.map_err(|error| Failure::of(operation, error)) {
            Err(failure) if again(&failure) && start.elapsed() + pause < PATIENCE => {
                sleep(pause.mul_f64(0.75 + 0.5 * rand::random::<f64>())).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            result => return result,
        }
    }
}

fn passes(failure: &Failure) -> bool {
    failure.reason == Reason::Passing
}

/// IAM's wording tells the user from a policy that is not there and will not be.
fn does_not_know_user_yet(failure: &Failure) -> bool {
    failure.reason == Reason::Missing && failure.message.contains("user with name")
}

fn lost_again(failure: &Failure, lost: &AtomicU32) -> bool {
    failure.reason == Reason::Unclear && lost.fetch_add(1, Ordering::Relaxed) < 3
}
