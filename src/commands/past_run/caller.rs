//! With which credentials a past run is acted on.

use crate::aws::credential::Credential;
use crate::aws::profiles::{self, Scope};
use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::commands::lookups::{LiveLookups, mfa_roles};
use crate::error::{Error, Result};
use crate::prompt::{Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::journal::Record;
use crate::setup::steps::Step;
use crate::setup::wizard::Lookups;

/// The key that the run has created, not one that somebody brought along.
fn made_key(record: &Record) -> Option<&str> {
    record.steps.iter().find_map(|record| match &record.step {
        Step::CreateAccessKey(step) => step.made.access_key_id.as_deref(),
        _ => None,
    })
}

/// What acts on a past run.
pub struct PastRun<'a> {
    pub aws: &'a Aws,
    pub context: &'a Context,
    pub prompt: Box<dyn Prompt>,
    /// The pair of `--key-stdin`.
    pub given: Option<KeyPair>,
}

impl PastRun<'_> {
    /// Credentials that work in the run's account, and are not its own: those that were given, else
    /// those that the run used. `None` where the run changes nothing at AWS.
    ///
    /// # Errors
    /// When they do not work, or in another account; or are those that the run made.
    pub fn caller(&mut self, record: &Record) -> Result<Option<Credential>> {
        if !record.steps.iter().any(|record| record.step.changes_aws()) {
            return Ok(None);
        }
        let aws = self.aws;
        let found = match &self.given {
            Some(pair) => aws.read(async { Ok(profiles::check_given(&aws.sdk, pair).await) })?,
            None => self.found(record)?,
        };
        check(&found, record)?;
        Ok(Some(found))
    }

    fn found(&mut self, record: &Record) -> Result<Credential> {
        let (aws, context, prompt) = (self.aws, self.context, self.prompt.as_mut());
        let profile = context.global.profile().or(record.profile.as_ref());
        let scope = profile
            .map_or(Scope::DefaultChain, |profile| Scope::Profiles(std::slice::from_ref(profile)));
        let found = aws.read(profiles::find(&aws.sdk, &context.env, scope))?;
        let first = found.into_iter().next();
        let lookups = LiveLookups { aws, context, no_browser: false };
        let roles = mfa_roles(context);
        let role = roles.iter().find(|role| Some(&role.profile) == profile);
        match (first, role) {
            (Some(found), _) if found.identity().is_some() => Ok(found),
            (_, Some(role)) => lookups.assume_with_mfa(role, prompt),
            // The key that the run knows is the one that it has retired.
            (_, None) if record.concerns_root_key() && context.attended => {
                prompt.tell("A root key is concerned, so sign in as the root user.")?;
                lookups.sign_in(prompt)
            }
            (Some(found), None) if !context.attended => Ok(found),
            (_, None) => {
                let text = "Access key that may manage IAM, both halves (not shown)";
                let question = Question::required(text, "--profile or --key-stdin");
                Ok(lookups.ask_for_pair(question, prompt, &Ok)?.0)
            }
        }
    }
}

fn check(found: &Credential, record: &Record) -> Result<()> {
    let run = &record.run;
    if let Some(failure) = found.failure() {
        return Err(failure.and_hint("or name credentials that work with --profile or --key-stdin"));
    }
    // It would delete itself first, and be of no use for the rest.
    if found.access_key_id.is_some() && found.access_key_id.as_deref() == made_key(record) {
        let message = format!("these are the credentials that the run {run} made");
        return Err(Error::credentials(message).hint("name others with --profile or --key-stdin"));
    }
    let identity = found.identity();
    if record.concerns_root_key() && !identity.is_some_and(|it| it.is_root()) {
        return Err(Error::credentials(format!(
            "the run {run} is about a root key, and these credentials are not root's"
        ))
        .hint("sign in as root with cloudcred login --profile NAME, then name that --profile"));
    }
    match identity.filter(|identity| identity.account_id != record.goal.account_id) {
        None => Ok(()),
        Some(other) => Err(Error::credentials(format!(
            "the run {run} is of account {}, and these credentials are {}",
            record.goal.account_id,
            other.described()
        ))
        .hint("name credentials of that account with --profile or --key-stdin")),
    }
}
