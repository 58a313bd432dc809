//! Files that only their owner may read, written so that a crash leaves the old or the new content.
//!
//! Temporary file in the same folder, fsync, rename, fsync of the folder. Folders are made 0700 and
//! files 0600; a looser one of ours is tightened. On Windows the profile folder's own access list
//! already keeps others out.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::error::Error;

/// By which temporary files are known.
pub const TEMPORARY: &str = ".cloudcred-";
/// A younger temporary file may be somebody's who is still writing, where no lock keeps others out.
pub const ABANDONED: Duration = Duration::from_secs(60);

/// Writes `content` to `path`, creating its folder if need be.
///
/// # Errors
/// With the path and the system's reason; the old content is then untouched.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .with_context(|| format!("{} has no folder", path.display()))?;
    create_folder(folder)?;
    let failed = || format!("cannot write {}", path.display());
    // tempfile creates with mode 0600, so the content is never readable by others.
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(folder)
        .with_context(failed)?;
    temporary.write_all(content).with_context(failed)?;
    temporary.as_file().sync_all().with_context(failed)?;
    temporary
        .persist(path)
        .map_err(|refused| refused.error)
        .with_context(failed)?;
    sync_folder(folder).with_context(failed)
}

/// Removes what processes that were killed have left in the folder: files whose names start with
/// `prefix`, written at least `age` ago. Without an age only where nobody else may be writing.
///
/// # Errors
/// With the path and the system's reason; a folder that is not there holds nothing.
pub fn sweep(folder: &Path, prefix: &str, age: Duration) -> Result<()> {
    let failed = || format!("cannot look through {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(error).with_context(failed),
    };
    for entry in entries {
        let entry = entry.with_context(failed)?;
        let ours = entry.file_name().to_string_lossy().starts_with(prefix);
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        // A time that is still to come counts as now: somebody has set the clock.
        let since = written.map_or(Duration::ZERO, |it| it.elapsed().unwrap_or_default());
        if ours && since >= age {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Reads `path`, at most `limit` bytes; `None` when there is no such file.
///
/// # Errors
/// With the path, when it cannot be read or is longer than `limit`.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
    };
    // Of the right size at once: growing would leave copies of a secret behind.
    let expected = file.metadata().map_or(0, |metadata| metadata.len());
    let mut content = Vec::with_capacity(usize::try_from(expected.min(limit) + 1).unwrap_or(0));
    file.take(limit + 1)
        .read_to_end(&mut content)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if content.len() as u64 > limit {
        bail!("{} is longer than {limit} bytes", path.display());
    }
    Ok(Some(content))
}

/// Removes `path`; whether it was there.
///
/// # Errors
/// With the path and the system's reason.
pub fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => {
            if let Some(folder) = path.parent() {
                sync_folder(folder).with_context(|| format!("cannot remove {}", path.display()))?;
            }
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context(format!("cannot remove {}", path.display())),
    }
}

/// Opens a file that exists to be locked, creating it if need be. The file that it guards is
/// replaced at each write, so it cannot be locked itself.
///
/// # Errors
/// With the path and the system's reason.
pub fn open_lock(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// How long another process may keep what it has locked: long enough for its owner to unlock a
/// keyring meanwhile, and soon enough that a process which hangs does not stop all the others.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Locks such a file for as long as it stays open; `what` is what it guards. Waits in short steps,
/// since nothing ends a wait inside the system, not even Ctrl-C where that is listened for.
///
/// # Errors
/// When another process keeps it locked, or the system cannot lock it.
pub fn lock(file: &File, what: &str) -> crate::error::Result<()> {
    lock_within(LOCK_PATIENCE, file, what)
}

fn lock_within(patience: Duration, file: &File, what: &str) -> crate::error::Result<()> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(cause)) => {
                return Err(anyhow::Error::from(cause)
                    .context(format!("cannot lock {what}"))
                    .into());
            }
            Err(TryLockError::WouldBlock) if began.elapsed() >= patience => {
                return Err(Error::failed(format!(
                    "another cloudcred is at work on {what}, and did not finish within {} s",
                    patience.as_secs()
                ))
                .hint("let it finish, or end it; then run the command again"));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Makes the folder and what lies above it, 0700. One that is there stays as it is: it may be
/// somebody else's, where `CLOUDCRED_HOME` names it.
///
/// # Errors
/// With the path and the system's reason.
pub fn create_folder(folder: &Path) -> Result<()> {
    let failed = || format!("cannot create the folder {}", folder.display());
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(failed)
}

/// Makes a folder of our own, and tightens it to 0700 if it is looser.
///
/// # Errors
/// With the path and the system's reason.
pub fn create_private_folder(folder: &Path) -> Result<()> {
    create_folder(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder)
            .with_context(|| format!("cannot look at {}", folder.display()))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
                .with_context(|| format!("cannot make {} private", folder.display()))?;
        }
    }
    Ok(())
}

/// Whether a file can be made in the folder.
#[cfg(unix)]
pub fn is_writable(folder: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Only trying tells, on Windows.
#[cfg(not(unix))]
pub fn is_writable(_: &Path) -> bool {
    true
}

/// Whether other users of this machine may read the file or list the folder.
#[cfg(unix)]
pub fn readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// On Windows the profile folder's access list keeps others out.
#[cfg(not(unix))]
pub fn readable_by_others(_: &Path) -> bool {
    false
}

/// A rename survives a power cut only once the folder itself is on disk.
///
/// # Errors
/// The system's.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows writes directory entries through and cannot open a folder as a file.
#[cfg(not(unix))]
pub fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_reads_replaces_and_removes() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join("deep/er/file");
        assert!(
            read(&path, 10)
                .expect("a missing file is no error")
                .is_none()
        );
        write(&path, b"one").expect("a new file");
        write(&path, b"two").expect("a replaced file");
        assert_eq!(
            read(&path, 10).expect("readable").as_deref(),
            Some(&b"two"[..])
        );
        assert!(read(&path, 2).is_err(), "longer than the limit");
        assert!(remove(&path).expect("removable"));
        assert!(!remove(&path).expect("gone is no error"));
        let left: Vec<_> = fs::read_dir(home.path().join("deep/er"))
            .expect("readable")
            .collect();
        assert!(left.is_empty(), "no temporary file stays: {left:?}");
    }

    #[test]
    fn only_what_was_left_long_enough_ago_is_swept_away() {
        let home = tempfile::tempdir().expect("a temporary folder");
        for name in [".cloudcred-a1b2c3", "secrets.toml"] {
            fs::write(home.path().join(name), "").expect("writable");
        }
        let left = || fs::read_dir(home.path()).expect("readable").count();
        sweep(home.path(), TEMPORARY, Duration::from_secs(60)).expect("readable");
        assert_eq!(left(), 2, "somebody may be writing it");
        sweep(home.path(), TEMPORARY, Duration::ZERO).expect("removable");
        assert_eq!(left(), 1);
        assert!(home.path().join("secrets.toml").exists());
        let nowhere = home.path().join("nowhere");
        sweep(&nowhere, TEMPORARY, Duration::ZERO).expect("it holds nothing");
    }

    #[test]
    fn a_lock_is_waited_for_and_given_up_where_somebody_keeps_it() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let open = || open_lock(&home.path().join("lock")).expect("ours");
        let short = Duration::from_millis(100);
        let held = open();
        lock_within(short, &held, "it").expect("free");
        let waiting = open();
        let error = lock_within(short, &waiting, "the test").expect_err("somebody has it");
        assert!(error.message.contains("at work on the test"), "{error}");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(short);
                drop(held);
            });
            lock(&waiting, "the test").expect("it is let go of");
        });
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_private_even_where_they_were_loose() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join("loose");
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("chmod");
        let path = folder.join("file");
        fs::write(&path, "old").expect("an old file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        write(&path, b"new").expect("replaced");
        let mode_of = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode_of(&folder), 0o755, "it may be somebody else's");
        create_private_folder(&folder).expect("ours");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&folder), 0o700);
    }
}
