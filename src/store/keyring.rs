//! The keyring store: service `CloudStudio`, user `aws/<NAME>`, password = the document.
//!
//! Every call runs on a thread of its own with a time limit, because a Secret Service may block on
//! an unlock dialog that nobody sees.

use std::sync::mpsc;
use std::time::Duration;

use keyring::Entry;
use keyring::v1::Error as KeyringError;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::secret::KeyPair;

const SERVICE: &str = "CloudStudio";

pub struct Keyring {
    patience: Duration,
}

impl Keyring {
    pub fn new(patience: Duration) -> Self {
        Keyring { patience }
    }

    /// Whether a keyring answers at all; changes nothing.
    ///
    /// # Errors
    /// When none does, naming `--store file`.
    pub fn reachable(&self) -> Result<()> {
        self.find(".cloudcred-probe").map(drop)
    }

    /// # Errors
    /// When no keyring answers in time or it refuses.
    pub fn put(&self, name: &str, pair: &KeyPair) -> Result<()> {
        let document = pair.to_document();
        self.call(name, move |entry| {
            entry.set_password(document.expose_secret())
        })
    }

    /// # Errors
    /// When no keyring answers in time, it refuses, or it holds something else.
    pub fn find(&self, name: &str) -> Result<Option<KeyPair>> {
        let found = self.call(name, |entry| match entry.get_password() {
            Ok(document) => Ok(Some(Zeroizing::new(document))),
            Err(KeyringError::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })?;
        found
            .map(|document| KeyPair::from_document(&document))
            .transpose()
            .map_err(|error| {
                Error::failed(format!(
                    "keyring entry {SERVICE}, aws/{name}: {}",
                    error.message
                ))
                .hint(
                    "remove the entry with your keyring's own program and set the secret up again",
                )
            })
    }

    /// # Errors
    /// When no keyring answers in time or it refuses.
    pub fn remove(&self, name: &str) -> Result<bool> {
        self.call(name, |entry| match entry.delete_credential() {
            Ok(()) => Ok(true),
            Err(KeyringError::NoEntry) => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn call<T: Send + 'static>(
        &self,
        name: &str,
        act: impl FnOnce(&Entry) -> keyring::v1::Result<T> + Send + 'static,
    ) -> Result<T> {
        let user = format!("aws/{name}");
        let (sender, receiver) = mpsc::channel();
        // A call that never returns leaves its thread behind; it ends with the process.
        std::thread::spawn(move || {
            let result = Entry::new(SERVICE, &user).and_then(|entry| act(&entry));
            drop(sender.send(result));
        });
        match receiver.recv_timeout(self.patience) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(refused(error)),
            Err(_) => Err(Error::failed(format!(
                "the keyring did not answer within {} s",
                self.patience.as_secs()
            ))
            .hint("unlock the keyring and try again, or keep the secret in a private file with --store file")),
        }
    }
}

fn refused(error: KeyringError) -> Error {
    const INSTEAD: &str = "keep the secret in a private file with --store file";
    match error {
        KeyringError::NoDefaultStore => {
            let error = Error::failed("no keyring answers on this machine").hint(INSTEAD);
            match Entry::store_status() {
                Err(cause) => error.caused_by(anyhow::anyhow!("{cause}")),
                Ok(()) => error,
            }
        }
        KeyringError::NoStorageAccess(cause) => {
            Error::failed(format!("the keyring is locked or refuses access: {cause}"))
                .hint(format!("unlock it and try again, or {INSTEAD}"))
        }
        // The other messages are the platform's own; none holds the password.
        other => Error::failed(format!("the keyring refuses: {}", message(&other))).hint(INSTEAD),
    }
}

/// `BadEncoding` and `BadDataFormat` carry the entry's bytes: their text is never shown.
fn message(error: &KeyringError) -> String {
    match error {
        KeyringError::BadEncoding(_) | KeyringError::BadDataFormat(..) => {
            "the entry is not text".to_owned()
        }
        other => other.to_string(),
    }
}
