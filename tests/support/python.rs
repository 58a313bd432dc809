//! Python environments with pinned packages, made once under the target folder: moto and the AWS CLI.
//! Nothing is installed into the system's Python.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };
const OLDEST: (u32, u32) = (3, 11);

/// A virtual environment that holds one of the sets in `tests/requirements`.
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// Its Python, as a command to which arguments are added.
    pub fn python(&self) -> Command {
        let mut command = Command::new(interpreter(&self.folder));
        // It would put other versions of the same packages first.
        command.env_remove("PYTHONPATH");
        command
    }
}

struct Requirements {
    name: &'static str,
    text: &'static str,
    /// What it is and what it weighs, for the one who waits for it.
    description: &'static str,
}

const MOTO: Requirements = Requirements {
    name: "moto",
    text: include_str!("../requirements/moto.txt"),
    description: "moto, an AWS server for tests, about 31 MB to download and 150 MB installed",
};

const AWS_CLI: Requirements = Requirements {
    name: "awscli",
    text: include_str!("../requirements/awscli.txt"),
    description: "the AWS CLI, about 26 MB to download and 215 MB installed",
};

const ANSIBLE: Requirements = Requirements {
    name: "ansible",
    text: include_str!("../requirements/ansible.txt"),
    description: "Ansible with its AWS modules, about 75 MB to download and 700 MB installed",
};

pub fn moto() -> Environment {
    environment(&MOTO)
}

pub fn aws_cli() -> Environment {
    environment(&AWS_CLI)
}

pub fn ansible() -> Environment {
    environment(&ANSIBLE)
}

fn environment(requirements: &Requirements) -> Environment {
    // Other requirements are another environment, so that an old one is never mistaken for it.
    let mut hasher = DefaultHasher::new();
    requirements.text.hash(&mut hasher);
    let folder = target_folder().join("python").join(format!(
        "{}-{:016x}",
        requirements.name,
        hasher.finish()
    ));
    // Beside the folder: the stamp is the last thing written, so without it the folder is half-made.
    let stamp = folder.with_extension("complete");

    fs::create_dir_all(folder.parent().expect("the folder was joined to another"))
        .unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
    let lock = folder.with_extension("lock");
    let lock = File::create(&lock)
        .unwrap_or_else(|error| panic!("cannot open {}: {error}", lock.display()));
    // Test binaries, and the sandbox beside them, may start at the same time.
    lock.lock().expect("a lock on a file of our own can be waited for");
    // Where the system's Python was replaced, the interpreter is a link to nothing.
    if !(stamp.exists() && interpreter(&folder).exists()) {
        install(requirements, &folder);
        File::create(&stamp)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", stamp.display()));
    }
    Environment { folder }
}

fn install(requirements: &Requirements, folder: &Path) {
    require_python();
    // Not eprintln!, which the test runner holds back until a test fails.
    let _ = writeln!(
        io::stderr(),
        "first start: installing {} into {}",
        requirements.description,
        folder.display()
    );
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap_or_else(|error| {
            panic!("cannot remove the half-made {}: {error}", folder.display())
        });
    }
    let output = Command::new(PYTHON)
        .args(["-m", "venv"])
        .arg(folder)
        .output()
        .unwrap_or_else(|error| panic!("cannot start {PYTHON}: {error}"));
    assert!(
        output.status.success(),
        "`{PYTHON} -m venv` does not work here. To install what it lacks, run\n\n    {}\n\n{}{}",
        install_command("python3-venv"),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let list = folder.join("requirements.txt");
    fs::write(&list, requirements.text)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", list.display()));
    // pip's own messages are the best account of what it waits for or why it fails; only its
    // stdout is put away, since that may be the JSON output of a program in the sandbox.
    let status = Command::new(interpreter(folder))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .arg("--requirement")
        .arg(&list)
        .stdout(Stdio::null())
        .status()
        .expect("the environment's own Python starts");
    assert!(
        status.success(),
        "pip could not install tests/requirements/{}.txt (its message is above).\n\
         It needs a Python package index: PyPI, or the one that `pip config list` names",
        requirements.name
    );
}

fn require_python() {
    let output = Command::new(PYTHON)
        .args(["-c", "import sys; print(*sys.version_info[:2])"])
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "cannot start {PYTHON} ({error}). To install it, run\n\n    {}\n",
                install_command("python3")
            )
        });
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map_while(|number| number.parse::<u32>().ok());
    let version = numbers.next().zip(numbers.next());
    assert!(
        version.is_some_and(|version| version >= OLDEST),
        "{PYTHON} is version `{}`, and moto needs {}.{} or later",
        text.trim().replace(' ', "."),
        OLDEST.0,
        OLDEST.1
    );
}

/// The command that installs a package of Debian's, or what comes closest elsewhere.
fn install_command(debian_package: &str) -> String {
    if Path::new("/etc/debian_version").exists() {
        format!("sudo apt-get install {debian_package}")
    } else if cfg!(windows) {
        "winget install Python.Python.3.13".into()
    } else if cfg!(target_os = "macos") {
        "brew install python3".into()
    } else {
        "sudo dnf install python3    (or your system's way to install Python 3 with venv and pip)"
            .into()
    }
}

fn interpreter(folder: &Path) -> PathBuf {
    if cfg!(windows) {
        folder.join("Scripts").join("python.exe")
    } else {
        folder.join("bin").join("python")
    }
}

/// The folder that cargo builds into, found from the program that runs: cargo marks it for back-up tools.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program is known");
    // `target/PROFILE/deps/cli-HASH` or `target/PROFILE/examples/sandbox`.
    let folder = program.ancestors().nth(3);
    folder
        .unwrap_or_else(|| panic!("{} is not where cargo puts programs", program.display()))
        .to_path_buf()
}
