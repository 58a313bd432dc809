//! `cloudcred credential-process`: AWS's tools call it on every run, so no network, no runtime.

use std::time::Duration;

use secrecy::ExposeSecret;

use crate::commands::context::{Context, find_secret};
use crate::error::Result;
use crate::store::index::Index;
use crate::store::vault::Vault;

/// Tools wait for it, and show nothing meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn run(name: Option<&str>, context: &Context) -> Result<()> {
    let vault = Vault { patience: PATIENCE, ..context.vault()? };
    let index = Index::load(&vault.folders)?;
    let entry = find_secret(name, &index)?;
    let pair = vault.read(entry)?;
    // What the index says is about the key that it names.
    let is_known = entry.access_key_id == pair.access_key_id;
    let account_id = entry.account_id.as_deref().filter(|_| is_known);
    let document = pair.to_process_document(account_id);
    context.output.raw(document.expose_secret().as_bytes())
}
