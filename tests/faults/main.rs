//! The real program against an IAM server that fails, delays and forgets, each case under its own name:
//! `cargo test --test faults -- NAME`.

#[macro_use]
extern crate cloudcred_test_macros;

#[allow(dead_code)] // shared with the other tests and the sandbox
#[allow(clippy::disallowed_methods)] // the rule is the program's; a harness has no Env
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)] // as above
#[allow(clippy::disallowed_methods)] // as above
#[path = "../common/mod.rs"]
mod common;

#[cfg(target_os = "linux")]
mod crashes;
mod matrix;
mod refusals;
mod schedules;

use common::*;

/// The cases wait for the most part.
const AT_A_TIME: usize = 8;

fn main() -> std::process::ExitCode {
    runner::run(Vec::new(), Some(AT_A_TIME))
}
