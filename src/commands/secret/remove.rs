//! `cloudcred secret remove`: forgets a secret on this machine. Its key stays at AWS.

use serde::Serialize;

use crate::aws_profile;
use crate::commands::Context;
use crate::error::{Error, Result};
use crate::output::{Page, Report};
use crate::prompt::Question;
use crate::shared_config::Locations;
use crate::store::SecretName;
use crate::store::index::Index;

#[derive(Serialize)]
struct Removed {
    removed: SecretName,
    access_key_id: String,
    was_current: bool,
    /// Those that read it and were removed with it.
    aws_profiles: Vec<String>,
}

impl Report for Removed {
    fn text(&self, _: &Page) -> String {
        let current = match self.was_current {
            true => "\nno secret is current any more: `cloudcred secret use NAME` sets another one",
            false => "",
        };
        let profiles = match self.aws_profiles.is_empty() {
            true => String::new(),
            false => format!(
                "\nremoved the AWS profile that read it: {}",
                self.aws_profiles.join(", ")
            ),
        };
        format!(
            "removed the secret `{}` from this machine; its key {} still works at AWS{profiles}{current}\n",
            self.removed, self.access_key_id
        )
    }
}

pub fn run(name: &SecretName, context: &Context) -> Result<()> {
    let folders = context.env.folders()?;
    let index = Index::load_to_change(&folders)?;
    let entry = index.require(name)?.clone();
    if !context.global.yes {
        let current = match index.is_current(name) {
            true => ", which is the current one",
            false => "",
        };
        let text = format!(
            "Remove the secret `{}` ({}){current}?",
            entry.name, entry.access_key_id
        );
        if !context
            .prompt()?
            .confirm(Question::required(&text, "--yes"))?
        {
            return Err(Error::cancelled().hint("nothing was changed"));
        }
    }
    let stores = context.stores(&folders);
    let mut locked = Index::lock(&folders)?;
    let there = locked.index.require(name)?;
    if there.access_key_id != entry.access_key_id || there.store != entry.store {
        return Err(
            Error::failed(format!("the secret `{name}` was changed meanwhile"))
                .hint("look at it again with `cloudcred secret list`"),
        );
    }
    let was_current = locked.index.is_current(name);
    // Profiles first: tools then look elsewhere, instead of failing.
    let aws_profiles = match Locations::of(&context.env) {
        Ok(locations) => aws_profile::forget(&folders, &locations, &entry.name, was_current)?,
        Err(_) => Vec::new(),
    };
    // Then the secret: an entry without it is told and can be removed again, while a secret
    // without an entry would lie there forgotten.
    stores.place(entry.store).remove(&entry.name)?;
    locked.index.remove(name);
    locked.save()?;
    drop(locked);
    context.output.result(&Removed {
        removed: entry.name,
        access_key_id: entry.access_key_id,
        was_current,
        aws_profiles,
    })
}
