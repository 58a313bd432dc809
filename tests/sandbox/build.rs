//! Builds the cloudcred binary: cargo builds the library for an example, but not the program.
//! Quiet where there is nothing to build, which is nearly always.

use std::env;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// A build with nothing to do takes a fraction of it.
const UNNOTICED: Duration = Duration::from_secs(1);

/// The program, built in the same profile and folder as this example.
pub fn cloudcred() -> Result<PathBuf, String> {
    let example = env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
    let (profile_folder, target_folder) = folders(&example)
        .ok_or_else(|| format!("{} is not where cargo puts examples", example.display()))?;
    let mut cargo = Command::new(env!("CARGO"))
        .args(["build", "--bin", "cloudcred", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_folder)
        .args(["--profile", profile(profile_folder)])
        .args(["--color", if io::stderr().is_terminal() { "always" } else { "never" }])
        .stdin(Stdio::null())
        // cargo reports on stderr; stdout is the program's.
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start cargo: {error}"))?;

    let messages = read_in_background(cargo.stderr.take().expect("stderr is piped"));
    let held = hold_back(&messages);
    let slow = held.still_open;
    if slow {
        show(&held.bytes);
        messages.iter().for_each(|bytes| show(&bytes));
    }
    let status = cargo.wait().map_err(|error| format!("cannot wait for cargo: {error}"))?;
    if status.success() {
        return Ok(profile_folder.join(format!("cloudcred{}", env::consts::EXE_SUFFIX)));
    }
    if !slow {
        show(&held.bytes);
    }
    Err("cloudcred could not be built: cargo's message is above".into())
}

struct Held {
    bytes: Vec<u8>,
    still_open: bool,
}

/// What cargo says until it ends, or until somebody begins to wonder.
fn hold_back(messages: &Receiver<Vec<u8>>) -> Held {
    let deadline = Instant::now() + UNNOTICED;
    let mut bytes = Vec::new();
    loop {
        match messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(more) => bytes.extend(more),
            Err(error) => {
                return Held { bytes, still_open: error == RecvTimeoutError::Timeout };
            }
        }
    }
}

fn read_in_background(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut bytes) {
            if sender.send(bytes[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

fn show(bytes: &[u8]) {
    // Where stderr is closed, nobody is there to be told so.
    let _ = io::stderr().write_all(bytes);
}

/// From `target/debug/examples/sandbox`: `target/debug` and `target`.
fn folders(example: &Path) -> Option<(&Path, &Path)> {
    let profile_folder = example.parent()?.parent()?;
    Some((profile_folder, profile_folder.parent()?))
}

fn profile(folder: &Path) -> &str {
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    }
}
