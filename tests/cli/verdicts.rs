//! What is said of the AWS CLI, Ansible and Terraform, and what `setup` makes of it. `tests/oracle` has the table of
//! what they do.

use crate::common::{home, moto};
use crate::support::home::Home;
use crate::support::moto::SeededAccount;

fn keys(account: &SeededAccount) -> String {
    let pair = &account.bootstrap;
    let (id, secret) = (&pair.access_key_id, &pair.secret_access_key);
    format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
}

/// Keys that work for AWS, in this text.
fn with_credentials(text: impl Fn(&str) -> String) -> Home {
    let account = moto().seeded_account();
    let home = home();
    home.write(".aws/credentials", &text(&keys(&account)));
    home
}

#[test]
fn where_all_tools_agree_nothing_is_said_of_them() {
    let home = with_credentials(|keys| format!("[default]\n{keys}"));
    let ran = home.run(&["check"]).expect(0);
    for tool in ["AWS CLI", "Ansible", "Terraform"] {
        assert!(!ran.stdout.contains(tool), "{ran}");
    }
    let tools = home.run(&["check", "--output", "json"]).expect(0).json()["tools"].clone();
    for tool in ["aws_cli", "ansible", "terraform"] {
        assert_eq!(tools[tool]["uses"]["source"], "static");
        assert!(tools[tool]["problem"].is_null());
    }
}

#[test]
fn a_file_that_one_tool_refuses_is_told_once_and_not_left_in_place() {
    let home = with_credentials(|keys| {
        let others = (0..20).map(|n| format!("[p{n}]\n{keys}")).collect::<String>();
        format!("[default]\n{keys}{others}[twice]\nregion = x\n[twice]\nregion = y\n")
    });
    let ran = home.run(&["check"]).expect(0);
    let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words.matches("is there twice").count(), 1, "{ran}");
    assert_eq!(words.matches("used by Terraform").count(), 1, "{ran}");
    let tools = home.run(&["check", "--output", "json"]).expect(0).json()["tools"].clone();
    assert_eq!(tools["ansible"]["problem"]["code"], "duplicate_section");
    assert!(tools["ansible"]["problem"]["line"].is_u64(), "{tools}");
    assert!(tools["terraform"]["problem"].is_null(), "{tools}");
    for arguments in [&["setup", "--no-input"][..], &["setup", "--no-input", "--mode", "existing"]]
    {
        let refused = home.run(arguments).expect(3);
        for words in ["Ansible", ".aws/credentials, line", "remove one of the two"] {
            assert!(refused.stderr.contains(words), "{refused}");
        }
    }
}

#[test]
fn what_only_some_tools_read_is_told_with_the_tool() {
    let home = with_credentials(|keys| {
        format!("[default]\n{}", keys.replace(" = AKIA", " = \"AKIA").replacen('\n', "\"\n", 1))
    });
    let ran = home.run(&["check", "--offline"]);
    let told = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["not usable for the AWS CLI and Ansible", "quotation marks", "used by Terraform"]
    {
        assert!(told.contains(words), "{ran}");
    }
}

#[test]
fn odd_settings_never_end_the_program() {
    let home = with_credentials(|keys| format!("[default]\n{keys}"));
    for (name, value) in [
        ("AWS_RETRY_MODE", "legacy"),
        ("AWS_MAX_ATTEMPTS", ""),
        ("AWS_MAX_ATTEMPTS", "x"),
        ("AWS_ENDPOINT_URL_STS", ""),
        ("AWS_SESSION_TOKEN", ""),
        ("AWS_PROFILE", ""),
        ("AWS_DEFAULTS_MODE", "nope"),
        ("AWS_USE_FIPS_ENDPOINT", "perhaps"),
        ("AWS_SDK_UA_APP_ID", "\u{1}"),
    ] {
        let ran = home.copy().variable(name, value).run(&["check", "--output", "json"]);
        assert_eq!(ran.json()["profiles"][0]["status"], "valid", "{name}={value}\n{ran}");
    }
    for (id, secret) in [("AKIAX\r", "s\r"), ("AKIA\u{7f}", "s"), ("ÄKIA", "s"), ("AKIAX", "s\n")]
    {
        let home =
            home.copy().variable("AWS_ACCESS_KEY_ID", id).variable("AWS_SECRET_ACCESS_KEY", secret);
        let ran = home.run(&["check", "--output", "json"]);
        let row = &ran.json()["profiles"][0];
        assert_eq!(
            (&row["name"], &row["status"]),
            (&"environment".into(), &"unresolvable".into()),
            "{ran}"
        );
        assert!(!ran.stderr.contains("panicked"), "{ran}");
    }
}

#[cfg(unix)]
#[test]
fn a_program_whose_key_no_signature_can_be_made_with_keeps_its_row() {
    let home = home();
    home.write("key", r#"{"Version":1,"AccessKeyId":"AKIAX\n","SecretAccessKey":"s"}"#);
    let path = home.path().join("key");
    home.write(
        ".aws/config",
        &format!("[profile p]\ncredential_process = cat {}\n", path.display()),
    );
    let ran = home.run(&["check", "--profile", "p", "--output", "json"]).expect(4);
    assert_eq!(ran.json()["profiles"][0]["status"], "unresolvable", "{ran}");
}
