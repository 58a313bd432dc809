//! `cloudcred secret add`: keeps a pair that somebody has already, once AWS has said whose it is.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::aws::failure::{Failure, Reason};
use crate::aws::identity::{Identity, caller_identity};
use crate::cli::AddSecret;
use crate::commands::Context;
use crate::commands::aws::Aws;
use crate::commands::secret::place::clear;
use crate::commands::secret::{Listed, whose};
use crate::env::Folders;
use crate::error::{Error, Kind, Result};
use crate::output::{Page, Report};
use crate::prompt::{Prompt, Question};
use crate::secret::KeyPair;
use crate::store::index::{Entry, Index};
use crate::store::{SecretName, StoreKind};

/// How long a key that AWS does not know yet may have been created just now.
const PROPAGATION: Duration = Duration::from_secs(8);
/// How long one question to STS may take.
const ANSWER: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Added {
    changed: bool,
    verified: bool,
    /// The key that the name stood for before.
    replaced: Option<String>,
    secret: Listed,
    #[serde(skip)]
    whose: String,
}

impl Report for Added {
    fn text(&self, page: &Page) -> String {
        let name = &self.secret.name;
        let what = match (self.changed, &self.replaced) {
            (false, _) => "is there already".to_owned(),
            (true, None) => "is kept".to_owned(),
            (true, Some(old)) => format!("is kept, in place of the key {}", old.escape_debug()),
        };
        let headline = page.strong(format!("CloudStudio secret `{name}` {what}."));
        let store = self.secret.store.name();
        let mut text = format!(
            "{headline}\n  {}, {}, in the {store} store\n",
            self.secret.access_key_id, self.whose
        );
        if !self.secret.current {
            text.push_str(&format!("  set current: cloudcred secret use {name}\n"));
        }
        text
    }
}

pub fn run(flags: AddSecret, context: &Context) -> Result<()> {
    let name = SecretName::new(&flags.name)?;
    let folders = context.env.folders()?;
    let index = Index::load_to_change(&folders)?;
    let store = match (flags.store, index.find(&name)) {
        (Some(store), _) => store.into(),
        (None, Some(entry)) => entry.store,
        (None, None) => StoreKind::Keyring,
    };
    // Nobody should paste a secret that then cannot be kept.
    context.stores(&folders).place(store).probe()?;
    let mut prompt = context.prompt()?;
    let (pair, identity) = proven_pair(&flags, context, prompt.as_mut())?;
    if identity.as_ref().is_some_and(Identity::is_root) {
        context.output.warn(
            "this is a key of the root user, which may do everything in the account: AWS advises against having one",
        );
    }
    let addition = Addition {
        name: &name,
        store,
        pair: &pair,
        identity,
    };
    let mut agreed = match flags.replace {
        true => Replace::Whatever,
        false => Replace::Nothing,
    };
    let (added, index) = loop {
        match addition.keep(&agreed, &folders, context)? {
            Outcome::Kept(added, index) => break (added, index),
            Outcome::Taken(id) => {
                // Escaped, since something else than cloudcred may have put it there.
                let shown = id.escape_debug();
                let text = format!("There is a secret `{name}` already ({shown}). Replace it?");
                if !prompt.confirm(Question::required(&text, "--replace"))? {
                    return Err(Error::cancelled().hint("nothing was changed"));
                }
                agreed = Replace::Key(id);
            }
        }
    };
    let entry = index.require(&name)?;
    context.output.result(&Added {
        changed: added.changed,
        verified: addition.identity.is_some(),
        replaced: added.replaced,
        whose: whose(entry),
        secret: Listed::of(entry, &index),
    })
}

/// The pair, and whose it is unless nobody is to ask. A person may try again.
fn proven_pair(
    flags: &AddSecret,
    context: &Context,
    prompt: &mut dyn Prompt,
) -> Result<(KeyPair, Option<Identity>)> {
    let aws = match flags.no_verify {
        true => None,
        false => Some(Aws::start(context)?),
    };
    let asked = !flags.key_stdin || context.env.stdin_is_terminal;
    loop {
        let pair = match flags.key_stdin {
            true => context.pair_from_stdin(prompt)?,
            false => prompt.key_pair(Question::required(
                "Access key, both halves (not shown)",
                "--key-stdin < FILE",
            ))?,
        };
        let Some(aws) = &aws else {
            return Ok((pair, None));
        };
        match verified(&pair, aws, context) {
            Ok(identity) => return Ok((pair, Some(identity))),
            Err(refused) if refused.kind == Kind::Credentials && asked => {
                prompt.tell(&refused.with_hint())?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Asks STS whose the pair is, and again where the key may be too new to be known.
fn verified(pair: &KeyPair, aws: &Aws, context: &Context) -> Result<Identity> {
    let session = aws.sdk.session(pair, aws.sdk.region());
    context.output.working("Asking AWS whose key this is …");
    let began = Instant::now();
    let answer = aws.read(async {
        loop {
            match caller_identity(&aws.sdk, &session, ANSWER).await {
                Err(failure)
                    if failure.reason == Reason::UnknownKey && began.elapsed() < PROPAGATION =>
                {
                    context
                        .output
                        .working("AWS does not know this key yet; asking again …");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                answer => return Ok(answer),
            }
        }
    });
    context.output.done();
    answer?.map_err(unverified)
}

fn unverified(failure: Failure) -> Error {
    let error = Error::from(failure);
    let hint = match error.kind {
        Kind::Credentials => "copy both halves again".to_owned(),
        _ => error.hint.clone().unwrap_or_default(),
    };
    error.hint(format!("{hint}; --no-verify keeps the key unasked"))
}

/// Which pair the name may give up.
enum Replace {
    Nothing,
    /// The one that a person has agreed to.
    Key(String),
    Whatever,
}

enum Outcome {
    Kept(Change, Index),
    /// By a pair with this key.
    Taken(String),
}

/// What keeping the pair has changed.
struct Change {
    changed: bool,
    replaced: Option<String>,
}

/// A pair that is to have a name in a store.
struct Addition<'a> {
    name: &'a SecretName,
    store: StoreKind,
    pair: &'a KeyPair,
    identity: Option<Identity>,
}

impl Addition<'_> {
    /// The store first and then the index, under the index's lock: dying in between leaves a pair
    /// that the same command again finds to be its own.
    fn keep(&self, agreed: &Replace, folders: &Folders, context: &Context) -> Result<Outcome> {
        let stores = context.stores(folders);
        let mut locked = Index::lock(folders)?;
        let entry = locked.index.find(self.name).cloned();
        // As it is spelled already: one place has one spelling.
        let name = entry.as_ref().map_or(self.name, |entry| &entry.name);
        let place = stores.place(self.store);
        let in_place = place.find(name)?;
        let elsewhere = match &entry {
            Some(entry) if entry.store != self.store => {
                let old = stores.place(entry.store);
                old.find(name)?.map(|pair| (old, pair))
            }
            _ => None,
        };
        let mut pairs = in_place
            .iter()
            .chain(elsewhere.iter().map(|(_, pair)| pair));
        let other = pairs.find(|there| !there.same_as(self.pair));
        let replaced = other.map(|other| other.access_key_id.clone());
        match (&replaced, agreed) {
            (None, _) | (Some(_), Replace::Whatever) => {}
            (Some(id), Replace::Key(agreed)) if id == agreed => {}
            (Some(id), _) => return Ok(Outcome::Taken(id.clone())),
        }
        let is_in_place = in_place
            .as_ref()
            .is_some_and(|there| there.same_as(self.pair));
        if !is_in_place {
            place.replace(name, in_place.as_ref(), self.pair)?;
        }
        let name = name.clone();
        locked.index.put(self.entry(&name, entry.as_ref(), context));
        locked.save_or(|| {
            if !is_in_place {
                place.restore(&name, in_place.as_ref());
            }
        })?;
        if let (Some((old, _)), Some(entry)) = (&elsewhere, &entry) {
            clear(old, &name, entry.store)?;
        }
        let known = entry.is_some_and(|entry| entry.access_key_id == self.pair.access_key_id);
        let change = Change {
            changed: !(is_in_place && known && elsewhere.is_none()),
            replaced,
        };
        Ok(Outcome::Kept(change, locked.index))
    }

    /// What is known of this very key already stays known.
    fn entry(&self, name: &SecretName, old: Option<&Entry>, context: &Context) -> Entry {
        let old = old.filter(|old| old.access_key_id == self.pair.access_key_id);
        let now = context.env.now();
        let mut entry = old.cloned().unwrap_or_else(|| Entry {
            name: name.clone(),
            store: self.store,
            access_key_id: self.pair.access_key_id.clone(),
            account_id: None,
            arn: None,
            created_at: now,
            verified_at: None,
        });
        entry.store = self.store;
        if let Some(identity) = &self.identity {
            entry.account_id = Some(identity.account_id.clone());
            entry.arn = Some(identity.arn.clone());
            entry.verified_at = Some(now);
        }
        entry
    }
}
