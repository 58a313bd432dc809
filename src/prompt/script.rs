//! A strict script for tests: each question must be the next one expected, by the flag that answers
//! it, and every expected question must be asked.

use std::collections::VecDeque;

use secrecy::SecretString;

use crate::error::Result;
use crate::prompt::question::{Check, Choice, Prompt, Question};
use crate::secret::KeyPair;

pub enum Answer {
    /// The choice whose label starts like this.
    Pick(&'static str),
    Type(&'static str),
    /// Enter alone.
    Default,
    Password(&'static str),
    Paste(KeyPair),
    Yes,
    No,
}

pub struct Script {
    expected: VecDeque<(&'static str, Answer)>,
    /// What was told between the questions.
    pub told: Vec<String>,
}

impl Script {
    /// Pairs of a flag and the answer to its question, in order.
    pub fn new(expected: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        Script { expected: expected.into_iter().collect(), told: Vec::new() }
    }

    #[track_caller]
    pub fn finish(&self) {
        let left: Vec<_> = self.expected.iter().map(|(flag, _)| flag).collect();
        assert!(left.is_empty(), "these were never asked: {left:?}");
    }

    #[track_caller]
    fn next(&mut self, question: Question) -> Answer {
        let Some((flag, answer)) = self.expected.pop_front() else {
            panic!("nobody expected `{}` ({})", question.text, question.flag);
        };
        assert_eq!(question.flag, flag, "`{}` was asked instead", question.text);
        answer
    }
}

impl Prompt for Script {
    fn tell(&mut self, text: &str) -> Result<()> {
        self.told.push(text.to_owned());
        Ok(())
    }

    fn select(&mut self, question: Question, choices: &[Choice], default: usize) -> Result<usize> {
        match self.next(question) {
            Answer::Default => Ok(default),
            Answer::Pick(label) => Ok(choices
                .iter()
                .position(|choice| choice.label.starts_with(label))
                .unwrap_or_else(|| panic!("`{label}` is not among {choices:?}"))),
            _ => panic!("`{}` is a selection", question.text),
        }
    }

    fn text(&mut self, question: Question, default: Option<&str>, check: Check) -> Result<String> {
        let answer = match self.next(question) {
            Answer::Default => default.expect("there is a default").to_owned(),
            Answer::Type(text) => text.to_owned(),
            _ => panic!("`{}` is a line of text", question.text),
        };
        check(&answer)?;
        Ok(answer)
    }

    fn new_password(&mut self, question: Question, check: Check) -> Result<SecretString> {
        let Answer::Password(password) = self.next(question) else {
            panic!("`{}` is a password", question.text);
        };
        check(password)?;
        Ok(password.into())
    }

    fn hidden(&mut self, question: Question) -> Result<SecretString> {
        match self.next(question) {
            Answer::Type(text) => Ok(text.into()),
            _ => panic!("`{}` is a hidden line", question.text),
        }
    }

    fn key_pair(&mut self, question: Question) -> Result<KeyPair> {
        match self.next(question) {
            Answer::Paste(pair) => Ok(pair),
            _ => panic!("`{}` is a key pair", question.text),
        }
    }

    fn confirm(&mut self, question: Question) -> Result<bool> {
        match self.next(question) {
            Answer::Yes => Ok(true),
            Answer::No => Ok(false),
            _ => panic!("`{}` is a yes or no", question.text),
        }
    }
}
