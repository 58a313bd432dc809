//! Recognises an access key pair in what people paste: the CloudStudio JSON, AWS's CSV files, the
//! AWS CLI's JSON, `name = value` lines, or the two bare halves. Text in, pair out; reads nothing.

use secrecy::SecretString;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::secret::KeyPair;

/// More than any of the formats needs; what is longer is no key pair.
pub const LONGEST_INPUT: usize = 64 * 1024;

/// Reads a whole text, as it arrives on standard input.
///
/// # Errors
/// `Credentials`, saying which half is missing, cut or swapped; never quoting the secret half.
pub fn parse(text: &str) -> Result<KeyPair> {
    recognise(text)?.ok_or_else(|| {
        Error::credentials("the key pair is incomplete")
            .hint("give the access key ID and the secret access key: the CloudStudio JSON, AWS's CSV, or two lines")
    })
}

/// Reads what has been pasted so far, for a prompt that takes line after line: no pair where more
/// lines are to come, and an error as soon as none could make it right.
pub fn recognise(text: &str) -> Result<Option<KeyPair>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let first_line = text.lines().next().unwrap_or_default().to_ascii_lowercase();
    let halves = if text.starts_with('{') {
        from_json(text)?
    } else if first_line.contains(',') && first_line.contains("access key id") {
        from_csv(text)
    } else {
        from_lines(text)
    };
    match (halves.access_key_id, halves.secret_access_key) {
        (Some(id), Some(secret)) => {
            check(&id, &secret)?;
            Ok(Some(KeyPair::new(id, SecretString::from(secret.as_str()))))
        }
        // Nothing that follows makes a word an access key ID; a whole secret may only come first.
        (Some(id), None) if !id.starts_with("AKIA") && id.chars().count() < 40 => {
            check(&id, "").map(|()| None)
        }
        _ => Ok(None),
    }
}

#[derive(Default)]
struct Halves {
    access_key_id: Option<String>,
    secret_access_key: Option<Zeroizing<String>>,
}

impl Halves {
    /// Takes the value of a variable, a setting or a column. Whether it is one of the halves by its
    /// name, such as `AWS_ACCESS_KEY_ID`, `export aws_secret_access_key` or `Access key ID`.
    fn take(&mut self, name: &str, value: &str) -> bool {
        let name = name.replace(|c: char| !c.is_ascii_alphabetic(), "").to_ascii_lowercase();
        let name =
            ["export", "set"].iter().find_map(|word| name.strip_prefix(word)).unwrap_or(&name);
        match name.strip_prefix("aws").unwrap_or(name) {
            "accesskeyid" | "accesskey" => self.access_key_id = Some(clean(value).to_string()),
            "secretaccesskey" | "secretkey" => self.secret_access_key = Some(clean(value)),
            _ => return false,
        }
        true
    }
}

/// CloudStudio's document, `aws iam create-access-key`'s answer (inner object), and the
/// `credential_process` document, by their field names.
#[derive(Deserialize)]
struct JsonPair {
    #[serde(alias = "AccessKeyId", alias = "aws_access_key_id", alias = "AWS_ACCESS_KEY_ID")]
    access_key: Option<String>,
    #[serde(
        alias = "SecretAccessKey",
        alias = "aws_secret_access_key",
        alias = "AWS_SECRET_ACCESS_KEY"
    )]
    secret_key: Option<String>,
    #[serde(rename = "AccessKey")]
    nested: Option<Box<JsonPair>>,
    #[serde(rename = "SessionToken", alias = "aws_session_token")]
    session_token: Option<String>,
}

impl Drop for JsonPair {
    fn drop(&mut self) {
        self.secret_key.zeroize();
        self.session_token.zeroize();
    }
}

fn from_json(text: &str) -> Result<Halves> {
    let wrong = |what: String| {
        let hint =
            "paste the CloudStudio secret: { \"access_key\": \"AKIA…\", \"secret_key\": \"…\" }";
        Err(Error::credentials(what).hint(hint))
    };
    let outer = match serde_json::from_str::<JsonPair>(text) {
        Ok(outer) => outer,
        Err(error) if error.is_eof() => return Ok(Halves::default()),
        // Its message may quote what was pasted: say where instead.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            return wrong(format!("this JSON is broken at line {line}, column {column}"));
        }
    };
    let pair = outer.nested.as_deref().unwrap_or(&outer);
    if pair.session_token.as_ref().is_some_and(|token| !token.is_empty()) {
        return Err(temporary());
    }
    let (Some(id), Some(key)) = (&pair.access_key, &pair.secret_key) else {
        return wrong("this JSON lacks `access_key` or `secret_key`".to_owned());
    };
    Ok(Halves { access_key_id: Some(clean(id).to_string()), secret_access_key: Some(clean(key)) })
}

/// The console's `…_accessKeys.csv` and the older `credentials.csv` with more columns: columns are
/// found by their headings, the first row counts.
fn from_csv(text: &str) -> Halves {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let mut halves = Halves::default();
    if let (Ok(headings), Some(Ok(row))) = (reader.headers().cloned(), reader.records().next()) {
        for (heading, cell) in headings.iter().zip(&row) {
            halves.take(heading, cell);
        }
    }
    halves
}

/// `name = value` lines (credentials files, shell exports) by name, anything else in order.
fn from_lines(text: &str) -> Halves {
    let mut halves = Halves::default();
    let lines = text.lines().map(str::trim);
    for line in lines.filter(|line| !line.starts_with(['[', '#']) && !line.starts_with("unset ")) {
        let is_setting = assignment(line).is_some_and(|(name, value)| {
            let is_word = |c: char| c.is_ascii_alphabetic() || " _-\"'".contains(c);
            let may_be_other = line.contains('=') || line.starts_with("set -");
            halves.take(name, value) || may_be_other && name.chars().all(is_word)
        });
        if is_setting {
            continue;
        }
        // Two halves on one line, as a spreadsheet or a chat message gives them.
        for half in line.split([',', '\t', ' ']).map(clean).filter(|half| !half.is_empty()) {
            if halves.access_key_id.is_none() {
                halves.access_key_id = Some(half.to_string());
            } else if halves.secret_access_key.is_none() {
                halves.secret_access_key = Some(half);
            }
        }
    }
    halves
}

/// Splits `export AWS_ACCESS_KEY_ID="…"`, `aws_access_key_id = …`, PowerShell's `$Env:AWS_… = …`,
/// fish's `set -gx AWS_… …` and `Access key ID: …`.
fn assignment(line: &str) -> Option<(&str, &str)> {
    if line.starts_with("set -") {
        // The options, the name, and all the rest.
        let (_, rest) = line.split_once(" AWS_").unwrap_or_default();
        return Some(rest.split_once(' ').unwrap_or((rest, "")));
    }
    let (name, value) = line.split_once(['=', ':'])?;
    if name.eq_ignore_ascii_case("$env") { value.split_once('=') } else { Some((name, value)) }
}

/// Without the white space, quotes and comma that surround it when it is copied out of a document;
/// wiped when dropped. The text that it was copied from is its owner's to wipe.
fn clean(half: &str) -> Zeroizing<String> {
    let surrounds = |c: char| c.is_whitespace() || "\"',;`".contains(c);
    Zeroizing::new(half.trim_matches(surrounds).to_owned())
}

fn temporary() -> Error {
    Error::credentials("these are temporary credentials, which stop working within hours").hint(
        "use a key that starts with AKIA; a CloudStudio secret has no place for a session token",
    )
}

/// An access key ID is 20 upper-case letters and digits, a secret access key 40 characters of
/// base64. (IAM's API reference allows IDs of 16 to 128 characters; AWS issues 20.)
fn check(id: &str, secret: &str) -> Result<()> {
    const COPY_ID: &str = "copy it again, with the console's copy button";
    let looks_like_id = |half: &str| half.starts_with("AKIA") || half.starts_with("ASIA");
    let wrong = |what: &str, hint| Err(Error::credentials(what).hint(hint));
    let cut = |half, length, of, hint| {
        wrong(&format!("the {half} is cut: it has {length} of {of} characters"), hint)
    };
    let characters = secret.chars().count();
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    if !looks_like_id(id) && looks_like_id(secret) {
        let hint = "the access key ID starts with AKIA; the secret access key has 40 characters";
        wrong("the two halves are swapped: the access key ID comes first", hint)
    } else if id.starts_with("ASIA") {
        Err(temporary())
    } else if !id.starts_with("AKIA") || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
        let hint = "an access key ID starts with AKIA and has 20 letters and digits";
        wrong("the first half is not an access key ID", hint)
    } else if id.len() < 20 {
        cut("access key ID", id.len(), 20, COPY_ID)
    } else if id.len() > 128 {
        wrong("the access key ID is too long", COPY_ID)
    } else if characters < 40 {
        let hint = "copy it again; if AWS no longer shows it, create a new key";
        cut("secret access key", characters, 40, hint)
    } else if characters > 40 || !secret.bytes().all(is_base64) {
        let hint = "a secret access key has 40 letters, digits, `+` and `/`; copy it again";
        wrong("the second half is not a secret access key", hint)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    #[test]
    fn every_known_form_gives_the_pair() {
        let forms = [
            format!("{ID}\n{SECRET}"),
            format!("  \"{ID}\" \r\n  '{SECRET}'  \r\n"),
            format!("{ID} {SECRET}"),
            format!("{ID},{SECRET}"),
            format!("{{ \"access_key\": \"{ID}\", \"secret_key\": \" {SECRET}\\n\" }}"),
            format!("\u{feff}Access key ID,Secret access key\r\n{ID},{SECRET}\r\n"),
            format!(
                "User name,Password,Access key ID,Secret access key,Console login link\nana,,{ID},{SECRET},https://x"
            ),
            format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n"),
            format!("aws_secret_access_key={SECRET}\naws_access_key_id={ID}\n"),
            format!(
                "[x]\nregion = eu-west-1\naws_access_key_id={ID}\naws_secret_access_key={SECRET}"
            ),
            format!("export AWS_ACCESS_KEY_ID=\"{ID}\"\nexport AWS_SECRET_ACCESS_KEY='{SECRET}'"),
            format!("$Env:AWS_ACCESS_KEY_ID=\"{ID}\"\n$Env:AWS_SECRET_ACCESS_KEY=\"{SECRET}\""),
            format!("SET AWS_ACCESS_KEY_ID={ID}\r\nSET AWS_SECRET_ACCESS_KEY={SECRET}\r\n"),
            format!("set -gx AWS_ACCESS_KEY_ID {ID}\nset -gx AWS_SECRET_ACCESS_KEY '{SECRET}'"),
            format!("Access key ID: {ID}\nSecret access key: {SECRET}"),
            format!(
                "set -gx AWS_REGION eu-west-1\nset -g -x AWS_ACCESS_KEY_ID {ID}\nset -gx AWS_SECRET_ACCESS_KEY {SECRET}"
            ),
            format!(
                "export AWS_REGION=x\n$Env:AWS_PROFILE = \"y\"\n$env:AWS_ACCESS_KEY_ID = \"{ID}\"\nSecret-Access-Key={SECRET}"
            ),
            format!(
                "{{\"AccessKey\":{{\"UserName\":\"ana\",\"AccessKeyId\":\"{ID}\",\"SecretAccessKey\":\"{SECRET}\"}}}}"
            ),
        ];
        for form in forms {
            let pair = parse(&form).unwrap_or_else(|error| panic!("{form:?}: {error}"));
            assert_eq!(pair.access_key_id, ID, "{form:?}");
            assert_eq!(pair.secret_access_key.expose_secret(), SECRET, "{form:?}");
        }
    }

    #[test]
    fn a_paste_is_complete_only_with_its_last_line() {
        let json = format!("{{\n  \"access_key\": \"{ID}\",\n  \"secret_key\": \"{SECRET}\"\n}}");
        for (end, _) in json.match_indices('\n') {
            assert!(matches!(recognise(&json[..end]), Ok(None)));
        }
        assert!(matches!(recognise(&json), Ok(Some(_))));
        assert!(matches!(recognise(ID), Ok(None)));
        let csv = "Access key ID,Secret access key";
        assert!(matches!(recognise(csv), Ok(None)));
    }

    #[test]
    fn wrong_pastes_are_named_and_never_quoted() {
        let cases = [
            (format!("{SECRET}\n{ID}"), "swapped"),
            (format!("{}\n{SECRET}", &ID[..18]), "18 of 20"),
            (format!("{ID}\n{}", &SECRET[..31]), "31 of 40"),
            (format!("{ID}\n{SECRET}x"), "not a secret access key"),
            (format!("ASIAIOSFODNN7EXAMPLE\n{SECRET}"), "temporary"),
            (format!("hello-there-hello-ok\n{SECRET}"), "not an access key ID"),
            (ID.to_owned(), "incomplete"),
            (String::new(), "incomplete"),
            (format!("{{\"access_key\": {SECRET}}}"), "broken at line 1"),
            (format!("{{\"access_key\": \"{SECRET}\"}}"), "lacks"),
        ];
        for (text, expected) in cases {
            let error = parse(&text).err().expect("no pair");
            assert!(error.message.contains(expected), "{}", error.message);
            assert_eq!(error.kind, crate::error::Kind::Credentials);
            let said = format!("{} {:?}", error.message, error.hint);
            assert!(!said.contains(&SECRET[..20]), "{said}");
        }
    }
}
