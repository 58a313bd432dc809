//! The run's pair in the vault, as the journal's steps speak of it. Knows no AWS.

use crate::error::Result;
use crate::secret::KeyPair;
use crate::setup::execute::Access;
use crate::setup::journal::{Journal, Record};
use crate::setup::step::Step;
use crate::store::by_run::{Origin, PutByRun};
use crate::store::index::Entry;
use crate::store::vault::Over;
use crate::store::{SecretName, StoreKind};

/// Puts the pair into its store, and keeps what it replaces until the run has ended.
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
    let replaced = access.vault.entry(&secret)?;
    let replaced = replaced.filter(|entry| entry.access_key_id != pair.access_key_id);
    if replaces.is_some() || replaced.is_some() {
        journal.made(step, |made| {
            made.set_aside |= replaces.is_some();
            made.replaced = replaced.or(made.replaced.take());
        })?;
    }
    let owner = journal.record.goal.owner();
    let entry = Entry {
        name: secret,
        store,
        access_key_id: pair.access_key_id.clone(),
        account_id: Some(owner.account_id),
        arn: Some(owner.arn),
        created_at: access.env.now(),
        verified_at: None,
    };
    let over = Over::SetAside {
        key_id: replaces.as_deref(),
        aside: &SecretName::set_aside_by(&journal.record.run),
    };
    access.vault.put(&entry, pair, over).map(drop)
}

/// The pair that the step made or was given, where it has reached its store and the index.
pub fn kept_pair(access: &Access<'_>, record: &Record, step: usize) -> Result<Option<KeyPair>> {
    match put_by(record, step) {
        Some(put) => access.vault.held(put.name, put.store, put.key_id),
        None => Ok(None),
    }
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
    if let Err(error) = access.vault.discard(store, &aside) {
        access.output.warn(&format!(
            "the secret that was replaced is still there, under the name `{aside}`: {error}"
        ));
    }
}

/// Gives the name back what it had before the step.
pub fn put_back(access: &Access<'_>, record: &Record, step: usize) -> Result<()> {
    let aside = SecretName::set_aside_by(&record.run);
    match put_by(record, step) {
        Some(put) => access.vault.give_back(&PutByRun {
            aside: record.steps[step].made.set_aside.then_some(&aside),
            ..put
        }),
        None => Ok(()),
    }
}

/// What the step has put into the vault, once its key is known.
fn put_by(record: &Record, step: usize) -> Option<PutByRun<'_>> {
    let record = &record.steps[step];
    let (name, store, origin) = match &record.step {
        Step::CreateAccessKey { secret, store, .. } => (secret, *store, Origin::Created),
        Step::StoreSecret { secret, store, .. } => (secret, *store, Origin::BroughtAlong),
        _ => return None,
    };
    Some(PutByRun {
        name,
        store,
        key_id: record.made.access_key_id.as_deref()?,
        aside: None,
        replaced: record.made.replaced.as_ref(),
        origin,
    })
    .filter(|put| put.store != StoreKind::Stdout)
}
