//! A browser sign-in under attack, out of time, or only to look: what it must neither write nor believe.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::home::Home;
use crate::support::moto::SeededAccount;
use crate::support::process::{Ran, Running};
use crate::support::signin::{SignInServer, sign_in, visit};
use crate::{home, moto};

const SETUP: &[&str] = &["setup", "--login", "--no-browser", "--store", "file", "--output", "json"];

fn scene() -> (SeededAccount, SignInServer, Home) {
    let account = moto().seeded_account();
    let server = SignInServer::start(&account);
    let home = home().variable("AWS_ENDPOINT_URL_SIGNIN", &server.url());
    (account, server, home)
}

fn set_up(home: &Home, more: &[&str]) -> Ran {
    let mut running = Running::start(home.command(&[SETUP, more].concat()));
    let address = running.line("/v1/authorize?");
    visit(&sign_in(&address));
    running.end()
}

fn nothing_is_written(home: &Home) {
    assert_eq!(home.files(), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn a_dry_run_signs_in_shows_the_plan_and_writes_nothing() {
    let (account, _, home) = scene();
    let report = set_up(&home, &["--dry-run"]).expect(0).json();
    assert_eq!(report["changed"], false);
    assert_eq!(report["steps"][0]["status"], "planned");
    assert_eq!(account.changing_calls(), [""; 0]);
    nothing_is_written(&home);
}

#[test]
fn a_session_that_has_expired_meanwhile_is_reported_and_changes_nothing() {
    let (account, server, home) = scene();
    server.set_lifetime(0);
    let ran = set_up(&home, &["--yes"]).expect(4);
    let error = &ran.json()["error"];
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("browser sign-in has expired"), "{ran}");
    assert_eq!(account.changing_calls(), [""; 0]);
    nothing_is_written(&home);
}

#[test]
fn a_profile_that_holds_other_credentials_stays_as_it_is() {
    let (account, _, home) = scene();
    let config = "# mine\n[default]\naws_access_key_id = AKIAOLD\naws_secret_access_key = x\n\
                  region = eu-west-1\n[profile other]\nregion = us-east-1\n";
    home.write(".aws/config", config);
    let report = set_up(&home, &["--yes"]).expect(0).json();
    assert_eq!(report["account_id"], account.id.as_str());
    assert_eq!(home.read(".aws/config"), config);
    assert!(!home.path().join(".aws/login").exists());
    let run = report["run"].as_str().expect("a run");
    let journal = home.files().into_iter().find(|file| file.to_string_lossy().contains(run));
    let journal = std::fs::read_to_string(journal.expect("a journal")).expect("text");
    let journal: serde_json::Value = serde_json::from_str(&journal).expect("JSON");
    assert_eq!(journal["profile"], serde_json::Value::Null, "{journal}");
}

#[test]
fn hundreds_of_other_connections_keep_no_browser_out() {
    let (_, _, home) = scene();
    let mut running = Running::start(home.command(&[SETUP, &["--yes"]].concat()));
    let location = sign_in(&running.line("/v1/authorize?"));
    let at = location.find("127.0.0.1").expect("on this machine");
    let callback = &location[at..][..location[at..].find('/').expect("a path")];
    let mut others = Vec::new();
    for number in 0..400 {
        let mut other = TcpStream::connect(callback).expect("it listens");
        // What was sent to a connection that was dropped meanwhile is refused.
        let _ = match number % 4 {
            0 => Ok(()),
            1 => other.write_all(b"GET /oauth/callback?code="),
            2 => other.write_all(
                format!("GET /oauth/callback?state=x&code=y HTTP/1.1\r\nHost: {callback}\r\n\r\n")
                    .as_bytes(),
            ),
            _ => other.shutdown(std::net::Shutdown::Write),
        };
        others.push(other);
    }
    // A head without an end is given up.
    let mut endless = TcpStream::connect(callback).expect("it listens");
    let _ = endless.write_all(&[b'a'; 64 * 1024]);
    let _ = endless.read(&mut [0]);
    let page = visit(&location);
    assert!(page.body.contains("return to the terminal"), "{}", page.body);
    running.end().expect(0);
}
