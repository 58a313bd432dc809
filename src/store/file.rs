//! The file store: one CloudStudio document a file, 0600 in a 0700 folder.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::env::Folders;
use crate::error::{Error, Result};
use crate::private_file;
use crate::secret::KeyPair;
use crate::store::SecretName;

/// Longer than any document of ours; a longer file is something else.
const LONGEST_DOCUMENT: u64 = 64 * 1024;

pub struct FileStore {
    folder: PathBuf,
}

impl FileStore {
    pub fn new(folders: &Folders) -> Self {
        FileStore {
            folder: folders.data.join("secrets").join("aws"),
        }
    }

    /// # Errors
    /// With the path and the system's reason; the old document is then untouched.
    pub fn put(&self, name: &str, pair: &KeyPair) -> Result<()> {
        let document = pair.to_document();
        // Both levels, so that nobody even lists the names.
        let secrets = self.folder.parent().unwrap_or(&self.folder);
        for folder in [secrets, &self.folder] {
            private_file::create_private_folder(folder).map_err(Folders::unusable)?;
        }
        private_file::write(&self.path(name), document.expose_secret().as_bytes())
            .map_err(Folders::unusable)
    }

    /// # Errors
    /// When the file cannot be read, or is no CloudStudio document.
    pub fn find(&self, name: &str) -> Result<Option<KeyPair>> {
        let path = self.path(name);
        let Some(content) =
            private_file::read(&path, LONGEST_DOCUMENT).map_err(Folders::unusable)?
        else {
            return Ok(None);
        };
        let content = Zeroizing::new(content);
        std::str::from_utf8(&content)
            .map_err(|_| Error::failed("it is not text"))
            .and_then(KeyPair::from_document)
            .map(Some)
            .map_err(|error| {
                Error::failed(format!("{}: {}", path.display(), error.message))
                    .hint("restore the file, or remove it and set the secret up again")
            })
    }

    /// # Errors
    /// With the path and the system's reason.
    pub fn remove(&self, name: &str) -> Result<bool> {
        private_file::remove(&self.path(name)).map_err(Folders::unusable)
    }

    /// Removes what processes that were killed have left: half-written documents, secrets and all,
    /// and canaries. For whoever holds the index's lock, as everybody does who writes here.
    ///
    /// # Errors
    /// With the path and the system's reason.
    pub fn sweep(&self) -> Result<()> {
        for prefix in [private_file::TEMPORARY, SecretName::canary().as_str()] {
            private_file::sweep(&self.folder, prefix, Duration::ZERO).map_err(Folders::unusable)?;
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}
