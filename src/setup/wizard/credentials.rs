//! Which credentials: what CloudStudio should use, and which ones may create the user.

use crate::aws::found::{Found, Source};
use crate::aws::mfa::GuardedRole;
use crate::error::{Error, Kind, Result};
use crate::prompt::{Choice, Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::request::{Wanted, default_key_description};
use crate::setup::wizard::{DEFAULT_USER_NAME, Inquiry, Scene, console};

pub enum Outcome {
    Existing(Box<Found>),
    IamUser,
    Root,
}

pub fn choose_outcome(
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<Outcome> {
    let question = Question::required("What should CloudStudio use?", "--mode");
    if !scene.attended {
        // The contract of `auto`: what works stays in place, and a user is never made unasked.
        return match scene.found.first() {
            Some(found) if found.identity().is_some() => {
                Ok(Outcome::Existing(Box::new(found.clone())))
            }
            Some(found) if scene.named && guarded(found, scene).is_some() => {
                let found = the_first_one(scene, inquiry, prompt)?;
                Ok(Outcome::Existing(Box::new(found)))
            }
            found => {
                let error = Error::answer_needed(question.text, question.flag);
                Err(match found.and_then(Found::failure) {
                    Some(failure) => {
                        error.hint(format!("answer it with --mode; {}", failure.message))
                    }
                    None => error,
                })
            }
        };
    }
    let working: Vec<&Found> = scene
        .found
        .iter()
        .filter(|found| found.identity().is_some_and(|identity| !identity.is_root()))
        .collect();
    let mut choices: Vec<Choice> = working
        .iter()
        .map(|found| {
            let default = scene
                .found
                .first()
                .is_some_and(|first| first.source == found.source);
            let note = match (&found.source, default) {
                (Source::Profile(_), false) => "CloudStudio then needs AWS_PROFILE set",
                (Source::Environment, _) => "only where CloudStudio is started from this shell",
                _ => "the tools CloudStudio runs find it by themselves",
            };
            let name = match &found.source {
                Source::Profile(name) => format!("`{name}`"),
                other => other.described(),
            };
            Choice::new(format!("Keep {name} as it is"), note)
        })
        .collect();
    choices.push(Choice::new(
        "Create an IAM user",
        "safe, recommended: its own user and key",
    ));
    choices.push(Choice::new(
        "Use the root user's key",
        "fast, risky: unrestricted, hard to contain",
    ));
    let chosen = prompt.select(question, &choices, 0)?;
    Ok(match chosen.checked_sub(working.len()) {
        None => Outcome::Existing(Box::new(working[chosen].clone())),
        Some(0) => Outcome::IamUser,
        Some(_) => Outcome::Root,
    })
}

/// The first of the found ones where it works, with a code where its role needs one; or why not.
pub fn the_first_one(
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<Found> {
    let first = scene.found.first();
    match first.and_then(|found| guarded(found, scene)) {
        Some(role) => inquiry.with_code(role, prompt),
        None => the_working_one(scene).cloned(),
    }
}

/// The first of the found ones where it works, or why not.
pub fn the_working_one<'a>(scene: &Scene<'a>) -> Result<&'a Found> {
    let Some(found) = scene.found.first() else {
        return Err(no_credentials());
    };
    match found.failure() {
        Some(failure) => Err(failure),
        None => Ok(found),
    }
}

fn no_credentials() -> Error {
    Error::credentials("no AWS credentials were found on this machine").hint(
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a --profile, give a key with --key-stdin, or sign in with --login",
    )
}

/// Credentials that create the user; with their pair, where the person gave it.
pub fn choose_bootstrap(
    wanted: &mut Wanted,
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<(Found, Option<KeyPair>)> {
    if !scene.attended || scene.named {
        return Ok((the_first_one(scene, inquiry, prompt)?, None));
    }
    let mut ways: Vec<(Way, Choice)> = Vec::new();
    ways.extend(scene.found.iter().filter_map(|found| {
        let whose = found.identity()?.described();
        Some((
            Way::Found(found),
            Choice::new(found.source.described(), whose),
        ))
    }));
    let roles = scene.found.iter().filter_map(|found| guarded(found, scene));
    ways.extend(roles.map(|role| {
        let label = format!("profile `{}`", role.profile);
        let choice = Choice::new(label, "with a code of its MFA device");
        (Way::WithCode(role), choice)
    }));
    // The flag that answers it: a profile, where there is one.
    let flag = match ways.is_empty() {
        true => "--login",
        false => "--profile",
    };
    if ways.is_empty() {
        prompt
            .tell("No credentials on this machine work, so something is needed to begin with.")?;
    }
    let others = [
        (
            Way::SignIn,
            "Sign in with the browser",
            "with the password that you use for the AWS console",
        ),
        (
            Way::Paste,
            "Paste an access key",
            "of a user that may manage IAM, or of root",
        ),
        (
            Way::Console,
            "Make one in the AWS console",
            "step by step, where you cannot sign in from here",
        ),
    ];
    let others = others.map(|(way, label, note)| (way, Choice::new(label, note)));
    ways.extend(others);
    let (ways, choices): (Vec<Way>, Vec<Choice>) = ways.into_iter().unzip();
    let question = Question::required("Which credentials may create the user?", flag);
    match ways[prompt.select(question, &choices, 0)?] {
        Way::Found(found) => Ok((found.clone(), None)),
        Way::WithCode(role) => Ok((inquiry.with_code(role, prompt)?, None)),
        Way::SignIn => Ok((working(inquiry.sign_in(prompt)?)?, None)),
        Way::Paste => {
            let text = "Access key, both halves (not shown)";
            let question = Question::required(text, "--key-stdin");
            let (pair, found) = ask_for_pair(question, inquiry, prompt, &working)?;
            Ok((found, Some(pair)))
        }
        Way::Console => make_in_console(wanted, scene, inquiry, prompt),
    }
}

/// How to come by credentials that create the user.
enum Way<'a> {
    Found(&'a Found),
    WithCode(&'a GuardedRole),
    SignIn,
    Paste,
    Console,
}

/// The role of credentials that do not work for want of a code.
fn guarded<'a>(found: &Found, scene: &Scene<'a>) -> Option<&'a GuardedRole> {
    let name = found.source.profile_name()?;
    let mut roles = scene.guarded.iter();
    let role = roles.find(|role| role.profile == name)?;
    found.identity().is_none().then_some(role)
}

fn make_in_console(
    wanted: &mut Wanted,
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<(Found, Option<KeyPair>)> {
    let question = Question::required("Whose key do you want to make?", "--key-stdin");
    let choices = [
        Choice::new(
            "A new IAM user's",
            "safe, recommended: the very key that CloudStudio gets",
        ),
        Choice::new(
            "The root user's",
            "it creates the IAM user here, and should be deleted afterwards",
        ),
    ];
    let (pair, found) = match prompt.select(question, &choices, 0)? {
        0 => {
            let name = wanted.user_name.as_deref().unwrap_or(DEFAULT_USER_NAME);
            let description = default_key_description(scene.host_name);
            let (pair, found) = console::user_key(name, &description, scene, inquiry, prompt)?;
            // The console may have been given another name.
            let identity = found.identity();
            wanted.user_name = identity.and_then(|it| it.user_name().map(str::to_owned));
            (pair, found)
        }
        _ => console::root_key(scene, inquiry, prompt)?,
    };
    Ok((found, Some(pair)))
}

/// Asks until AWS accepts the pair and `accept` does, too.
pub fn ask_for_pair(
    question: Question,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
    accept: &dyn Fn(Found) -> Result<Found>,
) -> Result<(KeyPair, Found)> {
    loop {
        let pair = prompt.key_pair(question)?;
        match accept(inquiry.check_pair(&pair)?) {
            Ok(found) => return Ok((pair, found)),
            Err(refused) if refused.kind == Kind::Credentials => {
                prompt.tell(&refused.with_hint())?;
            }
            Err(error) => return Err(error),
        }
    }
}

pub fn working(found: Found) -> Result<Found> {
    match found.failure() {
        Some(failure) => Err(failure),
        None => Ok(found),
    }
}
