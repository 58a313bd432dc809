//! `secret add`, `use`, `rename` and `move`: what the app's page does, without losing a pair.

use std::thread;

use crate::support::home::Home;
use crate::support::moto::KeyPair;
use crate::support::process::Ran;
use crate::support::terminal::{Key, Terminal};
use crate::{home, keep, made_up_pair, moto, stored_pair};

const FOLDER: &str = ".local/share/cloudcred/secrets/aws";
const ADD: &[&str] = &["secret", "add", "ana", "--store", "file", "--key-stdin"];

fn lines(pair: &KeyPair) -> String {
    format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key)
}

fn stored(home: &Home, name: &str) -> KeyPair {
    stored_pair(&home.read(&format!("{FOLDER}/{name}.json")))
}

fn list(home: &Home) -> serde_json::Value {
    let ran = home.run(&["secret", "list", "--output", "json"]).expect(0);
    ran.json()["secrets"].clone()
}

#[track_caller]
fn says(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is missing: {ran}");
    }
}

#[test]
fn a_pair_in_any_form_is_verified_and_kept() {
    let account = moto().seeded_account();
    let KeyPair {
        access_key_id: id,
        secret_access_key: secret,
    } = &account.creator;
    let forms = [
        format!("\u{feff}Access key ID,Secret access key\r\n{id},{secret}\r\n"),
        format!("{{ \"access_key\": \"{id}\", \"secret_key\": \" {secret}\" }}"),
        format!("export AWS_ACCESS_KEY_ID=\"{id}\"\nexport AWS_SECRET_ACCESS_KEY='{secret}'\n"),
        format!("  {id}  \n\n \"{secret}\"\t\n"),
    ];
    for form in forms {
        let home = home();
        let added = home
            .run_with_stdin(&[ADD, &["--output", "json"]].concat(), &form)
            .expect(0)
            .json();
        assert_eq!(added["changed"], true);
        assert_eq!(added["verified"], true);
        assert_eq!(added["replaced"], serde_json::Value::Null);
        assert_eq!(added["secret"], list(&home)[0]);
        assert_eq!(added["secret"]["account_id"], account.id.as_str());
        let arn = account.user("creator").expect("seeded").arn;
        assert_eq!(added["secret"]["arn"], arn.as_str());
        assert!(added["secret"]["verified_at"].is_string());
        assert_eq!(added["secret"]["current"], false);
        assert_eq!(stored(&home, "ana").secret_access_key, *secret);
    }
    assert_eq!(account.changing_calls(), [""; 0]);
}

#[test]
fn keys_that_do_not_work_are_kept_only_unasked() {
    let account = moto().seeded_account();
    let wrong = KeyPair {
        secret_access_key: "w".repeat(40),
        ..account.creator.clone()
    };
    for (pair, code) in [
        (&wrong, "SignatureDoesNotMatch"),
        (&made_up_pair(1), "InvalidClientTokenId"),
    ] {
        let home = home();
        let refused = home.run_with_stdin(ADD, &lines(pair)).expect(4);
        says(&refused, &[code, "--no-verify"]);
        assert!(!refused.stderr.contains(&pair.secret_access_key));
        assert!(home.files_holding(&pair.secret_access_key).is_empty());
        assert_eq!(list(&home), serde_json::json!([]));

        let unasked = [ADD, &["--no-verify"]].concat();
        home.run_with_stdin(&unasked, &lines(pair)).expect(0);
        let entry = &list(&home)[0];
        for field in ["account_id", "arn", "verified_at"] {
            assert_eq!(entry[field], serde_json::Value::Null, "{field}");
        }
        let document = home.run(&["credential-process", "ana"]).expect(0).json();
        assert!(document.get("AccountId").is_none(), "nobody knows it");
    }
    let cut = format!("{}\n{}", account.creator.access_key_id, "short");
    says(&home().run_with_stdin(ADD, &cut).expect(4), &["is cut"]);
    says(&home().run_with_stdin(ADD, "").expect(4), &["incomplete"]);
}

#[test]
fn without_a_terminal_or_a_store_it_names_the_flag() {
    let home = home();
    let asked = ["secret", "add", "ana", "--store", "file"];
    says(&home.run(&asked).expect(3), &["--key-stdin"]);
    let no_keyring = ["secret", "add", "ana", "--key-stdin"];
    let refused = home.run_with_stdin(&no_keyring, &lines(&made_up_pair(1)));
    says(&refused.expect(1), &["no keyring", "--store file"]);
    assert!(home.files_holding("AKIA").is_empty());
    for name in ["a/b", "..", "a\nb", "-x", ".x", &"x".repeat(65), ""] {
        let add = ["secret", "add", "--key-stdin", "--", name];
        let refused = home.run_with_stdin(&add, "").expect(2);
        says(&refused, &["cannot name a secret"]);
    }
    home.run(&["secret", "add", "ana", "--store", "stdout"])
        .expect(2);
}

#[test]
fn a_name_is_given_up_by_choice_only() {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    let unasked = [ADD, &["--no-verify"]].concat();
    let taken = home.run_with_stdin(
        &[&unasked[..], &["--yes"]].concat(),
        &lines(&made_up_pair(2)),
    );
    says(&taken.expect(3), &["already", "--replace"]);
    assert_eq!(
        stored(&home, "ana").access_key_id,
        made_up_pair(1).access_key_id
    );

    // The same pair again is no other one.
    let again = [&unasked[..], &["--output", "json"]].concat();
    let again = home.run_with_stdin(&again, &lines(&made_up_pair(1)));
    assert_eq!(again.expect(0).json()["changed"], false);

    // Capitals do not make it another name where files are concerned.
    let replace = ["secret", "add", "ANA", "--key-stdin", "--no-verify"];
    let replace = [&replace[..], &["--replace", "--output", "json"]].concat();
    let replaced = home.run_with_stdin(&replace, &lines(&made_up_pair(2)));
    let replaced = replaced.expect(0).json();
    assert_eq!(replaced["replaced"], made_up_pair(1).access_key_id.as_str());
    assert_eq!(replaced["secret"]["name"], "ana");
    assert_eq!(replaced["secret"]["store"], "file", "where it was");
    assert_eq!(
        stored(&home, "ana").access_key_id,
        made_up_pair(2).access_key_id
    );
    assert_eq!(list(&home).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_person_is_asked_hidden_and_again_and_before_anything_is_given_up() {
    let account = moto().seeded_account();
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    let add = ["secret", "add", "ana", "--store", "file"];
    let mut terminal = Terminal::start(&home.command(&add), 80);
    let wrong = "w".repeat(40);
    terminal
        .wait_for("Access key, both halves")
        .type_text(&format!("{}\r{wrong}\r", account.creator.access_key_id))
        .wait_for("SignatureDoesNotMatch")
        .type_text(&lines(&account.creator).replace('\n', "\r"))
        .wait_for("Replace it?")
        .type_text("y")
        .wait_for("is kept, in place of the key");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    for hidden in [&wrong, &account.creator.secret_access_key] {
        assert!(!printed.contains(hidden), "{printed}");
    }
    assert!(printed.contains("cloudcred secret use ana"), "{printed}");
    let kept = stored(&home, "ana");
    assert_eq!(kept.access_key_id, account.creator.access_key_id);

    let remove = ["secret", "remove", "ana"];
    let mut terminal = Terminal::start(&home.command(&remove), 80);
    terminal.wait_for("Remove the secret").press(Key::Enter);
    assert_eq!(terminal.exit().0, 130);
    stored(&home, "ana");
    let mut terminal = Terminal::start(&home.command(&remove), 80);
    terminal.wait_for("Remove the secret").type_text("y");
    assert_eq!(terminal.exit().0, 0);
    assert_eq!(list(&home), serde_json::json!([]));
}

#[test]
fn use_sets_current_and_says_so_as_the_app_does() {
    let home = home();
    keep(&home, "one", &made_up_pair(1));
    keep(&home, "two", &made_up_pair(2));
    let none = home.run(&["export"]).expect(1);
    says(&none, &["no secret is current"]);
    let used = home.run(&["secret", "use", "one"]).expect(0);
    let state = |ran: &Ran, name: &str| {
        let mut lines = ran.stdout.lines();
        let line = lines.find(|line| line.trim_start().starts_with(name));
        line.expect("each secret is listed").to_owned()
    };
    assert!(state(&used, "one").contains("set on environment"));
    assert!(state(&used, "two").contains("not set"));
    let used = home.run(&["secret", "use", "two", "--output", "json"]);
    assert_eq!(
        used.expect(0).json(),
        serde_json::json!({"changed": true, "current": "two", "previous": "one", "aws_profile": null})
    );
    let exported = home.run(&["export", "--output", "json"]).expect(0).json();
    assert_eq!(
        exported["AWS_ACCESS_KEY_ID"],
        made_up_pair(2).access_key_id.as_str()
    );
    says(&home.run(&["secret", "use", "twoo"]).expect(1), &["`two`"]);

    let removed = home.run(&["secret", "remove", "two", "--yes"]).expect(0);
    assert!(removed.stdout.contains("no secret is current"), "{removed}");
    says(
        &home.run(&["credential-process"]).expect(1),
        &["no secret is current"],
    );
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
    assert_eq!(
        stored(&home, "new").access_key_id,
        made_up_pair(1).access_key_id
    );
    let mut expected = before;
    expected["name"] = "new".into();
    assert_eq!(
        list(&home)[0],
        expected,
        "all else is as it was: it is current"
    );

    says(
        &home.run(&["secret", "rename", "new", "OTHER"]).expect(1),
        &["another secret `other`"],
    );
    home.run(&["secret", "rename", "new", "NEW"]).expect(2);
    home.run(&["secret", "rename", "new", "a/b"]).expect(2);
    home.run(&["secret", "rename", "nwe", "x"]).expect(1);
    // Something that the index does not know is not overwritten either.
    home.write(
        &format!("{FOLDER}/stray.json"),
        &home.read(&format!("{FOLDER}/other.json")),
    );
    home.run(&["secret", "rename", "new", "stray"]).expect(1);
    assert_eq!(
        stored(&home, "stray").access_key_id,
        made_up_pair(2).access_key_id
    );
}

#[test]
fn a_secret_that_is_gone_is_told_with_how_to_mend_it() {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    home.run(&["secret", "use", "ana"]).expect(0);
    std::fs::remove_file(home.path().join(FOLDER).join("ana.json")).expect("it is there");
    for command in [
        &["secret", "show", "ana"][..],
        &["secret", "use", "ana"],
        &["secret", "copy"],
        &["secret", "rename", "ana", "bob"],
        &["secret", "move", "ana", "--store", "file"],
        &["export"],
        &["exec", "--", "true"],
        &["credential-process"],
    ] {
        says(
            &home.run(command).expect(1),
            &[
                "no longer in its place",
                "secret add ana",
                "secret remove ana",
            ],
        );
    }
    // Both ways of mending.
    keep(&home, "ana", &made_up_pair(1));
    home.run(&["exec", "--", "true"]).expect(0);
    std::fs::remove_file(home.path().join(FOLDER).join("ana.json")).expect("it is there");
    home.run(&["secret", "remove", "ana", "--yes"]).expect(0);
    assert_eq!(list(&home), serde_json::json!([]));
}

#[test]
fn a_secret_changed_from_outside_is_used_told_and_noted() {
    let account = moto().seeded_account();
    let home = home();
    home.run_with_stdin(ADD, &lines(&account.creator)).expect(0);
    let other = &account.bootstrap;
    let document = serde_json::json!({
        "access_key": other.access_key_id, "secret_key": other.secret_access_key,
    });
    home.write(&format!("{FOLDER}/ana.json"), &document.to_string());
    let exported = home.run(&["export", "ana", "--format", "json"]).expect(0);
    says(
        &exported,
        &["changed from outside", &account.creator.access_key_id],
    );
    assert_eq!(
        exported.json()["AWS_ACCESS_KEY_ID"],
        other.access_key_id.as_str()
    );
    let process = home.run(&["credential-process", "ana"]).expect(0).json();
    assert!(process.get("AccountId").is_none(), "that of the old key");

    // As the warning says it.
    let revealed = home.run(&["secret", "show", "ana", "--reveal"]).expect(0);
    let add = ["secret", "add", "ana", "--key-stdin"];
    home.run_with_stdin(&add, &revealed.stdout).expect(0);
    let entry = &list(&home)[0];
    assert_eq!(entry["access_key_id"], other.access_key_id.as_str());
    let arn = account.user("bootstrap").expect("seeded").arn;
    assert_eq!(entry["arn"], arn.as_str());
    let exported = home.run(&["export", "ana"]).expect(0);
    assert_eq!(exported.stderr, "");
}

#[test]
fn what_a_killed_write_has_left_is_swept_once_nobody_can_be_writing_it() {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    let (old, young) = (".cloudcred-old", ".cloudcred-young");
    for name in [old, young] {
        home.write(&format!("{FOLDER}/{name}"), "half a document");
    }
    let path = |name: &str| home.path().join(FOLDER).join(name);
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(120);
    std::fs::File::options()
        .write(true)
        .open(path(old))
        .and_then(|file| file.set_modified(before))
        .expect("the file can be aged");
    home.run(&["secret", "rename", "ana", "bob"]).expect(0);
    assert!(!path(old).exists());
    assert!(path(young).exists());
}

#[test]
fn many_processes_at_once_lose_nothing() {
    const PROCESSES: u32 = 12;
    let home = home();
    thread::scope(|scope| {
        for number in 0..PROCESSES {
            let home = &home;
            scope.spawn(move || {
                let name = format!("secret-{number}");
                keep(home, &name, &made_up_pair(number));
                home.run(&["secret", "use", &name]).expect(0);
                if number % 3 == 0 {
                    let renamed = format!("renamed-{number}");
                    home.run(&["secret", "rename", &name, &renamed]).expect(0);
                }
            });
        }
    });
    let secrets = list(&home);
    let secrets = secrets.as_array().expect("a list");
    assert_eq!(secrets.len(), PROCESSES as usize);
    let current = secrets.iter().filter(|it| it["current"] == true);
    assert_eq!(current.count(), 1);
    for secret in secrets {
        let name = secret["name"].as_str().expect("text");
        let id = stored(&home, name).access_key_id;
        assert_eq!(secret["access_key_id"], id.as_str(), "{name}");
    }
    // One name, wanted by all of them, is one pair's: whole, and the index agrees.
    thread::scope(|scope| {
        let race = |number| {
            let add = ["secret", "add", "wanted", "--store", "file", "--key-stdin"];
            let add = [&add[..], &["--no-verify"]].concat();
            home.run_with_stdin(&add, &lines(&made_up_pair(number)))
                .code
        };
        let racers: Vec<_> = (0..6).map(|it| scope.spawn(move || race(it))).collect();
        let codes: Vec<i32> = racers
            .into_iter()
            .map(|it| it.join().expect("ran"))
            .collect();
        let won = codes.iter().filter(|code| **code == 0).count();
        assert_eq!(won, 1, "{codes:?}");
        assert!(codes.iter().all(|code| [0, 3].contains(code)), "{codes:?}");
    });
}

#[cfg(target_os = "linux")]
mod moves {
    use super::*;
    use crate::support::fsync_fault::{counted, full_from, killed_at};
    use crate::support::secret_service::SecretService;

    const KILLED: i32 = 128 + 9;
    const SERVICE: &str = "CloudStudio";

    fn in_keyring(service: &SecretService, name: &str) -> Option<KeyPair> {
        let document = service.lookup(SERVICE, &format!("aws/{name}"));
        document.map(|document| stored_pair(&document))
    }

    #[test]
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
        assert_eq!(
            stored(&home, "bob").secret_access_key,
            pair.secret_access_key
        );
    }

    #[test]
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
        println!("faults survived {writes}/{writes}, of two kinds");
    }

    /// The stored documents with this secret. What a killed write leaves is swept a minute later.
    fn documents(home: &Home, secret: &str) -> usize {
        let holding = home.files_holding(secret);
        let named = holding
            .iter()
            .filter(|path| path.extension().is_some_and(|it| it == "json"));
        named.count()
    }

    fn exported_id(home: &Home) -> serde_json::Value {
        let ran = home.run(&["export", "--output", "json"]).expect(0);
        ran.json()["AWS_ACCESS_KEY_ID"].clone()
    }

    #[test]
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

    #[test]
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
                        home.run(&["secret", "move", "ana", "--store", store])
                            .expect(0);
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

    #[test]
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
}
