//! `secret copy`, against a real X server, and over SSH as a terminal sees it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::support::home::Home;
use crate::support::process::{self, Ran};
use crate::support::terminal::{Key, Terminal};
use crate::support::x_server::XServer;
use crate::{home, keep, made_up_pair, stored_pair};

const LIMIT: Duration = Duration::from_secs(60);
const STORED: &str = ".local/share/cloudcred/secrets/aws/ana.json";

fn scene() -> Home {
    let home = home();
    keep(&home, "ana", &made_up_pair(1));
    home.run(&["secret", "use", "ana"]).expect(0);
    home
}

fn start(home: &Home, arguments: &[&str]) -> Child {
    let mut command = home.command(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn wait_for(server: &XServer, text: &str) {
    process::poll(LIMIT, || (server.clipboard().as_deref() == Some(text)).then_some(()))
        .unwrap_or_else(|| panic!("the clipboard holds {:?}", server.clipboard()));
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran {
        code: process::exit_code(output.status),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[test(XServer)]
fn the_document_is_there_to_be_pasted_and_gone_afterwards() {
    let server = XServer::start();
    let home = scene().variables(server.environment());
    let child = start(&home, &["secret", "copy", "--clear-after", "20"]);
    wait_for(&server, &home.read(STORED));
    let hint = "x-kde-passwordManagerHint";
    assert!(server.targets().contains(hint), "no history is to keep it");
    let ran = end(child).expect(0);
    assert_eq!(server.clipboard().unwrap_or_default(), "");
    assert!(ran.stdout.contains("cleared"), "{ran}");
    for step in ["add secret", "apply", "set current"] {
        assert!(ran.stderr.contains(step), "{ran}");
    }
    let secret = made_up_pair(1).secret_access_key;
    assert!(!format!("{ran}").contains(&secret));
}

#[test(XServer)]
fn one_field_alone_can_be_pasted() {
    let server = XServer::start();
    let home = scene().variables(server.environment());
    let pair = made_up_pair(1);
    for (field, value) in
        [("access_key", &pair.access_key_id), ("secret_key", &pair.secret_access_key)]
    {
        let copy = ["secret", "copy", "ana", "--field", field];
        let copy = [&copy[..], &["--clear-after", "20", "--output", "json"]].concat();
        let child = start(&home, &copy);
        wait_for(&server, value);
        let ended = end(child).expect(0).json();
        let expected = serde_json::json!({"name": "ana", "field": field, "cleared": true});
        assert_eq!(ended, expected);
    }
}

#[test(XServer)]
fn what_was_copied_since_stays() {
    let server = XServer::start();
    let home = scene().variables(server.environment());
    let child = start(&home, &["secret", "copy", "--clear-after", "20"]);
    wait_for(&server, &home.read(STORED));
    server.copy("something else");
    let ran = end(child).expect(0);
    assert!(ran.stdout.contains("left alone"), "{ran}");
    assert_eq!(server.clipboard().as_deref(), Some("something else"));
}

#[test(XServer)]
fn whoever_has_pasted_it_need_not_wait() {
    let server = XServer::start();
    let home = scene().variables(server.environment());
    for signal in ["-INT", "-TERM"] {
        let began = Instant::now();
        let child = start(&home, &["secret", "copy"]);
        wait_for(&server, &home.read(STORED));
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .expect("kill can be started");
        assert!(sent.success());
        let ran = end(child).expect(0);
        assert!(ran.stdout.contains("cleared"), "{ran}");
        assert_eq!(server.clipboard().unwrap_or_default(), "");
        assert!(began.elapsed() < LIMIT, "it was not waited for");
    }
}

#[test]
fn without_a_clipboard_it_says_what_works_instead() {
    let ran = scene().run(&["secret", "copy"]).expect(1);
    assert!(ran.stderr.contains("no clipboard"), "{ran}");
    assert!(ran.stderr.contains("secret show ana --reveal"), "{ran}");
    // Over SSH without a terminal there is none either.
    let remote = scene().variable("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22");
    remote.run(&["secret", "copy"]).expect(1);
}

#[test]
fn over_ssh_the_terminal_is_asked_to_keep_it_and_to_forget_it() {
    let home = scene().variable("SSH_TTY", "/dev/pts/7");
    let asks = |printed: &str, text: &str| {
        printed.contains(&format!("\u{1b}]52;c;{}\u{7}", BASE64_STANDARD.encode(text)))
    };
    let pair = made_up_pair(1);
    let copy = ["secret", "copy", "--clear-after", "1"];
    let (code, printed) = Terminal::start(&home.command(&copy), 80).exit();
    assert_eq!(code, 0, "{printed}");
    assert!(asks(&printed, &home.read(STORED)), "{printed:?}");
    assert!(asks(&printed, ""), "{printed:?}");
    assert!(!printed.contains(&pair.secret_access_key));
    assert_eq!(stored_pair(&home.read(STORED)).access_key_id, pair.access_key_id);

    let copy = ["secret", "copy", "--field", "secret_key"];
    let mut terminal = Terminal::start(&home.command(&copy), 80);
    terminal
        .wait_for("Ctrl-C clears it now")
        .press(Key::CtrlC)
        .wait_for("the clipboard is cleared");
    let (code, printed) = terminal.exit();
    assert_eq!(code, 0, "{printed}");
    assert!(asks(&printed, &pair.secret_access_key), "{printed:?}");
    assert!(asks(&printed, ""), "{printed:?}");
}
