//! `setup` with flags, as a CI job runs it.

use crate::support::aws_cli;
use crate::support::moto::ADMINISTRATOR_ACCESS;
use crate::support::proxy::{Effect, Proxy, account_summary, aws_error};
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
    "--output",
    "json",
];
const STORED: &str = ".local/share/cloudcred/secrets/aws/ci-admin.json";

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [SETUP, more].concat()
}

#[test]
fn creates_a_user_whose_stored_pair_works() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let ran = home.run(&with(&["--key-description", "CI of team 7", "-vv"])).expect(0);
    let report = ran.json();
    assert_eq!(report["changed"], true);
    assert_eq!(report["verified"], true);
    assert_eq!(report["secret"]["current"], true);

    let user = account.user("ci-admin").expect("the user was created");
    let pair = stored_pair(&home.read(STORED));
    assert_eq!(report["access_key_id"], pair.access_key_id.as_str());
    assert_eq!(user.attached_policies, [ADMINISTRATOR_ACCESS]);
    assert_eq!(user.tags[&pair.access_key_id], "CI of team 7");
    assert_eq!(user.tags["created-by"], "cloudcred");
    assert!(!user.has_login_profile());

    let cli = crate::home().credentials(&pair);
    let listed = aws_cli::run(&cli, &["iam", "list-users", "--output", "json"]).expect(0);
    assert!(listed.stdout.contains("ci-admin"), "{listed}");

    // The secret is in its store and nowhere else, even at the highest verbosity.
    let secret = &pair.secret_access_key;
    assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran}");
    assert_eq!(home.files_holding(secret), [home.path().join(STORED)]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(home.path().join(STORED)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_second_run_with_reuse_changes_nothing() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let before = account.changing_calls();
    let report = home.run(&with(&["--if-exists", "reuse"])).expect(0).json();
    assert_eq!(report["changed"], false);
    assert_eq!(account.changing_calls(), before);
    // Without it, an existing user is an error that says how to go on.
    let ran = home.run(SETUP).expect(1);
    assert!(
        ran.json()["error"]["hint"].as_str().is_some_and(|hint| hint.contains("--if-exists reuse"))
    );
}

#[test]
fn a_dry_run_plans_and_changes_nothing() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let report = home.run(&with(&["--dry-run"])).expect(0).json();
    assert_eq!(report["changed"], false);
    assert!(report["steps"].as_array().is_some_and(|steps| steps.len() == 6), "{report}");
    assert_eq!(account.changing_calls(), [""; 0]);
    assert_eq!(home.files(), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn without_yes_nothing_is_changed() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let arguments: Vec<&str> = SETUP.iter().copied().filter(|flag| *flag != "--yes").collect();
    let ran = home.run(&arguments).expect(3);
    assert!(ran.stdout.contains("--yes"), "{ran}");
    assert_eq!(account.changing_calls(), [""; 0]);
}

#[test]
fn auto_leaves_what_works_in_place_and_else_names_the_mode() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let report = home.run(&["setup", "--output", "json"]).expect(0).json();
    assert_eq!((&report["mode"], &report["changed"]), (&"existing".into(), &false.into()));
    let ran = crate::home().run(&["setup"]).expect(3);
    assert!(ran.stderr.contains("--mode"), "{ran}");
}

#[test]
fn a_denial_names_the_permission_and_leaves_nothing() {
    let account = moto().seeded_account();
    let ran = home().credentials(&account.nobody).run(SETUP).expect(4);
    let error = ran.json()["error"].clone();
    assert!(error["message"].as_str().is_some_and(|text| text.contains("iam:CreateUser")), "{ran}");
    assert!(account.user("ci-admin").is_none());
    assert!(!ran.stderr.contains("stack backtrace"), "{ran}");
}

#[test]
fn what_was_made_is_taken_back_when_a_step_fails() {
    let account = moto().seeded_account();
    for action in ["AttachUserPolicy", "CreateAccessKey", "TagUser"] {
        let denied = aws_error(403, "AccessDenied", "not you");
        let proxy = Proxy::start(moto().address()).rule(action, denied);
        let home = home_at(&proxy.url()).credentials(&account.bootstrap);
        let ran = home.run(SETUP).expect(4);
        assert!(ran.stdout.contains("taken back"), "{action}: {ran}");
        assert!(account.user("ci-admin").is_none(), "{action}");
        assert!(!home.path().join(STORED).exists(), "{action}");
    }
}

#[test]
fn a_key_whose_answer_is_lost_is_deleted_and_another_one_made() {
    let account = moto().seeded_account();
    let proxy = Proxy::start(moto().address()).once("CreateAccessKey", Effect::DropReply);
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let user = account.user("ci-admin").expect("it was created");
    let pair = stored_pair(&home.read(STORED));
    assert_eq!(user.access_keys, [(pair.access_key_id, "Active".to_owned())]);
    assert_eq!(proxy.calls("DeleteAccessKey"), 1);
}

#[test]
fn two_keys_are_told_before_anything_is_made() {
    let account = moto().seeded_account();
    account.create_user("ci-admin");
    let keys = [account.create_access_key("ci-admin"), account.create_access_key("ci-admin")];
    let home = home().credentials(&account.bootstrap);
    let ran = home.run(&with(&["--if-exists", "reuse"])).expect(1);
    for key in keys {
        assert!(ran.stdout.contains(&key.access_key_id), "{ran}");
    }
    assert_eq!(account.changing_calls(), [""; 0]);
}

#[test]
fn wrong_values_are_usage_errors_before_any_call() {
    let account = moto().seeded_account();
    for (flag, value) in [
        ("--user-name", "a b"),
        ("--key-description", "it's (mine)"),
        ("--tag", "no-sign"),
        ("--secret", "../x"),
        ("--policy-arn", "AdministratorAccess"),
        ("--permissions-boundary", "arn:aws:iam::1:policy/x"),
        ("--aws-profile", "a b"),
    ] {
        let home = home().credentials(&account.bootstrap);
        let arguments = [
            "setup", "--yes", "--mode", "iam-user", "--store", "file", "--output", "json", flag,
            value,
        ];
        let ran = home.run(&arguments).expect(2);
        assert_eq!(ran.json()["error"]["kind"], "usage", "{ran}");
    }
    assert_eq!(account.calls(), [""; 0]);
}

#[test]
fn an_unknown_profile_names_the_near_ones() {
    let home = home();
    home.write(".aws/config", "[profile production]\nregion = us-east-1\n");
    let ran = home.run(&["setup", "--mode", "existing", "--profile", "producton"]).expect(4);
    assert!(ran.stderr.contains("`production`"), "{ran}");
}

#[test]
fn an_expired_identity_center_session_names_the_sign_in() {
    let home = home();
    home.write(
        ".aws/config",
        "[profile sso]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n\
         [sso-session s]\nsso_region = us-east-1\nsso_start_url = https://example.com/start\n",
    );
    let ran = home.run(&["setup", "--mode", "existing", "--profile", "sso"]).expect(4);
    assert!(ran.stderr.contains("aws sso login --profile sso"), "{ran}");
}

#[test]
fn an_unreachable_endpoint_is_told_as_such() {
    let account = moto().seeded_account();
    let ran = home_at("http://127.0.0.1:9").credentials(&account.bootstrap).run(SETUP).expect(1);
    assert!(ran.stdout.contains("cannot be reached"), "{ran}");
}

#[test]
fn a_password_against_the_policy_is_refused_before_the_user_is_made() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let ran = home.run_with_stdin(&with(&["--console-password", "stdin"]), "short\n").expect(1);
    assert!(ran.stdout.contains("at least"), "{ran}");
    assert!(account.user("ci-admin").is_none());
}

#[test]
fn a_generated_password_is_shown_once_and_set() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let report = home.run(&with(&["--console-password", "generate"])).expect(0).json();
    let password = report["console_password"].as_str().expect("it was asked for");
    let user = account.user("ci-admin").expect("created");
    assert_eq!(user.console_password.as_deref(), Some(password));
    assert!(home.files_holding(password).is_empty());
}

#[test]
fn an_unguarded_root_user_is_told_where_that_may_be_read() {
    let account = moto().seeded_account();
    let summary = |key: u8, mfa: u8| {
        let proxy = Proxy::start(moto().address());
        proxy.rule("GetAccountSummary", account_summary(key, mfa))
    };
    let warnings = |proxy: &Proxy, mode: &'static str| {
        let home = home_at(&proxy.url()).credentials(&account.bootstrap);
        let dry = ["setup", "--dry-run", "--store", "file", "--output", "json"];
        let ran = home.run(&[&dry[..], &["--mode", mode]].concat()).expect(0);
        ran.json()["warnings"].to_string()
    };
    for mode in ["iam-user", "existing"] {
        let bad = warnings(&summary(1, 0), mode);
        assert!(bad.contains("has an access key"), "{bad}");
        assert!(bad.contains("has no MFA"), "{bad}");
        assert!(bad.contains(&account.id) && bad.contains("security_credentials"));
        assert!(!warnings(&summary(0, 1), mode).contains("root user"));
    }
    let denied = aws_error(403, "AccessDenied", "no");
    let proxy = Proxy::start(moto().address()).rule("GetAccountSummary", denied);
    assert_eq!(warnings(&proxy, "iam-user"), "[]");
}

#[test]
fn root_needs_the_acknowledgement_and_a_root_key() {
    let account = moto().seeded_account();
    let pair =
        format!("{}\n{}\n", account.bootstrap.access_key_id, account.bootstrap.secret_access_key);
    let arguments =
        ["setup", "--mode", "root", "--store", "file", "--key-stdin", "--output", "json"];
    let ran = home().run_with_stdin(&arguments, &pair).expect(3);
    assert!(ran.stdout.contains("--acknowledge-root-risk"), "{ran}");

    let arguments = [&arguments[..], &["--acknowledge-root-risk"]].concat();
    let ran = home().run_with_stdin(&arguments, &pair).expect(4);
    assert!(ran.stdout.contains("user/bootstrap"), "{ran}");

    let proxy = Proxy::as_root(moto().address(), &account.id);
    let home = home_at(&proxy.url());
    let report = home.run_with_stdin(&arguments, &pair).expect(0).json();
    assert_eq!(report["secret"]["name"], "root");
    let stored = stored_pair(&home.read(".local/share/cloudcred/secrets/aws/root.json"));
    assert_eq!(stored.access_key_id, account.bootstrap.access_key_id);
}

#[test]
fn a_users_own_key_is_kept_instead_of_a_second_one() {
    let account = moto().seeded_account();
    let pair = &account.bootstrap;
    let lines = format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key);
    let home = home();
    let arguments = [
        "setup",
        "--mode",
        "iam-user",
        "--user-name",
        "bootstrap",
        "--store",
        "file",
        "--key-stdin",
        "--output",
        "json",
    ];
    let report = home.run_with_stdin(&arguments, &lines).expect(0).json();
    assert_eq!(report["verified"], true);
    assert_eq!(report["access_key_id"], pair.access_key_id.as_str());
    let path = ".local/share/cloudcred/secrets/aws/bootstrap.json";
    let stored = stored_pair(&home.read(path));
    assert_eq!(stored.secret_access_key, pair.secret_access_key);
    assert_eq!(account.changing_calls(), [""; 0]);

    // What is not the run's stays, at AWS and here.
    home.run(&["undo", "--yes"]).expect(0);
    assert!(!home.path().join(path).exists());
    let user = account.user("bootstrap").expect("it was there before");
    assert_eq!(user.access_keys.len(), 1);
}

#[test]
fn standard_output_can_be_the_store() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let arguments = ["setup", "--yes", "--mode", "iam-user", "--store", "stdout"];
    let ran = home.run(&arguments).expect(0);
    let pair = stored_pair(&ran.stdout);
    assert!(home.files_holding(&pair.secret_access_key).is_empty());
    assert!(!ran.stderr.contains(&pair.secret_access_key));
    home.run(&[&arguments[..], &["--output", "json"]].concat()).expect(2);
}
