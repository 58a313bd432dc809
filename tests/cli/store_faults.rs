//! What else may lie where cloudcred keeps its files: pipes, devices, links, other people's files and
//! loose permissions. And what must not get out of the process: a core dump.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::secrets::{ADD, FOLDER, lines, list, says, stored};
use crate::support::home::Home;
use crate::support::process::{self, Running, poll};
use crate::{home, keep, made_up_pair};

const DATA: &str = ".local/share/cloudcred";
const NAMED: &[&str] = &["secret", "use", "ana"];

fn scene() -> Home {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    home.run(NAMED).expect(0);
    home
}

fn document(home: &Home) -> PathBuf {
    home.path().join(FOLDER).join("ana.json")
}

fn put_pipe(path: &Path) {
    fs::remove_file(path).expect("a file of ours");
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("POSIX has it").success());
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// Runs it for a few seconds at most: a program that waits for a pipe waits for ever.
fn run(home: &Home, arguments: &[&str]) -> process::Ran {
    let input = Some(lines(&made_up_pair(2)));
    process::run(home.command(arguments), input.as_deref(), Duration::from_secs(10))
}

#[test]
fn a_pipe_in_the_place_of_a_document_is_neither_read_nor_replaced() {
    let home = scene();
    let document = document(&home);
    put_pipe(&document);
    for command in [
        &["export", "ana"][..],
        &["credential-process"],
        &["secret", "show", "ana"],
        &["secret", "rename", "ana", "bob"],
        &[ADD, &["--no-verify", "--replace"]].concat(),
    ] {
        let refused = run(&home, command).expect(1);
        says(&refused, &["ana.json", "a named pipe"]);
        let kind = fs::symlink_metadata(&document).expect("there").file_type();
        assert!(kind.is_fifo(), "{refused}");
    }
}

#[test]
fn a_pipe_in_the_place_of_the_index_or_its_lock_is_neither_read_nor_replaced() {
    for name in ["secrets.toml", "secrets.lock"] {
        let home = scene();
        let path = home.path().join(DATA).join(name);
        put_pipe(&path);
        says(&run(&home, NAMED).expect(1), &[name, "a named pipe"]);
        assert!(fs::metadata(&path).expect("there").file_type().is_fifo());
    }
}

#[test]
fn an_endless_device_is_not_read() {
    let home = scene();
    fs::remove_file(document(&home)).expect("a file of ours");
    symlink("/dev/zero", document(&home)).expect("a new link");
    says(&run(&home, &["export"]).expect(1), &["a device"]);
    let add = [ADD, &["--no-verify", "--replace"]].concat();
    says(&run(&home, &add).expect(1), &["a device"]);
    assert!(document(&home).is_symlink());
}

#[test]
fn files_of_others_are_left_alone_whatever_they_are_called() {
    let home = scene();
    let others = [
        ".cloudcred-notes",
        ".cloudcred-backup",
        "secrets/aws/.cloudcred-notes",
        "secrets/aws/.probe-notes",
    ];
    for name in others {
        home.write(&format!("{DATA}/{name}"), "not ours");
    }
    let folders = [
        ".cloudcred-folder",
        ".cloudcred-a1B2c3D4e5F6.tmp",
        "secrets/aws/.cloudcred-a1B2c3D4e5F6.tmp",
        "secrets/aws/.cloudcred-notes.d",
    ];
    for name in folders {
        fs::create_dir(home.path().join(DATA).join(name)).expect("a new folder");
    }
    home.run(&["secret", "rename", "ana", "bob"]).expect(0);
    keep(&home, "ana", &made_up_pair(1));
    for name in others.iter().chain(&folders) {
        assert!(home.path().join(DATA).join(name).exists(), "{name}");
    }
}

#[test]
fn what_others_could_read_is_told_once_and_made_private() {
    let home = scene();
    let data = home.path().join(DATA);
    let loose = [
        (document(&home), 0o644, 0o600),
        (data.join("secrets/aws"), 0o777, 0o700),
        (data.join("secrets"), 0o750, 0o700),
        (data, 0o755, 0o700),
    ];
    for (path, before, _) in &loose {
        set_mode(path, *before);
    }
    let told = home.run(&["export", "ana"]).expect(0);
    for (path, before, after) in &loose {
        let path_shown = path.to_str().expect("UTF-8");
        let mode_shown = format!("(mode {before:04o})");
        let mut lines = told.stderr.lines();
        let is_it = |line: &str| line.contains(&format!("{path_shown} was open"));
        let line = lines.find(|line| is_it(line)).expect(path_shown);
        assert!(line.contains(&mode_shown), "{told}");
        assert_eq!(mode(path), *after, "{path_shown}");
    }
    assert_eq!(home.run(&["export", "ana"]).expect(0).stderr, "");
}

#[test]
fn a_folder_that_the_user_has_named_keeps_its_mode() {
    let home = home();
    let folder = home.path().join("shared");
    fs::create_dir(&folder).expect("a new folder");
    set_mode(&folder, 0o755);
    let home = home.variable("CLOUDCRED_HOME", folder.to_str().expect("UTF-8"));
    keep(&home, "ana", &made_up_pair(1));
    assert_eq!(home.run(&["export", "ana"]).expect(0).stderr, "");
    assert_eq!(mode(&folder), 0o755);
    assert_eq!(mode(&folder.join("secrets")), 0o700);
}

#[test]
fn a_linked_document_and_index_are_written_through_their_links() {
    let home = scene();
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a new folder");
    let linked = [document(&home), home.path().join(DATA).join("secrets.toml")];
    for path in &linked {
        let target = elsewhere.join(path.file_name().expect("a file's"));
        fs::rename(path, &target).expect("the same disk");
        symlink(&target, path).expect("a new link");
    }
    let add = [ADD, &["--no-verify", "--replace"]].concat();
    run(&home, &add).expect(0);
    assert!(linked.iter().all(|path| path.is_symlink()));
    assert_eq!(stored(&home, "ana").access_key_id, made_up_pair(2).access_key_id);
    assert_eq!(list(&home)[0]["access_key_id"], made_up_pair(2).access_key_id.as_str());
    // The secret goes, and not only the link to it.
    home.run(&["secret", "remove", "ana", "--yes"]).expect(0);
    let secret = made_up_pair(2).secret_access_key;
    assert_eq!(home.files_holding(&secret), [""; 0].map(PathBuf::from));
}

#[test]
fn a_data_folder_that_depends_on_where_one_stands_is_refused() {
    let home = home();
    let add = [ADD, &["--no-verify"]].concat();
    for value in ["data", "./data", "~ana/data"] {
        let mut command = home.command(&add);
        command.env("CLOUDCRED_HOME", value);
        let refused = process::run(command, Some(""), Duration::from_secs(10)).expect(2);
        says(&refused, &["CLOUDCRED_HOME"]);
    }
    let mut command = home.command(&add);
    command.env("CLOUDCRED_HOME", OsString::from_vec(b"/tmp/\xff".to_vec()));
    let refused = process::run(command, Some(""), Duration::from_secs(10)).expect(2);
    says(&refused, &["CLOUDCRED_HOME", "UTF-8"]);
    assert_eq!(home.files(), [""; 0].map(PathBuf::from), "nothing was made");

    let home = home.variable("CLOUDCRED_HOME", "~/own");
    keep(&home, "ana", &made_up_pair(1));
    assert!(home.path().join("own/secrets/aws/ana.json").is_file());
    let home = home.variable("CLOUDCRED_HOME", "");
    let home = home.variable("XDG_DATA_HOME", "data");
    keep(&home, "bob", &made_up_pair(1));
    assert!(home.path().join(FOLDER).join("bob.json").is_file());
}

#[test]
fn names_that_windows_cannot_keep_are_refused_for_new_secrets_only() {
    let home = scene();
    for name in ["con", "Nul.json", "com1", "LPT9.old", "ana."] {
        let add = ["secret", "add", name, "--store", "file", "--key-stdin"];
        says(&run(&home, &add).expect(2), &[name, "Windows"]);
        let rename = ["secret", "rename", "ana", name];
        says(&run(&home, &rename).expect(2), &[name, "Windows"]);
    }
    // An earlier version may have let one through.
    let index = home.read(&format!("{DATA}/secrets.toml"));
    home.write(&format!("{DATA}/secrets.toml"), &index.replace("\"ana\"", "\"con\""));
    fs::rename(document(&home), home.path().join(FOLDER).join("con.json")).expect("a new name");
    home.run(&["secret", "show", "con"]).expect(0);
    home.run(&["exec", "--", "true"]).expect(0);
    let add = ["secret", "add", "con", "--key-stdin", "--no-verify"];
    run(&home, &[&add[..], &["--replace"]].concat()).expect(0);
    home.run(&["secret", "rename", "con", "ana"]).expect(0);
    assert_eq!(list(&home)[0]["name"], "ana");
}

#[test]
fn no_core_dump_is_left_of_a_process_that_may_hold_a_secret() {
    let home = scene();
    // It waits for the pair on its standard input.
    let waiting = Running::start(home.command(&[ADD, &["--no-verify"]].concat()));
    let limits = format!("/proc/{}/limits", waiting.child().id());
    let none = poll(Duration::from_secs(10), || {
        let limits = fs::read_to_string(&limits).ok()?;
        let line = limits.lines().find(|line| line.contains("core file size"))?;
        let soft = line.split_whitespace().nth(4)?.to_owned();
        (soft == "0").then_some(())
    });
    assert!(none.is_some(), "{limits}");
    waiting.end();

    // The command that takes its place gets the limit that its caller has set.
    let program = env!("CARGO_BIN_EXE_cloudcred");
    let script = format!(
        "ulimit -S -c $(ulimit -H -c); ulimit -c; exec {program} exec ana -- sh -c 'ulimit -c'"
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    home.clean(&mut command);
    let ran = process::run(command, None, Duration::from_secs(10)).expect(0);
    let limits: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(limits.len(), 2, "{ran}");
    assert_eq!(limits[0], limits[1], "{ran}");
}
