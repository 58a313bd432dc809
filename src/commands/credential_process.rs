//! `cloudcred credential-process`: the AWS `credential_process` protocol. AWS's tools call it on
//! every run, so it is quick: no network, no async runtime.

use std::time::Duration;

use secrecy::ExposeSecret;

use crate::commands::context::Context;
use crate::commands::pick_secret;
use crate::error::{Error, Result};
use crate::store::index::Index;
use crate::store::vault::Vault;

/// Tools wait for it, and show nothing meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// An error is one line, hint included: the tool that called shows it as it is.
pub fn run(name: Option<&str>, context: &Context) -> Result<()> {
    document(name, context).map_err(|error| match error.hint {
        Some(hint) => Error::new(error.kind, format!("{}: {hint}", error.message)),
        None => error,
    })
}

fn document(name: Option<&str>, context: &Context) -> Result<()> {
    let folders = context.env.folders()?;
    let index = Index::load(&folders)?;
    let entry = pick_secret::find(name, &index)?;
    let vault = Vault { patience: PATIENCE, ..context.vault(&folders) };
    let pair = vault.read(entry)?;
    // What the index says is about the key that it names.
    let known = entry.access_key_id == pair.access_key_id;
    let account_id = entry.account_id.as_deref().filter(|_| known);
    let document = pair.to_process_document(account_id);
    context.output.raw(document.expose_secret().as_bytes())
}
