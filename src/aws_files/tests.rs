//! The AWS SDKs' own cases, read from the sources of aws-runtime; and edits, byte by byte.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

/// A test file of the AWS SDKs, from the dependency's sources.
fn sdk_cases<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let rustc = std::process::Command::new("rustc")
        .args(["--print", "host-tuple"])
        .output()
        .expect("rustc stands beside cargo");
    let platform = String::from_utf8(rustc.stdout).expect("a name in ASCII");
    // Only what was built here is sure to be on this machine.
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", platform.trim()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo started this test, so it can be started");
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata.stdout).expect("cargo's own format");
    let packages = metadata["packages"].as_array().expect("a list");
    let package = packages.iter().find(|package| package["name"] == "aws-runtime");
    let manifest = package.and_then(|it| it["manifest_path"].as_str()).expect("a dependency");
    let path = Path::new(manifest).with_file_name("test-data").join(name);
    let text = std::fs::read_to_string(&path).expect("it ships with the crate");
    serde_json::from_str(&text).expect("the SDKs' format")
}

#[derive(Deserialize)]
struct Cases<T> {
    tests: Vec<T>,
}

#[derive(Deserialize)]
struct ParserCase {
    name: String,
    input: Input,
    output: Output,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    config_file: Option<String>,
    credentials_file: Option<String>,
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    config: Option<Expected>,
    error_containing: Option<String>,
}

#[derive(Deserialize)]
struct Expected {
    profiles: Sections,
    #[serde(default)]
    sso_sessions: Sections,
}

fn as_sections(profiles: &[Profile]) -> Sections {
    profiles
        .iter()
        .map(|profile| {
            let properties = profile.properties();
            let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
            (profile.name.clone(), properties.collect())
        })
        .collect()
}

/// To the SDKs, which merge what is there twice.
fn is_fatal(problem: &text::Problem) -> bool {
    problem.refuses_the_file() && !problem.code.starts_with("duplicate_")
}

#[test]
fn parsing_agrees_with_the_sdks_specification() {
    let cases: Cases<ParserCase> = sdk_cases("profile-parser-tests.json");
    assert_eq!(cases.tests.len(), 65);
    for case in cases.tests {
        let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
        let files = AwsFiles {
            config: AwsFile::parse(FileKind::Config, &text(&case.input.config_file)),
            credentials: AwsFile::parse(FileKind::Credentials, &text(&case.input.credentials_file)),
        };
        let problems = files.config.problems().iter().chain(files.credentials.problems());
        let fatal: Vec<_> = problems.filter(|problem| is_fatal(problem)).collect();
        match (case.output.config, case.output.error_containing) {
            (Some(expected), None) => {
                assert!(fatal.is_empty(), "{}: {fatal:?}", case.name);
                let profiles = files.profiles();
                assert_eq!(as_sections(&profiles.profiles), expected.profiles, "{}", case.name);
                assert_eq!(
                    as_sections(&profiles.sso_sessions),
                    expected.sso_sessions,
                    "{}",
                    case.name
                );
            }
            (None, Some(_)) => assert!(!fatal.is_empty(), "{}", case.name),
            _ => panic!("{}: a case of another form", case.name),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocationCase {
    name: String,
    environment: BTreeMap<String, String>,
    platform: String,
    config_location: String,
    credentials_location: String,
}

#[test]
fn the_files_are_where_the_sdks_look_for_them() {
    let cases: Cases<LocationCase> = sdk_cases("file-location-tests.json");
    assert_eq!(cases.tests.len(), 9);
    for case in cases.tests {
        let variable = |name: &str| case.environment.get(name).map(String::as_str);
        let locations = Locations::from_variables(variable, case.platform == "windows");
        let locations = locations.unwrap_or_else(|| panic!("{}: nowhere", case.name));
        // Windows takes both kinds of separators.
        let plain = |path: &Path| path.display().to_string().replace('\\', "/");
        let expected = |path: &str| path.replace('\\', "/");
        assert_eq!(plain(&locations.config), expected(&case.config_location), "{}", case.name);
        assert_eq!(
            plain(&locations.credentials),
            expected(&case.credentials_location),
            "{}",
            case.name
        );
    }
}

fn parsed(text: &str) -> AwsFile {
    AwsFile::parse(FileKind::Config, text.as_bytes())
}

fn shown(file: &AwsFile) -> String {
    String::from_utf8(file.to_bytes().to_vec()).expect("text in, text out")
}

#[test]
fn a_value_is_replaced_where_it_stands() {
    let cases = [
        ("[default]\nregion=a\n", "[default]\nregion=b\n"),
        ("[default]\nregion   =  a   # mine\n", "[default]\nregion   =  b   # mine\n"),
        ("[default]\r\nRegion = a\r\n", "[default]\r\nRegion = b\r\n"),
        ("[default]\nregion =\n", "[default]\nregion = b\n"),
        ("[default]\nregion = # none\n", "[default]\nregion = b # none\n"),
        ("[default]\nregion = a\n  more\n\n  yet\nx = y\n", "[default]\nregion = b\n\nx = y\n"),
        ("[ profile   default ] ; x\nregion = a", "[ profile   default ] ; x\nregion = b"),
        ("[default]\nregion = a\nregion = a2\n", "[default]\nregion = a\nregion = b\n"),
        (
            "[default]\nregion = x\n[profile default]\nregion = a\n",
            "[default]\nregion = x\n[profile default]\nregion = b\n",
        ),
    ];
    for (before, after) in cases {
        let mut file = parsed(before);
        file.set("default", "region", "b").expect("it can stand there");
        assert_eq!(shown(&file), after, "{before:?}");
        assert_eq!(parsed(after).get("default", "region").as_deref(), Some("b"), "{after:?}");
    }
}

#[test]
fn comments_under_a_value_stay_when_it_changes() {
    let text = "[default]\nregion = a # mine\n  # note\n  more\n# at the margin\n  yet\nx = y\n";
    let mut file = parsed(text);
    file.set("default", "region", "b").expect("one word");
    assert_eq!(shown(&file), "[default]\nregion = b # mine\n# note\n# at the margin\nx = y\n");
    assert_eq!(parsed(&shown(&file)).get("default", "region").as_deref(), Some("b"));
    file.remove_key("default", "region");
    assert_eq!(shown(&file), "[default]\n# note\n# at the margin\nx = y\n");
    let mut file = parsed("[default]\nregion = a\n  more");
    file.set("default", "region", "b").expect("one word");
    assert_eq!(shown(&file), "[default]\nregion = b");
}

#[test]
fn what_would_be_read_back_as_something_else_is_refused() {
    let text = "[default]\nregion = a\n";
    let mut file = parsed(text);
    for value in ["x\n[profile y]", "x\r", "x # y", "x\t;y", " x", "x ", "# x"] {
        assert!(file.set("default", "region", value).is_err(), "{value:?}");
        assert!(file.set("new", "region", value).is_err(), "{value:?}");
    }
    for name in ["a b", "", "a]", "a\n"] {
        assert!(file.set(name, "region", "x").is_err(), "{name:?}");
    }
    assert!(file.set("default", "a key", "x").is_err());
    assert_eq!(shown(&file), text);
    file.set("default", "region", "x#y;z = #").expect_err("a comment");
    file.set("default", "region", "x#y;z = w").expect("none");
}

#[test]
fn a_key_is_added_behind_the_last_one_of_its_section() {
    let mut file = parsed("[profile a]\nx = 1\n\n# about b\n[profile b]\n");
    file.set("a", "y", "2").expect("it can stand there");
    assert_eq!(shown(&file), "[profile a]\nx = 1\ny = 2\n\n# about b\n[profile b]\n");
    file.remove_key("a", "y");
    assert_eq!(shown(&file), "[profile a]\nx = 1\n\n# about b\n[profile b]\n");
}

#[test]
fn one_broken_line_hides_nothing_else() {
    let bytes = b"\xEF\xBB\xBF[profile a]\nx = 1\nbroken\n[profile b\ny = 2\n[profile c]\nz = \xFF\nw = 3\n";
    let file = AwsFile::parse(FileKind::Config, bytes);
    assert_eq!(file.to_bytes().as_slice(), bytes);
    let lines: Vec<_> = file.problems().iter().map(|it| (it.line, it.code)).collect();
    assert_eq!(lines, [(1, "byte_order_mark"), (3, "syntax"), (4, "syntax"), (7, "not_utf8")]);
    let files = AwsFiles { config: file, credentials: AwsFile::parse(FileKind::Credentials, b"") };
    let profiles = files.profiles();
    assert_eq!(profiles.find("a").and_then(|it| it.get("x")), Some("1"));
    assert_eq!(profiles.find("c").and_then(|it| it.get("w")), Some("3"));
    assert!(profiles.find("b").is_none());
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_its_path_alone() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let locations = Locations {
        // A folder cannot be read as a file.
        config: home.path().to_owned(),
        credentials: home.path().join("credentials"),
    };
    let error = locations.read_sound().err().expect("it cannot be read");
    let path = home.path().display().to_string();
    assert!(error.message.contains(&path), "{error}");
    assert!(!error.message.contains("line"), "{error}");
}

#[test]
fn what_stands_twice_is_told_as_botocore_and_the_sdks_take_it() {
    let codes = |text: &str| -> Vec<(usize, &'static str)> {
        let file = parsed(text);
        let told = file.problems().iter();
        let told = told.filter(|it| it.code != "ignored_section" && it.code != "odd_header");
        told.map(|it| (it.line, it.code)).collect()
    };
    assert_eq!(codes("[preview]\n[preview]\n"), [(2, "duplicate_section")]);
    let cases = [
        ("[profile a]\n[profile  a]\n", vec![(2, "section_twice")]),
        ("[profile a]\n[profile a] # b\n", vec![(2, "duplicate_section")]),
        ("[profile a]\n[ profile a]\n", vec![(2, "section_twice")]),
        ("[default]\n[profile default]\n", vec![]),
        ("[sso-session a]\n[profile a]\n", vec![]),
        ("[DEFAULT]\n[DEFAULT]\n", vec![]),
        ("[profile a]\nk = 1\nK=2\n", vec![(3, "duplicate_key")]),
        ("[profile a]\nk:x = 1\nk:y = 2\n", vec![(3, "duplicate_key")]),
        ("[profile a]\nk = 1\n[profile b]\nk = 1\n", vec![]),
    ];
    for (text, expected) in cases {
        assert_eq!(codes(text), expected, "{text:?}");
    }
}

/// Who makes a file read-only means it, though its folder would let it be replaced.
#[test]
fn a_read_only_file_is_not_replaced_and_old_copies_are_swept() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let (path, left) =
        (home.path().join("config"), home.path().join(".cloudcred-a1B2c3D4e5F6.tmp"));
    std::fs::write(&path, "[default]\n").expect("writable");
    std::fs::write(&left, "[default]\naws_secret_access_key = s\n").expect("writable");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let file = std::fs::File::options().write(true).open(&left).expect("ours");
    file.set_modified(old).expect("ours");
    let read_only = |yes: bool| {
        let mut permissions = std::fs::metadata(&path).expect("there").permissions();
        permissions.set_readonly(yes);
        std::fs::set_permissions(&path, permissions).expect("ours");
    };
    let locations = Locations { config: path.clone(), credentials: home.path().join("none") };
    let set = || locations.update(FileKind::Config, |file| file.set("default", "region", "x"));
    read_only(true);
    for refused in [set(), locations.check_writable(FileKind::Config)] {
        let refused = refused.expect_err("read-only");
        assert!(refused.message.contains("config: it is read-only"), "{refused}");
    }
    assert_eq!(std::fs::read(&path).expect("there"), b"[default]\n");
    read_only(false);
    locations.check_writable(FileKind::Config).expect("writable");
    set().expect("writable");
    assert!(!left.exists());
    let lock = home.path().join(".config.cloudcred-lock");
    assert!(lock.exists());
    // Nothing is left to be changed, so it does not matter that nothing could be.
    read_only(true);
    std::fs::remove_file(&lock).expect("ours");
    set().expect("as it is");
    assert!(!lock.exists());
    read_only(false);
}

/// Another program, which ignores our lock, writes while we do.
#[test]
fn what_other_programs_write_meanwhile_is_kept_or_the_edit_given_up() {
    use std::cell::Cell;
    let home = tempfile::tempdir().expect("a temporary folder");
    let path = home.path().join("deep/config");
    let locations = Locations { config: path.clone(), credentials: home.path().join("none") };
    for (writes, kept, succeeds) in [(1, "1", true), (3, "3", true), (100, "5", false)] {
        locations
            .update(FileKind::Config, |file| {
                file.remove("ours");
                file.remove("theirs");
                file.set("theirs", "n", "0")
            })
            .expect("nobody else writes");
        let left = Cell::new(writes);
        let calls = Cell::new(0);
        let updated = locations.update(FileKind::Config, |file| {
            let theirs: u32 = file.get("theirs", "n").expect("there").parse().expect("a number");
            // The first call only looks.
            if calls.replace(calls.get() + 1) > 0 && left.get() > 0 {
                left.set(left.get() - 1);
                let mut other = file.clone();
                other.set("theirs", "n", &(theirs + 1).to_string()).expect("a number");
                std::fs::write(&path, other.to_bytes()).expect("writable");
            }
            file.set("ours", "n", "1")
        });
        let read = locations.read().config;
        assert_eq!(read.has("ours"), succeeds);
        assert_eq!(read.get("theirs", "n").as_deref(), Some(kept));
        match updated {
            Ok(()) => assert!(succeeds),
            Err(error) => {
                assert!(!succeeds);
                assert!(error.message.contains("keeps changing"), "{error}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn the_lock_lies_beside_the_file_that_a_link_names() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().expect("a temporary folder");
    let (link, real) = (home.path().join("config"), home.path().join("else/where"));
    std::os::unix::fs::symlink(&real, &link).expect("a new link");
    let through = |config: &Path| Locations { config: config.to_owned(), credentials: "".into() };
    // Two writers, one through the link, lose nothing.
    std::thread::scope(|scope| {
        for (config, writer) in [(&link, "a"), (&real, "b")] {
            scope.spawn(move || {
                for number in 0..20 {
                    let name = format!("{writer}{number}");
                    let updated =
                        through(config).update(FileKind::Config, |file| file.set(&name, "n", "1"));
                    updated.expect("both wait");
                }
            });
        }
    });
    assert_eq!(through(&link).read().config.profile_names().len(), 40);
    let lock = home.path().join("else/.where.cloudcred-lock");
    let mode = std::fs::metadata(lock).expect("it stays").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(home.path()).expect("ours").count(), 2);
}

#[test]
fn what_aws_passes_over_is_named() {
    let file = parsed("[foo]\n[profile a]\n[profile a]\nk = 1\nk = 2\nin valid = 3\n");
    let found: Vec<_> = file.problems().iter().map(|it| (it.line, it.code)).collect();
    assert_eq!(
        found,
        [
            (1, "ignored_section"),
            (3, "duplicate_section"),
            (5, "duplicate_key"),
            (6, "ignored_key")
        ]
    );
    assert!(file.problems().iter().all(|problem| !is_fatal(problem)));
    let file = AwsFile::parse(FileKind::Credentials, b"[profile foo]\n");
    assert!(file.problems()[0].message.contains("write [foo]"));
}
