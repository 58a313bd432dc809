//! `cloudcred secret …`: the secrets on this machine. Only `add` asks AWS anything.

mod add;
mod copy;
mod list;
mod remove;
mod set_current;
mod show;

use serde_json::json;

use crate::aws_profile;
use crate::cli::Secret;
use crate::commands::context::Context;
use crate::error::{Error, Result};
use crate::store::{SecretName, StoreKind, half_done};

pub fn run(command: Secret, context: &Context) -> Result<()> {
    match command {
        Secret::List => list::run(context),
        Secret::Show { name, reveal } => show::run(&name, reveal, context),
        Secret::Add(flags) => add::run(flags, context),
        Secret::Use { name, aws_profile } => {
            set_current::run(&name, aws_profile.as_deref(), context)
        }
        Secret::Copy(flags) => copy::run(&flags, context),
        Secret::Rename { old, new } => rename(&old, &new, context),
        Secret::Move { name, store } => relocate(&name, store, context),
        Secret::Remove { name, forget } => remove::run(&name, forget, context),
    }
}

/// `cloudcred secret rename`: the same pair under another name.
fn rename(old: &str, new: &str, context: &Context) -> Result<()> {
    let (old, new) = (SecretName::existing(old)?, SecretName::new(new)?);
    if old.same_place_as(&new) {
        return Err(Error::usage(format!("`{new}` differs from `{old}` only in case"))
            .hint("choose another name: on some systems these two are the same file"));
    }
    context.vault()?.rename(&old, &new, || {
        // AWS profiles that read the secret by its name go on reading it.
        aws_profile::follow(&context.env, &old, &new).map_err(|error| {
            half_done(format!("renamed, but an AWS profile still reads `{old}`: {}", error.message))
        })
    })?;
    context.result(json!({"changed": true, "name": new, "previous_name": old}), |_| {
        format!("the secret `{old}` is now called `{new}`\n")
    })
}

/// `cloudcred secret move`: the same pair in another store.
fn relocate(name: &str, store: StoreKind, context: &Context) -> Result<()> {
    let (name, changed) = context.vault()?.relocate(&SecretName::existing(name)?, store)?;
    context.result(json!({"changed": changed, "name": name, "store": store}), |_| {
        let store = store.name();
        if changed {
            format!("the secret `{name}` is now in the {store} store\n")
        } else {
            format!("nothing to do: the secret `{name}` is in the {store} store\n")
        }
    })
}
