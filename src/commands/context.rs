//! What every command gets: the environment, the global flags, and where its words go.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::Global;
use crate::env::{Env, Folders};
use crate::error::Result;
use crate::output::Output;
use crate::pasted;
use crate::prompt::{Prompt, Question, Terminal, Unattended};
use crate::secret::KeyPair;
use crate::stdin;
use crate::store::vault::Vault;

/// What every command gets.
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
            let text = "Access key, both halves (not shown)";
            return prompt.key_pair(Question::required(text, "--key-stdin < FILE"));
        }
        pasted::parse(&stdin::read_to_end()?)
    }

    /// The region that a flag or a variable names.
    pub fn region(&self) -> Result<Option<&str>> {
        match &self.global.region {
            Some(region) => Ok(Some(region)),
            None => self.env.region(),
        }
    }

    pub fn vault(&self, folders: &Folders) -> Vault {
        let output = Arc::clone(&self.output);
        Vault {
            folders: folders.clone(),
            patience: self.patience(),
            warn: Arc::new(move |text| output.warn(text)),
        }
    }

    /// How long a keyring may take: a person may have to unlock it first; a script should learn soon.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(if self.attended { 60 } else { 5 })
    }
}
