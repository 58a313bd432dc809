//! Where CloudStudio secrets live: two stores, and the index that says which secret is where.
//!
//! Whoever changes a secret does it through the [`vault`]. Nothing here calls AWS, asks or prints.

pub mod file;
pub mod index;
pub mod keyring;
mod name;
pub mod vault;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use name::SecretName;

/// Tells the user something that stops nothing.
pub type Warn = Arc<dyn Fn(&str) + Send + Sync>;

/// `--store`: what keeps a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The system's keyring: Keychain, Credential Manager, or a Secret Service.
    Keyring,
    /// A file that only its owner may read.
    File,
    /// The CloudStudio document on standard output: no store.
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
