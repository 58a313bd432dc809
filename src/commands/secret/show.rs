//! `cloudcred secret show`: one secret, masked as the app masks it, or revealed where that was asked
//! for.

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

use crate::commands::context::Context;
use crate::commands::pick_secret;
use crate::commands::secret::answer::{state, whose};
use crate::error::Result;
use crate::output::{Format, Page, Report, visible};
use crate::store::{SecretName, StoreKind};

#[derive(Serialize)]
struct Shown {
    name: SecretName,
    store: StoreKind,
    current: bool,
    access_key: String,
    #[serde(serialize_with = "revealed")]
    secret_key: SecretString,
    #[serde(skip)]
    whose: String,
}

/// Serialized only here, where `--reveal` asked for it; else it holds the mask.
fn revealed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

const MASK: &str = "******";

impl Report for Shown {
    fn text(&self, page: &Page) -> String {
        format!(
            "{}  {}  {}  {}\n  access_key  {}\n  secret_key  {MASK}\n{}\n",
            page.strong(&self.name),
            state(self.current),
            self.store.name(),
            visible(&self.whose),
            visible(&self.access_key),
            page.dim("  --reveal prints the CloudStudio document"),
        )
    }
}

pub fn run(name: &str, reveal: bool, context: &Context) -> Result<()> {
    let secret = pick_secret::read(Some(name), context)?;
    let pair = secret.pair;
    if reveal && context.output.format == Format::Text {
        context.output.raw(pair.to_document().expose_secret().as_bytes())?;
        return context.output.raw(b"\n");
    }
    let (access_key, secret_key) = if reveal {
        (pair.access_key_id, pair.secret_access_key)
    } else {
        (MASK.to_owned(), SecretString::from(MASK))
    };
    context.output.result(&Shown {
        whose: whose(&secret.entry),
        name: secret.entry.name,
        store: secret.entry.store,
        current: secret.current,
        access_key,
        secret_key,
    })
}
