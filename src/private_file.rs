//! Files that only their owner may read, written so that a crash leaves the old or the new content.
//!
//! Temporary file in the same folder, fsync, rename, fsync of the folder. Folders are made 0700 and
//! files 0600. On Windows the profile folder's own access list already keeps others out. Only
//! regular files are opened, since anything else may block, never end, or do something.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
#[cfg(unix)]
use std::os::unix::fs::{
    DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use crate::error::Error;

/// The names of temporary files: `.cloudcred-`, twelve letters or digits, `.tmp`.
const PREFIX: &str = ".cloudcred-";
const RANDOM: usize = 12;
const SUFFIX: &str = ".tmp";

/// A younger temporary file may still be written by a process that no lock keeps out.
pub const ABANDONED: Duration = Duration::from_secs(60);

/// Writes `content` to `path`, creating its folder if need be. Where it fails, the old content is
/// nearly always untouched; only syncing the folder may fail after the new one is in place.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    put(path, content, |_, _| Ok(()), || Ok(true)).map(drop)
}

/// Replaces a file that belongs to other programs, too: it keeps its mode and its owner, and stays as
/// it is where `unchanged`, which is asked right before the change, says no. Whether it was replaced.
pub fn replace(
    path: &Path,
    content: &[u8],
    unchanged: impl FnOnce() -> Result<bool>,
) -> Result<bool> {
    put(path, content, keep_mode_and_owner, unchanged)
}

/// Windows copies the folder's access list to the new file, as it did to the old one.
#[cfg_attr(not(unix), allow(unused_variables))]
fn keep_mode_and_owner(file: &File, target: &Path) -> Result<()> {
    #[cfg(unix)]
    if let Ok(old) = fs::metadata(target) {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())?;
    }
    Ok(())
}

/// Follows links: a link stays a link, and the file that it names is replaced. `prepare` gets the new
/// file and the path of the old one.
fn put(
    path: &Path,
    content: &[u8],
    prepare: impl FnOnce(&File, &Path) -> Result<()>,
    unchanged: impl FnOnce() -> Result<bool>,
) -> Result<bool> {
    let target = behind_links(path);
    let put = || -> Result<bool> {
        let folder = folder_of(&target).context("it is no file")?;
        create_folder(folder)?;
        check_regular(fs::metadata(&target))?;
        if target != path {
            // Nobody else looks for leftovers there, and they may hold a secret.
            sweep(folder, ABANDONED).unwrap_or_default();
        }
        let mut temporary = new_temporary(folder)?;
        temporary.write_all(content)?;
        prepare(temporary.as_file(), &target)?;
        temporary.as_file().sync_all()?;
        if !unchanged()? {
            return Ok(false);
        }
        temporary.persist(&target).map_err(|refused| refused.error)?;
        sync_parent(&target)?;
        Ok(true)
    };
    put().with_context(|| format!("cannot write {}", target.display()))
}

/// tempfile creates with mode 0600, so the content is never readable by others.
fn new_temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).rand_bytes(RANDOM).suffix(SUFFIX).tempfile_in(folder)
}

/// The file that a link names at last, which need not exist yet.
pub fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&path) else { break };
        path.pop();
        path.push(target);
    }
    path
}

/// Removes the temporary files that killed processes have left in the folder, if they were written
/// at least `age` ago. Without an age only where nobody else may be writing.
pub fn sweep(folder: &Path, age: Duration) -> Result<()> {
    let failed = || format!("cannot list {}", folder.display());
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let Ok(metadata) = entry.metadata() else { continue };
        #[cfg(unix)]
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            continue;
        }
        // A time in the future counts as now: somebody has set the clock.
        let since = metadata.modified().ok().and_then(|it| it.elapsed().ok()).unwrap_or_default();
        let name = entry.file_name();
        if metadata.is_file() && since >= age && is_temporary(&name.to_string_lossy()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    random.is_some_and(|it| it.len() == RANDOM && it.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Reads `path`, at most `limit` bytes; `None` when there is no such file.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let failed = || format!("cannot read {}", path.display());
    match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // The usual way to say that there shall be no such file.
        Ok(real) if real == Path::new("/dev/null") => return Ok(Some(Vec::new())),
        _ => {}
    }
    let file = open(path, File::options().read(true)).with_context(failed)?;
    // Of the right size at once: growing would leave copies of a secret behind.
    let expected = file.metadata().map_or(0, |metadata| metadata.len());
    let mut content = Vec::with_capacity(usize::try_from(expected.min(limit) + 1).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut content).with_context(failed)?;
    if content.len() as u64 > limit {
        bail!("{} is longer than {limit} bytes", path.display());
    }
    Ok(Some(content))
}

/// Opens a regular file. Never waits for the other end of a pipe, and never touches a device.
fn open(path: &Path, options: &mut OpenOptions) -> Result<File> {
    check_regular(fs::metadata(path))?;
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        // For what may take the file's place between looking and opening.
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    }
    let file = options.open(path)?;
    check_regular(file.metadata())?;
    Ok(file)
}

/// Refuses what is there and is not a regular file.
fn check_regular(metadata: io::Result<fs::Metadata>) -> Result<()> {
    let what = match metadata.map(|it| it.file_type()) {
        Err(_) => return Ok(()),
        Ok(kind) if kind.is_file() => return Ok(()),
        Ok(kind) if kind.is_dir() => "a folder",
        #[cfg(unix)]
        Ok(kind) if kind.is_fifo() => "a named pipe",
        #[cfg(unix)]
        Ok(kind) if kind.is_socket() => "a socket",
        Ok(_) => "a device",
    };
    bail!("it is {what}, not a regular file")
}

/// Removes `path`, and what it names if it is a link; whether there was something.
pub fn remove(path: &Path) -> Result<bool> {
    let failed = || format!("cannot remove {}", path.display());
    let target = behind_links(path);
    check_regular(fs::metadata(&target)).with_context(failed)?;
    let mut was_there = false;
    for path in [target.as_path(), path] {
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            removed => removed.and_then(|()| sync_parent(path)).with_context(failed)?,
        }
        was_there = true;
    }
    Ok(was_there)
}

/// Opens a file that exists to be locked, creating it if need be. The file that it guards is
/// replaced at each write, so it cannot be locked itself.
pub fn open_lock(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    options.mode(0o600);
    open(path, &mut options).with_context(|| format!("cannot open {}", path.display()))
}

/// How long another process may keep a lock: long enough for its owner to unlock a keyring
/// meanwhile, and soon enough that a process which hangs does not stop all the others.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Locks such a file for as long as it stays open; `what` is what it guards. Waits in short steps,
/// since Ctrl-C does not end a wait inside the system where the program handles it.
pub fn lock(file: &File, what: &str) -> crate::error::Result<()> {
    lock_within(LOCK_PATIENCE, file, what)
}

fn lock_within(patience: Duration, file: &File, what: &str) -> crate::error::Result<()> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(cause)) => {
                return Err(Error::failed(format!("cannot lock {what}: {cause}")));
            }
            Err(TryLockError::WouldBlock) if began.elapsed() >= patience => {
                let patience = patience.as_secs();
                return Err(Error::failed(format!(
                    "another cloudcred is at work on {what} and did not finish within {patience} s"
                ))
                .hint("let it finish, or end it; then run the command again"));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Makes the folder and what lies above it, 0700. One that exists stays as it is: it may be
/// shared, where `CLOUDCRED_HOME` names it.
pub fn create_folder(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    let created = builder.recursive(true).create(folder);
    created.with_context(|| format!("cannot create the folder {}", folder.display()))
}

/// Makes a folder of our own, and [tightens](tighten) one that exists.
pub fn create_private_folder(folder: &Path) -> Result<Option<String>> {
    create_folder(folder)?;
    Ok(tighten(folder))
}

/// Takes the permissions of other users away from a file or folder of ours. What to tell the user,
/// where there were any.
pub fn tighten(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    let mode = mode(&metadata);
    // A device belongs to the system, whatever lies at this path.
    if mode & 0o077 == 0 || !(metadata.is_file() || metadata.is_dir()) {
        return None;
    }
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut permissions = metadata.permissions();
    #[cfg(unix)]
    permissions.set_mode(mode & 0o700);
    let tightened = fs::set_permissions(path, permissions);
    let was_open = format!("open to other users (mode {mode:04o})");
    let path = path.display();
    Some(match tightened {
        Ok(()) => format!("{path} was {was_open}; it is private now"),
        Err(error) => format!("{path} is {was_open} and cannot be made private: {error}"),
    })
}

/// Whether other users of this machine may read the file or list the folder.
pub fn readable_by_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| mode(&metadata) & 0o044 != 0)
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    metadata.mode() & 0o777
}

/// On Windows the profile folder's access list keeps others out.
#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> u32 {
    0o700
}

/// Whether a file can be made in the folder. On Windows only an attempt shows it.
#[cfg_attr(not(unix), allow(unused_variables))]
pub fn is_writable(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
    }
    #[cfg(not(unix))]
    true
}

/// Whether it is a file that may be started.
#[cfg(unix)]
pub fn is_executable(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// On Windows the name decides.
#[cfg(not(unix))]
pub fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// A rename survives a power cut only once the folder itself is on disk. Windows writes folders
/// through, and cannot open one as a file.
fn sync_parent(path: &Path) -> io::Result<()> {
    match folder_of(path) {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// The folder that the file lies in: the current one for a bare name.
pub fn folder_of(path: &Path) -> Option<&Path> {
    let folder = path.parent()?;
    Some(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_reads_replaces_and_removes() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join("deep/er/file");
        assert!(read(&path, 10).expect("a missing file is no error").is_none());
        write(&path, b"one").expect("a new file");
        write(&path, b"two").expect("a replaced file");
        assert_eq!(read(&path, 10).expect("readable").as_deref(), Some(&b"two"[..]));
        assert!(read(&path, 2).is_err(), "longer than the limit");
        assert!(remove(&path).expect("removable"));
        assert!(!remove(&path).expect("gone is no error"));
        let left: Vec<_> = fs::read_dir(home.path().join("deep/er")).expect("readable").collect();
        assert!(left.is_empty(), "no temporary file stays: {left:?}");
    }

    #[test]
    fn only_old_temporary_files_of_ours_are_swept_away() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let others = [
            "secrets.toml",
            ".cloudcred-notes",
            ".cloudcred-a1b2c3",
            ".cloudcred-0123456789-1.tmp",
            ".cloudcred-012345678901.tmp~",
        ];
        for name in others.iter().chain(&[".cloudcred-a1B2c3D4e5F6.tmp"]) {
            fs::write(home.path().join(name), "").expect("writable");
        }
        let folder = home.path().join(".cloudcred-a1B2c3D4e5F7.tmp");
        fs::create_dir(&folder).expect("a new folder");
        let left = || fs::read_dir(home.path()).expect("readable").count();
        sweep(home.path(), Duration::from_secs(60)).expect("readable");
        assert_eq!(left(), 7, "a process may be writing it");
        sweep(home.path(), Duration::ZERO).expect("removable");
        assert!(others.iter().all(|name| home.path().join(name).exists()));
        assert_eq!(left(), 6);
        sweep(&home.path().join("nowhere"), Duration::ZERO).expect("nothing is there");
        // What a writer makes is known again.
        std::mem::forget(new_temporary(home.path()).expect("writable"));
        assert_eq!(left(), 7);
        sweep(home.path(), Duration::ZERO).expect("removable");
        assert_eq!(left(), 6);
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_opened_and_replaced() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| home.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status();
        assert!(made.expect("POSIX has it").success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("bound");
        fs::create_dir(path("folder")).expect("a new folder");
        let link = |to: &str| {
            let name = path(&format!("link{}", to.replace('/', "-")));
            std::os::unix::fs::symlink(to, &name).expect("a new link");
            name
        };
        for (path, what) in [
            (path("pipe"), "a named pipe"),
            (path("socket"), "a socket"),
            (path("folder"), "a folder"),
            (link("pipe"), "a named pipe"),
            (link("/dev/zero"), "a device"),
        ] {
            let refusals =
                [read(&path, 10).map(drop), write(&path, b"new"), open_lock(&path).map(drop)];
            for refused in refusals {
                let refused = format!("{:#}", refused.expect_err(what));
                assert!(refused.contains(&format!("it is {what}, not")), "{refused}");
            }
        }
        let null = link("/dev/null");
        assert_eq!(read(&null, 10).expect("no file"), Some(Vec::new()));
        write(&null, b"new").expect_err("it stays a device");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_its_file_is_what_is_written_and_removed() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (path, target) = (home.path().join("link"), home.path().join("else/where"));
        std::os::unix::fs::symlink("else/where", &path).expect("a new link");
        for content in [b"one", b"two"] {
            write(&path, content).expect("writable");
            assert!(path.is_symlink());
            assert_eq!(fs::read(&target).expect("there"), content);
        }
        assert!(remove(&path).expect("removable"));
        assert!(!path.is_symlink() && !target.exists());
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
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join("loose");
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("chmod");
        let path = folder.join("file");
        fs::write(&path, "old").expect("an old file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        write(&path, b"new").expect("replaced");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&folder), 0o755, "it may be shared");
        let told = create_private_folder(&folder).expect("ours");
        assert!(told.is_some_and(|told| told.contains("(mode 0755)")));
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(tighten(&folder), None, "told once");
    }
}
