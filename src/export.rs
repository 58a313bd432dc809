//! A pair as environment variables: in the syntax of each shell, as a file, and for GitHub Actions.
//! Reads and prints nothing. What a format cannot carry unchanged is refused.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::secret::KeyPair;

pub const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
pub const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// Variables that belong to other credentials. A session token (and its older name) makes
/// AWS refuse the pair, an expiry of the past makes botocore refuse it, and a profile comes first in
/// some SDKs (JavaScript v3) and must exist for others (botocore) even where it is not used.
pub const CONFLICTING: [&str; 5] = [
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
];

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// For bash, zsh, dash and every other POSIX shell
    Bash,
    Fish,
    /// For the Windows command prompt
    Cmd,
    Powershell,
    /// A file of NAME=VALUE lines
    Dotenv,
    /// One object, its keys the variables' names
    Json,
    /// For the later steps of a GitHub Actions job: masked, then appended to $GITHUB_ENV
    Github,
}

impl ExportFormat {
    /// How to use what is printed.
    pub fn usage(self) -> &'static str {
        match self {
            ExportFormat::Bash => "eval \"$(cloudcred export --format bash)\"",
            ExportFormat::Fish => "cloudcred export --format fish | source",
            ExportFormat::Cmd => {
                "for /f \"delims=\" %i in ('cloudcred export --format cmd') do @%i"
            }
            ExportFormat::Powershell => {
                "cloudcred export --format powershell | Out-String | Invoke-Expression"
            }
            ExportFormat::Dotenv => "cloudcred export --format dotenv > FILE",
            ExportFormat::Json => "cloudcred export --format json | PROGRAM",
            ExportFormat::Github => "run: cloudcred export --format github",
        }
    }
}

/// Lines that set the pair and unset what conflicts; for GitHub, lines that mask both halves.
pub fn set(pair: &KeyPair, format: ExportFormat) -> Result<SecretString> {
    let halves = halves(pair);
    if format == ExportFormat::Json {
        return Ok(pair.to_text(|text| {
            serde_json::to_writer_pretty(&mut *text, &BTreeMap::from(halves))?;
            text.push(b'\n');
            Ok(())
        }));
    }
    // Room for the longest spelling of every character: growing would leave copies behind.
    let bytes: usize = halves.iter().map(|(_, value)| value.len()).sum();
    let mut text = Zeroizing::new(String::with_capacity(1024 + 24 * bytes));
    for name in CONFLICTING {
        text.push_str(&unset_line(name, format).unwrap_or_default());
        if format == ExportFormat::Fish {
            // A universal variable cannot be hidden, and erasing it would lose it for good.
            text.push_str(&format!(
                "set --query {name}; and echo 'cloudcred: the universal variable {name} is still set, and gets in the way' >&2\n"
            ));
        }
    }
    for (name, value) in halves {
        check(value, format)?;
        write_line(&mut text, name, value, format);
    }
    Ok(SecretString::from(text.as_str()))
}

/// Lines that unset the pair, in a format that can do that.
pub fn unset(format: ExportFormat) -> Result<String> {
    let lines = [ACCESS_KEY_ID, SECRET_ACCESS_KEY].map(|name| unset_line(name, format));
    lines.into_iter().collect::<Option<String>>().ok_or_else(|| {
        Error::usage("--unset goes with --format bash, fish, cmd and powershell only")
            .hint("a file of variables has no way to unset one")
    })
}

fn unset_line(name: &str, format: ExportFormat) -> Option<String> {
    match format {
        ExportFormat::Bash => Some(format!("unset {name}\n")),
        ExportFormat::Fish => Some(format!("set --erase --global {name}\n")),
        ExportFormat::Cmd => Some(format!("set \"{name}=\"\r\n")),
        ExportFormat::Powershell => Some(format!("$Env:{name} = $null\n")),
        ExportFormat::Dotenv | ExportFormat::Json | ExportFormat::Github => None,
    }
}

fn halves(pair: &KeyPair) -> [(&'static str, &str); 2] {
    [
        (ACCESS_KEY_ID, &pair.access_key_id),
        (SECRET_ACCESS_KEY, pair.secret_access_key.expose_secret()),
    ]
}

fn check(value: &str, format: ExportFormat) -> Result<()> {
    // Between the quotes `& | < > ( ) ^` and spaces mean themselves. What is left differs between a
    // typed line, a `for /f` loop and a batch file (`%`), with the console's settings (`!`, code
    // page), or ends the quotes or the line.
    let in_cmd = |c: char| (c == ' ' || c.is_ascii_graphic()) && !matches!(c, '%' | '!' | '"');
    // No two readers agree about these, even in single quotes.
    let in_dotenv = |c: char| !matches!(c, '\'' | '\\' | '$') && !c.is_control();
    let (what, characters, instead) = match format {
        _ if value.contains('\0') => (
            "an environment variable",
            "a NUL character",
            "read it with `cloudcred export --format json`",
        ),
        ExportFormat::Cmd if !value.chars().all(in_cmd) => (
            "cmd",
            "one of % ! \", a control character, or one beyond ASCII",
            "use --format powershell, or `cloudcred exec`",
        ),
        ExportFormat::Dotenv if !value.chars().all(in_dotenv) => (
            "a dotenv file",
            "one of ' \\ $, or a control character",
            "use --format json, or `cloudcred exec`",
        ),
        _ => return Ok(()),
    };
    Err(Error::failed(format!(
        "{what} cannot carry this secret unchanged: it contains {characters}"
    ))
    .hint(instead))
}

/// The line that sets the variable, or masks its value for GitHub.
fn write_line(text: &mut String, name: &str, value: &str, format: ExportFormat) {
    // There is no standard for dotenv files. Unquoted, these characters mean themselves to every
    // reader (docker's `--env-file`, docker compose, python-dotenv, Node's and Ruby's dotenv).
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_+/=.,:@%-".contains(c);
    let (start, spelled, end): (_, &[(char, &str)], _) = match format {
        ExportFormat::Bash => (format!("export {name}='"), &[('\'', "'\\''")], "'\n"),
        ExportFormat::Fish => {
            (format!("set --global --export {name} '"), &[('\'', "\\'"), ('\\', "\\\\")], "'\n")
        }
        ExportFormat::Cmd => (format!("set \"{name}="), &[], "\"\r\n"),
        ExportFormat::Powershell => (format!("$Env:{name} = '"), &[('\'', "''")], "'\n"),
        ExportFormat::Dotenv if !value.chars().all(is_plain) => (format!("{name}='"), &[], "'\n"),
        ExportFormat::Dotenv | ExportFormat::Json => (format!("{name}="), &[], "\n"),
        ExportFormat::Github => {
            ("::add-mask::".to_owned(), &[('%', "%25"), ('\r', "%0D"), ('\n', "%0A")], "\n")
        }
    };
    text.push_str(&start);
    for character in value.chars() {
        if let Some((_, spelling)) = spelled.iter().find(|(special, _)| *special == character) {
            text.push_str(spelling);
        } else if format == ExportFormat::Powershell && !(' '..='~').contains(&character) {
            // A console's encoding or a pipe's line splitting could change it, and PowerShell takes
            // curly quotes for `'`.
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("' + [char]0x{unit:04X} + '"));
            }
        } else {
            text.push(character);
        }
    }
    text.push_str(end);
}

/// What is appended to `$GITHUB_ENV`: a value with a line break between two lines of `delimiter`,
/// which must not occur in it. `emptied` ones cannot be unset there; the SDKs take this for it.
pub fn github_environment(pair: &KeyPair, emptied: &[&str], delimiter: &str) -> SecretString {
    let secret = pair.secret_access_key.expose_secret();
    let room = 1024 + pair.access_key_id.len() + secret.len() + 4 * delimiter.len();
    let mut text = Zeroizing::new(String::with_capacity(room));
    for name in emptied {
        text.push_str(&format!("{name}=\n"));
    }
    for (name, value) in halves(pair) {
        let (start, end) = if value.contains(['\r', '\n']) {
            (format!("{name}<<{delimiter}\n"), format!("\n{delimiter}\n"))
        } else {
            (format!("{name}="), "\n".to_owned())
        };
        text.extend([start.as_str(), value, &end]);
    }
    SecretString::from(text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pasted;

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn pair(secret: &str) -> KeyPair {
        KeyPair::new(ID, SecretString::from(secret))
    }

    /// The last line that was printed for the secret.
    #[track_caller]
    fn line(secret: &str, format: ExportFormat) -> String {
        let text = set(&pair(secret), format).expect("it can be carried");
        let (_, last) = text.expose_secret().split_once(SECRET_ACCESS_KEY).expect("it is there");
        last.to_owned()
    }

    #[test]
    fn what_is_exported_can_be_pasted() {
        use ExportFormat::{Bash, Cmd, Dotenv, Fish, Json, Powershell};
        for format in [Bash, Fish, Cmd, Powershell, Dotenv, Json] {
            let text = set(&pair(SECRET), format).expect("an AWS key is plain");
            let back = pasted::parse(text.expose_secret())
                .map(|it| it.pair)
                .unwrap_or_else(|error| panic!("{format:?}: {error}"));
            assert!(back.same_as(&pair(SECRET)), "{format:?}");
        }
    }

    #[test]
    fn posix_shells_and_fish_need_their_own_quotes_only() {
        assert_eq!(line("a'b\"$x`\\!\n", ExportFormat::Bash), "='a'\\''b\"$x`\\!\n'\n");
        assert_eq!(line("a'b\\c", ExportFormat::Fish), " 'a\\'b\\\\c'\n");
    }

    #[test]
    fn cmd_takes_what_means_the_same_everywhere() {
        for kept in ["a&b|c<d>e(f)g^h", "two words", "semi;comma,=+/", "'`~#$*?"] {
            assert_eq!(line(kept, ExportFormat::Cmd), format!("={kept}\"\r\n"));
        }
        for refused in ["50%", "%PATH%", "wow!", "a\"b", "a\nb", "a\tb", "ü", "🔑"] {
            let error = set(&pair(refused), ExportFormat::Cmd).expect_err(refused);
            assert!(!error.message.contains(refused), "{error}");
        }
    }

    #[test]
    fn powershell_reads_ascii_and_numbers() {
        let vectors = [
            ("plain/+=", " = 'plain/+='\n"),
            ("it's $x `n \"", " = 'it''s $x `n \"'\n"),
            ("a\r\nb", " = 'a' + [char]0x000D + '' + [char]0x000A + 'b'\n"),
            ("\u{2019}", " = '' + [char]0x2019 + ''\n"),
            ("🔑", " = '' + [char]0xD83D + '' + [char]0xDD11 + ''\n"),
        ];
        for (secret, expected) in vectors {
            assert_eq!(line(secret, ExportFormat::Powershell), expected);
        }
    }

    #[test]
    fn dotenv_files_quote_what_needs_it_and_refuse_what_readers_disagree_on() {
        assert_eq!(line(SECRET, ExportFormat::Dotenv), format!("={SECRET}\n"));
        assert_eq!(line("a #b \"ü", ExportFormat::Dotenv), "='a #b \"ü'\n");
        for refused in ["it's", "a\\b", "$HOME", "a\nb"] {
            assert!(set(&pair(refused), ExportFormat::Dotenv).is_err(), "{refused}");
        }
    }

    #[test]
    fn github_masks_are_escaped_and_breaks_are_delimited() {
        assert_eq!(
            set(&pair("50%\r\nx"), ExportFormat::Github).expect("carried").expose_secret(),
            format!("::add-mask::{ID}\n::add-mask::50%25%0D%0Ax\n")
        );
        let plain = github_environment(&pair("a=b"), &["AWS_SESSION_TOKEN"], "end");
        assert_eq!(
            plain.expose_secret(),
            format!("AWS_SESSION_TOKEN=\n{ACCESS_KEY_ID}={ID}\n{SECRET_ACCESS_KEY}=a=b\n")
        );
        let lines = github_environment(&pair("a\nb"), &[], "end");
        assert_eq!(
            lines.expose_secret(),
            format!("{ACCESS_KEY_ID}={ID}\n{SECRET_ACCESS_KEY}<<end\na\nb\nend\n")
        );
    }

    #[test]
    fn no_environment_holds_a_nul() {
        assert!(set(&pair("a\0b"), ExportFormat::Bash).is_err());
        let json = set(&pair("a\0b"), ExportFormat::Json).expect("JSON can");
        let json: serde_json::Value =
            serde_json::from_str(json.expose_secret()).expect("one document");
        assert_eq!(json[SECRET_ACCESS_KEY], "a\0b");
    }

    #[test]
    fn room_is_enough_for_the_longest_spelling() {
        let worst = "\u{1}".repeat(1000);
        let text = set(&pair(&worst), ExportFormat::Powershell).expect("carried");
        assert!(text.expose_secret().len() < 1024 + 24 * 1020);
    }
}
