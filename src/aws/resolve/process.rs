//! Whether a `credential_process` can be started, as far as that shows without starting it.

use std::path::Path;

use crate::aws::resolve::python::words;
use crate::aws::resolve::settings::Settings;
use crate::diagnostic::Diagnostic;
use crate::private_file;

/// For a tool that starts the program itself, as botocore does: without a shell nobody expands `~` or `$NAME`,
/// and `|` is an argument like any other.
pub fn starts_without_shell(settings: &Settings, command: &str) -> Result<(), Diagnostic> {
    let words = words_of_command(command).ok_or_else(|| {
        let message = "a quotation mark in credential_process is not closed";
        Diagnostic::new("process_quotes", message, "close it")
    })?;
    let Some(program) = words.first() else {
        return Err(empty());
    };
    let needs_shell = program.starts_with(['~', '$'])
        || program.contains('=')
        || words.iter().any(|it| ["|", "&&", "||", ";"].contains(&&**it));
    if needs_shell {
        let message =
            "credential_process needs a shell, and the AWS CLI and Ansible start it without one";
        let hint = "write the program's whole path, or put `sh -c '…'` before it";
        return Err(Diagnostic::new("process_needs_shell", message, hint));
    }
    if is_there(settings, program) { Ok(()) } else { Err(missing(program)) }
}

/// For a tool that hands the line to a shell, as Go does.
pub fn starts_in_shell(settings: &Settings, command: &str) -> Result<(), Diagnostic> {
    let program = words_of_command(command).and_then(|words| words.first().cloned());
    match program {
        None if command.trim().is_empty() => Err(empty()),
        // `NAME=value program` sets a variable, and that may be a secret.
        Some(program) if program.contains('=') => Ok(()),
        Some(program) if Path::new(&program).is_absolute() && !is_there(settings, &program) => {
            Err(missing(&program))
        }
        _ => Ok(()),
    }
}

/// As botocore splits it: on Windows a backslash is a letter like others, and only double quotes quote.
fn words_of_command(command: &str) -> Option<Vec<String>> {
    if cfg!(windows) {
        return words(&command.replace('\\', "\\\\").replace('\'', "\\'"));
    }
    words(command)
}

fn is_there(settings: &Settings, program: &str) -> bool {
    let endings = if cfg!(windows) { &["", ".exe", ".cmd", ".bat"][..] } else { &[""] };
    let is_in = |folder: &Path| {
        let mut paths = endings.iter().map(|end| folder.join(format!("{program}{end}")));
        paths.any(|path| private_file::is_executable(&path))
    };
    if program.contains(std::path::is_separator) {
        return is_in(Path::new(""));
    }
    // Windows writes the name of this variable as `Path`.
    let path = settings.var("PATH").or_else(|| settings.var("Path")).unwrap_or_default();
    std::env::split_paths(path).any(|folder| is_in(&folder))
}

fn empty() -> Diagnostic {
    Diagnostic::new(
        "process_empty",
        "credential_process is empty",
        "name a program, or remove the line",
    )
}

fn missing(program: &str) -> Diagnostic {
    let message =
        format!("the program {program} of credential_process is not there, or not executable");
    Diagnostic::new("process_missing", message, "install it, or correct its path")
}
