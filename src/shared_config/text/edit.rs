//! Edits of one `~/.aws` file: what is not meant stays as it is, byte by byte.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::shared_config::text::header::{
    COMMENT, FileKind, Header, Section, WHITE_SPACE, is_identifier, meaning, trimmed,
};
use crate::shared_config::text::{Line, SharedFile, What, split_property, without_comment};

/// Put above a profile that we add, and removed with it.
const MARK: &str = "# Added by cloudcred";

impl SharedFile {
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
                what: What::Property { key: key.to_owned(), value: value.to_owned() },
            };
            return Ok(());
        }
        let Some(span) = self.spans(profile).pop() else {
            return Ok(());
        };
        // After the last thing that belongs to the section, before blank lines and comments that
        // lead to the next one.
        let last = span.clone().rfind(|at| self.lines[*at].what != What::Nothing);
        self.insert(last.unwrap_or(span.start) + 1, vec![property_line(key, value)]);
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
                self.lines[line] =
                    Line { raw: raw[indent.count()..].to_vec(), what: What::Nothing };
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
        lines.extend(properties.iter().map(|(key, value)| property_line(key, value)));
        self.insert(self.lines.len(), lines);
        Ok(())
    }

    /// Removes a profile with all its lines, comments between its header and its last key included:
    /// they are about it. Whether it was there.
    pub fn remove(&mut self, profile: &str) -> bool {
        let mut found = false;
        while let Some(span) = self.spans(profile).pop() {
            // Comments and blank lines at its end belong to what follows.
            let last = span.clone().rfind(|at| self.lines[*at].what != What::Nothing);
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
            let raw = format!("{}{prefix}{name}{}", &text[..open + start], &text[open + end..]);
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
            && self.lines.last().is_some_and(|last| !last.raw.ends_with(b"\n"));
        if unfinished && let Some(last) = self.lines.last_mut() {
            last.raw.extend_from_slice(end.as_bytes());
        }
        let mut new: Vec<Line> = lines
            .into_iter()
            .map(|(text, what)| Line { raw: format!("{text}{end}").into_bytes(), what })
            .collect();
        if unfinished && let Some(last) = new.last_mut() {
            last.raw.truncate(last.raw.len() - end.len());
        }
        self.lines.splice(at..at, new);
    }

    fn cut(&mut self, range: Range<usize>) {
        let unfinished = range.end == self.lines.len()
            && self.lines.last().is_some_and(|last| !last.raw.ends_with(b"\n"));
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
    let what = What::Property { key: key.to_owned(), value: value.to_owned() };
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
