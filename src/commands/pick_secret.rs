//! The secret that a command is about: the named one, else the current one.

use crate::commands::context::Context;
use crate::error::Result;
use crate::secret::KeyPair;
use crate::store::SecretName;
use crate::store::index::{Entry, Index};

pub struct Secret {
    pub entry: Entry,
    pub pair: KeyPair,
    pub current: bool,
}

/// The entry of that name, else of the current secret.
pub fn find<'i>(name: Option<&str>, index: &'i Index) -> Result<&'i Entry> {
    match name {
        Some(name) => index.require(&SecretName::existing(name)?),
        None => index.require_current(),
    }
}

/// Reads the secret from its store, and warns when another program has changed it.
pub fn read(name: Option<&str>, context: &Context) -> Result<Secret> {
    let index = Index::load(&context.env.folders()?)?;
    read_listed(name, &index, context)
}

/// [`read`], for a command that has the index already.
pub fn read_listed(name: Option<&str>, index: &Index, context: &Context) -> Result<Secret> {
    let entry = find(name, index)?;
    let pair = context.vault(&context.env.folders()?).read(entry)?;
    let (name, id) = (&entry.name, &entry.access_key_id);
    if *id != pair.access_key_id {
        // The new key's ID is not shown: it may be any text.
        context.output.warn(&format!(
            "the secret `{name}` was changed from outside: its key is no longer {id}. To check and list the new one: cloudcred secret show {name} --reveal | cloudcred secret add {name} --key-stdin"
        ));
    }
    Ok(Secret { pair, current: index.is_current(name), entry: entry.clone() })
}
