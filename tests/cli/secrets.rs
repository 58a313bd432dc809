//! `secret add` and `use`, and secrets that something else has changed meanwhile.

use std::thread;

use crate::support::home::Home;
use crate::support::moto::KeyPair;
use crate::support::process::Ran;
use crate::support::terminal::{Key, Terminal};
use crate::{home, keep, made_up_pair, moto, stored_pair};

const INDEX: &str = ".local/share/cloudcred/secrets.toml";
pub const FOLDER: &str = ".local/share/cloudcred/secrets/aws";
pub const ADD: &[&str] = &["secret", "add", "ana", "--store", "file", "--key-stdin"];

pub fn lines(pair: &KeyPair) -> String {
    format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key)
}

pub fn stored(home: &Home, name: &str) -> KeyPair {
    stored_pair(&home.read(&format!("{FOLDER}/{name}.json")))
}

pub fn list(home: &Home) -> serde_json::Value {
    let ran = home.run(&["secret", "list", "--output", "json"]).expect(0);
    ran.json()["secrets"].clone()
}

#[track_caller]
pub fn says(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is missing: {ran}");
    }
}

#[test]
fn a_pair_in_any_form_is_verified_and_kept() {
    let account = moto().seeded_account();
    let KeyPair { access_key_id: id, secret_access_key: secret } = &account.creator;
    let forms = [
        format!("\u{feff}Access key ID,Secret access key\r\n{id},{secret}\r\n"),
        format!("{{ \"access_key\": \"{id}\", \"secret_key\": \" {secret}\" }}"),
        format!("export AWS_ACCESS_KEY_ID=\"{id}\"\nexport AWS_SECRET_ACCESS_KEY='{secret}'\n"),
        format!("  {id}  \n\n \"{secret}\"\t\n"),
    ];
    for form in forms {
        let home = home();
        let added =
            home.run_with_stdin(&[ADD, &["--output", "json"]].concat(), &form).expect(0).json();
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
    let wrong = KeyPair { secret_access_key: "w".repeat(40), ..account.creator.clone() };
    for (pair, code) in
        [(&wrong, "SignatureDoesNotMatch"), (&made_up_pair(1), "InvalidClientTokenId")]
    {
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
    home.run(&["secret", "add", "ana", "--store", "stdout"]).expect(2);
}

#[test]
fn a_name_is_given_up_by_choice_only() {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    let unasked = [ADD, &["--no-verify"]].concat();
    let taken = home.run_with_stdin(&[&unasked[..], &["--yes"]].concat(), &lines(&made_up_pair(2)));
    says(&taken.expect(3), &["already", "--replace"]);
    assert_eq!(stored(&home, "ana").access_key_id, made_up_pair(1).access_key_id);

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
    assert_eq!(stored(&home, "ana").access_key_id, made_up_pair(2).access_key_id);
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
        // The last word before the question: only then is what is typed hidden.
        .wait_for("asking AWS)")
        .type_text(&lines(&account.creator).replace('\n', "\r"))
        .wait_for("Replace it?")
        .type_text("y\r")
        .wait_for("is stored, in place of the key");
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
    terminal.wait_for("Remove the secret").type_text("y\r");
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
    assert_eq!(exported["AWS_ACCESS_KEY_ID"], made_up_pair(2).access_key_id.as_str());
    says(&home.run(&["secret", "use", "twoo"]).expect(1), &["`two`"]);

    let removed = home.run(&["secret", "remove", "two", "--yes"]).expect(0);
    assert!(removed.stdout.contains("no secret is current"), "{removed}");
    says(&home.run(&["credential-process"]).expect(1), &["no secret is current"]);
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
            &["no longer in the file store", "secret add ana", "secret remove ana"],
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
    says(&exported, &["changed from outside", &account.creator.access_key_id]);
    assert_eq!(exported.json()["AWS_ACCESS_KEY_ID"], other.access_key_id.as_str());
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
fn what_a_killed_write_has_left_is_removed_by_the_next_command_that_writes() {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    let left = [".cloudcred-a1B2c3D4e5F6.tmp", ".probe.json"];
    for name in left {
        home.write(&format!("{FOLDER}/{name}"), "half a document");
    }
    let is_there = |name: &str| home.path().join(FOLDER).join(name).exists();
    home.run(&["secret", "list"]).expect(0);
    assert!(left.into_iter().all(is_there), "reading writes nothing");
    home.run(&["secret", "rename", "ana", "bob"]).expect(0);
    assert!(!left.into_iter().any(is_there));
    assert!(is_there("bob.json"));
}

#[test]
fn a_damaged_index_is_set_aside_only_by_a_command_that_writes() {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    let newer = format!("version = 2\n{}", &home.read(INDEX)["version = 1\n".len()..]);
    home.write(INDEX, &newer);
    let refused = home.run(&["secret", "use", "ana"]).expect(1);
    assert!(refused.stderr.contains("newer cloudcred"), "{refused}");
    assert_eq!(home.read(INDEX), newer);

    home.write(INDEX, "version = ");
    for command in [
        &["secret", "list"][..],
        &["secret", "show", "ana"],
        &["credential-process"],
        &["export", "ana"],
        &["exec", "ana", "--", "true"],
        &["setup", "--mode", "iam-user", "--dry-run"],
    ] {
        let refused = home.run(command).expect(1);
        assert!(refused.stderr.contains(INDEX), "{refused}");
        assert!(refused.stderr.contains("is damaged"), "{refused}");
        assert_eq!(home.read(INDEX), "version = ", "{refused}");
    }
    let set_aside = home.run(&["secret", "use", "ana"]).expect(1);
    assert!(set_aside.stderr.contains("secrets.toml.damaged"), "{set_aside}");
    assert_eq!(home.read(&format!("{INDEX}.damaged")), "version = ");
    assert_eq!(list(&home), serde_json::json!([]));
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
            home.run_with_stdin(&add, &lines(&made_up_pair(number))).code
        };
        let racers: Vec<_> = (0..6).map(|it| scope.spawn(move || race(it))).collect();
        let codes: Vec<i32> = racers.into_iter().map(|it| it.join().expect("ran")).collect();
        let won = codes.iter().filter(|code| **code == 0).count();
        assert_eq!(won, 1, "{codes:?}");
        assert!(codes.iter().all(|code| [0, 3].contains(code)), "{codes:?}");
    });
}
