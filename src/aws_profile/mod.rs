//! The AWS profile whose `credential_process` is this program: how it is written to `~/.aws/config`,
//! recognised, and taken back. Calls no AWS and asks no questions.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::aws_files::text::{AwsFile, FileKind, is_identifier};
use crate::aws_files::{AwsFiles, Locations};
use crate::env::{Env, is_region};
use crate::error::{Error, Result};
use crate::store::SecretName;

const COMMAND: &str = "credential-process";
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
            let shown = region.escape_debug();
            return Err(Error::failed(format!("`{shown}` cannot be the region of an AWS profile"))
                .hint("name the region with --region"));
        }
        let process = calling(&quoted(program)?, secret);
        Ok(AwsProfile { name: name.to_owned(), process, region })
    }

    /// Whether it does what `wanted` is to do: where no region is wanted, any will do.
    pub fn serves_as(&self, wanted: &AwsProfile) -> bool {
        let has_region = wanted.region.is_none() || self.region == wanted.region;
        has_region && self.name == wanted.name && self.process == wanted.process
    }

    /// What it runs, as part of a sentence.
    pub fn described(&self) -> String {
        let region = self.region.as_ref().map(|region| format!(" in {region}"));
        format!("`{}`{}", self.process, region.unwrap_or_default())
    }

    /// The profile of ours that has its name, with nothing in it but what this program writes. Refuses
    /// a name that somebody else's profile has, in either file, and a file that AWS's tools refuse.
    pub fn existing(&self, locations: &Locations) -> Result<Option<AwsProfile>> {
        self.existing_in(&locations.read(), locations)
    }

    fn existing_in(&self, files: &AwsFiles, locations: &Locations) -> Result<Option<AwsProfile>> {
        locations.check_sound(files)?;
        let name = &self.name;
        let own = Call::read(&self.process).map_or("", |call| call.program);
        let quoted = files.config.quoted(name).map(|line| (FileKind::Config, line));
        let has_others = !has_only_our_keys(&files.config, name) || files.credentials.has(name);
        let ours = ours(&files.config, name, own).filter(|_| quoted.is_none() && !has_others);
        let at = quoted.or_else(|| files.profiles().find(name)?.at);
        let (None, Some((file, line))) = (&ours, at) else { return Ok(ours) };
        let path = locations.path(file).display();
        Err(Error::failed(format!("there is an AWS profile `{name}` already: {path}, line {line}"))
            .hint(
                "it is not touched: choose another name with --aws-profile, or remove it yourself",
            ))
    }

    /// Writes it, also in place of the one of ours that it `replaces`; whether that changes the
    /// file. Decides on the text that it changes, under the lock.
    pub fn write(&self, locations: &Locations, replaces: Option<&AwsProfile>) -> Result<bool> {
        locations.update(FileKind::Config, |file| {
            let credentials = locations.read().credentials;
            match self.existing_in(&AwsFiles { config: file.clone(), credentials }, locations)? {
                Some(there) if there.serves_as(self) => Ok(false),
                Some(there) if replaces != Some(&there) => {
                    let (name, now) = (&self.name, there.described());
                    let message =
                        format!("the AWS profile `{name}` was changed meanwhile, to {now}");
                    Err(Error::failed(message).hint("run the command again"))
                }
                _ => self.set(file).map(|()| true),
            }
        })
    }

    /// Takes back what `write` did, if it is still there: it goes, or is as it was `before`.
    pub fn take_back(&self, locations: &Locations, before: Option<&AwsProfile>) -> Result<()> {
        locations.update(FileKind::Config, |file| {
            if value(file, &self.name, PROCESS).as_ref() != Some(&self.process) {
                return Ok(());
            }
            let Some(before) = before else {
                remove(file, &self.name);
                return Ok(());
            };
            if before.region.is_none() {
                file.remove_key(&self.name, REGION);
            }
            before.set(file)
        })
    }

    /// Makes somebody's profile of its name read a secret instead of its access key, if that is still
    /// `access_key_id`; whether it was. Everything else in the profile stays. May be interrupted and
    /// repeated: tools use the key for as long as it is there, so it goes last.
    pub fn take_place_of_key(&self, locations: &Locations, access_key_id: &str) -> Result<bool> {
        let name = &self.name;
        let remove_key = |file: &mut AwsFile| {
            if file.get(name, KEY_ID).as_deref() == Some(access_key_id) {
                file.remove_key(name, KEY_ID);
                file.remove_key(name, "aws_secret_access_key");
            }
            Ok(())
        };
        let has_key = locations.update(FileKind::Config, |file| {
            let profiles = locations.read_sound()?.profiles();
            if profiles.find(name).and_then(|it| it.get(KEY_ID)) != Some(access_key_id) {
                return Ok(false);
            }
            file.set(name, PROCESS, &self.process)?;
            remove_key(file).map(|()| true)
        })?;
        if has_key {
            locations.update(FileKind::Credentials, remove_key)?;
        }
        Ok(has_key)
    }

    fn set(&self, file: &mut AwsFile) -> Result<()> {
        file.set(&self.name, PROCESS, &self.process)?;
        let region = self.region.as_ref();
        region.map_or(Ok(()), |region| file.set(&self.name, REGION, region))
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

/// The profile, if it runs this program, written as `own`. It may have others' keys as well.
fn ours(file: &AwsFile, name: &str, own: &str) -> Option<AwsProfile> {
    let process = value(file, name, PROCESS)?;
    Call::ours(&process, own)?;
    Some(AwsProfile { name: name.to_owned(), process, region: value(file, name, REGION) })
}

/// A value of one line, without the indented comments that are part of it to the SDKs.
fn value(file: &AwsFile, profile: &str, key: &str) -> Option<String> {
    one_line(&file.get(profile, key)?)
}

fn one_line(value: &str) -> Option<String> {
    let mut lines = value.lines().filter(|line| !line.starts_with(['#', ';']));
    let first = lines.next()?.to_owned();
    lines.next().is_none().then_some(first)
}

fn has_only_our_keys(file: &AwsFile, name: &str) -> bool {
    file.properties(name).all(|it| [PROCESS, REGION].contains(&it.key.as_str()))
}

/// What to say where a variable moves our data: a profile cannot set it for the program.
pub fn works_only_with(variable: &str) -> String {
    format!("the AWS profile works only where {variable} is set as it is now")
}

/// The whole profile, or only our key where somebody has added others.
fn remove(file: &mut AwsFile, name: &str) {
    if has_only_our_keys(file, name) {
        file.remove(name);
    } else {
        file.remove_key(name, PROCESS);
    }
}

/// The names of the profiles that read a secret, by its name or as the current one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Readers {
    pub by_its_name: Vec<String>,
    pub as_current: Vec<String>,
}

fn readers_in(file: &AwsFile, own: &str, secret: &SecretName) -> Readers {
    let mut readers = Readers::default();
    for (name, process) in file.each_value(PROCESS) {
        let process = one_line(&process).unwrap_or_default();
        match Call::ours(&process, own).map(|call| call.secret.map(SecretName::existing)) {
            Some(None) => readers.as_current.push(name),
            Some(Some(Ok(it))) if it.same_place_as(secret) => readers.by_its_name.push(name),
            _ => {}
        }
    }
    readers
}

/// Changes profiles that read a secret. No tool reads through a file that cannot be found or read.
fn change_readers<T: Default>(
    env: &Env,
    secret: &SecretName,
    change: impl Fn(&mut AwsFile, Readers) -> Result<T>,
) -> Result<T> {
    let Ok(locations) = Locations::of(env) else { return Ok(T::default()) };
    let own = quoted(env.program()?).unwrap_or_default();
    if readers_in(&locations.read().config, &own, secret) == Readers::default() {
        return Ok(T::default());
    }
    locations.update(FileKind::Config, |file| {
        let readers = readers_in(file, &own, secret);
        change(file, readers)
    })
}

pub fn readers(env: &Env, secret: &SecretName) -> Result<Readers> {
    change_readers(env, secret, |_, readers| Ok(readers))
}

/// Makes the profiles that read the secret `old` by its name read `new`.
pub fn follow(env: &Env, old: &SecretName, new: &SecretName) -> Result<()> {
    change_readers(env, old, |file, readers| {
        readers.by_its_name.iter().try_for_each(|name| {
            let process = value(file, name, PROCESS).unwrap_or_default();
            let program = Call::read(&process).map_or("", |call| call.program);
            file.set(name, PROCESS, &calling(program, Some(new)))
        })
    })
}

/// Removes the profiles that are `going`, except for keys that somebody has added; their names.
pub fn forget(
    env: &Env,
    secret: &SecretName,
    going: impl Fn(Readers) -> Vec<String>,
) -> Result<Vec<String>> {
    change_readers(env, secret, |file, readers| {
        let names = going(readers);
        names.iter().for_each(|name| remove(file, name));
        Ok(names)
    })
}

/// The program's path as every tool splits it alike. botocore splits the value as a shell does, but
/// expands nothing; SDKs pass it to a shell, and end a value at white space before `#` or `;`.
fn quoted(program: &Path) -> Result<String> {
    let refused = || {
        let path = program.display();
        Error::failed(format!(
            "the path of this program cannot be written to an AWS profile: {path}"
        ))
        .hint("move the program to a path of plain letters, digits and spaces")
    };
    let path = program.to_str().ok_or_else(refused)?;
    let (special, plain) =
        if cfg!(windows) { ("\"%^&|<>!", "/._-+:@,=\\") } else { ("\"$`\\", "/._-+:@,=") };
    let special = |c| special.contains(c);
    // A tab is a control character.
    if path.contains(char::is_control) || path.contains(" #") || path.contains(" ;") {
        return Err(refused());
    }
    if path.chars().all(|c| c.is_alphanumeric() || plain.contains(c)) {
        Ok(path.to_owned())
    } else if !path.contains(special) {
        Ok(format!("\"{path}\""))
    } else if cfg!(unix) && !path.contains('\'') {
        // Nothing means anything in single quotes, to a shell as to botocore.
        Ok(format!("'{path}'"))
    } else {
        Err(refused())
    }
}

/// A command of the same form as ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call<'p> {
    /// As written, with its quotes.
    program: &'p str,
    /// The secret that is read; without a name, the current one.
    secret: Option<&'p str>,
}

impl<'p> Call<'p> {
    fn read(process: &'p str) -> Option<Self> {
        if let Some(program) = process.strip_suffix(COMMAND) {
            return Some(Call { program: program.strip_suffix(' ')?, secret: None });
        }
        let (front, secret) = process.rsplit_once(' ')?;
        let program = front.strip_suffix(COMMAND)?.strip_suffix(' ')?;
        Some(Call { program, secret: Some(secret) })
    }

    /// A call of this program, which is written as `own`, or of one with our name elsewhere.
    fn ours(process: &'p str, own: &str) -> Option<Self> {
        let call = Call::read(process)?;
        let path = call.program.trim_matches(['"', '\'']);
        let file = path.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
        (call.program == own || ["cloudcred", "cloudcred.exe"].contains(&&*file)).then_some(call)
    }
}

/// `program` is as [`quoted`] writes it; without a secret, the current one is read.
fn calling(program: &str, secret: Option<&SecretName>) -> String {
    secret.map_or_else(|| format!("{program} {COMMAND}"), |it| format!("{program} {COMMAND} {it}"))
}

#[cfg(test)]
mod tests;
