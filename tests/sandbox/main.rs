//! `cargo run --example sandbox -- setup`: the real program against an IAM server on this machine.
//! The AWS account is made up, the home folder is thrown away, and nothing of the person's own is
//! read or written. Its own words go to stderr, so that stdout stays the program's.

// The lints keep cloudcred's sources away from process state; this is a program of its own.
#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "a program of its own")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests, and each of the two uses a part of it")]
mod support;

mod build;
mod scene;
mod summary;

use std::process::ExitCode;

use scene::Scene;
use support::process;

const USAGE: &str = "\
Runs cloudcred in a sandbox: an AWS account that exists only on this machine, a throw-away home folder.

  cargo run --example sandbox -- setup              the wizard
  cargo run --example sandbox -- setup --dry-run --output json

Any cloudcred command goes behind the `--`. It needs Rust and Python 3.11 or later; the first start
downloads the AWS server for tests (about 31 MB) into cargo's target folder.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    std::panic::set_hook(Box::new(|panic| {
        // The harness panics with what is missing and how to install it: that alone is of use here.
        eprintln!("sandbox: {}", panic.payload_as_str().unwrap_or("failed without a message"));
    }));
    let program = match build::cloudcred() {
        Ok(program) => program,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    let scene = Scene::set(program);
    eprintln!("{}\n", scene.introduction());

    // Ctrl-C and a closed window reach both processes. They are meant for the program, which says what it does about it;
    // a handler, unlike an ignored signal, is not inherited by the program.
    ctrlc::set_handler(|| {}).expect("nothing else handles Ctrl-C here");
    let status = scene
        .command(&arguments)
        .status()
        .unwrap_or_else(|error| panic!("cannot start the cloudcred that was just built: {error}"));

    eprintln!("\n{}", summary::of(&scene));
    // An exit code has eight bits everywhere that matters; what does not fit is a failure.
    ExitCode::from(u8::try_from(process::exit_code(status)).unwrap_or(1))
}
