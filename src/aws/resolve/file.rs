//! What a tool has read of a file: sections with keys and values, and where they stand.

use std::path::Path;

use zeroize::Zeroizing;

use crate::aws_files::text::FileKind;
use crate::diagnostic::Diagnostic;

#[derive(Default)]
pub struct Contents {
    /// In the file's order.
    pub sections: Vec<Section>,
}

#[derive(Default)]
pub struct Section {
    pub name: String,
    pub values: Vec<Value>,
}

#[derive(Clone)]
pub struct Value {
    /// In lower case.
    pub key: String,
    pub text: Zeroizing<String>,
    pub kind: FileKind,
    pub line: usize,
}

/// Why a tool refuses a whole file.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub code: &'static str,
    pub why: String,
    pub line: usize,
}

impl Section {
    pub fn new(name: &str) -> Self {
        Section { name: name.to_owned(), values: Vec::new() }
    }

    pub fn value(&self, key: &str) -> Option<&Value> {
        self.values.iter().find(|value| value.key == key)
    }

    /// Adds the value, or puts it in the place of the one that is there.
    pub fn set(&mut self, value: Value) {
        match self.values.iter_mut().find(|it| it.key == value.key) {
            Some(there) => *there = value,
            None => self.values.push(value),
        }
    }
}

impl Refusal {
    pub fn new(code: &'static str, why: impl Into<String>, line: usize) -> Self {
        Refusal { code, why: why.into(), line }
    }

    /// For the one who has the file.
    pub fn told(&self, path: &Path) -> Diagnostic {
        let hint = match self.code {
            "byte_order_mark" | "utf16" | "not_utf8" => {
                "save the file as UTF-8 without a byte order mark"
            }
            "duplicate_section" | "duplicate_key" => "remove one of the two",
            _ => "correct or remove the line",
        };
        let message = format!("the file is refused: {}", self.why);
        Diagnostic::new(self.code, message, hint).at(path, self.line)
    }
}
