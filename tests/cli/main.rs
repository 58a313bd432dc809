//! The real program against a real IAM server, in a throw-away home.

// Tests may say on standard output what they have counted.
#![allow(clippy::print_stdout)]

// The harness is shared with the sandbox; neither uses all of it.
#[allow(dead_code)]
#[allow(clippy::disallowed_methods)] // the rule is the program's; a harness has no Env
#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod clipboard;
#[cfg(target_os = "linux")]
mod crashes;
mod aws_profile;
mod check;
#[cfg(unix)]
mod exec;
#[cfg(unix)]
#[allow(clippy::disallowed_methods)] // as above
mod export;
mod faults;
#[allow(clippy::disallowed_methods)] // as above
mod harness;
#[cfg(target_os = "linux")]
mod keyring;
mod layering;
mod login;
#[allow(clippy::disallowed_methods)] // as above
mod matrix;
#[cfg(target_os = "linux")]
mod moves;
mod mfa;
mod reopen;
mod retire;
mod root;
mod schedules;
mod secret;
#[cfg(unix)]
mod secrets;
mod setup;
mod shared_files;
mod sign_in_faults;
#[cfg(unix)]
mod wizard;
#[cfg(unix)]
mod wizard_faults;

use support::home::Home;
use support::moto::{KeyPair, Moto, shared};

/// A home whose program talks to the shared server.
fn home() -> Home {
    home_at(&shared().url())
}

fn home_at(url: &str) -> Home {
    Home::new(env!("CARGO_BIN_EXE_cloudcred")).endpoint(url)
}

fn moto() -> &'static Moto {
    shared()
}

/// Keeps the pair in this home's file store without asking AWS, through the program.
#[cfg(unix)]
#[track_caller]
fn keep(home: &Home, name: &str, pair: &KeyPair) {
    let lines = format!("{}\n{}\n", pair.access_key_id, pair.secret_access_key);
    let add = ["secret", "add", name, "--store", "file", "--key-stdin"];
    home.run_with_stdin(&[&add[..], &["--no-verify"]].concat(), &lines)
        .expect(0);
}

/// A pair that looks like AWS's and belongs to nobody.
#[cfg(unix)]
fn made_up_pair(number: u32) -> KeyPair {
    KeyPair {
        access_key_id: format!("AKIAMADEUP{number:010}"),
        secret_access_key: format!("wJalrXUtnFEMI/K7MDENG+bPxRfiCY{number:010}"),
    }
}

/// A line that is seen although the test passes: `println!` is kept back by the test runner.
fn tell(line: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}

/// Reads a CloudStudio document.
#[track_caller]
fn stored_pair(document: &str) -> KeyPair {
    #[derive(serde::Deserialize)]
    struct Document {
        access_key: String,
        secret_key: String,
    }
    let document: Document = serde_json::from_str(document).expect("the CloudStudio JSON");
    KeyPair {
        access_key_id: document.access_key,
        secret_access_key: document.secret_key,
    }
}
