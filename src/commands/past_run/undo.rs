//! `cloudcred undo`: takes back what a run made, and only that.

use serde_json::json;

use crate::aws_profile;
use crate::commands::context::{Aws, Context};
use crate::commands::finish;
use crate::commands::past_run::actor::{Actor, clear_half_written};
use crate::error::{Error, Result};
use crate::setup::journal::{Journal, Record};
use crate::setup::report::StepReport;
use crate::setup::steps::Step;
use crate::setup::steps::context::RunSecrets;
use crate::setup::undo_check::undo_check;
use crate::store::index::Index;

pub fn report(record: Option<&Record>, changed: bool, context: &Context) -> Result<()> {
    let json = json!({
        "changed": changed,
        "run": record.map(|it| &it.run),
        "account_id": record.map(|it| &it.goal.account_id),
        "arn": record.map(|it| &it.goal.arn),
        "steps": record.map_or_else(Vec::new, StepReport::of),
        "warnings": [],
    });
    context.result(json, |page| {
        let headline = match record.map(|it| &it.run) {
            Some(run) if changed => format!("Run {run} is taken back: nothing of it is left."),
            Some(run) => format!("Nothing to undo: run {run} left nothing behind."),
            None => "Nothing to undo: there is no run on this machine.".to_owned(),
        };
        page.strong(headline) + "\n"
    })
}

/// Takes back what the run made, unless its user has things that the run did not make.
pub fn undo(mut actor: Actor<'_>, run: &str) -> Result<()> {
    let aws = actor.aws;
    let context = aws.context;
    let mut journal = Journal::reopen(&aws.vault.folders, run)?;
    clear_half_written(&aws.vault.folders)?;
    let record = &journal.record;
    if record.made().next().is_none() {
        // A run that died before its first step is finished by saying so.
        if record.is_open() {
            journal.finish(context.env.now())?;
        }
        return report(Some(&journal.record), false, context);
    }
    if let Some(id) = record.deleted_root_key() {
        return Err(Error::failed(format!("run {run} has deleted the root key {id} for good"))
            .hint("nothing brings it back; root can make a new one in the console"));
    }
    let caller = actor.caller(record)?;
    let session = caller.as_ref().map(|caller| &caller.session);
    let mut undone = aws.run(journal, session, RunSecrets::default());
    let in_the_way = aws.read(async {
        undone.survey().await?;
        undo_check(undone.work(), undone.record()).await
    })?;
    if !in_the_way.is_empty() {
        let things = in_the_way.join(", ");
        return Err(Error::failed(format!(
            "the user of run {run} has things that the run did not make: {things}"
        ))
        .hint("nothing was changed; remove them first, or keep the user as it is"));
    }
    let record = undone.record();
    let account = &record.goal.account_id;
    let title = format!("What run {} made in account {account}, and undo takes back", record.run);
    let rows = record.made().rev().filter_map(Step::remains).map(|what| vec![what]);
    finish::show_steps(&title, rows, context);
    context.confirm(actor.prompt.as_mut(), "Take all of it back?", "--yes")?;
    drop(actor);
    aws.block_on(undone.undo())?;
    let idle = idle_profiles(undone.record(), aws);
    if !idle.is_empty() {
        context.output.warn(&format!(
            "these AWS profiles read a secret that is gone: {}. `cloudcred secret use NAME` makes another one current",
            idle.join(", ")
        ));
    }
    report(Some(undone.record()), true, context)
}

/// Profiles that `secret use` has made for the run's secret since: not the run's to remove.
fn idle_profiles(record: &Record, aws: &Aws) -> Vec<String> {
    let Some(kept) = &record.goal.secret else { return Vec::new() };
    let readers = aws_profile::readers(&aws.context.env, &kept.name);
    let (Ok(readers), Ok(index)) = (readers, Index::load(&aws.vault.folders)) else {
        return Vec::new();
    };
    let of_name = if index.find(&kept.name).is_none() { readers.by_its_name } else { Vec::new() };
    let of_current = if index.current.is_none() { readers.as_current } else { Vec::new() };
    [of_name, of_current].concat()
}
