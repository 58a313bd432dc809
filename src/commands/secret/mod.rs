//! `cloudcred secret …`: the secrets on this machine. Only `add` asks AWS anything.

mod add;
mod copy;
mod list;
mod remove;
mod set_current;
mod show;

use serde::Serialize;
use serde_json::json;

use crate::aws::identity::Identity;
use crate::aws_profile;
use crate::cli::Secret;
use crate::commands::context::Context;
use crate::error::{Error, Result};
use crate::output::{Page, Report};
use crate::prompt::{Prompt, Question};
use crate::shared_config::Locations;
use crate::store::index::Entry;
use crate::store::{SecretName, StoreKind, half_done};

pub fn run(command: Secret, context: &Context) -> Result<()> {
    match command {
        Secret::List => list::run(context),
        Secret::Show { name, reveal } => show::run(&name, reveal, context),
        Secret::Add(flags) => add::run(flags, context),
        Secret::Use(flags) => set_current::run(&flags, context),
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
    let folders = context.env.folders()?;
    context.vault(&folders).rename(&old, &new, || {
        // AWS profiles that read the secret by its name go on reading it.
        let Ok(locations) = Locations::of(&context.env) else { return Ok(()) };
        let program = context.env.program()?;
        aws_profile::follow(&locations, program, &old, &new).map_err(|error| {
            half_done(format!("renamed, but an AWS profile still reads `{old}`: {}", error.message))
        })
    })?;
    answer(context, json!({"changed": true, "name": new, "previous_name": old}), |_| {
        format!("the secret `{old}` is now called `{new}`\n")
    })
}

/// `cloudcred secret move`: the same pair in another store.
fn relocate(name: &str, store: StoreKind, context: &Context) -> Result<()> {
    let vault = context.vault(&context.env.folders()?);
    let (name, changed) = vault.relocate(&SecretName::existing(name)?, store)?;
    answer(context, json!({"changed": changed, "name": name, "store": store}), |_| {
        let store = store.name();
        if changed {
            format!("the secret `{name}` is now in the {store} store\n")
        } else {
            format!("nothing to do: the secret `{name}` is in the {store} store\n")
        }
    })
}

/// The result of a command: its JSON, and its text.
fn answer(
    context: &Context,
    json: serde_json::Value,
    text: impl Fn(&Page) -> String,
) -> Result<()> {
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Answer<F> {
        json: serde_json::Value,
        #[serde(skip)]
        text: F,
    }
    impl<F: Fn(&Page) -> String> Report for Answer<F> {
        fn text(&self, page: &Page) -> String {
            (self.text)(page)
        }
    }
    context.output.result(&Answer { json, text })
}

/// One secret as `--output json` shows it.
fn listed(entry: &Entry, is_current: bool) -> serde_json::Value {
    json!({
        "name": entry.name,
        "store": entry.store,
        "current": is_current,
        "access_key_id": entry.access_key_id,
        "account_id": entry.account_id,
        "arn": entry.arn,
        "created_at": entry.created_at,
        "verified_at": entry.verified_at,
    })
}

/// `user/ana in 111122223333`, unless AWS was never asked.
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

/// Asks a question that `flag` answers, and ends the command unless the answer is yes.
fn confirm(prompt: &mut dyn Prompt, text: &str, flag: &str) -> Result<()> {
    if prompt.confirm(Question::required(text, flag))? {
        return Ok(());
    }
    Err(Error::cancelled().hint("nothing was changed"))
}
