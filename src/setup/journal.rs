//! The journal of a run: what is about to be done, and what came of it. No secrets in it.
//!
//! Written whole and fsynced before and after every step, so that a crash at any point leaves a
//! record of what may exist.

mod record;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::env::Folders;
use crate::error::{Error, Result};
use crate::private_file;
use crate::setup::step::Step;

pub use record::{Made, Record, Status, StepRecord};

pub struct Journal {
    path: PathBuf,
    pub record: Record,
    /// Held as long as somebody works on the run; the system lets go of it when the process ends,
    /// in whatever way.
    lock: Option<File>,
    /// Against another run about the same user, which could take this one's changes for its own.
    user_lock: Option<File>,
    reopened: bool,
}

impl Journal {
    /// Writes the first state of the run, before anything is done.
    ///
    /// # Errors
    /// With the path, when it cannot be written: then nothing may be done either.
    pub fn begin(folders: &Folders, record: Record) -> Result<Self> {
        private_file::create_private_folder(&runs_folder(folders)).map_err(Folders::unusable)?;
        let lock = lock(folders, &record.run)?;
        let user_lock = lock_user(folders, &record)?;
        let journal = Journal {
            path: path(folders, &record.run),
            record,
            lock: Some(lock),
            user_lock,
            reopened: false,
        };
        journal.write()?;
        Ok(journal)
    }

    /// Takes up a run that another process has left.
    ///
    /// # Errors
    /// When it is being worked on, or its journal cannot be read or is damaged.
    pub fn reopen(folders: &Folders, run: &str) -> Result<Self> {
        let lock = lock(folders, run)?;
        // Read under the lock: whoever held it may just have finished.
        let path = path(folders, run);
        let record = read(&path)?;
        Ok(Journal {
            user_lock: lock_user(folders, &record)?,
            record,
            path,
            lock: Some(lock),
            reopened: true,
        })
    }

    /// Whether another process began the run: then what it made may have changed since.
    pub fn is_reopened(&self) -> bool {
        self.reopened
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// # Errors
    /// As [`Journal::begin`].
    pub fn set(&mut self, step: usize, status: Status) -> Result<()> {
        self.record.steps[step].status = status;
        self.write()
    }

    /// Announces a step that is about to be done.
    ///
    /// # Errors
    /// As [`Journal::begin`]: what could not be announced is not begun.
    pub fn begin_step(&mut self, step: usize, now: Timestamp) -> Result<()> {
        let record = &mut self.record.steps[step];
        let before = record.clone();
        match record.status {
            // Whatever an earlier attempt made is gone.
            Status::Planned | Status::TakenBack => record.made = Made::default(),
            Status::Refused => {}
            Status::Begun | Status::Done | Status::Left => record.made.lost = true,
        }
        record.made.begun_at = Some(now);
        if matches!(record.step, Step::CreateAccessKey { .. }) {
            record.made.unanswered.push(now);
        }
        record.status = Status::Begun;
        self.write()
            .inspect_err(|_| self.record.steps[step] = before)
    }

    /// Notes that AWS refused the step. That is sure for the last attempt only.
    ///
    /// # Errors
    /// As [`Journal::begin`].
    pub fn refused(&mut self, step: usize) -> Result<()> {
        let record = &mut self.record.steps[step];
        record.made.unanswered.pop();
        if !record.made.lost {
            record.status = Status::Refused;
        }
        self.write()
    }

    /// Notes that nobody knows what came of the last attempt, which may still be on its way. The
    /// next entry of the journal brings it to disk.
    pub fn given_up(&mut self, step: usize, now: Timestamp) {
        self.record.steps[step].made.given_up_at = Some(now);
    }

    /// Notes the key that the last attempt has made.
    ///
    /// # Errors
    /// As [`Journal::begin`].
    pub fn made_key(&mut self, step: usize, id: &str) -> Result<()> {
        let made = &mut self.record.steps[step].made;
        made.unanswered.pop();
        made.access_key_id = Some(id.to_owned());
        self.write()
    }

    /// Records what the step has made so far.
    ///
    /// # Errors
    /// As [`Journal::begin`].
    pub fn made(&mut self, step: usize, change: impl FnOnce(&mut Made)) -> Result<()> {
        change(&mut self.record.steps[step].made);
        self.write()
    }

    /// Replaces a step by what is now known of it.
    ///
    /// # Errors
    /// As [`Journal::begin`].
    pub fn revise(&mut self, step: usize, change: impl FnOnce(&mut StepRecord)) -> Result<()> {
        change(&mut self.record.steps[step]);
        self.write()
    }

    /// Notes that a run that had ended is being taken back.
    ///
    /// # Errors
    /// As [`Journal::begin`].
    pub fn open_again(&mut self) -> Result<()> {
        self.record.finished_at = None;
        self.write()
    }

    /// Notes that nothing is left to be finished or taken back.
    ///
    /// # Errors
    /// As [`Journal::begin`].
    pub fn finish(&mut self, at: Timestamp) -> Result<()> {
        self.record.finished_at = Some(at);
        self.write()?;
        drop(self.user_lock.take());
        if let Some(lock) = self.lock.take() {
            // Unlinked while it is held: afterwards it may be somebody else's. The file means
            // nothing without its lock; one that stays does no harm.
            drop(private_file::remove(&self.path.with_extension("lock")));
            drop(lock);
        }
        Ok(())
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.record).map_err(anyhow::Error::from)?;
        private_file::write(&self.path, &text).map_err(Folders::unusable)
    }
}

/// A record has a few kilobytes; a larger file is something else.
const LONGEST_RECORD: u64 = 1024 * 1024;

fn runs_folder(folders: &Folders) -> PathBuf {
    folders.state.join("runs")
}

fn path(folders: &Folders, run: &str) -> PathBuf {
    runs_folder(folders).join(format!("{run}.json"))
}

fn read(path: &Path) -> Result<Record> {
    let content = private_file::read(path, LONGEST_RECORD).map_err(Folders::unusable)?;
    let record: Result<Record, _> = serde_json::from_slice(&content.unwrap_or_default());
    match record {
        Ok(record) if record.version == 1 => Ok(record),
        Ok(record) => Err(damaged(
            path,
            &format!("its version is {}, not 1", record.version),
        )),
        Err(error) => Err(damaged(path, &error.to_string())),
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::failed(format!("the journal {} is damaged: {why}", path.display()))
        .hint("it says what its run made; mend it, or look at the IAM console and move it away")
}

/// # Errors
/// When another process works on the run.
fn lock(folders: &Folders, run: &str) -> Result<File> {
    take_lock(&runs_folder(folders).join(format!("{run}.lock")), || {
        Error::failed(format!("the run {run} is still going on"))
            .hint("wait until it has ended, or end it with Ctrl-C, then try again")
    })
}

/// # Errors
/// When another process works on the same IAM user.
fn lock_user(folders: &Folders, record: &Record) -> Result<Option<File>> {
    let owner = record.goal.owner();
    let Some(user) = owner.user_name() else {
        return Ok(None);
    };
    // IAM's rule for names suits files; it does not tell capitals from small letters.
    let name = format!("user-{}-{}.lock", owner.account_id, user.to_lowercase());
    take_lock(&runs_folder(folders).join(name), || {
        Error::failed(format!(
            "another cloudcred works on the IAM user `{user}` at this moment"
        ))
        .hint("wait until it has ended, then try again")
    })
    .map(Some)
}

fn take_lock(path: &Path, taken: impl FnOnce() -> Error) -> Result<File> {
    let file = private_file::open_lock(path).map_err(Folders::unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(taken()),
        Err(TryLockError::Error(cause)) => Err(Folders::unusable(
            anyhow::Error::from(cause).context(format!("cannot lock {}", path.display())),
        )),
    }
}

/// All runs whose journal is on this machine, oldest first; and what is wrong with the others.
///
/// # Errors
/// When their folder cannot be read.
pub fn runs(folders: &Folders) -> Result<(Vec<Record>, Vec<Error>)> {
    let folder = runs_folder(folders);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
        Err(error) => {
            return Err(Folders::unusable(
                anyhow::Error::from(error).context(format!("cannot read {}", folder.display())),
            ));
        }
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    let (mut records, mut broken) = (Vec::new(), Vec::new());
    for path in paths {
        match read(&path) {
            Ok(record) => records.push(record),
            Err(error) => broken.push(error),
        }
    }
    records.sort_by_key(|record| record.started_at);
    Ok((records, broken))
}

/// Whether some process works on the run at this moment.
pub fn is_going_on(folders: &Folders, run: &str) -> bool {
    let known = path(folders, run).with_extension("lock").exists();
    known && lock(folders, run).is_err()
}

/// The name of a run: when it began, and four digits to tell two of the same second apart.
pub fn run_name(now: Timestamp) -> String {
    format!(
        "{}-{:04x}",
        now.strftime("%Y%m%dT%H%M%SZ"),
        rand::random::<u16>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::plan::Goal;
    use crate::setup::request::Mode;

    #[test]
    fn a_run_is_named_by_its_time() {
        let time: Timestamp = "2026-11-24T15:42:00Z".parse().expect("a time");
        let name = run_name(time);
        assert!(name.starts_with("20261124T154200Z-"), "{name}");
        assert_eq!(name.len(), "20261124T154200Z-3f9a".len());
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folders = Folders {
            data: home.path().into(),
            state: home.path().into(),
        };
        let record = Record {
            version: 1,
            run: "run".into(),
            goal: Goal {
                mode: Mode::IamUser,
                account_id: "111122223333".into(),
                arn: "arn:aws:iam::111122223333:user/ana".into(),
                in_place: None,
                access_key_id: None,
                secret: None,
                aws_profile: None,
            },
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: None,
            caller_arn: "arn".into(),
            profile: None,
            steps: vec![StepRecord {
                step: Step::CreateLoginProfile {
                    user_name: "ana".into(),
                    generated: true,
                },
                status: Status::Planned,
                made: Made::default(),
            }],
        };
        let mut journal = Journal::begin(&folders, record).expect("writable");
        journal.set(0, Status::Begun).expect("writable");
        journal
            .made(0, |made| made.access_key_id = Some("AKIA".into()))
            .expect("writable");
        let text = std::fs::read(journal.path()).expect("written");
        let back: Record = serde_json::from_slice(&text).expect("our own format");
        assert_eq!(back, journal.record);
        assert_eq!(back.steps[0].status, Status::Begun);
    }
}
