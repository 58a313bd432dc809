//! Edits of one `~/.aws` file: everything else stays as it is, byte by byte. Each edit changes lines
//! and reads the file anew, so that what it means is decided in one place.

use std::ops::Range;

use crate::aws_files::text::header::{COMMENT, FileKind, WHITE_SPACE, is_identifier};
use crate::aws_files::text::{AwsFile, split_property, without_comment, without_line_end};
use crate::error::{Error, Result};

/// Written above a profile that we add, and removed with it.
const MARK: &str = "# Added by cloudcred";

impl AwsFile {
    /// Sets a key of a profile, which is added at the end where it is missing. A new value keeps
    /// the spacing and comments around the old one. Refuses what would be read back otherwise.
    pub fn set(&mut self, profile: &str, key: &str, value: &str) -> Result<()> {
        check_property(key, value)?;
        if let Some(old) = self.property(profile, key) {
            if old.value.as_str() != value {
                let lines = old.lines.clone();
                self.lines[lines.start] = with_value(&self.lines[lines.start], value).into();
                self.cut_continuations(lines);
            }
            return Ok(());
        }
        let (end, mut lines) = match self.sections_of(profile).last() {
            Some(section) => (section.lines.end, Vec::new()),
            None => (self.lines.len(), self.header(profile)?),
        };
        lines.push(format!("{key} = {value}"));
        self.splice(end..end, lines);
        Ok(())
    }

    fn header(&self, profile: &str) -> Result<Vec<String>> {
        if profile.is_empty() || !is_identifier(profile) {
            return Err(Error::failed(format!("`{profile}` cannot name an AWS profile")));
        }
        let prefix =
            if self.kind == FileKind::Config && profile != "default" { "profile " } else { "" };
        Ok(vec![MARK.to_owned(), format!("[{prefix}{profile}]")])
    }

    /// Removes a key with its whole value, but not the comments in between.
    pub fn remove_key(&mut self, profile: &str, key: &str) {
        while let Some(property) = self.property(profile, key) {
            let lines = property.lines.clone();
            let start = lines.start;
            self.cut_continuations(lines);
            self.splice(start..start + 1, Vec::new());
        }
    }

    /// Removes the continuation lines of a property. An indented comment is a comment to botocore only,
    /// and part of the value to the SDKs: it stays, unindented, where it is a comment to all of them.
    fn cut_continuations(&mut self, property: Range<usize>) {
        for at in property.skip(1).rev() {
            let text = self.lines[at].trim_ascii_start();
            if text.starts_with(b"#") || text.starts_with(b";") {
                self.lines[at] = text.to_vec().into();
            } else if text.len() < self.lines[at].len() && !text.is_empty() {
                self.splice(at..at + 1, Vec::new());
            }
        }
        self.read_again();
    }

    /// Removes a profile with all its lines, and the comments among them, which are about it.
    pub fn remove(&mut self, profile: &str) {
        while let Some(section) = self.sections_of(profile).last() {
            let Range { start, end } = section.lines;
            let is_mark = |line: &[u8]| line.trim_ascii_end() == MARK.as_bytes();
            let marked = start > 0 && is_mark(&self.lines[start - 1]);
            self.splice(start - usize::from(marked)..end, Vec::new());
        }
    }

    /// Puts other lines in the place of some, with the file's own kind of line end. Where the file has
    /// no line end after its last line, it has none afterwards: the reverse gives the same bytes.
    fn splice(&mut self, range: Range<usize>, lines: Vec<String>) {
        // That of the first line decides, as in editors.
        let crlf = self.lines.first().is_some_and(|line| line.ends_with(b"\r\n"));
        let end = if crlf { "\r\n" } else { "\n" };
        let reaches_end = range.end == self.lines.len();
        let last = self.lines.last_mut().filter(|line| reaches_end && !line.ends_with(b"\n"));
        let unfinished = last.map(|line| line.extend_from_slice(end.as_bytes())).is_some();
        let new = lines.into_iter().map(|line| (line + end).into_bytes().into());
        self.lines.splice(range, new);
        if let Some(last) = self.lines.last_mut().filter(|_| unfinished) {
            let length = without_line_end(last).len();
            last.truncate(length);
        }
        self.read_again();
    }

    fn read_again(&mut self) {
        *self = AwsFile::parse(self.kind, &self.to_bytes());
    }
}

/// Refuses a key and a value that would be read back as something else.
fn check_property(key: &str, value: &str) -> Result<()> {
    let one_line = !value.contains(char::is_control) && !key.contains(char::is_control);
    let line = format!("{key} = {value}");
    if one_line && is_identifier(key) && split_property(&line) == Ok((key, value)) {
        return Ok(());
    }
    // The value may be a secret.
    Err(Error::failed(format!(
        "the value of `{key}` cannot be written to an AWS file: AWS's tools would read something else"
    ))
    .hint("use one line without white space at its ends or before `#` or `;`"))
}

/// The line with another value; everything around it stays.
fn with_value(raw: &[u8], value: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(raw);
    let Some((before, after)) = text.split_once('=') else {
        return raw.to_vec();
    };
    let (after, line_end) = after.split_at(after.trim_end_matches(['\r', '\n']).len());
    let rest = after.trim_start_matches(WHITE_SPACE);
    let gap = &after[..after.len() - rest.len()];
    // A comment right after the `=` has the white space that it needs in the gap.
    let old = if rest.starts_with(COMMENT) && !gap.is_empty() { "" } else { without_comment(rest) };
    let (gap, tail) = match (gap, old) {
        ("", "") => (" ", rest),
        (gap, "") if rest.starts_with(COMMENT) => (gap, &after[gap.len() - 1..]),
        (gap, old) => (gap, &rest[old.len()..]),
    };
    format!("{before}={gap}{value}{tail}{line_end}").into_bytes()
}
