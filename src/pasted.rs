//! Recognises an access key pair in what people paste: the CloudStudio JSON, AWS's CSV files, the
//! AWS CLI's JSON, `name = value` lines, or the two bare halves. Text in, pair out; reads nothing.

use secrecy::SecretString;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::secret::KeyPair;

/// More than any of the formats needs; what is longer is no key pair.
pub const LONGEST_INPUT: usize = 64 * 1024;

/// A pair, and what is to be said about how it was read.
pub struct Pasted {
    pub pair: KeyPair,
    pub note: Option<&'static str>,
}

/// Reads a whole text, as it arrives on standard input.
///
/// # Errors
/// `Credentials`, saying which half is missing or cut, or which pairs there are; never quoting the
/// secret half.
pub fn parse(text: &str) -> Result<Pasted> {
    recognise(text)?.ok_or_else(|| {
        Error::credentials("the key pair is incomplete")
            .hint("give the access key ID and the secret access key: the CloudStudio JSON, AWS's CSV, or two lines")
    })
}

/// Text from a file or a pipe: PowerShell 5 and Notepad write UTF-16.
pub fn decode(bytes: &[u8]) -> Result<Zeroizing<String>> {
    // Of its whole size at once: growing would leave copies of secrets behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    let mut units = |from: fn([u8; 2]) -> u16| {
        let pairs = bytes[2..].chunks_exact(2).map(move |pair| from([pair[0], pair[1]]));
        char::decode_utf16(pairs).try_for_each(|c| c.map(|c| text.push(c))).ok()
    };
    let decoded = match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => std::str::from_utf8(bytes).ok().map(|whole| {
            text.push_str(whole.strip_prefix('\u{feff}').unwrap_or(whole));
        }),
    };
    decoded.map(|()| text).ok_or_else(|| {
        Error::credentials("this is no text").hint("save it as UTF-8, or paste the two halves")
    })
}

/// Reads what has been pasted so far, for a prompt that takes line after line: no pair where more
/// lines are to come, and an error as soon as none could make it right.
pub fn recognise(text: &str) -> Result<Option<Pasted>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let all = if text.starts_with('{') {
        vec![from_json(text)?]
    } else if let Some((delimiter, table)) = table_of(text) {
        from_table(table, delimiter)
    } else {
        from_lines(text)
    };
    let mut pairs: Vec<(&Zeroizing<String>, &Zeroizing<String>)> = Vec::new();
    for halves in &all {
        if let (Some(id), Some(secret)) = (&halves.access_key_id, &halves.secret_access_key)
            && !pairs.contains(&(id, secret))
        {
            pairs.push((id, secret));
        }
    }
    match pairs[..] {
        // Nothing that follows makes a word an access key ID; a whole secret may only come first.
        [] => match all.iter().find_map(|halves| halves.access_key_id.as_ref()) {
            Some(id) if !id.starts_with("AKIA") && id.chars().count() < 40 => {
                check(id, "").map(|()| None)
            }
            _ => Ok(None),
        },
        [(id, secret)] if looks_like_id(secret) && !looks_like_id(id) => {
            check(secret, id)?;
            let pair = KeyPair::new(secret.to_string(), SecretString::from(id.as_str()));
            let note = Some("the two halves were swapped: they are taken the right way round");
            Ok(Some(Pasted { pair, note }))
        }
        [(id, secret)] => {
            check(id, secret)?;
            let pair = KeyPair::new(id.to_string(), SecretString::from(secret.as_str()));
            Ok(Some(Pasted { pair, note: None }))
        }
        _ => {
            let ids = pairs
                .iter()
                .map(|(id, secret)| if looks_like_id(id) { id.as_str() } else { secret.as_str() });
            let ids: Vec<&str> = ids.filter(|id| looks_like_id(id)).collect();
            let message = format!("there are several key pairs in it: {}", ids.join(", "));
            Err(Error::credentials(message).hint("give only the one that is meant"))
        }
    }
}

fn looks_like_id(half: &str) -> bool {
    let is_prefixed = half.starts_with("AKIA") || half.starts_with("ASIA");
    is_prefixed && half.len() <= 24 && half.bytes().all(|it| it.is_ascii_alphanumeric())
}

#[derive(Default)]
struct Halves {
    /// Wiped as well: people swap the two.
    access_key_id: Option<Zeroizing<String>>,
    secret_access_key: Option<Zeroizing<String>>,
}

impl Halves {
    /// Takes the value of a variable, a setting or a column. Whether it is one of the halves by its
    /// name, such as `AWS_ACCESS_KEY_ID`, `export aws_secret_access_key` or `Access key ID`.
    fn take(&mut self, name: &str, value: &str) -> bool {
        let name = name.replace(|c: char| !c.is_ascii_alphabetic(), "").to_ascii_lowercase();
        let mut name = name.as_str();
        for word in ["export", "setx", "set", "tfvar"] {
            name = name.strip_prefix(word).unwrap_or(name);
        }
        match name.strip_prefix("aws").unwrap_or(name) {
            "accesskeyid" | "accesskey" => self.access_key_id = Some(clean(value)),
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
        self.access_key.zeroize();
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
    Ok(Halves { access_key_id: Some(clean(id)), secret_access_key: Some(clean(key)) })
}

/// Whether it is a table with headings, and what separates its columns: commas as AWS writes it, semicolons
/// or tabs as Excel saves it.
fn table_of(text: &str) -> Option<(u8, &str)> {
    let text = match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("sep=") => rest,
        _ => text,
    };
    let headings = text.lines().next()?.to_ascii_lowercase();
    let delimiter = *b",;\t".iter().find(|it| headings.as_bytes().contains(it))?;
    headings.contains("access key id").then_some((delimiter, text))
}

/// The console's `…_accessKeys.csv` and the older `credentials.csv` with more columns: columns are
/// found by their headings, and each row is a pair.
fn from_table(text: &str, delimiter: u8) -> Vec<Halves> {
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let headings = reader.headers().cloned().unwrap_or_default();
    let rows = reader.records().map_while(Result::ok);
    rows.map(|row| {
        let mut halves = Halves::default();
        for (heading, cell) in headings.iter().zip(&row).filter(|(_, cell)| !cell.is_empty()) {
            halves.take(heading, cell);
        }
        halves
    })
    .collect()
}

/// `name = value` lines (credentials files, shell exports, `.env`, Terraform, Ansible) by name, anything else
/// in order. Halves from different sections never make a pair.
fn from_lines(text: &str) -> Vec<Halves> {
    let mut all = vec![Halves::default()];
    for line in text.lines().map(str::trim) {
        let is_block = line.ends_with('{') || line == "}" || line == "---";
        if line.starts_with(['#', ';']) || line.starts_with("//") || line.starts_with("unset ") {
            continue;
        }
        if line.starts_with('[') || is_block {
            all.push(Halves::default());
            continue;
        }
        let mut halves = Halves::default();
        let is_setting = assignment(line).is_some_and(|(name, value)| {
            let is_variable = name.contains('_');
            let is_word = |c: char| {
                c.is_ascii_alphabetic() || " _-\"'".contains(c) || is_variable && c.is_ascii_digit()
            };
            let is_yaml = line.contains(": ") && !looks_like_id(name);
            halves.take(name, value)
                || line.starts_with("set -")
                || (line.contains('=') || is_yaml) && name.chars().all(is_word)
        });
        add(&mut all, halves);
        if is_setting {
            continue;
        }
        // Two halves on one line, as a spreadsheet or a chat message gives them.
        for half in line.split([',', ';', '\t', ' ']).map(clean).filter(|half| !half.is_empty()) {
            let last = all.last_mut().expect("never empty");
            if last.access_key_id.is_none() {
                last.access_key_id = Some(half);
            } else if last.secret_access_key.is_none() {
                last.secret_access_key = Some(half);
            } else if looks_like_id(&half) {
                all.push(Halves { access_key_id: Some(half), ..Halves::default() });
            }
        }
    }
    all
}

/// Adds what a line brings to the last pair, or begins another one where that has it already.
fn add(all: &mut Vec<Halves>, new: Halves) {
    let last = all.last_mut().expect("never empty");
    let is_other = new.access_key_id.is_some() && last.access_key_id.is_some()
        || new.secret_access_key.is_some() && last.secret_access_key.is_some();
    if is_other {
        all.push(new);
        return;
    }
    last.access_key_id = last.access_key_id.take().or(new.access_key_id);
    last.secret_access_key = last.secret_access_key.take().or(new.secret_access_key);
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
    let wrong = |what: &str, hint| Err(Error::credentials(what).hint(hint));
    let cut = |half, length, of, hint| {
        wrong(&format!("the {half} is cut: it has {length} of {of} characters"), hint)
    };
    let characters = secret.chars().count();
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    if id.starts_with("ASIA") {
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
            let pair = parse(&form).unwrap_or_else(|error| panic!("{form:?}: {error}")).pair;
            assert_eq!(pair.access_key_id, ID, "{form:?}");
            assert_eq!(pair.secret_access_key.expose_secret(), SECRET, "{form:?}");
        }
    }

    #[test]
    fn other_programs_spellings_give_the_pair() {
        let forms = [
            format!("Access key ID;Secret access key\r\n{ID};{SECRET}\r\n"),
            format!("sep=;\nUser name;Access key ID;Secret access key\nana;{ID};{SECRET}"),
            format!("Access key ID\tSecret access key\n{ID}\t{SECRET}\n"),
            format!(
                "provider \"aws\" {{\n  region     = \"x\"\n  access_key = \"{ID}\"\n  secret_key = \"{SECRET}\"\n}}\n"
            ),
            format!(
                "# .env\nAWS_ACCESS_KEY_ID={ID}\nAWS_SECRET_ACCESS_KEY={SECRET}\nAWS_REGION=x\n"
            ),
            format!("export TF_VAR_access_key={ID}\nexport TF_VAR_secret_key={SECRET}"),
            format!(
                "---\naws_region: eu-west-1\nS3_BUCKET=x\naws_access_key: {ID}\naws_secret_key: \"{SECRET}\"\n"
            ),
            format!(
                "[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n[role]\naws_access_key_id = AKIAABCDEFGHIJKLMNOP\nrole_arn = x\n"
            ),
            format!("{SECRET}\n{ID}"),
            format!("{{\"access_key\": \"{SECRET}\", \"secret_key\": \"{ID}\"}}"),
        ];
        for form in forms {
            let pasted = parse(&form).unwrap_or_else(|error| panic!("{form:?}: {error}"));
            assert_eq!(pasted.pair.access_key_id, ID, "{form:?}");
            assert_eq!(pasted.pair.secret_access_key.expose_secret(), SECRET, "{form:?}");
            let is_swapped = form.find(SECRET) < form.find(ID);
            assert_eq!(pasted.note.is_some(), is_swapped, "{form:?}");
        }
        let utf16 = format!("{ID}\r\n{SECRET}\r\n");
        let bytes: Vec<u8> = std::iter::once(0xfeff)
            .chain(utf16.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let text = decode(&bytes).expect("UTF-16");
        assert!(parse(&text).is_ok_and(|it| it.pair.access_key_id == ID));
        decode(&[0xff, 0xff, 0xff]).expect_err("no text");
    }

    #[test]
    fn several_pairs_and_halves_of_several_sections_are_refused() {
        let other = "AKIAABCDEFGHIJKLMNOP";
        let pair =
            |id: &str| format!("aws_access_key_id = {id}\naws_secret_access_key = {SECRET}\n");
        let two = format!("[a]\n{}[b]\n{}", pair(ID), pair(other));
        let rows = format!("Access key ID,Secret access key\n{ID},{SECRET}\n{other},{SECRET}\n");
        for text in [two, rows, format!("{ID} {SECRET}\n{other} {SECRET}")] {
            let message = parse(&text).err().expect("two pairs").message;
            assert!(message.contains(ID) && message.contains(other), "{message}");
        }
        let split =
            format!("[a]\naws_access_key_id = {ID}\n[b]\naws_secret_access_key = {SECRET}\n");
        assert!(parse(&split).err().expect("no pair").message.contains("incomplete"));
        let twice = format!("[a]\n{}[b]\n{}", pair(ID), pair(ID));
        assert!(parse(&twice).is_ok(), "it is the same pair");
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
            (format!("{}\n{SECRET}", &ID[..18]), "18 of 20"),
            (format!("{ID}\n{}", &SECRET[..31]), "31 of 40"),
            (format!("{ID}\n{SECRET}x"), "not a secret access key"),
            (format!("ASIAIOSFODNN7EXAMPLE\n{SECRET}"), "temporary"),
            (format!("hello-there-hello-ok\n{SECRET}"), "not an access key ID"),
            (format!("{ID}:{SECRET}\n{ID}:{SECRET}\n{ID}:{SECRET}\n{ID}:{SECRET}x"), "key"),
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
