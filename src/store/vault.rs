//! The vault: a pair under a name, changed without losing it.
//!
//! Every change locks the index and keeps one order: the pair is written to its new place and read
//! back, the index is saved, the old place is cleared. Whenever the process dies, the same command
//! again does the rest.

use std::time::Duration;

use jiff::Timestamp;

use crate::env::Folders;
use crate::error::{Error, Result};
use crate::secret::KeyPair;
use crate::store::file::FileStore;
use crate::store::index::{Entry, Index};
use crate::store::keyring::Keyring;
use crate::store::{SecretName, Store, StoreKind, Warn, half_done, taken};

#[derive(Clone)]
pub struct Vault {
    pub folders: Folders,
    /// How long a keyring call may take: the user may have to unlock the keyring first.
    pub patience: Duration,
    pub warn: Warn,
}

/// Which other pair a new one may replace.
#[derive(Clone, Copy)]
pub enum Over<'a> {
    Nothing,
    /// The pair of this key.
    Key(&'a str),
    /// The pair of this key, which is first copied to the name `aside` in the same store.
    SetAside {
        key_id: Option<&'a str>,
        aside: &'a SecretName,
    },
    Anything,
}

impl Over<'_> {
    fn allows(self, other: &KeyPair, pair: &KeyPair) -> bool {
        let id = other.access_key_id.as_str();
        match self {
            Over::Nothing => false,
            Over::Key(key_id) => id == key_id,
            // A key has one secret: the new one, which AWS has just accepted.
            Over::SetAside { key_id, .. } => key_id == Some(id) || id == pair.access_key_id,
            Over::Anything => true,
        }
    }
}

/// What [`Vault::put`] has done.
pub struct Put {
    pub entry: Entry,
    pub is_current: bool,
    pub changed: bool,
    /// The key that had the name before.
    pub replaced: Option<String>,
}

/// What to do about a secret whose store cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    Refuse,
    /// Remove it from the index only.
    Forget,
}

impl Vault {
    pub fn entry(&self, name: &SecretName) -> Result<Option<Entry>> {
        Ok(Index::load(&self.folders)?.find(name).cloned())
    }

    /// The pair of that name in the store, listed or not.
    pub fn find(&self, store: StoreKind, name: &SecretName) -> Result<Option<KeyPair>> {
        self.store(store)?.find(name)
    }

    /// The pair of an entry of the index.
    pub fn read(&self, entry: &Entry) -> Result<KeyPair> {
        let (name, store) = (&entry.name, entry.store);
        self.find(store, name)?.ok_or_else(|| {
            let store = store.name();
            Error::failed(format!("the secret `{name}` is no longer in the {store} store"))
            .hint(format!(
                "put it back with `cloudcred secret add {name}`, or forget it with `cloudcred secret remove {name} --forget`"
            ))
        })
    }

    /// The key of another pair under the entry's name, in its store or in the one that is listed.
    pub fn other_key(&self, entry: &Entry, pair: &KeyPair) -> Result<Option<String>> {
        let listed = self.entry(&entry.name)?.map(|it| it.store);
        for store in std::iter::once(entry.store).chain(listed) {
            if let Some(other) = self.find(store, &entry.name)?.filter(|it| !it.same_as(pair)) {
                return Ok(Some(other.access_key_id));
            }
        }
        Ok(None)
    }

    /// Proves that the store works, by writing, reading back and removing a canary.
    pub fn probe(&self, store: StoreKind) -> Result<()> {
        let _locked = Index::lock(&self.folders)?;
        self.store(store)?.probe()
    }

    /// Puts the pair under the entry's name into the entry's store. What is known already of the
    /// same key stays known. Putting the same pair again changes nothing. Where the name has another
    /// pair than `over` allows, or the store fails, all is as it was; the error is `PartlyApplied`
    /// where that, or an old copy, could not be cleared.
    pub fn put(&self, entry: &Entry, pair: &KeyPair, over: Over<'_>) -> Result<Put> {
        let mut index = Index::lock(&self.folders)?;
        let listed = index.find(&entry.name).cloned();
        let name = &index.spelling(&entry.name);
        let store = self.store(entry.store)?;
        let before = store.find(name)?;
        let old_store = listed.as_ref().map(|it| it.store).filter(|old| *old != entry.store);
        let elsewhere = old_store.map_or(Ok(None), |old| self.find(old, name))?;
        let is_other = |there: &&KeyPair| !there.same_as(pair);
        let other = before.as_ref().filter(is_other);
        let other_elsewhere = elsewhere.as_ref().filter(is_other);
        // A pair is set aside in its own store: one elsewhere was not there at planning.
        let is_refused = matches!(over, Over::SetAside { .. }) && other_elsewhere.is_some();
        if is_refused || other.into_iter().chain(other_elsewhere).any(|it| !over.allows(it, pair)) {
            return Err(Error::failed(format!("the secret `{name}` was changed meanwhile"))
                .hint("run the command again; it plans with what is there now"));
        }
        if let (Over::SetAside { aside, .. }, Some(old)) = (over, other)
            && old.access_key_id != pair.access_key_id
        {
            store.replace(aside, None, old)?;
        }
        let is_in_place = before.is_some() && other.is_none();
        if !is_in_place {
            store.replace(name, other, pair)?;
        }
        let left_in = listed.as_ref().and_then(|it| it.left_in);
        let left_in = elsewhere.as_ref().and(old_store).or(left_in);
        let access_key_id = pair.access_key_id.clone();
        let mut entry = Entry { name: name.clone(), access_key_id, left_in, ..entry.clone() };
        let known = listed.filter(|old| old.access_key_id == pair.access_key_id);
        let is_listed = known.is_some();
        if let Some(known) = known {
            entry.created_at = known.created_at;
            entry.account_id = entry.account_id.or(known.account_id);
            entry.arn = entry.arn.or(known.arn);
            entry.verified_at = entry.verified_at.or(known.verified_at);
        }
        index.put(entry.clone());
        let restored = |error| if is_in_place { error } else { store.restore(name, other, error) };
        index.save_or(restored)?;
        self.clear_left(&mut index, name)?;
        Ok(Put {
            is_current: index.is_current(name),
            changed: !is_in_place || !is_listed || left_in.is_some(),
            entry,
            replaced: other.or(other_elsewhere).map(|it| it.access_key_id.clone()),
        })
    }

    /// Clears the store that a secret has left, which the index remembers until it is done.
    fn clear_left(&self, index: &mut Index, name: &SecretName) -> Result<()> {
        let Some(entry) = index.find_mut(name) else { return Ok(()) };
        if let Some(left) = entry.left_in {
            self.store(left)?.clear(&entry.name)?;
            entry.left_in = None;
            // Where this is not written, the next command clears once more.
            index.save().unwrap_or_default();
        }
        Ok(())
    }

    /// Gives a secret another name. `follow` changes whatever reads it by its name: it runs once the
    /// new name works, and while the old one still does.
    pub fn rename(
        &self,
        old: &SecretName,
        new: &SecretName,
        follow: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let mut index = Index::lock(&self.folders)?;
        if let (None, Some(entry)) = (index.find(old), index.find(new)) {
            // An earlier attempt may have died before it cleared the old place.
            let store = self.store(entry.store)?;
            if store.has(old, &self.read(entry)?)? {
                follow()?;
                return store.clear(old);
            }
        }
        let entry = index.require(old)?.clone();
        if let Some(other) = index.find(new) {
            return Err(taken(&other.name, other.store));
        }
        self.clear_left(&mut index, old)?;
        let store = self.store(entry.store)?;
        store.keep(new, &self.read(&entry)?)?;
        if index.is_current(old) {
            index.current = Some(new.clone());
        }
        if let Some(entry) = index.find_mut(old) {
            entry.name = new.clone();
        }
        index.save_or(|error| store.restore(new, None, error))?;
        follow()?;
        store.clear(&entry.name)
    }

    /// Moves a secret into another store; its name, and whether anything was to be done.
    pub fn relocate(&self, name: &SecretName, kind: StoreKind) -> Result<(SecretName, bool)> {
        let mut index = Index::lock(&self.folders)?;
        let mut entry = index.require(name)?.clone();
        self.clear_left(&mut index, name)?;
        let pair = self.read(&entry)?;
        if entry.store == kind {
            return Ok((entry.name, entry.left_in.is_some()));
        }
        let store = self.store(kind)?;
        store.probe()?;
        store.keep(&entry.name, &pair)?;
        entry.left_in = Some(entry.store);
        entry.store = kind;
        index.put(entry.clone());
        index.save_or(|error| store.restore(&entry.name, None, error))?;
        self.clear_left(&mut index, name)?;
        Ok((entry.name, true))
    }

    /// Removes a secret. `before` runs under the lock, once it is sure that the secret is still the
    /// one that was looked at, and before anything is removed. The entry goes last: one without its
    /// pair is reported and can be removed again, a pair without an entry would be forgotten.
    pub fn remove(
        &self,
        entry: &Entry,
        unreadable: Unreadable,
        before: impl FnOnce(&Index) -> Result<()>,
    ) -> Result<()> {
        let mut index = Index::lock(&self.folders)?;
        let name = &entry.name;
        let there = index.require(name)?;
        if there.access_key_id != entry.access_key_id || there.store != entry.store {
            return Err(Error::failed(format!("the secret `{name}` was changed meanwhile"))
                .hint("look at it again with `cloudcred secret list`"));
        }
        before(&index)?;
        for kind in there.left_in.into_iter().chain([there.store]) {
            match self.store(kind)?.remove(name) {
                Ok(_) => {}
                Err(error) if unreadable == Unreadable::Refuse => return Err(error),
                Err(error) => {
                    let (store, why) = (kind.name(), error.message);
                    let left = format!("the {store} store may still have a secret `{name}`: {why}");
                    (self.warn)(&left);
                }
            }
        }
        index.remove(name);
        index.save().map_err(|error| {
            let why = error.message;
            half_done(format!("the secret `{name}` is removed, but still listed: {why}"))
        })
    }

    /// Makes a secret the current one; returns the one that was current before.
    pub fn set_current(&self, name: &SecretName) -> Result<Option<SecretName>> {
        let mut index = Index::lock(&self.folders)?;
        let name = index.require(name)?.name.clone();
        let previous = index.current.replace(name);
        index.save().inspect_err(|_| {
            // The new index may be in place even so.
            index.current.clone_from(&previous);
            index.save().unwrap_or_default();
        })?;
        Ok(previous)
    }

    /// Takes back [`Vault::set_current`], unless another secret is current by now.
    pub fn restore_current(&self, name: &SecretName, previous: Option<&SecretName>) -> Result<()> {
        Index::update(&self.folders, |index| {
            if index.is_current(name) {
                let previous = previous.and_then(|name| index.find(name));
                index.current = previous.map(|entry| entry.name.clone());
            }
            Ok(())
        })
    }

    /// Notes that AWS has just accepted the pair.
    pub fn verified(&self, name: &SecretName, at: Timestamp) -> Result<()> {
        Index::update(&self.folders, |index| {
            if let Some(entry) = index.find_mut(name) {
                entry.verified_at = Some(at);
            }
            Ok(())
        })
    }

    pub(crate) fn store(&self, kind: StoreKind) -> Result<Box<dyn Store>> {
        match kind {
            StoreKind::Keyring => Ok(Box::new(Keyring::new(self.patience))),
            StoreKind::File => Ok(Box::new(FileStore::new(&self.folders, &self.warn))),
        }
    }
}

#[cfg(test)]
mod tests;
