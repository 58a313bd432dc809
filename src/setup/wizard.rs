//! Makes a Request complete: asks for what flags left open, each question once, with a default.
//! Decides nothing about AWS and changes nothing; whom it asks may also be nobody.

use crate::aws::identity::Principal;
use crate::aws::profiles::{Found, Source};
use crate::error::{Error, Result};
use crate::prompt::{Choice, Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::facts::{Facts, Stored, UserFact};
use crate::setup::request::{
    ConsolePassword, IamUserRequest, IfExists, Keep, Mode, PasswordChoice, Request, RootRequest,
    Wanted, check_key_description, check_user_name, default_key_description, parse_tag,
};
use crate::store::index::Index;
use crate::store::{SecretName, StoreKind};

const ROOT_WARNING: &str = "\
The root user may do everything in the account, and nothing can restrict it: whoever gets this key
can lock you out. AWS strongly recommends not to have access keys for the root user at all.";
const ACKNOWLEDGEMENT: &str = "use root";

/// What the wizard may know while it asks.
pub struct Scene<'a> {
    /// Checked credentials; the first is the one that tools would use.
    pub found: &'a [Found],
    pub index: &'a Index,
    pub host_name: Option<&'a str>,
    /// Why the keyring cannot be used, where it cannot.
    pub keyring_trouble: Option<&'a str>,
    /// Whether a person answers.
    pub attended: bool,
}

/// Checks a pair at AWS while the questions go on; the wizard itself calls nothing.
pub type CheckPair<'a> = &'a mut dyn FnMut(&KeyPair) -> Result<Found>;

/// # Errors
/// The prompt's; what is wrong with an answer; or that no credentials work where some must.
pub fn complete(
    wanted: Wanted,
    scene: &Scene,
    check_pair: CheckPair,
    prompt: &mut dyn Prompt,
) -> Result<Request> {
    // What flags got wrong is told before anything is asked.
    for tag in &wanted.tags {
        parse_tag(tag)?;
    }
    if let Some(name) = &wanted.user_name {
        check_user_name(name)?;
    }
    if let Some(description) = &wanted.key_description {
        check_key_description(description)?;
    }
    if let Some(secret) = &wanted.secret {
        SecretName::new(secret)?;
    }
    let outcome = match wanted.mode {
        Some(Mode::Existing) => Outcome::Existing(the_working_one(scene)?.clone()),
        Some(Mode::IamUser) => Outcome::IamUser,
        Some(Mode::Root) => Outcome::Root,
        None => choose_outcome(scene, prompt)?,
    };
    match outcome {
        Outcome::Existing(found) => Ok(Request::Existing(found)),
        Outcome::IamUser => iam_user(wanted, scene, None, check_pair, prompt),
        Outcome::Root => root(wanted, scene, check_pair, prompt),
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
    let (keep, if_exists) = match request {
        Request::Existing(_) => return Ok(false),
        Request::IamUser(request) => {
            if let (UserFact::Present(_), None) = (&facts.user, request.if_exists) {
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
                return Ok(true);
            }
            (&mut request.keep, request.if_exists)
        }
        Request::Root(request) => (&mut request.keep, request.if_exists),
    };
    let Some(stored) = &facts.stored else {
        return Ok(false);
    };
    if keep.replace || (if_exists == Some(IfExists::Reuse) && facts.stored_is_reusable) {
        return Ok(false);
    }
    ask_about_taken_name(keep, stored, prompt).map(|()| true)
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

enum Outcome {
    Existing(Found),
    IamUser,
    Root,
}

fn choose_outcome(scene: &Scene, prompt: &mut dyn Prompt) -> Result<Outcome> {
    let question = Question::required("What should CloudStudio use?", "--mode");
    if !scene.attended {
        // The contract of `auto`: what works stays in place, and a user is never made unasked.
        return match scene.found.first() {
            Some(found) if found.identity().is_some() => Ok(Outcome::Existing(found.clone())),
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
        None => Outcome::Existing(working[chosen].clone()),
        Some(0) => Outcome::IamUser,
        Some(_) => Outcome::Root,
    })
}

/// The first of the found ones where it works, or why not.
fn the_working_one<'a>(scene: &Scene<'a>) -> Result<&'a Found> {
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
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a --profile, or give a key with --key-stdin",
    )
}

fn iam_user(
    mut wanted: Wanted,
    scene: &Scene,
    bootstrap: Option<Found>,
    check_pair: CheckPair,
    prompt: &mut dyn Prompt,
) -> Result<Request> {
    let bootstrap = match (bootstrap, wanted.given_pair.take()) {
        (Some(bootstrap), _) => bootstrap,
        (None, Some(pair)) => working(check_pair(&pair)?)?,
        (None, None) => choose_bootstrap(scene, check_pair, prompt)?,
    };
    let user_name = match wanted.user_name.take() {
        Some(name) => name,
        None => prompt.text(
            Question::optional("User name", "--user-name"),
            Some("cloudstudio-admin"),
            &check_user_name,
        )?,
    };
    let console_password = console_password(&mut wanted, prompt)?;
    let key_description = match wanted.key_description.take() {
        Some(description) => description,
        None => prompt.text(
            Question::optional(
                "Describe this key, so that you recognise it in AWS",
                "--key-description",
            ),
            Some(&default_key_description(scene.host_name)),
            &check_key_description,
        )?,
    };
    let policy_arns = if wanted.policy_arns.is_empty() {
        let identity = bootstrap.identity();
        identity
            .map(|identity| identity.managed_policy_arn("AdministratorAccess"))
            .into_iter()
            .collect()
    } else {
        std::mem::take(&mut wanted.policy_arns)
    };
    let tags = wanted
        .tags
        .iter()
        .map(|tag| parse_tag(tag))
        .collect::<Result<_>>()?;
    let keep = keep(&mut wanted, scene, &user_name, prompt)?;
    Ok(Request::IamUser(Box::new(IamUserRequest {
        bootstrap,
        user_name,
        policy_arns,
        permissions_boundary: wanted.permissions_boundary.take(),
        tags,
        console_password,
        key_description,
        if_exists: wanted.if_exists,
        keep,
    })))
}

fn choose_bootstrap(
    scene: &Scene,
    check_pair: CheckPair,
    prompt: &mut dyn Prompt,
) -> Result<Found> {
    if !scene.attended {
        return the_working_one(scene).cloned();
    }
    let working_ones: Vec<&Found> = scene
        .found
        .iter()
        .filter(|found| found.identity().is_some())
        .collect();
    let mut choices: Vec<Choice> = working_ones
        .iter()
        .filter_map(|found| {
            let identity = found.identity()?;
            Some(Choice::new(found.source.described(), identity.described()))
        })
        .collect();
    choices.push(Choice::new(
        "Paste an access key",
        "of a user that may manage IAM, or of root",
    ));
    let chosen = if working_ones.is_empty() {
        prompt.tell(
            "No credentials on this machine work, so one access key is needed to begin with.",
        )?;
        0
    } else {
        prompt.select(
            Question::required("Which credentials may create the user?", "--profile"),
            &choices,
            0,
        )?
    };
    if let Some(found) = working_ones.get(chosen) {
        return Ok((*found).clone());
    }
    let question = Question::required("Access key, both halves (not shown)", "--key-stdin");
    let pair = prompt.key_pair(question)?;
    working(check_pair(&pair)?)
}

fn working(found: Found) -> Result<Found> {
    match found.failure() {
        Some(failure) => Err(failure),
        None => Ok(found),
    }
}

fn console_password(wanted: &mut Wanted, prompt: &mut dyn Prompt) -> Result<ConsolePassword> {
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
            let question = Question::required("Console password (not shown)", FLAG);
            let check = |password: &str| match password.chars().count() {
                1..=128 => Ok(()),
                _ => Err(Error::usage("a console password has 1 to 128 characters")),
            };
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
    check_pair: CheckPair,
    prompt: &mut dyn Prompt,
) -> Result<Request> {
    let root_found = scene
        .found
        .iter()
        .find(|found| found.identity().is_some_and(|identity| identity.is_root()));
    if let (true, Some(found), None) = (scene.attended, root_found, &wanted.given_pair) {
        let question = format!("{} is a root key and works", found.source.described());
        let choices = [
            Choice::new(
                "Create an IAM user with it",
                "safe, recommended: its own user and key",
            ),
            Choice::new("Use a root key all the same", "fast, risky"),
        ];
        if prompt.select(Question::required(&question, "--mode"), &choices, 0)? == 0 {
            return iam_user(wanted, scene, Some(found.clone()), check_pair, prompt);
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
    let pair = match wanted.given_pair.take() {
        Some(pair) => pair,
        None => prompt.key_pair(Question::required(
            "The root user's access key, both halves (not shown)",
            "--key-stdin",
        ))?,
    };
    let checked = working(check_pair(&pair)?)?;
    if let Some(identity) = checked.identity()
        && !identity.is_root()
    {
        let who = match identity.principal {
            Principal::User(_) => "an IAM user's",
            _ => "somebody else's",
        };
        return Err(Error::credentials(format!(
            "this is {who} key, not the root user's: {}",
            identity.described()
        ))
        .hint("to create an IAM user with it, use --mode iam-user --key-stdin"));
    }
    let keep = keep(&mut wanted, scene, "root", prompt)?;
    Ok(Request::Root(RootRequest {
        pair,
        checked,
        if_exists: wanted.if_exists,
        keep,
    }))
}

/// Name, store and current: `default_name` is the user's name, or `root`.
fn keep(
    wanted: &mut Wanted,
    scene: &Scene,
    default_name: &str,
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
    let store = match wanted.store {
        Some(store) => store,
        None => choose_store(scene, prompt)?,
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
        replace: false,
    })
}

/// The keyring is the default; where none answers, a plaintext file is taken only by choice.
fn choose_store(scene: &Scene, prompt: &mut dyn Prompt) -> Result<StoreKind> {
    let file = Choice::new(
        "A private file",
        "only your account can read it; not encrypted",
    );
    let keyring = Choice::new("The keyring", "encrypted by the system, recommended");
    let Some(trouble) = scene.keyring_trouble else {
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
