//! A throw-away home folder, and programs that run in it with a clean environment.
//! What a test does not set, a program does not see: no AWS variable, no CI, no session bus.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::moto::KeyPair;
use super::process::{self, Ran};

/// Generous: the machine may be busy with other tests.
const LIMIT: Duration = Duration::from_secs(180);

/// What a system needs before any program starts at all; Windows finds its own libraries by these.
const INHERITED: &[&str] = if cfg!(windows) {
    &["PATH", "PATHEXT", "SystemRoot", "SystemDrive", "ComSpec", "TEMP", "TMP"]
} else {
    &["PATH"]
};

pub struct Home {
    folder: Arc<TempDir>,
    program: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Home {
    /// `program` is what [`Home::command`] runs: in a test, `env!("CARGO_BIN_EXE_cloudcred")`.
    pub fn new(program: impl Into<PathBuf>) -> Home {
        let folder = tempfile::Builder::new()
            .prefix("cloudcred-home-")
            .tempdir()
            .expect("a folder for temporary files can be written to");
        let home =
            Home { folder: Arc::new(folder), program: program.into(), variables: BTreeMap::new() };
        let path = home.path().to_str().expect("the temporary folder's path is UTF-8").to_owned();
        let home = if cfg!(windows) {
            home.variable("USERPROFILE", &path)
                .variable("APPDATA", &format!("{path}\\AppData\\Roaming"))
                .variable("LOCALAPPDATA", &format!("{path}\\AppData\\Local"))
        } else {
            home.variable("HOME", &path)
        };
        home.variable("AWS_REGION", "us-east-1")
            // Without this, a search for credentials waits for a network that is not there.
            .variable("AWS_EC2_METADATA_DISABLED", "true")
            .variable("LANG", "C.UTF-8")
            .variable("TERM", "xterm-256color")
            // People have it set. A stack trace shown to them would be a bug.
            .variable("RUST_BACKTRACE", "1")
    }

    /// The same folder, for other variables.
    pub fn copy(&self) -> Home {
        Home {
            folder: Arc::clone(&self.folder),
            program: self.program.clone(),
            variables: self.variables.clone(),
        }
    }

    pub fn variable(mut self, name: &str, value: &str) -> Home {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With that variable not set.
    pub fn without(mut self, name: &str) -> Home {
        self.variables.remove(name);
        self
    }

    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Home {
        self.variables.extend(variables);
        self
    }

    /// Where every AWS service is found.
    pub fn endpoint(self, url: &str) -> Home {
        self.variable("AWS_ENDPOINT_URL", url)
    }

    /// The pair in the environment.
    pub fn credentials(self, pair: &KeyPair) -> Home {
        self.variable("AWS_ACCESS_KEY_ID", &pair.access_key_id)
            .variable("AWS_SECRET_ACCESS_KEY", &pair.secret_access_key)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Readable to its owner alone, as AWS's own tools write.
    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path().join(relative);
        fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .and_then(|()| fs::write(&path, text))
            .and_then(|()| make_private(&path))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    pub fn read(&self, relative: &str) -> String {
        let path = self.path().join(relative);
        fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    }

    /// The program, ready to be started in this home and in nothing else.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        self.clean(&mut command);
        command
    }

    /// Gives any command this home's environment and folder.
    pub fn clean(&self, command: &mut Command) {
        command.env_clear().envs(&self.variables).current_dir(self.path());
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
    }

    /// Runs the program to its end; its standard input is closed.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        process::run(self.command(arguments), None, LIMIT)
    }

    /// For a program that is meant to take its time.
    pub fn run_for(&self, arguments: &[&str], limit: Duration) -> Ran {
        process::run(self.command(arguments), None, limit)
    }

    pub fn run_with_stdin(&self, arguments: &[&str], input: &str) -> Ran {
        process::run(self.command(arguments), Some(input), LIMIT)
    }

    /// Every file in this home, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect_files(self.path(), &mut files);
        files.sort();
        files
    }

    /// The files that hold these bytes anywhere.
    pub fn files_holding(&self, needle: impl AsRef<[u8]>) -> Vec<PathBuf> {
        let needle = needle.as_ref();
        assert!(!needle.is_empty(), "every file holds nothing");
        let mut files = self.files();
        files.retain(|path| {
            let bytes = fs::read(path)
                .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
            bytes.windows(needle.len()).any(|window| window == needle)
        });
        files
    }
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("an entry of a folder that was just listed");
        let kind = entry.file_type().expect("an entry's type is known");
        if kind.is_dir() {
            collect_files(&entry.path(), files);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
}

#[cfg(unix)]
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> std::io::Result<()> {
    Ok(())
}
