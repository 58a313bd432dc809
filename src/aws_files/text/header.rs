//! Section headers, and what AWS's tools make of them.

/// Which of the two files it is: their section headers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Config,
    Credentials,
}

impl FileKind {
    pub const BOTH: [FileKind; 2] = [FileKind::Config, FileKind::Credentials];
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
    /// AWS ignores it.
    Ignored,
}

impl Section {
    /// The section in words, where the SDKs read it.
    pub fn described(&self) -> Option<String> {
        match self {
            Section::Profile(name) => Some(format!("the profile `{name}`")),
            Section::SsoSession(name) => Some(format!("the sso-session `{name}`")),
            Section::Other | Section::Quoted(_) | Section::Ignored => None,
        }
    }
}

/// White space in the SDKs' specification.
pub const WHITE_SPACE: [char; 2] = [' ', '\t'];
pub const COMMENT: [char; 2] = ['#', ';'];

pub fn trimmed(text: &str) -> &str {
    text.trim_matches(WHITE_SPACE)
}

/// Whether the SDKs accept it as a name or a key.
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
        let quoted = name
            .strip_prefix(['"', '\''])
            .and_then(|rest| rest.strip_suffix(['"', '\'']))
            .filter(|name| !name.contains(['"', '\'']))
            .filter(|_| (kind, prefix) == (FileKind::Config, Some("profile")));
        let section = quoted.map_or(Section::Ignored, |name| Section::Quoted(name.to_owned()));
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

/// A code and a reason, where AWS's tools do not read a header as it looks.
///
/// botocore splits the text between the brackets as a shell does, and counts white space before the
/// first word, or after a bare name, as part of the name (`configloader.py`).
pub fn complaint(kind: FileKind, inner: &str, section: &Section) -> Option<(&'static str, String)> {
    let text = trimmed(inner);
    let after_prefix = text.split_once(WHITE_SPACE).map(|(_, name)| trimmed(name));
    let ignored = |why: String| Some(("ignored_section", why));
    match (kind, section, after_prefix) {
        (_, Section::Other, _) => None,
        (_, Section::Quoted(name), _) => Some((
            "quoted_name",
            format!(
                "only the AWS CLI reads the section [{text}], and the AWS SDKs ignore it: rename `{name}` so that it needs no quotes"
            ),
        )),
        (FileKind::Config, Section::Ignored, None) if is_identifier(text) => {
            ignored(format!("AWS ignores the section [{text}]: write [profile {text}]"))
        }
        (FileKind::Credentials, Section::Ignored, Some(name)) => {
            ignored(format!("AWS ignores the section [{text}]: in this file, write [{name}]"))
        }
        (_, Section::Ignored, _) => ignored(format!(
            "the AWS SDKs ignore the section [{text}]: its name has characters other than letters, digits and -_./%@:+"
        )),
        (_, Section::Profile(_) | Section::SsoSession(_), prefix) => {
            let odd = inner.starts_with(WHITE_SPACE)
                || (prefix.is_none() && inner.ends_with(WHITE_SPACE));
            let why = format!(
                "the AWS CLI does not read [{inner}] because of the white space in its brackets: write [{text}]"
            );
            odd.then_some(("odd_header", why))
        }
    }
}
