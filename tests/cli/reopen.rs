//! `resume` and `undo`.

use crate::support::moto::SeededAccount;
use crate::support::proxy::{Effect, Gate, Proxy, aws_error};
use crate::{home, home_at, moto, stored_pair};

const SETUP: &[&str] = &[
    "setup",
    "--yes",
    "--mode",
    "iam-user",
    "--user-name",
    "ana",
    "--store",
    "file",
    "--output",
    "json",
];
const STORED: &str = ".local/share/cloudcred/secrets/aws/ana.json";
const INDEX: &str = ".local/share/cloudcred/secrets.toml";

#[track_caller]
fn only_the_seed_is_left(account: &SeededAccount) {
    let names: Vec<String> = account.users().into_keys().collect();
    assert_eq!(names, ["bootstrap", "creator", "nobody"]);
}

#[test]
fn undo_takes_back_a_finished_run_and_is_done_when_repeated() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let arguments = [SETUP, &["--console-password", "generate"]].concat();
    let run = home.run(&arguments).expect(0).json()["run"].clone();

    let asked = home.run(&["undo"]).expect(3);
    assert!(asked.stderr.contains("--yes"), "{asked}");
    assert!(account.user("ana").is_some());

    let undone = home.run(&["undo", "--yes", "--output", "json"]).expect(0).json();
    assert_eq!(undone["changed"], true);
    assert_eq!(undone["run"], run);
    assert_eq!(undone["steps"][0]["status"], "taken_back");
    only_the_seed_is_left(&account);
    assert!(!home.path().join(STORED).exists());
    assert!(!home.read(INDEX).contains("ana"), "{}", home.read(INDEX));

    let again = home.run(&["undo", "--yes"]).expect(0);
    assert!(again.stdout.contains("Nothing to undo"), "{again}");
    let nothing = home.run(&["resume", "--yes", "--output", "json"]).expect(0).json();
    assert_eq!(nothing["changed"], false);
}

#[test]
fn undo_gives_back_the_secret_that_was_replaced_and_the_current_one() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let other = [SETUP, &["--secret", "other"]].concat();
    let other: Vec<&str> =
        other.iter().map(|word| if *word == "ana" { "bob" } else { *word }).collect();
    home.run(&other).expect(0);
    let index = home.read(INDEX);
    home.run(SETUP).expect(0);
    assert!(home.read(INDEX).contains("current = \"ana\""));
    home.run(&["undo", "--yes"]).expect(0);
    assert_eq!(home.read(INDEX), index);
    assert!(account.user("bob").is_some(), "another run's user is not touched");
}

#[test]
fn undo_refuses_where_the_user_holds_more_than_the_run_made() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let stored = home.read(STORED);
    let later = account.create_access_key("ana");
    account.allow("ana", &["s3:ListAllMyBuckets"]);
    let before = account.changing_calls();

    let refused = home.run(&["undo", "--yes"]).expect(1);
    assert!(refused.stderr.contains(&later.access_key_id), "{refused}");
    assert!(refused.stderr.contains("inline policy"), "{refused}");
    assert_eq!(account.changing_calls(), before, "nothing was changed");
    assert_eq!(home.read(STORED), stored);
}

#[test]
fn undo_leaves_a_user_of_the_same_name_that_somebody_else_made() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let key = stored_pair(&home.read(STORED)).access_key_id;
    let as_admin = |arguments: &[&str]| crate::support::aws_cli::run(&home, arguments).expect(0);
    as_admin(&["iam", "delete-access-key", "--user-name", "ana", "--access-key-id", &key]);
    let policy = "arn:aws:iam::aws:policy/AdministratorAccess";
    as_admin(&["iam", "detach-user-policy", "--user-name", "ana", "--policy-arn", policy]);
    as_admin(&["iam", "delete-user", "--user-name", "ana"]);
    account.create_user("ana");

    home.run(&["undo", "--yes"]).expect(0);
    assert!(account.user("ana").is_some());
    assert!(!home.path().join(STORED).exists());
}

#[test]
fn what_was_left_behind_is_finished_or_taken_back_once_the_cause_is_mended() {
    for (command, kept) in [("undo", false), ("resume", true)] {
        let account = moto().seeded_account();
        let denied = || aws_error(403, "AccessDenied", "no");
        let proxy = Proxy::start(moto().address())
            .rule("TagUser", denied())
            .rule("DeleteAccessKey", denied())
            .rule("DeleteUser", denied());
        let home = home_at(&proxy.url()).credentials(&account.bootstrap);
        let left = home.run(SETUP).expect(5);
        let hint = left.json()["error"]["hint"].as_str().unwrap_or_default().to_owned();
        assert!(hint.contains("cloudcred undo 2"), "{hint}");
        assert!(hint.contains("cloudcred resume 2"), "{hint}");

        let home = home.endpoint(&moto().url());
        // A new setup says so first.
        let warned = home.run(&["setup", "--mode", "existing"]).expect(0);
        assert!(warned.stderr.contains("was not finished"), "{warned}");

        home.run(&[command, "--yes"]).expect(0);
        match kept {
            false => only_the_seed_is_left(&account),
            true => {
                let user = account.user("ana").expect("finished");
                let pair = stored_pair(&home.read(STORED));
                assert_eq!(user.access_keys, [(pair.access_key_id.clone(), "Active".to_owned())]);
                assert!(user.tags.contains_key(&pair.access_key_id));
            }
        }
        let done = home.run(&["setup", "--mode", "existing"]).expect(0);
        assert!(!done.stderr.contains("was not finished"), "{done}");
    }
}

#[test]
fn a_run_is_reopened_only_with_credentials_of_its_account() {
    let account = moto().seeded_account();
    let other = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let home = home.credentials(&other.bootstrap);
    let refused = home.run(&["undo", "--yes"]).expect(4);
    assert!(refused.stderr.contains(&account.id), "{refused}");

    let pair =
        format!("{}\n{}\n", account.bootstrap.access_key_id, account.bootstrap.secret_access_key);
    home.run_with_stdin(&["undo", "--yes", "--key-stdin"], &pair).expect(0);
    only_the_seed_is_left(&account);
}

#[test]
fn an_unknown_run_and_a_damaged_journal_are_told() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let run = home.run(SETUP).expect(0).json()["run"].as_str().expect("its name").to_owned();
    let unknown = home.run(&["undo", &run[..run.len() - 1], "--yes"]).expect(1);
    assert!(unknown.stderr.contains(&run), "{unknown}");

    let journal = format!(".local/state/cloudcred/runs/{run}.json");
    home.write(&journal, "{");
    let damaged = home.run(&["undo", &run, "--yes"]).expect(1);
    assert!(damaged.stderr.contains(&journal), "{damaged}");
    assert_eq!(home.read(&journal), "{", "it is not overwritten");
}

#[test]
fn two_runs_for_one_secret_do_not_harm_each_other() {
    let account = moto().seeded_account();
    let gate = Gate::default();
    let proxy = Proxy::start(moto().address()).rule("CreateAccessKey", Effect::Hold(gate.clone()));
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let setup = |user: &'static str| {
        let words = ["setup", "--yes", "--mode", "iam-user", "--user-name", user];
        home.run(&[&words[..], &["--secret", "shared", "--store", "file"]].concat())
    };
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| setup("one"));
        let two = scope.spawn(|| setup("two"));
        // Both have found the name free.
        gate.wait_for(2);
        gate.open();
        (one.join().expect("no panic"), two.join().expect("no panic"))
    });
    let mut codes = [one.code, two.code];
    codes.sort_unstable();
    assert_eq!(codes, [0, 1], "{one}\n{two}");
    let pair = stored_pair(&home.read(".local/share/cloudcred/secrets/aws/shared.json"));
    let users = account.users();
    let made: Vec<_> = ["one", "two"].iter().filter_map(|name| users.get(*name)).collect();
    assert_eq!(made.len(), 1, "the loser's user is gone again");
    assert_eq!(made[0].access_keys[0].0, pair.access_key_id);
    assert_eq!(home.read(INDEX).matches("[[secret]]").count(), 1);
}

#[test]
fn undo_is_not_begun_while_it_is_unknown_what_the_user_holds() {
    let account = moto().seeded_account();
    let later = aws_error(503, "ServiceUnavailable", "later");
    let proxy = Proxy::start(moto().address()).rule("ListAccessKeys", later);
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let before = account.changing_calls();
    let refused = home.run(&["undo", "--yes"]).expect(1);
    assert!(refused.stderr.contains("iam:ListAccessKeys"), "{refused}");
    assert_eq!(account.changing_calls(), before, "nothing was changed");
    assert!(home.path().join(STORED).exists());

    // What may not or cannot be listed, IAM itself says when the user is deleted.
    let denied = aws_error(403, "AccessDenied", "no");
    let proxy = Proxy::start(moto().address())
        .rule("ListUserPolicies", denied)
        .rule("ListGroupsForUser", aws_error(503, "ServiceUnavailable", "later"));
    let home = home.endpoint(&proxy.url());
    home.run(&["undo", "--yes"]).expect(0);
    only_the_seed_is_left(&account);
}

#[test]
fn a_run_is_not_reopened_with_the_key_that_it_made() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let made = stored_pair(&home.read(STORED));
    let home = home.credentials(&made);
    let before = account.changing_calls();
    let refused = home.run(&["undo", "--yes"]).expect(4);
    assert!(refused.stderr.contains("that the run"), "{refused}");
    assert!(refused.stderr.contains("--key-stdin"), "{refused}");
    assert_eq!(account.changing_calls(), before, "nothing was changed");
    let home = home.credentials(&account.bootstrap);
    home.run(&["undo", "--yes"]).expect(0);
    only_the_seed_is_left(&account);
}

#[test]
fn credentials_that_no_longer_work_say_how_to_renew_them() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    home.write(
        ".aws/config",
        "[profile sso]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n\
         [sso-session s]\nsso_region = us-east-1\nsso_start_url = https://example.com/start\n",
    );
    let refused = home.run(&["undo", "--yes", "--profile", "sso"]).expect(4);
    let hint = "aws sso login --profile sso; or name credentials";
    assert!(refused.stderr.contains(hint), "{refused}");
}

#[test]
fn a_run_that_prints_its_secret_is_not_resumed_with_json() {
    let account = moto().seeded_account();
    let denied = || aws_error(403, "AccessDenied", "no");
    let proxy = Proxy::start(moto().address())
        .rule("TagUser", denied())
        .rule("DeleteAccessKey", denied())
        .rule("DeleteUser", denied());
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    let words = ["setup", "--yes", "--mode", "iam-user", "--user-name", "ana"];
    home.run(&[&words[..], &["--store", "stdout"]].concat()).expect(5);
    let home = home.endpoint(&moto().url());
    let before = account.changing_calls();
    let refused = home.run(&["resume", "--yes", "--output", "json"]).expect(2).json();
    assert_eq!(refused["error"]["kind"], "usage", "{refused}");
    assert_eq!(account.changing_calls(), before, "nothing was changed");
    let printed = home.run(&["resume", "--yes"]).expect(0).stdout;
    let user = account.user("ana").expect("finished");
    assert_eq!(user.access_keys[0].0, stored_pair(&printed).access_key_id);
}
