//! Where CloudStudio secrets live: two stores, and the index that says which secret is where.
//!
//! Secrets are changed through the [`vault`] only. Nothing here calls AWS, asks or prints.

pub mod by_run;
pub mod file;
pub mod index;
pub mod keyring;
mod name;
pub mod vault;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::secret::KeyPair;

pub use name::SecretName;

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
