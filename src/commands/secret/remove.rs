//! `cloudcred secret remove`: forgets a secret on this machine. Its key stays at AWS.

use serde_json::json;

use crate::aws_files::Locations;
use crate::aws_profile::{self, Forget, Readers};
use crate::commands::context::Context;
use crate::error::{Kind, Result};
use crate::store::index::{Entry, Index};
use crate::store::vault::Unreadable;
use crate::store::{SecretName, half_done};

/// With `forget`, the entry goes even where its store cannot be read.
pub fn run(name: &str, forget: bool, context: &Context) -> Result<()> {
    let vault = context.vault()?;
    let index = Index::load_to_change(&vault.folders)?;
    let entry = index.require(&SecretName::existing(name)?)?.clone();
    let locations = Locations::of(&context.env).ok();
    let readers = match &locations {
        Some(locations) => aws_profile::readers(locations, context.env.program()?, &entry.name),
        None => Readers::default(),
    };
    let mut prompt = context.prompt()?;
    let unreadable = match vault.find(entry.store, &entry.name) {
        Ok(_) => Unreadable::Refuse,
        Err(_) if forget => Unreadable::Forget,
        Err(error) if !context.attended => {
            let name = &entry.name;
            return Err(error.hint(format!(
                "nothing was changed; `cloudcred secret remove {name} --forget` removes it from the list anyway"
            )));
        }
        Err(error) => {
            let (name, why) = (&entry.name, &error.message);
            let text = format!("`{name}` cannot be read: {why}. Remove it from the list anyway?");
            context.confirm(prompt.as_mut(), &text, "--forget")?;
            Unreadable::Forget
        }
    };
    context.confirm(prompt.as_mut(), &question(&entry, &index, &readers), "--yes")?;
    let (mut was_current, mut is_last, mut aws_profiles) = (false, false, Vec::new());
    let removed = vault.remove(&entry, unreadable, |index| {
        (was_current, is_last) = (index.is_current(&entry.name), index.secrets.len() == 1);
        // Profiles first: tools then look elsewhere, instead of failing.
        if let Some(locations) = &locations {
            // Where there are other secrets, one of them will be current next.
            let which = if was_current && is_last { Forget::AndCurrent } else { Forget::ByName };
            let program = context.env.program()?;
            aws_profiles = aws_profile::forget(locations, program, &entry.name, which)?;
        }
        Ok(())
    });
    let profiles = aws_profiles.join(", ");
    removed.map_err(|error| {
        if profiles.is_empty() || error.kind == Kind::PartlyApplied {
            return error;
        }
        let why = &error.message;
        half_done(format!(
            "the AWS profile that read it is removed ({profiles}), but not the secret: {why}"
        ))
    })?;
    let idle = if was_current && !is_last { readers.as_current } else { Vec::new() };
    let (name, id) = (&entry.name, &entry.access_key_id);
    let json = json!({
        "removed": name,
        "access_key_id": id,
        "was_current": was_current,
        "aws_profiles": aws_profiles,
        "idle_aws_profiles": idle,
    });
    context.result(json, |_| {
        let mut text = format!(
            "removed the secret `{name}` from this machine; its key {id} still works at AWS\n"
        );
        if !profiles.is_empty() {
            text += &format!("removed the AWS profile that read it: {profiles}\n");
        }
        if was_current {
            text += "no secret is current any more: `cloudcred secret use NAME` sets another one\n";
        }
        if !idle.is_empty() {
            let names = idle.join(", ");
            text += &format!("until then nothing is read through the AWS profile {names}\n");
        }
        text
    })
}

fn question(entry: &Entry, index: &Index, readers: &Readers) -> String {
    let is_current = index.is_current(&entry.name);
    let mut text = format!("Remove the secret `{}` ({})", entry.name, entry.access_key_id);
    if is_current {
        text += ", which is the current one";
    }
    let mut going = readers.by_its_name.clone();
    if is_current && index.secrets.len() == 1 {
        going.extend_from_slice(&readers.as_current);
    }
    if !going.is_empty() {
        text += &format!(", and the AWS profile that reads it ({})", going.join(", "));
    }
    text + "?"
}
