//! `cloudcred secret add`: stores a pair that the user has already, once AWS has said whose it is.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::aws::failure::Reason;
use crate::aws::identity::{Identity, caller_identity};
use crate::cli::AddSecret;
use crate::commands::context::{Aws, Context, PAIR};
use crate::commands::secret::list::{listed, whose};
use crate::error::{Error, Kind, Result};
use crate::prompt::Prompt;
use crate::secret::KeyPair;
use crate::store::index::{Entry, Index};
use crate::store::vault::Over;
use crate::store::{SecretName, StoreKind};

/// How long AWS may take to know a new key.
const PROPAGATION: Duration = Duration::from_secs(8);

pub fn run(flags: AddSecret, context: &Context) -> Result<()> {
    let name = SecretName::existing(&flags.name)?;
    let vault = context.vault()?;
    let old = Index::load_to_change(&vault.folders)?.find(&name).cloned();
    let (name, store) = match old {
        Some(entry) => (entry.name, entry.store),
        None => (SecretName::new(&flags.name)?, StoreKind::Keyring),
    };
    let store = flags.store.unwrap_or(store);
    // Before a secret is pasted that could then not be stored.
    vault.probe(store)?;
    let mut prompt = context.prompt()?;
    let (pair, identity) = proven_pair(&flags, context, prompt.as_mut())?;
    if identity.as_ref().is_some_and(Identity::is_root) {
        context.output.warn(
            "this is a key of the root user, which may do everything in the account: AWS advises against having one",
        );
    }
    let now = context.env.now();
    let entry = Entry {
        name,
        store,
        access_key_id: pair.access_key_id.clone(),
        account_id: identity.as_ref().map(|it| it.account_id.clone()),
        arn: identity.as_ref().map(|it| it.arn.clone()),
        created_at: now,
        verified_at: identity.as_ref().map(|_| now),
        left_in: None,
    };
    let over = if flags.replace { Over::Anything } else { Over::Nothing };
    let put = match vault.put(&entry, &pair, over) {
        Err(refused) if !flags.replace => {
            let Some(id) = vault.other_key(&entry, &pair)? else {
                return Err(refused);
            };
            let (name, shown) = (&entry.name, id.escape_debug());
            let text = format!("There is a secret `{name}` already ({shown}). Replace it?");
            context.confirm(prompt.as_mut(), &text, "--replace")?;
            vault.put(&entry, &pair, Over::Key(&id))?
        }
        put => put?,
    };
    let (entry, is_current) = (&put.entry, put.is_current);
    let json = json!({
        "changed": put.changed,
        "verified": identity.is_some(),
        "replaced": put.replaced,
        "secret": listed(entry, is_current),
    });
    context.result(json, |page| {
        let name = &entry.name;
        let what = match &put.replaced {
            _ if !put.changed => "is there already".to_owned(),
            None => "is stored".to_owned(),
            Some(old) => format!("is stored, in place of the key {}", old.escape_debug()),
        };
        let headline = page.strong(format!("CloudStudio secret `{name}` {what}."));
        let (id, store) = (&entry.access_key_id, entry.store.name());
        let text = format!("{headline}\n  {id}, {}, in the {store} store\n", whose(entry));
        if is_current {
            return text;
        }
        text + &format!("  set current: cloudcred secret use {name}\n")
    })
}

/// The pair, and whose it is unless `--no-verify` is given. A person may try again.
fn proven_pair(
    flags: &AddSecret,
    context: &Context,
    prompt: &mut dyn Prompt,
) -> Result<(KeyPair, Option<Identity>)> {
    let aws = if flags.no_verify { None } else { Some(Aws::start(context)?) };
    let is_asked = !flags.key_stdin || context.env.stdin_is_terminal;
    loop {
        let pair =
            if is_asked { prompt.key_pair(PAIR)? } else { context.pair_from_stdin(prompt)? };
        let Some(aws) = &aws else { return Ok((pair, None)) };
        match verified(&pair, aws) {
            Err(refused) if refused.kind == Kind::Credentials && is_asked => {
                prompt.tell(&refused.with_hint())?;
            }
            verified => return Ok((pair, Some(verified?))),
        }
    }
}

/// Asks STS whose the pair is, and again where the key may be too new to be known.
fn verified(pair: &KeyPair, aws: &Aws) -> Result<Identity> {
    let session = aws.sdk.session(pair, aws.sdk.region());
    let began = Instant::now();
    let answer = aws.during("Asking AWS whose key this is …", async {
        loop {
            let answer = caller_identity(&aws.sdk, &session).await;
            let is_unknown = answer.as_ref().is_err_and(|it| it.reason == Reason::UnknownKey);
            if !is_unknown || began.elapsed() >= PROPAGATION {
                return Ok(answer);
            }
            aws.context.output.working("AWS does not know this key yet; asking again …");
            sleep(Duration::from_secs(1)).await;
        }
    });
    answer?.map_err(|failure| {
        let mut error = Error::from(failure);
        if error.kind == Kind::Credentials {
            error = error.hint("copy both halves again");
        }
        error.and_hint("--no-verify stores the key without asking AWS")
    })
}
