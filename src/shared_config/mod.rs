//! The `~/.aws` files: where they are, what they say together, and how they are changed on disk.
//!
//! Knows nothing of credentials: keys and values only.

pub mod text;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::env::{Env, Folders};
use crate::error::{Error, Result};
use crate::private_file;
use crate::shared_config::text::{FileKind, Property, Section, SharedFile};

/// Room for a hundred thousand profiles; a larger file is something else.
const LONGEST_FILE: u64 = 32 * 1024 * 1024;

/// Where the two files are, by the rules of the AWS SDKs (SDKs and Tools reference, "Location of
/// the shared config and credentials files").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations {
    pub config: PathBuf,
    pub credentials: PathBuf,
}

impl Locations {
    /// # Errors
    /// When no variable names a home folder, and one is needed.
    pub fn of(env: &Env) -> Result<Self> {
        Locations::from_variables(|name| env.var(name), cfg!(windows)).ok_or_else(|| {
            Error::failed("this machine tells no home folder, so ~/.aws cannot be found")
                .hint("set HOME, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE")
        })
    }

    fn from_variables<'v>(
        variable: impl Fn(&str) -> Option<&'v str>,
        windows: bool,
    ) -> Option<Self> {
        let home = match (variable("HOME"), windows) {
            (Some(home), _) => Some(home.to_owned()),
            (None, true) => variable("USERPROFILE").map(str::to_owned).or_else(|| {
                Some(format!(
                    "{}{}",
                    variable("HOMEDRIVE")?,
                    variable("HOMEPATH")?
                ))
            }),
            (None, false) => None,
        };
        let separator = if windows { '\\' } else { '/' };
        let locate = |name: &str, file: &str| match variable(name) {
            Some(path) => match path
                .strip_prefix('~')
                .filter(|rest| rest.starts_with(['/', '\\']))
            {
                Some(rest) => Some(PathBuf::from(format!("{}{rest}", home.as_ref()?))),
                None => Some(PathBuf::from(path)),
            },
            None => {
                let home = home.as_ref()?;
                Some(PathBuf::from(format!(
                    "{home}{separator}.aws{separator}{file}"
                )))
            }
        };
        Some(Locations {
            config: locate("AWS_CONFIG_FILE", "config")?,
            credentials: locate("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
        })
    }

    /// Reads both; one that is not there is empty.
    ///
    /// # Errors
    /// When one is there and cannot be read at all.
    pub fn read(&self) -> Result<SharedConfig> {
        Ok(SharedConfig {
            config: read(FileKind::Config, &self.config)?,
            credentials: read(FileKind::Credentials, &self.credentials)?,
        })
    }
}

fn read(kind: FileKind, path: &Path) -> Result<SharedFile> {
    let bytes = private_file::read(path, LONGEST_FILE)
        .map_err(|cause| Error::from(cause).hint("make the file readable for you"))?;
    Ok(SharedFile::parse(kind, &bytes.unwrap_or_default()))
}

/// Both files.
pub struct SharedConfig {
    pub config: SharedFile,
    pub credentials: SharedFile,
}

/// A profile as both files give it together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub name: String,
    /// The file and the line where it first stands.
    pub at: Option<(Place, usize)>,
    properties: Vec<Property>,
    /// The keys whose value comes from the credentials file.
    from_credentials: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Config,
    Credentials,
}

impl Profile {
    pub fn get(&self, key: &str) -> Option<&str> {
        let property = self.properties.iter().find(|property| property.key == key);
        property.map(|property| property.value.as_str())
    }

    /// Its keys and values, in the order in which they first stand.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let properties = self.properties.iter();
        properties.map(|property| (property.key.as_str(), property.value.as_str()))
    }

    fn put(&mut self, property: Property) {
        match self
            .properties
            .iter_mut()
            .find(|old| old.key == property.key)
        {
            Some(old) => *old = property,
            None => self.properties.push(property),
        }
    }
}

/// What the files say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiles {
    /// In the order of the files, the config file first.
    pub profiles: Vec<Profile>,
    pub sso_sessions: Vec<Profile>,
}

impl Profiles {
    pub fn find(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }
}

impl SharedConfig {
    /// Duplicates merge, and the last value wins; credentials win over config; `[profile default]`
    /// replaces `[default]`. (The AWS SDKs' specification; its cases are this file's tests.)
    pub fn profiles(&self) -> Profiles {
        let mut all = Profiles::default();
        let mut index = std::collections::HashMap::new();
        for (place, file) in [
            (Place::Config, &self.config),
            (Place::Credentials, &self.credentials),
        ] {
            let sections = file.sections();
            let prefixed_default = sections.iter().any(|section| {
                section.prefixed && section.section == Section::Profile("default".to_owned())
            });
            for section in sections {
                let (is_profile, name) = match section.section {
                    Section::Profile(name) => (true, name),
                    Section::SsoSession(name) => (false, name),
                    Section::Other | Section::Ignored => continue,
                };
                if is_profile && name == "default" && prefixed_default && !section.prefixed {
                    continue;
                }
                let list = match is_profile {
                    true => &mut all.profiles,
                    false => &mut all.sso_sessions,
                };
                let at = *index.entry((is_profile, name.clone())).or_insert_with(|| {
                    list.push(Profile {
                        name,
                        at: Some((place, section.line)),
                        ..Profile::default()
                    });
                    list.len() - 1
                });
                for property in section.properties {
                    if !text::is_identifier(&property.key) {
                        continue;
                    }
                    if place == Place::Credentials {
                        list[at].from_credentials.push(property.key.clone());
                    }
                    list[at].put(property);
                }
            }
        }
        all
    }
}

/// Changes one of the files on disk while no other cloudcred does: another file takes its place
/// at once, with the same mode and owner, or nothing is changed at all.
///
/// # Errors
/// With the path, when the file or its folder cannot be read or written; `change`'s own.
pub fn update<T>(
    folders: &Folders,
    kind: FileKind,
    path: &Path,
    change: impl FnOnce(&mut SharedFile) -> Result<T>,
) -> Result<T> {
    private_file::create_folder(&folders.data).map_err(Folders::unusable)?;
    let lock =
        private_file::open_lock(&folders.data.join("aws-files.lock")).map_err(Folders::unusable)?;
    lock.lock().context("cannot lock the AWS files")?;
    // A link stays a link: the file that it names is the one that is changed.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let before = private_file::read(&path, LONGEST_FILE)?.unwrap_or_default();
    let mut file = SharedFile::parse(kind, &before);
    let result = change(&mut file)?;
    let after = file.to_bytes();
    if after != before {
        replace(&path, &before, &after)?;
    }
    Ok(result)
}

fn replace(path: &Path, before: &[u8], after: &[u8]) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let folder = path.parent().context("a file lies in a folder")?;
    private_file::create_folder(folder)?;
    let mut temporary = tempfile::Builder::new()
        .prefix(".cloudcred-")
        .tempfile_in(folder)
        .with_context(failed)?;
    temporary.write_all(after).with_context(failed)?;
    if let Ok(old) = std::fs::metadata(path) {
        keep_mode_and_owner(temporary.as_file(), &old).with_context(failed)?;
    }
    temporary.as_file().sync_all().with_context(failed)?;
    // The AWS CLI knows nothing of our lock.
    let now = private_file::read(path, LONGEST_FILE)?.unwrap_or_default();
    if now != before {
        return Err(
            Error::failed(format!("{} was changed meanwhile", path.display()))
                .hint("run the command again"),
        );
    }
    temporary
        .persist(path)
        .map_err(|refused| refused.error)
        .with_context(failed)?;
    private_file::sync_folder(folder).with_context(failed)?;
    Ok(())
}

#[cfg(unix)]
fn keep_mode_and_owner(file: &std::fs::File, old: &std::fs::Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())
}

/// Windows copies the folder's access list to the new file, as it did to the old one.
#[cfg(not(unix))]
fn keep_mode_and_owner(_: &std::fs::File, _: &std::fs::Metadata) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
