//! Takes the root key that created the user out of use, in a run of its own: what it does can be taken
//! back while the user stays. Deletes it only where somebody says so once more.

use crate::aws::configured::configured;
use crate::aws::console::Console;
use crate::aws::found::Found;
use crate::aws::kind::Kind;
use crate::aws::sdk::Session;
use crate::aws_profile::{self, AwsProfile};
use crate::commands::Context;
use crate::commands::aws::Aws;
use crate::commands::lookups::LiveLookups;
use crate::error::{self, Error, Result};
use crate::prompt::{Choice, Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::execute::{Access, InHand, execute};
use crate::setup::journal::{Journal, Record, run_name};
use crate::setup::plan::{Goal, Plan, deletion, retirement};
use crate::setup::report::{RootKey, RootKeyStatus};
use crate::setup::wizard::Lookups;
use crate::shared_config::{Locations, SharedConfig};
use crate::store::index::Index;

/// What came of it.
pub struct Retired {
    pub key: RootKey,
    pub record: Record,
    /// Where the key is still configured.
    pub warnings: Vec<String>,
}

/// `made` is the run that made the user, or found that nothing was to be done.
///
/// # Errors
/// `PartlyApplied`, saying that the user is ready and the key is not retired.
pub fn retire(
    id: &str,
    made: &Record,
    caller: &Found,
    lookups: &LiveLookups,
    context: &Context,
) -> Result<Retired> {
    let mut goal = made.goal.clone();
    goal.access_key_id = made.access_key_id().map(str::to_owned);
    let plan = retirement(id, &goal);
    let record = carry_out(&plan, caller, lookups.aws, context).map_err(|error| {
        let message = format!(
            "{} is ready, but its root key was not retired: {}",
            goal.owner().short(),
            error.message
        );
        let hint = error.hint.map(|hint| format!("{hint}; "));
        Error::new(error::Kind::PartlyApplied, message).hint(format!(
            "{}or see to the key in the console, as root: {}",
            hint.unwrap_or_default(),
            page(caller)
        ))
    })?;
    let mut key = RootKey {
        access_key_id: id.to_owned(),
        status: RootKeyStatus::Inactive,
        run: record.run.clone(),
        page: page(caller),
    };
    if context.attended {
        let mut prompt = context.prompt()?;
        // The key is out of use: whatever happens now, the run has gone well.
        match delete(id, &goal, lookups, prompt.as_mut(), context) {
            Ok(true) => key.status = RootKeyStatus::Deleted,
            Ok(false) => {}
            Err(error) => {
                let error = error.with_hint();
                let text = format!("the root key was not deleted: {error}");
                context.output.warn(&text);
            }
        }
        if let Err(error) = offer_secret(id, &goal, lookups.aws, prompt.as_mut(), context) {
            context.output.warn(&error.with_hint());
        }
    }
    let warnings = still_configured(id, lookups.aws, context);
    for warning in &warnings {
        context.output.warn(warning);
    }
    Ok(Retired {
        key,
        record,
        warnings,
    })
}

fn page(caller: &Found) -> String {
    Console::of_region(caller.session.region.as_ref()).security_credentials()
}

fn carry_out(plan: &Plan, caller: &Found, aws: &Aws, context: &Context) -> Result<Record> {
    let pair = kept_pair(&plan.goal, aws)?;
    let run = run_name(context.env.now());
    let mut journal = Journal::begin(&aws.folders, Record::new(&run, plan, caller))?;
    let hand = InHand {
        pair: Some(pair),
        password: None,
    };
    let access = access(&caller.session, aws, context);
    aws.run(execute(&access, hand, &mut journal, &mut aws.interrupt()))?;
    Ok(journal.record)
}

fn access<'a>(session: &'a Session, aws: &'a Aws, context: &'a Context) -> Access<'a> {
    Access {
        sdk: &aws.sdk,
        session: Some(session),
        stores: &aws.stores,
        folders: &aws.folders,
        env: &context.env,
        output: &context.output,
    }
}

/// The new pair, as whoever uses it from now on reads it.
fn kept_pair(goal: &Goal, aws: &Aws) -> Result<KeyPair> {
    let kept = goal.secret.as_ref();
    let pair = kept.map_or(Ok(None), |it| aws.stores.place(it.store).find(&it.name))?;
    pair.filter(|pair| Some(&pair.access_key_id) == goal.access_key_id.as_ref())
        .ok_or_else(|| Error::failed("the new pair is not in its store"))
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
    let root = lookups.sign_in(prompt)?;
    let identity = root.identity();
    if !identity.is_some_and(|it| it.is_root() && it.account_id == goal.account_id) {
        let who = identity.map_or("nobody".to_owned(), |it| it.described());
        return Err(
            Error::credentials(format!("this is {who}, not root in {}", goal.account_id))
                .hint("delete it in the console, as root"),
        );
    }
    carry_out(&deletion(id, goal), &root, lookups.aws, context)?;
    Ok(true)
}

/// Offers each profile that holds the key, and nothing else to sign with, the new secret instead. It is
/// the last thing, and each file is changed at once: it needs no journal, and may be repeated.
///
/// # Errors
/// The prompt's; or when a file cannot be changed.
fn offer_secret(
    id: &str,
    goal: &Goal,
    aws: &Aws,
    prompt: &mut dyn Prompt,
    context: &Context,
) -> Result<()> {
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
        let key = holder.place_of("aws_secret_access_key");
        let files = (
            key.map(|place| locations.of_place(place)),
            &locations.config,
        );
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
        if prompt.confirm(question)?
            && aws_profile::take_place_of_key(&aws.folders, &locations, &profile, id)?
        {
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
    let profiles = SharedConfig::of(&context.env).profiles();
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
