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
#[allow(clippy::print_stdout)] // a number that the tables are to be adjusted to
mod crashes;
mod evidence;
mod matrix;
#[cfg(target_os = "linux")]
#[allow(clippy::disallowed_methods)] // as above
mod random;
mod refusals;
mod scene;
mod schedules;

use common::*;

/// The cases wait for the most part.
const AT_A_TIME: usize = 8;

fn main() -> std::process::ExitCode {
    let mut tables = matrix::tests();
    tables.extend(schedules::tests());
    let mut at_a_time = AT_A_TIME;
    #[cfg(target_os = "linux")]
    {
        tables.extend(crashes::tests());
        tables.extend(random::tests());
        at_a_time = random::at_a_time().unwrap_or(at_a_time);
    }
    runner::run(tables, Some(at_a_time))
}
