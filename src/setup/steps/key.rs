//! Creates an access key and keeps it: one step, because in between nobody but us has the secret.
//!
//! CreateAccessKey is sent once, without retries. Where its answer is lost, the keys that are there during
//! the settling time are compared with those that were there before.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use crate::aws::evidence::{Look, SETTLING, deleted, settled};
use crate::aws::failure::{Failure, Reason};
use crate::aws::iam;
use crate::error::{Error, Kind, Result};
use crate::secret::KeyPair;
use crate::setup::steps::context::{Change, Leftover, Outcome, Settled, Stop, Work};
use crate::setup::steps::orphan_keys::{is_listed, keys_of, listed, suspects, whose_keys};
use crate::setup::steps::secret::StoreSecret;
use crate::store::by_run::Origin;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateAccessKey {
    /// `None` for a key of root.
    pub user_name: Option<String>,
    #[serde(flatten)]
    pub kept: StoreSecret,
    /// The user's keys before: they are others'.
    pub known_key_ids: Vec<String>,
}

impl CreateAccessKey {
    fn user(&self) -> Option<&str> {
        self.user_name.as_deref()
    }

    /// The key of that ID, or one that may be there.
    fn what(&self, id: Option<&String>) -> String {
        let (whose, _) = whose_keys(self.user());
        match id {
            Some(id) => format!("the access key {id} of {whose}"),
            None => format!("possibly an access key of {whose}"),
        }
    }

    /// Deletes the keys that attempts without an answer have made, on a user that this run created.
    /// Elsewhere nobody can tell such a key from somebody else's new one, so it is named.
    async fn delete_orphans(&mut self, work: &Work<'_>) -> Result<()> {
        let known: Vec<_> =
            self.known_key_ids.iter().chain(&self.kept.made.access_key_id).collect();
        let sent = &self.kept.made.unanswered;
        let suspects = suspects(&work.access, self.user(), &known, sent).await?;
        let provable = work.created_user()
            && suspects.len() <= sent.len()
            && suspects.iter().all(|suspect| suspect.never_used);
        if !suspects.is_empty() && !provable {
            let ids: Vec<&str> = suspects.iter().map(|suspect| suspect.id.as_str()).collect();
            return Err(self.unprovable(&ids.join(", ")));
        }
        for suspect in suspects {
            self.delete(work, &suspect.id).await?;
            self.kept.made.unanswered.pop();
        }
        Ok(())
    }

    fn unprovable(&self, ids: &str) -> Error {
        let (whose, user) = whose_keys(self.user());
        Error::new(Kind::PartlyApplied, format!(
            "an answer to iam:CreateAccessKey was lost, and {whose} has a new access key since, which may be this run's or somebody else's: {ids}"
        ))
        .hint(format!(
            "if nobody else has just made it, delete it: aws iam delete-access-key{user} --access-key-id ID"
        ))
    }

    /// Deletes the key, and makes sure that it is gone.
    async fn delete(&self, work: &Work<'_>, id: &str) -> Result<(), Failure> {
        let access = work.access;
        let confirmed = Cell::new(false);
        let delete = || async {
            let iam = access.fresh_iam()?;
            iam::delete_access_key(&iam, self.user(), id).await?;
            confirmed.set(true);
            Ok(())
        };
        let exists = || async {
            match is_listed(&access, self.user(), id).await {
                // Nobody has confirmed a deletion: then the pair is the better witness.
                Ok(false) if !confirmed.get() => work.is_accepted(id).await,
                listed => listed,
            }
        };
        deleted(delete, exists).await
    }

    /// Whether the key that the journal names is this run's: on a user of its own, by its pair, or by
    /// the time when IAM made it. `None` where it is not listed, so that there is nothing to prove.
    async fn is_ours(&self, work: &Work<'_>, id: &str) -> Result<Option<bool>> {
        let is_it = |pair: &KeyPair| pair.access_key_id == id;
        if work.created_user()
            || work.access.vault.find_key(id)?.is_some()
            || work.secrets.pair.as_ref().is_some_and(is_it)
        {
            return Ok(Some(true));
        }
        let key = settled(|| async {
            let keys = listed(&work.access, self.user()).await?;
            let key = keys.into_iter().find(|key| key.id == id);
            Ok(if key.is_some() { Look::Sure(key) } else { Look::Unsure(None) })
        });
        let Some(created) = key.await?.map(|key| key.created_at) else {
            return Ok(None);
        };
        Ok(Some(match (created, self.kept.made.created_at, self.kept.made.begun_at) {
            (Some(created), Some(ours), _) => created == ours,
            // Version 0.1 did not note when IAM made it.
            (Some(created), None, Some(begun)) => {
                created.duration_since(begun).as_secs().unsigned_abs() <= SETTLING.as_secs()
            }
            _ => false,
        }))
    }

    /// Takes the key back at AWS.
    async fn take_back_at_aws(&mut self, work: &Work<'_>) -> Result<(), Leftover> {
        if let Some(id) = &self.kept.made.access_key_id {
            match self.is_ours(work, id).await? {
                Some(true) => self.delete(work, id).await?,
                Some(false) => {
                    return Err(Error::failed("nothing proves that this run made it").into());
                }
                None => {}
            }
        }
        if self.kept.made.unanswered.is_empty() {
            return Ok(());
        }
        let orphans = self.delete_orphans(work).await;
        orphans.map_err(|why| Leftover { what: self.what(None), ..why.into() })
    }
}

impl Change for CreateAccessKey {
    fn described(&self) -> (&'static str, String) {
        let (_, place) = self.kept.described();
        let (whose, _) = whose_keys(self.user());
        let is_kept = self.kept.store.is_some();
        let detail = if is_kept { format!("kept {place}") } else { format!("of {whose}, {place}") };
        ("create access key", detail)
    }

    fn remains(&self) -> Option<String> {
        Some(self.what(self.kept.made.access_key_id.as_ref()))
    }

    fn replaces(&self) -> bool {
        self.kept.replaces()
    }

    async fn prepare(&mut self, work: &mut Work<'_>) -> Result<()> {
        // Minutes or days may have passed since the plan was made.
        let others_may_have_keys = work.resumed || !work.created_user();
        if self.kept.made.unanswered.is_empty() && others_may_have_keys {
            let keys = keys_of(&work.access, self.user()).await?;
            let ids = keys.into_iter().map(|key| key.id);
            let new = ids.filter(|id| !self.known_key_ids.contains(id)).collect::<Vec<_>>();
            self.known_key_ids.extend(new);
        }
        self.kept.note_replaced(work)?;
        let now = work.access.aws_now();
        self.kept.made.begun_at = Some(now);
        self.kept.made.unanswered.push(now);
        Ok(())
    }

    async fn act(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        let iam = work.access.iam()?;
        match iam::create_access_key(&iam, self.user()).await {
            Ok((pair, created_at)) => {
                self.kept.made.unanswered.pop();
                self.kept.made.access_key_id = Some(pair.access_key_id.clone());
                self.kept.made.created_at = created_at;
                work.access_key_id = Some(pair.access_key_id.clone());
                work.secrets.pair = Some(pair);
                Ok(())
            }
            Err(failure) if failure.reason == Reason::Unclear => Err(failure.into()),
            Err(failure) => {
                self.kept.made.unanswered.pop();
                // A key that an earlier attempt has made may have taken the room.
                if failure.reason == Reason::Limit && !self.kept.made.unanswered.is_empty() {
                    return Err(Stop::Unanswered(failure.into()));
                }
                Err(Stop::Refused(failure.into()))
            }
        }
    }

    async fn keep(&mut self, work: &mut Work<'_>) -> Result<()> {
        let Err(mut refused) = self.kept.put(work, work.pair()?) else {
            return Ok(());
        };
        // Nobody has the secret once this process ends, so the key goes at once.
        if let Err(left) = self.undo(work, Outcome::Done).await {
            refused = refused.and_hint(left.stays());
        }
        Err(refused)
    }

    async fn settle(&mut self, work: &mut Work<'_>) -> Result<Settled> {
        work.access.output.working("waiting to see whether AWS has made a key");
        self.delete_orphans(work).await?;
        Ok(Settled::Again)
    }

    async fn revisit(&mut self, work: &mut Work<'_>, _: Outcome) -> Result<Settled> {
        let id = self.kept.made.access_key_id.clone();
        if let (Some(pair), Some(id)) = (self.kept.held(work)?, &id) {
            work.secrets.pair = Some(pair);
            let known = settled(|| async {
                if work.is_accepted(id).await? {
                    return Ok(Look::Sure(true));
                }
                match listed(&work.access, self.user()).await {
                    // Proving the pair will tell.
                    Err(failure) if failure.reason == Reason::Denied => Ok(Look::Sure(true)),
                    keys => Ok(match keys?.iter().find(|key| key.id == *id) {
                        Some(key) => Look::Sure(key.active),
                        None => Look::Unsure(false),
                    }),
                }
            });
            if known.await? {
                return Ok(Settled::Done);
            }
            if is_listed(&work.access, self.user(), id).await? {
                let message = format!("{} is inactive", self.what(Some(id)));
                return Err(Error::failed(message).hint("activate it in the IAM console first"));
            }
        }
        work.secrets.pair = None;
        if id.is_some() || !self.kept.made.unanswered.is_empty() {
            // Its secret is lost, or the key is.
            self.undo(work, Outcome::Unknown).await?;
            return Ok(Settled::Anew);
        }
        Ok(Settled::Again)
    }

    async fn last_look(&mut self, work: &mut Work<'_>) -> Result<()> {
        if self.kept.made.unanswered.is_empty() {
            return Ok(());
        }
        work.access.output.working("making sure that there is no key whose secret nobody has");
        self.delete_orphans(work).await?;
        self.kept.made.unanswered.clear();
        Ok(())
    }

    /// The pair is given up last, and never while its key may exist.
    async fn take_back(&mut self, work: &mut Work<'_>, outcome: Outcome) -> Result<(), Leftover> {
        if outcome != Outcome::Refused && work.may_act()? {
            self.take_back_at_aws(work).await?;
        }
        self.kept.give_back(work, Origin::Created)
    }
}
