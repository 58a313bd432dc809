//! Which past run is meant.

use crate::env::Folders;
use crate::error::{Error, Result, did_you_mean};
use crate::private_file;
use crate::setup::journal::{Record, is_going_on, runs};
use crate::store::index::Index;

/// The run of that name, else the latest that `is_meant`.
///
/// # Errors
/// When there is no run of that name; the near ones are named. Without a name, when any journal cannot be
/// read: its run may be the one that is meant.
pub fn find(
    folders: &Folders,
    name: Option<&str>,
    is_meant: impl Fn(&Record) -> bool,
) -> Result<Option<Record>> {
    let (mut records, broken) = runs(folders)?;
    let Some(name) = name else {
        return match broken.into_iter().next() {
            Some(error) => Err(error.and_hint("or name the run that is meant")),
            None => Ok(records.into_iter().rev().find(is_meant)),
        };
    };
    if let Some(at) = records.iter().position(|record| record.run == name) {
        return Ok(Some(records.swap_remove(at)));
    }
    if let Some(error) = broken.into_iter().find(|error| error.message.contains(name)) {
        return Err(error);
    }
    let names = records.iter().map(|record| record.run.as_str());
    let folder = folders.state.join("runs");
    let otherwise = format!("the runs of this machine are in {}", folder.display());
    let hint = did_you_mean(name, names, &otherwise);
    Err(Error::failed(format!("there is no run `{name}`")).hint(hint))
}

/// Removes what commands that were killed have left half-written: documents in the file store at
/// once, under the index's lock, and old states of journals. Makes no folder.
pub fn clear_half_written(folders: &Folders) -> Result<()> {
    if folders.data.exists() {
        drop(Index::lock(folders)?);
    }
    let runs = folders.state.join("runs");
    private_file::sweep(&runs, private_file::ABANDONED).map_err(Folders::unusable)
}

/// The latest run that nobody finished and nobody works on.
pub fn find_abandoned(folders: &Folders) -> Result<Option<Record>> {
    find(folders, None, |record| record.is_open() && !is_going_on(folders, &record.run))
}
