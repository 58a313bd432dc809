//! One `~/.aws` file as lines: read as the AWS SDKs read it, edited without touching another byte.
//!
//! No published INI crate does both: ini-edit, ini-roundtrip and ini-preserve do not know indented
//! continuation lines and nested values, take `:` for `=`, or refuse what is not UTF-8. This file
//! reads and `edit.rs` edits; neither touches the disk.

mod edit;
mod header;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::ops::Range;
use std::path::Path;

use zeroize::Zeroizing;

use crate::aws_files::text::header::{COMMENT, WHITE_SPACE, meaning, trimmed};

pub use crate::aws_files::text::header::{FileKind, Section, is_identifier};

/// Something in the file that AWS's tools refuse or ignore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    /// Stable, for scripts.
    pub code: &'static str,
    pub message: String,
}

impl Problem {
    /// Whether some of AWS's tools refuse the whole file for it.
    pub fn refuses_the_file(&self) -> bool {
        ["byte_order_mark", "not_utf8", "syntax", "unreadable"].contains(&self.code)
            || self.code.starts_with("duplicate_")
    }

    /// With its place. The message about a file as a whole names the file.
    pub fn described(&self, path: &Path) -> String {
        match self.line {
            0 => self.message.clone(),
            line => format!("{}, line {line}: {}", path.display(), self.message),
        }
    }
}

/// A key and its value. No `Debug`, since the value may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    pub file: FileKind,
    /// In lower case.
    pub key: String,
    /// With its continuation lines, each after a line feed.
    pub value: Zeroizing<String>,
    /// The indices of its lines, up to the last continuation line.
    lines: Range<usize>,
}

/// A section as written in the file.
#[derive(Clone)]
pub struct SectionText {
    pub section: Section,
    /// Whether the header has a prefix, as in `[profile default]`.
    prefixed: bool,
    pub properties: Vec<Property>,
    /// The indices of its lines, from the header to the last one that is neither blank nor a comment:
    /// what follows leads to the next section.
    lines: Range<usize>,
}

impl SectionText {
    /// The number of the header's line, from 1.
    pub fn line(&self) -> usize {
        self.lines.start + 1
    }

    fn profile(&self) -> Option<&str> {
        if let Section::Profile(name) = &self.section { Some(name) } else { None }
    }
}

#[derive(Clone)]
pub struct AwsFile {
    kind: FileKind,
    /// With their line ends. They may contain secrets.
    lines: Vec<Zeroizing<Vec<u8>>>,
    sections: Vec<SectionText>,
    problems: Vec<Problem>,
}

impl AwsFile {
    /// Takes any bytes: a line that cannot be read is a [`Problem`], and hides nothing else.
    pub fn parse(kind: FileKind, bytes: &[u8]) -> Self {
        let mut file =
            AwsFile { kind, lines: Vec::new(), sections: Vec::new(), problems: Vec::new() };
        for (at, raw) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            file.lines.push(raw.to_vec().into());
            let mut bytes = without_line_end(raw);
            if let (0, Some(rest)) = (at, bytes.strip_prefix(b"\xEF\xBB\xBF")) {
                let message = "it begins with a byte order mark, which AWS's tools refuse";
                file.problem(at, "byte_order_mark", message);
                bytes = rest;
            }
            match std::str::from_utf8(bytes) {
                Ok(line) if trimmed(line).is_empty() || line.starts_with(COMMENT) => continue,
                Ok(line) => {
                    if let Err(why) = file.read_line(at, line) {
                        file.problem(at, "syntax", why);
                    }
                }
                Err(_) => file.problem(at, "not_utf8", "it is not UTF-8"),
            }
            if let Some(section) = file.sections.last_mut() {
                section.lines.end = at + 1;
            }
        }
        file.report_duplicates();
        file.problems.sort_by_key(|problem| problem.line);
        file
    }

    /// Stands for a file that could not be read.
    pub fn unreadable(kind: FileKind, message: String) -> Self {
        let problems = vec![Problem { line: 0, code: "unreadable", message }];
        AwsFile { problems, ..AwsFile::parse(kind, b"") }
    }

    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let lines: Vec<&[u8]> = self.lines.iter().map(|line| line.as_slice()).collect();
        // Of the right size at once: growing would leave copies of a secret behind.
        lines.concat().into()
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn problem(&mut self, at: usize, code: &'static str, message: impl Into<String>) {
        self.problems.push(Problem { line: at + 1, code, message: message.into() });
    }

    fn read_line(&mut self, at: usize, line: &str) -> Result<(), &'static str> {
        if line.starts_with('[') {
            return self.read_header(at, line);
        }
        let section = self.sections.last_mut().ok_or("it comes before the first section")?;
        if line.starts_with(WHITE_SPACE) {
            let property = section.properties.last_mut();
            let property = property.ok_or("it is indented, but there is no key above it")?;
            // Below a key without a value of its own there are nested keys.
            if property.value.is_empty() || property.value.starts_with('\n') {
                split_property(line)?;
            }
            property.value.push('\n');
            property.value.push_str(trimmed(line));
            property.lines.end = at + 1;
            return Ok(());
        }
        let (key, value) = split_property(line)?;
        let key = key.to_ascii_lowercase();
        let ignored = (!is_identifier(&key)).then(|| format!("AWS ignores the key `{key}`"));
        let (file, value, lines) = (self.kind, value.to_owned().into(), at..at + 1);
        section.properties.push(Property { file, key, value, lines });
        if let Some(message) = ignored {
            self.problem(at, "ignored_key", message);
        }
        Ok(())
    }

    fn read_header(&mut self, at: usize, line: &str) -> Result<(), &'static str> {
        // Here a comment needs no white space before it.
        let header = line.split(COMMENT).next().map(trimmed).unwrap_or_default();
        let inner = header.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        // The keys below a broken header belong to no section, rather than to the one before.
        let (section, prefixed, complaint) =
            inner.map_or((Section::Ignored, false, None), |inner| meaning(self.kind, inner));
        let (properties, lines) = (Vec::new(), at..at + 1);
        self.sections.push(SectionText { section, prefixed, properties, lines });
        if let Some((code, message)) = complaint {
            self.problem(at, code, message);
        }
        inner.map(drop).ok_or("the section header does not end with `]`")
    }

    /// botocore, and so the AWS CLI, refuses the whole file for sections and keys that are spelled alike;
    /// the SDKs merge those that mean the same.
    fn report_duplicates(&mut self) {
        let refused = "too: the AWS CLI refuses the whole file";
        let merged = "too: the AWS SDKs merge both, and the AWS CLI reads only one of them";
        let (mut spellings, mut meanings) = (HashMap::new(), HashMap::new());
        for section in &self.sections {
            let line = section.line();
            let spelling = spelled_section(&self.lines[line - 1]);
            let alike = spelling.and_then(|it| first_of(&mut spellings, it, line));
            let same = first_of(&mut meanings, (&section.section, section.prefixed), line);
            if let Some(first) = alike {
                let message = format!("the section is in line {first}, {refused}");
                self.problems.push(Problem { line, code: "duplicate_section", message });
            } else if let (Some(first), Section::Profile(name) | Section::SsoSession(name)) =
                (same, &section.section)
            {
                let message = format!("the section of `{name}` is in line {first}, {merged}");
                self.problems.push(Problem { line, code: "section_twice", message });
            }
            let mut keys = HashMap::new();
            for property in &section.properties {
                let (at, key) = (property.lines.start, &property.key);
                if let Some(first) = first_of(&mut keys, spelled_key(&self.lines[at]), at + 1) {
                    let message = format!("the key `{key}` is in line {first}, {refused}");
                    self.problems.push(Problem { line: at + 1, code: "duplicate_key", message });
                }
            }
        }
    }

    /// The sections that count, in the order of the file: `[profile default]` replaces `[default]`.
    pub fn sections(&self) -> impl Iterator<Item = &SectionText> {
        let is_default = |it: &&SectionText| it.profile() == Some("default");
        let replaced = self.sections.iter().filter(is_default).any(|it| it.prefixed);
        self.sections.iter().filter(move |it| !(replaced && is_default(it) && !it.prefixed))
    }

    fn sections_of(&self, profile: &str) -> impl Iterator<Item = &SectionText> {
        self.sections().filter(move |section| section.profile() == Some(profile))
    }

    /// The section to which a line belongs, which may be its header.
    pub fn section_of(&self, line: usize) -> Option<&Section> {
        let section = self.sections.iter().rfind(|section| section.line() <= line);
        section.map(|section| &section.section)
    }

    pub fn has(&self, profile: &str) -> bool {
        self.sections_of(profile).next().is_some()
    }

    /// The line of a header with the profile's name in quotes.
    pub fn quoted(&self, profile: &str) -> Option<usize> {
        let is_it = |section: &&SectionText| matches!(&section.section, Section::Quoted(name) if name == profile);
        self.sections.iter().find(is_it).map(SectionText::line)
    }

    /// Each name once, in the order of the file.
    pub fn profile_names(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let names = self.sections.iter().filter_map(SectionText::profile);
        names.filter(|name| seen.insert(*name)).map(str::to_owned).collect()
    }

    /// The value of the key in each profile that has it, in one pass: files with many thousands of profiles are
    /// real. The last one of a profile counts.
    pub fn each_value(&self, key: &str) -> Vec<(String, String)> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut values = Vec::new();
        for section in self.sections() {
            let Some(name) = section.profile() else { continue };
            for property in section.properties.iter().filter(|property| property.key == key) {
                let value = (name.to_owned(), property.value.to_string());
                match places.get(name) {
                    Some(place) => values[*place] = value,
                    None => {
                        places.insert(name, values.len());
                        values.push(value);
                    }
                }
            }
        }
        values
    }

    /// In the order of the file. A key that occurs twice comes twice.
    pub fn properties(&self, profile: &str) -> impl Iterator<Item = &Property> {
        self.sections_of(profile).flat_map(|section| &section.properties)
    }

    /// The last property with the key, which is the one that counts.
    fn property(&self, profile: &str, key: &str) -> Option<&Property> {
        self.properties(profile).filter(|property| property.key == key).last()
    }

    pub fn get(&self, profile: &str, key: &str) -> Option<String> {
        self.property(profile, key).map(|property| property.value.to_string())
    }
}

fn without_line_end(raw: &[u8]) -> &[u8] {
    raw.strip_suffix(b"\r\n").or(raw.strip_suffix(b"\n")).unwrap_or(raw)
}

/// The text before a comment, which begins after white space only.
fn without_comment(line: &str) -> &str {
    let mut comments = line.match_indices(COMMENT);
    let comment = comments.find(|(at, _)| line[..*at].ends_with(char::is_whitespace));
    trimmed(comment.map_or(line, |(at, _)| &line[..at]))
}

fn split_property(line: &str) -> Result<(&str, &str), &'static str> {
    let line = without_comment(trimmed(line));
    let (key, value) = line.split_once('=').ok_or("it has no `=`")?;
    match trimmed(key) {
        "" => Err("it has no key before its `=`"),
        key => Ok((key, trimmed(value))),
    }
}

/// The line where it was before; the first time, notes this one.
fn first_of<K: Eq + Hash>(known: &mut HashMap<K, usize>, key: K, line: usize) -> Option<usize> {
    let first = *known.entry(key).or_insert(line);
    (first != line).then_some(first)
}

/// The name of a section in Python's configparser, which botocore uses: all between the first bracket
/// and the last one. `[DEFAULT]` is no section there, and may occur twice.
fn spelled_section(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let (_, rest) = text.split_once('[')?;
    let (inner, _) = rest.rsplit_once(']')?;
    (inner != "DEFAULT").then(|| inner.to_owned())
}

/// A key in configparser: it ends at `:` as well, and case does not matter (`optionxform`).
fn spelled_key(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let key = text.split(['=', ':']).next().unwrap_or_default();
    key.trim().to_lowercase()
}
