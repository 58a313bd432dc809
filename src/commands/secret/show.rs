//! `cloudcred secret show`: one secret, masked as the app masks it, or revealed where that was asked
//! for.

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::commands::context::Context;
use crate::commands::secret::list::{state, whose};
use crate::error::Result;
use crate::output::{Format, Page, Report, visible};
use crate::store::index::Index;
use crate::store::{SecretName, StoreKind};

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a SecretName,
    store: StoreKind,
    current: bool,
    access_key: &'a str,
    /// Only where `--reveal` asked for it; else the mask.
    secret_key: &'a str,
    #[serde(skip)]
    whose: String,
}

const MASK: &str = "******";

impl Report for Shown<'_> {
    fn text(&self, page: &Page) -> String {
        format!(
            "{}  {}  {}  {}\n  access_key  {MASK}\n  secret_key  {MASK}\n{}\n",
            page.strong(self.name),
            state(self.current),
            self.store.name(),
            visible(&self.whose),
            page.dim("  --reveal prints the CloudStudio document"),
        )
    }
}

pub fn run(name: &str, reveal: bool, context: &Context) -> Result<()> {
    let (entry, pair) = context.secret(Some(name))?;
    if reveal && context.output.format() == Format::Text {
        context.output.raw(pair.to_document().expose_secret().as_bytes())?;
        return context.output.raw(b"\n");
    }
    let (access_key, secret_key) = if reveal {
        (pair.access_key_id.as_str(), pair.secret_access_key.expose_secret())
    } else {
        (MASK, MASK)
    };
    let current = Index::load(&context.env.folders()?)?.is_current(&entry.name);
    let (name, store, whose) = (&entry.name, entry.store, whose(&entry));
    context.output.result(&Shown { name, store, current, access_key, secret_key, whose })
}
