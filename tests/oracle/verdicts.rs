//! cloudcred's word for each case.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::case::{Case, Values};
use crate::common::runner::Test;

/// Keys that nobody has: nothing is called here.
fn made_up() -> Values {
    let mut values = BTreeMap::new();
    for name in ["A", "B", "C"] {
        let id = format!("AKIA{}", name.repeat(16));
        let secret = format!("{}/+=", name.to_lowercase().repeat(37));
        let keys = format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}");
        values.insert(format!("ID_{name}"), id);
        values.insert(format!("SECRET_{name}"), secret);
        values.insert(format!("KEYS_{name}"), keys);
    }
    for (name, value) in [
        ("ID_S", "ASIASSSSSSSSSSSSSSSS"),
        ("SECRET_S", "s"),
        ("TOKEN_S", "token"),
        ("ROLE_R", "arn:aws:iam::111122223333:role/r"),
        ("ROLE_W", "arn:aws:iam::111122223333:role/w"),
    ] {
        values.insert(name.to_owned(), value.to_owned());
    }
    values
}

pub fn test(case: &Case) -> Test {
    let case = case.clone();
    Test::new(format!("verdicts::{}", case.slug()), move || {
        let home = case.home(&made_up());
        let ran = home.run(&["check", "--offline", "--output", "json"]);
        // Whatever a file looks like, no output holds a secret of it.
        for name in ["A", "B", "C"] {
            let secret = &made_up()[&format!("SECRET_{name}")];
            assert!(!format!("{ran}").contains(secret.as_str()), "{ran}");
        }
        let tools = &ran.json()["tools"];
        for (tool, expected) in [
            ("aws_cli", &case.expected.aws_cli),
            ("ansible", &case.expected.ansible),
            ("terraform", &case.expected.terraform),
        ] {
            let verdict = &tools[tool];
            assert!(agrees(verdict, expected), "{tool} is seen to use `{expected}`\n{verdict:#}");
        }
    })
}

fn agrees(verdict: &Value, expected: &str) -> bool {
    let uses = &verdict["uses"];
    if uses.is_null() {
        let has_cause =
            ["code", "message", "hint"].iter().all(|it| verdict["problem"][it].is_string());
        return expected.is_empty() && has_cause;
    }
    let is_role = expected.starts_with("assumed-role/");
    verdict["problem"].is_null()
        && match (uses["access_key_id"].as_str(), uses["source"].as_str()) {
            (Some(id), _) if id.starts_with("ASIA") => is_role,
            (Some(id), _) => {
                let user = id.chars().last().map(|c| format!("user/{}", c.to_ascii_lowercase()));
                user.as_deref() == Some(expected)
            }
            (None, Some("assume_role" | "web_identity")) => is_role,
            (None, Some(_)) => !expected.is_empty(),
            (None, None) => false,
        }
}
