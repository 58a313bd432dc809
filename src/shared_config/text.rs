//! One `~/.aws` file as lines: read as the AWS SDKs read it, edited without touching another byte.
//!
//! Written here because no published lossless INI crate can carry it: ini-edit, ini-roundtrip and
//! ini-preserve know no indented continuation lines and nested values, take `:` for `=`, or refuse
//! what is not UTF-8. Reads and writes no file. This file reads, `edit.rs` edits.

mod edit;
mod header;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use crate::shared_config::text::header::{
    COMMENT, Header, WHITE_SPACE, complaint, meaning, spelled_section, trimmed,
};

pub use crate::shared_config::text::header::{FileKind, Section, is_identifier};

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

#[derive(Clone)]
pub struct SharedFile {
    kind: FileKind,
    lines: Vec<Line>,
    problems: Vec<Problem>,
}

impl SharedFile {
    /// Takes any bytes: what cannot be read is a [`Problem`], and hides nothing else.
    pub fn parse(kind: FileKind, bytes: &[u8]) -> Self {
        let mut file = SharedFile { kind, lines: Vec::new(), problems: Vec::new() };
        let mut state = State::default();
        for raw in bytes.split_inclusive(|byte| *byte == b'\n') {
            let what = file.read_line(raw, &mut state);
            file.lines.push(Line { raw: raw.to_vec(), what });
        }
        file.find_duplicates();
        file.problems.sort_by_key(|problem| problem.line);
        file
    }

    /// Stands for a file of which only this is known.
    pub fn unreadable(kind: FileKind, why: String) -> Self {
        let mut file = SharedFile::parse(kind, b"");
        file.problems.push(Problem { line: 0, code: "unreadable", message: why, fatal: true });
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
                What::Property { key, value: value.to_owned() }
            }
            Err(why) => self.problem("syntax", why, true),
        }
    }

    fn read_header(&mut self, line: &str, state: &mut State) -> What {
        state.in_section = true;
        state.property = None;
        let inner = without_comment(line, false);
        let inner = inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let Some(inner) = inner else {
            self.problem("syntax", "the section header does not end with `]`", true);
            // What follows belongs to nobody, rather than to the section before.
            return What::Header(Header { section: Section::Ignored, prefixed: false });
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
            duplicates.push(Problem { line, code, message, fatal: false });
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
        let prefixed = headers.iter().any(|(_, header)| is_it(header) && header.prefixed);
        headers
            .iter()
            .enumerate()
            .filter(|(_, (_, header))| is_it(header) && header.prefixed == prefixed)
            .map(|(at, (start, _))| {
                let end = headers.get(at + 1).map_or(self.lines.len(), |(next, _)| *next);
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

/// A key as configparser reads it: it ends at `:` as well, and capitals are small letters
/// (`optionxform`).
fn spelled_key(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let key = text.split(['=', ':']).next().unwrap_or_default();
    key.trim().to_lowercase()
}
