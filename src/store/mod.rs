//! Where CloudStudio secrets live: two stores, and the index that says which secret is where.
//!
//! Secrets are changed through the [`vault`] only. Nothing here calls AWS, asks or prints.

pub mod by_run;
pub mod file;
pub mod index;
pub mod keyring;
pub mod vault;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::secret::KeyPair;

/// Tells the user something that stops nothing.
pub type Warn = Arc<dyn Fn(&str) + Send + Sync>;

/// `--store`: where a secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The system's keyring: Keychain, Credential Manager, or a Secret Service
    Keyring,
    /// A file that only its owner may read
    File,
}

impl StoreKind {
    /// As `--store` spells it.
    pub fn name(self) -> &'static str {
        match self {
            StoreKind::Keyring => "keyring",
            StoreKind::File => "file",
        }
    }

    /// The same for people.
    pub fn place(self) -> &'static str {
        match self {
            StoreKind::Keyring => "in the keyring",
            StoreKind::File => "in a private file",
        }
    }
}

/// Pairs under names. Each operation stands alone; only the vault brings them together.
pub trait Store {
    fn kind(&self) -> StoreKind;

    fn put(&self, name: &SecretName, pair: &KeyPair) -> Result<()>;

    fn find(&self, name: &SecretName) -> Result<Option<KeyPair>>;

    /// Whether there was one.
    fn remove(&self, name: &SecretName) -> Result<bool>;

    fn has(&self, name: &SecretName, pair: &KeyPair) -> Result<bool> {
        Ok(self.find(name)?.is_some_and(|there| there.same_as(pair)))
    }

    /// Puts the pair in place of `old` and reads it back. Where that fails, `old` is put back.
    fn replace(&self, name: &SecretName, old: Option<&KeyPair>, pair: &KeyPair) -> Result<()> {
        if let Err(error) = self.put(name, pair) {
            // What is refused has changed nothing, except where a file is refused at the very end.
            self.restore(name, old, Error::cancelled());
            return Err(error);
        }
        let error = match self.has(name, pair) {
            Ok(true) => return Ok(()),
            Ok(false) => Error::failed("the store does not give back what was put into it")
                .hint("choose another one with --store"),
            Err(error) => error,
        };
        Err(self.restore(name, old, error))
    }

    /// Puts the pair where no other one is. An earlier attempt may have put it there already.
    fn keep(&self, name: &SecretName, pair: &KeyPair) -> Result<()> {
        match self.find(name)? {
            Some(there) if there.same_as(pair) => Ok(()),
            Some(_) => Err(taken(name, self.kind())),
            None => self.replace(name, None, pair),
        }
    }

    /// Gives the name back what it had, after an error: the one to report, since this may fail too.
    fn restore(&self, name: &SecretName, old: Option<&KeyPair>, error: Error) -> Error {
        let restored = match old {
            Some(old) => self.put(name, old),
            None => self.remove(name).map(drop),
        };
        if restored.is_ok() {
            return error;
        }
        let (store, why) = (self.kind().name(), error.message);
        half_done(format!("{why}; the new key stays in the {store} store as `{name}`"))
    }

    /// Clears the place that a secret has left.
    fn clear(&self, name: &SecretName) -> Result<()> {
        self.remove(name).map(drop).map_err(|error| {
            let (store, why) = (self.kind().name(), error.message);
            half_done(format!("done, but a copy is left in the {store} store as `{name}`: {why}"))
        })
    }

    /// Proves that the store works, by writing, reading back and removing a canary.
    fn probe(&self) -> Result<()> {
        let canary = SecretName::canary();
        let pair = KeyPair::new("AKIAPROBEPROBEPROBE0", "probe".into());
        // A canary that stays harms nobody, and the next probe removes it.
        self.replace(&canary, None, &pair)
            .map_err(|error| Error { kind: Kind::Failed, ..error })?;
        self.remove(&canary).map(drop)
    }
}

/// A change that stopped half-way, and that the same command finishes.
pub fn half_done(message: String) -> Error {
    Error::new(Kind::PartlyApplied, message).hint("remove the cause and run the same command again")
}

pub fn taken(name: &SecretName, store: StoreKind) -> Error {
    let store = store.name();
    Error::failed(format!("there is another secret `{name}` in the {store} store"))
        .hint("choose another name, or remove that one first")
}

/// The name of a CloudStudio secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretName(String);

impl SecretName {
    /// A name for a new secret: one that every system can keep, Windows too.
    pub fn new(name: &str) -> Result<Self> {
        if is_windows_device(name) {
            return Err(refused(name, "Windows reserves it for a device"));
        }
        if name.ends_with('.') {
            return Err(refused(name, "it ends with `.`, which Windows drops"));
        }
        SecretName::existing(name)
    }

    /// A name to look up: 1 to 64 of letters, digits and `_+=,.@-` (what IAM allows in user names),
    /// not starting with `.` or `-`, which file systems and command lines treat specially.
    pub fn existing(name: &str) -> Result<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        let why = if name.is_empty() {
            "it is empty"
        } else if name.len() > 64 {
            "it is longer than 64 characters"
        } else if name.starts_with(['.', '-']) {
            "it starts with `.` or `-`"
        } else if !name.bytes().all(is_allowed) {
            "it contains characters other than letters, digits and _+=,.@-"
        } else {
            return Ok(SecretName(name.to_owned()));
        };
        Err(refused(name, why))
    }

    /// Under which a run keeps the pair that it replaces until it has ended. No user can choose it.
    pub fn set_aside_by(run: &str) -> Self {
        SecretName(format!(".before-{run}"))
    }

    /// Under which the vault tries out a store. The next probe removes one that was left behind.
    pub fn canary() -> Self {
        SecretName(".probe".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names that differ only in case would be one file on Windows and macOS.
    pub fn same_place_as(&self, other: &SecretName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

fn refused(name: &str, why: &str) -> Error {
    Error::usage(format!("`{name}` cannot name a secret: {why}"))
        .hint("use 1 to 64 letters, digits and _+=,.@-, for example my-secret")
}

/// Whether Windows takes a file of that name, whatever its extension, for a device.
fn is_windows_device(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    let numbered = stem.strip_prefix("com").or(stem.strip_prefix("lpt")).unwrap_or_default();
    ["con", "prn", "aux", "nul"].contains(&stem) || matches!(numbered.as_bytes(), [b'1'..=b'9'])
}

/// From an index or a journal, where a name stays valid that is refused for a new secret.
impl TryFrom<String> for SecretName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        SecretName::existing(&name)
    }
}

impl std::fmt::Display for SecretName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for name in ["", "a/b", "..", ".hidden", "-flag", "a\\b", "a b", "ü", "a\n", "a:b"] {
            assert!(SecretName::new(name).is_err(), "{name:?}");
            assert!(SecretName::existing(name).is_err(), "{name:?}");
        }
        assert!(SecretName::new(&"x".repeat(65)).is_err());
        for name in ["cloudstudio-admin", "a@b.c", "A_1+2=3,4", "com0", "com10", "console"] {
            assert_eq!(SecretName::new(name).expect("allowed").as_str(), name);
        }
    }

    #[test]
    fn names_that_windows_cannot_keep_are_refused_for_new_secrets_only() {
        for name in ["con", "NUL", "Prn.x", "aux", "com1", "LPT9.old.json", "a.", "a.b."] {
            let refused = SecretName::new(name).expect_err(name);
            assert!(refused.message.contains("Windows"), "{refused}");
            SecretName::existing(name).expect("an old secret may have it");
        }
    }
}
