//! The name of a secret, which is also the name of a file and of a keyring entry.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The name of a CloudStudio secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

impl SecretName {
    /// A name for a new secret: one that every system can keep, Windows too.
    ///
    /// # Errors
    /// `Usage`, saying what is wrong with the name.
    pub fn new(name: &str) -> Result<Self> {
        let stem = name.split('.').next().unwrap_or_default();
        if is_windows_device(stem) {
            return Err(refused(name, "Windows reserves it for a device"));
        }
        if name.ends_with('.') {
            return Err(refused(name, "it ends with `.`, which Windows drops"));
        }
        SecretName::existing(name)
    }

    /// A name to look up: 1 to 64 of letters, digits and `_+=,.@-` (what IAM allows in user names),
    /// not starting with `.` or `-`, which file systems and command lines treat specially.
    pub fn existing(name: &str) -> Result<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        let why = if name.is_empty() {
            "it is empty"
        } else if name.len() > 64 {
            "it is longer than 64 characters"
        } else if name.starts_with(['.', '-']) {
            "it starts with `.` or `-`"
        } else if !name.bytes().all(is_allowed) {
            "it contains characters other than letters, digits and _+=,.@-"
        } else {
            return Ok(SecretName(name.to_owned()));
        };
        Err(refused(name, why))
    }

    /// Under which a run keeps the pair that it replaces until it has ended. No user can choose it.
    pub fn set_aside_by(run: &str) -> Self {
        SecretName(format!(".before-{run}"))
    }

    /// Under which the vault tries out a store. Always the same, so that the next probe removes
    /// one that was left behind.
    pub fn canary() -> Self {
        SecretName(".probe".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names that differ only in case would be one file on Windows and macOS.
    pub fn same_place_as(&self, other: &SecretName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

fn refused(name: &str, why: &str) -> Error {
    Error::usage(format!("`{name}` cannot name a secret: {why}"))
        .hint("use 1 to 64 letters, digits and _+=,.@-, for example my-secret")
}

/// Whether Windows takes a file of that name, whatever its extension, for a device.
fn is_windows_device(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    let numbered = |prefix| {
        let number = stem.strip_prefix(prefix);
        number.is_some_and(|it| matches!(it.as_bytes(), [b'1'..=b'9']))
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

/// From an index or a journal, where a name stays valid that is refused for a new secret.
impl TryFrom<String> for SecretName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        SecretName::existing(&name)
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl std::fmt::Display for SecretName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for name in ["", "a/b", "..", ".hidden", "-flag", "a\\b", "a b", "ü", "a\n", "a:b"] {
            assert!(SecretName::new(name).is_err(), "{name:?}");
            assert!(SecretName::existing(name).is_err(), "{name:?}");
        }
        assert!(SecretName::new(&"x".repeat(65)).is_err());
        for name in ["cloudstudio-admin", "a@b.c", "A_1+2=3,4", "com0", "com10", "console"] {
            assert_eq!(SecretName::new(name).expect("allowed").as_str(), name);
        }
    }

    #[test]
    fn names_that_windows_cannot_keep_are_refused_for_new_secrets_only() {
        for name in ["con", "NUL", "Prn.x", "aux", "com1", "LPT9.old.json", "a.", "a.b."] {
            let refused = SecretName::new(name).expect_err(name);
            assert!(refused.message.contains("Windows"), "{refused}");
            SecretName::existing(name).expect("an old secret may have it");
        }
    }
}
