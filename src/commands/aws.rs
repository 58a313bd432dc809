//! What the commands that speak to AWS share: the runtime, the SDK, and the vault beside them.

use std::future::Future;

use tokio::runtime::Runtime;

use crate::aws::sdk::{Sdk, Session};
use crate::commands::context::Context;
use crate::env::Folders;
use crate::error::{Kind, Result};
use crate::interrupt::Interrupt;
use crate::setup::steps::context::Access;
use crate::store::vault::Vault;

/// What a command needs to speak to AWS.
pub struct Aws {
    runtime: Option<Runtime>,
    pub interrupt: Interrupt,
    pub sdk: Sdk,
    pub folders: Folders,
    pub vault: Vault,
}

impl Aws {
    /// # Errors
    /// When the system refuses threads or signal handlers, or there is no home directory; or when a
    /// variable names an impossible region.
    pub fn start(context: &Context) -> Result<Self> {
        // The SDK reads the variables by itself, and takes anything as a region.
        context.region()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)?;
        let interrupt = {
            let _inside = runtime.enter();
            Interrupt::listen()?
        };
        let region = context.global.region.as_deref();
        let profile = context.global.profile().map(String::as_str);
        let sdk = runtime.block_on(Sdk::load(region, profile, context.output.clone()));
        let folders = context.env.folders()?;
        Ok(Aws { runtime: Some(runtime), interrupt, sdk, vault: context.vault(&folders), folders })
    }

    /// What a run works with; the session is that of credentials which may change the account.
    pub fn access<'a>(&'a self, session: Option<&'a Session>, context: &'a Context) -> Access<'a> {
        Access {
            sdk: &self.sdk,
            session,
            vault: &self.vault,
            env: &context.env,
            output: &context.output,
        }
    }

    /// Runs work that looks at interruptions itself, to its end.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("it lasts as long as this value").block_on(work)
    }

    /// Runs work that only reads; Ctrl-C ends it.
    ///
    /// # Errors
    /// `Cancelled`, else the work's.
    pub fn read<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let result = self.run(self.interrupt.or_cancel(work));
        result.map_err(|error| match error.kind {
            Kind::Cancelled => error.hint("nothing was changed"),
            _ => error,
        })
    }
}

impl Drop for Aws {
    /// Does not wait for a name lookup or a keyring that hangs: nobody needs the answer now.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
