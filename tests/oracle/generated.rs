//! Generated files: what cloudcred says of the AWS CLI is held against botocore, which is what the AWS CLI reads with.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::common::runner::Test;
use crate::support::home::Home;
use crate::support::{process, python};

const FILES: usize = 300;

/// Lines such as people and programs write, and some that nobody should.
fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just("[default]".to_owned()),
        1 => "aws_access_key_id {0,1}[=:] {0,1}AKIA[A-Z]{8}",
        1 => "aws_secret_access_key {0,1}[=:] {0,1}[a-z]{8}",
        1 => "[ \t]{1,2}aws_access_key_id = AKIA[A-Z]{8}",
        1 => "[ \t]{1,2}aws_secret_access_key = [a-z]{8}",
        1 => "[ \t]{0,2}[#;] ?[a-z=]{0,8}",
        1 => "\\[(DEFAULT|p|q r|default |profile default|profile p)\\]( x)?",
        1 => "region( =|=|:) ?[a-z0-9-]{0,9}",
        1 => Just(String::new()),
        1 => " {0,3}[a-z]{1,4}( = [a-z]{1,4})?",
        1 => "s3 ?=",
        1 => "[ -~]{0,12}",
    ]
}

/// A pair that works, with some lines between.
fn any_file() -> impl Strategy<Value = String> {
    let line_end = prop_oneof![8 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\r")];
    let more = prop::collection::vec((any_line(), 0..5_usize), 0..4);
    (more, line_end, 0..8_u8).prop_map(|(more, end, odd)| {
        let (id, secret) = ("aws_access_key_id = AKIAX", "aws_secret_access_key = s");
        let mut lines = vec!["[default]".to_owned(), id.to_owned(), secret.to_owned()];
        for (line, at) in more {
            lines.insert(at.min(lines.len()), line);
        }
        if odd == 0 {
            lines.retain(|line| line != "[default]");
        }
        lines.join(end) + end
    })
}

pub fn test() -> Test {
    Test::new("generated::files_are_read_as_botocore_reads_them", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut runner = TestRunner::deterministic();
        let mut any = || any_file().new_tree(&mut runner).expect("a file").current();
        for number in 0..FILES {
            let aws = folder.path().join(number.to_string()).join(".aws");
            fs::create_dir_all(&aws).expect("a folder of the test's");
            fs::write(aws.join("credentials"), any()).expect("as above");
            fs::write(aws.join("config"), if number % 3 == 0 { any() } else { String::new() })
                .expect("as above");
        }
        let by_botocore = by_botocore(folder.path());
        let mut seen = BTreeMap::new();
        for (number, expected) in &by_botocore {
            let home = folder.path().join(number);
            let verdict = verdict(&home);
            let is_odd = |id: &str| !id.chars().all(|c| c.is_ascii_alphanumeric());
            // Of values that no signature can be made with botocore learns only from AWS.
            let agrees = match (verdict["uses"]["access_key_id"].as_str(), expected.as_str()) {
                (Some(id), expected) => id == expected,
                (None, "fails" | "none") => true,
                (None, id) => {
                    let code = verdict["problem"]["code"].as_str().unwrap_or_default();
                    is_odd(id) || ["odd_value", "empty_value", "region"].contains(&code)
                }
            };
            let text = |name: &str| fs::read_to_string(home.join(".aws").join(name));
            assert!(
                agrees,
                "botocore: {expected}\n{verdict:#}\n{:?}\n{:?}",
                text("credentials"),
                text("config")
            );
            let kind = if expected.starts_with("AKIA") { "a key" } else { expected };
            *seen.entry(kind).or_insert(0) += 1;
        }
        // A generator that only makes broken files would prove nothing.
        let enough = |kind| seen.get(kind).is_some_and(|count| *count > FILES / 20);
        assert!(["a key", "fails"].into_iter().all(enough), "{seen:?}");
    })
}

fn verdict(home: &Path) -> serde_json::Value {
    let home =
        Home::new(env!("CARGO_BIN_EXE_cloudcred")).variable("HOME", &home.display().to_string());
    let ran = home.run(&["check", "--offline", "--output", "json"]);
    ran.json()["tools"]["aws_cli"].clone()
}

fn by_botocore(folder: &Path) -> BTreeMap<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/botocore_keys.py");
    let mut command = python::aws_cli().python();
    command.arg(script).arg(folder).env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = process::run(command, None, Duration::from_secs(180)).expect(0);
    serde_json::from_str(&ran.stdout).expect("a key for each home")
}
