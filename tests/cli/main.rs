//! The real program against a real IAM server, in a throw-away home.

#[macro_use]
extern crate cloudcred_test_macros;

// The harness is shared with the sandbox; neither uses all of it.
#[allow(dead_code)]
#[allow(clippy::disallowed_methods)] // the rule is the program's; a harness has no Env
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)] // shared with the fault tests
#[allow(clippy::disallowed_methods)] // as above
#[path = "../common/mod.rs"]
mod common;

#[cfg(target_os = "linux")]
mod clipboard;
mod aws_profile;
#[allow(clippy::print_stdout)] // what it measured
mod check;
#[cfg(unix)]
mod exec;
#[cfg(unix)]
#[allow(clippy::disallowed_methods)] // as above
mod export;
#[allow(clippy::disallowed_methods)] // as above
mod harness;
#[cfg(target_os = "linux")]
mod keyring;
mod layering;
mod login;
#[cfg(target_os = "linux")]
mod moves;
mod mfa;
mod network;
mod verdicts;
mod reopen;
mod retire;
mod root;
mod secret;
#[cfg(unix)]
mod secrets;
mod setup;
#[cfg(target_os = "linux")]
mod store_faults;
mod shared_files;
mod sign_in_faults;
#[cfg(unix)]
mod wizard;
#[cfg(unix)]
mod wizard_faults;

use common::*;

fn main() -> std::process::ExitCode {
    runner::run(Vec::new(), None)
}
