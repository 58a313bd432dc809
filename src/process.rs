//! This process: it leaves no core dump, which would contain secrets, and another program can replace it.

use std::io::Write;
use std::process::Command;

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the limit on core dumps was when the process started, for the programs that it becomes.
#[cfg(unix)]
static CORE_LIMIT: std::sync::OnceLock<Rlimit> = std::sync::OnceLock::new();

/// Keeps this process's memory out of core dumps and away from the user's other processes, where
/// the system allows that.
pub fn forbid_core_dumps() {
    // Windows writes no dumps unless its owner has set that up.
    #[cfg(unix)]
    {
        let limit = CORE_LIMIT.get_or_init(|| getrlimit(Resource::Core));
        let none = Rlimit { current: Some(0), maximum: limit.maximum };
        setrlimit(Resource::Core, none).unwrap_or_default();
    }
    // Where the kernel pipes dumps into a program, the limit alone does not stop them.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable).unwrap_or_default();
    }
}

/// Says in one line that this program has a fault; whoever waits for the work goes on without it.
pub fn shorten_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let line = format!("cloudcred: internal error at {place}; please report it\n");
        // Where nobody reads it, there is nobody to tell.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }));
}

/// Replaces this process by the command, or, on Windows, waits for it and ends with its exit code.
/// Returns only when the command cannot be started.
#[cfg(unix)]
pub fn replace(command: &mut Command) -> std::io::Error {
    if let Some(limit) = CORE_LIMIT.get() {
        setrlimit(Resource::Core, *limit).unwrap_or_default();
    }
    let refused = std::os::unix::process::CommandExt::exec(command);
    forbid_core_dumps();
    refused
}

#[cfg(not(unix))]
#[allow(clippy::disallowed_methods)] // the one place that owns process state
pub fn replace(command: &mut Command) -> std::io::Error {
    // Ctrl-C reaches the command as well, which decides what to do about it.
    if let Err(error) = ctrlc::set_handler(|| {}) {
        return std::io::Error::other(error);
    }
    command
        .status()
        .map_or_else(|error| error, |status| std::process::exit(status.code().unwrap_or(1)))
}
