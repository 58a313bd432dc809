//! How `setup` and `resume` end: the steps are carried out, and what came of them is told.

use std::time::Instant;

use crate::commands::Context;
use crate::commands::aws::Aws;
use crate::error::{Error, Kind, Result};
use crate::setup::execute::{Access, InHand, execute};
use crate::setup::journal::Journal;
use crate::setup::report::SetupReport;
use crate::store::StoreKind;

/// # Errors
/// The executor's.
pub fn carry_out(
    aws: &Aws,
    access: &Access,
    hand: InHand,
    journal: &mut Journal,
    context: &Context,
) -> Result<()> {
    let began = Instant::now();
    aws.run(execute(access, hand, journal, &mut aws.interrupt()))?;
    let seconds = began.elapsed().as_secs_f64();
    context.output.say(&format!("  ready in {seconds:.1} s"));
    Ok(())
}

/// Puts the result where it belongs: standard output, unless the secret itself went there.
///
/// # Errors
/// When standard output is closed or full: the result is then on standard error.
pub fn deliver(report: &SetupReport, context: &Context) -> Result<()> {
    let kept = report.secret.as_ref();
    if kept.is_some_and(|kept| kept.store == StoreKind::Stdout) {
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
        Error::new(Kind::PartlyApplied, message).hint(format!(
            "the result is above; `cloudcred undo {undo}` takes it back"
        ))
    })
}
