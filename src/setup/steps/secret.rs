//! Keeps a pair as a CloudStudio secret: where it goes, how it gets there, and how the name gets back
//! what it had before.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::secret::KeyPair;
use crate::setup::steps::context::{Change, Leftover, Outcome, Settled, Stop, Work};
use crate::store::by_run::{Origin, PutByRun};
use crate::store::index::Entry;
use crate::store::vault::Over;
use crate::store::{SecretName, StoreKind};

/// Where a step keeps its pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub secret: SecretName,
    /// `None` where the pair is printed at the end, and kept nowhere.
    pub store: Option<StoreKind>,
    /// The key whose pair has the secret's name already, and may be replaced.
    pub replaces: Option<String>,
}

impl Destination {
    /// `in the keyring, as secret ana, replacing the pair of AKIA…`
    pub fn described(&self) -> String {
        let place = match self.store {
            Some(StoreKind::Keyring) => "in the keyring",
            Some(StoreKind::File) => "in a private file",
            None => return "to be printed, and kept nowhere".to_owned(),
        };
        let replacing = self.replaces.iter().map(|id| format!(", replacing the pair of {id}"));
        format!("{place}, as secret `{}`{}", self.secret, replacing.collect::<String>())
    }

    /// What the index says of another pair that has the name.
    pub fn replaced(&self, work: &Work<'_>) -> Result<Option<Entry>> {
        let entry = work.access.vault.entry(&self.secret)?;
        Ok(entry.filter(|entry| Some(&entry.access_key_id) != work.access_key_id.as_ref()))
    }

    /// Keeps the pair, in place of the one that is to be replaced: that is set aside in the same store,
    /// so that undo can bring it back, in another process as well.
    ///
    /// # Errors
    /// The store's; or that the name has something else than what was to be replaced.
    pub fn put(&self, work: &Work<'_>, pair: &KeyPair) -> Result<()> {
        let Some(store) = self.store else {
            return Ok(());
        };
        let entry = Entry {
            name: self.secret.clone(),
            store,
            access_key_id: pair.access_key_id.clone(),
            account_id: Some(work.owner.account_id.clone()),
            arn: Some(work.owner.arn.clone()),
            created_at: work.access.env.now(),
            verified_at: None,
            left_in: None,
        };
        let aside = SecretName::set_aside_by(&work.run);
        let over = Over::SetAside { key_id: self.replaces.as_deref(), aside: &aside };
        work.access.vault.put(&entry, pair, over).map(drop)
    }

    /// The pair of that key, where it is in its place.
    pub fn held(&self, work: &Work<'_>, id: Option<&str>) -> Result<Option<KeyPair>> {
        match (self.store, id) {
            (Some(store), Some(id)) => work.access.vault.held(&self.secret, store, id),
            _ => Ok(None),
        }
    }

    /// Gives the name back what it had before the pair of that key was put there.
    pub fn give_back(
        &self,
        work: &Work<'_>,
        id: &str,
        replaced: Option<&Entry>,
        origin: Origin,
    ) -> Result<(), Leftover> {
        let Some(store) = self.store else {
            return Ok(());
        };
        let aside = SecretName::set_aside_by(&work.run);
        let put = PutByRun {
            name: &self.secret,
            store,
            key_id: id,
            aside: Some(&aside),
            replaced,
            origin,
        };
        let what = || format!("what this run made of the secret `{}`", self.secret);
        let given_back = work.access.vault.give_back(&put);
        given_back.map_err(|why| Leftover { what: what(), ..why.into() })
    }
}

/// Keeps the pair that the user brought along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSecret {
    #[serde(flatten)]
    pub destination: Destination,
    #[serde(default)]
    pub made: Made,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Made {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// What the index said of the secret that was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Entry>,
}

impl Change for StoreSecret {
    const NAME: &'static str = "store_secret";

    fn described(&self) -> (&'static str, String) {
        ("store the key", self.destination.described())
    }

    fn remains(&self) -> Option<String> {
        Some(format!("the secret `{}`", self.destination.secret))
    }

    fn replaces(&self) -> bool {
        self.destination.replaces.is_some()
    }

    async fn prepare(&mut self, work: &mut Work<'_>) -> Result<()> {
        self.made.access_key_id = Some(work.pair()?.access_key_id.clone());
        self.made.replaced = self.destination.replaced(work)?.or(self.made.replaced.take());
        Ok(())
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        self.destination.put(work, work.pair()?)?;
        // STS accepted it before anything was planned.
        Ok(work.access.vault.verified(&self.destination.secret, work.access.env.now())?)
    }

    async fn revisit(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<Settled> {
        let held = self.destination.held(work, self.made.access_key_id.as_deref())?;
        // Version 0.1 printed a pair in this step.
        let is_there = held.is_some() || self.destination.store.is_none();
        work.secrets.pair = work.secrets.pair.take().or(held);
        Ok(if is_there && outcome == Outcome::Done { Settled::Done } else { Settled::Again })
    }

    async fn take_back(&mut self, work: &mut Work<'_>, _: Outcome) -> Result<(), Leftover> {
        if let Some(id) = &self.made.access_key_id {
            let replaced = self.made.replaced.as_ref();
            self.destination.give_back(work, id, replaced, Origin::BroughtAlong)?;
        }
        self.made = Made::default();
        Ok(())
    }
}
