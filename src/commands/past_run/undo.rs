//! `cloudcred undo`: takes back what a run made, and only that.

use serde::Serialize;

use crate::aws_files::Locations;
use crate::aws_profile;
use crate::cli::Reopen;
use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::commands::finish;
use crate::commands::past_run::caller::PastRun;
use crate::commands::past_run::find::{clear_half_written, find};
use crate::error::{Error, Result};
use crate::output::{Page, Report};
use crate::prompt::Question;
use crate::setup::journal::{Journal, Record};
use crate::setup::report::StepReport;
use crate::setup::run::Run;
use crate::setup::steps::Step;
use crate::setup::steps::context::RunSecrets;
use crate::setup::undo_check::undo_check;
use crate::store::index::Index;

#[derive(Serialize)]
struct UndoReport {
    changed: bool,
    run: Option<String>,
    account_id: Option<String>,
    arn: Option<String>,
    steps: Vec<StepReport>,
    warnings: Vec<String>,
}

impl Report for UndoReport {
    fn text(&self, page: &Page) -> String {
        let headline = match (&self.run, self.changed) {
            (Some(run), true) => format!("Run {run} is taken back: nothing of it is left."),
            (Some(run), false) => format!("Nothing to undo: run {run} left nothing behind."),
            (None, _) => "Nothing to undo: there is no run on this machine.".to_owned(),
        };
        format!("{}\n", page.strong(headline))
    }
}

fn report(record: Option<&Record>, changed: bool) -> UndoReport {
    UndoReport {
        changed,
        run: record.map(|record| record.run.clone()),
        account_id: record.map(|record| record.goal.account_id.clone()),
        arn: record.map(|record| record.goal.arn.clone()),
        steps: record.map_or_else(Vec::new, StepReport::of),
        warnings: Vec::new(),
    }
}

pub fn run(flags: Reopen, context: &Context) -> Result<()> {
    let mut prompt = context.prompt()?;
    let aws = Aws::start(context)?;
    let Some(record) = find(&aws.folders, flags.run.as_deref(), |_| true)? else {
        return context.output.result(&report(None, false));
    };
    let given = flags.key_stdin.then(|| context.pair_from_stdin(prompt.as_mut())).transpose()?;
    undo(PastRun { aws: &aws, context, prompt, given }, &record.run)
}

/// Shows what would be taken back, asks, and takes it back.
///
/// # Errors
/// When the run's user has things that the run did not make; `PartlyApplied` naming what stays.
pub fn undo(mut past: PastRun<'_>, run: &str) -> Result<()> {
    let (aws, context) = (past.aws, past.context);
    let mut journal = Journal::reopen(&aws.folders, run)?;
    clear_half_written(&aws.folders)?;
    let record = &journal.record;
    if record.made().next().is_none() {
        // A run that died before its first step is finished by saying so.
        if record.is_open() {
            journal.finish(context.env.now())?;
        }
        return context.output.result(&report(Some(&journal.record), false));
    }
    if let Some(id) = record.deleted_root_key() {
        return Err(Error::failed(format!("run {run} has deleted the root key {id} for good"))
            .hint("nothing brings it back; root can make a new one in the console"));
    }
    let caller = past.caller(record)?;
    let session = caller.as_ref().map(|found| &found.session);
    let secrets = RunSecrets::default();
    let mut run = Run::new(aws.access(session, context), journal, secrets, &aws.interrupt);
    let in_the_way = aws.read(async {
        run.survey().await?;
        undo_check(run.work(), run.record()).await
    })?;
    if !in_the_way.is_empty() {
        return Err(Error::failed(format!(
            "the user of run {} has things that the run did not make: {}",
            run.record().run,
            in_the_way.join(", ")
        ))
        .hint("nothing was changed; remove them first, or keep the user as it is"));
    }
    let record = run.record();
    let account = &record.goal.account_id;
    let title = format!("What run {} made in account {account}, and undo takes back", record.run);
    let rows = record.made().rev().filter_map(Step::remains).map(|what| vec![what]);
    finish::show_steps(&title, rows, context);
    if !context.global.yes
        && !past.prompt.confirm(Question::required("Take all of it back?", "--yes"))?
    {
        return Err(Error::cancelled().hint("nothing was changed"));
    }
    drop(past);
    aws.run(run.undo())?;
    let idle = idle_profiles(run.record(), aws, context);
    if !idle.is_empty() {
        context.output.warn(&format!(
            "these AWS profiles read a secret that is gone: {}. `cloudcred secret use NAME` makes another one current",
            idle.join(", ")
        ));
    }
    context.output.result(&report(Some(run.record()), true))
}

/// Profiles that were made for the run's secret since, by `secret use --aws-profile`: not the run's to
/// remove.
fn idle_profiles(record: &Record, aws: &Aws, context: &Context) -> Vec<String> {
    let (Some((secret, _)), Ok(locations), Ok(program), Ok(index)) = (
        record.target(),
        Locations::of(&context.env),
        context.env.program(),
        Index::load(&aws.folders),
    ) else {
        return Vec::new();
    };
    let readers = aws_profile::readers(&locations, program, &secret);
    let of_name = readers.by_its_name.into_iter();
    let of_name = of_name.filter(|_| index.find(&secret).is_none());
    let of_current = readers.as_current.into_iter();
    let of_current = of_current.filter(|_| index.current.is_none());
    of_name.chain(of_current).collect()
}
