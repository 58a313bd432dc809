//! A pair as environment variables: in the syntax of each shell, as a file, and for GitHub Actions.
//! Reads and prints nothing. What a format cannot carry unchanged is refused.

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

/// Lines that set the pair and unset what conflicts with it, where the format can do that. For
/// GitHub: the lines that mask both halves.
pub fn set(pair: &KeyPair, format: ExportFormat) -> Result<SecretString> {
    let halves = [
        (ACCESS_KEY_ID, pair.access_key_id.as_str()),
        (SECRET_ACCESS_KEY, pair.secret_access_key.expose_secret()),
    ];
    if format != ExportFormat::Json && halves.iter().any(|(_, value)| value.contains('\0')) {
        return Err(cannot_carry(
            "an environment variable",
            "a NUL character",
            "read it with `cloudcred export --format json`",
        ));
    }
    // Room for the longest spelling of every character: growing would leave copies behind.
    let bytes: usize = halves.iter().map(|(_, value)| value.len()).sum();
    let mut text = Zeroizing::new(String::with_capacity(1024 + 24 * bytes));
    match format {
        ExportFormat::Bash => text.push_str(&format!("unset {}\n", CONFLICTING.join(" "))),
        // A universal variable cannot be hidden, and erasing it would lose it for good.
        ExportFormat::Fish => {
            for name in CONFLICTING {
                let unset = unset_one(name, format);
                let unset = unset.trim_end();
                text.push_str(&format!(
                    "{unset}; set --query {name}; and echo 'cloudcred: the universal variable {name} is still set, and gets in the way' >&2\n"
                ));
            }
        }
        ExportFormat::Cmd | ExportFormat::Powershell => {
            for name in CONFLICTING {
                text.push_str(&unset_one(name, format));
            }
        }
        ExportFormat::Dotenv | ExportFormat::Github => {}
        ExportFormat::Json => text.push_str("{\n"),
    }
    for (name, value) in halves {
        match format {
            ExportFormat::Bash => {
                text.push_str(&format!("export {name}='"));
                quoted(&mut text, value, &[('\'', "'\\''")]);
                text.push_str("'\n");
            }
            ExportFormat::Fish => {
                text.push_str(&format!("set --global --export {name} '"));
                quoted(&mut text, value, &[('\'', "\\'"), ('\\', "\\\\")]);
                text.push_str("'\n");
            }
            ExportFormat::Cmd => cmd(&mut text, name, value)?,
            ExportFormat::Powershell => powershell(&mut text, name, value),
            ExportFormat::Dotenv => dotenv(&mut text, name, value)?,
            ExportFormat::Json => {
                let end = if name == ACCESS_KEY_ID { ",\n" } else { "\n}\n" };
                text.push_str(&format!("  \"{name}\": "));
                text.push_str(&json_string(value));
                text.push_str(end);
            }
            ExportFormat::Github => {
                text.push_str("::add-mask::");
                quoted(&mut text, value, &[('%', "%25"), ('\r', "%0D"), ('\n', "%0A")]);
                text.push('\n');
            }
        }
    }
    Ok(SecretString::from(text.as_str()))
}

/// Lines that unset the pair.
///
/// # Errors
/// `Usage`, for a format that cannot unset anything.
pub fn unset(format: ExportFormat) -> Result<String> {
    match format {
        ExportFormat::Bash => Ok(format!("unset {ACCESS_KEY_ID} {SECRET_ACCESS_KEY}\n")),
        ExportFormat::Fish | ExportFormat::Cmd | ExportFormat::Powershell => {
            Ok([ACCESS_KEY_ID, SECRET_ACCESS_KEY].map(|name| unset_one(name, format)).concat())
        }
        ExportFormat::Dotenv | ExportFormat::Json | ExportFormat::Github => {
            Err(Error::usage("--unset goes with --format bash, fish, cmd and powershell only")
                .hint("a file of variables has no way to unset one"))
        }
    }
}

fn unset_one(name: &str, format: ExportFormat) -> String {
    match format {
        ExportFormat::Fish => format!("set --erase --global {name}\n"),
        ExportFormat::Cmd => format!("set \"{name}=\"\r\n"),
        ExportFormat::Powershell => format!("$Env:{name} = $null\n"),
        _ => format!("unset {name}\n"),
    }
}

/// What is appended to `$GITHUB_ENV` (GitHub, "Workflow commands: setting an environment variable").
/// A value with a line break stands between two lines of `delimiter`, which must not occur in it.
/// A variable cannot be unset there; `emptied` ones are set to nothing, which the SDKs take for that.
pub fn github_environment(pair: &KeyPair, emptied: &[&str], delimiter: &str) -> SecretString {
    let secret = pair.secret_access_key.expose_secret();
    let room = 1024 + pair.access_key_id.len() + secret.len() + 4 * delimiter.len();
    let mut text = Zeroizing::new(String::with_capacity(room));
    for name in emptied {
        text.push_str(&format!("{name}=\n"));
    }
    for (name, value) in [(ACCESS_KEY_ID, pair.access_key_id.as_str()), (SECRET_ACCESS_KEY, secret)]
    {
        text.push_str(name);
        if value.contains(['\r', '\n']) {
            text.push_str(&format!("<<{delimiter}\n"));
            text.push_str(value);
            text.push_str(&format!("\n{delimiter}\n"));
        } else {
            text.push('=');
            text.push_str(value);
            text.push('\n');
        }
    }
    SecretString::from(text.as_str())
}

/// The value with some characters spelled differently.
fn quoted(text: &mut String, value: &str, spelled: &[(char, &str)]) {
    for character in value.chars() {
        match spelled.iter().find(|(special, _)| *special == character) {
            Some((_, spelling)) => text.push_str(spelling),
            None => text.push(character),
        }
    }
}

/// `set "NAME=VALUE"`: between the quotes `& | < > ( ) ^` and spaces mean themselves. What is left
/// differs between a typed line, a `for /f` loop and a batch file (`%`), with the console's settings
/// (`!`, code page), or ends the quotes or the line: that is refused, so that one line fits all.
fn cmd(text: &mut String, name: &str, value: &str) -> Result<()> {
    let carried = |c: char| (c == ' ' || c.is_ascii_graphic()) && !matches!(c, '%' | '!' | '"');
    if !value.chars().all(carried) {
        return Err(cannot_carry(
            "cmd",
            "one of % ! \", a control character, or one beyond ASCII",
            "use --format powershell, or `cloudcred exec`",
        ));
    }
    text.push_str(&format!("set \"{name}="));
    text.push_str(value);
    text.push_str("\"\r\n");
    Ok(())
}

/// A single-quoted string, in which only `'` is special. What a console's encoding or a pipe's line
/// splitting could change is spelled as UTF-16 numbers; that covers the curly quotes, too, which
/// PowerShell takes for `'`.
fn powershell(text: &mut String, name: &str, value: &str) {
    text.push_str(&format!("$Env:{name} = '"));
    for character in value.chars() {
        match character {
            '\'' => text.push_str("''"),
            ' '..='~' => text.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("' + [char]0x{unit:04X} + '"));
                }
            }
        }
    }
    text.push_str("'\n");
}

/// There is no standard. Unquoted, these characters mean themselves to every reader (docker's
/// `--env-file`, docker compose, python-dotenv, Node's and Ruby's dotenv); in single quotes, the
/// others do to all that know quotes; but `'`, `\`, `$` and line breaks do not.
fn dotenv(text: &mut String, name: &str, value: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_+/=.,:@%-".contains(c);
    text.push_str(name);
    text.push('=');
    if value.chars().all(plain) {
        text.push_str(value);
    } else if value.contains(['\'', '\\', '$']) || value.contains(char::is_control) {
        return Err(cannot_carry(
            "a dotenv file",
            "one of ' \\ $, or a control character",
            "use --format json, or `cloudcred exec`",
        ));
    } else {
        text.push('\'');
        text.push_str(value);
        text.push('\'');
    }
    text.push('\n');
    Ok(())
}

fn json_string(value: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(Vec::with_capacity(2 + 6 * value.len()));
    serde_json::to_writer(&mut *text, value).expect("a string always serializes into memory");
    let text = std::str::from_utf8(&text).expect("serde_json writes UTF-8");
    Zeroizing::new(text.to_owned())
}

fn cannot_carry(what: &str, characters: &str, instead: &str) -> Error {
    Error::failed(format!("{what} cannot carry this secret unchanged: it holds {characters}"))
        .hint(instead)
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
