//! The run's pair in its store and in the index: kept, found again, and given up for what was there
//! before. Knows no AWS.

use crate::error::{Error, Result};
use crate::secret::KeyPair;
use crate::setup::execute::Access;
use crate::setup::journal::{Journal, Record};
use crate::setup::step::Step;
use crate::store::index::{Entry, Index};
use crate::store::{SecretName, StoreKind};

/// Puts the pair into its place and into the index, while no other cloudcred may change either.
/// What was there before is set aside first, in the same store: undo can then bring it back, in
/// another process, too.
///
/// # Errors
/// The store's; or that the name holds something else than what was to be replaced.
pub fn keep(access: &Access<'_>, journal: &mut Journal, step: usize, pair: &KeyPair) -> Result<()> {
    let (Step::CreateAccessKey {
        secret,
        store,
        replaces,
        ..
    }
    | Step::StoreSecret {
        secret,
        store,
        replaces,
    }) = journal.record.steps[step].step.clone()
    else {
        return Ok(());
    };
    let place = access.stores.place(store);
    let owner = journal.record.goal.owner();
    Index::update(access.folders, |index| {
        let old = place.find(&secret)?;
        let old = old.filter(|old| old.access_key_id != pair.access_key_id);
        if let Some(old) = &old {
            if replaces.as_ref() != Some(&old.access_key_id) {
                return Err(Error::failed(format!(
                    "the secret `{secret}` was changed by somebody else meanwhile"
                ))
                .hint("run the command again; it plans with what is there now"));
            }
            journal.made(step, |made| made.set_aside = true)?;
            place.put(&SecretName::set_aside_by(&journal.record.run), old)?;
        }
        if let Some(entry) = index.find(&secret)
            && entry.access_key_id != pair.access_key_id
        {
            let entry = entry.clone();
            journal.made(step, |made| made.replaced = Some(entry))?;
        }
        place.put(&secret, pair)?;
        index.put(Entry {
            name: secret.clone(),
            store,
            access_key_id: pair.access_key_id.clone(),
            account_id: Some(owner.account_id),
            arn: Some(owner.arn),
            created_at: access.env.now(),
            verified_at: None,
        });
        Ok(())
    })
}

/// The pair that the step made or was given, where it has reached its place and the index.
///
/// # Errors
/// When either cannot be read.
pub fn kept_pair(access: &Access<'_>, record: &Record, step: usize) -> Result<Option<KeyPair>> {
    let record = &record.steps[step];
    let (Step::CreateAccessKey { secret, store, .. } | Step::StoreSecret { secret, store, .. }) =
        &record.step
    else {
        return Ok(None);
    };
    let Some(id) = &record.made.access_key_id else {
        return Ok(None);
    };
    let listed = Index::load(access.folders)?
        .find(secret)
        .is_some_and(|entry| entry.access_key_id == *id);
    let pair = access.stores.place(*store).find(secret)?;
    Ok(pair.filter(|pair| listed && pair.access_key_id == *id))
}

/// The run has succeeded: nobody needs the replaced pair any more.
pub fn discard_what_was_set_aside(access: &Access<'_>, journal: &Journal) {
    let record = &journal.record;
    let Some((_, store)) = record
        .place()
        .filter(|_| record.steps.iter().any(|it| it.made.set_aside))
    else {
        return;
    };
    let aside = SecretName::set_aside_by(&record.run);
    if let Err(error) = access.stores.place(store).remove(&aside) {
        access.output.warn(&format!(
            "the secret that was replaced is still there, under the name `{aside}`: {error}"
        ));
    }
}

/// Gives the name back what it held before, in its place and in the index. What somebody else has
/// put there since stays.
///
/// # Errors
/// The store's, or the index's.
pub fn put_back(access: &Access<'_>, record: &Record, step: usize) -> Result<()> {
    let StepOfPair {
        secret,
        store,
        created,
    } = match &record.steps[step].step {
        Step::CreateAccessKey { secret, store, .. } => StepOfPair {
            secret,
            store: *store,
            created: true,
        },
        Step::StoreSecret { secret, store, .. } => StepOfPair {
            secret,
            store: *store,
            created: false,
        },
        _ => return Ok(()),
    };
    let made = &record.steps[step].made;
    let id = made.access_key_id.as_ref();
    let Some(id) = id.filter(|_| store != StoreKind::Stdout) else {
        return Ok(());
    };
    let place = access.stores.place(store);
    let aside = SecretName::set_aside_by(&record.run);
    Index::update(access.folders, |index| {
        // Of a key that the user brought along, there may be another secret of the user's own.
        if created {
            forget_elsewhere(access, index, id, secret, store)?;
        }
        let there = place.find(secret)?.map(|pair| pair.access_key_id);
        let there = match place.find(&aside)?.filter(|_| there.as_ref() == Some(id)) {
            Some(old) => {
                place.put(secret, &old)?;
                Some(old.access_key_id)
            }
            None if there.as_ref() == Some(id) => {
                place.remove(secret)?;
                None
            }
            None => there,
        };
        if index
            .find(secret)
            .is_some_and(|entry| entry.access_key_id == *id)
        {
            // An entry is of use only beside its pair; a run that has ended keeps no old one.
            let replaced = made.replaced.as_ref();
            match replaced.filter(|old| there.as_ref() == Some(&old.access_key_id)) {
                Some(entry) => index.put(entry.clone()),
                None => index.remove(secret),
            }
        }
        Ok(())
    })?;
    if made.set_aside {
        place.remove(&aside)?;
    }
    Ok(())
}

struct StepOfPair<'a> {
    secret: &'a SecretName,
    store: StoreKind,
    created: bool,
}

/// Removes the pair that this run made from where it was renamed or moved to since. Where it is
/// still in its own place, another secret of the same key is somebody's copy, and stays.
fn forget_elsewhere(
    access: &Access<'_>,
    index: &mut Index,
    id: &str,
    secret: &SecretName,
    store: StoreKind,
) -> Result<()> {
    let mut entries = index.secrets.iter();
    let moved = entries.find(|entry| entry.access_key_id == id).cloned();
    let own = index.find(secret);
    let stays = own.is_some_and(|own| own.store == store && own.access_key_id == id);
    let Some(entry) = moved.filter(|_| !stays) else {
        return Ok(());
    };
    let place = access.stores.place(entry.store);
    let pair = place.find(&entry.name)?;
    if pair.is_some_and(|pair| pair.access_key_id == id) {
        place.remove(&entry.name)?;
    }
    index.remove(&entry.name);
    Ok(())
}
