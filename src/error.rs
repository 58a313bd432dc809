//! The one error type: what happened, what to do next, and how the process ends.
//!
//! Leaf code (files, TOML) returns `anyhow` errors with context; whoever knows what the user wanted
//! turns them into an [`Error`]. Nothing here ever holds a secret.

use serde::Serialize;

/// What kind of error it is. Its number is the exit code, as the README lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// It failed, and nothing of this run is left behind.
    Failed = 1,
    /// The command line itself is wrong.
    Usage = 2,
    /// A question is open and nobody can be asked.
    AnswerNeeded = 3,
    /// Credentials are missing, rejected, or not allowed to do this.
    Credentials = 4,
    /// Some of the run's work remains and could not be taken back.
    PartlyApplied = 5,
    /// The user said no, or pressed Ctrl-C.
    Cancelled = 130,
    /// The command to run exists, but cannot be started: as in a shell.
    CommandRefused = 126,
    /// The command to run does not exist: as in a shell.
    CommandNotFound = 127,
}

impl Kind {
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// An error as the user meets it: one line, and one line on what to do next.
#[derive(Debug, Serialize)]
pub struct Error {
    pub kind: Kind,
    /// One line, without a full stop, in the user's words.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The technical cause, shown with `-v` only.
    #[serde(skip)]
    pub cause: Option<anyhow::Error>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: Kind, message: impl AsRef<str>) -> Self {
        Error { kind, message: one_line(message.as_ref()), hint: None, cause: None }
    }

    pub fn failed(message: impl AsRef<str>) -> Self {
        Error::new(Kind::Failed, message)
    }

    pub fn usage(message: impl AsRef<str>) -> Self {
        Error::new(Kind::Usage, message)
    }

    pub fn credentials(message: impl AsRef<str>) -> Self {
        Error::new(Kind::Credentials, message)
    }

    pub fn cancelled() -> Self {
        Error::new(Kind::Cancelled, "cancelled")
    }

    /// A question that nobody is there to answer; `flag` answers it on the command line.
    pub fn answer_needed(question: &str, flag: &str) -> Self {
        let message = format!("an answer is needed and nobody can be asked: {question}");
        Error::new(Kind::AnswerNeeded, message).hint(format!("answer it with {flag}"))
    }

    /// Standard input ended while a question was open.
    pub fn end_of_input(question: &str, flag: &str) -> Self {
        let message = format!("the input ended before this was answered: {question}");
        Error::answer_needed(question, flag).with(Kind::AnswerNeeded, message)
    }

    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(one_line(hint.as_ref()));
        self
    }

    /// Adds to the hint what else can be done.
    pub fn and_hint(self, more: impl AsRef<str>) -> Self {
        let before = self.hint.as_ref().map(|hint| format!("{hint}; ")).unwrap_or_default();
        self.hint(before + more.as_ref())
    }

    /// The same hint and cause under another kind and message.
    pub fn with(mut self, kind: Kind, message: impl AsRef<str>) -> Self {
        self.kind = kind;
        self.message = one_line(message.as_ref());
        self
    }

    /// The message and, in parentheses, the hint: for an answer that is refused, or a warning.
    pub fn with_hint(&self) -> String {
        let hint = self.hint.as_ref();
        hint.map_or_else(|| self.message.clone(), |hint| joined(&self.message, hint))
    }

    pub fn caused_by(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A failed file operation: its whole chain of context is the message.
impl From<anyhow::Error> for Error {
    fn from(cause: anyhow::Error) -> Self {
        Error::failed(format!("{cause:#}"))
    }
}

impl From<std::io::Error> for Error {
    fn from(cause: std::io::Error) -> Self {
        Error::failed(cause.to_string())
    }
}

/// A message and what to do next, as one line.
pub fn joined(message: &str, hint: &str) -> String {
    format!("{message} ({hint})")
}

/// Folds line breaks. `output` takes care of what a terminal might obey.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// "did you mean `a` or `b`?", with at most three of the names most like this one, best first; or
/// the alternative where nothing is near.
pub fn did_you_mean<'n>(name: &str, all: impl Iterator<Item = &'n str>, otherwise: &str) -> String {
    let wanted = name.to_lowercase();
    let likeness = |name: &str| strsim::jaro_winkler(&wanted, &name.to_lowercase());
    let mut near: Vec<_> = all.map(|name| (likeness(name), name)).collect();
    near.retain(|(likeness, _)| *likeness > 0.75);
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    if near.is_empty() {
        return otherwise.to_owned();
    }
    let names: Vec<_> = near.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
    format!("did you mean {}?", names.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_best_first() {
        let hint =
            |wanted| did_you_mean(wanted, ["production", "prod", "staging"].into_iter(), "x");
        assert_eq!(hint("prd"), "did you mean `prod` or `production`?");
        assert_eq!(hint("zzz"), "x");
    }

    #[test]
    fn a_message_and_its_hint_are_one_line_each() {
        let error = Error::failed("first\nsecond  third").hint("a\r\n b");
        assert_eq!(error.message, "first second third");
        assert_eq!(error.hint.as_deref(), Some("a b"));
        assert_eq!(error.with_hint(), "first second third (a b)");
        assert_eq!(Error::failed("no").with_hint(), "no");
        let hint = |error: Error| error.and_hint("c").hint;
        assert_eq!(hint(error).as_deref(), Some("a b; c"));
        assert_eq!(hint(Error::failed("no")).as_deref(), Some("c"));
    }

    #[test]
    fn a_file_error_shows_its_whole_chain() {
        let cause = anyhow::anyhow!("permission denied").context("cannot write /x");
        assert_eq!(Error::from(cause).message, "cannot write /x: permission denied");
    }

    #[test]
    fn json_has_kind_message_and_hint_only() {
        let error = Error::failed("no").caused_by(anyhow::anyhow!("deep"));
        let json = serde_json::to_value(&error).expect("an error is plain data");
        assert_eq!(json, serde_json::json!({"kind": "failed", "message": "no", "hint": null}));
    }
}
