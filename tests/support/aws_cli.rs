//! The real AWS CLI, which must be able to read what cloudcred writes.
//! It runs in a home of a test's, with nothing of the person's own AWS settings.

use std::process::Command;
use std::time::Duration;

use super::home::Home;
use super::process::{self, Ran};
use super::python;

const LIMIT: Duration = Duration::from_secs(60);

/// The Python that runs it, as `-m awscli`.
pub fn python() -> Command {
    python::aws_cli().python()
}

/// Runs `aws` with the home's environment, in which the caller has set endpoint and credentials.
pub fn run(home: &Home, arguments: &[&str]) -> Ran {
    let mut command = python();
    command.args(["-m", "awscli"]).args(arguments);
    home.clean(&mut command);
    // Version 1 does not know AWS_REGION.
    command.env("AWS_DEFAULT_REGION", "us-east-1");
    process::run(command, None, LIMIT)
}
