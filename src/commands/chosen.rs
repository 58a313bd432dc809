//! The secret that a command is about: by its name, else the current one. No network, no async
//! runtime.

use crate::commands::Context;
use crate::error::Result;
use crate::secret::KeyPair;
use crate::store::SecretName;
use crate::store::index::{Entry, Index};

/// A secret with its pair.
pub struct Chosen {
    pub entry: Entry,
    pub pair: KeyPair,
    pub current: bool,
}

impl Chosen {
    /// Whether the pair is another one than the index speaks of: then nothing that the index says
    /// of its owner holds.
    pub fn changed_from_outside(&self) -> bool {
        self.entry.access_key_id != self.pair.access_key_id
    }
}

/// # Errors
/// When there is no such secret, or none is named and none is current.
pub fn find<'i>(name: Option<&str>, index: &'i Index) -> Result<&'i Entry> {
    match name {
        Some(name) => index.require(&SecretName::new(name)?),
        None => index.require_current(),
    }
}

/// Reads the secret from its place, and warns when something else than cloudcred has changed it.
///
/// # Errors
/// As [`find`]; and when its place cannot be read or no longer has it.
pub fn read(name: Option<&str>, context: &Context) -> Result<Chosen> {
    let index = Index::load(&context.env.folders()?)?;
    read_listed(name, &index, context)
}

/// [`read`], for a command that has the index already.
///
/// # Errors
/// As [`read`].
pub fn read_listed(name: Option<&str>, index: &Index, context: &Context) -> Result<Chosen> {
    let folders = context.env.folders()?;
    let entry = find(name, index)?;
    let chosen = Chosen {
        pair: context.stores(&folders).require(entry)?,
        current: index.is_current(&entry.name),
        entry: entry.clone(),
    };
    if chosen.changed_from_outside() {
        let (name, id) = (&entry.name, &entry.access_key_id);
        // The new key's ID is not shown: it is whatever somebody wrote there.
        context.output.warn(&format!(
            "the secret `{name}` was changed from outside: it no longer holds the key {id}. To check and note the new one: cloudcred secret show {name} --reveal | cloudcred secret add {name} --key-stdin"
        ));
    }
    Ok(chosen)
}
