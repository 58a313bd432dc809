//! `secret list`, `show` and `remove`.

use crate::support::aws_cli;
use crate::{home, moto, stored_pair};

#[test]
fn secrets_are_listed_shown_masked_revealed_and_removed() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let setup = ["setup", "--yes", "--mode", "iam-user", "--user-name", "ana", "--store", "file"];
    home.run(&setup).expect(0);

    let list = home.run(&["secret", "list", "--output", "json"]).expect(0).json();
    assert_eq!(list["secrets"][0]["name"], "ana");
    assert_eq!(list["secrets"][0]["current"], true);

    let document = home.run(&["secret", "show", "ana", "--reveal"]).expect(0).stdout;
    let document: serde_json::Value =
        serde_json::from_str(&document).expect("the CloudStudio JSON");
    let secret = document["secret_key"].as_str().expect("a string");
    let masked = home.run(&["secret", "show", "ana"]).expect(0);
    assert!(!masked.stdout.contains(secret), "{masked}");

    let refused = home.run(&["secret", "show", "anna"]).expect(1);
    assert!(refused.stderr.contains("`ana`"), "{refused}");
    home.run(&["secret", "remove", "ana"]).expect(3);
    home.run(&["secret", "remove", "ana", "--yes"]).expect(0);
    assert!(home.files_holding(secret).is_empty());
    assert!(home.run(&["secret", "list"]).expect(0).stdout.contains("no secrets yet"));
}

#[test]
fn credential_process_speaks_the_protocol_that_the_aws_cli_understands() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let setup = ["setup", "--yes", "--mode", "iam-user", "--user-name", "ana", "--store", "file"];
    home.run(&setup).expect(0);
    let pair = stored_pair(&home.read(".local/share/cloudcred/secrets/aws/ana.json"));
    for arguments in [&["credential-process"][..], &["credential-process", "ana"]] {
        let printed = home.run(arguments).expect(0).json();
        let expected = serde_json::json!({
            "Version": 1,
            "AccessKeyId": pair.access_key_id,
            "SecretAccessKey": pair.secret_access_key,
            "AccountId": account.id,
        });
        assert_eq!(printed, expected);
    }
    for wrong in ["anna", "../x", "bob"] {
        let refused = home.run(&["credential-process", wrong, "--output", "json"]);
        assert_ne!(refused.code, 0);
        assert_eq!(refused.stdout, "");
        assert_eq!(refused.stderr.lines().count(), 1, "{refused}");
    }

    // As a tool sees it, which knows nothing but the profile.
    let program = env!("CARGO_BIN_EXE_cloudcred");
    let tool = home.variable("AWS_ACCESS_KEY_ID", "").variable("AWS_SECRET_ACCESS_KEY", "");
    tool.write(
        ".aws/config",
        &format!("[profile cs]\ncredential_process = {program} credential-process\n"),
    );
    let who = ["--profile", "cs", "sts", "get-caller-identity", "--output", "json"];
    let who = aws_cli::run(&tool, &who).expect(0).json();
    assert_eq!(who["Arn"], format!("arn:aws:iam::{}:user/ana", account.id));
}
