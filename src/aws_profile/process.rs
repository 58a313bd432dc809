//! The command in `credential_process` that calls this program: how it is written so that every tool
//! splits it alike, and how it is recognised.

use std::path::Path;

use crate::error::{Error, Result};
use crate::store::SecretName;

const COMMAND: &str = "credential-process";

/// The program's path as every tool splits it alike. botocore splits the value as a shell does, but
/// expands nothing; the SDKs pass it to `sh -c` or `cmd.exe /C`, and end a value at white space before
/// `#` or `;`.
///
/// # Errors
/// When the path cannot be written like that.
pub fn quoted(program: &Path) -> Result<String> {
    let refused = || {
        Error::failed(format!(
            "the path of this program cannot be written to an AWS profile: {}",
            program.display()
        ))
        .hint("move the program to a path of plain letters, digits and spaces")
    };
    let path = program.to_str().ok_or_else(refused)?;
    let special: &[char] = match cfg!(windows) {
        true => &['"', '%', '^', '&', '|', '<', '>', '!'],
        false => &['"', '$', '`', '\\'],
    };
    let comment = [" #", " ;", "\t#", "\t;"].iter().any(|it| path.contains(it));
    if comment || path.contains(char::is_control) {
        return Err(refused());
    }
    let bare =
        |c: char| c.is_alphanumeric() || "/._-+:@,=".contains(c) || (cfg!(windows) && c == '\\');
    if path.chars().all(bare) {
        Ok(path.to_owned())
    } else if !path.contains(special) {
        Ok(format!("\"{path}\""))
    } else if cfg!(unix) && !path.contains('\'') {
        // Nothing means anything in single quotes, to a shell as to botocore.
        Ok(format!("'{path}'"))
    } else {
        Err(refused())
    }
}

/// A command of the same form as ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'p> {
    /// As written, with its quotes.
    pub program: &'p str,
    /// The secret that is read; without a name, the current one.
    pub secret: Option<&'p str>,
}

impl<'p> Call<'p> {
    pub fn read(process: &'p str) -> Option<Self> {
        let (program, secret) = match process.strip_suffix(COMMAND) {
            Some(program) => (program, None),
            None => {
                let (front, secret) = process.rsplit_once(' ')?;
                (front.strip_suffix(COMMAND)?, Some(secret))
            }
        };
        Some(Call { program: program.strip_suffix(' ')?, secret })
    }

    /// Whether it calls this program, which is written as `own`, or one of our name elsewhere.
    pub fn is_ours(&self, own: &str) -> bool {
        let path = self.program.trim_matches(['"', '\'']);
        let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
        self.program == own
            || ["cloudcred", "cloudcred.exe"].iter().any(|name| file.eq_ignore_ascii_case(name))
    }
}

/// `program` is as [`quoted`] writes it; without a secret, the current one is read.
pub fn calling(program: &str, secret: Option<&SecretName>) -> String {
    secret.map_or_else(|| format!("{program} {COMMAND}"), |it| format!("{program} {COMMAND} {it}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn paths_are_quoted_for_shells_and_for_botocore_alike() {
        let cases = [
            ("/usr/bin/cloudcred", Some("/usr/bin/cloudcred")),
            ("/home/José/bin/cloudcred", Some("/home/José/bin/cloudcred")),
            ("/a b/cloudcred", Some("\"/a b/cloudcred\"")),
            ("/it's/cloudcred", Some("\"/it's/cloudcred\"")),
            ("/$HOME/cloudcred", Some("'/$HOME/cloudcred'")),
            ("/a`b \\c/cloudcred", Some("'/a`b \\c/cloudcred'")),
            ("/it's $5/cloudcred", None),
            ("/a #b/cloudcred", None),
            ("/a\nb/cloudcred", None),
        ];
        for (path, expected) in cases {
            assert_eq!(quoted(Path::new(path)).ok().as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_process_of_ours_is_recognised_wherever_the_program_lay() {
        let own = "\"/opt/my tools/cloudcred-1.0-linux\"";
        for ours in [
            "/usr/bin/cloudcred credential-process ana",
            "\"/a b/cloudcred\" credential-process ana",
            "\"C:\\Program Files\\CloudCred.EXE\" credential-process ana",
            "\"/opt/my tools/cloudcred-1.0-linux\" credential-process ana",
        ] {
            let call = Call::read(ours).expect(ours);
            assert!(call.is_ours(own), "{ours}");
            assert_eq!(call.secret, Some("ana"), "{ours}");
        }
        let current = Call::read("/x/cloudcred credential-process").expect("of our form");
        assert_eq!(current.secret, None);
        let eve = SecretName::new("eve").expect("valid");
        assert_eq!(calling(current.program, Some(&eve)), "/x/cloudcred credential-process eve");
        for other in [
            "/usr/bin/other credential-process ana",
            "/opt/cloudcred-1.0-linux credential-process ana",
            "cloudcred export ana",
            "/x/cloudcredcredential-process",
            "",
        ] {
            let ours = Call::read(other).is_some_and(|call| call.is_ours(own));
            assert!(!ours, "{other}");
        }
    }
}
