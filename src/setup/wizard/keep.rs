//! Where the pair is kept: the secret's name, the store, whether it becomes current, and what is to
//! be done about a user or a secret that exists already.

use crate::error::{Error, Result};
use crate::prompt::{Choice, Prompt, Question};
use crate::setup::facts::{Facts, Stored, UserFact};
use crate::setup::request::{IamUserRequest, IfExists, Keep, Request, Wanted, check_user_name};
use crate::setup::wizard::{Inquiry, Scene};
use crate::store::{SecretName, StoreKind};

/// `default_name` is the user's name, or `root`.
pub fn keep(
    wanted: &mut Wanted,
    scene: &Scene,
    default_name: &str,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<Keep> {
    let name = match wanted.secret.take() {
        Some(name) => name,
        None => prompt.text(
            Question::optional("Name of the CloudStudio secret", "--secret"),
            Some(default_name),
            &|name| SecretName::new(name).map(drop),
        )?,
    };
    let secret = SecretName::new(&name)?;
    // One secret, however its name is spelt.
    let secret = match scene.index.find(&secret) {
        Some(entry) => entry.name.clone(),
        None => secret,
    };
    let store = match wanted.store {
        Some(store) => store,
        None => choose_store(scene, inquiry, prompt)?,
    };
    let other_current = scene
        .index
        .current
        .as_ref()
        .filter(|current| !current.same_place_as(&secret));
    let make_current = match (
        wanted.no_current || store == StoreKind::Stdout,
        other_current,
    ) {
        (true, _) => false,
        (false, Some(current)) if scene.attended => {
            let question = format!("The current secret is `{current}`");
            let choices = [
                Choice::new(
                    format!("Make `{secret}` current"),
                    "what CloudStudio's tools then use",
                ),
                Choice::new(format!("Leave `{current}` current"), ""),
            ];
            prompt.select(Question::optional(&question, "--no-current"), &choices, 0)? == 0
        }
        (false, _) => true,
    };
    Ok(Keep {
        secret,
        store,
        make_current,
        aws_profile: wanted.aws_profile.take(),
        replace: false,
    })
}

/// The keyring is the default; where none answers, a plaintext file is taken only by choice.
fn choose_store(
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<StoreKind> {
    let file = Choice::new(
        "A private file",
        "only your account can read it; not encrypted",
    );
    let keyring = Choice::new("The keyring", "encrypted by the system, recommended");
    let Some(trouble) = inquiry.keyring_trouble()? else {
        let question = Question::optional("Keep the secret in", "--store");
        return Ok(match prompt.select(question, &[keyring, file], 0)? {
            0 => StoreKind::Keyring,
            _ => StoreKind::File,
        });
    };
    if !scene.attended {
        return Err(
            Error::failed(trouble).hint("keep the secret in a private file with --store file")
        );
    }
    prompt.tell(&format!("The keyring cannot be used: {trouble}."))?;
    let stop = Choice::new("Nowhere: stop here", "nothing is changed");
    let question = Question::required("Keep the secret in", "--store");
    match prompt.select(question, &[file, stop], 0)? {
        0 => Ok(StoreKind::File),
        _ => Err(Error::cancelled()),
    }
}

/// Asks about what the facts brought up: a user or a secret that exists already. Whether something
/// was changed that must be looked up again.
///
/// # Errors
/// The prompt's.
pub fn settle(
    request: &mut Request,
    facts: &Facts,
    scene: &Scene,
    prompt: &mut dyn Prompt,
) -> Result<bool> {
    if !scene.attended {
        return Ok(false);
    }
    if let (Request::IamUser(request), UserFact::Present(_)) = (&mut *request, &facts.user)
        && request.if_exists.is_none()
        && ask_for_another_user(request, prompt)?
    {
        return Ok(true);
    }
    let (keep, if_exists) = match request {
        Request::Existing(_) => return Ok(false),
        Request::IamUser(request) => (&mut request.keep, request.if_exists),
        Request::Root(request) => (&mut request.keep, request.if_exists),
    };
    let Some(stored) = &facts.stored else {
        return Ok(false);
    };
    let reusable = facts.stored_is_reusable && if_exists == Some(IfExists::Reuse);
    if keep.replace || reusable {
        return Ok(false);
    }
    ask_about_taken_name(keep, stored, prompt).map(|()| true)
}

/// Whether another name was chosen; else the existing user is to be used.
fn ask_for_another_user(request: &mut IamUserRequest, prompt: &mut dyn Prompt) -> Result<bool> {
    let question = format!("The IAM user `{}` exists already", request.user_name);
    let choices = [
        Choice::new(
            "Choose another name",
            "nothing is changed on the existing user",
        ),
        Choice::new("Use this user", "it gets what it lacks, and a new key"),
    ];
    if prompt.select(Question::required(&question, "--if-exists"), &choices, 0)? == 1 {
        request.if_exists = Some(IfExists::Reuse);
        return Ok(false);
    }
    let question = Question::required("User name", "--user-name");
    let old = std::mem::take(&mut request.user_name);
    request.user_name = prompt.text(question, None, &check_user_name)?;
    if request.keep.secret.as_str() == old {
        request.keep.secret = SecretName::new(&request.user_name)?;
    }
    Ok(true)
}

fn ask_about_taken_name(keep: &mut Keep, stored: &Stored, prompt: &mut dyn Prompt) -> Result<()> {
    let question = format!(
        "There is a secret `{}` already, {}",
        keep.secret,
        stored.described()
    );
    let choices = [
        Choice::new("Choose another name", "the old secret stays"),
        Choice::new(
            "Replace it",
            "the old secret is lost once the new one is kept",
        ),
    ];
    if prompt.select(Question::required(&question, "--secret"), &choices, 0)? == 1 {
        keep.replace = true;
        // Where the name lives, so that no second secret of that name stays behind elsewhere.
        keep.store = stored.store;
        return Ok(());
    }
    let question = Question::required("Name of the CloudStudio secret", "--secret");
    let name = prompt.text(question, None, &|name| SecretName::new(name).map(drop))?;
    keep.secret = SecretName::new(&name)?;
    Ok(())
}
