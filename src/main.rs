//! Arguments in, exit code out.

use std::process::ExitCode;

#[allow(clippy::disallowed_methods)] // the one place that reads the arguments
fn main() -> ExitCode {
    cloudcred::process::forbid_core_dumps();
    cloudcred::process::shorten_panics();
    ExitCode::from(cloudcred::commands::run(std::env::args_os()))
}
