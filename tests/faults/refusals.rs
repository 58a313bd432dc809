//! `setup` when something goes wrong on the way: each time an exit code, one line and a hint, and
//! nothing half-made left behind unmentioned.

use std::time::{Duration, Instant};

use crate::support::moto::{KeyPair, SeededAccount};
use crate::support::process::{self, Ran};
use crate::support::proxy::{Answer, Effect, Gate, Proxy, Rule, Which, aws_error};
use crate::{home, home_at, moto, stored_pair};

const SETUP: &[&str] = &[
    "setup",
    "--no-input",
    "--yes",
    "--mode",
    "iam-user",
    "--user-name",
    "ci-admin",
    "--store",
    "file",
];
const STORED: &str = ".local/share/cloudcred/secrets/aws/ci-admin.json";

fn lines(pair: &KeyPair) -> String {
    format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key)
}

/// One line that says what happened, one that says what to do, and no stack trace.
#[track_caller]
fn explained(ran: &Ran, what: &str, hint: &str) {
    let line = |start: &str| {
        let mut lines = ran.stderr.lines().filter(|line| line.starts_with(start));
        let line = lines.next().unwrap_or_else(|| panic!("no {start}\n{ran}"));
        assert!(lines.next().is_none(), "{ran}");
        line.to_owned()
    };
    assert!(line("error:").contains(what), "{ran}");
    assert!(line("hint:").contains(hint), "{ran}");
    assert!(!ran.stderr.contains("stack backtrace"), "{ran}");
}

#[track_caller]
fn nothing_of_it_is_left(account: &SeededAccount) {
    let names: Vec<String> = account.users().into_keys().collect();
    assert_eq!(names, ["bootstrap", "creator", "nobody"]);
}

#[test]
fn a_wrong_clock_is_told_with_the_right_time() {
    let account = moto().seeded_account();
    let message = "Signature expired: 20200101T000000Z is now earlier than 20261124T000000Z";
    let Effect::Answer(answer) = aws_error(403, "SignatureDoesNotMatch", message) else {
        unreachable!("an error is an answer");
    };
    let date = ("Date".to_owned(), "Tue, 24 Nov 2026 00:00:00 GMT".to_owned());
    let headers = [answer.headers, vec![date]].concat();
    let late = Effect::Answer(Answer { headers, ..answer });
    let proxy = Proxy::start(moto().address()).rule("*", late);
    let ran = home_at(&proxy.url()).credentials(&account.bootstrap).run(SETUP).expect(1);
    explained(&ran, "clock is wrong", "set the clock");
    assert!(ran.stderr.contains("Tue, 24 Nov 2026 00:00:00 GMT"), "{ran}");
}

#[test]
fn a_folder_that_cannot_be_written_stops_before_anything_is_made() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    // A file where the folder should be stops the superuser, too.
    home.write(".local/share/cloudcred/secrets", "");
    let ran = home.run(SETUP).expect(1);
    explained(&ran, ".local/share/cloudcred/secrets", "CLOUDCRED_HOME");
    assert_eq!(account.changing_calls(), [""; 0]);

    let home = crate::home().credentials(&account.bootstrap);
    home.write(".local/state/cloudcred", "");
    let ran = home.run(SETUP).expect(1);
    explained(&ran, ".local/state/cloudcred", "CLOUDCRED_HOME");
    assert_eq!(account.changing_calls(), [""; 0]);
}

#[test]
fn a_taken_secret_is_replaced_only_for_its_own_user_and_only_when_asked() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let first = home.read(STORED);

    // Somebody else's name: never.
    let other: Vec<&str> = SETUP
        .iter()
        .map(|word| if *word == "ci-admin" { "other" } else { *word })
        .chain(["--secret", "ci-admin", "--if-exists", "reuse"])
        .collect();
    let ran = home.run(&other).expect(1);
    explained(&ran, "there is a secret `ci-admin` already", "--secret");
    assert_eq!(home.read(STORED), first);
    assert!(account.user("other").is_none());

    // The same user, whose key no longer works: with --if-exists reuse.
    account.delete_access_key("ci-admin", &stored_pair(&first).access_key_id);
    home.run(&[SETUP, &["--if-exists", "reuse"]].concat()).expect(0);
    let second = stored_pair(&home.read(STORED));
    assert_ne!(second.access_key_id, stored_pair(&first).access_key_id);
    assert!(home.files_holding(&stored_pair(&first).secret_access_key).is_empty());
}

#[test]
fn the_old_secret_comes_back_when_a_later_step_fails() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let first = home.read(STORED);
    let index = home.read(".local/share/cloudcred/secrets.toml");
    account.delete_access_key("ci-admin", &stored_pair(&first).access_key_id);

    let proxy =
        Proxy::start(moto().address()).rule("TagUser", aws_error(403, "AccessDenied", "no"));
    let home = home.endpoint(&proxy.url());
    home.run(&[SETUP, &["--if-exists", "reuse"]].concat()).expect(4);
    assert_eq!(home.read(STORED), first);
    assert_eq!(home.read(".local/share/cloudcred/secrets.toml"), index);
    let user = account.user("ci-admin").expect("it was there before");
    assert!(user.access_keys.is_empty(), "the new key is gone again");
}

#[test]
fn what_cannot_be_taken_back_is_named_with_exit_5() {
    let account = moto().seeded_account();
    let denied = || aws_error(403, "AccessDenied", "no");
    let proxy = Proxy::start(moto().address())
        .rule("TagUser", denied())
        .rule("DeleteAccessKey", denied())
        .rule("DeleteUser", denied());
    let ran = home_at(&proxy.url()).credentials(&account.bootstrap).run(SETUP).expect(5);
    let user = account.user("ci-admin").expect("it could not be deleted");
    let (key, _) = &user.access_keys[0];
    explained(&ran, "the IAM user `ci-admin`", "");
    explained(&ran, key, "");
}

#[cfg(unix)]
#[test]
fn an_interruption_takes_back_what_was_made() {
    let account = moto().seeded_account();
    let gate = Gate::default();
    let proxy = Proxy::start(moto().address()).rule("AttachUserPolicy", Effect::Hold(gate.clone()));
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let mut child = home.command(SETUP);
    let child = child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut child = child.spawn().expect("the program starts");
    // The user is made, and the policy is on its way.
    gate.wait_for(1);
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .expect("it runs");
    gate.open();
    let status = crate::support::process::wait(&mut child, Duration::from_secs(30));
    let status = status.expect("it ends");
    assert_eq!(status.code(), Some(130));
    nothing_of_it_is_left(&account);
}

#[test]
fn a_given_pair_that_is_swapped_or_cut_is_told_apart() {
    let account = moto().seeded_account();
    let pair = &account.bootstrap;
    let swapped = KeyPair {
        access_key_id: pair.secret_access_key.clone(),
        secret_access_key: pair.access_key_id.clone(),
    };
    let cut =
        KeyPair { secret_access_key: pair.secret_access_key[..30].to_owned(), ..pair.clone() };
    let wrong = KeyPair { secret_access_key: "w".repeat(40), ..pair.clone() };
    let arguments = [SETUP, &["--key-stdin"]].concat();
    let home = home();
    for (pair, what) in [(cut, "30 of 40"), (wrong, "SignatureDoesNotMatch")] {
        let ran = home.run_with_stdin(&arguments, &lines(&pair)).expect(4);
        explained(&ran, what, "");
        assert!(!ran.stderr.contains(&account.bootstrap.secret_access_key[..30]));
    }
    let ran = home.run_with_stdin(&arguments, &lines(&swapped)).expect(0);
    assert!(ran.stderr.contains("swapped"), "{ran}");
}

#[test]
fn a_printed_key_is_proven_first() {
    let account = moto().seeded_account();
    let denied = aws_error(403, "AccessDenied", "no");
    let proxy = Proxy::start(moto().address()).rule("TagUser", denied);
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let arguments = ["setup", "--yes", "--mode", "iam-user", "--store", "stdout"];
    let ran = home.run(&arguments).expect(4);
    assert_eq!(ran.stdout, "");
    nothing_of_it_is_left(&account);
}

#[test]
fn no_credentials_at_all_says_where_they_could_come_from() {
    let ran = home().run(SETUP).expect(4);
    explained(&ran, "no AWS credentials", "--key-stdin");
}

#[test]
fn a_user_that_appears_meanwhile_is_not_touched() {
    let account = moto().seeded_account();
    let exists = aws_error(409, "EntityAlreadyExists", "User with name ci-admin already exists.");
    let proxy = Proxy::start(moto().address()).rule("CreateUser", exists);
    let ran = home_at(&proxy.url()).credentials(&account.bootstrap).run(SETUP).expect(1);
    explained(&ran, "exists already", "--if-exists reuse");
    assert_eq!(proxy.calls("DeleteUser"), 0);
}

#[test]
fn a_stored_pair_is_not_replaced_because_aws_hiccups() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let first = home.read(STORED);
    // The first question is about the caller, the others about the stored pair.
    let proxy = Proxy::start(moto().address())
        .once("GetCallerIdentity", Effect::Delay(Duration::ZERO))
        .rule("GetCallerIdentity", aws_error(503, "ServiceUnavailable", "later"));
    let home = home.endpoint(&proxy.url());
    let ran = home.run(&[SETUP, &["--if-exists", "reuse"]].concat()).expect(1);
    explained(&ran, "sts:GetCallerIdentity", "try again");
    assert_eq!(home.read(STORED), first);
    assert_eq!(account.user("ci-admin").expect("there").access_keys.len(), 1);
}

#[test]
fn a_stored_key_that_aws_still_lists_is_not_given_up() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let first = home.read(STORED);
    let id = stored_pair(&first).access_key_id;
    let unknown = aws_error(403, "InvalidClientTokenId", "The security token is invalid.");
    let refused = || {
        // As AWS answers for a key that is too new, or inactive.
        let proxy = Proxy::start(moto().address());
        proxy.add(Rule {
            action: "GetCallerIdentity",
            effect: unknown.clone(),
            times: None,
            which: Which::SignedBy(vec![id.clone()]),
        });
        let reuse = [SETUP, &["--if-exists", "reuse"]].concat();
        let mut command = home.command(&reuse);
        command.env("AWS_ENDPOINT_URL", proxy.url());
        process::run(command, None, Duration::from_secs(60)).expect(1)
    };
    explained(&refused(), &id, "wait a moment");
    account.deactivate_access_key("ci-admin", &id);
    explained(&refused(), "is inactive", "--status Active");
    assert_eq!(home.read(STORED), first);
    let user = account.user("ci-admin").expect("there");
    assert_eq!(user.access_keys, [(id, "Inactive".to_owned())]);
}

#[test]
fn a_stored_root_key_is_given_up_only_with_consent() {
    let account = moto().seeded_account();
    let proxy = Proxy::as_root(moto().address(), &account.id);
    let home = home_at(&proxy.url());
    let setup =
        ["setup", "--mode", "root", "--acknowledge-root-risk", "--store", "file", "--key-stdin"];
    home.run_with_stdin(&setup, &lines(&account.bootstrap)).expect(0);
    let path = ".local/share/cloudcred/secrets/aws/root.json";
    let first = home.read(path);
    // The stored one works: it stays, whatever is said.
    let reuse = [&setup[..], &["--if-exists", "reuse", "--yes"]].concat();
    home.run_with_stdin(&reuse, &lines(&account.creator)).expect(1);
    assert_eq!(home.read(path), first);
    // The same one again changes nothing.
    let ran = home.run_with_stdin(&reuse, &lines(&account.bootstrap)).expect(0);
    assert!(ran.stdout.contains("Nothing to do"), "{ran}");
}

#[test]
fn a_boundary_that_an_existing_user_lacks_is_not_passed_over() {
    let account = moto().seeded_account();
    account.create_user("ci-admin");
    let boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    let arguments = ["--if-exists", "reuse", "--permissions-boundary", boundary];
    let ran = home().credentials(&account.bootstrap).run(&[SETUP, &arguments].concat()).expect(1);
    explained(&ran, boundary, "put-user-permissions-boundary");
    assert_eq!(account.changing_calls(), [""; 0]);
}

#[test]
fn a_key_that_aws_comes_to_know_only_by_and_by_is_waited_for() {
    let account = moto().seeded_account();
    let unknown = || aws_error(403, "InvalidClientTokenId", "The security token is invalid.");
    let pass = || Effect::Delay(Duration::ZERO);
    // The first question is about the caller. Then the new key is unknown, half known, and known to
    // some servers but not to others.
    let mut proxy = Proxy::start(moto().address()).once("GetCallerIdentity", pass());
    for effect in
        [unknown(), unknown(), unknown(), pass(), unknown(), pass(), pass(), pass(), unknown()]
    {
        proxy = proxy.once("GetCallerIdentity", effect);
    }
    let denied = aws_error(403, "AccessDenied", "not authorized to perform: iam:GetUser");
    // The first one looks whether the user exists.
    let proxy = proxy.once("GetUser", pass()).once("GetUser", denied);
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let ran = home.run(&[SETUP, &["-v"]].concat()).expect(0);
    // The refused ones, and a last round in which all three were accepted. A round that has failed
    // need not send the rest of its questions, so their number varies.
    assert!(proxy.calls("GetCallerIdentity") >= 1 + 4 + 3, "{ran}");
    let pair = stored_pair(&home.read(STORED));
    assert_eq!(account.user("ci-admin").expect("made").access_keys[0].0, pair.access_key_id);
}

#[test]
fn a_probe_that_is_never_answered_does_not_hold_up_the_next_round() {
    let account = moto().seeded_account();
    // The first one looks whether the user exists.
    let proxy = Proxy::start(moto().address())
        .once("GetUser", Effect::Delay(Duration::ZERO))
        .once("GetUser", Effect::Delay(Duration::from_secs(300)));
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let began = Instant::now();
    home.run(SETUP).expect(0);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(18), "{took:?}");
}

#[test]
fn an_attempt_that_failed_is_told_although_the_call_went_well() {
    let account = moto().seeded_account();
    let later = aws_error(503, "ServiceUnavailable", "later");
    let proxy = Proxy::start(moto().address()).once("AttachUserPolicy", later);
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let ran = home.run(&[SETUP, &["-v"]].concat()).expect(0);
    let about = |what: &str| ran.stderr.matches(what).count();
    assert_eq!(about("aws attempt iam:AttachUserPolicy 503"), 1, "{ran}");
    assert_eq!(about("aws iam:AttachUserPolicy 200"), 1, "{ran}");
    assert_eq!(about("aws attempt iam:AttachUserPolicy 200"), 0, "{ran}");
}

#[test]
fn a_store_that_breaks_after_its_probe_costs_the_key_and_not_its_secret() {
    let account = moto().seeded_account();
    let gate = Gate::default();
    let proxy = Proxy::start(moto().address()).rule("CreateAccessKey", Effect::Hold(gate.clone()));
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| home.run(SETUP));
        gate.wait_for(1);
        let folder = home.path().join(".local/share/cloudcred/secrets");
        std::fs::remove_dir_all(&folder).expect("the probe has made it");
        std::fs::write(&folder, "").expect("in its place");
        gate.open();
        run.join().expect("no panic")
    });
    let ran = ran.expect(5);
    // The key is gone at AWS; only the place could not be looked into again.
    explained(&ran, "what this run made of the secret `ci-admin`", "cloudcred undo");
    nothing_of_it_is_left(&account);
}
