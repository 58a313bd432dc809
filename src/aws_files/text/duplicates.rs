//! Sections and keys that occur twice. botocore, and so the AWS CLI, refuses the whole file for those
//! that are spelled alike; the SDKs merge those that mean the same.

use std::collections::HashMap;
use std::hash::Hash;

use crate::aws_files::text::AwsFile;

impl AwsFile {
    pub(super) fn report_duplicates(&mut self) {
        let mut found = Vec::new();
        let refused = |what: &str, first: usize| {
            format!("{what} is in line {first}, too: the AWS CLI refuses the whole file")
        };
        let (mut spellings, mut meanings) = (HashMap::new(), HashMap::new());
        for section in &self.sections {
            let at = section.lines.start;
            let alike = spelled_section(&self.lines[at])
                .and_then(|spelling| first_of(&mut spellings, spelling, at + 1));
            let same = first_of(&mut meanings, (&section.section, section.prefixed), at + 1);
            if let Some(first) = alike {
                found.push((at, "duplicate_section", refused("the section", first)));
            } else if let (Some(first), Some(what)) = (same, section.section.described()) {
                let message = format!(
                    "{what} is in line {first}, too: the AWS SDKs merge both, and the AWS CLI reads only one of them"
                );
                found.push((at, "section_twice", message));
            }
            let mut keys = HashMap::new();
            for property in &section.properties {
                let (at, key) = (property.lines.start, &property.key);
                if let Some(first) = first_of(&mut keys, spelled_key(&self.lines[at]), at + 1) {
                    found.push((at, "duplicate_key", refused(&format!("the key `{key}`"), first)));
                }
            }
        }
        for (at, code, message) in found {
            self.problem(at, code, message);
        }
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
