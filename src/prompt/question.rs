//! The questions that exist, and what becomes of them where nobody answers.

use secrecy::SecretString;

use crate::error::{Error, Result};
use crate::output::visible;
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

    fn unanswered<T>(self) -> Result<T> {
        Err(Error::answer_needed(self.text, self.flag))
    }
}

/// One line of a selection, as it may be shown.
#[derive(Clone, Debug)]
pub struct Choice {
    pub label: String,
    /// Why one would choose it; may be empty.
    pub note: String,
}

impl Choice {
    pub fn new(label: impl AsRef<str>, note: impl AsRef<str>) -> Self {
        Choice { label: visible(label.as_ref()), note: visible(note.as_ref()) }
    }
}

/// Says why a text is not a valid answer.
pub type Check<'a> = &'a dyn Fn(&str) -> Result<()>;

/// Whoever answers questions: fails with `Cancelled` or `AnswerNeeded`, never with a made-up
/// answer. What stands here is for [`Unattended`]: a default where it may stand in, else an error.
pub trait Prompt {
    /// Says something that the next question rests on.
    fn tell(&mut self, _text: &str) -> Result<()> {
        Ok(())
    }

    /// The index of the chosen one; `default` is where the cursor starts.
    fn select(&mut self, question: Question, _: &[Choice], default: usize) -> Result<usize> {
        if question.required { question.unanswered() } else { Ok(default) }
    }

    /// A line of text, trimmed; an empty line means `default`.
    fn text(&mut self, question: Question, default: Option<&str>, check: Check) -> Result<String> {
        match default.filter(|_| !question.required) {
            Some(default) => check(default).map(|()| default.to_owned()),
            None => question.unanswered(),
        }
    }

    /// A new password, not shown, typed twice until both match.
    fn new_password(&mut self, question: Question, _: Check) -> Result<SecretString> {
        question.unanswered()
    }

    /// A line of ASCII, of any length, that is not shown.
    fn hidden(&mut self, question: Question) -> Result<SecretString> {
        question.unanswered()
    }

    /// An access key pair in any of its forms, not shown, over as many lines as it takes.
    fn key_pair(&mut self, question: Question) -> Result<KeyPair> {
        question.unanswered()
    }

    /// Yes or no; no is the default.
    fn confirm(&mut self, question: Question) -> Result<bool> {
        question.unanswered()
    }
}

/// Nobody.
pub struct Unattended;

impl Prompt for Unattended {}
