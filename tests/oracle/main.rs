//! What `check` says of the AWS CLI, Ansible and Terraform, held against what they do: each case of `cases/` is a
//! home with files and variables, and what each tool was seen to do in it.
//!
//! `verdicts::NAME` compares that with cloudcred's word, and needs nothing. `tools::TOOL::NAME` runs the real tool
//! again, in the same home, against a server that checks every signature; these run where
//! `CLOUDCRED_FULL_MATRIX` is set, as in `.ci/run`.

#[macro_use]
#[allow(unused_imports)] // no test here is a plain function
extern crate cloudcred_test_macros;

#[allow(dead_code)] // shared with the other tests and the sandbox
#[allow(clippy::disallowed_methods)] // the rule is the program's; a harness has no Env
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)] // as above
#[allow(clippy::disallowed_methods)] // as above
#[path = "../common/mod.rs"]
mod common;

mod case;
mod generated;
mod tools;
mod verdicts;

use common::*;

/// Each starts programs that keep a core busy.
const AT_A_TIME: usize = 3;

fn main() -> std::process::ExitCode {
    let cases = case::all();
    let mut tests: Vec<_> = cases.iter().map(verdicts::test).collect();
    tests.push(generated::test());
    if is_full() {
        tests.extend(cases.iter().flat_map(tools::tests));
    }
    runner::run(tests, Some(AT_A_TIME))
}
