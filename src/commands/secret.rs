//! `cloudcred secret …`: the secrets on this machine. No network, no async runtime.

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

use crate::cli::Secret;
use crate::commands::Context;
use crate::error::{Error, Result};
use crate::output::{Format, Page, Report, table};
use crate::prompt::Question;
use crate::store::index::{Entry, Index};
use crate::store::{SecretName, StoreKind};

pub fn run(command: Secret, context: &Context) -> Result<()> {
    match command {
        Secret::List => list(context),
        Secret::Show { name, reveal } => show(&SecretName::new(&name)?, reveal, context),
        Secret::Remove { name } => remove(&SecretName::new(&name)?, context),
    }
}

#[derive(Serialize)]
struct List {
    secrets: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    entry: Entry,
    current: bool,
}

impl Report for List {
    fn text(&self, page: &Page) -> String {
        if self.secrets.is_empty() {
            return "no secrets yet: `cloudcred setup` makes one\n".to_owned();
        }
        let rows: Vec<Vec<String>> = self
            .secrets
            .iter()
            .map(|Listed { entry, current }| {
                let mark = if *current { "current" } else { "" };
                vec![
                    entry.name.to_string(),
                    mark.to_owned(),
                    entry.store.name().to_owned(),
                    entry.access_key_id.clone(),
                    entry.arn.clone(),
                ]
            })
            .collect();
        table(&rows, page.width)
    }
}

fn list(context: &Context) -> Result<()> {
    let index = Index::load(&context.env.folders()?)?;
    let secrets = index
        .secrets
        .iter()
        .map(|entry| Listed {
            current: index.is_current(&entry.name),
            entry: entry.clone(),
        })
        .collect();
    context.output.result(&List { secrets })
}

#[derive(Serialize)]
struct Shown {
    name: SecretName,
    store: StoreKind,
    current: bool,
    access_key: String,
    #[serde(serialize_with = "revealed")]
    secret_key: SecretString,
    #[serde(skip)]
    arn: String,
}

/// Serialized only here, where `--reveal` asked for it; else it holds the mask.
fn revealed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

const MASK: &str = "******";

impl Report for Shown {
    fn text(&self, page: &Page) -> String {
        let current = if self.current { ", current" } else { "" };
        format!(
            "{}  {}  ({}{current})\n  access_key  {}\n  secret_key  {MASK}\n{}\n",
            page.strong(&self.name),
            self.arn,
            self.store.name(),
            self.access_key,
            page.dim("  --reveal prints the CloudStudio document"),
        )
    }
}

fn show(name: &SecretName, reveal: bool, context: &Context) -> Result<()> {
    let folders = context.env.folders()?;
    let index = Index::load(&folders)?;
    let entry = index.require(name)?;
    let pair = context.stores(&folders).require(entry)?;
    if reveal && context.output.format() == Format::Text {
        context
            .output
            .raw(pair.to_document().expose_secret().as_bytes())?;
        return context.output.raw(b"\n");
    }
    let (access_key, secret_key) = if reveal {
        (pair.access_key_id, pair.secret_access_key)
    } else {
        (MASK.to_owned(), SecretString::from(MASK))
    };
    context.output.result(&Shown {
        name: entry.name.clone(),
        store: entry.store,
        current: index.is_current(name),
        access_key,
        secret_key,
        arn: entry.arn.clone(),
    })
}

#[derive(Serialize)]
struct Removed {
    removed: SecretName,
    access_key_id: String,
}

impl Report for Removed {
    fn text(&self, _: &Page) -> String {
        format!(
            "removed the secret `{}` from this machine; its key {} still works at AWS\n",
            self.removed, self.access_key_id
        )
    }
}

fn remove(name: &SecretName, context: &Context) -> Result<()> {
    let folders = context.env.folders()?;
    let entry = Index::load(&folders)?.require(name)?.clone();
    if !context.global.yes {
        let text = format!("Remove the secret `{name}` ({})?", entry.access_key_id);
        if !context
            .prompt()?
            .confirm(Question::required(&text, "--yes"))?
        {
            return Err(Error::cancelled());
        }
    }
    context
        .stores(&folders)
        .place(entry.store)
        .remove(&entry.name)?;
    Index::update(&folders, |index| {
        index.remove(name);
        Ok(())
    })?;
    context.output.result(&Removed {
        removed: entry.name,
        access_key_id: entry.access_key_id,
    })
}
