//! `cloudcred secret …`: the secrets on this machine. Only `add` asks AWS anything.

mod add;
mod copy;
mod list;
mod relocate;
mod remove;
mod rename;
mod set_current;
mod show;

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::identity::Identity;
use crate::cli::Secret;
use crate::commands::context::Context;
use crate::error::Result;
use crate::store::index::Entry;
use crate::store::{SecretName, StoreKind};

pub fn run(command: Secret, context: &Context) -> Result<()> {
    match command {
        Secret::List => list::run(context),
        Secret::Show { name, reveal } => show::run(&name, reveal, context),
        Secret::Add(flags) => add::run(flags, context),
        Secret::Use(flags) => set_current::run(&flags, context),
        Secret::Copy(flags) => copy::run(&flags, context),
        Secret::Rename { old, new } => rename::run(&old, &new, context),
        Secret::Move { name, store } => relocate::run(&name, store, context),
        Secret::Remove { name, forget } => remove::run(&name, forget, context),
    }
}

/// One secret as `--output json` has it: every field, `null` where nobody knows.
#[derive(Serialize)]
struct Listed {
    name: SecretName,
    store: StoreKind,
    current: bool,
    access_key_id: String,
    account_id: Option<String>,
    arn: Option<String>,
    created_at: Timestamp,
    verified_at: Option<Timestamp>,
}

impl Listed {
    fn of(entry: &Entry, current: bool) -> Self {
        Listed {
            name: entry.name.clone(),
            store: entry.store,
            current,
            access_key_id: entry.access_key_id.clone(),
            account_id: entry.account_id.clone(),
            arn: entry.arn.clone(),
            created_at: entry.created_at,
            verified_at: entry.verified_at,
        }
    }
}

/// `user/ana in 111122223333`, or that nobody has asked.
fn whose(entry: &Entry) -> String {
    match (&entry.account_id, &entry.arn) {
        (Some(account_id), Some(arn)) => Identity::new(account_id, arn).described(),
        _ => "not verified".to_owned(),
    }
}

/// What CloudStudio's page says of a secret.
fn state(current: bool) -> &'static str {
    if current { "set on environment" } else { "not set" }
}
