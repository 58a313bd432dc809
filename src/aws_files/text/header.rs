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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    Profile(String),
    SsoSession(String),
    Services(String),
    /// `[plugins x]` and the like: neither settings nor credentials of ours.
    Other,
    /// A profile in a header that only the AWS CLI reads: `[profile "a b"]`.
    Quoted(String),
    /// AWS ignores it.
    Ignored,
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

/// What the text between a header's brackets means, whether it has a prefix, and a code and a
/// reason where AWS's tools do not read it as it looks. botocore splits it as a shell does, and
/// counts white space before the first word, or after a bare name, as part of it
/// (`configloader.py`).
pub fn meaning(kind: FileKind, inner: &str) -> (Section, bool, Option<(&'static str, String)>) {
    use FileKind::{Config, Credentials};
    let text = trimmed(inner);
    let (prefix, name) = match text.split_once(WHITE_SPACE) {
        Some((prefix, name)) => (Some(prefix), trimmed(name)),
        None => (None, text),
    };
    let section = match (kind, prefix) {
        (Config, Some("profile")) if !is_identifier(name) => unquoted(name),
        _ if !is_identifier(name) => Section::Ignored,
        (Config, None) if name != "default" => Section::Ignored,
        (Config, None | Some("profile")) | (Credentials, None) => Section::Profile(name.to_owned()),
        (Config, Some("sso-session")) => Section::SsoSession(name.to_owned()),
        (Config, Some("services")) => Section::Services(name.to_owned()),
        (Config, Some(_)) => Section::Other,
        (Credentials, Some(_)) => Section::Ignored,
    };
    let ignored = |why: String| Some(("ignored_section", why));
    let complaint = match (&section, kind, prefix) {
        (Section::Other | Section::Services(_), ..) => None,
        (Section::Profile(_) | Section::SsoSession(_), ..) => {
            let odd = inner.starts_with(WHITE_SPACE)
                || (prefix.is_none() && inner.ends_with(WHITE_SPACE));
            let why = format!(
                "the AWS CLI does not read [{inner}] because of the white space in its brackets: write [{text}]"
            );
            odd.then_some(("odd_header", why))
        }
        (Section::Quoted(name), ..) => Some((
            "quoted_name",
            format!(
                "only the AWS CLI reads the section [{text}], and the AWS SDKs ignore it: rename `{name}` so that it needs no quotes"
            ),
        )),
        (Section::Ignored, Config, None) if is_identifier(text) => {
            ignored(format!("AWS ignores the section [{text}]: write [profile {text}]"))
        }
        (Section::Ignored, Credentials, Some(_)) => {
            ignored(format!("AWS ignores the section [{text}]: in this file, write [{name}]"))
        }
        (Section::Ignored, ..) => ignored(format!(
            "the AWS SDKs ignore the section [{text}]: its name has characters other than letters, digits and -_./%@:+"
        )),
    };
    (section, prefix.is_some(), complaint)
}

fn unquoted(name: &str) -> Section {
    let quotes = ['"', '\''];
    let inner = name.strip_prefix(quotes).and_then(|rest| rest.strip_suffix(quotes));
    let inner = inner.filter(|name| !name.contains(quotes));
    inner.map_or(Section::Ignored, |name| Section::Quoted(name.to_owned()))
}
