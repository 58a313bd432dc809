//! Where CloudStudio secrets live: the places that keep a pair, and the index that knows them.
//!
//! Stores keep documents under names. They never call AWS and ask no questions.

pub mod file;
pub mod index;
pub mod keyring;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::env::Folders;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::secret::KeyPair;
use crate::store::index::{Index, Locked};

/// `--store`: which kind of place keeps a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The system's keyring: Keychain, Credential Manager, or a Secret Service.
    Keyring,
    /// A file that only its owner may read.
    File,
    /// The CloudStudio document on standard output, kept nowhere.
    Stdout,
}

impl StoreKind {
    /// As `--store` spells it.
    pub fn name(self) -> &'static str {
        match self {
            StoreKind::Keyring => "keyring",
            StoreKind::File => "file",
            StoreKind::Stdout => "stdout",
        }
    }
}

/// The name of a CloudStudio secret; also a file name and a keyring user, hence its bounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

impl SecretName {
    /// 1 to 64 of letters, digits and `_+=,.@-` (what IAM allows in user names), not starting with
    /// `.` or `-`, which file systems and command lines treat specially.
    ///
    /// # Errors
    /// `Usage`, saying what is wrong with the name.
    pub fn new(name: &str) -> Result<Self> {
        let refused = |why: &str| {
            Err(
                Error::usage(format!("`{name}` cannot name a secret: {why}"))
                    .hint("use 1 to 64 letters, digits and _+=,.@-"),
            )
        };
        if name.is_empty() {
            return refused("it is empty");
        }
        if name.len() > 64 {
            return refused("it is longer than 64 characters");
        }
        if name.starts_with(['.', '-']) {
            return refused("it starts with `.` or `-`");
        }
        if !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
        {
            return refused("it has other characters than letters, digits and _+=,.@-");
        }
        Ok(SecretName(name.to_owned()))
    }

    /// A name that no user can give, so that it meets no secret of theirs.
    fn hidden(name: String) -> Self {
        SecretName(format!(".{name}"))
    }

    /// Where a run keeps the pair that it replaces, until it has ended.
    pub fn set_aside_by(run: &str) -> Self {
        SecretName::hidden(format!("before-{run}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names that differ in case only would be one file on Windows and macOS.
    pub fn same_place_as(&self, other: &SecretName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl TryFrom<String> for SecretName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        SecretName::new(&name)
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl std::fmt::Display for SecretName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place that keeps pairs under names.
pub struct Place {
    keeper: Keeper,
    folders: Folders,
}

enum Keeper {
    Keyring(keyring::Keyring),
    File(file::FileStore),
    Stdout(Arc<Output>),
}

/// The name that a probe uses. Always the same, so that one that was left behind is overwritten and
/// removed by the next.
const CANARY: &str = ".probe";

/// Opens places.
#[derive(Clone)]
pub struct Stores {
    pub folders: Folders,
    /// Bounds each keyring call: a locked keyring may be waiting for its owner.
    pub patience: Duration,
    pub output: Arc<Output>,
}

impl Stores {
    pub fn place(&self, kind: StoreKind) -> Place {
        Place {
            keeper: match kind {
                StoreKind::Keyring => Keeper::Keyring(keyring::Keyring::new(self.patience)),
                StoreKind::File => Keeper::File(file::FileStore::new(&self.folders)),
                StoreKind::Stdout => Keeper::Stdout(Arc::clone(&self.output)),
            },
            folders: self.folders.clone(),
        }
    }

    /// The pair of an entry of the index.
    ///
    /// # Errors
    /// When its place cannot be read, or no longer has it.
    pub fn require(&self, entry: &index::Entry) -> Result<KeyPair> {
        let (name, store) = (&entry.name, entry.store.name());
        self.place(entry.store).find(name)?.ok_or_else(|| {
            Error::failed(format!(
                "the secret `{name}` is no longer in its place ({store})"
            ))
            .hint(format!(
                "put it back with `cloudcred secret add {name}`, or forget it with `cloudcred secret remove {name} --forget`"
            ))
        })
    }
}

impl Place {
    /// Keeps the pair, replacing what had the name.
    ///
    /// # Errors
    /// When the place refuses; what was there before is then still there.
    pub fn put(&self, name: &SecretName, pair: &KeyPair) -> Result<()> {
        match &self.keeper {
            Keeper::Keyring(keyring) => keyring.put(name.as_str(), pair),
            Keeper::File(file) => file.put(name.as_str(), pair),
            Keeper::Stdout(output) => {
                use secrecy::ExposeSecret;
                output.raw(pair.to_document().expose_secret().as_bytes())?;
                output.raw(b"\n")
            }
        }
    }

    /// Keeps the pair in place of `old`, and makes sure that it can be read back.
    ///
    /// # Errors
    /// When the place refuses, or gives back something else; it then holds `old` again, if it
    /// allows that.
    pub fn replace(&self, name: &SecretName, old: Option<&KeyPair>, pair: &KeyPair) -> Result<()> {
        let kept = self.put(name, pair).and_then(|()| match self.find(name)? {
            Some(back) if back.same_as(pair) => Ok(()),
            _ => Err(not_given_back()),
        });
        kept.inspect_err(|_| self.restore(name, old))
    }

    /// Gives the name back what it held, as far as the place allows it: this is for when something
    /// has failed already, and that is what should be told.
    pub fn restore(&self, name: &SecretName, old: Option<&KeyPair>) {
        let restored = match old {
            Some(old) => self.put(name, old),
            None => self.remove(name).map(drop),
        };
        restored.unwrap_or_default();
    }

    /// The pair of that name, if there is one. Standard output keeps none.
    ///
    /// # Errors
    /// When the place cannot be read or holds something else than a CloudStudio document.
    pub fn find(&self, name: &SecretName) -> Result<Option<KeyPair>> {
        match &self.keeper {
            Keeper::Keyring(keyring) => keyring.find(name.as_str()),
            Keeper::File(file) => file.find(name.as_str()),
            Keeper::Stdout(_) => Ok(None),
        }
    }

    /// Removes the pair of that name; whether there was one.
    ///
    /// # Errors
    /// When the place refuses.
    pub fn remove(&self, name: &SecretName) -> Result<bool> {
        match &self.keeper {
            Keeper::Keyring(keyring) => keyring.remove(name.as_str()),
            Keeper::File(file) => file.remove(name.as_str()),
            Keeper::Stdout(_) => Ok(false),
        }
    }

    /// Proves that the place works, by writing, reading back and removing a canary, while no other
    /// cloudcred changes it.
    ///
    /// # Errors
    /// When it does not, with what to do instead; or the index cannot be locked.
    pub fn probe(&self) -> Result<()> {
        self.probe_under(&Index::lock(&self.folders)?)
    }

    /// [`Place::probe`], for whoever holds the index's lock already.
    ///
    /// # Errors
    /// As [`Place::probe`].
    pub fn probe_under(&self, _lock: &Locked) -> Result<()> {
        if matches!(self.keeper, Keeper::Stdout(_)) {
            return Ok(());
        }
        let canary = SecretName(CANARY.to_owned());
        let pair = KeyPair::new("AKIAPROBEPROBEPROBE0", "probe".into());
        if let Err(refused) = self.put(&canary, &pair) {
            // A file may be there all the same. A keyring that has not answered would make its
            // owner wait, or unlock it, a second time; the next probe clears what it may hold.
            if let Keeper::File(file) = &self.keeper {
                file.remove(canary.as_str()).unwrap_or_default();
            }
            return Err(refused);
        }
        let found = self.find(&canary);
        self.remove(&canary)?;
        let same = found?.is_some_and(|back| back.same_as(&pair));
        if same { Ok(()) } else { Err(not_given_back()) }
    }
}

fn not_given_back() -> Error {
    Error::failed("the store does not give back what was put into it")
        .hint("choose another one with --store")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for name in [
            "", "a/b", "..", ".hidden", "-flag", "a\\b", "a b", "ü", "a\n", "a:b",
        ] {
            assert!(SecretName::new(name).is_err(), "{name:?}");
        }
        assert!(SecretName::new(&"x".repeat(65)).is_err());
        for name in ["cloudstudio-admin", "a@b.c", "A_1+2=3,4"] {
            assert_eq!(SecretName::new(name).expect("allowed").as_str(), name);
        }
    }

    #[test]
    fn a_file_store_passes_its_probe_and_leaves_nothing() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folders = Folders {
            data: home.path().into(),
            state: home.path().into(),
        };
        let output = Output::new(Default::default(), 0, Default::default(), false);
        let stores = Stores {
            folders,
            patience: Duration::ZERO,
            output: Arc::new(output),
        };
        stores
            .place(StoreKind::File)
            .probe()
            .expect("the folder is writable");
        let files = std::fs::read_dir(home.path().join("secrets/aws")).expect("made by the probe");
        assert_eq!(files.count(), 0);
    }
}
