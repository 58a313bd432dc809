//! One `~/.aws` file as lines: read as the AWS SDKs read it, edited without touching another byte.
//!
//! Written here because no published lossless INI crate can carry it: ini-edit, ini-roundtrip and
//! ini-preserve know no indented continuation lines and nested values, take `:` for `=`, or refuse
//! what is not UTF-8. Reads and writes no file.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};

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

/// Something in the file that AWS's tools stumble over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    /// Stable, for scripts.
    pub code: &'static str,
    pub message: String,
    /// Whether the AWS SDKs refuse the whole file for it.
    pub fatal: bool,
}

/// May hold a secret, so it has no `Debug` and is wiped.
#[derive(Clone)]
struct Line {
    /// With its line end, where it has one.
    raw: Vec<u8>,
    what: What,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.raw.zeroize();
        match &mut self.what {
            What::Property { value: text, .. } | What::Continuation(text) => text.zeroize(),
            What::Nothing | What::Header(_) | What::Broken => {}
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
enum What {
    /// Blank or a comment.
    Nothing,
    Header(Header),
    Property {
        key: String,
        value: String,
    },
    /// Of the property above, trimmed.
    Continuation(String),
    Broken,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    section: Section,
    /// `[profile default]`, which replaces `[default]`.
    prefixed: bool,
}

impl Header {
    /// The section in words, where the SDKs read it.
    fn described(&self) -> Option<String> {
        match &self.section {
            Section::Profile(name) => Some(format!("the profile `{name}`")),
            Section::SsoSession(name) => Some(format!("the sso-session `{name}`")),
            Section::Other | Section::Quoted(_) | Section::Ignored => None,
        }
    }
}

/// A property as it stands in the file. Its value may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    /// From 1.
    pub line: usize,
    /// In lower case.
    pub key: String,
    /// With its continuation lines, each after a line feed.
    pub value: String,
}

impl Drop for Property {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

/// A section as it stands in the file.
#[derive(Clone)]
pub struct SectionText {
    /// From 1.
    pub line: usize,
    pub section: Section,
    pub prefixed: bool,
    pub properties: Vec<Property>,
}

/// Put above a profile that we add, and removed with it.
const MARK: &str = "# Added by cloudcred";

#[derive(Clone)]
pub struct SharedFile {
    kind: FileKind,
    lines: Vec<Line>,
    problems: Vec<Problem>,
}

impl SharedFile {
    /// Takes any bytes: what cannot be read is a [`Problem`], and hides nothing else.
    pub fn parse(kind: FileKind, bytes: &[u8]) -> Self {
        let mut file = SharedFile {
            kind,
            lines: Vec::new(),
            problems: Vec::new(),
        };
        let mut state = State::default();
        for raw in bytes.split_inclusive(|byte| *byte == b'\n') {
            let what = file.read_line(raw, &mut state);
            file.lines.push(Line {
                raw: raw.to_vec(),
                what,
            });
        }
        file.find_duplicates();
        file.problems.sort_by_key(|problem| problem.line);
        file
    }

    /// Stands for a file of which only this is known.
    pub fn unreadable(kind: FileKind, why: String) -> Self {
        let mut file = SharedFile::parse(kind, b"");
        file.problems.push(Problem {
            line: 0,
            code: "unreadable",
            message: why,
            fatal: true,
        });
        file
    }

    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let length = self.lines.iter().map(|line| line.raw.len()).sum();
        // At once of the right size: growing would leave copies of a secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        for line in &self.lines {
            bytes.extend_from_slice(&line.raw);
        }
        bytes
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The sections in the order of the file.
    pub fn sections(&self) -> Vec<SectionText> {
        let mut sections: Vec<SectionText> = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            match (&line.what, sections.last_mut()) {
                (What::Header(header), _) => sections.push(SectionText {
                    line: index + 1,
                    section: header.section.clone(),
                    prefixed: header.prefixed,
                    properties: Vec::new(),
                }),
                (What::Property { key, value }, Some(section)) => {
                    section.properties.push(Property {
                        line: index + 1,
                        key: key.clone(),
                        value: value.clone(),
                    });
                }
                (What::Continuation(text), Some(section)) => {
                    if let Some(property) = section.properties.last_mut() {
                        property.value.push('\n');
                        property.value.push_str(text);
                    }
                }
                _ => {}
            }
        }
        sections
    }

    /// The section that a line stands in, the line of its header included.
    pub fn section_of(&self, line: usize) -> Option<&Section> {
        let lines = self.lines.get(..line)?.iter();
        lines.rev().find_map(|line| match &line.what {
            What::Header(header) => Some(&header.section),
            _ => None,
        })
    }

    fn problem(&mut self, code: &'static str, message: impl Into<String>, fatal: bool) -> What {
        self.problems.push(Problem {
            line: self.lines.len() + 1,
            code,
            message: message.into(),
            fatal,
        });
        What::Broken
    }

    fn read_line(&mut self, raw: &[u8], state: &mut State) -> What {
        let mut bytes = raw.strip_suffix(b"\n").unwrap_or(raw);
        if bytes.len() < raw.len() {
            bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        }
        if self.lines.is_empty()
            && let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF")
        {
            self.problem(
                "byte_order_mark",
                "it begins with a byte order mark, for which AWS's tools refuse the file",
                true,
            );
            bytes = rest;
        }
        let Ok(line) = std::str::from_utf8(bytes) else {
            return self.problem("not_utf8", "it is not UTF-8", true);
        };
        if trimmed(line).is_empty() || line.starts_with(COMMENT) {
            return What::Nothing;
        }
        if line.starts_with('[') {
            return self.read_header(line, state);
        }
        if !state.in_section {
            return self.problem("syntax", "it stands before the first section", true);
        }
        if line.starts_with(WHITE_SPACE) {
            return self.read_continuation(line, state);
        }
        match split_property(line) {
            Ok((key, value)) => {
                state.property = match value.is_empty() {
                    true => Some(Above::Empty),
                    false => Some(Above::Value),
                };
                let key = key.to_ascii_lowercase();
                if !is_identifier(&key) {
                    self.problem("ignored_key", format!("AWS ignores the key `{key}`"), false);
                }
                What::Property {
                    key,
                    value: value.to_owned(),
                }
            }
            Err(why) => self.problem("syntax", why, true),
        }
    }

    fn read_header(&mut self, line: &str, state: &mut State) -> What {
        state.in_section = true;
        state.property = None;
        let inner = without_comment(line, false);
        let inner = inner
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'));
        let Some(inner) = inner else {
            self.problem("syntax", "the section header does not end with `]`", true);
            // What follows belongs to nobody, rather than to the section before.
            return What::Header(Header {
                section: Section::Ignored,
                prefixed: false,
            });
        };
        let (section, prefixed) = meaning(self.kind, inner);
        if let Some((code, why)) = complaint(self.kind, inner, &section, prefixed) {
            self.problem(code, why, false);
        }
        What::Header(Header { section, prefixed })
    }

    fn read_continuation(&mut self, line: &str, state: &State) -> What {
        match state.property {
            None => self.problem("syntax", "it is indented, but follows no key", true),
            Some(Above::Empty) => match split_property(line) {
                Ok(_) => What::Continuation(trimmed(line).to_owned()),
                Err(why) => self.problem("syntax", why, true),
            },
            Some(Above::Value) => What::Continuation(trimmed(line).to_owned()),
        }
    }

    /// Sections and keys that stand twice. botocore, and so the AWS CLI, refuses the whole file for
    /// those that are spelled alike; the SDKs merge whatever means the same.
    fn find_duplicates(&mut self) {
        let mut duplicates = Vec::new();
        let mut found = |line, code, message| {
            duplicates.push(Problem {
                line,
                code,
                message,
                fatal: false,
            });
        };
        let refused = |what: &str, first: usize| {
            format!("{what} stands in line {first}, too: the AWS CLI refuses the whole file")
        };
        let (mut spellings, mut meanings) = (HashMap::new(), HashMap::new());
        let mut keys = HashMap::new();
        for (index, line) in self.lines.iter().enumerate() {
            let number = index + 1;
            match &line.what {
                What::Header(header) => {
                    keys.clear();
                    let alike = spelled_section(&line.raw)
                        .and_then(|spelling| first_of(&mut spellings, spelling, number));
                    let meaning = (header.section.clone(), header.prefixed);
                    let same = first_of(&mut meanings, meaning, number);
                    if let Some(first) = alike {
                        found(number, "duplicate_section", refused("the section", first));
                    } else if let (Some(first), Some(what)) = (same, header.described()) {
                        let message = format!(
                            "{what} stands in line {first}, too: the AWS SDKs merge both, and the AWS CLI takes one of them alone"
                        );
                        found(number, "section_twice", message);
                    }
                }
                What::Property { key, .. } => {
                    let spelling = spelled_key(&line.raw);
                    if let Some(first) = first_of(&mut keys, spelling, number) {
                        let what = format!("the key `{key}`");
                        found(number, "duplicate_key", refused(&what, first));
                    }
                }
                What::Nothing | What::Continuation(_) | What::Broken => {}
            }
        }
        self.problems.append(&mut duplicates);
    }

    /// The line ranges of the profile's sections, header first; the effective ones only.
    fn spans(&self, profile: &str) -> Vec<Range<usize>> {
        let headers: Vec<(usize, &Header)> = self
            .lines
            .iter()
            .enumerate()
            .filter_map(|(index, line)| match &line.what {
                What::Header(header) => Some((index, header)),
                _ => None,
            })
            .collect();
        let is_it = |header: &Header| header.section == Section::Profile(profile.to_owned());
        // `[profile default]` replaces `[default]`.
        let prefixed = headers
            .iter()
            .any(|(_, header)| is_it(header) && header.prefixed);
        headers
            .iter()
            .enumerate()
            .filter(|(_, (_, header))| is_it(header) && header.prefixed == prefixed)
            .map(|(at, (start, _))| {
                let end = headers
                    .get(at + 1)
                    .map_or(self.lines.len(), |(next, _)| *next);
                *start..end
            })
            .collect()
    }

    pub fn has(&self, profile: &str) -> bool {
        !self.spans(profile).is_empty()
    }

    /// The line of a header that gives the name in quotes.
    pub fn quoted(&self, profile: &str) -> Option<usize> {
        let is_it = |what: &What| match what {
            What::Header(header) => header.section == Section::Quoted(profile.to_owned()),
            _ => false,
        };
        let mut lines = self.lines.iter();
        lines.position(|line| is_it(&line.what)).map(|at| at + 1)
    }

    /// Each once, in the order of the file.
    pub fn profile_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for line in &self.lines {
            if let What::Header(header) = &line.what
                && let Section::Profile(name) = &header.section
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        names
    }

    /// The profile's keys, as often as they stand.
    pub fn keys(&self, profile: &str) -> impl Iterator<Item = &str> {
        let lines = self.spans(profile).into_iter().flatten();
        lines.filter_map(|at| match &self.lines[at].what {
            What::Property { key, .. } => Some(key.as_str()),
            _ => None,
        })
    }

    /// The value of the profile's key, where it has one.
    pub fn get(&self, profile: &str, key: &str) -> Option<String> {
        let at = self.find(profile, key)?;
        let What::Property { value, .. } = &self.lines[at].what else {
            return None;
        };
        let mut value = value.clone();
        for line in &self.lines[at + 1..self.end_of_value(at)] {
            if let What::Continuation(text) = &line.what {
                value.push('\n');
                value.push_str(text);
            }
        }
        Some(value)
    }

    /// The last line with the key: it is the one that counts.
    fn find(&self, profile: &str, wanted: &str) -> Option<usize> {
        let spans = self.spans(profile);
        spans.into_iter().flatten().rfind(
            |at| matches!(&self.lines[*at].what, What::Property { key, .. } if key == wanted),
        )
    }

    /// Past the last continuation line of the property at `at`.
    fn end_of_value(&self, at: usize) -> usize {
        let after = self.lines[at + 1..].iter().enumerate();
        let mut end = at + 1;
        for (offset, line) in after {
            match &line.what {
                What::Continuation(_) => end = at + 2 + offset,
                What::Nothing => {}
                _ => break,
            }
        }
        end
    }

    /// Sets a key of a profile that is there. An old value is replaced where it stands, with the
    /// spacing and the comments around it kept.
    ///
    /// # Errors
    /// When the value would be read back as another one, or as another line: nothing is set.
    pub fn set(&mut self, profile: &str, key: &str, value: &str) -> Result<()> {
        check_property(key, value)?;
        if let Some(at) = self.find(profile, key) {
            if self.get(profile, key).as_deref() == Some(value) {
                return Ok(());
            }
            self.cut_continuations(at);
            self.lines[at] = Line {
                raw: with_value(&self.lines[at].raw, value),
                what: What::Property {
                    key: key.to_owned(),
                    value: value.to_owned(),
                },
            };
            return Ok(());
        }
        let Some(span) = self.spans(profile).pop() else {
            return Ok(());
        };
        // After the last thing that belongs to the section, before blank lines and comments that
        // lead to the next one.
        let last = span
            .clone()
            .rfind(|at| self.lines[*at].what != What::Nothing);
        self.insert(
            last.unwrap_or(span.start) + 1,
            vec![property_line(key, value)],
        );
        Ok(())
    }

    /// Removes a key with its whole value, and leaves the comments in between; whether it was there.
    pub fn remove_key(&mut self, profile: &str, key: &str) -> bool {
        let mut found = false;
        while let Some(at) = self.find(profile, key) {
            self.cut_continuations(at);
            self.cut(at..at + 1);
            found = true;
        }
        found
    }

    /// Removes what continues the value at `at`. An indented comment is a comment to botocore alone,
    /// and part of the value to the SDKs: it stays, at the margin, where it is one to all of them.
    fn cut_continuations(&mut self, at: usize) {
        for line in (at + 1..self.end_of_value(at)).rev() {
            let What::Continuation(text) = &self.lines[line].what else {
                continue;
            };
            if text.starts_with(COMMENT) {
                let raw = &self.lines[line].raw;
                let indent = raw.iter().take_while(|byte| b" \t".contains(byte));
                self.lines[line] = Line {
                    raw: raw[indent.count()..].to_vec(),
                    what: What::Nothing,
                };
            } else {
                self.cut(line..line + 1);
            }
        }
    }

    /// Adds a profile at the end of the file. Must not be there yet: AWS's tools refuse doubles.
    ///
    /// # Errors
    /// When the name or a value would be read back as another one: nothing is added.
    pub fn add(&mut self, profile: &str, properties: &[(&str, &str)]) -> Result<()> {
        if profile.is_empty() || !is_identifier(profile) {
            return Err(Error::failed(format!(
                "`{profile}` is no name that AWS's tools take for a profile"
            )));
        }
        for (key, value) in properties {
            check_property(key, value)?;
        }
        let header = match (self.kind, profile) {
            (FileKind::Credentials, _) | (_, "default") => format!("[{profile}]"),
            (FileKind::Config, _) => format!("[profile {profile}]"),
        };
        let (section, prefixed) = meaning(self.kind, &header[1..header.len() - 1]);
        let mut lines = vec![
            (MARK.to_owned(), What::Nothing),
            (header, What::Header(Header { section, prefixed })),
        ];
        lines.extend(
            properties
                .iter()
                .map(|(key, value)| property_line(key, value)),
        );
        self.insert(self.lines.len(), lines);
        Ok(())
    }

    /// Removes a profile with all its lines, comments between its header and its last key included:
    /// they are about it. Whether it was there.
    pub fn remove(&mut self, profile: &str) -> bool {
        let mut found = false;
        while let Some(span) = self.spans(profile).pop() {
            // Comments and blank lines at its end belong to what follows.
            let last = span
                .clone()
                .rfind(|at| self.lines[*at].what != What::Nothing);
            let end = last.unwrap_or(span.start) + 1;
            let marked = span.start.checked_sub(1).filter(|above| {
                String::from_utf8_lossy(&self.lines[*above].raw).trim_end() == MARK
            });
            self.cut(marked.unwrap_or(span.start)..end);
            found = true;
        }
        found
    }

    /// Gives a profile another name, wherever its header stands; whether it was there.
    pub fn rename(&mut self, profile: &str, name: &str) -> bool {
        let spans = self.spans(profile);
        for span in &spans {
            let line = &mut self.lines[span.start];
            let text = String::from_utf8_lossy(&line.raw).into_owned();
            let open = text.find('[').map_or(0, |at| at + 1);
            let close = text.find(']').unwrap_or(text.len());
            let inner = &text[open..close];
            // The name is the last word of the header, `[default]` included.
            let end = inner.trim_end_matches(WHITE_SPACE).len();
            let start = inner[..end].rfind(WHITE_SPACE).map_or(0, |at| at + 1);
            let prefix = match (self.kind, trimmed(&inner[..start])) {
                (FileKind::Config, "") if name != "default" => "profile ",
                _ => "",
            };
            let raw = format!(
                "{}{prefix}{name}{}",
                &text[..open + start],
                &text[open + end..]
            );
            line.raw = raw.into_bytes();
            if let What::Header(header) = &mut line.what {
                header.section = Section::Profile(name.to_owned());
                header.prefixed |= !prefix.is_empty();
            }
        }
        !spans.is_empty()
    }

    /// Inserts lines in the file's own kind of line end. A file whose last line has none keeps it
    /// so, whatever its last line then is: cutting the lines out again gives the same bytes.
    fn insert(&mut self, at: usize, lines: Vec<(String, What)>) {
        let end = self.line_end();
        let unfinished = at == self.lines.len()
            && self
                .lines
                .last()
                .is_some_and(|last| !last.raw.ends_with(b"\n"));
        if unfinished && let Some(last) = self.lines.last_mut() {
            last.raw.extend_from_slice(end.as_bytes());
        }
        let mut new: Vec<Line> = lines
            .into_iter()
            .map(|(text, what)| Line {
                raw: format!("{text}{end}").into_bytes(),
                what,
            })
            .collect();
        if unfinished && let Some(last) = new.last_mut() {
            last.raw.truncate(last.raw.len() - end.len());
        }
        self.lines.splice(at..at, new);
    }

    fn cut(&mut self, range: Range<usize>) {
        let unfinished = range.end == self.lines.len()
            && self
                .lines
                .last()
                .is_some_and(|last| !last.raw.ends_with(b"\n"));
        let start = range.start;
        self.lines.drain(range);
        if unfinished && let Some(last) = self.lines[..start].last_mut() {
            let without = last.raw.strip_suffix(b"\n").unwrap_or(&last.raw);
            let without = without.strip_suffix(b"\r").unwrap_or(without);
            last.raw.truncate(without.len());
        }
    }

    /// That of the first line, as editors see it.
    fn line_end(&self) -> &'static str {
        match self.lines.first() {
            Some(line) if line.raw.ends_with(b"\r\n") => "\r\n",
            _ => "\n",
        }
    }
}

#[derive(Default)]
struct State {
    in_section: bool,
    property: Option<Above>,
}

/// What stands above an indented line.
enum Above {
    Value,
    /// A key without a value, which nested keys follow.
    Empty,
}

/// White space as the SDKs' specification has it.
const WHITE_SPACE: [char; 2] = [' ', '\t'];
const COMMENT: [char; 2] = ['#', ';'];

fn trimmed(text: &str) -> &str {
    text.trim_matches(WHITE_SPACE)
}

/// Cuts a comment off: after a value it needs white space before it, after a header it does not.
fn without_comment(line: &str, needs_white_space: bool) -> &str {
    let mut white_space_before = false;
    for (at, character) in line.char_indices() {
        if COMMENT.contains(&character) && (white_space_before || !needs_white_space) {
            return trimmed(&line[..at]);
        }
        white_space_before = character.is_whitespace();
    }
    trimmed(line)
}

fn split_property(line: &str) -> Result<(&str, &str), &'static str> {
    let line = without_comment(trimmed(line), true);
    let (key, value) = line.split_once('=').ok_or("it has no `=`")?;
    match trimmed(key) {
        "" => Err("it has no key before its `=`"),
        key => Ok((key, trimmed(value))),
    }
}

/// Whether the SDKs take it for a name or a key.
pub fn is_identifier(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c))
}

/// What a header means in a file of this kind, and whether it has a prefix.
fn meaning(kind: FileKind, inner: &str) -> (Section, bool) {
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
fn complaint(
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
        (FileKind::Config, Section::Ignored) if !prefixed && is_identifier(text) => ignored(
            format!("AWS ignores the section [{text}]: write [profile {text}]"),
        ),
        (FileKind::Credentials, Section::Ignored) if prefixed => {
            let (_, name) = text.split_once(WHITE_SPACE)?;
            let name = trimmed(name);
            ignored(format!(
                "AWS ignores the section [{text}]: in this file, write [{name}]"
            ))
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

/// Where the key stood before, if it did; notes it otherwise.
fn first_of<K: Eq + Hash>(known: &mut HashMap<K, usize>, key: K, line: usize) -> Option<usize> {
    match known.entry(key) {
        Entry::Occupied(first) => Some(*first.get()),
        Entry::Vacant(entry) => {
            entry.insert(line);
            None
        }
    }
}

/// The name of a section as Python's configparser reads it, which botocore rests on: all between the
/// first bracket and the last one. `[DEFAULT]` is no section to it, and may stand twice.
fn spelled_section(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let (_, rest) = text.split_once('[')?;
    let (inner, _) = rest.rsplit_once(']')?;
    (inner != "DEFAULT").then(|| inner.to_owned())
}

/// A key as configparser reads it: it ends at `:` as well, and capitals are small letters
/// (`optionxform`).
fn spelled_key(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let key = text.split(['=', ':']).next().unwrap_or_default();
    key.trim().to_lowercase()
}

/// # Errors
/// When a line of this key and value would be read back as something else.
fn check_property(key: &str, value: &str) -> Result<()> {
    let one_line = !value.contains(char::is_control) && !key.contains(char::is_control);
    let (line, _) = property_line(key, value);
    if one_line && is_identifier(key) && split_property(&line) == Ok((key, value)) {
        return Ok(());
    }
    // The value may be a secret.
    Err(Error::failed(format!(
        "the value of `{key}` cannot stand in an AWS file: AWS's tools would read another one"
    ))
    .hint("it must be one line, without white space at its ends or before `#` or `;`"))
}

fn property_line(key: &str, value: &str) -> (String, What) {
    let what = What::Property {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    (format!("{key} = {value}"), what)
}

/// The line with another value; all around it stays.
fn with_value(raw: &[u8], value: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(raw);
    let Some((before, after)) = text.split_once('=') else {
        return raw.to_vec();
    };
    let line_end = &after[after.trim_end_matches(['\r', '\n']).len()..];
    let after = &after[..after.len() - line_end.len()];
    let gap = &after[..after.len() - after.trim_start_matches(WHITE_SPACE).len()];
    // A comment directly after the `=` has the white space that it needs in the gap.
    let rest = &after[gap.len()..];
    let old = match rest.starts_with(COMMENT) && !gap.is_empty() {
        true => "",
        false => without_comment(rest, true),
    };
    let (gap, tail) = match (gap, old) {
        ("", "") => (" ", rest),
        (gap, "") if rest.starts_with(COMMENT) => (gap, &after[gap.len() - 1..]),
        (gap, old) => (gap, &rest[old.len()..]),
    };
    format!("{before}={gap}{value}{tail}{line_end}").into_bytes()
}
