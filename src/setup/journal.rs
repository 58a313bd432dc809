//! The journal of a run: what is about to be done, and what came of it. No secrets in it.
//!
//! Written whole and fsynced before and after every step, so that a crash at any point leaves a
//! record of what may exist.

mod record;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;

use crate::env::Folders;
use crate::error::{Error, Result};
use crate::private_file;
use crate::setup::steps::Step;

pub use record::{Record, Status, StepRecord};

pub struct Journal {
    path: PathBuf,
    pub record: Record,
    /// Held as long as somebody works on the run; the system lets go of it when the process ends,
    /// in whatever way.
    lock: Option<File>,
    /// Against another run about the same user, which could take this one's changes for its own.
    user_lock: Option<File>,
    /// Whether another process began the run: then what it made may have changed since.
    pub is_reopened: bool,
}

impl Journal {
    /// Writes the first state of the run, before anything is done.
    pub fn begin(folders: &Folders, record: Record) -> Result<Self> {
        private_file::create_private_folder(&runs_folder(folders)).map_err(Folders::unusable)?;
        let journal = Journal {
            path: path(folders, &record.run),
            lock: Some(lock(folders, &record.run)?),
            user_lock: lock_user(folders, &record)?,
            record,
            is_reopened: false,
        };
        journal.write()?;
        Ok(journal)
    }

    /// Takes up a run that another process has left.
    pub fn reopen(folders: &Folders, run: &str) -> Result<Self> {
        let lock = lock(folders, run)?;
        // Read under the lock: whoever held it may just have finished.
        let path = path(folders, run);
        let record = read(&path)?;
        let user_lock = lock_user(folders, &record)?;
        Ok(Journal { path, record, lock: Some(lock), user_lock, is_reopened: true })
    }

    /// Records the step, with what it has made, and where it stands.
    pub fn set(&mut self, index: usize, step: Step, status: Status) -> Result<()> {
        let new = StepRecord { step, status };
        if self.record.steps[index] == new {
            return Ok(());
        }
        let old = std::mem::replace(&mut self.record.steps[index], new);
        self.write().inspect_err(|_| {
            // What the step has made is not forgotten by this process.
            if status == Status::Begun && old.status != Status::Begun {
                self.record.steps[index].status = old.status;
            }
        })
    }

    /// Records what the step has made so far.
    pub fn note(&mut self, index: usize, step: Step) -> Result<()> {
        let status = self.record.steps[index].status;
        self.set(index, step, status)
    }

    /// Records that the pair is about to be printed: whoever reads the journal later must not take the
    /// key for one whose secret nobody has.
    pub fn printing(&mut self) -> Result<()> {
        self.record.printed = true;
        self.write()
    }

    /// Notes that a run that had ended is being taken back.
    pub fn open_again(&mut self) -> Result<()> {
        self.record.finished_at = None;
        self.write()
    }

    /// Notes that nothing is left to be finished or taken back.
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
    let record = serde_json::from_slice(&content.unwrap_or_default())
        .and_then(|written| serde_json::from_value::<Record>(without_stdout(written)));
    let why = match record {
        Ok(record) if record.version != 1 => format!("its version is {}, not 1", record.version),
        Ok(record) if record.is_about_one_user() => return Ok(record),
        Ok(_) => "it is about more than one IAM user".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Error::failed(format!("the journal {} is damaged: {why}", path.display()))
        .hint("it says what its run made; fix it, or look at the IAM console and move it away"))
}

/// Version 0.1 called standard output a store.
fn without_stdout(mut record: Value) -> Value {
    let is_printed = |place: &Value| place["store"] == "stdout";
    if let Some(goal) = record.get_mut("goal").filter(|goal| is_printed(&goal["secret"])) {
        goal["secret"] = Value::Null;
        goal["prints"] = true.into();
    }
    let steps = record.get_mut("steps").and_then(Value::as_array_mut);
    for step in steps.into_iter().flatten().filter(|it| is_printed(it)) {
        step["store"] = Value::Null;
    }
    record
}

fn lock(folders: &Folders, run: &str) -> Result<File> {
    take_lock(&runs_folder(folders).join(format!("{run}.lock")), || {
        Error::failed(format!("the run {run} is still going on"))
            .hint("wait until it has ended, or end it with Ctrl-C, then try again")
    })
}

fn lock_user(folders: &Folders, record: &Record) -> Result<Option<File>> {
    let owner = record.goal.owner();
    let Some(user) = owner.user_name() else {
        return Ok(None);
    };
    // IAM's rule for names suits files; it does not tell capitals from small letters.
    let name = format!("user-{}-{}.lock", owner.account_id, user.to_lowercase());
    take_lock(&runs_folder(folders).join(name), || {
        Error::failed(format!("another cloudcred works on the IAM user `{user}` at this moment"))
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
pub fn runs(folders: &Folders) -> Result<(Vec<Record>, Vec<Error>)> {
    let folder = runs_folder(folders);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display())),
    };
    let mut paths: Vec<PathBuf> = entries
        .map_err(Folders::unusable)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    let (mut records, mut broken) = (Vec::new(), Vec::new());
    for path in paths {
        read(&path).map_or_else(|error| broken.push(error), |record| records.push(record));
    }
    records.sort_by_key(|record: &Record| record.started_at);
    Ok((records, broken))
}

/// Whether some process works on the run at this moment.
pub fn is_going_on(folders: &Folders, run: &str) -> bool {
    let known = path(folders, run).with_extension("lock").exists();
    known && lock(folders, run).is_err()
}

/// The name of a run: when it began, and four digits to tell two of the same second apart.
pub fn run_name(now: Timestamp) -> String {
    format!("{}-{:04x}", now.strftime("%Y%m%dT%H%M%SZ"), rand::random::<u16>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::request::{Goal, Kept, Mode};
    use crate::setup::steps::{SetCurrent, Step};
    use crate::store::{SecretName, StoreKind};

    fn read_text(text: &str) -> Result<Record> {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join("run.json");
        std::fs::write(&path, text).expect("writable");
        read(&path)
    }

    /// As version 0.1 wrote it.
    const RELEASED: &str = r#"{"version":1,"run":"20261124T154200Z-3f9a",
        "goal":{"mode":"iam-user","account_id":"111122223333","arn":"arn:aws:iam::111122223333:user/ana",
            "access_key_id":null,"secret":{"name":"ana","store":"STORE","current":true}},
        "started_at":"2026-11-24T15:42:00Z","finished_at":null,"caller_arn":"arn","profile":"boss",
        "steps":[
          {"step":"create_user","user_name":"ana","tags":[["created-by","cloudcred"]],
           "permissions_boundary":null,"status":"done",
           "made":{"begun_at":"2026-11-24T15:42:00Z","lost":true,"found":false,"set_aside":false}},
          {"step":"attach_policy","user_name":"ana","policy_arn":"arn:aws:iam::aws:policy/ReadOnlyAccess",
           "status":"done","made":{"lost":false,"found":true,"set_aside":false}},
          {"step":"create_access_key","user_name":"ana","secret":"ana","store":"STORE",
           "known_key_ids":["AKIA1"],"replaces":null,"status":"begun",
           "made":{"begun_at":"2026-11-24T15:42:03Z","lost":true,"unanswered":["2026-11-24T15:42:01Z"],
                   "given_up_at":"2026-11-24T15:42:02Z","found":false,"access_key_id":"AKIA2","set_aside":true}},
          {"step":"describe_access_key","user_name":"ana","description":"x","status":"planned","made":{}},
          {"step":"store_secret","secret":"ana","store":"STORE","replaces":"AKIA9","status":"planned"},
          {"step":"verify","reads_iam":true,"status":"planned"},
          {"step":"set_current","secret":"ana","status":"planned","made":{"previous_current":"old"}},
          {"step":"deactivate_root_key","access_key_id":"AKIA3","status":"refused"}]}"#;

    #[test]
    fn what_version_0_1_wrote_is_read() {
        let record = read_text(&RELEASED.replace("STORE", "keyring")).expect("its format");
        assert_eq!(record.access_key_id(), Some("AKIA2"));
        let name = SecretName::new("ana").expect("valid");
        let kept = Kept { name, store: StoreKind::Keyring, current: true };
        assert_eq!(record.goal.secret, Some(kept));
        assert!(!record.goal.prints && record.checkpoint.is_none());
        let Step::CreateAccessKey(key) = &record.steps[2].step else { panic!("{record:?}") };
        assert_eq!(key.kept.made.unanswered.len(), 1);
        let Step::AttachPolicy(policy) = &record.steps[1].step else { panic!("{record:?}") };
        assert!(policy.made.found);
        let printed = read_text(&RELEASED.replace("STORE", "stdout")).expect("its format");
        assert!(printed.goal.prints && printed.goal.secret.is_none());
    }

    /// What a step that keeps a pair has looked like since version 0.1, member by member.
    #[test]
    fn the_steps_that_keep_a_pair_are_written_as_ever() {
        let made = serde_json::json!({
            "begun_at": "2026-11-24T15:42:03Z", "unanswered": ["2026-11-24T15:42:01Z"],
            "access_key_id": "AKIA2", "created_at": "2026-11-24T15:42:04Z",
            "replaced": {"name": "ana", "store": "file", "access_key_id": "AKIA1",
                "account_id": null, "arn": null, "created_at": "2026-11-24T15:42:00Z",
                "verified_at": null},
        });
        let create = serde_json::json!({
            "step": "create_access_key", "user_name": "ana", "secret": "ana", "store": "file",
            "replaces": "AKIA1", "known_key_ids": ["AKIA1"], "status": "done", "made": made,
        });
        let store = serde_json::json!({
            "step": "store_secret", "secret": "ana", "store": null, "replaces": null,
            "status": "planned", "made": {},
        });
        for written in [create, store] {
            let read: StepRecord = serde_json::from_value(written.clone()).expect("its format");
            assert_eq!(read.step.name(), written["step"]);
            assert_eq!(serde_json::to_value(&read).expect("plain data"), written);
        }
    }

    #[test]
    fn a_record_that_is_about_two_users_is_damaged() {
        let second = RELEASED.replace("STORE", "file");
        for (from, to) in [
            (r#""attach_policy","user_name":"ana""#, r#""attach_policy","user_name":"eve""#),
            (
                r#"{"step":"verify","reads_iam":true"#,
                r#"{"step":"create_user","user_name":"ana","tags":[],"permissions_boundary":null"#,
            ),
        ] {
            let error = read_text(&second.replace(from, to)).expect_err("two users");
            assert!(error.message.contains("more than one IAM user"), "{error}");
        }
    }

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
        let folders = Folders { data: home.path().into(), state: home.path().into() };
        let current =
            SetCurrent { secret: SecretName::new("ana").expect("valid"), made: Default::default() };
        let record = Record {
            version: 1,
            run: "run".into(),
            goal: Goal {
                mode: Mode::IamUser,
                account_id: "111122223333".into(),
                arn: "arn:aws:iam::111122223333:user/ana".into(),
                ..Goal::default()
            },
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: None,
            caller_arn: "arn".into(),
            profile: None,
            steps: vec![StepRecord {
                step: Step::SetCurrent(current.clone()),
                status: Status::Planned,
            }],
            checkpoint: None,
            printed: false,
        };
        let mut journal = Journal::begin(&folders, record).expect("writable");
        journal.set(0, Step::SetCurrent(current), Status::Begun).expect("writable");
        let text = std::fs::read(&journal.path).expect("written");
        let back: Record = serde_json::from_slice(&text).expect("our own format");
        assert_eq!(back, journal.record);
        assert_eq!(back.steps[0].status, Status::Begun);
    }
}
