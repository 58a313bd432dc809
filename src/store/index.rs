//! The secret index `secrets.toml`: which secrets exist, where, for whom, and which is current.
//!
//! It contains no secrets. It is changed under a lock and replaced as a whole.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::env::Folders;
use crate::error::{Error, Result, did_you_mean};
use crate::private_file;
use crate::store::{SecretName, StoreKind, file};

/// Room for tens of thousands of secrets; a larger file is something else.
const LONGEST_INDEX: u64 = 16 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub name: SecretName,
    pub store: StoreKind,
    pub access_key_id: String,
    /// Twelve digits; absent, like the ARN, for a pair that was stored unverified.
    #[serde(default)]
    pub account_id: Option<String>,
    #[serde(default)]
    pub arn: Option<String>,
    pub created_at: Timestamp,
    /// When STS last answered for the pair; absent for one that was never proven.
    #[serde(default)]
    pub verified_at: Option<Timestamp>,
    /// The other store, while a copy there is still to be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_in: Option<StoreKind>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Index {
    version: u32,
    /// The secret that `export`, `exec` and CloudStudio mean when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<SecretName>,
    #[serde(default, rename = "secret")]
    pub secrets: Vec<Entry>,
    /// The file to write, and the lock without which nobody may: it goes with the last copy.
    #[serde(skip)]
    locked: Option<(PathBuf, Arc<File>)>,
}

impl Default for Index {
    fn default() -> Self {
        Index { version: 1, current: None, secrets: Vec::new(), locked: None }
    }
}

impl Index {
    /// For a command that only reads: a damaged file stays where it is.
    pub fn load(folders: &Folders) -> Result<Self> {
        read(&path(folders), damaged)
    }

    /// For a command that will change something: a damaged file is set aside, under the lock.
    pub fn load_to_change(folders: &Folders) -> Result<Self> {
        // Locked only where something is wrong: a command that ends early has made no file.
        Index::load(folders).or_else(|_| Ok(Index { locked: None, ..Index::lock(folders)? }))
    }

    /// Changes the index under the lock. Where `change` fails, it stays as it is.
    pub fn update<T>(folders: &Folders, change: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
        let mut index = Index::lock(folders)?;
        let result = change(&mut index)?;
        index.save()?;
        Ok(result)
    }

    /// Loads the index and keeps every other process from changing it, or what it lists, for as long
    /// as the value lives. A damaged index is an error and set aside: nothing takes its place before
    /// the next command. Half-written files beside it and in the file store are removed, since no
    /// live process is writing them.
    pub fn lock(folders: &Folders) -> Result<Self> {
        private_file::create_folder(&folders.data).map_err(Folders::unusable)?;
        let lock = private_file::open_lock(&folders.data.join("secrets.lock"))
            .map_err(Folders::unusable)?;
        private_file::lock(&lock, "the secret index")?;
        private_file::sweep(&folders.data, Duration::ZERO).map_err(Folders::unusable)?;
        file::sweep(folders)?;
        let path = path(folders);
        let index = read(&path, set_aside)?;
        Ok(Index { locked: Some((path, Arc::new(lock))), ..index })
    }

    pub fn find(&self, name: &SecretName) -> Option<&Entry> {
        self.secrets.iter().find(|entry| entry.name.same_place_as(name))
    }

    pub fn find_mut(&mut self, name: &SecretName) -> Option<&mut Entry> {
        self.secrets.iter_mut().find(|entry| entry.name.same_place_as(name))
    }

    /// The name as it is listed: a name has one spelling, since case may not matter to a store.
    pub fn spelling(&self, name: &SecretName) -> SecretName {
        self.find(name).map_or(name, |entry| &entry.name).clone()
    }

    /// The entry of that name, or an error that suggests similar names.
    pub fn require(&self, name: &SecretName) -> Result<&Entry> {
        self.find(name).ok_or_else(|| {
            let names = self.secrets.iter().map(|entry| entry.name.as_str());
            let otherwise = "`cloudcred secret list` shows the ones there are";
            Error::failed(format!("there is no secret `{name}`")).hint(did_you_mean(
                name.as_str(),
                names,
                otherwise,
            ))
        })
    }

    pub fn require_current(&self) -> Result<&Entry> {
        let name = self.current.as_ref().ok_or_else(|| {
            Error::failed("no secret is current")
                .hint("name one; `cloudcred secret list` shows the ones there are")
        })?;
        self.require(name)
    }

    /// Adds the entry in place of the one with its name.
    pub fn put(&mut self, entry: Entry) {
        match self.find_mut(&entry.name) {
            Some(old) => *old = entry,
            None => self.secrets.push(entry),
        }
    }

    /// Forgets the secret, and that it was current.
    pub fn remove(&mut self, name: &SecretName) {
        self.secrets.retain(|entry| !entry.name.same_place_as(name));
        if self.is_current(name) {
            self.current = None;
        }
    }

    pub fn is_current(&self, name: &SecretName) -> bool {
        self.current.as_ref().is_some_and(|current| current.same_place_as(name))
    }

    /// Writes the index, and keeps the lock.
    pub fn save(&self) -> Result<()> {
        self.save_or(|error| error)
    }

    /// Writes the index, or takes back what it was to list, and says what to report. A write may fail
    /// at its very end, when the new index is in place and only its folder may not be on disk yet:
    /// then nothing is taken back, since the index lists it.
    pub fn save_or(&self, take_back: impl FnOnce(Error) -> Error) -> Result<()> {
        let (path, _) = self.locked.as_ref().context("the secret index is not locked")?;
        let text = toml::to_string(self).context("cannot write the secret index")?;
        private_file::write(path, text.as_bytes()).map_err(|error| {
            let error = Folders::unusable(error);
            match private_file::read(path, LONGEST_INDEX) {
                Ok(there) if there.as_deref() != Some(text.as_bytes()) => take_back(error),
                // Where it cannot be read, a copy too many is better than one too few.
                _ => error,
            }
        })
    }
}

fn read(path: &Path, damaged: impl Fn(&Path, &str) -> Error) -> Result<Index> {
    let Some(content) = private_file::read(path, LONGEST_INDEX).map_err(Folders::unusable)? else {
        return Ok(Index::default());
    };
    let refused = |error: toml::de::Error| damaged(path, error.message());
    let table: toml::Table = toml::from_slice(&content).map_err(refused)?;
    match table.get("version").and_then(toml::Value::as_integer) {
        Some(version @ 2..) => Err(Error::failed(format!(
            "the secret index {} has version {version}, which this cloudcred does not know",
            path.display(),
        ))
        .hint("a newer cloudcred wrote it: use that one")),
        Some(version @ ..=0) => Err(damaged(path, &format!("its version is {version}"))),
        Some(1) | None => table.try_into().map_err(refused),
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::failed(format!("the secret index {} is damaged ({why})", path.display()))
        .hint("repair it or move it away; it contains no secret itself")
}

/// Keeps a damaged index under another name, so that it is neither lost nor in the way.
fn set_aside(path: &Path, why: &str) -> Error {
    let error = damaged(path, why);
    let damaged = &error.message;
    let numbered = (2..).map(|number| path.with_extension(format!("toml.damaged-{number}")));
    let mut names = std::iter::once(path.with_extension("toml.damaged")).chain(numbered);
    let aside = names.find(|name| !name.exists()).unwrap_or_default();
    match std::fs::rename(path, &aside) {
        Ok(()) => Error::failed(format!("{damaged} and was set aside as {}", aside.display()))
            .hint("repair it and move it back, or go on without it; it contains no secret itself"),
        Err(cause) => {
            Error { message: format!("{damaged} and cannot be set aside: {cause}"), ..error }
        }
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
            left_in: None,
        }
    }

    fn folders(home: &tempfile::TempDir) -> Folders {
        Folders { data: home.path().join("data"), state: home.path().join("state") }
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
            let error = Index::load(&folders).expect_err("damaged");
            assert!(error.message.contains("is damaged"), "{error}");
            assert!(path.exists(), "reading leaves it where it is");
            let error = Index::update(&folders, |_| Ok(())).expect_err("damaged");
            assert!(error.message.contains(aside), "{error}");
            assert!(!path.exists(), "nothing takes its place unasked");
            let kept = std::fs::read(folders.data.join(aside)).expect("kept");
            assert_eq!(kept, aside.as_bytes());
        }
    }

    #[test]
    fn the_index_of_a_newer_version_is_left_alone() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folders = folders(&home);
        let path = path(&folders);
        let newer = b"version = 2\n[secrets.one]\nstore = \"vault\"\n";
        private_file::write(&path, newer).expect("writable");
        for loaded in [
            Index::load(&folders),
            Index::load_to_change(&folders),
            Index::update(&folders, |index| Ok(index.clone())),
        ] {
            let error = loaded.expect_err("newer");
            assert!(error.message.contains("has version 2"), "{error}");
            assert!(error.hint.is_some_and(|hint| hint.contains("newer")));
        }
        assert_eq!(std::fs::read(&path).expect("there"), newer);
    }

    #[test]
    fn what_killed_processes_have_left_is_removed_under_the_lock() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folders = folders(&home);
        let store = folders.data.join("secrets/aws");
        let left = [
            folders.data.join(".cloudcred-a1B2c3D4e5F6.tmp"),
            store.join(".cloudcred-012345678901.tmp"),
            store.join(".probe.json"),
        ];
        let kept = [
            store.join("one.json"),
            store.join(".cloudcred-notes"),
            store.join(".cloudcred-012345678901.txt"),
            store.join(".cloudcred-a1B2c3D4e5F7.tmp/inside"),
            store.join(".before-20261124T154200Z-3f9a.json"),
        ];
        for path in left.iter().chain(&kept) {
            private_file::write(path, b"{}").expect("writable");
        }
        drop(Index::lock(&folders).expect("nothing is wrong"));
        assert!(left.iter().all(|path| !path.exists()), "{left:?}");
        assert!(kept.iter().all(|path| path.exists()), "{kept:?}");
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
        let error =
            index.require(&SecretName::new("producton").expect("valid")).expect_err("unknown");
        assert_eq!(error.hint.as_deref(), Some("did you mean `production`?"));
    }
}
