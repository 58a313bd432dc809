//! Nobody answers.

use secrecy::SecretString;

use crate::error::{Error, Result};
use crate::prompt::question::{Check, Choice, Prompt, Question};
use crate::secret::KeyPair;

/// Nobody: defaults stand in where they may, everything else is an error that names the flag.
pub struct Unattended;

fn unanswered<T>(question: Question) -> Result<T> {
    Err(Error::answer_needed(question.text, question.flag))
}

impl Prompt for Unattended {
    fn tell(&mut self, _: &str) -> Result<()> {
        Ok(())
    }

    fn select(&mut self, question: Question, _: &[Choice], default: usize) -> Result<usize> {
        if question.required {
            return unanswered(question);
        }
        Ok(default)
    }

    fn text(&mut self, question: Question, default: Option<&str>, check: Check) -> Result<String> {
        match default {
            Some(default) if !question.required => {
                check(default)?;
                Ok(default.to_owned())
            }
            _ => unanswered(question),
        }
    }

    fn new_password(&mut self, question: Question, _: Check) -> Result<SecretString> {
        unanswered(question)
    }

    fn hidden(&mut self, question: Question) -> Result<SecretString> {
        unanswered(question)
    }

    fn key_pair(&mut self, question: Question) -> Result<KeyPair> {
        unanswered(question)
    }

    fn confirm(&mut self, question: Question) -> Result<bool> {
        unanswered(question)
    }
}
