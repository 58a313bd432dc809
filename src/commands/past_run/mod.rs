//! What is done with past runs: `resume` and `undo`, which `setup` offers as well.

mod actor;
mod resume;
mod undo;

pub use actor::{Actor, clear_half_written, find_abandoned};

use crate::cli::PastRun;
use crate::commands::context::{Aws, Context};
use crate::commands::past_run::actor::find;
use crate::error::Result;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Resume,
    Undo,
}

impl Action {
    pub fn take(self, actor: Actor, run: &str) -> Result<()> {
        match self {
            Action::Resume => resume::resume(actor, run),
            Action::Undo => undo::undo(actor, run),
        }
    }
}

pub fn run(action: Action, past: &PastRun, context: &Context) -> Result<()> {
    let mut prompt = context.prompt()?;
    let aws = Aws::start(context)?;
    let name = past.run.as_deref();
    let record = match (action, name) {
        (Action::Resume, None) => find_abandoned(&aws.vault.folders)?,
        _ => find(&aws.vault.folders, name, |_| true)?,
    };
    let Some(record) = record.filter(|it| action == Action::Undo || it.is_open()) else {
        return match action {
            Action::Resume => resume::nothing_to_do(name, context),
            Action::Undo => undo::report(None, false, context),
        };
    };
    let given = past.key_stdin.then(|| context.pair_from_stdin(prompt.as_mut())).transpose()?;
    action.take(Actor { aws: &aws, prompt, given }, &record.run)
}
