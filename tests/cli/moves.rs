//! `secret rename` and `move`, and every change of a secret killed at each of its writes, or met by a
//! full disk: the pair is never lost, and the same command again finishes.

use crate::secrets::{ADD, FOLDER, lines, list, says, stored};
use crate::support::fsync_fault::{counted, full_from, killed_at};
use crate::support::home::Home;
use crate::support::moto::KeyPair;
use crate::support::secret_service::SecretService;
use crate::{home, keep, made_up_pair, moto, stored_pair};

const KILLED: i32 = 128 + 9;
const SERVICE: &str = "CloudStudio";

fn in_keyring(service: &SecretService, name: &str) -> Option<KeyPair> {
    let document = service.lookup(SERVICE, &format!("aws/{name}"));
    document.map(|document| stored_pair(&document))
}

#[test]
fn a_secret_keeps_its_pair_and_its_place_under_another_name() {
    let home = home();
    keep(&home, "old", &made_up_pair(1));
    keep(&home, "other", &made_up_pair(2));
    home.run(&["secret", "use", "old"]).expect(0);
    let before = list(&home)[0].clone();
    home.run(&["secret", "rename", "old", "new"]).expect(0);
    assert!(!home.path().join(FOLDER).join("old.json").exists());
    assert_eq!(stored(&home, "new").access_key_id, made_up_pair(1).access_key_id);
    let mut expected = before;
    expected["name"] = "new".into();
    assert_eq!(list(&home)[0], expected, "all else is as it was: it is current");

    says(&home.run(&["secret", "rename", "new", "OTHER"]).expect(1), &["another secret `other`"]);
    home.run(&["secret", "rename", "new", "NEW"]).expect(2);
    home.run(&["secret", "rename", "new", "a/b"]).expect(2);
    home.run(&["secret", "rename", "nwe", "x"]).expect(1);
    // Something that the index does not know is not overwritten either.
    home.write(&format!("{FOLDER}/stray.json"), &home.read(&format!("{FOLDER}/other.json")));
    home.run(&["secret", "rename", "new", "stray"]).expect(1);
    assert_eq!(stored(&home, "stray").access_key_id, made_up_pair(2).access_key_id);
}

#[test(Keyring)]
fn a_secret_moves_into_the_keyring_and_back() {
    let service = SecretService::start();
    let home = home().variables(service.environment());
    let pair = made_up_pair(1);
    keep(&home, "ana", &pair);
    home.run(&["secret", "use", "ana"]).expect(0);
    let there = ["secret", "move", "ana", "--store", "keyring"];
    home.run(&there).expect(0);
    let moved = in_keyring(&service, "ana").expect("it is in the keyring");
    assert_eq!(moved.secret_access_key, pair.secret_access_key);
    assert!(home.files_holding(&pair.secret_access_key).is_empty());
    assert_eq!(list(&home)[0]["store"], "keyring");
    assert_eq!(list(&home)[0]["current"], true);
    let again = home.run(&there).expect(0);
    assert!(again.stdout.contains("nothing to do"), "{again}");
    home.run(&["secret", "rename", "ana", "bob"]).expect(0);
    assert!(in_keyring(&service, "ana").is_none());
    let back = ["secret", "move", "bob", "--store", "file"];
    home.run(&back).expect(0);
    assert!(in_keyring(&service, "bob").is_none());
    assert_eq!(stored(&home, "bob").secret_access_key, pair.secret_access_key);
}

#[test(Keyring)]
fn undo_finds_the_secret_of_its_run_wherever_it_is_by_now() {
    let service = SecretService::start();
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap).variables(service.environment());
    let setup = ["setup", "--yes", "--mode", "iam-user", "--user-name", "ana"];
    home.run(&[&setup[..], &["--store", "file"]].concat()).expect(0);
    keep(&home, "other", &made_up_pair(1));
    home.run(&["secret", "rename", "ana", "bob"]).expect(0);
    home.run(&["secret", "move", "bob", "--store", "keyring"]).expect(0);
    home.run(&["undo", "--yes"]).expect(0);
    assert!(account.user("ana").is_none());
    assert!(in_keyring(&service, "bob").is_none());
    assert_eq!(list(&home).as_array().map(Vec::len), Some(1));
    assert_eq!(list(&home)[0]["name"], "other");
}

#[test(Keyring)]
fn a_move_that_cannot_be_made_changes_nothing() {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    let before = list(&home);
    let moved = home.run(&["secret", "move", "ana", "--store", "keyring"]);
    says(&moved.expect(1), &["no keyring"]);
    assert_eq!(list(&home), before);
    stored(&home, "ana");

    let service = SecretService::start();
    let home = home.variables(service.environment());
    let other = serde_json::json!({
        "access_key": "AKIAOTHEROTHEROTHER0", "secret_key": "somebody else's",
    });
    assert!(service.store(SERVICE, "aws/ana", &other.to_string()));
    let moved = home.run(&["secret", "move", "ana", "--store", "keyring"]);
    says(&moved.expect(1), &["another secret `ana`"]);
    assert_eq!(list(&home), before);
}

/// Runs the command with a kill, and with a full disk, at each of its writes; then `mend`, and
/// looks at what is left.
fn at_every_write(
    prepare: impl Fn() -> Home,
    command: &[&str],
    input: &str,
    intact: impl Fn(&Home, &str),
    done: impl Fn(&Home, &str),
) {
    let home = prepare();
    let file = home.path().join("count");
    let home = counted(home, &file);
    home.run_with_stdin(command, input).expect(0);
    let writes = std::fs::metadata(&file).expect("it was counted").len() as usize;
    assert!(writes >= 3, "only {writes} writes");
    for at in 1..=writes {
        for full in [false, true] {
            let context = match full {
                true => format!("disk full from write {at}"),
                false => format!("killed at write {at}"),
            };
            let home = match full {
                true => full_from(prepare(), at),
                false => killed_at(prepare(), at),
            };
            let ran = home.run_with_stdin(command, input);
            assert_eq!(ran.code == KILLED, !full, "{context}: {ran}");
            let home = home.variable("FSYNC_FAULT", "");
            intact(&home, &context);
            // The same again finishes it, unless it was finished.
            let again = home.run_with_stdin(command, input);
            assert!([0, 1].contains(&again.code), "{context}: {again}");
            done(&home, &context);
        }
    }
}

/// The stored documents with this secret. What a killed write leaves is swept a minute later.
fn documents(home: &Home, secret: &str) -> usize {
    let holding = home.files_holding(secret);
    let named = holding.iter().filter(|path| path.extension().is_some_and(|it| it == "json"));
    named.count()
}

fn exported_id(home: &Home) -> serde_json::Value {
    let ran = home.run(&["export", "--output", "json"]).expect(0);
    ran.json()["AWS_ACCESS_KEY_ID"].clone()
}

#[test(CCompiler)]
fn whenever_a_rename_dies_the_secret_is_where_the_index_says() {
    let pair = made_up_pair(1);
    at_every_write(
        || {
            let home = home();
            keep(&home, "old", &pair);
            home.run(&["secret", "use", "old"]).expect(0);
            home
        },
        &["secret", "rename", "old", "new"],
        "",
        |home, context| {
            assert_eq!(exported_id(home), pair.access_key_id.as_str(), "{context}");
        },
        |home, context| {
            assert_eq!(exported_id(home), pair.access_key_id.as_str(), "{context}");
            assert_eq!(list(home)[0]["name"], "new", "{context}");
            assert_eq!(documents(home, &pair.secret_access_key), 1, "{context}");
        },
    );
}

#[test(Keyring, CCompiler)]
fn whenever_a_move_dies_the_secret_is_where_the_index_says() {
    let service = SecretService::start();
    let pair = made_up_pair(1);
    for (from, to) in [("file", "keyring"), ("keyring", "file")] {
        at_every_write(
            || {
                let home = home().variables(service.environment());
                let other = match from {
                    "file" => "keyring",
                    _ => "file",
                };
                let add = ["secret", "add", "ana", "--key-stdin", "--no-verify"];
                // Into an empty keyring, whatever the case before has left there.
                home.run_with_stdin(
                    &[&add[..], &["--replace", "--store", "keyring"]].concat(),
                    &lines(&pair),
                )
                .expect(0);
                for store in [other, from] {
                    home.run(&["secret", "move", "ana", "--store", store]).expect(0);
                }
                home.run(&["secret", "use", "ana"]).expect(0);
                home
            },
            &["secret", "move", "ana", "--store", to],
            "",
            |home, context| {
                assert_eq!(exported_id(home), pair.access_key_id.as_str(), "{context}");
            },
            |home, context| {
                assert_eq!(exported_id(home), pair.access_key_id.as_str(), "{context}");
                assert_eq!(list(home)[0]["store"], to, "{context}");
                let files = documents(home, &pair.secret_access_key);
                let kept = usize::from(in_keyring(&service, "ana").is_some());
                let expected = if to == "file" { (1, 0) } else { (0, 1) };
                assert_eq!((files, kept), expected, "{context}");
            },
        );
    }
}

#[test(CCompiler)]
fn whenever_an_add_dies_the_same_again_finishes_it() {
    let pair = made_up_pair(1);
    at_every_write(
        home,
        &[ADD, &["--no-verify"]].concat(),
        &lines(&pair),
        |home, context| {
            // Either nothing is known of it, or it is there.
            for entry in list(home).as_array().expect("a list") {
                assert_eq!(entry["name"], "ana", "{context}");
                stored(home, "ana");
            }
        },
        |home, context| {
            assert_eq!(list(home).as_array().map(Vec::len), Some(1), "{context}");
            assert_eq!(stored(home, "ana").access_key_id, pair.access_key_id);
            assert_eq!(documents(home, &pair.secret_access_key), 1, "{context}");
        },
    );
}
