//! `cloudcred secret show`: one secret, masked as in the app, or revealed on request.

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::commands::context::Context;
use crate::commands::secret::list::{state, whose};
use crate::error::Result;
use crate::output::{Format, visible};
use crate::store::index::Index;
use crate::store::{SecretName, StoreKind};

/// Borrows the secret: a JSON value would leave a copy behind.
#[derive(Serialize)]
struct Shown<'a> {
    name: &'a SecretName,
    store: StoreKind,
    current: bool,
    access_key: &'a str,
    secret_key: &'a str,
}

const MASK: &str = "******";

pub fn run(name: &str, reveal: bool, context: &Context) -> Result<()> {
    let (entry, pair) = context.secret(Some(name))?;
    if reveal && context.output.format == Format::Text {
        context.output.raw(pair.to_document().expose_secret().as_bytes())?;
        return context.output.raw(b"\n");
    }
    let (access_key, secret_key) = if reveal {
        (pair.access_key_id.as_str(), pair.secret_access_key.expose_secret())
    } else {
        (MASK, MASK)
    };
    let current = Index::load(&context.env.folders()?)?.is_current(&entry.name);
    let (name, store) = (&entry.name, entry.store);
    let shown = Shown { name, store, current, access_key, secret_key };
    context.result(shown, |page| {
        let (name, note) = (page.strong(name), page.dim("  --reveal prints the CloudStudio document"));
        let (state, store, whose) = (state(current), store.name(), visible(&whose(&entry)));
        format!("{name}  {state}  {store}  {whose}\n  access_key  {MASK}\n  secret_key  {MASK}\n{note}\n")
    })
}
