//! How `setup` and `resume` end: the steps are carried out, the pair is printed where it is kept
//! nowhere, and what came of it is told.

use std::time::Instant;

use secrecy::ExposeSecret;

use crate::commands::aws::Aws;
use crate::commands::context::Context;
use crate::error::{Error, Kind, Result};
use crate::output::{Format, table};
use crate::setup::report::SetupReport;
use crate::setup::run::Run;
use crate::setup::steps::Step;

/// # Errors
/// The run's. Where the pair cannot be printed, all is taken back: nobody else has it.
pub fn carry_out(run: &mut Run, aws: &Aws, context: &Context) -> Result<()> {
    let began = Instant::now();
    aws.run(run.execute())?;
    if run.record().prints()
        && let Err(error) = print(run, context)
    {
        run.journal.not_printed();
        return Err(aws.run(run.roll_back(error)));
    }
    run.finish();
    let seconds = began.elapsed().as_secs_f64();
    context.output.say(&format!("  ready in {seconds:.1} s"));
    Ok(())
}

fn print(run: &mut Run, context: &Context) -> Result<()> {
    run.journal.printing()?;
    let document = run.work().pair()?.to_document();
    context.output.raw(document.expose_secret().as_bytes())?;
    context.output.raw(b"\n")
}

/// A pair must not be printed to where nobody reads it. The standard library opens the null device in
/// place of a standard output that is closed, so writing to that never fails.
///
/// # Errors
/// When standard output is closed or the null device.
pub fn check_stdout() -> Result<()> {
    if !stdout_leads_nowhere() {
        return Ok(());
    }
    Err(Error::failed("standard output is closed or discarded, so the secret would be lost")
        .hint("redirect it to a file or a program, or keep the secret with --store keyring or --store file"))
}

#[cfg(unix)]
fn stdout_leads_nowhere() -> bool {
    let same = |null: rustix::fs::Stat, stdout: rustix::fs::Stat| {
        null.st_rdev == stdout.st_rdev && null.st_mode == stdout.st_mode
    };
    match (rustix::fs::stat("/dev/null"), rustix::fs::fstat(std::io::stdout())) {
        (Ok(null), Ok(stdout)) => same(null, stdout),
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
    let numbered = (1..).zip(rows).map(|(number, mut row)| {
        row.insert(0, number.to_string());
        row
    });
    output.say(&format!("\n{title}"));
    output.say(&table(&numbered.collect::<Vec<_>>(), output.page().width));
}

/// What a step does, as a row of the table.
pub fn row(step: &Step) -> Vec<String> {
    let (what, detail) = step.described();
    vec![what.to_owned(), detail]
}

/// Puts the result where it belongs: standard output, unless the secret itself went there.
///
/// # Errors
/// When standard output is closed or full: the result is then on standard error.
pub fn deliver(report: &SetupReport, context: &Context) -> Result<()> {
    if report.prints && report.run.is_some() {
        context.output.result_beside(report);
        return Ok(());
    }
    context.output.result(report).map_err(|error| {
        if !report.changed {
            return error;
        }
        context.output.result_beside(report);
        let message = format!("everything is done, but {}", error.message);
        let undo = report.run.as_deref().unwrap_or_default();
        Error::new(Kind::PartlyApplied, message)
            .hint(format!("the result is above; `cloudcred undo {undo}` takes it back"))
    })
}
