//! `cloudcred secret move`: the same pair in another store.

use serde::Serialize;

use crate::commands::Context;
use crate::error::Result;
use crate::output::{Page, Report};
use crate::store::{SecretName, StoreKind};

#[derive(Serialize)]
struct Moved {
    changed: bool,
    name: SecretName,
    store: StoreKind,
}

impl Report for Moved {
    fn text(&self, _: &Page) -> String {
        let (name, store) = (&self.name, self.store.name());
        if self.changed {
            format!("the secret `{name}` is now in the {store} store\n")
        } else {
            format!("nothing to do: the secret `{name}` is in the {store} store\n")
        }
    }
}

pub fn run(name: &str, store: StoreKind, context: &Context) -> Result<()> {
    let name = SecretName::existing(name)?;
    let vault = context.vault(&context.env.folders()?);
    let (name, changed) = vault.relocate(&name, store)?;
    context.output.result(&Moved { changed, name, store })
}
