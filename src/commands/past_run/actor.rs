//! Which past run is meant, and with which credentials it is acted on.

use crate::aws::credential::Credential;
use crate::aws::profiles::{self, Scope};
use crate::commands::context::Aws;
use crate::commands::lookups::mfa_roles;
use crate::env::Folders;
use crate::error::{Error, Result, did_you_mean};
use crate::private_file;
use crate::prompt::{Prompt, Question};
use crate::secret::KeyPair;
use crate::setup::journal::{Record, is_going_on, runs};
use crate::setup::steps::Step;
use crate::setup::wizard::{Lookups, working};
use crate::store::index::Index;

/// The run of that name, else the latest that `is_meant`. Without a name, no journal may be unreadable:
/// its run may be the one that is meant.
pub fn find(
    folders: &Folders,
    name: Option<&str>,
    is_meant: impl Fn(&Record) -> bool,
) -> Result<Option<Record>> {
    let (mut records, broken) = runs(folders)?;
    let Some(name) = name else {
        return match broken.into_iter().next() {
            Some(error) => Err(error.and_hint("or name the run that is meant")),
            None => Ok(records.into_iter().rev().find(is_meant)),
        };
    };
    if let Some(at) = records.iter().position(|record| record.run == name) {
        return Ok(Some(records.swap_remove(at)));
    }
    if let Some(error) = broken.into_iter().find(|error| error.message.contains(name)) {
        return Err(error);
    }
    let folder = folders.state.join("runs");
    let otherwise = format!("the runs of this machine are in {}", folder.display());
    let runs = records.iter().map(|record| record.run.as_str());
    let hint = did_you_mean(name, runs, &otherwise);
    Err(Error::failed(format!("there is no run `{name}`")).hint(hint))
}

/// Removes what killed commands have left half-written, in the file store and beside journals.
pub fn clear_half_written(folders: &Folders) -> Result<()> {
    if folders.data.exists() {
        drop(Index::lock(folders)?);
    }
    let runs = folders.state.join("runs");
    private_file::sweep(&runs, private_file::ABANDONED).map_err(Folders::unusable)
}

/// The latest run that nobody finished and nobody works on.
pub fn find_abandoned(folders: &Folders) -> Result<Option<Record>> {
    find(folders, None, |record| record.is_open() && !is_going_on(folders, &record.run))
}

pub struct Actor<'a> {
    pub aws: &'a Aws<'a>,
    pub prompt: Box<dyn Prompt>,
    /// The pair of `--key-stdin`.
    pub given: Option<KeyPair>,
}

impl Actor<'_> {
    /// Credentials that work in the run's account, and are not its own: those that were given, else
    /// those that the run used. `None` where the run changes nothing at AWS.
    pub fn caller(&mut self, record: &Record) -> Result<Option<Credential>> {
        if !record.steps.iter().any(|record| record.step.changes_aws()) {
            return Ok(None);
        }
        let credential = match &self.given {
            Some(pair) => self.aws.check_pair(pair)?,
            None => self.credential(record)?,
        };
        check(credential, record).map(Some)
    }

    fn credential(&mut self, record: &Record) -> Result<Credential> {
        let (aws, context, prompt) = (self.aws, self.aws.context, self.prompt.as_mut());
        let profile = context.global.profile().or(record.profile.as_ref());
        let scope =
            profile.map_or(Scope::DefaultChain, |it| Scope::Profiles(std::slice::from_ref(it)));
        let credentials = aws.read(profiles::find(&aws.sdk, &context.env, scope))?;
        let first = credentials.into_iter().next();
        let roles = mfa_roles(context);
        let role = roles.iter().find(|role| Some(&role.profile) == profile);
        match (first, role) {
            (Some(credential), _) if credential.identity().is_some() => Ok(credential),
            (_, Some(role)) => aws.assume_with_mfa(role, prompt),
            // The key that the run knows is the one that it has retired.
            (_, None) if record.concerns_root_key() && context.attended => {
                prompt.tell("A root key is concerned, so sign in as the root user.")?;
                aws.sign_in()
            }
            (Some(credential), None) if !context.attended => Ok(credential),
            (_, None) => {
                let text = "Access key that may manage IAM, both halves (not shown)";
                let question = Question::required(text, "--profile or --key-stdin");
                Ok(aws.ask_for_pair(question, prompt, &Ok)?.0)
            }
        }
    }
}

fn check(credential: Credential, record: &Record) -> Result<Credential> {
    let credential = working(credential).map_err(|failure| {
        failure.and_hint("or name credentials that work with --profile or --key-stdin")
    })?;
    let (run, account) = (&record.run, &record.goal.account_id);
    let refused = |why: String, hint: &str| Err(Error::credentials(why).hint(hint));
    // The key that the run has created, not one that somebody brought along: it would delete itself
    // first, and be of no use for the rest.
    let is_made = |step: &Step| {
        matches!(step, Step::CreateAccessKey(it) if it.kept.made.access_key_id.is_some()
            && it.kept.made.access_key_id == credential.access_key_id)
    };
    if record.steps().any(is_made) {
        return refused(
            format!("these are the credentials that the run {run} made"),
            "name others with --profile or --key-stdin",
        );
    }
    let identity = credential.identity();
    if record.concerns_root_key() && !identity.is_some_and(|it| it.is_root()) {
        return refused(
            format!("the run {run} is about a root key, and these credentials are not root's"),
            "sign in as root with cloudcred login --profile NAME, then name that --profile",
        );
    }
    if let Some(other) = identity.filter(|identity| identity.account_id != *account) {
        let who = other.described();
        return refused(
            format!("the run {run} is of account {account}, and these credentials are {who}"),
            "name credentials of that account with --profile or --key-stdin",
        );
    }
    Ok(credential)
}
