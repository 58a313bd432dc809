//! The one error type: what happened, what to do next, and how the process ends.
//!
//! Leaf code (files, TOML) returns `anyhow` errors with context; whoever knows what the user wanted
//! turns them into an [`Error`]. Nothing here ever holds a secret.

use serde::Serialize;

/// What kind of error it is. The kind alone decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It failed, and nothing of this run is left behind.
    Failed,
    /// The command line itself is wrong.
    Usage,
    /// A question is open and nobody can be asked.
    AnswerNeeded,
    /// Credentials are missing, rejected, or not allowed to do this.
    Credentials,
    /// Some of the run's work remains and could not be taken back.
    PartlyApplied,
    /// The user said no, or pressed Ctrl-C.
    Cancelled,
    /// The command to run exists, but cannot be started.
    CommandRefused,
    /// The command to run does not exist.
    CommandNotFound,
}

impl Kind {
    /// The exit code, as the README lists them: 1, 2, 3, 4, 5 or 130, and a shell's 126 and 127.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::AnswerNeeded => 3,
            Kind::Credentials => 4,
            Kind::PartlyApplied => 5,
            Kind::Cancelled => 130,
            Kind::CommandRefused => 126,
            Kind::CommandNotFound => 127,
        }
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
        Error::new(
            Kind::AnswerNeeded,
            format!("an answer is needed and nobody can be asked: {question}"),
        )
        .hint(format!("answer it with {flag}"))
    }

    /// Standard input ended while a question was open.
    pub fn end_of_input(question: &str, flag: &str) -> Self {
        Error::new(
            Kind::AnswerNeeded,
            format!("the input ended before this was answered: {question}"),
        )
        .hint(format!("answer it with {flag}"))
    }

    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(one_line(hint.as_ref()));
        self
    }

    /// Adds to the hint what else can be done.
    pub fn and_hint(self, more: impl AsRef<str>) -> Self {
        match &self.hint {
            Some(hint) => {
                let joined = format!("{hint}; {}", more.as_ref());
                self.hint(joined)
            }
            None => self.hint(more),
        }
    }

    /// The same hint and cause under another kind and message.
    pub fn with(mut self, kind: Kind, message: impl AsRef<str>) -> Self {
        self.kind = kind;
        self.message = one_line(message.as_ref());
        self
    }

    /// The message and, in parentheses, the hint: for an answer that is refused, or a warning.
    pub fn with_hint(&self) -> String {
        match &self.hint {
            Some(hint) => joined(&self.message, hint),
            None => self.message.clone(),
        }
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

/// A message and what to do next, as one line.
pub fn joined(message: &str, hint: &str) -> String {
    format!("{message} ({hint})")
}

/// Folds line breaks. `output` takes care of what a terminal might obey.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The names most like `wanted`, best first, at most three: for "did you mean".
pub fn near_names<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut near: Vec<(f64, &str)> = names
        .map(|name| {
            let likeness = strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase());
            (likeness, name)
        })
        .filter(|(likeness, _)| *likeness > 0.75)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// "did you mean `a` or `b`?", or the alternative where nothing is near.
pub fn did_you_mean(near: &[&str], otherwise: &str) -> String {
    if near.is_empty() {
        return otherwise.to_owned();
    }
    let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    format!("did you mean {}?", names.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_best_first() {
        let names = ["production", "prod", "staging"];
        assert_eq!(near_names("prd", names.into_iter()), ["prod", "production"]);
        assert!(near_names("zzz", names.into_iter()).is_empty());
        assert_eq!(did_you_mean(&["a", "b"], ""), "did you mean `a` or `b`?");
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
