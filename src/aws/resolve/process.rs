//! Whether a `credential_process` can be started, as far as that shows without starting it.

use std::path::Path;

use crate::aws::resolve::python::words;
use crate::aws::resolve::settings::Settings;
use crate::diagnostic::Diagnostic;
use crate::private_file;

/// For a tool that starts the program itself, as botocore does: without a shell nobody expands `~` or `$NAME`,
/// and `|` is an argument like any other.
pub fn starts_without_shell(settings: &Settings, command: &str) -> Result<(), Diagnostic> {
    let words = words(command).ok_or_else(|| {
        let message = "a quotation mark in credential_process is not closed";
        Diagnostic::new("process_quotes", message, "close it")
    })?;
    let Some(program) = words.first() else {
        return Err(empty());
    };
    let needs_shell = program.starts_with(['~', '$'])
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
    let program = words(command).and_then(|words| words.first().cloned());
    match program {
        None if command.trim().is_empty() => Err(empty()),
        Some(program) if Path::new(&program).is_absolute() && !is_there(settings, &program) => {
            Err(missing(&program))
        }
        _ => Ok(()),
    }
}

fn is_there(settings: &Settings, program: &str) -> bool {
    if program.contains(std::path::is_separator) {
        return private_file::is_executable(Path::new(program));
    }
    let path = settings.var("PATH").unwrap_or_default();
    let endings = if cfg!(windows) { &["", ".exe", ".cmd", ".bat"][..] } else { &[""] };
    std::env::split_paths(path).any(|folder| {
        endings
            .iter()
            .any(|end| private_file::is_executable(&folder.join(format!("{program}{end}"))))
    })
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
