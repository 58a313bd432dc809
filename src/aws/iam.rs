//! Every call that changes something at AWS. Only the executor may import this file.
//!
//! Calls that may be repeated safely are, when AWS's refusal will pass or its answer was lost; those
//! that may not are sent once, and again only after a refusal that is sure.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{StatusType, Tag};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::aws::account::time;
use crate::aws::evidence::SETTLING;
use crate::aws::failure::{Failure, Reason, ask};
use crate::aws::sdk::once;
use crate::secret::KeyPair;

/// How long a passing refusal is waited out.
const PATIENCE: Duration = Duration::from_secs(2 * SETTLING.as_secs());

/// Creates the user and returns its unique ID. Not repeated after a lost answer (`Unclear`): a second
/// attempt would meet the first one's user. Tags and boundary are part of the same call, so the user is
/// never without them.
pub async fn create_user(
    iam: &Client,
    name: &str,
    tags: &[(String, String)],
    permissions_boundary: Option<&str>,
) -> Result<Option<String>, Failure> {
    let tags: Vec<Tag> = tags.iter().map(|(key, value)| tag(key, value)).collect();
    let boundary = permissions_boundary.map(str::to_owned);
    let call = once(iam).create_user().user_name(name).set_tags(Some(tags));
    let call = call.set_permissions_boundary(boundary);
    let call = || call.clone().send();
    let answer = repeated("iam:CreateUser", refused_for_now, call).await?;
    Ok(answer.user.map(|user| user.user_id))
}

/// `Missing` may be the word of one server that does not know the user yet; with `Conflict`, the user
/// still holds something.
pub async fn delete_user(iam: &Client, name: &str) -> Result<(), Failure> {
    let call = || iam.delete_user().user_name(name).send();
    repeated("iam:DeleteUser", busy_or_lost, call).await.map(drop)
}

pub async fn attach_user_policy(iam: &Client, user: &str, policy_arn: &str) -> Result<(), Failure> {
    let call = || iam.attach_user_policy().user_name(user).policy_arn(policy_arn).send();
    repeated("iam:AttachUserPolicy", refused_or_lost, call).await.map(drop)
}

pub async fn detach_user_policy(iam: &Client, user: &str, policy_arn: &str) -> Result<(), Failure> {
    let call = || iam.detach_user_policy().user_name(user).policy_arn(policy_arn).send();
    repeated("iam:DetachUserPolicy", busy_or_lost, call).await.map(drop)
}

/// Gives the user a console password, and returns when, by AWS's clock. The SDK does not repeat it: a
/// second attempt after a lost answer (`Unclear`) could not tell our password from somebody else's.
pub async fn create_login_profile(
    iam: &Client,
    user: &str,
    password: &SecretString,
) -> Result<Option<Timestamp>, Failure> {
    let iam = once(iam);
    let call = || {
        let call = iam.create_login_profile().user_name(user).password(password.expose_secret());
        call.password_reset_required(false).send()
    };
    let answer = repeated("iam:CreateLoginProfile", refused_for_now, call).await?;
    Ok(answer.login_profile.and_then(|profile| time(&profile.create_date)))
}

pub async fn delete_login_profile(iam: &Client, user: &str) -> Result<(), Failure> {
    let call = || iam.delete_login_profile().user_name(user).send();
    repeated("iam:DeleteLoginProfile", busy_or_lost, call).await.map(drop)
}

/// Creates a key and returns it with the time of its creation by AWS's clock. Without a user's name it
/// is one of root, which only root may ask for (API reference, CreateAccessKey). Sent once, and never
/// again by the SDK either: each success makes another key, and the secret of one whose answer was lost
/// (`Unclear`) is gone.
pub async fn create_access_key(
    iam: &Client,
    user: Option<&str>,
) -> Result<(KeyPair, Option<Timestamp>), Failure> {
    const OPERATION: &str = "iam:CreateAccessKey";
    let call = once(iam).create_access_key().set_user_name(user.map(str::to_owned));
    // A user that was created a second ago may not be known everywhere yet. That refusal is sure,
    // so trying again then is safe.
    let call = || call.clone().send();
    let answer = repeated(OPERATION, refused_for_now, call).await?;
    let key = answer.access_key.ok_or_else(|| Failure::without(OPERATION, "the key"))?;
    let secret = Zeroizing::new(key.secret_access_key);
    let is_id = |id: &str| id.len() >= 16 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_id(&key.access_key_id) || secret.len() < 40 {
        // Whatever else was done to it on the way: the key exists, and its secret is lost.
        return Err(Failure::without(OPERATION, "a whole key"));
    }
    let pair = KeyPair::new(key.access_key_id, SecretString::from(secret.as_str()));
    Ok((pair, key.create_date.as_ref().and_then(time)))
}

/// As for creating, `None` stands for root.
pub async fn delete_access_key(iam: &Client, user: Option<&str>, id: &str) -> Result<(), Failure> {
    let call = iam.delete_access_key().set_user_name(user.map(str::to_owned)).access_key_id(id);
    repeated("iam:DeleteAccessKey", busy_or_lost, || call.clone().send()).await.map(drop)
}

/// Makes a root key inactive, or active again. Without a user's name, IAM acts on the keys of root
/// itself, and only root may ask for it (API reference, UpdateAccessKey).
///
/// A key that makes itself inactive cannot ask again: that it is refused after an answer was lost
/// is the sign that it worked.
pub async fn set_root_key_active(iam: &Client, id: &str, active: bool) -> Result<(), Failure> {
    let status = if active { StatusType::Active } else { StatusType::Inactive };
    let call = once(iam).update_access_key().access_key_id(id).status(status);
    let mut is_done = false;
    let again = |failure: &Failure, lost| {
        is_done = !active && failure.reason == Reason::UnknownKey && lost > 0;
        busy_or_lost(failure, lost)
    };
    let result = repeated("iam:UpdateAccessKey", again, || call.clone().send()).await;
    if is_done { Ok(()) } else { result.map(drop) }
}

/// Describes a key as the console does: a tag on the user, with the key's ID as the tag's key.
pub async fn describe_access_key(
    iam: &Client,
    user: &str,
    id: &str,
    description: &str,
) -> Result<(), Failure> {
    let call = || iam.tag_user().user_name(user).tags(tag(id, description)).send();
    repeated("iam:TagUser", refused_or_lost, call).await.map(drop)
}

pub async fn remove_key_description(iam: &Client, user: &str, id: &str) -> Result<(), Failure> {
    let call = || iam.untag_user().user_name(user).tag_keys(id).send();
    repeated("iam:UntagUser", busy_or_lost, call).await.map(drop)
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().expect("it has both a key and a value")
}

/// Sends a call, `again` for as long as that says yes to its failure and to how many answers were lost
/// so far.
async fn repeated<T, E, F>(
    operation: &'static str,
    mut again: impl FnMut(&Failure, u32) -> bool,
    call: impl Fn() -> F,
) -> Result<T, Failure>
where
    E: ProvideErrorMetadata + StdError + 'static,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    let start = Instant::now();
    let mut pause = Duration::from_millis(300);
    let mut lost = 0;
    loop {
        let result = ask(operation, call()).await;
        let Err(failure) = &result else { return result };
        lost += u32::from(failure.reason == Reason::Unclear);
        if !again(failure, lost) || start.elapsed() + pause >= PATIENCE {
            return result;
        }
        sleep(pause.mul_f64(0.75 + 0.5 * rand::random::<f64>())).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// For a call that must not be done twice: after a refusal that passes and proves that nothing was
/// done, be it two changes at once, or a user so fresh that the server asked does not know it yet.
fn refused_for_now(failure: &Failure, _lost: u32) -> bool {
    // IAM's wording tells the user from a policy that is not there and will not be.
    let knows_no_user =
        failure.reason == Reason::Missing && failure.message.contains("user with name");
    failure.reason == Reason::Passing || knows_no_user
}

/// For a deletion: also after a lost answer. What "no such entity" means is for the caller to find out.
fn busy_or_lost(failure: &Failure, lost: u32) -> bool {
    failure.reason == Reason::Passing || (failure.reason == Reason::Unclear && lost <= 3)
}

/// For a call that does no harm when it is done twice.
fn refused_or_lost(failure: &Failure, lost: u32) -> bool {
    refused_for_now(failure, lost) || busy_or_lost(failure, lost)
}
