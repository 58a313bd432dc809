//! The AWS profile whose `credential_process` is this program: how it is written to `~/.aws/config`,
//! recognised, and taken back. Calls no AWS and asks no questions.

mod process;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::aws_files::text::{AwsFile, FileKind, is_identifier};
use crate::aws_files::{AwsFiles, Locations};
use crate::aws_profile::process::{Call, calling, quoted};
use crate::env::is_region;
use crate::error::{Error, Result};
use crate::store::SecretName;

const KEY_ID: &str = "aws_access_key_id";
const PROCESS: &str = "credential_process";
const REGION: &str = "region";

/// A profile of ours, as it is in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsProfile {
    pub name: String,
    /// The value of `credential_process`.
    pub process: String,
    pub region: Option<String>,
}

/// Who has a profile's name already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Nobody,
    /// A profile with nothing in it but what this program writes.
    Ours(AwsProfile),
    /// Its path and line.
    SomebodyElse(String),
}

impl AwsProfile {
    /// A profile that reads `secret`; without a name, the current one.
    pub fn new(
        name: &str,
        program: &Path,
        secret: Option<&SecretName>,
        region: Option<String>,
    ) -> Result<Self> {
        check_name(name)?;
        if let Some(region) = region.as_deref().filter(|region| !is_region(region)) {
            return Err(Error::failed(format!(
                "`{}` cannot be the region of an AWS profile",
                region.escape_debug()
            ))
            .hint("name the region with --region"));
        }
        Ok(AwsProfile {
            name: name.to_owned(),
            process: calling(&quoted(program)?, secret),
            region,
        })
    }

    /// Whether it does what `wanted` is to do: where no region is wanted, any will do.
    pub fn serves_as(&self, wanted: &AwsProfile) -> bool {
        let region = wanted.region.is_none() || self.region == wanted.region;
        self.name == wanted.name && self.process == wanted.process && region
    }

    /// What it runs, as part of a sentence.
    pub fn described(&self) -> String {
        match &self.region {
            Some(region) => format!("`{}` in {region}", self.process),
            None => format!("`{}`", self.process),
        }
    }

    /// Its keys and values; the region only where it has one.
    fn properties(&self) -> Vec<(&str, &str)> {
        let region = self.region.as_deref().map(|region| (REGION, region));
        std::iter::once((PROCESS, self.process.as_str())).chain(region).collect()
    }

    /// Writes its values into the profile of its name.
    fn set(&self, file: &mut AwsFile) -> Result<()> {
        self.properties().into_iter().try_for_each(|(key, value)| file.set(&self.name, key, value))
    }
}

/// The rule of the AWS SDKs for names that need no quotes.
pub fn check_name(name: &str) -> Result<()> {
    if (1..=64).contains(&name.len()) && is_identifier(name) && !name.starts_with('-') {
        return Ok(());
    }
    Err(Error::usage(format!("`{name}` cannot name an AWS profile"))
        .hint("use 1 to 64 letters, digits and _-/.%@:+"))
}

/// Who has the name of the wanted profile, in either file.
///
/// # Errors
/// When AWS's tools refuse one of the files, and so a profile in it.
pub fn holder(locations: &Locations, wanted: &AwsProfile) -> Result<Holder> {
    holder_in(&locations.read(), locations, wanted)
}

fn holder_in(files: &AwsFiles, locations: &Locations, wanted: &AwsProfile) -> Result<Holder> {
    locations.check_sound(files)?;
    let name = &wanted.name;
    let own = Call::read(&wanted.process).map_or("", |call| call.program);
    let quoted = files.config.quoted(name).map(|line| (FileKind::Config, line));
    if quoted.is_none()
        && has_only_our_keys(&files.config, name)
        && !files.credentials.has(name)
        && let Some(ours) = ours(&files.config, name, own)
    {
        return Ok(Holder::Ours(ours));
    }
    let at = quoted.or_else(|| files.profiles().find(name)?.at);
    Ok(at.map_or(Holder::Nobody, |(file, line)| {
        Holder::SomebodyElse(format!("{}, line {line}", locations.path(file).display()))
    }))
}

/// The profile, if its `credential_process` is this program, which is written as `own`. It may have
/// keys of somebody else as well.
fn ours(file: &AwsFile, name: &str, own: &str) -> Option<AwsProfile> {
    let process = value(file, name, PROCESS)?;
    Call::read(&process).filter(|call| call.is_ours(own))?;
    Some(AwsProfile { name: name.to_owned(), process, region: value(file, name, REGION) })
}

/// A value of one line, without the indented comments that are part of it to the SDKs.
fn value(file: &AwsFile, profile: &str, key: &str) -> Option<String> {
    let value = file.get(profile, key)?;
    let mut lines = value.lines().filter(|line| !line.starts_with(['#', ';']));
    let first = lines.next()?.to_owned();
    lines.next().is_none().then_some(first)
}

fn has_only_our_keys(file: &AwsFile, name: &str) -> bool {
    file.properties(name).all(|it| [PROCESS, REGION].contains(&it.key.as_str()))
}

/// Writes the profile, if nobody has its name, or in place of the one of ours that it `replaces`;
/// whether that changes the file. Decides on the text that it changes, under the lock.
///
/// # Errors
/// When something else has taken the name, or the file cannot be written: it is then unchanged.
pub fn write(
    locations: &Locations,
    profile: &AwsProfile,
    replaces: Option<&AwsProfile>,
) -> Result<bool> {
    let name = &profile.name;
    locations.update(FileKind::Config, |file| {
        let files = AwsFiles { config: file.clone(), credentials: locations.read().credentials };
        match holder_in(&files, locations, profile)? {
            Holder::Nobody => file.add(name, &profile.properties())?,
            Holder::Ours(there) if there.serves_as(profile) => return Ok(false),
            Holder::Ours(there) if replaces == Some(&there) => profile.set(file)?,
            Holder::Ours(there) => {
                return Err(Error::failed(format!(
                    "the AWS profile `{name}` was changed meanwhile, to {}",
                    there.described()
                ))
                .hint("run the command again"));
            }
            Holder::SomebodyElse(place) => return Err(taken(name, &place)),
        }
        Ok(true)
    })
}

/// Refuses a name that somebody else's profile has.
pub fn check_free(locations: &Locations, wanted: &AwsProfile) -> Result<()> {
    match holder(locations, wanted)? {
        Holder::Nobody | Holder::Ours(_) => Ok(()),
        Holder::SomebodyElse(place) => Err(taken(&wanted.name, &place)),
    }
}

/// What to say where a variable moves our data: a profile cannot set it for the program.
pub fn works_only_with(variable: &str) -> String {
    format!("the AWS profile works only where {variable} is set as it is now")
}

/// The error for a name that is not ours.
pub fn taken(name: &str, place: &str) -> Error {
    Error::failed(format!("there is an AWS profile `{name}` already: {place}"))
        .hint("it is not touched: choose another name with --aws-profile, or remove it yourself")
}

/// Takes back what [`write`] did, if it is still there: the profile goes, or gets back what it had
/// before.
pub fn take_back(
    locations: &Locations,
    written: &AwsProfile,
    before: Option<&AwsProfile>,
) -> Result<()> {
    let name = &written.name;
    locations.update(FileKind::Config, |file| {
        if value(file, name, PROCESS).as_ref() != Some(&written.process) {
            return Ok(());
        }
        let Some(before) = before else {
            remove(file, name);
            return Ok(());
        };
        if before.region.is_none() {
            file.remove_key(name, REGION);
        }
        before.set(file)
    })
}

/// Makes somebody's profile read a secret instead of its access key, if that is still
/// `access_key_id`; whether it was. Everything else in the profile stays. May be interrupted and
/// repeated: tools use the key for as long as it is there, so it goes last.
///
/// # Errors
/// When AWS's tools refuse one of the files, or it cannot be written.
pub fn take_place_of_key(
    locations: &Locations,
    profile: &AwsProfile,
    access_key_id: &str,
) -> Result<bool> {
    let name = &profile.name;
    let remove_key = |file: &mut AwsFile| {
        if file.get(name, KEY_ID).as_deref() == Some(access_key_id) {
            file.remove_key(name, KEY_ID);
            file.remove_key(name, "aws_secret_access_key");
        }
    };
    let has_key = locations.update(FileKind::Config, |file| {
        let profiles = locations.read_sound()?.profiles();
        if profiles.find(name).and_then(|it| it.get(KEY_ID)) != Some(access_key_id) {
            return Ok(false);
        }
        if file.has(name) {
            file.set(name, PROCESS, &profile.process)?;
        } else {
            file.add(name, &[(PROCESS, &profile.process)])?;
        }
        remove_key(file);
        Ok(true)
    })?;
    if has_key {
        locations.update(FileKind::Credentials, |file| {
            remove_key(file);
            Ok(())
        })?;
    }
    Ok(has_key)
}

/// The whole profile, or only our key where somebody has added others.
fn remove(file: &mut AwsFile, name: &str) {
    if has_only_our_keys(file, name) {
        file.remove(name);
    } else {
        file.remove_key(name, PROCESS);
    }
}

/// The names of the profiles that read a secret.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Readers {
    pub by_its_name: Vec<String>,
    /// They read whichever secret is the current one.
    pub as_current: Vec<String>,
}

/// The profiles that read a secret by its name, and those that read the current one.
pub fn readers(locations: &Locations, program: &Path, secret: &SecretName) -> Readers {
    readers_in(&locations.read().config, program, secret)
}

fn readers_in(file: &AwsFile, program: &Path, secret: &SecretName) -> Readers {
    let own = quoted(program).unwrap_or_default();
    let mut readers = Readers::default();
    for profile in file.profile_names().iter().filter_map(|name| ours(file, name, &own)) {
        match Call::read(&profile.process).map(|call| call.secret.map(SecretName::existing)) {
            Some(None) => readers.as_current.push(profile.name),
            Some(Some(Ok(read))) if read.same_place_as(secret) => {
                readers.by_its_name.push(profile.name);
            }
            _ => {}
        }
    }
    readers
}

/// Makes the profiles that read the secret `old` by its name read `new`.
pub fn follow(
    locations: &Locations,
    program: &Path,
    old: &SecretName,
    new: &SecretName,
) -> Result<()> {
    if readers(locations, program, old).by_its_name.is_empty() {
        return Ok(());
    }
    locations.update(FileKind::Config, |file| {
        for name in readers_in(file, program, old).by_its_name {
            let process = value(file, &name, PROCESS).unwrap_or_default();
            if let Some(call) = Call::read(&process) {
                file.set(&name, PROCESS, &calling(call.program, Some(new)))?;
            }
        }
        Ok(())
    })
}

/// Which profiles go with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    ByName,
    /// Those that read the current secret as well: it is the last one.
    AndCurrent,
}

/// Removes the profiles that read a secret which is about to be removed, and returns their names. Keys
/// that somebody has added to one stay.
pub fn forget(
    locations: &Locations,
    program: &Path,
    secret: &SecretName,
    which: Forget,
) -> Result<Vec<String>> {
    // No tool reads a secret through a file that cannot be read.
    if readers(locations, program, secret) == Readers::default() {
        return Ok(Vec::new());
    }
    locations.update(FileKind::Config, |file| {
        let readers = readers_in(file, program, secret);
        let mut names = readers.by_its_name;
        if which == Forget::AndCurrent {
            names.extend(readers.as_current);
        }
        names.iter().for_each(|name| remove(file, name));
        Ok(names)
    })
}

#[cfg(test)]
mod tests;
