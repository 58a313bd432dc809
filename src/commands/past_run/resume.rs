//! `cloudcred resume`: finishes what an interrupted run began.

use serde::Serialize;

use crate::aws::{account, profiles};
use crate::cli::Reopen;
use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::commands::finish;
use crate::commands::past_run::caller::PastRun;
use crate::commands::past_run::find::{clear_half_written, find, find_abandoned};
use crate::error::{Error, Kind, Result};
use crate::output::{Format, Page, Report};
use crate::prompt::Question;
use crate::secret::KeyPair;
use crate::setup::journal::{Journal, Record, Status};
use crate::setup::password;
use crate::setup::report::SetupReport;
use crate::setup::run::Run;
use crate::setup::steps::Step;
use crate::setup::steps::context::RunSecrets;

#[derive(Serialize)]
struct NothingToDo {
    changed: bool,
    run: Option<String>,
}

impl Report for NothingToDo {
    fn text(&self, _: &Page) -> String {
        match &self.run {
            Some(run) => format!("Nothing to resume: run {run} has ended.\n"),
            None => "Nothing to resume: every run on this machine has ended.\n".to_owned(),
        }
    }
}

pub fn run(flags: Reopen, context: &Context) -> Result<()> {
    let mut prompt = context.prompt()?;
    let aws = Aws::start(context)?;
    let record = match &flags.run {
        None => find_abandoned(&aws.folders)?,
        run => find(&aws.folders, run.as_deref(), |_| true)?,
    };
    let Some(record) = record.filter(Record::is_open) else {
        return context.output.result(&NothingToDo { changed: false, run: flags.run });
    };
    let given = flags.key_stdin.then(|| context.pair_from_stdin(prompt.as_mut())).transpose()?;
    resume(PastRun { aws: &aws, context, prompt, given }, &record.run)
}

/// Shows what is still to be done, asks, and does it.
pub fn resume(mut past: PastRun<'_>, run: &str) -> Result<()> {
    let (aws, context) = (past.aws, past.context);
    let journal = Journal::reopen(&aws.folders, run)?;
    clear_half_written(&aws.folders)?;
    if !journal.record.is_open() {
        return context.output.result(&NothingToDo { changed: false, run: Some(run.to_owned()) });
    }
    check_streams(&journal.record, context)?;
    let caller = past.caller(&journal.record)?;
    let record = &journal.record;
    let account = &record.goal.account_id;
    let title = format!("Run {run} in account {account}, and what is left to do");
    let open = record.steps.iter().filter(|it| it.status != Status::Done);
    finish::show_steps(&title, open.map(|it| finish::row(&it.step)), context);
    if !context.global.yes && !past.prompt.confirm(Question::required("Go on with it?", "--yes"))? {
        return Err(Error::cancelled().hint("nothing was changed"));
    }
    let mut secrets = RunSecrets { pair: own_pair(&mut past, &journal.record)?, password: None };
    let needs_password = journal.record.steps.iter().any(|record| match &record.step {
        // Nobody has seen a generated one, and nobody has kept a given one.
        Step::CreateLoginProfile(step) => step.generated || record.status != Status::Done,
        _ => false,
    });
    if let (true, Some(found)) = (needs_password, &caller) {
        let iam = aws.sdk.iam(&found.session);
        let policy = aws.read(async { Ok(account::password_policy(&iam).await.ok()) })?;
        secrets.password = Some(password::generate(&policy.unwrap_or_default()));
    }
    drop(past);
    let console_password = secrets.password.clone();
    let session = caller.as_ref().map(|found| &found.session);
    let mut run = Run::new(aws.access(session, context), journal, secrets, &aws.interrupt);
    if run.record().printed {
        run.finish();
    } else {
        aws.run(run.revisit()).map_err(|error| still_open(error, &run.record().run))?;
        finish::carry_out(&mut run, aws, context)?;
    }
    let mut report = SetupReport::of(run.record(), Vec::new());
    report.console_password = console_password;
    finish::deliver(&report, context)
}

/// As for the `setup` that began it.
fn check_streams(record: &Record, context: &Context) -> Result<()> {
    if !record.prints() {
        return Ok(());
    }
    if context.output.format == Format::Json {
        return Err(Error::usage(format!(
            "the run {} prints the secret, so --output json does not go with it",
            record.run
        ))
        .hint("standard output can carry one document only: leave --output json out"));
    }
    finish::check_stdout()
}

fn still_open(error: Error, run: &str) -> Error {
    let message = format!("the run {run} cannot be resumed now: {}", error.message);
    error.with(Kind::PartlyApplied, message).and_hint(format!(
        "then `cloudcred resume {run}`, or `cloudcred undo {run}` to take it back"
    ))
}

/// The pair that the user brought along to the run, where the run has not stored it yet: nobody but
/// the user has it. STS is asked about it again.
///
/// # Errors
/// When it is another key than the run began with, or does not work.
fn own_pair(past: &mut PastRun<'_>, record: &Record) -> Result<Option<KeyPair>> {
    let aws = past.aws;
    let brought = record.goal.access_key_id.as_ref();
    let is_missing = record.prints()
        || record
            .steps
            .iter()
            .any(|it| matches!(it.step, Step::StoreSecret(_)) && it.status != Status::Done);
    let Some(id) = brought.filter(|_| is_missing) else {
        return Ok(None);
    };
    if let Some((secret, store)) = record.target()
        && let Some(pair) = aws.vault.find(store, &secret)?
        && pair.access_key_id == *id
    {
        return Ok(Some(pair));
    }
    let pair = match past.given.take() {
        Some(pair) => pair,
        None => {
            let text = format!("The access key {id} again, both halves (not shown)");
            past.prompt.key_pair(Question::required(&text, "--key-stdin"))?
        }
    };
    let hint = format!("give that one, or take the run back: cloudcred undo {}", record.run);
    if pair.access_key_id != *id {
        return Err(Error::credentials(format!(
            "the run {} is about the key {id}, and this is {}",
            record.run, pair.access_key_id
        ))
        .hint(hint));
    }
    // The other half may be another one than the first time.
    let found = aws.read(async { Ok(profiles::check_given(&aws.sdk, &pair).await) })?;
    if let Some(failure) = found.failure() {
        return Err(failure);
    }
    let owner = record.goal.owner();
    match found.identity().filter(|identity| **identity != owner) {
        None => Ok(Some(pair)),
        Some(other) => Err(Error::credentials(format!(
            "the run {} is about a key of {}, and this one is of {}",
            record.run,
            owner.described(),
            other.described()
        ))
        .hint(hint)),
    }
}
