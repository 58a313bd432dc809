//! Opens an address in the person's browser, and does not wait for it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::env::Env;

/// Through `$BROWSER` where that is set, as Python's `webbrowser` and `xdg-open` read it: commands
/// with `:` between them (`;` on Windows), of which the first that starts is taken, and `%s` in
/// the address's place. Else as the system opens pages.
pub fn open(env: &Env, address: &str) -> Result<()> {
    match env.var("BROWSER") {
        Some(commands) => open_with(commands, address),
        None => webbrowser::open(address).context("no browser was found"),
    }
}

fn open_with(commands: &str, address: &str) -> Result<()> {
    let separator = if cfg!(windows) { ';' } else { ':' };
    let mut failed = anyhow::anyhow!("$BROWSER names no program");
    for words in commands.split(separator).map(|one| words(one, address)) {
        let [program, arguments @ ..] = &words[..] else {
            continue;
        };
        let mut command = Command::new(program);
        // Nothing of what it prints belongs on our streams, and no key typed for us to it.
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = command.spawn();
        match started.with_context(|| format!("$BROWSER names `{program}`, which does not start")) {
            Ok(_) => return Ok(()),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn words(command: &str, address: &str) -> Vec<String> {
    // A path with spaces, as on Windows, is one word.
    if Path::new(command).is_file() {
        return vec![command.to_owned(), address.to_owned()];
    }
    let mut words: Vec<String> =
        command.split_whitespace().map(|word| word.replace("%s", address)).collect();
    if !words.is_empty() && !command.contains("%s") {
        words.push(address.to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_where_the_command_says_or_last() {
        assert_eq!(words("firefox -P work", "A"), ["firefox", "-P", "work", "A"]);
        assert_eq!(words("open --url=%s -n", "A"), ["open", "--url=A", "-n"]);
        assert!(words(" ", "A").is_empty());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let spaced = folder.path().join("a browser");
        std::fs::write(&spaced, "").expect("a file");
        let spaced = spaced.to_str().expect("UTF-8");
        assert_eq!(words(spaced, "A"), [spaced, "A"]);
    }

    #[test]
    fn the_first_one_that_starts_is_taken() {
        let error = open_with("/no/such/browser", "A").expect_err("it does not exist");
        assert!(error.to_string().contains("/no/such/browser"));
        #[cfg(unix)]
        open_with("/no/such/browser:true", "A").expect("the second one starts");
    }
}
