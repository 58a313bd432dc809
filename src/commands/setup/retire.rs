//! What follows once a root key is out of use: it is deleted on request, and its holders named.

use crate::aws::configured::{Kind, configured};
use crate::aws::credential::Credential;
use crate::aws::partition::Partition;
use crate::aws_files::{AwsFiles, Locations};
use crate::aws_profile::{self, AwsProfile};
use crate::commands::context::{Aws, Context};
use crate::error::{Error, Result};
use crate::prompt::{Choice, Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::journal::{Journal, Record, run_name};
use crate::setup::plan::deletion;
use crate::setup::report::{RootKeyStatus, SetupReport};
use crate::setup::request::Goal;
use crate::setup::steps::context::RunSecrets;
use crate::setup::wizard::Lookups;
use crate::store::index::Index;

/// Adds to the report what becomes of a retired key. Whatever happens, the run has gone well.
pub fn after_retirement(
    record: &Record,
    caller: &Credential,
    report: &mut SetupReport,
    aws: &Aws,
) -> Result<()> {
    let Some(key) = &mut report.root_key else {
        return Ok(());
    };
    key.page = page(caller);
    let id = &key.access_key_id;
    let context = aws.context;
    let warn = |text: &str| context.output.warn(text);
    if context.attended {
        let mut goal = record.goal.clone();
        goal.access_key_id = record.access_key_id().map(str::to_owned);
        let mut prompt = context.prompt()?;
        match delete(id, &goal, aws, prompt.as_mut()) {
            Ok(status) => key.status = status,
            Err(error) => warn(&format!("the root key was not deleted: {}", error.with_hint())),
        }
        if let Err(error) = offer_secret(id, &goal, prompt.as_mut(), context) {
            warn(&error.with_hint());
        }
    }
    for holder in still_configured(id, aws) {
        let warning = format!(
            "{holder} still holds the root key {id}, which no longer works: take it out there"
        );
        warn(&warning);
        report.warnings.push(warning);
    }
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
fn page(caller: &Credential) -> String {
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

/// What becomes of the key. An inactive key cannot sign, so root has to sign in for it.
fn delete(id: &str, goal: &Goal, aws: &Aws, prompt: &mut dyn Prompt) -> Result<RootKeyStatus> {
    let text = format!("The root key {id} is inactive now. What becomes of it?");
    let final_note = "nothing brings it back; sign in as root with the browser for it";
    let choices = [
        Choice::new("Keep it, inactive", "root can activate it again"),
        Choice::new("Delete it for good", final_note),
    ];
    let question = Question::required(&text, "in the AWS console");
    if prompt.select(question, &choices, 0)? == 0 {
        return Ok(RootKeyStatus::Inactive);
    }
    let root = aws.sign_in()?;
    let identity = root.identity();
    if !identity.is_some_and(|it| it.is_root() && it.account_id == goal.account_id) {
        let who = identity.map_or("nobody".to_owned(), |it| it.described());
        return Err(Error::credentials(format!("this is {who}, not root in {}", goal.account_id))
            .hint("delete it in the console, as root"));
    }
    let name = run_name(aws.context.env.now());
    let record = Record::new(&name, &deletion(id, goal), &root);
    let journal = Journal::begin(&aws.vault.folders, record)?;
    let secrets = RunSecrets { pair: Some(kept_pair(goal, aws)?), password: None };
    let mut run = aws.run(journal, Some(&root.session), secrets);
    aws.block_on(run.execute())?;
    run.finish();
    Ok(RootKeyStatus::Deleted)
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
        let profile = AwsProfile::new(name, context.env.program()?, Some(secret), None)?;
        if let Some(kind) = holder.file_of("aws_secret_access_key") {
            let (from, to) = (locations.path(kind).display(), locations.config.display());
            prompt.tell(&format!(
                "The profile `{name}` holds the root key. It can read the secret `{secret}` instead: the key goes from {from}, and credential_process comes into {to}."
            ))?;
        }
        if let Some(variable) = context.env.moves_data() {
            prompt.tell(&aws_profile::works_only_with(variable))?;
        }
        let text = format!("Let the profile `{name}` read the secret?");
        let question = Question::required(&text, "in ~/.aws");
        if prompt.confirm(question)? && profile.take_place_of_key(&locations, id)? {
            context.output.step_done("change AWS profile", name);
        }
    }
    Ok(())
}

/// Who would go on using the key, and fail.
fn still_configured(id: &str, aws: &Aws) -> Vec<String> {
    let env = &aws.context.env;
    let variable = env.var("AWS_ACCESS_KEY_ID").filter(|value| *value == id);
    let variable = variable.map(|_| "the variable AWS_ACCESS_KEY_ID".to_owned());
    let profiles = AwsFiles::of(env).profiles().profiles;
    let profiles = profiles.iter().filter(|it| it.get("aws_access_key_id") == Some(id));
    let profiles = profiles.map(|it| format!("the profile `{}`", it.name));
    let secrets = Index::load(&aws.vault.folders).unwrap_or_default().secrets;
    let secrets = secrets.iter().filter(|it| it.access_key_id == id);
    let secrets = secrets.map(|it| format!("the CloudStudio secret `{}`", it.name));
    variable.into_iter().chain(profiles).chain(secrets).collect()
}
