//! The AWS profile whose `credential_process` is this program: how it is written into `~/.aws/config`,
//! recognised, and taken back. Knows no AWS and asks nobody.

mod process;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::aws_profile::process::{Call, calling, quoted};
use crate::env::{Folders, is_region};
use crate::error::{Error, Result};
use crate::shared_config::text::{FileKind, SharedFile, is_identifier};
use crate::shared_config::{self, Locations, SharedConfig};
use crate::store::SecretName;

const KEY_ID: &str = "aws_access_key_id";
/// The keys of a profile that is ours alone.
const OUR_KEYS: [&str; 2] = ["credential_process", "region"];

/// A profile of ours, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsProfile {
    pub name: String,
    /// The value of `credential_process`.
    pub process: String,
    pub region: Option<String>,
}

/// What has a profile's name already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Nobody,
    /// A profile that holds nothing but what this program writes.
    Ours(AwsProfile),
    /// Its path and line.
    SomebodyElse(String),
}

impl AwsProfile {
    /// `secret` is the one that the profile reads; without a name, the current one.
    ///
    /// # Errors
    /// When the name, the program's path, or the region cannot stand in the file.
    pub fn new(
        name: &str,
        program: &Path,
        secret: Option<&SecretName>,
        region: Option<String>,
    ) -> Result<Self> {
        check_name(name)?;
        if let Some(region) = region.as_deref().filter(|region| !is_region(region)) {
            return Err(Error::failed(format!(
                "`{}` cannot stand in an AWS profile as its region",
                region.escape_debug()
            ))
            .hint("name the region with --region"));
        }
        Ok(AwsProfile { name: name.to_owned(), process: calling(program, secret)?, region })
    }

    /// Whether it is good for what the other one is wanted for: where no region is wanted, any is
    /// right.
    pub fn serves_as(&self, wanted: &AwsProfile) -> bool {
        let region = wanted.region.is_none() || self.region == wanted.region;
        self.name == wanted.name && self.process == wanted.process && region
    }

    /// What it says, as part of a sentence.
    pub fn described(&self) -> String {
        match &self.region {
            Some(region) => format!("`{}` in {region}", self.process),
            None => format!("`{}`", self.process),
        }
    }
}

/// The rule of the AWS SDKs for names that need no quotes.
pub fn check_name(name: &str) -> Result<()> {
    let sound = (1..=64).contains(&name.len()) && is_identifier(name) && !name.starts_with('-');
    match sound {
        true => Ok(()),
        false => Err(Error::usage(format!("`{name}` cannot name an AWS profile"))
            .hint("use 1 to 64 letters, digits and _-/.%@:+")),
    }
}

/// What has the name of the profile that is to be written, in either file.
///
/// # Errors
/// When one of the files is broken, so that AWS's tools would refuse a profile in it.
pub fn holder(locations: &Locations, wanted: &AwsProfile) -> Result<Holder> {
    holder_in(&locations.read(), locations, wanted)
}

fn holder_in(files: &SharedConfig, locations: &Locations, wanted: &AwsProfile) -> Result<Holder> {
    locations.check_sound(files)?;
    let name = &wanted.name;
    if let Some(line) = files.config.quoted(name) {
        let path = locations.config.display();
        return Ok(Holder::SomebodyElse(format!("{path}, line {line}")));
    }
    let own = Call::read(&wanted.process).map_or("", |call| call.program);
    let alone = holds_our_keys_alone(&files.config, name) && !files.credentials.has(name);
    if let Some(ours) = ours(&files.config, name, own).filter(|_| alone) {
        return Ok(Holder::Ours(ours));
    }
    Ok(match files.profiles().find(name).and_then(|it| it.at) {
        Some((place, line)) => {
            let path = locations.of_place(place).display();
            Holder::SomebodyElse(format!("{path}, line {line}"))
        }
        None => Holder::Nobody,
    })
}

/// The profile, if its `credential_process` is this program, which is written as `own`. Other keys,
/// which are somebody else's, may stand beside it.
fn ours(file: &SharedFile, name: &str, own: &str) -> Option<AwsProfile> {
    let process = value(file, name, "credential_process")?;
    Call::read(&process).filter(|call| call.is_ours(own))?;
    Some(AwsProfile { name: name.to_owned(), process, region: value(file, name, "region") })
}

/// A value of one line, without the indented comments that the SDKs take for a part of it.
fn value(file: &SharedFile, profile: &str, key: &str) -> Option<String> {
    let value = file.get(profile, key)?;
    let mut lines = value.lines().filter(|line| !line.starts_with(['#', ';']));
    let first = lines.next()?.to_owned();
    lines.next().is_none().then_some(first)
}

fn holds_our_keys_alone(file: &SharedFile, name: &str) -> bool {
    file.keys(name).all(|key| OUR_KEYS.contains(&key))
}

/// # Errors
/// When the config file cannot be written, before anything is done.
pub fn check_writable(locations: &Locations) -> Result<()> {
    shared_config::check_writable(&locations.config)
}

/// Writes the profile, where nobody has its name or in place of the one of ours that is to be
/// replaced; whether the file says something new then. Decides under the lock, on the text that it
/// changes.
///
/// # Errors
/// When something else has the name meanwhile, or the file cannot be written: it is then unchanged.
pub fn write(
    folders: &Folders,
    locations: &Locations,
    profile: &AwsProfile,
    replaces: Option<&AwsProfile>,
) -> Result<bool> {
    let name = &profile.name;
    let mut properties = vec![("credential_process", profile.process.as_str())];
    properties.extend(profile.region.as_deref().map(|region| ("region", region)));
    shared_config::update(folders, FileKind::Config, &locations.config, |file| {
        let files =
            SharedConfig { config: file.clone(), credentials: locations.read().credentials };
        match holder_in(&files, locations, profile)? {
            Holder::Nobody => file.add(name, &properties)?,
            Holder::Ours(there) if there.serves_as(profile) => return Ok(false),
            Holder::Ours(there) if replaces == Some(&there) => {
                for (key, value) in &properties {
                    file.set(name, key, value)?;
                }
            }
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

/// Whether a profile of ours may have the name.
///
/// # Errors
/// As [`holder`]; or that somebody else's has it.
pub fn check_free(locations: &Locations, wanted: &AwsProfile) -> Result<()> {
    match holder(locations, wanted)? {
        Holder::Nobody | Holder::Ours(_) => Ok(()),
        Holder::SomebodyElse(place) => Err(taken(&wanted.name, &place)),
    }
}

/// A profile has no place for variables.
pub fn works_only_with(variable: &str) -> String {
    format!("the AWS profile works only where {variable} is set as it is now")
}

/// The error for a name that is not ours.
pub fn taken(name: &str, place: &str) -> Error {
    Error::failed(format!("there is an AWS profile `{name}` already: {place}"))
        .hint("it is not touched: choose another name with --aws-profile, or remove it yourself")
}

/// Takes back what [`write`] did, as far as it still stands: the profile goes, or gets back the
/// content that it had before.
///
/// # Errors
/// When the file cannot be written: it is then unchanged.
pub fn take_back(
    folders: &Folders,
    locations: &Locations,
    written: &AwsProfile,
    before: Option<&AwsProfile>,
) -> Result<()> {
    let still_there = |file: &SharedFile| {
        value(file, &written.name, "credential_process").as_deref() == Some(&written.process)
    };
    if !still_there(&locations.read().config) {
        return Ok(());
    }
    shared_config::update(folders, FileKind::Config, &locations.config, |file| {
        if !still_there(file) {
            return Ok(());
        }
        match before {
            None => remove(file, written),
            Some(before) => {
                file.set(&before.name, "credential_process", &before.process)?;
                match &before.region {
                    Some(region) => file.set(&before.name, "region", region)?,
                    None => drop(file.remove_key(&before.name, "region")),
                }
            }
        }
        Ok(())
    })
}

/// Lets somebody's profile read a secret in place of the access key that it holds, where it still
/// holds that one; whether it did. Everything else in it stays. May be interrupted and repeated: tools
/// take the key for as long as it is there, and it goes last.
///
/// # Errors
/// When AWS's tools refuse one of the files, or it cannot be written.
pub fn take_place_of_key(
    folders: &Folders,
    locations: &Locations,
    profile: &AwsProfile,
    access_key_id: &str,
) -> Result<bool> {
    let name = &profile.name;
    let drop_key = |file: &mut SharedFile| {
        if file.get(name, KEY_ID).as_deref() == Some(access_key_id) {
            file.remove_key(name, KEY_ID);
            file.remove_key(name, "aws_secret_access_key");
        }
    };
    let holds_it = shared_config::update(folders, FileKind::Config, &locations.config, |file| {
        let profiles = locations.read_sound()?.profiles();
        let holder = profiles.find(name);
        if holder.and_then(|it| it.get(KEY_ID)) != Some(access_key_id) {
            return Ok(false);
        }
        match file.has(name) {
            true => file.set(name, "credential_process", &profile.process)?,
            false => file.add(name, &[("credential_process", &profile.process)])?,
        }
        drop_key(file);
        Ok(true)
    })?;
    if holds_it && locations.read().credentials.get(name, KEY_ID).is_some() {
        let (kind, path) = (FileKind::Credentials, &locations.credentials);
        shared_config::update(folders, kind, path, |file| {
            drop_key(file);
            Ok(())
        })?;
    }
    Ok(holds_it)
}

/// The whole profile, or our key alone where somebody has added others.
fn remove(file: &mut SharedFile, profile: &AwsProfile) {
    match holds_our_keys_alone(file, &profile.name) {
        true => file.remove(&profile.name),
        false => file.remove_key(&profile.name, "credential_process"),
    };
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
    let own = quoted(program).unwrap_or_default();
    readers_in(&locations.read().config, &own, secret)
}

fn readers_in(file: &SharedFile, own: &str, secret: &SecretName) -> Readers {
    let mut readers = Readers::default();
    for name in file.profile_names() {
        let Some(profile) = ours(file, &name, own) else {
            continue;
        };
        match Call::read(&profile.process).map(|call| call.secret) {
            Some(None) => readers.as_current.push(name),
            Some(Some(read))
                if SecretName::existing(read).is_ok_and(|it| it.same_place_as(secret)) =>
            {
                readers.by_its_name.push(name);
            }
            _ => {}
        }
    }
    readers
}

/// Lets the profiles that read a secret by its name follow it to another one.
///
/// # Errors
/// When the file cannot be written: it is then unchanged.
pub fn follow(
    folders: &Folders,
    locations: &Locations,
    program: &Path,
    old: &SecretName,
    new: &SecretName,
) -> Result<()> {
    if readers(locations, program, old).by_its_name.is_empty() {
        return Ok(());
    }
    let own = quoted(program).unwrap_or_default();
    shared_config::update(folders, FileKind::Config, &locations.config, |file| {
        for name in readers_in(file, &own, old).by_its_name {
            let process = value(file, &name, "credential_process").unwrap_or_default();
            if let Some(call) = Call::read(&process) {
                file.set(&name, "credential_process", &call.reading(new))?;
            }
        }
        Ok(())
    })
}

/// Removes the profiles that read a secret which is going away; `and_current` also those that read
/// the current one. Of a profile with keys of somebody else, ours alone. Returns their names.
///
/// # Errors
/// When the file cannot be written: it is then unchanged.
pub fn forget(
    folders: &Folders,
    locations: &Locations,
    program: &Path,
    secret: &SecretName,
    and_current: bool,
) -> Result<Vec<String>> {
    let meant = |readers: Readers| match and_current {
        true => [readers.by_its_name, readers.as_current].concat(),
        false => readers.by_its_name,
    };
    if meant(readers(locations, program, secret)).is_empty() {
        return Ok(Vec::new());
    }
    let own = quoted(program).unwrap_or_default();
    shared_config::update(folders, FileKind::Config, &locations.config, |file| {
        let names = meant(readers_in(file, &own, secret));
        for profile in names.iter().filter_map(|name| ours(file, name, &own)).collect::<Vec<_>>() {
            remove(file, &profile);
        }
        Ok(names)
    })
}

#[cfg(test)]
mod tests;
