//! Keeps a pair as a CloudStudio secret: where it goes, how it gets there, and how the name gets back
//! what it had before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::secret::KeyPair;
use crate::setup::steps::context::{Change, Leftover, Outcome, Settled, Stop, Work};
use crate::store::by_run::Origin;
use crate::store::index::Entry;
use crate::store::vault::Over;
use crate::store::{SecretName, StoreKind};

/// Keeps the pair that the user brought along; as a part of `CreateAccessKey`, the new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSecret {
    pub secret: SecretName,
    /// `None` where the pair is printed at the end, and kept nowhere.
    pub store: Option<StoreKind>,
    /// The key whose pair has the secret's name already, and may be replaced.
    pub replaces: Option<String>,
    #[serde(default)]
    pub made: Made,
}

/// What is known of the key. The times are AWS's, and only a key that the run creates has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Made {
    /// When the last attempt to create it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// When those attempts were sent of which nobody knows whether they made a key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// When IAM made it, by its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// What the index said of the secret that was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Entry>,
}

impl StoreSecret {
    /// Notes what the index says of another pair that has the name.
    pub fn note_replaced(&mut self, work: &Work<'_>) -> Result<()> {
        let entry = work.access.vault.entry(&self.secret)?;
        let other = entry.filter(|it| Some(&it.access_key_id) != work.access_key_id.as_ref());
        self.made.replaced = other.or(self.made.replaced.take());
        Ok(())
    }

    /// As the index is to list the pair of that key; `None` where it is printed.
    fn entry(&self, work: &Work<'_>, id: &str) -> Option<Entry> {
        Some(Entry {
            name: self.secret.clone(),
            store: self.store?,
            access_key_id: id.to_owned(),
            account_id: Some(work.owner.account_id.clone()),
            arn: Some(work.owner.arn.clone()),
            created_at: work.access.env.now(),
            verified_at: None,
            left_in: None,
        })
    }

    /// Keeps the pair, in place of the one that is to be replaced: that is set aside in the same store,
    /// so that undo can bring it back, in another process as well. Fails where the name has something
    /// else than what was to be replaced.
    pub fn put(&self, work: &Work<'_>, pair: &KeyPair) -> Result<()> {
        let Some(entry) = self.entry(work, &pair.access_key_id) else { return Ok(()) };
        let aside = SecretName::set_aside_by(&work.run);
        let over = Over::SetAside { key_id: self.replaces.as_deref(), aside: &aside };
        work.access.vault.put(&entry, pair, over).map(drop)
    }

    /// The pair, where it is in its place.
    pub fn held(&self, work: &Work<'_>) -> Result<Option<KeyPair>> {
        match (self.store, &self.made.access_key_id) {
            (Some(store), Some(id)) => work.access.vault.held(&self.secret, store, id),
            _ => Ok(None),
        }
    }

    /// Gives the name back what it had before the pair was put there.
    pub fn give_back(&mut self, work: &Work<'_>, origin: Origin) -> Result<(), Leftover> {
        let id = self.made.access_key_id.as_ref();
        if let Some(put) = id.and_then(|id| self.entry(work, id)) {
            let (aside, replaced) = (SecretName::set_aside_by(&work.run), &self.made.replaced);
            let given_back = work.access.vault.give_back(&put, replaced.as_ref(), &aside, origin);
            let what = || format!("what this run made of the secret `{}`", self.secret);
            given_back.map_err(|why| Leftover { what: what(), ..why.into() })?;
        }
        self.made = Made::default();
        Ok(())
    }
}

impl Change for StoreSecret {
    /// `in the keyring, as secret ana, replacing the pair of AKIA…`
    fn described(&self) -> (&'static str, String) {
        let what = "store the key";
        let Some(store) = self.store else {
            return (what, "to be printed, and kept nowhere".to_owned());
        };
        let mut place = format!("{}, as secret `{}`", store.place(), self.secret);
        if let Some(id) = &self.replaces {
            place += &format!(", replacing the pair of {id}");
        }
        (what, place)
    }

    fn remains(&self) -> Option<String> {
        Some(format!("the secret `{}`", self.secret))
    }

    fn replaces(&self) -> bool {
        self.replaces.is_some()
    }

    async fn prepare(&mut self, work: &mut Work<'_>) -> Result<()> {
        self.made.access_key_id = Some(work.pair()?.access_key_id.clone());
        self.note_replaced(work)
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        self.put(work, work.pair()?)?;
        // STS accepted it before anything was planned.
        Ok(work.access.vault.verified(&self.secret, work.access.env.now())?)
    }

    async fn revisit(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<Settled> {
        let held = self.held(work)?;
        // Version 0.1 printed a pair in this step.
        let is_there = held.is_some() || self.store.is_none();
        work.secrets.pair = work.secrets.pair.take().or(held);
        Ok(if is_there && outcome == Outcome::Done { Settled::Done } else { Settled::Again })
    }

    async fn take_back(&mut self, work: &mut Work<'_>, _: Outcome) -> Result<(), Leftover> {
        self.give_back(work, Origin::BroughtAlong)
    }
}
