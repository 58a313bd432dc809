//! `cloudcred credential-process`: the AWS `credential_process` protocol. AWS's tools call it on
//! every run: no network, no standard input, no async runtime.

use std::time::Duration;

use secrecy::ExposeSecret;

use crate::commands::{Context, chosen};
use crate::error::{Error, Result};
use crate::store::Stores;
use crate::store::index::Index;

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
    let entry = chosen::find(name, &index)?;
    let stores = Stores {
        patience: PATIENCE,
        ..context.stores(&folders)
    };
    let pair = stores.require(entry)?;
    // What the index says is about the key that it names.
    let known = entry.access_key_id == pair.access_key_id;
    let account_id = entry.account_id.as_deref().filter(|_| known);
    let document = pair.to_process_document(account_id);
    context.output.raw(document.expose_secret().as_bytes())
}
