//! The `~/.aws` files as the AWS SDK for Go reads them for Terraform (`internal/ini` and
//! `config/shared_config.go` in its sources).

use std::collections::HashMap;

use zeroize::Zeroizing;

use crate::aws::resolve::file::{Contents, Refusal, Section, Value};
use crate::aws_files::text::FileKind;

/// Reads one file: a line that is no header and no `key = value` is passed over.
pub fn read(kind: FileKind, bytes: &[u8]) -> Contents {
    let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    let mut sections: Vec<Section> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut current: Option<usize> = None;
    let mut last_key: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = header(line) {
            let next = sections.len();
            current = Some(*known.entry(name.clone()).or_insert(next));
            if current == Some(next) {
                sections.push(Section::new(&name));
            }
            last_key = None;
            continue;
        }
        let Some(section) = current.map(|it| &mut sections[it]) else {
            continue;
        };
        let indented = line.starts_with([' ', '\t']);
        let last_text = last_key.as_deref().and_then(|key| section.value(key)).map(|it| &*it.text);
        // An indented line belongs to the key above it where that has no value of its own.
        let nested = indented && last_text.is_some_and(|text| text.is_empty());
        match property(without_comment(line.trim_start_matches([' ', '\t']))) {
            _ if nested => {}
            Some((key, text)) => {
                let text = Zeroizing::new(unquoted(text));
                section.set(Value { key: key.clone(), text, kind, line: index + 1 });
                last_key = Some(key);
            }
            None if indented => {
                let key = last_key.as_deref();
                if let Some(value) = section.values.iter_mut().find(|it| Some(&*it.key) == key) {
                    value.text.push('\n');
                    value.text.push_str(trimmed);
                }
            }
            None => {}
        }
    }
    Contents { sections }
}

/// What makes the older SDK refuse the whole file, through which Terraform's provider reads it as well.
pub fn refusal(bytes: &[u8]) -> Option<Refusal> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Some(Refusal::new("utf16", "it is in UTF-16", 1));
    }
    if bytes.starts_with("\u{feff}[".as_bytes()) {
        return Some(Refusal::new("byte_order_mark", "it begins with a byte order mark", 1));
    }
    let text = String::from_utf8_lossy(bytes);
    text.lines().enumerate().find_map(|(index, line)| {
        let line = line.trim();
        let refuse = |code, why| Some(Refusal::new(code, why, index + 1));
        if line.starts_with(['=', ':']) {
            return refuse("no_key_and_value", "it has no key before its value");
        }
        let inner = line.strip_prefix('[')?;
        match inner.split(['#', ';']).next()?.find(']') {
            None => refuse("unclosed_header", "the bracket is not closed"),
            Some(0) => refuse("empty_header", "there is no name in the brackets"),
            Some(end) if inner[end + 1..].contains(']') => {
                refuse("bracket_in_name", "there is a bracket in the name")
            }
            Some(_) => None,
        }
    })
}

/// `[type name]`, with one space between the two; a comment may follow.
fn header(line: &str) -> Option<String> {
    let inner = line.split(['#', ';']).next()?.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    Some(match inner.split_once([' ', '\t']) {
        Some((kind, name)) => format!("{kind} {}", name.trim_start_matches([' ', '\t'])),
        None => inner.to_owned(),
    })
}

fn without_comment(line: &str) -> &str {
    let ends = [" #", " ;", "\t#", "\t;"].into_iter().filter_map(|start| line.find(start));
    &line[..ends.min().unwrap_or(line.len())]
}

fn property(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.split_once(['=', ':'])?;
    Some((key.trim().to_lowercase(), value.trim()))
}

fn unquoted(text: &str) -> String {
    let bare = ['"', '\''].into_iter().find_map(|mark| {
        text.strip_prefix(mark)?.strip_suffix(mark).filter(|bare| !bare.is_empty())
    });
    let bare = bare.unwrap_or(text);
    if !bare.contains('\\') {
        return bare.to_owned();
    }
    bare.replace("\\\"", "\"").replace("\\'", "'").replace("\\n", "\n")
}
