//! Makes a program's N-th fsync kill it, or find the disk full, or sets its clock wrong: a library that
//! is loaded before libc.
//! So the program under test is the real one, without a line of code for tests in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::home::Home;

/// The library, compiled once for this process.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let path = folder.path().join("fsync_fault.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/fsync_fault.c");
        // Rust itself links with it, so it is there.
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&path, &source])
            .status()
            .expect("cc can be started");
        assert!(status.success(), "cc could not compile {}", source.display());
        (folder, path)
    });
    path
}

fn loaded(home: Home) -> Home {
    home.variable("LD_PRELOAD", library().to_str().expect("a path in UTF-8"))
}

/// Dies at the call of this number, from 1, before it has reached the disk.
pub fn killed_at(home: Home, call: usize) -> Home {
    loaded(home).variable("FSYNC_FAULT", &format!("kill:{call}"))
}

/// The disk is full from the call of this number on.
pub fn full_from(home: Home, call: usize) -> Home {
    loaded(home).variable("FSYNC_FAULT", &format!("full:{call}"))
}

/// The disk is full at the call of this number alone.
pub fn full_once(home: Home, call: usize) -> Home {
    loaded(home).variable("FSYNC_FAULT", &format!("once:{call}"))
}

/// Nothing happens, and each call adds a byte to the file.
pub fn counted(home: Home, file: &Path) -> Home {
    loaded(home).variable("FSYNC_COUNT", file.to_str().expect("a path in UTF-8"))
}

/// The clock of the day is wrong by so many seconds; the fault at a write stays what it is.
pub fn clock_off_by(home: Home, seconds: i64) -> Home {
    loaded(home).variable("CLOCK_OFFSET", &seconds.to_string())
}
