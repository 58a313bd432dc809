//! What the commands that speak to AWS share: the runtime, the SDK, and the vault beside them.

use std::future::Future;
use std::mem::ManuallyDrop;

use tokio::runtime::Runtime;

use crate::aws::sdk::{Sdk, Session};
use crate::commands::context::Context;
use crate::env::Folders;
use crate::error::{Kind, Result};
use crate::interrupt::Interrupt;
use crate::setup::journal::Journal;
use crate::setup::run::Run;
use crate::setup::steps::context::{Access, RunSecrets};
use crate::store::vault::Vault;

/// What a command needs to speak to AWS.
pub struct Aws<'a> {
    pub context: &'a Context,
    pub sdk: Sdk,
    pub vault: Vault,
    /// Whether addresses are only printed.
    pub no_browser: bool,
    /// Never shut down: that would wait for a name lookup or a keyring that hangs.
    runtime: ManuallyDrop<Runtime>,
    interrupt: Interrupt,
}

impl<'a> Aws<'a> {
    pub fn start(context: &'a Context) -> Result<Self> {
        // The SDK reads the variables by itself, and takes anything as a region.
        context.region()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)?;
        let interrupt = runtime.block_on(async { Interrupt::listen() })?;
        let region = context.global.region.as_deref();
        let profile = context.global.profile().map(String::as_str);
        let sdk = runtime.block_on(Sdk::load(region, profile, context.output.clone()));
        let (vault, runtime) = (context.vault()?, ManuallyDrop::new(runtime));
        Ok(Aws { context, sdk, vault, no_browser: false, runtime, interrupt })
    }

    pub fn folders(&self) -> &Folders {
        &self.vault.folders
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
        let result = self.block_on(self.interrupt.or_cancel(work));
        result.map_err(|error| match error.kind {
            Kind::Cancelled => error.hint("nothing was changed"),
            _ => error,
        })
    }

    /// As [`Aws::read`], saying meanwhile what is going on.
    pub fn show<T>(&self, text: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.context.output.working(text);
        let result = self.read(work);
        self.context.output.done();
        result
    }
}
