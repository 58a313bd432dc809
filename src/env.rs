//! A snapshot of the process's surroundings: variables, folders, terminals, clock, host.
//!
//! No other file reads process state (`clippy.toml` bans the calls).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use jiff::Timestamp;

use crate::error::{Error, Result};

/// Where cloudcred keeps its own files. Private ones lie in `data` and `state`.
#[derive(Clone, Debug)]
pub struct Folders {
    pub data: PathBuf,
    pub state: PathBuf,
}

impl Folders {
    /// The error for a file of ours that cannot be read or written.
    pub fn unusable(cause: anyhow::Error) -> Error {
        Error::from(cause).hint(
            "move it away or let yourself read and write it, or set CLOUDCRED_HOME to another folder",
        )
    }
}

/// Whether it can be the name of a region.
pub fn is_region(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(allowed)
}

#[derive(Clone, Debug)]
pub struct Env {
    variables: BTreeMap<String, OsString>,
    pub stdin_is_terminal: bool,
    pub stdout_is_terminal: bool,
    pub stderr_is_terminal: bool,
    /// This machine's name, for descriptions that a person recognises.
    pub host_name: Option<String>,
    program: Option<PathBuf>,
}

impl Env {
    #[allow(clippy::disallowed_methods)] // the one place that owns process state
    pub fn from_process() -> Self {
        let variables = std::env::vars_os();
        let variables: BTreeMap<_, _> =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        for (name, value) in &variables {
            if name.starts_with("AWS_ENDPOINT_URL") && value.is_empty() {
                // The SDK takes an empty address for one, and panics. SAFETY: no other thread runs yet.
                unsafe { std::env::remove_var(name) };
            }
        }
        let program = std::env::current_exe().ok().map(|real| {
            let started_as = std::env::args_os().next().map(PathBuf::from);
            as_started(started_as, variables.get("PATH"), &real).unwrap_or(real)
        });
        Env {
            host_name: host_name(&variables),
            variables,
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            program,
        }
    }

    /// The variable's value, if it is Unicode; an empty one counts as not set, as in the AWS SDKs.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// As [`Env::var`], also an empty one.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.to_str()
    }

    /// The region that the variables name.
    ///
    /// # Errors
    /// When it cannot be a region: it becomes part of host names, and of `~/.aws/config`.
    pub fn region(&self) -> Result<Option<&str>> {
        let mut names = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter();
        let set = names.find_map(|name| Some((name, self.var(name)?)));
        match set {
            Some((name, region)) if !is_region(region) => {
                Err(Error::failed(format!("{name} is not the name of a region"))
                    .hint(format!("set {name} to a region such as eu-west-1, or unset it")))
            }
            _ => Ok(set.map(|(_, region)| region)),
        }
    }

    /// XDG folders on Linux and macOS, the known folders on Windows, `$CLOUDCRED_HOME` before both.
    /// A relative XDG variable is ignored, as the XDG specification demands.
    pub fn folders(&self) -> Result<Folders> {
        if let Some(home) = self.cloudcred_home()? {
            return Ok(Folders { data: home.clone(), state: home });
        }
        let base = etcetera::choose_base_strategy().map_err(no_home)?;
        // Windows has no state folder: what must not roam lies in the local cache folder there.
        let state = base.state_dir().unwrap_or_else(|| base.cache_dir());
        Ok(Folders { data: base.data_dir().join("cloudcred"), state: state.join("cloudcred") })
    }

    /// `$CLOUDCRED_HOME`, with `~` for the user's home directory: files that set variables without
    /// a shell do not expand it.
    fn cloudcred_home(&self) -> Result<Option<PathBuf>> {
        let refused = |why: &str| {
            Error::usage(format!("CLOUDCRED_HOME {why}")).hint(
                "set it to an absolute path such as /home/ana/cloudcred or ~/cloudcred, or unset it",
            )
        };
        let Some(home) = self.variables.get("CLOUDCRED_HOME").filter(|it| !it.is_empty()) else {
            return Ok(None);
        };
        let home = home.to_str().ok_or_else(|| refused("is not valid UTF-8"))?;
        let path = match Path::new(home).strip_prefix("~") {
            Ok(below) => etcetera::home_dir().map_err(no_home)?.join(below),
            Err(_) => PathBuf::from(home),
        };
        if path.is_absolute() { Ok(Some(path)) } else { Err(refused("is no absolute path")) }
    }

    /// The variable that moves our secrets elsewhere, where one does.
    pub fn moves_data(&self) -> Option<&'static str> {
        if self.var("CLOUDCRED_HOME").is_some() {
            return Some("CLOUDCRED_HOME");
        }
        let xdg = self.var("XDG_DATA_HOME").is_some_and(|it| Path::new(it).is_absolute());
        xdg.then_some("XDG_DATA_HOME")
    }

    /// Where this program lies, by the path by which it was started.
    pub fn program(&self) -> Result<&Path> {
        self.program.as_deref().ok_or_else(|| {
            Error::failed("cannot find out where this program is installed")
                .hint("start it by its full path")
        })
    }

    /// Whether a person can be asked: input and questions go through terminals, and no CI runs.
    pub fn someone_can_be_asked(&self) -> bool {
        self.stdin_is_terminal && self.stderr_is_terminal && self.var("CI").is_none()
    }

    /// Whether this is a session over SSH: this machine's clipboard is not the user's.
    pub fn is_remote(&self) -> bool {
        self.var("SSH_TTY").is_some() || self.var("SSH_CONNECTION").is_some()
    }

    /// Whether the terminal shows characters beyond ASCII. Windows terminals do; elsewhere the
    /// locale says so, in POSIX's order of precedence.
    pub fn unicode(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| self.var(name));
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        cfg!(windows) || locale.contains("utf-8") || locale.contains("utf8")
    }

    /// The wall clock, to the second: finer would only make files and output harder to read.
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}

fn no_home(cause: etcetera::HomeDirError) -> Error {
    Error::failed("cannot find your home directory")
        .hint("set HOME, or set CLOUDCRED_HOME to the folder that cloudcred may use")
        .caused_by(cause)
}

/// The path by which the program was started, where it leads to the program: absolute, or found in
/// `PATH`. The system's answer is the file behind every link, which is gone after the next update
/// where a package manager keeps each version in a folder of its own.
fn as_started(
    started_as: Option<PathBuf>,
    path: Option<&OsString>,
    real: &Path,
) -> Option<PathBuf> {
    let mut name = started_as?;
    let real = real.canonicalize().ok()?;
    let is_it = |it: &PathBuf| it.is_absolute() && it.canonicalize().is_ok_and(|it| it == real);
    if name.components().count() > 1 {
        return Some(name).filter(is_it);
    }
    if cfg!(windows) && name.extension().is_none() {
        name.set_extension("exe");
    }
    let mut found = std::env::split_paths(path?).map(|folder| folder.join(&name));
    found.find(|it| it.is_file()).filter(is_it)
}

#[cfg(unix)]
fn host_name(_: &BTreeMap<String, OsString>) -> Option<String> {
    let name = rustix::system::uname();
    // `ana-laptop.local` is `ana-laptop` to its owner.
    let name = name.nodename().to_str().ok()?.split('.').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(not(unix))]
fn host_name(variables: &BTreeMap<String, OsString>) -> Option<String> {
    variables.get("COMPUTERNAME")?.to_str().map(str::to_owned)
}

#[cfg(test)]
impl Env {
    /// A bare machine with just these variables: nobody to ask, no terminal.
    pub fn for_tests(variables: &[(&str, &str)]) -> Self {
        Env {
            variables: variables
                .iter()
                .map(|(name, value)| (name.to_string(), value.into()))
                .collect(),
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            host_name: Some("test-host".to_owned()),
            program: Some("/usr/bin/cloudcred".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_variable_moves_every_folder() {
        let env = Env::for_tests(&[("CLOUDCRED_HOME", "/somewhere")]);
        let folders = env.folders().expect("the variable names the folder");
        assert_eq!(folders.data, PathBuf::from("/somewhere"));
        assert_eq!(folders.state, PathBuf::from("/somewhere"));
    }

    #[test]
    fn the_data_folder_is_never_a_matter_of_where_one_stands() {
        let folders = |value: &str| Env::for_tests(&[("CLOUDCRED_HOME", value)]).folders();
        let home = etcetera::home_dir().expect("whoever runs tests has one");
        assert_eq!(folders("~").expect("home").data, home);
        assert_eq!(folders("~/a/b").expect("below it").data, home.join("a/b"));
        for value in ["a", "./a", "../a", "~ana/a", "~a", " /a"] {
            let refused = folders(value).expect_err(value);
            assert_eq!(refused.kind, crate::error::Kind::Usage, "{value}");
            assert!(refused.message.contains("CLOUDCRED_HOME"), "{refused}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt;
            let mut env = Env::for_tests(&[]);
            env.variables.insert("CLOUDCRED_HOME".into(), OsString::from_vec(vec![b'/', 0xff]));
            let refused = env.folders().expect_err("not UTF-8");
            assert!(refused.message.contains("UTF-8"), "{refused}");
        }
        let moved = |value| Env::for_tests(&[("XDG_DATA_HOME", value)]).moves_data();
        assert_eq!(moved("data"), None, "as the XDG specification has it");
        if cfg!(unix) {
            assert_eq!(moved("/data"), Some("XDG_DATA_HOME"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_program_is_called_by_the_path_by_which_it_was_started() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (real, link) = (folder.path().join("1.0"), folder.path().join("cloudcred"));
        std::fs::write(&real, "").expect("writable");
        std::os::unix::fs::symlink("1.0", &link).expect("a new link");
        let path = format!("/nowhere:{}", folder.path().display()).into();
        let started = |name: &str| as_started(Some(name.into()), Some(&path), &real);
        assert_eq!(started("cloudcred"), Some(link.clone()));
        assert_eq!(started(link.to_str().expect("UTF-8")), Some(link));
        // By an unsound name, or by one that leads elsewhere.
        for other in ["other", "/bin/sh", "sh", "./cloudcred", ""] {
            assert_eq!(started(other), None, "{other}");
        }
    }

    #[test]
    fn regions_are_checked_where_they_come_in() {
        let region = |value| {
            let env = Env::for_tests(&[("AWS_DEFAULT_REGION", value)]);
            env.region().map(|region| region.map(str::to_owned))
        };
        let sound = region("eu-west-1").expect("one that is");
        assert_eq!(sound.as_deref(), Some("eu-west-1"));
        let refused = region("x\n[profile y]").expect_err("none that can be");
        assert!(refused.message.contains("AWS_DEFAULT_REGION"), "{refused}");
    }

    #[test]
    fn ci_means_that_nobody_is_asked() {
        let mut env = Env::for_tests(&[]);
        env.stdin_is_terminal = true;
        env.stderr_is_terminal = true;
        assert!(env.someone_can_be_asked());
        env.variables.insert("CI".into(), "true".into());
        assert!(!env.someone_can_be_asked());
    }

    #[test]
    fn the_locale_decides_about_unicode() {
        assert!(Env::for_tests(&[("LANG", "en_US.UTF-8")]).unicode());
        if cfg!(not(windows)) {
            assert!(!Env::for_tests(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]).unicode());
        }
    }
}
