//! The AWS profile whose `credential_process` is this program: how it is written into `~/.aws/config`,
//! recognised, and taken back. Knows no AWS and asks nobody.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::env::Folders;
use crate::error::{Error, Result};
use crate::shared_config::text::{FileKind, SharedFile, is_identifier};
use crate::shared_config::{self, Locations};
use crate::store::SecretName;

const COMMAND: &str = "credential-process";

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
    Ours(AwsProfile),
    /// Its path and line.
    SomebodyElse(String),
}

impl AwsProfile {
    /// `secret` is the one that the profile reads; without a name, the current one.
    ///
    /// # Errors
    /// When the name, or the program's path, cannot stand in the file.
    pub fn new(
        name: &str,
        program: &Path,
        secret: Option<&SecretName>,
        region: Option<String>,
    ) -> Result<Self> {
        check_name(name)?;
        let program = quoted(program)?;
        let process = match secret {
            Some(secret) => format!("{program} {COMMAND} {secret}"),
            None => format!("{program} {COMMAND}"),
        };
        Ok(AwsProfile {
            name: name.to_owned(),
            process,
            region,
        })
    }

    /// Whether it reads the secret; without a name, the current one.
    fn reads(&self, secret: Option<&SecretName>) -> bool {
        match (secret_of(&self.process), secret) {
            (Some(name), Some(secret)) => {
                SecretName::new(name).is_ok_and(|name| name.same_place_as(secret))
            }
            (Some(name), None) => name.is_empty(),
            (None, _) => false,
        }
    }
}

/// The rule of the AWS SDKs for names that need no quotes.
///
/// # Errors
/// `Usage`, with the rule.
pub fn check_name(name: &str) -> Result<()> {
    let sound = (1..=64).contains(&name.len()) && is_identifier(name) && !name.starts_with('-');
    match sound {
        true => Ok(()),
        false => Err(Error::usage(format!("`{name}` cannot name an AWS profile"))
            .hint("use 1 to 64 letters, digits and _-/.%@:+ with --aws-profile")),
    }
}

/// The program's path as every tool takes it apart alike. botocore splits the value as a shell does,
/// without expanding anything; the SDKs hand it to `sh -c` or `cmd.exe /C`; and the SDKs end a value
/// at white space before `#` or `;`.
///
/// # Errors
/// When the path cannot be written so.
fn quoted(program: &Path) -> Result<String> {
    let refused = || {
        Error::failed(format!(
            "the path of this program cannot stand in an AWS profile: {}",
            program.display()
        ))
        .hint("move the program to a path of plain letters, digits and spaces")
    };
    let path = program.to_str().ok_or_else(refused)?;
    let special: &[char] = match cfg!(windows) {
        true => &['"', '%', '^', '&', '|', '<', '>', '!'],
        false => &['"', '$', '`', '\\'],
    };
    let comment = [" #", " ;", "\t#", "\t;"]
        .iter()
        .any(|it| path.contains(it));
    if comment || path.contains(char::is_control) {
        return Err(refused());
    }
    let bare =
        |c: char| c.is_alphanumeric() || "/._-+:@,=".contains(c) || (cfg!(windows) && c == '\\');
    if path.chars().all(bare) {
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

/// The secret that a `credential_process` of ours reads, wherever the program lay then; empty for the
/// current one.
fn secret_of(process: &str) -> Option<&str> {
    let (program, secret) = match process.strip_suffix(COMMAND) {
        Some(program) => (program, ""),
        None => {
            let (front, secret) = process.rsplit_once(' ')?;
            (front.strip_suffix(COMMAND)?, secret)
        }
    };
    let program = program.strip_suffix(' ')?;
    let program = program.trim_matches(['"', '\'']);
    let file = program.rsplit(['/', '\\']).next()?;
    matches!(file, "cloudcred" | "cloudcred.exe").then_some(secret)
}

/// What has the name, in either file.
///
/// # Errors
/// When one of the files is broken, so that AWS's tools would refuse a profile in it.
pub fn holder(locations: &Locations, name: &str) -> Result<Holder> {
    let files = locations.read_sound()?;
    if let Some(line) = files.config.quoted(name) {
        let path = locations.config.display();
        return Ok(Holder::SomebodyElse(format!("{path}, line {line}")));
    }
    if let Some(ours) = ours(&files.config, name).filter(|_| !files.credentials.has(name)) {
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

fn ours(file: &SharedFile, name: &str) -> Option<AwsProfile> {
    let process = file.get(name, "credential_process")?;
    secret_of(&process)?;
    Some(AwsProfile {
        name: name.to_owned(),
        process,
        region: file.get(name, "region"),
    })
}

/// # Errors
/// When the config file cannot be written, before anything is done.
pub fn check_writable(locations: &Locations) -> Result<()> {
    shared_config::check_writable(&locations.config)
}

/// Writes the profile, in place of one of ours.
///
/// # Errors
/// When somebody else's has the name meanwhile, or the file cannot be written: it is then unchanged.
pub fn write(folders: &Folders, locations: &Locations, profile: &AwsProfile) -> Result<()> {
    check_free(locations, &profile.name)?;
    shared_config::update(folders, FileKind::Config, &locations.config, |file| {
        let mut properties = vec![("credential_process", profile.process.as_str())];
        properties.extend(profile.region.as_deref().map(|region| ("region", region)));
        if !file.has(&profile.name) {
            file.add(&profile.name, &properties);
            return Ok(());
        }
        for (key, value) in properties {
            file.set(&profile.name, key, value);
        }
        Ok(())
    })
}

/// Whether a profile of ours may have the name.
///
/// # Errors
/// As [`holder`]; or that somebody else's has it.
pub fn check_free(locations: &Locations, name: &str) -> Result<()> {
    match holder(locations, name)? {
        Holder::Nobody | Holder::Ours(_) => Ok(()),
        Holder::SomebodyElse(place) => Err(taken(name, &place)),
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
        file.get(&written.name, "credential_process").as_deref() == Some(&written.process)
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
                file.set(&before.name, "credential_process", &before.process);
                match &before.region {
                    Some(region) => file.set(&before.name, "region", region),
                    None => drop(file.remove_key(&before.name, "region")),
                }
            }
        }
        Ok(())
    })
}

/// The whole profile, or our key alone where somebody has added others.
fn remove(file: &mut SharedFile, profile: &AwsProfile) {
    let ours = |key: &str| ["credential_process", "region"].contains(&key);
    let nothing_else = file.keys(&profile.name).all(ours);
    match nothing_else {
        true => file.remove(&profile.name),
        false => file.remove_key(&profile.name, "credential_process"),
    };
}

/// Lets the profiles that read a secret by its name follow it to another one.
///
/// # Errors
/// When the file cannot be written: it is then unchanged.
pub fn follow(
    folders: &Folders,
    locations: &Locations,
    old: &SecretName,
    new: &SecretName,
) -> Result<()> {
    change_readers(
        folders,
        locations,
        |it| it.reads(Some(old)),
        |file, profile| {
            let command = profile
                .process
                .trim_end_matches(secret_of(&profile.process).unwrap_or_default());
            file.set(
                &profile.name,
                "credential_process",
                &format!("{command}{new}"),
            );
        },
    )
    .map(drop)
}

/// Removes the profiles that read a secret which is going away; `was_current` also those that read
/// the current one. Returns their names.
///
/// # Errors
/// When the file cannot be written: it is then unchanged.
pub fn forget(
    folders: &Folders,
    locations: &Locations,
    secret: &SecretName,
    was_current: bool,
) -> Result<Vec<String>> {
    let reads = |it: &AwsProfile| it.reads(Some(secret)) || (was_current && it.reads(None));
    change_readers(folders, locations, reads, remove)
}

/// Changes the profiles of ours that are meant; returns their names.
fn change_readers(
    folders: &Folders,
    locations: &Locations,
    is_meant: impl Fn(&AwsProfile) -> bool,
    change: impl Fn(&mut SharedFile, &AwsProfile),
) -> Result<Vec<String>> {
    let readers = |file: &SharedFile| -> Vec<AwsProfile> {
        let names = file.profile_names().into_iter();
        let profiles = names.filter_map(|name| ours(file, &name));
        profiles.filter(&is_meant).collect()
    };
    if readers(&locations.read().config).is_empty() {
        return Ok(Vec::new());
    }
    shared_config::update(folders, FileKind::Config, &locations.config, |file| {
        let readers = readers(file);
        for profile in &readers {
            change(file, profile);
        }
        Ok(readers.into_iter().map(|profile| profile.name).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new(config: &str) -> Self {
            let home = Home(tempfile::tempdir().expect("a temporary folder"));
            std::fs::write(home.locations().config, config).expect("writable");
            home
        }

        fn locations(&self) -> Locations {
            Locations {
                config: self.0.path().join("config"),
                credentials: self.0.path().join("credentials"),
            }
        }

        fn folders(&self) -> Folders {
            Folders {
                data: self.0.path().join("data"),
                state: self.0.path().join("state"),
            }
        }

        fn config(&self) -> String {
            std::fs::read_to_string(self.locations().config).expect("there")
        }
    }

    fn secret(name: &str) -> SecretName {
        SecretName::new(name).expect("valid")
    }

    fn profile(name: &str, of: Option<&str>) -> AwsProfile {
        let secret = of.map(secret);
        AwsProfile::new(
            name,
            Path::new("/usr/bin/cloudcred"),
            secret.as_ref(),
            Some("eu-west-1".into()),
        )
        .expect("valid")
    }

    #[cfg(unix)]
    #[test]
    fn paths_are_quoted_for_shells_and_for_botocore_alike() {
        let cases = [
            ("/usr/bin/cloudcred", Some("/usr/bin/cloudcred")),
            ("/home/José/bin/cloudcred", Some("/home/José/bin/cloudcred")),
            ("/a b/cloudcred", Some("\"/a b/cloudcred\"")),
            ("/it's/cloudcred", Some("\"/it's/cloudcred\"")),
            ("/$HOME/cloudcred", Some("'/$HOME/cloudcred'")),
            ("/a`b \\c/cloudcred", Some("'/a`b \\c/cloudcred'")),
            ("/it's $5/cloudcred", None),
            ("/a #b/cloudcred", None),
            ("/a\nb/cloudcred", None),
        ];
        for (path, expected) in cases {
            assert_eq!(quoted(Path::new(path)).ok().as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_process_of_ours_is_recognised_wherever_the_program_lay() {
        for ours in [
            "/usr/bin/cloudcred credential-process ana",
            "\"/a b/cloudcred\" credential-process ana",
            "\"C:\\Program Files\\cloudcred.exe\" credential-process ana",
        ] {
            assert_eq!(secret_of(ours), Some("ana"), "{ours}");
        }
        assert_eq!(secret_of("/x/cloudcred credential-process"), Some(""));
        for other in [
            "/usr/bin/other credential-process ana",
            "cloudcred export ana",
            "/x/cloudcredcredential-process",
            "",
        ] {
            assert_eq!(secret_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_profile_is_written_changed_and_taken_back_without_a_trace() {
        let before = "# mine\n[default]\nregion = x\n\n[profile other]\nk = v";
        let home = Home::new(before);
        let (folders, locations) = (home.folders(), home.locations());
        let first = profile("cs", Some("ana"));
        write(&folders, &locations, &first).expect("free");
        assert_eq!(
            holder(&locations, "cs").expect("sound"),
            Holder::Ours(first.clone())
        );
        let written = home.config();
        assert!(written.starts_with(before), "{written}");
        write(&folders, &locations, &first).expect("the same again");
        assert_eq!(home.config(), written);

        let second = profile("cs", None);
        write(&folders, &locations, &second).expect("ours");
        take_back(&folders, &locations, &second, Some(&first)).expect("writable");
        assert_eq!(home.config(), written);
        take_back(&folders, &locations, &second, None).expect("no longer there");
        assert_eq!(home.config(), written);
        take_back(&folders, &locations, &first, None).expect("writable");
        assert_eq!(home.config(), before);
    }

    #[test]
    fn somebody_elses_profile_is_never_touched() {
        for config in [
            "[profile cs]\nregion = x\n",
            "[profile \"cs\"]\n",
            "[ profile cs ]\ncredential_process = other\n",
        ] {
            let home = Home::new(config);
            let refused = write(&home.folders(), &home.locations(), &profile("cs", None));
            assert!(refused.expect_err("taken").message.contains("line 1"));
            assert_eq!(home.config(), config);
        }
        let home = Home::new("");
        std::fs::write(home.locations().credentials, "[cs]\n").expect("writable");
        let refused = write(&home.folders(), &home.locations(), &profile("cs", None));
        assert!(
            refused
                .expect_err("taken")
                .message
                .contains("credentials, line 1")
        );
        let home = Home::new("[profile a]\nbroken\n");
        let refused = write(&home.folders(), &home.locations(), &profile("cs", None));
        assert!(refused.expect_err("broken").message.contains("line 2"));
    }

    #[test]
    fn what_reads_a_removed_secret_goes_with_it() {
        let before =
            "[profile other]\ncredential_process = /usr/bin/other credential-process ana\n";
        let home = Home::new(before);
        let (folders, locations) = (home.folders(), home.locations());
        for profile in [
            profile("one", Some("ana")),
            profile("two", Some("bob")),
            profile("three", None),
        ] {
            write(&folders, &locations, &profile).expect("free");
        }
        follow(&folders, &locations, &secret("ana"), &secret("eve")).expect("writable");
        let followed = holder(&locations, "one").expect("sound");
        assert_eq!(followed, Holder::Ours(profile("one", Some("eve"))));
        let gone = forget(&folders, &locations, &secret("EVE"), false).expect("writable");
        assert_eq!(gone, ["one"]);
        let gone = forget(&folders, &locations, &secret("bob"), true).expect("writable");
        assert_eq!(gone, ["two", "three"]);
        assert_eq!(home.config(), before);
    }

    #[test]
    fn keys_that_somebody_added_to_ours_stay() {
        let home = Home::new("");
        let (folders, locations) = (home.folders(), home.locations());
        let ours = profile("cs", None);
        write(&folders, &locations, &ours).expect("free");
        let text = home.config() + "output = json\n";
        std::fs::write(&locations.config, &text).expect("writable");
        take_back(&folders, &locations, &ours, None).expect("writable");
        assert!(home.config().contains("output = json"));
        assert!(!home.config().contains("credential_process"));
    }
}
