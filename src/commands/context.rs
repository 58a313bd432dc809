//! What every command gets; and for those that speak to AWS the runtime, the SDK and the vault.

use std::cell::OnceCell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Runtime;

use crate::aws::resolve::Tools;
use crate::aws::sdk::{Sdk, Session};
use crate::aws_files::AwsFiles;
use crate::cli::Global;
use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::output::{Output, Page};
use crate::pasted;
use crate::prompt::{Prompt, Question, Terminal, Unattended};
use crate::secret::KeyPair;
use crate::setup::journal::Journal;
use crate::setup::run::Run;
use crate::setup::steps::context::{Access, RunSecrets};
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
        let pasted = pasted::parse(&stdin::read_to_end()?)?;
        if let Some(note) = pasted.note {
            self.output.warn(note);
        }
        Ok(pasted.pair)
    }

    /// Ends the command unless the answer is yes, or `--yes` answers this question.
    pub fn confirm(&self, prompt: &mut dyn Prompt, text: &str, flag: &str) -> Result<()> {
        let has_consent = flag == "--yes" && self.global.yes;
        if has_consent || prompt.confirm(Question::required(text, flag))? {
            return Ok(());
        }
        Err(Error::cancelled().hint("nothing was changed"))
    }

    pub fn result(&self, json: impl Serialize, text: impl Fn(&Page) -> String) -> Result<()> {
        self.output.result(&json, text)
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
            // A person may have to unlock a keyring first; a script should learn soon.
            patience: Duration::from_secs(if self.attended { 60 } else { 5 }),
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
}

/// The entry of that name, else of the current secret.
pub fn find_secret<'i>(name: Option<&str>, index: &'i Index) -> Result<&'i Entry> {
    match name {
        Some(name) => index.require(&SecretName::existing(name)?),
        None => index.require_current(),
    }
}

pub struct Aws<'a> {
    pub context: &'a Context,
    pub sdk: Sdk,
    pub vault: Vault,
    /// Whether addresses are only printed.
    pub no_browser: bool,
    /// Both files as each tool reads them, once that is asked.
    pub tools: OnceCell<Tools<'a>>,
    /// Never shut down: that would wait for a name lookup or a keyring that hangs.
    runtime: ManuallyDrop<Runtime>,
    interrupt: Interrupt,
}

impl<'a> Aws<'a> {
    pub fn start(context: &'a Context) -> Result<Self> {
        // What is no region is refused before anything is asked.
        context.region()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)?;
        let interrupt = runtime.block_on(async { Interrupt::listen() })?;
        let region = context.global.region.as_deref();
        let profile = context.global.profile().map(String::as_str);
        let profiles = AwsFiles::of(&context.env).profiles();
        let sdk = Sdk::new(&context.env, &profiles, (region, profile), context.output.clone());
        let (vault, runtime) = (context.vault()?, ManuallyDrop::new(runtime));
        let tools = OnceCell::new();
        Ok(Aws { context, sdk, vault, no_browser: false, tools, runtime, interrupt })
    }

    /// A run to drive; the session is that of credentials which may change the account.
    pub fn run<'r>(
        &'r self,
        journal: Journal,
        session: Option<&'r Session>,
        secrets: RunSecrets,
    ) -> Run<'r> {
        let (env, output) = (&self.context.env, &self.context.output);
        let access = Access { sdk: &self.sdk, session, vault: &self.vault, env, output };
        Run::new(access, journal, secrets, &self.interrupt)
    }

    /// Does work that looks at interruptions itself, to its end.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Does work that only reads; Ctrl-C ends it.
    pub fn read<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.block_on(self.interrupt.or_cancel(work)).map_err(|error| match error.kind {
            Kind::Cancelled => error.hint("nothing was changed"),
            _ => error,
        })
    }

    /// As [`Aws::read`], saying meanwhile what is going on.
    pub fn during<T>(&self, text: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.context.output.working(text);
        let result = self.read(work);
        self.context.output.done();
        result
    }
}
