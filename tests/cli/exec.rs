//! `exec`: the pair reaches one process, and nothing else of the caller's does harm to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use crate::support::aws_cli;
use crate::support::home::Home;
use crate::support::process;
use crate::{home, keep, made_up_pair, moto};

fn scene() -> Home {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    home.run(&["secret", "use", "ana"]).expect(0);
    home
}

#[test]
fn the_command_gets_the_pair_and_no_other_credentials() {
    let home = scene();
    keep(&home, "bob", &made_up_pair(2));
    let conflicting = [
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
    ];
    let mut home = home.variable("AWS_ACCESS_KEY_ID", "AKIAOTHER").variable("KEPT", "a b");
    for name in conflicting {
        home = home.variable(name, "stale");
    }
    for (arguments, number) in [(&["exec"][..], 1), (&["exec", "bob"], 2)] {
        let pair = made_up_pair(number);
        let printed = home.run(&[arguments, &["--", "env"]].concat()).expect(0);
        let lines: Vec<&str> = printed.stdout.lines().collect();
        assert!(lines.contains(&format!("AWS_ACCESS_KEY_ID={}", pair.access_key_id).as_str()));
        assert!(
            lines.contains(&format!("AWS_SECRET_ACCESS_KEY={}", pair.secret_access_key).as_str())
        );
        assert!(lines.contains(&"KEPT=a b"));
        for name in conflicting {
            assert!(!printed.stdout.contains(name), "{printed}");
        }
        assert_eq!(printed.stderr, "");
    }
}

#[test]
fn the_aws_cli_works_with_it_whatever_was_set_before() {
    let account = moto().seeded_account();
    let home = home();
    keep(&home, "ana", &account.creator);
    let home = home
        .credentials(&account.bootstrap)
        .variable("AWS_SESSION_TOKEN", "stale")
        .variable("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
        .variable("AWS_PROFILE", "of-another-life")
        .variable("AWS_DEFAULT_REGION", "us-east-1");
    let python = aws_cli::python();
    let python = python.get_program().to_str().expect("UTF-8").to_owned();
    let who = ["exec", "ana", "--", &python, "-m", "awscli"];
    let who = [&who[..], &["sts", "get-caller-identity", "--output", "json"]].concat();
    let who = home.run(&who).expect(0).json();
    assert_eq!(who["Arn"], account.user("creator").expect("seeded").arn);
}

#[test]
fn arguments_exit_codes_and_standard_input_pass_through() {
    let home = scene();
    // No shell looks at them.
    let odd = ["a b", "$HOME", "*", "'\"", "--yes", ""];
    let echo = [&["exec", "--", "printf", "%s|"], &odd[..]].concat();
    assert_eq!(home.run(&echo).expect(0).stdout, "a b|$HOME|*|'\"|--yes||", "as they were given");
    home.run(&["exec", "--", "sh", "-c", "exit 7"]).expect(7);
    let killed = ["exec", "--", "sh", "-c", "kill -TERM $$"];
    home.run(&killed).expect(128 + 15);
    let cat = home.run_with_stdin(&["exec", "--", "cat"], "from stdin");
    assert_eq!(cat.expect(0).stdout, "from stdin");
}

#[test]
fn the_command_takes_the_process_and_its_signals() {
    let home = scene();
    let trap = "trap 'echo got it; exit 3' TERM; echo $$; while :; do sleep 0.05; done";
    let mut command = home.command(&["exec", "--", "sh", "-c", trap]);
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("text");
    assert_eq!(
        line.trim(),
        child.id().to_string(),
        "the very same process, so that signals need no passing on"
    );
    let sent =
        Command::new("kill").args(["-TERM", line.trim()]).status().expect("kill can be started");
    assert!(sent.success());
    let status = process::wait(&mut child, Duration::from_secs(120)).expect("it ends");
    assert_eq!(process::exit_code(status), 3);
}

#[test]
fn what_cannot_be_started_ends_as_in_a_shell() {
    let home = scene();
    let missing = home.run(&["exec", "--", "no-such-program"]).expect(127);
    assert!(missing.stderr.contains("`no-such-program` is not found"));
    home.run(&["exec", "--", ""]).expect(127);
    let folder = home.run(&["exec", "--", "/etc"]).expect(126);
    assert!(folder.stderr.contains("cannot be run"), "{folder}");
    home.write("script", "#!/no/such/interpreter\n");
    let script = home.path().join("script");
    let script = script.to_str().expect("UTF-8");
    home.run(&["exec", "--", script]).expect(126);
    fs::set_permissions(script, fs::Permissions::from_mode(0o700)).expect("chmod");
    let broken = home.run(&["exec", "--", script]).expect(126);
    assert!(broken.stderr.contains("interpreter"), "{broken}");
    for ran in [missing, folder, broken] {
        assert_eq!(ran.stdout, "");
        assert_eq!(ran.stderr.lines().count(), 2, "an error and a hint: {ran}");
        assert!(!ran.stderr.contains(&made_up_pair(1).secret_access_key));
    }
    home.run(&["exec", "ana", "env"]).expect(2);
    home.run(&["exec", "ana", "--"]).expect(2);
}

#[test]
fn without_a_secret_nothing_is_started() {
    let home = home();
    let none = home.run(&["exec", "--", "touch", "started"]).expect(1);
    assert!(none.stderr.contains("no secret is current"), "{none}");
    keep(&home, "production", &made_up_pair(1));
    let near = home.run(&["exec", "producton", "--", "touch", "started"]);
    assert!(near.expect(1).stderr.contains("`production`"));
    assert!(!home.path().join("started").exists());
}
