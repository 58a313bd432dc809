//! The file store: one CloudStudio document per file, mode 0600 in a 0700 folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::env::Folders;
use crate::error::{Error, Result};
use crate::private_file;
use crate::secret::KeyPair;
use crate::store::{SecretName, Store, StoreKind, Warn};

/// Longer than any document of ours; a longer file is something else.
const LONGEST_DOCUMENT: u64 = 64 * 1024;

pub struct FileStore {
    folders: Folders,
    warn: Warn,
}

impl FileStore {
    pub fn new(folders: &Folders, warn: &Warn) -> Self {
        FileStore { folders: folders.clone(), warn: Arc::clone(warn) }
    }

    /// Takes the path, and what lies above it, away from other users. The data folder itself may be
    /// shared where `CLOUDCRED_HOME` names it, which then is the state folder, too.
    fn keep_private(&self, path: &Path) {
        let Folders { data, state } = &self.folders;
        let is_ours = |it: &&Path| it.starts_with(data) && (*it != data || data != state);
        for path in path.ancestors().take_while(is_ours) {
            if let Some(loose) = private_file::tighten(path) {
                (self.warn)(&loose);
            }
        }
    }

    fn path(&self, name: &SecretName) -> PathBuf {
        folder(&self.folders).join(format!("{name}.json"))
    }
}

impl Store for FileStore {
    fn kind(&self) -> StoreKind {
        StoreKind::File
    }

    fn put(&self, name: &SecretName, pair: &KeyPair) -> Result<()> {
        let folder = folder(&self.folders);
        private_file::create_folder(&folder).map_err(Folders::unusable)?;
        self.keep_private(&folder);
        let document = pair.to_document();
        private_file::write(&self.path(name), document.expose_secret().as_bytes())
            .map_err(Folders::unusable)
    }

    fn find(&self, name: &SecretName) -> Result<Option<KeyPair>> {
        let path = self.path(name);
        self.keep_private(&path);
        let content = private_file::read(&path, LONGEST_DOCUMENT).map_err(Folders::unusable)?;
        let Some(content) = content.map(Zeroizing::new) else { return Ok(None) };
        // Neither error repeats the content.
        let text = str::from_utf8(&content).map_err(|_| Error::failed("it is not text"));
        text.and_then(KeyPair::from_document).map(Some).map_err(|error| {
            Error::failed(format!("{}: {}", path.display(), error.message))
                .hint("restore the file, or remove it and set the secret up again")
        })
    }

    fn remove(&self, name: &SecretName) -> Result<bool> {
        private_file::remove(&self.path(name)).map_err(Folders::unusable)
    }
}

/// Removes what killed processes have left: half-written documents, secrets and all, and the canary
/// of a probe. The index must be locked, as it is for every write here.
pub fn sweep(folders: &Folders) -> Result<()> {
    let folder = folder(folders);
    private_file::sweep(&folder, Duration::ZERO).map_err(Folders::unusable)?;
    let canary = folder.join(format!("{}.json", SecretName::canary()));
    if canary.is_file() {
        private_file::remove(&canary).map_err(Folders::unusable)?;
    }
    Ok(())
}

fn folder(folders: &Folders) -> PathBuf {
    folders.data.join("secrets").join("aws")
}
