//! `cloudcred secret remove`: forgets a secret on this machine. Its key stays at AWS.

use serde_json::json;

use crate::aws_profile::{self, Readers};
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
    let readers = aws_profile::readers(&context.env, &entry.name)?;
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
    let (mut was_current, mut aws_profiles) = (false, Vec::new());
    let removed = vault.remove(&entry, unreadable, |index| {
        was_current = index.is_current(&entry.name);
        // Profiles first: tools then look elsewhere, instead of failing.
        aws_profiles = aws_profile::forget(&context.env, &entry.name, |readers| {
            going(&readers, &entry, index)
        })?;
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
    let mut idle = readers.as_current;
    idle.retain(|name| was_current && !aws_profiles.contains(name));
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

/// The profiles that go with the secret; where others are left, one of those is current next.
fn going(readers: &Readers, entry: &Entry, index: &Index) -> Vec<String> {
    let mut names = readers.by_its_name.clone();
    if index.is_current(&entry.name) && index.secrets.len() == 1 {
        names.extend_from_slice(&readers.as_current);
    }
    names
}

fn question(entry: &Entry, index: &Index, readers: &Readers) -> String {
    let mut text = format!("Remove the secret `{}` ({})", entry.name, entry.access_key_id);
    if index.is_current(&entry.name) {
        text += ", which is the current one";
    }
    let going = going(readers, entry, index);
    if !going.is_empty() {
        text += &format!(", and the AWS profile that reads it ({})", going.join(", "));
    }
    text + "?"
}
