//! The keyring store, against a real Secret Service.

use crate::support::proxy::{Effect, Gate, Proxy};
use crate::support::secret_service::SecretService;
use crate::support::terminal::Terminal;
use crate::{home, home_at, made_up_pair, moto, stored_pair};

const SETUP: &[&str] = &["setup", "--yes", "--mode", "iam-user", "--user-name", "ana", "-vv"];

#[test(Keyring)]
fn it_holds_the_cloudstudio_document_and_nothing_else_does() {
    let service = SecretService::start();
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap).variables(service.environment());
    let ran = home.run(SETUP).expect(0);
    let document = service.lookup("CloudStudio", "aws/ana").expect("it is in the keyring");
    let pair = stored_pair(&document);
    let user = account.user("ana").expect("created");
    assert_eq!(user.access_keys[0].0, pair.access_key_id);

    let secret = &pair.secret_access_key;
    assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran}");
    assert!(home.files_holding(secret).is_empty());

    let shown = home.run(&["secret", "show", "ana", "--reveal"]).expect(0);
    assert_eq!(stored_pair(&shown.stdout).secret_access_key, *secret);
    home.run(&["secret", "remove", "ana", "--yes"]).expect(0);
    assert_eq!(service.lookup("CloudStudio", "aws/ana"), None);
}

#[test(Keyring)]
fn what_a_killed_probe_has_left_is_removed_by_the_next() {
    let service = SecretService::start();
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap).variables(service.environment());
    assert!(service.store("CloudStudio", "aws/.probe", "left"));
    home.run(SETUP).expect(0);
    assert_eq!(service.lookup("CloudStudio", "aws/.probe"), None);
}

#[test(Keyring)]
fn a_locked_keyring_is_told_before_anything_is_made() {
    let service = SecretService::start();
    service.lock();
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap).variables(service.environment());
    let ran = home.run(SETUP).expect(1);
    assert!(ran.stderr.contains("unlock"), "{ran}");
    assert!(ran.stderr.contains("--store file"), "{ran}");
    assert_eq!(account.changing_calls(), [""; 0]);
}

#[test]
fn without_a_keyring_the_file_store_is_named_and_not_taken_silently() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    for arguments in [SETUP, &[SETUP, &["--store", "keyring"]].concat()] {
        let ran = home.run(arguments).expect(1);
        assert!(ran.stderr.contains("no keyring"), "{ran}");
        assert!(ran.stderr.contains("--store file"), "{ran}");
    }
    assert_eq!(account.changing_calls(), [""; 0]);
    assert!(home.files().is_empty(), "nothing was written");
}

#[test(Keyring)]
fn a_keyring_that_is_locked_after_its_probe_costs_the_key_and_not_its_secret() {
    let service = SecretService::start();
    let account = moto().seeded_account();
    let gate = Gate::default();
    let proxy = Proxy::start(moto().address()).rule("CreateAccessKey", Effect::Hold(gate.clone()));
    let home =
        home_at(&proxy.url()).credentials(&account.bootstrap).variables(service.environment());
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| home.run(SETUP));
        gate.wait_for(1);
        service.lock();
        gate.open();
        run.join().expect("no panic")
    });
    assert!([1, 5].contains(&ran.code), "{ran}");
    assert!(account.user("ana").is_none(), "{ran}");
}

#[test(Keyring)]
fn a_secret_whose_keyring_is_gone_is_removed_from_the_list_only_when_told() {
    let service = SecretService::start();
    let pair = made_up_pair(1);
    let lines = format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key);
    let home = home().variables(service.environment());
    let add = ["secret", "add", "ana", "--key-stdin", "--no-verify"];
    home.run_with_stdin(&add, &lines).expect(0);
    let program = env!("CARGO_BIN_EXE_cloudcred");
    let config = format!("[profile cs]\ncredential_process = {program} credential-process ana\n");
    home.write(".aws/config", &config);

    let without = home.variable("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let remove = ["secret", "remove", "ana", "--yes"];
    let refused = without.run(&remove).expect(1);
    assert!(refused.stderr.contains("--forget"), "{refused}");
    assert_eq!(without.read(".aws/config"), config);
    let asked = without.command(&remove[..3]);
    let mut terminal = Terminal::start(&asked, 300);
    terminal.wait_for("Remove it from the list anyway?");
    terminal.type_text("n\r");
    assert_eq!(terminal.exit().0, 130);
    assert_eq!(without.read(".aws/config"), config);
    let forgotten = without.run(&[&remove[..], &["--forget"]].concat()).expect(0);
    assert!(forgotten.stderr.contains("may still have"), "{forgotten}");
    assert_eq!(without.read(".aws/config"), "");
    let list = without.run(&["secret", "list"]).expect(0);
    assert!(list.stdout.contains("no secrets yet"), "{list}");
    assert!(service.lookup("CloudStudio", "aws/ana").is_some());
}
