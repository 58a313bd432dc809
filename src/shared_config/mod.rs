//! The `~/.aws` files: where they are, what they say together, and how they are changed on disk.
//!
//! Knows nothing of credentials: keys and values only.

pub mod text;

use std::path::{Path, PathBuf};

use anyhow::Context;
use zeroize::Zeroizing;

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
        let home = home(&variable, windows);
        let separator = if windows { '\\' } else { '/' };
        let locate = |name: &str, file: &str| match variable(name) {
            Some(path) => match path.strip_prefix('~').filter(|rest| rest.starts_with(['/', '\\']))
            {
                Some(rest) => Some(PathBuf::from(format!("{}{rest}", home.as_ref()?))),
                None => Some(PathBuf::from(path)),
            },
            None => {
                let home = home.as_ref()?;
                Some(PathBuf::from(format!("{home}{separator}.aws{separator}{file}")))
            }
        };
        Some(Locations {
            config: locate("AWS_CONFIG_FILE", "config")?,
            credentials: locate("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
        })
    }

    /// Reads both; one that is not there is empty, and one that cannot be read says so.
    pub fn read(&self) -> SharedConfig {
        SharedConfig {
            config: read(FileKind::Config, &self.config),
            credentials: read(FileKind::Credentials, &self.credentials),
        }
    }

    /// Reads both for whoever is about to add something.
    ///
    /// # Errors
    /// When AWS's tools refuse one of them, so that nothing in it would be of use.
    pub fn read_sound(&self) -> Result<SharedConfig> {
        let files = self.read();
        self.check_sound(&files)?;
        Ok(files)
    }

    /// # Errors
    /// When AWS's tools refuse one of the two, read from here.
    pub fn check_sound(&self, files: &SharedConfig) -> Result<()> {
        for place in [Place::Config, Place::Credentials] {
            let refused = |it: &&text::Problem| it.fatal || it.code.starts_with("duplicate_");
            if let Some(problem) = files.of_place(place).problems().iter().find(refused) {
                let path = self.of_place(place).display();
                return Err(Error::failed(match problem.line {
                    // The file itself: its message names the path.
                    0 => problem.message.clone(),
                    line => format!("AWS's tools refuse {path}: line {line}: {}", problem.message),
                })
                .hint("mend it first; `cloudcred check` lists what is wrong"));
            }
        }
        Ok(())
    }

    pub fn of_place(&self, place: Place) -> &Path {
        match place {
            Place::Config => &self.config,
            Place::Credentials => &self.credentials,
        }
    }
}

/// The folder that holds `.aws`, where a variable names one: as the AWS SDKs find it.
pub fn home_of(env: &Env) -> Option<String> {
    home(&|name| env.var(name), cfg!(windows))
}

fn home<'v>(variable: &impl Fn(&str) -> Option<&'v str>, windows: bool) -> Option<String> {
    match (variable("HOME"), windows) {
        (Some(home), _) => Some(home.to_owned()),
        (None, true) => variable("USERPROFILE")
            .map(str::to_owned)
            .or_else(|| Some(format!("{}{}", variable("HOMEDRIVE")?, variable("HOMEPATH")?))),
        (None, false) => None,
    }
}

fn read(kind: FileKind, path: &Path) -> SharedFile {
    match content(path) {
        Ok(bytes) => SharedFile::parse(kind, &bytes),
        Err(error) => SharedFile::unreadable(kind, error.message),
    }
}

/// Empty where there is no such file.
fn content(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let content = private_file::read(path, LONGEST_FILE)?;
    Ok(Zeroizing::new(content.unwrap_or_default()))
}

/// Both files.
pub struct SharedConfig {
    pub config: SharedFile,
    pub credentials: SharedFile,
}

impl Default for SharedConfig {
    fn default() -> Self {
        SharedConfig {
            config: SharedFile::parse(FileKind::Config, b""),
            credentials: SharedFile::parse(FileKind::Credentials, b""),
        }
    }
}

/// A profile as both files give it together.
#[derive(Clone, Default, PartialEq, Eq)]
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
    /// One that says nothing.
    pub fn named(name: &str) -> Self {
        Profile { name: name.to_owned(), ..Profile::default() }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        let property = self.properties.iter().find(|property| property.key == key);
        property.map(|property| property.value.as_str())
    }

    /// Which file the key's value comes from, where it has one.
    pub fn place_of(&self, key: &str) -> Option<Place> {
        self.get(key)?;
        let in_credentials = self.from_credentials.iter().any(|other| other == key);
        Some(match in_credentials {
            true => Place::Credentials,
            false => Place::Config,
        })
    }

    /// Its keys and values, in the order in which they first stand.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let properties = self.properties.iter();
        properties.map(|property| (property.key.as_str(), property.value.as_str()))
    }

    fn put(&mut self, property: Property) {
        match self.properties.iter_mut().find(|old| old.key == property.key) {
            Some(old) => *old = property,
            None => self.properties.push(property),
        }
    }
}

/// What the files say together.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Profiles {
    /// In the order of the files, the config file first.
    pub profiles: Vec<Profile>,
    pub sso_sessions: Vec<Profile>,
}

impl Profiles {
    pub fn find(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    pub fn sso_session(&self, name: &str) -> Option<&Profile> {
        let mut sessions = self.sso_sessions.iter();
        sessions.find(|session| session.name == name)
    }
}

/// Some profiles and sign-in sessions as a config file of their own, for a reader that would refuse
/// the whole file for one broken line in it.
pub fn excerpt<'p>(
    profiles: impl Iterator<Item = &'p Profile>,
    sso_sessions: impl Iterator<Item = &'p Profile>,
) -> String {
    let mut text = String::new();
    let profiles = profiles.map(|profile| ("profile", profile));
    for (kind, section) in profiles.chain(sso_sessions.map(|session| ("sso-session", session))) {
        text.push_str(&format!("[{kind} {}]\n", section.name));
        for (key, value) in section.properties() {
            text.push_str(&format!("{key} = {}\n", value.replace('\n', "\n  ")));
        }
    }
    text
}

impl SharedConfig {
    /// Both files, empty where there are none; without a home folder there are none.
    pub fn of(env: &Env) -> Self {
        Locations::of(env).map_or_else(|_| SharedConfig::default(), |locations| locations.read())
    }

    pub fn of_place(&self, place: Place) -> &SharedFile {
        match place {
            Place::Config => &self.config,
            Place::Credentials => &self.credentials,
        }
    }

    /// Duplicates merge, and the last value wins; credentials win over config; `[profile default]`
    /// replaces `[default]`. (The AWS SDKs' specification; its cases are this file's tests.)
    pub fn profiles(&self) -> Profiles {
        let mut all = Profiles::default();
        let mut index = std::collections::HashMap::new();
        for place in [Place::Config, Place::Credentials] {
            let file = self.of_place(place);
            let sections = file.sections();
            let prefixed_default = sections.iter().any(|section| {
                section.prefixed && section.section == Section::Profile("default".to_owned())
            });
            for section in sections {
                let (is_profile, name) = match section.section {
                    Section::Profile(name) => (true, name),
                    Section::SsoSession(name) => (false, name),
                    Section::Other | Section::Quoted(_) | Section::Ignored => continue,
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

/// # Errors
/// When the file could not be replaced: its owner has made it read-only, or its folder, or the one
/// that would hold a new folder, may not be written.
pub fn check_writable(path: &Path) -> Result<()> {
    let path = private_file::behind_links(path);
    check_not_read_only(&path)?;
    let mut folders = path.ancestors().skip(1);
    let Some(folder) = folders.find(|folder| folder.exists()) else {
        return Ok(());
    };
    if folder.is_dir() && private_file::is_writable(folder) {
        return Ok(());
    }
    Err(Error::failed(format!(
        "cannot write {}: {} does not allow it",
        path.display(),
        folder.display()
    ))
    .hint("make the folder yours to write, or go on without --aws-profile"))
}

/// A file can be replaced where it cannot be written: who made it read-only means otherwise.
fn check_not_read_only(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.permissions().readonly() => {
            Err(Error::failed(format!("cannot write {}: it is read-only", path.display()))
                .hint("make the file yours to write, if it is meant to change"))
        }
        // What is not there, or cannot be looked at, is told by whoever reads it.
        _ => Ok(()),
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
    private_file::lock(&lock, "the AWS files")?;
    let path = private_file::behind_links(path);
    sweep(&path);
    let before = content(&path)?;
    let mut file = SharedFile::parse(kind, &before);
    let result = change(&mut file)?;
    let after = file.to_bytes();
    if after != before {
        check_not_read_only(&path)?;
        replace(&path, &before, &after)?;
    }
    Ok(result)
}

/// Removes copies that writes have left beside the file when they were killed half-way: they may
/// hold keys. Nobody else is writing meanwhile. What cannot be removed is in nobody's way.
fn sweep(path: &Path) {
    if let Some(folder) = path.parent().filter(|folder| folder.is_dir()) {
        private_file::sweep(folder, private_file::ABANDONED).unwrap_or_default();
    }
}

fn replace(path: &Path, before: &[u8], after: &[u8]) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let replacement = private_file::Replacement::prepare(path, after)?;
    if let Ok(old) = std::fs::metadata(path) {
        keep_mode_and_owner(replacement.file(), &old).with_context(failed)?;
    }
    // The AWS CLI knows nothing of our lock.
    if content(path)?.as_slice() != before {
        return Err(Error::failed(format!("{} was changed meanwhile", path.display()))
            .hint("run the command again"));
    }
    Ok(replacement.commit()?)
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
