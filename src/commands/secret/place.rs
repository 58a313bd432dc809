//! `cloudcred secret rename` and `move`: the same pair under another name, or in another place.
//!
//! Written and read back before the old one is cleared, under the index's lock. Whenever it dies,
//! the pair is where the index says, and the same command again clears what was left.

use serde::Serialize;

use crate::aws_profile;
use crate::commands::Context;
use crate::env::Folders;
use crate::error::{Error, Kind, Result};
use crate::output::{Page, Report};
use crate::secret::KeyPair;
use crate::shared_config::Locations;
use crate::store::index::Index;
use crate::store::{Place, SecretName, StoreKind};

#[derive(Serialize)]
struct Renamed {
    changed: bool,
    name: SecretName,
    previous_name: SecretName,
}

impl Report for Renamed {
    fn text(&self, _: &Page) -> String {
        format!(
            "the secret `{}` is called `{}` now\n",
            self.previous_name, self.name
        )
    }
}

pub fn rename(old: &str, new: &str, context: &Context) -> Result<()> {
    let (old, new) = (SecretName::new(old)?, SecretName::new(new)?);
    if old.same_place_as(&new) {
        return Err(Error::usage(format!(
            "`{old}` and `{new}` are one name: some systems do not tell capitals from small letters"
        ))
        .hint("choose a name that differs in more"));
    }
    let folders = context.env.folders()?;
    let stores = context.stores(&folders);
    let mut locked = Index::lock(&folders)?;
    let index = &mut locked.index;
    let renamed = Renamed {
        changed: true,
        name: new.clone(),
        previous_name: old.clone(),
    };
    // An earlier attempt got so far that only the old name is left to be cleared.
    if let (None, Some(entry)) = (index.find(&old), index.find(&new)) {
        let place = stores.place(entry.store);
        follow(&old, &new, &folders, context)?;
        if cleared(&place, &old, &stores.require(entry)?)? {
            drop(locked);
            return context.output.result(&renamed);
        }
    }
    let entry = index.require(&old)?.clone();
    if let Some(other) = index.find(&new) {
        return Err(taken(&other.name, other.store));
    }
    let place = stores.place(entry.store);
    let pair = stores.require(&entry)?;
    keep(&place, &new, entry.store, &pair)?;
    index.rename(&old, &new);
    locked.save_or(|| place.restore(&new, None))?;
    follow(&entry.name, &new, &folders, context)?;
    clear(&place, &entry.name, entry.store)?;
    drop(locked);
    context.output.result(&renamed)
}

/// AWS profiles that read the secret by its name go on reading it.
fn follow(old: &SecretName, new: &SecretName, folders: &Folders, context: &Context) -> Result<()> {
    let Ok(locations) = Locations::of(&context.env) else {
        return Ok(());
    };
    let program = context.env.program()?;
    aws_profile::follow(folders, &locations, program, old, new).map_err(|error| {
        let message = format!(
            "it is done, but an AWS profile still reads `{old}`: {}",
            error.message
        );
        Error::new(Kind::PartlyApplied, message)
            .hint("run the same command again once the cause is mended")
    })
}

#[derive(Serialize)]
struct Moved {
    changed: bool,
    name: SecretName,
    store: StoreKind,
}

impl Report for Moved {
    fn text(&self, _: &Page) -> String {
        let (name, store) = (&self.name, self.store.name());
        match self.changed {
            true => format!("the secret `{name}` is in the {store} store now\n"),
            false => format!("nothing to do: the secret `{name}` is in the {store} store\n"),
        }
    }
}

pub fn move_to(name: &str, store: StoreKind, context: &Context) -> Result<()> {
    let name = SecretName::new(name)?;
    let folders = context.env.folders()?;
    let stores = context.stores(&folders);
    let target = stores.place(store);
    let mut locked = Index::lock(&folders)?;
    let entry = locked.index.require(&name)?.clone();
    let name = entry.name.clone();
    let moved = |changed| Moved {
        changed,
        name: name.clone(),
        store,
    };
    let pair = stores.require(&entry)?;
    if entry.store == store {
        // An earlier attempt may have left the old place uncleared. One that does not answer
        // needs no clearing that anybody could do.
        let other = match store {
            StoreKind::Keyring => StoreKind::File,
            StoreKind::File | StoreKind::Stdout => StoreKind::Keyring,
        };
        let cleared = cleared(&stores.place(other), &name, &pair);
        drop(locked);
        return context.output.result(&moved(cleared.unwrap_or(false)));
    }
    target.probe_under(&locked)?;
    keep(&target, &name, store, &pair)?;
    let mut entry_there = entry.clone();
    entry_there.store = store;
    locked.index.put(entry_there);
    locked.save_or(|| target.restore(&name, None))?;
    clear(&stores.place(entry.store), &name, entry.store)?;
    drop(locked);
    context.output.result(&moved(true))
}

/// Puts the pair where nothing else is. The same pair may be there, from an earlier attempt.
fn keep(place: &Place, name: &SecretName, store: StoreKind, pair: &KeyPair) -> Result<()> {
    match place.find(name)? {
        Some(there) if there.same_as(pair) => Ok(()),
        Some(_) => Err(taken(name, store)),
        None => place.replace(name, None, pair),
    }
}

fn taken(name: &SecretName, store: StoreKind) -> Error {
    Error::failed(format!(
        "there is another secret `{name}` in the {} store",
        store.name()
    ))
    .hint("choose another name, or remove that one first")
}

/// Removes a leftover, if it is one: the same pair. Whether it was.
fn cleared(place: &Place, name: &SecretName, pair: &KeyPair) -> Result<bool> {
    match place.find(name)? {
        Some(there) if there.same_as(pair) => place.remove(name),
        _ => Ok(false),
    }
}

/// Clears the place that a secret has left.
///
/// # Errors
/// `PartlyApplied`, naming the copy that stays.
pub fn clear(place: &Place, name: &SecretName, store: StoreKind) -> Result<()> {
    place.remove(name).map(drop).map_err(|error| {
        let message = format!(
            "it is done, but a copy stays in the {} store as `{name}`: {}",
            store.name(),
            error.message
        );
        Error::new(Kind::PartlyApplied, message)
            .hint("run the same command again once the cause is mended")
    })
}
