//! `check`: the inventory, against files of every kind and shape.

use std::time::Duration;

use serde_json::Value;

use crate::support::home::Home;
use crate::support::moto::{ADMINISTRATOR_ACCESS, KeyPair};
use crate::support::proxy::{
    Effect, Proxy, account_summary, aws_error, caller_identity, json_error, late,
};
use crate::support::{process, python};
use crate::{home, home_at, moto};

fn keys(pair: &KeyPair) -> String {
    format!(
        "aws_access_key_id = {}\naws_secret_access_key = {}\n",
        pair.access_key_id, pair.secret_access_key
    )
}

#[track_caller]
fn checked(home: &Home, arguments: &[&str], code: i32) -> Value {
    home.run(&[&["check", "--output", "json"], arguments].concat()).expect(code).json()
}

#[track_caller]
fn profile<'r>(report: &'r Value, name: &str) -> &'r Value {
    let profiles = report["profiles"].as_array().expect("a list");
    let mut profiles = profiles.iter().filter(|it| it["name"] == name);
    let found = profiles.next().unwrap_or_else(|| panic!("no {name}: {report}"));
    assert!(profiles.next().is_none(), "{name} stands twice: {report}");
    found
}

fn codes(of: &Value) -> Vec<&str> {
    let warnings = of["warnings"].as_array().expect("a list");
    warnings.iter().filter_map(|it| it["code"].as_str()).collect()
}

#[test]
fn every_kind_is_listed_in_the_order_of_the_files_with_whose_it_is() {
    let account = moto().seeded_account();
    let bootstrap = account.user("bootstrap").expect("seeded").arn;
    account.create_role("deploy", &bootstrap, ADMINISTRATOR_ACCESS);
    let home = home();
    let deploy = format!("arn:aws:iam::{}:role/deploy", account.id);
    // moto does not see a role's session as the role that another role trusts.
    account.create_role("deploy-again", "*", ADMINISTRATOR_ACCESS);
    let role = format!("role_arn = {deploy}");
    let unknown =
        KeyPair { access_key_id: "AKIAIOSFODNN7EXAMPLE".into(), secret_access_key: "w".repeat(40) };
    let document = format!(
        "{{\"Version\":1,\"AccessKeyId\":\"{}\",\"SecretAccessKey\":\"{}\"}}",
        account.nobody.access_key_id, account.nobody.secret_access_key
    );
    home.write("document.json", &document);
    let cat = if cfg!(windows) { "cmd /c type" } else { "cat" };
    let process = home.path().join("document.json");
    home.write(
        ".aws/config",
        &format!(
            "[profile zeta]\nregion = eu-west-1\n\n[default]\nregion = us-east-2\n\
             [profile chain]\n{role}-again\nsource_profile = hop\n[profile refused]\n{role}\nsource_profile = hop\n[profile hop]\n{role}\nsource_profile = default\n\
             [profile old-sso]\nsso_start_url = https://x\nsso_region = us-east-1\nsso_account_id = 111122223333\nsso_role_name = r\n\
             [profile sso]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n\
             [sso-session s]\nsso_region = us-east-1\nsso_start_url = https://example.com/start\n\
             [profile console]\nlogin_session = arn:aws:iam::111122223333:user/ana\n\
             [profile program]\ncredential_process = {cat} {}\n\
             [profile token]\nrole_arn = arn\nweb_identity_token_file = /nowhere\n",
            process.display(),
        ),
    );
    home.write(
        ".aws/credentials",
        &format!(
            "[default]\n{}[gone]\n{}[session]\n{}aws_session_token = t\n[half]\naws_access_key_id = AKIA\n",
            keys(&account.bootstrap),
            keys(&unknown),
            keys(&unknown),
        ),
    );
    let report = checked(&home, &[], 0);
    let all = report["profiles"].as_array().expect("a list");
    let rows: Vec<[&str; 4]> = all
        .iter()
        .map(|it| ["name", "kind", "source", "status"].map(|key| it[key].as_str().expect("text")))
        .collect();
    assert_eq!(
        rows,
        [
            ["zeta", "incomplete", "config", "unresolvable"],
            ["default", "static", "credentials", "valid"],
            ["chain", "assume_role", "config", "valid"],
            ["refused", "assume_role", "config", "rejected"],
            ["hop", "assume_role", "config", "valid"],
            ["old-sso", "sso", "config", "expired"],
            ["sso", "sso", "config", "expired"],
            ["console", "login", "config", "expired"],
            ["program", "credential_process", "config", "valid"],
            ["token", "web_identity", "config", "unresolvable"],
            ["gone", "static", "credentials", "rejected"],
            ["session", "session", "credentials", "rejected"],
            ["half", "incomplete", "credentials", "unresolvable"],
        ]
    );
    let default = profile(&report, "default");
    assert_eq!(default["arn"], bootstrap.as_str());
    assert_eq!(default["account_id"], account.id.as_str());
    assert_eq!(default["region"], "us-east-2");
    assert_eq!(default["is_root"], false);
    assert_eq!(default["expires_at"], Value::Null);
    assert_eq!(default["access_key_id"], account.bootstrap.access_key_id.as_str());
    let chain = profile(&report, "chain");
    assert!(chain["arn"].as_str().is_some_and(|arn| arn.contains(":assumed-role/deploy-again/")));
    assert!(chain["expires_at"].is_string(), "{chain}");
    assert_eq!(codes(profile(&report, "sso")), ["expired"]);

    let text = home.run(&["check"]).expect(0);
    assert!(text.stdout.contains("aws sso login --profile sso"), "{text}");
    assert!(text.stdout.contains("cloudcred login --profile console"), "{text}");
    for line in text.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(!text.stdout.contains(&account.bootstrap.secret_access_key));
}

#[test]
fn named_profiles_must_all_work() {
    let account = moto().seeded_account();
    let home = home();
    home.write(
        ".aws/credentials",
        &format!("[a]\n{}[b]\n{}[c]\n", keys(&account.bootstrap), keys(&account.nobody)),
    );
    checked(&home, &["--profile", "b", "--profile", "a"], 0);
    let report = checked(&home, &["--profile", "a", "--profile", "c"], 4);
    assert_eq!(report["profiles"].as_array().map(Vec::len), Some(2));
    let unknown = home.run(&["check", "--profile", "aa"]).expect(4);
    assert!(unknown.stderr.contains("`a`"), "{unknown}");
    let twice = home.run(&["setup", "--profile", "a", "--profile", "b"]).expect(2);
    assert!(twice.stderr.contains("--profile"), "{twice}");
    let nothing = crate::home();
    assert_eq!(checked(&nothing, &[], 4)["profiles"], Value::Array(Vec::new()));
}

#[test]
fn offline_asks_nobody() {
    let account = moto().seeded_account();
    let home = home_at("http://127.0.0.1:9").credentials(&account.bootstrap);
    home.write(
        ".aws/config",
        "[profile marked]\ncredential_process = touch marked\n[profile half]\naws_access_key_id = x\n",
    );
    let report = checked(&home, &["--offline"], 0);
    assert_eq!(profile(&report, "environment")["status"], "unchecked");
    assert_eq!(profile(&report, "environment")["kind"], "environment");
    assert_eq!(profile(&report, "marked")["status"], "unchecked");
    assert_eq!(profile(&report, "half")["status"], "unresolvable");
    assert!(!home.path().join("marked").exists());
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line_and_hides_nothing() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.nobody);
    home.write(
        ".aws/config",
        "[plain]\nregion = x\n[ default ]\nregion = us-east-1\nnonsense\n[profile \"a b\"]\n\
         [profile lost]\nsso_session = nowhere\nsso_account_id = 1\nsso_role_name = r\n\
         [profile one]\nrole_arn = a\nsource_profile = two\n[profile two]\nrole_arn = a\nsource_profile = one\n\
         [profile far]\nrole_arn = a\nsource_profile = twoo\n",
    );
    let credentials = format!(
        "\u{feff}[default]\r\n{}[default]\r\naws_access_key_id = {id}\r\naws_access_key_id = {id}\r\n",
        keys(&account.bootstrap).replace('\n', "\r\n"),
        id = account.bootstrap.access_key_id
    );
    home.write(".aws/credentials", &credentials);
    let report = checked(&home, &[], 0);
    assert_eq!(profile(&report, "default")["status"], "valid");
    let mut default = codes(profile(&report, "default"));
    // The folder is as a test makes it.
    default.retain(|code| *code != "readable_by_others");
    default.sort_unstable();
    assert_eq!(
        default,
        [
            "duplicate_key",
            "duplicate_section",
            "environment_shadows_profile",
            "odd_header",
            "syntax"
        ]
    );
    assert_eq!(codes(&report), ["ignored_section", "quoted_name", "byte_order_mark"]);
    assert_eq!(codes(profile(&report, "lost")), ["unknown_sso_session"]);
    assert_eq!(codes(profile(&report, "one")), ["role_loop"]);
    assert_eq!(codes(profile(&report, "far")), ["unknown_source_profile"]);
    let text = home.run(&["check"]).expect(0).stdout;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("config, line 5: it has no `=`"), "{text}");
    assert!(text.contains("did you mean `two`?"), "{text}");
}

#[cfg(unix)]
#[test]
fn files_that_others_can_read_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let account = moto().seeded_account();
    let home = home();
    home.write(".aws/credentials", &format!("[a]\n{}", keys(&account.bootstrap)));
    let mode = |path: &str, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(home.path().join(path), mode).expect("ours");
    };
    mode(".aws", 0o700);
    assert_eq!(codes(profile(&checked(&home, &[], 0), "a")), [""; 0]);
    mode(".aws/credentials", 0o644);
    assert_eq!(codes(profile(&checked(&home, &[], 0), "a")), ["readable_by_others"]);
    mode(".aws", 0o755);
    let report = checked(&home, &[], 0);
    assert_eq!(codes(profile(&report, "a")), ["readable_by_others"; 2]);
}

#[test]
fn root_keys_and_second_keys_are_told() {
    let account = moto().seeded_account();
    let second = account.create_access_key("bootstrap");
    let home = home().credentials(&account.bootstrap);
    let report = checked(&home, &[], 0);
    let environment = profile(&report, "environment");
    assert_eq!(codes(environment), ["two_keys"]);
    assert!(environment.to_string().contains(&second.access_key_id));

    let proxy = Proxy::as_root(moto().address(), &account.id);
    let home = home.endpoint(&proxy.url());
    let report = checked(&home, &[], 0);
    let environment = profile(&report, "environment");
    assert_eq!(environment["is_root"], true);
    assert!(codes(environment).contains(&"root_key"));
}

#[test]
fn unguarded_root_users_are_told_once_for_each_account() {
    let accounts: Vec<_> = (0..9).map(|_| moto().seeded_account()).collect();
    let summary = |effect| Proxy::start(moto().address()).rule("GetAccountSummary", effect);
    let bad = summary(account_summary(1, 0));
    let home = home_at(&bad.url());
    let text: String = (0..)
        .zip(&accounts)
        .map(|(number, account)| {
            let pair = keys(&account.bootstrap);
            format!("[a{number}]\n{pair}[b{number}]\n{pair}")
        })
        .collect();
    home.write(".aws/credentials", &text);
    let report = checked(&home, &["--profile", "a0", "--profile", "b0", "--profile", "a1"], 0);
    let root = ["root_access_key", "root_without_mfa"];
    assert_eq!(codes(&report), [root, root].concat());
    let first = report["warnings"][0].to_string();
    assert!(first.contains(&accounts[0].id), "{first}");
    assert!(first.contains("security_credentials"), "{first}");
    assert_eq!(bad.calls("GetAccountSummary"), 2);
    let ran = home.run(&["check", "--profile", "a0"]).expect(0);
    assert!(ran.stdout.contains("has no MFA"), "{ran}");
    // As many as are worth one round trip.
    let report = checked(&home, &[], 0);
    assert_eq!(codes(&report).len(), 2 * 8);
    checked(&home, &["--offline"], 0);
    assert_eq!(bad.calls("GetAccountSummary"), 2 + 1 + 8);

    let denied = aws_error(403, "AccessDenied", "no");
    for effect in [denied, account_summary(0, 1)] {
        let proxy = summary(effect);
        let home = home_at(&proxy.url()).credentials(&accounts[0].bootstrap);
        assert_eq!(codes(&checked(&home, &[], 0)), [""; 0]);
        assert_eq!(proxy.calls("GetAccountSummary"), 1);
    }
}

#[test]
fn two_thousand_profiles_and_a_broken_one_are_read() {
    let home = home_at("http://127.0.0.1:9");
    let mut text = String::from("[broken\n");
    for number in 0..2000 {
        text += &format!(
            "[profile p{number}]\naws_access_key_id = AKIA{number:016}\naws_secret_access_key = s\n"
        );
    }
    home.write(".aws/config", &text);
    let report = checked(&home, &["--offline"], 0);
    assert_eq!(report["profiles"].as_array().map(Vec::len), Some(2000));
    assert_eq!(codes(&report), ["syntax"]);
}

#[test]
fn credentials_are_checked_at_the_same_time() {
    let account = moto().seeded_account();
    let slow = Effect::Delay(Duration::from_secs(1));
    let proxy = Proxy::start(moto().address()).rule("*", slow);
    let home = home_at(&proxy.url());
    let pair = keys(&account.bootstrap);
    let text: String = (0..64).map(|number| format!("[p{number}]\n{pair}")).collect();
    home.write(".aws/credentials", &text);
    let began = std::time::Instant::now();
    let report = checked(&home, &[], 0);
    // One after the other they would take 64 s.
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    let all = report["profiles"].as_array().expect("a list");
    assert!(all.iter().all(|it| it["status"] == "valid"), "{report}");
}

#[test]
fn an_identity_center_session_says_why_it_cannot_be_used() {
    let portal = |effect: Effect| Proxy::start(moto().address()).rule("*", effect);
    let cases = [
        (
            json_error(401, "UnauthorizedException", "Session token not found"),
            "expired",
            "aws sso login --profile sso",
        ),
        (
            json_error(403, "ForbiddenException", "No access"),
            "rejected",
            "IAM Identity Center must assign",
        ),
        (
            json_error(404, "ResourceNotFoundException", "no such \\u001b[31mrole\\n"),
            "rejected",
            "no such \u{fffd}[31mrole",
        ),
        (json_error(429, "TooManyRequestsException", "slowly"), "unreachable", "in a minute"),
        (Effect::Reset, "unreachable", "check the network"),
    ];
    for (effect, status, words) in cases {
        let portal = portal(effect);
        let home = home().variable("AWS_ENDPOINT_URL_SSO", &portal.url());
        home.write(
            ".aws/config",
            "[profile sso]\nsso_start_url = https://example.com/start\nsso_region = us-east-1\nsso_account_id = 111122223333\nsso_role_name = r\n",
        );
        // The SHA-1 of the start address.
        home.write(
            ".aws/sso/cache/b343494cf15ba6b81449840ea93161cf3b27e5e3.json",
            "{\"accessToken\":\"t\",\"expiresAt\":\"2100-01-01T00:00:00Z\",\"region\":\"us-east-1\",\"startUrl\":\"https://example.com/start\"}",
        );
        let report = checked(&home, &[], 4);
        assert_eq!(profile(&report, "sso")["status"], status, "{report}");
        let text = home.run(&["check"]).expect(4).stdout;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(words), "{words}: {text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn names_that_a_terminal_might_obey_are_shown_with_marks_and_escaped_in_json() {
    let home = home();
    home.write(
        ".aws/config",
        "[profile a\u{1b}[31mred]\nregion = x\n[profile b\u{9b}31m]\nregion = x\n[profile \u{202e}c]\nregion = x\n",
    );
    let unsafe_ones = ['\u{1b}', '\u{9b}', '\u{202e}'];
    let text = home.run(&["check", "--offline"]).expect(4).stdout;
    assert!(!text.contains(unsafe_ones), "{text:?}");
    assert!(text.contains("\u{fffd}[31mred"), "{text:?}");
    let json = home.run(&["check", "--offline", "--output", "json"]).expect(4).stdout;
    assert!(!json.contains(unsafe_ones), "{json:?}");
    assert!(json.contains("\\u202ec"), "{json}");
}

#[cfg(unix)]
#[test]
fn what_a_program_says_reaches_no_terminal_as_it_is() {
    let home = home();
    home.write("say", "printf 'no\\033]0;evil\\007 \\033[2Jkey\\n' >&2; exit 1\n");
    let script = home.path().join("say");
    home.write(
        ".aws/config",
        &format!("[profile p]\ncredential_process = sh {}\n", script.display()),
    );
    let text = home.run(&["check"]).expect(4).stdout;
    assert!(text.contains("its program failed"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
}

#[test]
fn what_is_not_looked_at_and_what_tools_disagree_on_is_told() {
    let answer = caller_identity("111122223333", "arn:aws:iam::111122223333:user/a", "AIDA");
    let proxy = Proxy::start(moto().address()).rule("GetCallerIdentity", answer);
    let home =
        home_at(&proxy.url()).variable("AWS_DEFAULT_PROFILE", "p1").variable("AWS_PROFILE", "p2");
    home.write(".aws/credentials", &made_up_profiles(33));
    let report = checked(&home, &[], 0);
    assert_eq!(codes(&report), ["default_profile_variable", "keys_not_looked_at"]);
    assert_eq!(proxy.calls("ListAccessKeys"), 0);
    let home = home.variable("AWS_DEFAULT_PROFILE", "p2");
    let report = checked(&home, &["--profile", "p1", "--profile", "p2"], 0);
    assert_eq!(codes(&report), [""; 0]);
    assert_eq!(proxy.calls("ListAccessKeys"), 2);
}

fn made_up_profiles(count: usize) -> String {
    let section = |number| {
        format!(
            "[p{number}]\naws_access_key_id = AKIAMADEUP{number:010}\naws_secret_access_key = {}\n",
            "w".repeat(40)
        )
    };
    (0..count).map(section).collect()
}

/// Where the machine is ours: another load on it is no fault of the program.
#[cfg(unix)]
#[test]
fn two_hundred_profiles_are_checked_in_little_time_and_memory() {
    if !crate::is_full() {
        return;
    }
    let answer = caller_identity("111122223333", "arn:aws:iam::111122223333:user/a", "AIDA");
    let answer = late(answer, Duration::from_millis(100));
    let proxy = Proxy::start(moto().address()).rule("*", answer);
    let home = home_at(&proxy.url());
    home.write(".aws/credentials", &made_up_profiles(200));
    // The system tells it of children that have ended, in KiB; on macOS in bytes.
    let script = "import resource, subprocess, sys, time\n\
        began = time.monotonic()\n\
        code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n\
        took = time.monotonic() - began\n\
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n\
        print(code, round(took * 1000), most // (1024 * 1024 if sys.platform == 'darwin' else 1024))\n";
    let mut best = (u32::MAX, u32::MAX);
    for _ in 0..3 {
        let mut command = python::aws_cli().python();
        command.args(["-c", script, env!("CARGO_BIN_EXE_cloudcred"), "check"]);
        home.clean(&mut command);
        let ran = process::run(command, None, Duration::from_secs(60)).expect(0);
        let numbers: Vec<u32> =
            ran.stdout.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        assert_eq!(numbers[0], 0, "{ran}");
        best = (best.0.min(numbers[1]), best.1.min(numbers[2]));
    }
    println!("200 profiles: {} ms, {} MiB", best.0, best.1);
    assert!(best.0 < 1500, "{} ms", best.0);
    assert!(best.1 < 60, "{} MiB", best.1);
}
