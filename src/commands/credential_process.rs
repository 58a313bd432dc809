//! `cloudcred credential-process`: the AWS `credential_process` protocol. AWS's tools call it on
//! every run: no network, no standard input, no async runtime.

use std::time::Duration;

use secrecy::ExposeSecret;

use crate::commands::Context;
use crate::error::{Error, Result};
use crate::store::index::Index;
use crate::store::{SecretName, Stores};

/// Tools wait for it, and show nothing meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// # Errors
/// One line: the tool that called shows it as it is.
pub fn run(name: Option<&str>, context: &Context) -> Result<()> {
    document(name, context).map_err(|error| match error.hint {
        Some(hint) => Error::new(error.kind, format!("{}: {hint}", error.message)),
        None => error,
    })
}

fn document(name: Option<&str>, context: &Context) -> Result<()> {
    let folders = context.env.folders()?;
    let index = Index::load(&folders)?;
    let entry = match name {
        Some(name) => index.require(&SecretName::new(name)?)?,
        None => index.require_current()?,
    };
    let stores = Stores {
        patience: PATIENCE,
        ..context.stores(&folders)
    };
    let pair = stores.require(entry)?;
    let document = pair.to_process_document(&entry.account_id);
    context.output.raw(document.expose_secret().as_bytes())
}
