//! Makes a Request complete: asks for what flags left open, each question once, with a default.
//! Decides nothing about AWS and changes nothing; whom it asks may also be nobody.

mod console;
mod credentials;
mod keep;
mod root_key;
#[cfg(test)]
mod tests;

use crate::aws::account::PasswordPolicy;
use crate::aws::console::Console;
use crate::aws::found::Found;
use crate::aws::identity::Principal;
use crate::aws::mfa::GuardedRole;
use crate::error::{Error, Result};
use crate::prompt::{Choice, Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::request::{
    ConsolePassword, ExistingRequest, IamUserRequest, IfExists, Mode, PasswordChoice, Request,
    RootRequest, Wanted, check_key_description, check_user_name, default_key_description,
    parse_tags,
};
use crate::setup::wizard::credentials::{
    Outcome, choose_bootstrap, choose_outcome, the_first_one, the_working_one, working,
};
use crate::setup::wizard::keep::keep;
use crate::store::index::Index;

pub use credentials::ask_for_pair;
pub use keep::settle;

const ROOT_WARNING: &str = "The root user may do everything in the account, and nothing can \
restrict it: whoever gets this key can lock you out. AWS strongly recommends not to have access \
keys for the root user at all.";
const DEFAULT_USER_NAME: &str = "cloudstudio-admin";
const ACKNOWLEDGEMENT: &str = "use root";

/// What the wizard may know while it asks.
pub struct Scene<'a> {
    /// Checked credentials; the first is the one that tools would use.
    pub found: &'a [Found],
    /// Those whose role needs the code of an MFA device.
    pub guarded: &'a [GuardedRole],
    pub index: &'a Index,
    pub host_name: Option<&'a str>,
    /// Whether a flag said which credentials to use.
    pub named: bool,
    /// Whether a person answers.
    pub attended: bool,
    /// Whose pages people are sent to.
    pub console: Console,
    /// Whether they may be opened, rather than only named.
    pub opens_pages: bool,
}

/// What is looked up while the questions go on; the wizard itself calls nothing.
pub trait Inquiry {
    /// Asks AWS whose pair this is.
    fn check_pair(&self, pair: &KeyPair) -> Result<Found>;
    /// Has the person sign in with the browser; the session as credentials that are checked.
    fn sign_in(&self, prompt: &mut dyn Prompt) -> Result<Found>;
    /// Assumes a role with the code of an MFA device, which is asked for unless a flag gives it.
    fn with_code(&self, role: &GuardedRole, prompt: &mut dyn Prompt) -> Result<Found>;
    /// Opens a page in the person's browser.
    fn open(&self, address: &str) -> Result<()>;
    /// What the account demands of console passwords; `None` where that may not be read.
    fn password_policy(&self, caller: &Found) -> Result<Option<PasswordPolicy>>;
    /// Why the keyring cannot be used, where it cannot; asked only where that matters, because a
    /// locked keyring may ask its owner to unlock it.
    fn keyring_trouble(&self) -> Result<Option<String>>;
}

/// What flags say has been checked ([`Wanted::check`]).
///
/// # Errors
/// The prompt's; what is wrong with an answer; or that no credentials work where some must.
pub fn complete(
    wanted: Wanted,
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<Request> {
    let outcome = match wanted.mode {
        Some(Mode::Existing) => Outcome::Existing(Box::new(the_first_one(scene, inquiry, prompt)?)),
        Some(Mode::IamUser) => Outcome::IamUser,
        Some(Mode::Root) => Outcome::Root,
        None if wanted.given_pair.is_some() && !scene.attended => {
            return Err(Error::usage("--key-stdin does not say what the key is for")
                .hint("use it with --mode iam-user to create a user, or --mode root to store it"));
        }
        None => choose_outcome(scene, inquiry, prompt)?,
    };
    match outcome {
        Outcome::Existing(found) => Ok(Request::Existing(ExistingRequest {
            found: *found,
            unused: wanted.of_a_new_key(),
        })),
        Outcome::IamUser => iam_user(wanted, scene, None, inquiry, prompt),
        Outcome::Root => root(wanted, scene, inquiry, prompt),
    }
}

fn iam_user(
    mut wanted: Wanted,
    scene: &Scene,
    bootstrap: Option<Found>,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<Request> {
    let (bootstrap, given) = match (bootstrap, wanted.given_pair.take()) {
        (Some(bootstrap), _) => (bootstrap, None),
        (None, Some(pair)) => (working(inquiry.check_pair(&pair)?)?, Some(pair)),
        (None, None) => choose_bootstrap(&mut wanted, scene, inquiry, prompt)?,
    };
    let user_name = match wanted.user_name.take() {
        Some(name) => name,
        None => prompt.text(
            Question::optional("User name", "--user-name"),
            Some(DEFAULT_USER_NAME),
            &check_user_name,
        )?,
    };
    let identity = bootstrap.identity();
    let is_own = identity.is_some_and(|identity| identity.user_name() == Some(&user_name));
    let own_key = given.filter(|_| is_own);
    if own_key.is_some() {
        // The user is as its owner made it.
        wanted.console_password.get_or_insert(PasswordChoice::None);
        wanted.if_exists.get_or_insert(IfExists::Reuse);
    }
    let console_password = console_password(&mut wanted, &bootstrap, inquiry, prompt)?;
    let key_description = match wanted.key_description.take() {
        None if own_key.is_some() => None,
        Some(description) => Some(description),
        None => Some(prompt.text(
            Question::optional(
                "Describe this key, so that you recognise it in AWS",
                "--key-description",
            ),
            Some(&default_key_description(scene.host_name)),
            &check_key_description,
        )?),
    };
    let retire = root_key::retire(&wanted, &bootstrap, scene, prompt)?;
    let policy_arns = if wanted.policy_arns.is_empty() {
        let identity = bootstrap.identity();
        identity
            .map(|identity| identity.managed_policy_arn("AdministratorAccess"))
            .into_iter()
            .collect()
    } else {
        std::mem::take(&mut wanted.policy_arns)
    };
    let keep = keep(&mut wanted, scene, &user_name, inquiry, prompt)?;
    Ok(Request::IamUser(Box::new(IamUserRequest {
        bootstrap,
        user_name,
        policy_arns,
        permissions_boundary: wanted.permissions_boundary.take(),
        tags: parse_tags(&wanted.tags)?,
        console_password,
        key_description,
        own_key,
        retire,
        if_exists: wanted.if_exists,
        keep,
    })))
}

fn console_password(
    wanted: &mut Wanted,
    bootstrap: &Found,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<ConsolePassword> {
    const FLAG: &str = "--console-password";
    let choice = match wanted.console_password {
        Some(choice) => choice,
        None => {
            let choices = [
                Choice::new("None", "the user cannot sign in to the AWS console"),
                Choice::new(
                    "Generate one",
                    "fits the account's policy; shown once at the end",
                ),
                Choice::new("Type one", "twice, not shown"),
            ];
            match prompt.select(Question::optional("Console password", FLAG), &choices, 0)? {
                0 => PasswordChoice::None,
                1 => PasswordChoice::Generate,
                _ => PasswordChoice::Prompt,
            }
        }
    };
    Ok(match choice {
        PasswordChoice::None => ConsolePassword::None,
        PasswordChoice::Generate => ConsolePassword::Generate,
        PasswordChoice::Prompt => {
            let question = Question::required(
                "Console password (not shown)",
                "--console-password generate",
            );
            let policy = inquiry.password_policy(bootstrap)?.unwrap_or_default();
            let check = |password: &str| policy.check(password);
            ConsolePassword::Given(prompt.new_password(question, &check)?)
        }
        PasswordChoice::Stdin => match wanted.given_password.take() {
            Some(password) => ConsolePassword::Given(password),
            None => {
                return Err(Error::end_of_input(
                    "the console password",
                    "standard input",
                ));
            }
        },
    })
}

fn root(
    mut wanted: Wanted,
    scene: &Scene,
    inquiry: &dyn Inquiry,
    prompt: &mut dyn Prompt,
) -> Result<Request> {
    let root_found = scene
        .found
        .iter()
        .find(|found| found.identity().is_some_and(|identity| identity.is_root()));
    if let (true, Some(found), None) = (scene.attended, root_found, &wanted.given_pair) {
        let question = format!("{} is the root user's and works", found.source.described());
        let choices = [
            Choice::new(
                "Create an IAM user with it",
                "safe, recommended: its own user and key",
            ),
            Choice::new("Use a root key all the same", "fast, risky"),
        ];
        if prompt.select(Question::required(&question, "--mode"), &choices, 0)? == 0 {
            return iam_user(wanted, scene, Some(found.clone()), inquiry, prompt);
        }
    }
    if !wanted.root_risk_acknowledged {
        prompt.tell(ROOT_WARNING)?;
        let text = format!("Type `{ACKNOWLEDGEMENT}` to go on all the same");
        let question = Question::required(&text, "--acknowledge-root-risk");
        prompt.text(question, None, &|typed| {
            if typed.eq_ignore_ascii_case(ACKNOWLEDGEMENT) {
                Ok(())
            } else {
                Err(Error::usage(
                    "that is something else; Ctrl-C ends without a change",
                ))
            }
        })?;
    }
    let (pair, checked) = match wanted.given_pair.take() {
        Some(pair) => {
            let checked = inquiry.check_pair(&pair)?;
            (Some(pair), of_root(checked)?)
        }
        None if scene.named => (None, of_root(the_working_one(scene)?.clone())?),
        None => root_key::choose(root_found, scene, inquiry, prompt)?,
    };
    let keep = keep(&mut wanted, scene, "root", inquiry, prompt)?;
    Ok(Request::Root(RootRequest {
        pair,
        checked,
        unused: wanted.of_a_user(),
        if_exists: wanted.if_exists,
        keep,
    }))
}

/// Working credentials of the root user, or what they are instead.
fn of_root(found: Found) -> Result<Found> {
    let found = working(found)?;
    let Some(identity) = found.identity().filter(|identity| !identity.is_root()) else {
        return Ok(found);
    };
    let who = match identity.principal {
        Principal::User(_) => "an IAM user's",
        _ => "somebody else's",
    };
    Err(Error::credentials(format!(
        "this is {who} key, not the root user's: {}",
        identity.described()
    ))
    .hint("to create an IAM user with it, use --mode iam-user --key-stdin"))
}
