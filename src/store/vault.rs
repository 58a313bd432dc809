//! The vault: a pair under a name, changed without losing it.
//!
//! Every change holds the index's lock and keeps one order: the pair is written to its new place and read
//! back, the index is saved, the old place is cleared. Whenever the process dies, the pair is where
//! the index says, and the same command again does the rest.

use std::time::Duration;

use jiff::Timestamp;

use crate::env::Folders;
use crate::error::{Error, Kind, Result};
use crate::secret::KeyPair;
use crate::store::file::FileStore;
use crate::store::index::{Entry, Index};
use crate::store::keyring::Keyring;
use crate::store::{SecretName, StoreKind, Warn};

#[derive(Clone)]
pub struct Vault {
    pub folders: Folders,
    /// How long a keyring call may take: its owner may have to unlock the keyring first.
    pub patience: Duration,
    pub warn: Warn,
}

/// Which other pair a new one may take the name of.
#[derive(Clone, Copy)]
pub enum Over<'a> {
    Nothing,
    /// The pair of this key.
    Key(&'a str),
    /// The pair of this key, which is first kept under the name `aside` in the same store.
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

/// What [`Vault::put`] came to.
pub struct Put {
    pub entry: Entry,
    pub is_current: bool,
    /// Whether anything is different now.
    pub changed: bool,
    /// The key that had the name before.
    pub replaced: Option<String>,
}

/// A pair that a run has put under a name, and what had the name before.
pub struct PutByRun<'a> {
    pub name: &'a SecretName,
    pub store: StoreKind,
    pub key_id: &'a str,
    /// Where the run has kept the pair that it replaced.
    pub aside: Option<&'a SecretName>,
    /// The index's entry from before the run.
    pub replaced: Option<&'a Entry>,
    pub origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The run created the key: no other secret of it is of use once it is deleted.
    Created,
    /// The user brought the key along, and may have other secrets of it.
    BroughtAlong,
}

/// What to do about a secret whose store cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    Refuse,
    /// Remove it from the index all the same.
    Forget,
}

impl Vault {
    /// What the index says of the name.
    pub fn entry(&self, name: &SecretName) -> Result<Option<Entry>> {
        Ok(Index::load(&self.folders)?.find(name).cloned())
    }

    /// The pair of that name in the store, listed or not.
    pub fn find(&self, store: StoreKind, name: &SecretName) -> Result<Option<KeyPair>> {
        self.store(store)?.find(name)
    }

    /// The pair of an entry of the index.
    ///
    /// # Errors
    /// When its store cannot be read, or no longer has it.
    pub fn read(&self, entry: &Entry) -> Result<KeyPair> {
        let (name, store) = (&entry.name, entry.store);
        self.find(store, name)?.ok_or_else(|| {
            Error::failed(format!(
                "the secret `{name}` is no longer in the {} store",
                store.name()
            ))
            .hint(format!(
                "put it back with `cloudcred secret add {name}`, or forget it with `cloudcred secret remove {name} --forget`"
            ))
        })
    }

    /// The pair where it is in this store and the index lists the name with its key.
    pub fn held(
        &self,
        name: &SecretName,
        store: StoreKind,
        key_id: &str,
    ) -> Result<Option<KeyPair>> {
        let entry = self.entry(name)?.filter(|it| it.access_key_id == key_id);
        let Some(entry) = entry else { return Ok(None) };
        let pair = self.find(store, &entry.name)?;
        Ok(pair.filter(|pair| pair.access_key_id == key_id))
    }

    /// The pair of the key wherever the index says that it is: it may have been renamed or moved.
    ///
    /// # Errors
    /// When a store that should have it cannot be read, and no other has it.
    pub fn find_key(&self, key_id: &str) -> Result<Option<KeyPair>> {
        let mut unreadable = None;
        for entry in Index::load(&self.folders)?.secrets {
            if entry.access_key_id != key_id {
                continue;
            }
            match self.find(entry.store, &entry.name) {
                Ok(Some(pair)) if pair.access_key_id == key_id => return Ok(Some(pair)),
                Ok(_) => {}
                Err(error) => unreadable = Some(error),
            }
        }
        unreadable.map_or(Ok(None), Err)
    }

    /// The key of another pair that has the name in this store, or in the one that is listed.
    pub fn other_key(
        &self,
        name: &SecretName,
        store: StoreKind,
        pair: &KeyPair,
    ) -> Result<Option<String>> {
        let there = self.look(&Index::load_to_change(&self.folders)?, name, store)?;
        let other = there.others(pair).next();
        Ok(other.map(|other| other.access_key_id.clone()))
    }

    /// Proves that the store works, by writing, reading back and removing a canary.
    ///
    /// # Errors
    /// When it does not, with what to do instead; or the index cannot be locked.
    pub fn probe(&self, store: StoreKind) -> Result<()> {
        let _locked = Index::lock(&self.folders)?;
        self.store(store)?.probe()
    }

    /// Puts the pair under the entry's name into the entry's store. What is known already of the
    /// same key stays known. Putting the same pair again changes nothing.
    ///
    /// # Errors
    /// The store's; or that the name has another pair than `over` allows. Then all is as it was.
    /// `PartlyApplied` where an old copy cannot be removed.
    pub fn put(&self, entry: &Entry, pair: &KeyPair, over: Over<'_>) -> Result<Put> {
        let mut locked = Index::lock(&self.folders)?;
        let there = self.look(&locked.index, &entry.name, entry.store)?;
        let (name, store) = (&there.name, &there.store);
        let is_set_aside = matches!(over, Over::SetAside { .. });
        // What is set aside stays in its store: one in another store was not there at planning.
        let moved = there.elsewhere.as_ref().filter(|_| is_set_aside);
        if !there.others(pair).all(|other| over.allows(other, pair))
            || moved.is_some_and(|(_, other)| !other.same_as(pair))
        {
            return Err(Error::failed(format!(
                "the secret `{name}` was changed by somebody else meanwhile"
            ))
            .hint("run the command again; it plans with what is there now"));
        }
        let replaced = there.others(pair).next();
        let replaced = replaced.map(|other| other.access_key_id.clone());
        if let (Over::SetAside { aside, .. }, Some(old)) = (over, &there.in_place)
            && old.access_key_id != pair.access_key_id
        {
            store.replace(aside, None, old)?;
        }
        let before = there.in_place.as_ref();
        let is_in_place = before.is_some_and(|there| there.same_as(pair));
        if !is_in_place {
            store.replace(name, before, pair)?;
        }
        let known = there.listed.as_ref();
        let known = known.filter(|old| old.access_key_id == pair.access_key_id);
        let new = merged(entry, name, pair, known);
        locked.index.put(new.clone());
        locked.save_or(|| {
            if !is_in_place {
                store.restore(name, before);
            }
        })?;
        if let Some((old_store, _)) = &there.elsewhere {
            old_store.clear(name)?;
        }
        Ok(Put {
            is_current: locked.index.is_current(name),
            changed: !(is_in_place && known.is_some() && there.elsewhere.is_none()),
            entry: new,
            replaced,
        })
    }

    /// Gives the name back what it had before a run put its pair there. What somebody else has put
    /// there since stays. Doing it twice does no harm.
    pub fn give_back(&self, put: &PutByRun<'_>) -> Result<()> {
        let mut locked = Index::lock(&self.folders)?;
        let index = &mut locked.index;
        if put.origin == Origin::Created {
            self.forget_elsewhere(index, put)?;
        }
        let (store, name) = (self.store(put.store)?, index.spelling(put.name));
        let mut there = store.find(&name)?;
        let had_it_before = put
            .replaced
            .is_some_and(|old| old.access_key_id == put.key_id && old.store == put.store);
        if !had_it_before && let Some(pair) = there.take_if(|pair| pair.access_key_id == put.key_id)
        {
            there = put.aside.map_or(Ok(None), |aside| store.find(aside))?;
            match &there {
                Some(old) => store.replace(&name, Some(&pair), old)?,
                None => drop(store.remove(&name)?),
            }
        }
        if index
            .find(&name)
            .is_some_and(|it| it.access_key_id == put.key_id)
        {
            // An entry is of use only beside its pair.
            let replaced = put.replaced;
            let is_there = |old: &&Entry| {
                let there = there.as_ref();
                there.is_some_and(|there| there.access_key_id == old.access_key_id)
            };
            match replaced.filter(is_there) {
                Some(entry) => index.put(entry.clone()),
                None => index.remove(&name),
            }
        }
        locked.save()?;
        if let Some(aside) = put.aside {
            store.remove(aside)?;
        }
        Ok(())
    }

    /// Removes the run's pair from where it was renamed or moved to since. Where it is still in its
    /// own place, another secret of the same key is somebody's copy, and stays.
    fn forget_elsewhere(&self, index: &mut Index, put: &PutByRun<'_>) -> Result<()> {
        let is_it = |entry: &&Entry| entry.access_key_id == put.key_id;
        let own = index.find(put.name).filter(is_it);
        if own.is_some_and(|own| own.store == put.store) {
            return Ok(());
        }
        let Some(moved) = index.secrets.iter().find(is_it).cloned() else {
            return Ok(());
        };
        let store = self.store(moved.store)?;
        if store
            .find(&moved.name)?
            .is_some_and(|pair| pair.access_key_id == put.key_id)
        {
            store.remove(&moved.name)?;
        }
        index.remove(&moved.name);
        Ok(())
    }

    /// Removes the pair that a run has set aside; whether there was one.
    pub fn discard(&self, store: StoreKind, aside: &SecretName) -> Result<bool> {
        let _locked = Index::lock(&self.folders)?;
        self.store(store)?.remove(aside)
    }

    /// Gives a secret another name. `follow` brings along whatever reads it by its name: it runs
    /// once the new name is good, and before the old one is not.
    ///
    /// # Errors
    /// `PartlyApplied` where an old copy cannot be removed; or `follow`'s.
    pub fn rename(
        &self,
        old: &SecretName,
        new: &SecretName,
        follow: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let mut locked = Index::lock(&self.folders)?;
        let index = &mut locked.index;
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
        let store = self.store(entry.store)?;
        store.keep(new, &self.read(&entry)?)?;
        index.rename(old, new);
        locked.save_or(|| store.restore(new, None))?;
        follow()?;
        store.clear(&entry.name)
    }

    /// Moves a secret into another store; whether it was not there yet.
    ///
    /// # Errors
    /// `PartlyApplied` where the old copy cannot be removed.
    pub fn relocate(&self, name: &SecretName, kind: StoreKind) -> Result<(Entry, bool)> {
        let mut locked = Index::lock(&self.folders)?;
        let mut entry = locked.index.require(name)?.clone();
        let pair = self.read(&entry)?;
        let store = self.store(kind)?;
        if entry.store == kind {
            // An earlier attempt may have died before it cleared the old place. A store that does
            // not answer has nothing that could be cleared now.
            let other = self.store(match kind {
                StoreKind::Keyring => StoreKind::File,
                StoreKind::File | StoreKind::Stdout => StoreKind::Keyring,
            })?;
            let is_left = other.has(&entry.name, &pair).unwrap_or(false);
            let cleared = is_left && other.remove(&entry.name).unwrap_or(false);
            return Ok((entry, cleared));
        }
        store.probe()?;
        store.keep(&entry.name, &pair)?;
        let old = self.store(entry.store)?;
        entry.store = kind;
        locked.index.put(entry.clone());
        locked.save_or(|| store.restore(&entry.name, None))?;
        old.clear(&entry.name)?;
        Ok((entry, true))
    }

    /// Removes a secret. `before` runs under the lock, once it is sure that the secret is still the
    /// one that was looked at, and before anything is removed.
    ///
    /// # Errors
    /// `PartlyApplied` where it is removed but still listed: an entry without its pair is told and
    /// can be removed again, while a pair without an entry would be forgotten.
    pub fn remove(
        &self,
        entry: &Entry,
        unreadable: Unreadable,
        before: impl FnOnce(&Index) -> Result<()>,
    ) -> Result<()> {
        let mut locked = Index::lock(&self.folders)?;
        let (name, store) = (&entry.name, self.store(entry.store)?);
        let there = locked.index.require(name)?;
        if there.access_key_id != entry.access_key_id || there.store != entry.store {
            return Err(
                Error::failed(format!("the secret `{name}` was changed meanwhile"))
                    .hint("look at it again with `cloudcred secret list`"),
            );
        }
        before(&locked.index)?;
        match store.remove(name) {
            Err(error) if unreadable == Unreadable::Refuse => return Err(error),
            Err(error) => (self.warn)(&format!(
                "the {} store may still have a secret `{name}`: {}",
                entry.store.name(),
                error.message
            )),
            Ok(_) => {}
        }
        locked.index.remove(name);
        locked.save().map_err(|error| {
            let message = format!(
                "the secret `{name}` is removed, but still listed: {}",
                error.message
            );
            Error::new(Kind::PartlyApplied, message).hint(AGAIN)
        })
    }

    /// Makes a secret the current one; returns the one that was current before.
    pub fn set_current(&self, name: &SecretName) -> Result<Option<SecretName>> {
        Index::update(&self.folders, |index| {
            let name = index.require(name)?.name.clone();
            Ok(index.current.replace(name))
        })
    }

    /// Takes back [`Vault::set_current`], unless another secret is current by now.
    pub fn restore_current(&self, name: &SecretName, previous: Option<&SecretName>) -> Result<()> {
        Index::update(&self.folders, |index| {
            if index.is_current(name) {
                let previous = previous.and_then(|previous| index.find(previous));
                index.current = previous.map(|entry| entry.name.clone());
            }
            Ok(())
        })
    }

    /// Notes that AWS has just accepted the pair.
    pub fn verified(&self, name: &SecretName, at: Timestamp) -> Result<()> {
        Index::update(&self.folders, |index| {
            index.verified(name, at);
            Ok(())
        })
    }

    fn look(&self, index: &Index, name: &SecretName, store: StoreKind) -> Result<There> {
        let listed = index.find(name).cloned();
        let name = index.spelling(name);
        let store = self.store(store)?;
        let in_place = store.find(&name)?;
        let elsewhere = match &listed {
            Some(entry) if entry.store != store.kind => {
                let old = self.store(entry.store)?;
                old.find(&name)?.map(|pair| (old, pair))
            }
            _ => None,
        };
        Ok(There {
            name,
            listed,
            store,
            in_place,
            elsewhere,
        })
    }

    fn store(&self, kind: StoreKind) -> Result<Store> {
        let keeper = match kind {
            StoreKind::Keyring => Keeper::Keyring(Keyring::new(self.patience)),
            StoreKind::File => Keeper::File(FileStore::new(&self.folders, &self.warn)),
            StoreKind::Stdout => return Err(Error::failed("standard output keeps no secret")),
        };
        Ok(Store { kind, keeper })
    }
}

/// What has a name, in the store where a pair is to go and in the one that is listed.
struct There {
    /// As the index spells it, which may differ in case.
    name: SecretName,
    listed: Option<Entry>,
    store: Store,
    in_place: Option<KeyPair>,
    elsewhere: Option<(Store, KeyPair)>,
}

impl There {
    fn others<'a>(&'a self, pair: &'a KeyPair) -> impl Iterator<Item = &'a KeyPair> {
        let elsewhere = self.elsewhere.iter().map(|(_, pair)| pair);
        let all = self.in_place.iter().chain(elsewhere);
        all.filter(move |there| !there.same_as(pair))
    }
}

/// The entry as it is to be listed, with what is known of the same key already.
fn merged(entry: &Entry, name: &SecretName, pair: &KeyPair, known: Option<&Entry>) -> Entry {
    let mut entry = Entry {
        name: name.clone(),
        access_key_id: pair.access_key_id.clone(),
        ..entry.clone()
    };
    if let Some(known) = known {
        entry.created_at = known.created_at;
        entry.account_id = entry.account_id.or_else(|| known.account_id.clone());
        entry.arn = entry.arn.or_else(|| known.arn.clone());
        entry.verified_at = entry.verified_at.or(known.verified_at);
    }
    entry
}

/// One of the two stores, as the vault works with it.
struct Store {
    kind: StoreKind,
    keeper: Keeper,
}

enum Keeper {
    Keyring(Keyring),
    File(FileStore),
}

impl Store {
    fn put(&self, name: &SecretName, pair: &KeyPair) -> Result<()> {
        match &self.keeper {
            Keeper::Keyring(keyring) => keyring.put(name.as_str(), pair),
            Keeper::File(file) => file.put(name.as_str(), pair),
        }
    }

    fn find(&self, name: &SecretName) -> Result<Option<KeyPair>> {
        match &self.keeper {
            Keeper::Keyring(keyring) => keyring.find(name.as_str()),
            Keeper::File(file) => file.find(name.as_str()),
        }
    }

    /// Whether there was one.
    fn remove(&self, name: &SecretName) -> Result<bool> {
        match &self.keeper {
            Keeper::Keyring(keyring) => keyring.remove(name.as_str()),
            Keeper::File(file) => file.remove(name.as_str()),
        }
    }

    fn has(&self, name: &SecretName, pair: &KeyPair) -> Result<bool> {
        Ok(self.find(name)?.is_some_and(|there| there.same_as(pair)))
    }

    /// Puts the pair in place of `old` and reads it back. Where that fails, `old` is put back.
    fn replace(&self, name: &SecretName, old: Option<&KeyPair>, pair: &KeyPair) -> Result<()> {
        let kept = self.put(name, pair).and_then(|()| {
            if self.has(name, pair)? {
                Ok(())
            } else {
                Err(not_given_back())
            }
        });
        kept.inspect_err(|_| self.restore(name, old))
    }

    /// Puts the pair where no other one is. An earlier attempt may have put it there already.
    fn keep(&self, name: &SecretName, pair: &KeyPair) -> Result<()> {
        match self.find(name)? {
            Some(there) if there.same_as(pair) => Ok(()),
            Some(_) => Err(taken(name, self.kind)),
            None => self.replace(name, None, pair),
        }
    }

    /// Gives the name back what it had, as far as the store allows: something has failed already,
    /// and that is what the user is told.
    fn restore(&self, name: &SecretName, old: Option<&KeyPair>) {
        let restored = match old {
            Some(old) => self.put(name, old),
            None => self.remove(name).map(drop),
        };
        restored.unwrap_or_default();
    }

    /// Clears the place that a secret has left.
    fn clear(&self, name: &SecretName) -> Result<()> {
        self.remove(name).map(drop).map_err(|error| {
            let message = format!(
                "done, but a copy is left in the {} store as `{name}`: {}",
                self.kind.name(),
                error.message
            );
            Error::new(Kind::PartlyApplied, message).hint(AGAIN)
        })
    }

    fn probe(&self) -> Result<()> {
        let canary = SecretName::canary();
        let pair = KeyPair::new("AKIAPROBEPROBEPROBE0", "probe".into());
        if let Err(refused) = self.put(&canary, &pair) {
            // A file may be there all the same. A keyring that has not answered would make its
            // owner wait a second time; the next probe removes what it may have.
            if let Keeper::File(file) = &self.keeper {
                file.remove(canary.as_str()).unwrap_or_default();
            }
            return Err(refused);
        }
        let has_it = self.has(&canary, &pair);
        self.remove(&canary)?;
        if has_it? {
            Ok(())
        } else {
            Err(not_given_back())
        }
    }
}

const AGAIN: &str = "remove the cause and run the same command again";

fn not_given_back() -> Error {
    Error::failed("the store does not give back what was put into it")
        .hint("choose another one with --store")
}

fn taken(name: &SecretName, store: StoreKind) -> Error {
    Error::failed(format!(
        "there is another secret `{name}` in the {} store",
        store.name()
    ))
    .hint("choose another name, or remove that one first")
}

#[cfg(test)]
mod tests;
