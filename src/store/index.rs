//! The secret index `secrets.toml`: which secrets exist, where, for whom, and which is current.
//!
//! No secrets in it. Changed under a lock, written as a whole, renamed into place.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::env::Folders;
use crate::error::{Error, Result, did_you_mean, near_names};
use crate::private_file;
use crate::store::{SecretName, StoreKind};

/// Room for tens of thousands of secrets; a larger file is something else.
const LONGEST_INDEX: u64 = 16 * 1024 * 1024;

/// What is known of one secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub name: SecretName,
    pub store: StoreKind,
    pub access_key_id: String,
    /// Twelve digits; absent, like the ARN, for a pair that was stored unverified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    pub created_at: Timestamp,
    /// When STS last answered for the pair; absent for one that was never proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Index {
    version: u32,
    /// The secret that `export`, `exec` and CloudStudio mean when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<SecretName>,
    #[serde(default, rename = "secret")]
    pub secrets: Vec<Entry>,
}

impl Default for Index {
    fn default() -> Self {
        Index {
            version: 1,
            current: None,
            secrets: Vec::new(),
        }
    }
}

impl Index {
    /// # Errors
    /// When the file cannot be read; or is damaged: then it is named and set aside, and nothing
    /// takes its place before the next command.
    pub fn load(folders: &Folders) -> Result<Self> {
        let path = path(folders);
        let Some(content) = private_file::read(&path, LONGEST_INDEX).map_err(Folders::unusable)?
        else {
            return Ok(Index::default());
        };
        let read = || -> Result<Index, String> {
            let text = std::str::from_utf8(&content).map_err(|_| "it is not text".to_owned())?;
            toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
        };
        let index = read().map_err(|why| set_aside(&path, &why))?;
        if index.version != 1 {
            return Err(Error::failed(format!(
                "the secret index {} has version {}",
                path.display(),
                index.version
            ))
            .hint("a newer cloudcred wrote it: use that one"));
        }
        Ok(index)
    }

    /// Loads, changes and writes the index while nobody else does.
    ///
    /// # Errors
    /// When it cannot be locked, read or written, or `change` refuses; it is then unchanged.
    pub fn update<T>(folders: &Folders, change: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
        let mut locked = Index::lock(folders)?;
        let result = change(&mut locked.index)?;
        locked.save()?;
        Ok(result)
    }

    /// Loads the index and keeps every other cloudcred from changing it, or what it lists, for as
    /// long as the value lives.
    ///
    /// # Errors
    /// When it cannot be locked or read.
    pub fn lock(folders: &Folders) -> Result<Locked> {
        private_file::create_folder(&folders.data).map_err(Folders::unusable)?;
        let lock = private_file::open_lock(&folders.data.join("secrets.lock"))
            .map_err(Folders::unusable)?;
        private_file::lock(&lock, "the secret index")?;
        Ok(Locked {
            index: Index::load(folders)?,
            path: path(folders),
            _lock: lock,
        })
    }

    pub fn find(&self, name: &SecretName) -> Option<&Entry> {
        self.secrets
            .iter()
            .find(|entry| entry.name.same_place_as(name))
    }

    /// # Errors
    /// When there is none of that name; the near ones are named.
    pub fn require(&self, name: &SecretName) -> Result<&Entry> {
        self.find(name).ok_or_else(|| {
            let near = near_names(name.as_str(), self.secrets.iter().map(|e| e.name.as_str()));
            Error::failed(format!("there is no secret `{name}`")).hint(did_you_mean(
                &near,
                "`cloudcred secret list` shows the ones there are",
            ))
        })
    }

    /// # Errors
    /// When no secret is current, or the current one is gone.
    pub fn require_current(&self) -> Result<&Entry> {
        match &self.current {
            Some(name) => self.require(name),
            None => Err(Error::failed("no secret is current")
                .hint("name one; `cloudcred secret list` shows the ones there are")),
        }
    }

    /// Adds the entry in place of the one with its name.
    pub fn put(&mut self, entry: Entry) {
        let same = |old: &Entry| old.name.same_place_as(&entry.name);
        match self.secrets.iter().position(same) {
            Some(at) => self.secrets[at] = entry,
            None => self.secrets.push(entry),
        }
    }

    /// Notes that AWS has just accepted the pair.
    pub fn verified(&mut self, name: &SecretName, at: Timestamp) {
        let mut entries = self.secrets.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.name.same_place_as(name)) {
            entry.verified_at = Some(at);
        }
    }

    /// Forgets the secret, and that it was current.
    pub fn remove(&mut self, name: &SecretName) {
        self.secrets.retain(|entry| !entry.name.same_place_as(name));
        if self.is_current(name) {
            self.current = None;
        }
    }

    /// Gives the secret another name, under which it stays current if it was.
    pub fn rename(&mut self, old: &SecretName, new: &SecretName) {
        if self.is_current(old) {
            self.current = Some(new.clone());
        }
        let mut entries = self.secrets.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.name.same_place_as(old)) {
            entry.name = new.clone();
        }
    }

    pub fn is_current(&self, name: &SecretName) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.same_place_as(name))
    }
}

/// The index in the hands of one process.
pub struct Locked {
    pub index: Index,
    path: PathBuf,
    /// Let go of when the file is closed.
    _lock: File,
}

impl Locked {
    /// Writes the index, and keeps the lock.
    ///
    /// # Errors
    /// When it cannot be written. Nearly always the old one is then untouched; see
    /// [`Locked::save_or`].
    pub fn save(&self) -> Result<()> {
        private_file::write(&self.path, self.text()?.as_bytes()).map_err(Folders::unusable)
    }

    /// Writes the index, or takes back what it was to speak of. A write may fail at its very end,
    /// when the new index is there already and only its folder is not known to be on disk: then
    /// nothing is taken back, since the index speaks of it.
    ///
    /// # Errors
    /// As [`Locked::save`].
    pub fn save_or(&self, take_back: impl FnOnce()) -> Result<()> {
        self.save().inspect_err(|_| {
            let there = private_file::read(&self.path, LONGEST_INDEX);
            let new = self.text().map(String::into_bytes);
            // Where nobody can tell, a copy too many is better than one too few.
            if let (Ok(there), Ok(new)) = (there, new)
                && there != Some(new)
            {
                take_back();
            }
        })
    }

    fn text(&self) -> Result<String> {
        Ok(toml::to_string(&self.index).context("cannot write the secret index")?)
    }
}

/// Keeps a damaged index under another name, so that it is neither lost nor in the way.
fn set_aside(path: &Path, why: &str) -> Error {
    let damaged = format!("the secret index {} is damaged ({why})", path.display());
    let mut names = (1..).map(|number| match number {
        1 => path.with_extension("toml.damaged"),
        _ => path.with_extension(format!("toml.damaged-{number}")),
    });
    let aside = names.find(|name| !name.exists()).unwrap_or_default();
    match std::fs::rename(path, &aside) {
        Ok(()) => Error::failed(format!(
            "{damaged} and was set aside as {}",
            aside.display()
        ))
        .hint("mend it and move it back, or go on without it; it holds no secret itself"),
        Err(error) => Error::failed(format!("{damaged} and cannot be set aside: {error}"))
            .hint("mend it, or move it away; it holds no secret itself"),
    }
}

fn path(folders: &Folders) -> PathBuf {
    folders.data.join("secrets.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        Entry {
            name: SecretName::new(name).expect("a valid name"),
            store: StoreKind::File,
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            account_id: Some("111122223333".into()),
            arn: Some("arn:aws:iam::111122223333:user/ana".into()),
            created_at: Timestamp::UNIX_EPOCH,
            verified_at: None,
        }
    }

    fn folders(home: &tempfile::TempDir) -> Folders {
        Folders {
            data: home.path().join("data"),
            state: home.path().join("state"),
        }
    }

    #[test]
    fn what_is_put_is_found_again() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folders = folders(&home);
        Index::update(&folders, |index| {
            index.put(entry("one"));
            index.put(entry("two"));
            index.current = Some(SecretName::new("two")?);
            Ok(())
        })
        .expect("a writable folder");
        let mut index = Index::load(&folders).expect("our own file");
        assert_eq!(index.secrets, [entry("one"), entry("two")]);
        index.remove(&SecretName::new("TWO").expect("valid"));
        assert_eq!(index.secrets, [entry("one")]);
        assert!(index.current.is_none(), "a removed secret is not current");
    }

    #[test]
    fn a_damaged_index_is_named_and_set_aside() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folders = folders(&home);
        let path = path(&folders);
        for aside in ["secrets.toml.damaged", "secrets.toml.damaged-2"] {
            private_file::write(&path, aside.as_bytes()).expect("writable");
            let error = Index::update(&folders, |_| Ok(())).expect_err("damaged");
            assert!(error.message.contains(aside), "{error}");
            assert!(!path.exists(), "nothing takes its place unasked");
            let kept = std::fs::read(folders.data.join(aside)).expect("kept");
            assert_eq!(kept, aside.as_bytes());
        }
    }

    #[test]
    fn a_refused_change_writes_nothing() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folders = folders(&home);
        let refused: Result<()> = Index::update(&folders, |index| {
            index.put(entry("one"));
            Err(Error::failed("no"))
        });
        assert!(refused.is_err());
        assert!(Index::load(&folders).expect("empty").secrets.is_empty());
    }

    #[test]
    fn an_unknown_name_names_the_near_ones() {
        let mut index = Index::default();
        index.put(entry("production"));
        let error = index
            .require(&SecretName::new("producton").expect("valid"))
            .expect_err("unknown");
        assert_eq!(error.hint.as_deref(), Some("did you mean `production`?"));
    }
}
