//! `cloudcred secret remove`: forgets a secret on this machine. Its key stays at AWS.

use serde::Serialize;

use crate::aws_profile::{self, Readers};
use crate::commands::Context;
use crate::error::{Error, Kind, Result};
use crate::output::{Page, Report};
use crate::prompt::Question;
use crate::shared_config::Locations;
use crate::store::index::{Entry, Index};
use crate::store::{Place, SecretName};

#[derive(Serialize)]
struct Removed {
    removed: SecretName,
    access_key_id: String,
    was_current: bool,
    /// Those that read it and were removed with it.
    aws_profiles: Vec<String>,
    /// Those that read the current secret, which is none now.
    idle_aws_profiles: Vec<String>,
}

impl Report for Removed {
    fn text(&self, _: &Page) -> String {
        let mut text = format!(
            "removed the secret `{}` from this machine; its key {} still works at AWS\n",
            self.removed, self.access_key_id
        );
        if !self.aws_profiles.is_empty() {
            let names = self.aws_profiles.join(", ");
            text.push_str(&format!("removed the AWS profile that read it: {names}\n"));
        }
        if self.was_current {
            text.push_str(
                "no secret is current any more: `cloudcred secret use NAME` sets another one\n",
            );
        }
        if !self.idle_aws_profiles.is_empty() {
            let names = self.idle_aws_profiles.join(", ");
            text.push_str(&format!(
                "until then nothing is read through the AWS profile {names}\n"
            ));
        }
        text
    }
}

/// `forget` gives up the entry even where its place cannot be asked.
pub fn run(name: &SecretName, forget: bool, context: &Context) -> Result<()> {
    let folders = context.env.folders()?;
    let index = Index::load_to_change(&folders)?;
    let entry = index.require(name)?.clone();
    let locations = Locations::of(&context.env).ok();
    let readers = match &locations {
        Some(locations) => aws_profile::readers(locations, context.env.program()?, name),
        None => Readers::default(),
    };
    let place = context.stores(&folders).place(entry.store);
    let answers = confirm(&entry, &index, &readers, &place, forget, context)?;
    let mut locked = Index::lock(&folders)?;
    let there = locked.index.require(name)?;
    if there.access_key_id != entry.access_key_id || there.store != entry.store {
        return Err(
            Error::failed(format!("the secret `{name}` was changed meanwhile"))
                .hint("look at it again with `cloudcred secret list`"),
        );
    }
    let was_current = locked.index.is_current(name);
    // Where there are others, one of them will be current next.
    let is_last = locked.index.secrets.len() == 1;
    // Profiles first: tools then look elsewhere, instead of failing.
    let aws_profiles = match &locations {
        Some(locations) => {
            let program = context.env.program()?;
            let and_current = was_current && is_last;
            aws_profile::forget(&folders, locations, program, &entry.name, and_current)?
        }
        None => Vec::new(),
    };
    // Then the secret: an entry without it is told and can be removed again, while a secret
    // without an entry would lie there forgotten.
    match place.remove(&entry.name) {
        Ok(_) => {}
        Err(error) if answers => {
            return Err(partly(error, &aws_profiles));
        }
        Err(error) => context.output.warn(&format!(
            "what the {} store may hold as `{}` stays there: {}",
            entry.store.name(),
            entry.name,
            error.message
        )),
    }
    locked.index.remove(name);
    locked.save().map_err(|error| {
        let message = format!(
            "the secret `{}` is removed, but still listed: {}",
            entry.name, error.message
        );
        Error::new(Kind::PartlyApplied, message)
            .hint("run the same command again once the cause is mended")
    })?;
    drop(locked);
    context.output.result(&Removed {
        removed: entry.name,
        access_key_id: entry.access_key_id,
        was_current,
        aws_profiles,
        idle_aws_profiles: match was_current && !is_last {
            true => readers.as_current,
            false => Vec::new(),
        },
    })
}

/// Asks for what is open, before anything is changed; whether the secret's place answers.
fn confirm(
    entry: &Entry,
    index: &Index,
    readers: &Readers,
    place: &Place,
    forget: bool,
    context: &Context,
) -> Result<bool> {
    let name = &entry.name;
    let mut prompt = context.prompt()?;
    let answers = match place.find(name) {
        Ok(_) => true,
        Err(_) if forget => false,
        Err(error) if !context.attended => {
            return Err(error.hint(format!(
                "nothing was changed; `cloudcred secret remove {name} --forget` removes it from the list all the same"
            )));
        }
        Err(error) => {
            let text = format!(
                "`{name}` cannot be looked up: {}. Remove it from the list all the same?",
                error.message
            );
            if !prompt.confirm(Question::required(&text, "--forget"))? {
                return Err(Error::cancelled().hint("nothing was changed"));
            }
            false
        }
    };
    if context.global.yes {
        return Ok(answers);
    }
    let is_current = index.is_current(name);
    let current = match is_current {
        true => ", which is the current one",
        false => "",
    };
    let mut going = readers.by_its_name.clone();
    if is_current && index.secrets.len() == 1 {
        going.extend(readers.as_current.iter().cloned());
    }
    let profiles = match going.is_empty() {
        true => String::new(),
        false => format!(", and the AWS profile that reads it ({})", going.join(", ")),
    };
    let text = format!(
        "Remove the secret `{name}` ({}){current}{profiles}?",
        entry.access_key_id
    );
    match prompt.confirm(Question::required(&text, "--yes"))? {
        true => Ok(answers),
        false => Err(Error::cancelled().hint("nothing was changed")),
    }
}

/// The error of the place, which came after the profiles were removed, where there were any.
fn partly(error: Error, profiles: &[String]) -> Error {
    if profiles.is_empty() {
        return error;
    }
    let message = format!(
        "the AWS profile that read it is removed ({}), but not the secret: {}",
        profiles.join(", "),
        error.message
    );
    Error::new(Kind::PartlyApplied, message)
        .hint("run the same command again once the cause is mended")
}
