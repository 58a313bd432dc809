//! Edits of generated `~/.aws/config` files: what is not meant stays as it is, byte by byte, and for
//! AWS's own readers, too: botocore and the Rust SDK.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use cloudcred::aws_files::AwsFiles;
use cloudcred::aws_files::text::{AwsFile, FileKind};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::process;
use crate::support::python;

/// Lines such as people and programs write, and some that nobody should.
fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("  \t".to_owned()),
        "# [a-z \\[\\]=]{0,12}",
        "\\[profile (a|b|c|default)\\]( ?[#;] x)?",
        "\\[ *profile\t+(a|b)  \\]",
        Just("[default]".to_owned()),
        Just("[sso-session a]".to_owned()),
        "\\[[a-z ]{0,8}\\]?",
        "(region|Output|x_y) {0,2}= {0,2}[a-z0-9/+=]{0,10}( +[#;] note)?",
        "s3 ?=",
        "  (nested|more) = [a-z]{1,5}",
        " -continued [#;]? x",
        "[ -~]{0,20}",
        "[a-zäöü]{1,5} = ü",
    ]
}

fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec((any_line(), prop::bool::ANY), 0..25);
    (lines, prop::bool::ANY, prop::bool::ANY, 0..40u8).prop_map(|(lines, crlf, ended, odd)| {
        let mut bytes = Vec::new();
        for (line, other) in lines {
            bytes.extend_from_slice(line.as_bytes());
            if odd == 0 {
                bytes.push(0xFF);
            }
            // Mostly one kind of line end, as editors leave it.
            let crlf = if odd == 1 { other } else { crlf };
            bytes.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
        }
        if !ended {
            while bytes.ends_with(b"\n") || bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        bytes
    })
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// A file that botocore accepts, too: each section and each key stands once.
fn sound_file() -> impl Strategy<Value = Vec<u8>> {
    let headers = [
        "[default]",
        "[profile a]",
        "[sso-session a]",
        "# about b\n[profile\t b ] ; mine",
        "[services x]",
        "[profile c]",
    ];
    let bodies = [
        "region = eu-west-1",
        "",
        "Output=json   # note",
        "s3 =\n  nested = one\n\n  more = two",
        "# [profile no]\n;region = no",
        "x_y = first\n   second # kept\n\tthird",
        "x_z = first\n   # note\n   second",
        "credential_process = \"/a b/c\" --x=y",
        "  ",
    ];
    let count = headers.len();
    let body = prop::sample::subsequence(bodies.to_vec(), 0..bodies.len());
    let bodies = prop::collection::vec(body, count);
    let headers = prop::sample::subsequence(headers.to_vec(), 1..=count);
    (headers, bodies, prop::bool::ANY, prop::bool::ANY).prop_map(
        |(headers, bodies, crlf, ended)| {
            let mut text = String::new();
            for (header, body) in headers.iter().zip(bodies) {
                text += &format!("{header}\n");
                for line in body {
                    text += &format!("{line}\n");
                }
            }
            let text = if ended { &text } else { text.trim_end() };
            let text = if crlf { text.replace('\n', "\r\n") } else { text.to_owned() };
            text.into_bytes()
        },
    )
}

fn profiles_of(file: &AwsFile) -> Sections {
    let files = AwsFiles { config: file.clone(), ..AwsFiles::default() };
    let profiles = files.profiles().profiles;
    let with_keys = profiles.iter().map(|profile| {
        let properties = profile.properties();
        let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
        (profile.name.clone(), properties.collect())
    });
    with_keys.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_that_is_not_edited_stays_as_it_is(bytes in any_file()) {
        prop_assert_eq!(AwsFile::parse(FileKind::Config, &bytes).to_bytes().to_vec(), bytes);
    }

    #[test]
    fn an_added_profile_is_removed_without_a_trace(bytes in any_file()) {
        let mut file = AwsFile::parse(FileKind::Config, &bytes);
        let before = profiles_of(&file);
        file.set("cloudstudio", "credential_process", "\"/a b/cloudcred\" credential-process").expect("it can stand there");
        file.set("cloudstudio", "region", "x").expect("it can stand there");
        let reread = AwsFile::parse(FileKind::Config, &file.to_bytes());
        prop_assert_eq!(reread.get("cloudstudio", "region"), Some("x".to_owned()));
        prop_assert!(reread.to_bytes().starts_with(&bytes));
        let mut others = profiles_of(&reread);
        others.remove("cloudstudio");
        prop_assert_eq!(others, before);
        let mut reread = reread;
        reread.remove("cloudstudio");
        prop_assert_eq!(reread.to_bytes().to_vec(), bytes);
    }

    #[test]
    fn an_added_key_is_removed_without_a_trace(bytes in any_file()) {
        let mut file = AwsFile::parse(FileKind::Config, &bytes);
        if !file.has("a") {
            return Ok(());
        }
        let before = profiles_of(&file);
        file.set("a", "new_key", "value").expect("it can stand there");
        let mut reread = AwsFile::parse(FileKind::Config, &file.to_bytes());
        prop_assert_eq!(reread.get("a", "new_key"), Some("value".to_owned()));
        let mut others = profiles_of(&reread);
        others.get_mut("a").expect("it was there").remove("new_key");
        prop_assert_eq!(others, before);
        reread.remove_key("a", "new_key");
        prop_assert_eq!(reread.to_bytes().to_vec(), bytes);
    }

    #[test]
    fn a_changed_value_is_changed_back_without_a_trace(bytes in any_file()) {
        let mut file = AwsFile::parse(FileKind::Config, &bytes);
        let Some(old) = file.get("a", "region").filter(|old| !old.is_empty() && !old.contains('\n')) else {
            return Ok(());
        };
        file.set("a", "region", "elsewhere").expect("it can stand there");
        let mut reread = AwsFile::parse(FileKind::Config, &file.to_bytes());
        prop_assert_eq!(reread.get("a", "region"), Some("elsewhere".to_owned()));
        reread.set("a", "region", &old).expect("it can stand there");
        prop_assert_eq!(reread.to_bytes().to_vec(), bytes);
    }
}

/// An edit, and the profile that it is about.
struct Edit {
    before: Vec<u8>,
    after: Vec<u8>,
    profile: &'static str,
}

fn edits(number: usize) -> Vec<Edit> {
    let mut runner = TestRunner::deterministic();
    let any = prop_oneof![any_file(), sound_file()];
    let mut edits = Vec::new();
    for round in 0..number {
        let before = any.new_tree(&mut runner).expect("a file").current();
        let mut file = AwsFile::parse(FileKind::Config, &before);
        let profile = match round % 5 {
            0 => {
                file.set("new", "credential_process", "x y").expect("it can stand there");
                file.set("new", "region", "z").expect("it can stand there");
                "new"
            }
            1 => {
                file.set("a", "region", "elsewhere").expect("it can stand there");
                "a"
            }
            2 => {
                file.set("b", "new_key", "value").expect("it can stand there");
                "b"
            }
            3 => {
                file.remove_key("a", "region");
                "a"
            }
            _ => {
                file.remove("default");
                "default"
            }
        };
        let after = file.to_bytes().to_vec();
        edits.push(Edit { before, after, profile });
    }
    edits
}

/// Every profile but that one; nothing where the reader refuses the file.
fn others(mut sections: Option<Sections>, profile: &str) -> Option<Sections> {
    if let Some(sections) = &mut sections {
        sections.remove(profile);
    }
    sections
}

/// What botocore makes of each file, by its name; nothing where it refuses the file.
fn read_by_botocore<'f>(
    files: impl Iterator<Item = (String, &'f [u8])>,
) -> BTreeMap<String, Option<Sections>> {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("a new file");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/botocore_profiles.py");
    let mut command: Command = python::aws_cli().python();
    command.arg(script).arg(folder.path());
    let ran = process::run(command, None, std::time::Duration::from_secs(60)).expect(0);
    serde_json::from_str(&ran.stdout).expect("the script prints JSON")
}

/// Sections and keys that stand once or more often, spelled alike or not, and nothing else wrong.
fn repeating_file() -> impl Strategy<Value = Vec<u8>> {
    let header = prop::sample::select(vec![
        "[default]",
        "[profile default]",
        "[profile a]",
        "[profile  a]",
        "[profile a] # note",
        "[profile a]]",
        "[ profile a]",
        "[profile b]",
        "[sso-session a]",
        "[services x]",
        "[preview]",
        "[foo bar]",
    ]);
    let body = prop::sample::select(vec![
        "region = x",
        "Region=y",
        "k:x = 1",
        "K:y = 2",
        "output = json\n  # note",
        "s3 =\n  nested = 1\n  nested = 2",
        "# note",
    ]);
    let section = (header, prop::collection::vec(body, 0..3));
    prop::collection::vec(section, 1..4).prop_map(|sections| {
        let mut text = String::new();
        for (header, body) in sections {
            text += &format!("{header}\n");
            for line in body {
                text += &format!("{line}\n");
            }
        }
        text.into_bytes()
    })
}

#[test]
fn what_we_call_duplicate_is_what_botocore_refuses() {
    let mut runner = TestRunner::deterministic();
    let files: Vec<Vec<u8>> = (0..1000)
        .map(|_| {
            let file = repeating_file().new_tree(&mut runner);
            file.expect("a file").current()
        })
        .collect();
    let named = files.iter().enumerate();
    let read = read_by_botocore(named.map(|(number, bytes)| (number.to_string(), &bytes[..])));
    let (mut refused, mut twice) = (0, 0);
    for (number, bytes) in files.iter().enumerate() {
        let text = String::from_utf8_lossy(bytes);
        let file = AwsFile::parse(FileKind::Config, bytes);
        let has = |code: &str| {
            let mut problems = file.problems().iter();
            problems.any(|problem| problem.code.starts_with(code))
        };
        let by_botocore = read[&number.to_string()].is_none();
        assert_eq!(has("duplicate_"), by_botocore, "{text}");
        refused += usize::from(by_botocore);
        twice += usize::from(!by_botocore && has("section_twice"));
    }
    assert!((200..800).contains(&refused), "{refused} files are refused");
    assert!(twice > 20, "only {twice} have a section in two spellings");
}

#[test]
fn botocore_reads_the_other_profiles_as_before() {
    let edits = edits(1000);
    let read = read_by_botocore(edits.iter().enumerate().flat_map(|(number, edit)| {
        [
            (format!("{number}.before"), &edit.before[..]),
            (format!("{number}.after"), &edit.after[..]),
        ]
    }));
    let mut accepted = 0;
    for (number, edit) in edits.iter().enumerate() {
        let of = |kind: &str| others(read[&format!("{number}.{kind}")].clone(), edit.profile);
        let before = of("before");
        accepted += usize::from(before.is_some());
        // An edit may mend a file that was refused.
        if before.is_some() {
            assert_eq!(before, of("after"), "{number}:\n{}", shown(edit));
            if edit.profile == "new" {
                let after = read[&format!("{number}.after")].as_ref();
                let new = after.and_then(|sections| sections.get("new"));
                assert_eq!(new.map(|keys| keys["region"].as_str()), Some("z"), "{}", shown(edit));
            }
        }
    }
    assert!(accepted > 200, "botocore accepts {accepted} files only");
    let changed = edits.iter().filter(|edit| edit.before != edit.after).count();
    assert!(changed > 400, "only {changed} edits change anything");
}

#[test]
fn the_rust_sdk_reads_the_other_profiles_as_before() {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    runtime.block_on(reads_the_other_profiles_as_before());
}

async fn reads_the_other_profiles_as_before() {
    let mut accepted = 0;
    for (number, edit) in edits(1000).iter().enumerate() {
        let before = others(sdk_profiles(&edit.before).await, edit.profile);
        accepted += usize::from(before.is_some());
        if before.is_some() {
            let after = others(sdk_profiles(&edit.after).await, edit.profile);
            assert_eq!(before, after, "{number}:\n{}", shown(edit));
        }
    }
    assert!(accepted > 200, "the SDK accepts {accepted} files only");
}

async fn sdk_profiles(bytes: &[u8]) -> Option<Sections> {
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, text).build();
    let fs = aws_types::os_shim_internal::Fs::from_slice(&[]);
    let env = aws_types::os_shim_internal::Env::from_slice(&[]);
    let read = aws_config::profile::load(&fs, &env, &files, None).await.ok()?;
    let profiles = read.profiles().map(|name| {
        let profile = read.get_profile(name).expect("it was just named");
        let keys = ["region", "output", "x_y", "s3", "new_key"];
        let values =
            keys.iter().filter_map(|key| Some((key.to_string(), profile.get(key)?.to_owned())));
        (name.to_owned(), values.collect())
    });
    Some(profiles.collect())
}

fn shown(edit: &Edit) -> String {
    let text = String::from_utf8_lossy;
    format!("--- before\n{}\n--- after\n{}", text(&edit.before), text(&edit.after))
}
