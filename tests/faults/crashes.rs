//! Whatever dies, and whenever: the program is killed at every write to the disk, or finds the disk
//! full from there on; then the run is resumed, or undone. Never may an active key remain whose
//! secret nobody has.
//!
//! How often a command writes is known only once it has run: each table has some cases more, in which
//! nothing dies and the rest must be so all the same.

use crate::runner::Test;
use crate::support::fsync_fault::{counted, full_from, killed_at};
use crate::support::home::Home;
use crate::support::moto::SeededAccount;
use crate::support::parts::Part;
use crate::support::proxy::{Proxy, aws_error};
use crate::{home, home_at, is_full, moto, stored_pair};

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

/// No command of these writes more often.
const SETUP_WRITES: usize = 64;
const UNDO_WRITES: usize = 52;
const RESUME_WRITES: usize = 64;
/// About the middle of a run: the user is made.
const HALF_WAY: usize = 14;

pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for verb in [Verb::Undo, Verb::Resume] {
        let mut table = |what: &str, writes: usize, case: fn(usize, Verb)| {
            // One after the other, the writes of a step are alike: a part of them will do for every day.
            let step = if is_full() { 1 } else { 4 };
            tests.extend((1..=writes).step_by(step).map(|at| {
                let name = format!("crashes::{what}_at_write_{at:02}_then_{}", verb.word());
                Test::new(name, move || case(at, verb)).needs(&[Part::CCompiler])
            }));
        };
        table("setup_killed", SETUP_WRITES, setup_is_killed);
        table("undo_killed", UNDO_WRITES, undo_is_killed);
        table("resume_killed", RESUME_WRITES, resume_is_killed);
        table("disk_full", SETUP_WRITES, disk_is_full);
    }
    tests
}

#[derive(Clone, Copy)]
enum Verb {
    Undo,
    Resume,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Verb::Undo => "undo",
            Verb::Resume => "resume",
        }
    }
}

/// An account and a home whose program dies at this write.
fn dying(at: usize) -> (SeededAccount, Home) {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    (account, killed_at(home, at))
}

/// Whether it was killed; else it came to its end before.
#[track_caller]
fn is_killed(home: &Home, arguments: &[&str]) -> bool {
    let ran = home.run(arguments);
    assert!([0, KILLED].contains(&ran.code), "{ran}");
    ran.code == KILLED
}

/// Nothing dies any more.
fn healed(home: Home) -> Home {
    home.variable("FSYNC_FAULT", "")
}

fn setup_is_killed(at: usize, verb: Verb) {
    let (account, home) = dying(at);
    let is_killed = is_killed(&home, SETUP);
    let home = healed(home);
    match verb {
        Verb::Undo => is_undone(&account, &home),
        Verb::Resume if is_killed => is_resumed(&account, &home),
        Verb::Resume => nothing_is_open(&home),
    }
}

fn undo_is_killed(at: usize, verb: Verb) {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let home = killed_at(home, at);
    let is_killed = is_killed(&home, &["undo", "--yes"]);
    no_key_is_lost(&account, &home);
    let home = healed(home);
    match verb {
        Verb::Undo => is_undone(&account, &home),
        Verb::Resume if is_killed => is_resumed(&account, &home),
        Verb::Resume => nothing_is_open(&home),
    }
}

/// What died in the middle, and then died in the middle of being finished.
fn resume_is_killed(at: usize, verb: Verb) {
    let (account, home) = dying(HALF_WAY);
    home.run(SETUP).expect(KILLED);
    let home = killed_at(home, at);
    let is_killed = is_killed(&home, &["resume", "--yes"]);
    let home = healed(home);
    match verb {
        Verb::Undo => is_undone(&account, &home),
        Verb::Resume if is_killed => is_resumed(&account, &home),
        Verb::Resume => nothing_is_open(&home),
    }
}

fn disk_is_full(at: usize, verb: Verb) {
    let account = moto().seeded_account();
    let home = full_from(home().credentials(&account.bootstrap), at);
    let ran = home.run(SETUP);
    no_key_is_lost(&account, &home);
    let home = healed(home);
    if ran.code == 0 {
        works(&account, &home);
        return;
    }
    let kind = &ran.json()["error"]["kind"];
    if ran.code == 1 {
        assert_eq!(kind, "failed", "{ran}");
        assert!(account.user("ana").is_none(), "{ran}");
        return;
    }
    assert_eq!((ran.code, kind.as_str()), (5, Some("partly_applied")), "{ran}");
    match verb {
        Verb::Undo => is_undone(&account, &home),
        Verb::Resume => is_resumed(&account, &home),
    }
}

#[track_caller]
fn nothing_is_open(home: &Home) {
    let resumed = home.run(&["resume", "--yes", "--output", "json"]);
    assert_eq!(resumed.expect(0).json()["changed"], false);
}

#[track_caller]
fn is_undone(account: &SeededAccount, home: &Home) {
    home.run(&["undo", "--yes"]).expect(0);
    assert!(account.user("ana").is_none(), "the user is left");
    nothing_is_left_in_the_stores(home);
    assert!(no_profile_is_left(home), "{}", home.read(".aws/config"));
    let list = home.run(&["secret", "list", "--output", "json"]).expect(0);
    assert_eq!(list.json()["secrets"], serde_json::json!([]));
    nothing_is_open(home);
}

/// Where nothing was made yet, or all was taken back but to say so, there is nothing to resume.
#[track_caller]
fn is_resumed(account: &SeededAccount, home: &Home) {
    let resumed = home.run(&["resume", "--yes", "--output", "json"]);
    let resumed = resumed.expect(0).json();
    no_key_is_lost(account, home);
    let Some(user) = account.user("ana") else {
        assert_eq!(resumed["changed"], false);
        return;
    };
    // Unless all that was missing was to say so, the password is a new one, and shown.
    if let Some(password) = resumed["console_password"].as_str() {
        assert_eq!(user.console_password.as_deref(), Some(password));
    }
    works(account, home);
    nothing_is_open(home);
}

#[track_caller]
fn works(account: &SeededAccount, home: &Home) {
    let user = account.user("ana").expect("it was made");
    let pair = stored_pair(&home.read(STORED));
    assert_eq!(user.access_keys.len(), 1);
    assert!(user.tags.contains_key(&pair.access_key_id), "it has no description");
    assert_eq!(user.attached_policies.len(), 1);
    let list = home.run(&["secret", "list", "--output", "json"]).expect(0).json();
    let secret = &list["secrets"][0];
    assert_eq!(secret["access_key_id"], pair.access_key_id.as_str());
    assert_eq!(secret["current"], true);
    let config = home.read(".aws/config");
    assert_eq!(config.matches("[profile cs]").count(), 1, "{config}");
    let as_user = crate::home().credentials(&pair);
    as_user.run(&["setup", "--mode", "existing"]).expect(0);
}

/// How often the disk is made to keep something while this runs.
fn writes(home: &Home, arguments: &[&str]) -> usize {
    let file = home.path().join("count");
    let home = counted(home.copy(), &file);
    home.run(arguments).expect(0);
    std::fs::metadata(&file).expect("it was counted").len() as usize
}

#[test(CCompiler)]
fn the_tables_hold_every_write() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let setup = writes(&home, SETUP);
    assert!(setup > HALF_WAY && setup <= SETUP_WRITES, "setup writes {setup} times");
    let before = writes_so_far(&home);
    let undo = writes(&home, &["undo", "--yes"]) - before;
    assert!(undo > 3 && undo <= UNDO_WRITES, "undo writes {undo} times");

    let (_account, home) = dying(HALF_WAY);
    home.run(SETUP).expect(KILLED);
    let resume = writes(&healed(home), &["resume", "--yes"]);
    assert!(resume > 3 && resume <= RESUME_WRITES, "resume writes {resume} times");
    println!("setup writes {setup} times, undo {undo} times, resume {resume} times");
}

fn writes_so_far(home: &Home) -> usize {
    std::fs::metadata(home.path().join("count")).map_or(0, |file| file.len() as usize)
}

/// Every key of the user is the stored one.
#[track_caller]
fn no_key_is_lost(account: &SeededAccount, home: &Home) {
    let Some(user) = account.user("ana") else {
        return;
    };
    let stored = home.path().join(STORED);
    let stored = stored.exists().then(|| stored_pair(&home.read(STORED)).access_key_id);
    for (id, _) in &user.access_keys {
        assert_eq!(Some(id), stored.as_ref(), "nobody has the secret of {id}");
    }
}

/// Neither a secret, nor a half-written one, nor a half-written index.
#[track_caller]
fn nothing_is_left_in_the_stores(home: &Home) {
    let data = home.path().join(".local/share/cloudcred");
    let mut left = home.files();
    left.retain(|path| {
        let name = path.file_name().expect("a file has a name");
        let half_written = name.to_string_lossy().starts_with(".cloudcred-");
        path.starts_with(data.join("secrets")) || (path.starts_with(&data) && half_written)
    });
    assert!(left.is_empty(), "{left:?}");
}

fn no_profile_is_left(home: &Home) -> bool {
    let config = home.path().join(".aws/config");
    std::fs::read(config).is_ok_and(|bytes| bytes.is_empty())
        || !home.path().join(".aws/config").exists()
}

#[test(CCompiler)]
fn a_pair_that_is_given_again_is_checked_again() {
    let account = moto().seeded_account();
    let proxy = Proxy::as_root(moto().address(), &account.id);
    let home = killed_at(home_at(&proxy.url()), 4);
    let setup = ["setup", "--mode", "root", "--acknowledge-root-risk"];
    let setup = [&setup[..], &["--store", "file", "--key-stdin"]].concat();
    let pair = &account.bootstrap;
    let lines = |secret: &str| format!("{}\n{secret}\n", pair.access_key_id);
    home.run_with_stdin(&setup, &lines(&pair.secret_access_key)).expect(KILLED);
    let stored = home.path().join(".local/share/cloudcred/secrets/aws/root.json");
    assert!(!stored.exists(), "killed before");

    // As AWS answers where the halves do not belong together.
    let wrong = aws_error(403, "SignatureDoesNotMatch", "The signature does not match");
    let strict = Proxy::start(moto().address()).rule("GetCallerIdentity", wrong);
    let home = home.variable("FSYNC_FAULT", "").endpoint(&strict.url());
    let resume = ["resume", "--yes", "--key-stdin"];
    let refused = home.run_with_stdin(&resume, &lines(&"w".repeat(40))).expect(4);
    assert!(refused.stderr.contains("SignatureDoesNotMatch"), "{refused}");
    assert!(!stored.exists());

    // It works, and is not root's.
    let home = home.endpoint(&moto().url());
    let refused = home.run_with_stdin(&resume, &lines(&pair.secret_access_key)).expect(4);
    assert!(refused.stderr.contains("the root user"), "{refused}");
    assert!(!stored.exists());

    let home = home.endpoint(&proxy.url());
    home.run_with_stdin(&resume, &lines(&pair.secret_access_key)).expect(0);
    assert!(stored.exists());
}
