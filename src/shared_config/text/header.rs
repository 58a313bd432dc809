//! Section headers: what they mean to AWS, and how botocore spells them.

/// Which of the two files it is: their section headers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Config,
    Credentials,
}

/// What a section header means to AWS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    Profile(String),
    SsoSession(String),
    /// `[services x]` and the like: settings, no credentials.
    Other,
    /// A profile in a header that only the AWS CLI reads: `[profile "a b"]`.
    Quoted(String),
    /// AWS passes over it.
    Ignored,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub section: Section,
    /// `[profile default]`, which replaces `[default]`.
    pub prefixed: bool,
}

impl Header {
    /// The section in words, where the SDKs read it.
    pub fn described(&self) -> Option<String> {
        match &self.section {
            Section::Profile(name) => Some(format!("the profile `{name}`")),
            Section::SsoSession(name) => Some(format!("the sso-session `{name}`")),
            Section::Other | Section::Quoted(_) | Section::Ignored => None,
        }
    }
}

/// White space as the SDKs' specification has it.
pub const WHITE_SPACE: [char; 2] = [' ', '\t'];
pub const COMMENT: [char; 2] = ['#', ';'];

pub fn trimmed(text: &str) -> &str {
    text.trim_matches(WHITE_SPACE)
}

/// Whether the SDKs take it for a name or a key.
pub fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c))
}

/// What a header means in a file of this kind, and whether it has a prefix.
pub fn meaning(kind: FileKind, inner: &str) -> (Section, bool) {
    let inner = trimmed(inner);
    let (prefix, name) = match inner.split_once(WHITE_SPACE) {
        Some((prefix, name)) => (Some(prefix), trimmed(name)),
        None => (None, inner),
    };
    if !is_identifier(name) {
        let quoted = prefix == Some("profile") && kind == FileKind::Config;
        let unquoted = name
            .strip_prefix(['"', '\''])
            .and_then(|rest| rest.strip_suffix(['"', '\'']))
            .filter(|name| !name.contains(['"', '\'']));
        let section = match unquoted.filter(|_| quoted) {
            Some(name) => Section::Quoted(name.to_owned()),
            None => Section::Ignored,
        };
        return (section, prefix.is_some());
    }
    let section = match (kind, prefix) {
        (FileKind::Config, None) if name == "default" => Section::Profile(name.to_owned()),
        (FileKind::Config, Some("profile")) => Section::Profile(name.to_owned()),
        (FileKind::Config, Some("sso-session")) => Section::SsoSession(name.to_owned()),
        (FileKind::Config, Some(_)) => Section::Other,
        (FileKind::Credentials, None) => Section::Profile(name.to_owned()),
        (FileKind::Config, None) | (FileKind::Credentials, Some(_)) => Section::Ignored,
    };
    (section, prefix.is_some())
}

/// What AWS's tools make of a header other than it seems to mean: a code and the reason.
///
/// botocore splits the text between the brackets as a shell does, and takes white space before the
/// first word, or after a bare name, for part of the name (`configloader.py`).
pub fn complaint(
    kind: FileKind,
    inner: &str,
    section: &Section,
    prefixed: bool,
) -> Option<(&'static str, String)> {
    let text = trimmed(inner);
    let ignored = |why: String| Some(("ignored_section", why));
    match (kind, section) {
        (_, Section::Quoted(name)) => Some((
            "quoted_name",
            format!(
                "only the AWS CLI reads the section [{text}], and the AWS SDKs ignore it: rename `{name}` so that it needs no quotes"
            ),
        )),
        (FileKind::Config, Section::Ignored) if !prefixed && is_identifier(text) => {
            ignored(format!("AWS ignores the section [{text}]: write [profile {text}]"))
        }
        (FileKind::Credentials, Section::Ignored) if prefixed => {
            let (_, name) = text.split_once(WHITE_SPACE)?;
            let name = trimmed(name);
            ignored(format!("AWS ignores the section [{text}]: in this file, write [{name}]"))
        }
        (_, Section::Ignored) => ignored(format!(
            "the AWS SDKs ignore the section [{text}]: its name has other characters than letters, digits and -_./%@:+"
        )),
        (_, Section::Other) => None,
        (_, Section::Profile(_) | Section::SsoSession(_)) => {
            let odd = inner.starts_with(WHITE_SPACE) || (!prefixed && inner.ends_with(WHITE_SPACE));
            odd.then(|| {
                let why = format!(
                    "the AWS CLI does not read [{inner}], for the white space in its brackets: write [{text}]"
                );
                ("odd_header", why)
            })
        }
    }
}

/// The name of a section as Python's configparser reads it, which botocore rests on: all between the
/// first bracket and the last one. `[DEFAULT]` is no section to it, and may stand twice.
pub fn spelled_section(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let (_, rest) = text.split_once('[')?;
    let (inner, _) = rest.rsplit_once(']')?;
    (inner != "DEFAULT").then(|| inner.to_owned())
}
