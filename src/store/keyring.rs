//! The keyring store: service `CloudStudio`, user `aws/<NAME>`, password = the document.
//!
//! Every call runs on a thread of its own with a time limit, because a Secret Service may block on
//! an unlock dialog that nobody sees.

use std::cell::Cell;
use std::sync::mpsc;
use std::time::Duration;

use keyring::Entry;
use keyring::v1::Error as KeyringError;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::secret::KeyPair;
use crate::store::{SecretName, Store, StoreKind};

const SERVICE: &str = "CloudStudio";
const INSTEAD: &str = "keep the secret in a private file with --store file";

pub struct Keyring {
    patience: Duration,
    /// Then it is not asked again: the user would have to wait, or unlock it, a second time.
    has_failed: Cell<bool>,
}

impl Keyring {
    pub fn new(patience: Duration) -> Self {
        Keyring { patience, has_failed: Cell::new(false) }
    }

    /// Whether a keyring answers at all; changes nothing.
    pub fn reachable(&self) -> Result<()> {
        self.call(&SecretName::canary(), Entry::get_password).map(drop)
    }

    /// `None` where there is no such entry.
    fn call<T: Send + 'static>(
        &self,
        name: &SecretName,
        act: impl FnOnce(&Entry) -> keyring::v1::Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        if self.has_failed.get() {
            return Err(Error::failed("the keyring has failed before"));
        }
        let user = format!("aws/{name}");
        let (sender, receiver) = mpsc::channel();
        // A call that never returns leaves its thread behind; it ends with the process.
        std::thread::spawn(move || {
            let result = Entry::new(SERVICE, &user).and_then(|entry| act(&entry));
            drop(sender.send(result));
        });
        let result = match receiver.recv_timeout(self.patience) {
            Ok(Err(KeyringError::NoEntry)) => Ok(None),
            Ok(answer) => answer.map(Some).map_err(refused),
            Err(_) => {
                let seconds = self.patience.as_secs();
                Err(Error::failed(format!("the keyring did not answer within {seconds} s"))
                    .hint(format!("unlock the keyring and try again, or {INSTEAD}")))
            }
        };
        self.has_failed.set(result.is_err());
        result
    }
}

impl Store for Keyring {
    fn kind(&self) -> StoreKind {
        StoreKind::Keyring
    }

    fn put(&self, name: &SecretName, pair: &KeyPair) -> Result<()> {
        let document = pair.to_document();
        let put = self.call(name, move |entry| entry.set_password(document.expose_secret()))?;
        put.ok_or_else(|| refused(KeyringError::NoEntry))
    }

    fn find(&self, name: &SecretName) -> Result<Option<KeyPair>> {
        let document = self.call(name, |entry| entry.get_password().map(Zeroizing::new))?;
        let pair = document.map(|document| KeyPair::from_document(&document));
        pair.transpose().map_err(|error| {
            Error::failed(format!("keyring entry {SERVICE}, aws/{name}: {}", error.message))
                .hint("remove it with your keyring's own program and set the secret up again")
        })
    }

    fn remove(&self, name: &SecretName) -> Result<bool> {
        Ok(self.call(name, Entry::delete_credential)?.is_some())
    }
}

fn refused(error: KeyringError) -> Error {
    match error {
        KeyringError::NoDefaultStore => {
            let error = Error::failed("no keyring answers on this machine").hint(INSTEAD);
            let cause =
                Entry::store_status().as_ref().err().map(|cause| anyhow::anyhow!("{cause}"));
            Error { cause, ..error }
        }
        KeyringError::NoStorageAccess(cause) => {
            Error::failed(format!("the keyring is locked or refuses access: {cause}"))
                .hint(format!("unlock it and try again, or {INSTEAD}"))
        }
        // These two carry the entry's bytes: their text is never shown.
        KeyringError::BadEncoding(_) | KeyringError::BadDataFormat(..) => {
            Error::failed("the keyring's entry is not text").hint(INSTEAD)
        }
        other => Error::failed(format!("the keyring refuses: {other}")).hint(INSTEAD),
    }
}
