//! `secret list`, `show` and `remove`.

use crate::{home, moto};

#[test]
fn secrets_are_listed_shown_masked_revealed_and_removed() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    let setup = [
        "setup",
        "--yes",
        "--mode",
        "iam-user",
        "--user-name",
        "ana",
        "--store",
        "file",
    ];
    home.run(&setup).expect(0);

    let list = home
        .run(&["secret", "list", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(list["secrets"][0]["name"], "ana");
    assert_eq!(list["secrets"][0]["current"], true);

    let document = home
        .run(&["secret", "show", "ana", "--reveal"])
        .expect(0)
        .stdout;
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
    assert!(
        home.run(&["secret", "list"])
            .expect(0)
            .stdout
            .contains("no secrets yet")
    );
}
