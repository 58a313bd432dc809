//! What a terminal, a shell or a careless pipe can do to the wizard's questions.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::home::Home;
use crate::support::moto::KeyPair;
use crate::support::process::Running;
use crate::support::terminal::{Key, Terminal};
use crate::{home, moto};

const ADD: &[&str] = &["secret", "add", "ana", "--store", "file", "--no-verify"];

/// A shell with job control in a terminal, about to run the program.
fn shell(home: &Home) -> Terminal {
    let mut shell = Command::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    home.clean(&mut shell);
    shell.env("PS1", "ready> ");
    let mut terminal = Terminal::start(&shell, 100);
    terminal.wait_for("ready>");
    terminal
}

fn program(arguments: &[&str]) -> String {
    format!("{} {}\n", env!("CARGO_BIN_EXE_cloudcred"), arguments.join(" "))
}

/// Stops the program with Ctrl-Z, and waits until `question` is asked again after `fg`.
#[track_caller]
fn stop_and_go_on(terminal: &mut Terminal, question: &str) {
    let count = |terminal: &Terminal, text| terminal.screen().matches(text).count();
    let asked = count(terminal, question);
    let stopped = count(terminal, "Stopped");
    terminal
        .type_text("\x1a")
        .wait_for_times("Stopped", stopped + 1)
        .type_text("fg\n")
        .wait_for_times(question, asked + 1);
}

fn pair() -> KeyPair {
    moto().seeded_account().bootstrap
}

#[test]
fn a_pair_pasted_after_ctrl_z_and_fg_is_not_shown() {
    let (home, pair) = (home(), pair());
    let mut terminal = shell(&home);
    terminal.type_text(&program(ADD)).wait_for("both halves");
    for _ in 0..2 {
        stop_and_go_on(&mut terminal, "both halves");
    }
    let paste = format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key);
    terminal.type_text(&paste).wait_for("read the key");
    terminal.wait_for("ready>").type_text("exit\n");
    let (_, printed) = terminal.exit();
    assert!(!printed.contains(&pair.secret_access_key), "{printed}");
    let stored = home.read(".local/share/cloudcred/secrets/aws/ana.json");
    assert!(stored.contains(&pair.secret_access_key));
}

#[test]
fn a_password_typed_after_ctrl_z_and_fg_is_not_shown() {
    let home = home().credentials(&pair());
    let mut terminal = shell(&home);
    let setup = [
        "setup --mode iam-user --dry-run --store file --user-name ana --secret ana",
        "--key-description test --console-password prompt --no-current",
    ];
    terminal.type_text(&program(&setup));
    // Credentials of the environment are offered first.
    terminal.wait_for("may create the user").press(Key::Enter);
    terminal.wait_for("? Console password");
    stop_and_go_on(&mut terminal, "? Console password");
    terminal.type_text("Correct-Horse-7!\n");
    terminal.wait_for("? The same again");
    stop_and_go_on(&mut terminal, "? The same again");
    terminal.type_text("Correct-Horse-7!\n");
    terminal.wait_for("Plan for account");
    terminal.wait_for("ready>").type_text("exit\n");
    let (_, printed) = terminal.exit();
    assert!(!printed.contains("Correct-Horse"), "{printed}");
}

#[test]
fn a_terminal_that_somebody_else_set_is_hidden_again_when_the_program_goes_on() {
    let (home, pair) = (home(), pair());
    // No job control, and no stop: another program has only set the terminal's mode.
    let script = format!(
        "{} </dev/tty & child=$!; while [ ! -e \"$0\" ]; do sleep 0.1; done; \
         stty echo </dev/tty; kill -CONT $child; wait $child",
        program(ADD).trim_end()
    );
    let go = home.path().join("go");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(&go);
    home.clean(&mut shell);
    let mut terminal = Terminal::start(&shell, 100);
    terminal.wait_for("both halves");
    home.write("go", "");
    terminal.wait_for_times("both halves", 2);
    let paste = format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key);
    terminal.type_text(&paste).wait_for("read the key");
    let (_, printed) = terminal.exit();
    assert!(!printed.contains(&pair.secret_access_key), "{printed}");
}

#[test]
fn endless_standard_input_is_refused() {
    let home = home();
    for arguments in [
        &["secret", "add", "ana", "--store", "file", "--key-stdin"][..],
        &["setup", "--mode", "iam-user", "--yes", "--key-stdin"],
        &["setup", "--mode", "iam-user", "--yes", "--console-password", "stdin"],
        &["login", "--remote"],
    ] {
        let mut command = home.command(arguments);
        command.stdin(File::open("/dev/zero").expect("a device"));
        let output = command.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {said}");
        assert!(said.contains("too long"), "{arguments:?}: {said}");
    }
    let mut files = home.files().into_iter();
    assert!(files.all(|file| file.ends_with("secrets.lock")));
}

#[test]
fn ctrl_c_ends_the_wait_for_standard_input() {
    let home = home();
    for arguments in [
        &["secret", "add", "ana", "--store", "file", "--key-stdin"][..],
        &["setup", "--mode", "iam-user", "--yes", "--key-stdin"],
        &["setup", "--mode", "iam-user", "--yes", "--console-password", "stdin"],
        &["login", "--remote"],
    ] {
        let running = Running::start(home.command(arguments));
        std::thread::sleep(Duration::from_millis(1500));
        kill_process(Pid::from_child(running.child()), Signal::INT).expect("it runs");
        // Only then does its input end.
        std::thread::sleep(Duration::from_millis(300));
        let ran = running.end().expect(130);
        assert!(ran.stderr.contains("cancelled"), "{arguments:?}: {ran}");
    }
}

#[test]
fn descriptions_and_tags_that_iam_refuses_are_refused_before_anything_is_made() {
    let account = moto().seeded_account();
    let home = home().credentials(&account.bootstrap);
    for (text, named) in
        [("e\u{301}", "U+0301"), ("Ⓐ team", "`Ⓐ`"), ("क्ष", "U+094D"), ("a\u{200b}b", "U+200B")]
    {
        let tag = format!("team={text}");
        let key = format!("{text}=x");
        for flag in [["--key-description", text], ["--tag", &tag], ["--tag", &key]] {
            let setup = [&["setup", "--mode", "iam-user", "--yes"][..], &flag].concat();
            let ran = home.run(&setup).expect(2);
            assert!(ran.stderr.contains(named), "{ran}");
        }
    }
    assert_eq!(account.changing_calls(), [""; 0]);
    let said = ["--key-description", "① Ünï\u{3000}½", "--tag", "équipe=Ⅳ 日本"];
    let setup = ["setup", "--mode", "iam-user", "--store", "file", "--yes"];
    home.run(&[&setup[..], &said].concat()).expect(0);
}
