//! A root key that is made with a credential of root: an existing key, or a session.

use crate::support::home::Home;
use crate::support::moto::{KeyPair, SeededAccount};
use crate::support::process::Running;
use crate::support::proxy::{Effect, Proxy, Rule, Which};
use crate::support::signin::{SignInServer, sign_in, visit};
use crate::{home_at, moto, stored_pair};

const SETUP: &[&str] = &[
    "setup",
    "--yes",
    "--mode",
    "root",
    "--acknowledge-root-risk",
    "--store",
    "file",
    "--output",
    "json",
];
const STORED: &str = ".local/share/cloudcred/secrets/aws/root.json";

/// moto has no root: the user `bootstrap` stands for it, and the proxy calls everybody so.
fn scene() -> (SeededAccount, Proxy, Home) {
    let account = moto().seeded_account();
    let proxy = Proxy::as_root(moto().address(), &account.id);
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    (account, proxy, home)
}

fn keys(account: &SeededAccount) -> Vec<String> {
    let root = account.user("bootstrap").expect("root does not go");
    root.access_keys.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn root_makes_itself_a_key_with_acknowledgement_and_consent_only() {
    let (account, _, home) = scene();
    for left_out in ["--acknowledge-root-risk", "--yes"] {
        let flags: Vec<&str> = SETUP.iter().copied().filter(|flag| *flag != left_out).collect();
        let ran = home.run(&flags).expect(3);
        assert!(ran.stdout.contains(left_out), "{ran}");
    }
    assert_eq!(account.changing_calls(), [""; 0]);

    let report = home.run(SETUP).expect(0).json();
    let pair = stored_pair(&home.read(STORED));
    assert_eq!(report["verified"], true);
    assert_eq!(report["access_key_id"], pair.access_key_id.as_str());
    let old = account.bootstrap.access_key_id.clone();
    assert_eq!(keys(&account), [old.clone(), pair.access_key_id.clone()]);
    assert!(!account.requests("CreateAccessKey")[0].contains_key("UserName"));

    // What is there and works will do.
    let again = home.run(&[SETUP, &["--if-exists", "reuse"]].concat()).expect(0);
    assert_eq!(again.json()["changed"], false);
    // A third key is more than IAM allows.
    let ran = home.run(&[SETUP, &["--secret", "other"]].concat()).expect(1);
    assert!(ran.stdout.contains("the root user has two access keys already"), "{ran}");

    home.run(&["undo", "--yes"]).expect(0);
    assert_eq!(keys(&account), [old]);
    assert!(!home.path().join(STORED).exists());
}

#[test]
fn a_root_key_whose_answer_is_lost_is_named_and_goes_on_once_it_is_deleted() {
    let (account, proxy, home) = scene();
    proxy.add(Rule {
        action: "CreateAccessKey",
        effect: Effect::DropReply,
        times: Some(1),
        which: Which::All,
    });
    let old = account.bootstrap.access_key_id.clone();
    let ran = home.run(SETUP).expect(5);
    let lost = keys(&account).into_iter().find(|id| *id != old).expect("it was made");
    assert!(ran.stdout.contains(&lost), "{ran}");
    assert_eq!(proxy.calls("DeleteAccessKey"), 0, "it may be somebody else's");
    account.delete_access_key("bootstrap", &lost);
    home.run(&["resume", "--yes"]).expect(0);
    let pair = stored_pair(&home.read(STORED));
    assert_eq!(keys(&account), [old, pair.access_key_id]);
}

#[test]
fn only_root_takes_back_what_root_made() {
    let account = moto().seeded_account();
    let ids = vec![account.bootstrap.access_key_id.clone()];
    let proxy = Proxy::with_root_keys(moto().address(), &account.id, ids);
    let home = home_at(&proxy.url()).credentials(&account.bootstrap);
    home.run(SETUP).expect(0);
    let made = keys(&account);
    let KeyPair { access_key_id, secret_access_key } = &account.creator;
    let lines = format!("{access_key_id}\n{secret_access_key}\n");
    let ran = home.run_with_stdin(&["undo", "--yes", "--key-stdin"], &lines).expect(4);
    assert!(ran.stderr.contains("not root's"), "{ran}");
    assert_eq!(keys(&account), made);
}

#[test]
fn a_session_of_root_that_aws_refuses_is_told_and_makes_nothing() {
    let account = moto().seeded_account();
    let proxy = Proxy::as_root(moto().address(), &account.id);
    let server = SignInServer::start(&account);
    let home = home_at(&proxy.url()).variable("AWS_ENDPOINT_URL_SIGNIN", &server.url());
    let arguments = [SETUP, &["--login", "--no-browser"]].concat();
    let mut running = Running::start(home.command(&arguments));
    let address = running.line("/v1/authorize?");
    visit(&sign_in(&address));
    let ran = running.end().expect(4);
    assert!(ran.stdout.contains("AWS makes no root key with these credentials"), "{ran}");
    assert!(ran.stdout.contains("--mode iam-user"), "{ran}");
    assert_eq!(account.changing_calls(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn the_wizard_makes_a_root_key_with_the_one_it_has_found() {
    use crate::support::terminal::{Key, Terminal};
    let (account, _, home) = scene();
    let mut terminal = Terminal::start(&home.command(&["setup", "--store", "file"]), 100);
    terminal
        .wait_for("Use the root user's key")
        .press(Key::Down)
        .press(Key::Enter)
        .wait_for("anyway")
        .press(Key::Down)
        .press(Key::Enter)
        .wait_for("? Type `use root`")
        .type_text("use root\n")
        .wait_for("Make a new one now")
        .press(Key::Up)
        .press(Key::Enter)
        .wait_for("? Name of the")
        .press(Key::Enter)
        .wait_for("Go ahead?")
        .type_text("y\r")
        .wait_for("`root` is ready");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    let pair = stored_pair(&home.read(STORED));
    assert!(keys(&account).contains(&pair.access_key_id));
    assert!(!printed.contains(&pair.secret_access_key), "{printed}");
}

#[test]
fn flags_that_concern_a_user_are_told_to_say_nothing_of_root() {
    let (account, _, home) = scene();
    let flags = [
        ["--user-name", "ana"],
        ["--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"],
        ["--tag", "team=data"],
        ["--console-password", "generate"],
        ["--key-description", "test"],
    ];
    let report = home.run(&[SETUP, &["--dry-run"], flags.as_flattened()].concat()).expect(0).json();
    let warnings = report["warnings"].to_string();
    for [flag, _] in flags {
        assert!(warnings.contains(flag), "{flag}: {warnings}");
    }
    assert_eq!(account.changing_calls(), [""; 0]);
    let silent = home.run(&[SETUP, &["--dry-run"]].concat()).expect(0).json();
    assert!(!silent["warnings"].to_string().contains("say nothing"));
}
