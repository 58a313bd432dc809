//! Something to tell the user about: a defect of a profile or a file, a warning, a reason why
//! credentials do not work.

use std::path::Path;

use serde::Serialize;

use crate::error::{joined, one_line};

/// Its message and hint are one line each, and may come from a server, a program or a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Diagnostic {
    /// Stable, for scripts.
    pub code: &'static str,
    pub message: String,
    /// What to do next.
    pub hint: String,
    #[serde(flatten)]
    pub place: Option<FileLine>,
}

/// A line of a file, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FileLine {
    pub file: String,
    pub line: usize,
}

impl Diagnostic {
    pub fn new(code: &'static str, message: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        let (message, hint) = (one_line(message.as_ref()), one_line(hint.as_ref()));
        Diagnostic { code, message, hint, place: None }
    }

    pub fn at(self, file: &Path, line: usize) -> Self {
        let file = one_line(&file.display().to_string());
        Diagnostic { place: Some(FileLine { file, line }), ..self }
    }

    /// The message, after the place that it is about.
    pub fn located(&self) -> String {
        match &self.place {
            Some(FileLine { file, line }) => format!("{file}, line {line}: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// All of it as one line of text.
    pub fn with_hint(&self) -> String {
        joined(&self.located(), &self.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_the_place_and_json_has_it_as_fields() {
        let plain = Diagnostic::new("x", "it is\nwrong", "fix it");
        assert_eq!(plain.with_hint(), "it is wrong (fix it)");
        let fields = |it: &Diagnostic| serde_json::to_value(it).expect("plain data");
        let json = serde_json::json!({"code": "x", "message": "it is wrong", "hint": "fix it"});
        assert_eq!(fields(&plain), json);
        let located = plain.at(Path::new("/a/config"), 5);
        assert_eq!(located.located(), "/a/config, line 5: it is wrong");
        assert_eq!(fields(&located)["line"], 5);
    }
}
