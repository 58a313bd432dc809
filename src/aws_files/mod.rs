//! The `~/.aws` files: where they are, what they say together, and how they are changed on disk.
//! Keys and values only: nothing here knows credentials.

pub mod text;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::aws_files::text::{AwsFile, FileKind, Property, Section, is_identifier};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::private_file;

/// Enough for a hundred thousand profiles; a larger file is something else.
pub const LONGEST_FILE: u64 = 32 * 1024 * 1024;

/// How often an edit is begun again because another program has changed the file meanwhile.
const ATTEMPTS: usize = 5;

/// Where the two files are, by the rules of the AWS SDKs (SDKs and Tools reference, "Location of
/// the shared config and credentials files").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations {
    pub config: PathBuf,
    pub credentials: PathBuf,
}

impl Locations {
    pub fn of(env: &Env) -> Result<Self> {
        Locations::from_variables(|name| env.var(name), cfg!(windows)).ok_or_else(|| {
            Error::failed("cannot find your home directory, and so not ~/.aws")
                .hint("set HOME, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE")
        })
    }

    fn from_variables<'v>(
        variable: impl Fn(&str) -> Option<&'v str>,
        windows: bool,
    ) -> Option<Self> {
        let home = home(&variable, windows);
        let separator = if windows { '\\' } else { '/' };
        let locate = |name: &str, file: &str| {
            let default = format!("~{separator}.aws{separator}{file}");
            let path = variable(name).unwrap_or(&default);
            Some(PathBuf::from(match path.strip_prefix('~') {
                Some(rest) if rest.starts_with(['/', '\\']) => format!("{}{rest}", home.as_ref()?),
                _ => path.to_owned(),
            }))
        };
        Some(Locations {
            config: locate("AWS_CONFIG_FILE", "config")?,
            credentials: locate("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
        })
    }

    pub fn path(&self, kind: FileKind) -> &Path {
        match kind {
            FileKind::Config => &self.config,
            FileKind::Credentials => &self.credentials,
        }
    }

    /// Reads both. One that does not exist is empty, and one that cannot be read has a problem.
    pub fn read(&self) -> AwsFiles {
        let read = |kind| match content(self.path(kind)) {
            Ok(bytes) => AwsFile::parse(kind, &bytes),
            Err(error) => AwsFile::unreadable(kind, format!("{error:#}")),
        };
        AwsFiles { config: read(FileKind::Config), credentials: read(FileKind::Credentials) }
    }

    /// Reads both for an edit: an error where AWS's tools refuse one, and nothing in it is of use.
    pub fn read_sound(&self) -> Result<AwsFiles> {
        let files = self.read();
        self.check_sound(&files)?;
        Ok(files)
    }

    /// As [`read_sound`](Self::read_sound), for files that were read already.
    pub fn check_sound(&self, files: &AwsFiles) -> Result<()> {
        for kind in FileKind::BOTH {
            let mut problems = files.file(kind).problems().iter();
            if let Some(problem) = problems.find(|it| it.refuses_the_file()) {
                return Err(Error::failed(problem.described(self.path(kind))).hint(
                    "fix it first: AWS's tools refuse the file; `cloudcred check` lists everything wrong",
                ));
            }
        }
        Ok(())
    }

    /// Refuses a file that could not be replaced. Where it may not be written it could be, but whoever
    /// made it read-only meant it.
    pub fn check_writable(&self, kind: FileKind) -> Result<()> {
        let path = private_file::behind_links(self.path(kind));
        let refused = |why: &str| Error::failed(format!("cannot write {}: {why}", path.display()));
        if std::fs::metadata(&path).is_ok_and(|metadata| metadata.permissions().readonly()) {
            return Err(refused("it is read-only").hint("make the file writable for you"));
        }
        match path.ancestors().skip(1).find(|folder| folder.exists()) {
            Some(folder) if !(folder.is_dir() && private_file::is_writable(folder)) => {
                Err(refused(&format!("{} is not writable for you", folder.display()))
                    .hint("make the folder writable for you"))
            }
            _ => Ok(()),
        }
    }

    /// Changes one of the files under our lock: the new one takes its place at once, or nothing is
    /// changed. `change` is called first to see whether anything changes, and again where another
    /// program, which ignores the lock, has changed the file meanwhile.
    pub fn update<T>(
        &self,
        kind: FileKind,
        change: impl Fn(&mut AwsFile) -> Result<T>,
    ) -> Result<T> {
        let path = private_file::behind_links(self.path(kind));
        let edit = || {
            let before = content(&path)?;
            let mut file = AwsFile::parse(kind, &before);
            let result = change(&mut file)?;
            Ok::<_, Error>((before, file.to_bytes(), result))
        };
        // Where nothing is to be changed, neither the lock nor the right to write is needed.
        let (before, after, result) = edit()?;
        if before == after {
            return Ok(result);
        }
        self.check_writable(kind)?;
        let _lock = lock(&path)?;
        for _ in 0..ATTEMPTS {
            let (before, after, result) = edit()?;
            let unchanged = || Ok(content(&path)? == before);
            if before == after || private_file::replace(&path, &after, unchanged)? {
                return Ok(result);
            }
        }
        Err(Error::failed(format!("another program keeps changing {}", path.display()))
            .hint("nothing was changed; run the command again once it is done"))
    }
}

/// The folder that contains `.aws`, as the AWS SDKs find it.
pub fn home_of(env: &Env) -> Option<String> {
    home(&|name| env.var(name), cfg!(windows))
}

fn home<'v>(variable: &impl Fn(&str) -> Option<&'v str>, windows: bool) -> Option<String> {
    let owned = |name| variable(name).map(str::to_owned);
    let on_windows =
        || owned("USERPROFILE").or_else(|| Some(owned("HOMEDRIVE")? + variable("HOMEPATH")?));
    owned("HOME").or_else(|| on_windows().filter(|_| windows))
}

/// Empty where there is no such file.
fn content(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    Ok(private_file::read(path, LONGEST_FILE)?.unwrap_or_default().into())
}

/// Keeps other cloudcreds from changing the file, whatever their data folder. The lock lies beside the
/// file and stays there: where one process removes it, two others may lock different files.
fn lock(path: &Path) -> Result<File> {
    let folder = private_file::folder_of(path).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lock = folder.join(format!(".{name}.cloudcred-lock"));
    private_file::create_folder(folder)?;
    let hint = "make the file writable for you, or remove it while no cloudcred runs";
    let file = private_file::open_lock(&lock).map_err(|error| Error::from(error).hint(hint))?;
    private_file::lock(&file, &path.display().to_string())?;
    // Copies that killed processes have left beside the file may hold keys.
    private_file::sweep(folder, private_file::ABANDONED).unwrap_or_default();
    Ok(file)
}

pub struct AwsFiles {
    pub config: AwsFile,
    pub credentials: AwsFile,
}

impl Default for AwsFiles {
    fn default() -> Self {
        let [config, credentials] = FileKind::BOTH.map(|kind| AwsFile::parse(kind, b""));
        AwsFiles { config, credentials }
    }
}

/// A profile, or a sign-in session, as both files define it together.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Profile {
    pub name: String,
    /// The file and the line of its first header.
    pub at: Option<(FileKind, usize)>,
    properties: Vec<Property>,
}

impl Profile {
    pub fn named(name: &str) -> Self {
        Profile { name: name.to_owned(), ..Profile::default() }
    }

    fn property(&self, key: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.key == key)
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.property(key).map(|property| property.value.as_str())
    }

    /// The file that the key's value comes from.
    pub fn file_of(&self, key: &str) -> Option<FileKind> {
        self.property(key).map(|property| property.file)
    }

    /// Its keys and values, in the order in which the keys first occur.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties.iter().map(|property| (property.key.as_str(), property.value.as_str()))
    }
}

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Profiles {
    /// In the order of the files, the config file first.
    pub profiles: Vec<Profile>,
    pub sso_sessions: Vec<Profile>,
    services: Vec<Profile>,
    /// Where in `profiles` each name is: files with many thousands of them are real.
    by_name: HashMap<String, usize>,
}

impl Profiles {
    pub fn find(&self, name: &str) -> Option<&Profile> {
        self.by_name.get(name).map(|at| &self.profiles[*at])
    }

    pub fn sso_session(&self, name: &str) -> Option<&Profile> {
        self.sso_sessions.iter().find(|session| session.name == name)
    }

    /// A section that says where services are.
    pub fn services(&self, name: &str) -> Option<&Profile> {
        self.services.iter().find(|services| services.name == name)
    }
}

/// Some sections as a config file of their own: readers refuse a whole file for one broken line.
pub fn excerpt<'p>(
    profiles: impl Iterator<Item = &'p Profile>,
    sso_sessions: impl Iterator<Item = &'p Profile>,
) -> String {
    let mut text = String::new();
    let profiles = profiles.map(|profile| ("profile", profile));
    for (kind, section) in profiles.chain(sso_sessions.map(|session| ("sso-session", session))) {
        text += &format!("[{kind} {}]\n", section.name);
        // An empty value counts as none, and the reader takes it for one.
        for (key, value) in section.properties().filter(|(_, value)| !value.is_empty()) {
            text += &format!("{key} = {}\n", value.replace('\n', "\n  "));
        }
    }
    text
}

impl AwsFiles {
    /// Both files; empty ones where there is no home folder to find them in.
    pub fn of(env: &Env) -> Self {
        Locations::of(env).map_or_else(|_| AwsFiles::default(), |locations| locations.read())
    }

    pub fn file(&self, kind: FileKind) -> &AwsFile {
        match kind {
            FileKind::Config => &self.config,
            FileKind::Credentials => &self.credentials,
        }
    }

    /// Sections of one name are merged: the last value wins, and the credentials file wins over the
    /// config file. (The AWS SDKs' specification, whose cases are this file's tests.)
    pub fn profiles(&self) -> Profiles {
        let mut all = Profiles::default();
        let mut index = HashMap::new();
        for kind in FileKind::BOTH {
            for section in self.file(kind).sections() {
                let (list, name) = match &section.section {
                    Section::Profile(name) => (&mut all.profiles, name),
                    Section::SsoSession(name) => (&mut all.sso_sessions, name),
                    Section::Services(name) => (&mut all.services, name),
                    Section::Other | Section::Quoted(_) | Section::Ignored => continue,
                };
                let at = *index.entry(section.section.clone()).or_insert_with(|| {
                    let at = Some((kind, section.line()));
                    list.push(Profile { at, ..Profile::named(name) });
                    list.len() - 1
                });
                let merged = &mut list[at].properties;
                for property in section.properties.iter().filter(|it| is_identifier(&it.key)) {
                    match merged.iter_mut().find(|old| old.key == property.key) {
                        Some(old) => old.clone_from(property),
                        None => merged.push(property.clone()),
                    }
                }
            }
        }
        let names = all.profiles.iter().enumerate();
        all.by_name = names.map(|(at, profile)| (profile.name.clone(), at)).collect();
        all
    }
}

#[cfg(test)]
mod tests;
