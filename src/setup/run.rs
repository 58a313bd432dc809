//! Drives the steps of a run: record, act, record. A step that fails makes it take back, in reverse
//! order, what the run has made. Knows no step by name, asks nothing and decides nothing.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::aws::evidence::SETTLING;
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::setup::journal::{Journal, Record, Status};
use crate::setup::steps::Step;
use crate::setup::steps::context::{
    Access, Leftover, Outcome, RunSecrets, RunUser, Settled, Stop, Work,
};
use crate::store::SecretName;

/// How often a step is tried whose answer gets lost.
const ATTEMPTS: usize = 3;

/// A run in the hands of this process.
pub struct Run<'a> {
    pub journal: Journal,
    work: Work<'a>,
}

/// Who may stop the steps from being taken back, between two of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stoppable {
    ByUser,
    No,
}

impl<'a> Run<'a> {
    pub fn new(
        access: Access<'a>,
        journal: Journal,
        secrets: RunSecrets,
        interrupt: &'a Interrupt,
    ) -> Self {
        let record = &journal.record;
        let work = Work {
            access,
            secrets,
            run: record.run.clone(),
            resumed: journal.is_reopened,
            owner: record.goal.owner(),
            user: RunUser::NotCreated,
            access_key_id: record.access_key_id().map(str::to_owned),
            target: record.goal.secret.clone(),
            interrupt,
        };
        Run { journal, work }
    }

    pub fn record(&self) -> &Record {
        &self.journal.record
    }

    /// Applies the steps that are not done yet. Fails with the failing step's error, after everything was
    /// taken back; with `PartlyApplied` where that was impossible, where AWS's answers left something
    /// open, or after the checkpoint: then the run stays open. So does one that was taken up again,
    /// whatever stops it: what it made may be in use by now.
    pub async fn execute(&mut self) -> Result<()> {
        let Err(error) = self.try_execute().await else {
            return Ok(());
        };
        Err(self.stopped(error).await)
    }

    async fn try_execute(&mut self) -> Result<()> {
        if let Some(kept) = &self.work.target {
            // The store proves that it works before anything is made that could not be kept.
            self.work.access.vault.probe(kept.store)?;
        }
        let output = self.work.access.output;
        for index in 0..self.record().steps.len() {
            if self.record().steps[index].status != Status::Done {
                let result = self.step(index).await;
                output.done();
                result?;
                let (what, detail) = self.record().steps[index].step.described();
                output.step_done(what, &detail);
            }
        }
        for index in 0..self.record().steps.len() {
            let mut step = self.record().steps[index].step.clone();
            let looked = step.last_look(&mut self.work).await;
            output.done();
            looked?;
            self.journal.note(index, step)?;
        }
        Ok(())
    }

    async fn step(&mut self, index: usize) -> Result<()> {
        let (what, detail) = self.record().steps[index].step.described();
        self.work.access.output.working(&format!("{what}  {detail}"));
        // What an earlier process has tried may have been done all the same.
        let untried = self.record().steps[index].status.maybe_done().is_none();
        for attempt in 1.. {
            if self.work.interrupt.arrived().await {
                return Err(Error::cancelled());
            }
            self.learn_key();
            let mut step = self.record().steps[index].step.clone();
            step.prepare(&mut self.work).await?;
            self.journal.set(index, step.clone(), Status::Begun)?;
            let Err(stop) = step.act(&mut self.work).await else {
                return self.kept(index, step).await;
            };
            let is_refused = matches!(stop, Stop::Refused(_)) && attempt == 1 && untried;
            let status = if is_refused { Status::Refused } else { Status::Begun };
            self.journal.set(index, step.clone(), status)?;
            match stop {
                Stop::Refused(error) | Stop::Failed(error) => return Err(error),
                Stop::Unanswered(error) if attempt == ATTEMPTS => return Err(error),
                Stop::Unanswered(_) => {}
            }
            let lost = format!("{what}: the answer was lost; looking what became of it");
            self.work.access.output.detail(1, &lost);
            let settled = step.settle(&mut self.work).await;
            if matches!(settled, Ok(Settled::Done)) {
                return self.kept(index, step).await;
            }
            self.journal.note(index, step)?;
            settled?;
        }
        Ok(())
    }

    /// What came of the step is in the journal before it is kept, and once it is.
    async fn kept(&mut self, index: usize, mut step: Step) -> Result<()> {
        self.journal.note(index, step.clone())?;
        let kept = step.keep(&mut self.work).await;
        let status = if kept.is_ok() { Status::Done } else { Status::Begun };
        self.journal.set(index, step, status)?;
        kept
    }

    /// What the steps of the run know of its key.
    fn learn_key(&mut self) {
        self.work.access_key_id = self.journal.record.access_key_id().map(str::to_owned);
    }

    /// Ends a run that cannot go on.
    async fn stopped(&mut self, error: Error) -> Error {
        if error.kind == Kind::PartlyApplied {
            return error.and_hint(self.goes_on());
        }
        if !self.journal.is_reopened || self.record().goal.prints {
            return self.roll_back(error).await;
        }
        if error.kind == Kind::Cancelled {
            return error.and_hint(self.goes_on());
        }
        let message = format!("the run {} is not finished: {}", self.work.run, error.message);
        self.open(error, message)
    }

    fn open(&self, error: Error, message: String) -> Error {
        error.with(Kind::PartlyApplied, message).and_hint(self.goes_on())
    }

    fn goes_on(&self) -> String {
        let run = &self.work.run;
        format!("`cloudcred resume {run}` goes on with it, `cloudcred undo {run}` takes it back")
    }

    /// Takes the run back because of `error`, and completes that with what came of it. What was done
    /// before the checkpoint stays, once that is reached.
    pub async fn roll_back(&mut self, error: Error) -> Error {
        let anything = self.record().steps.iter().any(|it| it.status == Status::Done);
        let first = if self.is_past_checkpoint() { self.record().checkpoint } else { None };
        let left = match self.take_back(first.unwrap_or(0), Stoppable::No).await {
            Ok(left) => left,
            Err(stopped) => {
                let why = format!("{}; and it could not be taken back: {stopped}", error.message);
                return self.open(error, why);
            }
        };
        if !left.is_empty() {
            return self.partly_applied(error, &left);
        }
        if first.is_some() {
            let message = error.message.clone();
            return self.open(error, message);
        }
        self.end();
        match anything {
            true => error.and_hint("everything that this run had made was taken back"),
            false => error,
        }
    }

    fn partly_applied(&self, error: Error, left: &[String]) -> Error {
        let run = &self.work.run;
        let message = format!("{}; this is left behind: {}", error.message, left.join(", "));
        error.with(Kind::PartlyApplied, message).and_hint(format!(
            "once the cause is removed, `cloudcred undo {run}` takes it back and `cloudcred resume {run}` finishes it"
        ))
    }

    /// Whether the steps up to the checkpoint are done.
    pub fn is_past_checkpoint(&self) -> bool {
        let record = self.record();
        record.checkpoint.is_some_and(|checkpoint| {
            record.steps[..checkpoint].iter().all(|it| it.status == Status::Done)
        })
    }

    /// Takes back a run that has ended, or that another process has left. It stays open where that is
    /// cancelled between two steps, or something cannot be taken back.
    pub async fn undo(&mut self) -> Result<()> {
        self.journal.open_again()?;
        let left = self.take_back(0, Stoppable::ByUser).await?;
        if left.is_empty() {
            self.end();
            return Ok(());
        }
        Err(self.partly_applied(Error::failed("not everything could be taken back"), &left))
    }

    /// Finds out whose the run's user is, as far as a step may have made one.
    pub async fn survey(&mut self) -> Result<()> {
        self.learn_key();
        for record in self.journal.record.steps.clone() {
            if record.status.maybe_done().is_some() {
                record.step.survey(&mut self.work).await?;
            }
        }
        Ok(())
    }

    pub fn work(&self) -> &Work<'a> {
        &self.work
    }

    /// Returns what could not be taken back, in words. Rounds go on as long as that may change: IAM
    /// refuses to delete a user that something still hangs on, and what hung on it goes with it.
    async fn take_back(&mut self, first: usize, stoppable: Stoppable) -> Result<Vec<String>> {
        self.survey().await?;
        let mut made = self.made_from(first);
        let mut passing_since = None;
        loop {
            let was_gone = self.work.user_is_gone();
            let mut left: Vec<Leftover> = Vec::new();
            // Changes that come in late at AWS are looked for in each round; a step that was taken back
            // no longer waits for what it knows to be gone.
            for (index, step, outcome) in &mut made {
                let status = self.record().steps[*index].status;
                if status == Status::TakenBack && !step.changes_aws() {
                    continue;
                }
                if stoppable == Stoppable::ByUser && self.work.interrupt.arrived().await {
                    let run = &self.work.run;
                    let goes_on = format!("`cloudcred undo {run}` goes on with it");
                    return Err(Error::cancelled().hint(goes_on));
                }
                left.extend(self.take_step_back(*index, step, *outcome).await);
            }
            let may_change = left.iter().any(|left| left.passing)
                && passing_since.get_or_insert_with(Instant::now).elapsed() < SETTLING * 2;
            let freed = self.work.user_is_gone() && !was_gone;
            if left.is_empty() || !(may_change || freed) {
                self.work.access.output.done();
                left.iter().for_each(|left| self.work.access.output.warn(&left.stays()));
                return Ok(left.into_iter().map(|left| left.what).collect());
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// What the steps from that one on may have made, last first.
    fn made_from(&self, first: usize) -> Vec<(usize, Step, Outcome)> {
        let steps = self.record().steps.iter().enumerate().skip(first);
        let made = steps.filter_map(|(index, record)| {
            Some((index, record.step.clone(), record.status.outcome()?))
        });
        made.rev().collect()
    }

    async fn take_step_back(
        &mut self,
        index: usize,
        step: &mut Step,
        outcome: Outcome,
    ) -> Option<Leftover> {
        let (what, _) = step.described();
        self.work.access.output.working(&format!("taking back: {what}"));
        if outcome == Outcome::Done {
            // Whoever reads the journal after a crash must not take it for done.
            self.try_set(index, step.clone(), Status::Begun);
        }
        let left = step.undo(&mut self.work, outcome).await.err();
        let status = if left.is_none() { Status::TakenBack } else { Status::Left };
        self.try_set(index, step.clone(), status);
        left
    }

    /// Taking back goes on where the journal cannot be written: it rests on what stands in there.
    fn try_set(&mut self, index: usize, step: Step, status: Status) {
        let written = self.journal.set(index, step, status);
        self.warn_of(written);
    }

    fn warn_of(&self, written: Result<()>) {
        if let Err(error) = written {
            self.work.access.output.warn(&error.with_hint());
        }
    }

    /// Brings a run of another process to where [`Run::execute`] can go on with it: what is done is
    /// known to be, and what is not can be done again.
    pub async fn revisit(&mut self) -> Result<()> {
        self.survey().await?;
        if let (None, Some(kept), Some(id)) =
            (&self.work.secrets.pair, &self.work.target, &self.work.access_key_id)
        {
            self.work.secrets.pair = self.work.access.vault.held(&kept.name, kept.store, id)?;
        }
        if self.work.user_is_gone() {
            // Deleted by somebody, or by an undo that could not write it down.
            self.plan_anew(0).await?;
        }
        for index in 0..self.record().steps.len() {
            let record = &self.record().steps[index];
            let Some(outcome) = record.status.maybe_done() else {
                continue;
            };
            let mut step = record.step.clone();
            self.learn_key();
            let status = match step.revisit(&mut self.work, outcome).await? {
                Settled::Done => Status::Done,
                Settled::Again => Status::Begun,
                Settled::Anew => {
                    self.plan_anew(index + 1).await?;
                    Status::Planned
                }
            };
            self.journal.set(index, step, status)?;
        }
        Ok(())
    }

    /// Takes back what the steps from this one on did with a result that is gone.
    async fn plan_anew(&mut self, first: usize) -> Result<()> {
        for (index, mut step, outcome) in self.made_from(first) {
            step.undo(&mut self.work, outcome).await?;
            self.journal.set(index, step, Status::Planned)?;
        }
        if first == 0 {
            self.work.user = RunUser::NotCreated;
        }
        Ok(())
    }

    /// Ends a run that went well. What came of it must be told even where the journal cannot be
    /// written.
    pub fn finish(&mut self) {
        if let Some(kept) = &self.work.target {
            let aside = SecretName::set_aside_by(&self.work.run);
            if let Err(error) = self.work.access.vault.discard(kept.store, &aside) {
                self.work.access.output.warn(&format!(
                    "the secret that was replaced is still there, under the name `{aside}`: {error}"
                ));
            }
        }
        self.end();
    }

    fn end(&mut self) {
        let finished = self.journal.finish(self.work.access.env.now());
        self.warn_of(finished);
    }
}
