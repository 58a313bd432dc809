//! How `setup` and `resume` end: steps carried out, the pair printed if asked for, the result told.

use std::time::Instant;

use secrecy::ExposeSecret;

use crate::commands::context::{Aws, Context};
use crate::error::{Error, Kind, Result};
use crate::output::{Format, Output, Page, table};
use crate::setup::journal::Record;
use crate::setup::report::SetupReport;
use crate::setup::run::Run;
use crate::setup::steps::Step;

/// Where the pair cannot be printed, all is taken back: nobody else has it.
pub fn carry_out(run: &mut Run, aws: &Aws) -> Result<()> {
    let began = Instant::now();
    aws.block_on(run.execute())?;
    if run.record().goal.prints
        && let Err(error) = print(run, &aws.context.output)
    {
        run.journal.record.printed = false;
        return Err(aws.block_on(run.roll_back(error)));
    }
    run.finish();
    aws.context.output.say(&format!("  ready in {:.1} s", began.elapsed().as_secs_f64()));
    Ok(())
}

fn print(run: &mut Run, output: &Output) -> Result<()> {
    run.journal.printing()?;
    output.raw(run.work().pair()?.to_document().expose_secret().as_bytes())?;
    output.raw(b"\n")
}

/// Refuses to print a pair to where nobody reads it, or beside another document. The standard library
/// opens the null device in place of a standard output that is closed, so writing to that never fails.
pub fn check_stdout(record: &Record, context: &Context) -> Result<()> {
    if !record.goal.prints {
        return Ok(());
    }
    if context.output.format == Format::Json {
        let run = &record.run;
        return Err(Error::usage(format!(
            "the run {run} prints the secret, so --output json does not go with it"
        ))
        .hint("standard output can carry one document only: leave --output json out"));
    }
    if stdout_leads_nowhere() {
        return Err(Error::failed("standard output is closed or discarded, so the secret would be lost")
            .hint("redirect it to a file or a program, or keep the secret with --store keyring or --store file"));
    }
    Ok(())
}

#[cfg(unix)]
fn stdout_leads_nowhere() -> bool {
    match (rustix::fs::stat("/dev/null"), rustix::fs::fstat(std::io::stdout())) {
        (Ok(null), Ok(stdout)) => (null.st_rdev, null.st_mode) == (stdout.st_rdev, stdout.st_mode),
        (_, stdout) => stdout.is_err(),
    }
}

#[cfg(not(unix))]
fn stdout_leads_nowhere() -> bool {
    use std::os::windows::io::AsRawHandle;
    std::io::stdout().as_raw_handle().is_null()
}

/// The one table of steps: what is planned, left to do, or taken back.
pub fn show_steps(title: &str, rows: impl Iterator<Item = Vec<String>>, context: &Context) {
    let output = &context.output;
    if output.format == Format::Json && !context.attended {
        return;
    }
    let numbered = (1..).zip(rows).map(|(number, row)| [vec![number.to_string()], row].concat());
    output.say(&format!("\n{title}"));
    output.say(&table(&numbered.collect::<Vec<_>>(), output.page().width));
}

pub fn row(step: &Step) -> Vec<String> {
    let (what, detail) = step.described();
    vec![what.to_owned(), detail]
}

/// Puts the result on stdout; on stderr where the secret took stdout, or it is closed or full.
pub fn deliver(report: &SetupReport, context: &Context) -> Result<()> {
    let text = |page: &Page| report.text(page);
    if report.goal.prints && report.run.is_some() {
        context.output.result_beside(text);
        return Ok(());
    }
    context.output.result(report, text).map_err(|error| {
        if !report.changed {
            return error;
        }
        context.output.result_beside(text);
        let message = format!("everything is done, but {}", error.message);
        let undo = report.run.as_deref().unwrap_or_default();
        Error::new(Kind::PartlyApplied, message)
            .hint(format!("the result is above; `cloudcred undo {undo}` takes it back"))
    })
}
