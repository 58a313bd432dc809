//! What every command gets: the environment, the global flags, and where its words go.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::cli::Global;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::output::{Output, Page, Report};
use crate::pasted;
use crate::prompt::{Prompt, Question, Terminal, Unattended};
use crate::secret::KeyPair;
use crate::stdin;
use crate::store::SecretName;
use crate::store::index::{Entry, Index};
use crate::store::vault::Vault;

/// The question that `--key-stdin` answers.
pub const PAIR: Question = Question {
    text: "Access key, both halves (not shown)",
    flag: "--key-stdin < FILE",
    required: true,
};

pub struct Context {
    pub env: Env,
    pub global: Global,
    pub output: Arc<Output>,
    /// Whether a person can be asked.
    pub attended: bool,
}

impl Context {
    pub fn prompt(&self) -> Result<Box<dyn Prompt>> {
        if self.attended {
            Ok(Box::new(Terminal::new(self.env.unicode())?))
        } else {
            Ok(Box::new(Unattended))
        }
    }

    /// The pair of `--key-stdin`. A terminal would show what is typed: there it is asked for, hidden.
    pub fn pair_from_stdin(&self, prompt: &mut dyn Prompt) -> Result<KeyPair> {
        if self.env.stdin_is_terminal {
            return prompt.key_pair(PAIR);
        }
        pasted::parse(&stdin::read_to_end()?)
    }

    /// Ends the command unless the answer is yes, or `--yes` answers this question.
    pub fn confirm(&self, prompt: &mut dyn Prompt, text: &str, flag: &str) -> Result<()> {
        let has_consent = flag == "--yes" && self.global.yes;
        if has_consent || prompt.confirm(Question::required(text, flag))? {
            return Ok(());
        }
        Err(Error::cancelled().hint("nothing was changed"))
    }

    /// The result of a command: its JSON, and its text.
    pub fn result(&self, json: Value, text: impl Fn(&Page) -> String) -> Result<()> {
        self.output.result(&Answer { json, text })
    }

    /// The region that a flag or a variable names.
    pub fn region(&self) -> Result<Option<&str>> {
        match &self.global.region {
            Some(region) => Ok(Some(region)),
            None => self.env.region(),
        }
    }

    pub fn vault(&self) -> Result<Vault> {
        let output = Arc::clone(&self.output);
        Ok(Vault {
            folders: self.env.folders()?,
            patience: self.patience(),
            warn: Arc::new(move |text| output.warn(text)),
        })
    }

    /// The named secret, else the current one, from its store. Warns when another program has changed it.
    pub fn secret(&self, name: Option<&str>) -> Result<(Entry, KeyPair)> {
        let vault = self.vault()?;
        let index = Index::load(&vault.folders)?;
        let entry = find_secret(name, &index)?;
        let pair = vault.read(entry)?;
        let (name, id) = (&entry.name, &entry.access_key_id);
        if *id != pair.access_key_id {
            // The new key's ID is not shown: it may be any text.
            self.output.warn(&format!(
                "the secret `{name}` was changed from outside: its key is no longer {id}. To check and list the new one: cloudcred secret show {name} --reveal | cloudcred secret add {name} --key-stdin"
            ));
        }
        Ok((entry.clone(), pair))
    }

    /// How long a keyring may take: a person may have to unlock it first; a script should learn soon.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(if self.attended { 60 } else { 5 })
    }
}

/// The entry of that name, else of the current secret.
pub fn find_secret<'i>(name: Option<&str>, index: &'i Index) -> Result<&'i Entry> {
    match name {
        Some(name) => index.require(&SecretName::existing(name)?),
        None => index.require_current(),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Answer<F> {
    json: Value,
    #[serde(skip)]
    text: F,
}

impl<F: Fn(&Page) -> String> Report for Answer<F> {
    fn text(&self, page: &Page) -> String {
        (self.text)(page)
    }
}
