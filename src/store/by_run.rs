//! What the vault does for a run: it finds the run's pair again, and restores what had its name.

use crate::error::Result;
use crate::secret::KeyPair;
use crate::store::index::{Entry, Index};
use crate::store::vault::Vault;
use crate::store::{SecretName, StoreKind};

/// Where the key of a run's pair comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The run created the key: no other secret of it is of use once it is deleted.
    Created,
    /// The user brought the key along, and may have other secrets of it.
    BroughtAlong,
}

impl Vault {
    /// The pair, if it is in this store and the index lists the name with its key.
    pub fn held(
        &self,
        name: &SecretName,
        store: StoreKind,
        key_id: &str,
    ) -> Result<Option<KeyPair>> {
        let entry = self.entry(name)?.filter(|it| it.access_key_id == key_id);
        let pair = entry.map_or(Ok(None), |entry| self.find(store, &entry.name))?;
        Ok(pair.filter(|pair| pair.access_key_id == key_id))
    }

    /// The pair of the key, under any name and in any store. An error where it may be in a store that
    /// cannot be read.
    pub fn find_key(&self, key_id: &str) -> Result<Option<KeyPair>> {
        let mut answer = Ok(None);
        let entries = Index::load(&self.folders)?.secrets;
        for entry in entries.iter().filter(|it| it.access_key_id == key_id) {
            match self.find(entry.store, &entry.name) {
                Ok(Some(pair)) if pair.access_key_id == key_id => return Ok(Some(pair)),
                Ok(_) => {}
                Err(error) => answer = Err(error),
            }
        }
        answer
    }

    /// Gives the name back what it had before a run `put` its pair there: the entry that was replaced,
    /// and the pair that was set aside. What somebody else has put there since stays. Doing it twice
    /// does no harm.
    pub fn give_back(
        &self,
        put: &Entry,
        replaced: Option<&Entry>,
        aside: &SecretName,
        origin: Origin,
    ) -> Result<()> {
        let mut index = Index::lock(&self.folders)?;
        if origin == Origin::Created {
            self.forget_elsewhere(&mut index, put)?;
        }
        let (store, name) = (self.store(put.store)?, index.spelling(&put.name));
        let mut there = store.find(&name)?;
        let is_ours = |key_id: &String| *key_id == put.access_key_id;
        let had_it_before =
            replaced.is_some_and(|it| is_ours(&it.access_key_id) && it.store == put.store);
        // Where nothing is left of the run's pair, the old one comes back all the more.
        if !had_it_before && there.as_ref().is_none_or(|pair| is_ours(&pair.access_key_id)) {
            let own = there.take();
            there = store.find(aside)?;
            match &there {
                Some(old) => store.replace(&name, own.as_ref(), old)?,
                None => drop(store.remove(&name)?),
            }
        }
        if index.find(&name).is_none_or(|it| is_ours(&it.access_key_id)) {
            // An entry is of use only beside its pair.
            let there = there.map(|pair| pair.access_key_id);
            match replaced.filter(|old| there.as_ref() == Some(&old.access_key_id)) {
                Some(entry) => index.put(entry.clone()),
                None => index.remove(&name),
            }
        }
        index.save()?;
        store.remove(aside).map(drop)
    }

    /// Removes the run's pair if it was renamed or moved since. If it is still in its own place,
    /// another secret of the same key is somebody's copy, and stays.
    fn forget_elsewhere(&self, index: &mut Index, put: &Entry) -> Result<()> {
        let is_it = |entry: &&Entry| entry.access_key_id == put.access_key_id;
        if index.find(&put.name).filter(is_it).is_some_and(|own| own.store == put.store) {
            return Ok(());
        }
        let Some(moved) = index.secrets.iter().find(is_it).cloned() else { return Ok(()) };
        let store = self.store(moved.store)?;
        if store.find(&moved.name)?.is_some_and(|pair| pair.access_key_id == put.access_key_id) {
            store.remove(&moved.name)?;
        }
        index.remove(&moved.name);
        Ok(())
    }

    /// Removes the pair that a run has set aside, if there is one.
    pub fn discard(&self, store: StoreKind, aside: &SecretName) -> Result<bool> {
        let _locked = Index::lock(&self.folders)?;
        self.store(store)?.remove(aside)
    }
}
