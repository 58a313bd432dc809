//! Whatever dies, and whenever: the program is killed at every write to the disk, or finds the disk
//! full from there on; then the run is resumed, or undone. Never may an active key remain whose
//! secret nobody has.

use crate::support::fsync_fault::{counted, full_from, killed_at};
use crate::support::home::Home;
use crate::support::moto::SeededAccount;
use crate::support::proxy::{Proxy, aws_error};
use crate::{each, home, home_at, moto, stored_pair};

const SETUP: &[&str] = &[
    "setup",
    "--yes",
    "--mode",
    "iam-user",
    "--user-name",
    "ana",
    "--store",
    "file",
    "--console-password",
    "generate",
    "--aws-profile",
    "cs",
    "--output",
    "json",
];
const STORED: &str = ".local/share/cloudcred/secrets/aws/ana.json";
const KILLED: i32 = 128 + 9;

/// How often a whole run makes the disk keep something.
fn writes() -> usize {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let file = home.path().join("count");
    let home = counted(home, &file);
    home.run(SETUP).expect(0);
    std::fs::metadata(&file).expect("it was counted").len() as usize
}

/// Every key of the user is the stored one.
#[track_caller]
fn no_key_is_lost(account: &SeededAccount, home: &Home, context: &str) {
    let Some(user) = account.user("ana") else {
        return;
    };
    let stored = home.path().join(STORED);
    let stored = stored
        .exists()
        .then(|| stored_pair(&home.read(STORED)).access_key_id);
    for (id, _) in &user.access_keys {
        assert_eq!(
            Some(id),
            stored.as_ref(),
            "{context}: nobody has the secret of {id}"
        );
    }
}

/// Neither a secret, nor a half-written one, nor a half-written index.
#[track_caller]
fn nothing_is_left_in_the_stores(home: &Home, context: &str) {
    let data = home.path().join(".local/share/cloudcred");
    let mut left = home.files();
    left.retain(|path| {
        let name = path.file_name().expect("a file has a name");
        let half_written = name.to_string_lossy().starts_with(".cloudcred-");
        path.starts_with(data.join("secrets")) || (path.starts_with(&data) && half_written)
    });
    assert!(left.is_empty(), "{context}: {left:?}");
}

fn no_profile_is_left(home: &Home) -> bool {
    let config = home.path().join(".aws/config");
    std::fs::read(config).is_ok_and(|bytes| bytes.is_empty())
        || !home.path().join(".aws/config").exists()
}

#[test]
fn a_kill_at_every_write_is_resumed() {
    let writes = writes();
    assert!(writes > 20, "only {writes} writes");
    each(writes, |at| {
        let account = moto().seeded_account();
        let home = home().credentials(&account.bootstrap);
        let home = killed_at(home, at);
        home.run(SETUP).expect(KILLED);
        let home = home.variable("FSYNC_FAULT", "");
        let resumed = home
            .run(&["resume", "--yes", "--output", "json"])
            .expect(0)
            .json();
        no_key_is_lost(&account, &home, &format!("killed at write {at}"));
        match account.user("ana") {
            Some(user) => {
                assert_eq!(user.access_keys.len(), 1, "killed at write {at}");
                let pair = stored_pair(&home.read(STORED));
                assert!(
                    user.tags.contains_key(&pair.access_key_id),
                    "killed at write {at}"
                );
                // Unless all that was missing was to say so, the password is a new one, and shown.
                if let Some(password) = resumed["console_password"].as_str() {
                    assert_eq!(user.console_password.as_deref(), Some(password));
                }
                let list = home
                    .run(&["secret", "list", "--output", "json"])
                    .expect(0)
                    .json();
                assert_eq!(
                    list["secrets"][0]["access_key_id"],
                    pair.access_key_id.as_str()
                );
                assert_eq!(list["secrets"][0]["current"], true, "killed at write {at}");
                let config = home.read(".aws/config");
                assert_eq!(config.matches("[profile cs]").count(), 1, "{config}");
            }
            // Killed before the journal existed: then nothing else did, either.
            None => assert_eq!(resumed["changed"], false, "killed at write {at}"),
        }
    });
}

#[test]
fn a_kill_at_every_write_is_undone() {
    let writes = writes();
    each(writes, |at| {
        let account = moto().seeded_account();
        let home = home().credentials(&account.bootstrap);
        let home = killed_at(home, at);
        home.run(SETUP).expect(KILLED);
        let home = home.variable("FSYNC_FAULT", "");
        home.run(&["undo", "--yes"]).expect(0);
        assert!(account.user("ana").is_none(), "killed at write {at}");
        nothing_is_left_in_the_stores(&home, &format!("killed at write {at}"));
        assert!(no_profile_is_left(&home), "killed at write {at}");
        let list = home.run(&["secret", "list"]).expect(0);
        assert!(
            list.stdout.contains("no secrets yet"),
            "killed at write {at}: {list}"
        );
    });
}

#[test]
fn a_kill_during_undo_is_undone_when_repeated() {
    let setup = |home: &Home| home.run(SETUP).expect(0);
    let undo_writes = {
        let account = moto().seeded_account();
        let home = home().credentials(&account.bootstrap);
        setup(&home);
        let file = home.path().join("count");
        let home = counted(home, &file);
        home.run(&["undo", "--yes"]).expect(0);
        std::fs::metadata(&file).expect("it was counted").len() as usize
    };
    each(undo_writes, |at| {
        let account = moto().seeded_account();
        let home = home().credentials(&account.bootstrap);
        setup(&home);
        let home = killed_at(home, at);
        home.run(&["undo", "--yes"]).expect(KILLED);
        no_key_is_lost(&account, &home, &format!("undo killed at write {at}"));
        let home = home.variable("FSYNC_FAULT", "");
        home.run(&["undo", "--yes"]).expect(0);
        assert!(account.user("ana").is_none(), "undo killed at write {at}");
        nothing_is_left_in_the_stores(&home, &format!("undo killed at write {at}"));
        assert!(no_profile_is_left(&home), "undo killed at write {at}");
    });
}

#[test]
fn a_disk_that_is_full_at_any_time_loses_no_key() {
    let writes = writes();
    each(writes, |at| {
        let account = moto().seeded_account();
        let home = home().credentials(&account.bootstrap);
        let home = full_from(home, at);
        let ran = home.run(SETUP);
        assert_ne!(ran.code, KILLED, "{ran}");
        no_key_is_lost(
            &account,
            &home,
            &format!("disk full from write {at}: {ran}"),
        );
        let home = home.variable("FSYNC_FAULT", "");
        match ran.code {
            // Either all of it is there, or nothing.
            0 => assert!(account.user("ana").is_some(), "{ran}"),
            1 => assert!(account.user("ana").is_none(), "{ran}"),
            5 if at % 2 == 0 => {
                home.run(&["undo", "--yes"]).expect(0);
                assert!(account.user("ana").is_none(), "{ran}");
                assert!(!home.path().join(STORED).exists(), "{ran}");
            }
            5 => {
                home.run(&["resume", "--yes"]).expect(0);
                no_key_is_lost(&account, &home, &format!("{ran}"));
                assert!(account.user("ana").is_some(), "{ran}");
            }
            _ => panic!("disk full from write {at}: {ran}"),
        }
    });
}

/// Resume goes on from wherever undo was cut off.
#[test]
fn a_kill_during_undo_is_resumed() {
    let undo_writes = writes_of(&["undo", "--yes"], |_| ());
    each(undo_writes, |at| {
        let account = moto().seeded_account();
        let home = home().credentials(&account.bootstrap);
        home.run(SETUP).expect(0);
        let home = killed_at(home, at);
        home.run(&["undo", "--yes"]).expect(KILLED);
        let home = home.variable("FSYNC_FAULT", "");
        let context = format!("undo killed at write {at}");
        let resumed = home.run(&["resume", "--yes"]).expect(0);
        no_key_is_lost(&account, &home, &context);
        // Where all was taken back but to say so, or nothing was, there is nothing to resume.
        if let Some(user) = account.user("ana") {
            let pair = stored_pair(&home.read(STORED));
            assert_eq!(user.access_keys.len(), 1, "{context}: {resumed}");
            assert!(user.tags.contains_key(&pair.access_key_id), "{context}");
            assert_eq!(user.attached_policies.len(), 1, "{context}");
            let as_user = crate::home().credentials(&pair);
            as_user.run(&["setup", "--mode", "existing"]).expect(0);
        }
    });
}

/// What died in the middle, and then died in the middle of being finished, is taken back.
#[test]
fn a_kill_during_resume_is_undone() {
    let half_way = writes() / 2;
    let prepare = |home: &Home| {
        home.command(SETUP)
            .env("FSYNC_FAULT", format!("kill:{half_way}"))
            .output()
            .expect("it starts");
    };
    let resume_writes = writes_of(&["resume", "--yes"], prepare);
    each(resume_writes, |at| {
        let account = moto().seeded_account();
        let home = killed_at(home().credentials(&account.bootstrap), half_way);
        home.run(SETUP).expect(KILLED);
        let home = killed_at(home, at);
        home.run(&["resume", "--yes"]).expect(KILLED);
        no_key_is_lost(&account, &home, &format!("resume killed at write {at}"));
        let home = home.variable("FSYNC_FAULT", "");
        home.run(&["undo", "--yes"]).expect(0);
        assert!(account.user("ana").is_none(), "resume killed at write {at}");
        assert!(!home.path().join(STORED).exists(), "resume killed at {at}");
    });
}

/// How often a command makes the disk keep something, after a setup that `prepare` may replace.
fn writes_of(arguments: &[&str], prepare: impl Fn(&Home)) -> usize {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let file = home.path().join("count");
    let home = counted(home, &file);
    prepare(&home);
    if !home.path().join(".local/state/cloudcred/runs").exists() {
        home.run(SETUP).expect(0);
    }
    std::fs::write(&file, "").expect("counted anew");
    home.run(arguments).expect(0);
    std::fs::metadata(&file).expect("it was counted").len() as usize
}

#[test]
fn a_pair_that_is_given_again_is_checked_again() {
    let account = moto().seeded_account();
    let proxy = Proxy::as_root(moto().address(), &account.id);
    let home = killed_at(home_at(&proxy.url()), 4);
    let setup = ["setup", "--mode", "root", "--acknowledge-root-risk"];
    let setup = [&setup[..], &["--store", "file", "--key-stdin"]].concat();
    let pair = &account.bootstrap;
    let lines = |secret: &str| format!("{}\n{secret}\n", pair.access_key_id);
    home.run_with_stdin(&setup, &lines(&pair.secret_access_key))
        .expect(KILLED);
    let stored = home
        .path()
        .join(".local/share/cloudcred/secrets/aws/root.json");
    assert!(!stored.exists(), "killed before");

    // As AWS answers where the halves do not belong together.
    let wrong = aws_error(403, "SignatureDoesNotMatch", "The signature does not match");
    let strict = Proxy::start(moto().address()).rule("GetCallerIdentity", wrong);
    let home = home.variable("FSYNC_FAULT", "").endpoint(&strict.url());
    let resume = ["resume", "--yes", "--key-stdin"];
    let refused = home
        .run_with_stdin(&resume, &lines(&"w".repeat(40)))
        .expect(4);
    assert!(
        refused.stderr.contains("SignatureDoesNotMatch"),
        "{refused}"
    );
    assert!(!stored.exists());

    // It works, and is not root's.
    let home = home.endpoint(&moto().url());
    let refused = home
        .run_with_stdin(&resume, &lines(&pair.secret_access_key))
        .expect(4);
    assert!(refused.stderr.contains("the root user"), "{refused}");
    assert!(!stored.exists());

    let home = home.endpoint(&proxy.url());
    home.run_with_stdin(&resume, &lines(&pair.secret_access_key))
        .expect(0);
    assert!(stored.exists());
}
