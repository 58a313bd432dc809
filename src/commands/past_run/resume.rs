//! `cloudcred resume`: finishes what an interrupted run began.

use serde_json::json;

use crate::commands::context::Context;
use crate::commands::finish;
use crate::commands::past_run::actor::{Actor, clear_half_written};
use crate::error::{Error, Kind, Result};
use crate::prompt::Question;
use crate::secret::KeyPair;
use crate::setup::journal::{Journal, Record, Status};
use crate::setup::password;
use crate::setup::report::SetupReport;
use crate::setup::steps::Step;
use crate::setup::steps::context::RunSecrets;
use crate::setup::wizard::{Lookups, working};

pub fn nothing_to_do(run: Option<&str>, context: &Context) -> Result<()> {
    context.result(json!({"changed": false, "run": run}), |_| match run {
        Some(run) => format!("Nothing to resume: run {run} has ended.\n"),
        None => "Nothing to resume: every run on this machine has ended.\n".to_owned(),
    })
}

/// Shows what is still to be done, asks, and does it.
pub fn resume(mut actor: Actor<'_>, run: &str) -> Result<()> {
    let aws = actor.aws;
    let context = aws.context;
    let journal = Journal::reopen(&aws.vault.folders, run)?;
    clear_half_written(&aws.vault.folders)?;
    let record = &journal.record;
    if !record.is_open() {
        return nothing_to_do(Some(run), context);
    }
    finish::check_stdout(record, context)?;
    let caller = actor.caller(record)?;
    let account = &record.goal.account_id;
    let title = format!("Run {run} in account {account}, and what is left to do");
    let open = record.steps.iter().filter(|it| it.status != Status::Done);
    finish::show_steps(&title, open.map(|it| finish::row(&it.step)), context);
    context.confirm(actor.prompt.as_mut(), "Go on with it?", "--yes")?;
    let mut secrets = RunSecrets { pair: own_pair(&mut actor, record)?, password: None };
    // Nobody has seen a generated one, and nobody has kept a given one.
    let needs_password = record.steps.iter().any(|it| {
        matches!(&it.step, Step::CreateLoginProfile(step)
            if step.generated || it.status != Status::Done)
    });
    if let (true, Some(caller)) = (needs_password, &caller) {
        let policy = aws.password_policy(caller)?;
        secrets.password = Some(password::generate(&policy.unwrap_or_default()));
    }
    drop(actor);
    let console_password = secrets.password.clone();
    let session = caller.as_ref().map(|caller| &caller.session);
    let mut run = aws.run(journal, session, secrets);
    if run.record().printed {
        run.finish();
    } else {
        aws.block_on(run.revisit()).map_err(|error| still_open(error, &run.record().run))?;
        finish::carry_out(&mut run, aws)?;
    }
    let mut report = SetupReport::of(run.record(), Vec::new());
    report.console_password = console_password;
    finish::deliver(&report, context)
}

fn still_open(error: Error, run: &str) -> Error {
    let message = format!("the run {run} cannot be resumed now: {}", error.message);
    error.with(Kind::PartlyApplied, message).and_hint(format!(
        "then `cloudcred resume {run}`, or `cloudcred undo {run}` to take it back"
    ))
}

/// The pair that the user brought along and the run has not stored yet: nobody else has it.
fn own_pair(actor: &mut Actor<'_>, record: &Record) -> Result<Option<KeyPair>> {
    let aws = actor.aws;
    let mut not_done = record.steps.iter().filter(|it| it.status != Status::Done);
    let is_missing =
        record.goal.prints || not_done.any(|it| matches!(it.step, Step::StoreSecret(_)));
    let Some(id) = record.goal.access_key_id.as_ref().filter(|_| is_missing) else {
        return Ok(None);
    };
    if let Some(kept) = &record.goal.secret
        && let Some(pair) =
            aws.vault.find(kept.store, &kept.name)?.filter(|it| it.access_key_id == *id)
    {
        return Ok(Some(pair));
    }
    let pair = match actor.given.take() {
        Some(pair) => pair,
        None => {
            let text = format!("The access key {id} again, both halves (not shown)");
            actor.prompt.key_pair(Question::required(&text, "--key-stdin"))?
        }
    };
    let run = &record.run;
    let refused = |what: String| {
        Err(Error::credentials(format!("the run {run} is about {what}"))
            .hint(format!("give that one, or take the run back: cloudcred undo {run}")))
    };
    if pair.access_key_id != *id {
        return refused(format!("the key {id}, and this is {}", pair.access_key_id));
    }
    // The other half may be another one than the first time.
    let credential = working(aws.check_pair(&pair)?)?;
    let owner = record.goal.owner();
    match credential.identity().filter(|identity| **identity != owner) {
        None => Ok(Some(pair)),
        Some(other) => {
            let (owner, other) = (owner.described(), other.described());
            refused(format!("a key of {owner}, and this one is of {other}"))
        }
    }
}
