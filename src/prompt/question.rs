//! The questions that exist.

use secrecy::SecretString;

use crate::error::Result;
use crate::secret::KeyPair;

/// A question, with the flag that answers it.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub text: &'a str,
    pub flag: &'a str,
    /// Whether somebody must decide: then no default stands in where nobody can be asked.
    pub required: bool,
}

impl<'a> Question<'a> {
    pub fn required(text: &'a str, flag: &'a str) -> Self {
        Question { text, flag, required: true }
    }

    pub fn optional(text: &'a str, flag: &'a str) -> Self {
        Question { text, flag, required: false }
    }
}

/// One line of a selection.
#[derive(Clone, Debug)]
pub struct Choice {
    pub label: String,
    /// Why one would choose it; may be empty.
    pub note: String,
}

impl Choice {
    pub fn new(label: impl Into<String>, note: impl Into<String>) -> Self {
        Choice { label: label.into(), note: note.into() }
    }
}

/// Says why a text is not a valid answer.
pub type Check<'a> = &'a dyn Fn(&str) -> Result<()>;

/// Whoever answers questions. Every method fails with `Cancelled` or `AnswerNeeded`, never with a
/// made-up answer.
pub trait Prompt {
    /// Says something that the next question rests on.
    fn tell(&mut self, text: &str) -> Result<()>;
    /// The index of the chosen one; `default` is where the cursor starts.
    fn select(&mut self, question: Question, choices: &[Choice], default: usize) -> Result<usize>;
    /// A line of text, trimmed; an empty line means `default`.
    fn text(&mut self, question: Question, default: Option<&str>, check: Check) -> Result<String>;
    /// A new password, not shown, typed twice until both match.
    fn new_password(&mut self, question: Question, check: Check) -> Result<SecretString>;
    /// A line of ASCII, of any length, that is not shown.
    fn hidden(&mut self, question: Question) -> Result<SecretString>;
    /// An access key pair in any of its forms, not shown, over as many lines as it takes.
    fn key_pair(&mut self, question: Question) -> Result<KeyPair>;
    /// Yes or no; no is the default.
    fn confirm(&mut self, question: Question) -> Result<bool>;
}
