//! `cloudcred exec`: replaces this process by a command with the pair in its environment.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use secrecy::ExposeSecret;

use crate::commands::context::Context;
use crate::error::{Error, Kind, Result};
use crate::export::{ACCESS_KEY_ID, CONFLICTING, SECRET_ACCESS_KEY};
use crate::process;

/// Returns only when the command did not start: with a shell's 127 if it is not there, or 126.
pub fn run(name: Option<&str>, command: &[OsString], context: &Context) -> Result<()> {
    let (program, arguments) = command.split_first().expect("clap requires a command");
    let (_, pair) = context.secret(name)?;
    let mut command = Command::new(program);
    command.args(arguments);
    for name in CONFLICTING {
        command.env_remove(name);
    }
    command
        .env(ACCESS_KEY_ID, &pair.access_key_id)
        .env(SECRET_ACCESS_KEY, pair.secret_access_key.expose_secret());
    let cause = process::replace(&mut command);
    let (kind, what, hint) = match cause.kind() {
        // The script exists, but not the interpreter that its first line names.
        ErrorKind::NotFound if Path::new(program).is_file() => (
            Kind::CommandRefused,
            "cannot be run: its interpreter is missing",
            "the first line of a script names it, after #!",
        ),
        ErrorKind::NotFound => (
            Kind::CommandNotFound,
            "is not found",
            "check its spelling and PATH; shell built-ins and aliases are not programs",
        ),
        // A NUL in the pair or in an argument, which no system takes.
        ErrorKind::InvalidInput => (
            Kind::Failed,
            "cannot be given this pair",
            "the secret or an argument contains a NUL character",
        ),
        _ => (
            Kind::CommandRefused,
            &*format!("cannot be run: {cause}"),
            "check that it is a program and that you may execute it",
        ),
    };
    let message = format!("the command `{}` {what}", program.to_string_lossy());
    Err(Error::new(kind, message).hint(hint).caused_by(cause))
}
