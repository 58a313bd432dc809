//! The harness itself, against its real parts: a test is worth only as much as the server it asks.
//! What AWS refuses must be refused here too, or every test above passes for no reason.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::home;
use crate::support::moto::{self, ADMINISTRATOR_ACCESS, KeyPair, PasswordPolicy};
use crate::support::process::Ran;
use crate::support::proxy::{Effect, Gate, Proxy, aws_error};
use crate::support::{aws_cli, home::Home};

/// An AWS CLI call at this endpoint with this pair, without the CLI's own attempts to try again.
fn aws(url: &str, pair: &KeyPair, arguments: &[&str]) -> Ran {
    let home: Home = home().endpoint(url).credentials(pair).variable("AWS_MAX_ATTEMPTS", "1");
    aws_cli::run(&home, arguments)
}

#[test]
fn iam_answers_who_may_ask_and_refuses_others() {
    let account = moto::shared().seeded_account();
    let url = moto::shared().url();

    let users = aws(&url, &account.bootstrap, &["iam", "list-users"]).expect(0).json();
    assert_eq!(users["Users"].as_array().map(Vec::len), Some(3));
    let identity = aws(&url, &account.nobody, &["sts", "get-caller-identity"]).expect(0).json();
    assert_eq!(identity["Account"], account.id);

    let denied = aws(&url, &account.nobody, &["iam", "list-users"]).expect(255);
    assert!(denied.stderr.contains("AccessDenied"), "{denied}");
    aws(&url, &account.creator, &["iam", "create-user", "--user-name", "made"]).expect(0);
    aws(&url, &account.creator, &["iam", "create-access-key", "--user-name", "made"]).expect(255);

    assert_eq!(account.requests("CreateUser")[0]["UserName"], "made");
    assert_eq!(account.changing_calls(), ["CreateUser", "CreateAccessKey"]);
    assert!(account.user("made").is_some_and(|made| made.access_keys.is_empty()));
}

#[test]
fn iam_refuses_keys_that_are_wrong_unknown_or_inactive() {
    let account = moto::shared().seeded_account();
    let refusal = |pair: &KeyPair| {
        aws(&moto::shared().url(), pair, &["sts", "get-caller-identity"]).expect(255).stderr
    };

    let wrong = KeyPair { secret_access_key: "w".repeat(40), ..account.bootstrap.clone() };
    assert!(refusal(&wrong).contains("SignatureDoesNotMatch"));
    let unknown =
        KeyPair { access_key_id: "AKIAIOSFODNN7EXAMPLE".into(), ..account.bootstrap.clone() };
    assert!(refusal(&unknown).contains("InvalidClientTokenId"));
    account.deactivate_access_key("bootstrap", &account.bootstrap.access_key_id);
    assert!(refusal(&account.bootstrap).contains("InvalidClientTokenId"));
    account.delete_access_key("nobody", &account.nobody.access_key_id);
    assert!(refusal(&account.nobody).contains("InvalidClientTokenId"));
}

#[test]
fn iam_checks_passwords_and_keeps_users_that_are_in_use() {
    let account = moto::shared().seeded_account();
    let iam = |arguments: &[&str]| aws(&moto::shared().url(), &account.bootstrap, arguments);
    account.set_password_policy(&PasswordPolicy {
        minimum_length: 20,
        lowercase: true,
        uppercase: true,
        numbers: true,
        symbols: true,
    });
    account.create_user("ana");

    let login = ["iam", "create-login-profile", "--user-name", "ana", "--password"];
    let short = iam(&[&login[..], &["Short-1"]].concat()).expect(255);
    assert!(short.stderr.contains("PasswordPolicyViolation"), "{short}");
    iam(&[&login[..], &["Long-enough-by-far-1!"]].concat()).expect(0);
    let conflict = iam(&["iam", "delete-user", "--user-name", "ana"]).expect(255);
    assert!(conflict.stderr.contains("DeleteConflict"), "{conflict}");
    iam(&["iam", "tag-user", "--user-name", "ana", "--tags", "Key=team,Value=data"]).expect(0);

    let ana = account.user("ana").expect("ana was not deleted");
    assert!(ana.has_login_profile());
    assert_eq!(ana.tags["team"], "data");
}

#[test]
fn a_role_is_assumed_by_the_user_it_trusts() {
    let account = moto::shared().seeded_account();
    let bootstrap = account.user("bootstrap").expect("seeded").arn;
    account.create_role("deploy", &bootstrap, ADMINISTRATOR_ACCESS);
    let home = home().endpoint(&moto::shared().url()).credentials(&account.bootstrap);
    let arn = format!("arn:aws:iam::{}:role/deploy", account.id);
    home.write(
        ".aws/config",
        &format!("[profile ci]\nrole_arn = {arn}\ncredential_source = Environment\n"),
    );

    let identity =
        aws_cli::run(&home, &["--profile", "ci", "sts", "get-caller-identity"]).expect(0).json();
    let assumed = identity["Arn"].as_str().unwrap_or_default();
    assert!(assumed.contains(":assumed-role/deploy/"), "{assumed}");
}

#[test]
fn the_proxy_keeps_signatures_valid_and_follows_its_rules() {
    let account = moto::shared().seeded_account();
    let delay = Duration::from_millis(300);
    let proxy = Proxy::as_root(moto::shared().address(), &account.id)
        .once("ListUsers", aws_error(503, "ServiceUnavailable", "try later"))
        .once("ListUsers", Effect::Delay(delay))
        .once("CreateUser", Effect::DropReply)
        .rule("DeleteUser", Effect::Reset);
    let aws = |arguments: &[&str]| aws(&proxy.url(), &account.bootstrap, arguments);

    let identity = aws(&["sts", "get-caller-identity"]).expect(0).json();
    assert_eq!(identity["Arn"], format!("arn:aws:iam::{}:root", account.id));
    let refused = aws(&["iam", "list-users"]).expect(255);
    assert!(refused.stderr.contains("ServiceUnavailable"), "{refused}");
    let started = Instant::now();
    aws(&["iam", "list-users"]).expect(0);
    assert!(started.elapsed() >= delay);
    aws(&["iam", "create-user", "--user-name", "lost"]).expect(255);
    assert!(account.user("lost").is_some(), "the server did what nobody was told");
    aws(&["iam", "delete-user", "--user-name", "lost"]).expect(255);
    assert!(account.user("lost").is_some(), "the server never heard of it");
    assert_eq!(proxy.calls("ListUsers"), 2);
}

#[test]
fn an_answer_is_cut_cleanly_and_held_until_the_gate_opens() {
    let account = moto::shared().seeded_account();
    let url = moto::shared().url();
    let gate = Gate::default();
    let proxy = Proxy::start(moto::shared().address())
        .once("*", Effect::CutClean(50))
        .rule("ListUsers", Effect::Hold(gate.clone()));
    // The client reads to the end of the answer, and finds nothing wrong with it.
    let body = |url: &str| {
        let mut answer = ureq::post(format!("{url}/control/{}/users", account.id))
            .send("{}")
            .expect("an answer");
        let body = answer.body_mut();
        body.read_to_string().expect("all of it")
    };
    let (cut, whole) = (body(&proxy.url()), body(&url));
    assert_eq!(cut, whole[..whole.len() / 2]);

    std::thread::scope(|scope| {
        let listing = scope.spawn(|| aws(&proxy.url(), &account.bootstrap, &["iam", "list-users"]));
        gate.wait_for(1);
        assert!(!account.calls().contains(&"ListUsers".to_owned()));
        gate.open();
        listing.join().expect("no panic").expect(0);
    });
}

#[test]
fn a_home_hides_what_this_process_has() {
    let home = home().variable("GIVEN", "yes");
    let mut command = Command::new(if cfg!(windows) { "cmd" } else { "env" });
    if cfg!(windows) {
        command.args(["/c", "set"]);
    }
    home.clean(&mut command);
    let output = command.output().expect("the command starts");
    let variables = String::from_utf8_lossy(&output.stdout);
    assert!(variables.contains("GIVEN=yes"));
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!variables.contains("CARGO_MANIFEST_DIR"));

    home.write("deep/down/file", "before needle after");
    assert_eq!(home.files_holding("needle"), [home.path().join("deep/down/file")]);
    assert!(home.files_holding("absent").is_empty());
}

#[cfg(unix)]
mod terminal {
    use std::process::Command;

    use crate::support::terminal::{Key, Terminal};

    fn shell(script: &str, columns: u16) -> Terminal {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).env("PATH", std::env::var_os("PATH").expect("PATH is set"));
        Terminal::start(&command, columns)
    }

    #[test]
    fn has_a_size_and_shows_what_a_person_sees() {
        let mut terminal = shell(
            "stty size; printf 'name: '; read name; printf '\\033[1mhello\\033[0m %s\\n' $name; exit 7",
            40,
        );
        terminal.wait_for("50 40").wait_for("name: ").type_text("ana").press(Key::Enter);
        terminal.wait_for("hello ana");
        assert!(terminal.raw().windows(4).any(|bytes| bytes == b"\x1b[1m"));
        let (code, printed) = terminal.exit();
        assert_eq!(code, 7);
        assert!(printed.contains("name: ana"));
    }

    #[test]
    fn ends_input_and_hangs_up() {
        let mut ended = shell("printf ready; exec cat", 80);
        ended.wait_for("ready").press(Key::CtrlD);
        assert_eq!(ended.exit().0, 0);

        let mut closed = shell("printf ready; exec cat", 80);
        closed.wait_for("ready").close();
        assert_eq!(closed.exit().0, 128 + 1);
    }
}

#[cfg(target_os = "linux")]
#[test(Keyring)]
fn the_secret_service_keeps_secrets_apart() {
    use crate::support::secret_service::SecretService;

    let (one, other) = (SecretService::start(), SecretService::start());
    assert!(one.store("CloudStudio", "aws/test", "a secret"));
    assert_eq!(one.lookup("CloudStudio", "aws/test").as_deref(), Some("a secret"));
    assert_eq!(other.lookup("CloudStudio", "aws/test"), None);
}
