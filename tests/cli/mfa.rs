//! Profiles whose role asks for the code of an MFA device.

use crate::support::home::Home;
use crate::support::moto::{ADMINISTRATOR_ACCESS, SeededAccount};
use crate::support::proxy::{Proxy, aws_error};
use crate::{home_at, moto};

const SETUP: &[&str] =
    &["setup", "--yes", "--mode", "iam-user", "--store", "file", "--profile", "admin"];

/// A role that is assumed with the code 123456 only. moto itself knows no devices.
fn scene() -> (SeededAccount, Home) {
    let account = moto().seeded_account();
    account.create_role("admin", &account.user_arn("bootstrap"), ADMINISTRATOR_ACCESS);
    let refusal = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
    let denied = aws_error(403, "AccessDenied", refusal);
    let proxy = Proxy::start(moto().address()).unless("AssumeRole", "TokenCode=123456", denied);
    let home = home_at(&proxy.url());
    let (id, pair) = (&account.id, &account.bootstrap);
    let config = format!(
        "[profile base]\naws_access_key_id = {}\naws_secret_access_key = {}\n\
         [profile admin]\nrole_arn = arn:aws:iam::{id}:role/admin\nsource_profile = base\n\
         mfa_serial = arn:aws:iam::{id}:mfa/ana\nregion = eu-west-1\n",
        pair.access_key_id, pair.secret_access_key
    );
    home.write(".aws/config", &config);
    (account, home)
}

/// The codes that reached AWS.
fn codes(account: &SeededAccount) -> Vec<Option<String>> {
    let requests = account.requests("AssumeRole");
    let codes = requests.into_iter().map(|mut it| it.remove("TokenCode"));
    codes.collect()
}

#[test]
fn a_code_is_taken_from_a_flag_and_used_once() {
    let (account, home) = scene();
    let ran = home.run(SETUP).expect(3);
    assert!(ran.stderr.contains("--mfa-code"), "{ran}");
    assert!(ran.stderr.contains(&format!("arn:aws:iam::{}:mfa/ana", account.id)), "{ran}");
    let with = |code: &'static str| [SETUP, &["--mfa-code", code]].concat();
    let ran = home.run(&with("000000")).expect(4);
    assert!(ran.stderr.contains("does not accept the MFA code"), "{ran}");
    home.run(&with("12345")).expect(2);
    assert_eq!(account.changing_calls(), [""; 0]);

    home.run(&with("123456")).expect(0);
    let user = account.user("cloudstudio-admin").expect("it was created");
    assert_eq!(user.access_keys.len(), 1);
    assert_eq!(codes(&account), [Some("123456".to_owned())]);
    let undo = ["undo", "--yes", "--mfa-code", "123456"];
    home.run(&undo).expect(0);
    assert!(account.user("cloudstudio-admin").is_none());
    assert_eq!(codes(&account).len(), 2);
}

#[test]
fn a_profile_that_needs_a_code_says_so_and_takes_one() {
    let (account, home) = scene();
    let check = ["check", "--output", "json", "--profile", "admin"];
    let setup = ["setup", "--output", "json", "--profile", "admin"];
    let ran = home.run(&check).expect(4);
    let profile = &ran.json()["profiles"][0];
    assert_eq!(profile["status"], "unresolvable");
    let text = home.run(&["check"]).expect(0).stdout;
    assert!(text.contains("needs an MFA code"), "{text}");
    assert!(text.contains("--profile admin --mfa-code CODE"), "{text}");
    for mode in [&[][..], &["--mode", "existing"]] {
        let ran = home.run(&[&setup[..], mode].concat()).expect(3);
        assert!(ran.stdout.contains("--mfa-code"), "{ran}");
    }
    // No other attempt reaches AWS.
    assert_eq!(codes(&account), []);

    let code = ["--mfa-code", "123456"];
    let ran = home.run(&[&check[..], &code].concat()).expect(0);
    let profile = &ran.json()["profiles"][0];
    assert_eq!(profile["status"], "valid");
    assert_eq!(profile["region"], "eu-west-1");
    let arn = profile["arn"].as_str().unwrap_or_default();
    assert!(arn.contains(":assumed-role/admin/"), "{ran}");
    for mode in [&[][..], &["--mode", "existing"]] {
        let ran = home.run(&[&setup[..], mode, &code].concat()).expect(3);
        assert!(ran.stdout.contains("Ansible cannot ask for"), "{ran}");
    }
    assert_eq!(codes(&account).len(), 3);
    let wrong = home.run(&[&check[..], &["--mfa-code", "000000"]].concat()).expect(4);
    assert_eq!(wrong.json()["profiles"][0]["status"], "rejected");
    assert_eq!(account.changing_calls(), [""; 0]);

    let second = home.read(".aws/config").replace("profile admin", "profile other");
    let both = format!("{}{second}", home.read(".aws/config"));
    home.write(".aws/config", &both.replacen("[profile base]", "[profile base2]", 1));
    let ran = home.run(&[&["check"][..], &code].concat()).expect(2);
    assert!(ran.stderr.contains("several profiles"), "{ran}");
}

#[test]
fn only_what_the_role_rests_on_must_be_sound() {
    let (account, home) = scene();
    let own_keys = home
        .read(".aws/config")
        .replace("[profile base]\n", "[profile admin]\n")
        .replacen("source_profile = base", "source_profile = admin", 1);
    // One section, as botocore wants it, and a line that the SDK refuses the whole file for.
    let own_keys = match own_keys.rsplit_once("[profile admin]\n") {
        Some((keys, role)) => format!("[broken\n{keys}{role}"),
        None => own_keys,
    };
    home.write(".aws/config", &own_keys);
    home.run(&[SETUP, &["--mfa-code", "123456"]].concat()).expect(0);
    assert!(account.user("cloudstudio-admin").is_some());

    home.write(".aws/config", &own_keys.replace("mfa_serial = arn", "mfa_serial =\nx = arn"));
    let ran = home.run(&["check", "--profile", "admin"]).expect(4);
    assert!(!ran.stdout.contains("needs an MFA code"), "{ran}");
}

#[cfg(unix)]
#[test]
fn a_person_is_asked_for_the_code_once() {
    use crate::support::terminal::{Key, Terminal};
    let (account, home) = scene();
    let mut terminal = Terminal::start(&home.command(&["setup", "--store", "file"]), 100);
    terminal
        .wait_for("needs an MFA code")
        .wait_for("Create an IAM user")
        .wait_for("Use the root")
        .press(Key::Down)
        .press(Key::Enter)
        .wait_for("with a code of its MFA device")
        .press(Key::Down)
        .press(Key::Enter)
        .wait_for("? Code of arn:aws:iam::")
        .type_text("12345\n")
        .wait_for("six digits")
        .type_text("123456\n")
        .wait_for("? User name")
        .press(Key::Enter)
        .wait_for("Type one")
        .press(Key::Enter)
        .wait_for("? Describe this key")
        .press(Key::Enter)
        .wait_for("? Name of the")
        .press(Key::Enter)
        .wait_for("as role/admin")
        .wait_for("Go ahead?")
        .type_text("y\r")
        .wait_for("is ready.");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    assert!(account.user("cloudstudio-admin").is_some());
    assert_eq!(codes(&account), [Some("123456".to_owned())]);
}
