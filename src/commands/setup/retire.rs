//! What follows once the root key that created the user is out of use: it is deleted where somebody says
//! so once more, and what still holds it is named.

use crate::aws::configured::{Kind, configured};
use crate::aws::credential::Credential;
use crate::aws::partition::Partition;
use crate::aws_files::{AwsFiles, Locations};
use crate::aws_profile::{self, AwsProfile};
use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::commands::lookups::LiveLookups;
use crate::error::{Error, Result};
use crate::prompt::{Choice, Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::goal::Goal;
use crate::setup::journal::{Journal, Record, run_name};
use crate::setup::plan::deletion;
use crate::setup::report::{RootKeyStatus, SetupReport};
use crate::setup::run::Run;
use crate::setup::steps::context::RunSecrets;
use crate::setup::wizard::Lookups;
use crate::store::index::Index;

/// Adds to the report what becomes of the retired key. The run has gone well, whatever happens here.
pub fn after_retirement(
    goal: &Goal,
    report: &mut SetupReport,
    lookups: &LiveLookups,
    context: &Context,
) -> Result<()> {
    let Some(key) = &mut report.root_key else {
        return Ok(());
    };
    if context.attended {
        let mut prompt = context.prompt()?;
        match delete(&key.access_key_id, goal, lookups, prompt.as_mut(), context) {
            Ok(true) => key.status = RootKeyStatus::Deleted,
            Ok(false) => {}
            Err(error) => {
                let error = error.with_hint();
                context.output.warn(&format!("the root key was not deleted: {error}"));
            }
        }
        let offered = offer_secret(&key.access_key_id, goal, prompt.as_mut(), context);
        if let Err(error) = offered {
            context.output.warn(&error.with_hint());
        }
    }
    let warnings = still_configured(&key.access_key_id, lookups.aws, context);
    for warning in &warnings {
        context.output.warn(warning);
    }
    report.warnings.extend(warnings);
    Ok(())
}

/// The error for a user that is ready, and whose root key is not retired.
pub fn not_retired(error: Error, goal: &Goal, caller: &Credential) -> Error {
    let user = goal.owner().short();
    let message = format!("{user} is ready, but its root key was not retired: {}", error.message);
    let kind = error.kind;
    error
        .with(kind, message)
        .and_hint(format!("or see to the key in the console, as root: {}", page(caller)))
}

/// Where root's keys are in the console.
pub fn page(caller: &Credential) -> String {
    Partition::of_region(caller.session.region.as_ref()).security_credentials()
}

/// The new pair, as whoever uses it from now on reads it.
pub fn kept_pair(goal: &Goal, aws: &Aws) -> Result<KeyPair> {
    let pair = match (&goal.secret, &goal.access_key_id) {
        (Some(kept), Some(id)) => aws.vault.held(&kept.name, kept.store, id)?,
        _ => None,
    };
    pair.ok_or_else(|| Error::failed("the new pair is not in its store"))
}

/// Whether the key was deleted. An inactive key cannot sign, so root has to sign in for it.
fn delete(
    id: &str,
    goal: &Goal,
    lookups: &LiveLookups,
    prompt: &mut dyn Prompt,
    context: &Context,
) -> Result<bool> {
    let text = format!("The root key {id} is inactive now. What becomes of it?");
    let choices = [
        Choice::new("Keep it, inactive", "root can activate it again"),
        Choice::new(
            "Delete it for good",
            "nothing brings it back; sign in as root with the browser for it",
        ),
    ];
    let question = Question::required(&text, "in the AWS console");
    if prompt.select(question, &choices, 0)? == 0 {
        return Ok(false);
    }
    let aws = lookups.aws;
    let root = lookups.sign_in(prompt)?;
    let identity = root.identity();
    if !identity.is_some_and(|it| it.is_root() && it.account_id == goal.account_id) {
        let who = identity.map_or("nobody".to_owned(), |it| it.described());
        return Err(Error::credentials(format!("this is {who}, not root in {}", goal.account_id))
            .hint("delete it in the console, as root"));
    }
    let name = run_name(context.env.now());
    let record = Record::new(&name, &deletion(id, goal), &root);
    let journal = Journal::begin(&aws.folders, record)?;
    let secrets = RunSecrets { pair: Some(kept_pair(goal, aws)?), password: None };
    let access = aws.access(Some(&root.session), context);
    let mut run = Run::new(access, journal, secrets, &aws.interrupt);
    aws.run(run.execute())?;
    run.finish();
    Ok(true)
}

/// Offers each profile that holds the key, and nothing else to sign with, the new secret instead. It is
/// the last thing, and each file is changed at once: it needs no journal, and may be repeated.
fn offer_secret(id: &str, goal: &Goal, prompt: &mut dyn Prompt, context: &Context) -> Result<()> {
    let Some(kept) = &goal.secret else {
        return Ok(());
    };
    let locations = Locations::of(&context.env)?;
    let profiles = locations.read_sound()?.profiles();
    let holders = profiles.profiles.iter().filter(|profile| {
        profile.get("aws_access_key_id") == Some(id)
            && configured(profile, &profiles).kind == Kind::Static
    });
    for holder in holders {
        let (name, secret) = (&holder.name, &kept.name);
        let program = context.env.program()?;
        let profile = AwsProfile::new(name, program, Some(secret), None)?;
        let key = holder.file_of("aws_secret_access_key");
        let files = (key.map(|kind| locations.path(kind)), &locations.config);
        if let (Some(from), to) = files {
            prompt.tell(&format!(
                "The profile `{name}` holds the root key. It can read the secret `{secret}` instead: the key goes from {}, and credential_process comes into {}.",
                from.display(),
                to.display()
            ))?;
        }
        if let Some(variable) = context.env.moves_data() {
            prompt.tell(&aws_profile::works_only_with(variable))?;
        }
        let text = format!("Let the profile `{name}` read the secret?");
        let question = Question::required(&text, "in ~/.aws");
        if prompt.confirm(question)? && aws_profile::take_place_of_key(&locations, &profile, id)? {
            context.output.step_done("change AWS profile", name);
        }
    }
    Ok(())
}

/// Who would go on using the key, and fail.
fn still_configured(id: &str, aws: &Aws, context: &Context) -> Vec<String> {
    let mut holders = Vec::new();
    if context.env.var("AWS_ACCESS_KEY_ID") == Some(id) {
        holders.push("the variable AWS_ACCESS_KEY_ID".to_owned());
    }
    let profiles = AwsFiles::of(&context.env).profiles();
    let of_key = |key: Option<&str>| key == Some(id);
    holders.extend(
        profiles
            .profiles
            .iter()
            .filter(|profile| of_key(profile.get("aws_access_key_id")))
            .map(|profile| format!("the profile `{}`", profile.name)),
    );
    let index = Index::load(&aws.folders).unwrap_or_default();
    let secrets = index.secrets.iter().filter(|it| it.access_key_id == id);
    holders.extend(secrets.map(|it| format!("the CloudStudio secret `{}`", it.name)));
    let warning = |holder| {
        format!("{holder} still holds the root key {id}, which no longer works: take it out there")
    };
    holders.into_iter().map(warning).collect()
}
