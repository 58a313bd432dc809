//! The `~/.aws` files as Python reads them for the AWS CLI and Ansible: configparser in its strict form
//! (Python documentation, "configparser"), and botocore's `configloader` on top of it.

use std::collections::HashSet;

use zeroize::Zeroizing;

use crate::aws::resolve::file::{Contents, Refusal, Section, Value};
use crate::aws_files::text::FileKind;

/// Its values are defaults of every other section.
const DEFAULTS: &str = "DEFAULT";

/// A value under construction: Python joins the lines below a key to it.
struct Open {
    section: usize,
    key: usize,
}

/// Reads one file.
///
/// # Errors
/// What makes Python refuse the whole file.
pub fn read(kind: FileKind, bytes: &[u8]) -> Result<Contents, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|error| match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Refusal::new("utf16", "it is in UTF-16", 1),
        _ => {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|it| **it == b'\n').count();
            Refusal::new("not_utf8", "it is not in UTF-8", line)
        }
    })?;
    if text.starts_with('\u{feff}') {
        return Err(Refusal::new("byte_order_mark", "it begins with a byte order mark", 1));
    }
    let mut sections: Vec<Section> = Vec::new();
    let mut seen_sections = HashSet::new();
    let mut seen_keys = HashSet::new();
    let mut current: Option<usize> = None;
    let mut open: Option<Open> = None;
    let mut indentation = 0;
    let mut malformed: Option<Refusal> = None;
    for (number, line) in lines(text).enumerate().map(|(index, line)| (index + 1, line)) {
        let value = line.trim();
        if value.starts_with(['#', ';']) {
            continue;
        }
        if value.is_empty() {
            if let Some(open) = &open {
                sections[open.section].values[open.key].text.push('\n');
            }
            continue;
        }
        let indented_by = line.chars().take_while(|c| c.is_whitespace()).count();
        if let Some(open) = open.as_ref().filter(|_| indented_by > indentation) {
            let text = &mut sections[open.section].values[open.key].text;
            text.push('\n');
            text.push_str(value);
            continue;
        }
        indentation = indented_by;
        if let Some(name) = header(value) {
            open = None;
            let is_defaults = name == DEFAULTS;
            let known =
                if is_defaults { sections.iter().position(|it| it.name == name) } else { None };
            if name != DEFAULTS && !seen_sections.insert(name.to_owned()) {
                let why = format!("the section [{name}] is there twice");
                return Err(Refusal::new("duplicate_section", why, number));
            }
            current = Some(known.unwrap_or(sections.len()));
            if known.is_none() {
                sections.push(Section::new(name));
            }
            continue;
        }
        let Some(section) = current else {
            let why = "it stands before the first section";
            return Err(Refusal::new("before_first_section", why, number));
        };
        let Some((key, text)) = value.split_once(['=', ':']).filter(|(key, _)| !key.is_empty())
        else {
            let why = "it is no `key = value`";
            malformed.get_or_insert_with(|| Refusal::new("no_key_and_value", why, number));
            continue;
        };
        let key = key.trim_end().to_lowercase();
        if !seen_keys.insert((section, key.clone())) {
            let why = format!("`{key}` is there twice in its section");
            return Err(Refusal::new("duplicate_key", why, number));
        }
        let text = Zeroizing::new(text.trim().to_owned());
        sections[section].values.push(Value { key, text, kind, line: number });
        open = Some(Open { section, key: sections[section].values.len() - 1 });
    }
    malformed.map_or(Ok(()), Err)?;
    finished(sections)
}

/// Values without what trails them, and with the defaults.
fn finished(mut sections: Vec<Section>) -> Result<Contents, Refusal> {
    for section in &mut sections {
        for value in &mut section.values {
            let length = value.text.trim_end().len();
            value.text.truncate(length);
            check_nested(value)?;
        }
    }
    Ok(with_defaults(sections))
}

/// As Python's text files do it: `\n`, `\r\n` and `\r` all end a line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let after = if text[end..].starts_with("\r\n") { end + 2 } else { end + 1 };
        rest = Some(&text[after..]);
        Some(&text[..end])
    })
}

/// What is in the brackets, up to the last one; what comes after it is passed over.
fn header(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?;
    let end = inner.rfind(']').filter(|end| *end > 0)?;
    Some(&inner[..end])
}

/// botocore reads a value that begins on the next line as `key = value` pairs of its own.
fn check_nested(value: &Value) -> Result<(), Refusal> {
    let Some(nested) = value.text.strip_prefix('\n') else {
        return Ok(());
    };
    let mut lines = nested.lines().enumerate();
    match lines.find(|(_, line)| !line.trim().is_empty() && !line.contains('=')) {
        Some((index, _)) => {
            let why = "it is no `key = value`";
            Err(Refusal::new("no_key_and_value", why, value.line + index + 1))
        }
        None => Ok(()),
    }
}

fn with_defaults(mut sections: Vec<Section>) -> Contents {
    let defaults = sections.iter().position(|it| it.name == DEFAULTS);
    if let Some(defaults) = defaults.map(|index| sections.remove(index)) {
        for section in &mut sections {
            for value in &defaults.values {
                if section.value(&value.key).is_none() {
                    section.values.push(value.clone());
                }
            }
        }
    }
    Contents { sections }
}

/// What a section of the config file is about, by botocore's `build_profile_map`.
pub fn profile_name(section: &str) -> Option<String> {
    if section == "default" {
        return Some("default".to_owned());
    }
    second_word(section.strip_prefix("profile").map(|_| section)?)
}

pub fn sso_session_name(section: &str) -> Option<String> {
    second_word(section.strip_prefix("sso-session").map(|_| section)?)
}

fn second_word(section: &str) -> Option<String> {
    match &words(section)?[..] {
        [_, name] => Some(name.clone()),
        _ => None,
    }
}

/// As `shlex.split` does it; `None` where a quotation mark is not closed.
pub fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}
